"""Coefficients in the Data tab: made of fingerprints that are open, mapped at once, and expanded again."""

from __future__ import annotations

import numpy as np

import napari_blochnet as nb
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.napari_calls import palette_commands


def _whole(place, length=60):
    head = nb.synthetic_phantom(shape=(2, 24, 20))
    stack = nb.simulate(head, nb.spline_schedule(length=length), snr=50)
    layers.add_stack(place.session, stack, head)
    return head, stack


def test_there_and_back_and_mapped_at_once(desk):
    place = desk()
    data = place.turn_to("Data")
    assert data.compressing.isHidden()
    head, stack = _whole(place)
    fold = data.compressing
    place.click(fold.fold.button)
    fold.form.set_values({"components": 5})
    said = place.run(data, fold.run)
    expected = nb.compress(stack, components=5)
    coefficients = place.session.entries("stack")[-1]
    np.testing.assert_array_equal(coefficients.subject.data, expected.data)
    assert f"leave out {100 * expected.record['left_out']:.2g} % of the energy" in said
    assert coefficients.title == f"{stack.name}, 5 coefficients"
    assert coefficients.truth is head
    assert place.viewer.layers[-1].axis_labels[0] == "component"

    mapping = place.turn_to("Map")
    assert mapping.stack.value is coefficients.subject
    assert place.run(mapping, mapping.run).startswith("Mapped")
    maps = place.session.entries("maps")[-1].subject
    assert maps.record["acquisition"]["components"] == 5

    place.turn_to("Data")
    fold.stack.value = coefficients.subject
    assert fold.form.isHidden()
    said = place.run(data, fold.run)
    assert "Expanded 5 coefficients to 60 time points" in said
    again = place.session.entries("stack")[-1]
    np.testing.assert_array_equal(again.subject.data, nb.expand(expected).data)
    # what is offered to be taken along is what was made last
    assert again.title in fold.save.toolTip()


def test_what_cannot_be_is_said_and_commands_find_the_fold(desk):
    place = desk()
    palette_commands.expand_coefficients(place.viewer)
    data = place.workbench.data
    assert "Nothing to compress" in data.jobs.message.text()
    _, stack = _whole(place)
    palette_commands.compress_fingerprints(place.viewer)
    fold = data.compressing
    assert fold.form.isVisible()
    assert fold.stack.value is stack
    fold.form.set_values({"components": 61})
    said = place.run(data, fold.run)
    assert "60 time points" in said
    assert "60 time points" in fold.form.errors()["components"]
    palette_commands.expand_coefficients(place.viewer)
    assert "holds whole fingerprints already" in place.wait(data)


def test_cancelling_leaves_nothing(desk):
    place = desk()
    data = place.turn_to("Data")
    _whole(place, 400)
    fold = data.compressing
    place.click(fold.fold.button)
    place.click(fold.run)
    data.jobs.job.cancel()
    assert place.wait(data).startswith("Cancelled")
    assert len(place.session.entries("stack")) == 1
    assert fold.run.isEnabled()
