"""Regions that a person painted or drew, as voxels of a map, whatever grid and layer they were drawn on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes
from skimage.draw import polygon

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.grids import lay_on_grid
from napari_blochnet.evaluation.regions import label_regions
from napari_blochnet.evaluation.result_tables import Region
from napari_blochnet.napari_ui.state.entries import entry_of
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.state.world import affine_in_mm

__all__ = [
    "LaidRegions",
    "RegionInHand",
    "is_region",
    "is_tissue",
    "lay_regions",
    "lay_volume",
    "name_in_hand",
    "name_region",
    "region_in_hand",
    "region_layers",
    "regions_on",
]

# Corners of the polygon that stands for an ellipse.
_CORNERS = 72


def is_region(layer: Layer) -> bool:
    """Whether a layer holds regions: painted or drawn ones, or a phantom's tissues; a threshold's outline is none."""
    entry = entry_of(layer)
    return isinstance(layer, (Labels, Shapes)) and (entry is None or entry.role != "mask")


def region_layers(session: Session) -> list[Layer]:
    """Return the layers that hold regions: those of people first, newest first, then tissues."""
    viewer = session.viewer
    found = [] if viewer is None else [layer for layer in reversed(viewer.layers) if is_region(layer)]
    return sorted(found, key=is_tissue)


def is_tissue(layer: Layer) -> bool:
    """Whether a layer holds the tissues of a phantom."""
    entry = entry_of(layer)
    return entry is not None and entry.role == "tissue"


@dataclass(frozen=True)
class LaidRegions:
    """Regions on a target's grid, none where nothing is painted or drawn there, and how they came onto it."""

    regions: tuple[Region, ...]
    note: str = ""


def lay_regions(layer: Layer, target: Layer, *, label: int | None = None) -> LaidRegions:
    """Return the regions of a layer as voxels of another layer's grid.

    Parameters
    ----------
    layer : Labels or Shapes
        Each label above 0 is a region, named by a column "name" or "tissue" of the layer's features if there is one.
        Each closed shape is a region: the voxels whose centre lies inside. What has no z axis holds in every slice.
        A column "name" of a Shapes layer's features names them, too.
    target : Layer
        One of ours.
    label : int, optional
        Of a Labels layer this label alone.

    Raises
    ------
    InputError
        Units that are no lengths.
    """
    z, y, x = target.data.shape[-3:]
    if isinstance(layer, Labels):
        labels, note = lay_volume(layer, target)
        if label is not None:
            labels = np.where(labels == label, labels, 0)
        return LaidRegions(label_regions(labels, _label_names(layer)) if labels.any() else (), note)
    return LaidRegions(tuple(_drawn(layer, target, (z, y, x))) if isinstance(layer, Shapes) else ())


def regions_on(layer: Layer, target: Layer) -> LaidRegions:
    """Return the regions of a layer as `lay_regions` does.

    Raises
    ------
    InputError
        Nothing is painted or drawn inside the target's grid; units that are no lengths.
    """
    found = lay_regions(layer, target)
    if not found.regions:
        raise InputError(
            f"{layer.name} holds no region where the maps have voxels; paint or draw one there.", field="region"
        )
    return found


def name_region(layer: Layer, old: str, new: str) -> bool:
    """Give a region of a layer another name; return whether it has a region of the old one.

    The name stands in the layer's features, where `lay_regions` looks for it, and sessions keep it.
    """
    new = new.strip()
    if not new:
        return False
    if isinstance(layer, Labels):
        names = _label_names(layer)
        labels = np.unique(np.asarray(layer.data[0] if layer.multiscale else layer.data)).tolist()
        found = next((label for label in labels if label and names.get(label, _usual_label(label)) == old), None)
        if found is None:
            return False
        _name_label(layer, found, new, labels)
        return True
    shown = _shape_names(layer) if isinstance(layer, Shapes) else []
    if old not in shown:
        return False
    _name_shape(layer, shown.index(old), new)
    return True


class RegionInHand(NamedTuple):
    """The label that the brush paints, painted already or not; of shapes the selected one, or else the last.

    `place` is the label, or the shape's place; `usual` what it is called where nobody names it; `name` a person's.
    """

    place: int
    usual: str
    name: str


def region_in_hand(layer: Layer | None) -> RegionInHand | None:
    """Return what is painted or drawn at the moment; None for no such region, or for one of a phantom's tissues."""
    if layer is None or is_tissue(layer):
        return None
    if isinstance(layer, Labels):
        label = layer.selected_label
        return RegionInHand(label, _usual_label(label), _label_names(layer).get(label, "")) if label else None
    if not isinstance(layer, Shapes) or not layer.nshapes:
        return None
    place = max(layer.selected_data) if layer.selected_data else layer.nshapes - 1
    usual, name = _usual_shapes(layer)[place], _shape_names(layer)[place]
    return RegionInHand(place, usual, "" if name == usual else name)


def name_in_hand(layer: Layer, region: RegionInHand, name: str) -> None:
    """Name a region that `region_in_hand` told of; "" takes its name away."""
    if isinstance(layer, Labels):
        _name_label(layer, region.place, name.strip())
    elif isinstance(layer, Shapes) and region.place < layer.nshapes:
        _name_shape(layer, region.place, name.strip())


