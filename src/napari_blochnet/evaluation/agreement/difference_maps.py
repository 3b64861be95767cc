"""Where models differ: maps of signed differences."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.evaluation.agreement.agreement_table import PARAMETERS
from napari_blochnet.evaluation.agreement.bland_altman import differences
from napari_blochnet.evaluation.error_maps import failures, values_of
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["difference_limit", "difference_maps", "round_limit"]


def difference_maps(reference: Phantom | ParameterMaps, maps: ParameterMaps) -> dict[str, FloatArray]:
    """Return maps of the differences of a model from a reference.

    Parameters
    ----------
    reference : Phantom or ParameterMaps
    maps : ParameterMaps
        On the same grid.

    Returns
    -------
    dict of str to float32 array of shape (Z, Y, X)
        For T1 and T2: ``maps − reference`` in per cent of the mean of both; NaN where one has no value.
    """
    inside = reference.mask & maps.mask & ~failures(maps)
    if isinstance(reference, ParameterMaps):
        inside &= ~failures(reference)
    result = {}
    for parameter in PARAMETERS:
        shown = np.full(maps.shape, np.nan, np.float32)
        first, second = values_of(reference, parameter)[inside], values_of(maps, parameter)[inside]
        shown[inside] = differences(first, second, percent=True)
        result[parameter] = shown
    return result


def difference_limit(several: Iterable[FloatArray]) -> float:
    """Return a round limit above nearly all differences of several models, per cent; NaN are none."""
    found = [float(np.percentile(np.abs(known), 98)) for each in several if (known := each[np.isfinite(each)]).size]
    return max(1.0, round_limit(max(found))) if found else 1.0


def round_limit(value: float) -> float:
    """Return the next of 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10 × a power of ten."""
    if not np.isfinite(value) or value <= 0:
        return 1.0
    steps = 10.0 ** np.floor(np.log10(value)) * np.array([1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10])
    return float(steps[min(int(np.searchsorted(steps, value * (1 - 1e-9))), 9)])
