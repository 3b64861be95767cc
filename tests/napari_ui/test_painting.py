"""What has not been drawn before is painted in parts, and ends as it would have been painted at once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from napari_blochnet.napari_ui.background import painting
from napari_blochnet.napari_ui.background.turns import Turns
from napari_blochnet.napari_ui.canvas.swapping import _cells_known


def _show_images(viewer) -> None:
    for number in range(3):
        layer = viewer.add_image(np.arange(16.0).reshape(4, 4) + number)
        layer.colorbar.visible = layer.name_overlay.visible = True


def test_new_visuals_are_drawn_one_at_a_time_and_the_end_is_the_whole_picture(make_napari_viewer, monkeypatch):
    monkeypatch.setattr(painting, "_TIME", 0.0)
    viewer = make_napari_viewer()
    canvas = painting.scene_canvas(viewer.window._qt_window)
    _show_images(viewer)
    left = [len(list(painting._new_visuals(canvas.scene)))]
    with painting.few_new_visuals(canvas) as left_out:
        for _ in range(left[0]):
            in_parts = canvas.render()
            left.append(len(left_out))
            if not left_out:
                break
    # an empty text has nothing to be compiled, and goes with the one before it
    assert len(left) > 10
    assert left[-1] == 0
    assert all(later < earlier for earlier, later in itertools.pairwise(left))
    assert "draw_visual" not in vars(canvas)
    np.testing.assert_array_equal(canvas.render(), in_parts)


def test_a_drawing_for_somebody_else_is_complete(make_napari_viewer, monkeypatch):
    monkeypatch.setattr(painting, "_TIME", 0.0)
    viewer = make_napari_viewer()
    canvas = painting.scene_canvas(viewer.window._qt_window)
    _show_images(viewer)
    with painting.few_new_visuals(canvas):
        pass
    before = len(list(painting._new_visuals(canvas.scene)))
    canvas.render()
    assert len(list(painting._new_visuals(canvas.scene))) < before - 5


def test_turns_end_when_all_is_painted(make_napari_viewer, qtbot, monkeypatch):
    monkeypatch.setattr(painting, "_TIME", 0.0)
    viewer = make_napari_viewer(show=True)
    window = viewer.window._qt_window
    canvas = painting.scene_canvas(window)
    drawn = []
    canvas.events.draw.connect(lambda _: drawn.append(1))
    turns = Turns(None, lambda: window)
    # Qt paints all of a window that appears
    qtbot.waitExposed(window)
    qtbot.waitUntil(lambda: bool(drawn), timeout=60_000)

    def steps():
        _show_images(viewer)
        yield
        # whatever adding has painted already, in other cells it has not been
        viewer.canvas.grid.enabled = True
        drawn.clear()
        yield

    with qtbot.waitSignal(turns.finished, timeout=120_000):
        turns.add(steps())
    assert len(drawn) > 3
    with painting.few_new_visuals(canvas) as left_out:
        canvas.render()
    assert not left_out


@pytest.mark.parametrize("stride", [1, 2, -1, -3])
@pytest.mark.parametrize("shape", [(-1, -1), (2, 4), (1, 2)])
def test_cells_hold_what_napari_finds_in_them(stride, shape):
    from napari.components import ViewerModel

    viewer = ViewerModel()
    for number in range(7):
        viewer.add_image(np.zeros((4, 4)), visible=number not in (2, 5))
    grid = viewer.canvas.grid
    grid.enabled, grid.stride, grid.shape = True, stride, shape
    found = list(grid.iter_viewboxes(viewer.layers))
    with _cells_known(viewer):
        assert list(grid.iter_viewboxes(viewer.layers)) == found
    assert "iter_viewboxes" not in vars(grid)
