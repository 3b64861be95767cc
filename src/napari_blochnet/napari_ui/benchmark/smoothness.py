"""How smooth the workbench is: gaps of the event loop, clicks to curves, cancelling, opening, two hundred jobs.

Run as a program by `napari_blochnet.benchmarks.window_smoothness`, in a process of its own with fresh settings and
caches; it presses the panels' own buttons on the samples, prints how far it is as JSON, and writes its figures as JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from qtpy.QtCore import QThreadPool

from napari_blochnet.napari_ui.benchmark.event_loop import measure_gaps, turn_until

if TYPE_CHECKING:
    from napari_blochnet.napari_ui.state.session import Session
    from napari_blochnet.napari_ui.widgets.panel import Panel
    from napari_blochnet.napari_ui.workbench import Workbench

__all__ = ["run"]

_FIRST, _WARM = 300.0, 100.0
# Longest that any one job may take, s, on a slow machine.
_PATIENCE = 900.0
_MODELS = 8
_CLICKS = 100
# Models beside each other when T1 is switched to T2: with their errors and the truth thirteen tiles.
_TILED = 6
_SWITCHES = 7
# Figures in all: two of opening, two uses of eleven kinds of job, two each of clicks, switching, cancelling and jobs in
# a row.
_COUNT = 32
# Jobs before those whose memory is counted: what is loaded once is loaded by then.
_WARMING = 20


def _say(done: int, total: int, message: str) -> None:
    print(json.dumps([done, total, message]), flush=True)


class _Figures:
    """Collects figures, and says each as soon as it is known."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, what: str, value: float, unit: str, limit: float | None = None, note: str = "") -> None:
        self.rows.append({"what": what, "value": round(value, 3), "unit": unit, "limit": limit, "note": note})
        _say(len(self.rows), _COUNT, f"{what}: {value:.3g} {unit}")


def _press(panel: Panel, button: Any) -> None:
    button.click()
    if not turn_until(lambda: not panel.is_busy, _PATIENCE, settle=0.4):
        raise RuntimeError(f"{panel.title}: {panel.jobs.message.text()}")


def _turn_to(workbench: Workbench, panel: Panel) -> None:
    workbench.tabs.setCurrentWidget(panel)
    turn_until(lambda: True, 1.0, settle=0.4)


def _measure_job(figures: _Figures, workbench: Workbench, name: str, panel: Panel, button: Any) -> None:
    """Run a job twice: at its first use, and warm."""
    _turn_to(workbench, panel)
    for use, limit in (("first use", _FIRST), ("warm", _WARM)):
        with measure_gaps() as gaps:
            _press(panel, button)
        note = f"computed by the main thread {1e3 * gaps.longest_cpu:.0f} ms; {gaps.over_100_ms} over 100 ms; "
        said = panel.jobs.message.text() if panel.jobs.message.property("state") == "error" else ""
        figures.add(f"longest gap, {name}, {use}", 1e3 * gaps.longest, "ms", limit, note + (said or gaps.cause))


def _prepare_mapping(workbench: Workbench, estimator: str, part: str, **values: Any) -> None:
    panel = workbench.map
    _turn_to(workbench, panel)
    panel.part.setCurrentText(part)
    panel.form.set_values(values)
    panel.estimators.tick([estimator])


