"""From the viewer to voxels: the voxel under a click, the slice in view, the voxels of a painted region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels, Layer

from napari_blochnet.arrays import BoolArray, FloatArray
from napari_blochnet.errors import InputError
from napari_blochnet.napari_ui.session import Session, Subject

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["current_slice", "displayed_point", "mask_of_region", "voxel_at"]


def voxel_at(layer: Layer, position: Sequence[float], displayed_ndim: int) -> tuple[int, int, int] | None:
    """Return the voxel (z, y, x) of a layer at a world position of the viewer; None outside.

    Parameters
    ----------
    layer : Layer
        One of ours.
    position : sequence of float
        World coordinates along all axes of the viewer.
    displayed_ndim : int
        Number of axes of the viewer.
    """
    inside = np.asarray(layer.world_to_data(np.asarray(position)[displayed_ndim - layer.ndim :]))[-3:]
    index = np.round(inside).astype(int)
    shape = np.array(layer.data.shape[-3:])
    if (index < 0).any() or (index >= shape).any():
        return None
    z, y, x = (int(i) for i in index)
    return z, y, x


def displayed_point(viewer: Viewer, layer: Layer, index: Sequence[int]) -> FloatArray | None:
    """Return where the viewer shows the centre of a voxel; None where the voxel is not in the slice.

    Parameters
    ----------
    viewer : napari.Viewer
    layer : Layer
        One of ours.
    index : sequence of int
        Voxel (z, y, x) of the layer.

    Returns
    -------
    array of shape (2,) or (3,), or None
        World coordinates of the displayed axes, in the viewer's order.
    """
    ndim = viewer.dims.ndim
    time = [0] * (layer.ndim - 3)
    centre = np.zeros(ndim)
    centre[ndim - layer.ndim :] = layer.data_to_world([*time, *index])
    displayed = list(viewer.dims.displayed)
    if not set(displayed) <= set(range(ndim - 3, ndim)):
        return None
    # the viewer's point, moved along the displayed axes onto the voxel's centre, must lie in the same voxel
    point = np.array(viewer.dims.point, dtype=float)
    point[displayed] = centre[displayed]
    inside = np.round(np.asarray(layer.world_to_data(point[ndim - layer.ndim :]))[-3:])
    return centre[displayed] if np.array_equal(inside, index) else None


def mask_of_region(region: Labels, layer: Layer) -> BoolArray:
    """Return which voxels of a layer's grid are painted in a Labels layer, whatever that layer's own grid.

    Parameters
    ----------
    region : Labels
        Three axes, or more: painted at any time point counts.
    layer : Layer
        One of ours.

    Returns
    -------
    bool array of shape (Z, Y, X)

    Raises
    ------
    InputError
        Nothing is painted inside the layer's grid.
    """
    painted = np.asarray(region.data) > 0
    while painted.ndim > 3:
        painted = painted.any(axis=0)
    shape = layer.data.shape[-3:]
    axes = [np.arange(n) for n in shape]
    own_scale, own_start = np.asarray(layer.scale)[-3:], np.asarray(layer.translate)[-3:]
    found = np.ones(shape, dtype=bool)
    index = []
    for axis in range(3):
        world = axes[axis] * own_scale[axis] + own_start[axis]
        lead = region.ndim - 3
        voxel = (world - region.translate[lead + axis]) / region.scale[lead + axis]
        rounded = np.round(voxel).astype(int)
        good = (rounded >= 0) & (rounded < painted.shape[axis])
        found &= good.reshape([-1 if i == axis else 1 for i in range(3)])
        index.append(np.clip(rounded, 0, painted.shape[axis] - 1))
    found &= painted[np.ix_(*index)]
    if not found.any():
        raise InputError(f"Nothing is painted in {region.name} where the stack has voxels; paint a region first.",
                         field="region")  # fmt: skip
    return found


def current_slice(session: Session, subject: Subject) -> int | None:
    """Return the slice (z index) of a subject that the viewer stands at.

    None where it lies outside, or where the viewer cuts along another axis.
    A subject with a single slice always answers 0: there is nothing else to mean.
    """
    viewer = session.viewer
    found = session.layers(subject=subject)
    if viewer is None or not found:
        return None
    layer = found[-1]
    count = layer.data.shape[-3]
    if count == 1:
        return 0
    if viewer.dims.ndisplay == 2 and viewer.dims.ndim - 3 in viewer.dims.displayed:
        return None
    index = round((viewer.dims.point[-3] - float(layer.translate[-3])) / float(layer.scale[-3]))
    return index if 0 <= index < count else None
