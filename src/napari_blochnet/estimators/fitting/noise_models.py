"""What a fit looks at: the misfit of a batch of tissues, which way it falls, and how much the data tell.

Two models of the noise. `LeastSquares` is for complex and real data, with the proton density eliminated at every look
(variable projection: for given T1 and T2 the best PD is a projection, and what remains depends on T1 and T2 alone).
`Rician` is for magnitudes, in which the amplitude is one more parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray, IntArray
from napari_blochnet.estimators.fitting.sums import (
    rician_count,
    rician_sums,
    rician_tables,
    rician_variance_sum,
    sums_there,
    threaded_sums,
)
from napari_blochnet.estimators.projected import Simulator
from napari_blochnet.estimators.threads import threaded
from napari_blochnet.fingerprints.stack import SignalKind

__all__ = ["Batch", "LeastSquares", "Look", "Rician"]

# Numbers of signal and derivatives at a time; 32 MB in single precision.
_AT_ONCE = 8_000_000


@dataclass(frozen=True, eq=False)
class Look:
    """What a model says of V voxels at given parameters, P of them free.

    Parameters
    ----------
    cost : array of shape (V,)
        Sum of squares of what remains, or −2σ² times the log-likelihood.
    score : array of shape (V, P)
        Minus half its gradient.
    fisher : array of shape (V, P, P)
        Half its curvature: the Fisher information times σ².
    pd : array of shape (V,)
        Proton density.
    residual : array of shape (V,)
        ‖x − ŝ‖²/‖x‖² over the samples that count.
    """

    cost: FloatArray
    score: FloatArray
    fisher: FloatArray
    pd: AnyArray
    residual: FloatArray

    def put(self, where: IntArray | BoolArray, other: Look, chosen: IntArray | BoolArray) -> None:
        """Overwrite voxels ``where`` with ``chosen`` ones of another look."""
        for name in ("cost", "score", "fisher", "pd", "residual"):
            getattr(self, name)[where] = getattr(other, name)[chosen]


@dataclass(frozen=True, eq=False)
class Batch:
    """Fingerprints with what simulates them.

    Parameters
    ----------
    data : array of shape (V, N)
        complex64 or float32.
    used : bool array of shape (V, N), or (0, N)
        Samples that count; the second: all.
    kind : {"complex", "real", "magnitude"}
    decoder : Simulator
    b1 : array of shape (V,), optional
        Where the transmit field is known.
    fit_b1 : bool
        Whether it is a parameter.
    """

    data: AnyArray
    used: BoolArray
    kind: SignalKind
    decoder: Simulator
    b1: FloatArray | None = None
    fit_b1: bool = False

    @property
    def columns(self) -> int:
        """Number of parameters: ln T1, ln T2 and, where asked, ln B1."""
        return 3 if self.fit_b1 else 2

    @property
    def samples(self) -> AnyArray:
        """Number of samples of each voxel that count."""
        if len(self.used) == 0:
            return np.full(len(self.data), self.data.shape[1])
        return np.asarray(self.used.sum(axis=1))

    def parts(self, which: IntArray) -> list[IntArray]:
        """Cut voxels into pieces that are simulated at a time."""
        wide = len(self.decoder.schedule) * (1 + self.columns) * (1 if self.decoder.is_real else 2)
        size = max(128, _AT_ONCE // wide // 128 * 128)
        return [which[start : start + size] for start in range(0, len(which), size)]

    def some(self, which: IntArray) -> tuple[AnyArray, BoolArray]:
        """Return data and used samples of some voxels."""
        return self.data[which], self.used if len(self.used) == 0 else self.used[which]

    @property
    def is_accelerated(self) -> bool:
        """Whether the decoder computes elsewhere than on the CPU."""
        return self.decoder.reference.device.type != "cpu"

    def simulate_there(self, theta: FloatArray, which: IntArray) -> tuple[Tensor, Tensor]:
        """Return signals (V, N) and their derivatives (V, N, P) in T1, T2 and B1 as the decoder has them."""
        t1, t2 = np.exp(theta[:, 0]), np.exp(theta[:, 1])
        field = np.exp(theta[:, 2]) if self.fit_b1 else None if self.b1 is None else self.b1[which]
        return self.decoder.jacobian(
            t1.astype(np.float32),
            t2.astype(np.float32),
            None if field is None else field.astype(np.float32),
            is_b1_known=not self.fit_b1,
        )

    def simulate(self, theta: FloatArray, which: IntArray) -> tuple[AnyArray, AnyArray]:
        """Return signals (V, N) of the data's form and their derivatives (V, N, P) in T1, T2 and B1."""
        signal, derivatives = (values.cpu().numpy() for values in self.simulate_there(theta, which))
        if self.kind == "magnitude":
            size = np.abs(signal)
            unit = np.divide(signal.conj(), size, out=np.zeros_like(signal), where=size > 0)
            derivatives = (unit[..., None] * derivatives).real
            signal = size
        elif self.kind == "real" and np.iscomplexobj(signal):
            signal, derivatives = np.ascontiguousarray(signal.real), derivatives.real
        return signal, derivatives

    def in_units(self, theta: FloatArray) -> FloatArray:
        """Return what derivatives per ms (and per unit of B1) are multiplied with to be those in logarithms."""
        # the decoder was given single precision
        return np.exp(theta.astype(np.float64))


