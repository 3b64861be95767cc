"""What a mapping does on the worker thread: estimator after estimator, merged with what was mapped before."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray
from napari_blochnet.common.errors import Cancelled, DataWarning, InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, report
from napari_blochnet.evaluation import beside_truth as errors
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.operations.merging import can_merge, merge_maps
from napari_blochnet.jobs.operations.reconstruct import reconstruct
from napari_blochnet.jobs.settings import ReconstructSettings
from napari_blochnet.napari_ui.panels.map.pace import Paces, Stopwatch, duration
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["Growing", "Mapped", "MappingTask", "sample_mask"]

# Voxels whose mapping is timed: enough for a rate, and few enough not to wait for.
_SAMPLE = 400

#: Maps so far, finished or not, each with the place of its estimator among those asked for.
Growing = tuple[tuple[int, ParameterMaps], ...]


@dataclass(frozen=True)
class Mapped:
    """What one estimator made.

    Parameters
    ----------
    index : int
        Place of the estimator among those asked for.
    maps : ParameterMaps
        With older maps of the same kind, if they were merged.
    voxels : int
        How many were mapped now.
    is_merged : bool
    errors : dict of str to array, optional
        Signed errors of T1 and T2, per cent, where the truth is known.
    """

    index: int
    maps: ParameterMaps
    voxels: int
    is_merged: bool
    errors: dict[str, FloatArray] | None


@dataclass
class MappingTask:
    """What one click asks for.

    Parameters
    ----------
    stack : FingerprintStack
    settings : list of ReconstructSettings
        One for each estimator.
    mask : bool array of shape (Z, Y, X), optional
        None: all voxels.
    device : str
    truth : Phantom, optional
        On the stack's grid.
    title : str
        What people call the stack.
    paces : Paces
        Where measured speeds are kept.
    older : dict of int to ParameterMaps
        Maps of the same stack by the same estimator, with which the new ones are merged; by place of the estimator.
    """

    stack: FingerprintStack
    settings: list[ReconstructSettings]
    mask: BoolArray | None
    device: str
    truth: Phantom | None
    title: str
    paces: Paces
    older: dict[int, ParameterMaps] = field(default_factory=dict)

    @property
    def voxels(self) -> int:
        """How many are mapped with each estimator."""
        return int((self.stack.mask if self.mask is None else self.stack.mask & self.mask).sum())

    def run(
        self,
        *,
        progress: ProgressCallback,
        cancelled: CancelEvent,
        partial: Callable[[Growing], None],
    ) -> list[Mapped]:
        """Map with each estimator in turn; worker thread.

        An estimator that cannot map the stack is told of and passed over, unless it is the only one.
        """
        done: list[Mapped] = []
        growing: dict[int, ParameterMaps] = {}
        refused: InputError | None = None
        for index, settings in enumerate(self.settings):

            def grown(maps: ParameterMaps, index: int = index) -> None:
                growing[index] = maps
                partial(tuple(growing.items()))

            watch = Stopwatch(self.voxels)
            try:
                maps = reconstruct(self.stack, None, self.mask, settings, device=self.device, cancelled=cancelled,
                                   progress=self._progress(index, watch, progress), partial=grown)  # fmt: skip
            except Cancelled as stopped:
                if isinstance(stopped.partial, ParameterMaps) and stopped.partial.mask.any():
                    done.append(self._finished(index, stopped.partial))
                raise Cancelled(str(stopped), partial=done) from None
            except InputError as error:
                refused = refused or error
                if len(self.settings) > 1:
                    warnings.warn(str(error), DataWarning, stacklevel=2)
                continue
            watch.mapped(self.voxels)
            if watch.pace is not None:
                self.paces.note(settings, self.stack, self.device, watch.pace)
            growing[index] = maps
            done.append(self._finished(index, maps))
        if refused is not None and not done:
            raise refused
        return done

    def _finished(self, index: int, maps: ParameterMaps) -> Mapped:
        voxels = int(maps.mask.sum())
        older = self.older.get(index)
        is_merged = older is not None and can_merge(older, maps)
        if older is not None and is_merged:
            maps = merge_maps(older, maps, self.stack)
        found = None if self.truth is None else errors.signed_errors(self.truth, maps)
        return Mapped(index, maps, voxels, is_merged, found)

    def _progress(self, index: int, watch: Stopwatch, progress: ProgressCallback) -> ProgressCallback:
        """Return a callback that reports this estimator as its part of all of them, with the time that remains."""
        voxels, count = self.voxels, len(self.settings)
        rest = self.settings[index + 1 :]

        def reported(done: int, total: int, message: str = "", /) -> None:
            if not message.startswith("mapping"):
                part = f" ({100 * done // total} %)" if total else ""
                report(progress, index * voxels, count * voxels, f"{message}{part}")
                return
            watch.mapped(done)
            seconds = watch.remaining
            after = self.paces.seconds(rest, self.stack, self.device, voxels) if rest else 0.0
            text = message + (f", {index + 1} of {count}" if count > 1 else "")
            if seconds is not None and done < voxels:
                text += f": about {duration(seconds + (after or 0.0))} left"
                text += "" if after is not None else " for this one"
            report(progress, index * voxels + done, count * voxels, text)

        return reported


def sample_mask(stack: FingerprintStack, mask: BoolArray | None) -> BoolArray:
    """Return a few hundred of the voxels that are to be mapped, side by side in the middle of them."""
    inside = np.flatnonzero(stack.mask if mask is None else stack.mask & mask)
    start = max(0, (len(inside) - _SAMPLE) // 2)
    sample = np.zeros(stack.mask.shape, bool)
    sample.ravel()[inside[start : start + _SAMPLE]] = True
    return sample
