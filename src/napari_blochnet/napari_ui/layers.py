"""The one module that makes layers: what a phantom, a stack and maps look like in napari.

Layers lie in the frame of their own voxels (a diagonal display transform in mm); the true affine is in the metadata.
Where the rows of the image run to anterior or superior, the scale along y is negative: napari draws y downwards, so
the head stands upright, without touching the camera, which belongs to the viewer and to everybody's layers.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cmap
import numpy as np
from napari.experimental import link_layers
from napari.layers import Image, Labels, Layer, Points

from napari_blochnet.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.errors import InputError
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.geometry import Geometry
from napari_blochnet.napari_ui.errors import part_of_truth
from napari_blochnet.napari_ui.session import ENTRY, Entry, Session, Subject, Voxel, entry_of
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari import Viewer

__all__ = [
    "LayerData",
    "add_error_layers",
    "add_maps",
    "add_phantom",
    "add_region",
    "add_stack",
    "current_slice",
    "finish_layer",
    "mark_voxel",
    "mask_of_region",
    "phantom_layer_data",
    "refresh_maps",
    "replace_maps",
    "show_only",
    "show_quantity",
    "show_result",
    "side_by_side",
    "stack_layer_data",
    "voxel_at",
]

LayerData = tuple[AnyArray, dict[str, Any], str]

# Key in the metadata of the layer that marks the pinned voxel.
_MARK = "blochnet_mark"
# A magnitude copy above this size is computed slice by slice when napari asks for it.
_COPY_BYTES = 256 * 2**20


@dataclass(frozen=True)
class _Look:
    colormap: str
    unit: str
    limits: tuple[float, float] | None = None


# T1 and T2 in the colour maps recommended for them: Fuderer et al., Magn Reson Med 93:1415 (2025), doi 10.1002/mrm.30290.
# Errors diverge from black, so that no error and no voxel look alike on napari's dark canvas.
_LOOKS = {
    "T1": _Look("crameri:lipari", "ms"),
    "T2": _Look("crameri:navia", "ms"),
    "PD": _Look("gray", ""),
    "signal": _Look("gray", ""),
    "residual": _Look("magma", "", (0.0, 0.2)),
    "T1 error": _Look("crameri:berlin", "%"),
    "T2 error": _Look("crameri:berlin", "%"),
}
# One colour per tissue, the brain's first; a label above them takes napari's own cycle.
_TISSUE_COLOURS = ("#4cc9f0", "#b8b8c8", "#f4f1de", "#f6bd60", "#e07a5f", "#f28482", "#d9cfc1", "#84a59d", "#9d4edd",
                   "#e63946", "#8d99ae")  # fmt: skip


def _assert_main_thread() -> None:
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("layers are made on the main thread only")


# -- geometry


def _runs_up(geometry: Geometry) -> bool:
    """Whether rows (y) run mainly to anterior or superior."""
    column = np.asarray(geometry.affine)[:3, 1]
    axis = int(np.argmax(np.abs(column)))
    return axis in (1, 2) and column[axis] > 0


def display_transform(geometry: Geometry, *, upright: bool = True) -> tuple[FloatArray, FloatArray]:
    """Return scale and translation (z, y, x) in mm of a volume in the frame of its own voxels.

    Parameters
    ----------
    geometry : Geometry
        The true one, possibly oblique.
    upright : bool
        Whether the affine is known well enough to turn the image by it.
    """
    affine = np.asarray(geometry.affine)
    size = np.asarray(geometry.voxel_size)
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    # the scanner position of voxel 0, told along the voxel axes: sub-volumes of one volume stay where they were
    origin = np.linalg.solve(directions, affine[:3, 3])[::-1]
    turn = np.array([1.0, -1.0 if upright and _runs_up(geometry) else 1.0, 1.0])
    return size * turn, origin * turn


def _is_upright(entry: Entry) -> bool:
    # frames without any geometry are in image order, first row on top; heads and everything made of them are not
    geometry = entry.subject.geometry
    plain = np.array_equal(np.asarray(geometry.affine), np.diag([*geometry.voxel_size[::-1], 1.0]))
    subject = entry.stack if entry.stack is not None else entry.subject
    return not (plain and entry.truth is None and isinstance(subject, FingerprintStack))


# -- limits


def _round_up(value: float) -> float:
    """Return the next of 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10 × a power of ten."""
    if not np.isfinite(value) or value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    steps = np.array([1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10]) * power
    return float(steps[np.searchsorted(steps, value * (1 - 1e-9))])


def _limits(values: AnyArray, mask: BoolArray) -> tuple[float, float]:
    inside = values[mask]
    return 0.0, _round_up(float(np.percentile(inside, 99))) if inside.size else 1.0


# -- layer data


def _layer_data(data: AnyArray, entry: Entry, record: dict[str, Any], kind: str = "image", **kwargs: Any) -> LayerData:
    geometry = entry.subject.geometry
    scale, translate = display_transform(geometry, upright=_is_upright(entry))
    units, labels = ["mm"] * 3, ["z", "y", "x"]
    if data.ndim == 4:
        scale, translate = np.insert(scale, 0, 1.0), np.insert(translate, 0, 0.0)
        units, labels = ["dimensionless", *units], ["time", *labels]
    unit = _LOOKS[entry.role].unit if entry.role in _LOOKS else ""
    shown = {"role": entry.role, "unit": unit, "affine": np.asarray(geometry.affine).tolist(), "record": record}
    role = entry.role + (f" ({unit})" if unit else "")
    kwargs.setdefault("name", f"{role} – {entry.title}" if entry.role != "signal" else entry.title)
    kwargs.update(scale=scale, translate=translate, units=units, axis_labels=labels,
                  metadata={"blochnet": shown, ENTRY: entry})  # fmt: skip
    return data, kwargs, kind


def _image(data: AnyArray, entry: Entry, record: dict[str, Any], limits: tuple[float, float], **more: Any) -> LayerData:
    look = _LOOKS[entry.role]
    return _layer_data(data, entry, record, colormap=cmap.Colormap(look.colormap).to_napari(),
                       contrast_limits=limits, interpolation2d="nearest", **more)  # fmt: skip


def phantom_layer_data(phantom: Phantom) -> list[LayerData]:
    """Return the layers of a phantom, the one that is shown last: tissue, PD, T2, T1."""
    entry = Entry("phantom", "T1", phantom, phantom.name, truth=phantom)
    layers = []
    if phantom.labels is not None:
        colours: dict[int | None, Any] = {None: (0, 0, 0, 0), 0: (0, 0, 0, 0)}
        colours.update({i + 1: _TISSUE_COLOURS[i % len(_TISSUE_COLOURS)] for i in range(len(phantom.tissues) or 11)})
        features = {"index": list(range(len(phantom.tissues) + 1)), "tissue": ["background", *phantom.tissues]}
        layers.append(
            _layer_data(phantom.labels, replace(entry, role="tissue"), phantom.record, "labels",
                        colormap=colours, features=features, opacity=1.0, visible=False)  # fmt: skip
        )
    for role in ("PD", "T2", "T1"):
        values = getattr(phantom, role.lower())
        layers.append(_image(values, replace(entry, role=role), phantom.record, _limits(values, phantom.mask),
                             visible=role == "T1"))  # fmt: skip
    return layers


def _magnitude(stack: FingerprintStack) -> AnyArray:
    if stack.kind != "complex":
        return stack.data
    if stack.data.nbytes <= _COPY_BYTES:
        return np.abs(stack.data)
    import dask.array as da

    return abs(da.from_array(stack.data, chunks=(1, -1, -1, -1), meta=np.empty((0,) * 4, stack.data.dtype)))


def stack_layer_data(stack: FingerprintStack, truth: Phantom | None = None, title: str = "") -> list[LayerData]:
    """Return the layer (time, z, y, x) of a stack: magnitudes of complex samples, real samples as they are."""
    entry = Entry("stack", "signal", stack, title or stack.name, truth=truth, stack=stack)
    middle = int(np.argmax(stack.mask.sum(axis=(1, 2))))
    frames = np.abs(np.asarray(stack.data[:: max(1, len(stack.schedule) // 25), middle]))
    high = _round_up(float(np.percentile(frames[:, stack.mask[middle]], 99.5))) if stack.mask[middle].any() else 1.0
    low = -high if stack.kind == "real" else 0.0
    return [_image(_magnitude(stack), entry, stack.record, (low, high))]


# -- adding to a viewer


def finish_layer(viewer: Viewer, layer: Layer) -> None:
    """Give a layer of ours what layer data cannot carry: colour bar, name in grid cells, links, the time it starts at."""
    entry = entry_of(layer)
    if entry is None or not isinstance(layer, Image):
        return
    layer.colorbar.visible = True
    layer.name_overlay.position = "bottom_center"
    peers = [
        other for other in viewer.layers
        if other is not layer and (known := entry_of(other)) is not None and known.role == entry.role
        and known.kind != "stack" and entry.kind != "stack"
    ]  # fmt: skip
    if peers:
        # maps of one quantity are read against each other: same limits, same colours, now and later
        layer.contrast_limits_range = peers[0].contrast_limits_range
        layer.contrast_limits = peers[0].contrast_limits
        link_layers([peers[0], layer], ("contrast_limits", "gamma", "colormap"))
    siblings = [other for other in viewer.layers
                if other is not layer and (known := entry_of(other)) is not None and known.subject is entry.subject]  # fmt: skip
    if siblings:
        link_layers([siblings[0], layer], ("opacity",))


def _add(session: Session, data: Sequence[LayerData]) -> list[Layer]:
    _assert_main_thread()
    viewer = session.viewer
    if viewer is None:
        return []
    made: list[Layer] = [Layer.create(*item) for item in data]
    was_empty = len(viewer.layers) == 0
    for layer in made:
        viewer.layers.append(layer)
    if was_empty or not viewer.canvas.overlays.scale_bar.visible:
        viewer.canvas.overlays.scale_bar.visible = True
    return made


def add_phantom(session: Session, phantom: Phantom) -> list[Layer]:
    """Show a phantom, at its middle slice, T1 on top."""
    made = _add(session, phantom_layer_data(phantom))
    _look_at(session, made, phantom.mask)
    return made


def add_stack(session: Session, stack: FingerprintStack, truth: Phantom | None = None, title: str = "") -> list[Layer]:
    """Show a stack."""
    made = _add(session, stack_layer_data(stack, truth, title))
    _look_at(session, made, stack.mask)
    return made


def add_maps(
    session: Session, maps: ParameterMaps, stack: FingerprintStack, truth: Phantom | None, title: str
) -> list[Layer]:
    """Show maps: residual, PD, T2, T1, with the limits of the truth where it is known."""
    entry = Entry("maps", "T1", maps, title, truth=truth, stack=stack)
    data = []
    for role in ("residual", "PD", "T2", "T1"):
        values = getattr(maps, role.lower())
        fixed = _LOOKS[role].limits
        if fixed is None and truth is not None and truth.mask.any():
            fixed = _limits(getattr(truth, role.lower()), truth.mask)
        data.append(_image(values, replace(entry, role=role), maps.record,
                           fixed or _limits(values, maps.mask & ~maps.failed), visible=role == "T1"))  # fmt: skip
    made = _add(session, data)
    show_only(session, made[-1:])
    return made


def replace_maps(session: Session, old: ParameterMaps, new: ParameterMaps, truth: Phantom | None) -> None:
    """Let the layers of unfinished maps stand for the finished ones, which share their arrays."""
    _assert_main_thread()
    for layer in session.layers("maps", old):
        entry = entry_of(layer)
        if entry is None:
            continue
        layer.metadata = {
            "blochnet": {**layer.metadata["blochnet"], "record": new.record},
            ENTRY: replace(entry, subject=new, truth=truth),
        }
        values = getattr(new, entry.role.lower())
        layer.data = values
        if truth is None and _LOOKS[entry.role].limits is None and not _has_peer(session, layer, entry.role):
            layer.contrast_limits_range = layer.contrast_limits = _limits(values, new.mask & ~new.failed)
    session.changed.emit()


def _has_peer(session: Session, layer: Layer, role: str) -> bool:
    return any(other is not layer and entry_of(other).kind != "stack" for other in session.layers(role=role))


def refresh_maps(session: Session, maps: ParameterMaps) -> None:
    """Draw what a job has written into the maps since."""
    _assert_main_thread()
    for layer in session.layers("maps", maps):
        if layer.visible:
            layer.refresh(thumbnail=False, extent=False, highlight=False)


def add_error_layers(session: Session, maps: ParameterMaps, errors: dict[str, FloatArray], limit: float) -> list[Layer]:
    """Show signed errors in per cent, limits symmetric.

    Parameters
    ----------
    session : Session
    maps : ParameterMaps
        What was compared; its entry names the truth.
    errors : dict of str to array of shape (Z, Y, X)
        "T1" and "T2", per cent, 0 outside the mask.
    limit : float
        Shown above and below 0, per cent.
    """
    entry = session.entry(maps)
    if entry is None:
        return []
    data = [
        _image(errors[name], replace(entry, role=f"{name} error"), maps.record, (-limit, limit), visible=False)
        for name in ("T2", "T1")
    ]
    for role in ("T1 error", "T2 error"):
        for layer in session.layers("maps", maps, role):
            session.viewer.layers.remove(layer)
    return _add(session, data)


def add_region(session: Session, subject: Subject) -> Layer | None:
    """Add an empty Labels layer on a subject's grid, brush in hand."""
    entry = session.entry(subject)
    viewer = session.viewer
    if entry is None or viewer is None:
        return None
    shape = subject.shape[-3:]
    region = replace(entry, kind="region", role="region")
    data = _layer_data(np.zeros(shape, np.uint8), region, {}, "labels", name=f"Region – {entry.title}", opacity=0.5)
    layer = _add(session, [data])[0]
    viewer.layers.selection.active = layer
    layer.brush_size = max(3, round(shape[-1] / 15))
    layer.mode = "paint"
    return layer


