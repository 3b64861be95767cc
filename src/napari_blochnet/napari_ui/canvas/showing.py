"""What the canvas shows: which of our layers are visible, alone or side by side, and at which slice."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from napari.layers import Image, Layer
from vispy.scene import Node, Widget
from vispy.scene.cameras import BaseCamera
from vispy.scene.subscene import SubScene

from napari_blochnet.common.arrays import BoolArray
from napari_blochnet.evaluation.beside_truth import part_of_truth
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.napari_ui.background.turns import Steps
from napari_blochnet.napari_ui.canvas.arranging import pairs_below, pairs_beside
from napari_blochnet.napari_ui.canvas.framing import framing_of, room_for
from napari_blochnet.napari_ui.canvas.swapping import Aside, hide_together, move_to_top, swap_steps
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.state.world import extent_in_viewer, to_viewer
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["fill_cells", "look_at", "reveal", "show_alone", "show_colour_bar", "show_quantity", "show_result"]

# Where pictures would be narrower than this, in pixels, one quantity is shown rather than two: of three or more models,
# and of any number.
_LEGIBLE, _TINY = 180.0, 75.0


def look_at(session: Session, layers: Sequence[Layer], mask: BoolArray) -> Steps[None]:
    """Go to the middle of the slices that hold voxels inside the mask, and show the last layer alone."""
    viewer = session.viewer
    if viewer is None or not layers:
        return
    voxels = mask.sum(axis=(1, 2))
    held = np.flatnonzero(voxels)
    middle = int(held[0] + held[-1]) // 2 if held.size else len(voxels) // 2
    z = middle if voxels[middle] else int(np.argmax(voxels))
    point = to_viewer(viewer, layers[-1], [0] * (layers[-1].ndim - 3) + [z, 0, 0])
    viewer.dims.set_point(viewer.dims.ndim - 3, point[-3])
    yield
    yield from _show(session, layers[-1:], beside=False)


def _show(
    session: Session,
    layers: Sequence[Layer],
    *,
    beside: bool,
    shape: tuple[int, int] | None = None,
    in_order: bool = False,
) -> Steps[None]:
    """Show these of our layers and hide our others; images of other people stay as they are.

    Regions and drawings would take cells of the grid, and lie on no picture there: they are hidden for as long as it is
    on, and lie above what is shown alone after it.

    Parameters
    ----------
    session : Session
    layers : sequence of Layer
    beside : bool
        Each in a cell of the grid, or all in one place.
    shape : tuple of int, optional
        Rows and columns of the grid. None: those that show the layers largest.
    in_order : bool
        Let the cells be filled in the order given, row by row.
    """
    viewer = session.viewer
    if viewer is None:
        return
    chosen = set(map(id, layers))
    grid = viewer.canvas.grid
    wanted = room_for(session, layers).shape(len(layers)) if shape is None else shape
    # the grid fills its cells in the order of the layers, the lowest first
    ours = [layer for layer, entry in session.pairs() if entry.kind != "region"]
    ours += session.part(Aside).take() if beside else []
    hidden = [layer for layer in ours if id(layer) not in chosen]
    going = set(map(id, hidden))
    seen = [layer for layer in viewer.layers if id(layer) in chosen or (layer.visible and id(layer) not in going)]
    sorts = in_order and seen[-len(layers) :] != list(layers)
    if beside and grid.enabled and tuple(grid.shape) == wanted:
        if sorts:
            move_to_top(viewer, layers)
            sorts = False
            yield
        before = next((layer for layer in hidden if layer.visible), None)
        if (yield from fill_cells(session, layers, hidden)):
            # who looks closely at one quantity looks there at the next
            if before is None or not _lie_alike(session, before, layers[0]):
                framing_of(session).frame(layers)
            else:
                framing_of(session).frame(layers, moves=False)
            _select(session, layers)
            return
    moves = sorts or grid.enabled != beside or (beside and tuple(grid.shape) != wanted)
    # what goes to another cell is compiled anew for it: hidden first and shown there, each takes a step of its own;
    # all but one, for napari takes the grid down when nothing is left in it
    staying = set(map(id, layers[:1])) if moves else chosen
    leaving = [layer for layer in ours if id(layer) not in staying]
    if moves and hide_together(viewer, leaving, show_colour_bar):
        yield
    # from the last cell of the grid to the first: a gap would make all that follow move up
    for layer in reversed(leaving):
        if _set_visible(layer, False):
            yield
    if moves and layers and layers[0] in viewer.layers:
        yield from reveal(layers[0])
    if sorts:
        move_to_top(viewer, layers)
        yield
    if beside and tuple(grid.shape) != wanted:
        grid.shape = wanted
        yield
    if grid.enabled:
        yield from _forget_overlays(session)
    if grid.enabled != beside:
        grid.enabled = beside
        yield
    if beside:
        yield from _forget_overlays(session)
    _drop_old_grids(session)
    framing_of(session).frame(layers)
    yield
    if beside:
        yield from fill_cells(session, layers)
    else:
        back = session.part(Aside).give_back()
        # what is painted lies above the picture, whatever the grid has moved since
        seen_regions = {id(layer) for layer, _ in session.pairs("region") if layer.visible}
        drawn = [layer for layer in viewer.layers if layer in back or id(layer) in seen_regions]
        if drawn and list(viewer.layers)[-len(drawn) :] != drawn:
            move_to_top(viewer, drawn)
            yield
        for layer in back:
            if _set_visible(layer, True):
                yield
    for layer in layers:
        if session.viewer is None:
            return
        if layer in viewer.layers:
            yield from reveal(layer)
        # after the colour bar, which has no unit: the later of two in one corner stands above
        if isinstance(layer, Image) and _set_visible(layer.name_overlay, True):
            yield
    _select(session, layers)


def _lie_alike(session: Session, one: Layer, other: Layer) -> bool:
    """Whether two layers take the same place."""
    viewer = session.viewer
    if viewer is None or one.ndim != other.ndim:
        return False
    return bool(np.allclose(extent_in_viewer(viewer, one), extent_in_viewer(viewer, other)))


def fill_cells(
    session: Session, layers: Sequence[Layer], hidden: Sequence[Layer] = (), *, named: bool = True
) -> Steps[bool]:
    """Show layers, with their colour bars, in the cells of the grid; return False where `reveal` has to do it.

    Parameters
    ----------
    session : Session
    layers, hidden : sequence of Layer
        To be shown, and to be hidden in their stead.
    named : bool
        Whether each stands below its name.
    """
    viewer = session.viewer
    if viewer is None or not viewer.canvas.grid.enabled:
        return False

    def label(layer: Layer) -> None:
        if isinstance(layer, Image):
            _set_visible(layer.colorbar, True)
            if named:
                _set_visible(layer.name_overlay, True)

    return (yield from swap_steps(viewer, layers, hidden, label, show_colour_bar))


def _select(session: Session, layers: Sequence[Layer]) -> None:
    """Let the last of what is shown be the active layer, and tell of what is shown."""
    viewer = session.viewer
    if viewer is None:
        return
    if layers and layers[-1] in viewer.layers:
        viewer.layers.selection.active = layers[-1]
    session.view_changed.emit()


def _set_visible(thing: Any, visible: bool) -> bool:
    """Show or hide a layer or an overlay; return whether it was otherwise."""
    # saying again what is so already makes napari lay out and draw everything anew
    if thing.visible == visible:
        return False
    try:
        thing.visible = visible
    except AttributeError:
        # napari 0.9 closes the name in a cell of the grid and then calls it in the same event; said again, the event
        # reaches all that had not heard of it
        thing.events.visible()
    return True


def show_colour_bar(event: Any) -> None:
    """Show the colour bar with its layer; one that nobody sees costs as much as one seen."""
    layer = event.source
    if layer.visible:
        _set_visible(layer.colorbar, True)


def reveal(layer: Layer) -> Steps[None]:
    """Show a layer, then its colour bar: the programs of either take the graphics library a while."""
    with layer.events.visible.blocker(show_colour_bar) if _has_bar(layer) else nullcontext():
        changed = _set_visible(layer, True)
    if changed:
        yield
    if _has_bar(layer) and _set_visible(layer.colorbar, True):
        yield


def _forget_overlays(session: Session) -> Steps[None]:
    """Hide the colour bars and names of hidden layers, or napari makes all of them anew when it leaves the grid.

    Only in a grid: there napari has closed them with their layer. What is merely not drawn yet cannot be hidden.
    """
    for layer in session.layers():
        if not layer.visible and _has_bar(layer) and (layer.colorbar.visible or layer.name_overlay.visible):
            _set_visible(layer.colorbar, False)
            _set_visible(layer.name_overlay, False)
            yield


def _drop_old_grids(session: Session) -> None:
    """Let go of the grids that napari has replaced.

    napari 0.9 makes a grid anew for every number of rows and columns. It takes the old one out of the scene, but not
    out of the canvas's list of widgets, where it would keep some megabytes until the window is closed. One that still
    carries a hidden layer stays until that is shown elsewhere: napari may ask the layer where it is.
    """
    viewer = session.viewer
    canvas = getattr(getattr(viewer and viewer.window, "_qt_viewer", None), "canvas", None)
    central = getattr(canvas, "central_widget", None)
    if central is None:
        return
    for widget in list(getattr(central, "_widgets", ())):
        if widget.parent is None and _is_empty(widget):
            central.remove_widget(widget)


def _is_empty(node: Node) -> bool:
    """Return whether nothing but cells without content is in a grid."""
    return all(isinstance(child, Widget | SubScene | BaseCamera) and _is_empty(child) for child in node.children)


def _has_bar(layer: Layer) -> bool:
    return isinstance(layer, Image)


def _truth_layer(
    session: Session, truth: Phantom | ParameterMaps | None, maps: ParameterMaps, role: str
) -> list[Layer]:
    """Return the layer of what maps were compared with, in one role: of a phantom that covers them where it is part."""
    if truth is None:
        return []
    if isinstance(truth, ParameterMaps):
        return session.layers("maps", truth, role)[-1:]
    covering = [
        layer
        for layer, entry in session.pairs("phantom", role=role)
        if isinstance(entry.subject, Phantom) and part_of_truth(entry.subject, maps) is not None
    ]
    return (session.layers("phantom", truth, role) or covering)[-1:]


def show_result(session: Session, maps: Sequence[ParameterMaps], truth: Phantom | ParameterMaps | None) -> Steps[None]:
    """Show maps side by side: T1 and T2, each as truth, estimates and errors where there is a truth.

    A model that others were compared with stands in the truth's place, and their differences in the errors'.
    Where both quantities of three or more models would be small, these show T1, and the quantities' buttons T2.
    """
    if session.viewer is None or not maps:
        return
    parts = [_compared_layers(session, maps, truth, role) for role in ("T1", "T2")]
    # what only one of two has was not compared
    parts = [part if truth is None or part[2] or all(part[:2]) else ([], [], []) for part in parts]
    above, below = ([*true, *estimates, *errors] for true, estimates, errors in parts)
    if len(above) != len(below) or not above:
        # somebody has deleted layers meanwhile
        yield from _show_in_order(session, [*above, *below])
        return
    count = len(above)
    ways = [
        ([*above, *below], (2, count)),
        ([layer for pair in zip(above, below, strict=True) for layer in pair], (count, 2)),
    ]
    sizes = [[len(layers) for layers in part] for part in parts]
    if sizes[0] == sizes[1] == [1, len(maps), len(maps)]:
        # a row for each model: both quantities, each with its error to the right; then the truth
        rows = zip(*(part[side] for part in parts for side in (1, 2)), strict=True)
        order = [layer for row in rows for layer in row] + [layer for true, _, _ in parts for layer in true]
        ways.append((order, (len(maps) + 1, 4)))
    shape, order = _best(session, ways)
    width = room_for(session, order).legibility(shape)
    if _has_pairs(*parts[0]) and width < (_LEGIBLE if len(maps) > 2 else _TINY):
        yield from _show_pairs(session, *parts[0])
    else:
        yield from _show_in_order(session, order, shape)


def _compared_layers(
    session: Session, maps: Sequence[ParameterMaps], truth: Phantom | ParameterMaps | None, role: str
) -> tuple[list[Layer], list[Layer], list[Layer]]:
    """Return the layers of one quantity: of what maps were compared with, of these, and of their errors from it."""
    wrong = f"{role} {'difference' if isinstance(truth, ParameterMaps) else 'error'}"
    estimates, errors = (
        [layer for item in maps for layer in session.layers("maps", item, each)] for each in (role, wrong)
    )
    return _truth_layer(session, truth, maps[0], role), estimates, errors


def _best(session: Session, ways: Sequence[tuple[list[Layer], tuple[int, int]]]) -> tuple[tuple[int, int], list[Layer]]:
    """Return the shape and the order in which pictures are largest; of equal ones, the first."""
    order, shape = max(ways, key=lambda way: room_for(session, way[0]).legibility(way[1]))
    return shape, order


def _has_pairs(true: Sequence[object], estimates: Sequence[object], errors: Sequence[object]) -> bool:
    """Whether there is one truth, and several models have each an estimate and an error."""
    return len(true) == 1 and len(estimates) == len(errors) > 1


def _show_pairs(
    session: Session, true: Sequence[Layer], estimates: Sequence[Layer], errors: Sequence[Layer]
) -> Steps[None]:
    """Show each estimate with its error, below it or beside it, and the truth."""
    layers = {"truth": true, "estimate": estimates, "error": errors}
    found = [*pairs_below(len(estimates), len(true)), *pairs_beside(len(estimates), len(true))]
    shape, order = _best(session, [([layers[kind][number] for kind, number in order], shape) for order, shape in found])
    yield from _show_in_order(session, order, shape)


def _show_in_order(session: Session, shown: Sequence[Layer], shape: tuple[int, int] | None = None) -> Steps[None]:
    """Show layers in the cells of the grid, row by row."""
    if shown:
        yield from _show(session, shown, beside=True, shape=shape, in_order=True)


def show_quantity(session: Session, role: str, *, beside: bool) -> Steps[None]:
    """Show one quantity: the newest layer of it, or all layers of it side by side."""
    found = session.layers(role=role)
    compared = session.compared
    if beside and compared is not None and compared.reference is not None:
        true, estimates, errors = _compared_layers(session, compared.maps, compared.reference, role)
        if true and estimates and errors:
            yield from _show_in_order(session, [*true, *estimates, *errors])
            return
    errors = session.pairs(role=f"{role} error") if beside and role in ("T1", "T2") else []
    if not found:
        return
    true, estimates = session.layers("phantom", role=role), session.pairs("maps", role=role)
    if _has_pairs(true, estimates, errors):
        order = {id(entry.subject): place for place, (_, entry) in enumerate(estimates)}
        errors.sort(key=lambda pair: order.get(id(pair[1].subject), 0))
        yield from _show_pairs(session, true, [layer for layer, _ in estimates], [layer for layer, _ in errors])
    else:
        found += [layer for layer, _ in errors]
        yield from _show(session, found if beside else found[-1:], beside=beside)


def show_alone(session: Session, layer: Layer) -> Steps[None]:
    """Show one of our layers and hide our others."""
    viewer = session.viewer
    if viewer is not None:
        yield from _show(session, [layer], beside=False)
