"""The extended phase graph of one block of voxels where the recursion is real, with its derivatives.

In the frame F⁺ = −i·exp(iφ)·f⁺, F⁻ = i·exp(−iφ)·f⁻ a pulse turns ((f⁺ + f⁻)/2, Z) by the flip angle and leaves
f⁺ − f⁻ alone, order by order; nothing is complex where the RF phase is constant or linear in time, modulo 180°.

States live in a ring of 2K − 1 rows for the orders −(K−1) … K−1 of f (f⁻ at the negative ones) with one column for each
voxel: the gradient's shift moves the ring's origin instead of the states. Voxels are contiguous, so that the innermost
loops run on all lanes. Tangents go through the same loops one by one: compilers give up where one holds many arrays.

Derivatives are carried as T1²·∂/∂T1 and T2²·∂/∂T2, whose sources are the relaxed states times TR, and as ∂/∂B1, whose
source is the state before the pulse, turned by a quarter: a rotation's derivative in its angle commutes with it.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
from __future__ import annotations

import numpy as np

from napari_blochnet.physics.kernels_math import at, gather, jit, one_minus_exp, rotation
from napari_blochnet.physics.kernels_samples import TILE, add_rows, project, write

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
def _orders(f, z, origin, highest, versine, sine, q1, q2):
    """Orders 1 to highest of the states, or of a tangent, through one TR."""
    rows = len(f)
    plus = minus = origin
    for k in range(1, highest + 1):
        plus = plus + 1 if plus + 1 < rows else 0
        minus = minus - 1 if minus > 0 else rows - 1
        _pulse_and_relax(f, z, plus, minus, k, versine, sine, q1, q2)


@jit
def _turn_quarter(f, z, base_f, base_z, origin, highest, angle):
    """What ∂/∂B1 gains at a pulse of nominal angle, before the pulse acts: the states turned by a quarter."""
    rows = len(f)
    half = f.dtype.type(0.5) * angle
    for j in range(f.shape[1]):
        f[origin, j] += angle * base_z[0, j]
        z[0, j] -= angle * base_f[origin, j]
    plus = minus = origin
    for k in range(1, highest + 1):
        plus = plus + 1 if plus + 1 < rows else 0
        minus = minus - 1 if minus > 0 else rows - 1
        for j in range(f.shape[1]):
            f[plus, j] += angle * base_z[k, j]
            f[minus, j] += angle * base_z[k, j]
            z[k, j] -= half * (base_f[plus, j] + base_f[minus, j])


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
    signal, jacobian, cotangent, gradient : arrays of shape (V, N), (V, N, P), (V, N), (V, 1 + P)
        Results, each left alone where it is empty: signal, its derivatives; the sums over time of ``cotangent``
        times signal and derivatives, added to ``gradient``.
    """
    real = t1.dtype.type
    one = real(1.0)
    pulses = len(flip)
    rows = 2 * states - 1
    f = np.empty((1 + tangents, rows, width), t1.dtype)
    z = np.empty((1 + tangents, states, width), t1.dtype)
    f0, z0 = f[0], z[0]
    tile = np.empty((1 + tangents, TILE, width), t1.dtype)
    scale = np.ones((1 + tangents, width), t1.dtype)
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
            z0[0, j] = (one + inversion_efficiency) * recovered - inversion_efficiency
            if tangents >= 2:
                z[1, 0, j] = (one + inversion_efficiency) * (recovered - one) * inversion_time
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

            # Order k matters where pulses have filled it and where it can still come back to be sampled.
            highest = min(n, states - 1, pulses - 1 - n)
            if tangents == 3:
                _turn_quarter(f[3], z[3], f0, z0, origin, highest, angle)
            for j in range(width):
                change = at(sine, j) * z0[0, j] - at(versine, j) * f0[origin, j]
                new = z0[0, j] - at(versine, j) * z0[0, j] - at(sine, j) * f0[origin, j]
                sample = f0[origin, j] + change
                tile[0, filled, j] = sample - qe[j] * sample
                f0[origin, j] = sample - q2[j] * sample
                z0[0, j] = new + q1[j] * (one - new)
            for p in range(1, 1 + tangents):
                for j in range(width):
                    change = at(sine, j) * z[p, 0, j] - at(versine, j) * f[p, origin, j]
                    new = z[p, 0, j] - at(versine, j) * z[p, 0, j] - at(sine, j) * f[p, origin, j]
                    sample = f[p, origin, j] + change
                    tile[p, filled, j] = sample - qe[j] * sample
                    f[p, origin, j] = sample - q2[j] * sample
                    z[p, 0, j] = new - q1[j] * new
            for p in range(1 + tangents):
                _orders(f[p], z[p], origin, highest, versine, sine, q1, q2)
            if tangents >= 2:
                for j in range(width):
                    tile[2, filled, j] += te[n] * tile[0, filled, j]
                    z[1, 0, j] -= tr[n]
                add_rows(z[1], z0, 0, highest + 1, tr[n])
                lowest = origin - highest
                add_rows(f[2], f0, lowest if lowest >= 0 else lowest + rows, 2 * highest + 1, tr[n])

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
                if len(signal) > 0:
                    write(tile[0], scale[0], first, filled, order, start, count, signal, position > 0, weight)
                if len(jacobian) > 0:
                    for p in range(tangents):
                        write(tile[p + 1], scale[p + 1], first, filled, order, start, count,
                              jacobian[:, :, p], position > 0, weight)  # fmt: skip
                if len(gradient) > 0:
                    for p in range(tangents + 1):
                        project(tile[p], scale[p], first, filled, order, start, count,
                                cotangent, gradient[:, p], weight)  # fmt: skip
                filled = 0
