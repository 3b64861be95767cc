"""Schedule files: exact round trips, the published files, and mistakes as sentences."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.io.json_files import write_json
from napari_blochnet.schedules.generators import fisp_schedule
from napari_blochnet.schedules.missing import MissingHintError
from napari_blochnet.schedules.schedule import Schedule
from napari_blochnet.schedules.schedule_files import read_schedule, write_schedule

_numbers = st.floats(0, 1e4, allow_subnormal=False)


@st.composite
def _schedules(draw: st.DrawFn) -> Schedule:
    length = draw(st.integers(1, 20))
    te = draw(st.lists(_numbers, min_size=length, max_size=length))
    extra = draw(st.lists(st.floats(0.01, 1e3), min_size=length, max_size=length))
    inversion = draw(st.none() | _numbers)
    return Schedule(
        draw(st.lists(st.floats(-720, 720), min_size=length, max_size=length)),
        [a + b for a, b in zip(te, extra, strict=True)],
        te,
        draw(st.lists(st.floats(-1e6, 1e6), min_size=length, max_size=length)),
        inversion,
        draw(st.floats(0, 1)),
        draw(st.none() | st.lists(st.floats(0, 3), min_size=1, max_size=5)),
        draw(st.sampled_from(["follows", "fixed"])),
        draw(st.sampled_from(["", "mine", "Spline5, seed 3", "a: b # c", "Übung"])),
    )


@given(schedule=_schedules())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_csv_round_trip_is_exact(schedule: Schedule, tmp_path: Path) -> None:
    path = tmp_path / "schedule.csv"
    write_schedule(schedule, path)
    again = read_schedule(path)
    assert again == schedule
    assert again.receiver_phase == schedule.receiver_phase
    assert again.name == (schedule.name or "schedule")


def test_csv_is_what_the_format_says(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    write_schedule(Schedule([5, 6.5], 12.0, 3.0, [0, 180], 20.0, name="mine"), path)
    assert path.read_text().splitlines() == [
        "# name: mine",
        "# inversion_time_ms: 20.0",
        "# inversion_efficiency: 1.0",
        "# receiver_phase: follows",
        "flip_angle_deg,repetition_time_ms,echo_time_ms,rf_phase_deg",
        "5.0,12.0,3.0,0.0",
        "6.5,12.0,3.0,180.0",
    ]
    with pytest.raises(InputError, match=r"s\.txt: a schedule is written as CSV"):
        write_schedule(fisp_schedule(), tmp_path / "s.txt")


def test_published_fisp_pair(shared_data: Path) -> None:
    folder = shared_data / "schedules"
    schedule = read_schedule(folder / "yun_fa.txt", echo_time=10.0, inversion_time=0.0)
    assert len(schedule) == 1000
    assert schedule.name == "yun"
    assert schedule.flip_angle[0] == pytest.approx(5.94)
    assert schedule.repetition_time[0] == pytest.approx(13.17382)
    # the last value has no newline after it
    assert schedule.repetition_time[-1] == float((folder / "yun_tr.txt").read_text().split()[-1])
    by_pair = read_schedule((folder / "yun_fa.txt", folder / "yun_tr.txt"), echo_time=10.0, inversion_time=0.0)
    assert by_pair == schedule
    assert read_schedule(folder / "yun_tr.txt", echo_time=10.0, inversion_time=0.0) == schedule


def test_cao_fatr_and_fractions(shared_data: Path) -> None:
    folder = shared_data / "schedules"
    cao = read_schedule(folder / "cao_fa.txt", echo_time=4.0, inversion_time=20.0, repetition_time=12.0)
    assert len(cao) == 500
    assert cao.flip_angle.max() == 90.0
    assert (cao.repetition_time == 12.0).all()
    fatr = read_schedule(folder / "fatr.mat", echo_time=3.0, inversion_time=20.0)
    assert len(fatr) == 1200
    # this schedule's TRs are the published ones 0.4 ms later, to the printed digits
    yun = read_schedule(folder / "yun_fa.txt", echo_time=3.0)
    np.testing.assert_allclose(fatr.repetition_time[:1000], yun.repetition_time + 0.4, atol=1e-3)
    assert fatr.flip_angle.max() == 70.0


@pytest.mark.parametrize(
    ("name", "flip", "tr", "ti", "length", "real"),
    [
        ("schedules/MRF_210.csv", 70.0, 28.0, 28.0, 210, True),
        ("acquired/vumc_mrf_500/MRF_500.csv", 60.0, 15.0, 15.0, 500, True),
        ("schedules/MRF_1000.csv", 70.0, 16.0, 20.0, 1000, True),
    ],
)
def test_fractions_of_a_nominal_flip_angle(
    shared_data: Path, name: str, flip: float, tr: float, ti: float, length: int, real: bool
) -> None:
    path = shared_data / name
    schedule = read_schedule(path, flip_angle=flip, repetition_time=tr, echo_time=3.3, inversion_time=ti)
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    assert len(schedule) == length
    np.testing.assert_allclose(schedule.flip_angle, flip * table[:, 0])
    np.testing.assert_allclose(schedule.repetition_time, tr + table[:, 2])
    np.testing.assert_allclose(schedule.echo_time, 3.3 + table[:, 3])
    np.testing.assert_allclose(schedule.rf_phase, table[:, 1])
    assert schedule.is_real is real
    assert schedule.inversion_time == ti


@pytest.mark.parametrize(
    ("hints", "field"),
    [
        ({"repetition_time": 15.0, "echo_time": 3.3}, "flip_angle"),
        ({"flip_angle": 60.0, "echo_time": 3.3}, "repetition_time"),
        ({"flip_angle": 60.0, "repetition_time": 15.0}, "echo_time"),
    ],
)
def test_what_is_missing_is_asked_for(shared_data: Path, hints: dict[str, float], field: str) -> None:
    with pytest.raises(InputError, match=rf"^MRF_500\.csv.*give {field}") as caught:
        read_schedule(shared_data / "acquired" / "vumc_mrf_500" / "MRF_500.csv", **hints)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_all_that_is_missing_is_asked_for_at_once(shared_data: Path) -> None:
    with pytest.raises(MissingHintError) as caught:
        read_schedule(shared_data / "acquired" / "vumc_mrf_500" / "MRF_500.csv")
    assert str(caught.value) == (
        "MRF_500.csv: holds fractions of a nominal flip angle that the file does not give, gives additions to a base "
        "repetition time and gives additions to a base echo time; give flip_angle, in degrees, repetition_time, in ms, "
        "and echo_time, in ms."
    )
    assert list(caught.value.asked) == ["flip_angle", "repetition_time", "echo_time"]
    with pytest.raises(MissingHintError) as caught:
        read_schedule(shared_data / "acquired" / "vumc_mrf_500" / "MRF_500.csv", flip_angle=60.0)
    assert str(caught.value).endswith("; give repetition_time, in ms, and echo_time, in ms.")


def test_several_pairs_in_a_folder_are_not_chosen_between(shared_data: Path) -> None:
    with pytest.raises(InputError, match=r"found 2: cao_fa\.txt, yun_fa\.txt"):
        read_schedule(shared_data / "schedules", echo_time=3.0)


def _mat5(path: Path, content: dict[str, object]) -> None:
    scipy.io.savemat(path, content)


def _mat73(path: Path, content: dict[str, object]) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in content.items():
            file[name] = np.atleast_2d(values)


@pytest.mark.parametrize("write", [_mat5, _mat73])
@pytest.mark.parametrize(
    ("content", "hints"),
    [
        ({"fa": [10.0, 70.0], "tr": [12.0, 13.0], "te": [3.0, 3.0]}, {}),
        ({"FA": np.deg2rad([10.0, 70.0]), "TR": [0.012, 0.013], "TE": [0.003, 0.003]}, {"angle_unit": "rad"}),
        ({"fa_rad": np.deg2rad([10.0, 70.0]), "TR_s": [0.012, 0.013], "TE_ms": [3.0, 3.0]}, {}),
        ({"flipAngle": [1 / 7, 1.0], "repetitionTime": [12.0, 13.0], "TE": 3.0}, {"flip_angle": 70.0}),
        ({"fa": [10.0, 70.0], "tr": [12.0, 13.0]}, {"echo_time": 3.0}),
        ({"fa": [10.0, 70.0], "tr_us": [12000, 13000], "te_us": [3000, 3000]}, {}),
    ],
)
def test_matlab_in_any_unit(tmp_path: Path, write, content, hints) -> None:
    path = tmp_path / "s.mat"
    write(path, content)
    schedule = read_schedule(path, **hints)
    np.testing.assert_allclose(schedule.flip_angle, [10, 70], rtol=1e-12)
    np.testing.assert_allclose(schedule.repetition_time, [12, 13], rtol=1e-12)
    np.testing.assert_allclose(schedule.echo_time, [3, 3], rtol=1e-12)


def test_matlab_inversion(tmp_path: Path) -> None:
    _mat5(tmp_path / "s.mat", {"fa": [10.0, 70.0], "tr": [0.012, 0.013], "te": 0.003, "ti": 0.02})
    assert read_schedule(tmp_path / "s.mat").inversion_time == pytest.approx(20.0)
    with pytest.raises(InputError, match="contradicts"):
        read_schedule(tmp_path / "s.mat", inversion_time=5.0)


@pytest.mark.parametrize(
    ("content", "sentence", "field"),
    [
        (
            {"fa": [0.5, 1.2], "tr": [12.0, 13.0]},
            "do not tell it and has no echo time; give angle_unit as 'deg', 'rad' or 'fraction', and echo_time, in ms",
            "angle_unit",
        ),
        ({"fa": [10.0, 70.0], "tr": [1.0, 1.0]}, "give time_unit as 'ms', 's' or 'us'", "time_unit"),
        ({"fa": [10.0, 70.0], "tr": [12.0, 13.0], "te": [0.003, 0.003]}, "echo time is not stated", "time_unit"),
        ({"fa": [10.0, 70.0], "tr": [12.0, 13.0], "te": 3.0, "phase": [0, 3.1]}, "unit of the RF phase", "angle_unit"),
        ({"fa": [10.0, 70.0], "tr": [12.0, 13.0, 14.0], "te": 3.0}, "flip_angle has 2 values", "flip_angle"),
        ({"gain": [10.0, 70.0]}, "none of gain names the flip angle", "path"),
    ],
)
def test_units_that_cannot_be_told_are_asked_for(tmp_path: Path, content, sentence: str, field: str) -> None:
    _mat5(tmp_path / "s.mat", content)
    with pytest.raises(InputError, match=sentence) as caught:
        read_schedule(tmp_path / "s.mat")
    assert str(caught.value).startswith("s.mat")
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.csv", "", "a.csv: is empty"),
        ("a.csv", "1,2,3\n4,5,6\n", "a.csv: begins with numbers"),
        (
            "a.csv",
            "flip_angle_deg,repetition_time_ms,echo_time_ms\n1,12,3\n2,12\n",
            "a.csv, line 3: has 2 cells; expected 3",
        ),
        ("a.csv", "# x: 1\nflip_angle_deg,repetition_time_ms\n1,twelve\n", "a.csv, line 3: found 'twelve'"),
        ("a.csv", "flip_angle_deg,repetition_time_ms,echo_time_ms\n1,nan,3\n", "line 2: found nan; expected a finite"),
        ("a.csv", "FA_deg,flip_angle_deg,tr_ms,te_ms\n1,2,12,3\n", "both name the flip_angle"),
        (
            "a.csv",
            "# inversion_time_ms: soon\nflip_angle_deg,tr_ms,te_ms\n1,12,3\n",
            "the line '# inversion_time_ms' holds",
        ),
        ("a_fa.txt", "10\n20\nthirty\n", "a_fa.txt, line 3: found 'thirty'"),
        ("a_fa.txt", "\n\n", "a_fa.txt: holds no numbers"),
        ("a_tr.txt", "12\n", "a_tr.txt: holds no flip angles, and none are beside it"),
        ("a.doc", "10\n", "a.doc: cannot tell the format"),
        ("a.mat", "no MATLAB at all", "a.mat: cannot be read as a MATLAB file"),
        ("a.json", "{]", "a.json: found something that is not JSON"),
    ],
)
def test_malformed_files_are_sentences(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        read_schedule(tmp_path / name, repetition_time=12.0, echo_time=3.0)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_binary_named_as_text(tmp_path: Path) -> None:
    (tmp_path / "a_fa.txt").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match=r"a_fa\.txt: is not a text file"):
        read_schedule(tmp_path / "a_fa.txt")
    with pytest.raises(InputError, match="there is no such file"):
        read_schedule(tmp_path / "b_fa.txt")


def test_a_hint_that_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a_fa.txt").write_text("10\n70\n")
    (tmp_path / "a_tr.txt").write_text("12\n13\n")
    with pytest.raises(InputError, match="which the hint repetition_time=15 contradicts"):
        read_schedule(tmp_path / "a_fa.txt", repetition_time=15.0, echo_time=3.0)
    with pytest.raises(InputError, match="holds degrees up to 70, which a flip_angle of 60 contradicts"):
        read_schedule(tmp_path / "a_fa.txt", flip_angle=60.0, echo_time=3.0)
    assert read_schedule(tmp_path / "a_fa.txt", flip_angle=70.0, echo_time=3.0).flip_angle.max() == 70.0


def test_unused_columns_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("pulse,flip_angle_deg,tr_ms,te_ms,gain\n1,10,12,3,5\n")
    with pytest.warns(DataWarning, match=r"a\.csv: not used as part of the schedule: gain\."):
        read_schedule(tmp_path / "a.csv")


def test_json_that_embeds_a_schedule(tmp_path: Path) -> None:
    schedule = fisp_schedule()
    write_json({"kind": "complex", "schedule": schedule.to_dict()}, tmp_path / "stack.json")
    assert read_schedule(tmp_path / "stack.json") == schedule
    with pytest.raises(InputError, match="states the whole schedule itself"):
        read_schedule(tmp_path / "stack.json", echo_time=3.0)


def test_radians_up_to_a_full_circle_are_not_taken_for_degrees(tmp_path: Path) -> None:
    _mat5(tmp_path / "s.mat", {"fa": [0.1, 2 * math.pi], "tr": [12.0, 13.0], "te": 3.0})
    with pytest.raises(InputError, match="angle_unit"):
        read_schedule(tmp_path / "s.mat")
