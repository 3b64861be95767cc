"""Numbers out of text, CSV and MATLAB files, with the names that stand over them."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.io.matlab5 import is_matlab_73, list_matlab_arrays

__all__ = ["read_csv_table", "read_matlab_table", "read_number_column"]

# A schedule of a hundred thousand pulses printed with all digits has less than this; more is something else.
_LARGEST_FILE = 64 * 2**20
_LARGEST_VARIABLE = 1_000_000


def read_number_column(path: Path) -> FloatArray:
    """Read a text file of one number a line; empty lines and lines that begin with ``#`` or ``%`` are skipped.

    Raises
    ------
    InputError
        A line that is not one number (names the line), no number at all, or a file that is not text.
    """
    values = []
    for row, line in enumerate(_lines(path), start=1):
        text = line.strip()
        if text and text[0] not in "#%":
            values.append(_number(text, f"{path.name}, line {row}"))
    if not values:
        raise FileError(path, "holds no numbers", "one a line")
    return np.array(values)


def read_csv_table(path: Path) -> tuple[dict[str, FloatArray], dict[str, str]]:
    """Read a CSV file with a header row and a number in every cell.

    Returns
    -------
    columns : dict of str to array of shape (rows,)
        By the name in the header.
    comments : dict of str to str
        From lines ``# key: value`` above the header.

    Raises
    ------
    InputError
        No header; a row of another length; a cell that is not a number (names the row).
    """
    comments: dict[str, str] = {}
    rows: list[tuple[int, str]] = []
    for number, line in enumerate(_lines(path), start=1):
        text = line.strip()
        if text.startswith("#"):
            key, found, value = text[1:].partition(":")
            if found:
                comments[key.strip()] = value.strip()
        elif text:
            rows.append((number, text))
    if not rows:
        raise FileError(path, "is empty", "a header and one row for each pulse")
    header_line = rows[0][1]
    delimiter = next((mark for mark in (",", ";", "\t") if mark in header_line), ",")
    table = list(csv.reader((text for _, text in rows), delimiter=delimiter))
    header = [name.strip() for name in table[0]]
    if all(_is_number(name) for name in header):
        raise FileError(
            path,
            "begins with numbers",
            "a header that names the columns, such as flip_angle_deg,repetition_time_ms,echo_time_ms,rf_phase_deg",
        )
    if len(set(header)) != len(header):
        raise FileError(path, f"two columns have the same name in {header_line!r}.")
    values = np.empty((len(table) - 1, len(header)))
    for (number, _), cells, target in zip(rows[1:], table[1:], values, strict=True):
        if len(cells) != len(header):
            raise InputError(
                f"{path.name}, line {number}: has {len(cells)} cells", f"{len(header)}, as in the header", field="path"
            )
        target[:] = [_number(cell.strip(), f"{path.name}, line {number}") for cell in cells]
    return {name: values[:, i] for i, name in enumerate(header)}, comments


def read_matlab_table(path: Path) -> dict[str, FloatArray]:
    """Read the numeric vectors of a MATLAB file, version 5 or 7.3.

    Raises
    ------
    InputError
        Not a MATLAB file, or none of its variables is a vector of numbers.
    """
    _check_size(path)
    found = _matlab_73(path) if is_matlab_73(path) else _matlab_5(path)
    if not found:
        raise FileError(path, "holds no vector of numbers", "variables such as fa and tr")
    return found


def _matlab_5(path: Path) -> dict[str, FloatArray]:
    return {
        name: _real_vector(array.read())
        for name, array in list_matlab_arrays(path).items()
        if 0 < math.prod(array.shape) <= _LARGEST_VARIABLE and max(array.shape) == math.prod(array.shape)
    }


def _matlab_73(path: Path) -> dict[str, FloatArray]:
    import h5py

    found: dict[str, FloatArray] = {}
    try:
        with h5py.File(path, "r") as file:
            for name, item in file.items():
                if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "iuf":
                    continue
                if 0 < item.size <= _LARGEST_VARIABLE and max(item.shape, default=1) == item.size:
                    found[name] = _real_vector(item[()])
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise FileError(path, f"cannot be read as a MATLAB 7.3 file ({reason}).") from None
    return found


def _real_vector(values: Any) -> FloatArray:
    return np.asarray(np.real(values), dtype=np.float64).ravel()


def _lines(path: Path) -> list[str]:
    _check_size(path)
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise FileError(path, "is not a text file", "a schedule as text") from None


def _check_size(path: Path) -> None:
    size = path.stat().st_size
    if size > _LARGEST_FILE:
        raise FileError(path, f"has {size:,} bytes", f"a schedule, which has less than {_LARGEST_FILE:,}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        shown = text if len(text) <= 40 else text[:37] + "…"
        raise FileError(where, f"found {shown!r}", "one number") from None
    if not math.isfinite(value):
        raise FileError(where, f"found {text}", "a finite number")
    return value
