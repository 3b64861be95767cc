"""How values are distributed in a region: what a box plot and histograms show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_blochnet.common.arrays import FloatArray

__all__ = ["Box", "box_of", "histograms"]

# Of the values in a histogram, the share at either end that may lie beyond its bins, per cent.
_BEYOND = 0.5
_FEWEST, _MOST = 10, 80


@dataclass(frozen=True)
class Box:
    """What a box plot shows of values; NaN throughout where there are none.

    Parameters
    ----------
    values : int
        How many.
    lower, upper : float
        Ends of the whiskers: the furthest values within 1.5 interquartile ranges of the box.
    first, median, third : float
        Quartiles, interpolated linearly.
    mean : float
    """

    values: int
    lower: float
    first: float
    median: float
    third: float
    upper: float
    mean: float


def box_of(values: ArrayLike) -> Box:
    """Return quartiles and whiskers.

    Parameters
    ----------
    values : array_like
        Finite.

    References
    ----------
    Tukey, Exploratory Data Analysis (1977); whiskers of 1.5 interquartile ranges.
    """
    known = np.asarray(values, np.float64).ravel()
    if not known.size:
        return Box(0, *(math.nan,) * 6)
    first, median, third = np.percentile(known, (25, 50, 75))
    reach = 1.5 * (third - first)
    # with interpolated quartiles no value may lie between a quartile and its fence: the whisker ends at the box then
    below, above = known[known >= first - reach], known[known <= third + reach]
    lower, upper = min(float(below.min()), float(first)), max(float(above.max()), float(third))
    return Box(known.size, lower, float(first), float(median), float(third), upper, float(known.mean()))


def histograms(several: Sequence[ArrayLike]) -> tuple[FloatArray, list[FloatArray]]:
    """Return histograms of several sets of values with the same bins.

    The bins span from the 0.5th to the 99.5th percentile of all values together; their width is that of Freedman and
    Diaconis (1981), limited to 10 to 80 bins.

    Parameters
    ----------
    several : sequence of array_like
        Finite.

    Returns
    -------
    edges : array of shape (M + 1,)
        In the values' unit; empty where there are none.
    shares : list of arrays of shape (M,)
        Per cent of each set's values; what lies beyond the bins is missing in their sum.
    """
    known = [np.asarray(values, np.float64).ravel() for values in several]
    everything = np.concatenate(known) if known else np.empty(0)
    if not everything.size:
        return np.empty(0), [np.empty(0) for _ in known]
    low, high = (float(end) for end in np.percentile(everything, (_BEYOND, 100 - _BEYOND)))
    if not high > low:
        low, high = low - 0.5, high + 0.5
    first, third = np.percentile(everything, (25, 75))
    width = 2 * (third - first) / everything.size ** (1 / 3)
    bins = int(np.clip(math.ceil((high - low) / width) if width > 0 else _MOST, _FEWEST, _MOST))
    edges: FloatArray = np.linspace(low, high, bins + 1)
    shares: list[FloatArray] = [100.0 * np.histogram(values, edges)[0] / max(values.size, 1) for values in known]
    return edges, shares
