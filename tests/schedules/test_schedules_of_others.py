"""Schedules as other people store them: read right, asked for in a sentence, or refused; never quietly wrong."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.schedules.missing import MissingHintError
from napari_blochnet.schedules.schedule import Schedule
from napari_blochnet.schedules.schedule_files import read_schedule, write_schedule

_FA = np.array([5.0, 30.0, 70.0, 10.0])
_TR = np.array([12.0, 13.0, 14.0, 12.5])
_BASE = {"fa": _FA, "tr": _TR, "te": 3.0}


def _mat(path: Path, **content: Any) -> Path:
    scipy.io.savemat(path / "s.mat", content)
    return path / "s.mat"


def _read(path: Path, **hints: Any) -> Schedule:
    """Read a schedule about which nothing need be said."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        return read_schedule(path, **hints)


@pytest.mark.parametrize("name", ["inversion", "inv", "inversion_pulse", "inversionPulse"])
@pytest.mark.parametrize("value", [False, 0, np.int8(0), np.array([[0, 0, 0, 0]])])
def test_no_inversion_is_no_inversion_time(tmp_path: Path, name: str, value: Any) -> None:
    path = _mat(tmp_path, **_BASE, **{name: value})
    assert _read(path).inversion_time is None
    with pytest.raises(InputError, match="states no inversion, which the hint inversion_time=20 contradicts"):
        read_schedule(path, inversion_time=20.0)


@pytest.mark.parametrize("value", [True, 1.0, np.uint8(1), np.array([[1, 0, 0, 0]])])
def test_the_time_of_an_inversion_that_is_only_stated_is_asked_for(tmp_path: Path, value: Any) -> None:
    path = _mat(tmp_path, **_BASE, inversion=value)
    with pytest.raises(
        MissingHintError, match=r"s\.mat: states an inversion pulse.*give inversion_time, in ms"
    ) as caught:
        read_schedule(path)
    assert caught.value.field == "inversion_time"
    assert _read(path, inversion_time=20.0).inversion_time == 20.0
    assert _read(path, inversion_time=0.0).inversion_time == 0.0


def test_a_flag_beside_a_time_and_times_of_other_names(tmp_path: Path) -> None:
    assert _read(_mat(tmp_path, **_BASE, inversion=True, TI=20.0)).inversion_time == 20.0
    assert _read(_mat(tmp_path, **_BASE, inversion=False, TI=20.0)).inversion_time is None
    for name in ("invTime", "inv_time", "inversionTime", "TI", "inversion", "invDelay"):
        assert _read(_mat(tmp_path, **_BASE, **{name: 20.0})).inversion_time == 20.0
    # a time of 1 ms is one where its name says so
    assert _read(_mat(tmp_path, **_BASE, TI=1.0)).inversion_time == 1.0
    assert _read(_mat(tmp_path, **_BASE, inversion_ms=1.0)).inversion_time == 1.0
    with pytest.raises(InputError, match="states an inversion before pulse 3; expected one before the first pulse"):
        read_schedule(_mat(tmp_path, **_BASE, inversion=[1, 0, 1, 0]))
    with pytest.raises(InputError, match="both name the inversion time"):
        read_schedule(_mat(tmp_path, **_BASE, inversion=25.0, TI=20.0))