def _smoothness(figures: _Figures, workbench: Workbench, slices: int) -> None:
    """Every kind of job on the sample volume."""
    _measure_job(figures, workbench, "opening", workbench.data, workbench.data.sample_buttons["head-volume"])
    simulate = workbench.simulate
    _turn_to(workbench, simulate)
    depth = simulate.phantom.value.shape[0]
    first = max(0, depth // 2 - slices // 2)
    simulate.part.setCurrentText("slices from … to …")
    simulate.form.set_values({"snr": 30.0, "slices": (first, min(depth, first + slices))})
    _measure_job(figures, workbench, "simulating", simulate, simulate.run)
    for name, estimator, refine in (
        ("dictionary", "dictionary", False),
        ("universal", "universal", False),
        ("fc", "fc", False),
        ("refined", "universal", True),
    ):
        _prepare_mapping(workbench, estimator, "the whole volume", refine=refine)
        _measure_job(figures, workbench, f"mapping by {name}", workbench.map, workbench.map.run)
        workbench.map.form.set_values({"refine": False})
    _measure_job(figures, workbench, "comparing", workbench.compare, workbench.compare.run)
    train = workbench.train
    _turn_to(workbench, train)
    train.form.set_values({"epochs": 1, "fingerprints": 2000})
    _measure_job(figures, workbench, "training", train, train.run)
    # what starts with a file dialog
    data, compare = workbench.data, workbench.compare
    with tempfile.TemporaryDirectory() as folder:
        for name, panel, start in (
            ("writing a report", compare, functools.partial(compare.save, f"{folder}/report.html")),
            ("saving a session", data, functools.partial(data.sessions.save, f"{folder}/session")),
            ("opening a session", data, functools.partial(data.sessions.open, f"{folder}/session")),
        ):
            _measure_job(figures, workbench, name, panel, SimpleNamespace(click=start))


def _click_to_curves(figures: _Figures, workbench: Workbench, session: Session, inspector: Any) -> None:
    """From letting go of the mouse, which makes it a click, to the painted inspector, with eight models."""
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    viewer: Any = session.viewer
    viewer.layers.clear()
    _turn_to(workbench, workbench.data)
    _press(workbench.data, workbench.data.sample_buttons["noisy-fingerprints"])
    for number in range(_MODELS):
        _prepare_mapping(workbench, "dictionary", "this slice", step=0.05 + 0.01 * number)
        _press(workbench.map, workbench.map.run)
    workbench.view_bar.beside.setChecked(False)
    workbench.view_bar.show_role("T1")
    turn_until(lambda: not workbench.view_bar.is_busy, 60.0, settle=1.0)
    native = viewer.window._qt_viewer.canvas.native
    mouse: Any = QTest
    rng = np.random.default_rng(0)
    answered: list[float] = []
    inspector.updated.connect(lambda _: answered.append(time.perf_counter()))
    taken = []
    button = Qt.MouseButton.LeftButton
    for number in range(_CLICKS + 10):
        x, y = rng.uniform(-0.15, 0.15, 2) * min(native.width(), native.height())
        place = QPoint(native.width() // 2 + int(x), native.height() // 2 + int(y))
        # at a press the canvas draws everything once, to find what lies under the mouse
        mouse.mousePress(native, button, pos=place)
        turn_until(lambda: False, 0.08)
        answered.clear()
        start = time.perf_counter()
        mouse.mouseRelease(native, button, pos=place)
        # a click at the voxel that is pinned already changes nothing
        if turn_until(lambda: bool(answered), 2.0) and number >= 10:
            taken.append(1e3 * (answered[0] - start))
        turn_until(lambda: not inspector.is_busy, 5.0, settle=0.05)
    models = len(session.entries("maps"))
    for quantile, limit in ((50, None), (95, 50.0)):
        value = float(np.percentile(taken, quantile)) if taken else float("nan")
        figures.add(
            f"click to complete inspector, {models} models, percentile {quantile}",
            value,
            "ms",
            limit,
            f"{len(taken)} clicks",
        )


def _switching(figures: _Figures, workbench: Workbench, session: Session) -> None:
    """From T1 to T2 and back in a grid of the truth, six models and their errors."""
    _remove_maps(session)
    for number in range(_TILED):
        _prepare_mapping(workbench, "dictionary", "this slice", step=0.05 + 0.01 * number)
        _press(workbench.map, workbench.map.run)
    _turn_to(workbench, workbench.compare)
    _press(workbench.compare, workbench.compare.run)
    bar = workbench.view_bar
    taken, gaps = [], []
    bar.beside.setChecked(True)
    bar.show_role("T1")
    turn_until(lambda: not bar.is_busy, 60.0, settle=1.0)
    for number in range(_SWITCHES + 2):
        with measure_gaps() as gap:
            start = time.perf_counter()
            bar.show_role("T1" if number % 2 else "T2")
            turn_until(lambda: not bar.is_busy, 60.0)
            ended = time.perf_counter()
            turn_until(lambda: True, 1.0, settle=0.3)
        # the first of each makes what it shows
        if number >= 2:
            taken.append(ended - start)
            gaps.append(1e3 * gap.longest)
    viewer: Any = session.viewer
    tiles = sum(layer.visible for layer in viewer.layers)
    note = f"{tiles} tiles, slowest of {_SWITCHES}; median {np.median(taken):.2f} s"
    figures.add("switching between T1 and T2 in a grid", max(taken), "s", 0.5, note)
    figures.add("longest gap, switching in a grid", max(gaps), "ms", _WARM, note)
    bar.beside.setChecked(False)
    bar.show_role("T1")
    turn_until(lambda: not bar.is_busy, 60.0, settle=1.0)


def _threads() -> tuple[int, int]:
    pool = QThreadPool.globalInstance()
    return threading.active_count(), 0 if pool is None else pool.activeThreadCount()


def _cancelling(figures: _Figures, workbench: Workbench, session: Session, times: int) -> None:
    panel = workbench.map
    _prepare_mapping(workbench, "dictionary", "this slice", step=0.02, batch=16)
    _press(panel, panel.run)
    _remove_maps(session)
    before = _threads()
    rng = np.random.default_rng(1)
    slowest, unanswered = 0.0, 0

    def has_answered() -> bool:
        return panel.jobs.job is None or not panel.jobs.job.is_working

    for _ in range(times):
        panel.form.set_values({"batch": 1})
        panel.run.click()
        turn_until(lambda: False, float(rng.uniform(0.05, 0.5)))
        if has_answered():
            unanswered += 1
        start = time.perf_counter()
        panel.jobs.cancel.click()
        turn_until(has_answered, 30.0)
        slowest = max(slowest, time.perf_counter() - start)
        turn_until(lambda: not panel.is_busy, 60.0)
        _remove_maps(session)
    figures.add(
        f"Cancel answered, slowest of {times}",
        slowest,
        "s",
        0.5,
        f"{unanswered} had ended before" if unanswered else "",
    )
    turn_until(lambda: _threads()[1] == 0, 5.0)
    after = _threads()
    figures.add("threads left by cancelling", sum(after) - sum(before), "", 0.0)


def _remove_maps(session: Session) -> None:
    viewer: Any = session.viewer
    for layer in session.layers("maps"):
        viewer.layers.remove(layer)


def _callbacks(session: Session) -> int:
    """Count what listens to the viewer, its layer list and its slices.

    What is gone is no listener, even if napari strikes it off its list at the next event only.
    """
    viewer: Any = session.viewer
    groups = (viewer.events, viewer.layers.events, viewer.dims.events, viewer.canvas.grid.events)
    return sum(
        not isinstance(callback, tuple) or callback[0]() is not None
        for group in groups
        for emitter in group.emitters.values()
        for callback in emitter.callbacks
    )


def _resident() -> float:
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return float(psutil.Process().memory_info().rss) / 2**20


def _endurance(figures: _Figures, workbench: Workbench, session: Session, jobs: int) -> None:
    """Map the same slice again and again, and delete the maps each time."""
    panel = workbench.map
    _prepare_mapping(workbench, "dictionary", "this slice", step=0.2, batch=4096)

    def once() -> None:
        panel.run.click()
        turn_until(lambda: not panel.is_busy, 60.0)
        _remove_maps(session)

    before, listening = 0.0, 0
    for number in range(_WARMING + jobs):
        if number == _WARMING:
            before, listening = _resident(), _callbacks(session)
        once()
        _say(number + 1, _WARMING + jobs, "jobs in a row")
    turn_until(lambda: True, 1.0, settle=1.0)
    figures.add(f"memory grown in {jobs} jobs", _resident() - before, "MiB", 50.0)
    figures.add(f"callbacks left by {jobs} jobs", _callbacks(session) - listening, "", 0.0)


def run(slices: int, jobs: int, cancels: int) -> list[dict[str, Any]]:
    """Measure everything in a new window; see `GuiBenchmarkSettings`."""
    import napari

    figures = _Figures()
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1280, 800)
    turn_until(lambda: True, 1.0, settle=1.5)
    start = time.perf_counter()
    _, workbench = viewer.window.add_plugin_dock_widget("napari-blochnet", "Workbench")
    shown = turn_until(lambda: workbench.isVisible() and workbench.data.session.schedule is not None, 30.0)
    opened = time.perf_counter() - start
    torch = "torch" in sys.modules
    figures.add("workbench opens", opened if shown else float("inf"), "s", 1.0, "with torch" if torch else "no torch")
    figures.add("torch loaded by opening", float(torch), "", 0.0)
    session = workbench.data.session
    _, inspector = viewer.window.add_plugin_dock_widget("napari-blochnet", "Voxel inspector")
    turn_until(lambda: True, 1.0, settle=1.0)
    parts: Sequence[Callable[[], None]] = (
        lambda: _smoothness(figures, workbench, slices),
        lambda: _click_to_curves(figures, workbench, session, inspector),
        lambda: _switching(figures, workbench, session),
        lambda: _cancelling(figures, workbench, session, cancels),
        lambda: _endurance(figures, workbench, session, jobs),
    )
    for part in parts:
        part()
    viewer.close()
    return figures.rows


def main() -> None:
    """Measure as the JSON object in the first argument says, and write the figures to the file in the second."""
    rows = run(**json.loads(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