class LeastSquares:
    """Sum of squares with PD eliminated; PD complex for complex data, not negative otherwise."""

    def __call__(self, batch: Batch, theta: FloatArray, which: IntArray) -> Look:
        """Look at voxels ``which`` of a batch with parameters ``theta`` (V, P)."""
        return _in_parts(batch, which, lambda part, at: self._look(batch, theta[at], part))

    def _look(self, batch: Batch, theta: FloatArray, which: IntArray) -> Look:
        data, used = batch.some(which)
        if batch.is_accelerated and batch.kind != "magnitude":
            sums = sums_there(data, *batch.simulate_there(theta, which), used)
        else:
            sums = threaded_sums(data, *batch.simulate(theta, which), used)
        return _projected(sums, batch.in_units(theta), batch.kind, batch.columns)


def _projected(sums: FloatArray, units: FloatArray, kind: SignalKind, columns: int) -> Look:
    xx, ss = sums[:, 0], sums[:, 1]
    sx = sums[:, 2] + 1j * sums[:, 3]
    sd = np.empty((len(sums), columns), complex)
    dx = np.empty((len(sums), columns), complex)
    dd = np.empty((len(sums), columns, columns))
    at = 4
    for p in range(columns):
        sd[:, p] = (sums[:, at] + 1j * sums[:, at + 1]) * units[:, p]
        dx[:, p] = (sums[:, at + 2] + 1j * sums[:, at + 3]) * units[:, p]
        at += 4
        for q in range(p + 1):
            dd[:, p, q] = dd[:, q, p] = sums[:, at] * units[:, p] * units[:, q]
            at += 1
    pd = sx / np.where(ss > 0, ss, 1.0)
    if kind != "complex":
        pd = np.maximum(pd.real, 0.0)
    cost = np.maximum(xx - (np.conj(pd) * sx).real, 0.0)
    # derivatives off the signal's own direction
    along = sd / np.where(ss > 0, ss, 1.0)[:, None]
    score = (np.conj(pd)[:, None] * (dx - np.conj(along) * sx[:, None])).real
    fisher = (dd - (np.conj(along)[:, :, None] * sd[:, None, :]).real) * (np.abs(pd) ** 2)[:, None, None]
    return Look(cost, score, fisher, pd, cost / np.where(xx > 0, xx, 1.0))


