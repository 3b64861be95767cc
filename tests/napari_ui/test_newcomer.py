"""The first five minutes: with nothing but what the screen says, to error maps of two models and a voxel's curves."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QCheckBox, QMenu

from napari_blochnet.napari_ui.inspector.inspector import VoxelInspector
from napari_blochnet.napari_ui.workbench import Workbench

MOST_CLICKS = 10


class Newcomer:
    """Somebody who has just installed the plugin; counts the clicks."""

    def __init__(self, viewer, qtbot) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        self.clicks = 0
        viewer.window.resize(1280, 800)
        qtbot.wait(300)

    def choose(self, *titles: str) -> None:
        """Click through a menu: every title is a click."""
        bar = self.viewer.window._qt_window.menuBar()
        actions = bar.actions()
        for number, title in enumerate(titles):
            action = next(a for a in actions if a.text().replace("&", "").startswith(title))
            self.clicks += 1
            menu = action.menu()
            if number < len(titles) - 1:
                assert isinstance(menu, QMenu)
                menu.aboutToShow.emit()
                actions = menu.actions()
            else:
                action.trigger()
        self.qtbot.wait(300)

    def dock(self, kind):
        """Return a widget of ours that is open in a dock."""
        found = [w for w in self.viewer.window._qt_window.findChildren(kind) if w.isVisible()]
        assert len(found) == 1
        return found[0]

    def press(self, button) -> None:
        """Click a button that can be seen, not behind an edge of what it stands in."""
        assert button.isVisible(), button.text()
        assert button.isEnabled(), button.text()
        middle = button.rect().center()
        assert button.visibleRegion().contains(middle), button.text()
        self.clicks += 1
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton, pos=middle)

    def finish(self, panel) -> str:
        self.qtbot.wait(100)
        self.qtbot.waitUntil(lambda: not panel.is_busy, timeout=240_000)
        self.qtbot.wait(300)
        return panel.jobs.message.text()

    def follow(self, workbench, button: str, hint: str) -> None:
        """Click the button of the hint, once it says this."""
        step = workbench.next_step
        self.qtbot.waitUntil(lambda: step.isVisible() and step.button.text() == button, timeout=10_000)
        assert hint in step.text.text()
        self.press(step.button)
        self.qtbot.wait(200)

    def click_canvas(self, layer, place) -> None:
        """Click a voxel (z, y, x) of a layer where the grid shows it."""
        canvas = self.viewer.window._qt_viewer.canvas
        world = layer.data_to_world([0] * (layer.ndim - 3) + list(place))[-2:]
        layers, grid = list(self.viewer.layers), self.viewer.canvas.grid
        row, column = grid.position(layers.index(layer), layers)
        view = canvas.grid_views[row * grid.actual_shape(layers)[1] + column] if grid.enabled else canvas.view
        x, y = view.scene.node_transform(canvas._scene_canvas.scene).map([world[1], world[0], 0, 1])[:2]
        point = QPoint(round(x), round(y))
        self.clicks += 1
        self.qtbot.mouseMove(canvas.native, point)
        self.qtbot.wait(100)
        self.qtbot.mouseClick(canvas.native, Qt.MouseButton.LeftButton, pos=point)
        self.qtbot.wait(100)


def _map_and_look(person: Newcomer, workbench) -> None:
    """From fingerprints that are open: map them by two models, and look at a voxel."""
    qtbot, session = person.qtbot, workbench.data.session
    person.follow(workbench, "Map…", "maps of these fingerprints")
    assert workbench.tabs.currentWidget() is workbench.map
    assert workbench.map.estimators.chosen == ["dictionary", "universal"]
    qtbot.waitUntil(lambda: "Press Map" in workbench.next_step.text.text(), timeout=5000)
    person.press(workbench.map.run)
    assert person.finish(workbench.map).startswith("Mapped")

    models = ["dictionary", "universal"]
    shown = {layer.name for layer in person.viewer.layers if layer.visible}
    wanted = {f"{name} error (%) – {model}" for name in ("T1", "T2") for model in models}
    assert wanted <= shown
    mask = session.entries("stack")[0].subject.mask
    for layer in person.viewer.layers:
        if layer.name in wanted:
            assert np.isfinite(layer.data[mask]).all()
            assert np.any(layer.data[mask] != 0)
            assert layer.contrast_limits[0] == -layer.contrast_limits[1]

    person.follow(workbench, "Inspect voxels", "red too high")
    inspector = person.dock(VoxelInspector)
    qtbot.waitUntil(lambda: "click a voxel" in workbench.next_step.text.text(), timeout=5000)
    maps = session.layers("maps", role="T1")[-1]
    inside = np.argwhere(mask)
    voxel = tuple(int(i) for i in inside[len(inside) // 2])
    person.click_canvas(maps, voxel)
    qtbot.waitUntil(lambda: inspector.shown is not None, timeout=60_000)
    # where a voxel takes a pixel or two, the nearest pixel may be its neighbour's
    assert np.abs(np.subtract(inspector.shown.voxel.index, voxel)).max() <= 1
    assert [item.name for item in inspector.shown.items] == ["truth", *models]
    assert inspector.isVisible()
    truth, *estimates = inspector.shown.items
    # each of the three explains the fingerprint, the truth in whatever units the samples are
    noise = 0.15 if session.entries("stack")[0].subject.noise_sigma else 0.02
    assert (inspector.shown.residual < noise).all()
    for item in estimates:
        # what the inspector says of a voxel is what the maps show there, near to the truth
        assert item.t1 == pytest.approx(truth.t1, rel=0.2)
    assert person.clicks <= MOST_CLICKS


def test_from_the_menu_to_error_maps_and_curves(make_napari_viewer, qtbot):
    person = Newcomer(make_napari_viewer(show=True), qtbot)
    person.choose("Plugins", "BlochNet", "Workbench")
    workbench = person.dock(Workbench)
    person.follow(workbench, "Open it", "New here?")
    assert person.finish(workbench.data).startswith("Opened")
    _map_and_look(person, workbench)
    assert person.clicks == 8


def test_the_same_with_a_simulation_of_ones_own(make_napari_viewer, qtbot):
    person = Newcomer(make_napari_viewer(show=True), qtbot)
    person.choose("Plugins", "BlochNet", "Workbench")
    workbench = person.dock(Workbench)
    person.press(workbench.data.sample_buttons["head-slice"])
    assert person.finish(workbench.data).startswith("Opened")
    person.follow(workbench, "Simulate…", "FISP")
    assert workbench.tabs.currentWidget() is workbench.simulate
    person.press(workbench.simulate.run)
    assert person.finish(workbench.simulate).startswith("Simulated")
    _map_and_look(person, workbench)
    assert person.clicks == MOST_CLICKS


def test_hints_are_given_up_and_come_back(desk):
    desk = desk()
    step = desk.workbench.next_step
    desk.turn_to("Data")
    desk.qtbot.waitUntil(step.isVisible, timeout=5000)
    desk.click(step.close_button)
    assert not step.isVisible()
    panel = desk.turn_to("Data")
    box = next(box for box in panel.findChildren(QCheckBox) if box is step.switch)
    assert not box.isChecked()
    box.setFocus()
    desk.qtbot.keyClick(box, Qt.Key.Key_Space)
    desk.qtbot.waitUntil(step.isVisible, timeout=5000)
