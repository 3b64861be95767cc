"""Showing layers in the cells of napari's grid, such as T2 for T1, without making anything anew.

napari 0.9 lays out every layer and every name and colour bar of the grid at each change of what is visible, which
takes a time that grows with the third power of the number of layers; and it closes the bars of what is hidden, and
compiles them again when it is shown. A layer that comes back to the cell it had needs none of that.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from napari.components.overlays import CanvasOverlay
from napari.layers import Labels, Shapes

from napari_blochnet.napari_ui.background.turns import Steps
from napari_blochnet.napari_ui.state.entries import entry_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

    from napari_blochnet.napari_ui.state.session import Session

__all__ = ["Aside", "calm_steps", "hide_together", "move_to_top", "swap_steps"]

Made = TypeVar("Made")

# What is computed in one turn of the event loop, s; what is drawn after it takes as long again.
_TURN = 0.04


def _canvas(viewer: Viewer) -> Any:
    """Return what draws, or None where this napari has no such thing."""
    canvas = getattr(getattr(viewer.window, "_qt_viewer", None), "canvas", None)
    needed = ("grid", "layer_to_visual", "_layer_overlay_to_visual", "_overlay_callbacks", "_update_scenegraph",
              "_update_layer_overlays", "_reorder_layers", "_update_overlay_canvas_positions",
              "_defer_canvas_overlay_position_update")  # fmt: skip
    return canvas if all(hasattr(canvas, name) for name in needed) else None


class Aside:
    """The regions and drawings that are hidden for as long as the grid is on, where each would take a cell.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._layers: weakref.WeakSet[Layer] = weakref.WeakSet()

    def take(self) -> list[Layer]:
        """Take note of the regions and drawings that are seen, whosever they are, and return them."""
        viewer = self._session.viewer
        seen = [layer for layer in (() if viewer is None else viewer.layers) if layer.visible]
        drawn = [
            layer
            for layer in seen
            if isinstance(layer, Labels | Shapes) and ((entry := entry_of(layer)) is None or entry.kind == "region")
        ]
        self._layers.update(drawn)
        return drawn

    def give_back(self) -> list[Layer]:
        """Return what was taken and is still there, and forget it."""
        viewer = self._session.viewer
        back = [layer for layer in (() if viewer is None else viewer.layers) if layer in self._layers]
        self._layers.clear()
        return back


class _Placing:
    """Stands for a canvas's way of placing names and colour bars, which napari 0.9 calls for each of them anew."""

    def __init__(self, canvas: Any) -> None:
        self._canvas = weakref.ref(canvas)
        self.is_put_off = self.is_due = False

    def update(self, event: Any = None) -> None:
        """Place them, or take note that it is due."""
        canvas = self._canvas()
        if self.is_put_off:
            self.is_due = True
        elif canvas is not None:
            with _cells_known(canvas.viewer):
                type(canvas)._update_overlay_canvas_positions(canvas, event)


@contextmanager
def _cells_known(viewer: Viewer) -> Iterator[None]:
    """Let what each cell of the grid holds be found once, and not anew for each layer of each cell."""
    grid, layers = viewer.canvas.grid, list(viewer.layers)
    if not (grid.enabled and layers and hasattr(grid, "_viewbox_groups")):
        yield
        return
    cells: dict[tuple[int, int], list[int]] = {cell: [] for cell in np.ndindex(grid.actual_shape(layers))}
    group_of, occupied = grid._viewbox_groups(layers)
    places = list(cells)
    for index, layer in enumerate(layers):
        if layer.visible:
            cells[places[occupied.index(group_of[index]) % len(places)]].append(index)
    found = [(cell, tuple(held)) for cell, held in cells.items()]
    vars(grid)["iter_viewboxes"] = lambda _: iter(found)
    try:
        yield
    finally:
        del vars(grid)["iter_viewboxes"]


@contextmanager
def _placing_once(viewer: Viewer | None) -> Iterator[None]:
    """Let names and colour bars be placed once, when the canvas is drawn next."""
    canvas = None if viewer is None else _canvas(viewer)
    if canvas is None:
        yield
        return
    placing = getattr(canvas._update_overlay_canvas_positions, "__self__", None)
    if not isinstance(placing, _Placing):
        placing = _Placing(canvas)
        canvas._update_overlay_canvas_positions = placing.update
    before, placing.is_put_off = placing.is_put_off, True
    try:
        yield
    finally:
        placing.is_put_off = before
        if placing.is_due and not before:
            placing.is_due = False
            canvas._defer_canvas_overlay_position_update()


def calm_steps(session: Session, steps: Steps[Made]) -> Steps[Made]:
    """Do the same steps, each with names and colour bars placed once: at the next drawing, and not by each of them."""
    while True:
        with _placing_once(session.viewer):
            try:
                next(steps)
            except StopIteration as end:
                made: Made = end.value
                return made
        yield


