"""A window stays alive while the decoder uses every core."""

import threading
import time

import numpy as np
import pytest

from napari_blochnet import EPGDecoder, Schedule


@pytest.mark.gui
def test_qt_timer_ticks_on_while_a_worker_simulates(qtbot):
    from qtpy.QtCore import Qt, QTimer

    # 400,000 voxels of 100 pulses: 160 MB, and a fraction of a second on a fast machine, hence again and again
    n = np.arange(100)
    schedule = Schedule(10.0 + 50.0 * np.sin(n / 20.0) ** 2, 12.0, 4.0, inversion_time=20.0)
    decoder = EPGDecoder(schedule, states=40)
    rng = np.random.default_rng(0)
    t1, t2 = rng.uniform(300, 3000, 400_000).astype(np.float32), rng.uniform(20, 250, 400_000).astype(np.float32)
    out = np.zeros((len(t1), len(n)), np.float32)
    decoder.signal(t1[:2000], t2[:2000])  # compiles

    ticks: list[float] = []
    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.setInterval(20)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    finished = threading.Event()

    def work() -> None:
        try:
            for _ in range(20):
                decoder.signal(t1, t2, out=out)
                if len(ticks) > 60:
                    break
        finally:
            finished.set()

    worker = threading.Thread(target=work)
    timer.start()
    qtbot.waitUntil(lambda: len(ticks) >= 3)
    ticks.clear()
    worker.start()
    qtbot.waitUntil(finished.is_set, timeout=60_000)
    timer.stop()
    worker.join()
    assert np.isfinite(out[-1]).all()
    assert len(ticks) > 60, "the timer hardly ticked"
    gaps = np.diff(ticks)
    assert gaps.max() < 0.1, f"longest gap {1e3 * gaps.max():.0f} ms"
