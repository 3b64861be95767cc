"""A synthetic B1 field in the Simulate tab: one more phantom, chosen, with its field as a layer."""

from __future__ import annotations

import numpy as np

import napari_blochnet as nb
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.state.entries import entry_of


def test_a_phantom_is_put_into_a_field_and_simulated_there(desk):
    place = desk()
    head = nb.synthetic_phantom(shape=(1, 24, 20))
    layers.add_phantom(place.session, head)
    place.session.schedule = nb.spline_schedule(length=40)
    simulate = place.turn_to("Simulate")
    simulate.field.open()
    simulate.field_form.set_values({"b1_range": (0.7, 1.2), "seed": 3})
    said = place.run(simulate, simulate.field_run)
    assert "B1 field from 0.7 to 1.2" in said
    made = simulate.phantom.value
    np.testing.assert_array_equal(made.b1, nb.add_b1_field(head, b1_range=(0.7, 1.2), seed=3).b1)
    assert made.name == "synthetic head, B1 0.7–1.2"
    shown = [layer for layer in place.viewer.layers if (entry := entry_of(layer)) and entry.role == "B1"]
    assert [layer.metadata["blochnet_entry"].subject for layer in shown] == [made]
    place.run(simulate, simulate.run)
    (stack,) = [entry.subject for entry in place.session.entries("stack")]
    np.testing.assert_array_equal(stack.data, nb.simulate(made, place.session.schedule).data)
