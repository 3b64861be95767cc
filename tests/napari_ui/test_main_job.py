"""The main job in a real viewer: from files to T1, T2 and error maps, and one voxel's curves."""

from __future__ import annotations

import csv

import numpy as np
import pytest


def test_brainweb_folder_to_error_maps(desk, shared_data, qtbot):
    desk = desk()
    said = desk.open_phantom(shared_data / "brainweb" / "mritc_2mm")
    assert said == "Opened mritc_2mm."
    # the mask's file carries garbage behind its content, as found in the wild: said once, in the panel
    warning = desk.turn_to("Data").jobs.warning
    assert warning.isVisible()
    assert warning.text().count("garbage") == 1
    names = [layer.name for layer in desk.viewer.layers]
    assert names == ["tissue – mritc_2mm", "PD – mritc_2mm", "T2 (ms) – mritc_2mm", "T1 (ms) – mritc_2mm"]
    truth_t1, truth_t2 = desk.layer("T1 (ms)"), desk.layer("T2 (ms)")
    assert [str(unit) for unit in truth_t1.units] == ["millimeter"] * 3
    assert truth_t1.axis_labels == ("z", "y", "x")
    assert truth_t1.colorbar.visible
    # anterior is up: napari draws y downwards, and BrainWeb's rows run to anterior
    np.testing.assert_allclose(truth_t1.scale, (2, -2, 2))

    z = 40
    desk.go_to_slice(truth_t1, z)
    schedule = desk.turn_to("Schedule")
    assert schedule.kind.currentText() == "FISP (Jiang 2015)"
    assert "1000 pulses" in schedule.description.text()
    simulate = desk.turn_to("Simulate")
    assert f"Slice {z}" in simulate.size_line.text()
    assert (
        "Simulated 5,070 fingerprints" in desk.run(simulate, simulate.run)
        or "Simulated" in simulate.jobs.message.text()
    )
    stack = desk.session.entries("stack")[0].subject
    assert stack.shape == (1000, 1, 109, 91)
    assert stack.kind == "complex"
    shown = desk.layer("mritc_2mm")
    assert shown.axis_labels == ("time", "z", "y", "x")
    assert [str(unit) for unit in shown.units] == ["dimensionless", *["millimeter"] * 3]
    # the slice lies where it was cut from
    np.testing.assert_allclose(shown.translate[-3], truth_t1.data_to_world([z, 0, 0])[0])

    mapping = desk.turn_to("Map")
    mapping.form.set_values({"step": 0.04, "t1_range": (300.0, 6000.0), "t2_range": (20.0, 3000.0)})
    said = desk.run(mapping, mapping.run)
    assert said.startswith("Mapped"), said
    maps = desk.session.entries("maps")[0].subject
    truth = desk.session.entries("phantom")[0].subject[z]
    inside = truth.mask
    np.testing.assert_array_equal(maps.mask, inside)
    for name in ("t1", "t2"):
        error = np.abs(getattr(maps, name)[inside] / getattr(truth, name)[inside] - 1)
        # a dictionary of 4 % steps is at most 2 % from any tissue
        assert np.median(error) < 0.02
        assert np.percentile(error, 99) < 0.06
    estimate = desk.layer("T1 (ms) – dictionary")
    assert tuple(estimate.contrast_limits) == tuple(truth_t1.contrast_limits)
    assert tuple(desk.layer("T2 (ms) – dictionary").contrast_limits) == tuple(truth_t2.contrast_limits)
    error_layer = desk.layer("T1 error (%) – dictionary")
    low, high = error_layer.contrast_limits
    assert low == -high
    np.testing.assert_allclose(
        error_layer.data[inside], 100 * (maps.t1[inside] / truth.t1[inside] - 1), rtol=1e-4, atol=1e-3
    )
    assert np.isnan(error_layer.data[~inside]).all()
    for layer in (estimate, error_layer):
        assert layer.visible
        np.testing.assert_array_equal(layer.translate, shown.translate[1:])
        assert layer.metadata["blochnet"]["record"]["operation"] == "reconstruct"
    assert desk.viewer.canvas.grid.enabled

    # limits stay shared: what is changed for one T1 layer is changed for all
    truth_t1.contrast_limits = (0, 2000)
    assert tuple(estimate.contrast_limits) == (0, 2000)

    compare = desk.turn_to("Compare")
    assert desk.run(compare, compare.run).startswith("Compared")
    headings = [compare.table.horizontalHeaderItem(i).text() for i in range(compare.table.columnCount())]
    tissues = {compare.table.item(i, headings.index("Tissue")).text() for i in range(compare.table.rowCount())}
    assert {"all", "CSF", "grey matter", "white matter"} <= tissues

    desk.turn_to("Map")
    desk.click(mapping.copy.python)
    from qtpy.QtWidgets import QApplication

    script = QApplication.clipboard().text()
    assert "nb.simulate(" in script
    assert "nb.reconstruct(" in script
    compile(script, "copied", "exec")
    desk.click(mapping.copy.command)
    assert "blochnet reconstruct" in QApplication.clipboard().text()


