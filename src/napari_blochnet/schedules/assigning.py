"""Which column of a file is which quantity of a schedule: by its name, or by its values where it has none."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray
from napari_blochnet.common.errors import DataWarning, FileError, InputError
from napari_blochnet.schedules.columns import Column, Quantity, parse_name
from napari_blochnet.schedules.missing import MissingHintError
from napari_blochnet.schedules.raw_tables import RawTable

__all__ = ["assign_columns"]

# Column names that number the rows and say nothing about the pulses.
_ROW_NUMBERS = frozenset({"", "n", "index", "pulse", "number", "row", "time_point"})
# Orders in which people write columns without names.
_ORDERS: tuple[tuple[Quantity, ...], ...] = (
    ("flip_angle",),
    ("flip_angle", "repetition_time"),
    ("flip_angle", "repetition_time", "echo_time"),
    ("flip_angle", "repetition_time", "rf_phase"),
    ("flip_angle", "repetition_time", "echo_time", "rf_phase"),
    ("flip_angle", "rf_phase", "repetition_time", "echo_time"),
    ("flip_angle", "repetition_time", "rf_phase", "echo_time"),
)
_MOST_NAMES = 12
_EXAMPLE = "'fa tr te'"


def assign_columns(source: str, table: RawTable, names: str | Sequence[str] | None = None) -> dict[Quantity, Column]:
    """Return the columns of a table by the quantity they hold.

    Parameters
    ----------
    source : str
        The file, as a sentence names it.
    table : RawTable
    names : str or sequence of str, optional
        Names of columns that have none in the file, in order: "fa tr te", with units where they need them.

    Raises
    ------
    InputError
        No flip angle, two columns for one quantity, columns without names whose values do not tell what they are.
    """
    if not table.has_names:
        table = _with_names(source, table, names)
    elif names is not None:
        raise FileError(source, "names its columns itself; leave columns out.", field="columns")
    columns: dict[Quantity, Column] = {}
    unused: list[str] = []
    names_of_all = [*table.columns, *table.no_numbers, *(f"{name} ({shape})" for name, shape in table.others.items())]
    for name in (*table.columns, *table.no_numbers):
        column = parse_name(_own_name(name) if table.are_paths else name, np.zeros(1), f"{source}, {name}")
        if column is None:
            unused.append(name)
            continue
        if name in table.no_numbers:
            raise table.no_numbers[name]
        for quantity, found in _real_columns(column, table.columns[name]).items():
            if quantity in columns:
                raise _two_of_one(source, quantity, columns[quantity].source.removeprefix(f"{source}, "), name)
            columns[quantity] = found
    if "flip_angle" not in columns:
        sentence = f"none of {_listed(names_of_all)} names the flip angle"
        raise FileError(source, sentence, "one such as flip_angle_deg or fa, with a value for each pulse")
    unused = [name for name in [*unused, *table.others] if name.lower() not in _ROW_NUMBERS]
    if unused:
        warnings.warn(f"{source}: not used as part of the schedule: {_listed(unused)}.", DataWarning, stacklevel=4)
    return columns


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _own_name(name: str) -> str:
    """Return what a path says of the array itself: ``seq.rf.fa`` is called fa, and so is ``fa{1}``."""
    parts = [re.sub(r"[({]\d+[)}]", "", part) for part in name.split(".")]
    return parts[-2] if len(parts) > 1 and parts[-1].lower() in ("value", "values", "data") else parts[-1]


def _two_of_one(source: str, quantity: Quantity, first: str, second: str) -> InputError:
    # "seq.rf" of "seq.rf.fa", "fa{1}" of itself
    places = [name.rpartition(".")[0] or name for name in (first, second)]
    if "." in first + second or "{" in first + second:
        found = f"{first!r} and {second!r} both name the {quantity}"
        how = f", the one to read, such as {places[0]!r}" + (f" or {places[1]!r}" if places[0] != places[1] else "")
        return MissingHintError(source, found, "variable", how, f"'{places[0]}'")
    return FileError(source, f"{second!r} and another entry both name the {quantity}", "one")


def _real_columns(column: Column, values: AnyArray) -> dict[Quantity, Column]:
    """Return the column with its values; two where they are complex flip angles, pulses with their phase."""
    if values.dtype.kind == "b":
        return {column.quantity: replace(column, values=values.astype(np.float64), is_flag=True)}
    if values.dtype.kind != "c" or not values.imag.any():
        return {column.quantity: replace(column, values=np.asarray(values.real, dtype=np.float64))}
    if column.quantity != "flip_angle":
        raise FileError(column.source, "holds complex numbers", "real ones", field="path")
    warnings.warn(
        f"{column.source}: holds complex numbers; their magnitude is taken as flip angle, their argument as RF phase.",
        DataWarning,
        stacklevel=5,
    )
    phase = Column("rf_phase", np.rad2deg(np.angle(values)), f"{column.source} (argument)", "deg", is_argument=True)
    return {"flip_angle": replace(column, values=np.abs(values)), "rf_phase": phase}


def _with_names(source: str, table: RawTable, names: str | Sequence[str] | None) -> RawTable:
    if table.no_numbers:
        raise next(iter(table.no_numbers.values()))
    columns = list(table.columns.values())
    given: list[str]
    if names is not None:
        given = re.split(r"[,;\s]+", names.strip()) if isinstance(names, str) else list(names)
        if len(given) != len(columns):
            found = f"has {len(columns)} columns where columns names {len(given)}"
            raise FileError(source, found, "a name for each", field="columns")
        if len(set(given)) != len(given):
            raise FileError(source, f"columns holds a name twice: {' '.join(given)}.", field="columns")
    else:
        order = _told_by_values(source, columns)
        given = list(order)
        if len(order) > 1:
            words = ", ".join(quantity.replace("_", " ") for quantity in order)
            sentence = f"{source}: names no columns; they are taken as {words}, by their values."
            warnings.warn(sentence, DataWarning, stacklevel=5)
    return RawTable(dict(zip(given, columns, strict=True)), comments=table.comments)


def _told_by_values(source: str, columns: list[FloatArray]) -> tuple[Quantity, ...]:
    """Return the one order of columns that their values allow."""
    possible = [order for order in _ORDERS if len(order) == len(columns) and _is_possible(order, columns)]
    if len(possible) != 1:
        found = f"begins with numbers, {len(columns)} in a row, and their values do not tell what they are"
        how = f", what they are in order, such as {_EXAMPLE} or 'fa tr phase_rad'"
        raise MissingHintError(source, found, "columns", how, _EXAMPLE)
    return possible[0]


def _is_possible(order: tuple[Quantity, ...], columns: list[FloatArray]) -> bool:
    by_quantity = dict(zip(order, columns, strict=True))
    repetition = by_quantity.get("repetition_time")
    if repetition is None:
        return True
    if not _is_like_repetition(repetition) or _is_like_repetition(by_quantity["flip_angle"]):
        return False
    echo, phase = by_quantity.get("echo_time"), by_quantity.get("rf_phase")
    if echo is not None and not ((echo > 0) & (echo <= repetition)).all():
        return False
    # a phase that never changes is not written down, and one within a circle of radians below the TR may be a time
    return (
        phase is None or echo is not None or not ((phase > 0) & (phase <= repetition)).all() or _may_be_radians(phase)
    )


def _is_like_repetition(values: FloatArray) -> bool:
    low, high = float(values.min()), float(values.max())
    return low > 0 and high <= 2 * low and ((low >= 1 and high <= 1000) or (low >= 0.001 and high <= 1))


def _may_be_radians(values: FloatArray) -> bool:
    return bool(np.ptp(values) > 0 and values.max() <= 2 * np.pi)
