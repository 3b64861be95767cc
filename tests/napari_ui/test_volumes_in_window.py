"""Volumes in the window: larger than the memory they go to the disk, the slice that is shown is mapped first, and no
slice is mapped twice."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog

import napari_blochnet as nb
from napari_blochnet.fingerprints import zarr_stacks
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.panels import simulate_tab
from napari_blochnet.napari_ui.panels.map import mapping


@pytest.mark.gui
def test_a_volume_stays_on_disk_and_fills_in_from_the_slice_that_is_shown(desk, tmp_path, monkeypatch):
    monkeypatch.setattr(zarr_stacks, "LAZY_BYTES", 0)
    desk = desk()
    layers.add_phantom(desk.session, nb.synthetic_phantom((5, 24, 20)))
    desk.use_spline(60)
    simulate = desk.turn_to("Simulate")
    simulate.part.setCurrentText("all slices")
    simulate.form.set_values({"snr": 50.0})
    assert simulate.run.text() == "Simulate"
    monkeypatch.setattr(simulate_tab, "free_memory", lambda: 1_000_000)
    simulate.update_session()
    assert simulate.run.text() == "Simulate into a file…"
    assert "1 MB of memory are free: they go into a file" in simulate.size_line.text()
    path = tmp_path / "volume.zarr"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), "Zarr (*.zarr)"))
    desk.run(simulate, simulate.run)
    stack = desk.session.entries("stack")[0].subject
    assert path.is_dir()
    assert not isinstance(stack.data, np.ndarray)
    shown = desk.session.layers("stack")[-1].data
    np.testing.assert_array_equal(shown[7, 2], np.abs(np.asarray(stack.data[7, 2])))

    tab = desk.turn_to("Map")
    tab.form.set_values({"step": 0.2})
    desk.go_to_slice(desk.session.layers("stack")[-1], 3)
    order = []
    usual = mapping.reconstruct

    def watched(*args, partial, **named):
        def seen(maps):
            order.append(tuple(np.flatnonzero(maps.mask.any(axis=(1, 2)))))
            partial(maps)

        return usual(*args, partial=seen, **named)

    monkeypatch.setattr(mapping, "reconstruct", watched)
    tab.part.setCurrentText("this slice")
    desk.run(tab, tab.run)
    assert set(order) == {(3,)}
    order.clear()
    tab.part.setCurrentText("the whole volume")
    desk.run(tab, tab.run)
    maps = desk.session.entries("maps")[-1].subject
    # slice 3 was there already: its neighbours come next
    assert [len(planes) for planes in dict.fromkeys(order)] == [2, 3, 4, 5]
    assert 3 in order[0]
    expected = nb.reconstruct(stack, "dictionary", step=0.2)
    for name in ("t1", "t2", "pd", "residual", "mask"):
        np.testing.assert_array_equal(getattr(maps, name), getattr(expected, name), err_msg=name)
