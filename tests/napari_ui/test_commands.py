"""Every step of the main job by napari's command palette, and the menus that hold them."""

from __future__ import annotations

import numpy as np
import pytest
from napari._app_model import get_app_model
from npe2 import PluginManifest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit

from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.phantoms.phantom import Phantom


def _palette(desk, words: str) -> None:
    """Open the palette by its keys, type, go down to the command with these words, press Enter."""
    window = desk.viewer.window._qt_window
    desk.qtbot.keyClick(window, Qt.Key.Key_P, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    palette = window._command_palette
    if not palette.isVisible():
        # without a window manager no shortcut reaches a window; the menu's action is the same one
        get_app_model().commands.execute_command("napari.window.view.toggle_command_palette")
    desk.qtbot.waitUntil(palette.isVisible, timeout=5000)
    line = palette.findChild(QLineEdit)
    line.setText("")
    desk.qtbot.keyClicks(line, words)
    # with rapidfuzz installed napari lists what is similar as well, in an order of its own
    offered = [command.title for command in palette._list.iter_command()]
    (row,) = (row for row, title in enumerate(offered) if title.startswith(f"BlochNet: {words}"))
    for _ in range(row):
        desk.qtbot.keyClick(line, Qt.Key.Key_Down)
    desk.qtbot.keyClick(line, Qt.Key.Key_Return)


def _in_dialog(desk, path) -> list[str]:
    """Type a path into the next file dialog and press Enter."""
    titles = []

    def answer() -> None:
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, QFileDialog):
            QTimer.singleShot(50, answer)
            return
        titles.append(dialog.windowTitle())
        line = dialog.findChild(QLineEdit, "fileNameEdit")
        line.setText(str(path))
        desk.qtbot.keyClick(line, Qt.Key.Key_Return)

    QTimer.singleShot(50, answer)
    return titles


def test_the_main_job_from_the_palette(desk):
    desk = desk()
    tabs = desk.workbench.tabs
    t1 = np.array([400.0, 800.0, 1300.0, 2200.0])[np.arange(64) % 4].reshape(1, 8, 8)
    layers.add_phantom(desk.session, Phantom(t1, t1 / 12, np.ones(t1.shape), voxel_size=(3, 2, 2), name="block"))
    desk.use_spline(60)
    desk.turn_to("Data")
    _palette(desk, "simulate")
    assert tabs.tabText(tabs.currentIndex()) == "Simulate"
    assert "Simulated" in desk.wait(desk.workbench.simulate)
    _palette(desk, "map this slice")
    assert tabs.tabText(tabs.currentIndex()) == "Map"
    assert desk.wait(desk.workbench.map).startswith("Mapped 64 voxels")
    _palette(desk, "compare maps")
    assert desk.wait(desk.workbench.compare).startswith("Compared")
    desk.viewer.layers.selection.active = desk.layer("T1 (ms) – dictionary")
    _palette(desk, "copy as Python")
    # the phantom came from this test and no script can make it again
    assert "made in Python" in desk.viewer.status
    stack_layer = desk.session.layers("stack")[0]
    desk.viewer.cursor.position = tuple(stack_layer.data_to_world((0, 0, 3, 5)))
    _palette(desk, "pin the voxel")
    assert desk.session.voxel.index == (0, 3, 5)


def test_a_command_that_cannot_says_why(desk):
    desk = desk()
    execute = get_app_model().commands.execute_command
    for command, panel in (("map_slice", "map"), ("compare_maps", "compare"), ("simulate_fingerprints", "simulate")):
        execute(f"napari-blochnet.{command}")
        assert getattr(desk.workbench, panel).jobs.message.text().startswith("Nothing to ")
    execute("napari-blochnet.copy_python")
    assert desk.viewer.status == "No layer here was made by BlochNet."
    execute("napari-blochnet.pin_voxel")
    assert desk.session.voxel is None


def test_training_from_the_palette(desk):
    desk = desk()
    desk.use_spline(60)
    desk.workbench.train.form.set_values({"fingerprints": 600, "epochs": 1, "batch": 100})
    _palette(desk, "train for my schedule")
    train = desk.workbench.train
    assert train.isVisible()
    assert "it is in Map's list" in desk.wait(train)


def test_opening_from_the_file_menu(desk, tmp_path):
    desk = desk()
    desk.use_spline(60)
    np.save(tmp_path / "scan.npy", np.ones((60, 1, 4, 5), np.complex64))
    titles = _in_dialog(desk, tmp_path / "scan.npy")
    execute = get_app_model().commands.execute_command
    execute("napari-blochnet.open_fingerprints")
    data = desk.workbench.data
    desk.qtbot.waitUntil(lambda: bool(titles), timeout=10_000)
    data.stack_form.set_values({"voxel_size": (1.0, 1.0, 1.0)})
    desk.wait(data)
    assert titles == ["Fingerprint stack"]
    execute("napari-blochnet.open_sample")
    assert desk.wait(data).startswith("Opened ")
    desk.viewer.layers.selection.active = desk.session.layers("stack")[-1]
    execute("napari-blochnet.copy_python")
    assert "nb.read_fingerprints(" in QApplication.clipboard().text()


@pytest.mark.parametrize("menu", ["napari/file/io_utilities", "napari/layers/data", "napari/layers/measure"])
def test_menus_hold_them(make_napari_viewer, menu):
    make_napari_viewer()
    app = get_app_model()
    manifest = PluginManifest.from_distribution("napari-blochnet")
    wanted = {item.command for item in manifest.contributions.menus[menu] if hasattr(item, "command")}
    held = {item.command.id for item in app.menus.get_menu(menu) if hasattr(item, "command")}
    assert wanted <= held


@pytest.mark.parametrize("order", ["menu first", "palette first"])
def test_menu_and_palette_open_one_workbench(make_napari_viewer, order):
    viewer = make_napari_viewer(show=True)
    run = get_app_model().commands.execute_command
    steps = ["napari-blochnet.workbench", "napari-blochnet.compare_maps"]
    for command in steps if order == "menu first" else steps[::-1]:
        run(command)
    docks = [name for name in viewer.window.dock_widgets if name.startswith("Workbench")]
    assert docks == ["Workbench (BlochNet)"]
    # a command brings it back where the menu has hidden it
    run("napari-blochnet.map_slice")
    workbench = viewer.window.dock_widgets[docks[0]]
    assert workbench.isVisible()
    assert workbench.tabs.currentWidget() is workbench.map
    assert len([name for name in viewer.window.dock_widgets if name.startswith("Workbench")]) == 1


def test_a_command_finds_the_workbench_that_a_script_has_opened(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    _, workbench = viewer.window.add_plugin_dock_widget("napari-blochnet", "Workbench")
    get_app_model().commands.execute_command("napari-blochnet.compare_maps")
    docks = [widget for name, widget in viewer.window.dock_widgets.items() if name.startswith("Workbench")]
    assert docks == [workbench]
    assert workbench.tabs.currentWidget() is workbench.compare
