"""What the kernels share of what lies between pulses, and of trains that are played again.

A gap holds preparations and delays, and before the first pulse of a train that is played again its recovery. To the
kernels it is what it does to a voxel: transverse states end, Z_0 becomes kept·Z_0 + gained, every other Z_k kept·Z_k.

So does a whole play, place by place across the voxel: where one gradient turns by θ, Mz(θ) becomes a(θ)·Mz(θ) + b(θ),
for nothing transverse lives from one play to the next. The orders of a are what a play without recovery leaves of
Z_0 = 1, those of b what a play leaves of nothing. With these two, Mz at the start of any later play, or b/(1 − a) of
the steady state, follows at each place, and from the places its orders.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
from __future__ import annotations

import numpy as np

from napari_blochnet.physics.kernels.math import jit

__all__ = ["cross_gap", "start_of_play"]


@jit
def cross_gap(z_sets, gaps, gap, chosen, scale, recovering):
    """Take longitudinal states (order, set, lane) through a gap.

    Parameters
    ----------
    z_sets : array of shape (K, 1 + P, lanes)
        Set 0 and the tangents, carried as derivatives over ``scale``.
    gaps : tuple
        gap_of_pulse, kept, gained, kept_slopes, gained_slopes, as `real_block` takes them.
    gap : int
    chosen : array of shape (lanes,)
        Voxels of the lanes.
    scale : array of shape (1 + P, lanes)
    recovering : number
        1; 0: leave out what the gap brings in.
    """
    _, kept, gained, kept_slopes, gained_slopes = gaps
    states, sets, width = z_sets.shape
    factor = np.empty(width, z_sets.dtype)
    slope = np.empty(width, z_sets.dtype)
    for j in range(width):
        factor[j] = kept[gap, chosen[j]]
    for p in range(1, sets):
        for j in range(width):
            slope[j] = kept_slopes[gap, p - 1, chosen[j]] / scale[p, j]
        for k in range(states):
            for j in range(width):
                z_sets[k, p, j] = factor[j] * z_sets[k, p, j] + slope[j] * z_sets[k, 0, j]
        for j in range(width):
            z_sets[0, p, j] += recovering * gained_slopes[gap, p - 1, chosen[j]] / scale[p, j]
    for k in range(states):
        for j in range(width):
            z_sets[k, 0, j] *= factor[j]
    for j in range(width):
        z_sets[0, 0, j] += recovering * gained[gap, chosen[j]]


@jit
def _add(target, row, source, source_row, factor):
    for j in range(target.shape[1]):
        target[row, j] += factor * source[source_row, j]


@jit
def _magnetisation(a, b, plays, m):
    """Mz before play ``plays`` (0: in the steady state) into m, from a and b, all (set, lane); a and b are used up."""
    sets, width = m.shape
    one = m.dtype.type(1.0)
    if plays == 0:
        # A T1 of days leaves no difference that this precision holds.
        least = m.dtype.type(np.finfo(m.dtype).eps)
        for j in range(width):
            m[0, j] = b[0, j] / max(one - a[0, j], least)
        for p in range(1, sets):
            for j in range(width):
                m[p, j] = (b[p, j] + a[p, j] * m[0, j]) / max(one - a[0, j], least)
        return
    m[:] = 0
    m[0] = one
    # Equilibrium through plays − 1 of them, by the bits of that number: the map is squared from one to the next.
    remaining = plays - 1
    while remaining > 0:
        if remaining % 2 == 1:
            for p in range(1, sets):
                for j in range(width):
                    m[p, j] = a[0, j] * m[p, j] + a[p, j] * m[0, j] + b[p, j]
            for j in range(width):
                m[0, j] = a[0, j] * m[0, j] + b[0, j]
        for p in range(1, sets):
            for j in range(width):
                b[p, j] += a[0, j] * b[p, j] + a[p, j] * b[0, j]
                a[p, j] *= a[0, j] + a[0, j]
        for j in range(width):
            b[0, j] += a[0, j] * b[0, j]
            a[0, j] *= a[0, j]
        remaining //= 2


@jit
def start_of_play(kept, gained, plays, parts, orders, start):
    """Write the longitudinal states that a play starts from.

    Parameters
    ----------
    kept, gained : arrays of shape (parts·K, 1 + P, lanes)
        Longitudinal states that a play without recovery leaves of Z_0 = 1, and a play with it of nothing.
    plays : int
        The play, counted from 1, the first of which starts from equilibrium; 0: that of the steady state.
    parts : int
        1: real states; 2: the rows of their real parts, then those of their imaginary parts.
    orders : int
        How many orders of Mz are told apart, K or more: many plays leave more of them than a single one has use for.
    start : array of shape (parts·K, 1 + P, lanes)
        Receives the states.
    """
    rows, sets, width = start.shape
    states, lanes = rows // parts, sets * width
    # As many places as tell all orders of a finite number of plays apart where none is cut off. Real states are
    # symmetric about θ = 0: half of the circle is enough.
    half = (3 * orders + 1) // 2 + 1
    waves = np.cos(np.arange(4 * half) * (np.pi / (2 * half))).astype(start.dtype)
    share = start.dtype.type(1.0 / (half * parts))
    two = start.dtype.type(2.0)
    kept_rows, gained_rows, into = kept.reshape(rows, lanes), gained.reshape(rows, lanes), start.reshape(rows, lanes)
    here_sets = np.empty((3, sets, width), start.dtype)
    here = here_sets.reshape(3, lanes)
    into[:] = 0
    for place in range(half * parts):
        here[0], here[1] = kept_rows[0], gained_rows[0]
        for k in range(1, states):
            turn = k * (2 * place + 1)
            cosine = waves[turn % (4 * half)]
            _add(here, 0, kept_rows, k, two * cosine)
            _add(here, 1, gained_rows, k, two * cosine)
            if parts == 2:
                sine = waves[(turn + 3 * half) % (4 * half)]
                _add(here, 0, kept_rows, states + k, -two * sine)
                _add(here, 1, gained_rows, states + k, -two * sine)
        _magnetisation(here_sets[0], here_sets[1], plays, here_sets[2])
        for k in range(states):
            turn = k * (2 * place + 1)
            _add(into, k, here, 2, share * waves[turn % (4 * half)])
            if parts == 2 and k > 0:
                _add(into, states + k, here, 2, -share * waves[(turn + 3 * half) % (4 * half)])
