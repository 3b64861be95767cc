"""What the smoothness benchmark measures with, and drawing in steps."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
from qtpy.QtCore import QCoreApplication, QEvent, QTimer
from qtpy.QtWidgets import QWidget

from napari_blochnet.napari_ui.background.turns import Turns, at_once
from napari_blochnet.napari_ui.benchmark import event_loop
from napari_blochnet.napari_ui.benchmark.event_loop import measure_gaps, turn_until


class _Clock:
    """A clock that is set by hand, in place of the module `time`."""

    now = cpu = 0.0

    def perf_counter(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.cpu


@pytest.fixture
def clock(monkeypatch):
    clock = _Clock()
    monkeypatch.setattr(event_loop, "time", clock)
    return clock


def _stand_still(stood: list[float]) -> None:
    begin = time.perf_counter()
    time.sleep(0.3)
    stood.append(time.perf_counter() - begin)


def test_a_gap_is_as_long_as_it_was_and_has_a_cause(qtbot):
    stood: list[float] = []
    with measure_gaps() as gaps:
        assert turn_until(lambda: gaps.ticks > 5, 60.0)
        QTimer.singleShot(0, lambda: _stand_still(stood))
        assert turn_until(lambda: bool(stood) and "_stand_still" in gaps.cause, 60.0)
    assert gaps.longest >= stood[0] >= 0.3
    # it slept, and computed nothing
    assert gaps.longest_cpu < stood[0]
    assert gaps.over_100_ms >= 1


def test_gaps_are_told_from_ticks(clock):
    gaps = event_loop.Gaps()
    for now, cpu in ((0.005, 0.001), (0.010, 0.002), (0.200, 0.052), (0.205, 0.053)):
        clock.now, clock.cpu = now, cpu
        gaps._tick()
    assert (gaps.ticks, gaps.over_100_ms, gaps.cause) == (4, 1, "")
    assert (gaps.longest, gaps.longest_cpu) == pytest.approx((0.19, 0.05))


def test_a_loop_that_turns_has_no_gap(qtbot, clock):
    def looks() -> bool:
        # every look at the loop takes one interval of the clock
        clock.now += 0.005
        return gaps.ticks > 10

    with measure_gaps() as gaps:
        assert turn_until(looks, 60.0)
    assert gaps.ticks > 10
    assert gaps.over_100_ms == 0
    assert gaps.cause == ""


def test_turning_ends_when_the_condition_holds(qtbot, clock):
    # the clock stands still: no time that was given can run out
    done = threading.Event()
    QTimer.singleShot(50, done.set)
    assert turn_until(done.is_set, 20.0)
    # and without the condition it is the time alone that ends it
    QTimer.singleShot(50, lambda: setattr(clock, "now", 20.0))
    assert not turn_until(lambda: False, 20.0)


def test_steps_leave_the_loop_turning_between_them(qtbot):
    turns, order = Turns(), []

    def steps(name):
        for number in range(3):
            order.append(f"{name}{number}")
            QTimer.singleShot(0, lambda: order.append("turn"))
            yield
        return name

    turns.add(steps("a"))
    turns.add(steps("b"))
    assert turns.is_busy
    with qtbot.waitSignal(turns.finished, timeout=5000):
        pass
    drawn = [item for item in order if item != "turn"]
    assert drawn == ["a0", "a1", "a2", "b0", "b1", "b2"]
    # the loop turned between any two steps
    places = [order.index(item) for item in drawn]
    assert all("turn" in order[first:second] for first, second in itertools.pairwise(places[1:]))
    assert not turns.is_busy


class _Painted(QWidget):
    """Tells when it is painted and when a key was pressed."""

    def __init__(self, order) -> None:
        super().__init__()
        self.order = order
        self.on_key = lambda: order.append("key")

    def paintEvent(self, event):
        self.order.append("paint")

    def event(self, event):
        if event.type() == QEvent.Type.User:
            self.on_key()
        return super().event(event)


@pytest.fixture
def window(qtbot):
    """A window that is on the screen and has nothing left to paint."""
    window = _Painted([])
    qtbot.addWidget(window)
    window.show()
    qtbot.waitExposed(window)
    qtbot.wait(100)
    window.order.clear()
    return window


def test_what_a_step_changed_is_painted_in_a_turn_of_its_own(window, qtbot):
    order = window.order
    turns = Turns(None, lambda: window)

    def steps():
        for number in range(4):
            window.update()
            # a key that was pressed meanwhile; Qt's own order is paint, then key
            QCoreApplication.postEvent(window, QEvent(QEvent.Type.User), -10)
            order.append(f"step {number}")
            yield

    turns.add(steps())
    with qtbot.waitSignal(turns.finished, timeout=5000):
        pass
    assert order == [item for number in range(4) for item in (f"step {number}", "key", "paint")]


@pytest.mark.parametrize("end", ["close", "forget"])
def test_what_was_put_off_is_painted_whatever_becomes_of_the_turns(window, qtbot, end):
    order = window.order
    held = [Turns(None, lambda: window)]

    def steps():
        window.update()
        QCoreApplication.postEvent(window, QEvent(QEvent.Type.User), -10)
        yield
        order.append("next step")
        yield

    def on_key():
        order.append("key")
        assert held[0]._is_paint_due
        if end == "close":
            held[0].clear()
        else:
            held.clear()

    window.on_key = on_key
    held[0].add(steps())
    qtbot.waitUntil(lambda: order == ["key", "paint"], timeout=5000)
    qtbot.waitUntil(lambda: not any(turns.is_busy for turns in held), timeout=5000)
    window.update()
    qtbot.waitUntil(lambda: order == ["key", "paint", "paint"], timeout=5000)


def test_steps_that_fail_end_the_turns(qtbot):
    turns = Turns()

    def fails():
        yield
        raise ValueError("no")

    def never():
        raise AssertionError("drawn after a failure")
        yield

    turns.add(fails())
    turns.add(never())
    with qtbot.captureExceptions() as caught:
        qtbot.waitUntil(lambda: not turns.is_busy, timeout=5000)
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
