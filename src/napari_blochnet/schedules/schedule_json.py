"""Schedules in JSON: ours, and those that others wrote with our names, whose units are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import FileError, InputError, in_file
from napari_blochnet.io.json_files import read_json
from napari_blochnet.schedules.columns import AngleUnit, Column, Quantity, TimeUnit
from napari_blochnet.schedules.missing import MissingHintError
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["read_json_schedule"]

# `Schedule.to_dict` has written these from the first version on.
_ALWAYS = ("rf_phase", "inversion_time", "inversion_efficiency", "slice_profile", "receiver_phase", "name")
_TIMES: tuple[Quantity, ...] = ("repetition_time", "echo_time", "inversion_time")
# ms; no echo is read out and no inversion waits this short.
_SMALLEST = 0.1
_ANGLES: tuple[Quantity, ...] = ("flip_angle", "rf_phase")


def read_json_schedule(file: Path, hints: dict[str, Any]) -> Schedule:
    """Read a schedule out of JSON that is one, or embeds one as its ``schedule``.

    Parameters
    ----------
    file : Path
    hints : dict
        As `read_schedule` takes them. A file of ours needs none and takes none; others take the units, and the
        nominal flip angle of fractions.

    Raises
    ------
    InputError
        No such schedule; hints that the file does not need; angles or times of another's file that are hardly
        degrees and ms, without a hint of their unit.
    """
    content = read_json(file)
    if isinstance(content, dict) and isinstance(content.get("schedule"), dict):
        content = content["schedule"]
    is_ours = not isinstance(content, dict) or all(key in content for key in _ALWAYS)
    units: tuple[str, ...] = () if is_ours else ("angle_unit", "time_unit")
    if not is_ours and hints["angle_unit"] == "fraction":
        units = ("flip_angle", *units)
    if any(value is not None for name, value in hints.items() if name not in units):
        also = f" except {' and '.join(units)}" if units else ""
        raise FileError(file, f"states the whole schedule itself; leave the hints out{also}.")
    with in_file(file):
        schedule = Schedule.from_dict(content) if is_ours else None
    return _checked(file, content, hints) if schedule is None else schedule


def _checked(file: Path, content: dict[str, Any], hints: dict[str, Any]) -> Schedule:
    angle: AngleUnit | None = hints["angle_unit"]
    time: TimeUnit | None = hints["time_unit"]
    flips, times = _numbers(content, "flip_angle"), _numbers(content, "repetition_time")
    if angle is None and flips is not None and _may_be_radians(flips):
        raise _doubtful(file, "flip_angle", flips, "angle_unit", "'deg', 'rad' or 'fraction'", "rad", "deg", "fraction")
    if time is None and times is not None and (np.all(times < 1.0) or np.all(times > 1000.0)):
        raise _doubtful(file, "repetition_time", times, "time_unit", "'ms', 's' or 'us'", "s", "ms", "us")
    for key in _TIMES[1:]:
        values = _numbers(content, key)
        if time is None and values is not None and 0.0 < np.abs(values).max() < _SMALLEST:
            raise FileError(file, f"has an {key} of {values.max():g}, hardly in ms", "all times in ms")
    converted = dict(content)
    for key in (*_ANGLES, *_TIMES):
        values = _numbers(content, key)
        if values is None or (angle if key in _ANGLES else time) is None:
            continue
        column = Column(key, values, f"{file.name}, {key}")
        if key == "flip_angle":
            converted[key] = column.degrees(angle, hints["flip_angle"])
        elif key == "rf_phase":
            # fractions are of the flip angle
            converted[key] = column.degrees("rad" if angle == "rad" else "deg", None)
        else:
            given = column.milliseconds(time)
            converted[key] = given if key != "inversion_time" else float(given[0])
    if time is not None:
        _convert_around(converted, file, time)
    with in_file(file):
        return Schedule.from_dict(converted)


def _convert_around(content: dict[str, Any], file: Path, time: TimeUnit) -> None:
    """Put what is played around the pulses into ms; what is no number stays, for `Schedule` to say."""

    def put(entries: dict[str, Any], key: str) -> None:
        if (values := _numbers(entries, key)) is not None and len(values) == 1:
            entries[key] = float(Column("echo_time", values, f"{file.name}, {key}").milliseconds(time)[0])

    put(content, "recovery_time")
    if isinstance(found := content.get("preparations"), list):
        content["preparations"] = [dict(item) if isinstance(item, dict) else item for item in found]
        for item in content["preparations"]:
            for key in ("duration", "delay") if isinstance(item, dict) else ():
                put(item, key)


def _numbers(content: dict[str, Any], key: str) -> FloatArray | None:
    """Return an entry as numbers; None where it is none, which `Schedule` says in its own sentence."""
    value = content.get(key)
    if value is None or isinstance(value, (bool, str)):
        return None
    try:
        numbers = np.array(value, dtype=np.float64, ndmin=1)
    except (TypeError, ValueError, OverflowError):
        return None
    is_one = numbers.ndim == 1 and (key != "inversion_time" or np.ndim(cast("Any", value)) == 0)
    return numbers if is_one and len(numbers) and np.isfinite(numbers).all() else None


def _may_be_radians(values: FloatArray) -> bool:
    return bool(np.abs(values).max() <= 2 * np.pi and (values != np.round(values)).any())


def _doubtful(file: Path, key: str, values: FloatArray, field: str, choices: str, *likely: str) -> InputError:
    span = f"{values.min():g} to {values.max():g}" if np.ptp(values) else f"{values[0]:g}"
    unit = "degrees" if field == "angle_unit" else "ms"
    found = f"states no unit, and its {key} of {span} is hardly in {unit}"
    return MissingHintError(file, found, field, f" as {choices}", *likely)
