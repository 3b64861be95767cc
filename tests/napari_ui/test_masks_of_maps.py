"""Masks in the Map tab: followed as they are edited, laid on the stack's grid once, gone from above the maps."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_blochnet import FingerprintStack
from napari_blochnet.jobs.settings import ReconstructSettings
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.panels.data.maps_dialog import MapsDialog
from napari_blochnet.napari_ui.state import drawn_regions, laid_masks
from napari_blochnet.physics.decoder import EPGDecoder

LENGTH, SHAPE = 40, (4, 12, 14)
GRID = {"step": 0.2, "t1_range": (300.0, 3000.0), "t2_range": (20.0, 300.0)}
THRESHOLD = "above a threshold (Otsu's)"


@pytest.fixture
def ready(desk):
    """A desk with a stack of one tissue and little noise, and the Map tab in front."""
    desk = desk()
    desk.use_spline(LENGTH)
    schedule = desk.session.schedule
    signal = EPGDecoder(schedule)(900.0, 90.0).detach().numpy().reshape(-1, 1, 1, 1)
    half = np.arange(SHAPE[2]) < 7
    data = (signal * (0.02 + half)).astype(np.complex64) * np.ones((1, *SHAPE), np.float32)
    stack = FingerprintStack(data, schedule)
    layers.add_stack(desk.session, stack)
    mapping = desk.turn_to("Map")
    mapping.form.set_values(GRID)
    return desk, mapping, stack


def _region(mapping):
    mapping.part.setCurrentText("a painted region")
    mapping.paint.click()
    return mapping.region.value


def test_the_sentence_follows_strokes(ready, qtbot):
    _desk, mapping, _ = ready
    region = _region(mapping)
    assert "Nothing is painted" in mapping.size_line.text()
    region.data_setitem((np.array([1, 1, 1]), np.array([2, 3, 4]), np.array([5, 5, 5])), 1)
    qtbot.waitUntil(lambda: mapping.size_line.text().startswith("3 voxels"))
    region.undo()
    qtbot.waitUntil(lambda: "Nothing is painted" in mapping.size_line.text())
    # by whoever writes into it
    region.data[2, 3, 4] = 2
    region.refresh()
    qtbot.waitUntil(lambda: mapping.size_line.text().startswith("1 voxel "))
    region.selected_label, region.show_selected_label = 1, True
    qtbot.waitUntil(lambda: "Nothing with label 1 is painted" in mapping.size_line.text())


def test_so_does_that_of_a_mask(ready, qtbot):
    _desk, mapping, stack = ready
    mapping.part.setCurrentText("the whole volume")
    mapping.masking.paint.click()
    region = mapping.masking.choice.value
    assert "Nothing is painted" in mapping.size_line.text()
    region.data_setitem((np.array([1, 1]), np.array([2, 3]), np.array([5, 5])), 1)
    qtbot.waitUntil(lambda: mapping.size_line.text().startswith("2 voxels"))
    np.testing.assert_array_equal(mapping.masking.voxels(), stack.mask & (region.data > 0))


def test_a_mask_is_laid_once_whatever_slice_is_looked_at(ready, qtbot, monkeypatch):
    desk, mapping, _ = ready
    laid = []
    monkeypatch.setattr(
        laid_masks, "mask_of_region", lambda *what: laid.append(what) or drawn_regions_mask(*what)
    )  # fmt: skip
    mapping.masking.paint.click()
    region = mapping.masking.choice.value
    region.data_setitem((np.array([1, 1]), np.array([2, 3]), np.array([5, 5])), 1)
    mapping.part.setCurrentText("the whole volume")
    qtbot.waitUntil(lambda: mapping.size_line.text().startswith("2 voxels"))
    laid.clear()
    stack_layer = desk.session.layers("stack")[0]
    for z in (0, 1, 2, 3, 0):
        desk.go_to_slice(stack_layer, z)
        assert mapping.size_line.text().startswith("2 voxels")
        # nothing took the slider for the brush
        assert mapping.masking._laid._found is not None
    assert laid == []
    region.translate = np.add(region.translate, (0, 0, region.scale[2]))
    qtbot.waitUntil(lambda: len(laid) == 1)
    assert np.flatnonzero(mapping.masking.voxels().any(axis=(0, 1))) == [6]


def drawn_regions_mask(region, target):
    from napari_blochnet.napari_ui.state.places import mask_of_region

    return mask_of_region(region, target)


@pytest.mark.parametrize("where", ["part", "mask"])
def test_what_was_painted_is_hidden_above_maps(ready, where):
    desk, mapping, _ = ready
    if where == "part":
        region = _region(mapping)
    else:
        mapping.masking.paint.click()
        region = mapping.masking.choice.value
        mapping.part.setCurrentText("the whole volume")
    region.data_setitem((np.array([1, 1]), np.array([2, 3]), np.array([5, 5])), 1)
    assert region.visible
    assert desk.run(mapping, mapping.run).startswith("Mapped 2 voxels")
    assert not region.visible


def test_a_threshold_chosen_while_a_job_runs_has_its_slider_after_it(ready, qtbot):
    _desk, mapping, _ = ready
    go = threading.Event()
    job = mapping.start("Waiting", lambda **_: go.wait(60))
    job.ended.connect(mapping._go_on)
    job.start()
    mapping.masking.choice.value = THRESHOLD
    assert not mapping.masking.slider.isVisible()
    go.set()
    qtbot.waitUntil(lambda: mapping.masking.slider.isVisible(), timeout=60_000)


def test_an_outline_is_no_region(ready, qtbot):
    desk, mapping, _ = ready
    mapping.masking.choice.value = THRESHOLD
    desk.wait(mapping)
    outline = desk.layer("Mask")
    assert drawn_regions.region_layers(desk.session) == []
    mapping.part.setCurrentText("a painted region")
    assert outline not in mapping.region.choices
    assert outline not in mapping.masking.choice.choices
    from napari_blochnet.napari_ui.sessions.snapshots import snapshot

    assert all("Mask" not in state["name"] for state in snapshot(desk.session).saved.state["layers"])


def test_a_threshold_is_of_one_stack():
    assert "threshold" in ReconstructSettings.fields_of_data()


def test_layers_of_others_are_read_in_the_background(ready, qtbot, monkeypatch):
    """B1 maps at the click on Map, and maps taken as a truth: their data may be on a disk."""
    desk, mapping, _ = ready
    readers = []

    class Field:
        """An array that tells who reads it."""

        def __init__(self, value):
            self.values = np.full(SHAPE, value)
            self.shape, self.dtype, self.ndim, self.size = SHAPE, self.values.dtype, 3, self.values.size

        def __getitem__(self, index):
            return self.values[index]

        def __array__(self, dtype=None, copy=None):
            readers.append(threading.current_thread() is threading.main_thread())
            return np.asarray(self.values, dtype)

    place = {"contrast_limits": (0, 2000), "multiscale": False}
    b1 = desk.viewer.add_image(Field(0.9), name="field", **place)
    mapping.update_session()
    assert mapping.b1.choose(b1)
    desk.wait(mapping)
    mapping.masking.choice.value = "all voxels with signal"
    mapping.part.setCurrentText("this slice")
    readers.clear()
    assert desk.run(mapping, mapping.run).startswith("Mapped"), mapping.jobs.message.text()
    assert readers
    assert not any(readers)
    maps = desk.session.entries("maps")[0].subject
    assert maps.mask.any()
    np.testing.assert_allclose(maps.b1[maps.mask], 0.9)

    t1 = desk.viewer.add_image(Field(900.0), name="T1", **place)
    desk.viewer.add_image(Field(90.0), name="T2", **place)
    dialog = MapsDialog(desk.workbench.data, t1, as_truth=False)
    readers.clear()
    dialog.accept()
    qtbot.waitUntil(lambda: len(desk.session.entries("maps")) == 2, timeout=60_000)
    assert readers
    assert not any(readers)


def test_layers_of_others_are_given_mm_when_they_are_taken(desk, qtbot):
    desk = desk()
    desk.use_spline(LENGTH)
    frames = np.random.default_rng(0).random((LENGTH, *SHAPE[1:])).astype(np.float32)
    mine = desk.viewer.add_image(frames[:, None], name="my scan", scale=(1, 2, 2, 2))
    data = desk.turn_to("Data")
    job = data.use_layer(mine)
    assert job is not None
    desk.wait(data)
    assert [str(unit) for unit in mine.units] == ["pixel", "millimeter", "millimeter", "millimeter"]
    # one frame of units for all
    assert desk.viewer.layers.extent.units is not None
    # and one name in the layer list and in the tabs
    (entry,) = desk.session.entries("stack")
    (ours,) = desk.session.layers("stack")
    assert ours.name == entry.title == "my scan, fingerprints"
    mapping = desk.turn_to("Map")
    assert mapping.stack.native.currentText() == ours.name


def test_maps_that_do_not_fit_are_not_announced_in_green(ready):
    desk, mapping, stack = ready
    assert desk.run(mapping, mapping.run).startswith("Mapped")
    assert mapping.jobs.message.property("state") == "good"
    assert stack.schedule.inversion_time is not None
    layers.add_stack(desk.session, FingerprintStack(stack.data, stack.schedule.replace(inversion_time=None)))
    mapping.stack.value = desk.session.entries("stack")[-1].subject
    said = desk.run(mapping, mapping.run)
    assert "median residual" in said
    assert "inversion" in mapping.jobs.warning.text() or "check the schedule" in mapping.jobs.warning.text()
    assert not mapping.jobs.message.property("state")
