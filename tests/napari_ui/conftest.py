"""A real viewer on a real (virtual) display, worked by its own widgets."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


def pytest_collection_modifyitems(items):
    modules: dict[Path, int] = {}
    for item in items:
        modules.setdefault(item.path, len(modules))
        if "napari_ui" in item.path.parts:
            item.add_marker(pytest.mark.gui)
    # a module's tests in its shared scene come first, one after the other, so that the scene is made once
    items.sort(key=lambda item: (modules[item.path], "shared" not in item.fixturenames))


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory, monkeypatch):
    """Keep choices that are remembered out of the user's own settings, and of other tests.

    They are written some time after they were made, in a folder beside ``tmp_path``, whose files tests compare.
    """
    from napari import settings

    folder = tmp_path_factory.mktemp("settings")
    monkeypatch.setattr(settings, "_CFG_PATH", str(folder / "settings.yaml"))
    settings._clear_plugin_settings_cache()
    yield folder / "napari-blochnet.yaml"
    settings._clear_plugin_settings_cache()


@pytest.fixture(scope="session", autouse=True)
def stale_errors_of_opengl() -> Iterator[None]:
    """Let no buffer that is deleted answer for an earlier call.

    PyOpenGL asks after each call whether any has failed since it last asked. What vispy calls by itself asks nothing,
    so that deleting a buffer, which cannot fail so, was blamed (once in thousands of tests) while two windows closed.
    """
    from OpenGL.error import GLError
    from vispy.gloo.glir import GlirBuffer

    delete = GlirBuffer.delete

    def delete_quietly(buffer: GlirBuffer) -> None:
        with contextlib.suppress(GLError):
            delete(buffer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GlirBuffer, "delete", delete_quietly)
        yield


# What takes longer than this, ms, hangs: nothing is tested by it, and a busy machine may be slow.
_HANGS = 300_000


class Asked(threading.Event):
    """A wish to end that counts how often the work asked for it, and how often the answer was yes."""

    def __init__(self) -> None:
        super().__init__()
        self.noes = self.yeses = 0

    def is_set(self) -> bool:
        answer = super().is_set()
        # what the window asks is not the work's
        if threading.current_thread() is not threading.main_thread():
            self.yeses += answer
            self.noes += not answer
        return answer


@pytest.fixture
def asked(monkeypatch) -> list[Asked]:
    """Return the wish of each job that starts."""
    from napari_blochnet.napari_ui.background.workers import Job

    wishes: list[Asked] = []
    start = Job.start

    def start_asked(job: Job) -> Job:
        job._cancelled = Asked()
        wishes.append(job._cancelled)
        return start(job)

    monkeypatch.setattr(Job, "start", start_asked)
    return wishes


class Desk:
    """A viewer with the workbench open, and hands to work it."""

    def __init__(self, viewer, qtbot) -> None:
        from qtpy.QtCore import Qt

        self.viewer, self.qtbot = viewer, qtbot
        self.button = Qt.MouseButton.LeftButton
        viewer.window.resize(1280, 800)
        self.dock, self.workbench = viewer.window.add_plugin_dock_widget("napari-blochnet", "Workbench")
        self.session = self.workbench.data.session
        qtbot.waitUntil(lambda: self.workbench.is_complete and self.session.schedule is not None, timeout=_HANGS)
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
        # napari shows a new dock a turn of the event loop later
        self.qtbot.waitUntil(button.isVisible, timeout=5000)
        self.qtbot.mouseClick(button, self.button)

    def wait(self, panel, timeout: int = _HANGS) -> str:
        """Wait for the panel's job to end; return what the panel says."""
        self.qtbot.waitUntil(lambda: not panel.is_busy, timeout=timeout)
        return panel.jobs.message.text()

    def run(self, panel, button, timeout: int = _HANGS) -> str:
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


def _wait_until_gone(qtbot, windows) -> None:
    """Let the event loop run until closed windows are let go; one that never is, napari's check for leaks names.

    Of a window that Qt has deleted, PySide6 now and then keeps the Python half, on a reference that no Python object
    holds: napari's check would count it, and nothing here can let it go.
    """
    import shiboken6
    from napari._qt.qt_viewer import QtViewer

    qtbot.wait(100)
    for _ in range(50):
        gc.collect()
        if all(window() is None for window in windows):
            return
        qtbot.wait(100)
    for window in list(QtViewer._instances):
        if not shiboken6.isValid(window):
            QtViewer._instances.discard(window)


