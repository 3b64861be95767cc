"""How well an answer can be known: the Cramér–Rao bound at the estimated tissue, for estimators that do not fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.base import Block, Estimates, Estimator
from napari_blochnet.estimators.fitting.fit import LIMITS, standard_errors_at
from napari_blochnet.estimators.fitting.noise_models import Batch
from napari_blochnet.estimators.fitting.on_top import OnTop, normalised
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.fingerprints.subspaces import Subspace
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["COLOURED_NOTE", "NO_PRECISION_NOTE", "OTHER_NOISE_NOTE", "PRECISION_NOTE", "WithStandardErrors"]

#: What must be said where a fit has none.
NO_PRECISION_NOTE = (
    "There are no standard errors: there are no more samples than unknowns, or too few coefficients beyond them, and "
    "so the noise cannot be estimated; give noise_sigma where it is known."
)
#: What must be said wherever standard errors are shown.
PRECISION_NOTE = (
    "Standard errors are precision, not accuracy: they follow from the noise alone, taken as white and the model as "
    "right. B1, slice profile, partial volume and magnetisation transfer are not in them, and aliasing of undersampled "
    "data is not white noise."
)
#: The same where the covariance of the noise is known.
COLOURED_NOTE = (
    "Standard errors are precision, not accuracy: they follow from the covariance of the coefficients' noise alone, "
    "the model taken as right and images as no sharper than k-space was read. B1, slice profile, partial volume and "
    "magnetisation transfer are not in them, nor what the prior of a reconstruction changes, nor aliasing that is "
    "another inside the object than outside."
)
#: What must be said where that covariance is not the noise's.
OTHER_NOISE_NOTE = (
    "There are no standard errors: the noise inside the object is not what its covariance says, which may be of other "
    "units, of other voxels, or of both channels together; aliasing without noise, too, is another inside than outside."
)


class WithStandardErrors(OnTop):
    """An estimator whose answers come with standard errors.

    They are the Cramér–Rao bound at the estimated tissue, proton density eliminated: what no unbiased estimator can
    do better than, and what an efficient one reaches. An encoder's own error may be larger. With magnitudes the
    bound is the Rician one. B1 that the estimator found itself is one more unknown. Where answers lie on a grid, as a
    dictionary's do, its steps are added in squares.

    Parameters
    ----------
    estimator : Estimator
    noise_sigma : float, optional
        Standard deviation of the noise in each real channel, in units of the data. None: from each voxel's residual,
        in which whatever the answer does not explain counts as noise.
    saturation : float, optional
        Samples of this magnitude or more are left out.
    tolerance : float
        NRMSE of the decoder by leaving out EPG states.

    Raises
    ------
    InputError
        ``noise_sigma`` or ``saturation`` not above 0.
    """

    def __init__(
        self,
        estimator: Estimator,
        *,
        noise_sigma: float | None = None,
        saturation: float | None = None,
        tolerance: float = 1e-4,
    ) -> None:
        super().__init__(estimator, noise_sigma, saturation, tolerance)
        self.takes_b1, self.estimated, self.others = estimator.takes_b1, estimator.estimated, estimator.others
        self.b1_range = estimator.b1_range

    @property
    def description(self) -> str:
        """One line for records."""
        return f"{self.estimator.description}; standard errors by the Cramér–Rao bound"

    def check(self, schedule: Schedule, kind: SignalKind) -> None:
        super().check(schedule, kind)
        self._check_noise(len(schedule), f"{kind} samples", self.has_errors(schedule, kind))

    def check_subspace(self, subspace: Subspace, schedule: Schedule, kind: SignalKind) -> None:
        super().check_subspace(subspace, schedule, kind)
        is_told = self.has_errors(schedule, kind, subspace)
        self._check_noise(subspace.rank, f"{kind} coefficients", is_told, nothing="too little")

    @staticmethod
    def _check_noise(count: int, numbers: str, is_told: bool, nothing: str = "nothing") -> None:
        if not is_told:
            raise InputError(
                f"{count} {numbers} leave {nothing} to estimate their noise from, beside T1, T2 and PD",
                "noise_sigma, more samples, or no uncertainty",
                field="noise_sigma",
            )

    def estimate(self, block: Block) -> Estimates:
        """Estimate fingerprints and bound each answer."""
        kind = block.kind
        found = self.estimator.predict(
            block.data, block.schedule, kind, b1=block.b1, subspace=block.subspace, cancelled=block.watch.cancelled
        )
        data, used, scale = normalised(block.data, kind, self.saturation)
        which = np.flatnonzero(~found.failed & (scale > 0) & (found.t1 > 0) & (found.t2 > 0))
        t1_se, t2_se = np.zeros((2, len(data)), np.float32)
        if which.size:
            own_b1 = found.b1 if block.b1 is None else None
            batch = Batch(data[which], used[which] if len(used) else used, kind, block.ready,
                          None if block.b1 is None else block.b1[which], fit_b1=own_b1 is not None)  # fmt: skip
            t1, t2 = found.t1[which].astype(np.float64), found.t2[which].astype(np.float64)
            at = [np.clip(t1, *LIMITS["t1"]), np.clip(t2, *LIMITS["t2"])]
            at += [] if own_b1 is None else [np.clip(own_b1[which].astype(np.float64), *LIMITS["b1"])]
            theta = np.log(np.column_stack(at))
            sigma = None if self.noise_sigma is None else self.noise_sigma / scale[which]
            error = standard_errors_at(batch, theta, sigma)
            t1_se[which], t2_se[which] = t1 * error[:, 0], t2 * error[:, 1]
        steps = self.estimator.step_errors(found)
        if steps is not None:
            for error, step in zip((t1_se, t2_se), steps, strict=True):
                error[which] = np.hypot(error[which], step[which])
        return replace(found, t1_se=t1_se, t2_se=t2_se)
