"""Maps against the truth, voxel by voxel: which voxels failed, and how wrong the others are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray
from napari_blochnet.common.colour_limits import Limits, shared_limits
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.maps import ParameterMaps, failures
from napari_blochnet.evaluation.signal_scale import signal_scales
from napari_blochnet.phantoms.phantom import Phantom

__all__ = [
    "PARAMETERS",
    "check_grid",
    "error_maps",
    "failures",
    "limits_of_maps",
    "parameters_of",
    "quantities_of",
    "values_of",
]

#: The parameters that are scored, with their units; PD is relative.
PARAMETERS = {"T1": "ms", "T2": "ms", "PD": ""}


def error_maps(truth: Phantom, maps: ParameterMaps, beside: Sequence[ParameterMaps] = ()) -> dict[str, FloatArray]:
    """Return signed relative errors (estimate − truth)/truth, per cent.

    Parameters
    ----------
    truth : Phantom
    maps : ParameterMaps
        On the truth's grid.
    beside : sequence of ParameterMaps
        Other models' maps, which tell the scale of PD as well where they were made from the same stack.

    Returns
    -------
    dict of str to float32 array of shape (Z, Y, X)
        For T1, T2 and, where there is one, PD (see `napari_blochnet.evaluation.signal_scale`); −100 where the model
        failed, 0 outside what both masks hold.

    Raises
    ------
    InputError
        Maps on another grid.
    """
    check_grid(truth, maps)
    inside = truth.mask & maps.mask
    failed = failures(maps)
    scale = signal_scales(truth, [maps, *(item for item in beside if item.shape == maps.shape)])[0].pd_scale
    result = {}
    for name in parameters_of(maps):
        true = np.where(inside, values_of(truth, name), 1.0).astype(np.float64)
        made = np.where(failed, 0.0, values_of(maps, name)) * (scale if name == "PD" else 1.0)
        result[name] = np.where(inside, 100.0 * (made - true) / true, 0.0).astype(np.float32)
    return result


def parameters_of(source: Phantom | ParameterMaps) -> dict[str, str]:
    """Return those of `PARAMETERS` that there are maps of."""
    return {name: unit for name, unit in PARAMETERS.items() if getattr(source, name.lower()) is not None}


def quantities_of(source: Phantom | ParameterMaps) -> dict[str, str]:
    """Return what of maps can be set against others', with its unit: T1, T2, B1, and what only a dictionary knows.

    PD is in a unit of each model's own. Of a phantom T1 and T2 are compared.
    """
    found = {name: unit for name, unit in parameters_of(source).items() if name != "PD"}
    if isinstance(source, ParameterMaps):
        found |= {"B1": ""} if source.b1 is not None else {}
        found |= {name: other.unit for name, other in source.others.items()}
    return found


def values_of(source: Phantom | ParameterMaps, parameter: str) -> FloatArray:
    """Return the map of a parameter: "T1", "T2", "PD", "B1", or what only a dictionary knows."""
    if isinstance(source, ParameterMaps) and parameter in source.others:
        return source.others[parameter].values
    values: FloatArray = getattr(source, parameter.lower())
    return values


def limits_of_maps(parameter: str, sources: Sequence[Phantom | ParameterMaps], truth: Phantom | None = None) -> Limits:
    """Return the colour limits of a map where nobody has chosen any: of whole volumes, the same wherever drawn.

    Parameters
    ----------
    parameter : str
        Of `quantities_of`.
    sources : sequence of ParameterMaps or Phantom
        What is drawn, at least one; voxels without an estimate have no say.
    truth : Phantom, optional
        Stands for all of them.
    """
    shown = ((values_of(each, parameter), _known(each)) for each in sources if parameter in quantities_of(each))
    return shared_limits(shown, None if truth is None else (values_of(truth, parameter), truth.mask))


def _known(source: Phantom | ParameterMaps) -> BoolArray:
    return source.mask & ~failures(source) if isinstance(source, ParameterMaps) else source.mask


def check_grid(truth: Phantom, maps: ParameterMaps) -> None:
    """Raise `InputError` where maps do not lie on the truth's grid, to a hundredth of a voxel."""
    apart = np.abs(np.asarray(truth.affine) - np.asarray(maps.affine)).max()
    if maps.shape != truth.shape or apart > 0.01 * min(truth.voxel_size):
        raise InputError(
            f"The maps of {maps.estimator} have {maps.shape} voxels (z, y, x) of {maps.geometry.describe()}, "
            f"the truth {truth.name} has {truth.shape} of {truth.geometry.describe()}",
            "the same grid at the same place",
            field="maps",
        )