class Rician:
    """Likelihood of magnitudes around an amplitude times the signal's modulus, with noise of known σ.

    Parameters
    ----------
    sigma : array of shape (V,)
        Standard deviation of the noise in each real channel, of every voxel of the batch.
    amplitude : array of shape (V,)
        Magnitude of PD where a fit starts, of every voxel of the batch; it is the last parameter, as a logarithm.
    """

    def __init__(self, sigma: FloatArray) -> None:
        self.sigma = sigma

    def __call__(self, batch: Batch, theta: FloatArray, which: IntArray) -> Look:
        """Look at voxels ``which`` of a batch with parameters ``theta`` (V, P + 1), the last of them ln |PD|."""
        return _in_parts(batch, which, lambda part, at: self._look(batch, theta[at], part))

    def _look(self, batch: Batch, theta: FloatArray, which: IntArray) -> Look:
        signal, derivatives = batch.simulate(theta, which)
        data, used = batch.some(which)
        columns, amplitude = batch.columns, np.exp(theta[:, -1])
        sums = np.empty((len(which), rician_count(columns)))
        threaded(rician_sums, len(which), data, used, signal, derivatives, amplitude, self.sigma[which],
                  *rician_tables(), sums)  # fmt: skip
        units = np.append(batch.in_units(theta[:, :-1]), np.ones((len(theta), 1)), axis=1)
        fisher = np.empty((len(which), columns + 1, columns + 1))
        at = 2 + columns
        for p in range(columns + 1):
            for q in range(p + 1):
                fisher[:, p, q] = fisher[:, q, p] = sums[:, at] * units[:, p] * units[:, q]
                at += 1
        short = used if len(used) else np.ones((1, 1), bool)
        energy = np.sum(np.square(data, dtype=np.float64), axis=1, where=short)
        rest = np.sum(np.square(data - amplitude[:, None] * signal), axis=1, where=short)
        score = sums[:, 1 : 2 + columns] * units
        return Look(sums[:, 0].copy(), score, fisher, amplitude, rest / np.where(energy > 0, energy, 1.0))

    @staticmethod
    def noise(batch: Batch, theta: FloatArray, pd: FloatArray, which: IntArray, start: FloatArray) -> FloatArray:
        """Return the standard deviation of the noise that makes the data likeliest around a fit.

        The mean of m² + a² − 2·m·a·I₁/I₀ over the samples, halved, is the variance again where the variance is right
        (expectation–maximisation); the root of the difference is found by secants. P + 1 degrees of freedom less.

        Parameters
        ----------
        batch : Batch
        theta : array of shape (V, P)
        pd : array of shape (V,)
            Amplitudes of the fit.
        which : int array of shape (V,)
        start : array of shape (V,)
            First guess of σ, above 0.
        """
        result = np.empty(len(which))
        freedom = 2.0 * batch.samples[which] - batch.columns - 1
        for at in batch.parts(np.arange(len(which))):
            part = which[at]
            signal, _ = batch.simulate(theta[at], part)
            data, used = batch.some(part)

            def excess(variance: FloatArray) -> FloatArray:
                sums = np.empty(len(variance))
                threaded(rician_variance_sum, len(part), data, used, signal, pd[at], variance, rician_tables()[0],  # noqa: B023 - used at once
                          sums)  # fmt: skip
                return sums / np.maximum(freedom[at], 1.0) - variance  # noqa: B023

            before = np.square(start[at])
            gap = excess(before)
            now = np.maximum(before + gap, 0.1 * before)
            for _ in range(5):
                gap_now = excess(now)
                slope = np.divide(gap_now - gap, now - before, out=np.full_like(now, -1.0), where=now != before)
                step = np.where(slope < -0.05, -gap_now / np.minimum(slope, -0.05), gap_now)
                before, gap = now, gap_now
                now = np.clip(now + step, 0.2 * now, 5.0 * now)
            result[at] = np.sqrt(now)
        return result


def _in_parts(batch: Batch, which: IntArray, look: Callable[[IntArray, slice], Look]) -> Look:
    start, found = 0, []
    for part in batch.parts(which):
        found.append(look(part, slice(start, start + len(part))))
        start += len(part)
    return Look(*(np.concatenate([getattr(item, name) for item in found]) for name in
                  ("cost", "score", "fisher", "pd", "residual")))  # fmt: skip
