"""Rough handling: cancelling, deleting, closing, two viewers."""

from __future__ import annotations

import gc
import subprocess
import sys

import numpy as np
import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.phantoms.phantom import Phantom

# Voxels along an edge; mapped one by one, these take several seconds.
_SIDE = 96


def _block(side: int = 24, slices: int = 1) -> Phantom:
    """A phantom of four tissues: each is simulated once, and every voxel is mapped."""
    shape = (slices, side, side)
    t1 = np.array([400.0, 800.0, 1300.0, 2200.0])[np.arange(np.prod(shape)) % 4].reshape(shape)
    return Phantom(t1, t1 / 12, np.ones(shape), voxel_size=(3, 2, 2), name="block")


def _mapped_slowly(desk):
    """Open a phantom and start a mapping in many batches; return the panel while it runs."""
    layers.add_phantom(desk.session, _block(_SIDE))
    desk.use_spline(60)
    simulate = desk.turn_to("Simulate")
    desk.run(simulate, simulate.run)
    mapping = desk.turn_to("Map")
    mapping.form.set_values({"step": 0.1, "batch": 1})
    desk.click(mapping.run)
    desk.qtbot.waitUntil(lambda: bool(desk.session.layers("maps", role="T1")) or not mapping.is_busy, timeout=60_000)
    assert mapping.is_busy, mapping.jobs.message.text()
    return mapping


def test_cancel_keeps_what_is_finished(desk, asked):
    desk = desk()
    mapping = _mapped_slowly(desk)
    wish = asked[-1]
    desk.click(mapping.jobs.cancel)
    said = desk.wait(mapping)
    assert said.startswith("Cancelled")
    maps = desk.session.entries("maps")[0].subject
    assert 0 < maps.mask.sum() < _SIDE**2
    # the work asked after every batch, here a voxel; after a yes it asks again on its way out at most
    assert wish.noes >= maps.mask.sum()
    assert 1 <= wish.yeses <= 3
    assert (maps.t1[maps.mask] > 0).all()
    assert not desk.session.jobs
    # and the panel is ready for the next one
    mapping.form.set_values({"batch": 4096})
    assert desk.run(mapping, mapping.run).startswith("Mapped 9,216 voxels")


def test_delete_everything_during_a_job(desk):
    desk = desk()
    mapping = _mapped_slowly(desk)
    desk.viewer.layers.clear()
    mapping.jobs.job.cancel()
    desk.wait(mapping)
    assert len(desk.viewer.layers) == 0
    assert mapping.stack.value is None
    assert not mapping.run.isEnabled()


def test_rename_and_delete_one_result_during_a_job(desk):
    desk = desk()
    mapping = _mapped_slowly(desk)
    desk.layer("T1 (ms) – dictionary").name = "mine"
    desk.viewer.layers.remove(desk.layer("T2 (ms) – dictionary"))
    mapping.jobs.job.cancel()
    desk.wait(mapping)
    names = [layer.name for layer in desk.viewer.layers]
    assert "mine" in names
    assert "T2 (ms) – dictionary" not in names


def test_close_the_dock_during_a_job(desk, qtbot):
    desk = desk()
    mapping = _mapped_slowly(desk)
    job = mapping.jobs.job
    desk.dock.hide()
    assert not mapping.isVisible()
    assert job.is_running
    job.cancel()
    qtbot.waitUntil(lambda: not job.is_running, timeout=10_000)
    desk.dock.show()
    assert desk.session.entries("maps")


def test_close_the_viewer_during_a_job(desk, qtbot):
    desk = desk()
    mapping = _mapped_slowly(desk)
    job = mapping.jobs.job
    desk.viewer.close()
    # the window's end is the job's
    qtbot.waitUntil(lambda: job.is_cancelled, timeout=10_000)
    qtbot.waitUntil(lambda: not job.is_running, timeout=10_000)


