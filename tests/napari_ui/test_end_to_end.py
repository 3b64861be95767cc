"""The main job from the first click to the reopened session, as a person does it, nothing patched on the way.

Buttons are clicked, numbers typed, slices and voxels clicked on the canvas, regions painted with the mouse, and files
named in the real dialogs.
"""

from __future__ import annotations

import csv

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFileDialog,
    QLineEdit,
    QPushButton,
    QSpinBox,
)

from napari_blochnet.jobs.sessions import is_session


@pytest.fixture(autouse=True)
def dialogs_of_qt(qapp):
    """Let file dialogs be Qt's own, which can be typed into on every system."""
    attribute = Qt.ApplicationAttribute.AA_DontUseNativeDialogs
    before = qapp.testAttribute(attribute)
    qapp.setAttribute(attribute, True)
    yield
    qapp.setAttribute(attribute, before)


class Person:
    """Somebody at a desk: works widgets, canvas and dialogs."""

    def __init__(self, desk, qtbot) -> None:
        self.desk, self.qtbot = desk, qtbot
        self.inspector = None

    def name_file(self, button, path) -> None:
        """Click a button, enter a path in the dialog that it opens, and accept."""
        entered: list[str] = []

        def type_in(tries: int = 50) -> None:
            dialog = QApplication.activeModalWidget()
            if not isinstance(dialog, QFileDialog):
                assert tries, "no file dialog came up"
                QTimer.singleShot(100, lambda: type_in(tries - 1))
                return
            line = dialog.findChild(QLineEdit, "fileNameEdit")
            # entered at once, as by pasting: completions that come up between two keys would take the next one
            line.setText(str(path))
            entered.append(str(path))
            buttons = dialog.findChild(QDialogButtonBox)
            accept = next(
                b for b in buttons.buttons() if buttons.buttonRole(b) == QDialogButtonBox.ButtonRole.AcceptRole
            )
            self.qtbot.mouseClick(accept, self.desk.button)

        QTimer.singleShot(100, type_in)
        self.desk.click(button)
        assert entered

    def enter(self, form, field: str, value) -> None:
        """Type a number, or tick a box, in a form."""
        row = form.row(field)
        ticks = row.findChildren(QCheckBox)
        wanted = value if isinstance(value, bool) else value is not None
        if ticks and ticks[0].isChecked() != wanted:
            ticks[0].setFocus()
            self.qtbot.keyClick(ticks[0], Qt.Key.Key_Space)
        if isinstance(value, bool):
            return
        boxes = [box for kind in (QSpinBox, QDoubleSpinBox) for box in row.findChildren(kind)]
        for box, part in zip(boxes, value if isinstance(value, tuple) else (value,), strict=True):
            box.lineEdit().selectAll()
            self.qtbot.keyClicks(box.lineEdit(), repr(part))
            self.qtbot.keyClick(box.lineEdit(), Qt.Key.Key_Return)
        assert form.values()[field] == value

    def pick(self, box: QComboBox, text: str) -> None:
        """Choose an entry of a list by the keyboard."""
        box.setFocus()
        self.qtbot.keyClick(box, Qt.Key.Key_Home)
        for _ in range(box.findText(text)):
            self.qtbot.keyClick(box, Qt.Key.Key_Down)
        assert box.currentText() == text

    def tick(self, estimators, names) -> None:
        """Tick these estimators and no others."""
        self.qtbot.wait(200)
        for name in [*names, *estimators.chosen]:
            box = estimators.box(name)
            assert box.isEnabled(), box.toolTip()
            if box.isChecked() != (name in names):
                box.setFocus()
                self.qtbot.keyClick(box, Qt.Key.Key_Space)
        assert set(estimators.chosen) == set(names)

    @property
    def canvas(self):
        return self.desk.viewer.window._qt_viewer.canvas

    def place_of(self, layer, index) -> QPoint:
        """Where a voxel (z, y, x) of a layer is on the canvas, no grid."""
        viewer = self.desk.viewer
        world = np.zeros(viewer.dims.ndim)
        world[viewer.dims.ndim - 3 :] = layer.data_to_world([0] * (layer.ndim - 3) + list(index))[-3:]
        y, x = world[list(viewer.dims.displayed)]
        shown = self.canvas.view.scene.node_transform(self.canvas._scene_canvas.scene).map([x, y, 0, 1])
        return QPoint(round(shown[0]), round(shown[1]))

    def click_canvas(self, place: QPoint, modifier=Qt.KeyboardModifier.NoModifier) -> None:
        self.qtbot.mouseMove(self.canvas.native, place)
        self.qtbot.wait(50)
        self.qtbot.mouseClick(self.canvas.native, self.desk.button, modifier, place)
        self.qtbot.wait(100)

    def stroke(self, places) -> None:
        """Draw with the mouse button held."""
        native = self.canvas.native
        self.qtbot.mouseMove(native, places[0])
        self.qtbot.wait(50)
        self.qtbot.mousePress(native, self.desk.button, pos=places[0])
        for place in places[1:]:
            self.qtbot.mouseMove(native, place)
            self.qtbot.wait(20)
        self.qtbot.mouseRelease(native, self.desk.button, pos=places[-1])
        self.qtbot.wait(100)

    def show_alone(self, role: str) -> None:
        """Let the canvas show one map."""
        bar = self.desk.workbench.view_bar
        if bar.beside.isChecked():
            self.desk.click(bar.beside)
        self.desk.click(bar.buttons[role])
        self.qtbot.waitUntil(lambda: not self.desk.viewer.canvas.grid.enabled, timeout=10_000)
        self.qtbot.wait(400)

    def settle(self, panel, timeout: int = 240_000) -> str:
        self.qtbot.wait(100)
        return self.desk.wait(panel, timeout)


