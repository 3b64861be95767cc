"""What a mapping does on the worker thread: estimator after estimator, merged with what was mapped before."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import Cancelled, DataWarning, InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.evaluation.beside_truth import signed_errors
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.operations.merging import OlderSlabs, can_merge, merge_maps
from napari_blochnet.jobs.operations.reconstruct import reconstruct
from napari_blochnet.jobs.settings import ReconstructSettings
from napari_blochnet.napari_ui.panels.amounts import duration
from napari_blochnet.napari_ui.panels.map.pace import Paces, Stopwatch
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["EstimatorRun", "MappingTask", "sample_mask"]

# Voxels whose mapping is timed: enough for a rate, and few enough not to wait for.
_SAMPLE = 400


@dataclass(eq=False)
class EstimatorRun:
    """What one estimator does in a mapping. The worker writes what it made, the main thread what is shown.

    Parameters
    ----------
    settings : ReconstructSettings
    older : ParameterMaps, optional
        Maps of the same stack by the same estimator, with which the new ones are merged.
    maps : ParameterMaps, optional
        Of the voxels that are mapped now, finished or not.
    result : ParameterMaps, optional
        What is finished, with the older maps if they were merged.
    errors : dict of str to array, optional
        Signed errors of T1 and T2 of the result, per cent, where the truth is known.
    shown : ParameterMaps, optional
        What its layers show until it is finished.
    """

    settings: ReconstructSettings
    older: ParameterMaps | None = None
    maps: ParameterMaps | None = None
    result: ParameterMaps | None = None
    errors: dict[str, FloatArray] | None = None
    shown: ParameterMaps | None = None

    @property
    def is_merged(self) -> bool:
        """Whether the result holds the older maps, too."""
        return self.result is not self.maps

    @property
    def voxels(self) -> int:
        """How many are mapped now."""
        return 0 if self.maps is None else int(self.maps.mask.sum())


@dataclass
class MappingTask:
    """What one click asks for.

    Parameters
    ----------
    stack : FingerprintStack
    runs : list of EstimatorRun
        One for each estimator.
    mask : bool array of shape (Z, Y, X), optional
        None: all voxels.
    device : str
    paces : Paces
        Where measured speeds are kept.
    truth : Phantom, optional
        On the stack's grid.
    b1 : callable, optional
        Returns the transmit field, an array of shape (Z, Y, X), of a layer or a phantom: it may take a while.
    here : int, optional
        The slice that the viewer shows, which the main thread keeps up to date: it is mapped first, and what is near it
        next. None: none of them.
    """

    stack: FingerprintStack
    runs: list[EstimatorRun]
    mask: BoolArray | None
    device: str
    paces: Paces
    truth: Phantom | None = None
    b1: Callable[[], AnyArray] | None = None
    here: int | None = None

    @functools.cached_property
    def voxels(self) -> int:
        """How many are mapped with each estimator."""
        return int((self.stack.mask if self.mask is None else self.stack.mask & self.mask).sum())

    def costs(self, settings: ReconstructSettings) -> ReconstructSettings:
        """Return settings whose time and memory are those of a mapping: a B1 map takes both, wherever it is from."""
        return settings if self.b1 is None else settings.model_copy(update={"b1": "given"})

    def seconds(self, first: int = 0) -> float | None:
        """Return how long the estimators from this one on will take; None where one was never measured."""
        settings = [self.costs(run.settings) for run in self.runs[first:]]
        return self.paces.seconds(settings, self.stack, self.device, self.voxels) if settings else 0.0

    def run(
        self, *, progress: ProgressCallback, cancelled: CancelEvent, partial: Callable[[EstimatorRun], None]
    ) -> list[EstimatorRun]:
        """Map with each estimator in turn; worker thread. Returns those that have a result.

        An estimator that cannot map the stack is told of and passed over, unless it is the only one.
        """
        done: list[EstimatorRun] = []
        refused: InputError | None = None
        b1 = None if self.b1 is None else self.b1()
        mapped = functools.partial(reconstruct, self.stack, None, self.mask, b1=b1, device=self.device,
                                   cancelled=cancelled, looked_at=lambda: self.here)  # fmt: skip
        for index, run in enumerate(self.runs):

            def grown(maps: ParameterMaps, run: EstimatorRun = run) -> None:
                run.maps = maps
                partial(run)

            watch = Stopwatch(self.voxels)
            try:
                older = None if run.older is None else OlderSlabs(run.older)
                reports = self._progress(index, watch, progress)
                maps = mapped(run.settings, progress=reports, partial=grown, kept=older)
            except Cancelled as stopped:
                if isinstance(stopped.partial, ParameterMaps) and stopped.partial.mask.any():
                    done.append(self._finished(run, stopped.partial))
                raise Cancelled(str(stopped), partial=done) from None
            except InputError as error:
                refused = refused or error
                if len(self.runs) > 1:
                    warnings.warn(str(error), DataWarning, stacklevel=2)
                continue
            watch.mapped(self.voxels)
            if watch.pace is not None and not (older is not None and older.taken):
                self.paces.note(self.costs(run.settings), self.stack, self.device, watch.pace)
            done.append(self._finished(run, maps))
        if refused is not None and not done:
            raise refused
        return done

    def _finished(self, run: EstimatorRun, maps: ParameterMaps) -> EstimatorRun:
        run.maps = run.result = maps
        if run.older is not None and can_merge(run.older, maps):
            run.result = merge_maps(run.older, maps, self.stack)
        run.errors = None if self.truth is None else signed_errors(self.truth, run.result)
        return run

    def _progress(self, index: int, watch: Stopwatch, progress: ProgressCallback) -> ProgressCallback:
        """Return a callback that reports this estimator as its part of all of them, with the time that remains."""
        voxels, count = self.voxels, len(self.runs)

        def reported(done: int, total: int, message: str = "", /) -> None:
            if not message.startswith("mapping"):
                part = f" ({100 * done // total} %)" if total else ""
                progress(index * voxels, count * voxels, f"{message}{part}")
                return
            watch.mapped(done)
            seconds, after = watch.remaining, self.seconds(index + 1)
            text = message + (f", {index + 1} of {count}" if count > 1 else "")
            if seconds is not None and done < voxels:
                text += f": about {duration(seconds + (after or 0.0))} left"
                text += "" if after is not None else " for this one"
            progress(index * voxels + done, count * voxels, text)

        return reported


def sample_mask(stack: FingerprintStack, mask: BoolArray | None) -> BoolArray:
    """Return a few hundred of the voxels that are to be mapped, side by side in the middle of them."""
    inside = np.flatnonzero(stack.mask if mask is None else stack.mask & mask)
    start = max(0, (len(inside) - _SAMPLE) // 2)
    sample = np.zeros(stack.mask.shape, bool)
    sample.ravel()[inside[start : start + _SAMPLE]] = True
    return sample
