"""From the viewer to voxels: the voxel under a click, the slice in view, the voxels of a painted region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels, Layer

from napari_blochnet.common.arrays import BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.state.drawn_regions import regions_on
from napari_blochnet.napari_ui.state.entries import Subject, entry_of
from napari_blochnet.napari_ui.state.session import Session

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["current_slice", "displayed_point", "mask_of_region", "stack_at", "voxel_at"]


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


def stack_at(
    session: Session, position: Sequence[float], preferred: FingerprintStack | None = None
) -> tuple[FingerprintStack, tuple[int, int, int]] | None:
    """Return the stack under a world position of the viewer, and its voxel (z, y, x); None where there is none.

    Among several, the preferred one counts, then what is visible, then the newest. Maps and phantoms that lie on a
    stack's grid are stood for by the stack, shown or not.

    Parameters
    ----------
    session : Session
    position : sequence of float
        World coordinates along all axes of the viewer.
    preferred : FingerprintStack, optional
    """
    viewer = session.viewer
    if viewer is None:
        return None
    ours = [layer for layer in reversed(list(viewer.layers)) if entry_of(layer) is not None]
    ours = [layer for layer in ours if layer.visible] + ours
    shown = [entry.stack for layer in ours if (entry := entry_of(layer)).stack is not None]
    for stack in [*([] if preferred is None else [preferred]), *shown]:
        found = session.layers("stack", stack)
        index = voxel_at(found[-1], position, len(position)) if found else None
        if index is not None:
            return stack, index
    return None


def mask_of_region(region: Layer, layer: Layer) -> BoolArray:
    """Return which voxels of a layer's grid are painted or drawn in another layer, whatever that layer's own grid.

    Parameters
    ----------
    region : Labels or Shapes
        Every painted voxel and the inside of every closed shape counts; see `napari_ui.regions.regions_on`. Of a
        layer that shows its selected label alone, that label counts.
    layer : Layer
        One of ours.

    Returns
    -------
    bool array of shape (Z, Y, X)

    Raises
    ------
    InputError
        Nothing is painted or drawn inside the layer's grid.
    """
    only = region.selected_label if isinstance(region, Labels) and region.show_selected_label else None
    try:
        found = regions_on(region, layer, label=only)
    except InputError:
        done = "painted" if isinstance(region, Labels) else "drawn"
        what = "Nothing" if only is None else f"Nothing with label {only}"
        raise InputError(f"{what} is {done} in {region.name} where the fingerprints have voxels; expected a region "
                         "over them.", field="mask") from None  # fmt: skip
    mask: BoolArray = np.any([item.mask for item in found], axis=0)
    return mask


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
