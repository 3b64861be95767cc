"""Every kind of job handled roughly: docks and viewers closed on it, others beside it, no memory, many in a row.

Jobs are held at their start by a gate between panel and core function, so that they are under way for as long as a
test needs, whatever the machine; they then do their real work.
"""

from __future__ import annotations

import functools
import gc
import importlib
import threading
import weakref

import numpy as np
import pytest
import torch
from qtpy import PYQT6
from qtpy.QtCore import QThreadPool

import napari_blochnet as nb
from napari_blochnet.estimators.matching.dictionary import DictionaryMatching
from napari_blochnet.estimators.networks.cards import stored_models
from napari_blochnet.jobs.sessions import SESSION_FILE
from napari_blochnet.napari_ui.background import workers
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.phantoms.write import write_phantom

# What each kind of job calls, where its panel looks it up.
_CALLS = {
    "open": ("panels.data.data_tab", "open_phantom"),
    "save": ("panels.data.session_buttons", "write_session"),
    "simulate": ("panels.simulate_tab", "simulate"),
    "map": ("panels.map.mapping", "reconstruct"),
    "compare": ("state.comparing", "compare"),
    "train": ("panels.train.tasks", "train"),
    "adapt": ("panels.train.tasks", "adapt"),
}
_TABS = {"open": "Data", "save": "Data", "adapt": "Train"}
# One of each panel, and those that share a panel with one of these.
_ONE_EACH = ("open", "simulate", "map", "compare", "train")
_OTHERS = ("save", "adapt")
# Each of two jobs; what one of them left behind would be counted after any number.
_ROUNDS = 20
# No job may outlive its end by more than this, ms.
_SOON = 20_000


class _Gate:
    """Holds jobs of one kind until they are let through or cancelled; a deaf one does its work nevertheless."""

    def __init__(self, function) -> None:
        self.function, self.is_deaf = function, False
        self.opened = threading.Event()
        self.waiting = 0

    def __call__(self, *args, cancelled, **kwargs):
        self.waiting += 1
        while not (self.opened.wait(0.005) or cancelled.is_set()):
            pass
        self.waiting -= 1
        return self.function(*args, cancelled=threading.Event() if self.is_deaf else cancelled, **kwargs)


@pytest.fixture
def gates(monkeypatch):
    made = {}
    for kind, (module, name) in _CALLS.items():
        owner = importlib.import_module(f"napari_blochnet.napari_ui.{module}")
        made[kind] = _Gate(getattr(owner, name))
        monkeypatch.setattr(owner, name, made[kind])
    yield made
    for gate in made.values():
        gate.opened.set()


@functools.cache
def _subjects():
    shape = (1, 6, 7)
    t1 = np.linspace(500.0, 1800.0, 42).reshape(shape)
    truth = Phantom(t1, t1 / 12, np.ones(shape), name="ramp")
    stack = nb.simulate(truth, nb.fisp_schedule(), snr=50.0, seed=1)
    return truth, stack, nb.reconstruct(stack, step=0.2)


