"""The extended phase graph of one block of voxels where the recursion is real, with its derivatives.

In the frame F⁺ = −i·exp(iφ)·f⁺, F⁻ = i·exp(−iφ)·f⁻ a pulse turns ((f⁺ + f⁻)/2, Z) by the flip angle and leaves
f⁺ − f⁻ alone, order by order; nothing is complex where the RF phase is constant or linear in time, modulo 180°.

States live in a ring of 2K − 1 rows for the orders −(K−1) … K−1 of f (f⁻ at the negative ones) with one column for each
voxel: the gradient's shift moves the ring's origin instead of the states. Voxels are contiguous, so that the innermost
loops run on all lanes at once; tangents are more lanes beside them, since all but their sources is the same for them.

Derivatives are carried as T1²·∂/∂T1 and T2²·∂/∂T2, whose sources are the relaxed states times TR, and as ∂/∂B1, whose
source is the state before the pulse, turned by a quarter: a rotation's derivative in its angle commutes with it.

What is played between pulses ends f and takes Z affinely. A train that is played again starts from the Z at its end;
after more than two plays, and in the steady state, these follow from what a play does to Z (`plays`).
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
from __future__ import annotations

import numpy as np

from napari_blochnet.physics.kernels.math import at, decay, gather, jit, one_minus_exp, rotation
from napari_blochnet.physics.kernels.plays import cross_gap, start_of_play
from napari_blochnet.physics.kernels.sample_rows import TILE, add_to_set, empty_rows, project, write

__all__ = ["real_block"]


@jit
def _pulse_and_relax(f, z, plus, minus, order, versine, sine, q1, q2):
    """One order from before its pulse to the end of its TR, f at rows plus and minus, in place."""
    half = f.dtype.type(0.5)
    for j in range(f.shape[1]):
        mean = half * (f[plus, j] + f[minus, j])
        change = at(sine, j) * z[order, j] - at(versine, j) * mean
        new = z[order, j] - at(versine, j) * z[order, j] - at(sine, j) * mean
        up = f[plus, j] + change
        down = f[minus, j] + change
        f[plus, j] = up - q2[j] * up
        f[minus, j] = down - q2[j] * down
        z[order, j] = new - q1[j] * new


@jit
def _order_zero(f, z, origin, versine, sine, q1, q2, qe, samples, now):
    """Order 0, where f⁺ and f⁻ are one and the echo is sampled."""
    for j in range(f.shape[1]):
        change = at(sine, j) * z[0, j] - at(versine, j) * f[origin, j]
        new = z[0, j] - at(versine, j) * z[0, j] - at(sine, j) * f[origin, j]
        f[origin, j] += change
        z[0, j] = new - q1[j] * new
    for j in range(f.shape[1]):
        samples[now, j] = f[origin, j] - qe[j] * f[origin, j]
        f[origin, j] -= q2[j] * f[origin, j]


@jit
def _play(train, gaps, lanes, memory, position, reached, to_come, recovering, targets, recorded, add):
    """Play the train once, from the Z that it finds to the Z at the end of its last TR.

    Parameters
    ----------
    train : tuple
        flip, tr, te, weight, as `real_block` takes them.
    gaps : tuple
        gap_of_pulse and the four arrays of `real_block`.
    lanes : tuple
        rows, chosen, rate1, rate2, transmit, scale: the block's voxels and what is known of them.
    memory : tuple
        f_sets, z_sets, tile, q1, q2, qe, turns.
    position : number
        Relative flip angle.
    reached, to_come : int
        Highest order that earlier plays may have left in Z, and how many orders later ones can bring back.
    recovering : number
        1; 0: without recovery and what gaps bring in, which leaves the linear part of the play.
    targets : tuple
        signal, jacobian, cotangent, gradient.
    recorded, add : bool
        Whether samples go into the targets, and whether they are added to what is there.
    """
    flip, tr, te, weight = train
    rows, chosen, rate1, rate2, transmit, scale = lanes
    f_sets, z_sets, tile, q1, q2, qe, turns = memory
    signal, jacobian, cotangent, gradient = targets
    gap_of_pulse = gaps[0]
    half = f_sets.dtype.type(0.5)
    pulses, ring, states, sets, width = len(flip), f_sets.shape[0], z_sets.shape[0], f_sets.shape[1], f_sets.shape[2]
    tangents = sets - 1
    by_t1, by_t2, by_b1 = 1, 2, 3
    f = f_sets.reshape(ring, sets * width)
    z = z_sets.reshape(states, sets * width)
    samples = tile.reshape(TILE, sets * width)
    f[:] = 0
    origin = 0
    filled = 0
    for n in range(pulses):
        if gap_of_pulse[n] >= 0:
            f[:] = 0
            cross_gap(z_sets, gaps, gap_of_pulse[n], chosen, scale, recovering)
        angle = flip[n] * position
        versine, sine = rotation(angle, transmit, turns)
        if n == 0 or tr[n] != tr[n - 1]:
            decay(tr[n], rate1, q1)
            decay(tr[n], rate2, q2)
        if n == 0 or te[n] != te[n - 1]:
            decay(te[n], rate2, qe)

        if tangents == 3:
            add_to_set(f_sets, origin, by_b1, z_sets, 0, angle)
            add_to_set(z_sets, 0, by_b1, f_sets, origin, -angle)
        _order_zero(f, z, origin, versine, sine, q1, q2, qe, samples, filled)
        if recovering:
            for j in range(width):
                z[0, j] += q1[j]
        if tangents > 0:
            for j in range(width):
                z_sets[0, by_t1, j] += tr[n] * (z[0, j] - recovering)
            add_to_set(f_sets, origin, by_t2, f_sets, origin, tr[n])
            add_to_set(tile, filled, by_t2, tile, filled, te[n])

        # Order k matters where pulses have filled it and where it can still come back to be sampled.
        highest = min(reached + n, states - 1, to_come + pulses - 1 - n)
        plus = minus = origin
        for k in range(1, highest + 1):
            plus = plus + 1 if plus + 1 < ring else 0
            minus = minus - 1 if minus > 0 else ring - 1
            if tangents == 3:
                add_to_set(f_sets, plus, by_b1, z_sets, k, angle)
                add_to_set(f_sets, minus, by_b1, z_sets, k, angle)
                add_to_set(z_sets, k, by_b1, f_sets, plus, -half * angle)
                add_to_set(z_sets, k, by_b1, f_sets, minus, -half * angle)
            _pulse_and_relax(f, z, plus, minus, k, versine, sine, q1, q2)
            if tangents > 0:
                add_to_set(z_sets, k, by_t1, z_sets, k, tr[n])
                add_to_set(f_sets, plus, by_t2, f_sets, plus, tr[n])
                add_to_set(f_sets, minus, by_t2, f_sets, minus, tr[n])

        # The gradient: every order moves up by one; the row of the highest becomes the empty lowest.
        origin = origin - 1 if origin > 0 else ring - 1
        if reached + n + 1 >= states:
            f[(origin + states) % ring] = 0

        if not recorded:
            continue
        filled += 1
        if filled == TILE or n == pulses - 1:
            first = n + 1 - filled
            if len(signal) > 0:
                write(tile, 0, scale, first, filled, rows, signal, add, weight)
            if len(jacobian) > 0:
                for p in range(tangents):
                    write(tile, p + 1, scale, first, filled, tangents * rows + p, jacobian, add, weight)
            if len(gradient) > 0:
                for p in range(sets):
                    project(tile, p, scale, first, filled, rows, cotangent, 0, 1, gradient, weight)
            filled = 0


@jit
def real_block(
    flip, tr, te, weight, positions, inversion_time, inversion_efficiency,
    gap_of_pulse, kept, gained, kept_slopes, gained_slopes, plays,
    t1, t2, b1, order, start, count, width, states, tangents, signal, jacobian, cotangent, gradient,
):  # fmt: skip
    """Simulate voxels ``order[start:start + count]`` and write what is asked for.

    Parameters
    ----------
    flip, tr, te, weight : arrays of shape (N,)
        Flip angle (radians), TR without the gap at its end, TE (ms), and what each sample is multiplied with (±1 over
        the number of positions).
    positions : array of shape (Q,)
        Relative flip angles across the slice, summed over.
    inversion_time, inversion_efficiency : numbers
        Of the inversion of a train with no gaps: TI in ms and η; η = −1 where there is no inversion.
    gap_of_pulse : int32 array of shape (N,)
        Number of the gap before each pulse, −1 where there is none.
    kept, gained : arrays of shape (G, V)
        What a gap makes of longitudinal states: Z_0 becomes kept·Z_0 + gained, every other Z_k kept·Z_k.
    kept_slopes, gained_slopes : arrays of shape (G, P, V)
        Their derivatives in T1, T2 (per ms) and B1.
    plays : int
        How often the train is played, the last being recorded; 0: once, in the steady state.
    t1, t2, b1 : arrays of shape (V,)
        ms, ms, relative. b1 may be None: all voxels share one rotation, which is then a number in the loops.
    order : int64 array of shape (V,)
        Voxels sorted by T2.
    start, count, width : int
        The block, and the lanes it runs on (count ≤ width); idle lanes repeat the last voxel.
    states : int
        Number of orders K that are kept, no more than N of them; where the train is played more than twice, of which
        places across the voxel are told apart.
    tangents : int
        0; 2: T1 and T2; 3: and B1.
    signal, jacobian, cotangent, gradient : arrays of shape (V, N), (V·P, N), (V, N), (V, 1 + P)
        Results, each left alone where it is empty: signal, its derivatives; the sums over time of ``cotangent``
        times signal and derivatives, added to ``gradient``.
    """
    real = t1.dtype.type
    none, one = real(0.0), real(1.0)
    pulses, sets = len(flip), 1 + tangents
    # One play brings back no order from N on; of many plays more of them are told apart (`start_of_play`).
    orders, states = states, min(states, pulses)
    ring = 2 * states - 1
    by_t1, by_t2 = 1, 2
    # Sets are beside each other, so that they are the lanes of one row as well.
    f_sets = empty_rows(ring, sets, width, t1)
    z_sets = empty_rows(states, sets, width, t1)
    tile = empty_rows(TILE, sets, width, t1)
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
    train = (flip, tr, te, weight)
    gaps = (gap_of_pulse, kept, gained, kept_slopes, gained_slopes)
    lanes = (chosen[:count], chosen, rate1, rate2, gather(b1, chosen), scale)
    memory = (f_sets, z_sets, tile, q1, q2, qe, turns)
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
            start_of_play(kept_orders, z_sets.copy(), plays, 1, orders, z_sets)
            reached = states
        _play(*at_position, reached, 0, one, targets, True, position > 0)
