"""Regions that a person painted or drew, as voxels of a map, whatever grid and layer they were drawn on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from napari.layers import Labels, Layer, Shapes
from scipy import ndimage
from skimage.draw import polygon

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray, IntArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.regions import label_regions
from napari_blochnet.evaluation.result_tables import Region
from napari_blochnet.napari_ui.state.entries import entry_of
from napari_blochnet.napari_ui.state.session import Session

__all__ = ["is_region", "is_tissue", "region_layers", "regions_on"]

# Corners of the polygon that stands for an ellipse.
_CORNERS = 72


def is_region(layer: Layer) -> bool:
    """Whether a layer holds regions: painted or drawn ones, or a phantom's tissues."""
    return isinstance(layer, (Labels, Shapes))


def region_layers(session: Session) -> list[Layer]:
    """Return the layers that hold regions: those of people first, newest first, then tissues."""
    viewer = session.viewer
    found = [] if viewer is None else [layer for layer in reversed(viewer.layers) if is_region(layer)]
    return sorted(found, key=is_tissue)


def is_tissue(layer: Layer) -> bool:
    """Whether a layer holds the tissues of a phantom."""
    entry = entry_of(layer)
    return entry is not None and entry.role == "tissue"


def regions_on(layer: Layer, target: Layer, *, label: int | None = None) -> tuple[Region, ...]:
    """Return the regions of a layer as voxels of another layer's grid.

    Parameters
    ----------
    layer : Labels or Shapes
        Each label above 0 is a region, named by a column "name" or "tissue" of the layer's features if there is one.
        Each closed shape is a region: the voxels whose centre lies inside. What has no z axis holds in every slice.
    target : Layer
        One of ours.
    label : int, optional
        Of a Labels layer this label alone.

    Returns
    -------
    tuple of Region

    Raises
    ------
    InputError
        Nothing is painted or drawn inside the target's grid.
    """
    shape = tuple(target.data.shape[-3:])
    if isinstance(layer, Labels):
        labels = _on_grid(layer, target, shape)
        if label is not None:
            labels = np.where(labels == label, labels, 0)
        if labels.any():
            return label_regions(labels, _label_names(layer))
    elif isinstance(layer, Shapes):
        found = tuple(_drawn(layer, target, shape))
        if found:
            return found
    raise InputError(
        f"{layer.name} holds no region where the maps have voxels; paint or draw one there.", field="region"
    )


def _to_world(layer: Layer, axes: int) -> tuple[FloatArray, FloatArray]:
    """Return the matrix and the offset from indices to world coordinates along a layer's last axes."""
    origin = np.asarray(layer.data_to_world(np.zeros(layer.ndim)))
    columns = [np.asarray(layer.data_to_world(row)) - origin for row in np.eye(layer.ndim)]
    return np.stack(columns, axis=1)[-axes:, -axes:], origin[-axes:]


def _on_grid(layer: Labels, target: Layer, shape: tuple[int, ...]) -> IntArray:
    """Return labels at the target's voxels: those of the voxel that each centre falls into."""
    labels: AnyArray = np.asarray(layer.data)
    while labels.ndim > 3:
        # painted at any time point counts
        labels = labels.max(axis=0)
    axes = labels.ndim
    own, start = _to_world(layer, axes)
    theirs, offset = _to_world(target, axes)
    matrix = np.linalg.solve(own, theirs)
    shift = np.linalg.solve(own, offset - start)
    if labels.shape != shape[-axes:] or not (np.allclose(matrix, np.eye(axes)) and np.abs(shift).max() < 0.5):
        # "grid-constant": the outer half of the outermost voxels belongs to them
        labels = ndimage.affine_transform(labels, matrix, shift, shape[-axes:], order=0, mode="grid-constant")
    return np.broadcast_to(labels, shape)


def _label_names(layer: Labels) -> dict[int, str]:
    table = layer.features
    column = next((name for name in ("name", "tissue") if name in table), None)
    if column is None:
        return {}
    keys = table.get("index", table.index)
    return {int(key): str(name) for key, name in zip(keys, table[column], strict=True) if str(name)}


def _drawn(layer: Shapes, target: Layer, shape: tuple[int, ...]) -> Iterator[Region]:
    for number, (corners, kind) in enumerate(zip(layer.data, layer.shape_type, strict=True), start=1):
        if kind in ("line", "path"):
            continue
        outline = _ellipse(np.asarray(corners)) if kind == "ellipse" else np.asarray(corners)
        axes = min(3, layer.ndim)
        own, start = _to_world(layer, axes)
        theirs, offset = _to_world(target, axes)
        index = np.linalg.solve(theirs, own @ outline[:, -axes:].T + (start - offset)[:, None]).T
        mask = _fill(index, shape)
        if mask.any():
            yield Region(f"{kind} {number}", mask)


def _ellipse(corners: FloatArray) -> FloatArray:
    """Return the ellipse inside a parallelogram."""
    centre = corners.mean(axis=0)
    first, second = (corners[1] - corners[0]) / 2, (corners[2] - corners[1]) / 2
    angle = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)[:, None]
    outline: FloatArray = centre + np.cos(angle) * first + np.sin(angle) * second
    return outline


def _fill(outline: FloatArray, shape: tuple[int, ...]) -> BoolArray:
    """Return the voxels inside a flat outline, given as indices (z, y, x), or (y, x) for all slices."""
    mask = np.zeros(shape, dtype=bool)
    if outline.shape[1] == 2:
        rows, columns = polygon(outline[:, 0], outline[:, 1], shape[1:])
        mask[:, rows, columns] = True
        return mask
    # shapes are drawn on one slice of whatever plane the viewer shows
    across = int(np.argmin(np.ptp(outline, axis=0)))
    place = round(float(outline[:, across].mean()))
    if 0 <= place < shape[across]:
        inside = [axis for axis in range(3) if axis != across]
        plane = np.zeros([shape[axis] for axis in inside], dtype=bool)
        plane[polygon(outline[:, inside[0]], outline[:, inside[1]], plane.shape)] = True
        mask[tuple(place if axis == across else slice(None) for axis in range(3))] = plane
    return mask
