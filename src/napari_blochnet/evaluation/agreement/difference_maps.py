"""Where models differ: maps of signed differences."""

from __future__ import annotations

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.evaluation.agreement.bland_altman import differences
from napari_blochnet.evaluation.error_maps import failures, values_of
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["PARAMETERS", "difference_maps"]

#: What is compared; both in ms.
PARAMETERS = ("T1", "T2")


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
