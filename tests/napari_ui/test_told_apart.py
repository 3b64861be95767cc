"""What is opened: two phantoms or stacks of one name are told apart, and a hollow head opens at its middle."""

from __future__ import annotations

import numpy as np

from napari_blochnet.jobs.operations.simulate import simulate
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas.layer_data import opened_layer_data
from napari_blochnet.napari_ui.state.entries import ENTRY
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.schedules.generators import spline_schedule

SHAPE = (9, 6, 7)


def _head(**more):
    return Phantom(np.full(SHAPE, 900.0), np.full(SHAPE, 80.0), np.ones(SHAPE), name="head", **more)


def test_two_of_one_name_are_told_apart(desk):
    desk = desk()
    first, second, third = _head(), _head(), _head()
    layers.add_phantom(desk.session, first)
    layers.add_phantom(desk.session, second)
    # by whatever door: layer data that napari adds itself, as its readers and samples make
    for data, how, kind in opened_layer_data(layers.Opened(third)):
        getattr(desk.viewer, f"add_{kind}")(data, **how)
    assert [entry.title for entry in desk.session.entries("phantom")] == ["head", "head 2", "head 3"]
    names = [layer.name for layer in desk.session.layers("phantom")]
    assert len(set(names)) == len(names)
    for phantom, title in ((first, "head"), (second, "head 2"), (third, "head 3")):
        for layer in desk.session.layers("phantom", phantom):
            assert layer.name.endswith(f"– {title}")
            assert layer.metadata[ENTRY].title == title
    stack = simulate(first, spline_schedule(length=20))
    again = simulate(second, spline_schedule(length=20))
    layers.add_stack(desk.session, stack, first)
    layers.add_stack(desk.session, again, second)
    titles = [entry.title for entry in desk.session.entries("stack")]
    assert titles == [stack.name, f"{stack.name} 2"]
    assert [layer.name for layer in desk.session.layers("stack")] == titles


def test_a_hollow_head_opens_at_its_middle_slice(desk):
    desk = desk()
    mask = np.ones(SHAPE, bool)
    # most of what is left lies at the base, as muscles of the neck do
    mask[1:, 1:-1, 1:-1] = False
    layers.add_phantom(desk.session, _head(mask=mask))
    assert desk.viewer.dims.point[-3] == 4
    # where the middle holds nothing it is where most is
    mask = np.zeros(SHAPE, bool)
    mask[0, 1, 1] = mask[8] = True
    layers.add_phantom(desk.session, _head(mask=mask))
    assert desk.viewer.dims.point[-3] == 8
