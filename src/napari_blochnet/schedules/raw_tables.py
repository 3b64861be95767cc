"""Numbers out of text, CSV and MATLAB files, with the names that stand over them."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray, dimensions
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.io.matlab_array import plain_name
from napari_blochnet.io.matlab_files import ArraysOnDemand, MatlabArray, find_array, list_arrays, names_of
from napari_blochnet.io.text_tables import Numbers, TextTable, comments_of, open_table, text_lines
from napari_blochnet.schedules.missing import MissingHintError

__all__ = ["RawTable", "read_comments", "read_matlab_table", "read_number_column", "read_text_table"]

# A schedule of a hundred thousand pulses printed with all digits has less than this; more is something else.
_LARGEST_FILE = 64 * 2**20
_MOST_PULSES = 250_000
_LARGEST_VARIABLE = 1_000_000
_FLAGS = {"true": 1.0, "false": 0.0, "wahr": 1.0, "falsch": 0.0}
# What stands below the names of columns, where a table has a row of units.
_UNITS = frozenset({"", "-", "deg", "degree", "degrees", "°", "rad", "ms", "s", "sec", "us", "µs", "μs"})
_EXPECTED = "a header and one row for each pulse"


@dataclass(frozen=True)
class RawTable:
    """Columns of numbers as a file gives them.

    Parameters
    ----------
    columns : mapping of str to array of shape (rows,)
        By name; bool where they are true and false, complex where they are that.
    has_names : bool
        Whether the names are the file's own; otherwise "column 1" and so on.
    comments : dict of str to str
        From lines ``# key: value`` and ``# key = value``.
    no_numbers : dict of str to InputError
        Columns that hold something else, and what to say where they are needed.
    others : dict of str to str
        Arrays of the file that are no columns, and their shape in words.
    are_paths : bool
        Whether the names are paths through structures and cells.
    """

    columns: Mapping[str, AnyArray]
    has_names: bool = True
    comments: dict[str, str] = field(default_factory=dict)
    no_numbers: dict[str, InputError] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    are_paths: bool = False


def read_number_column(path: Path) -> FloatArray:
    """Read a text file of one number a line, or of one line; comments begin with ``#`` or ``%``.

    Raises
    ------
    InputError
        A line that is not one number (names the line), no number at all, or a file that is not text.
    """
    values = array("d")
    number = Numbers(path.name)
    rows: list[tuple[str, str]] = []
    for line, text in text_lines(path, _LARGEST_FILE):
        plain = text.strip()
        if plain and plain[0] not in "#%":
            where = f"{path.name}, line {line}"
            rows = [*rows[:1], (plain, where)]
            if len(rows) > 1 or len(plain.split()) == 1:
                values.append(number(plain, where))
            if len(values) > _LARGEST_VARIABLE:
                raise FileError(where, "is one number too many", f"at most {_LARGEST_VARIABLE:,}")
    if len(rows) == 1 and not values:
        values.extend(number(word, rows[0][1]) for word in rows[0][0].split())
    elif rows and len(rows[0][0].split()) != 1:
        number(*rows[0])
    if not values:
        raise FileError(path, "holds no numbers", "one a line")
    number.check()
    return np.array(values)


def read_comments(paths: Iterable[Path]) -> dict[str, str]:
    """Return what comment lines beside columns of numbers say; the names of such files are their own."""
    comments = comments_of(paths, _LARGEST_FILE)
    comments.pop("name", None)
    return comments


def read_text_table(path: Path) -> RawTable:
    """Read a table of numbers as text, with names over its columns or without.

    Raises
    ------
    InputError
        A row of another length, two columns of one name; see `napari_blochnet.io.text_tables.open_table`.
    """
    table = open_table(path, _LARGEST_FILE, _EXPECTED, most=_MOST_PULSES)
    number = table.numbers()
    numeric = [_is_number(cell) for cell in table.header]
    if len(numeric) > 1 and not numeric[0] and all(numeric[1:]):
        raise FileError(path, "has a row for each quantity", "a column for each: a row for each pulse")
    has_names = not all(numeric)
    if has_names:
        names = _with_units(table)
        named = [name for name in names if name]
        if len(set(named)) != len(named):
            raise FileError(path, f"two columns have the same name in {', '.join(names)!r}.")
    else:
        names = [f"column {i + 1}" for i in range(len(table.header))]
    values, wrong, flags = _columns(table, names, number, has_names)
    number.check()
    columns: dict[str, AnyArray] = {}
    for i, name in enumerate(names):
        if name and i not in wrong:
            columns[name] = np.array(values[i], dtype=bool if i in flags else np.float64)
    no_numbers = {names[i]: error for i, error in wrong.items() if names[i]}
    return RawTable(columns, has_names, table.comments, no_numbers)


def _with_units(table: TextTable) -> list[str]:
    """Return the names of the columns, with their units where these stand in a row of their own."""
    first = next(table.rows, None)
    if first is None:
        return table.header
    units = [cell.strip("[]()").lower() for cell in first[1]]
    if len(units) == len(table.header) and any(units) and set(units) <= _UNITS:
        return [f"{name} ({unit})" if unit else name for name, unit in zip(table.header, units, strict=True)]
    table.rows = itertools.chain([first], table.rows)
    return table.header


def _columns(
    table: TextTable, names: list[str], number: Numbers, has_names: bool
) -> tuple[list[array[float]], dict[int, InputError], set[int]]:
    """Return the values of each column, what is wrong with those that are no numbers, and which are flags."""
    values = [array("d") for _ in names]
    wrong: dict[int, InputError] = {}
    flags: set[int] = set()
    rows = table.rows if has_names else _with_first(table)
    for line, cells in rows:
        where = f"{table.name}, line {line}"
        if len(cells) != len(names):
            expected = f"{len(names)}, as in {'the header' if has_names else 'the first row'}"
            raise FileError(where, f"has {len(cells)} cells", expected)
        for i, cell in enumerate(cells):
            if i in wrong:
                continue
            flag = _FLAGS.get(cell.lower())
            if flag is not None:
                flags.add(i)
                values[i].append(flag)
                continue
            try:
                values[i].append(number(cell, where))
            except InputError as error:
                wrong[i] = error
    return values, wrong, {i for i in flags if set(values[i]) <= {0.0, 1.0}}


def _with_first(table: TextTable) -> Iterator[tuple[int, list[str]]]:
    yield table.header_line, table.header
    yield from table.rows


def _is_number(text: str) -> bool:
    try:
        Numbers("")(text, "")
    except InputError as error:
        return "finite" in str(error)
    return True


def read_matlab_table(path: Path, variable: str | None = None) -> RawTable:
    """Read the numeric vectors of a MATLAB file of any version, and of other HDF5 files, by path.

    Parameters
    ----------
    path : Path
    variable : str, optional
        The structure or cell to read, such as ``seq.rf`` or ``x(2)``; or the one array, a column for each quantity.

    Raises
    ------
    InputError
        Not a MATLAB file, or none of its variables is a vector of numbers.
    """
    size = path.stat().st_size
    if size > 2**40:
        raise FileError(path, f"has {size:,} bytes", "a schedule")
    arrays = list_arrays(path)
    if variable is not None:
        inside = plain_name(variable)
        held = {name: each for name, each in arrays.items() if _is_within(plain_name(name), inside)}
        if not held:
            return _of_array(path, find_array(path, arrays, variable))
        arrays = held
    # what lies elsewhere is not read, and neither is what is beside it
    trouble = next((each for each in arrays.values() if each.trouble), None)
    if trouble is not None:
        trouble.read()
    vectors = {name: each for name, each in arrays.items() if _is_vector(each)}
    if not vectors:
        held_names = f"; it holds {names_of(arrays.values(), shapes=True)}" if arrays else ""
        found = f"holds no vector of numbers{held_names}"
        table = next((name for name, each in arrays.items() if _is_table(each)), None)
        if table is not None:
            how = f", the array with a column for each quantity, such as {table!r}, and columns, such as 'fa tr te'"
            raise MissingHintError(path, found, "variable", how, f"'{table}'")
        raise FileError(path, found, "variables such as fa and tr")
    others = {name: dimensions(each.shape) for name, each in arrays.items() if name not in vectors and all(each.shape)}
    return RawTable(_Vectors(vectors), others=others, are_paths=True)


class _Vectors(ArraysOnDemand[MatlabArray]):
    """Vectors of a file, of which those that are no part of a schedule need not be read."""

    def __getitem__(self, name: str) -> AnyArray:
        return _values(self.arrays[name])


def _is_within(name: str, inside: str) -> bool:
    return name.startswith(inside) and name[len(inside) : len(inside) + 1] in (".", "{", "(")


def _is_vector(each: MatlabArray) -> bool:
    size = int(np.prod(each.shape, dtype=object))
    return 0 < size <= _LARGEST_VARIABLE and max(each.shape) == size


def _is_table(each: MatlabArray) -> bool:
    return len(each.shape) == 2 and max(each.shape) <= _LARGEST_VARIABLE and 0 < min(each.shape) <= 16


def _of_array(path: Path, each: MatlabArray) -> RawTable:
    """Return the columns of one array, which may lie in its rows too."""
    if _is_vector(each):
        return RawTable({each.name: _values(each)}, are_paths=True)
    if not _is_table(each):
        raise FileError(path, f"{names_of([each], shapes=True)} is no table", "a column for each quantity")
    values = np.asarray(each.read())
    if values.shape[0] < values.shape[1]:
        values = values.T
    columns = {f"column {i + 1}": np.array(values[:, i], dtype=np.float64) for i in range(values.shape[1])}
    return RawTable(columns, has_names=False)


def _values(each: MatlabArray) -> AnyArray:
    values = np.asarray(each.read()).ravel()
    if each.is_flag:
        return np.asarray(values != 0)
    return values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)
