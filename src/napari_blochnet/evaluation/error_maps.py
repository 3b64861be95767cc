"""Maps against the truth, voxel by voxel: which voxels failed, and how wrong the others are."""

from __future__ import annotations

from types import EllipsisType

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["PARAMETERS", "check_grid", "error_maps", "failures", "parameters_of", "pd_scale", "values_of"]

#: The parameters that are scored, with their units; PD is relative.
PARAMETERS = {"T1": "ms", "T2": "ms", "PD": ""}


def error_maps(truth: Phantom, maps: ParameterMaps) -> dict[str, FloatArray]:
    """Return signed relative errors (estimate − truth)/truth, per cent.

    Parameters
    ----------
    truth : Phantom
    maps : ParameterMaps
        On the truth's grid.

    Returns
    -------
    dict of str to float32 array of shape (Z, Y, X)
        For T1, T2 and, where there is one, PD (scaled by the median of truth over estimate); −100 where the model
        failed, 0 outside what both masks hold.

    Raises
    ------
    InputError
        Maps on another grid.
    """
    check_grid(truth, maps)
    inside = truth.mask & maps.mask
    failed = failures(maps)
    scale = pd_scale(truth, maps, inside & ~failed)
    result = {}
    for name in parameters_of(maps):
        true = np.where(inside, values_of(truth, name), 1.0).astype(np.float64)
        made = np.where(failed, 0.0, values_of(maps, name)) * (scale if name == "PD" else 1.0)
        result[name] = np.where(inside, 100.0 * (made - true) / true, 0.0).astype(np.float32)
    return result


def failures(maps: ParameterMaps, part: tuple[slice, ...] | EllipsisType = ...) -> BoolArray:
    """Return the mapped voxels without an estimate: rejected, or T1 or T2 not a positive finite number.

    Parameters
    ----------
    maps : ParameterMaps
    part : tuple of slice, optional
        (z, y, x) of the voxels to look at; by default all.
    """
    t1, t2 = maps.t1[part], maps.t2[part]
    with np.errstate(invalid="ignore"):
        good = (t1 > 0) & (t2 > 0) & np.isfinite(t1) & np.isfinite(t2)
    if maps.pd is not None:
        good &= np.isfinite(maps.pd[part])
    return maps.mask[part] & (maps.failed[part] | ~good)


def pd_scale(truth: Phantom, maps: ParameterMaps, voxels: BoolArray) -> float:
    """Return the median of true over estimated PD; 1 where there is none."""
    if maps.pd is None:
        return 1.0
    voxels = voxels & (maps.pd > 0)
    return float(np.median(truth.pd[voxels] / maps.pd[voxels])) if voxels.any() else 1.0


def parameters_of(source: Phantom | ParameterMaps) -> dict[str, str]:
    """Return those of `PARAMETERS` that there are maps of."""
    return {name: unit for name, unit in PARAMETERS.items() if getattr(source, name.lower()) is not None}


def values_of(source: Phantom | ParameterMaps, parameter: str) -> FloatArray:
    """Return the map of a parameter, "T1", "T2" or "PD"."""
    values: FloatArray = getattr(source, parameter.lower())
    return values


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
