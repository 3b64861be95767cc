"""The extended phase graph of one block of voxels at any RF phase, with its derivatives.

The frame is that of `kernels_real`, F⁺ = −i·exp(iφ_n)·f⁺, F⁻ = i·exp(−iφ_n)·f⁻, and follows the RF phase from pulse to
pulse. In it a pulse is still a real rotation, which acts on real and imaginary parts one by one; what is complex is the
turn of the frame by exp(−i(φ_{n+1} − φ_n)) during the TR. The ring of 2K − 1 rows holds f⁺ at orders 0 … K−1 and the
conjugate of f⁻ at the negative ones, so that this turn is the same for all rows and order 0 passes from one side to the
other as it is.

Parts are stored apart: index 2p is the real and 2p + 1 the imaginary part of tangent p (0: the states themselves).
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
from __future__ import annotations

import numpy as np

from napari_blochnet.physics.kernels_math import at, gather, jit, one_minus_exp, rotation
from napari_blochnet.physics.kernels_samples import TILE, add_rows, project, write

__all__ = ["complex_block"]


@jit
def _pulse(f, z, plus, minus, order, mirror, versine, sine, q1):
    """Turn one part of one order and relax its Z; mirror is −1 for imaginary parts, the ring holding conj(f⁻)."""
    half = f.dtype.type(0.5)
    for j in range(f.shape[1]):
        mean = half * (f[plus, j] + mirror * f[minus, j])
        change = at(sine, j) * z[order, j] - at(versine, j) * mean
        new = z[order, j] - at(versine, j) * z[order, j] - at(sine, j) * mean
        f[plus, j] += change
        f[minus, j] += mirror * change
        z[order, j] = new - q1[j] * new


@jit
def _relax_and_turn(f_real, f_imag, row, q2, cosine, sine):
    for j in range(f_real.shape[1]):
        real = f_real[row, j] - q2[j] * f_real[row, j]
        imag = f_imag[row, j] - q2[j] * f_imag[row, j]
        f_real[row, j] = cosine * real - sine * imag
        f_imag[row, j] = sine * real + cosine * imag


@jit
def _orders(f_real, f_imag, z_real, z_imag, origin, highest, versine, sine, q1, q2, turn_real, turn_imag):
    """Orders 1 to highest of the states, or of a tangent, through one TR."""
    plain, mirrored = f_real.dtype.type(1.0), f_real.dtype.type(-1.0)
    rows = len(f_real)
    plus = minus = origin
    for k in range(1, highest + 1):
        plus = plus + 1 if plus + 1 < rows else 0
        minus = minus - 1 if minus > 0 else rows - 1
        _pulse(f_real, z_real, plus, minus, k, plain, versine, sine, q1)
        _pulse(f_imag, z_imag, plus, minus, k, mirrored, versine, sine, q1)
        _relax_and_turn(f_real, f_imag, plus, q2, turn_real, turn_imag)
        _relax_and_turn(f_real, f_imag, minus, q2, turn_real, turn_imag)


@jit
def _turn_quarter(f, z, base_f, base_z, origin, highest, mirror, angle):
    """What one part of ∂/∂B1 gains at a pulse of nominal angle, before the pulse acts, at orders from 1."""
    rows = len(f)
    half = f.dtype.type(0.5) * angle
    plus = minus = origin
    for k in range(1, highest + 1):
        plus = plus + 1 if plus + 1 < rows else 0
        minus = minus - 1 if minus > 0 else rows - 1
        for j in range(f.shape[1]):
            f[plus, j] += angle * base_z[k, j]
            f[minus, j] += mirror * angle * base_z[k, j]
            z[k, j] -= half * (base_f[plus, j] + mirror * base_f[minus, j])


@jit
def complex_block(
    flip, tr, te, weight, phase_step, positions, inversion_time, inversion_efficiency,
    t1, t2, b1, order, start, count, width, states, tangents, signal, jacobian, cotangent, gradient,
):  # fmt: skip
    """Simulate voxels ``order[start:start + count]`` and write what is asked for.

    As `kernels_real.real_block`, with ``phase_step`` of shape (N, 2), the real and imaginary part of
    exp(−i(φ_{n+1} − φ_n)), and with real and imaginary parts along a last axis of length 2 in ``signal``, ``jacobian``
    and ``cotangent``. ``gradient`` is real: the sums of Re(cotangent* · derivative).
    """
    real = t1.dtype.type
    one = real(1.0)
    plain, mirrored = real(1.0), real(-1.0)
    pulses = len(flip)
    rows = 2 * states - 1
    sets = 1 + tangents
    f = np.empty((2 * sets, rows, width), t1.dtype)
    z = np.empty((2 * sets, states, width), t1.dtype)
    tile = np.empty((2 * sets, TILE, width), t1.dtype)
    scale = np.ones((sets, width), t1.dtype)
    rate1 = np.empty(width, t1.dtype)
    rate2 = np.empty(width, t1.dtype)
    q1 = np.empty(width, t1.dtype)
    q2 = np.empty(width, t1.dtype)
    qe = np.empty(width, t1.dtype)
    lanes = np.empty((2, width), t1.dtype)
    chosen = np.empty(width, np.int64)
    for j in range(width):
        chosen[j] = order[start + min(j, count - 1)]
    transmit = gather(b1, chosen)
    for j in range(width):
        rate1[j] = one / t1[chosen[j]]
        rate2[j] = one / t2[chosen[j]]
        if tangents >= 2:
            scale[1, j] = rate1[j] * rate1[j]
            scale[2, j] = rate2[j] * rate2[j]

    for position in range(len(positions)):
        f[:] = 0
        z[:] = 0
        for j in range(width):
            recovered = one_minus_exp(inversion_time * rate1[j])
            z[0, 0, j] = (one + inversion_efficiency) * recovered - inversion_efficiency
            if tangents >= 2:
                z[2, 0, j] = (one + inversion_efficiency) * (recovered - one) * inversion_time
        origin = 0
        filled = 0
        for n in range(pulses):
            angle = flip[n] * positions[position]
            versine, sine = rotation(angle, transmit, lanes)
            if n == 0 or tr[n] != tr[n - 1]:
                for j in range(width):
                    q1[j] = one_minus_exp(tr[n] * rate1[j])
                    q2[j] = one_minus_exp(tr[n] * rate2[j])
            if n == 0 or te[n] != te[n - 1]:
                for j in range(width):
                    qe[j] = one_minus_exp(te[n] * rate2[j])
            turn_real, turn_imag = phase_step[n, 0], phase_step[n, 1]

            # Order k matters where pulses have filled it and where it can still come back to be sampled.
            highest = min(n, states - 1, pulses - 1 - n)
            if tangents == 3:
                for j in range(width):
                    f[6, origin, j] += angle * z[0, 0, j]
                    z[6, 0, j] -= angle * f[0, origin, j]
                _turn_quarter(f[6], z[6], f[0], z[0], origin, highest, plain, angle)
                _turn_quarter(f[7], z[7], f[1], z[1], origin, highest, mirrored, angle)
            for p in range(sets):
                # Z0 is real, and with it what a pulse adds to F0: the imaginary part of F0 passes untouched.
                for j in range(width):
                    change = at(sine, j) * z[2 * p, 0, j] - at(versine, j) * f[2 * p, origin, j]
                    new = z[2 * p, 0, j] - at(versine, j) * z[2 * p, 0, j] - at(sine, j) * f[2 * p, origin, j]
                    f[2 * p, origin, j] += change
                    z[2 * p, 0, j] = new - q1[j] * new
                for part in range(2 * p, 2 * p + 2):
                    for j in range(width):
                        tile[part, filled, j] = f[part, origin, j] - qe[j] * f[part, origin, j]
                _relax_and_turn(f[2 * p], f[2 * p + 1], origin, q2, turn_real, turn_imag)
            for j in range(width):
                z[0, 0, j] += q1[j]
            for p in range(sets):
                _orders(f[2 * p], f[2 * p + 1], z[2 * p], z[2 * p + 1], origin, highest,
                        versine, sine, q1, q2, turn_real, turn_imag)  # fmt: skip
            if tangents >= 2:
                lowest = origin - highest
                for part in range(2):
                    for j in range(width):
                        tile[4 + part, filled, j] += te[n] * tile[part, filled, j]
                    add_rows(z[2 + part], z[part], 0, highest + 1, tr[n])
                    add_rows(f[4 + part], f[part], lowest if lowest >= 0 else lowest + rows, 2 * highest + 1, tr[n])
                for j in range(width):
                    z[2, 0, j] -= tr[n]

            # The gradient: every order moves up by one; the row of the highest becomes the empty lowest.
            origin = origin - 1 if origin > 0 else rows - 1
            if n + 1 >= states:
                lowest = origin - (states - 1)
                if lowest < 0:
                    lowest += rows
                f[:, lowest] = 0

            filled += 1
            if filled == TILE or n == pulses - 1:
                first = n + 1 - filled
                for part in range(2):
                    if len(signal) > 0:
                        write(tile[part], scale[0], first, filled, order, start, count,
                              signal[:, :, part], position > 0, weight)  # fmt: skip
                    if len(jacobian) > 0:
                        for p in range(tangents):
                            write(tile[2 * p + 2 + part], scale[p + 1], first, filled, order, start, count,
                                  jacobian[:, :, p, part], position > 0, weight)  # fmt: skip
                    if len(gradient) > 0:
                        for p in range(sets):
                            project(tile[2 * p + part], scale[p], first, filled, order, start, count,
                                    cotangent[:, :, part], gradient[:, p], weight)  # fmt: skip
                filled = 0
