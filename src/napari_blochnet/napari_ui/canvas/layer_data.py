"""What a phantom, a stack, maps and regions look like as layers: data, name, colours, limits, place, metadata.

Layers lie in the frame of their own voxels (a diagonal display transform in mm); the true affine is in the metadata.
Where the rows of the image run to anterior or superior, the scale along y is negative: napari draws y downwards, so
the head stands upright, without touching the camera, which belongs to the viewer and to everybody's layers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from napari.utils import CyclicLabelColormap

from napari_blochnet.common.arrays import AnyArray, BoolArray, is_lazy
from napari_blochnet.common.colour_limits import round_up, value_limits
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.contrasts import ContrastSeries
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.io.containers.chunked_arrays import keep_unpacked
from napari_blochnet.napari_ui.canvas.looks import (
    REGION_COLOURS,
    STYLES,
    TISSUE_COLOURS,
    colormap,
    display_transform,
    is_upright,
    style_of,
)
from napari_blochnet.napari_ui.canvas.magnitudes import Magnitudes
from napari_blochnet.napari_ui.state.entries import ENTRY, Entry
from napari_blochnet.phantoms.phantom import Phantom

__all__ = [
    "COMPONENT",
    "LayerData",
    "Opened",
    "contrast_layer_data",
    "drawing_layer_data",
    "image_data",
    "map_values",
    "maps_layer_data",
    "opened_layer_data",
    "phantom_layer_data",
    "region_data",
    "saved_layer_data",
    "signal_limits",
    "stack_layer_data",
]

#: What the first axis of coefficients is called.
COMPONENT = "component"

LayerData = tuple[AnyArray, dict[str, Any], str]


def _layer_data(data: AnyArray, entry: Entry, record: dict[str, Any], kind: str = "image", **kwargs: Any) -> LayerData:
    geometry = entry.subject.geometry
    scale, translate = display_transform(geometry, upright=is_upright(entry))
    units, labels = ["mm"] * 3, ["z", "y", "x"]
    if data.ndim == 4:
        scale, translate = np.insert(scale, 0, 1.0), np.insert(translate, 0, 0.0)
        # napari draws lengths of different units in one frame only where other axes agree, and counts time in pixels
        is_of_layer = entry.subject.record.get("operation") == "fingerprints_from_array"
        first = COMPONENT if getattr(entry.subject, "is_compressed", False) else "time"
        units, labels = ["pixel" if is_of_layer else "dimensionless", *units], [first, *labels]
    unit = _unit(entry)
    shown = {"role": entry.role, "unit": unit, "affine": np.asarray(geometry.affine).tolist(), "record": record}
    role = entry.role + (f" ({unit})" if unit else "")
    kwargs.setdefault("name", f"{role} – {entry.title}" if entry.role != "signal" else entry.title)
    kwargs.update(
        scale=scale, translate=translate, units=units, axis_labels=labels, metadata={"blochnet": shown, ENTRY: entry}
    )
    return data, kwargs, kind


def image_data(
    data: AnyArray, entry: Entry, record: dict[str, Any], limits: tuple[float, float], **more: Any
) -> LayerData:
    """Return the layer of one map, with the look of its entry's role."""
    colours = colormap(style_of(entry.role).colormap)
    how = {"colormap": colours, "contrast_limits": limits, "interpolation2d": "nearest", **more}
    return _layer_data(data, entry, record, **how)


def phantom_layer_data(phantom: Phantom) -> list[LayerData]:
    """Return the layers of a phantom, the one that is shown last: tissue, B1 if it has one, PD, T2, T1."""
    entry = Entry("phantom", "T1", phantom, phantom.name, truth=phantom)
    layers = []
    if phantom.labels is not None:
        # not a mapping of labels to colours: napari compiles its first, which takes a second
        colours = CyclicLabelColormap(["transparent", *TISSUE_COLOURS], name="tissues")
        features = {"index": list(range(len(phantom.tissues) + 1)), "tissue": ["background", *phantom.tissues]}
        how = {"colormap": colours, "features": features, "opacity": 1.0, "visible": False}
        layers.append(_layer_data(phantom.labels, replace(entry, role="tissue"), phantom.record, "labels", **how))
    for role in ("B1", "PD", "T2", "T1"):
        values = getattr(phantom, role.lower())
        if values is None:
            continue
        limits = STYLES[role].limits or value_limits(values, phantom.mask)
        layers.append(image_data(values, replace(entry, role=role), phantom.record, limits, visible=role == "T1"))
    return layers


# Of chunks of a stack on disk that are kept unpacked: those of a slice, so that its time points are looked through.
_MOST_KEPT = 512 * 2**20


