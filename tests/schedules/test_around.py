"""Preparations, recovery and trains in schedule files, and as hints to files without them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.common.origin_marks import is_marked
from napari_blochnet.schedules.preparations import Preparation, PreparationResponse
from napari_blochnet.schedules.schedule import Schedule
from napari_blochnet.schedules.schedule_files import read_schedule, write_schedule

_TABLE = "flip_angle_deg,repetition_time_ms,echo_time_ms\n10,12,3\n60,90,3\n25,15,3\n"


def _response(t1: int, t2: int, b1: int, seed: int) -> PreparationResponse:
    random = np.random.default_rng(seed)
    axes = (np.geomspace(10, 5000, t1), np.geomspace(1, 2000, t2), np.linspace(0.5, 1.5, b1))
    return PreparationResponse(*axes, *random.normal(size=(2, t1, t2, b1)))


def _file(folder: Path, *comments: str) -> Path:
    (folder / "train.csv").write_text("".join(f"# {line}\n" for line in comments) + _TABLE)
    return folder / "train.csv"


def test_all_of_it_comes_back_from_csv(tmp_path: Path) -> None:
    small, large = _response(2, 3, 1, 0), _response(30, 25, 3, 1)
    schedule = Schedule(
        [10.0, 60.0, 25.0, 40.0],
        [12.0, 90.0, 15.0, 12.0],
        3.0,
        preparations=[
            Preparation(0, "saturation", 2.5, 100 / 3, 0.99, name="water, selective\n=1+1"),
            Preparation(2, "t2", 0.1 + 0.2, 20.0, 0.9, adiabatic=False),
            Preparation(2, "t2", 0.1 + 0.2, 20.0, 0.9, adiabatic=False),
            Preparation(2, "simulated", 8.0, 1.0, response=small, name="MLEV-4"),
            Preparation(3, "simulated", 1.0, response=large),
            Preparation(3, "simulated", 2.0, response=small),
        ],
        inversion_time=12.3,
        recovery_time=1000 / 3,
        trains=4,
    )
    path = tmp_path / "train.csv"
    write_schedule(schedule, path)
    again = read_schedule(path)
    assert again == schedule
    assert [item.name for item in again.preparations] == ["water, selective =1+1", "", "", "MLEV-4", "", ""]
    assert is_marked(path)
    steady = schedule.replace(trains="steady", preparations=(), recovery_time=0.0)
    write_schedule(steady, path)
    assert read_schedule(path) == steady


def test_a_plain_file_has_no_new_lines(tmp_path: Path) -> None:
    write_schedule(Schedule([10.0, 20.0], 12.0, 3.0, inversion_time=20.0), tmp_path / "train.csv")
    comments = [line for line in (tmp_path / "train.csv").read_text().splitlines() if line.startswith("#")]
    assert comments == ["# inversion_time_ms: 20.0", "# inversion_efficiency: 1.0", "# receiver_phase: follows"]


def test_lines_written_by_hand(tmp_path: Path) -> None:
    lines = ["preparation: saturation before pulse 1, then 5 ms", "preparation: t2 of 40 ms before pulse 3, then 10 ms"]
    path = _file(tmp_path, *lines, "TI: 20 ms", "trains: Steady", "recovery_time_ms: 1000")
    assert read_schedule(path) == Schedule(
        [10.0, 60.0, 25.0], [12.0, 90.0, 15.0], 3.0, inversion_time=20.0, recovery_time=1000.0, trains="steady",
        preparations=[Preparation(0, "saturation", delay=5.0), Preparation(2, "t2", 40.0, 10.0)],
    )  # fmt: skip


def test_prose_stays_prose(tmp_path: Path) -> None:
    path = _file(tmp_path, "preparation: as on the scanner", "trains of pulses: many")
    with pytest.warns(DataWarning, match="not used as part of the schedule: '# preparation: as on the scanner'"):
        assert read_schedule(path) == Schedule([10.0, 60.0, 25.0], [12.0, 90.0, 15.0], 3.0)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("preparation: spin lock before pulse 2", "train.csv: 'spin lock before pulse 2' is no preparation; expected"),
        (
            "preparation: t2 of 50 ms before pulse 2",
            "train.csv: what is played before pulse 2 takes 50 ms, where pulse",
        ),
        (
            "preparation: delay of 5 ms before pulse 9",
            "train.csv: a preparation lies before pulse 9 where the schedule",
        ),
        ("preparation: simulated before pulse 2, response 1", "train.csv: 'response 1' of the preparation"),
        ("trains: many", "train.csv: the line '# trains' holds 'many'; expected how many are played, or steady"),
        ("trains: 0", "train.csv: the line '# trains' holds '0'"),
        ("recovery_time_ms: long", "train.csv: the line '# recovery_time_ms' holds 'long'; expected one number"),
        ("recovery_time_ms: nan", "train.csv: recovery_time is nan ms; expected at least 0 ms"),
        ("response 1 t1 1: 1 2 x", "train.csv: the line '# response 1 t1 1' holds something that is not a number"),
        ("response 1 t1 1: 1 2", "train.csv: the lines '# response 1' lack a, b, b1, t2; expected all of them"),
    ],
)
def test_lines_that_cannot_be_read(tmp_path: Path, line: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        read_schedule(_file(tmp_path, line))
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_hints_say_what_a_file_does_not(tmp_path: Path, kind: str) -> None:
    path = _file(tmp_path)
    plain = read_schedule(path)
    if kind == "json":
        path = tmp_path / "train.json"
        path.write_text(json.dumps(plain.to_dict()))
    hints: dict[str, Any] = {"trains": 4, "recovery_time": 1000.0, "preparations": ["saturation before pulse 1"]}
    assert read_schedule(path, **hints) == plain.replace(**hints)
    assert read_schedule(path, trains=1, preparations=[]) == plain


@pytest.mark.parametrize(
    ("hint", "sentence"),
    [
        ({"trains": 3}, "train.csv: states trains: 4 itself, which the hint trains contradicts; leave it out."),
        ({"recovery_time": 0.0}, "train.csv: states a recovery time of 500.0 ms itself, which the hint recovery_time"),
        ({"preparations": []}, "train.csv: states preparations itself, which the hint preparations contradicts"),
    ],
)
def test_hints_that_contradict_the_file(tmp_path: Path, hint: dict[str, Any], sentence: str) -> None:
    path = _file(tmp_path, "trains: 4", "recovery_time_ms: 500", "preparation: saturation before pulse 2")
    stated = read_schedule(path)
    assert read_schedule(path, trains=4, recovery_time=500.0, preparations=["saturation before pulse 2"]) == stated
    with pytest.raises(InputError) as caught:
        read_schedule(path, **hint)
    assert str(caught.value).startswith(sentence)
    assert caught.value.field in hint


def test_times_of_others_in_seconds(tmp_path: Path) -> None:
    prepared = [{"before": 2, "kind": "t2", "duration": 0.04, "delay": 0.01}]
    content = {"flip_angle": [10, 60, 25], "repetition_time": [0.012, 0.09, 0.015], "echo_time": 0.003, "trains": 2}
    content |= {"recovery_time": 1.5, "preparations": prepared}
    (tmp_path / "train.json").write_text(json.dumps(content))
    read = read_schedule(tmp_path / "train.json", time_unit="s", angle_unit="deg")
    assert (read.recovery_time, read.trains) == (1500.0, 2)
    (only,) = read.preparations
    assert (only.duration, only.delay) == pytest.approx((40.0, 10.0))
