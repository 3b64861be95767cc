"""How well an answer can be known: the Cramér–Rao bound at the estimated tissue, for estimators that do not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.estimators.base import Estimates, Estimator
from napari_blochnet.estimators.fitting.fit import LIMITS, standard_errors_at
from napari_blochnet.estimators.fitting.noise_models import Batch
from napari_blochnet.estimators.memory import device_of, moved
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["PRECISION_NOTE", "WithStandardErrors", "normalised"]

#: What must be said wherever standard errors are shown.
PRECISION_NOTE = (
    "Standard errors are precision, not accuracy: they follow from the noise alone, taken as white and the model as "
    "right. B1, slice profile, partial volume and magnetisation transfer are not in them, and aliasing of undersampled "
    "data is not white noise."
)


class WithStandardErrors:
    """An estimator whose answers come with standard errors.

    They are the Cramér–Rao bound at the estimated tissue, proton density eliminated: what no unbiased estimator can
    do better than, and what an efficient one reaches. An encoder's own error may be larger. With magnitudes the
    bound is the Rician one.

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
        for key, value in (("noise_sigma", noise_sigma), ("saturation", saturation)):
            if value is not None and not value > 0:
                raise InputError(f"{key} is {value!r}; expected a number above 0, or none.", field=key)
        self.estimator = estimator
        self.noise_sigma, self.saturation, self.tolerance = noise_sigma, saturation, tolerance
        self._decoder: EPGDecoder | None = None

    def __repr__(self) -> str:
        return f"<WithStandardErrors {self.estimator!r}>"

    @property
    def name(self) -> str:
        """The estimator's own name."""
        return self.estimator.name

    @property
    def schedule(self) -> Schedule | None:
        """The schedule the estimator was made for; None: any."""
        return self.estimator.schedule

    @property
    def description(self) -> str:
        """One line for records."""
        return f"{getattr(self.estimator, 'description', self.name)}; standard errors by the Cramér–Rao bound"

    @property
    def device(self) -> str:
        """Where the estimator computes; what is added to it runs on the CPU."""
        return device_of(self.estimator)

    def to(self, device: str) -> Self:
        """Move the estimator to another device."""
        moved(self.estimator, device)
        return self

    def prepare(
        self,
        schedule: Schedule,
        kind: SignalKind,
        *,
        progress: ProgressCallback | None = None,
        cancelled: CancelEvent | None = None,
    ) -> None:
        """Prepare the estimator, and the decoder for this schedule."""
        self.estimator.prepare(schedule, kind, progress=progress, cancelled=cancelled)
        self._decoder_for(schedule)

    def predict(
        self,
        fingerprints: AnyArray,
        schedule: Schedule,
        kind: SignalKind | None = None,
        *,
        cancelled: CancelEvent | None = None,
    ) -> Estimates:
        """Estimate a batch and bound each answer; arguments and errors are the estimator's."""
        if kind is None:
            kind = "complex" if np.iscomplexobj(fingerprints) else "real"
        found = self.estimator.predict(fingerprints, schedule, kind, cancelled=cancelled)
        data, used, scale = normalised(fingerprints, kind, self.saturation)
        which = np.flatnonzero(~found.failed & (scale > 0) & (found.t1 > 0) & (found.t2 > 0))
        t1_se, t2_se = np.zeros((2, len(data)), np.float32)
        if which.size:
            batch = Batch(data[which], used[which] if len(used) else used, kind, self._decoder_for(schedule))
            t1, t2 = found.t1[which].astype(np.float64), found.t2[which].astype(np.float64)
            theta = np.log(np.column_stack([np.clip(t1, *LIMITS["t1"]), np.clip(t2, *LIMITS["t2"])]))
            sigma = None if self.noise_sigma is None else self.noise_sigma / scale[which]
            error = standard_errors_at(batch, theta, sigma)
            t1_se[which], t2_se[which] = t1 * error[:, 0], t2 * error[:, 1]
        return replace(found, t1_se=t1_se, t2_se=t2_se)

    def _decoder_for(self, schedule: Schedule) -> EPGDecoder:
        if self._decoder is None or self._decoder.schedule != schedule:
            self._decoder = EPGDecoder(schedule, tolerance=self.tolerance)
        return self._decoder


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
