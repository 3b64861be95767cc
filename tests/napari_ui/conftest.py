"""A real viewer on a real (virtual) display, worked by its own widgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if "napari_ui" in item.path.parts:
            item.add_marker(pytest.mark.gui)


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    """Keep choices that are remembered out of the user's own settings, and of other tests."""
    from napari import settings

    monkeypatch.setattr(settings, "_CFG_PATH", str(tmp_path / "settings.yaml"))
    settings._clear_plugin_settings_cache()
    yield tmp_path / "napari-blochnet.yaml"
    settings._clear_plugin_settings_cache()


class Desk:
    """A viewer with the workbench open, and hands to work it."""

    def __init__(self, viewer, qtbot) -> None:
        from qtpy.QtCore import Qt

        self.viewer, self.qtbot = viewer, qtbot
        self.button = Qt.MouseButton.LeftButton
        viewer.window.resize(1280, 800)
        self.dock, self.workbench = viewer.window.add_plugin_dock_widget("napari-blochnet", "Workbench")
        self.session = self.workbench.data.session
        qtbot.waitUntil(lambda: self.session.schedule is not None, timeout=20_000)
        estimators = self.workbench.map.estimators
        if estimators.ticked == ["dictionary", "universal"]:
            # one estimator is enough for most tests, which look at other things; not a choice to be remembered
            estimators.blockSignals(True)
            estimators.tick(["dictionary"])
            estimators.blockSignals(False)

    def turn_to(self, name: str):
        """Choose a tab by its title."""
        tabs = self.workbench.tabs
        index = next(i for i in range(tabs.count()) if tabs.tabText(i) == name)
        tabs.setCurrentIndex(index)
        return tabs.widget(index)

    def click(self, button) -> None:
        assert button.isEnabled(), button.text()
        assert button.isVisible(), button.text()
        self.qtbot.mouseClick(button, self.button)

    def wait(self, panel, timeout: int = 90_000) -> str:
        """Wait for the panel's job to end; return what the panel says."""
        self.qtbot.waitUntil(lambda: not panel.is_busy, timeout=timeout)
        return panel.jobs.message.text()

    def run(self, panel, button, timeout: int = 90_000) -> str:
        self.click(button)
        return self.wait(panel, timeout)

    def type(self, line, text: str) -> None:
        line.clear()
        self.qtbot.keyClicks(line, text)

    def use_spline(self, length: int) -> None:
        """Choose a short schedule, where the physics of a long one is not the point."""
        schedule = self.turn_to("Schedule")
        schedule.kind.setCurrentText("Spline5")
        schedule.form.set_values({"length": length})
        assert len(self.session.schedule) == length

    def open_phantom(self, path) -> str:
        data = self.turn_to("Data")
        self.type(data.phantom_path.line, str(path))
        return self.run(data, data.open_phantom)

    def open_stack(self, path) -> str:
        data = self.turn_to("Data")
        self.type(data.stack_path.line, str(path))
        return self.run(data, data.open_stack)

    def layer(self, start: str):
        """Return the layer whose name starts so."""
        return next(layer for layer in self.viewer.layers if layer.name.startswith(start))

    def go_to_slice(self, layer, z: int) -> None:
        point = layer.data_to_world([0] * (layer.ndim - 3) + [z, 0, 0])
        self.viewer.dims.set_point(self.viewer.dims.ndim - 3, point[-3])


@pytest.fixture
def desk(make_napari_viewer, qtbot) -> Iterator[Callable[[], Desk]]:
    """Open a viewer with the workbench; may be called twice for two viewers."""
    from qtpy import PYSIDE6

    opened = []

    def open_desk() -> Desk:
        opened.append(Desk(make_napari_viewer(show=True), qtbot))
        return opened[-1]

    yield open_desk
    if PYSIDE6:
        # PySide6 lets go of a closed window once the event loop has run; napari's check for leaks does not wait for it
        for desk in opened:
            desk.viewer.close()
        opened.clear()
        qtbot.wait(100)
