"""Saving what one viewer shows to a folder, and showing it again: linked, coloured and framed as it was."""

from __future__ import annotations

import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes
from napari.utils import Colormap

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.jobs.catalogue import compare
from napari_blochnet.jobs.sessions import SESSION_FILE, SavedSession, read_session
from napari_blochnet.jobs.settings import CompareSettings, settings_from
from napari_blochnet.napari_ui.background.turns import Steps
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas.layer_data import LayerData, drawing_layer_data, saved_layer_data
from napari_blochnet.napari_ui.canvas.looks import LOOKS, colormap
from napari_blochnet.napari_ui.canvas.showing import reveal, show_alone
from napari_blochnet.napari_ui.sessions import foreign_layers
from napari_blochnet.napari_ui.sessions.window_state import (
    ColormapState,
    ComparisonState,
    EntryState,
    LayerState,
    PinState,
    SessionState,
    ShapeState,
    ViewState,
    parse_state,
)
from napari_blochnet.napari_ui.state.entries import Entry, Subject, entry_of
from napari_blochnet.napari_ui.state.pins import Voxel
from napari_blochnet.napari_ui.state.session import Compared, Session
from napari_blochnet.schedules.schedule import Schedule

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["Opened", "Snapshot", "default_folder", "open_session", "restore_steps", "snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """A session as it is to be written, and the names of layers that no session holds."""

    saved: SavedSession
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Opened:
    """A session as it was read, checked, its scores computed again."""

    saved: SavedSession
    state: SessionState
    schedule: Schedule | None
    compared: Compared | None


class _Places:
    """Gives every subject and array a place, once."""

    def __init__(self) -> None:
        self.subjects: list[Subject] = []
        self.arrays: list[AnyArray] = []

    def subject(self, subject: Subject | None) -> int | None:
        if subject is None:
            return None
        for place, known in enumerate(self.subjects):
            if known is subject:
                return place
        self.subjects.append(subject)
        return len(self.subjects) - 1

    def array(self, array: AnyArray) -> int:
        # the layer may be painted on while it is written
        self.arrays.append(np.array(array))
        return len(self.arrays) - 1


def snapshot(session: Session, *, tab: str = "", inspector: bool = False) -> Snapshot:
    """Return what a session consists of now; main thread.

    Parameters
    ----------
    session : Session
    tab : str
        Title of the workbench's tab.
    inspector : bool
        Whether the voxel inspector is open.

    Raises
    ------
    InputError
        Nothing is open.
    """
    viewer = session.viewer
    places = _Places()
    states: list[LayerState] = []
    left_out: list[str] = []
    kept: list[Layer] = []
    for layer in [] if viewer is None else viewer.layers:
        entry = entry_of(layer)
        if entry is None and not isinstance(layer, (Labels, Shapes)):
            if not any(key.startswith("blochnet") for key in layer.metadata):
                left_out.append(layer.name)
            continue
        states.append(_layer_state(layer, entry, places))
        kept.append(layer)
    if viewer is None or not states:
        raise InputError("There is nothing to save yet: no phantom, fingerprints, maps or regions are open.",
                         field="path")  # fmt: skip
    compared = session.compared
    comparison = None
    if compared is not None and all(session.entry(item) is not None for item in (compared.truth, *compared.maps)):
        settings = settings_from(CompareSettings, **compared.comparison.record["settings"])
        comparison = ComparisonState(truth=places.subject(compared.truth) or 0,
                                     maps=[places.subject(item) or 0 for item in compared.maps],
                                     settings=settings)  # fmt: skip
    active = viewer.layers.selection.active
    state = SessionState(
        layers=states,
        view=_view_state(viewer, kept.index(active) if active in kept else None, tab, inspector),
        pins=[
            PinState(stack=places.subject(voxel.stack) or 0, index=voxel.index, number=session.pin_number(voxel),
                     current=voxel == session.voxel)
            for voxel in session.pins
        ],
        comparison=comparison,
        mapped=[places.subject(maps) or 0 for maps in session.mapped if session.entry(maps) is not None],
        schedule=None if session.schedule is None else session.schedule.to_dict(),
    )  # fmt: skip
    saved = SavedSession(tuple(places.subjects), tuple(places.arrays), state.model_dump(mode="json"))
    return Snapshot(saved, tuple(left_out))


def _layer_state(layer: Layer, entry: Entry | None, places: _Places) -> LayerState:
    more: dict[str, Any] = {}
    if isinstance(layer, Image):
        more = {
            "contrast_limits": tuple(layer.contrast_limits),
            "contrast_range": tuple(layer.contrast_limits_range),
            "gamma": layer.gamma,
            "colormap": _chosen_colormap(layer, entry),
            "name_shown": layer.name_overlay.visible,
        }
        if entry is not None and entry.role.endswith(" error"):
            more["array"] = places.array(layer.data)
    elif isinstance(layer, Shapes):
        more["shapes"] = [
            ShapeState(kind=kind, corners=np.asarray(corners, dtype=np.float64).tolist(),
                       edge=np.asarray(edge, dtype=np.float64).tolist(),
                       face=np.asarray(face, dtype=np.float64).tolist(), width=float(width))
            for kind, corners, edge, face, width in zip(layer.shape_type, layer.data, layer.edge_color,
                                                        layer.face_color, layer.edge_width, strict=True)
        ]  # fmt: skip
    elif entry is None or entry.kind == "region":
        more["array"] = places.array(layer.data)
    if entry is None:
        more["place"] = foreign_layers.place_of(layer)
    if entry is None or entry.kind == "region":
        more["features"] = foreign_layers.features_of(layer)
    return LayerState(
        type="image" if isinstance(layer, Image) else "shapes" if isinstance(layer, Shapes) else "labels",
        name=layer.name,
        visible=layer.visible,
        opacity=layer.opacity,
        blending=str(layer.blending),
        ndim=layer.ndim,
        entry=None if entry is None else EntryState(
            kind=entry.kind, role=entry.role, subject=places.subject(entry.subject) or 0, title=entry.title,
            truth=places.subject(entry.truth), stack=places.subject(entry.stack),
        ),
        **more,
    )  # fmt: skip


def _chosen_colormap(layer: Image, entry: Entry | None) -> ColormapState | None:
    """Return a layer's colour map where it is not the one that its role has."""
    shown = layer.colormap
    if entry is not None and shown.name == colormap(LOOKS[entry.role].colormap).name:
        return None
    return ColormapState(name=shown.name, colors=np.asarray(shown.colors, dtype=np.float64).tolist(),
                         controls=np.asarray(shown.controls, dtype=np.float64).tolist(),
                         interpolation=str(shown.interpolation.value))  # fmt: skip


def _view_state(viewer: Viewer, active: int | None, tab: str, inspector: bool) -> ViewState:
    camera, grid = viewer.scene.camera, viewer.canvas.grid
    return ViewState(
        point=list(viewer.dims.point),
        order=list(viewer.dims.order),
        ndisplay=viewer.dims.ndisplay,
        center=list(camera.center),
        zoom=camera.zoom,
        angles=list(camera.angles),
        grid=grid.enabled,
        grid_shape=grid.shape,
        grid_stride=grid.stride,
        active=active,
        tab=tab,
        inspector=inspector,
    )


def open_session(
    path: str | os.PathLike[str],
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> Opened:
    """Read a session and check all of it; worker thread.

    Raises
    ------
    InputError
        See `napari_blochnet.jobs.sessions.read_session`.
    """
    saved = read_session(path, progress=progress, cancelled=cancelled)
    state = parse_state(saved)
    schedule = None if state.schedule is None else Schedule.from_dict(state.schedule)
    compared = None
    if state.comparison is not None:
        truth: Any = saved.subjects[state.comparison.truth]
        maps: Any = [saved.subjects[place] for place in state.comparison.maps]
        found = compare(truth, maps, state.comparison.settings, progress=progress, cancelled=cancelled)
        compared = Compared(found, truth, tuple(maps))
    for number, layer in enumerate(state.layers):
        _check_layer(number, layer, saved)
    return Opened(saved, state, schedule, compared)


def _check_layer(number: int, state: LayerState, saved: SavedSession) -> None:
    """Refuse a layer whose array or role does not belong to its subject."""
    damaged = InputError(f"{SESSION_FILE}: layer {number} does not fit what it shows; expected what this package "
                         "wrote.", field="path")  # fmt: skip
    array = None if state.array is None else saved.arrays[state.array]
    if state.type == "labels" and array is not None and array.dtype.kind not in "biu":
        raise damaged
    if any(len(corner) != state.ndim for shape in state.shapes for corner in shape.corners):
        raise damaged
    rows = {len(cells) for cells in state.features.values()}
    if len(rows) > 1 or (rows and state.type == "shapes" and rows != {len(state.shapes)}):
        raise damaged
    if state.entry is None:
        if state.type == "image" or (state.type == "labels" and array is None):
            raise damaged
        if any(values is not None and len(values) != state.ndim for values in (state.scale, state.translate)):
            raise damaged
        if state.type == "labels" and array is not None and array.ndim != state.ndim:
            raise damaged
        if state.place is not None and not foreign_layers.place_fits(state.place, state.ndim):
            raise damaged
        return
    subject, role = saved.subjects[state.entry.subject], state.entry.role
    if array is not None and array.shape != subject.shape[-3:]:
        raise damaged
    if state.entry.kind == "region":
        return
    if role.endswith(" error"):
        if array is None or not isinstance(subject, ParameterMaps):
            raise damaged
        return
    part = {"tissue": "labels", "signal": "data"}.get(role, role.lower().replace(" ", "_"))
    if getattr(subject, part, None) is None:
        raise damaged


def restore_steps(session: Session, opened: Opened) -> Steps[list[Layer]]:
    """Add the layers of a session to the viewer, and show them as they were."""
    if session.viewer is None:
        return []
    subjects, arrays, state = opened.saved.subjects, opened.saved.arrays, opened.state

    def entry(saved: EntryState) -> Entry:
        return Entry(saved.kind, saved.role, subjects[saved.subject], saved.title,
                     truth=None if saved.truth is None else subjects[saved.truth],
                     stack=None if saved.stack is None else subjects[saved.stack])  # type: ignore[arg-type]  # fmt: skip

    # what is open already would stand in the cells of what comes, and move with each of them
    for layer in [layer for layer in session.layers() if entry_of(layer).kind != "region"][-1:]:
        yield from show_alone(session, layer)
        layer.visible = False
        yield
    made: list[Layer] = []
    for saved in state.layers:
        data = _layer_data(saved, None if saved.entry is None else entry(saved.entry),
                           None if saved.array is None else arrays[saved.array])  # fmt: skip
        yield
        added = yield from layers.restore_steps(session, data)
        # whoever deletes layers while they come, or closes the window, does not want the rest
        viewer = session.viewer
        if viewer is None or added is None or not all(layer in viewer.layers for layer in made):
            return []
        made.append(added)
        _restore_look(added, saved)
        yield
    session.compared = opened.compared
    session.mapped = weakref.WeakSet(subjects[place] for place in state.mapped)  # type: ignore[misc]
    pins = {Voxel(subjects[pin.stack], pin.index): pin for pin in state.pins}  # type: ignore[arg-type]
    if pins:
        current = next((voxel for voxel, pin in pins.items() if pin.current), None)
        session.restore_pins({voxel: pin.number for voxel, pin in pins.items()}, current)
    yield from _view_steps(session, state, made)
    session.changed.emit()
    session.view_changed.emit()
    return made


def _layer_data(state: LayerState, entry: Entry | None, array: AnyArray | None) -> LayerData:
    where: dict[str, Any] = {"scale": state.scale, "translate": state.translate}
    if state.place is not None:
        where = foreign_layers.placed(state.place)
    if state.type == "shapes":
        shown, how, kind = drawing_layer_data(entry, state.ndim, name=state.name)
        return shown, how if entry is not None else {**how, **where}, kind
    if entry is not None:
        shown, how, kind = saved_layer_data(entry, array)
        return shown, {**how, "name": state.name}, kind
    return np.array(array), {"name": state.name, **where}, "labels"


def _restore_look(layer: Layer, state: LayerState) -> None:
    layer.opacity, layer.blending = state.opacity, state.blending
    if isinstance(layer, Image):
        if state.colormap is not None:
            chosen = state.colormap
            layer.colormap = Colormap(np.array(chosen.colors), name=chosen.name, controls=np.array(chosen.controls),
                                      interpolation=chosen.interpolation)  # fmt: skip
        if state.contrast_range is not None and state.contrast_limits is not None:
            layer.contrast_limits_range = state.contrast_range
            layer.contrast_limits = state.contrast_limits
        layer.gamma = state.gamma
        layer.name_overlay.visible = state.name_shown
    elif isinstance(layer, Shapes) and state.shapes:
        shapes = state.shapes
        layer.add([np.array(shape.corners) for shape in shapes], shape_type=[shape.kind for shape in shapes])
        if all(None not in (shape.edge, shape.face, shape.width) for shape in shapes):
            layer.edge_color = np.array([shape.edge for shape in shapes])
            layer.face_color = np.array([shape.face for shape in shapes])
            layer.edge_width = [shape.width for shape in shapes]
    if state.features:
        layer.features = foreign_layers.table_of(state.features)


def _view_steps(session: Session, state: SessionState, made: list[Layer]) -> Steps[None]:
    """Show what was shown, one layer after the other, from where it was seen."""
    viewer, view = session.viewer, state.view
    if viewer is None:
        return
    grid, camera, dims = viewer.canvas.grid, viewer.scene.camera, viewer.dims
    seen = [layer for layer, saved in zip(made, state.layers, strict=True) if saved.visible]
    # a grid of nothing napari takes down; what goes to another cell of it is compiled anew, hence the others after it
    for layer in seen[:1]:
        yield from reveal(layer)
    grid.shape, grid.stride, grid.enabled = view.grid_shape, view.grid_stride, view.grid
    yield
    for layer in seen[1:]:
        if session.viewer is None:
            return
        if layer in viewer.layers:
            yield from reveal(layer)
    if session.viewer is None:
        return
    dims.ndisplay = view.ndisplay
    if sorted(view.order) == list(range(dims.ndim)):
        dims.order = tuple(view.order)
    if len(view.point) == dims.ndim:
        dims.point = tuple(view.point)
    camera.center, camera.zoom, camera.angles = tuple(view.center), view.zoom, tuple(view.angles)
    if view.active is not None and view.active < len(made) and made[view.active] in viewer.layers:
        viewer.layers.selection.active = made[view.active]


def default_folder(session: Session) -> Path:
    """Return a name for a new session's folder: that of what was opened first."""
    entries = [*session.entries("phantom"), *session.entries("stack")]
    name = "".join(character if character.isalnum() else "-" for character in entries[0].title) if entries else ""
    return Path.home() / f"{name.strip('-') or 'blochnet'}-session"
