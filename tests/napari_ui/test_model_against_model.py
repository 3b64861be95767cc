"""Two models compared without a truth in the window: which is the reference, what is shown, what a session keeps."""

from __future__ import annotations

import csv
import threading

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QStyle, QStyleOptionComboBox
from scipy import stats

import napari_blochnet as nb
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.jobs.operations.opening import synthetic_head
from napari_blochnet.napari_ui.canvas.layers import add_maps, add_phantom
from napari_blochnet.napari_ui.panels.compare import live_agreement
from napari_blochnet.napari_ui.panels.compare.compare_jobs import run_agreement

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def head():
    """A head of three slices."""
    return synthetic_head(shape=(3, 40, 36))


def _model(head, name, factor, noise=0.02):
    rng = np.random.default_rng(len(name))
    made = {key: np.where(head.mask, getattr(head, key) * factor * (1 + noise * rng.normal(size=head.shape)), 0)
            for key in ("t1", "t2")}  # fmt: skip
    return ParameterMaps(
        **made, pd=None, residual=None, mask=head.mask, estimator=name, voxel_size=head.voxel_size, affine=head.affine
    )


@pytest.fixture
def two_models(desk, head):
    """A desk with the maps of two models, and no truth."""
    desk = desk()
    models = [_model(head, "dictionary", 1.0), _model(head, "universal", 1.05, 0.03)]
    for maps in models:
        add_maps(desk.session, maps, None, None, maps.estimator)
    return desk, models


def _cells(table):
    shown = [column for column in range(table.columnCount()) if not table.isColumnHidden(column)]
    heads = [table.horizontalHeaderItem(column).text() for column in shown]
    rows = [[table.item(row, column).text() for column in shown] for row in range(table.rowCount())]
    return [dict(zip(heads, row, strict=True)) for row in rows]


def test_two_models_are_compared_by_two_clicks(two_models, qtbot):
    desk, (first, second) = two_models
    # 1: the tab, 2: the button; six are allowed
    compare = desk.turn_to("Compare")
    assert compare.reference.value is first
    assert compare.maps.chosen == [second]
    assert desk.run(compare, compare.run).startswith("Compared")

    wanted = nb.agreement([first, second])
    found = desk.session.compared.agreement
    assert found.rows() == wanted.rows()
    assert compare.comparison is None
    inside = first.mask
    relative = 200 * (second.t1 - first.t1)[inside] / (second.t1 + first.t1)[inside]
    row = next(row for row in _cells(compare.table) if (row["Tissue"], row["Map"]) == ("all", "T1"))
    assert row["universal"] == f"{relative.mean():+.2f} ± {1.96 * stats.tstd(relative):.2f}".replace("-", "−")

    layer = desk.layer("ΔT1 (%) – universal − dictionary")
    np.testing.assert_allclose(layer.data[inside], relative, rtol=1e-4, atol=1e-4)
    assert np.isnan(layer.data[~inside]).all()
    low, high = layer.contrast_limits
    assert low == -high
    seen = {layer.name for layer in desk.viewer.layers if layer.visible}
    assert seen == {
        each for name in ("T1", "T2")
        for each in (f"{name} (ms) – dictionary", f"{name} (ms) – universal", f"Δ{name} (%) – universal − dictionary")
    }  # fmt: skip

    # the other way round: the same layers, the other sign, under a name that says so
    index = compare.reference.native.findText("universal")
    compare.reference.native.setCurrentIndex(index)
    compare.reference.native.activated.emit(index)
    assert compare.maps.chosen == [first]
    desk.run(compare, compare.run)
    layer = desk.layer("ΔT1 (%) – dictionary − universal")
    np.testing.assert_allclose(layer.data[inside], -relative, rtol=1e-4, atol=1e-4)
    # none is left of the earlier reference
    assert {each.name for each in desk.viewer.layers if each.name.startswith("Δ")} == {
        f"Δ{name} (%) – dictionary − universal" for name in ("T1", "T2")
    }


