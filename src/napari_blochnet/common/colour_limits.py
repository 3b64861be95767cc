"""Colour limits of maps: the same for the same numbers, on the screen, in figures and in reports.

Limits of several maps are the widest of each one's own, so that they depend neither on the order in which the maps
were made nor on how often.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray

__all__ = ["Limits", "error_limits", "round_up", "shared_limits", "value_limits", "widest"]

#: Lowest and highest value that have a colour of their own.
Limits = tuple[float, float]

# Voxels that show well enough how the values of a map are spread.
_ENOUGH = 2**21
_STEPS = np.array([1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10])


def round_up(value: float) -> float:
    """Return the next of 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10 × a power of ten."""
    if not np.isfinite(value) or value <= 0:
        return 1.0
    steps = _STEPS * 10.0 ** np.floor(np.log10(value))
    return float(steps[np.searchsorted(steps, value * (1 - 1e-9))])


def _inside(values: AnyArray, mask: BoolArray) -> AnyArray:
    # of a large volume every so many slices tell as much, in a fraction of the time
    every = slice(None, None, max(1, min(values.shape[0] // 16, values.size // _ENOUGH)))
    inside: AnyArray = values[every][mask[every]]
    return inside if inside.size else values[mask]


def value_limits(values: AnyArray, mask: BoolArray) -> Limits:
    """Return 0 and a round number above most values; a little fluid with a long T must not darken all tissue.

    Of what lies on both sides of 0, as frequencies do: the same round number below and above it.
    """
    inside = _inside(values, mask)
    inside = inside[np.isfinite(inside)]
    if not inside.size:
        return 0.0, 1.0
    least, most, half = np.percentile(inside, (1, 99, 50))
    if least < 0:
        high = round_up(float(np.percentile(np.abs(inside), 99)))
        return -high, high
    return 0.0, round_up(min(float(most), 2.5 * float(half)))


def shared_limits(
    shown: Iterable[tuple[AnyArray, BoolArray]], truth: tuple[AnyArray, BoolArray] | None = None
) -> Limits:
    """Return the limits of maps that are read against each other: the truth's, or without one the widest of all.

    Parameters
    ----------
    shown : iterable of tuple
        Values of each map, and where to look.
    truth : tuple, optional
        The same of what is true of all of them.
    """
    if truth is not None and truth[1].any():
        return value_limits(*truth)
    return widest(value_limits(*each) for each in shown)


def error_limits(errors: FloatArray, mask: BoolArray | None = None, *, percent: bool = True) -> Limits:
    """Return limits about 0 that hold 98 of 100 errors: a round number, of per cent from 1 to 100.

    Parameters
    ----------
    errors : float array of shape (Z, Y, X)
        Signed; NaN where there is nothing to compare.
    mask : bool array of shape (Z, Y, X), optional
        Where to look; by default everywhere.
    percent : bool
        Whether they are in per cent.
    """
    known = np.isfinite(errors) if mask is None else mask & np.isfinite(errors)
    inside = _inside(errors, known)
    high = round_up(float(np.percentile(np.abs(inside), 98))) if inside.size else 1.0
    high = min(100.0, max(1.0, high)) if percent else high
    return -high, high


def widest(several: Iterable[Limits]) -> Limits:
    """Return the least low and the greatest high of limits, at least one pair."""
    lows, highs = zip(*several, strict=True)
    return min(lows), max(highs)