class _Hands:
    """A desk with a phantom, its fingerprints and their maps, ready for every kind of job."""

    def __init__(self, desk, folder) -> None:
        self.desk, self.folder = desk, folder
        truth, stack, maps = _subjects()
        layers.add_phantom(desk.session, truth)
        layers.add_stack(desk.session, stack, truth)
        layers.add_maps(desk.session, maps, stack, truth, "dictionary")
        if not (folder / "phantom").exists():
            write_phantom(truth, folder / "phantom")

    def press(self, kind):
        """Start a job as a person does; return its panel."""
        panel = self.desk.turn_to(_TABS.get(kind, kind.capitalize()))
        if kind == "open":
            self.desk.type(panel.phantom_path.line, str(self.folder / "phantom"))
            self.desk.click(panel.open_phantom)
        elif kind == "save":
            panel.sessions.save(self.folder / "saved")
        elif kind == "adapt":
            panel.adapt_form.set_values({"epochs": 1})
            self.desk.click(panel.adapt)
        else:
            if kind == "map":
                panel.estimators.tick(["dictionary"])
                panel.form.set_values({"step": 0.25})
            if kind == "train":
                panel.form.set_values({"fingerprints": 200, "epochs": 1, "batch": 100})
            self.desk.click(panel.run)
        return panel

    def start(self, kind, gate):
        """Start a job and wait until it is held; return its panel and the job."""
        panel = self.press(kind)
        self.desk.qtbot.waitUntil(lambda: gate.waiting == 1 or not panel.is_busy, timeout=_SOON)
        assert panel.is_busy, panel.jobs.message.text()
        return panel, panel.jobs.job

    def has_result(self, kind) -> bool:
        session = self.desk.session
        return {
            "open": lambda: len(session.entries("phantom")) == 2,
            "save": lambda: (self.folder / "saved" / SESSION_FILE).is_file(),
            "simulate": lambda: len(session.entries("stack")) == 2,
            "map": lambda: len(session.entries("maps")) == 2,
            "compare": lambda: bool(session.layers("maps", role="T1 error")) and session.compared is not None,
            "train": lambda: any(model.name.startswith("fc-fisp") for model in _own()),
            "adapt": lambda: any(not model.name.startswith("fc-fisp") for model in _own()),
        }[kind]()


def _own():
    return [model for model in stored_models() if not model.packaged]


def _all_threads_are_back(qtbot) -> None:
    qtbot.waitUntil(lambda: QThreadPool.globalInstance().activeThreadCount() == 0, timeout=_SOON)
    assert not workers._running


def test_close_the_dock_during_each_kind_of_job(desk, gates, tmp_path, qtbot):
    hands = _Hands(desk(), tmp_path)
    for kind, gate in gates.items():
        panel, job = hands.start(kind, gate)
        hands.desk.dock.hide()
        assert not panel.isVisible()
        assert job.is_running
        gate.opened.set()
        qtbot.waitUntil(lambda job=job: not job.is_running, timeout=60_000)
        hands.desk.dock.show()
        assert panel.jobs.message.property("state") == "good", (kind, panel.jobs.message.text())
        assert hands.has_result(kind), kind
    _all_threads_are_back(qtbot)


@pytest.mark.parametrize("is_deaf", [False, True], ids=["cancelled", "ends all the same"])
@pytest.mark.parametrize("kinds", [_ONE_EACH, _OTHERS], ids=["one of each panel", "the others"])
def test_close_the_viewer_during_each_kind_of_job(desk, gates, tmp_path, qtbot, kinds, is_deaf):
    hands = _Hands(desk(), tmp_path)
    session = hands.desk.session
    jobs = []
    for kind in kinds:
        gates[kind].is_deaf = is_deaf
        jobs.append(hands.start(kind, gates[kind])[1])
    assert set(session.jobs) == set(jobs)
    hands.desk.viewer.close()
    qtbot.waitUntil(lambda: all(job.is_cancelled for job in jobs), timeout=_SOON)
    qtbot.waitUntil(lambda: not any(job.is_running for job in jobs), timeout=60_000)
    assert session.jobs == []
    _all_threads_are_back(qtbot)
    # on the disk everything or nothing
    assert hands.has_result("save") == (tmp_path / "saved").exists() == (is_deaf and "save" in kinds)
    assert len(_own()) == is_deaf


