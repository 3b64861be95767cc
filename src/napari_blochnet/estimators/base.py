"""What every estimator is: something that turns fingerprints into tissue parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["Estimates", "Estimator", "check_schedule"]


@dataclass(frozen=True)
class Estimates:
    """What an estimator says of a batch of fingerprints.

    Parameters
    ----------
    t1, t2 : array of shape (voxel,)
        ms.
    pd : array of shape (voxel,)
        Proton density relative to a decoder signal of PD 1; complex (with the voxel's phase) for complex data.
    residual : array of shape (voxel,)
        ‖x − ŝ‖/‖x‖, from 0 (explained) to 1.
    failed : bool array of shape (voxel,)
        Voxels the estimator has no answer for (a fingerprint of zeros); their numbers are 0.
    t1_se, t2_se : array of shape (voxel,), optional
        Standard errors, ms, of estimators that have them.
    converged : bool array of shape (voxel,), optional
        Whether a fit reached a minimum; None of estimators that do not fit.
    b1 : array of shape (voxel,), optional
        Relative transmit field where it was fitted.
    """

    t1: FloatArray
    t2: FloatArray
    pd: AnyArray
    residual: FloatArray
    failed: BoolArray
    t1_se: FloatArray | None = None
    t2_se: FloatArray | None = None
    converged: BoolArray | None = None
    b1: FloatArray | None = None


@runtime_checkable
class Estimator(Protocol):
    """Fingerprints in, tissue parameters out."""

    @property
    def name(self) -> str:
        """What the estimator is called in tables and settings."""

    @property
    def schedule(self) -> Schedule | None:
        """The schedule it was made for; None: any."""

    def prepare(
        self,
        schedule: Schedule,
        kind: SignalKind,
        *,
        progress: ProgressCallback | None = None,
        cancelled: CancelEvent | None = None,
    ) -> None:
        """Do once what all batches share (simulate a dictionary, move weights to the device)."""

    def predict(
        self,
        fingerprints: AnyArray,
        schedule: Schedule,
        kind: SignalKind | None = None,
        *,
        cancelled: CancelEvent | None = None,
    ) -> Estimates:
        """Estimate one batch.

        Parameters
        ----------
        fingerprints : array of shape (voxel, time)
            In the receiver's frame; complex64, or float32 for real and magnitude data.
        schedule : Schedule
            What made them.
        kind : {"complex", "real", "magnitude"}, optional
            What they are; None: complex or real by type.
        cancelled : optional
            Looked at within the batch, where one takes long.

        Raises
        ------
        InputError
            A schedule the estimator was not made for; fingerprints of another length.
        Cancelled
            Once ``cancelled`` is set.
        """


def check_schedule(estimator: str, made_for: Schedule | None, schedule: Schedule, time_points: int) -> None:
    """Raise `InputError` where fingerprints, schedule and estimator do not fit together."""
    if time_points != len(schedule):
        raise InputError(
            f"The fingerprints have {time_points} time points, but the schedule {schedule.name or 'given'} has "
            f"{len(schedule)} pulses; expected the same number.",
            field="schedule",
        )
    if made_for is not None and made_for != schedule:
        raise InputError(
            f"The estimator {estimator} was made for [{made_for.describe()}], but the data's schedule is "
            f"[{schedule.describe()}]; expected the same schedule.",
            field="estimator",
        )