def _usual_label(label: int) -> str:
    return f"label {label}"


def _name_label(layer: Labels, label: int, name: str, others: Iterable[int] = ()) -> None:
    names = _label_names(layer) | {label: name}
    known = sorted({*others, *names} - {0})
    # napari takes names of labels from a column "index"
    layer.features = {"index": [0, *known], "name": ["", *(names.get(each, "") for each in known)]}


def _name_shape(layer: Shapes, place: int, name: str) -> None:
    usual = _usual_shapes(layer)
    column = ["" if known == other else known for known, other in zip(_shape_names(layer), usual, strict=True)]
    column[place] = name
    layer.features = layer.features.assign(name=column)


def _usual_shapes(layer: Shapes) -> list[str]:
    return [f"{kind} {number}" for number, kind in enumerate(layer.shape_type, start=1)]


def _shape_names(layer: Shapes) -> list[str]:
    """Return what the shapes of a layer are called: as their features say, or by their kind and number."""
    usual = _usual_shapes(layer)
    given = layer.features["name"] if "name" in layer.features else [""] * len(usual)
    return [name if isinstance(name, str) and name else other for name, other in zip(given, usual, strict=True)]


def _geometry(affine: FloatArray) -> Geometry:
    """Return the geometry of what is indexed (z, y, x), in the viewer's frame."""
    turned = [2, 1, 0, 3]
    return Geometry.from_affine(affine[np.ix_(turned, turned)])


def _in_a_plane(affine: FloatArray) -> FloatArray:
    """Return the place of one slice for what is known along (y, x)."""
    plane = np.eye(4)
    plane[1:, 1:] = affine[-3:, -3:]
    return plane


def lay_volume(
    layer: Labels | Image, target: Layer, *, nearest: bool = True, zero_is_empty: bool = False
) -> tuple[AnyArray, str]:
    """Return the values of a layer at the voxels of another one's grid, and how they got there, in a sentence.

    Parameters
    ----------
    layer : Labels or Image
        What is known along (y, x) only holds in every slice. Of labels, what is painted at any time point counts.
    target : Layer
        One of ours.
    nearest : bool
        Whether each voxel takes the value of the voxel that its centre falls into; otherwise values are interpolated.
    zero_is_empty : bool
        Whether 0 is no value, and not interpolated with.

    Returns
    -------
    array of shape (Z, Y, X)
    str
        Empty where it lies on that grid.

    Raises
    ------
    InputError
        Units that are no lengths; an image of colours or of more than three axes.
    """
    shape = target.data.shape[-3:]
    values: AnyArray = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    axes = list(range(values.ndim))
    is_movie = values.ndim == 3 and target.ndim == 4 and values.shape == (target.data.shape[0], *shape[1:])
    if getattr(layer, "rgb", False) or (isinstance(layer, Image) and values.ndim > 3):
        raise InputError(f"{layer.name} has {values.ndim} axes", "a volume (z, y, x) or a slice", field="region")
    while isinstance(layer, Labels) and (values.ndim > 3 or (is_movie and shape[0] == 1 and values.ndim == 3)):
        # painted at any time point counts
        values, axes = values.max(axis=0), axes[1:]
    own, theirs, slices = affine_in_mm(layer, axes), affine_in_mm(target), shape[0]
    if values.ndim == 2:
        own, theirs, slices = _in_a_plane(own), _in_a_plane(theirs), 1
    laid = lay_on_grid(
        values, _geometry(own), (slices, *shape[1:]), _geometry(theirs), name=layer.name, onto=target.name,
        field="region", nearest=nearest, is_placed=True, zero_is_empty=zero_is_empty,
    )  # fmt: skip
    return np.broadcast_to(laid.data, shape), laid.note


def _label_names(layer: Labels) -> dict[int, str]:
    table = layer.features
    column = next((name for name in ("name", "tissue") if name in table), None)
    if column is None:
        return {}
    keys = table.get("index", table.index)
    # other plugins fill these columns with what they like: rows that name no label are no names
    pairs = [(_as_label(key), name) for key, name in zip(keys, table[column], strict=True)]
    return {key: str(name) for key, name in pairs if key is not None and str(name)}


def _as_label(key: object) -> int | None:
    try:
        return int(key)  # type: ignore[call-overload,no-any-return]
    except (TypeError, ValueError, OverflowError):
        return None


def _drawn(layer: Shapes, target: Layer, shape: tuple[int, ...]) -> Iterator[Region]:
    own = affine_in_mm(layer)
    axes = len(own) - 1
    theirs = affine_in_mm(target)[-axes - 1 :, -axes - 1 :]
    for corners, kind, name in zip(layer.data, layer.shape_type, _shape_names(layer), strict=True):
        if kind in ("line", "path"):
            continue
        outline = _ellipse(np.asarray(corners)) if kind == "ellipse" else np.asarray(corners)
        corners_in_mm = own[:-1, :-1] @ outline[:, -axes:].T + own[:-1, -1:]
        index = np.linalg.solve(theirs[:-1, :-1], corners_in_mm - theirs[:-1, -1:]).T
        mask = _fill(index, shape)
        if mask.any():
            yield Region(name, mask)


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
