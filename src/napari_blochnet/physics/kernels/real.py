"""The extended phase graph of one block of voxels where the recursion is real, with its derivatives.

In the frame F⁺ = −i·exp(iφ)·f⁺, F⁻ = i·exp(−iφ)·f⁻ a pulse turns ((f⁺ + f⁻)/2, Z) by the flip angle and leaves
f⁺ − f⁻ alone, order by order; nothing is complex where the RF phase is constant or linear in time, modulo 180°.

States live in a ring of 2K − 1 rows for the orders −(K−1) … K−1 of f (f⁻ at the negative ones) with one column for each
voxel: the gradient's shift moves the ring's origin instead of the states. Voxels are contiguous, so that the innermost
loops run on all lanes at once; tangents are more lanes beside them, since all but their sources is the same for them.

Derivatives are carried as T1²·∂/∂T1 and T2²·∂/∂T2, whose sources are the relaxed states times TR, and as ∂/∂B1, whose
source is the state before the pulse, turned by a quarter: a rotation's derivative in its angle commutes with it.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
from __future__ import annotations

import numpy as np

from napari_blochnet.physics.kernels.math import at, decay, gather, jit, one_minus_exp, rotation
from napari_blochnet.physics.kernels.sample_rows import TILE, add_to_set, project, write

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
def real_block(
    flip, tr, te, weight, positions, inversion_time, inversion_efficiency,
    t1, t2, b1, order, start, count, width, states, tangents, signal, jacobian, cotangent, gradient,
):  # fmt: skip
    """Simulate voxels ``order[start:start + count]`` and write what is asked for.

    Parameters
    ----------
    flip, tr, te, weight : arrays of shape (N,)
        Flip angle (radians), TR, TE (ms), and what each sample is multiplied with (±1 over the number of positions).
    positions : array of shape (Q,)
        Relative flip angles across the slice, summed over.
    inversion_time, inversion_efficiency : numbers
        TI in ms and η; η = −1 where there is no inversion.
    t1, t2, b1 : arrays of shape (V,)
        ms, ms, relative. b1 may be None: all voxels share one rotation, which is then a number in the loops.
    order : int64 array of shape (V,)
        Voxels sorted by T2.
    start, count, width : int
        The block, and the lanes it runs on (count ≤ width); idle lanes repeat the last voxel.
    states : int
        Number of orders K kept.
    tangents : int
        0; 2: T1 and T2; 3: and B1.
    signal, jacobian, cotangent, gradient : arrays of shape (V, N), (V·P, N), (V, N), (V, 1 + P)
        Results, each left alone where it is empty: signal, its derivatives; the sums over time of ``cotangent``
        times signal and derivatives, added to ``gradient``.
    """
    real = t1.dtype.type
    one, half = real(1.0), real(0.5)
    pulses, ring, sets = len(flip), 2 * states - 1, 1 + tangents
    by_t1, by_t2, by_b1 = 1, 2, 3
    # The same memory twice: set by set, and as the lanes of all sets together.
    f_sets = np.empty((ring, sets, width), t1.dtype)
    z_sets = np.empty((states, sets, width), t1.dtype)
    tile = np.empty((TILE, sets, width), t1.dtype)
    f = f_sets.reshape(ring, sets * width)
    z = z_sets.reshape(states, sets * width)
    samples = tile.reshape(TILE, sets * width)
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
        f[:] = 0
        z[:] = 0
        for j in range(width):
            recovered = one_minus_exp(inversion_time * rate1[j])
            z_sets[0, 0, j] = (one + inversion_efficiency) * recovered - inversion_efficiency
            if tangents > 0:
                z_sets[0, by_t1, j] = (one + inversion_efficiency) * (recovered - one) * inversion_time
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

            if tangents == 3:
                add_to_set(f_sets, origin, by_b1, z_sets, 0, angle)
                add_to_set(z_sets, 0, by_b1, f_sets, origin, -angle)
            _order_zero(f, z, origin, versine, sine, q1, q2, qe, samples, filled)
            for j in range(width):
                z[0, j] += q1[j]
            if tangents > 0:
                for j in range(width):
                    z_sets[0, by_t1, j] += tr[n] * (z[0, j] - one)
                add_to_set(f_sets, origin, by_t2, f_sets, origin, tr[n])
                add_to_set(tile, filled, by_t2, tile, filled, te[n])

            # Order k matters where pulses have filled it and where it can still come back to be sampled.
            highest = min(n, states - 1, pulses - 1 - n)
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
            if n + 1 >= states:
                f[(origin + states) % ring] = 0

            filled += 1
            if filled == TILE or n == pulses - 1:
                first, add = n + 1 - filled, position > 0
                if len(signal) > 0:
                    write(tile, 0, scale, first, filled, rows, signal, add, weight)
                if len(jacobian) > 0:
                    for p in range(tangents):
                        write(tile, p + 1, scale, first, filled, tangents * rows + p, jacobian, add, weight)
                if len(gradient) > 0:
                    for p in range(sets):
                        project(tile, p, scale, first, filled, rows, cotangent, 0, 1, gradient, weight)
                filled = 0
