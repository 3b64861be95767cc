"""What comment lines of a schedule state: read as columns are, named in a note, or asked for; never dropped unsaid."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.schedules.missing import MissingHintError
from napari_blochnet.schedules.schedule import Schedule
from napari_blochnet.schedules.schedule_files import read_schedule, write_schedule

_ROWS = "flip_angle_deg,tr_ms,te_ms\n10,12.5,3\n70,13,3\n"


def _path(folder: Path, *comments: str, rows: str = _ROWS) -> Path:
    path = folder / "s.csv"
    path.write_text("".join(f"{each}\n" for each in comments) + rows, encoding="utf-8")
    return path


def _read(path: Path, **hints: Any) -> Schedule:
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        return read_schedule(path, **hints)


@pytest.mark.parametrize(
    "comment",
    [
        "# TI = 20.6 ms",
        "# TI=20.6ms",
        "# TI = 0.0206 s",
        "# inversion_time_s: 0.0206",
        "# inversion_time_ms = 20.6",
        "# Inversion_Time_ms: 20.6",
        "# Inversion time (s): 0.0206",
        "# Inversion-time [ms]: 20.6",
        "# TI_ms: 20.6",
        "# inversion_time_ms: 20,6",
        "# TI: 20,6 ms",
        "% inversionTime: 20600 µs",
        "// Inversion delay = 20.6 (ms)",
        "# inv_time: 2.06e1",
        "# inversion: 20.6 ms",
        "# Note: TI = 20.6 ms",
        "# TI 20.6 ms",
        "# inversion time 20,6",
        "# spoiled gradient echo, TI = 20.6 ms",
        "#TI (nominal value): 20.6 msec,,",
        '"# TI = 20,6 ms",,',
    ],
)
def test_an_inversion_time_however_it_is_written(tmp_path: Path, comment: str) -> None:
    assert _read(_path(tmp_path, comment)).inversion_time == pytest.approx(20.6, rel=1e-12)


def test_several_quantities_in_one_comment(tmp_path: Path) -> None:
    path = _path(tmp_path, "# TR = 12 to 13 ms, TE = 3 ms, TI = 20,6 ms; inversion efficiency = 0.9")
    with pytest.warns(
        DataWarning, match=r"s\.csv: not used as part of the schedule: '# TR: 12 to 13 ms', '# TE: 3 ms'"
    ):
        schedule = read_schedule(path)
    assert (schedule.inversion_time, schedule.inversion_efficiency) == (20.6, 0.9)


@pytest.mark.parametrize(
    "comment",
    [
        "# inversion_efficiency: 0,95",
        "# inversion-efficiency: 0.95",
        "# Inversion efficiency = 95 %",
        "# inv_eff: 0.95",
    ],
)
def test_inversion_efficiency(tmp_path: Path, comment: str) -> None:
    schedule = _read(_path(tmp_path, "# TI: 20 ms", comment))
    assert schedule.inversion_efficiency == pytest.approx(0.95, rel=1e-15)


@pytest.mark.parametrize("comment", ["# Receiver phase: fixed", "# receiver-phase = Fixed", "# receiver_phase: fixed"])
def test_receiver_phase(tmp_path: Path, comment: str) -> None:
    assert _read(_path(tmp_path, comment)).receiver_phase == "fixed"


@pytest.mark.parametrize(
    ("comment", "profile"),
    [
        ("# slice_profile: 1.0 0.9 0.5", [1, 0.9, 0.5]),
        ("# slice_profile: 1,0.9,0.5", [1, 0.9, 0.5]),
        ("# slice_profile: 1, 0.9, 0.5", [1, 0.9, 0.5]),
        ("# slice_profile: 1,0 0,9 0,5", [1, 0.9, 0.5]),
        ("# Slice profile = 1,0; 0,9; 0,5", [1, 0.9, 0.5]),
    ],
)
def test_a_slice_profile_is_a_list(tmp_path: Path, comment: str, profile: list[float]) -> None:
    np.testing.assert_array_equal(_read(_path(tmp_path, comment)).slice_profile, profile)


@pytest.mark.parametrize(
    ("comment", "sentence"),
    [
        ("# inversion_time_ms: 1,020", "found '1,020': whether the comma is a decimal mark cannot be told"),
        ("# inversion_time_ms: 20.6 30", "the line '# inversion_time_ms' holds '20.6 30'; expected one number"),
        ("# inversion_efficiency: 0.9, 0.8", "the line '# inversion_efficiency' holds '0.9, 0.8'; expected one number"),
        ("# TI_ms: 0.0206 s", "s.csv, comment '# TI_ms: 0.0206 s': states two units, ms and s; expected one"),
        ("# TI: 20 ms\n# TI: 30 ms", "holds the comments '# TI: 20 ms' and '# TI: 30 ms'; expected one inversion_time"),
        ("# TI: 20 ms\n# inversion_time_s: 0.03", "expected one inversion_time"),
        ("# TI: 20 ms\n# inversion: none", "states in comments that there is no inversion, and its time"),
    ],
)
def test_what_is_not_one_value_is_a_sentence(tmp_path: Path, comment: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        read_schedule(_path(tmp_path, comment))
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("s.csv")


def test_thousands_with_a_decimal_point_are_one_number(tmp_path: Path) -> None:
    assert _read(_path(tmp_path, "# inversion_time_ms: 1,020.6")).inversion_time == 1020.6


@pytest.mark.parametrize(
    "comment",
    ["# TI: about 20 ms", "# inversion pulse duration: 10 ms", "# inversion angle: 180 deg", "# Inversion: yes"],
)
def test_an_inversion_without_a_readable_time_is_asked_for(tmp_path: Path, comment: str) -> None:
    path = _path(tmp_path, comment)
    with pytest.raises(MissingHintError, match=r"give inversion_time, in ms\.") as caught:
        read_schedule(path)
    assert caught.value.field == "inversion_time"
    assert _read(path, inversion_time=20.6).inversion_time == 20.6


def test_a_time_whose_unit_is_not_that_of_the_rest_is_asked_for(tmp_path: Path) -> None:
    path = _path(tmp_path, "# TI: 20.6", rows="fa_deg,tr_s,te_s\n10,0.012,0.003\n70,0.013,0.003\n")
    with pytest.raises(MissingHintError, match=r"the unit of the inversion time is not stated .* give time_unit"):
        read_schedule(path)
    assert _read(path, time_unit="ms").inversion_time == 20.6
    assert _read(_path(tmp_path, "# TI: 0.0206", rows=path.read_text().partition("\n")[2])).inversion_time == 20.6


@pytest.mark.parametrize("comment", ["# TE: 2.9 ms", "# flip angle = up to 70 deg", "# Slice profile: sinc, 11 lobes"])
def test_a_named_quantity_that_is_not_used_is_named(tmp_path: Path, comment: str) -> None:
    with pytest.warns(DataWarning, match=r"s\.csv: not used as part of the schedule: '# ") as told:
        schedule = read_schedule(_path(tmp_path, comment))
    assert len(told) == 1
    assert schedule == _read(_path(tmp_path))


@pytest.mark.parametrize(
    "comment",
    [
        "# made on 3 May: by me",
        "# The flip angles follow Jiang et al., MRM 74:1621 (2015)",
        "# see https://example.org/a=1",
        "# flip angle: as in the paper",
        "# no inversion was used here",
        "# inversion: none",
        "# TI: n/a",
        "# subject = 12",
        "# Jiang 2015",
        "# a note: that: has: many: colons: TR",
    ],
)
def test_prose_and_no_inversion_stay_silent(tmp_path: Path, comment: str) -> None:
    schedule = _read(_path(tmp_path, comment))
    assert schedule == _read(_path(tmp_path))
    assert schedule.inversion_time is None


def test_a_hint_that_an_earlier_version_recorded_beside_a_comment_still_counts(tmp_path: Path) -> None:
    path = _path(tmp_path, "# TI = 20.6 ms")
    with pytest.warns(DataWarning, match=r"inversion_time 20\.6, which the hint inversion_time=21\.0 contradicts"):
        assert read_schedule(path, inversion_time=21.0).inversion_time == 21.0
    assert _read(path, inversion_time=20.6).inversion_time == 20.6
    with pytest.raises(InputError, match="contradicts; leave it out"):
        read_schedule(_path(tmp_path, "# inversion_time_ms: 20.6"), inversion_time=21.0)


def test_a_column_and_a_comment_that_differ_are_refused(tmp_path: Path) -> None:
    rows = "fa_deg,tr_ms,te_ms,ti_ms\n10,12,3,20\n70,13,3,20\n"
    with pytest.raises(InputError, match=r"states inversion_time 20\.0 in its columns and 30\.0 in a comment"):
        read_schedule(_path(tmp_path, "# TI = 30 ms", rows=rows))
    assert _read(_path(tmp_path, "# TI = 0.02 s", rows=rows)).inversion_time == 20.0


def test_our_own_comments_come_back_to_the_bit(tmp_path: Path) -> None:
    schedule = Schedule(
        [10.0, 70.0], [12.0, 13.0], 3.0, inversion_time=0.1 + 0.2, inversion_efficiency=1 / 3,
        slice_profile=[1.0, 1e-17, -0.1], receiver_phase="fixed", name="TI = 12: mine, TE = 3",
    )  # fmt: skip
    write_schedule(schedule, tmp_path / "s.csv")
    assert _read(tmp_path / "s.csv") == schedule
    assert _read(tmp_path / "s.csv").name == schedule.name


def test_excels_first_line_says_the_separator(tmp_path: Path) -> None:
    path = _path(tmp_path, "sep=;", "# TI = 20,6 ms", rows="fa_deg;tr_ms;te_ms\n10,5;12,5;3\n70;13;3\n")
    schedule = _read(path)
    np.testing.assert_array_equal(schedule.flip_angle, [10.5, 70.0])
    np.testing.assert_array_equal(schedule.repetition_time, [12.5, 13.0])
    assert schedule.inversion_time == 20.6


def test_comments_of_text_pairs(tmp_path: Path) -> None:
    (tmp_path / "x_fa.txt").write_text("# name: other\n# flip angles, degrees\n10\n70\n")
    (tmp_path / "x_tr.txt").write_text("% TI = 20,6 ms\n12\n13\n")
    schedule = _read(tmp_path / "x_fa.txt", echo_time=3.0)
    assert (schedule.inversion_time, schedule.name) == (20.6, "x")
    (tmp_path / "x_fa.txt").write_text("# TI: 20 ms\n10\n70\n")
    with pytest.raises(InputError, match=r"'# TI: 20 ms' and '# TI: 20,6 ms'; expected one inversion_time"):
        _read(tmp_path / "x_fa.txt", echo_time=3.0)


def test_an_array_of_columns_is_pointed_at(tmp_path: Path) -> None:
    values = np.column_stack([[10.0, 70.0, 30.0], [12.0, 13.0, 14.0], [3.0, 3.0, 3.0]])
    scipy.io.savemat(tmp_path / "s.mat", {"Prot": {"MRF": {"Mat": np.vstack([values, values])}}})
    with pytest.raises(MissingHintError) as caught:
        read_schedule(tmp_path / "s.mat")
    assert "holds no vector of numbers; it holds Prot.MRF.Mat (6 × 3); give variable, the array" in str(caught.value)
    assert "such as 'Prot.MRF.Mat', and columns, such as 'fa tr te'." in str(caught.value)
    schedule = _read(tmp_path / "s.mat", variable="Prot.MRF.Mat", columns="fa_deg tr_ms te_ms")
    np.testing.assert_array_equal(schedule.flip_angle[:3], values[:, 0])
