"""Compiled passes over fingerprints: rotation to the real frame, and projection on signals, each in one reading.

Complex samples come as (real, imaginary) on a last axis of two. Sums are kept in double precision.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import math

import numba
import numpy as np

from napari_blochnet.common.arrays import FloatArray

__all__ = ["overlaps", "rotate_rows"]

_FAST = {"reassoc", "contract", "arcp", "nsz"}


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def rotate_rows(
    first: int, last: int, samples: FloatArray, mean_atom: FloatArray, real: FloatArray, norms: FloatArray
) -> None:
    """Write the real part of each fingerprint after its rotation, at unit norm, and the fingerprint's norm.

    Parameters
    ----------
    first, last : int
        Voxels from which and up to which to do so.
    samples : float32 array of shape (voxel, time, 2)
    mean_atom : float32 array of shape (time,)
    real : float32 array of shape (voxel, time)
        Receives the rotated, normalised fingerprints; zeros where there is no signal.
    norms : float64 array of shape (voxel,)
        Receives the L2 norms before.
    """
    time = real.shape[1]
    for v in range(first, last):
        aa = bb = ab = am = bm = 0.0
        for n in range(time):
            a = np.float64(samples[v, n, 0])
            b = np.float64(samples[v, n, 1])
            m = np.float64(mean_atom[n])
            aa += a * a
            bb += b * b
            ab += a * b
            am += a * m
            bm += b * m
        norms[v] = math.sqrt(aa + bb)
        # Σs² = (aa − bb) + 2i·ab: half its angle, then the sign by the overlap with the mean atom
        angle = -0.5 * math.atan2(2.0 * ab, aa - bb)
        cosine, sine = math.cos(angle), math.sin(angle)
        if am * cosine - bm * sine < 0.0:
            cosine, sine = -cosine, -sine
        power = aa * cosine * cosine - 2.0 * ab * cosine * sine + bb * sine * sine
        scale = 1.0 / math.sqrt(power) if power > 0.0 else 0.0
        c, s = np.float32(cosine * scale), np.float32(sine * scale)
        for n in range(time):
            real[v, n] = samples[v, n, 0] * c - samples[v, n, 1] * s


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def overlaps(
    first: int, last: int, samples: FloatArray, signals: FloatArray, found: FloatArray, power: FloatArray
) -> None:
    """Write Σ x·s of each fingerprint x with its real signal s, part by part, and Σ s².

    Parameters
    ----------
    first, last : int
        Voxels from which and up to which to do so.
    samples : float32 array of shape (voxel, time, parts)
        One part (real) or two.
    signals : float32 array of shape (voxel, time)
    found : float64 array of shape (voxel, parts)
    power : float64 array of shape (voxel,)
    """
    time, parts = samples.shape[1:]
    for v in range(first, last):
        ss = one = two = 0.0
        if parts == 2:
            for n in range(time):
                s = np.float64(signals[v, n])
                ss += s * s
                one += samples[v, n, 0] * s
                two += samples[v, n, 1] * s
            found[v, 1] = two
        else:
            for n in range(time):
                s = np.float64(signals[v, n])
                ss += s * s
                one += samples[v, n, 0] * s
        found[v, 0] = one
        power[v] = ss
