"""What a schedule file leaves open, asked for in the words of the command that meets it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner

from napari_blochnet.cli.main import blochnet
from napari_blochnet.jobs.settings_schedules import ScheduleFileSettings
from napari_blochnet.schedules.schedule_files import read_schedule

_FA = np.deg2rad([5.0, 30.0, 70.0, 10.0])


def _run(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(blochnet, list(words))
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    content = {"fa": _FA, "tr": [12.0, 13.0, 14.0, 12.0], "te": 3.0, "inversion": True}
    scipy.io.savemat("my rad.mat", content)
    np.save("stack.npy", np.ones((4, 2, 2), np.complex64))
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ["reconstruct", "stack.npy", "--schedule"],
        ["simulate", "--phantom", "stack.npy", "--schedule"],
        ["train", "--schedule"],
    ],
)
def test_the_command_that_is_named_leaves_no_question(folder: Path, command: list[str]) -> None:
    output = "out.nii.gz" if command[0] == "simulate" else "out"
    said = _run(*command, "my rad.mat", "-o", output, code=2)
    assert "the unit of the flip angle is not stated" in said
    assert "give angle_unit" not in said
    advised = said.split("make a schedule that says it: ")[1].rstrip(".\n")
    words = shlex.split(advised)
    assert words == [
        "blochnet",
        "schedule",
        "convert",
        "my rad.mat",
        "--angle-unit",
        "rad",
        "--inversion-time",
        "MS",
        "-o",
        "my rad-schedule.csv",
    ]
    _run(*["20" if word == "MS" else word for word in words[1:]])
    made = read_schedule(words[-1])
    np.testing.assert_allclose(made.flip_angle, np.rad2deg(_FA))
    assert made.inversion_time == 20.0


def test_every_hint_that_is_asked_for_is_an_option_of_show_and_convert(folder: Path) -> None:
    for command in ("show", "convert"):
        listed = _run("schedule", command, "--help")
        for field in ScheduleFileSettings.model_fields:
            if field not in ("kind", "path"):
                several = field in ScheduleFileSettings.fields_of_several()
                assert f"--{(field.removesuffix('s') if several else field).replace('_', '-')} " in listed
    said = _run("schedule", "show", "my rad.mat", code=2)
    assert "give angle_unit as 'deg', 'rad' or 'fraction', and inversion_time, in ms." in said


def test_options_for_structures_and_columns(folder: Path) -> None:
    scipy.io.savemat("s.mat", {"a": {"fa": [5.0, 70.0], "tr": 12.0, "te": 3.0}, "b": {"fa": [5.0, 60.0], "tr": 12.0}})
    assert "flip angle 5–70°" in _run("schedule", "show", "s.mat", "--variable", "a")
    Path("s.txt").write_text("12 5 3\n12 70 3\n")
    assert "flip angle 5–70°" in _run("schedule", "show", "s.txt", "--columns", "tr fa te")


def test_json_of_others_in_radians_and_seconds(folder: Path) -> None:
    content = {"flip_angle": [0.1, 0.5, 1.2, 0.2], "repetition_time": [0.012] * 4, "echo_time": 0.003}
    Path("s.json").write_text(json.dumps(content))
    said = _run("reconstruct", "stack.npy", "--schedule", "s.json", "-o", "out", code=2)
    assert "blochnet schedule convert s.json --angle-unit rad -o s-schedule.csv (or deg, fraction)" in said
    _run("schedule", "convert", "s.json", "--angle-unit", "rad", "--time-unit", "s", "-o", "s-schedule.csv")
    np.testing.assert_allclose(read_schedule("s-schedule.csv").flip_angle, np.rad2deg([0.1, 0.5, 1.2, 0.2]))


def test_a_comment_on_an_inversion_is_asked_about_by_its_option(folder: Path) -> None:
    Path("c.csv").write_text("# TI: about 20 ms\nfa_deg,tr_ms,te_ms\n10,12,3\n70,12,3\n")
    said = _run("reconstruct", "stack.npy", "--schedule", "c.csv", "-o", "out", code=2)
    assert "whose time cannot be read" in said
    assert "--inversion-time MS" in said
    assert "TI 20 ms" in _run("schedule", "show", "c.csv", "--inversion-time", "20")
