"""Mean ± SD in regions: painted with the brush, drawn as a shape, on whatever grid, against sums done by hand."""

import csv

import numpy as np
import pytest
from qtpy.QtCore import QPoint

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.napari_ui.state.drawn_regions import regions_on


def _mapped(desk):
    data = desk.turn_to("Data")
    desk.run(data, data.sample_buttons["head-slice"])
    desk.use_spline(120)
    simulate = desk.turn_to("Simulate")
    simulate.form.set_values({"snr": 30.0})
    desk.run(simulate, simulate.run)
    mapping = desk.turn_to("Map")
    mapping.form.set_values({"step": 0.2})
    desk.run(mapping, mapping.run)
    return desk


@pytest.fixture
def mapped(shared):
    """The head mapped in a viewer that all tests here share."""
    return shared(_mapped)


def _rows(panel):
    return {(row["region"], row["model"], row["parameter"]): row for row in panel.regions.means.rows()}


def _stroke(desk, qtbot, start, moves):
    native = desk.viewer.window._qt_viewer.canvas.native
    centre = QPoint(native.width() // 2, native.height() // 2)
    at = centre + QPoint(*start)
    qtbot.mouseMove(native, at)
    qtbot.wait(60)
    qtbot.mousePress(native, desk.button, pos=at)
    for move in moves:
        qtbot.mouseMove(native, centre + QPoint(*move))
        qtbot.wait(20)
    qtbot.mouseRelease(native, desk.button, pos=centre + QPoint(*moves[-1]))


def test_what_is_painted_is_averaged_while_it_is_painted(mapped, qtbot, tmp_path, monkeypatch):
    from napari_blochnet.napari_ui.panels.compare import region_statistics

    scaled = []
    found = region_statistics.signal_scales
    monkeypatch.setattr(region_statistics, "signal_scales", lambda *what: scaled.append(what) or found(*what))
    desk = mapped
    panel = desk.turn_to("Compare")
    assert panel.regions.means is None
    desk.click(panel.regions.paint)
    layer = desk.viewer.layers.selection.active
    assert layer.mode == "paint"
    qtbot.wait(200)
    _stroke(desk, qtbot, (30, 10), [(40, 15), (50, 20)])
    qtbot.waitUntil(lambda: panel.regions.means is not None, timeout=5000)
    painted = layer.data > 0
    assert painted.sum() > 10
    truth = desk.session.entries("phantom")[0].subject
    maps = desk.session.entries("maps")[0].subject
    rows = _rows(panel)
    inside = painted & maps.mask
    # PD has no unit of its own: it is freed of its scale as in a comparison
    scales = {"PD": nb.compare(truth, maps).pd_scale["dictionary"]}
    assert 0.9 < scales["PD"] < 1.1
    for model, source in (("truth", truth), ("dictionary", maps)):
        for name in ("T1", "T2", "PD"):
            values = getattr(source, name.lower())[inside].astype(float)
            values *= scales.get(name, 1.0) if model == "dictionary" else 1.0
            row = rows["label 1", model, name]
            assert (row["voxels"], row["mean"]) == (values.size, pytest.approx(values.mean()))
            assert row["sd"] == pytest.approx(values.std(ddof=1))
    table = panel.regions.table
    cells = [[table.item(i, j).text() for j in range(table.columnCount())] for i in range(table.rowCount())]
    assert [line[:3] for line in cells] == [["label 1", "truth", f"{inside.sum():,}"],
                                            ["", "dictionary", f"{inside.sum():,}"]]  # fmt: skip
    assert cells[0][3].startswith(f"{truth.t1[inside].mean():.0f}"[:3])
    assert "±" in cells[1][4]
    # no number is cut in the narrowest dock, and PD is seen where all have room
    metrics = table.fontMetrics()
    needed = [max(metrics.horizontalAdvance(text) for text in (table.headings[j].text(), *(line[j] for line in cells)))
              for j in range(6)]  # fmt: skip
    for width in (panel.regions.width(), sum(needed) + 70, sum(needed)):
        table.fit(width)
        assert table.isColumnHidden(5) == (sum(needed) + 60 + 2 * table.frameWidth() > width)
        shown = [j for j in range(6) if not table.isColumnHidden(j)]
        assert all(table.columnWidth(j) >= needed[j] + 4 for j in shown)
        assert sum(table.columnWidth(j) for j in shown) <= max(width, sum(needed[:5]) + 50)

    # a second label is a second region; undo takes it away again
    layer.selected_label = 2
    _stroke(desk, qtbot, (-50, 10), [(-45, 12), (-40, 14)])
    qtbot.waitUntil(lambda: len(panel.regions.means.regions) == 2, timeout=5000)
    layer.undo()
    qtbot.waitUntil(lambda: len(panel.regions.means.regions) == 1, timeout=5000)
    # once for all strokes: it takes longer than the means
    assert len(scaled) == 1
    panel.regions.save(str(tmp_path / "regions.csv"))
    # in the background, as everything that takes longer than a moment
    assert panel.is_busy
    assert desk.wait(panel) == f"Saved {tmp_path / 'regions.csv'}."
    with (tmp_path / "regions.csv").open(encoding="utf-8", newline="") as file:
        saved = list(csv.DictReader(file))
    assert float(saved[0]["mean"]) == rows["label 1", "truth", "T1"]["mean"]
    panel.regions.save(str(tmp_path / "regions.html"))
    # what is painted from now on is not in it
    layer.data = np.zeros_like(layer.data)
    assert desk.wait(panel) == f"Saved {tmp_path / 'regions.html'}."
    assert f"{rows['label 1', 'truth', 'T1']['mean']:.1f}" in (tmp_path / "regions.html").read_text(encoding="utf-8")
    assert "region_means" in (tmp_path / "regions.html").read_text(encoding="utf-8")
    desk.viewer.layers.remove(layer)
    assert panel.regions.means is None
    assert panel.regions.hint.text()


def test_a_drawn_ellipse_holds_the_voxels_inside(mapped, qtbot):
    desk = mapped
    panel = desk.turn_to("Compare")
    desk.click(panel.regions.draw)
    qtbot.wait(200)
    _stroke(desk, qtbot, (20, -20), [(60, 0), (100, 40)])
    qtbot.waitUntil(lambda: panel.regions.means is not None, timeout=5000)
    layer = desk.viewer.layers.selection.active
    corners = np.asarray(layer.data[0])
    target = desk.layer("T1 (ms) – dictionary")
    (region,) = regions_on(layer, target).regions
    # the layers share a grid: an ellipse inside corners given in voxels
    centre, half = corners.mean(axis=0)[1:], np.ptp(corners, axis=0)[1:] / 2
    y, x = np.mgrid[: target.data.shape[1], : target.data.shape[2]]
    distance = ((y - centre[0]) / half[0]) ** 2 + ((x - centre[1]) / half[1]) ** 2
    assert region.mask[0][distance < 0.95].all()
    assert not region.mask[0][distance > 1.05].any()
    assert _rows(panel)["ellipse 1", "dictionary", "T1"]["voxels"] == region.mask.sum()


def test_regions_of_other_grids_and_tissues(mapped):
    viewer = mapped.viewer
    target = mapped.layer("T1 (ms) – dictionary")
    shape = target.data.shape
    # twice as fine, shifted by whole voxels, rows running the other way
    fine = np.zeros((1, 20, 20), np.uint8)
    fine[0, 4:12, 6:10] = 3
    start = np.array(target.data_to_world((0, 40, 50)))
    step = np.abs(np.asarray(target.scale))
    flip = np.sign(target.scale)
    layer = viewer.add_labels(fine, scale=(step * [1, 0.5, 0.5] * -flip * [-flip[0], 1, 1]), translate=start)
    mask = regions_on(layer, target).regions[0].mask
    where = np.argwhere(mask)
    # 8 × 4 fine voxels are 4 × 2 coarse ones, give or take the half voxel at the border
    assert abs(len(where) - 8) <= 2
    world = np.array([target.data_to_world(index) for index in where])
    inside = np.round(np.array([layer.world_to_data(point) for point in world])).astype(int)
    assert (fine[tuple(inside.T)] == 3).all()

    plane = viewer.add_labels(np.pad(np.full((2, 2), 7), 5), scale=target.scale[1:], translate=target.translate[1:])
    (region,) = regions_on(plane, target).regions
    assert np.argwhere(region.mask).tolist() == [[z, y, x] for z in range(shape[0]) for y in (5, 6) for x in (5, 6)]

    box = viewer.add_shapes([[[0, 2, 3], [0, 2, 8], [0, 6, 8], [0, 6, 3]]], shape_type="polygon", ndim=3,
                            scale=target.scale, translate=target.translate)  # fmt: skip
    (region,) = regions_on(box, target).regions
    assert region.name == "polygon 1"
    assert region.mask.sum() == 5 * 6
    tissues = {region.name for region in regions_on(mapped.layer("tissue"), target).regions}
    assert {"white matter", "grey matter"} <= tissues

    far = viewer.add_labels(np.ones((1, 4, 4), int), translate=(0, 9000, 9000))
    with pytest.raises(InputError, match="no region"):
        regions_on(far, target)


def test_the_measure_menu_opens_the_table_on_the_active_layer(mapped, qtbot):
    from napari._app_model import get_app_model

    desk = mapped
    target = desk.layer("T1 (ms) – dictionary")
    layer = desk.viewer.add_labels(np.zeros(target.data.shape, int), scale=target.scale, translate=target.translate)
    layer.data[0, 40:44, 40:44] = 1
    layer.refresh()
    desk.viewer.layers.selection.active = layer
    get_app_model().commands.execute_command("napari-blochnet.region_statistics")
    panel = desk.workbench.compare
    qtbot.waitUntil(lambda: panel.isVisible() and panel.regions.means is not None, timeout=5000)
    assert panel.regions.layer.value is layer