def test_table_and_report_are_written(desk, tmp_path):
    desk = desk()
    data = desk.turn_to("Data")
    assert "Opened" in desk.run(data, data.sample_buttons["head-slice"])
    desk.use_spline(200)
    simulate = desk.turn_to("Simulate")
    simulate.form.set_values({"snr": 50.0, "seed": 3})
    desk.run(simulate, simulate.run)
    mapping = desk.turn_to("Map")
    mapping.form.set_values({"step": 0.1})
    desk.run(mapping, mapping.run)
    compare = desk.turn_to("Compare")
    desk.run(compare, compare.run)
    compare.save(str(tmp_path / "scores.csv"))
    desk.wait(compare)
    with (tmp_path / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["parameter"] for row in rows} >= {"T1", "T2"}
    compare.save(str(tmp_path / "report.html"))
    assert desk.wait(compare).startswith("Saved")
    assert "<html" in (tmp_path / "report.html").read_text(encoding="utf-8")[:500].lower()


def test_acquired_stack(desk, shared_data):
    folder = shared_data / "acquired" / "vumc_mrf_500"
    desk = desk()
    schedule = desk.turn_to("Schedule")
    schedule.kind.setCurrentText("From a file")
    assert desk.session.schedule is None
    form = schedule.form
    form.set_values(
        {
            "flip_angle": 60.0,
            "repetition_time": 15.0,
            "echo_time": 3.3,
            "inversion_time": 15.0,
            "path": str(folder / "MRF_500.csv"),
        }
    )
    schedule.make()
    assert not form.errors()
    assert len(desk.session.schedule) == 500
    assert desk.open_stack(folder / "frames.npz") == "Opened frames."
    layer = desk.layer("frames")
    # image order, first row on top: nothing says where anterior is
    assert layer.scale[-2] > 0

    mapping = desk.turn_to("Map")
    mapping.part.setCurrentText("a painted region")
    desk.click(mapping.paint)
    region = desk.layer("Region")
    with (folder / "spheres.csv").open() as file:
        spheres = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    keys = list(spheres[0])
    y, x = np.mgrid[:240, :240]
    disks = []
    for sphere in spheres[:6]:
        centre_x, centre_y = sphere[keys[1]], sphere[keys[2]]
        disks.append((x - centre_x) ** 2 + (y - centre_y) ** 2 <= 25)
    region.data = np.any(disks, axis=0)[None].astype(np.uint8)
    mapping.form.set_values({"step": 0.04})
    said = desk.run(mapping, mapping.run)
    maps = desk.session.entries("maps")[0].subject
    assert said.startswith(f"Mapped {int(np.any(disks, axis=0).sum()):,} voxels"), said
    np.testing.assert_array_equal(maps.mask[0], np.any(disks, axis=0))
    site = {"t1": [k for k in keys if "t1" in k.lower()], "t2": [k for k in keys if "t2" in k.lower()]}
    for name, tolerance in (("t1", 0.1), ("t2", 0.15)):
        for sphere, disk in zip(spheres[:6], disks, strict=True):
            mean = getattr(maps, name)[0][disk].mean()
            assert mean == pytest.approx(sphere[site[name][-1]], rel=tolerance), (name, sphere)
    assert not [layer for layer in desk.viewer.layers if "error" in layer.name]


def test_click_pins_a_voxel(desk, qtbot):
    from qtpy.QtCore import QPoint

    desk = desk()
    data = desk.turn_to("Data")
    desk.run(data, data.sample_buttons["head-slice"])
    desk.use_spline(200)
    simulate = desk.turn_to("Simulate")
    simulate.form.set_values({"snr": 20.0})
    desk.run(simulate, simulate.run)
    mapping = desk.turn_to("Map")
    mapping.form.set_values({"step": 0.1})
    desk.run(mapping, mapping.run)
    # one head on the canvas, so that its middle is the canvas's
    desk.click(desk.workbench.view_bar.buttons["T1"])
    desk.click(desk.workbench.view_bar.beside)
    qtbot.waitUntil(lambda: not desk.workbench.view_bar.is_busy, timeout=60_000)
    assert not desk.viewer.canvas.grid.enabled
    _, inspector = desk.viewer.window.add_plugin_dock_widget("napari-blochnet", "Voxel inspector")
    qtbot.wait(300)
    desk.viewer.reset_view()
    canvas = desk.viewer.window._qt_viewer.canvas.native
    place = QPoint(canvas.width() // 2 + 25, canvas.height() // 2 + 10)
    qtbot.mouseMove(canvas, place)
    qtbot.wait(50)
    qtbot.mouseClick(canvas, desk.button, pos=place)
    qtbot.waitUntil(lambda: inspector.shown is not None, timeout=20_000)
    shown = inspector.shown
    voxel = desk.session.voxel
    stack = desk.session.entries("stack")[0].subject
    assert voxel.stack is stack
    assert stack.mask[voxel.index]
    names = [item.name for item in shown.items]
    assert names == ["truth", "dictionary"]
    z, y, x = voxel.index
    np.testing.assert_allclose(np.linalg.norm(stack.data[:, z, y, x]), np.linalg.norm(shown.measured), rtol=0.05)
    # at SNR 20 the estimate explains the fingerprint about as well as the truth does
    assert shown.residual[1] < 1.2 * shown.residual[0] + 0.02
    maps = desk.session.entries("maps")[0].subject
    assert shown.residual[1] == pytest.approx(maps.residual[voxel.index], abs=0.02)
    assert inspector.table.rowCount() == 2
    assert inspector.table.item(1, 2).text().endswith("%")
    assert len(inspector.marks.shown) == 1

    # a drag pans and pins nothing else
    qtbot.mousePress(canvas, desk.button, pos=place)
    qtbot.mouseMove(canvas, place + QPoint(40, 30))
    qtbot.mouseRelease(canvas, desk.button, pos=place + QPoint(40, 30))
    qtbot.wait(100)
    assert desk.session.voxel is voxel
