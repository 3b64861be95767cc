"""Several models beside each other: what stands in which cell of the grid."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest
from qtpy.QtWidgets import QApplication

import napari_blochnet as nb
from napari_blochnet.jobs.operations import synthetic_head
from napari_blochnet.napari_ui import canvas, errors, layers
from napari_blochnet.napari_ui.drawing import at_once
from napari_blochnet.napari_ui.session import entry_of


def _cells(viewer) -> list[list[tuple[str, str]]]:
    """Return (role, model) of the visible layers by rows of the grid."""
    rows, columns = viewer.canvas.grid.shape
    # napari fills the cells with the layers, the lowest first; hidden layers above take cells after these
    shown = [entry_of(layer) for layer in viewer.layers if layer.visible and entry_of(layer) is not None]
    names = [(entry.role, entry.subject.estimator if entry.kind == "maps" else "truth") for entry in shown]
    return [names[row * columns : (row + 1) * columns] for row in range(rows)]


def test_each_estimate_of_three_models_stands_above_its_error(desk):
    place = desk()
    head = synthetic_head(shape=(1, 24, 20))
    stack = nb.simulate(head, nb.spline_schedule(length=60))
    layers.add_phantom(place.session, head)
    layers.add_stack(place.session, stack, head)
    several = []
    for model in ("coarse", "medium", "fine"):
        maps = replace(nb.reconstruct(stack, "dictionary", step=0.2), estimator=model)
        layers.add_maps(place.session, maps, stack, head, model)
        at_once(layers.error_steps(place.session, maps, errors.signed_errors(head, maps)))
        several.append(maps)
    at_once(canvas.show_result(place.session, several, head))
    for name in ("T1", "T2"):
        if name == "T2":
            # the person asks for the other quantity
            place.click(place.workbench.view_bar.buttons["T2"])
            place.qtbot.waitUntil(lambda: ("T2 error", "fine") in _cells(place.viewer)[-1], timeout=20_000)
        above, below = _cells(place.viewer)
        assert above == [(name, model) for model in ("coarse", "medium", "fine", "truth")]
        assert below == [(f"{name} error", model) for model in ("coarse", "medium", "fine")]
        assert tuple(place.viewer.canvas.grid.shape) == (2, 4)


def test_a_grid_that_was_replaced_is_let_go(desk):
    place = desk()
    head = synthetic_head(shape=(1, 24, 20))
    stack = nb.simulate(head, nb.spline_schedule(length=60))
    layers.add_phantom(place.session, head)
    layers.add_stack(place.session, stack, head)
    one = nb.reconstruct(stack, "dictionary", step=0.2)
    layers.add_maps(place.session, one, stack, head, "dictionary")
    at_once(layers.error_steps(place.session, one, errors.signed_errors(head, one)))
    qt_canvas = place.viewer.window._qt_viewer.canvas
    grids = []
    for truth in (head, None, head, None):
        at_once(canvas.show_result(place.session, [one], truth))
        place.qtbot.wait(100)
        grids.append(weakref.ref(qt_canvas.grid))
    gc.collect()
    # napari 0.9 keeps every one; the third carries the layers that were hidden in it
    assert [grid() is not None for grid in grids] == [False, False, True, True]


@pytest.mark.parametrize("turns", [1, 4, 9])
def test_a_viewer_closed_while_it_is_drawn_in_is_let_go(desk, turns):
    place = desk()
    head = synthetic_head(shape=(1, 24, 20))
    layers.add_phantom(place.session, head)
    place.click(place.workbench.view_bar.buttons["T2"])
    assert place.workbench.view_bar._drawing.is_busy
    for _ in range(turns):
        QApplication.processEvents()
    # napari's own check after the test finds what keeps the window
    place.viewer.close()
