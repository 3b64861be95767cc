"""Schedules in JSON that others wrote: their units are stated, asked for, or plausible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.schedules.missing import MissingHintError
from napari_blochnet.schedules.schedule import Schedule
from napari_blochnet.schedules.schedule_files import read_schedule

_DEGREES = np.array([10.0, 30.0, 55.0])
_PLAIN = {"flip_angle": [10.0, 30.0, 55.0], "repetition_time": [12.0, 13.0, 14.0], "echo_time": 3.0}


def _path(folder: Path, **content: Any) -> Path:
    (folder / "s.json").write_text(json.dumps(content))
    return folder / "s.json"


def test_the_sentence_on_names_says_the_units(tmp_path: Path) -> None:
    path = _path(tmp_path, TR=[0.012], TE=[0.003], TI=0.02, units={"TR": "s"})
    with pytest.raises(InputError, match=r"flip_angle and rf_phase in degrees, times in ms\.") as caught:
        read_schedule(path)
    assert "repetition_time" in str(caught.value)


@pytest.mark.parametrize("embedded", [False, True])
def test_radians_and_seconds_are_asked_for(tmp_path: Path, embedded: bool) -> None:
    content: dict[str, Any] = {
        "flip_angle": np.deg2rad(_DEGREES).tolist(), "repetition_time": [0.012, 0.013, 0.014], "echo_time": 0.003,
        "inversion_time": 0.02, "rf_phase": [0.0, np.pi, 0.0],
    }  # fmt: skip
    path = _path(tmp_path, **({"schedule": content} if embedded else content))
    with pytest.raises(MissingHintError, match=r"flip_angle of 0\.17\S* to 0\.95\S* is hardly in degrees; give angle"):
        read_schedule(path)
    with pytest.raises(MissingHintError, match=r"repetition_time of 0\.012 to 0\.014 is hardly in ms; give time_unit"):
        read_schedule(path, angle_unit="rad")
    schedule = read_schedule(path, angle_unit="rad", time_unit="s")
    np.testing.assert_allclose(schedule.flip_angle, _DEGREES)
    np.testing.assert_allclose(schedule.rf_phase, [0, 180, 0])
    np.testing.assert_allclose(schedule.repetition_time, [12, 13, 14])
    np.testing.assert_allclose(schedule.echo_time, 3)
    assert schedule.inversion_time == pytest.approx(20)


def test_microseconds_are_asked_for(tmp_path: Path) -> None:
    path = _path(tmp_path, **{**_PLAIN, "repetition_time": [12000, 13000, 14000], "echo_time": 3000})
    with pytest.raises(MissingHintError, match="hardly in ms; give time_unit"):
        read_schedule(path)
    np.testing.assert_allclose(read_schedule(path, time_unit="us").repetition_time, [12, 13, 14])


@pytest.mark.parametrize("key", ["echo_time", "inversion_time"])
def test_a_time_in_another_unit_than_the_trs_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(InputError, match=rf"s\.json: has an {key} of 0\.02, hardly in ms; expected all times in ms"):
        read_schedule(_path(tmp_path, **{**_PLAIN, key: 0.02}))


def test_fractions_take_their_nominal_angle(tmp_path: Path) -> None:
    path = _path(tmp_path, **{**_PLAIN, "flip_angle": [0.5, 1.0, 0.25]})
    with pytest.raises(MissingHintError, match="give flip_angle, in degrees"):
        read_schedule(path, angle_unit="fraction")
    np.testing.assert_array_equal(read_schedule(path, angle_unit="fraction", flip_angle=60.0).flip_angle, [30, 60, 15])


@pytest.mark.parametrize(
    "changes",
    [{}, {"flip_angle": [5, 5, 6]}, {"repetition_time": [12.0, 13.0, 5000.0]}, {"flip_angle": [0.5, 1.5, 70.0]}],
)
def test_what_can_be_degrees_and_ms_opens_as_it_did(tmp_path: Path, changes: dict[str, Any]) -> None:
    content = {**_PLAIN, **changes}
    assert read_schedule(_path(tmp_path, **content)) == Schedule(**content)


@pytest.mark.parametrize("left_out", [(), ("record",)])
def test_our_own_is_not_asked_about(tmp_path: Path, left_out: tuple[str, ...]) -> None:
    schedule = Schedule([0.3, 0.7], [0.5, 0.6], 0.1, inversion_time=0.2)
    content = {key: value for key, value in schedule.to_dict().items() if key not in left_out}
    assert read_schedule(_path(tmp_path, **content)) == schedule
    with pytest.raises(InputError, match="states the whole schedule itself"):
        read_schedule(_path(tmp_path, **content), time_unit="s")


def test_other_hints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leave the hints out except angle_unit and time_unit"):
        read_schedule(_path(tmp_path, **_PLAIN), echo_time=3.0)
