"""The one module that makes layers: adds them to the viewer, in steps, and changes what they show.

What they look like says `napari_blochnet.napari_ui.canvas.layer_data`.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pint
from napari.experimental import link_layers
from napari.layers import Image, Layer

from napari_blochnet.common.arrays import BoolArray, FloatArray
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.result_tables import numbered_names
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.background.turns import Steps, at_once
from napari_blochnet.napari_ui.canvas.arranging import HIGHEST_BAR
from napari_blochnet.napari_ui.canvas.captions import FONT_SIZE, give_caption
from napari_blochnet.napari_ui.canvas.framing import framing_of
from napari_blochnet.napari_ui.canvas.layer_data import (
    LayerData,
    Opened,
    drawing_layer_data,
    image_data,
    map_values,
    maps_layer_data,
    phantom_layer_data,
    region_data,
    stack_layer_data,
)
from napari_blochnet.napari_ui.canvas.letters import PictureLetters
from napari_blochnet.napari_ui.canvas.limits import family_of, limits_of
from napari_blochnet.napari_ui.canvas.showing import look_at, show_alone, show_colour_bar
from napari_blochnet.napari_ui.canvas.sliders import Sliders
from napari_blochnet.napari_ui.canvas.swapping import calm_steps
from napari_blochnet.napari_ui.state.entries import ENTRY, Entry, Subject, entry_of
from napari_blochnet.napari_ui.state.session import Session, every_session, session_of
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari import Viewer

__all__ = [
    "add_drawing",
    "add_maps",
    "add_outline",
    "add_phantom",
    "add_region",
    "add_stack",
    "error_steps",
    "hidden_steps",
    "maps_steps",
    "opened_steps",
    "phantom_steps",
    "refresh_maps",
    "replace_maps_steps",
    "stack_steps",
]

# The order in which they are added.
_ERRORS = ("T2 error", "T1 error")


def _assert_main_thread() -> None:
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("layers are made on the main thread only")


@every_session
def _follow(session: Session) -> None:
    """Finish the layers of ours in a viewer, whoever adds them."""
    for layer in session.layers():
        _finish(session.viewer, layer)
    session.layer_added.connect(_finish)
    session.part(Sliders)
    session.part(PictureLetters)
    if session.viewer is not None:
        session.viewer.layers.events.removed.connect(functools.partial(_drop_lost, weakref.ref(session)))


def _drop_lost(session: weakref.ref[Session], _event: object) -> None:
    """Let the limits of the layers that stay follow from these alone."""
    found = session()
    if found is not None and found.viewer is not None:
        limits_of(found).drop_lost()


def _finish(viewer: Viewer, layer: Layer) -> None:
    """Give a layer of ours what layer data cannot carry: colour bar, name in grid cells, links to its peers."""
    entry = entry_of(layer)
    if entry is not None:
        entry = _told_apart(viewer, layer, entry)
    if entry is None or not isinstance(layer, Image):
        return
    # before they are seen: napari lays everything out again at every change of what is
    give_caption(layer, position="top_left", box=False)
    bar = layer.colorbar
    bar.position, bar.font_size, bar.box, bar.size, bar.tick_length = "top_left", FONT_SIZE, False, (9, HIGHEST_BAR), 4
    layer.colorbar.visible = layer.visible
    layer.events.visible.connect(show_colour_bar)
    session = session_of(viewer)
    others = [
        (other, known) for other in viewer.layers if other is not layer and (known := entry_of(other)) is not None
    ]
    family = family_of(entry)
    # maps of one quantity are read against each other: same limits, same colours, now and later
    limits_of(session).add(layer, entry)
    for peer, known in others:
        # each with each: napari unlinks a layer that is deleted, and the others are to stay together
        if family is not None and family_of(known) == family:
            link_layers([peer, layer], ("contrast_limits", "gamma", "colormap"))
    for other, known in others:
        if known.subject is entry.subject:
            link_layers([other, layer], ("opacity",))


def _told_apart(viewer: Viewer, layer: Layer, entry: Entry) -> Entry:
    """Give what is called like another open phantom or stack a number, in its layer's name, too."""
    if entry.kind not in ("phantom", "stack"):
        return entry
    others = [
        known
        for other in viewer.layers
        if other is not layer and (known := entry_of(other)) is not None and known.kind == entry.kind
    ]
    same = next((known.title for known in others if known.subject is entry.subject), None)
    title = same or numbered_names([*dict.fromkeys(known.title for known in others), entry.title])[-1]
    if entry.role == "signal" and same is None and _is_taken(viewer, layer, title):
        # napari would number the layer alone, and nothing else would be called so
        layer.name = f"{title}, fingerprints"
        entry = replace(entry, title=layer.name)
        layer.metadata = {**layer.metadata, ENTRY: entry}
        return entry
    if title != entry.title:
        named = layer.name.rfind(entry.title)
        if named >= 0:
            layer.name = layer.name[:named] + title
        entry = replace(entry, title=title)
        layer.metadata = {**layer.metadata, ENTRY: entry}
    return entry