def test_a_job_in_every_panel_at_once(desk, gates, tmp_path, qtbot):
    hands = _Hands(desk(), tmp_path)
    session = hands.desk.session
    held = {kind: hands.start(kind, gates[kind]) for kind in _ONE_EACH}
    assert len(session.jobs) == len(_ONE_EACH)
    # a second one in the same panel does not begin
    for kind, (panel, job) in held.items():
        button = panel.open_phantom if kind == "open" else panel.run
        hands.desk.turn_to(panel.title)
        qtbot.mouseClick(button, hands.desk.button)
        assert panel.jobs.job is job
    hands.desk.turn_to("Data").sessions.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
    assert not held["train"][0].adapt.isEnabled()
    assert len(session.jobs) == len(_ONE_EACH)
    # Cancel reaches the job of its own panel
    mapping, job = held["map"]
    hands.desk.turn_to("Map")
    hands.desk.click(mapping.jobs.cancel)
    assert hands.desk.wait(mapping).startswith("Cancelled")
    assert not hands.has_result("map")
    rest = [kind for kind in _ONE_EACH if kind != "map"]
    assert all(held[kind][1].is_running and not held[kind][1].is_cancelled for kind in rest)
    # and the panel begins another, beside all the others, which then really run together
    gates["map"].opened.set()
    hands.press("map")
    for kind in rest:
        gates[kind].opened.set()
    qtbot.waitUntil(lambda: not session.jobs, timeout=60_000)
    for kind, (panel, _) in held.items():
        assert panel.jobs.message.property("state") == "good", (kind, panel.jobs.message.text())
        assert hands.has_result(kind), kind
    _all_threads_are_back(qtbot)


def test_jobs_in_two_viewers_at_once(desk, gates, tmp_path, qtbot):
    first, second = _Hands(desk(), tmp_path), _Hands(desk(), tmp_path)
    _, ours = first.start("map", gates["map"])
    _, simulating = first.start("simulate", gates["simulate"])
    mapping = second.press("map")
    theirs = mapping.jobs.job
    qtbot.waitUntil(lambda: gates["map"].waiting == 2, timeout=_SOON)
    assert set(first.desk.session.jobs) == {ours, simulating}
    assert second.desk.session.jobs == [theirs]
    # the one viewer's Cancel is not the other's
    first.desk.click(first.desk.workbench.simulate.jobs.cancel)
    qtbot.waitUntil(lambda: not simulating.is_running, timeout=_SOON)
    assert ours.is_running
    assert theirs.is_running
    gates["map"].opened.set()
    assert second.desk.wait(mapping).startswith("Mapped 42 voxels")
    assert first.desk.wait(first.desk.workbench.map).startswith("Mapped 42 voxels")
    for hands in (first, second):
        assert hands.has_result("map")
        assert not hands.has_result("simulate")
        assert hands.desk.session.jobs == []
    _all_threads_are_back(qtbot)


class _Short:
    """`DictionaryMatching.predict` where the memory suffices for some voxels at a time."""

    def __init__(self, most: int, error: type[BaseException]) -> None:
        self.most, self.error, self.sizes = most, error, []
        self.predict = DictionaryMatching.predict

    def __get__(self, estimator, owner=None):
        def predict(fingerprints, *args, **kwargs):
            self.sizes.append(len(fingerprints))
            if len(fingerprints) > self.most:
                raise self.error("simulated")
            return self.predict(estimator, fingerprints, *args, **kwargs)

        return predict


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
def test_out_of_memory_while_mapping(desk, tmp_path, monkeypatch, error):
    short = _Short(5, error)
    expected = nb.reconstruct(_subjects()[1], step=0.25)
    hands = _Hands(desk(), tmp_path)
    monkeypatch.setattr(DictionaryMatching, "predict", short)
    panel = hands.press("map")
    assert hands.desk.wait(panel).startswith("Mapped 42 voxels")
    assert panel.jobs.warning.isVisible()
    assert panel.jobs.warning.text() == (
        "The memory of cpu does not suffice for mapping with dictionary with 42 voxels at a time; it goes on with "
        "fewer."
    )
    assert short.sizes[:5] == [42, 21, 10, 5, 5]
    maps = hands.desk.session.entries("maps")[-1].subject
    for name in ("t1", "t2", "pd", "phase", "residual", "mask", "failed"):
        np.testing.assert_array_equal(getattr(maps, name), getattr(expected, name), err_msg=name)
    np.testing.assert_array_equal(hands.desk.layer("T1 (ms) – dictionary 2").data, expected.t1)
    assert maps.record["memory"] == [panel.jobs.warning.text()]


