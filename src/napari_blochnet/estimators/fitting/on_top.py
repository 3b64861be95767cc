"""What estimators share that put the physics on top of another one's answers."""

from __future__ import annotations

from typing import Self

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.base import Conditions, Estimator
from napari_blochnet.estimators.projected import Simulator, simulator
from napari_blochnet.fingerprints.freedom import check_samples, tell_noise
from napari_blochnet.fingerprints.stack import FingerprintStack, SignalKind
from napari_blochnet.fingerprints.subspaces import Subspace
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["OnTop", "normalised"]


class OnTop(Estimator):
    """An estimator on top of another one, with the decoder of the data's schedule.

    Parameters
    ----------
    estimator : Estimator
        What answers first.
    noise_sigma : float, optional
        Standard deviation of the noise in each real channel, in units of the data. None: from each voxel's residual.
    saturation : float, optional
        Samples of this magnitude or more are left out.
    tolerance : float
        NRMSE of the decoder by leaving out EPG states.

    Raises
    ------
    InputError
        ``noise_sigma`` or ``saturation`` not above 0.
    """

    is_movable = True
    block = None  # the first estimator cuts them as it needs

    def __init__(
        self, estimator: Estimator, noise_sigma: float | None, saturation: float | None, tolerance: float
    ) -> None:
        for key, value in (("noise_sigma", noise_sigma), ("saturation", saturation)):
            if value is not None and not value > 0:
                raise InputError(f"{key} is {value!r}; expected a number above 0, or none.", field=key)
        self.estimator, self.name, self.schedule = estimator, estimator.name, estimator.schedule
        self.noise_sigma, self.saturation, self.tolerance = noise_sigma, saturation, tolerance
        self.device, self.is_global = str(estimator.device), estimator.is_global
        self.apart_with_b1 = estimator.apart_with_b1
        self.takes_subspace = estimator.takes_subspace

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.estimator!r}>"

    def to(self, device: str) -> Self:
        """Move the estimator, where it can be moved, and what is put on top of it."""
        self.estimator.to(device)
        if device != self.device:
            self.device = device
            self._shared.clear()
        return self

    def check(self, schedule: Schedule, kind: SignalKind) -> None:
        self.estimator.check(schedule, kind)
        if schedule is None:
            raise InputError(
                "The stack comes without a schedule, and standard errors and refinement simulate one",
                "the schedule that made it, or neither refine nor uncertainty",
                field="schedule",
            )
        check_samples(schedule, kind, fit_b1=self.fit_b1)

    def check_subspace(self, subspace: Subspace, schedule: Schedule, kind: SignalKind) -> None:
        self.estimator.check_subspace(subspace, schedule, kind)
        super().check_subspace(subspace, schedule, kind)

    def check_stack(self, stack: FingerprintStack, inside: BoolArray) -> None:
        self.estimator.check_stack(stack, inside)

    @property
    def understood(self) -> tuple[str, ...]:
        """What was understood of the file that the first estimator comes from."""
        return self.estimator.understood

    def has_errors(self, schedule: Schedule, kind: SignalKind, subspace: Subspace | None = None) -> bool:
        """Whether there is noise to tell standard errors by: known, or in more numbers than there are unknowns."""
        numbers, are_coefficients = (len(schedule), False) if subspace is None else (subspace.rank, True)
        return self.noise_sigma is not None or tell_noise(numbers, kind, are_coefficients, fit_b1=self.fit_b1)

    def make_ready_for(self, given: Conditions) -> Simulator:
        """Prepare the estimator, and the decoder of fingerprints or of coordinates in a subspace."""
        self.estimator.prepare(given.schedule, given.kind, subspace=given.subspace, with_b1=given.with_b1,
                               progress=given.watch.progress, cancelled=given.watch.cancelled)  # fmt: skip
        return simulator(given.schedule, self.tolerance, given.subspace)


def normalised(
    fingerprints: AnyArray, kind: SignalKind, saturation: float | None
) -> tuple[AnyArray, BoolArray, FloatArray]:
    """Return fingerprints over their largest sample that counts, which samples count, and those largest samples.

    Scaled so, the squares of whatever a detector may give stay inside single precision. The second result has length
    0 where all samples count; the third is 0 where a voxel has no signal.
    """
    data = fingerprints.astype(np.complex64 if kind == "complex" else np.float32, copy=False)
    size = np.abs(data)
    used = np.empty((0, data.shape[1]), bool)
    if saturation is not None and (size >= saturation).any():
        used = size < saturation
    largest = size.max(axis=1, initial=0.0, where=used if len(used) else True)
    scaled = data / np.where(largest > 0, largest, 1.0).astype(np.float32)[:, None]
    return scaled, used, largest.astype(np.float64)