def _is_taken(viewer: Viewer, layer: Layer, name: str) -> bool:
    """Whether a layer of somebody else has a name."""
    return any(other.name == name for other in viewer.layers if other is not layer and entry_of(other) is None)


def _first_layer() -> Steps[None]:
    """Load what napari loads for its first layer, which takes a third of a second, in two steps."""
    if "pandas" not in sys.modules:
        importlib.import_module("pandas")
        yield
    # made at first use
    pint.get_application_registry().parse_units("mm")
    yield


def _add(session: Session, data: Sequence[LayerData], *, hidden: bool = False) -> Steps[list[Layer]]:
    """Add layers, one per step; ``hidden``: to be shown in later steps, for either takes napari a while."""
    _assert_main_thread()
    if not len(session.viewer.layers if session.viewer is not None else ()):
        yield from _first_layer()
    made: list[Layer] = []
    for item in data:
        viewer = session.viewer
        # whoever deletes what has come so far does not want the rest
        if viewer is None or (made and not any(layer in viewer.layers for layer in made)):
            return []
        if not viewer.canvas.overlays.scale_bar.visible:
            viewer.canvas.overlays.scale_bar.visible = True
            yield
        values, how, kind = item
        layer = Layer.create(values, {**how, "visible": False} if hidden else how, kind)
        yield
        if session.viewer is None:
            return []
        made.append(layer)
        viewer.layers.append(layer)
        yield
    # a person may have deleted some between two steps
    return [layer for layer in made if session.viewer is not None and layer in session.viewer.layers]


def hidden_steps(session: Session, data: Sequence[LayerData]) -> Steps[list[Layer]]:
    """Add layers that are to be shown later; those that somebody has deleted since are not returned."""
    return (yield from _add(session, data, hidden=True))


def _looked_at(session: Session, data: Sequence[LayerData], mask: BoolArray) -> Steps[list[Layer]]:
    """Add layers, and show the last at the slice with most voxels inside the mask."""
    yield
    made = yield from _add(session, data, hidden=True)
    yield from look_at(session, made, mask)
    return made


def phantom_steps(session: Session, phantom: Phantom) -> Steps[list[Layer]]:
    """Show a phantom, at its middle slice, T1 on top."""
    return (yield from _looked_at(session, phantom_layer_data(phantom), phantom.mask))


def stack_steps(
    session: Session, stack: FingerprintStack, truth: Phantom | None = None, title: str = ""
) -> Steps[list[Layer]]:
    """Show a stack."""
    return (yield from _looked_at(session, stack_layer_data(stack, truth, title), stack.mask))


def opened_steps(session: Session, opened: Opened) -> Steps[list[Layer]]:
    """Show a phantom, or a stack above its truth."""
    if isinstance(opened.subject, Phantom):
        return (yield from phantom_steps(session, opened.subject))
    if opened.truth is not None:
        yield from phantom_steps(session, opened.truth)
    return (yield from stack_steps(session, opened.subject, opened.truth))


def add_phantom(session: Session, phantom: Phantom) -> list[Layer]:
    """Show a phantom, all its layers at once."""
    return at_once(phantom_steps(session, phantom))


def add_stack(session: Session, stack: FingerprintStack, truth: Phantom | None = None, title: str = "") -> list[Layer]:
    """Show a stack at once."""
    return at_once(stack_steps(session, stack, truth, title))


def maps_steps(
    session: Session, maps: ParameterMaps, stack: FingerprintStack | None, truth: Phantom | None, title: str
) -> Steps[list[Layer]]:
    """Show maps: B1 and standard errors if there are any, residual, PD, T2, T1; with the truth's limits where known."""
    data = maps_layer_data(maps, stack, truth, title)
    yield
    made = yield from _add(session, data, hidden=True)
    if made:
        yield from show_alone(session, made[-1])
    return made


def add_maps(
    session: Session, maps: ParameterMaps, stack: FingerprintStack | None, truth: Phantom | None, title: str
) -> list[Layer]:
    """Show maps, all their layers at once."""
    return at_once(maps_steps(session, maps, stack, truth, title))


