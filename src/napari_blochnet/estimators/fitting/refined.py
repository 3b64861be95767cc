"""Refinement as an estimator: any other one, and then the physics."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray, IntArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.estimators.base import Estimates, Estimator, check_schedule
from napari_blochnet.estimators.fitting.fit import LIMITS, Fit, refine
from napari_blochnet.estimators.fitting.noise_models import Batch
from napari_blochnet.estimators.fitting.standard_errors import normalised
from napari_blochnet.estimators.matching.dictionary import DictionaryMatching
from napari_blochnet.estimators.memory import device_of, moved
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["Refined"]

# Estimators that look at all tissues; the start of any other is compared with that of a coarse dictionary.
_GLOBAL = ("dictionary", "universal")
# Of the coarse dictionary: near enough to the best tissue for Gauss–Newton steps to reach it.
_COARSE = {"t1_range": (2.0, 10_000.0), "t2_range": (0.5, 5000.0), "step": 0.12}


class Refined:
    """An estimator whose answers are fitted to the data by the physics, with standard errors.

    Where the estimator's start explains a fingerprint worse than the best tissue of a coarse dictionary does, the fit
    starts from that one, and so do fits that did not converge, once more. A voxel whose fit does not converge keeps
    the best explanation found; it is marked in ``Estimates.converged``.

    Standard errors say how precisely the noise lets T1 and T2 be known if the model is right (schedule, slice
    profile, B1, white noise). They say nothing of what the model leaves out; aliasing of undersampled data is not
    white noise.

    Parameters
    ----------
    estimator : Estimator
        Where fits start.
    fit_b1 : bool
        Fit the transmit field along, as one more parameter of each voxel.
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

    def __init__(
        self,
        estimator: Estimator,
        *,
        fit_b1: bool = False,
        noise_sigma: float | None = None,
        saturation: float | None = None,
        tolerance: float = 1e-5,
    ) -> None:
        for key, value in (("noise_sigma", noise_sigma), ("saturation", saturation)):
            if value is not None and not value > 0:
                raise InputError(f"{key} is {value!r}; expected a number above 0, or none.", field=key)
        self.estimator = estimator
        self.fit_b1, self.noise_sigma, self.saturation = fit_b1, noise_sigma, saturation
        self.tolerance = tolerance
        self._device = device_of(estimator)
        self._decoder: EPGDecoder | None = None
        self._coarse = DictionaryMatching(**_COARSE, energy=1 - 1e-5, saturation=saturation)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"<Refined {self.estimator!r}>"

    @property
    def name(self) -> str:
        """The estimator's name, and that it is refined."""
        return f"{self.estimator.name}, refined"

    @property
    def schedule(self) -> Schedule | None:
        """The schedule the estimator was made for; None: any."""
        return self.estimator.schedule

    @property
    def description(self) -> str:
        """One line for records."""
        first = getattr(self.estimator, "description", self.estimator.name)
        return f"{first}; refined{' with B1' if self.fit_b1 else ''}, tolerance {self.tolerance:g}"

    @property
    def device(self) -> str:
        """Where fits are simulated, by torch's name."""
        return self._device

    def to(self, device: str) -> Self:
        """Move the fits, and the estimator where it can be moved, to another device."""
        moved(self.estimator, device)
        if device != self._device:
            self._device, self._decoder = device, None
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
        if self.estimator.name not in _GLOBAL:
            self._coarse.prepare(schedule, kind, progress=progress, cancelled=cancelled)
        self._decoder_for(schedule)

    def predict(
        self,
        fingerprints: AnyArray,
        schedule: Schedule,
        kind: SignalKind | None = None,
        *,
        b1: FloatArray | None = None,
        cancelled: CancelEvent | None = None,
    ) -> Estimates:
        """Estimate a batch and refine it.

        Parameters
        ----------
        fingerprints : array of shape (voxel, time)
            In the receiver's frame, complex or real.
        schedule : Schedule
            What made them; its slice profile is honoured.
        kind : {"complex", "real", "magnitude"}, optional
            None: complex or real by type.
        b1 : array of shape (voxel,), optional
            Relative transmit field where it is known; 1 is nominal. Not with ``fit_b1``.
        cancelled : optional
            Looked at before each step of the fit.

        Returns
        -------
        Estimates
            With standard errors, ``converged``, and ``b1`` where it was fitted.

        Raises
        ------
        InputError
            As of the estimator; B1 both given and to be fitted, of another shape, or not above 0.
        """
        if fingerprints.ndim != 2:
            raise InputError(f"The fingerprints have shape {fingerprints.shape}; expected (voxel, time).",
                             field="fingerprints")  # fmt: skip
        check_schedule(self.name, None, schedule, fingerprints.shape[1])  # for which schedule, the estimator says
        if kind is None:
            kind = "complex" if np.iscomplexobj(fingerprints) else "real"
        field = self._checked_b1(b1, len(fingerprints))
        first = self.estimator.predict(fingerprints, schedule, kind, cancelled=cancelled)
        data, used, scale = normalised(fingerprints, kind, self.saturation)
        start, usable = self._start(first, fingerprints, schedule, kind, scale > 0)
        which = np.flatnonzero(usable)
        result = _blank(len(data), kind, self.fit_b1)
        if not which.size:
            return result
        batch = Batch(data[which], used[which] if len(used) else used, kind, self._decoder_for(schedule),
                      None if field is None else field[which], self.fit_b1)  # fmt: skip
        sigma = None if self.noise_sigma is None else self.noise_sigma / scale[which]
        found = refine(batch, start[which], sigma, cancelled=cancelled)
        found = self._again(found, batch, fingerprints[which], schedule, sigma, cancelled)
        return _entered(result, which, found, scale[which], self.fit_b1)

    def _start(
        self, first: Estimates, data: AnyArray, schedule: Schedule, kind: SignalKind, signal: BoolArray
    ) -> tuple[FloatArray, BoolArray]:
        """Return ln T1, ln T2 (and ln B1 = 0) to start from, and which voxels have a start."""
        t1, t2 = first.t1.astype(np.float64), first.t2.astype(np.float64)
        good = ~first.failed & np.isfinite(t1) & np.isfinite(t2) & (t1 > 0) & (t2 > 0)
        if self.estimator.name not in _GLOBAL or (signal & ~good).any():
            coarse = self._coarse.predict(data, schedule, kind)
            poor = ~coarse.failed & (~good | ~(first.residual <= coarse.residual))
            t1, t2 = np.where(poor, coarse.t1, t1), np.where(poor, coarse.t2, t2)
            good |= poor
        start = np.zeros((len(t1), 3 if self.fit_b1 else 2))
        start[:, 0] = np.log(np.clip(np.where(good, t1, 1.0), *LIMITS["t1"]))
        start[:, 1] = np.log(np.clip(np.where(good, t2, 1.0), *LIMITS["t2"]))
        return start, signal & good

    def _again(
        self,
        found: Fit,
        batch: Batch,
        data: AnyArray,
        schedule: Schedule,
        sigma: FloatArray | None,
        cancelled: CancelEvent | None,
    ) -> Fit:
        """Start fits that did not converge from the coarse dictionary, and keep what explains more."""
        lost = np.flatnonzero(~found.converged)
        if not lost.size:
            return found
        coarse = self._coarse.predict(data[lost], schedule, batch.kind)
        lost, coarse = lost[~coarse.failed], _those(coarse, ~coarse.failed)
        if not lost.size:
            return found
        start = np.zeros((len(lost), batch.columns))
        start[:, 0], start[:, 1] = np.log(coarse.t1), np.log(coarse.t2)
        part = replace(batch, data=batch.data[lost], used=batch.used[lost] if len(batch.used) else batch.used,
                       b1=None if batch.b1 is None else batch.b1[lost])  # fmt: skip
        second = refine(part, start, None if sigma is None else sigma[lost], cancelled=cancelled)
        better = second.residual < found.residual[lost]
        better |= second.converged & (second.residual <= found.residual[lost] * (1 + 1e-6))
        fields = {}
        for name in ("theta", "pd", "residual", "sigma", "standard_error", "converged", "looks"):
            values = getattr(found, name).copy()
            values[lost[better]] = getattr(second, name)[better]
            fields[name] = values
        return Fit(**fields)

    def _checked_b1(self, b1: FloatArray | None, voxels: int) -> FloatArray | None:
        if b1 is None:
            return None
        if self.fit_b1:
            raise InputError("B1 is given and to be fitted; expected one of the two.", field="fit_b1")
        if np.shape(b1) != (voxels,):
            raise InputError(f"b1 has shape {np.shape(b1)}; expected one number for each of {voxels} voxels.",
                             field="b1")  # fmt: skip
        field = np.asarray(b1, np.float64)
        if not (np.isfinite(field) & (field > 0)).all():
            raise InputError(f"b1 is {field[~(np.isfinite(field) & (field > 0))][0]:g}; expected finite numbers above "
                             "0, 1 being nominal.", field="b1")  # fmt: skip
        return field

    def _decoder_for(self, schedule: Schedule) -> EPGDecoder:
        if self._decoder is None or self._decoder.schedule != schedule:
            self._decoder = EPGDecoder(schedule, tolerance=self.tolerance).to(self._device)
        return self._decoder


