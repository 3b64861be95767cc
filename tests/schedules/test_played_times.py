"""When everything of a schedule is played, against sums written out by hand."""

from __future__ import annotations

import numpy as np

from napari_blochnet.schedules.played_times import played_times
from napari_blochnet.schedules.preparations import Preparation
from napari_blochnet.schedules.schedule import Schedule


def test_preparations_end_at_their_pulse_one_after_the_other():
    schedule = Schedule(
        [10.0, 20.0, 30.0], [100.0, 200.0, 50.0], 5.0, inversion_time=21.0, trains=3, recovery_time=1000.0,
        preparations=[Preparation(2, "t2", duration=40.0, delay=10.0), Preparation(2, "saturation", delay=4.0),
                      Preparation(0, "delay", delay=7.0)],
    )  # fmt: skip
    times = played_times(schedule)
    # 7 ms of delay and 21 ms of TI lie ahead of the first pulse
    np.testing.assert_allclose(times.pulses, [28.0, 128.0, 328.0])
    played = [(each.preparation.kind, each.start) for each in times.preparations]
    assert played == [("delay", 0.0), ("inversion", 7.0), ("t2", 274.0), ("saturation", 324.0)]
    assert (times.end, times.period) == (378.0, 1378.0)
    assert schedule.duration == 2 * times.period + times.end


def test_a_plain_train_begins_with_its_first_pulse():
    times = played_times(Schedule([10.0, 20.0], 12.0, 2.0))
    np.testing.assert_allclose(times.pulses, [0.0, 12.0])
    assert (times.preparations, times.end, times.period) == ((), 24.0, 24.0)