def move_to_top(viewer: Viewer, layers: Sequence[Layer]) -> None:
    """Let layers be the last of the list, in this order; napari lays out its grid once."""
    canvas = _canvas(viewer)
    moved = [layer for layer in layers if layer in viewer.layers]
    for number, layer in enumerate(moved):
        with ExitStack() as quiet:
            if canvas is not None and number < len(moved) - 1:
                quiet.enter_context(viewer.layers.events.reordered.blocker(canvas._update_scenegraph))
            viewer.layers.move(viewer.layers.index(layer), len(viewer.layers))


def hide_together(viewer: Viewer, layers: Sequence[Layer], quiet: Callable[[Any], None]) -> bool:
    """Hide layers of the grid, to be laid out anew with the next change of it; return whether that was done.

    Parameters
    ----------
    viewer : Viewer
    layers : sequence of Layer
    quiet : callable
        Listens to layers' ``visible``, and is not to be told.
    """
    canvas = _canvas(viewer)
    if canvas is None or not viewer.canvas.grid.enabled:
        return False
    for layer in layers:
        if layer.visible:
            _set_quietly(canvas, layer, False, quiet)
    return True


def swap_steps(
    viewer: Viewer,
    shown: Sequence[Layer],
    hidden: Sequence[Layer],
    prepare: Callable[[Layer], None],
    quiet: Callable[[Any], None],
) -> Steps[bool]:
    """Show layers in place of others, cell by cell; return False, nothing changed, where that cannot be done.

    Parameters
    ----------
    viewer : Viewer
        Its grid is on, and has as many rows and columns as it will have.
    shown, hidden : sequence of Layer
        Layers to show and to hide. What is visible besides stays.
    prepare : callable
        Called with each layer before it is shown, to say what is to be seen of it.
    quiet : callable
        Listens to layers' ``visible``, and is not to be told.
    """
    canvas, grid = _canvas(viewer), viewer.canvas.grid
    coming, going = set(map(id, shown)), set(map(id, hidden))
    before = [layer for layer in viewer.layers if layer.visible]
    after = [layer for layer in viewer.layers if id(layer) in coming or (layer.visible and id(layer) not in going)]
    changes = [(old, new) for old, new in zip_longest(before, after) if old is not new]
    is_possible = (
        canvas is not None
        and 0 < len(after) <= grid.shape[0] * grid.shape[1]
        and grid.stride == 1
        and canvas.grid.grid_size == tuple(grid.shape)
        # a layer that stays keeps its cell
        and all((old is None or id(old) in going) and (new is None or id(new) in coming) for old, new in changes)
    )
    if not is_possible:
        return False
    cells = [divmod(number, grid.shape[1]) for number in range(len(after))]
    started = time.thread_time()
    for old, new, cell in zip_longest(before, after, cells):
        # what somebody has deleted since is passed over; napari lays out what is left
        if old is not new and old is not None and old in viewer.layers:
            _set_quietly(canvas, old, False, quiet)
        if old is not new and new is not None and new in viewer.layers:
            prepare(new)
            _set_quietly(canvas, new, True, quiet)
            _place(canvas, new, *cell)
        if time.thread_time() - started > _TURN:
            yield
            if getattr(viewer.window, "_qt_window", None) is None:
                return True
            started = time.thread_time()
    visible = [layer for layer in viewer.layers if layer.visible]
    if visible == after and len(before) == len(after) and canvas.grid.grid_size == tuple(grid.shape):
        for layer, (row, column) in zip(after, cells, strict=True):
            _place(canvas, layer, row, column)
        canvas._reorder_layers()
        canvas._update_overlay_canvas_positions()
    else:
        # what stands in every cell, as the scale does, comes with another number of cells
        canvas._update_scenegraph()
    return True


def _set_quietly(canvas: Any, layer: Any, visible: bool, quiet: Callable[[Any], None]) -> None:
    """Show or hide a layer; only what draws it and what lists it hears of that."""
    with ExitStack() as silence:
        for callback in (canvas._update_scenegraph, canvas._overlay_callbacks[layer], quiet):
            silence.enter_context(layer.events.visible.blocker(callback))
        layer.visible = visible


def _place(canvas: Any, layer: Layer, row: int, column: int) -> None:
    """Let a layer, its name and its colour bar stand in a cell; what is missing of them is made."""
    view = canvas.grid[row, column]
    node = canvas.layer_to_visual[layer].node
    if node.parent is not view.scene:
        node.parent = view.scene
    made = canvas._layer_overlay_to_visual[layer]
    if any(overlay.visible and overlay not in made for overlay in layer._overlays.values()):
        canvas._update_layer_overlays(layer)
        if layer.name_overlay in made:
            # the last of those in one corner stands above the others
            made[layer.name_overlay] = made.pop(layer.name_overlay)
    for overlay, visual in made.items():
        if isinstance(overlay, CanvasOverlay) and visual.node.parent is not view:
            visual.node.parent = view
            visual._on_box_change()
