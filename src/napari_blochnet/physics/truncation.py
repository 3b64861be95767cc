"""How many orders a fingerprint needs for an error that was promised.

Order k reached at pulse n only counts if k more shifts bring it back to be sampled, so k ≤ min(n, N − 1 − n); what
comes back was transverse for 2k TRs at least, and at most x = exp(−2k·TR/T2) of it is left. For the shortest TR that is
K = T2·ln(1/x)/(2·TR) + 2 orders. x bounds the lost norm of the states, not the error of a fingerprint, so x is checked
once for each schedule against all orders on a few tissues, and lowered where it fails.

A longitudinal order lives through what is played between pulses and into the next play of the train; transverse ones do
not, so that the TRs that end in a gap, and the last of each play, shift nothing on. With S shifts that do, over all
plays, k ≤ S // 2. Of many plays that is far more than what comes back from them: the first few hundred pulses forget
most of what they began with. So for these a bound is doubled, from the orders that one play makes, until no
fingerprint of the tissues changes.

Orders that keep less than 1e-20 are left out always: no precision here can hold them beside the signal, and numbers
that small end as subnormal ones, on which processors are many times slower.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from napari_blochnet.common.arrays import FloatArray, IntArray
from napari_blochnet.physics.kernels.launch import StateCount, simulate_blocks
from napari_blochnet.physics.kernels.pulses import pulses_of
from napari_blochnet.physics.preparation_maps import gap_of_pulse
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["all_states", "fixed_states", "states_for_tolerance"]

# Tissues on which x is checked, ms: six T2, each with the T1 of equal, moderate and very long relaxation.
_T2 = np.array([10.0, 30.0, 80.0, 200.0, 600.0, 2000.0])
_T1_OVER_T2 = np.array([1.0, 8.0, 500.0])
_LONGEST_T1 = 5000.0
_NOTHING = 1e-20
_UNBOUNDED = 2**31 - 1
# What the exact fingerprints of a check may lack, over the tolerance that is checked.
_EXACT = 1e-6
# Of the tolerance, what a bound on the orders of many plays may take.
_BY_BOUND = 0.1
# Transmit fields on which it is checked besides 1 where B1 is given.
_B1 = (0.7, 1.0, 1.3)


def all_states(schedule: Schedule) -> int:
    """Return the number of orders that can be sampled at all.

    (N + 1) // 2 of a plain train. More where it is played again, fewer where gaps end transverse states; of a steady
    state all that are numbers here.
    """
    shifts = _shifts(schedule)
    if schedule.trains == "steady":
        return _UNBOUNDED if shifts else 1
    return schedule.trains * shifts // 2 + 1


def _shifts(schedule: Schedule) -> int:
    """Return how many TRs of one play end with transverse states that the next pulse finds."""
    return len(schedule) - 1 - int(np.count_nonzero(gap_of_pulse(schedule)[1:] >= 0))


def fixed_states(schedule: Schedule, states: int) -> StateCount:
    """Return a rule that keeps ``states`` orders everywhere, but for those that hold nothing."""
    return lambda t2: np.minimum(_orders(schedule, t2, _NOTHING), states)


def states_for_tolerance(schedule: Schedule, tolerance: float, *, with_b1: bool = False) -> StateCount:
    """Return the rule that keeps a fingerprint's NRMSE by truncation within ``tolerance``.

    Parameters
    ----------
    schedule : Schedule
    tolerance : float
        ‖truncated − exact‖/‖exact‖ promised, between 0 and 1.
    with_b1 : bool
        Whether transmit fields other than 1 will occur (0.7 to 1.3 are checked).

    Returns
    -------
    callable
        From T2 (ms, array) to the number of orders.
    """
    fraction, most = _checked_rule(schedule, tolerance, with_b1)
    return lambda t2: np.minimum(_orders(schedule, t2, fraction), most)


def _orders(schedule: Schedule, t2: FloatArray, fraction: float) -> IntArray:
    shortest = float(schedule.repetition_time.min())
    needed = np.ceil(np.asarray(t2, np.float64) * (-np.log(fraction) / (2.0 * shortest))) + 2.0
    kept: IntArray = np.minimum(needed, all_states(schedule)).astype(np.int64)
    return kept


@lru_cache(maxsize=256)
def _checked_rule(schedule: Schedule, tolerance: float, with_b1: bool) -> tuple[float, int]:
    """Return the fraction x that may be lost, and a bound on the orders kept at any T2."""
    t2, ratio = (axis.ravel() for axis in np.meshgrid(_T2, _T1_OVER_T2))
    t1 = np.minimum(t2 * ratio, np.maximum(_LONGEST_T1, t2))
    profile = np.ones(1) if schedule.slice_profile is None else schedule.slice_profile
    # A position across the slice is a transmit field: the middle one and the largest stand for all.
    scales = np.unique([np.median(profile), profile.max()])
    transmit = np.unique(np.outer(scales, _B1 if with_b1 else (1.0,)))
    b1 = np.repeat(transmit, len(t1))
    t1, t2 = np.tile(t1, len(transmit)), np.tile(t2, len(transmit))
    pulses = pulses_of(schedule.replace(slice_profile=None), np.dtype(np.float64))
    samples = np.float64 if pulses.is_real else np.complex128

    def simulate(states: StateCount, voxels: IntArray) -> np.ndarray:
        signal = np.empty((len(voxels), len(schedule)), samples)
        # A block keeps what its longest T2 needs, which would hide what the others lose: one T2 at a time.
        for value in np.unique(t2[voxels]):
            same = t2[voxels] == value
            part = np.empty((np.count_nonzero(same), len(schedule)), samples)
            chosen = voxels[same]
            simulate_blocks(pulses, t1[chosen], t2[chosen], b1[chosen], states, signal=part)
            signal[same] = part
        return signal

    every = np.arange(len(t1))
    most = all_states(schedule)
    if schedule.is_plain or most <= len(schedule):
        exact = simulate(fixed_states(schedule, most), every)
    else:
        exact, most = _many_plays(schedule, tolerance, lambda states: simulate(states, every))
    norm = np.linalg.norm(exact, axis=1)
    fraction = min(0.1, 100.0 * tolerance)
    # A tissue without signal (all flip angles zero) has no error either.
    doubtful = every[norm > 0]
    while fraction > 1e-16:
        doubtful = doubtful[_orders(schedule, t2[doubtful], fraction) < most]
        if len(doubtful) == 0:
            break
        lost = simulate(lambda t: _orders(schedule, t, fraction), doubtful) - exact[doubtful]  # noqa: B023 - used at once
        # Half of what is promised: other tissues than these may lose a little more.
        failed = np.linalg.norm(lost, axis=1) > 0.5 * tolerance * norm[doubtful]
        if not failed.any():
            break
        fraction *= 0.3
    return fraction, most


def _many_plays(
    schedule: Schedule, tolerance: float, simulate: Callable[[StateCount], np.ndarray]
) -> tuple[np.ndarray, int]:
    """Return fingerprints of a train that is played again, and how many orders they need at most."""
    least = max(_NOTHING, _EXACT * tolerance)

    def kept(most: int) -> np.ndarray:
        return simulate(lambda t2: np.minimum(_orders(schedule, t2, least), most))

    most, bound = _shifts(schedule) + 1, all_states(schedule)
    fewer = kept(most)
    while most < bound:
        more = kept(2 * most)
        changed = np.linalg.norm(more - fewer, axis=1) > _BY_BOUND * tolerance * np.linalg.norm(more, axis=1)
        if not changed.any():
            return more, most
        most, fewer = 2 * most, more
    return fewer, bound
