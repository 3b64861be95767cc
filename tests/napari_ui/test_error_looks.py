"""What error maps look like: black where there is no error, the canvas where there is no voxel."""

from __future__ import annotations

import numpy as np
import pytest

from napari_blochnet import FingerprintStack, ParameterMaps
from napari_blochnet.evaluation import beside_truth as errors
from napari_blochnet.napari_ui.background.turns import at_once
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.schedules.generators import spline_schedule


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_no_error_is_black_and_no_voxel_is_not_drawn(desk, theme):
    desk = desk()
    desk.viewer.theme = theme
    shape = (1, 10, 12)
    mask = np.ones(shape, bool)
    mask[:, :, :4] = False
    t1 = np.where(mask, 1000.0, 0.0)
    truth = Phantom(t1, t1 / 10, mask * 1.0, mask, name="block")
    stack = FingerprintStack(np.zeros((20, *shape), np.float32), spline_schedule(length=20), kind="magnitude")
    # maps hold voxels that the truth does not
    everywhere = np.ones(shape, bool)
    found = np.full(shape, 1000.0)
    found[:, :, 8:] = 1100.0
    maps = ParameterMaps(found, found / 10, np.ones(shape), np.zeros(shape), everywhere, estimator="some")
    layers.add_maps(desk.session, maps, stack, truth, "some")
    values = errors.signed_errors(truth, maps)
    assert errors.summary(maps, values) == "some: median |error| T1 5 %, T2 5 %, residual 0 % of the signal."
    at_once(layers.error_steps(desk.session, maps, values))
    layer = desk.layer("T1 error (%) – some")
    for other in desk.viewer.layers:
        other.visible = other is layer
    layer.colorbar.visible = False
    desk.viewer.reset_view()
    desk.qtbot.wait(100)
    picture = desk.viewer.screenshot(canvas_only=True, flash=False)[..., :3]
    canvas = desk.viewer.window._qt_viewer.canvas
    ratio = picture.shape[1] / canvas.native.width()

    def colour_of(x: int) -> tuple[int, ...]:
        world = np.asarray(layer.data_to_world((0, 5, x)))[-2:]
        place = canvas.view.scene.node_transform(canvas._scene_canvas.scene).map([*world[::-1], 0, 1])[:2]
        column, row = (round(ratio * float(value)) for value in place)
        return tuple(picture[row, column].tolist())

    assert colour_of(2) == tuple(picture[2, 2].tolist())
    assert max(colour_of(6)) <= 3
    assert max(colour_of(10)) - min(colour_of(10)) > 60