def test_a_flag_in_csv_python_and_json_is_no_time_either(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("flip_angle_deg,tr_ms,te_ms,inversion\n5,12,3,FALSE\n70,12,3,FALSE\n")
    assert _read(tmp_path / "s.csv").inversion_time is None
    (tmp_path / "s.csv").write_text("flip_angle_deg,tr_ms,te_ms,inversion\n5,12,3,TRUE\n70,12,3,FALSE\n")
    with pytest.raises(InputError, match="give inversion_time"):
        read_schedule(tmp_path / "s.csv")
    with pytest.raises(InputError, match="inversion_time is False; expected a number, or none"):
        Schedule([5.0], 12.0, 3.0, inversion_time=False)
    content = {"flip_angle": [5.0], "repetition_time": [12.0], "echo_time": [3.0], "inversion_time": True}
    (tmp_path / "s.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"s\.json: inversion_time is True; expected a number"):
        read_schedule(tmp_path / "s.json")


def test_variables_that_are_not_understood_are_named(tmp_path: Path) -> None:
    path = _mat(
        tmp_path,
        **_BASE,
        m0=[0.0, 0.0, -1.0],
        Npulses=4,
        nTR=1000,
        TR_max=14.0,
        phase_inc=117.0,
        echoSpacing=2.0,
        maps=np.eye(3),
    )
    with pytest.warns(
        DataWarning, match=r"not used as part of the schedule: m0, Npulses, nTR, TR_max, phase_inc, echoSpacing, maps\."
    ):
        schedule = read_schedule(path)
    np.testing.assert_array_equal(schedule.repetition_time, _TR)


@pytest.mark.parametrize("shape", [(1, 4), (4, 1)])
@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
def test_rows_columns_and_whole_numbers(tmp_path: Path, shape: tuple[int, int], dtype: type) -> None:
    path = _mat(tmp_path, flipAngles=_FA.astype(dtype).reshape(shape), TRvec=_TR.reshape(shape), TEs=np.int32(3))
    schedule = _read(path)
    np.testing.assert_array_equal(schedule.flip_angle, _FA)
    np.testing.assert_array_equal(schedule.repetition_time, _TR)
    np.testing.assert_array_equal(schedule.echo_time, 3.0)


@pytest.mark.parametrize(
    ("scale", "hints"),
    [(1.0, {}), (np.pi / 180, {"angle_unit": "rad"}), (1 / 70, {"flip_angle": 70.0})],
)
def test_complex_flip_angles_are_magnitude_and_phase(tmp_path: Path, scale: float, hints: dict[str, Any]) -> None:
    phase = np.array([0.0, 90.0, -120.0, 180.0])
    pulses = scale * _FA * np.exp(1j * np.deg2rad(phase))
    path = _mat(tmp_path, FA=pulses, TR=_TR, TE=3.0)
    with pytest.warns(DataWarning, match=r"s\.mat, FA: holds complex numbers; their magnitude is taken as flip angle"):
        schedule = read_schedule(path, **hints)
    np.testing.assert_allclose(schedule.flip_angle, _FA, rtol=1e-12)
    np.testing.assert_allclose(np.exp(1j * np.deg2rad(schedule.rf_phase)), np.exp(1j * np.deg2rad(phase)), atol=1e-12)


@pytest.mark.filterwarnings("ignore::napari_blochnet.common.errors.DataWarning")
def test_complex_flip_angles_beside_another_phase_are_refused(tmp_path: Path) -> None:
    pulses = _FA * np.exp(1j * np.arange(4))
    for content in ({"FA": pulses, "phase": [0.0] * 4}, {"phase": [0.0] * 4, "FA": pulses}):
        with pytest.raises(InputError, match="name the rf_phase"):
            read_schedule(_mat(tmp_path, **content, TR=_TR, TE=3.0))
    with pytest.raises(InputError, match="states its own RF phases, which the hint rf_phase=90 contradicts"):
        read_schedule(_mat(tmp_path, FA=pulses, TR=_TR, TE=3.0), rf_phase=90.0)
    path = _mat(tmp_path, **_BASE, phase_deg=[0.0, 180.0] * 2)
    with pytest.warns(DataWarning, match="the hint rf_phase=90 contradicts; those of the file are taken"):
        assert read_schedule(path, rf_phase=90.0).rf_phase[1] == 180.0
    with pytest.raises(InputError, match=r"s\.mat, TR: holds complex numbers; expected real ones"):
        read_schedule(_mat(tmp_path, FA=_FA, TR=_TR + 1j, TE=3.0))


def test_schedules_in_structures(tmp_path: Path) -> None:
    assert len(_read(_mat(tmp_path, seq={"rf": {"fa": _FA}, "adc": {"te": 3.0}, "tr": _TR}))) == 4
    path = _mat(tmp_path, first={"fa": _FA, "tr": _TR, "te": 3.0}, second={"fa": 2 * _FA, "tr": _TR, "te": 3.0})
    with pytest.raises(MissingHintError, match="give variable, the one to read, such as 'first' or 'second'") as caught:
        read_schedule(path)
    assert caught.value.field == "variable"
    np.testing.assert_array_equal(_read(path, variable="second").flip_angle, 2 * _FA)
    with pytest.raises(InputError, match=r"has no array 'third'; it holds first\.fa"):
        read_schedule(path, variable="third")
    (tmp_path / "s.csv").write_text("fa_deg,tr_ms,te_ms\n5,12,3\n")
    with pytest.raises(InputError, match=r"s\.csv: has no variables; leave variable out"):
        read_schedule(tmp_path / "s.csv", variable="first")


def test_one_array_of_columns_or_rows(tmp_path: Path) -> None:
    table = np.stack([_FA, _TR, np.full(4, 3.0)])
    for values in (table, table.T):
        path = _mat(tmp_path, other=1.0, design=values)
        with pytest.warns(DataWarning, match="taken as flip angle, repetition time, echo time"):
            schedule = read_schedule(path, variable="design")
        np.testing.assert_array_equal(schedule.repetition_time, _TR)


def test_version_4_and_73_and_hdf5(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "4.mat", _BASE, format="4")
    for name, axis in (("73.mat", 1), ("s.h5", 0)):
        with h5py.File(tmp_path / name, "w") as file:
            for key, values in _BASE.items():
                file[f"seq/{key}"] = np.atleast_2d(values) if axis else values
    for name in ("4.mat", "73.mat", "s.h5"):
        schedule = _read(tmp_path / name)
        np.testing.assert_array_equal(schedule.flip_angle, _FA)
        np.testing.assert_array_equal(schedule.echo_time, 3.0)


def test_a_flip_angle_in_another_file_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.mat", "w") as file:
        file["tr"], file["te"] = _TR, 3.0
        file["fa"] = h5py.ExternalLink("other.h5", "/fa")
    with pytest.raises(InputError, match=r"s\.mat: fa lies in another file"):
        read_schedule(tmp_path / "s.mat")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize(
    "text",
    [
        "Flip angle (°),TR (ms),TE (ms)\n5,12,3\n30,13,3\n70,14,3\n10,12.5,3\n",
        "FA [°];TR [ms];TE [ms];;\n5;12,0;3;;\n30;13;3;;\n70;14;3;;\n10;12,5;3;;\n;;;;\n",
        '"α (°)"\t"TR (ms)"\t"TE (µs)"\n5\t12\t3000\n30\t13\t3000\n70\t14\t3000\n10\t"12,5"\t3000\n',
        "Flipwinkel (deg);Repetitionszeit (s);TE (s)\n5;0,012;0,003\n30;0,013;0,003\n70;0,014;0,003\n10;0,0125;0,003\n",
    ],
)
def test_tables_of_spreadsheets(tmp_path: Path, text: str, encoding: str) -> None:
    if "α" in text and encoding == "cp1252":
        text = text.replace("α", "alpha")
    (tmp_path / "s.csv").write_bytes(text.replace("\n", "\r\n").encode(encoding))
    schedule = _read(tmp_path / "s.csv")
    np.testing.assert_array_equal(schedule.flip_angle, _FA)
    np.testing.assert_allclose(schedule.repetition_time, _TR, rtol=1e-14)
    np.testing.assert_allclose(schedule.echo_time, 3.0, rtol=1e-14)


def test_a_row_of_units_and_a_table_that_lies_on_its_side(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("pulse;FA;TR;TE\n;[°];[s];[ms]\n1;5,5;0,012;3\n2;70;0,013;3\n")
    schedule = _read(tmp_path / "s.csv")
    np.testing.assert_array_equal(schedule.flip_angle, [5.5, 70.0])
    np.testing.assert_allclose(schedule.repetition_time, [12.0, 13.0])
    (tmp_path / "s.csv").write_text("fa,5,70\ntr,12,13\nte,3,3\n")
    with pytest.raises(InputError, match=r"s\.csv: has a row for each quantity; expected a column for each"):
        read_schedule(tmp_path / "s.csv")


def test_text_beside_the_numbers_is_named_and_not_read(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("pulse,fa_deg,tr_ms,te_ms,remark,\n1,5,12,3,first,\n2,70,12,3,,\n")
    with pytest.warns(DataWarning, match=r"not used as part of the schedule: remark\."):
        assert len(read_schedule(tmp_path / "s.csv")) == 2


def _columns(path: Path, *columns: Any, separator: str = " ") -> Path:
    rows = zip(*(np.broadcast_to(np.asarray(column, float), 4) for column in columns), strict=True)
    path.write_text("".join(separator.join(f"{value:g}" for value in row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("name", ["s.txt", "s.csv", "s.tsv"])
@pytest.mark.parametrize("separator", [" ", "\t", ",", ";"])
def test_columns_without_names_are_told_by_their_values(tmp_path: Path, name: str, separator: str) -> None:
    path = tmp_path / name
    with pytest.warns(DataWarning, match="names no columns; they are taken as flip angle, repetition time, echo time"):
        schedule = read_schedule(_columns(path, _FA, _TR, 3.0, separator=separator))
    np.testing.assert_array_equal(schedule.echo_time, 3.0)
    phase = [0.0, 180.0, 0.0, 180.0]
    with pytest.warns(DataWarning, match="flip angle, repetition time, rf phase"):
        schedule = read_schedule(_columns(path, _FA, _TR, phase, separator=separator), angle_unit="deg", echo_time=4.0)
    np.testing.assert_array_equal(schedule.rf_phase, phase)
    with pytest.warns(DataWarning, match="flip angle, rf phase, repetition time, echo time"):
        schedule = read_schedule(_columns(path, _FA, phase, _TR, 3.0, separator=separator), angle_unit="deg")
    np.testing.assert_array_equal(schedule.repetition_time, _TR)


@pytest.mark.parametrize(
    ("columns", "names", "te"),
    [
        # TE, or a phase in radians
        ((_FA, _TR, [1.0, 2.0, 3.0, 4.0]), "fa tr te", [1, 2, 3, 4]),
        # TR first
        ((_TR, _FA, 3.0), "tr fa te", 3.0),
        # both could be either
        (([12.0, 12.0, 13.0, 12.0], [10.0, 10.0, 11.0, 10.0], 3.0), "tr fa_deg te", 3.0),
        ((_FA, _TR, 3.0, 1.0, 1.0), "fa tr te gain step", 3.0),
    ],
)
@pytest.mark.filterwarnings("ignore::napari_blochnet.common.errors.DataWarning")
def test_columns_whose_values_do_not_tell_are_asked_for(tmp_path: Path, columns: Any, names: str, te: Any) -> None:
    path = _columns(tmp_path / "s.txt", *columns)
    with pytest.raises(
        MissingHintError, match=r"s\.txt: begins with numbers.*give columns, what they are in order"
    ) as caught:
        read_schedule(path)
    assert caught.value.field == "columns"
    schedule = read_schedule(path, columns=names)
    np.testing.assert_array_equal(
        schedule.flip_angle, columns[names.split().index(next(n for n in names.split() if "fa" in n))]
    )
    np.testing.assert_array_equal(schedule.echo_time, te)
    with pytest.raises(InputError, match="columns where columns names 2; expected a name for each"):
        read_schedule(path, columns="fa tr")


def test_one_row_of_numbers_and_decimal_commas_in_pairs(tmp_path: Path) -> None:
    (tmp_path / "a_fa.txt").write_text("5 30 70 10\n")
    (tmp_path / "a_tr.txt").write_bytes("12,0\r\n13\r\n14\r\n12,5\r\n".encode("utf-16"))
    schedule = _read(tmp_path / "a_fa.txt", echo_time=3.0)
    np.testing.assert_array_equal(schedule.flip_angle, _FA)
    np.testing.assert_array_equal(schedule.repetition_time, _TR)
    # of thousands as well as of decimals, as in a table of the same column
    (tmp_path / "a_tr.txt").write_text("12,500\n13,250\n12,500\n13,250\n")
    with pytest.raises(InputError, match=r"a_tr\.txt, line 1: found '12,500': whether the comma is a decimal mark"):
        read_schedule(tmp_path / "a_fa.txt", echo_time=3.0)
    (tmp_path / "a_tr.txt").write_text("12,500\n13,250\n12,500\n13,25\n")
    assert _read(tmp_path / "a_fa.txt", echo_time=3.0).repetition_time[1] == 13.25
    (tmp_path / "a_fa.txt").write_text("5 30\n70 10\n")
    with pytest.raises(InputError, match=r"a_fa\.txt, line 2: found '70 10'; expected one number"):
        read_schedule(tmp_path / "a_fa.txt", echo_time=3.0)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[" * 100_000, "s.json: found something that is not JSON (lists or objects nested too deeply)"),
        ('{"flip_angle": [' + "9" * 5000 + "]}", "s.json: "),
        ('{"flip_angle": [' + "9" * 400 + '], "repetition_time": [12], "echo_time": [3]}', "s.json: flip_angle"),
        (
            '{"flip_angle": [5], "repetition_time": [12], "echo_time": [3], "name": [1]}',
            "s.json: name is [1]; expected text",
        ),
        (
            '{"flip_angle": [5], "repetition_time": [12], "echo_time": [3], "record": 5}',
            "record is 5; expected an object",
        ),
        (
            '{"flip_angle": ' + "[" * 90 + "1" + "]" * 90 + ', "repetition_time": [12], "echo_time": [3]}',
            "s.json: flip_angle",
        ),
        (
            '{"flip_angle": [5], "repetition_time": [12], "echo_time": [3], "receiver_phase": {}}',
            "receiver_phase is {}",
        ),
    ],
)
def test_json_that_nobody_wrote(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(InputError) as caught:
        read_schedule(tmp_path / "s.json")
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("s.json: ")
    assert len(str(caught.value)) < 400


def test_names_with_quotation_marks_and_inches(tmp_path: Path) -> None:
    schedule = Schedule(_FA, _TR, 3.0, name='the 5" phantom')
    write_schedule(schedule, tmp_path / "s.csv")
    again = _read(tmp_path / "s.csv")
    assert again == schedule
    assert again.name == 'the 5" phantom'
    (tmp_path / "s.csv").write_text('fa_deg,tr_ms,te_ms,coil\n5,12,3,5" loop\n70,12,3,5" loop\n')
    with pytest.warns(DataWarning, match=r"not used as part of the schedule: coil\."):
        assert len(read_schedule(tmp_path / "s.csv")) == 2
