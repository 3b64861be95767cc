"""Which schedule files leave it open whether there is an inversion pulse: it decides the maps, and nothing tells it."""

from __future__ import annotations

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.jobs.operations.opening import leaves_inversion_open
from napari_blochnet.jobs.settings_schedules import ScheduleFileSettings
from napari_blochnet.schedules.schedule_files import write_schedule

TABLE = "flip_angle_deg,repetition_time_ms,echo_time_ms\n10,12,3\n20,12,3\n"


@pytest.mark.parametrize(
    ("text", "given", "is_open"),
    [
        (TABLE, {}, True),
        # what else is open changes nothing
        ("flip_angle_deg\n10\n20\n", {}, True),
        (TABLE, {"inversion_time": 0.0}, False),
        (f"# inversion: none\n{TABLE}", {}, False),
        (f"# TI = 20 ms\n{TABLE}", {}, False),
        ("flip_angle_deg,TR_ms,TE_ms,TI_ms\n10,12,3,20\n20,12,3,20\n", {}, False),
        ("flip_angle_deg,TR_ms,TE_ms,inversion\n10,12,3,0\n20,12,3,0\n", {}, False),
        # asked for anyway
        ("flip_angle_deg,TR_ms,TE_ms,inversion\n10,12,3,1\n20,12,3,1\n", {}, False),
        ("no table\n", {}, False),
    ],
)
def test_whether_a_file_says(text, given, is_open, tmp_path):
    path = tmp_path / "s.csv"
    path.write_text(text)
    assert leaves_inversion_open(ScheduleFileSettings(path=str(path), **given)) is is_open


@pytest.mark.parametrize("time", [None, 20.0])
def test_files_of_ours_say(time, tmp_path):
    write_schedule(nb.Schedule(np.linspace(10, 60, 24), 12.0, 4.0, inversion_time=time), tmp_path / "s.csv")
    assert not leaves_inversion_open(ScheduleFileSettings(path=str(tmp_path / "s.csv")))


def test_acquired_files(shared_data):
    path = shared_data / "acquired" / "vumc_mrf_500" / "MRF_500.csv"
    assert leaves_inversion_open(ScheduleFileSettings(path=str(path)))
    answered = {"flip_angle": 60.0, "repetition_time": 15.0, "echo_time": 3.3}
    assert leaves_inversion_open(ScheduleFileSettings(path=str(path), **answered))
    assert not leaves_inversion_open(ScheduleFileSettings(path=str(path), **answered, inversion_time=15.0))