def _pin_two(person, stack, layer, voxels) -> None:
    desk = person.desk
    _, person.inspector = desk.viewer.window.add_plugin_dock_widget("napari-blochnet", "Voxel inspector")
    person.qtbot.wait(500)
    desk.viewer.reset_view()
    person.qtbot.wait(200)
    person.click_canvas(person.place_of(layer, voxels[0]))
    person.click_canvas(person.place_of(layer, voxels[1]), Qt.KeyboardModifier.ControlModifier)
    assert [voxel.index for voxel in desk.session.pins] == list(voxels)
    person.qtbot.waitUntil(
        lambda: person.inspector.shown is not None and person.inspector.shown.voxel.index == voxels[1], timeout=60_000
    )


def _cells(table) -> list[list[str]]:
    return [[table.item(i, j).text() for j in range(table.columnCount())] for i in range(table.rowCount())]


def _read_region(person, voxel, layer, models) -> list[list[str]]:
    """Paint around a voxel in the Compare tab; check the table against sums over the painted voxels."""
    desk = person.desk
    compare = desk.turn_to("Compare")
    compare.regions.ensure_visible()
    person.qtbot.wait(100)
    desk.click(compare.regions.paint)
    person.qtbot.wait(500)
    painted = desk.viewer.layers.selection.active
    z, y, x = voxel
    person.stroke([person.place_of(layer, (z, y + step, x + step)) for step in (0, 1, 2)])
    person.qtbot.waitUntil(lambda: compare.regions.means is not None, timeout=10_000)
    inside = painted.data > 0
    cells = _cells(compare.regions.table)
    assert [line[1] for line in cells] == models
    sources = {entry.title: entry.subject for entry in desk.session.entries("maps")}
    for line in cells:
        if line[1] != "truth":
            maps = sources[line[1]]
            values = maps.t1[inside & maps.mask & ~maps.failed].astype(float)
            mean, spread = (float(part) for part in line[3].split(" ± "))
            assert line[2] == f"{values.size:,}"
            assert mean == pytest.approx(values.mean(), abs=0.51)
            assert spread == pytest.approx(values.std(ddof=1), abs=0.51)
    painted.mode = "pan_zoom"
    return cells


def _export_regions(person, folder) -> None:
    compare = person.desk.turn_to("Compare")
    person.name_file(compare.regions.save_button, folder / "regions.csv")
    assert person.desk.wait(compare).startswith("Saved")
    with (folder / "regions.csv").open(encoding="utf-8", newline="") as file:
        assert {row["parameter"] for row in csv.DictReader(file)} == {"T1", "T2", "PD"}