def _magnitude(stack: FingerprintStack) -> Any:
    if is_lazy(stack.data):
        keep_unpacked(min(_MOST_KEPT, 2 * stack.data.nbytes // stack.shape[1]))
    is_shown_as_it_is = stack.kind == "magnitude" and stack.data.dtype.itemsize <= 8
    return stack.data if is_shown_as_it_is else Magnitudes(stack.data)


def stack_layer_data(stack: FingerprintStack, truth: Phantom | None = None, title: str = "") -> list[LayerData]:
    """Return the layer (time, z, y, x) of a stack: magnitudes, for one range from black to white fits all TRs."""
    entry = Entry("stack", "signal", stack, title or stack.name, truth=truth, stack=stack)
    return [image_data(_magnitude(stack), entry, stack.record, signal_limits(stack, stack.mask))]


def signal_limits(stack: FingerprintStack, inside: BoolArray) -> tuple[float, float]:
    """Return 0 and a round number above nearly all magnitudes inside a mask, of the slice with most of its voxels."""
    middle = int(np.argmax(inside.sum(axis=(1, 2))))
    frames = np.abs(np.asarray(stack.data[:: max(1, stack.shape[0] // 25), middle]))
    high = round_up(float(np.percentile(frames[:, inside[middle]], 99.5))) if inside[middle].any() else 1.0
    if stack.data.dtype.kind in "ui":
        high = min(high, float(np.iinfo(stack.data.dtype).max))
    return 0.0, high


def contrast_layer_data(series: ContrastSeries) -> LayerData:
    """Return the layer (contrast, z, y, x) of a series: an image like others, of magnitudes where it is complex.

    It is no subject of the session: nothing maps or compares it.
    """
    data = np.abs(series.data) if series.kind == "complex" else series.data
    scale, translate = display_transform(series.geometry, upright=False)
    contrasts = {called: values.tolist() for called, values in series.contrasts.items()}
    shown = {"affine": np.asarray(series.affine).tolist(), "kind": series.kind, "contrasts": contrasts}
    how = {
        "name": series.name,
        "scale": np.insert(scale, 0, 1.0),
        "translate": np.insert(translate, 0, 0.0),
        "units": ["dimensionless", "mm", "mm", "mm"],
        "axis_labels": ["contrast", "z", "y", "x"],
        "colormap": "gray",
        "metadata": {"blochnet": shown},
    }
    return data, how, "image"


@dataclass(frozen=True)
class Opened:
    """What is opened at once: a phantom or a stack, and what is true of the stack where that comes along."""

    subject: Phantom | FingerprintStack
    truth: Phantom | None = None

    @classmethod
    def of(cls, found: Opened | Phantom | FingerprintStack) -> Opened:
        """Return what was read as what is opened."""
        return found if isinstance(found, Opened) else cls(found)


def opened_layer_data(opened: Opened) -> list[LayerData]:
    """Return the layers of a phantom, of a stack, or of a stack above its truth; the one to look at is the last."""
    if isinstance(opened.subject, Phantom):
        return phantom_layer_data(opened.subject)
    below = [] if opened.truth is None else phantom_layer_data(opened.truth)
    hidden = [(data, {**how, "visible": False}, kind) for data, how, kind in below]
    return [*hidden, *stack_layer_data(opened.subject, opened.truth)]


def maps_layer_data(
    maps: ParameterMaps, stack: FingerprintStack | None, truth: Phantom | None, title: str
) -> list[LayerData]:
    """Return the layers of maps: what else there is, B1, standard errors, residual, PD, T2, T1; truth's limits."""
    entry = Entry("maps", "T1", maps, title, truth=truth, stack=stack)
    data = []
    roles = [*maps.others, *(role for role in ("B1", "T2 SE", "T1 SE") if map_values(maps, role) is not None)]
    for role in (*roles, "residual", "PD", "T2", "T1"):
        values = map_values(maps, role)
        if values is None:
            continue
        limits = style_of(role).limits
        if limits is None and truth is not None and truth.mask.any() and role not in roles:
            limits = value_limits(getattr(truth, role.lower()), truth.mask)
        limits = limits or value_limits(values, maps.mask & ~maps.failed)
        data.append(image_data(values, replace(entry, role=role), maps.record, limits, visible=False))
    return data


def map_values(maps: ParameterMaps, role: str) -> Any:
    """Return the map that is shown in a role; "T1 SE" is `t1_se`.

    Of what lies on both sides of 0, where 0 is a value as good as any, NaN stands where there is none.
    """
    if role not in maps.others:
        return getattr(maps, role.lower().replace(" ", "_"))
    values = maps.others[role].values
    return np.where(maps.mask & ~maps.failed, values, np.float32(np.nan)) if (values < 0).any() else values


def _unit(entry: Entry) -> str:
    subject, of = entry.subject, entry.role.removesuffix(" difference")
    if isinstance(subject, ParameterMaps) and of in subject.others:
        return subject.others[of].unit
    return style_of(entry.role).unit


def region_data(painted: AnyArray, entry: Entry, **how: Any) -> LayerData:
    """Return the Labels layer of a region, painted so far or empty."""
    colours = CyclicLabelColormap(["transparent", *REGION_COLOURS], name="regions")
    return _layer_data(painted, entry, {}, "labels", colormap=colours, opacity=0.75, **how)


def drawing_layer_data(entry: Entry | None, ndim: int = 3, *, name: str) -> LayerData:
    """Return an empty Shapes layer: on a subject's grid, or on its own."""
    how = {"name": name, "ndim": ndim, "edge_color": "#ffd60a", "face_color": "#ffd60a30", "edge_width": 0.6}
    if entry is None:
        return np.empty((0, 4, ndim)), how, "shapes"
    return _layer_data(np.empty((0, 4, ndim)), entry, {}, "shapes", **how)


def saved_layer_data(entry: Entry, data: AnyArray | None = None) -> LayerData:
    """Return the layer of one role of a subject, as it was made at first.

    Parameters
    ----------
    entry : Entry
    data : array, optional
        Of a role that is no part of the subject: an error map, a painted region.
    """
    subject = entry.subject
    if entry.kind == "region":
        painted = np.zeros(subject.shape[-3:], np.uint8) if data is None else data
        return region_data(painted, entry)
    if data is not None:
        return image_data(data, entry, subject.record, (-100.0, 100.0))
    if isinstance(subject, FingerprintStack):
        return stack_layer_data(subject, entry.truth, entry.title)[0]
    if isinstance(subject, Phantom):
        made = {item[1]["metadata"][ENTRY].role: item for item in phantom_layer_data(subject)}
        shown, how, kind = made[entry.role]
        return shown, {**how, "metadata": {**how["metadata"], ENTRY: entry}}, kind
    values = map_values(subject, entry.role)
    return image_data(values, entry, subject.record, style_of(entry.role).limits or value_limits(values, subject.mask))
