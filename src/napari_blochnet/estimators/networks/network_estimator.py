"""A trained network as an estimator: T1 and T2 from the network, PD and residual from the decoder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from napari_blochnet.common.arrays import AnyArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, CancelEvent, ProgressCallback, Watch
from napari_blochnet.estimators.base import Block, Conditions, Estimates
from napari_blochnet.estimators.declared import DeclaredNetwork
from napari_blochnet.estimators.fitting.density import explain
from napari_blochnet.estimators.networks.cards import trained_scan, was_trained_aliased
from napari_blochnet.estimators.networks.inputs import Inputs, in_parts, normalised_real, signal_space
from napari_blochnet.estimators.networks.label_network import LabelNetwork, torch_device
from napari_blochnet.estimators.networks.model_files import write_model
from napari_blochnet.estimators.networks.of_coefficients import Across, across_subspaces
from napari_blochnet.estimators.threads import threaded
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.fingerprints.subspaces import Subspace
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["NetworkEstimator"]

# HYDRA holds 16 features a sample: fewer voxels at a time.
_BLOCK_OF_FEATURES = 512
# Answers beyond these have no meaning in tissue, and keep the decoder's cost bounded: log10 ms.
_LOWEST, _HIGHEST = -1.0, 4.5


class NetworkEstimator(DeclaredNetwork):
    """A trained encoder for one schedule, or for the few it was trained on.

    Parameters
    ----------
    model : LabelNetwork
        With its trained weights.
    schedules : sequence of Schedule
        Those it was trained on, all of one length.
    card : dict, optional
        How it was trained and how well it does; JSON.
    name : str, optional
        What people call it. None: its architecture.
    device : str
        "cpu", "auto" or a torch device.
    other_schedule : bool
        Take fingerprints of other schedules of the same length too, as experiments on generalisation do.
    explain : bool
        Simulate each estimate to find PD and residual. False saves that time: PD and residual are then 0.
    tolerance : float
        Of that simulation: NRMSE by leaving out EPG states.

    Raises
    ------
    InputError
        No schedule, schedules of different lengths or of another length than the network's input.
    """

    def __init__(
        self,
        model: LabelNetwork,
        schedules: Sequence[Schedule],
        card: dict[str, Any] | None = None,
        *,
        name: str | None = None,
        device: str = "cpu",
        other_schedule: bool = False,
        explain: bool = True,
        tolerance: float = 1e-3,
    ) -> None:
        lengths = {len(schedule) for schedule in schedules}
        if lengths != {model.length}:
            found = " and ".join(str(length) for length in sorted(lengths)) or "no schedule"
            raise InputError(
                f"The network takes {model.length} time points; found schedules of {found}.", field="schedules"
            )
        self.schedules = tuple(schedules)
        self.schedule = self.schedules[0]
        self.card: dict[str, Any] = dict(card or {})
        self.name = name or model.architecture
        self.device = torch_device(device)
        self.model = model.to(self.device).eval()
        self.other_schedule, self.explain, self.tolerance = other_schedule, explain, tolerance
        self.takes_aliasing = was_trained_aliased(self.card)
        self.trained_scan = trained_scan(self.card)
        self._across: Across | None = None
        #: What its training could be gone on from; it goes once the network is saved.
        self.checkpoint: Path | None = None

    @property
    def description(self) -> str:
        """One line for records."""
        made_for = "; ".join(schedule.describe() for schedule in self.schedules)
        return f"{self.name} ({self.model.architecture} network) for [{made_for}]"

    def save(self, path: str | os.PathLike[str], *, half: bool = False) -> Path:
        """Write the model to a file; see `napari_blochnet.estimators.networks.model_files.write_model`."""
        written = write_model(self.model, self.card, path, half=half)
        if self.checkpoint is not None:
            with contextlib.suppress(OSError):  # the network is saved all the same
                self.checkpoint.unlink()
            self.checkpoint = None
        return written

    def to(self, device: str) -> Self:
        """Move the network to another device."""
        target = torch_device(device)
        self.model.to(target)
        self.device = target
        return self

    def is_for(self, schedule: Schedule) -> bool:
        return schedule in self.schedules

    def check(self, schedule: Schedule, kind: SignalKind) -> None:
        super().check(schedule, kind)
        if len(schedule) != self.model.length:
            raise InputError(
                f"The estimator {self.name} takes {self.model.length} time points, but the data's schedule has "
                f"{len(schedule)} pulses; expected the same number.",
                field="estimator",
            )

    @property
    def understood(self) -> tuple[str, ...]:
        """What coefficients lack of what it looks at, where it was made ready for such."""
        return () if self._across is None else (self._across.describe(self.name),)

    def prepare(
        self,
        schedule: Schedule,
        kind: SignalKind,
        *,
        subspace: Subspace | None = None,
        with_b1: bool = False,
        progress: ProgressCallback | None = None,
        cancelled: CancelEvent | None = None,
    ) -> None:
        super().prepare(schedule, kind, subspace=subspace, with_b1=with_b1, progress=progress, cancelled=cancelled)
        self._across = None if subspace is None else self._ready(Conditions(schedule, kind, subspace=subspace))

    def make_ready_for(self, given: Conditions) -> tuple[Inputs, EPGDecoder] | Across:
        """Return what `make_ready` does, or for coordinates in a subspace how they are fed."""
        inputs, decoder = self.make_ready(given.schedule, given.kind, given.watch)
        if given.subspace is None:
            return inputs, decoder
        return across_subspaces(
            self.name, inputs, partial(self._labels, inputs), given.subspace, decoder, self.card.get("training", {})
        )

    def make_ready(self, schedule: Schedule, kind: SignalKind, watch: Watch) -> tuple[Inputs, EPGDecoder]:
        """Return what fingerprints are turned into, and the decoder."""
        return self.inputs(schedule, watch), EPGDecoder(schedule, tolerance=self.tolerance)

    def inputs(self, schedule: Schedule, watch: Watch = UNWATCHED) -> Inputs:
        """Return what fingerprints of a schedule are turned into: on the network's own basis or the schedule's."""
        if self.model.subspace is None:
            return Inputs.of(schedule, signal_space(schedule, watch))
        return Inputs.of(schedule, self.model.basis.detach().cpu().numpy())

    def estimate(self, block: Block) -> Estimates:
        """Estimate a block of fingerprints.

        Complex ones are rotated to the real frame, each by its own angle. PD is found by projection on the decoder's
        signal at the estimate, and ``residual`` is that of this fit.
        """
        if block.subspace is not None:
            return self._of_coordinates(block)
        inputs, decoder = block.ready
        real, norms, empty = inputs.coefficients(block.data, block.kind)
        times = self._times(inputs, real, block.watch)
        good = ~empty & np.isfinite(times).all(axis=1)
        times[~good] = 1.0
        scale: AnyArray = np.zeros(len(block))
        misfit: FloatArray = scale
        if self.explain:
            scale, misfit = _project(block.data, decoder.signal(times[:, 0], times[:, 1]), norms)
        return Estimates.where(good, times[:, 0], times[:, 1], scale, misfit, block.kind)

    def _of_coordinates(self, block: Block) -> Estimates:
        """Estimate a block of coordinates: turned to coefficients of the network's own subspace, fed as those are."""
        across: Across = block.ready
        number = np.complex64 if block.kind == "complex" else np.float32
        own = np.ascontiguousarray(block.data @ across.turn.T, number)
        real, _, empty = normalised_real(own, block.kind, across.inputs.mean)
        times = self._times(across.inputs, real, block.watch)
        good = ~empty & np.isfinite(times).all(axis=1)
        times[~good] = 1.0
        scale: AnyArray = np.zeros(len(block))
        misfit: FloatArray = scale
        if self.explain:
            scale, misfit = explain(across.decoder, block.data, times[:, 0], times[:, 1], block.kind)
        return Estimates.where(good, times[:, 0], times[:, 1], scale, misfit, block.kind)

    def _labels(self, inputs: Inputs, coefficients: FloatArray) -> FloatArray:
        """Return log10 T1 and T2 of coefficients of unit norm."""
        fed = coefficients if self.model.subspace is not None else inputs.samples(coefficients)
        with torch.inference_mode():
            labels = self.model.labels(torch.from_numpy(fed).to(self.device)).float().cpu().numpy()
        return np.asarray(labels, np.float64)

    def _times(self, inputs: Inputs, coefficients: FloatArray, watch: Watch) -> FloatArray:
        """Return T1 and T2 in ms, shape (voxel, 2)."""
        size = _BLOCK_OF_FEATURES if self.model.architecture == "hydra" else max(1, len(coefficients))
        times = np.empty((len(coefficients), 2), np.float32)
        for start in range(0, len(times), size):
            watch.check("mapping")
            here = slice(start, start + size)
            times[here] = 10.0 ** self._labels(inputs, coefficients[here]).clip(_LOWEST, _HIGHEST)
        return times


def _project(fingerprints: AnyArray, signals: AnyArray, norms: FloatArray) -> tuple[AnyArray, FloatArray]:
    """Return the scale of each signal that explains its fingerprint best, and ‖x − scale·s‖/‖x‖."""
    from napari_blochnet.estimators.networks.passes import overlaps

    samples = in_parts(fingerprints)
    found, power = np.empty((len(signals), samples.shape[2])), np.empty(len(signals))
    threaded(overlaps, len(signals), samples, signals, found, power)
    power = np.where(power > 0, power, 1.0)
    energy = np.where(norms > 0, norms, 1.0) ** 2
    explained = (found**2).sum(axis=1) / (power * energy)
    scale = found[:, 0] + 1j * found[:, 1] if samples.shape[2] == 2 else found[:, 0]
    return scale / power, np.sqrt(np.clip(1.0 - explained, 0.0, 1.0))
