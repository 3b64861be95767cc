"""The slider that time points and coefficients share runs over those that are seen."""

from __future__ import annotations

import numpy as np

from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas.sliders import Sliders, runs_over_time
from napari_blochnet.schedules.generators import spline_schedule


def test_slider_of_coefficients_beside_frames(desk):
    place, schedule = desk(), spline_schedule(length=40)
    random = np.random.default_rng(0)
    frames = FingerprintStack(random.random((40, 1, 8, 8)), schedule)
    basis = np.linalg.qr(random.standard_normal((40, 3)))[0]
    coefficients = FingerprintStack(random.random((3, 1, 8, 8)), schedule, basis=basis, kind="real")
    viewer, dims = place.viewer, place.viewer.dims
    (of_frames,) = layers.add_stack(place.session, frames, title="frames")
    sliders = place.session.part(Sliders)

    def look(*seen) -> tuple[str, int, float]:
        for layer in viewer.layers:
            layer.visible = layer in seen
        viewer.layers.selection.active = seen[-1]
        sliders.update()
        return dims.axis_labels[0], dims.nsteps[0], dims.point[0]

    assert look(of_frames)[:2] == ("time", 40)
    dims.set_point(0, 25)
    (of_three,) = layers.add_stack(place.session, coefficients, title="coefficients")
    # past the last of them there was no picture
    assert look(of_three) == ("component", 3, 0)
    label = viewer.window._qt_viewer.dims.slider_widgets[0].axis_label
    assert label.width() > label.fontMetrics().horizontalAdvance("component")
    assert not runs_over_time(viewer)
    dims.set_point(0, 2)
    assert look(of_frames) == ("time", 40, 25)
    assert runs_over_time(viewer)
    assert look(of_three) == ("component", 3, 2)
    # both: as far as the longer one, named for the one that is chosen
    assert look(of_three, of_frames) == ("time", 40, 25)
    # a name that somebody types is kept
    dims.set_axis_label(0, "mine")
    sliders.update()
    assert dims.axis_labels[0] == "mine"
    viewer.layers.remove(of_frames)
    assert look(of_three)[1] == 3
