"""Trains that leave nothing but rounding make no signal; all others do."""

from __future__ import annotations

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.physics.train_signal import check_train_signal
from napari_blochnet.schedules.preparations import Preparation


def train(angle, **more) -> nb.Schedule:
    return nb.Schedule(np.broadcast_to(angle, 60), 12.0, 4.0, **more)


@pytest.mark.parametrize("angle", [0.0, 180.0, 360.0, 720.0, 179.99999, [0.0, 180.0, 360.0] * 20])
@pytest.mark.parametrize("inversion_time", [None, 20.0])
def test_nothing_but_rounding(angle, inversion_time):
    schedule = train(angle, inversion_time=inversion_time)
    with pytest.raises(InputError, match="makes no signal") as said:
        check_train_signal(schedule)
    assert said.value.field == "schedule"
    with pytest.raises(InputError, match="makes no signal"):
        nb.cramer_rao_bound(schedule, 800.0, 80.0, sigma=0.01)
    with pytest.raises(InputError, match="makes no signal"):
        nb.simulate(nb.synthetic_phantom(shape=(2, 9, 9)), schedule)


@pytest.mark.parametrize(
    ("angle", "more"),
    [
        (1e-4, {}),
        (179.9, {}),
        ([180.0] * 59 + [90.0], {}),
        ([0.0] * 59 + [5.0], {"inversion_time": 0.0}),
        (180.0, {"slice_profile": [0.5, 1.0]}),
        (60.0, {"rf_phase": 50.0 * np.arange(60) ** 2}),
    ],
)
def test_a_signal(angle, more):
    schedule = train(angle, **more)
    check_train_signal(schedule)
    # as the decoder has it
    assert np.abs(np.asarray(nb.EPGDecoder(schedule)(1000.0, 100.0))).max() > 1e-6


def test_a_signal_where_b1_makes_one():
    schedule = train(180.0)
    check_train_signal(schedule, [1.0, 0.8])
    assert np.isfinite(nb.cramer_rao_bound(schedule, 800.0, 80.0, b1=0.8, sigma=0.01).pd)
    with pytest.raises(InputError, match="makes no signal"):
        check_train_signal(schedule, [1.0, 2.0])


def test_preparations_that_leave_nothing():
    saturated = nb.Schedule([40.0], 12.0, 4.0, preparations=[Preparation(0, "saturation")], trains=3)
    with pytest.raises(InputError, match="makes no signal"):
        check_train_signal(saturated)
    check_train_signal(saturated, 0.9)
    # what recovers after it, what is saturated less, and a second pulse make one
    check_train_signal(saturated.replace(preparations=[Preparation(0, "saturation", delay=5.0)]))
    check_train_signal(saturated.replace(preparations=[Preparation(0, "saturation", efficiency=0.9)]))
    check_train_signal(nb.Schedule([40.0, 40.0], 12.0, 4.0, preparations=[Preparation(0, "saturation")]))
