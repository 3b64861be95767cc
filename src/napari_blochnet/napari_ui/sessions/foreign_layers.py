"""A person's own Labels and Shapes in a saved session, as napari tells what they are and makes them again.

Of what napari tells, numbers and texts are kept: where they lie, in which units, their shapes, the names of their
regions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pint
from napari.layers import Layer, Shapes

from napari_blochnet.napari_ui.sessions.window_state import PlaceState, ShapeState

__all__ = ["features_of", "place_fits", "place_of", "shapes_of", "shapes_shown", "table_of"]


def place_of(layer: Layer) -> PlaceState:
    """Return where a layer lies: every transform, units and axis labels."""
    told = layer.as_layer_data_tuple()[1]
    told["units"] = [str(unit) for unit in told["units"]]
    return PlaceState.model_validate({name: told[name] for name in PlaceState.model_fields})


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


def shapes_of(layer: Shapes) -> list[ShapeState]:
    """Return the shapes of a layer."""
    drawn, told, _ = layer.as_layer_data_tuple()
    columns = [drawn, *(told[name] for name in ("shape_type", "edge_color", "face_color", "edge_width"))]
    return [
        ShapeState(kind=kind, corners=corners, edge=edge, face=face, width=width)
        for corners, kind, edge, face, width in zip(*columns, strict=True)
    ]


def shapes_shown(shapes: Sequence[ShapeState], ndim: int) -> tuple[Any, dict[str, Any]]:
    """Return shapes as a layer takes them: data, and what belongs to them where it was saved."""
    if not shapes:
        return np.empty((0, 4, ndim)), {}
    how: dict[str, Any] = {"shape_type": [shape.kind for shape in shapes]}
    # sessions of version 0.1 have neither colours nor widths
    if all(None not in (shape.edge, shape.face, shape.width) for shape in shapes):
        how |= {
            "edge_color": np.array([shape.edge for shape in shapes]),
            "face_color": np.array([shape.face for shape in shapes]),
            "edge_width": [shape.width for shape in shapes],
        }
    return [np.array(shape.corners) for shape in shapes], how


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
