"""Hints invite to click where a click points, and say so where it draws or paints."""

from __future__ import annotations

import pytest

import napari_blochnet as nb
from napari_blochnet.jobs.operations.opening import synthetic_head
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.next_step import next_step
from napari_blochnet.napari_ui.widgets.docks import INSPECTOR, open_dock


@pytest.fixture
def mapped(desk):
    place = desk()
    head = synthetic_head(shape=(1, 24, 20))
    stack = nb.simulate(head, nb.spline_schedule(length=60))
    layers.add_stack(place.session, stack, head)
    layers.add_maps(place.session, nb.reconstruct(stack, "dictionary", step=0.2), stack, head, "dictionary")
    place.stack = stack
    return place


@pytest.mark.parametrize("add", [layers.add_drawing, layers.add_region])
def test_the_next_step_knows_of_a_tool_in_hand(mapped, add):
    step = mapped.workbench.next_step
    mapped.qtbot.waitUntil(lambda: step.button.text() == "Inspect voxels", timeout=20_000)
    mapped.click(step.button)
    inspector = open_dock(mapped.viewer, INSPECTOR)
    mapped.qtbot.waitUntil(lambda: "click a voxel" in step.text.text(), timeout=20_000)
    assert not step.button.isVisible()
    assert inspector.invitation.text().startswith("Click a voxel")
    drawn = add(mapped.session, mapped.stack)
    mapped.qtbot.waitUntil(lambda: f"A click edits {drawn.name} now" in step.text.text(), timeout=20_000)
    assert next_step(mapped.session, "Map", inspecting=True).goal == "point"
    assert inspector.invitation.text().startswith(f"A click edits {drawn.name} now")
    mapped.click(step.button)
    assert drawn.mode == "pan_zoom"
    mapped.qtbot.waitUntil(lambda: step.text.text().endswith("Next: click a voxel in the viewer."), timeout=20_000)
    assert inspector.invitation.text().startswith("Click a voxel")


def test_the_canvas_says_when_a_click_does_not_map(mapped):
    mapping = mapped.turn_to("Map")
    mapped.click(mapping.click)
    text = mapped.viewer.canvas.overlays["text"]
    assert text.text == "click to map"
    drawn = layers.add_drawing(mapped.session, mapped.stack)
    assert text.text == "a click edits now: pan/zoom to map"
    drawn.mode = "pan_zoom"
    assert text.text == "click to map"
    drawn.mode = "add_polygon"
    mapped.click(mapping.click)
    assert (text.text, text.visible) == ("", False)
