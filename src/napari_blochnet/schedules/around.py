"""What is played around the pulses of a schedule, in its file's comment lines and as hints to a file without them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import DataWarning, FileError, InputError
from napari_blochnet.common.plain_text import comment_text
from napari_blochnet.schedules.preparations import Preparation, PreparationResponse
from napari_blochnet.schedules.schedule import Schedule, Trains

__all__ = ["Around", "around_lines", "read_around"]

# Numbers of a response in one line: text is read in lines of a bounded length.
_IN_A_LINE = 500
_RESPONSE = re.compile(r"response (\d{1,9}) (t1|t2|b1|a|b)( \d{1,9})?")


@dataclass(frozen=True)
class Around:
    """Hints of what is played around the pulses, where a file does not say.

    Parameters
    ----------
    preparations, recovery_time, trains
        As `Schedule` takes them; None: as the file says.
    """

    preparations: Sequence[Preparation | str] | None = None
    recovery_time: float | None = None
    trains: Trains | None = None

    def of(self, source: str, schedule: Schedule) -> Schedule:
        """Return what a file holds with these hints; refuse one that contradicts it."""
        changes = {key: value for key, value in vars(self).items() if value is not None}
        if not changes:
            return schedule
        hinted = schedule.replace(**changes)
        for key in changes:
            stated, hint = getattr(schedule, key), getattr(hinted, key)
            if stated != hint and stated != Schedule.__dataclass_fields__[key].default:
                shown = {"preparations": "preparations", "recovery_time": f"a recovery time of {stated} ms",
                         "trains": f"trains: {stated}"}[key]  # fmt: skip
                found = f"states {shown} itself, which the hint {key} contradicts; leave it out."
                raise FileError(source, found, field=key)
        return hinted


def around_lines(schedule: Schedule) -> list[str]:
    """Return the comment lines of a schedule's preparations, trains and recovery; none where there are none."""
    lines: list[str] = []
    responses: dict[PreparationResponse, int] = {}
    for item in schedule.preparations:
        words = item.describe(exact=True)
        if item.response is not None:
            stated, named, name = words.partition(", named ")
            words = f"{stated}, response {responses.setdefault(item.response, len(responses) + 1)}{named}{name}"
        lines.append(f"# preparation: {comment_text(words)}")
    for response, number in responses.items():
        for key in ("t1", "t2", "b1", "a", "b"):
            values = getattr(response, key).ravel()
            for n, start in enumerate(range(0, len(values), _IN_A_LINE), 1):
                part = " ".join(repr(float(value)) for value in values[start : start + _IN_A_LINE])
                lines.append(f"# response {number} {key} {n}: {part}")
    if schedule.trains != 1 or schedule.recovery_time:
        lines += [f"# trains: {schedule.trains}", f"# recovery_time_ms: {schedule.recovery_time!r}"]
    return lines


def read_around(source: str, comments: dict[str, str]) -> dict[str, Any]:
    """Take preparations, trains and recovery out of a file's comments; return them by the fields of `Schedule`.

    Raises
    ------
    InputError
        A line of ours that is not as we write it.

    Notes
    -----
    A line ``# preparation:`` that says nothing of a pulse is another's prose; a `DataWarning` names it.
    """
    found: dict[str, Any] = {}
    stated = [line for line in comments.pop("preparation", "").split("\n") if line]
    responses = _responses(source, comments)
    try:
        read = [Preparation.from_text(line, responses) for line in stated if "before pulse" in line.lower()]
    except InputError as error:
        raise FileError(source, str(error)) from None
    if read:
        found["preparations"] = read
    if unused := [line for line in stated if "before pulse" not in line.lower()]:
        sentence = f"{source}: not used as part of the schedule: '# preparation: {unused[0]}'."
        warnings.warn(sentence, DataWarning, stacklevel=4)
    if (trains := comments.pop("trains", None)) is not None:
        trains = trains.strip().lower()
        if trains != "steady" and not re.fullmatch(r"[1-9]\d{0,5}", trains):
            raise FileError(source, f"the line '# trains' holds {trains!r}", "how many are played, or steady")
        found["trains"] = trains if trains == "steady" else int(trains)
    if (recovery := comments.pop("recovery_time_ms", None)) is not None:
        try:
            found["recovery_time"] = float(recovery)
        except ValueError:
            raise FileError(source, f"the line '# recovery_time_ms' holds {recovery!r}", "one number") from None
    return found


def _responses(source: str, comments: dict[str, str]) -> dict[int, PreparationResponse]:
    parts: dict[int, dict[str, list[tuple[int, FloatArray]]]] = {}
    for key in [key for key in comments if _RESPONSE.fullmatch(key)]:
        match = _RESPONSE.fullmatch(key)
        assert match is not None
        try:
            values = np.array([float(word) for word in comments.pop(key).split()])
        except ValueError:
            raise FileError(source, f"the line '# {key}' holds something that is not a number", "numbers") from None
        parts.setdefault(int(match[1]), {}).setdefault(match[2], []).append((int(match[3] or 1), values))
    made: dict[int, PreparationResponse] = {}
    for number, by_key in parts.items():
        whole = {
            key: np.concatenate([values for _, values in sorted(found, key=lambda item: item[0])])
            for key, found in by_key.items()
        }
        if missing := {"t1", "t2", "b1", "a", "b"} - whole.keys():
            raise FileError(source, f"the lines '# response {number}' lack {', '.join(sorted(missing))}", "all of them")
        shape = tuple(len(whole[key]) for key in ("t1", "t2", "b1"))
        if any(whole[key].size != np.prod(shape) for key in ("a", "b")):
            wrong = f"the lines '# response {number}' do not hold {' × '.join(map(str, shape))} values of a and of b"
            raise FileError(source, wrong, "a value for each T1, T2 and B1")
        whole |= {key: whole[key].reshape(shape) for key in ("a", "b")}
        made[number] = PreparationResponse(**whole)
    return made
