"""A session that was saved is shown again: linked, coloured and framed as it was."""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from napari.layers import Image, Layer
from napari.utils import Colormap

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.jobs.sessions import SavedSession, read_session
from napari_blochnet.napari_ui.background.turns import Steps
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas.framing import framing_of
from napari_blochnet.napari_ui.canvas.layer_data import LayerData, drawing_layer_data, saved_layer_data
from napari_blochnet.napari_ui.canvas.limits import limits_of
from napari_blochnet.napari_ui.canvas.looks import STYLES
from napari_blochnet.napari_ui.canvas.showing import fill_cells, reveal, show_alone
from napari_blochnet.napari_ui.canvas.sliders import Sliders
from napari_blochnet.napari_ui.canvas.swapping import Aside
from napari_blochnet.napari_ui.sessions import foreign_layers
from napari_blochnet.napari_ui.sessions.window_state import (
    ComparisonState,
    EntryState,
    LayerState,
    SessionState,
    damaged,
    parse_state,
)
from napari_blochnet.napari_ui.state.chosen_b1 import ChosenB1, ChosenB1s
from napari_blochnet.napari_ui.state.comparing import compare_with
from napari_blochnet.napari_ui.state.entries import Entry, is_derived
from napari_blochnet.napari_ui.state.pins import Voxel
from napari_blochnet.napari_ui.state.session import Compared, Session
from napari_blochnet.napari_ui.state.world import mm_per_unit
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["SessionRead", "open_session", "restore_steps"]


@dataclass(frozen=True)
class SessionRead:
    """A session as it was read, checked, its scores computed again; and what was left out of it, in sentences."""

    saved: SavedSession
    state: SessionState
    schedule: Schedule | None
    compared: Compared | None
    left_out: tuple[str, ...] = ()


def open_session(path: str | os.PathLike[str], **watched: Any) -> SessionRead:
    """Read a session and check all of it; worker thread.

    Parameters
    ----------
    path : path
    **watched
        ``progress`` and ``cancelled``, see `napari_blochnet.common.progress`.

    Raises
    ------
    InputError
        See `napari_blochnet.jobs.sessions.read_session`.
    """
    left_out: list[str] = []
    saved = read_session(path, left_out=left_out, **watched)
    state = parse_state(saved, _fits, left_out)
    schedule, compared = None, None
    try:
        schedule = None if state.schedule is None else Schedule.from_dict(state.schedule)
    except InputError as error:
        left_out.append(str(damaged(f"the schedule is damaged ({error})")))
    try:
        compared = None if state.comparison is None else _compared(saved, state.comparison, **watched)
    except InputError as error:
        left_out.append(str(damaged(f"the comparison is damaged ({error})")))
    for sentence in left_out:
        warnings.warn(f"Left out: {sentence}", DataWarning, stacklevel=2)
    return SessionRead(saved, state, schedule, compared, tuple(left_out))


def _compared(saved: SavedSession, state: ComparisonState, **watched: Any) -> Compared:
    """Compute again what was compared."""
    # by their place; `parse_state` has checked that each is of the class that is meant
    truth, reference = (
        None if place is None else cast("Any", saved.subjects[place]) for place in (state.truth, state.reference)
    )
    maps: Any = [saved.subjects[place] for place in state.maps]
    return compare_with(truth, reference, maps, state.settings, state.agreement, **watched)


def _fits(state: LayerState, saved: SavedSession) -> bool:
    """Whether a layer's array and role belong to its subject, and all that is said of its axes to so many."""
    array = None if state.array is None else saved.arrays[state.array]
    if state.type == "labels" and array is not None and array.dtype.kind not in "biu":
        return False
    if any(len(corner) != state.ndim for shape in state.shapes for corner in shape.corners):
        return False
    rows = {len(cells) for cells in state.features.values()}
    if len(rows) > 1 or (rows and state.type == "shapes" and rows != {len(state.shapes)}):
        return False
    if state.entry is None:
        is_numbers = array is not None and array.ndim == state.ndim and array.dtype.kind in "biuf"
        return (
            (state.type == "shapes" or is_numbers)
            and all(values is None or len(values) == state.ndim for values in (state.scale, state.translate))
            and (state.place is None or foreign_layers.place_fits(state.place, state.ndim))
        )
    subject: Any = saved.subjects[state.entry.subject]
    role = state.entry.role
    if array is not None and array.shape != subject.shape[-3:]:
        return False
    if state.entry.kind == "region":
        return True
    if is_derived(role):
        return array is not None and isinstance(subject, ParameterMaps)
    if role not in {"tissue", *STYLES}:
        return isinstance(subject, ParameterMaps) and role in subject.others
    part = {"tissue": "labels", "signal": "data"}.get(role, role.lower().replace(" ", "_"))
    return getattr(subject, part, None) is not None