def test_what_is_missing_is_said_as_it_is(desk, head):
    desk = desk()
    compare = desk.turn_to("Compare")
    said = compare.maps._empty
    assert "No maps yet" in said.text()
    first = _model(head, "dictionary", 1.0)
    add_maps(desk.session, first, None, None, "dictionary")
    assert said.isVisible()
    assert "No maps yet" not in said.text()
    assert "Only one model's maps are open" in said.text()
    assert not compare.run.isEnabled()
    elsewhere = synthetic_head(shape=(3, 20, 20))
    add_phantom(desk.session, elsewhere)
    index = compare.reference.native.findText(f"{elsewhere.name} (truth)")
    compare.reference.native.setCurrentIndex(index)
    add_maps(desk.session, _model(head, "universal", 1.05), None, None, "universal")
    compare.reference.native.setCurrentIndex(index)
    compare.reference.native.activated.emit(index)
    compare.update_session()
    assert "2 sets of maps are open, but this phantom is not their truth" in said.text()
    # a truth that fits is the reference where nobody has chosen, and offers both models
    compare._is_chosen = False
    add_phantom(desk.session, head)
    assert compare.reference.value is head
    assert [item.estimator for item in compare.maps.chosen] == ["dictionary", "universal"]


def test_the_truth_is_one_more_reference(two_models, head):
    desk, models = two_models
    add_phantom(desk.session, head)
    compare = desk.turn_to("Compare")
    assert compare.reference.value is head
    desk.run(compare, compare.run)
    assert compare.comparison.rows() == nb.compare(head, models).rows()
    assert desk.session.compared.agreement.rows() == nb.agreement(models, head).rows()
    # a column for each model, a row for each tissue and map, all of them seen
    rows = _cells(compare.table)
    assert {"dictionary", "universal"} <= rows[0].keys()
    tissues = {entry.tissue for entry in compare.comparison.table}
    assert {row["Tissue"] for row in rows} == tissues
    table = compare.table
    assert table.viewport().height() >= sum(table.rowHeight(row) for row in range(table.rowCount()))
    score = compare.comparison.score("universal", "T1")
    first = next(row for row in rows if (row["Tissue"], row["Map"]) == ("all", "T1"))
    assert first["universal"] == f"{score.median_percent:.2f}"
    # another measure, then sorted by a model
    compare.measure.setCurrentText("RMSE / ms")
    column = next(i for i in range(table.columnCount()) if table.horizontalHeaderItem(i).text() == "universal")
    wanted = sorted((entry.rmse for entry in compare.comparison.table
                     if entry.model == "universal" and entry.parameter in ("T1", "T2")), reverse=True)  # fmt: skip
    table.head.sectionClicked.emit(column)
    assert [row["universal"] for row in _cells(table)] == [f"{value:.1f}" for value in wanted]
    table.head.sectionClicked.emit(column)
    assert [row["universal"] for row in _cells(table)] == [f"{value:.1f}" for value in wanted[::-1]]
    table.head.sectionClicked.emit(column)
    assert [row["Tissue"] for row in _cells(table)] == [row["Tissue"] for row in rows]


def test_no_name_and_no_number_of_the_table_is_cut(desk, head):
    desk = desk()
    names = ["dictionary", "universal", "blochnet", "fc – FISP, 1000 TRs", "fc – FISP, 1000 TRs, refined"]
    for name in names:
        add_maps(desk.session, _model(head, name, 1.02), None, None, name)
    add_phantom(desk.session, head)
    compare = desk.turn_to("Compare")
    desk.run(compare, compare.run)
    table = compare.table
    metrics = table.fontMetrics()
    for column in range(table.columnCount()):
        if table.isColumnHidden(column):
            continue
        words = table.horizontalHeaderItem(column).text().split()
        texts = [*words, *(table.item(row, column).text() for row in range(table.rowCount()))]
        assert table.columnWidth(column) >= max(map(metrics.horizontalAdvance, texts)) + 4
    models = [table.horizontalHeaderItem(i).text() for i in range(2, 2 + len(names))]
    assert models == names