def replace_maps_steps(session: Session, old: ParameterMaps, new: ParameterMaps, truth: Phantom | None) -> Steps[None]:
    """Let the layers of unfinished maps stand for the finished ones, which share their arrays."""
    _assert_main_thread()
    session.hand_over_slot(old, new)
    for layer, entry in session.pairs("maps", old):
        layer.metadata = {
            "blochnet": {**layer.metadata["blochnet"], "record": new.record},
            ENTRY: replace(entry, subject=new, truth=truth),
        }
        if entry.role in _ERRORS:
            continue
        layer.data = map_values(new, entry.role)
        limits_of(session).update([layer])
        yield
    session.changed.emit()


def refresh_maps(session: Session, maps: ParameterMaps) -> None:
    """Draw what a job has written into the maps since."""
    _assert_main_thread()
    for layer, entry in session.pairs("maps", maps):
        if layer.visible and entry.role not in _ERRORS:
            # where a truth is known its limits stay
            if entry.truth is None or entry.role == "PD":
                limits_of(session).update([layer])
            layer.refresh(thumbnail=False, extent=False, highlight=False)


def error_steps(
    session: Session, maps: ParameterMaps, errors: dict[str, FloatArray], limit: float | None = None
) -> Steps[list[Layer]]:
    """Show signed errors in per cent, in the layers of earlier errors of these maps if there are any.

    Parameters
    ----------
    session : Session
    maps : ParameterMaps
        What was compared; its entry names the truth.
    errors : dict of str to array of shape (Z, Y, X)
        "T1" and "T2", per cent, NaN where there is nothing to compare.
    limit : float, optional
        Shown above and below 0, per cent, for all models. None: what is shown so far, or what follows from the errors
        of all models that are open.
    """
    entry = session.entry(maps)
    if entry is None:
        return []
    shown: list[Layer] = []
    for role in _ERRORS:
        values = errors.get(role.removesuffix(" error"))
        if values is None:
            continue
        found = session.layers("maps", maps, role)
        for layer in found:
            layer.data = values
            layer.metadata = {
                "blochnet": {**layer.metadata["blochnet"], "record": maps.record},
                ENTRY: replace(entry, role=role),
            }
            yield
        limits_of(session).update(found)
        shown += found
        if not found:
            # once it is there its limits follow
            item = image_data(values, replace(entry, role=role), maps.record, (-1.0, 1.0), visible=False)
            shown += yield from _add(session, [item])
        limits_of(session).choose_by_form((role, 0), limit)
    return shown


def add_region(session: Session, subject: Subject) -> Layer | None:
    """Add an empty Labels layer on a subject's grid, brush in hand."""
    empty = np.zeros(subject.shape[-3:], np.uint8)
    # a region of all models, on whichever of them it is painted
    layer = _add_empty(session, subject, lambda entry: region_data(empty, entry, name="Region"))
    if layer is not None:
        layer.brush_size = max(3, round(empty.shape[-1] / 15))
        layer.mode = "paint"
    return layer


def add_outline(session: Session, subject: Subject) -> Layer | None:
    """Add an empty Labels layer on a subject's grid that shows outlines; what was active stays so."""
    viewer = session.viewer
    before = None if viewer is None else viewer.layers.selection.active
    empty = np.zeros(subject.shape[-3:], np.uint8)
    layer = _add_empty(
        session,
        subject,
        lambda entry: region_data(empty, entry, name=f"Mask – {entry.title}"),
        role="mask",
    )
    if layer is not None and viewer is not None:
        layer.contour = 1
        viewer.layers.selection.active = before
    return layer


def add_drawing(session: Session, subject: Subject) -> Layer | None:
    """Add an empty Shapes layer on a subject's grid, ellipse in hand."""
    layer = _add_empty(session, subject, lambda entry: drawing_layer_data(entry, name="Shapes"))
    if layer is not None:
        layer.mode = "add_ellipse"
    return layer


def _add_empty(
    session: Session, subject: Subject, make: Callable[[Entry], LayerData], role: str = "region"
) -> Layer | None:
    entry, viewer = session.entry(subject), session.viewer
    if entry is None or viewer is None:
        return None
    if role == "region" and viewer.canvas.grid.enabled:
        # it is painted above one picture, the selected or the last
        seen = framing_of(session).shown()
        active = viewer.layers.selection.active
        for below in [active] if active in seen else seen[-1:]:
            at_once(calm_steps(session, show_alone(session, below)))
    layer = at_once(_add(session, [make(replace(entry, kind="region", role=role))]))[0]
    viewer.layers.selection.active = layer
    return layer