def _close_and_reopen(person, desk, qtbot, folder) -> Person:
    """Save the session, close the window, open another, open the session; check that all is there."""
    first = person.desk
    data = first.turn_to("Data")
    person.name_file(data.sessions.save_button, folder / "session")
    assert "Saved the session" in person.settle(data)
    assert is_session(folder / "session")
    shown = [(layer.name, layer.visible) for layer in first.viewer.layers]
    arrays = {layer.name: np.array(layer.data[:1]) for layer in first.viewer.layers if hasattr(layer.data, "shape")}
    pins = [(voxel.index, first.session.pin_number(voxel)) for voxel in first.session.pins]
    scores = first.workbench.compare.comparison
    means = _cells(first.workbench.compare.regions.table)
    first.viewer.close()
    qtbot.wait(200)

    again = Person(desk(), qtbot)
    data = again.desk.turn_to("Data")
    again.name_file(data.sessions.open_button, folder / "session")
    assert "Opened the session" in again.settle(data)
    viewer = again.desk.viewer
    qtbot.waitUntil(lambda: [(layer.name, layer.visible) for layer in viewer.layers] == shown, timeout=10_000)
    for layer in viewer.layers:
        if layer.name in arrays:
            np.testing.assert_array_equal(np.asarray(layer.data[:1]), arrays[layer.name])
    session = again.desk.session
    assert [(voxel.index, session.pin_number(voxel)) for voxel in session.pins] == pins
    compare = again.desk.turn_to("Compare")
    if scores is not None:
        assert compare.comparison.rows() == scores.rows()
    qtbot.waitUntil(lambda: _cells(compare.regions.table) == means, timeout=10_000)
    return again


