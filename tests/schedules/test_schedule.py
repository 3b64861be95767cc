"""The schedule's own rules."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.schedules.schedule import Schedule


def test_a_number_stands_for_all_pulses() -> None:
    schedule = Schedule([10, 20, 30], 12.0, [3, 4, 5])
    np.testing.assert_array_equal(schedule.repetition_time, [12, 12, 12])
    np.testing.assert_array_equal(schedule.rf_phase, [0, 0, 0])
    assert len(schedule) == 3
    assert schedule.duration == 36.0
    assert schedule.replace(inversion_time=20.0).duration == 56.0


def test_fields_cannot_be_changed_behind_its_back() -> None:
    flip = np.array([10.0, 20.0])
    schedule = Schedule(flip, 12.0, 3.0)
    flip[0] = 99.0
    assert schedule.flip_angle[0] == 10.0
    with pytest.raises(ValueError, match="read-only"):
        schedule.flip_angle[0] = 1.0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([], 12.0, 3.0), "flip_angle is empty"),
        (([1, 2], [1, 2, 3], 0.5), "flip_angle has 2 values where the schedule has 3 pulses"),
        (([1, np.nan], 12.0, 3.0), "flip_angle is nan at pulse 2"),
        (([1, 2], 0.0, 0.0), "repetition_time is 0 at pulse 1; expected above 0 ms"),
        (([1, 2], [12, 2], 3.0), "echo_time is 3 at pulse 2; expected at most the TR"),
        (([1, 2], 12.0, -1.0), "echo_time is -1 at pulse 1"),
        (("ten", 12.0, 3.0), "flip_angle holds something that is not a number"),
        (([[1, 2]], 12.0, 3.0), r"flip_angle has shape \(1, 2\)"),
    ],
)
def test_mistakes_are_sentences(arguments: tuple, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Schedule(*arguments)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("inversion_time", -1.0, "inversion_time is -1 ms; expected at least 0 ms"),
        ("inversion_efficiency", 1.5, "inversion_efficiency is 1.5; expected from 0 to 1"),
        ("slice_profile", [], "slice_profile is empty"),
        ("receiver_phase", "turns", "receiver_phase is 'turns'"),
    ],
)
def test_mistakes_in_single_values(field: str, value: object, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        Schedule(10.0, 12.0, 3.0, **{field: value})  # type: ignore[arg-type]
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("phases", "real"),
    [
        ([0, 0, 0, 0], True),
        ([0, 180, 0, 180], True),
        ([90, -90, 270, 90], True),
        ([0, 117, 234, 351], True),  # linear in the pulse number
        ([0, 117, 351, 342], False),  # RF spoiling is quadratic
        ([0, 90, 0, 0], False),
        ([15], True),
    ],
)
def test_where_the_recursion_is_real(phases: list[float], real: bool) -> None:
    assert Schedule(np.full(len(phases), 10.0), 12.0, 3.0, phases).is_real is real


def test_equality_is_by_what_acts_on_the_signal() -> None:
    schedule = Schedule([10, 20], 12.0, 3.0, name="a")
    assert schedule == Schedule([10, 20], [12, 12], [3, 3], name="b")
    assert hash(schedule) == hash(schedule.replace(name="b"))
    assert schedule != schedule.replace(inversion_time=0.0)
    assert schedule != schedule.replace(slice_profile=[1.0, 0.5])
    assert schedule != "schedule"


def test_dictionary_round_trip_through_json() -> None:
    schedule = Schedule([0.1, 1 / 3], [12.3, 1e2], 3.0, [0, 117], 20.0, 0.95, [1, 0.7], "fixed", "mine")
    again = Schedule.from_dict(json.loads(json.dumps(schedule.to_dict())))
    assert again == schedule
    assert (again.name, again.receiver_phase) == ("mine", "fixed")
    with pytest.raises(InputError, match="unknown entries colour"):
        Schedule.from_dict({**schedule.to_dict(), "colour": 1})
    with pytest.raises(InputError, match="missing entries echo_time"):
        Schedule.from_dict({"flip_angle": [1], "repetition_time": [2]})
    with pytest.raises(InputError, match="Found list"):
        Schedule.from_dict([1, 2])  # type: ignore[arg-type]


def test_description_names_ranges_and_units() -> None:
    text = Schedule([0, 70], [12, 14], 3.0, [0, 90], 20.0, 0.9, name="mine").describe()
    assert text == (
        "mine: 2 pulses, flip angle 0–70°, TR 12–14 ms, TE 3 ms, inversion, TI 20 ms, efficiency 0.9, varying RF phase"
    )
