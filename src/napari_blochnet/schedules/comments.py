"""What the comment lines of a schedule file state, by the rules of names and units that its columns have."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import DataWarning, FileError, InputError
from napari_blochnet.io.text_tables import Numbers
from napari_blochnet.schedules.columns import Column, parse_name, unit_of

__all__ = ["CommentLines"]

# What stands between a quantity and its number, and what begins another: "TR = 12 ms, TI = 20 ms".
_ASSIGNED = re.compile(r"[:=]+")
_NEXT = re.compile(r"[,;]\s*(?=[^\W\d][^,;:=]*[:=])")
_NUMBER = re.compile(r"([+\-\u2212]?[\d.][\d.,]*(?:[eEdD][+-]?\d+)?)\s*[\[(]?\s*([^\W\d]*|%|°)\s*[\])]?\.?")
_NO = re.compile(r"(no|none|not|off|false|without|never|nein|ohne|kein|keine)\b", re.IGNORECASE)
_YES = re.compile(r"(yes|on|true|with|ja)\.?", re.IGNORECASE)
_UNSAID = frozenset({"", "-", "?", "n/a", "na", "nan", "tbd", "unknown"})
_TIMES, _ANGLES = ("ms", "s", "us"), ("deg", "rad")
# Beside other words a time is perhaps that of the pulse: "inversion pulse duration: 10 ms".
_TIME_WORDS = frozenset({
    "inversion", "inversiontime", "inversionszeit", "inversiondelay", "inv", "invtime", "invdelay", "ti", "t", "i",
    "time", "delay", "in", "the", "value", "nominal", "recovery",
})  # fmt: skip
# A name of more words is prose.
_LONGEST_NAME = 4
# Characters of a comment that states several quantities, and what may stand before one: "Note: TI = 20 ms".
_LONGEST, _MOST_TITLES = 1000, 3
# As our own files write them.
_OURS = frozenset({"inversion_time_ms", "inversion_efficiency", "receiver_phase", "slice_profile"})


class CommentLines:
    """What comments state of a schedule, by the fields of `Schedule`.

    Parameters
    ----------
    source : str
        The file, as a sentence names it.
    lines : mapping of str to str
        From lines ``# key: value`` and ``# key = value``; the first and the last of one key, where they differ, as two
        lines.

    Raises
    ------
    InputError
        A line of our own files that is not as we write it, numbers whose comma may be decimal or not, two comments
        that contradict each other.

    Notes
    -----
    Comments that name a quantity and are not used are named in a `DataWarning`; prose is passed over.
    """

    def __init__(self, source: str, lines: Mapping[str, str]) -> None:
        self._source = source
        self._stated: dict[str, tuple[Any, str]] = {}
        self._ours: set[str] = set()
        unused: list[str] = []
        for key, value in _statements(lines):
            found = self._read(key, value)
            if found == ("unused", None):
                unused.append(f"'# {key}: {value}'")
            elif found is not None:
                self._add(*found, key, value)
        if unused:
            more = f" and {len(unused) - 12} more" if len(unused) > 12 else ""
            sentence = f"{source}: not used as part of the schedule: {', '.join(unused[:12])}{more}."
            warnings.warn(sentence, DataWarning, stacklevel=4)

    def get(self, field: str) -> Any:
        """Return what is stated of a field, or None; ``inversion`` is whether there is one.

        ``unreadable`` is the comment that states an inversion whose time cannot be read.
        """
        return self._stated.get(field, (None, ""))[0]

    def is_ours(self, field: str) -> bool:
        """Whether it stands in the line that our files have for it."""
        return field in self._ours

    def _add(self, field: str, value: Any, key: str, text: str) -> None:
        before, where = self._stated.get(field, (None, ""))
        shown = f"'# {key}: {text}'"
        if before is not None and field not in ("name", "unreadable") and not _is_same(before, value):
            raise FileError(self._source, f"holds the comments {where} and {shown}", f"one {field}")
        self._stated[field] = (value, shown)
        if key in _OURS:
            self._ours.add(field)

    def _read(self, key: str, value: str) -> tuple[str, Any] | None:
        """Return a field and its value, that a line is not used, or None of prose."""
        plain = "_".join(_words(key))
        if key == "name":
            return "name", value
        if plain == "receiver_phase":
            known = value.lower() in ("follows", "fixed")
            return (plain, value.lower() if known else value) if known or key in _OURS else ("unused", None)
        if plain == "slice_profile":
            numbers = self._profile(value)
            if numbers is None and key in _OURS:
                raise self._unreadable(key, value, "numbers")
            return ("unused", None) if numbers is None else (plain, numbers)
        column = parse_name(key, np.zeros(1), f"{self._source}, comment '# {key}: {value}'")
        if column is None:
            return None
        if value.lower() in _UNSAID and key not in _OURS:
            return None
        is_prose = len(_words(key)) > _LONGEST_NAME
        if is_prose or not column.quantity.startswith("inversion"):
            return ("unused", None) if re.search(r"\d", value) else None
        number, unit = self._number(value, column.source)
        if column.quantity == "inversion_efficiency":
            if number is None or unit not in (None, "%"):
                if key in _OURS:
                    raise self._unreadable(key, value, "one number")
                return "unused", None
            return column.quantity, number / 100.0 if unit == "%" else number
        return self._inversion(key, value, column, number, unit)

    def _inversion(
        self, key: str, value: str, column: Column, number: float | None, unit: str | None
    ) -> tuple[str, Any]:
        stated = [each for each in (column.unit, unit) if each is not None]
        if len(set(stated)) > 1:
            raise FileError(column.source, f"states two units, {' and '.join(stated)}", "one")
        kind = stated[0] if stated else None
        if number is not None and kind in _ANGLES:
            return "inversion", number != 0.0
        if number is not None and column.quantity == "inversion" and kind is None and number in (0.0, 1.0):
            return "inversion", bool(number)
        names = {word for word in _words(key) if unit_of(word) is None}
        if number is not None and (kind is None or kind in _TIMES) and names <= _TIME_WORDS:
            time = Column("inversion_time", np.array([number]), column.source, kind)
            if kind is not None:
                time = Column("inversion_time", time.milliseconds(None), column.source, "ms")
            return "inversion_time", time
        if key in _OURS:
            raise self._unreadable(key, value, "one number")
        if _NO.match(value) or _YES.fullmatch(value):
            return "inversion", _NO.match(value) is None
        return "unreadable", f"'# {key}: {value}'"

    def _unreadable(self, key: str, value: str, expected: str) -> InputError:
        return FileError(self._source, f"the line '# {key}' holds {value!r}", expected)

    def _number(self, text: str, where: str) -> tuple[float | None, str | None]:
        """Return the one number of a text and its unit; neither where it holds something else."""
        match = _NUMBER.fullmatch(text)
        if match is None:
            return None, None
        unit = match[2] if match[2] == "%" else unit_of(match[2])
        if match[2] and unit is None:
            return None, None
        read = Numbers(self._source)
        value = read(match[1], where)
        read.check()
        return value, unit

    def _profile(self, text: str) -> FloatArray | None:
        words = [word.strip(",") for word in re.split(r"[;\s]+", text)]
        if len(words) == 1:
            words = words[0].split(",")
        read = Numbers(self._source)
        try:
            numbers = [read(word, f"{self._source}, comment '# slice_profile'") for word in words if word]
        except InputError:
            return None
        read.check()
        return np.array(numbers) if numbers else None


def _statements(lines: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, values in lines.items():
        for value in values.split("\n"):
            if key == "name" or key in _OURS:
                yield key, value
                continue
            text = f"{key}:{value}"
            for part in _NEXT.split(text) if len(text) <= _LONGEST else [text]:
                name, rest = _halves(part)
                for _ in range(_MOST_TITLES):
                    if not _ASSIGNED.search(rest) or _is_known(name):
                        break
                    name, rest = _halves(rest)
                yield name, rest


def _halves(text: str) -> tuple[str, str]:
    parts = _ASSIGNED.split(text, maxsplit=1)
    return parts[0].strip(), parts[-1].strip() if len(parts) > 1 else ""


def _is_known(name: str) -> bool:
    return parse_name(name, np.zeros(1), "") is not None or "_".join(_words(name)) == "slice_profile"


def _is_same(first: Any, second: Any) -> bool:
    if isinstance(first, Column):
        return first.unit == second.unit and bool(np.allclose(first.values, second.values, rtol=1e-9, atol=0.0))
    return bool(np.array_equal(first, second))


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return [word for word in re.split(r"[^a-z0-9µμ°]+", spaced.lower()) if word]