def _those(estimates: Estimates, chosen: BoolArray) -> Estimates:
    return Estimates(*(getattr(estimates, name)[chosen] for name in ("t1", "t2", "pd", "residual", "failed")))


def _blank(voxels: int, kind: SignalKind, with_b1: bool) -> Estimates:
    zeros = [np.zeros(voxels, np.float32) for _ in range(5)]
    return Estimates(
        zeros[0],
        zeros[1],
        np.zeros(voxels, np.complex64 if kind == "complex" else np.float32),
        zeros[2],
        np.ones(voxels, bool),
        t1_se=zeros[3],
        t2_se=zeros[4],
        converged=np.zeros(voxels, bool),
        b1=np.zeros(voxels, np.float32) if with_b1 else None,
    )


def _entered(result: Estimates, which: IntArray, found: Fit, scale: FloatArray, with_b1: bool) -> Estimates:
    explained = np.abs(found.pd) > 0
    which, t = which[explained], np.exp(found.theta[explained])
    values = {
        "t1": t[:, 0],
        "t2": t[:, 1],
        "pd": found.pd[explained] * scale[explained],
        "residual": np.minimum(found.residual[explained], 1.0),
        "failed": np.zeros(len(which), bool),
        "t1_se": t[:, 0] * found.standard_error[explained, 0],
        "t2_se": t[:, 1] * found.standard_error[explained, 1],
        "converged": found.converged[explained],
    }
    if with_b1:
        values["b1"] = t[:, 2]
    for name, value in values.items():
        getattr(result, name)[which] = value
    return result