def restore_steps(session: Session, opened: SessionRead) -> Steps[list[Layer]]:
    """Add the layers of a session to the viewer, and show them as they were."""
    if session.viewer is None:
        return []
    # by their place; `parse_state` has checked that each is of the class that is meant
    subjects: Sequence[Any] = opened.saved.subjects
    arrays, state = opened.saved.arrays, opened.state

    def entry(saved: EntryState) -> Entry:
        truth, stack = (None if place is None else subjects[place] for place in (saved.truth, saved.stack))
        return Entry(saved.kind, saved.role, subjects[saved.subject], saved.title, truth=truth, stack=stack)

    # what is open already would stand in the cells of what comes, and move with each of them
    seen: list[Layer] = []
    for layer in [layer for layer, known in session.pairs() if known.kind != "region"][-1:]:
        yield from show_alone(session, layer)
        seen.append(layer)
    for layer in [*seen, *(session.part(Aside).take() if state.view.grid else ())]:
        layer.visible = False
        yield
    session.restore_slots({subjects[place]: slot for place, slot in state.slots})
    made: list[Layer] = []
    for saved in state.layers:
        data = _layer_data(
            saved,
            None if saved.entry is None else entry(saved.entry),
            None if saved.array is None else arrays[saved.array],
        )
        yield
        with limits_of(session).restoring():
            added = yield from layers.hidden_steps(session, [data])
        # whoever deletes layers while they come, or closes the window, does not want the rest
        viewer = session.viewer
        if viewer is None or not added or not all(layer in viewer.layers for layer in made):
            return []
        made += added
        with limits_of(session).restoring():
            _restore_look(added[0], saved)
        yield
    limits_of(session).keep()
    session.compared = opened.compared
    if state.comparison is not None:
        session.plot_choice = state.comparison.plot.model_dump()
    session.mapped = weakref.WeakSet(subjects[place] for place in state.mapped)
    session.hidden_maps = weakref.WeakSet(subjects[place] for place in state.hidden)
    session.is_truth_hidden = state.truth_hidden
    for chosen in state.b1:
        layer = None if chosen.layer is None else weakref.ref(made[chosen.layer])
        known = ChosenB1(chosen.source, layer, chosen.path, chosen.unit, chosen.nominal)
        session.part(ChosenB1s).keep(subjects[chosen.stack], known)
    pins = {Voxel(subjects[pin.stack], pin.index): pin for pin in state.pins}
    if pins:
        current = next((voxel for voxel, pin in pins.items() if pin.current), None)
        session.restore_pins({voxel: pin.number for voxel, pin in pins.items()}, current)
    yield from _view_steps(session, state, made)
    session.changed.emit()
    session.view_changed.emit()
    return made


def _layer_data(state: LayerState, entry: Entry | None, array: AnyArray | None) -> LayerData:
    how: dict[str, Any] = {"name": state.name}
    if entry is None:
        # sessions of version 0.1 have scale and translation alone
        how |= state.place.model_dump() if state.place else {"scale": state.scale, "translate": state.translate}
    if state.features:
        how["features"] = foreign_layers.table_of(state.features)
    if state.type == "shapes":
        shown, style = foreign_layers.shapes_shown(state.shapes, state.ndim)
        _, usual, kind = drawing_layer_data(entry, state.ndim, name=state.name)
        return shown, {**usual, **how, **style}, kind
    if entry is None:
        return np.array(array), how, state.type
    shown, usual, kind = saved_layer_data(entry, array)
    return shown, {**usual, **how}, kind


def _restore_look(layer: Layer, state: LayerState) -> None:
    layer.opacity, layer.blending = state.opacity, state.blending
    if isinstance(layer, Image):
        if state.colormap is not None:
            layer.colormap = Colormap(**state.colormap.model_dump())
        if state.contrast_range is not None and state.contrast_limits is not None:
            layer.contrast_limits_range = state.contrast_range
            layer.contrast_limits = state.contrast_limits
        layer.gamma = state.gamma


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
    yield from fill_cells(session, [layer for layer in seen[1:] if layer in viewer.layers], named=False)
    for layer in seen[1:]:
        if session.viewer is None:
            return
        if layer in viewer.layers:
            yield from reveal(layer)
    if session.viewer is None:
        return
    # after the colour bars: the later of two in one corner stands above
    for layer, saved in zip(made, state.layers, strict=True):
        if saved.name_shown and saved.visible and isinstance(layer, Image) and layer in viewer.layers:
            layer.name_overlay.visible = True
            yield
    if session.viewer is None:
        return
    dims.ndisplay = view.ndisplay
    if sorted(view.order) == list(range(dims.ndim)):
        dims.order = tuple(view.order)
    # what is open here already may have the viewer count in other units than mm
    to_mm = mm_per_unit(viewer)
    if len(view.point) == dims.ndim:
        # it may have been fitted to what was seen while layers came
        session.part(Sliders).update()
        dims.point = (*view.point[:-3], *(place / to_mm for place in view.point[-3:]))
    camera.center, camera.zoom = tuple(place / to_mm for place in view.center), view.zoom * to_mm
    camera.angles = tuple(view.angles)
    # names and bars belong above and beside the pictures on this canvas, which may be another size than that one
    is_framed = view.framed if view.framed is not None else view.grid
    framing_of(session).frame(framing_of(session).shown(), moves=is_framed and view.ndisplay == 2)
    if view.active is not None and view.active < len(made) and made[view.active] in viewer.layers:
        viewer.layers.selection.active = made[view.active]