def _labels(plot):
    """Return the numbers at a plot's lines, from below, once all of each is seen."""
    lines = sorted((line for line in plot.item.items if hasattr(line, "label")), key=lambda line: line.value())
    # labels take their places as the plot is painted
    plot.grab()
    seen = plot.item.getViewBox().sceneBoundingRect()
    for line in lines:
        text = line.label.mapToScene(line.label.boundingRect()).boundingRect()
        assert text.left() >= seen.left()
        assert text.right() <= seen.right()
    return [line.label.toPlainText() for line in lines]


def test_every_plot_shows_every_model_and_lines_stand_where_the_table_says(two_models, qtbot, head):
    desk, _ = two_models
    add_phantom(desk.session, head)
    compare = desk.turn_to("Compare")
    index = compare.reference.native.findText("dictionary")
    compare.reference.native.setCurrentIndex(index)
    compare.reference.native.activated.emit(index)
    desk.run(compare, compare.run)
    view = compare.plots
    agreement = desk.session.compared.agreement
    assert [view.region.itemText(i) for i in range(view.region.count())] == [each.name for each in agreement.regions]
    assert "white matter" in [each.name for each in agreement.regions]
    for kind in ("Bland–Altman", "Histogram", "Boxes", "Difference boxes"):
        view.kind.setCurrentText(kind)
        for parameter in ("T1", "T2"):
            plot = view.plots[kind, parameter]
            assert plot.isVisible()
            names = [label.text for _, label in plot.legend.items]
            assert kind in ("Boxes", "Difference boxes") or "universal" in names
    # another region: the lines stand where the table says
    view.kind.setCurrentText("Bland–Altman")
    view.region.setCurrentText("white matter")
    qtbot.waitUntil(lambda: "white matter" in view._found)
    row = agreement.row("universal", "T2", "white matter")
    lines = [line.value() for line in view.plots["Bland–Altman", "T2"].item.items
             if type(line).__name__ == "InfiniteLine"]  # fmt: skip
    assert sorted(lines) == pytest.approx(sorted([0, *(row[f"{key}_percent"] for key in ("lower", "bias", "upper"))]))
    assert _labels(view.plots["Bland–Altman", "T2"]) == [
        f"{row[f'{key}_percent']:+.2f}".replace("-", "−") for key in ("lower", "bias", "upper")
    ]
    view.unit.setCurrentText("ms")
    lines = [line.value() for line in view.plots["Bland–Altman", "T2"].item.items
             if type(line).__name__ == "InfiniteLine"]  # fmt: skip
    assert sorted(lines) == pytest.approx(sorted([0, *(row[key] for key in ("lower", "bias", "upper"))]))
    qtbot.waitUntil(lambda: desk.session.compared.agreement.unit == "ms")


def test_painted_regions_are_compared_while_they_are_painted_and_named_in_place(two_models, qtbot, tmp_path):
    desk, (first, second) = two_models
    compare = desk.turn_to("Compare")
    desk.run(compare, compare.run)
    desk.click(compare.regions.paint)
    layer = desk.viewer.layers.selection.active
    assert layer.name == "Region"  # of all models, whichever it is painted on
    layer.data[1, 10:20, 10:20] = 1
    layer.data = layer.data
    painted = (layer.data == 1) & first.mask
    qtbot.waitUntil(lambda: len(desk.session.compared.agreement.regions) == 2, timeout=20_000)
    row = desk.session.compared.agreement.row("universal", "T1", "label 1")
    assert row["voxels"] == painted.sum() > 20
    assert row["bias"] == pytest.approx((second.t1 - first.t1)[painted].mean())
    assert "label 1" in {line["Tissue"] for line in _cells(compare.table)}

    table = compare.regions.table
    assert table.item(0, 0).text() == "label 1"
    table.item(0, 0).setText("left putamen")
    qtbot.waitUntil(lambda: "left putamen" in [each.name for each in compare.regions.means.regions], timeout=20_000)
    qtbot.waitUntil(lambda: desk.session.compared.agreement.regions[-1].name == "left putamen", timeout=20_000)
    box = compare.plots.region
    box.setCurrentText("left putamen")
    how = QStyleOptionComboBox()
    box.initStyleOption(how)
    field = QStyle.SubControl.SC_ComboBoxEditField
    room = box.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, how, field, box).width()
    assert room >= box.fontMetrics().horizontalAdvance("left anterior cingulate")
    assert "Double-click a region's name" in compare.regions.hint.text()
    compare.save_agreement(str(tmp_path / "agreement.csv"))
    assert desk.wait(compare).startswith("Saved")
    with (tmp_path / "agreement.csv").open(encoding="utf-8") as stream:
        assert {line["region"] for line in csv.DictReader(stream)} == {"all", "left putamen"}


