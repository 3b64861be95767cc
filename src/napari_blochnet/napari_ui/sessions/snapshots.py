"""What is saved of a viewer: all that is open, how it is linked, and where it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes
from pydantic import ValidationError

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.sessions import SavedSession
from napari_blochnet.jobs.settings import settings_from
from napari_blochnet.jobs.settings_comparing import AgreementSettings, CompareSettings
from napari_blochnet.napari_ui.canvas.framing import framing_of
from napari_blochnet.napari_ui.canvas.looks import colormap, style_of
from napari_blochnet.napari_ui.sessions import foreign_layers
from napari_blochnet.napari_ui.sessions.window_state import (
    USUAL_VIEW,
    B1State,
    ColormapState,
    ComparisonState,
    EntryState,
    LayerState,
    PinState,
    PlotState,
    SessionState,
    ViewState,
    first_fault,
)
from napari_blochnet.napari_ui.state.chosen_b1 import ChosenB1, ChosenB1s
from napari_blochnet.napari_ui.state.entries import Entry, Subject, entry_of, is_derived
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.state.world import mm_per_unit

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["Snapshot", "default_folder", "snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """A session as it is to be written, and the names of layers that no session holds."""

    saved: SavedSession
    left_out: tuple[str, ...]


class _Places:
    """Gives every subject and array a place, once."""

    def __init__(self) -> None:
        self.subjects: list[Subject] = []
        self.arrays: list[AnyArray] = []

    def subject(self, subject: Subject) -> int:
        if not any(known is subject for known in self.subjects):
            self.subjects.append(subject)
        return next(place for place, known in enumerate(self.subjects) if known is subject)

    def array(self, array: AnyArray) -> int:
        # the layer may be painted on while it is written
        self.arrays.append(np.array(array))
        return len(self.arrays) - 1

    def entry(self, entry: Entry) -> EntryState:
        subject = self.subject(entry.subject)
        truth, stack = (None if known is None else self.subject(known) for known in (entry.truth, entry.stack))
        return EntryState(
            kind=entry.kind, role=entry.role, subject=subject, title=entry.title, truth=truth, stack=stack
        )


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
        Nothing is open that a session holds, or more than it holds.
    """
    try:
        return _snapshot(session, tab, inspector)
    except ValidationError as error:
        raise InputError(f"The session cannot be saved: {first_fault(error)}.") from None


def _snapshot(session: Session, tab: str, inspector: bool) -> Snapshot:
    viewer = session.viewer
    places = _Places()
    states: list[LayerState] = []
    left_out: list[str] = []
    kept: list[Layer] = []
    b1 = session.part(ChosenB1s).given()
    b1_layers = [chosen.layer() for _, chosen in b1 if chosen.layer is not None]
    for layer in [] if viewer is None else viewer.layers:
        entry = entry_of(layer)
        if entry is None and not isinstance(layer, (Labels, Shapes)) and layer not in b1_layers:
            if not any(key.startswith("blochnet") for key in layer.metadata):
                left_out.append(layer.name)
            continue
        if entry is not None and entry.role == "mask":
            # made anew when a threshold is chosen
            continue
        arrays = len(places.arrays)
        try:
            states.append(_layer_state(layer, entry, places))
        except ValidationError:  # farther away, finer or longer than what is read again
            left_out.append(layer.name)
            del places.arrays[arrays:]
            continue
        kept.append(layer)
    if viewer is None or not states:
        raise InputError(
            "There is nothing to save yet: no phantom, fingerprints, maps or regions are open.", field="path"
        )
    compared = session.compared
    comparison = None
    if compared is not None and session.is_open(*compared.subjects):
        scores, agreement = (
            None if made is None else made.record["settings"] for made in (compared.comparison, compared.agreement)
        )
        truth, reference = (
            None if each is None else places.subject(each) for each in (compared.truth, compared.reference)
        )
        comparison = ComparisonState(
            truth=truth,
            maps=[places.subject(item) for item in compared.maps],
            settings=settings_from(CompareSettings, **(scores or {})),
            reference=reference,
            agreement=settings_from(AgreementSettings, **(agreement or {})),
            plot=PlotState(**session.plot_choice),
        )
    active = viewer.layers.selection.active
    place = kept.index(active) if active in kept else None
    try:
        view = _view_state(session, viewer, place, tab, inspector)
    except ValidationError:  # from beside a layer that is left out
        view = USUAL_VIEW.model_copy(update={"active": place, "tab": tab, "inspector": inspector})
    state = SessionState(
        layers=states,
        view=view,
        pins=[
            PinState(
                stack=places.subject(voxel.stack),
                index=voxel.index,
                number=session.pin_number(voxel),
                current=voxel == session.voxel,
            )
            for voxel in session.pins
        ],
        comparison=comparison,
        mapped=[places.subject(maps) for maps in session.mapped if session.is_open(maps)],
        hidden=[places.subject(maps) for maps in session.hidden_maps if session.is_open(maps)],
        slots=[(places.subject(entry.subject), session.slot(entry.subject)) for entry in session.entries("maps")],
        truth_hidden=session.is_truth_hidden,
        b1=[_b1_state(chosen, places.subject(stack), kept) for stack, chosen in b1],
        schedule=None if session.schedule is None else session.schedule.to_dict(),
    )
    saved = SavedSession(tuple(places.subjects), tuple(places.arrays), state.model_dump(mode="json"))
    return Snapshot(saved, tuple(left_out))


