"""Several models beside each other: what stands in which cell of the grid."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

import napari_blochnet as nb
from napari_blochnet.evaluation import beside_truth as errors
from napari_blochnet.jobs.operations.opening import synthetic_head
from napari_blochnet.jobs.sessions import write_session
from napari_blochnet.napari_ui.background.turns import at_once
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas import showing as canvas
from napari_blochnet.napari_ui.sessions.restoring import open_session, restore_steps
from napari_blochnet.napari_ui.sessions.snapshots import snapshot
from napari_blochnet.napari_ui.state.entries import entry_of


def _cells(viewer) -> list[list[tuple[str, str]]]:
    """Return (role, model) of the visible layers by rows of the grid."""
    rows, columns = viewer.canvas.grid.shape
    # napari fills the cells with the layers, the lowest first; hidden layers above take cells after these
    shown = [entry_of(layer) for layer in viewer.layers if layer.visible and entry_of(layer) is not None]
    names = [(entry.role, entry.subject.estimator if entry.kind == "maps" else "truth") for entry in shown]
    return [names[row * columns : (row + 1) * columns] for row in range(rows)]


@pytest.fixture
def several(desk):
    """Return maps of models side by side in a window of some size; ``at(size, models)`` shows them."""
    place = desk()
    head = synthetic_head(shape=(1, 24, 20))
    stack = nb.simulate(head, nb.spline_schedule(length=60))
    layers.add_phantom(place.session, head)
    layers.add_stack(place.session, stack, head)
    maps = nb.reconstruct(stack, "dictionary", step=0.2)

    def at(size, models):
        place.viewer.window.resize(*size)
        place.qtbot.wait(300)
        mapped = [replace(maps, estimator=model) for model in models]
        for one in mapped:
            layers.add_maps(place.session, one, stack, head, one.estimator)
            at_once(layers.error_steps(place.session, one, errors.signed_errors(head, one)))
        at_once(canvas.show_result(place.session, mapped, head))
        return place

    return at


MODELS = ("dictionary", "universal", "autoencoder-rnn")


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
def test_each_estimate_of_several_models_touches_its_error(several, size):
    models = (*MODELS, "hydra", "fc")
    place = several(size, models)
    for name in ("T1", "T2"):
        if name == "T2":
            # the person asks for the other quantity
            place.click(place.workbench.view_bar.buttons["T2"])
            place.qtbot.waitUntil(lambda: not place.workbench.view_bar.is_busy, timeout=300_000)
        cells = {
            what: (row, column) for row, line in enumerate(_cells(place.viewer)) for column, what in enumerate(line)
        }
        assert sorted(cells) == sorted(
            [(role, model) for role in (name, f"{name} error") for model in models] + [(name, "truth")]
        )
        for model in models:
            (row, column), (error_row, error_column) = cells[name, model], cells[f"{name} error", model]
            assert (error_row - row, error_column - column) in ((0, 1), (1, 0))


def test_two_models_show_both_quantities(several):
    place = several((1280, 800), MODELS[:2])
    assert _cells(place.viewer) == [
        *([(role, model) for role in ("T1", "T1 error", "T2", "T2 error")] for model in MODELS[:2]),
        [("T1", "truth"), ("T2", "truth")],
    ]


def test_one_model_shows_both_quantities(several):
    place = several((1280, 800), MODELS[:1])
    assert _cells(place.viewer) == [
        [(name, "truth"), (name, "dictionary"), (f"{name} error", "dictionary")] for name in ("T1", "T2")
    ]


def _overlaps(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _check_cells(viewer):
    """Assert that names are whole and different, and that neither they nor the bars lie on a picture."""
    shown = [layer for layer in viewer.layers if layer.visible and entry_of(layer) is not None]
    grid = viewer.canvas.grid
    rows, columns = grid.shape if grid.enabled else (1, 1)
    height, width = viewer.canvas.size[0] / rows, viewer.canvas.size[1] / columns
    canvas = viewer.window._qt_viewer.canvas
    camera = viewer.scene.camera
    assert len({canvas._layer_overlay_to_visual[layer][layer.name_overlay].node.text for layer in shown}) == len(shown)
    for layer in shown:
        ends = np.asarray(layer.extent.world)[:, -2:]
        half = np.abs(np.asarray(layer.extent.step)[-2:]) / 2
        low, high = ends[0] - half, ends[1] + half
        left, right = (width / 2 + (x - camera.center[-1]) * camera.zoom for x in (low[1], high[1]))
        top, bottom = (height / 2 + (y - camera.center[-2]) * camera.zoom for y in (low[0], high[0]))
        picture = (left, top, right, bottom)
        assert min(left, top) >= 0, layer.name
        assert right <= width, layer.name
        assert bottom <= height, layer.name
        for overlay in (layer.name_overlay, layer.colorbar):
            assert overlay.visible, layer.name
            visual = canvas._layer_overlay_to_visual[layer][overlay]
            x, y = visual.node.transform.translate[:2]
            box = (x, y, x + visual.x_size, y + visual.y_size)
            assert box[2] <= width, (layer.name, type(overlay).__name__)
            assert box[3] <= height, (layer.name, type(overlay).__name__)
            assert not _overlaps(box, picture), (layer.name, type(overlay).__name__, box, picture)
        assert canvas._layer_overlay_to_visual[layer][layer.name_overlay].node.text.replace("\n", "").replace(
            " ", ""
        ) in (layer.name.replace(" ", ""), layer.name.replace(" – ", "").replace(" ", ""))


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_names_are_whole_and_nothing_lies_on_a_picture(several, size, count):
    place = several(size, (*MODELS, "dictionary (refined)", "BlochNet, FISP 1000 TR, autumn")[-count:])
    place.qtbot.wait(300)
    _check_cells(place.viewer)
    # nor after the window has another size
    place.viewer.window.resize(1500, 700)
    place.qtbot.wait(300)
    _check_cells(place.viewer)
    # nor after napari's own reset of the view
    place.viewer.reset_view()
    place.qtbot.wait(100)
    _check_cells(place.viewer)


def test_nothing_lies_on_a_picture_of_a_session_opened_in_another_window(several, desk, tmp_path):
    place = several((1920, 1080), MODELS)
    place.qtbot.wait(300)
    write_session(snapshot(place.session).saved, tmp_path / "session")
    other = desk()
    other.viewer.window.resize(1280, 800)
    other.qtbot.wait(300)
    at_once(restore_steps(other.session, open_session(tmp_path / "session")))
    other.qtbot.wait(300)
    assert tuple(other.viewer.canvas.grid.shape) == tuple(place.viewer.canvas.grid.shape)
    _check_cells(other.viewer)


def test_a_camera_that_somebody_moved_stays_where_it_is(several):
    place = several((1280, 800), MODELS)
    camera = place.viewer.scene.camera
    camera.zoom *= 3
    moved = (camera.zoom, tuple(camera.center))
    place.viewer.window.resize(1400, 900)
    place.qtbot.wait(300)
    assert (camera.zoom, tuple(camera.center)) == moved


def test_the_slider_of_time_is_there_while_fingerprints_are(several):
    place = several((1280, 800), MODELS[:1])
    sliders = place.viewer.window._qt_viewer.dims
    place.qtbot.waitUntil(lambda: not sliders.slider_widgets[0].isVisible())
    assert sliders.minimumHeight() == 0
    at_once(canvas.show_quantity(place.session, "signal", beside=False))
    place.qtbot.waitUntil(lambda: sliders.slider_widgets[0].isVisible())
    at_once(canvas.show_quantity(place.session, "T1", beside=False))
    place.qtbot.waitUntil(lambda: not sliders.slider_widgets[0].isVisible())


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
    assert place.workbench.view_bar._turns.is_busy
    for _ in range(turns):
        QApplication.processEvents()
    # napari's own check after the test finds what keeps the window
    place.viewer.close()


def test_maps_stay_linked_when_one_of_them_is_deleted(several):
    place = several((1280, 800), MODELS)
    (true,) = place.session.layers("phantom", role="T1")
    first, *others = place.session.layers("maps", role="T1")
    for gone in (true, first):
        place.viewer.layers.remove(gone)
    others[0].contrast_limits = (100, 900)
    others[1].gamma = 0.7
    assert [(tuple(layer.contrast_limits), layer.gamma) for layer in others] == [((100, 900), 0.7)] * 2
    # T2 has limits of its own
    assert all(tuple(layer.contrast_limits) != (100, 900) for layer in place.session.layers("maps", role="T2"))


def _picture(place):
    place.qtbot.wait(400)
    return place.viewer.screenshot(canvas_only=True, flash=False)


def test_another_quantity_takes_the_cells_over_and_nothing_is_laid_out_anew(several, monkeypatch):
    place = several((1920, 1080), MODELS)
    viewer, bar = place.viewer, place.workbench.view_bar
    native = viewer.window._qt_viewer.canvas

    def show(name):
        place.click(bar.buttons[name])
        place.qtbot.waitUntil(lambda: not bar.is_busy, timeout=60_000)

    for name in ("T1", "T2", "T1"):
        show(name)
    made = {layer: dict(native._layer_overlay_to_visual[layer]) for layer in viewer.layers}
    drawn = {layer: native.layer_to_visual[layer].node.parent for layer in viewer.layers if layer.visible}
    viewer.scene.camera.zoom *= 1.3
    zoom = viewer.scene.camera.zoom
    laid_out = []
    monkeypatch.setattr(type(native), "_reorder_layers_in_the_same_view", _counted(native, laid_out))
    show("T2")
    show("T1")
    # each cell once a switch, and not once for every layer
    assert len(laid_out) == 2 * 7
    # names, bars and pictures are those of before
    for layer, parent in drawn.items():
        assert layer.visible
        assert native.layer_to_visual[layer].node.parent is parent
        assert native._layer_overlay_to_visual[layer] == made[layer]
    # who looks closely at T1 looks there at T2
    assert viewer.scene.camera.zoom == zoom


def _counted(native, calls):
    usual = type(native)._reorder_layers_in_the_same_view

    def counted(self, layers):
        calls.append(layers)
        usual(self, layers)

    return counted


@pytest.mark.parametrize("name", ["T1", "T2"])
def test_the_picture_is_the_one_that_napari_lays_out_itself(several, name):
    place = several((1280, 800), MODELS)
    bar = place.workbench.view_bar
    for role in ("T2", "T1", name):
        place.click(bar.buttons[role])
        place.qtbot.waitUntil(lambda: not bar.is_busy, timeout=60_000)
    taken_over = _picture(place)
    place.viewer.window._qt_viewer.canvas._update_scenegraph()
    np.testing.assert_array_equal(taken_over, _picture(place))


def test_a_layer_of_somebody_else_keeps_its_cell(several):
    place = several((1280, 800), MODELS)
    viewer, bar = place.viewer, place.workbench.view_bar
    foreign = viewer.add_image(np.ones((1, 24, 20)), name="foreign")
    for role in ("T2", "T1"):
        place.click(bar.buttons[role])
        place.qtbot.waitUntil(lambda: not bar.is_busy, timeout=60_000)
    assert foreign.visible
    cells = viewer.canvas.grid.iter_viewboxes(viewer.layers)
    native = viewer.window._qt_viewer.canvas
    for (row, column), indices in cells:
        for index in indices:
            if viewer.layers[index].visible:
                node = native.layer_to_visual[viewer.layers[index]].node
                assert node.parent is native.grid[row, column].scene


def test_a_painted_region_takes_no_cell(several):
    place = several((1280, 800), MODELS[:2])
    viewer, session = place.viewer, place.session
    cells = _cells(viewer)
    stack = session.entries("stack")[0].subject
    region = layers.add_region(session, stack)
    # it is painted above one picture
    assert not viewer.canvas.grid.enabled
    assert region.visible
    assert len([layer for layer in viewer.layers if layer.visible]) == 2
    region.data[0, 4:9, 4:9] = 1
    by_hand = viewer.add_shapes([[[0, 3, 3], [0, 3, 9], [0, 9, 9]]], shape_type="polygon", ndim=3, name="by hand")
    mapped = [entry.subject for entry in session.entries("maps")]
    head = session.entries("phantom")[0].subject
    at_once(canvas.show_result(session, mapped, head))
    # every picture where it was without them, each error beside its map
    assert _cells(viewer) == cells
    assert [layer for layer in viewer.layers if layer.visible and entry_of(layer) is None] == []
    place.click(place.workbench.view_bar.buttons["T2"])
    place.qtbot.waitUntil(lambda: not place.workbench.view_bar.is_busy, timeout=60_000)
    assert not region.visible
    # alone, both lie above the picture again, though maps have been moved above them meanwhile
    alone = session.layers("maps", mapped[0], "T1")[0]
    at_once(canvas.show_alone(session, alone))
    seen = [layer for layer in viewer.layers if layer.visible]
    assert set(seen) == {alone, region, by_hand}
    assert seen[0] is alone
    # what a person hides stays hidden
    region.visible = False
    at_once(canvas.show_result(session, mapped, head))
    at_once(canvas.show_alone(session, alone))
    assert not region.visible
    assert by_hand.visible


def test_two_quantities_that_would_be_tiny_are_shown_one_at_a_time(several, monkeypatch):
    monkeypatch.setattr(canvas, "_TINY", 1e6)
    place = several((1280, 800), MODELS[:2])
    shown = [what for row in _cells(place.viewer) for what in row]
    assert sorted(shown) == sorted(
        [(role, model) for role in ("T1", "T1 error") for model in MODELS[:2]] + [("T1", "truth")]
    )


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
def test_names_and_bars_are_right_after_a_quick_change_of_the_quantity(several, size):
    place = several(size, ("dictionary", "universal, refined with gradients", "autoencoder-rnn", "hydra", "fc"))
    bar = place.workbench.view_bar
    native = place.viewer.window._qt_viewer.canvas
    for role in ("T2", "T1", "T2"):
        place.click(bar.buttons[role])
        place.qtbot.waitUntil(lambda: not bar.is_busy, timeout=60_000)
        _check_cells(place.viewer)
        for layer in place.viewer.layers:
            if layer.visible:
                made = native._layer_overlay_to_visual[layer]
                assert made[layer.name_overlay].node.text.replace("\n", "").replace(" ", "").startswith(role)
                assert tuple(layer.colorbar.size)[1] == place.viewer.layers[-1].colorbar.size[1]