# -- looking


def _look_at(session: Session, layers: Sequence[Layer], mask: BoolArray) -> None:
    """Go to the slice with most voxels inside the mask, and show the last layer alone."""
    viewer = session.viewer
    if viewer is None or not layers:
        return
    show_only(session, layers[-1:])
    z = int(np.argmax(mask.sum(axis=(1, 2))))
    point = layers[-1].data_to_world([0] * (layers[-1].ndim - 3) + [z, 0, 0])
    viewer.dims.set_point(viewer.dims.ndim - 3, point[-3])
    side_by_side(session, False)


def show_only(session: Session, layers: Sequence[Layer]) -> None:
    """Show these of our layers and hide our others; layers of other people, and regions, stay as they are."""
    chosen = set(map(id, layers))
    for layer in session.layers():
        entry = entry_of(layer)
        if entry is not None and entry.kind != "region":
            layer.visible = id(layer) in chosen
    viewer = session.viewer
    if viewer is not None and layers:
        viewer.layers.selection.active = layers[-1]
        for layer in session.layers():
            if isinstance(layer, Image):
                layer.name_overlay.visible = len(layers) > 1


# -- from layers to voxels


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
    """Return the slice (z index) of a subject that the viewer stands at; None where it lies outside.

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
    index = round((viewer.dims.point[-3] - float(layer.translate[-3])) / float(layer.scale[-3]))
    return index if 0 <= index < count else None


def truth_layers(session: Session, other: FingerprintStack | ParameterMaps, role: str) -> list[Layer]:
    """Return the layers of phantoms that cover a stack or maps, in one role."""
    return [layer for layer in session.layers("phantom", role=role)
            if part_of_truth(entry_of(layer).subject, other) is not None]  # fmt: skip


def show_result(session: Session, maps: Sequence[ParameterMaps], truth: Phantom | None) -> None:
    """Show maps side by side: T1 and T2, each as truth, estimates and errors where there is a truth."""
    viewer = session.viewer
    if viewer is None or not maps:
        return
    rows: list[list[Layer]] = []
    for role in ("T1", "T2"):
        row = truth_layers(session, maps[0], role)[-1:] if truth is not None else []
        row += [layer for item in maps for layer in session.layers("maps", item, role)]
        row += [layer for item in maps for layer in session.layers("maps", item, f"{role} error")]
        rows.append(row)
    shown = [layer for row in rows for layer in row]
    if not shown:
        return
    # the grid fills its cells from the top of the layer list downwards
    for layer in reversed(shown):
        viewer.layers.move(viewer.layers.index(layer), len(viewer.layers))
    show_only(session, shown)
    viewer.canvas.grid.shape = (2, len(rows[0])) if len(rows[0]) == len(rows[1]) > 1 else (-1, -1)
    side_by_side(session, True)


def show_quantity(session: Session, role: str, *, beside: bool) -> None:
    """Show one quantity: the newest layer of it, or all layers of it side by side."""
    found = session.layers(role=role)
    if role in ("T1", "T2"):
        found += session.layers(role=f"{role} error") if beside else []
    if not found:
        return
    show_only(session, found if beside else found[-1:])
    if session.viewer is not None:
        session.viewer.canvas.grid.shape = (-1, -1)
    side_by_side(session, beside)


def side_by_side(session: Session, beside: bool) -> None:
    """Switch napari's grid on or off, and fit the view."""
    viewer = session.viewer
    if viewer is None:
        return
    if viewer.canvas.grid.enabled != beside:
        viewer.canvas.grid.enabled = beside
    viewer.reset_view()


def mark_voxel(session: Session, voxel: Voxel | None) -> None:
    """Mark the pinned voxel with a ring; take the ring away for None."""
    viewer = session.viewer
    if viewer is None:
        return
    marks = [layer for layer in viewer.layers if isinstance(layer, Points) and layer.metadata.get(_MARK)]
    entry = None if voxel is None else session.entry(voxel.stack)
    if voxel is None or entry is None:
        for layer in marks:
            viewer.layers.remove(layer)
        return
    scale, translate = display_transform(voxel.stack.geometry, upright=_is_upright(entry))
    place = [list(voxel.index)]
    if marks and np.array_equal(marks[0].scale, scale) and np.array_equal(marks[0].translate, translate):
        marks[0].data = place
        return
    for layer in marks:
        viewer.layers.remove(layer)
    active = viewer.layers.selection.active
    size = max(3.0, voxel.stack.shape[-1] / 40)
    mark = Points(
        place, name="Pinned voxel", scale=scale, translate=translate, units=["mm"] * 3, axis_labels=["z", "y", "x"],
        symbol="ring", size=size, face_color="#ffd60a", border_color="#ffd60a", metadata={_MARK: True},
    )  # fmt: skip
    viewer.layers.append(mark)
    viewer.layers.selection.active = active