def _map_compare_and_keep(person, desk, qtbot, folder, z: int) -> None:
    """From a phantom that is open, FISP chosen: simulate, map by a click, compare, pin, measure, export, reopen."""
    here = person.desk
    truth = here.layer("T1 (ms)")
    here.go_to_slice(truth, z)
    schedule = here.turn_to("Schedule")
    assert schedule.kind.currentText() == "FISP (Jiang 2015)"
    assert "1000 pulses" in schedule.description.text()

    simulate = here.turn_to("Simulate")
    person.enter(simulate.form, "snr", 40.0)
    here.click(simulate.run)
    assert person.settle(simulate).startswith("Simulated")
    stack = here.session.entries("stack")[0].subject
    assert stack.shape[:2] == (1000, 1)

    mapping = here.turn_to("Map")
    person.tick(mapping.estimators, ["dictionary", "universal", "fc"])
    here.click(mapping.options.button)
    person.enter(mapping.form, "step", 0.1)
    here.click(mapping.click)
    qtbot.wait(300)
    shown = here.session.layers("stack")[0]
    inside = np.argwhere(stack.mask[0])
    middle = (0, *(int(i) for i in inside[len(inside) // 2]))
    person.click_canvas(person.place_of(shown, middle))
    qtbot.waitUntil(lambda: mapping.is_busy, timeout=10_000)
    said = person.settle(mapping)
    assert said.startswith("Mapped"), said
    maps = [entry.subject for entry in here.session.entries("maps")]
    estimators = [item.estimator for item in maps]
    assert sorted(estimators) == ["dictionary", "fc", "universal"]
    for item in maps:
        np.testing.assert_array_equal(item.mask, stack.mask)
    here.click(mapping.click)

    compare = here.turn_to("Compare")
    here.click(compare.run)
    assert person.settle(compare).startswith("Compared")
    for measure, is_good in (("RMSE / bound", lambda value: value > 0.8), ("MAE / %", lambda value: value < 5)):
        compare.measure.setCurrentText(measure)
        headings = [compare.table.horizontalHeaderItem(i).text() for i in range(compare.table.columnCount())]
        lines = [dict(zip(headings, line, strict=True)) for line in _cells(compare.table)]
        best = next(line for line in lines if line["Tissue"] == "white matter" and line["Map"] == "T1")
        assert is_good(float(best["universal"])), measure

    person.show_alone("T1")
    t1 = here.session.layers("maps", role="T1")[-1]
    away = (0, *(int(i) for i in inside[len(inside) // 3]))
    _pin_two(person, stack, t1, (middle, away))
    names = [item.name for item in person.inspector.shown.items]
    assert names == ["truth", *estimators]
    models = ["truth", *(maps.estimator for maps in compare.maps.chosen)]
    _read_region(person, middle, t1, models)

    for name in ("scores.csv", "report.html", "figures.png"):
        button = {"csv": compare.csv, "html": compare.html, "png": compare.figures}[name.rpartition(".")[2]]
        person.name_file(button, folder / name)
        assert person.settle(compare).startswith("Saved"), compare.jobs.message.text()
    written = {path.name for path in folder.iterdir()}
    assert written >= {"scores.csv", "report.html", "figures-maps.png", "figures-scatter.png"}
    _export_regions(person, folder)
    again = _close_and_reopen(person, desk, qtbot, folder)
    # the copy is alive: the inspector explains its pins with its own models
    qtbot.waitUntil(lambda: any("inspector" in name for name in again.desk.viewer.window.dock_widgets), timeout=5000)


def test_sample_head(desk, qtbot, tmp_path):
    person = Person(desk(), qtbot)
    data = person.desk.turn_to("Data")
    person.desk.click(data.sample_buttons["head-volume"])
    assert "Opened" in person.settle(data)
    _map_compare_and_keep(person, desk, qtbot, tmp_path, 27)


def test_brainweb_folder(desk, qtbot, tmp_path, shared_data):
    person = Person(desk(), qtbot)
    data = person.desk.turn_to("Data")
    folder = shared_data / "brainweb" / "mritc_2mm"
    chooser = next(button for button in data.phantom_path.findChildren(type(data.open_phantom))
                   if button.text() == "Folder…")  # fmt: skip
    person.name_file(chooser, folder)
    assert person.settle(data).startswith("Opened mritc_2mm")
    _map_compare_and_keep(person, desk, qtbot, tmp_path, 40)


def test_acquired_stack(desk, qtbot, tmp_path, shared_data):
    folder = shared_data / "acquired" / "vumc_mrf_500"
    person = Person(desk(), qtbot)
    here = person.desk
    schedule = here.turn_to("Schedule")
    person.pick(schedule.kind, "From a file")
    for field, value in {"flip_angle": 60.0, "repetition_time": 15.0, "echo_time": 3.3, "inversion_time": 15.0}.items():
        person.enter(schedule.form, field, value)
    browse = next(button for button in schedule.form.row("path").findChildren(QPushButton))
    person.name_file(browse, folder / "MRF_500.csv")
    assert len(here.session.schedule) == 500
    data = here.turn_to("Data")
    chooser = next(button for button in data.stack_path.findChildren(type(data.open_stack)) if button.text() == "File…")
    person.name_file(chooser, folder / "frames.npz")
    assert person.settle(data).startswith("Opened frames")
    stack = here.session.entries("stack")[0].subject
    shown = here.session.layers("stack")[0]
    with (folder / "spheres.csv").open() as file:
        spheres = list(csv.DictReader(file))[:4]
    centres = [(0, round(float(row["y"])), round(float(row["x"]))) for row in spheres]

    mapping = here.turn_to("Map")
    person.pick(mapping.part, "a painted region")
    here.click(mapping.paint)
    qtbot.wait(300)
    painted = here.viewer.layers.selection.active
    for number, centre in enumerate(centres, start=1):
        painted.selected_label = number
        places = [person.place_of(shown, (0, centre[1] + dy, centre[2])) for dy in (0, 1, 0)]
        person.stroke(places)
    painted.mode = "pan_zoom"
    assert set(np.unique(painted.data)) == {0, 1, 2, 3, 4}
    person.tick(mapping.estimators, ["dictionary", "universal"])
    here.click(mapping.options.button)
    person.enter(mapping.form, "step", 0.05)
    here.click(mapping.run)
    assert person.settle(mapping).startswith("Mapped"), mapping.jobs.message.text()
    person.tick(mapping.estimators, ["universal"])
    person.enter(mapping.form, "saturation", 250.0)
    person.enter(mapping.form, "refine", True)
    here.click(mapping.run)
    assert person.settle(mapping).startswith("Mapped"), mapping.jobs.message.text()
    names = [entry.subject.estimator for entry in here.session.entries("maps")]
    assert len(names) == 3
    assert "refined" in names[-1]

    person.show_alone("T1")
    t1 = here.session.layers("maps", role="T1")[-1]
    _pin_two(person, stack, t1, (centres[0], centres[1]))
    assert len(person.inspector.shown.items) == 3

    # the means of the painted spheres, against the site's own
    compare = here.turn_to("Compare")
    # there is no truth; models can be compared with each other
    assert compare.truth is None
    compare.regions.choose(painted)
    qtbot.waitUntil(lambda: compare.regions.means is not None, timeout=10_000)
    for row in compare.regions.means.rows():
        if row["parameter"] == "T1":
            sphere = spheres[int(row["region"].split()[-1]) - 1]
            site = float(next(value for key, value in reversed(sphere.items()) if key.startswith("t1")))
            assert row["mean"] == pytest.approx(site, rel=0.12), row
    _export_regions(person, tmp_path)
    _close_and_reopen(person, desk, qtbot, tmp_path)