def test_two_models_with_a_region_painted_and_named_in_six(two_models, qtbot):
    desk, (first, second) = two_models
    desk.viewer.window.resize(1280, 800)
    compare = desk.workbench.compare
    row = compare.regions.row
    desk.turn_to("Map")
    done = ["the tab"]
    desk.turn_to("Compare")
    # all that is clicked is in view, whatever has been compared
    wanted = [compare.run, row.paint, row.name]
    desk.run(compare, compare.run)
    done.append("Compare")
    desk.click(row.paint)
    done.append("Paint…")
    layer = desk.viewer.layers.selection.active
    # one click of the brush, on the canvas
    layer.data[1, 10:20, 10:20] = 1
    layer.data = layer.data
    done.append("a stroke")
    qtbot.waitUntil(lambda: len(desk.session.compared.agreement.regions) == 2, timeout=20_000)
    window = compare._scroll.viewport()
    for widget in wanted:
        corner = widget.mapTo(window, widget.rect().bottomRight())
        assert widget.isVisible()
        assert window.rect().contains(corner), widget
    assert row.name.placeholderText() == "Name label 1 here"
    desk.click(row.name)
    qtbot.keyClicks(row.name, "left putamen")
    qtbot.keyClick(row.name, Qt.Key.Key_Return)
    done += ["its name's line", "its name"]
    qtbot.waitUntil(lambda: desk.session.compared.agreement.regions[-1].name == "left putamen", timeout=20_000)
    assert len(done) <= 6
    painted = (layer.data == 1) & first.mask
    found = desk.session.compared.agreement.row("universal", "T1", "left putamen")
    assert found["voxels"] == painted.sum()
    assert found["bias"] == pytest.approx((second.t1 - first.t1)[painted].mean())
    assert "left putamen" in {line["Tissue"] for line in _cells(compare.table)}
    # another label has no name yet, may be named before it is painted, and keeps it
    layer.selected_label = 2
    assert (row.name.text(), row.name.placeholderText()) == ("", "Name label 2 here")
    desk.type(row.name, "right putamen")
    qtbot.keyClick(row.name, Qt.Key.Key_Return)
    layer.data[1, 22:30, 22:30] = 2
    layer.data = layer.data
    qtbot.waitUntil(lambda: len(desk.session.compared.agreement.regions) == 3, timeout=20_000)
    assert [each.name for each in desk.session.compared.agreement.regions][1:] == ["left putamen", "right putamen"]
    layer.selected_label = 1
    assert row.name.text() == "left putamen"
    # what is begun for one label is not another's
    row.name.setFocus()
    qtbot.keyClicks(row.name, " (L)")
    layer.selected_label = 2
    qtbot.keyClick(row.name, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: desk.session.compared.agreement.regions[1].name == "left putamen (L)", timeout=20_000)
    assert row.name.text() == "right putamen"
    # nor are shapes named for those of another layer
    desk.click(row.draw)
    assert not row.name.isVisible()
    shapes = desk.viewer.layers.selection.active
    corners = [shapes.world_to_data(desk.layer("T1 (ms)").data_to_world((1, y, x)))
               for y, x in ((8, 8), (8, 20), (20, 20), (20, 8))]  # fmt: skip
    shapes.add(np.array(corners), shape_type="ellipse")
    qtbot.waitUntil(row.name.isVisible, timeout=60_000)
    assert row.name.placeholderText() == "Name ellipse 1 here"
    desk.type(row.name, "lesion")
    qtbot.keyClick(row.name, Qt.Key.Key_Return)
    table = compare.regions.table
    qtbot.waitUntil(lambda: table.isVisible() and table.item(0, 0).text() == "lesion")