def test_two_viewers_keep_apart(desk):
    first, second = desk(), desk()
    layers.add_phantom(first.session, _block())
    assert first.session is not second.session
    assert len(first.session.entries("phantom")) == 1
    assert second.session.entries("phantom") == []
    second.turn_to("Simulate")
    assert second.workbench.simulate.phantom.value is None


def test_region_on_another_grid(desk, qtbot):
    from napari.layers import Labels

    from napari_blochnet.napari_ui.state.places import mask_of_region

    desk = desk()
    phantom_layer = layers.add_phantom(desk.session, _block(slices=3))[-1]
    # the brush of napari's own button paints on a grid whose y runs the other way
    labels = np.zeros((3, 24, 24), np.uint8)
    labels[1, 2:4, 5:9] = 1
    own = Labels(labels, scale=(3, 2, 2), translate=(0, -46, 0))
    found, _ = mask_of_region(own, phantom_layer)
    expected = np.zeros((3, 24, 24), bool)
    expected[1, 20:22, 5:9] = True
    np.testing.assert_array_equal(found, expected)
    coarse = Labels(labels[:, ::2, ::2].copy(), scale=(3, 4, 4), translate=(0, -45, 1))
    assert mask_of_region(coarse, phantom_layer)[0].sum() == pytest.approx(8, abs=8)
    # one label of several: the one that the layer shows alone
    own.data[1, 10:12, 10] = 2
    own.selected_label = 2
    assert mask_of_region(own, phantom_layer)[0].sum() == 10
    own.show_selected_label = True
    found, _ = mask_of_region(own, phantom_layer)
    assert [tuple(where) for where in np.argwhere(found)] == [(1, 12, 10), (1, 13, 10)]
    own.selected_label = 3
    with pytest.raises(InputError, match="Nothing with label 3 is painted in"):
        mask_of_region(own, phantom_layer)


def test_one_tissue_of_a_phantom_is_mapped(desk):
    desk = desk()
    data = desk.turn_to("Data")
    desk.run(data, data.sample_buttons["noisy-fingerprints"])
    mapping = desk.turn_to("Map")
    mapping.part.setCurrentText("a painted region")
    assert len(mapping.region) == 0
    phantom = desk.session.entries("phantom")[0].subject
    tissues = desk.layer("tissue")
    tissues.selected_label = phantom.tissues.index("white matter") + 1
    tissues.show_selected_label = True
    mapping.part.setCurrentText("this slice")
    mapping.part.setCurrentText("a painted region")
    assert mapping.region.value is tissues
    np.testing.assert_array_equal(mapping.choice.voxels(), phantom.labels == tissues.selected_label)


def test_sub_volumes_lie_where_they_were_cut(desk):
    desk = desk()
    whole = _block(slices=5)
    first = layers.add_phantom(desk.session, whole)[-1]
    part = layers.add_phantom(desk.session, whole[3])[-1]
    np.testing.assert_allclose(part.data_to_world((0, 7, 9)), first.data_to_world((3, 7, 9)))


def test_no_session_outlives_its_viewer(desk, qtbot):
    desk = desk()
    layers.add_phantom(desk.session, _block())
    desk.viewer.close()
    del desk
    qtbot.wait(100)
    gc.collect()
    assert sum(session.viewer is not None for session in gc.get_objects() if type(session) is Session) == 0


def test_opening_the_workbench_does_not_load_torch():
    script = (
        "import sys, napari\n"
        "viewer = napari.Viewer(show=True)\n"
        "viewer.window.add_plugin_dock_widget('napari-blochnet', 'Workbench')\n"
        "viewer.window.add_plugin_dock_widget('napari-blochnet', 'Voxel inspector')\n"
        "from qtpy.QtWidgets import QApplication\n"
        "for _ in range(20): QApplication.processEvents()\n"
        "viewer.close()\n"
        "print('heavy:', sorted({'torch', 'triton'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert "heavy: []" in done.stdout, done.stdout + done.stderr
