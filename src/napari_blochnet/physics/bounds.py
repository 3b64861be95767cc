"""Cramér–Rao bounds: how well T1, T2, PD and B1 can be known from a fingerprint with white noise.

The Fisher matrix comes from the decoder's Jacobian. Proton density is eliminated, not known: for complex data it is
complex, and the information on T1 and T2 is that of the derivatives off the signal's own direction,
Re(Dᴴ·P⊥·D)·|ρ|²/σ², D the derivatives of the signal s and P⊥ = 1 − s·sᴴ/‖s‖². Magnitude data is Rician; each sample
then tells less than with Gaussian noise, by a factor that depends on its own signal-to-noise ratio
(`rician_information`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import special

from napari_blochnet.common.arrays import AnyArray, FloatArray, SignalKind
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.physics.train_signal import check_train_signal
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["CramerRaoBound", "bound_from_jacobian", "cramer_rao_bound", "rician_information"]

# Samples of a block: with three derivatives, complex, in double precision they and their copies stay below 200 MB.
_BLOCK_SAMPLES = 1_000_000
# Information, over what there would be, below which it counts as none: rounding of the derivatives squared.
_SINGULAR = 1e-11
# What is left of a derivative's square, over it, where PD explains it wholly: rounding.
_EXPLAINED = 1e-13


@dataclass(frozen=True, eq=False)
class CramerRaoBound:
    """Smallest standard deviations that an unbiased estimator can have.

    Parameters
    ----------
    t1, t2 : ndarray of shape (...)
        ms. Infinite where the data do not tell the parameter.
    pd : ndarray of shape (...)
        Of the modulus of PD, in PD's units.
    b1 : ndarray of shape (...), or None
        Relative; None where B1 is taken as known.
    covariance : ndarray of shape (..., P, P)
        Of (T1, T2) or (T1, T2, B1): ms², and relative in the last row and column.
    """

    t1: FloatArray
    t2: FloatArray
    pd: FloatArray
    b1: FloatArray | None
    covariance: FloatArray


def cramer_rao_bound(
    schedule: Schedule,
    t1: ArrayLike,
    t2: ArrayLike,
    pd: ArrayLike = 1.0,
    b1: ArrayLike = 1.0,
    *,
    sigma: ArrayLike,
    kind: SignalKind = "complex",
    fit_b1: bool = False,
    tolerance: float = 1e-6,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> CramerRaoBound:
    """Return the Cramér–Rao bound of T1, T2 and PD, or of these and B1.

    Parameters
    ----------
    schedule : Schedule
        N pulses; its slice profile and all that is played around its pulses are honoured.
    t1, t2 : array_like of shape (...)
        ms. They broadcast against each other and against ``pd``, ``b1`` and ``sigma``.
    pd : array_like of shape (...)
        Proton density; its modulus scales the signal. Not 0.
    b1 : array_like of shape (...)
        Transmit field relative to nominal.
    sigma : array_like of shape (...)
        Standard deviation of the noise in each real channel, in units of the signal of PD 1.
    kind : {"complex", "real", "magnitude"}
        What the data are: complex samples with a complex PD; the real part of the samples with a real PD; or the
        modulus of complex samples, of which PD's modulus remains.
    fit_b1 : bool
        Estimate B1 along, instead of taking it as known.
    tolerance : float
        NRMSE of the simulated signals; see `EPGDecoder`.
    progress, cancelled : optional
        Looked at between blocks of voxels.

    Returns
    -------
    CramerRaoBound
        Standard deviations of the common shape.

    Raises
    ------
    InputError
        A schedule that makes no signal; T1, T2 or ``sigma`` not above 0, ``pd`` of 0, anything not finite, shapes that
        do not broadcast, an unknown ``kind``.
    Cancelled
        Once ``cancelled`` is set.

    References
    ----------
    Kay, Fundamentals of Statistical Signal Processing: Estimation Theory (1993), chapter 3; Zhao et al., IEEE Trans Med
    Imaging 38:844 (2019), for MR fingerprinting; Karlsen et al., Magn Reson Med 41:614 (1999), for magnitude data.

    Examples
    --------
    >>> from napari_blochnet import Schedule, cramer_rao_bound
    >>> train = Schedule([10.0, 60.0, 25.0, 40.0] * 25, 12.0, 4.0, inversion_time=20.0)
    >>> bound = cramer_rao_bound(train, t1=800.0, t2=70.0, sigma=0.001)
    >>> f"T1 ± {bound.t1:.1f} ms, T2 ± {bound.t2:.2f} ms"
    'T1 ± 1.5 ms, T2 ± 0.33 ms'
    """
    watch = Watch(progress, cancelled)
    _check_kind(kind)
    given = {"t1": t1, "t2": t2, "pd": pd, "b1": b1, "sigma": sigma}
    arrays = {key: _number_array(key, value) for key, value in given.items()}
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        listed = ", ".join(f"{key} {array.shape}" for key, array in arrays.items())
        raise InputError(f"Shapes do not broadcast: {listed}", "one shape for all", field="t1") from None
    _check_values(arrays)
    check_train_signal(schedule, arrays["b1"].real)
    flat = {key: np.broadcast_to(array, shape).reshape(-1) for key, array in arrays.items()}
    decoder = EPGDecoder(schedule, tolerance=tolerance).to(torch.float64)
    # Derivatives in B1 cost a third more; a field of 1 everywhere that is known needs none.
    with_b1 = fit_b1 or bool(np.any(flat["b1"] != 1.0))
    parameters, voxels = (3 if fit_b1 else 2), flat["t1"].size
    covariance, pd_variance = np.empty((voxels, parameters, parameters)), np.empty(voxels)
    block = max(1, _BLOCK_SAMPLES // len(schedule))
    for start in range(0, voxels, block):
        watch.check("the Cramér–Rao bound")
        watch.report(start, voxels, "voxels bounded")
        part = slice(start, start + block)
        field = flat["b1"][part].real if with_b1 else None
        signal, derivatives = decoder.jacobian(flat["t1"][part].real, flat["t2"][part].real, field)
        covariance[part], pd_variance[part] = bound_from_jacobian(
            signal.numpy(), derivatives.numpy()[..., :parameters], flat["pd"][part], flat["sigma"][part].real, kind
        )
    watch.report(voxels, voxels, "voxels bounded")
    deviation = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1)).reshape(*shape, parameters)
    return CramerRaoBound(
        t1=deviation[..., 0],
        t2=deviation[..., 1],
        pd=np.sqrt(pd_variance).reshape(shape),
        b1=deviation[..., 2] if fit_b1 else None,
        covariance=covariance.reshape(*shape, parameters, parameters),
    )


def bound_from_jacobian(
    signal: AnyArray, derivatives: AnyArray, pd: ArrayLike, sigma: ArrayLike, kind: SignalKind = "complex"
) -> tuple[FloatArray, FloatArray]:
    """Return the bound from signals and derivatives at hand, PD eliminated.

    Parameters
    ----------
    signal : ndarray of shape (V, N)
        Of PD 1; real or complex.
    derivatives : ndarray of shape (V, N, P)
        In any P parameters.
    pd, sigma : array_like of shape (V,)
        Proton density, and the noise's standard deviation in each real channel.
    kind : {"complex", "real", "magnitude"}
        As in `cramer_rao_bound`.

    Returns
    -------
    covariance : ndarray of shape (V, P, P)
        Smallest covariance of the parameters; infinite on the diagonal where the data do not tell one.
    pd_variance : ndarray of shape (V,)
        Smallest variance of |PD|.
    """
    density, noise = np.abs(np.asarray(pd)), np.asarray(sigma, dtype=np.float64)
    scale = np.asarray((density / noise) ** 2)
    s, D = signal, derivatives
    if kind == "real":
        s, D = s.real, D.real
    elif kind == "magnitude":
        s = np.abs(signal)
        unit = np.divide(signal.conj(), s, out=np.zeros_like(signal), where=s > 0)
        weight = np.sqrt(rician_information(s * np.sqrt(scale)[..., None]))
        s, D = s * weight, (unit[..., None] * D).real * weight[..., None]
    columns = np.concatenate([s[..., None], D], axis=-1, dtype=np.result_type(s, np.float64))
    products = columns.conj().swapaxes(-1, -2) @ columns
    power, overlap = products[..., 0, 0].real, products[..., 0, 1:]
    share = np.divide(overlap, power[..., None], out=np.zeros_like(overlap), where=power[..., None] > 0)
    # Re(Dᴴ·D) less what lies along the signal; where D is complex, that along i·s too, which PD's phase explains.
    plain = products[..., 1:, 1:].real
    fisher = plain - (overlap.conj()[..., :, None] * share[..., None, :]).real
    own, all_of_it = (np.diagonal(matrix, axis1=-2, axis2=-1) for matrix in (fisher, plain))
    told = own > _EXPLAINED * all_of_it
    fisher = np.where(told[..., :, None] & told[..., None, :], fisher, 0.0) * scale[..., None, None]
    covariance = _inverse(fisher)
    # Of ln|ρ|: its own variance, and what it inherits from the parameters through their overlap with the signal.
    along = share.real
    with np.errstate(divide="ignore", invalid="ignore"):
        inherited = np.einsum("...p,...pq,...q->...", along, covariance, along)
        variance = density**2 * (1.0 / (power * scale) + np.where(np.any(along != 0, axis=-1), inherited, 0.0))
    return covariance, np.where(np.isnan(variance), np.inf, variance)


def rician_information(snr: ArrayLike) -> FloatArray:
    """Return the Fisher information of a Rician sample on its amplitude, times σ²: 1 would be that of Gaussian noise.

    Parameters
    ----------
    snr : array_like of shape (...)
        Amplitude over the noise's standard deviation in each real channel, α ≥ 0.

    Returns
    -------
    ndarray of shape (...)
        E[(x·I₁(xα)/I₀(xα) − α)²] over x, Rician with amplitude α and σ = 1: the variance of the score. It rises from α²
        at low to 1 − 1/(2α²) at high signal-to-noise ratio.

    Notes
    -----
    Interpolated from a table of the integral; accurate to 1e-6 (relative).
    """
    alpha = np.asarray(snr, dtype=np.float64)
    nodes, values = _rician_table()
    inside = np.interp(np.log(np.clip(alpha, nodes[0], nodes[-1])), np.log(nodes), values)
    squared = alpha**2
    low = squared / (1.0 + squared) * inside
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(alpha < nodes[0], squared, np.where(alpha > nodes[-1], 1.0 - 0.5 / squared, low)))


@lru_cache(maxsize=1)
def _rician_table() -> tuple[FloatArray, FloatArray]:
    """Amplitudes, and the information there over α²/(1 + α²), its shape at both ends."""
    alpha = np.geomspace(1e-4, 1e3, 6001)
    nodes, weights = np.polynomial.legendre.leggauss(160)
    # Rician density is below 1e-30 farther than 12 from its amplitude.
    low, high = np.maximum(alpha - 12.0, 0.0), alpha + 12.0
    x = 0.5 * (high - low)[:, None] * nodes + 0.5 * (high + low)[:, None]
    product = x * alpha[:, None]
    bessel = special.i0e(product)
    density = x * np.exp(-0.5 * (x - alpha[:, None]) ** 2) * bessel
    score = x * special.i1e(product) / bessel - alpha[:, None]
    information = 0.5 * (high - low) * ((density * score**2) @ weights)
    return alpha, information * (1.0 + alpha**2) / alpha**2


def _inverse(fisher: FloatArray) -> FloatArray:
    """Invert symmetric matrices; parameters that take part in a direction without information get infinite variance."""
    size = np.sqrt(np.diagonal(fisher, axis1=-2, axis2=-1))
    unit = np.where(size > 0, size, 1.0)
    # Parameters have units of their own: only with columns of length 1 does a small eigenvalue mean dependence.
    values, vectors = np.linalg.eigh(fisher / unit[..., :, None] / unit[..., None, :])
    told = values > _SINGULAR * fisher.shape[-1]
    reciprocal = np.divide(1.0, values, where=told, out=np.zeros_like(values))
    inverse = np.einsum("...pk,...k,...qk->...pq", vectors, reciprocal, vectors)
    inverse = inverse / unit[..., :, None] / unit[..., None, :]
    lost = np.any(~told[..., None, :] & (np.abs(vectors) > 1e-6), axis=-1)
    diagonal = np.arange(fisher.shape[-1])
    inverse[..., diagonal, diagonal] = np.where(lost, np.inf, inverse[..., diagonal, diagonal])
    return np.asarray(inverse)


def _number_array(key: str, value: ArrayLike) -> AnyArray:
    try:
        array = np.asarray(value)
        array = array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{key} holds something that is not a number", "numbers", field=key) from None
    if np.iscomplexobj(array) and key != "pd":
        raise InputError(f"{key} is complex", "real numbers", field=key)
    return array


def _check_values(arrays: dict[str, AnyArray]) -> None:
    expected = {
        "t1": "a finite number above 0 ms",
        "t2": "a finite number above 0 ms",
        "pd": "a finite number other than 0",
        "b1": "a finite number of at least 0",
        "sigma": "a finite number above 0",
    }
    for key, array in arrays.items():
        good = np.isfinite(array)
        if key == "pd":
            good &= array != 0
        else:
            good &= (array.real >= 0) if key == "b1" else (array.real > 0)
        if not good.all():
            raise InputError(f"{key} is {array[~good].flat[0]:g}", expected[key], field=key)


def _check_kind(kind: str) -> None:
    if kind not in ("complex", "real", "magnitude"):
        raise InputError(f"kind is {kind!r}", "'complex', 'real' or 'magnitude'", field="kind")
