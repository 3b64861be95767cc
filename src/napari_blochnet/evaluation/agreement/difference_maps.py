"""Where models differ: maps of signed differences."""

from __future__ import annotations

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.evaluation.agreement.bland_altman import differences
from napari_blochnet.evaluation.error_maps import failures, quantities_of, values_of
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["PARAMETERS", "difference_maps", "shared_quantities"]

#: What is compared in ms, or in per cent of the mean of both; anything else in its own unit.
PARAMETERS = ("T1", "T2")


def shared_quantities(reference: Phantom | ParameterMaps, maps: ParameterMaps) -> dict[str, str]:
    """Return what a reference and a model both have, with its unit; not a B1 map that both were given."""
    own = quantities_of(reference)
    shared = {name: unit for name, unit in quantities_of(maps).items() if own.get(name) == unit}
    if "B1" in shared and np.array_equal(values_of(reference, "B1"), values_of(maps, "B1")):
        del shared["B1"]
    return shared


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
        ``maps − reference`` of what both have, T1 and T2 in per cent of the mean of both, others in their unit; NaN
        where one has no value.
    """
    inside = reference.mask & maps.mask & ~failures(maps)
    if isinstance(reference, ParameterMaps):
        inside &= ~failures(reference)
    result = {}
    for parameter in shared_quantities(reference, maps):
        shown = np.full(maps.shape, np.nan, np.float32)
        first, second = values_of(reference, parameter)[inside], values_of(maps, parameter)[inside]
        shown[inside] = differences(first, second, percent=parameter in PARAMETERS)
        result[parameter] = shown
    return result
