"""From the viewer to voxels: the voxel under a click, the slice in view, the voxels of a painted region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_blochnet.common.arrays import BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.state.drawn_regions import lay_regions, lay_volume
from napari_blochnet.napari_ui.state.entries import Subject
from napari_blochnet.napari_ui.state.pins import Voxel
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.state.world import from_viewer, to_viewer

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["current_slice", "displayed_point", "layer_of", "mask_of_region", "voxel_under"]


def _index_at(viewer: Viewer, layer: Layer, position: Sequence[float]) -> tuple[int, int, int] | None:
    """Return the voxel (z, y, x) of a layer of ours at a world position of the viewer; None outside."""
    index = np.round(from_viewer(viewer, layer, position)[-3:]).astype(int)
    if (index < 0).any() or (index >= np.array(layer.data.shape[-3:])).any():
        return None
    z, y, x = (int(i) for i in index)
    return z, y, x


def voxel_under(session: Session, position: Sequence[float], preferred: FingerprintStack | None = None) -> Voxel | None:
    """Return the voxel of a fingerprint stack at a world position of the viewer; None where there is none.

    A stack lies where its own layer or one of its maps does; phantoms and painted or drawn regions stand for none.
    Where several stacks lie, the preferred one counts, then those of which something is visible there, then the upper.

    Parameters
    ----------
    session : Session
    position : sequence of float
        World coordinates along all axes of the viewer.
    preferred : FingerprintStack, optional
    """
    viewer = session.viewer
    ours = [pair for pair in reversed(session.pairs()) if pair[1].stack is not None and pair[1].kind != "region"]
    ours.sort(key=lambda pair: (pair[1].stack is not preferred, not pair[0].visible))
    for layer, entry in ours:
        index = None if viewer is None else _index_at(viewer, layer, position)
        if entry.stack is not None and index is not None:
            return Voxel(entry.stack, index)
    return None


def layer_of(session: Session, stack: FingerprintStack) -> Layer | None:
    """Return a layer on the voxel grid of a stack: the stack's own, or else that of what was made from it."""
    found = [pair for pair in session.pairs() if pair[1].stack is stack]
    return max(found, key=lambda pair: pair[1].subject is stack, default=(None, None))[0]


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
    centre[ndim - layer.ndim :] = to_viewer(viewer, layer, [*time, *index])
    displayed = list(viewer.dims.displayed)
    if not set(displayed) <= set(range(ndim - 3, ndim)):
        return None
    # the viewer's point, moved along the displayed axes onto the voxel's centre, must lie in the same voxel
    point = np.array(viewer.dims.point, dtype=float)
    point[displayed] = centre[displayed]
    inside = np.round(from_viewer(viewer, layer, point)[-3:])
    return centre[displayed] if np.array_equal(inside, index) else None


def mask_of_region(region: Layer, layer: Layer) -> tuple[BoolArray, str]:
    """Return which voxels of a layer's grid are painted or drawn in another layer, whatever that layer's own grid.

    Parameters
    ----------
    region : Labels, Shapes or Image
        Of an image, what is neither 0 nor NaN. Every painted voxel and the inside of every closed shape counts, as
        `drawn_regions.lay_regions` has it. Of a layer that shows its selected label alone, that label counts.
    layer : Layer
        One of ours.

    Returns
    -------
    bool array of shape (Z, Y, X)
    str
        How it came onto that grid, in a sentence; empty where it lies on it.

    Raises
    ------
    InputError
        Nothing is painted or drawn inside the layer's grid; a layer in units that are no lengths.
    """
    if isinstance(region, Image):
        values, note = lay_volume(region, layer)
        inside: BoolArray = (values != 0) & ~np.isnan(values)
        if not inside.any():
            raise InputError(
                f"{region.name} is 0 wherever the fingerprints have voxels; expected a mask over them.", field="mask"
            )
        return inside, note
    only = region.selected_label if isinstance(region, Labels) and region.show_selected_label else None
    if isinstance(region, Labels):
        labels, note = lay_volume(region, layer)
        inside = labels > 0 if only is None else (labels == only) & (labels > 0)
    else:
        drawn = lay_regions(region, layer)
        inside, note = np.any([item.mask for item in drawn.regions], axis=0), drawn.note
    if not inside.any():
        done = "painted" if isinstance(region, Labels) else "drawn"
        what = "Nothing" if only is None else f"Nothing with label {only}"
        raise InputError(
            f"{what} is {done} in {region.name} where the fingerprints have voxels; expected a region over them.",
            field="mask",
        )
    return inside, note


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
    # the subject's: what is drawn on its grid has no shape of its own
    count = subject.shape[-3]
    if count == 1:
        return 0
    if viewer.dims.ndisplay == 2 and viewer.dims.ndim - 3 in viewer.dims.displayed:
        return None
    index = round(float(from_viewer(viewer, layer, viewer.dims.point)[-3]))
    return index if 0 <= index < count else None
