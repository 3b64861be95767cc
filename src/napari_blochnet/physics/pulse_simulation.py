"""Pulses as they are played: the Bloch equations for sampled waveforms, with relaxation during them.

Everything a waveform does to magnetisation is affine, M ↦ P·M + p, one matrix and one offset for each T1, T2 and B1.
The waveform is taken as constant over each of its steps: half a step of relaxation, the step's rotation about its
effective field, half a step of relaxation (Strang's splitting: what it leaves is of second order in the step). Whole
preparations are products of such maps, whatever is repeated in them computed once.

Conventions: rotations are right-handed about their axis, as in the isochromat simulation; a waveform of +1 Hz turns
about +x by 2π in one second.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from napari_blochnet.common.arrays import ComplexArray, FloatArray

__all__ = ["AffineMap", "coarsened", "free_map", "phase_map", "pulse_angles", "pulse_map"]

# Of one step of a waveform, cycles: at 0.005, or 1.8°, what is left of the splitting is below 1e-5 (tested).
_LARGEST_TURN = 0.005


class AffineMap(NamedTuple):
    """M ↦ matrix·M + offset for V voxels.

    Parameters
    ----------
    matrix : ndarray of shape (V, 3, 3)
    offset : ndarray of shape (V, 3)
        What has recovered towards the equilibrium of 1 along z.
    """

    matrix: FloatArray
    offset: FloatArray

    def then(self, after: AffineMap) -> AffineMap:
        """Return this map, and another one after it."""
        offset = np.einsum("vij,vj->vi", after.matrix, self.offset) + after.offset
        return AffineMap(after.matrix @ self.matrix, offset)


def coarsened(signal: ComplexArray, step: float) -> tuple[ComplexArray, float]:
    """Return a waveform in longer steps where its own are shorter than a simulation needs.

    Parameters
    ----------
    signal : ndarray of shape (S,)
        Hz, at the midpoints of S equal steps.
    step : float
        s.

    Returns
    -------
    signal : ndarray of shape (s,)
        Means over the longer steps; the waveform ends with zeros where S is no multiple.
    step : float
    """
    largest = float(np.abs(signal).max(initial=0.0))
    together = int(_LARGEST_TURN / (largest * step)) if largest * step > 0.0 else 1
    together = max(1, min(together, len(signal) // 200))
    padded = np.pad(signal, (0, -len(signal) % together))
    return padded.reshape(-1, together).mean(axis=1), step * together


def pulse_map(
    signal: ComplexArray, step: float, t1: FloatArray, t2: FloatArray, b1: FloatArray, off_resonance: float = 0.0
) -> AffineMap:
    """Return what a waveform does to magnetisation, relaxation during it included.

    Parameters
    ----------
    signal : ndarray of shape (S,)
        B1 in Hz, complex, constant over each of S steps.
    step : float
        s.
    t1, t2 : ndarray of shape (V,)
        ms; infinite for none.
    b1 : ndarray of shape (V,)
        Relative transmit field.
    off_resonance : float
        Hz.

    Returns
    -------
    AffineMap
        Of V voxels.
    """
    half = 500.0 * step
    e1, e2 = np.exp(-half / np.asarray(t1, np.float64)), np.exp(-half / np.asarray(t2, np.float64))
    scale, which = np.unique(np.asarray(b1, np.float64), return_inverse=True)
    state = np.zeros((4, 3, len(which)))
    for axis in range(3):
        state[axis, axis] = 1.0
    turn = 2.0 * math.pi * step
    field = np.asarray(signal, np.complex128)
    for n, value in enumerate(scale):
        chosen = np.flatnonzero(which == n)
        part = np.ascontiguousarray(state[:, :, chosen])
        _play(
            field.real * (turn * value), field.imag * (turn * value), turn * off_resonance, e1[chosen], e2[chosen], part
        )
        state[:, :, chosen] = part
    columns = np.moveaxis(state, -1, 0)
    return AffineMap(np.ascontiguousarray(np.swapaxes(columns[:, :3], 1, 2)), np.ascontiguousarray(columns[:, 3]))


@numba.njit(nogil=True, cache=True)
def _play(x, y, z, e1, e2, state):
    """Turn and relax, step by step, the three axes and, with recovery, nothing: ``state`` of shape (4, 3, voxels)."""
    for s in range(x.size):
        angle = math.sqrt(x[s] * x[s] + y[s] * y[s] + z * z)
        nx, ny, nz = 0.0, 0.0, 1.0
        if angle > 0.0:
            nx, ny, nz = x[s] / angle, y[s] / angle, z / angle
        c, d = math.cos(angle), math.sin(angle)
        v = 1.0 - c
        xx, xy, xz = c + nx * nx * v, nx * ny * v - nz * d, nx * nz * v + ny * d
        yx, yy, yz = nx * ny * v + nz * d, c + ny * ny * v, ny * nz * v - nx * d
        zx, zy, zz = nx * nz * v - ny * d, ny * nz * v + nx * d, c + nz * nz * v
        for column in range(4):
            recovers = 1.0 if column == 3 else 0.0
            for j in range(e1.size):
                a = state[column, 0, j] * e2[j]
                b = state[column, 1, j] * e2[j]
                m = state[column, 2, j] * e1[j] + recovers * (1.0 - e1[j])
                state[column, 0, j] = (xx * a + xy * b + xz * m) * e2[j]
                state[column, 1, j] = (yx * a + yy * b + yz * m) * e2[j]
                state[column, 2, j] = (zx * a + zy * b + zz * m) * e1[j] + recovers * (1.0 - e1[j])


def phase_map(angle: FloatArray | float, count: int) -> AffineMap:
    """Return a turn about z by an angle, radians, or by one for each of V voxels."""
    turned = np.broadcast_to(np.asarray(angle, np.float64), (count,))
    matrix = np.zeros((count, 3, 3))
    matrix[:, 0, 0] = matrix[:, 1, 1] = np.cos(turned)
    matrix[:, 1, 0] = np.sin(turned)
    matrix[:, 0, 1] = -matrix[:, 1, 0]
    matrix[:, 2, 2] = 1.0
    return AffineMap(matrix, np.zeros((count, 3)))


def free_map(duration: float, t1: FloatArray, t2: FloatArray) -> AffineMap:
    """Return free relaxation on resonance over a duration in ms."""
    e1, e2 = np.exp(-duration / t1), np.exp(-duration / t2)
    matrix, offset = np.zeros((len(e1), 3, 3)), np.zeros((len(e1), 3))
    matrix[:, 0, 0] = matrix[:, 1, 1] = e2
    matrix[:, 2, 2] = e1
    offset[:, 2] = 1.0 - e1
    return AffineMap(matrix, offset)


def pulse_angles(signal: ComplexArray, step: float, off_resonance: FloatArray, scale: float = 1.0) -> FloatArray:
    """Return the angles by which a waveform turns magnetisation off +z, without relaxation.

    Parameters
    ----------
    signal : ndarray of shape (S,)
        B1 in Hz, constant over each of S steps.
    step : float
        s.
    off_resonance : ndarray of shape (P,)
        Hz: of a slice-selective pulse, gradient times position.
    scale : float
        Of the waveform.

    Returns
    -------
    ndarray of shape (P,)
        Radians; below 0 where the transverse magnetisation, rephased to the waveform's middle, points away from that on
        resonance.

    Notes
    -----
    Cayley–Klein parameters, one hard pulse between two half steps of precession for each sample: the forward
    Shinnar–Le Roux transform (Pauly et al., IEEE Trans Med Imaging 10:53 (1991)).
    """
    offsets = np.append(np.asarray(off_resonance, np.float64), 0.0)
    half = np.exp(-0.5j * math.pi * step * offsets)
    a, b = np.ones(len(offsets), np.complex128), np.zeros(len(offsets), np.complex128)
    for sample in np.asarray(signal, np.complex128) * scale:
        angle = 2.0 * math.pi * step * abs(sample)
        c, s = math.cos(0.5 * angle), math.sin(0.5 * angle)
        across = 1j * s * (sample / abs(sample) if sample else 1.0)
        a, b = a * half, b / half
        a, b = c * a - np.conj(across) * b, c * b + across * a
        a, b = a * half, b / half
    angles = 2.0 * np.arcsin(np.clip(np.abs(b), 0.0, 1.0))
    # transverse magnetisation left of +z is proportional to conj(a)·b: rephased, its phase is that of on resonance
    transverse = np.conj(a) * b * np.exp(-1j * math.pi * step * len(signal) * offsets)
    signed = np.where((transverse * np.conj(transverse[-1])).real < 0.0, -angles, angles)
    return np.asarray(signed[:-1])
