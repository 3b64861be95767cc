"""What images of maps share: which part is shown, which way up, and what lies beyond their colours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.orientation import IMAGE_ORDER
from napari_blochnet.evaluation.maps import ParameterMaps

__all__ = ["crop", "extension", "is_upright", "row_order", "rows_run_up"]


def crop(mask: BoolArray, margin: float = 0.03) -> tuple[slice, slice]:
    """Return the rows and columns that hold a mask, with a margin."""
    found = []
    for axis in (1, 0):
        used = np.flatnonzero(mask.any(axis=axis))
        low, high = (int(used[0]), int(used[-1]) + 1) if used.size else (0, mask.shape[1 - axis])
        room = max(1, round(margin * (high - low)))
        found.append(slice(max(0, low - room), min(mask.shape[1 - axis], high + room)))
    return found[0], found[1]


def rows_run_up(affine: FloatArray) -> bool:
    """Whether rows (y) run mainly to anterior or superior, which belong at the top."""
    column = np.asarray(affine)[:3, 1]
    axis = int(np.argmax(np.abs(column)))
    return axis in (1, 2) and bool(column[axis] > 0)


def is_upright(record: Mapping[str, Any], geometry: Geometry, *, is_stack: bool = False) -> bool:
    """Whether an affine is known well enough for an image to be turned by it.

    What array files hold, and layers of somebody else's, are in image order, first row on top, and so is all that is
    made of them; other heads and everything made of them are not.

    Parameters
    ----------
    record : mapping
        Of maps, of a phantom or of a stack.
    geometry : Geometry
        Its own.
    is_stack : bool
        Whether it is of a stack.
    """
    source = record
    while isinstance(below := source.get("inputs", {}).get("stack"), Mapping):
        source, is_stack = below, True
    operation = source.get("operation")
    if operation == "fingerprints_from_array" or "layers" in source:
        return False
    if operation == "simulate" or not is_stack:
        # phantoms that earlier versions opened carry no mark
        while isinstance(below := source.get("inputs", {}).get("phantom"), Mapping):
            source = below
        return not source.get(IMAGE_ORDER)
    path = str(source.get("inputs", {}).get("path", ""))
    plain = np.array_equal(np.asarray(geometry.affine), np.diag([*geometry.voxel_size[::-1], 1.0]))
    return not plain or path.endswith((".nii", ".nii.gz"))


def row_order(maps: ParameterMaps) -> Literal["lower", "upper"]:
    """Return where the first row of maps is drawn, as the window does."""
    return "lower" if is_upright(maps.record, maps.geometry) and rows_run_up(maps.affine) else "upper"


def extension(drawn: Iterable[AnyArray], low: float, high: float) -> str:
    """Return which ends of a colour bar have values beyond them, in matplotlib's words.

    Parameters
    ----------
    drawn : iterable of arrays
        The values that are drawn; masked ones and NaN are not.
    low, high : float
        Of the colours.
    """
    below = above = False
    for values in drawn:
        known = np.ma.masked_invalid(values).compressed()
        if known.size:
            below, above = below or bool(known.min() < low), above or bool(known.max() > high)
    return {(True, True): "both", (True, False): "min", (False, True): "max"}.get((below, above), "neither")
