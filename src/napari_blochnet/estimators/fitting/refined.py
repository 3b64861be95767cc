"""Refinement as an estimator: any other one, and then the physics."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray, IntArray
from napari_blochnet.estimators.base import Block, Conditions, Estimates, Estimator
from napari_blochnet.estimators.fitting.fit import LIMITS, Fit, refine
from napari_blochnet.estimators.fitting.noise_models import Batch
from napari_blochnet.estimators.fitting.on_top import OnTop, normalised
from napari_blochnet.estimators.matching.dictionary import DictionaryMatching
from napari_blochnet.estimators.projected import Simulator
from napari_blochnet.fingerprints.stack import SignalKind

__all__ = ["Refined"]

# Of the coarse dictionary: near enough to the best tissue for Gauss–Newton steps to reach it.
_COARSE = {"t1_range": (2.0, 10_000.0), "t2_range": (0.5, 5000.0), "step": 0.12}


class Refined(OnTop):
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

    takes_b1 = True

    def __init__(
        self,
        estimator: Estimator,
        *,
        fit_b1: bool = False,
        noise_sigma: float | None = None,
        saturation: float | None = None,
        tolerance: float = 1e-5,
    ) -> None:
        super().__init__(estimator, noise_sigma, saturation, tolerance)
        self.name, self.fit_b1 = f"{estimator.name}, refined", fit_b1
        self._coarse = DictionaryMatching(**_COARSE, energy=1 - 1e-5, saturation=saturation)  # type: ignore[arg-type]

    @property
    def description(self) -> str:
        """One line for records."""
        with_b1 = " with B1" if self.fit_b1 else ""
        return f"{self.estimator.description}; refined{with_b1}, tolerance {self.tolerance:g}"

    def make_ready_for(self, given: Conditions) -> Simulator:
        """Prepare the estimator, the coarse dictionary, and the decoder."""
        decoder = super().make_ready_for(given)
        if not self.estimator.is_global:
            self._coarse.prepare(given.schedule, given.kind, subspace=given.subspace, progress=given.watch.progress,
                                 cancelled=given.watch.cancelled)  # fmt: skip
        return decoder.to(self.device)

    def estimate(self, block: Block) -> Estimates:
        """Estimate fingerprints and refine the answers: standard errors, ``converged``, and ``b1`` where fitted."""
        kind, watch, field = block.kind, block.watch, block.b1
        known = field if self.estimator.takes_b1 else None
        first = self.estimator.predict(
            block.data, block.schedule, kind, b1=known, subspace=block.subspace, cancelled=watch.cancelled
        )
        data, used, scale = normalised(block.data, kind, self.saturation)
        start, usable = self._start(first, block, scale > 0)
        which = np.flatnonzero(usable)
        result = _blank(len(data), kind, self.fit_b1)
        if not which.size:
            return self._told(result, block)
        batch = Batch(data[which], used[which] if len(used) else used, kind, block.ready,
                      None if field is None else field[which], self.fit_b1)  # fmt: skip
        sigma = None if self.noise_sigma is None else self.noise_sigma / scale[which]
        found = refine(batch, start[which], sigma, watch)
        found = self._again(found, batch, block, which, sigma)
        return self._told(_entered(result, which, found, scale[which], self.fit_b1), block)

    def _told(self, result: Estimates, block: Block) -> Estimates:
        """Return the estimates without standard errors where nothing tells the noise."""
        return (
            result
            if self.has_errors(block.schedule, block.kind, block.subspace)
            else replace(result, t1_se=None, t2_se=None)
        )

    def _start(self, first: Estimates, block: Block, signal: BoolArray) -> tuple[FloatArray, BoolArray]:
        """Return ln T1, ln T2 (and ln B1 = 0) to start from, and which voxels have a start."""
        t1, t2 = first.t1.astype(np.float64), first.t2.astype(np.float64)
        good = ~first.failed & np.isfinite(t1) & np.isfinite(t2) & (t1 > 0) & (t2 > 0)
        if not self.estimator.is_global or (signal & ~good).any():
            coarse = self._best_coarse(block)
            poor = ~coarse.failed & (~good | ~(first.residual <= coarse.residual))
            t1, t2 = np.where(poor, coarse.t1, t1), np.where(poor, coarse.t2, t2)
            good |= poor
        start = np.zeros((len(t1), 3 if self.fit_b1 else 2))
        start[:, 0] = np.log(np.clip(np.where(good, t1, 1.0), *LIMITS["t1"]))
        start[:, 1] = np.log(np.clip(np.where(good, t2, 1.0), *LIMITS["t2"]))
        return start, signal & good

    def _best_coarse(self, block: Block) -> Estimates:
        """Return the best tissues of the coarse dictionary, under a B1 near that of each voxel."""
        if block.b1 is not None:
            return self._coarse.match_near_b1(block)
        return self._coarse.predict(block.data, block.schedule, block.kind, subspace=block.subspace)

    def _again(self, found: Fit, batch: Batch, block: Block, which: IntArray, sigma: FloatArray | None) -> Fit:
        """Start fits that did not converge from the coarse dictionary, and keep what explains more."""
        lost = np.flatnonzero(~found.converged)
        if not lost.size:
            return found
        coarse = self._best_coarse(block.part(which[lost]))
        lost, coarse = lost[~coarse.failed], coarse.some(~coarse.failed)
        if not lost.size:
            return found
        start = np.zeros((len(lost), batch.columns))
        start[:, 0], start[:, 1] = np.log(coarse.t1), np.log(coarse.t2)
        part = replace(batch, data=batch.data[lost], used=batch.used[lost] if len(batch.used) else batch.used,
                       b1=None if batch.b1 is None else batch.b1[lost])  # fmt: skip
        second = refine(part, start, None if sigma is None else sigma[lost], block.watch)
        better = second.residual < found.residual[lost]
        better |= second.converged & (second.residual <= found.residual[lost] * (1 + 1e-6))
        merged = {}
        for name in (field.name for field in fields(Fit)):
            merged[name] = getattr(found, name).copy()
            merged[name][lost[better]] = getattr(second, name)[better]
        return Fit(**merged)


def _blank(voxels: int, kind: SignalKind, with_b1: bool) -> Estimates:
    names = ("t1", "t2", "residual", "t1_se", "t2_se", *(("b1",) if with_b1 else ()))
    zeros: dict[str, Any] = {name: np.zeros(voxels, np.float32) for name in names}
    pd = np.zeros(voxels, np.complex64 if kind == "complex" else np.float32)
    return Estimates(**zeros, pd=pd, failed=np.ones(voxels, bool), converged=np.zeros(voxels, bool))


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
