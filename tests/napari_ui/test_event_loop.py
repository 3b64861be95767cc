"""What the smoothness benchmark measures with, and drawing in steps."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
from qtpy.QtCore import QTimer

from napari_blochnet.napari_ui.drawing import Drawing, at_once
from napari_blochnet.napari_ui.event_loop import measure_gaps, turn_until


def _stand_still(seconds: float) -> None:
    time.sleep(seconds)


def test_a_gap_is_as_long_as_it_was_and_has_a_cause(qtbot):
    with measure_gaps() as gaps:
        turn_until(lambda: True, 1.0, settle=0.05)
        QTimer.singleShot(0, lambda: _stand_still(0.3))
        turn_until(lambda: False, 0.5)
    assert 0.3 <= gaps.longest < 0.6
    # it slept, and computed nothing
    assert gaps.longest_cpu < 0.2
    assert gaps.over_100_ms >= 1
    assert "_stand_still" in gaps.cause
    assert gaps.ticks > 5


def test_a_loop_that_turns_has_no_gap(qtbot):
    with measure_gaps() as gaps:
        assert not turn_until(lambda: False, 0.3)
    assert gaps.ticks > 10
    assert gaps.longest < 0.3


def test_turning_ends_when_the_condition_holds(qtbot):
    done = threading.Event()
    QTimer.singleShot(50, done.set)
    start = time.perf_counter()
    assert turn_until(done.is_set, 20.0)
    assert time.perf_counter() - start < 10


def test_steps_leave_the_loop_turning_between_them(qtbot):
    drawing, order = Drawing(), []

    def steps(name):
        for number in range(3):
            order.append(f"{name}{number}")
            QTimer.singleShot(0, lambda: order.append("turn"))
            yield
        return name

    drawing.add(steps("a"))
    drawing.add(steps("b"))
    assert drawing.is_busy
    with qtbot.waitSignal(drawing.finished, timeout=5000):
        pass
    drawn = [item for item in order if item != "turn"]
    assert drawn == ["a0", "a1", "a2", "b0", "b1", "b2"]
    # the loop turned between any two steps
    places = [order.index(item) for item in drawn]
    assert all("turn" in order[first:second] for first, second in itertools.pairwise(places[1:]))
    assert not drawing.is_busy


def test_steps_that_fail_end_the_drawing(qtbot):
    drawing = Drawing()

    def fails():
        yield
        raise ValueError("no")

    def never():
        raise AssertionError("drawn after a failure")
        yield

    drawing.add(fails())
    drawing.add(never())
    with qtbot.captureExceptions() as caught:
        qtbot.waitUntil(lambda: not drawing.is_busy, timeout=5000)
    assert [kind for kind, *_ in caught] == [ValueError]


def test_steps_at_once_return_what_they_return():
    def steps():
        yield
        return 7

    assert at_once(steps()) == 7
    with pytest.raises(ValueError, match="no"):
        at_once(_failing())


def _failing():
    yield
    raise ValueError("no")
