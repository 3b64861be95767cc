"""Where maps and truth meet: the part of a phantom that maps cover, and signed errors for layers."""

from __future__ import annotations

import warnings

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import DataWarning
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.grids import turned_onto
from napari_blochnet.common.plain_text import counted
from napari_blochnet.evaluation.error_maps import error_maps
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.phantoms.laying import turn_phantom
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["part_of_truth", "signed_errors", "summary", "turned_maps"]

# Median residual from which on it is said that most of what was mapped may be background.
_NOISY = 0.5


def part_of_truth(phantom: Phantom, other: FingerprintStack | ParameterMaps) -> Phantom | None:
    """Return the part of a phantom that a stack or maps cover, turned to lie like them; None where it has none."""
    return turn_phantom(phantom, other.shape[-3:], other.geometry)


def turned_maps(maps: ParameterMaps, shape: tuple[int, int, int], geometry: Geometry) -> ParameterMaps:
    """Return maps as they lie on a grid, where turning brings them there; otherwise as they are.

    A `DataWarning` tells where they were turned.
    """
    named = {"name": f"{maps.estimator}'s set of maps", "onto": "the first"}
    laid = turned_onto(maps.mask, maps.geometry, shape, geometry, **named)
    if laid is None or laid.how == "same":
        return maps
    warnings.warn(laid.note, DataWarning, stacklevel=3)
    volumes = maps.volumes().items()
    turned = {key: turned_onto(array, maps.geometry, shape, geometry, **named) for key, array in volumes}
    changes = {key: found.data for key, found in turned.items() if found is not None}
    return maps.with_volumes(changes, voxel_size=geometry.voxel_size, affine=geometry.affine)


def signed_errors(truth: Phantom, maps: ParameterMaps) -> dict[str, FloatArray]:
    """Return error maps to look at: of T1 and T2, per cent, NaN where there is nothing to compare.

    See `napari_blochnet.evaluation.error_maps.error_maps`, which are 0 there: what is drawn must tell no error from no
    voxel.
    """
    found = error_maps(truth, maps)
    inside = truth.mask & maps.mask
    times = [name for name in ("T1", "T2") if name in found]
    return {name: np.where(inside, found[name], np.float32(np.nan)) for name in times}


def summary(maps: ParameterMaps, errors: dict[str, FloatArray] | None) -> str:
    """Return one sentence about how good maps are: beside the truth, and how much of the signal they leave unexplained.

    An estimator that fits wrong models says so by its residual alone, where no truth is known.
    """
    failed = int(maps.failed.sum())
    lost = f" {counted(failed, 'voxel', ',')} got no answer." if failed else ""
    scored = maps.mask & ~maps.failed
    if errors:
        scored &= np.all([np.isfinite(values) for values in errors.values()], axis=0)
    parts = []
    if errors and scored.any():
        parts = [f"{name} {np.median(np.abs(values[scored])):.2g} %" for name, values in errors.items()]
        parts[0] = f"|error| {parts[0]}"
    answered = maps.mask & ~maps.failed
    if maps.residual is not None and answered.any():
        residual = float(np.median(maps.residual[answered]))
        parts.append(f"residual {100 * residual:.2g} % of the signal")
        # where it is more than noise makes, a warning says what else it may be
        if residual > _NOISY and "misfit" not in maps.record:
            lost += " At least half of most voxels' signal is noise: a mask leaves out those without signal."
    return f"{maps.estimator}: median {', '.join(parts)}.{lost}" if parts else lost.strip()
