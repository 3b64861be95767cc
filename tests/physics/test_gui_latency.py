"""A window stays alive while the decoder uses every core."""

import threading

import numpy as np
import pytest

from napari_blochnet import EPGDecoder, Schedule
from napari_blochnet.physics.kernels import real


def _schedule(length: int) -> Schedule:
    n = np.arange(length)
    return Schedule(10.0 + 50.0 * np.sin(n / 20.0) ** 2, 12.0, 4.0, inversion_time=20.0)


def _turns_while(qtbot, work, busy, wanted: int) -> int:
    """Let a thread repeat some work until the event loop has turned so often while it was busy; return how often."""
    from qtpy.QtCore import Qt, QTimer

    turns: list[bool] = []
    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.setInterval(2)
    timer.timeout.connect(lambda: turns.append(busy()))
    finished = threading.Event()

    def repeat() -> None:
        try:
            # a fast machine is through before the loop has turned often
            for _ in range(50):
                work()
                if sum(turns) >= wanted:
                    break
        finally:
            finished.set()

    worker = threading.Thread(target=repeat)
    timer.start()
    worker.start()
    qtbot.waitUntil(finished.is_set, timeout=120_000)
    timer.stop()
    worker.join()
    return sum(turns)


@pytest.mark.gui
def test_the_event_loop_turns_while_every_core_simulates(qtbot):
    # 100,000 voxels of 100 pulses: many blocks for every thread
    decoder = EPGDecoder(_schedule(100), states=40)
    rng = np.random.default_rng(0)
    t1, t2 = rng.uniform(300, 3000, 100_000).astype(np.float32), rng.uniform(20, 250, 100_000).astype(np.float32)
    out = np.zeros((len(t1), 100), np.float32)
    decoder.signal(t1[:2000], t2[:2000])  # compiles
    working = threading.Event()

    def work() -> None:
        working.set()
        decoder.signal(t1, t2, out=out)
        working.clear()

    assert _turns_while(qtbot, work, working.is_set, 30) >= 30
    assert np.isfinite(out[-1]).all()


@pytest.mark.gui
def test_the_event_loop_turns_inside_one_call_of_a_kernel(qtbot, monkeypatch):
    # one block: what is counted is inside compiled code, where only a kernel without Python's lock lets others run
    decoder = EPGDecoder(_schedule(4000), states=200)
    t1, t2 = np.full(100, 900.0, np.float32), np.full(100, 90.0, np.float32)
    decoder.signal(t1[:1], t2[:1])  # compiles
    inside, kernel = threading.Event(), real.real_block

    def watched(*arguments) -> None:
        inside.set()
        kernel(*arguments)
        inside.clear()

    monkeypatch.setattr(real, "real_block", watched)
    assert _turns_while(qtbot, lambda: decoder.signal(t1, t2), inside.is_set, 30) >= 30
