"""Sums over time that a fit needs of data, signal and derivatives: one pass over the samples, in double precision.

All of them are products of columns of the same few arrays. They are added up in double precision because what is left
of noise-free data after a fit is the difference of numbers that agree to thirteen digits.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
from __future__ import annotations

from functools import cache

import numba
import numpy as np
import torch
from scipy.interpolate import CubicSpline
from scipy.special import i0e, i1e
from torch import Tensor

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.estimators.threads import threaded
from napari_blochnet.physics.bounds import rician_information

__all__ = [
    "rician_count",
    "rician_sums",
    "rician_tables",
    "rician_variance_sum",
    "sums_there",
    "threaded_sums",
]

# Nodes of the tables below; between them the splines are right to 1e-9.
_NODES = 2048
# I₁/I₀ and I₀ are tabulated over z/(z + 2), the information over α/(α + 1).
_HALF = 2.0

_jit = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


@_jit
def _real_sums(first, last, data, used, signal, derivatives, sums):
    """Sums of voxels ``first`` to ``last`` where the signal is real.

    Parameters
    ----------
    data : array of shape (V, N, C)
        C real channels: 1, or 2 for the parts of complex data.
    used : bool array of shape (V, N)
        Samples that count; of length 0: all.
    signal, derivatives : arrays of shape (V, N), (V, N, P)
    sums : float64 array of shape (V, `threaded_sums`)
        Receives, for each voxel, x·x, s·s, real and imaginary part of s·x, and for each column d of the derivatives
        those of s·d and of d·x and its real products with this column and those before it.
    """
    channels, columns = data.shape[2], derivatives.shape[2]
    for v in range(first, last):
        row = sums[v]
        row[:] = 0.0
        for n in range(data.shape[1]):
            if used.shape[0] > 0 and not used[v, n]:
                continue
            s = np.float64(signal[v, n])
            row[1] += s * s
            for c in range(channels):
                x = np.float64(data[v, n, c])
                row[0] += x * x
                row[2 + c] += s * x
            at = 4
            for p in range(columns):
                d = np.float64(derivatives[v, n, p])
                row[at] += s * d
                for c in range(channels):
                    row[at + 2 + c] += d * data[v, n, c]
                at += 4
                for q in range(p + 1):
                    row[at] += d * derivatives[v, n, q]
                    at += 1


@_jit
def _complex_sums(first, last, data, used, signal, derivatives, sums):
    """As `_real_sums`, where signal (V, N, 2) and derivatives (V, N, P, 2) are complex too; data (V, N, 2)."""
    columns = derivatives.shape[2]
    for v in range(first, last):
        row = sums[v]
        row[:] = 0.0
        for n in range(data.shape[1]):
            if used.shape[0] > 0 and not used[v, n]:
                continue
            a, b = np.float64(signal[v, n, 0]), np.float64(signal[v, n, 1])
            x, y = np.float64(data[v, n, 0]), np.float64(data[v, n, 1])
            row[0] += x * x + y * y
            row[1] += a * a + b * b
            row[2] += a * x + b * y
            row[3] += a * y - b * x
            at = 4
            for p in range(columns):
                e, f = np.float64(derivatives[v, n, p, 0]), np.float64(derivatives[v, n, p, 1])
                row[at] += a * e + b * f
                row[at + 1] += a * f - b * e
                row[at + 2] += e * x + f * y
                row[at + 3] += e * y - f * x
                at += 4
                for q in range(p + 1):
                    row[at] += e * derivatives[v, n, q, 0] + f * derivatives[v, n, q, 1]
                    at += 1


@_jit
def _look_up(table, u):
    """Cubic spline on equal intervals of [0, 1]: coefficients (4, interval), highest power first."""
    place = u * table.shape[1]
    k = min(int(place), table.shape[1] - 1)
    t = place - k
    return ((table[0, k] * t + table[1, k]) * t + table[2, k]) * t + table[3, k]


@_jit
def rician_sums(first, last, data, used, signal, derivatives, amplitude, sigma, ratio, level, information, sums):
    """Sums of voxels ``first`` to ``last`` for magnitudes ``data`` (V, N) around amplitude·signal.

    Parameters
    ----------
    amplitude, sigma : float64 arrays of shape (V,)
    ratio, level, information : arrays
        `rician_tables`.
    sums : float64 array of shape (V, `rician_count`)
        Receives −2σ² times the log-likelihood but for terms of the data alone; its score and Fisher matrix (lower
        triangle) times σ² in the P parameters and ln(amplitude), the last of them.
    """
    columns = derivatives.shape[2]
    slope = np.empty(columns + 1)
    for v in range(first, last):
        row = sums[v]
        row[:] = 0.0
        variance = sigma[v] * sigma[v]
        for n in range(data.shape[1]):
            if used.shape[0] > 0 and not used[v, n]:
                continue
            m, a = np.float64(data[v, n]), amplitude[v] * signal[v, n]
            z = m * a / variance
            u = z / (z + _HALF)
            # ln(I0(z)·exp(−z)) is tabulated with its logarithmic part taken off
            log_i0e = _look_up(level, u) - 0.5 * np.log(1.0 + 2.0 * np.pi * z)
            row[0] += (m - a) * (m - a) - 2.0 * variance * log_i0e
            error = m * _look_up(ratio, u) - a
            alpha = a / sigma[v]
            weight = _look_up(information, alpha / (alpha + 1.0))
            for p in range(columns):
                slope[p] = amplitude[v] * derivatives[v, n, p]
            slope[columns] = a
            at = 2 + columns
            for p in range(columns + 1):
                row[1 + p] += error * slope[p]
                for q in range(p + 1):
                    row[at] += weight * slope[p] * slope[q]
                    at += 1


@_jit
def rician_variance_sum(first, last, data, used, signal, amplitude, variance, ratio, result):
    """Σ m² + a² − 2·m·a·I₁/I₀(m·a/variance), whose mean over 2N is a better variance; into ``result`` (V,)."""
    for v in range(first, last):
        total = 0.0
        for n in range(data.shape[1]):
            if used.shape[0] > 0 and not used[v, n]:
                continue
            m, a = np.float64(data[v, n]), amplitude[v] * signal[v, n]
            z = m * a / variance[v]
            total += m * m + a * a - 2.0 * m * a * _look_up(ratio, z / (z + _HALF))
        result[v] = total


def _sum_count(columns: int) -> int:
    """Return how many numbers `real_sums` and `complex_sums` make of a voxel with P columns."""
    return 4 + 4 * columns + columns * (columns + 1) // 2


def rician_count(columns: int) -> int:
    """Return how many numbers `rician_sums` makes of a voxel with P columns."""
    return 1 + (columns + 1) + (columns + 1) * (columns + 2) // 2


def threaded_sums(
    data: AnyArray, signal: AnyArray, derivatives: AnyArray | None = None, used: BoolArray | None = None
) -> FloatArray:
    """Return the sums over time of products of data, signal and derivatives, on all threads.

    Parameters
    ----------
    data, signal : arrays of shape (V, N)
        Real or complex; data are complex where the signal is.
    derivatives : array of shape (V, N, P), optional
        Of the signal's type. None: no columns.
    used : bool array of shape (V, N), optional
        Samples that count. None, or of length 0: all.

    Returns
    -------
    float64 array of shape (V, 4 + 4P + P(P + 1)/2)
        x·x, s·s, real and imaginary part of s*·x, and for each column d those of s*·d and of d*·x and the real parts
        of its products with the columns up to itself.
    """
    if derivatives is None:
        derivatives = np.empty((*signal.shape, 0), signal.dtype)
    if used is None:
        used = np.empty((0, data.shape[1]), bool)
    sums = np.empty((len(data), _sum_count(derivatives.shape[2])))
    if np.iscomplexobj(signal):
        threaded(_complex_sums, len(data), _parts(data), used, _parts(signal), _parts(derivatives), sums)
    else:
        threaded(_real_sums, len(data), _parts(data), used, signal, derivatives, sums)
    return sums


def sums_there(data: AnyArray, signal: Tensor, derivatives: Tensor, used: BoolArray) -> FloatArray:
    """Return what `threaded_sums` does, added up on the device of signal and derivatives.

    Parameters
    ----------
    data : array of shape (V, N)
        Complex or real. Of a complex signal of real data the real part counts.
    signal, derivatives : tensors of shape (V, N), (V, N, P)
    used : bool array of shape (V, N), or of length 0
    """
    x = torch.from_numpy(np.ascontiguousarray(data)).to(signal.device)
    model = torch.cat([signal[..., None], derivatives], dim=-1)
    model = model.real if model.is_complex() and not x.is_complex() else model
    if len(used):
        counts = torch.from_numpy(np.ascontiguousarray(used)).to(signal.device)
        x, model = x * counts, model * counts[..., None]
    x, model = (values.to(torch.complex128 if values.is_complex() else torch.float64) for values in (x, model))
    mutual = torch.einsum("vnp,vnq->vpq", model.conj(), model).cpu().numpy()
    overlap = torch.einsum("vnp,vn->vp", model.conj().to(x.dtype), x).cpu().numpy()
    columns = [torch.square(x.abs()).sum(dim=1).cpu().numpy(), mutual[:, 0, 0].real, overlap[:, 0].real,
               overlap[:, 0].imag]  # fmt: skip
    for p in range(1, model.shape[-1]):
        columns += [mutual[:, 0, p].real, mutual[:, 0, p].imag, overlap[:, p].real, overlap[:, p].imag]
        columns += [mutual[:, p, q].real for q in range(1, p + 1)]
    return np.stack(columns, axis=1)


@cache
def rician_tables() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return spline coefficients of I₁/I₀, of ln(I₀·e^(−z)) + ½·ln(1 + 2πz), and of the information of a sample."""
    u = np.linspace(0.0, 1.0, _NODES + 1)
    z = _HALF * u[:-1] / (1.0 - u[:-1])
    alpha = u[:-1] / (1.0 - u[:-1])
    ratio = np.append(i1e(z) / i0e(z), 1.0)
    level = np.append(np.log(i0e(z)) + 0.5 * np.log1p(2.0 * np.pi * z), 0.0)
    information = np.append(rician_information(alpha), 1.0)
    return _coefficients(u, ratio), _coefficients(u, level), _coefficients(u, information)


def _coefficients(u: FloatArray, values: FloatArray) -> FloatArray:
    spline = CubicSpline(u, values)
    powers = np.diff(u)[0] ** np.arange(3, -1, -1)
    return np.ascontiguousarray(spline.c * powers[:, None])


def _parts(values: AnyArray) -> FloatArray:
    """Return complex numbers as pairs of real ones, real numbers with a last axis of 1."""
    if np.iscomplexobj(values):
        return np.ascontiguousarray(values).view(values.real.dtype).reshape(*values.shape, 2)
    return values[..., None]
