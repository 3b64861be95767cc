"""What the columns of a dictionary's look-up table are: told by their names and units, by their values, or asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.phantoms.quantities import in_ms, stated_unit
from napari_blochnet.schedules.missing import MissingHintError

__all__ = ["Column", "parse_names", "recognised_columns", "refuse_unknown_units"]

# How names are spelled, in small letters and without signs, by what they mean.
_KNOWN = {
    **dict.fromkeys(("t1", "t1relaxation", "r1"), "t1"),
    **dict.fromkeys(("t2", "t2relaxation", "r2"), "t2"),
    **dict.fromkeys(("b1", "b1plus", "b1+", "b1rel", "relb1", "relativeb1", "tb1", "b1scale", "b1factor", "db1"), "b1"),
}
_RATES = ("r1", "r2", "r1relaxationrate", "r2relaxationrate")
# Names that say the same at greater length.
_KNOWN |= {
    f"{name}{more}": key
    for key, names in (("t1", "t1"), ("t2", "t2"))
    for name in (names, f"r{names[1]}")
    for more in ("time", "relaxationtime", "relaxationrate", "zeit", "relaxationszeit", "constant", "ms", "map")
    if more.endswith("rate") == name.startswith("r")
}
_TITLES = {"t1": "T1", "t2": "T2", "b1": "B1"}
# What a name may end in beside itself, which is no part of it.
_ENDINGS = re.compile(r"(?<=[a-z0-9+])_?(list|values?|vals?|vec|vector|grid|range|axis|array|all)$")
_BRACKETED = re.compile(r"^(.*?)\s*[\[(]\s*([^\[\]()]*?)\s*[\])]$")
_SUFFIXED = re.compile(r"^(.*?)[_\s]+(ms|s|sec|us|µs|hz|khz|deg|degrees|rad|percent|pct|%|1/s|1/ms)$", re.IGNORECASE)
# Of T1 that is in seconds, ms: the smallest of a dictionary.
_LONGEST_SHORT_T1 = 2000.0
# T2 above T1 in this share of the atoms means that the two are exchanged.
_EXCHANGED = 0.9
_UNKNOWN_UNIT = re.compile(r"^(t1|t2|r1|r2|b1)\s+(?!rho|star|prime|phase|error|std)[^\s]+$", re.IGNORECASE)
# The middle of any dictionary's T1 and T2 lies between these, ms; it is shared with maps of tissue.
_PLAUSIBLE = {"t1": (20.0, 20_000.0), "t2": (1.0, 5_000.0)}
_TO_MS = {"ms": 1.0, "s": 1000.0}
_PERCENT = ("%", "percent", "per cent", "pct")
# Middle of a dictionary's B1, relative to nominal, and in per cent.
_RELATIVE_B1, _PERCENT_B1 = (0.05, 5.0), (50.0, 150.0)
_HOW = ", the names of its columns in their order, with units, such as 'T1 ms, T2 ms, B1'"


@dataclass(frozen=True, eq=False)
class Column:
    """One parameter of all atoms.

    Parameters
    ----------
    name : str
        "T1", "T2" and "B1", which are known; others as their file calls them.
    values : float64 array of shape (atom,)
        T1 and T2 in ms, B1 relative to nominal; others in ``unit``.
    unit : str
        "ms" of T1 and T2, none of B1; of others as their file says, where it does.
    """

    name: str
    values: FloatArray
    unit: str = ""

    @property
    def key(self) -> str:
        """Key of what is known by its name, "t1", "t2" or "b1"; empty: anything else."""
        return next((key for key, title in _TITLES.items() if title == self.name), "")

    def describe(self) -> str:
        """Return one line for people."""
        low, high = float(self.values.min()), float(self.values.max())
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name} {low:g}{unit}" if low == high else f"{self.name} {low:g} to {high:g}{unit}"


def parse_names(text: str) -> list[tuple[str, str]]:
    """Return the names of columns, and their units, as a person gives them: "T1 s, T2 [s], B1".

    Raises
    ------
    InputError
        A name that is empty, or given twice.
    """
    found = [_split(part) for part in text.split(",")]
    names = [name for name, _ in found]
    if "" in names or len(set(names)) < len(names):
        raise InputError(
            f"parameters is {text!r}", "a name for each column, such as 'T1 ms, T2 ms, B1'", field="parameters"
        )
    return found


def refuse_unknown_units(names: Sequence[tuple[str, str]]) -> None:
    """Raise `InputError` where a person names T1, T2 or B1 with a word behind it that is no unit."""
    for name, _ in names:
        if _UNKNOWN_UNIT.match(name) and not meaning_of(name):
            raise InputError(f"parameters has {name!r}, whose unit is not known", "ms, s, us, 1/s or 1/ms, of B1 %",
                             field="parameters")  # fmt: skip


def meaning_of(name: str) -> str:
    """Return "t1", "t2" or "b1" for a name that means it; empty for any other."""
    return _KNOWN.get(_plain(name), "")


def recognised_columns(
    path: Path, columns: Sequence[FloatArray], names: Sequence[tuple[str, str]], notes: list[str]
) -> tuple[Column, ...]:
    """Return the columns of a look-up table in the units in which they are used.

    Parameters
    ----------
    path : Path
        The file, for sentences.
    columns : sequence of arrays of shape (atom,)
    names : sequence of (name, unit)
        Of each; a unit may be empty.
    notes : list of str
        Takes what was understood.

    Raises
    ------
    InputError
        Numbers that are not finite; two columns of one meaning; T1 or T2 at 0 or below; a unit that cannot be told.
    """
    found: list[Column] = []
    times = ""
    # T1 tells the unit of T2
    order = sorted(range(len(names)), key=lambda i: meaning_of(names[i][0]) == "t2")
    for i in order:
        name, unit = names[i]
        values = np.asarray(columns[i], np.float64).ravel()
        if not np.isfinite(values).all():
            raise FileError(path, f"{name} in its look-up table holds NaN or infinity", "finite numbers")
        key = meaning_of(name)
        column = Column(_TITLES.get(key, name.strip()), values, unit)
        if key in ("t1", "t2"):
            times = _time_unit(path, column, key, _plain(name) in _RATES, times, notes)
            column = replace(column, values=in_ms(values, times), unit="ms")
        elif key == "b1":
            column = replace(column, values=values / _nominal(path, column, notes), unit="")
        if key and not (column.values > 0).all():
            raise FileError(path, f"{column.name} in its look-up table is {column.values.min():g}", "numbers above 0")
        found.append(column)
    found = [found[order.index(i)] for i in range(len(names))]
    titles = [column.name for column in found]
    twice = next((title for title in titles if titles.count(title) > 1), None)
    if twice is not None:
        raise FileError(path, f"two columns of its look-up table are {twice}", "one", field="parameters")
    by_key = {column.key: column.values for column in found}
    if {"t1", "t2"} <= by_key.keys():
        share = float(np.mean(by_key["t2"] > by_key["t1"]))
        if share > _EXCHANGED:
            raise FileError(path, f"T2 is longer than T1 in {100 * share:.0f} % of its atoms", "the names and units of "
                            "its columns in their order", field="parameters")  # fmt: skip
    return tuple(found)


def _split(part: str) -> tuple[str, str]:
    """Return a name and its unit: "T1 [ms]", "T1_ms", "T1 ms"."""
    text = part.strip()
    for pattern in (_BRACKETED, _SUFFIXED):
        matched = pattern.match(text)
        if matched and matched[1]:
            return matched[1].strip(), matched[2].strip()
    return text, ""


def _plain(name: str) -> str:
    text = _split(name)[0].lower()
    return re.sub(r"[\s_\-{}$\\]", "", _ENDINGS.sub("", text))


def _time_unit(path: Path, column: Column, key: str, is_rate: bool, like: str, notes: list[str]) -> str:
    """Return the unit of times or rates, by what the file says, or by their values."""
    stated = stated_unit(column.unit)
    if stated is not None:
        if stated not in ("ms", "s", "us", "1/ms", "1/s") or stated.startswith("1/") != is_rate:
            expected = "1/s or 1/ms" if is_rate else "ms, s or us"
            raise FileError(path, f"{column.name} is in {column.unit!r}", expected, field="parameters")
        low, high = _PLAUSIBLE[key]
        median = float(np.median(in_ms(column.values, stated)))
        if not low <= median < high:
            notes.append(f"{path.name}: {column.name} is stated in {stated}, of which the median is {median:g} ms; "
                         "parameters says otherwise where that is wrong.")  # fmt: skip
        return stated
    middle, least = float(np.median(column.values)), float(column.values.min())
    low, high = _PLAUSIBLE[key]
    if is_rate:
        fits = [f"1/{unit}" for unit, to_ms in _TO_MS.items() if middle > 0 and low <= to_ms / middle < high]
    else:
        fits = [unit for unit, to_ms in _TO_MS.items() if low <= middle * to_ms < high]
        # logarithms of ms look like seconds, but none of them is short
        if key == "t1" and fits == ["s"] and least * _TO_MS["s"] > _LONGEST_SHORT_T1:
            fits = []
    if like in fits:
        return like
    if len(fits) != 1:
        found = f"the unit of {column.name} ({column.values.min():g} to {column.values.max():g}) is not stated"
        raise MissingHintError(path, found, "parameters", _HOW, "'T1 ms, T2 ms'")
    notes.append(f"{path.name}: the unit of {column.name} is not stated; a median of {middle:g} means {fits[0]}.")
    return fits[0]


def _nominal(path: Path, column: Column, notes: list[str]) -> float:
    """Return what B1 is divided by to be relative to nominal."""
    unit, middle = column.unit.strip().lower(), float(np.median(column.values))
    if unit in _PERCENT:
        return 100.0
    if unit not in ("", "1", "relative", "rel", "a.u.", "au"):
        found = f"B1 in its look-up table is in {column.unit!r}"
        raise FileError(path, found, "B1 relative to nominal, or in per cent", field="parameters")
    if _RELATIVE_B1[0] <= middle <= _RELATIVE_B1[1]:
        return 1.0
    if _PERCENT_B1[0] <= middle <= _PERCENT_B1[1]:
        notes.append(f"{path.name}: a median B1 of {middle:g} is per cent, and was divided by 100.")
        return 100.0
    found = f"the unit of B1 ({column.values.min():g} to {column.values.max():g}) is not stated"
    raise MissingHintError(path, found, "parameters", _HOW, "'T1 ms, T2 ms, B1 %'")


def missing_names(path: Path, columns: Sequence[FloatArray]) -> MissingHintError:
    """Return what asks for the names of columns that have none."""
    ranges = "; ".join(f"{np.min(values):g} to {np.max(values):g}" for values in columns)
    found = f"the {len(columns)} columns of its look-up table have no names (they hold {ranges})"
    return MissingHintError(path, found, "parameters", _HOW, "'T1 ms, T2 ms'")
