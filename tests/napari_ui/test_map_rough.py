"""The Map tab handled roughly: what it offers, refuses and survives."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels, Shapes

import napari_blochnet as nb
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.phantoms.phantom import Phantom


def _phantom(slices: int = 3, side: int = 40, voxel_size=(5.0, 1.0, 2.0)) -> Phantom:
    shape = (slices, side, side)
    t1 = np.array([400.0, 800.0, 1300.0, 2200.0])[np.arange(np.prod(shape)) % 4].reshape(shape)
    return Phantom(t1, t1 / 12, np.ones(shape), voxel_size=voxel_size, name="block")


def _simulated(desk, phantom: Phantom, **settings):
    """Open a phantom, simulate it whole, and turn to the Map tab."""
    layers.add_phantom(desk.session, phantom)
    desk.use_spline(60)
    simulate = desk.turn_to("Simulate")
    simulate.part.setCurrentText("all slices")
    simulate.form.set_values(settings)
    desk.run(simulate, simulate.run)
    mapping = desk.turn_to("Map")
    mapping.form.set_values({"step": 0.1})
    return mapping


def _start_slowly(desk, mapping) -> None:
    mapping.form.set_values({"batch": 1})
    desk.click(mapping.run)
    desk.qtbot.waitUntil(lambda: bool(desk.session.layers("maps")) or not mapping.is_busy, timeout=60_000)
    assert mapping.is_busy, mapping.jobs.message.text()


def _finish(desk, mapping) -> str:
    mapping.jobs.job.cancel()
    return desk.wait(mapping)


def test_schedule_view_and_slider_change_while_maps_fill_in(desk, qtbot):
    desk = desk()
    mapping = _simulated(desk, _phantom(side=96))
    mapping.part.setCurrentText("the whole volume")
    stack = mapping.stack.value
    _start_slowly(desk, mapping)
    desk.turn_to("Schedule").kind.setCurrentText("FISP (Jiang 2015)")
    assert len(desk.session.schedule) == 1000
    desk.turn_to("Map")
    for ndisplay in (3, 2):
        desk.viewer.dims.ndisplay = ndisplay
        qtbot.wait(150)
    for z in (2, 0, 1):
        desk.go_to_slice(desk.session.layers("stack")[0], z)
        qtbot.wait(100)
    desk.viewer.dims.order = (0, 3, 1, 2)
    qtbot.wait(100)
    desk.viewer.dims.order = (0, 1, 2, 3)
    assert mapping.is_busy
    _finish(desk, mapping)
    (maps,) = (entry.subject for entry in desk.session.entries("maps"))
    # what made the stack counts, whatever the Schedule tab shows by now
    recorded = maps.record["inputs"]["stack"]["inputs"]["schedule"]
    assert recorded["settings"]["length"] == 60
    expected = nb.reconstruct(stack, None, maps.mask, step=0.1, batch=1)
    np.testing.assert_array_equal(maps.t1, expected.t1)


def test_layers_go_and_change_names_while_a_slice_is_merged(desk):
    desk = desk()
    mapping = _simulated(desk, _phantom(side=96))
    desk.go_to_slice(desk.session.layers("stack")[0], 0)
    mapping.form.set_values({"batch": 1})
    _start_slowly(desk, mapping)
    _finish(desk, mapping)
    first = desk.session.entries("maps")[0].subject
    before = first.t1.copy()
    # a second slice grows in the same layers; nothing of the first one is lost where that comes to nothing
    desk.go_to_slice(desk.session.layers("stack")[0], 1)
    desk.click(mapping.run)
    desk.qtbot.waitUntil(lambda: desk.session.layers("maps", first) == [] or not mapping.is_busy, timeout=60_000)
    assert mapping.is_busy
    desk.layer("T1 (ms) – dictionary").name = "mine"
    desk.viewer.layers.remove(desk.layer("PD – dictionary"))
    for layer in desk.session.layers("phantom"):
        desk.viewer.layers.remove(layer)
    desk.session.layers("stack")[0].name = "renamed"
    _finish(desk, mapping)
    assert "mine" in [layer.name for layer in desk.viewer.layers]
    maps = desk.session.entries("maps")[0].subject
    assert maps.mask[1].any()
    np.testing.assert_array_equal(maps.t1[0], before[0])
    np.testing.assert_array_equal(first.t1, before)
    # and without the stack there is nothing to map
    desk.viewer.layers.remove(desk.session.layers("stack")[0])
    assert not mapping.run.isEnabled()
    assert not mapping.click.isEnabled()


def test_shapes_and_labels_on_other_grids(desk):
    desk = desk()
    mapping = _simulated(desk, _phantom())
    stack = mapping.stack.value
    layer = desk.session.layers("stack")[0]
    desk.go_to_slice(layer, 1)
    # a layer that knows no units, beside ours
    desk.viewer.add_layer(Image(np.zeros((7, 7)), name="plain"))
    mapping.part.setCurrentText("a drawn shape")
    assert "No shape is drawn" in mapping.size_line.text()
    desk.click(mapping.paint)
    drawn = desk.layer("Shapes")
    # an anisotropic grid: voxels of 1 × 2 mm; a rectangle in voxels of the slice 1
    drawn.add_rectangles(np.array([[1, 3.6, 5.6], [1, 3.6, 12.4], [1, 8.4, 12.4], [1, 8.4, 5.6]]))
    mapping.update_session()
    expected = np.zeros(stack.shape[1:], bool)
    expected[1, 4:9, 6:13] = True
    np.testing.assert_array_equal(mapping.choice.voxels(), expected)
    assert mapping.size_line.text().startswith("35 voxels")
    said = desk.run(mapping, mapping.run)
    assert said.startswith("Mapped 35 voxels"), said
    np.testing.assert_array_equal(desk.session.entries("maps")[0].subject.mask, expected)

    # the same rectangle in millimetres, by somebody's own shapes layer without a z axis: it holds in every slice
    (top, left), (bottom, right) = (
        np.asarray(layer.data_to_world((0, 0, *corner)))[-2:] for corner in ((3.6, 5.6), (8.4, 12.4))
    )
    own = Shapes([np.array([[top, left], [top, right], [bottom, right], [bottom, left]])], name="own")
    desk.viewer.add_layer(own)
    mapping.region.native.setCurrentText("own")
    np.testing.assert_array_equal(mapping.choice.voxels(), np.repeat(expected[1:2], 3, axis=0))

    # painted on a coarser grid with its axes swapped
    mapping.part.setCurrentText("a painted region")
    painted = np.zeros((3, 20, 10), np.uint8)
    painted[1, 3, 2] = 1
    swapped = np.zeros((4, 4))
    scale, translate = np.asarray(layer.scale)[-3:], np.asarray(layer.translate)[-3:]
    swapped[0, 0] = scale[0]
    swapped[1, 2] = scale[1] * 4
    swapped[2, 1] = scale[2] * 2
    swapped[:3, 3] = translate + scale * np.array([0, 1.5, 0.5])
    swapped[3, 3] = 1
    desk.viewer.add_layer(Labels(painted, affine=swapped, name="swapped"))
    mapping.region.native.setCurrentText("swapped")
    found = mapping.choice.voxels()
    expected[:] = False
    expected[1, 8:12, 6:8] = True
    np.testing.assert_array_equal(found, expected)

    # elsewhere: a sentence, and nothing runs
    away = Labels(np.ones((3, 4, 5), np.uint8), translate=(0, 5000, 5000), name="away")
    desk.viewer.add_layer(away)
    mapping.region.native.setCurrentText("away")
    assert "Nothing is painted in away" in mapping.size_line.text()
    desk.click(mapping.run)
    assert "Nothing is painted in away" in mapping.jobs.message.text()
    assert not mapping.is_busy


def test_what_cannot_map_the_stack_is_grey_and_says_why(desk, monkeypatch):
    from napari_blochnet.estimators import offers

    desk = desk()
    mapping = _simulated(desk, _phantom(slices=1), kind="magnitude")
    box = mapping.estimators.box("fc")
    assert not box.isEnabled()
    assert "magnitudes" in box.toolTip()
    assert mapping.estimators.box("dictionary").isChecked()
    assert mapping.estimators.box("universal").isEnabled()
    # ticks come back with a stack that suits
    mapping.estimators.tick(["universal", "fc"])
    assert mapping.estimators.chosen == ["universal"]
    desk.turn_to("Schedule").kind.setCurrentText("FISP (Jiang 2015)")
    simulate = desk.turn_to("Simulate")
    simulate.form.set_values({"kind": "complex"})
    desk.run(simulate, simulate.run)
    desk.turn_to("Map")
    mapping.stack.native.setCurrentIndex(len(mapping.stack) - 1)
    assert mapping.estimators.chosen == ["universal", "fc"]
    assert "bound" in mapping.estimators.box("fc").toolTip()

    # a model that has just been trained is listed at once
    known = offers.stored_models()
    mine = type(known[0])("mine", known[0].path, known[0].card, packaged=False)
    monkeypatch.setattr(offers, "stored_models", lambda: (mine, *known))
    desk.session.models_changed.emit()
    assert mapping.estimators.box("mine").isEnabled()
    assert mapping.estimators.chosen == ["universal", "fc"]


def test_time_and_memory_are_told(desk, monkeypatch):
    from napari_blochnet.napari_ui.panels.map import needs

    desk = desk()
    mapping = _simulated(desk, _phantom(slices=2))
    assert "GB free)" in mapping.size_line.text()
    assert "about" not in mapping.size_line.text()
    # a sample is timed on demand, and leaves nothing else
    before = list(desk.viewer.layers)
    assert desk.run(mapping, mapping.timing).startswith("1,600 voxels will take about")
    assert list(desk.viewer.layers) == before
    assert "1,600 voxels × 60 TRs: about" in mapping.size_line.text()
    assert not mapping.timing.isVisible()
    # so is every mapping
    mapping.form.set_values({"step": 0.15})
    assert mapping.timing.isVisible()
    desk.run(mapping, mapping.run)
    assert "1,600 voxels × 60 TRs: about" in mapping.size_line.text()
    assert not mapping.timing.isVisible()
    # a small machine, and a fine dictionary
    monkeypatch.setattr(needs, "free_memory", lambda: 10**9)
    mapping.form.set_values({"step": 0.002})
    assert "of memory, and" in mapping.size_line.text()
    assert mapping.size_line.property("state") == "error"
    mapping.form.set_values({"step": 0.1})
    assert mapping.size_line.property("state") == ""
    mapping.estimators.tick([])
    assert "Tick an estimator" in mapping.size_line.text()
    assert not mapping.run.isEnabled()


@pytest.mark.parametrize("fit_b1", [False, True])
def test_refined_maps_bring_their_standard_errors(desk, fit_b1):
    desk = desk()
    mapping = _simulated(desk, _phantom(slices=1, side=12), snr=40.0)
    switches = mapping.switches
    assert not switches.box("fit_b1").isEnabled()
    desk.click(switches.box("refine"))
    assert switches.box("fit_b1").isEnabled()
    if fit_b1:
        desk.click(switches.box("fit_b1"))
    desk.run(mapping, mapping.run)
    for role in ("T1 SE", "T2 SE"):
        (layer,) = desk.session.layers("maps", role=role)
        assert layer.name.startswith(f"{role} (ms)")
        assert layer.metadata["blochnet"]["unit"] == "ms"
        assert (layer.data[layer.data != 0] > 0).all()
    assert bool(desk.session.layers("maps", role="B1")) == fit_b1
    maps = desk.session.entries("maps")[0].subject
    assert maps.record["settings"]["fit_b1"] == fit_b1
