"""The extended phase graph of one block of voxels at any RF phase, with its derivatives.

The frame is that of `kernels_real`, F⁺ = −i·exp(iφ_n)·f⁺, F⁻ = i·exp(−iφ_n)·f⁻, and follows the RF phase from pulse to
pulse. In it a pulse is still a real rotation, which acts on real and imaginary parts one by one; what is complex is the
turn of the frame by exp(−i(φ_{n+1} − φ_n)) during the TR. The ring of 2K − 1 rows holds f⁺ at orders 0 … K−1 and the
conjugate of f⁻ at the negative ones, so that this turn is the same for all rows and order 0 passes from one side to the
other as it is.

Real and imaginary parts are stored apart.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
from __future__ import annotations

import numpy as np

from napari_blochnet.physics.kernels.math import at, decay, gather, jit, one_minus_exp, rotation
from napari_blochnet.physics.kernels.sample_rows import TILE, add_to_set, project, write_complex

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
def _order_zero(f_real, f_imag, z, origin, versine, sine, q1, q2, qe, turn_real, turn_imag, real, imag, now):
    """Order 0, where the echo is sampled. Z0 is real, and with it what a pulse adds to F0."""
    for j in range(f_real.shape[1]):
        change = at(sine, j) * z[0, j] - at(versine, j) * f_real[origin, j]
        new = z[0, j] - at(versine, j) * z[0, j] - at(sine, j) * f_real[origin, j]
        f_real[origin, j] += change
        z[0, j] = new - q1[j] * new
    for j in range(f_real.shape[1]):
        real[now, j] = f_real[origin, j] - qe[j] * f_real[origin, j]
        imag[now, j] = f_imag[origin, j] - qe[j] * f_imag[origin, j]
    _relax_and_turn(f_real, f_imag, origin, q2, turn_real, turn_imag)


@jit
def complex_block(
    flip, tr, te, weight, phase_step, positions, inversion_time, inversion_efficiency,
    t1, t2, b1, order, start, count, width, states, tangents, signal, jacobian, cotangent, gradient,
):  # fmt: skip
    """Simulate voxels ``order[start:start + count]`` and write what is asked for.

    As `kernels_real.real_block`, with ``phase_step`` of shape (N, 2), the real and imaginary part of
    exp(−i(φ_{n+1} − φ_n)), and with real and imaginary parts alternating along the rows of ``signal``, ``jacobian`` and
    ``cotangent``. ``gradient`` is real: the sums of Re(cotangent* · derivative).
    """
    real = t1.dtype.type
    one, half = real(1.0), real(0.5)
    plain, mirrored = real(1.0), real(-1.0)
    pulses, ring, sets = len(flip), 2 * states - 1, 1 + tangents
    by_t1, by_t2, by_b1 = 1, 2, 3
    # The same memory twice: set by set, and as the lanes of all sets together.
    fr_sets = np.empty((ring, sets, width), t1.dtype)
    fi_sets = np.empty((ring, sets, width), t1.dtype)
    zr_sets = np.empty((states, sets, width), t1.dtype)
    zi_sets = np.empty((states, sets, width), t1.dtype)
    tile_real = np.empty((TILE, sets, width), t1.dtype)
    tile_imag = np.empty((TILE, sets, width), t1.dtype)
    fr, fi = fr_sets.reshape(ring, sets * width), fi_sets.reshape(ring, sets * width)
    zr, zi = zr_sets.reshape(states, sets * width), zi_sets.reshape(states, sets * width)
    samples_real, samples_imag = tile_real.reshape(TILE, sets * width), tile_imag.reshape(TILE, sets * width)
    scale = np.ones((sets, width), t1.dtype)
    rate1 = np.empty(width, t1.dtype)
    rate2 = np.empty(width, t1.dtype)
    q1 = np.empty(sets * width, t1.dtype)
    q2 = np.empty(sets * width, t1.dtype)
    qe = np.empty(sets * width, t1.dtype)
    turns = np.empty((2, sets * width), t1.dtype)
    chosen = np.empty(width, np.int64)
    for j in range(width):
        chosen[j] = order[start + min(j, count - 1)]
        rate1[j] = one / t1[chosen[j]]
        rate2[j] = one / t2[chosen[j]]
        if tangents > 0:
            scale[by_t1, j] = rate1[j] * rate1[j]
            scale[by_t2, j] = rate2[j] * rate2[j]
    rows = chosen[:count]
    transmit = gather(b1, chosen)

    for position in range(len(positions)):
        fr[:] = 0
        fi[:] = 0
        zr[:] = 0
        zi[:] = 0
        for j in range(width):
            recovered = one_minus_exp(inversion_time * rate1[j])
            zr_sets[0, 0, j] = (one + inversion_efficiency) * recovered - inversion_efficiency
            if tangents > 0:
                zr_sets[0, by_t1, j] = (one + inversion_efficiency) * (recovered - one) * inversion_time
        origin = 0
        filled = 0
        for n in range(pulses):
            angle = flip[n] * positions[position]
            versine, sine = rotation(angle, transmit, turns)
            if n == 0 or tr[n] != tr[n - 1]:
                decay(tr[n], rate1, q1)
                decay(tr[n], rate2, q2)
            if n == 0 or te[n] != te[n - 1]:
                decay(te[n], rate2, qe)
            turn_real, turn_imag = phase_step[n, 0], phase_step[n, 1]

            if tangents == 3:
                add_to_set(fr_sets, origin, by_b1, zr_sets, 0, angle)
                add_to_set(zr_sets, 0, by_b1, fr_sets, origin, -angle)
            _order_zero(fr, fi, zr, origin, versine, sine, q1, q2, qe, turn_real, turn_imag,
                        samples_real, samples_imag, filled)  # fmt: skip
            for j in range(width):
                zr[0, j] += q1[j]
            if tangents > 0:
                for j in range(width):
                    zr_sets[0, by_t1, j] += tr[n] * (zr[0, j] - one)
                add_to_set(fr_sets, origin, by_t2, fr_sets, origin, tr[n])
                add_to_set(fi_sets, origin, by_t2, fi_sets, origin, tr[n])
                add_to_set(tile_real, filled, by_t2, tile_real, filled, te[n])
                add_to_set(tile_imag, filled, by_t2, tile_imag, filled, te[n])

            # Order k matters where pulses have filled it and where it can still come back to be sampled.
            highest = min(n, states - 1, pulses - 1 - n)
            plus = minus = origin
            for k in range(1, highest + 1):
                plus = plus + 1 if plus + 1 < ring else 0
                minus = minus - 1 if minus > 0 else ring - 1
                if tangents == 3:
                    add_to_set(fr_sets, plus, by_b1, zr_sets, k, angle)
                    add_to_set(fi_sets, plus, by_b1, zi_sets, k, angle)
                    add_to_set(fr_sets, minus, by_b1, zr_sets, k, angle)
                    add_to_set(fi_sets, minus, by_b1, zi_sets, k, -angle)
                    add_to_set(zr_sets, k, by_b1, fr_sets, plus, -half * angle)
                    add_to_set(zi_sets, k, by_b1, fi_sets, plus, -half * angle)
                    add_to_set(zr_sets, k, by_b1, fr_sets, minus, -half * angle)
                    add_to_set(zi_sets, k, by_b1, fi_sets, minus, half * angle)
                _pulse(fr, zr, plus, minus, k, plain, versine, sine, q1)
                _pulse(fi, zi, plus, minus, k, mirrored, versine, sine, q1)
                _relax_and_turn(fr, fi, plus, q2, turn_real, turn_imag)
                _relax_and_turn(fr, fi, minus, q2, turn_real, turn_imag)
                if tangents > 0:
                    add_to_set(zr_sets, k, by_t1, zr_sets, k, tr[n])
                    add_to_set(zi_sets, k, by_t1, zi_sets, k, tr[n])
                    add_to_set(fr_sets, plus, by_t2, fr_sets, plus, tr[n])
                    add_to_set(fi_sets, plus, by_t2, fi_sets, plus, tr[n])
                    add_to_set(fr_sets, minus, by_t2, fr_sets, minus, tr[n])
                    add_to_set(fi_sets, minus, by_t2, fi_sets, minus, tr[n])

            # The gradient: every order moves up by one; the row of the highest becomes the empty lowest.
            origin = origin - 1 if origin > 0 else ring - 1
            if n + 1 >= states:
                fr[(origin + states) % ring] = 0
                fi[(origin + states) % ring] = 0

            filled += 1
            if filled == TILE or n == pulses - 1:
                first, add = n + 1 - filled, position > 0
                if len(signal) > 0:
                    write_complex(tile_real, tile_imag, 0, scale, first, filled, rows, signal, add, weight)
                if len(jacobian) > 0:
                    for p in range(tangents):
                        write_complex(tile_real, tile_imag, p + 1, scale, first, filled, tangents * rows + p,
                                      jacobian, add, weight)  # fmt: skip
                if len(gradient) > 0:
                    for p in range(sets):
                        project(tile_real, p, scale, first, filled, rows, cotangent, 0, 2, gradient, weight)
                        project(tile_imag, p, scale, first, filled, rows, cotangent, 1, 2, gradient, weight)
                filled = 0
