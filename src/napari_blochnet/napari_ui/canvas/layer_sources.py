"""Layers of other people and plugins as fingerprints: which may be, what they hold, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image, Layer

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.jobs.operations.taking import time_axis_of
from napari_blochnet.jobs.settings import settings_from
from napari_blochnet.jobs.settings_arrays import ArraySettings
from napari_blochnet.napari_ui.state.entries import ENTRY, entry_of
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.state.world import affine_in_mm
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["LayerSource", "fits_schedule", "layer_source", "map_source", "stack_layers", "volume_layers"]

# Sine of the angle, and of the shear, below which axes count as straight: transforms are rounded.
_STRAIGHT = 1e-6


@dataclass(frozen=True, eq=False)
class LayerSource:
    """What a layer holds, as `napari_blochnet.jobs.operations.taking` takes it.

    Parameters
    ----------
    name : str
    data : array
        Axes as in the layer, none of them running backwards but those of samples.
    settings : ArraySettings
        Where it lies, and which axis is time.
    """

    name: str
    data: Any
    settings: ArraySettings


def map_source(layer: Layer) -> tuple[Any, Geometry]:
    """Return the values (z, y, x) of a layer and where they lie, counted so that no axis runs backwards.

    Raises
    ------
    InputError
        A layer of other axes, that is turned or sheared, or whose units are no lengths.
    """
    if layer.ndim not in (2, 3):
        raise InputError(f"{layer.name} has {layer.ndim} axes", "a volume (z, y, x) or a slice", field="layer")
    data, size, origin = _straightened(layer, list(range(layer.ndim)))
    affine = np.diag([*size[::-1], 1.0])
    affine[:3, 3] = origin[::-1]
    return np.asarray(data).reshape((1,) * (3 - data.ndim) + data.shape), Geometry(size, affine)


def _is_foreign_image(layer: Layer) -> bool:
    return isinstance(layer, Image) and not layer.rgb and entry_of(layer) is None and ENTRY not in layer.metadata


def stack_layers(session: Session) -> list[Layer]:
    """Return image layers that are not ours and have time and at least a slice, oldest first."""
    viewer = session.viewer
    return [layer for layer in (viewer.layers if viewer else ()) if _is_foreign_image(layer) and layer.ndim in (3, 4)]


def volume_layers(session: Session) -> list[Layer]:
    """Return image layers that are not ours and may be a map or a mask, oldest first."""
    viewer = session.viewer
    return [layer for layer in (viewer.layers if viewer else ()) if _is_foreign_image(layer) and layer.ndim in (2, 3)]


def _data(layer: Layer) -> Any:
    return layer.data[0] if layer.multiscale else layer.data


def fits_schedule(layer: Layer, schedule: Schedule | None) -> bool:
    """Whether an axis of a layer is as long as a schedule."""
    return schedule is not None and len(schedule) in tuple(np.shape(_data(layer)))


def layer_source(layer: Layer, schedule: Schedule, **hints: Any) -> LayerSource:
    """Return what a layer holds as fingerprints of a schedule.

    Parameters
    ----------
    layer : Image
    schedule : Schedule
    **hints
        Fields of `ArraySettings` that a person gives, such as ``time_axis``; a voxel size counts before the layer's.

    Raises
    ------
    InputError
        No axis as long as the schedule, or two; a layer that is turned or sheared, or whose units are no lengths.
    """
    given = {key: value for key, value in hints.items() if value is not None}
    axis = time_axis_of(tuple(np.shape(_data(layer))), schedule, given.get("time_axis"), layer.name)
    data, size, origin = _straightened(layer, [other for other in range(layer.ndim) if other != axis])
    where = {"voxel_size": size, "origin": origin}
    settings = settings_from(ArraySettings, **{**where, **given, "time_axis": axis})
    return LayerSource(layer.name, data, settings)


def _straightened(layer: Layer, space: list[int]) -> tuple[Any, tuple[float, float, float], tuple[float, float, float]]:
    """Return a layer's data with no axis of space running backwards, its voxel size and its origin, (z, y, x), mm."""
    data = _data(layer)
    affine = affine_in_mm(layer, space)
    steps = np.diag(affine)[:-1]
    aside = affine[:-1, :-1] - np.diag(steps)
    if np.abs(aside).max(initial=0) > _STRAIGHT * np.abs(steps).max():
        raise InputError(
            f"{layer.name} is turned or sheared, and maps are made along its voxels", "a layer with scale and "
            "translation alone; save it resampled, or reset its rotation and shear", field="data",
        )  # fmt: skip
    origin = affine[:-1, -1].copy()
    parts: list[slice] = [slice(None)] * layer.ndim
    for place, (axis, step) in enumerate(zip(space, steps, strict=True)):
        if step < 0:
            # the same voxels counted from the other end
            parts[axis] = slice(None, None, -1)
            origin[place] += step * (np.shape(data)[axis] - 1)
    if any(part.step is not None for part in parts):
        data = data[tuple(parts)]
    z, y, x = (*(1.0,) * (3 - len(space)), *map(float, np.abs(steps)))
    first, second, third = (*(0.0,) * (3 - len(space)), *map(float, origin))
    return data, (z, y, x), (first, second, third)
