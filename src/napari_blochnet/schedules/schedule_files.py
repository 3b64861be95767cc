"""Schedules in files: our CSV both ways; text pairs, tables of fractions, and MATLAB files to read."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import DataWarning, FileError, InputError
from napari_blochnet.common.plain_text import comment_text
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.io.atomic import existing_file, replacing
from napari_blochnet.io.origin import check_outputs
from napari_blochnet.schedules.around import Around, around_lines, read_around
from napari_blochnet.schedules.assigning import assign_columns
from napari_blochnet.schedules.columns import AngleUnit, Column, Quantity, TimeUnit
from napari_blochnet.schedules.comments import CommentLines
from napari_blochnet.schedules.missing import MissingHintError
from napari_blochnet.schedules.preparations import Preparation
from napari_blochnet.schedules.pulseq.pulseq_hints import PreparationModel, PulseqHints, SpinLock, is_pulseq_name
from napari_blochnet.schedules.raw_tables import read_comments, read_matlab_table, read_text_table
from napari_blochnet.schedules.schedule import ReceiverPhase, Schedule, Trains
from napari_blochnet.schedules.schedule_json import read_json_schedule
from napari_blochnet.schedules.text_pairs import kind_by_name, only_pair, text_columns

__all__ = ["read_schedule", "write_schedule"]

PathLike: TypeAlias = str | os.PathLike[str]
T = TypeVar("T")

_HEADER = "flip_angle_deg,repetition_time_ms,echo_time_ms,rf_phase_deg"
# Endings of text, and of MATLAB and HDF5 files.
_TEXT, _ARRAYS = (".csv", ".tsv", ".txt"), (".mat", ".h5", ".hdf5")


@dataclass(frozen=True)
class _Hints:
    flip_angle: float | None
    repetition_time: float | None
    echo_time: float | None
    inversion_time: float | None
    inversion_efficiency: float | None
    rf_phase: float | None
    angle_unit: AngleUnit | None
    time_unit: TimeUnit | None
    receiver_phase: ReceiverPhase | None


def read_schedule(
    path: PathLike | Sequence[PathLike],
    *,
    flip_angle: float | None = None,
    repetition_time: float | None = None,
    echo_time: float | None = None,
    inversion_time: float | None = None,
    inversion_efficiency: float | None = None,
    rf_phase: float | None = None,
    angle_unit: AngleUnit | None = None,
    time_unit: TimeUnit | None = None,
    receiver_phase: ReceiverPhase | None = None,
    variable: str | None = None,
    columns: str | Sequence[str] | None = None,
    preparations: Sequence[Preparation | str] | None = None,
    recovery_time: float | None = None,
    trains: Trains | None = None,
    preparation_model: PreparationModel | None = None,
    spin_lock: SpinLock | None = None,
    slice_positions: int | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> Schedule:
    """Read a schedule from a file, or a pair of files.

    Understood are: our CSV (see `write_schedule`); any CSV or text table whose header names flip angle, TR, TE or RF
    phase, as spreadsheets save them (any encoding, semicolons, decimal commas), tables of flip fractions with additions
    to a base TR and TE among them; tables without a header; text files of one number a line, given as (flip angles,
    TRs), as their folder, or as one of ``NAME_fa.txt`` and ``NAME_tr.txt``; MATLAB files, version 4, 5 and 7.3, and
    HDF5 with vectors such as ``fa``, ``tr``, ``te``, in structures and cells too (``seq.rf.fa``); JSON that is or
    embeds a schedule of ours, or another's with our names; Pulseq (``.seq``), see `read_pulseq`. Comment lines such as
    ``# TI = 20.6 ms``, ``# inversion efficiency: 0.95`` and ``# receiver phase: fixed`` are read.

    Parameters
    ----------
    path : path, or sequence of two or three paths
        The file; the flip-angle, TR and TE files; or a folder with one such pair.
    flip_angle : float, optional
        What fractions multiply, degrees.
    repetition_time, echo_time : float, optional
        ms, for all pulses, where the file has none; the base where the file has additions to one.
    inversion_time : float, optional
        ms, where the file states no inversion. Not given and not stated: no inversion pulse.
    inversion_efficiency : float, optional
        0 to 1, where the file states none; otherwise 1.
    rf_phase : float, optional
        Degrees, for all pulses, where the file has none; otherwise 0.
    angle_unit : {"deg", "rad", "fraction"}, optional
        Of angles whose name in the file states no unit.
    time_unit : {"ms", "s", "us"}, optional
        Of times whose name in the file states no unit.
    receiver_phase : {"follows", "fixed"}, optional
        Whether data of this schedule has the RF phase taken out already; otherwise as the file states, or "follows".
    variable : str, optional
        The structure or cell of a MATLAB or HDF5 file to read, such as ``seq.rf`` or ``x(2)``, or one array with a
        column for each quantity.
    columns : str or sequence of str, optional
        Of a table without names: what its columns are, in order, such as "fa tr te" or "fa_rad tr_s phase_deg".
    preparations : sequence of Preparation, or of words, optional
        What is played before pulses, where the file states none; see `Preparation.from_text`.
    recovery_time : float, optional
        ms, from a train's last TR to the next train, where the file states none.
    trains : int or "steady", optional
        How many trains are played, the last of which is recorded, where the file does not say; otherwise 1.
    preparation_model, spin_lock, slice_positions, progress, cancelled : optional
        Of Pulseq files; see `read_pulseq`.

    Returns
    -------
    Schedule

    Raises
    ------
    InputError
        No such file; a malformed one (names the line); lengths that differ; a unit that cannot be told or a value
        that is missing (names the hint to give); a hint that contradicts the file.

    Notes
    -----
    Without a stated unit, flip angles beyond 2π are degrees, and TRs are in the unit that puts all of them between
    1 ms and 1 s. Columns without names are flip angle, TR, and TE or RF phase where their values allow one order of
    them only, with a `DataWarning`. Complex flip angles are magnitude and RF phase. An ``inversion`` that is 0 or
    false means none, 1 or true one whose TI the file or ``inversion_time`` gives. Nothing else is inferred; columns,
    variables and comments on quantities that are not used are named in a `DataWarning`.
    """
    times = (repetition_time, echo_time, inversion_time)
    hints = _Hints(flip_angle, *times, inversion_efficiency, rf_phase, angle_unit, time_unit, receiver_phase)
    played = PulseqHints(preparation_model, spin_lock, slice_positions)
    files = [Path(path)] if isinstance(path, (str, os.PathLike)) else [Path(part) for part in path]
    files = [existing_file(file) for file in files]
    if len(files) == 1 and files[0].is_dir():
        files = only_pair(files[0])
    if not 1 <= len(files) <= 3:
        raise InputError(
            f"path holds {len(files)} files", "a schedule file, or those of flip angles, TRs and TEs", field="path"
        )
    suffix = files[0].suffix.lower()
    if variable is not None and suffix not in _ARRAYS:
        raise FileError(files[0], "has no variables; leave variable out.", field="variable")
    is_pair = len(files) > 1 or (suffix == ".txt" and kind_by_name(files[0]) is not None)
    if columns is not None and (is_pair or suffix == ".json"):
        raise FileError(files[0], "holds no table; leave columns out.", field="columns")
    around = Around(preparations, recovery_time, trains)
    if is_pulseq_name(files[0]):
        from napari_blochnet.schedules.pulseq.read_pulseq import pulseq_schedule

        watch = Watch(progress, cancelled)
        return around.of(files[0].name, pulseq_schedule(files[0], vars(hints), vars(played), watch))
    if played != PulseqHints():
        raise FileError(files[0], "is no Pulseq file; leave preparation_model, spin_lock and slice_positions out.")
    if suffix == ".json":
        return around.of(files[0].name, read_json_schedule(files[0], vars(hints)))
    name, comments = files[0].stem, {}
    if is_pair:
        found, files = text_columns(files)
        comments = read_comments(files)
        name = re.sub(r"[_\-. ]?(fa|tr|te)$", "", name, flags=re.IGNORECASE) or files[0].parent.name
    elif suffix in _TEXT:
        table = read_text_table(files[0])
        found, comments = assign_columns(files[0].name, table, columns), table.comments
    elif suffix in _ARRAYS:
        found = assign_columns(files[0].name, read_matlab_table(files[0], variable), columns)
    else:
        raise FileError(
            files[0],
            f"cannot tell the format from the ending {suffix or 'it lacks'!r}",
            ".csv, .tsv, .txt, .mat, .h5, .json or .seq",
        )
    source = files[0].name
    try:
        stated = read_around(source, comments)
        return around.of(source, _assemble(source, found, comments, hints, name).replace(**stated))
    except InputError as error:
        if str(error).startswith(tuple(file.name for file in files)):
            raise
        raise FileError(source, str(error), field=error.field) from None


def write_schedule(schedule: Schedule, path: PathLike) -> None:
    """Write a schedule as CSV; reading it gives an equal schedule, to the last bit.

    Parameters
    ----------
    schedule : Schedule
        What to write.
    path : path
        Ending in ``.csv``. Written beside its place and renamed.

    Notes
    -----
    Header ``flip_angle_deg,repetition_time_ms,echo_time_ms,rf_phase_deg``, one row for each pulse. Above it, comment
    lines ``# inversion_time_ms:`` and ``# inversion_efficiency:`` where there is an inversion pulse,
    ``# slice_profile:`` (relative flip angles) where there is one, ``# receiver_phase:`` and ``# name:``; a line
    ``# preparation:`` for each, as `Preparation.from_text` reads it, ``# trains:`` and ``# recovery_time_ms:`` where
    there are any.
    """
    target = Path(path)
    if target.suffix.lower() != ".csv":
        raise FileError(target, "a schedule is written as CSV", "a name ending in .csv")
    lines = [f"# name: {comment_text(schedule.name)}"] if schedule.name else []
    if schedule.inversion_time is not None:
        lines.append(f"# inversion_time_ms: {schedule.inversion_time!r}")
    if schedule.inversion_time is not None or schedule.inversion_efficiency != 1.0:
        lines.append(f"# inversion_efficiency: {schedule.inversion_efficiency!r}")
    if schedule.slice_profile is not None:
        lines.append(f"# slice_profile: {' '.join(repr(float(value)) for value in schedule.slice_profile)}")
    lines += around_lines(schedule)
    lines += [f"# receiver_phase: {schedule.receiver_phase}", _HEADER]
    columns = (schedule.flip_angle, schedule.repetition_time, schedule.echo_time, schedule.rf_phase)
    lines += [",".join(repr(float(value)) for value in row) for row in zip(*columns, strict=True)]
    check_outputs([target], record=schedule.record)
    with replacing(target) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="backslashreplace")


def _assemble(
    source: str, columns: dict[Quantity, Column], comments: dict[str, str], hints: _Hints, name: str
) -> Schedule:
    missing: list[MissingHintError] = []

    def told(read: Callable[..., T], *given: Any) -> T:
        """Return what is read; what the file leaves open is noted, to be asked for with all else."""
        try:
            return read(*given)
        except MissingHintError as error:
            missing.append(error)
            return None  # type: ignore[return-value]

    flip = told(columns["flip_angle"].degrees, hints.angle_unit, hints.flip_angle)
    stated = hints.flip_angle is not None and flip is columns["flip_angle"].values
    if stated and abs(flip.max() - hints.flip_angle) > 0.5:
        raise FileError(
            source,
            f"holds degrees up to {flip.max():g}, which a flip_angle of {hints.flip_angle:g} contradicts; "
            "flip_angle is what fractions multiply.",
            field="flip_angle",
        )
    repetition = columns.get("repetition_time")
    unit = told(repetition.time_unit, hints.time_unit) if repetition is not None else None
    said = CommentLines(source, comments)
    repetition_time = told(_times, source, "repetition_time", repetition, hints.repetition_time, hints, unit)
    echo_time = told(_times, source, "echo_time", columns.get("echo_time"), hints.echo_time, hints, unit)
    inversion = told(_inversion, source, columns, said, hints, unit)
    phases = told(_phases, source, columns.get("rf_phase"), hints)
    if missing:
        raise MissingHintError.joined(source, missing)
    inversion_time, efficiency = inversion
    return Schedule(
        flip,
        repetition_time,
        echo_time,
        phases,
        inversion_time=inversion_time,
        inversion_efficiency=efficiency,
        slice_profile=said.get("slice_profile"),
        receiver_phase=_agreed(source, "receiver_phase", None, hints.receiver_phase, said) or "follows",
        name=name if said.get("name") is None else said.get("name"),
    )


def _phases(source: str, phase: Column | None, hints: _Hints) -> FloatArray:
    if phase is None:
        return np.array([hints.rf_phase or 0.0])
    values = phase.degrees(hints.angle_unit, None)
    if hints.rf_phase is not None and np.abs(values - hints.rf_phase).max() > 1e-6:
        found = f"states its own RF phases, which the hint rf_phase={hints.rf_phase:g} contradicts"
        if phase.is_argument:
            raise FileError(source, f"{found}; leave it out.", field="rf_phase")
        # what earlier versions recorded may hold both, and the file's own counted
        warnings.warn(f"{source}: {found}; those of the file are taken.", DataWarning, stacklevel=4)
    return values


def _times(
    source: str, quantity: Quantity, column: Column | None, hint: float | None, hints: _Hints, unit: str | None
) -> FloatArray:
    if column is None or column.is_addition:
        if hint is None:
            missing = "has no" if column is None else "gives additions to a base"
            raise MissingHintError(source, f"{missing} {quantity.replace('_', ' ')}", quantity, ", in ms", "MS")
        base = np.array([hint], dtype=np.float64)
        return base if column is None else base + column.milliseconds(hints.time_unit, unit)
    values = column.milliseconds(hints.time_unit, unit)
    if hint is not None and np.abs(values - hint).max() > 1e-6:
        raise FileError(
            source,
            f"states its own {quantity.replace('_', ' ')}, {values.min():g} to {values.max():g} ms, which the "
            f"hint {quantity}={hint:g} contradicts; leave it out.",
            field=quantity,
        )
    return values


def _inversion(
    source: str, columns: dict[Quantity, Column], said: CommentLines, hints: _Hints, unit: str | None
) -> tuple[float | None, float]:
    efficiency: float | None = None
    time, is_inverted = _stated_inversion(source, columns, hints, unit)
    if "inversion_efficiency" in columns:
        efficiency = _only_value(columns["inversion_efficiency"], columns["inversion_efficiency"].values)
    if is_inverted is None and time is None:
        is_inverted = said.get("inversion")
        if is_inverted is False and said.get("inversion_time") is not None:
            raise FileError(source, "states in comments that there is no inversion, and its time", "one of them")
        if is_inverted is False and hints.inversion_time is not None:
            # as in `_agreed`
            sentence = f"{source}: a comment states no inversion; the hint inversion_time is taken."
            warnings.warn(sentence, DataWarning, stacklevel=4)
            is_inverted = None
    if is_inverted is False and hints.inversion_time is not None:
        found = (
            f"states no inversion, which the hint inversion_time={hints.inversion_time:g} contradicts; leave it out."
        )
        raise FileError(source, found, field="inversion_time")
    if is_inverted is not False or said.is_ours("inversion_time"):
        time = _agreed(source, "inversion_time", time, hints.inversion_time, said, _comment_time(said, hints, unit))
    if time is None and is_inverted is not False and (is_inverted or said.get("unreadable")):
        found = "states an inversion pulse, and no time between it and the first pulse"
        if said.get("unreadable"):
            found = f"the comment {said.get('unreadable')} states an inversion whose time cannot be read"
        raise MissingHintError(source, found, "inversion_time", ", in ms", "MS")
    efficiency = _agreed(source, "inversion_efficiency", efficiency, hints.inversion_efficiency, said)
    return time, 1.0 if efficiency is None else efficiency


def _comment_time(said: CommentLines, hints: _Hints, unit: str | None) -> float | None:
    column: Column | None = said.get("inversion_time")
    if column is None:
        return None
    time = float(column.milliseconds(hints.time_unit, unit)[0])
    if column.unit is None and hints.time_unit is None and time and not 1.0 <= time <= 10_000.0:
        # the unit of the TRs is not that of this number
        column.time_unit(None)
    return time


def _stated_inversion(
    source: str, columns: dict[Quantity, Column], hints: _Hints, unit: str | None
) -> tuple[float | None, bool | None]:
    """Return TI, and whether a flag says that there is an inversion; None each where the file does not say."""
    named, time = columns.get("inversion"), columns.get("inversion_time")
    if time is not None and time.is_flag:
        named, time = time, named
    flag = None
    if named is not None and (named.is_flag or (named.unit is None and np.isin(named.values, (0.0, 1.0)).all())):
        if named.values[1:].any() and not named.values.all():
            pulse = 2 + int(np.argmax(named.values[1:]))
            raise FileError(named.source, f"states an inversion before pulse {pulse}", "one before the first pulse")
        flag = bool(named.values[0])
    elif named is not None and time is not None:
        raise FileError(source, f"{named.source} and {time.source} both name the inversion time", "one")
    else:
        time = time or named
    if time is None or flag is False:
        return None, flag
    return _only_value(time, time.milliseconds(hints.time_unit, unit)), flag


def _only_value(column: Column, values: FloatArray) -> float:
    if np.ptp(values) > 0:
        raise InputError(f"{column.source}: has several values", "one for the whole schedule", field="path")
    return float(values[0])


def _agreed(source: str, key: str, stated: Any, hint: Any, said: CommentLines, comment: Any = None) -> Any:
    """Return what columns or comments state or the hint says; refuse two that differ."""
    comment = said.get(key) if comment is None else comment
    if stated is not None and comment is not None and not _are_close(stated, comment):
        raise FileError(source, f"states {key} {stated} in its columns and {comment} in a comment", "one")
    found = comment if stated is None else stated
    if found is None or hint is None or found == hint:
        return hint if found is None else found
    if stated is None and not said.is_ours(key) and _are_close(found, hint):
        return hint
    differ = f"states {key} {found}, which the hint {key}={hint} contradicts"
    if stated is None and not said.is_ours(key):
        # what earlier versions recorded may hold both, and they did not read such comments
        warnings.warn(f"{source}: {differ}; the hint is taken.", DataWarning, stacklevel=5)
        return hint
    raise FileError(source, f"{differ}; leave it out.", field=key)


def _are_close(first: Any, second: Any) -> bool:
    """Whether two are one, but for the rounding of a unit's conversion."""
    return first == second or (isinstance(first, float) and abs(first - second) <= 1e-9 * abs(second))
