"""A person's own Labels and Shapes in a saved session: where they lie, in which units, the names of their regions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pint
from napari.layers import Layer

from napari_blochnet.napari_ui.sessions.window_state import PlaceState

__all__ = ["features_of", "place_fits", "place_of", "placed", "table_of"]


def place_of(layer: Layer) -> PlaceState:
    """Return where a layer lies: every transform, units and axis labels."""
    return PlaceState(
        scale=list(layer.scale),
        translate=list(layer.translate),
        rotate=np.asarray(layer.rotate).tolist(),
        shear=np.asarray(layer.shear).tolist(),
        affine=np.asarray(layer.affine.affine_matrix).tolist(),
        units=[str(unit) for unit in layer.units],
        axis_labels=list(layer.axis_labels),
    )


def place_fits(place: PlaceState, ndim: int) -> bool:
    """Whether a place that was read is one of a layer with so many axes, its units known."""
    registry = pint.get_application_registry()
    try:
        for unit in place.units:
            registry.parse_units(unit)
    except (pint.errors.PintError, ValueError, TypeError, AttributeError):
        return False
    vectors = (place.scale, place.translate, place.units, place.axis_labels)
    square = [(place.rotate, ndim), (place.affine, ndim + 1)]
    return (
        all(len(vector) == ndim for vector in vectors)
        and all(length != 0 for length in place.scale)
        and len(place.shear) == ndim * (ndim - 1) // 2
        and all(len(matrix) == size and all(len(row) == size for row in matrix) for matrix, size in square)
    )


def placed(place: PlaceState) -> dict[str, Any]:
    """Return how a layer is made that lies there."""
    return {
        "scale": place.scale,
        "translate": place.translate,
        "rotate": np.array(place.rotate),
        "shear": np.array(place.shear),
        "affine": np.array(place.affine),
        "units": place.units,
        "axis_labels": place.axis_labels,
    }


def features_of(layer: Layer) -> dict[str, list[Any]]:
    """Return a layer's table of features by column, as JSON: numbers, texts, and None where a cell is empty."""
    table = layer.features
    columns = {str(name): [_cell(value) for value in table[name].tolist()] for name in table.columns}
    index = table.index.tolist()
    if columns and "index" not in columns and index != list(range(len(index))):
        # of Labels, whose rows are then the labels that the index names
        columns["index"] = [_cell(value) for value in index]
    return columns


def table_of(features: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return columns as a layer takes them: an empty cell among numbers is NaN again."""
    return {
        name: [math.nan if cell is None else cell for cell in cells]
        if any(isinstance(cell, float) for cell in cells) and not any(isinstance(cell, str) for cell in cells)
        else list(cells)
        for name, cells in features.items()
    }


def _cell(value: Any) -> bool | int | float | str | None:
    if isinstance(value, (bool, int, str)):
        return value[:1000] if isinstance(value, str) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None if value is None or value != value else str(value)[:1000]
