"""Where layers lie in millimetres, and where the viewer's numbers are on them.

In napari 0.9 a layer's scale, translation, rotation, shear and affine are in its ``units``. The viewer's own numbers
(cursor, sliders, camera) are in the smallest unit of length that any layer has, or in what a person set; where layers
disagree about what an axis is, millimetres here and pixels there, napari uses no units and draws all numbers as they
are. Layers of ours are in mm, as long as nobody changes that; a pixel without a length counts as one.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pint
from napari.layers import Layer

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import InputError

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["affine_in_mm", "extent_in_viewer", "from_viewer", "give_mm", "mm_per_unit", "to_viewer"]


@functools.cache
def _in_base_units(unit: str) -> float:
    """Return how many of its base units one of a unit is, as napari counts when it draws."""
    # by name: units of different registries cannot be compared
    registry = pint.get_application_registry()
    return float(registry.get_base_units(registry.Unit(unit))[0])


@functools.cache
def _in_mm(unit: str) -> float | None:
    """Return a unit's length in mm; 1 of what has no length (pixel, dimensionless), None of anything else."""
    if pint.get_application_registry().Unit(unit).dimensionality == {"[length]": 1}:
        return _in_base_units(unit) / _in_base_units("mm")
    return 1.0 if unit in ("pixel", "dimensionless") else None


def affine_in_mm(layer: Layer, axes: Sequence[int] | None = None) -> FloatArray:
    """Return where a layer's voxels lie: what sends an index along some axes (and 1) to mm.

    Every use of a layer's place goes through here, whatever its units, and whether it is scaled, turned or sheared.

    Parameters
    ----------
    layer : Layer
    axes : sequence of int, optional
        Counted from 0; by default the last, at most z, y, x.

    Returns
    -------
    array of shape (4, 4) for three axes, (3, 3) for two
        In the viewer's frame, in mm.

    Raises
    ------
    InputError
        An axis in other units than lengths or pixels.
    """
    chosen = list(range(layer.ndim)[-3:] if axes is None else axes)
    lengths = []
    for axis in chosen:
        length = _in_mm(str(layer.units[axis]))
        if length is None:
            raise InputError(
                f"{layer.name}: its axis {layer.axis_labels[axis]} is in units of {layer.units[axis]}",
                "a length (mm, µm, m) or pixels; change the layer's units",
                field="region",
            )
        lengths.append(length)
    origin = np.asarray(layer.data_to_world(np.zeros(layer.ndim)))
    columns = [np.asarray(layer.data_to_world(row)) - origin for row in np.eye(layer.ndim)]
    affine = np.eye(len(chosen) + 1)
    affine[:-1, :-1] = np.stack(columns, axis=1)[np.ix_(chosen, chosen)]
    affine[:-1, -1] = origin[chosen]
    affine[:-1] *= np.array(lengths)[:, None]
    return affine


def give_mm(layer: Layer, *, time_axis: int | None = None) -> None:
    """Say of a layer that nobody gave units that it is in mm, as it is taken to be: napari draws no scale otherwise.

    Parameters
    ----------
    layer : Layer
        Of somebody else; it stays where it is.
    time_axis : int, optional
        The axis that is none of space; by default the one before the last three, if there is one.
    """
    if layer.ndim > 3 and time_axis is None:
        time_axis = layer.ndim - 4
    before = [str(unit) for unit in layer.units]
    units = ["mm" if unit == "pixel" and axis != time_axis else unit for axis, unit in enumerate(before)]
    if units != before:
        layer.units = units


def mm_per_unit(viewer: Viewer) -> float:
    """Return how many mm one of the viewer's units is along the axis displayed last; 1 where that is no length."""
    units = viewer.layers.extent.units
    return 1.0 if units is None else _in_mm(str(units[-1])) or 1.0


def _per_unit(viewer: Viewer, layer: Layer) -> FloatArray:
    """Return how many of a layer's own units one of the viewer's is, along the layer's axes."""
    shown = viewer.layers.extent.units
    if shown is None or len(shown) < layer.ndim:
        return np.ones(layer.ndim)
    pairs = zip(shown[-layer.ndim :], layer.units, strict=True)
    return np.array([_in_base_units(str(theirs)) / _in_base_units(str(own)) for theirs, own in pairs])


def from_viewer(viewer: Viewer, layer: Layer, position: Sequence[float] | FloatArray) -> FloatArray:
    """Return the index on a layer, with fractions, at a position of the viewer.

    Parameters
    ----------
    viewer : napari.Viewer
    layer : Layer
    position : sequence of float
        Along all axes of the viewer, in its units.
    """
    # napari's cursor may not have heard yet of an axis that has just come
    known = np.asarray(position, dtype=float)[-layer.ndim :]
    world = np.concatenate([np.zeros(layer.ndim - len(known)), known])
    return np.asarray(layer.world_to_data(world * _per_unit(viewer, layer)), dtype=float)


def to_viewer(viewer: Viewer, layer: Layer, index: Sequence[float]) -> FloatArray:
    """Return where the viewer has a layer's voxel: along the layer's axes, in the viewer's units."""
    place: FloatArray = np.asarray(layer.data_to_world(index), dtype=float) / _per_unit(viewer, layer)
    return place


def extent_in_viewer(viewer: Viewer, layer: Layer) -> tuple[FloatArray, FloatArray]:
    """Return the least and greatest coordinates of a layer's voxels, edges included, in the viewer's units."""
    per_unit = _per_unit(viewer, layer)
    ends, half = np.asarray(layer.extent.world), np.asarray(layer.extent.step) / 2
    return (ends[0] - half) / per_unit, (ends[1] + half) / per_unit
