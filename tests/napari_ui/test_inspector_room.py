"""The inspector where it is low or has nothing to show, models hidden by their names, and figures from it."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QFontMetrics
from qtpy.QtWidgets import QFileDialog, QMessageBox
from test_inspector import MODELS, Scene

from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.beside_truth import signed_errors
from napari_blochnet.jobs.sessions import write_session
from napari_blochnet.napari_ui.background.turns import at_once
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.panels.compare.compare_jobs import write_made
from napari_blochnet.napari_ui.saving.copying import save_recipes
from napari_blochnet.napari_ui.sessions.restoring import open_session, restore_steps
from napari_blochnet.napari_ui.sessions.snapshots import snapshot
from napari_blochnet.napari_ui.widgets.rows import ask_where_to_save

VOXEL = (1, 9, 12)
LEFT = Qt.MouseButton.LeftButton


def _scene(desk) -> Scene:
    scene = Scene(desk, desk.qtbot)
    scene.desk = desk
    return scene


@pytest.fixture
def scene(shared):
    """Begin with the voxel pinned and nothing hidden."""

    def begin() -> Scene:
        scene = shared(_scene)
        scene.session.hidden_maps.clear()
        scene.session.is_truth_hidden = False
        scene.begin()
        scene.pin(VOXEL)
        return scene

    return begin


def _click_name(scene: Scene, row: int) -> None:
    table = scene.inspector.table
    scene.qtbot.mouseClick(table.viewport(), LEFT, pos=table.visualItemRect(table.item(row, 0)).center())


def _drawn(scene: Scene) -> tuple[list[str], list[str], list[str]]:
    """Names of those with a curve, with a residual, and with a mark in the plane."""
    inspector = scene.inspector
    names = [item.name for item in inspector.shown.items]
    pairs = list(zip(names, inspector.curves._curves, strict=False))
    above, below = (
        [name for name, pair in pairs if pair[part].getData()[0] is not None and len(pair[part].getData()[0])]
        for part in (0, 1)
    )
    spots = [names[point.data()[1]] for point in inspector.plane.points.points() if point.data()[0].is_current]
    return above, below, sorted(spots, key=names.index)


def test_a_click_on_a_name_hides_the_model_and_shows_it_again(scene):
    scene = scene()
    inspector = scene.inspector
    assert _drawn(scene) == (["truth", *MODELS], [*MODELS], ["truth", *MODELS])
    _click_name(scene, 2)
    others = [MODELS[0], MODELS[2]]
    assert _drawn(scene) == (["truth", *others], others, ["truth", *others])
    name = inspector.table.item(2, 0)
    # its numbers stay, its name is struck out
    assert name.font().strikeOut()
    assert not inspector.table.item(1, 0).font().strikeOut()
    assert inspector.table.item(2, 2).text() == "−3.0 %"
    # also at the next voxel, and for the truth
    scene.click((1, 4, 14))
    scene.wait_for((1, 4, 14))
    assert _drawn(scene)[0] == ["truth", *others]
    _click_name(scene, 0)
    assert _drawn(scene) == (others, others, others)
    for row in (0, 2):
        _click_name(scene, row)
    assert _drawn(scene) == (["truth", *MODELS], [*MODELS], ["truth", *MODELS])
    assert not inspector.table.item(2, 0).font().strikeOut()


def test_residuals_lie_in_lanes_and_none_reaches_into_another(scene):
    scene = scene()
    curves, shown = scene.inspector.curves, scene.inspector.shown
    spans = []
    for number, item in enumerate(shown.items):
        if item.is_truth:
            continue
        drawn = curves._curves[number][1].getData()[1]
        residual = shown.measured - shown.curves[number]
        # as it is, moved down to its lane
        np.testing.assert_allclose(drawn - drawn[0], residual - residual[0], atol=1e-12)
        np.testing.assert_allclose(drawn + curves.lanes[number], residual, atol=1e-12)
        spans.append((drawn.min(), drawn.max()))
    assert len(spans) == 3
    assert all(lower[1] < upper[0] for upper, lower in itertools.pairwise(spans))
    low, high = curves.residual.getViewBox().viewRange()[1]
    assert low <= spans[-1][0]
    assert spans[0][1] <= high
    # the axis says how high a lane is
    said = float(re.search(r"±([\d.e-]+) a\.u\.", curves.residual.getAxis("left").labelText).group(1))
    assert said == pytest.approx(curves.lane, rel=1e-2)


def test_curves_have_room_in_a_small_window(scene):
    scene = scene()
    window = scene.viewer.window._qt_window
    window.resize(1280, 800)
    curves = scene.inspector.curves
    scene.qtbot.waitUntil(lambda: window.height() <= 800 and curves.signal.getViewBox().height() >= 120, timeout=10_000)
    assert (window.width(), window.height()) == (1280, 800)
    assert curves.residual.getViewBox().height() >= 40
    # all of it is seen without scrolling
    assert scene.inspector._scroll.verticalScrollBar().maximum() == 0
    table = scene.inspector.table
    scene.qtbot.waitUntil(lambda: table.horizontalScrollBar().maximum() == 0)
    # names are read whole
    metrics = QFontMetrics(table.font())
    assert table.columnWidth(0) >= min(110, 30 + max(metrics.horizontalAdvance(name) for name in MODELS[:2]))
    # nothing in the row above is cut
    for one in (scene.inspector.tool, *scene.inspector.files.buttons, scene.inspector.clear):
        assert one.width() >= one.minimumSizeHint().width()


def test_without_a_voxel_a_sentence(scene):
    scene = scene()
    inspector = scene.inspector
    assert not inspector.invitation.isVisible()
    scene.session.pin(None)
    assert inspector.invitation.isVisible()
    assert not inspector.views.isVisible()
    assert inspector.invitation.text().startswith("Click a voxel of the fingerprints")
    # the sentence lies inside the dock
    assert inspector.invitation.height() >= inspector.invitation.heightForWidth(inspector.invitation.width())
    assert inspector._scroll.verticalScrollBar().maximum() == 0
    assert not inspector.figure_button.isEnabled()
    inspector.tool.setChecked(False)
    assert "Switch on" in inspector.invitation.text()


def test_a_click_says_that_it_moves_the_pin_and_can_be_taken_back(scene):
    scene = scene()
    inspector, session = scene.inspector, scene.session
    assert inspector.tool.text() == "Click moves pin 1"
    assert not inspector.back.isVisible()
    scene.click((1, 4, 14))
    scene.wait_for((1, 4, 14))
    assert inspector.place.text().startswith("z 1, y 4, x 14, was z 1, y 9, x 12 of ")
    scene.qtbot.mouseClick(inspector.back, LEFT)
    scene.wait_for(VOXEL)
    assert session.pins == (session.voxel,)
    assert session.voxel.index == VOXEL
    assert not inspector.back.isVisible()
    assert ", was" not in inspector.place.text()
    inspector.keep.setChecked(True)
    assert inspector.tool.text() == "Click pins one more"
    scene.click((1, 3, 3))
    scene.wait_for((1, 3, 3))
    # nothing was moved
    assert len(session.pins) == 2
    assert not inspector.back.isVisible()
    session.pin(None)
    assert inspector.tool.text() == "Click pins a voxel"


def _answers(monkeypatch, path, kind: str = "") -> list[str]:
    asked: list[str] = []

    def answer(_parent, _title, start, _kinds, *_more, **_named):
        asked.append(start)
        return str(path), kind

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    return asked


def test_a_figure_of_the_voxel_in_four_interactions(scene, tmp_path, monkeypatch):
    scene = scene()
    inspector, qtbot = scene.inspector, scene.qtbot
    _click_name(scene, 3)
    inspector.curves.signal.setXRange(20.5, 90.5, padding=0)
    asked = _answers(monkeypatch, tmp_path / "voxel", "SVG (*.svg)")
    qtbot.mouseClick(inspector.figure_button, LEFT)  # 1
    dialog = inspector.files.dialog
    assert "TR index 21 to 90, without universal, refined" in dialog.said.text()
    dialog.form.editor("width").native.setCurrentText("single")  # 2
    qtbot.mouseClick(dialog.save_as, LEFT)  # 3, and 4 in the dialog of files
    assert asked[0].endswith("voxel-1-9-12.pdf")
    qtbot.waitUntil(lambda: not inspector.is_busy, timeout=60_000)
    svg = (tmp_path / "voxel.svg").read_text("utf-8")
    high = inspector.views.height()
    assert inspector.place.text().startswith(f"Saved {tmp_path / 'voxel.svg'}, 88 × ")
    # a row of its own would push the curves out of a low dock
    assert not inspector.jobs.message.isVisible()
    assert inspector.views.height() == high
    words = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert {"truth", "dictionary", "BlochNet", "T1 (ms)", "residual (a.u.)"} <= set(words)
    assert not any("universal" in word for word in words)
    # the choice comes back, what belongs to the voxel does not
    qtbot.mouseClick(inspector.figure_button, LEFT)
    assert inspector.files.dialog.form.editor("width").value == "single"
    inspector.files.dialog.reject()


def test_a_figure_of_compared_maps_with_the_screens_colours(scene, tmp_path, monkeypatch):
    scene = scene()
    panel = scene.desk.turn_to("Compare")
    for maps in scene.maps:
        for layer in scene.session.layers("maps", maps, "T1"):
            layer.contrast_limits = (0.0, 1300.0)
    for maps in scene.maps:
        truth = scene.session.truth_of(scene.session.entry(maps).stack)
        at_once(layers.error_steps(scene.session, maps, signed_errors(truth, maps)))
    for role, reach in (("T1 error", 10.0), ("T2 error", 30.0)):
        for layer in scene.session.layers("maps", scene.maps[0], role):
            layer.contrast_limits = (-reach, reach)
    scene.go_to(2)
    scene.qtbot.waitUntil(lambda: panel.paper.isVisible())
    _answers(monkeypatch, tmp_path / "maps.svg")
    scene.qtbot.mouseClick(panel.paper, LEFT)  # 1
    dialog = panel.paper.dialog
    assert "slice z 2, T1 0 to 1300 ms" in dialog.said.text()
    assert "T1 error −10 to 10 %, T2 error −30 to 30 %" in dialog.said.text()
    scene.qtbot.mouseClick(dialog.save_as, LEFT)  # 2, and 3 in the dialog of files
    scene.qtbot.waitUntil(lambda: not panel.is_busy, timeout=60_000)
    assert panel.jobs.message.text().startswith(f"Saved {tmp_path / 'maps.svg'}, 180 × ")
    words = re.findall(r"<text[^>]*>([^<]*)</text>", (tmp_path / "maps.svg").read_text("utf-8"))
    assert {"truth", "dictionary", "BlochNet", "T1 (ms)", "T2 error (%)"} <= set(words)


def test_what_is_hidden_is_kept_in_a_session(desk, qtbot, tmp_path):
    scene = Scene(desk(), qtbot)
    scene.session.set_hidden(scene.maps[1], True)
    folder = write_session(snapshot(scene.session).saved, tmp_path / "session")
    other = desk()
    at_once(restore_steps(other.session, open_session(folder)))
    titles = [entry.title for entry in other.session.entries("maps") if entry.subject in other.session.hidden_maps]
    assert titles == ["BlochNet"]
    assert not other.session.is_truth_hidden


def test_no_dialog_writes_one_thing_into_a_name_of_another(scene, tmp_path, monkeypatch):
    scene = scene()
    compare, schedule = scene.desk.workbench.compare, scene.desk.workbench.schedule
    with pytest.raises(InputError, match=r"^a\.tif: comparisons are not written as \.tif; expected a name ending in"):
        write_made(None, str(tmp_path / "a.tif"))
    monkeypatch.setattr(compare.regions, "_found", ([], (), None))
    compare.regions.save(str(tmp_path / "b.svg"))
    assert scene.desk.wait(compare) == (
        "b.svg: means over regions are not written as .svg; expected a name ending in .csv, .html or .htm."
    )
    _answers(monkeypatch, tmp_path / "c.txt")
    with pytest.raises(InputError, match=r"c\.txt: recipes are not written as \.txt; expected a name ending in \.json"):
        save_recipes(None, [("maps", {"operation": "given"})])
    schedule.save(str(tmp_path / "d.svg"))
    assert schedule.jobs.message.text() == "d.svg: a schedule is written as CSV; expected a name ending in .csv."
    assert not list(tmp_path.iterdir())


def test_a_name_without_an_ending_gets_that_of_the_kind(tmp_path, monkeypatch):
    kinds = "CSV (*.csv);;HTML (*.html)"
    _answers(monkeypatch, tmp_path / "table", "HTML (*.html)")
    assert ask_where_to_save(None, "", "", kinds) == str(tmp_path / "table.html")
    _answers(monkeypatch, tmp_path / "table.txt", "HTML (*.html)")
    assert ask_where_to_save(None, "", "", kinds) == str(tmp_path / "table.txt")
    # the dialog has not asked about the file that has this ending
    (tmp_path / "table.html").write_text("mine")
    _answers(monkeypatch, tmp_path / "table", "HTML (*.html)")
    for answer, path in (("No", ""), ("Yes", str(tmp_path / "table.html"))):
        monkeypatch.setattr(QMessageBox, "question", lambda *_, answer=answer: QMessageBox.StandardButton[answer])
        assert ask_where_to_save(None, "", "", kinds) == path
    _answers(monkeypatch, "")
    assert ask_where_to_save(None, "", "", kinds) == ""


def test_the_workbench_keeps_its_height_where_the_inspector_has_room_beside_it(desk):
    place = desk()
    window = place.viewer.window._qt_window
    right, bottom = Qt.DockWidgetArea.RightDockWidgetArea, Qt.DockWidgetArea.BottomDockWidgetArea
    corners = (Qt.Corner.BottomLeftCorner, Qt.Corner.BottomRightCorner)
    before = [window.corner(corner) for corner in corners]
    window.resize(1920, 1080)
    dock, _ = place.viewer.window.add_plugin_dock_widget("napari-blochnet", "Voxel inspector")
    place.qtbot.waitUntil(lambda: window.dockWidgetArea(dock) == bottom and window.corner(corners[1]) == right)
    place.qtbot.waitUntil(lambda: place.dock.geometry().bottom() >= dock.geometry().bottom() - 2)
    assert dock.width() >= 760
    assert not place.dock.geometry().intersects(dock.geometry())
    # in a small window its views would stand below each other
    window.resize(1280, 800)
    place.qtbot.waitUntil(lambda: window.corner(corners[1]) == before[1])
    place.qtbot.waitUntil(lambda: dock.width() >= 760)
    dock.hide()
    assert [window.corner(corner) for corner in corners] == before


def test_marks_shrink_with_small_pictures(scene):
    scene = scene()
    (overlay,) = [item for item in scene.viewer.scene.overlays.values() if type(item).__name__ == "PinMarks"]
    visual = scene.canvas._viewer_overlay_to_visual[overlay][0]
    camera = scene.viewer.scene.camera
    camera.zoom = 400 / overlay.picture
    assert visual._rings._data["a_size"].max() == 20
    assert visual._badges.visible
    camera.zoom = 60 / overlay.picture
    # a ring and its dark edge no wider than a sixth of the picture, no badge on it
    assert visual._rings._data["a_size"].max() <= 10
    assert not visual._badges.visible