def test_a_viewer_may_be_closed_while_agreement_is_computed(two_models, qtbot, monkeypatch):
    desk, _ = two_models
    compare = desk.turn_to("Compare")
    desk.run(compare, compare.run)
    live, go, runs = compare._live, threading.Event(), []
    qtbot.waitUntil(lambda: not live.is_running)

    def waits(*what, progress, cancelled):
        runs.append(what)
        go.wait(30)
        return run_agreement(*what, progress=progress, cancelled=cancelled)

    monkeypatch.setattr(live_agreement, "run_agreement", waits)
    compare.plots.unit.setCurrentText("ms")
    qtbot.waitUntil(lambda: len(runs) == 1)
    # another change asks for one more run after this one
    compare.plots.unit.setCurrentText("%")
    assert live.is_running
    told = []
    live.agreed.connect(told.append)
    # this deletes what the next run would have read
    desk.viewer.close()
    go.set()
    # pytest-qt fails a test in whose event loop an error was raised
    qtbot.waitUntil(lambda: not live.is_running, timeout=30_000)
    assert len(runs) == 1
    assert told == []


def test_drawn_shapes_are_named_in_place(two_models, qtbot):
    desk, _ = two_models
    compare = desk.turn_to("Compare")
    desk.click(compare.regions.draw)
    layer = desk.viewer.layers.selection.active
    assert layer.name == "Shapes"
    corners = [desk.layer("T1 (ms)").data_to_world((1, y, x)) for y, x in ((8, 8), (8, 20), (20, 20), (20, 8))]
    inside = [layer.world_to_data(corner) for corner in corners]
    layer.add(np.array(inside), shape_type="rectangle")
    layer.add(np.add(inside, [0, 4, 4]), shape_type="ellipse")
    qtbot.waitUntil(lambda: compare.regions.means is not None and len(compare.regions.means.regions) == 2)
    names = [each.name for each in compare.regions.means.regions]
    assert names == ["rectangle 1", "ellipse 2"]
    table = compare.regions.table
    row = next(row for row in range(table.rowCount()) if table.item(row, 0).text() == "ellipse 2")
    table.item(row, 0).setText("lesion")
    qtbot.waitUntil(lambda: [each.name for each in compare.regions.means.regions] == ["rectangle 1", "lesion"])


def test_a_session_brings_the_comparison_of_models_back(two_models, desk, tmp_path, qtbot, monkeypatch):
    first, _ = two_models
    compare = first.turn_to("Compare")
    index = compare.reference.native.findText("universal")
    compare.reference.native.setCurrentIndex(index)
    compare.reference.native.activated.emit(index)
    compare.agreement_form.set_values({"confidence": 90.0})
    first.run(compare, compare.run)
    compare.plots.kind.setCurrentText("Histogram")
    data = first.workbench.data
    data.sessions.save(tmp_path / "session")
    assert "Saved the session" in first.wait(data)

    second = desk()
    panel = second.turn_to("Data")
    panel.sessions.open(tmp_path / "session")
    assert "Opened the session" in second.wait(panel)
    again = second.turn_to("Compare")
    assert second.session.compared.agreement.rows() == first.session.compared.agreement.rows()
    assert second.session.compared.agreement.confidence == 90.0
    assert again.plots.kind.currentText() == "Histogram"
    assert again.reference.value is second.session.compared.reference
    assert again.reference.value.estimator == "universal"
    assert [maps.estimator for maps in again.maps.chosen] == ["dictionary"]
    assert _cells(again.table) == _cells(compare.table)
    one, other = (each.layer("ΔT2 (%) – dictionary − universal") for each in (first, second))
    assert np.array_equal(one.data, other.data, equal_nan=True)
    assert tuple(one.contrast_limits) == tuple(other.contrast_limits)