@pytest.fixture
def desk(make_napari_viewer, qtbot) -> Iterator[Callable[[], Desk]]:
    """Open a viewer with the workbench; may be called twice for two viewers."""
    from qtpy import PYSIDE6

    opened = []
    # taken while they are open: a test may close its viewer itself
    windows = []

    def open_desk() -> Desk:
        desk = Desk(make_napari_viewer(show=True), qtbot)
        opened.append(desk.viewer)
        windows.append(weakref.ref(desk.viewer.window._qt_viewer))
        return desk

    yield open_desk
    if PYSIDE6:
        # PySide6 lets go of a closed window once the event loop has run; napari's check for leaks does not wait for it
        while opened:
            opened.pop().close()
        _wait_until_gone(qtbot, windows)


class Shared:
    """One viewer with the workbench for those tests of a module that leave it as they find it.

    A window takes two seconds to make and to leave, and what a test needs in it takes longer. napari's own fixture
    makes and closes it, and so checks that nothing outlives the viewer.
    """

    open: Shared | None = None

    def __init__(self, config: pytest.Config, module: ModuleType) -> None:
        from napari.utils import _testsupport
        from pytestqt.qtbot import QtBot

        self.module = module
        self.node = SimpleNamespace(rep_call=SimpleNamespace(failed=False))
        self.made: tuple[Callable, Any] | None = None
        request = SimpleNamespace(config=config, node=self.node, module=module, keywords=())
        qtbot = QtBot(None)
        make_app = contextlib.contextmanager(_testsupport.mock_app_model.__wrapped__)
        make_viewer = contextlib.contextmanager(_testsupport.make_napari_viewer.__wrapped__)
        with contextlib.ExitStack() as end:
            patch = end.enter_context(pytest.MonkeyPatch.context())
            factory = end.enter_context(make_viewer(qtbot, request, end.enter_context(make_app()), patch))
            self.desk = Desk(factory(show=True), qtbot)
            # not before all of it is there
            self._end = end.pop_all()

    def make(self, scene: Callable[[Desk], Any]) -> Any:
        """Return the scene, made by the first test that asks for it."""
        if self.made is None:
            self.made = scene, scene(self.desk)
        assert self.made[0] is scene, "one scene a module"
        return self.made[1]

    def close(self, failed: bool) -> None:
        """Close the viewer and, but for a failed test, which keeps it in its traceback, see that it is let go."""
        from qtpy import PYSIDE6

        self.node.rep_call.failed = failed
        if PYSIDE6:
            self.desk.viewer.close()
            self.desk.qtbot.wait(100)
        del self.desk, self.made
        self._end.close()


def _failed(item: pytest.Item) -> bool:
    """Whether a test did not come to its end; napari's fixtures keep the reports beside it."""
    report = getattr(item, "rep_call", None)
    return report is None or report.failed


@pytest.fixture
def shared(request, qapp) -> Iterator[Callable[[Callable[[Desk], Any]], Any]]:
    """Make a scene in the module's shared viewer, or find it there; layers that the test adds are taken away again."""
    if Shared.open is None:
        Shared.open = Shared(request.config, request.module)
    stage = Shared.open
    found: list[tuple[Any, str, bool]] = []

    def scene(make: Callable[[Desk], Any]) -> Any:
        made = stage.make(make)
        found[:] = [(layer, layer.name, layer.visible) for layer in stage.desk.viewer.layers]
        return made

    yield scene
    if not found or _failed(request.node):
        return
    layers = stage.desk.viewer.layers
    for layer in [layer for layer in layers if all(layer is not one for one, *_ in found)]:
        layers.remove(layer)
    assert {(layer, layer.name) for layer in layers} == {(layer, name) for layer, name, _ in found}
    for layer, _, visible in found:
        if layer.visible != visible:
            layer.visible = visible


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Close the shared viewer after its last test, or after one that failed."""
    stage = Shared.open
    if stage is None:
        return
    failed = _failed(item)
    goes_on = nextitem is not None and nextitem.module is stage.module and "shared" in nextitem.fixturenames
    if failed or not goes_on:
        Shared.open = None
        stage.close(failed)
