"""The extended phase graph of one block of voxels at any RF phase, with its derivatives.

The frame is that of `kernels.real`, F⁺ = −i·exp(iφ_n)·f⁺, F⁻ = i·exp(−iφ_n)·f⁻, and follows the RF phase from pulse to
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
from napari_blochnet.physics.kernels.plays import cross_gap, start_of_play
from napari_blochnet.physics.kernels.sample_rows import TILE, add_to_set, empty_rows, project, write_complex

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
def _play(train, gaps, lanes, memory, position, reached, to_come, recovering, targets, recorded, add):
    """Play the train once, as `kernels.real` does; ``train`` has phase_step behind weight.

    Of ``memory``, f_sets and tile are pairs, of real and imaginary parts; z_sets has the rows of imaginary parts behind
    those of real ones.
    """
    flip, tr, te, weight, phase_step = train
    rows, chosen, rate1, rate2, transmit, scale = lanes
    (fr_sets, fi_sets), z_sets, (tile_real, tile_imag), q1, q2, qe, turns = memory
    signal, jacobian, cotangent, gradient = targets
    gap_of_pulse = gaps[0]
    half = fr_sets.dtype.type(0.5)
    plain, mirrored = fr_sets.dtype.type(1.0), fr_sets.dtype.type(-1.0)
    pulses, ring, sets, width = len(flip), fr_sets.shape[0], fr_sets.shape[1], fr_sets.shape[2]
    states, tangents = len(z_sets) // 2, sets - 1
    by_t1, by_t2, by_b1 = 1, 2, 3
    zr_sets, zi_sets = z_sets[:states], z_sets[states:]
    fr, fi = fr_sets.reshape(ring, sets * width), fi_sets.reshape(ring, sets * width)
    zr, zi = zr_sets.reshape(states, sets * width), zi_sets.reshape(states, sets * width)
    samples_real, samples_imag = tile_real.reshape(TILE, sets * width), tile_imag.reshape(TILE, sets * width)
    fr[:] = 0
    fi[:] = 0
    origin = 0
    filled = 0
    for n in range(pulses):
        if gap_of_pulse[n] >= 0:
            fr[:] = 0
            fi[:] = 0
            cross_gap(z_sets, gaps, gap_of_pulse[n], chosen, scale, recovering)
        angle = flip[n] * position
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
        if recovering:
            for j in range(width):
                zr[0, j] += q1[j]
        if tangents > 0:
            for j in range(width):
                zr_sets[0, by_t1, j] += tr[n] * (zr[0, j] - recovering)
            add_to_set(fr_sets, origin, by_t2, fr_sets, origin, tr[n])
            add_to_set(fi_sets, origin, by_t2, fi_sets, origin, tr[n])
            add_to_set(tile_real, filled, by_t2, tile_real, filled, te[n])
            add_to_set(tile_imag, filled, by_t2, tile_imag, filled, te[n])

        # Order k matters where pulses have filled it and where it can still come back to be sampled.
        highest = min(reached + n, states - 1, to_come + pulses - 1 - n)
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
        if reached + n + 1 >= states:
            fr[(origin + states) % ring] = 0
            fi[(origin + states) % ring] = 0

        if not recorded:
            continue
        filled += 1
        if filled == TILE or n == pulses - 1:
            first = n + 1 - filled
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


@jit
def complex_block(
    flip, tr, te, weight, phase_step, positions, inversion_time, inversion_efficiency,
    gap_of_pulse, kept, gained, kept_slopes, gained_slopes, plays,
    t1, t2, b1, order, start, count, width, states, tangents, signal, jacobian, cotangent, gradient,
):  # fmt: skip
    """Simulate voxels ``order[start:start + count]`` and write what is asked for.

    As `kernels.real.real_block`, with ``phase_step`` of shape (N, 2), the real and imaginary part of
    exp(−i(φ_{n+1} − φ_n)), and with real and imaginary parts alternating along the rows of ``signal``, ``jacobian`` and
    ``cotangent``. ``gradient`` is real: the sums of Re(cotangent* · derivative).
    """
    real = t1.dtype.type
    none, one = real(0.0), real(1.0)
    pulses, sets = len(flip), 1 + tangents
    # One play brings back no order from N on; of many plays more of them are told apart (`start_of_play`).
    orders, states = states, min(states, pulses)
    ring = 2 * states - 1
    by_t1, by_t2 = 1, 2
    # Sets are beside each other, so that they are the lanes of one row as well.
    f_sets = (empty_rows(ring, sets, width, t1), empty_rows(ring, sets, width, t1))
    z_sets = empty_rows(2 * states, sets, width, t1)
    tiles = (empty_rows(TILE, sets, width, t1), empty_rows(TILE, sets, width, t1))
    scale = np.ones((sets, width), t1.dtype)
    rate1 = np.empty(width, t1.dtype)
    rate2 = np.empty(width, t1.dtype)
    lost = empty_rows(3, sets, width, t1).reshape(3, sets * width)
    q1, q2, qe = lost[0], lost[1], lost[2]
    turns = empty_rows(1, 2, sets * width, t1)[0]
    chosen = np.empty(width, np.int64)
    for j in range(width):
        chosen[j] = order[start + min(j, count - 1)]
        rate1[j] = one / t1[chosen[j]]
        rate2[j] = one / t2[chosen[j]]
        if tangents > 0:
            scale[by_t1, j] = rate1[j] * rate1[j]
            scale[by_t2, j] = rate2[j] * rate2[j]
    train = (flip, tr, te, weight, phase_step)
    gaps = (gap_of_pulse, kept, gained, kept_slopes, gained_slopes)
    lanes = (chosen[:count], chosen, rate1, rate2, gather(b1, chosen), scale)
    memory = (f_sets, z_sets, tiles, q1, q2, qe, turns)
    targets = (signal, jacobian, cotangent, gradient)

    for position in range(len(positions)):
        z_sets[:] = 0
        for j in range(width):
            recovered = one_minus_exp(inversion_time * rate1[j])
            z_sets[0, 0, j] = (one + inversion_efficiency) * recovered - inversion_efficiency
            if tangents > 0:
                z_sets[0, by_t1, j] = (one + inversion_efficiency) * (recovered - one) * inversion_time
        at_position = (train, gaps, lanes, memory, positions[position])
        reached = 0
        if plays == 2:
            _play(*at_position, 0, pulses, one, targets, False, False)
            reached = pulses
        elif plays != 1:
            z_sets[:] = 0
            z_sets[0, 0] = one
            _play(*at_position, 0, states, none, targets, False, False)
            kept_orders = z_sets.copy()
            z_sets[:] = 0
            _play(*at_position, 0, states, one, targets, False, False)
            start_of_play(kept_orders, z_sets.copy(), plays, 2, orders, z_sets)
            reached = states
        _play(*at_position, reached, 0, one, targets, True, position > 0)
