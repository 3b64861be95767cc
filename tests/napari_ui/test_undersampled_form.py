"""Undersampling in the Simulate tab: what a trajectory asks for, and the stack that it makes."""

from __future__ import annotations

import numpy as np

import napari_blochnet as nb
from napari_blochnet.jobs.declaring.settings_sampling import SamplingSettings
from napari_blochnet.napari_ui.canvas import layers


def test_a_trajectory_asks_for_what_it_takes_and_makes_frames(desk):
    place = desk()
    head = nb.synthetic_phantom(shape=(1, 24, 20))
    layers.add_phantom(place.session, head)
    place.session.schedule = nb.spline_schedule(length=40)
    simulate = place.turn_to("Simulate")

    def shown():
        return {name for name in SamplingSettings.model_fields if not simulate.form.row(name).isHidden()}

    assert shown() == {"trajectory", "images"}
    simulate.form.editor("trajectory").value = "file"
    assert shown() == {"trajectory", "trajectory_file", "coils", "images"}
    assert "expected a file" in simulate.size_line.text()
    simulate.form.editor("trajectory_file").value = "k.npy"
    simulate.form.editor("trajectory").value = "spiral"
    assert simulate.form.values()["trajectory_file"] is None
    assert shown() == {"trajectory", "interleaves", "rotation", "coils", "images"}
    simulate.form.editor("images").value = "coefficients"
    assert shown() == {"trajectory", "interleaves", "rotation", "coils", "images", "components", "low_rank"}
    simulate.form.set_values({"images": "frames", "interleaves": 6, "coils": 2})
    place.run(simulate, simulate.run)
    (stack,) = [entry.subject for entry in place.session.entries("stack")]
    expected = nb.simulate(head, place.session.schedule, trajectory="spiral", interleaves=6, coils=2)
    np.testing.assert_array_equal(stack.data, expected.data)