def test_a_voxel_that_fits_nowhere_is_a_sentence(desk, tmp_path, monkeypatch):
    hands = _Hands(desk(), tmp_path)
    short = _Short(0, MemoryError)
    monkeypatch.setattr(DictionaryMatching, "predict", short)
    panel = hands.press("map")
    said = hands.desk.wait(panel)
    assert panel.jobs.message.property("state") == "error"
    assert said.startswith("The memory of this machine does not suffice for mapping with dictionary, not even for one")
    assert not hands.has_result("map")
    # other programs are closed
    short.most = 100
    assert hands.desk.wait(hands.press("map")).startswith("Mapped 42 voxels")


def _is_alive(callback) -> bool:
    return not (isinstance(callback, tuple) and isinstance(callback[0], weakref.ref) and callback[0]() is None)


def _listening(session) -> dict[str, int]:
    """Count what listens to the viewer and to the session."""
    viewer = session.viewer
    groups = {
        "viewer": viewer.events, "layers": viewer.layers.events, "selection": viewer.layers.selection.events,
        "dims": viewer.dims.events, "camera": viewer.scene.camera.events, "grid": viewer.canvas.grid.events,
    }  # fmt: skip
    gc.collect()
    # napari forgets callbacks of objects that are gone at the next event: here the cameras of earlier grids
    counts = {
        f"{name}.{event}": sum(_is_alive(callback) for callback in emitter.callbacks)
        for name, group in groups.items()
        for event, emitter in group.emitters.items()
    }
    for name, signature in (
        ("changed", "changed()"), ("view_changed", "view_changed()"), ("schedule_changed", "schedule_changed()"),
        ("pinned", "pinned(PyObject)"), ("pins_changed", "pins_changed()"), ("added", "added(PyObject)"),
        ("models_changed", "models_changed()"),
    ):  # fmt: skip
        counts[name] = session.receivers(getattr(session, name) if PYQT6 else f"2{signature}")
    return counts


def test_many_jobs_leave_nothing_behind(desk, gates, tmp_path, qtbot):
    for gate in gates.values():
        gate.opened.set()
    hands = _Hands(desk(), tmp_path)
    session, viewer = hands.desk.session, hands.desk.viewer
    hands.desk.viewer.window.add_plugin_dock_widget("napari-blochnet", "Voxel inspector")
    kept = list(viewer.layers)

    def once(number: int) -> None:
        panel = hands.press("map")
        hands.desk.wait(panel)
        assert panel.jobs.message.property("state") == "good", panel.jobs.message.text()
        panel = hands.press("map")
        panel.jobs.job.cancel()
        hands.desk.wait(panel)
        # in between, the next mappings grow into the layers that are there
        if number % 5 == 4:
            for layer in [layer for layer in viewer.layers if layer not in kept]:
                viewer.layers.remove(layer)

    def counted():
        # threads of pools come with their first work and stay
        return _listening(session), len(session._jobs), len(viewer.layers), len(workers._running)

    once(4)
    qtbot.wait(100)
    before, threads = counted(), threading.active_count()
    for number in range(_ROUNDS):
        once(number)
    qtbot.wait(100)
    assert counted() == before
    _all_threads_are_back(qtbot)
    assert threading.active_count() <= threads


def test_hiding_after_qt_deleted_the_session(desk):
    """An exception while a viewer closes may leave widgets to be hidden last."""
    desk = desk()
    if PYQT6:
        from qtpy.sip import delete
    else:
        from shiboken6 import delete
    _, inspector = desk.viewer.window.add_plugin_dock_widget("napari-blochnet", "Voxel inspector")
    delete(desk.session)
    for widget in (desk.dock, inspector, desk.workbench):
        # what is raised in here, pytest-qt reports
        widget.hide()
    assert not desk.workbench.isVisible()