def _b1_state(chosen: ChosenB1, stack: int, kept: Sequence[Layer]) -> B1State:
    layer = None if chosen.layer is None else chosen.layer()
    return B1State(
        stack=stack,
        # a layer that no session holds is told of with the others that are left out
        source=chosen.source if chosen.source != "layer" or layer in kept else "nominal",
        layer=kept.index(layer) if chosen.source == "layer" and layer in kept else None,
        path=chosen.path,
        unit=chosen.unit,
        nominal=chosen.nominal,
    )


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
        if entry is None or is_derived(entry.role):
            more["array"] = places.array(layer.data[0] if layer.multiscale else layer.data)
    elif isinstance(layer, Shapes):
        more["shapes"] = foreign_layers.shapes_of(layer)
    elif entry is None or entry.kind == "region":
        more["array"] = places.array(layer.data)
    if entry is None:
        more["place"] = foreign_layers.place_of(layer)
    if not isinstance(layer, Image) and (entry is None or entry.kind == "region"):
        more["features"] = foreign_layers.features_of(layer)
    return LayerState(
        type="image" if isinstance(layer, Image) else "shapes" if isinstance(layer, Shapes) else "labels",
        name=layer.name,
        visible=layer.visible,
        opacity=layer.opacity,
        blending=str(layer.blending),
        ndim=layer.ndim,
        entry=None if entry is None else places.entry(entry),
        **more,
    )


def _chosen_colormap(layer: Image, entry: Entry | None) -> ColormapState | None:
    """Return a layer's colour map where it is not the one that its role has."""
    shown = layer.colormap
    if entry is not None and shown.name == colormap(style_of(entry.role).colormap).name:
        return None
    return ColormapState(
        name=shown.name, colors=shown.colors, controls=shown.controls, interpolation=shown.interpolation.value
    )


def _view_state(session: Session, viewer: Viewer, active: int | None, tab: str, inspector: bool) -> ViewState:
    camera, grid = viewer.scene.camera, viewer.canvas.grid
    # layers that no session holds may have made the viewer count in other units
    to_mm = mm_per_unit(viewer)
    return ViewState(
        point=[*viewer.dims.point[:-3], *(place * to_mm for place in viewer.dims.point[-3:])],
        order=list(viewer.dims.order),
        ndisplay=viewer.dims.ndisplay,
        center=[place * to_mm for place in camera.center],
        zoom=camera.zoom / to_mm,
        angles=list(camera.angles),
        grid=grid.enabled,
        grid_shape=grid.shape,
        grid_stride=grid.stride,
        active=active,
        tab=tab,
        inspector=inspector,
        framed=framing_of(session).is_framed,
    )


def default_folder(session: Session) -> Path:
    """Return a new folder's name for a session: that of what was opened first, numbered where it is there already."""
    entries: list[Entry] = [*session.entries("phantom"), *session.entries("stack")]
    name = "".join(character if character.isalnum() else "-" for character in entries[0].title) if entries else ""
    start = f"{name.strip('-') or 'blochnet'}-session"
    names = (start, *(f"{start}-{number}" for number in range(2, 1000)))
    return next((folder for folder in map(Path.home().joinpath, names) if not folder.exists()), Path.home() / start)
