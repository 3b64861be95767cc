"""A trained network as an estimator: T1 and T2 from the network, PD and residual from the decoder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from napari_blochnet.common.arrays import AnyArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, raise_if_cancelled
from napari_blochnet.estimators.base import Estimates, check_schedule
from napari_blochnet.estimators.networks.inputs import check_signal, in_parts, normalised_real, unit_mean_atom
from napari_blochnet.estimators.networks.label_network import LabelNetwork, torch_device
from napari_blochnet.estimators.threads import threaded
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["NetworkEstimator"]

# Voxels at a time: 32 MB of samples at 1000 TRs, and enough for all cores; HYDRA holds 16 features a sample.
_BLOCK = 8192
_BLOCK_OF_FEATURES = 512
# Answers beyond these have no meaning in tissue, and keep the decoder's cost bounded: log10 ms.
_LOWEST, _HIGHEST = -1.0, 4.5


class NetworkEstimator:
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
            raise InputError(f"The network takes {model.length} time points; found schedules of {found}.",
                             field="schedules")  # fmt: skip
        self.schedules = tuple(schedules)
        self.card: dict[str, Any] = dict(card or {})
        self.name = name or model.architecture
        self.device = torch_device(device)
        self.model = model.to(self.device).eval()
        self.other_schedule, self.explain, self.tolerance = other_schedule, explain, tolerance
        #: Name or file it was loaded from; None of one trained in this process.
        self.source: str | None = None
        self._prepared: tuple[Schedule, FloatArray, EPGDecoder] | None = None

    def __repr__(self) -> str:
        return f"<NetworkEstimator {self.description}>"

    @property
    def schedule(self) -> Schedule:
        """The schedule it was made for, the first of several."""
        return self.schedules[0]

    @property
    def description(self) -> str:
        """One line for records."""
        made_for = "; ".join(schedule.describe() for schedule in self.schedules)
        return f"{self.name} ({self.model.architecture} network) for [{made_for}]"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model to a file; see `napari_blochnet.estimators.networks.store.save_estimator`."""
        from napari_blochnet.estimators.networks.store import save_estimator

        return save_estimator(self, path)

    def to(self, device: str) -> Self:
        """Move the network to another device."""
        target = torch_device(device)
        self.model.to(target)
        self.device = target
        return self

    def prepare(
        self,
        schedule: Schedule,
        kind: SignalKind,
        *,
        progress: ProgressCallback | None = None,
        cancelled: CancelEvent | None = None,
    ) -> None:
        """Check that schedule and kind suit the network, and make ready the decoder."""
        self._ready(schedule, kind, len(schedule))

    def predict(
        self,
        fingerprints: AnyArray,
        schedule: Schedule,
        kind: SignalKind | None = None,
        *,
        cancelled: CancelEvent | None = None,
    ) -> Estimates:
        """Estimate a batch of fingerprints.

        Parameters
        ----------
        fingerprints : array of shape (voxel, time)
            In the receiver's frame; complex ones are rotated to the real frame, each by its own angle.
        schedule : Schedule
            What made them.
        kind : {"complex", "real"}, optional
            None: by type.
        cancelled : optional
            Looked at once per 8192 fingerprints.

        Returns
        -------
        Estimates
            PD by projection on the decoder's signal at the estimate, and the residual of that fit.

        Raises
        ------
        InputError
            Magnitudes; another schedule than those of the training; another length; samples that are not finite.
        """
        if fingerprints.ndim != 2:
            raise InputError(f"The fingerprints have shape {fingerprints.shape}; expected (voxel, time).",
                             field="fingerprints")  # fmt: skip
        if kind is None:
            kind = "complex" if np.iscomplexobj(fingerprints) else "real"
        mean_atom, decoder = self._ready(schedule, kind, fingerprints.shape[1])
        voxels = len(fingerprints)
        t1, t2, residual = (np.zeros(voxels, np.float32) for _ in range(3))
        pd = np.zeros(voxels, np.complex64 if kind == "complex" else np.float32)
        failed = np.zeros(voxels, bool)
        for start in range(0, voxels, _BLOCK):
            raise_if_cancelled(cancelled, "mapping")
            here = slice(start, start + _BLOCK)
            block = fingerprints[here]
            real, norms, empty = normalised_real(block, kind, mean_atom)
            times = self._times(real, cancelled)
            failed[here] = empty | ~np.isfinite(times).all(axis=1)
            good = ~failed[here]
            times[~good] = 1.0
            t1[here], t2[here] = np.where(good, times[:, 0], 0), np.where(good, times[:, 1], 0)
            if self.explain:
                scale, misfit = _project(block, decoder.signal(times[:, 0], times[:, 1]), norms)
            else:
                scale, misfit = np.zeros(len(block)), np.zeros(len(block))
            pd[here], residual[here] = np.where(good, scale, 0), np.where(good, misfit, 0)
        return Estimates(t1, t2, pd, residual, failed)

    def _ready(self, schedule: Schedule, kind: SignalKind, time_points: int) -> tuple[FloatArray, EPGDecoder]:
        if self._prepared is not None and self._prepared[0] == schedule and kind != "magnitude":
            check_schedule(self.name, None, schedule, time_points)
            return self._prepared[1:]
        check_signal(self.name, schedule, kind)
        known = self.other_schedule or schedule in self.schedules
        check_schedule(self.name, None if known else self.schedule, schedule, time_points)
        if len(schedule) != self.model.length:
            raise InputError(
                f"The estimator {self.name} takes {self.model.length} time points, but the data's schedule has "
                f"{len(schedule)} pulses; expected the same number.",
                field="estimator",
            )
        mean_atom, decoder = unit_mean_atom(schedule), EPGDecoder(schedule, tolerance=self.tolerance)
        self._prepared = schedule, mean_atom, decoder
        return mean_atom, decoder

    def _times(self, real: FloatArray, cancelled: CancelEvent | None) -> FloatArray:
        """Return T1 and T2 in ms, shape (voxel, 2)."""
        size = _BLOCK_OF_FEATURES if self.model.architecture == "hydra" else _BLOCK
        times = np.empty((len(real), 2), np.float32)
        for start in range(0, len(real), size):
            raise_if_cancelled(cancelled, "mapping")
            here = slice(start, start + size)
            with torch.inference_mode():
                labels = self.model(torch.from_numpy(real[here]).to(self.device))
                times[here] = (10.0 ** labels.float().clamp(_LOWEST, _HIGHEST)).cpu().numpy()
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
