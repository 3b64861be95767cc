"""Numeric arrays of MATLAB 4 files (what ``save -v4`` writes)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.matlab_array import MatlabArray, TooManyError, Walk, warn_of_rest
from napari_blochnet.io.reading import read_bytes, refuse_beyond_memory

__all__ = ["is_matlab_4", "list_matlab_4_arrays"]

_STORED = ("f8", "f4", "i4", "i2", "u2", "u1")
_CLASSES = ("double", "single", "int32", "int16", "uint16", "uint8")
_LONGEST_NAME = 64


def is_matlab_4(head: bytes) -> bool:
    """Return whether a file's first bytes are the head of a MATLAB 4 array, which has no mark of its own."""
    try:
        order, _, _, _, length, _, _ = _head(head[:20])
    except ValueError:
        return False
    name = head[20 : 20 + length]
    return bool(order) and name[:-1].decode("latin-1").isidentifier() and name[-1:] == b"\0"


def list_matlab_4_arrays(path: Path) -> dict[str, MatlabArray]:
    """List the numeric arrays of a MATLAB 4 file by name; text and sparse arrays are left out.

    Raises
    ------
    InputError
        An array that is cut off, or no head where one is expected.
    """
    found: dict[str, MatlabArray] = {}
    size = path.stat().st_size
    walk = Walk(size)
    with path.open("rb") as file:
        try:
            while head := file.read(20):
                with walk.into():
                    array, end = _array(path, file, head, size)
                if array is not None:
                    found[array.name] = array
                file.seek(end)
        except TooManyError as error:
            warn_of_rest(path, error)
        except ValueError as error:
            raise FileError(path, f"cannot be read as a MATLAB file ({error}).") from None
    return found


def _head(head: bytes) -> tuple[str, int, int, bool, int, int, int]:
    """Return byte order, rows, columns, whether complex, the name's length, stored type and kind of array."""
    if len(head) == 20:
        for order, machine in (("<", 0), (">", 1)):
            kind, rows, columns, imaginary, length = struct.unpack(f"{order}5i", head)
            stored, what = kind // 10 % 10, kind % 10
            good = kind // 1000 == machine and kind // 100 % 10 == 0 and stored < len(_STORED) and what < 3
            if good and min(rows, columns) >= 0 and imaginary in (0, 1) and 1 < length <= _LONGEST_NAME:
                return order, rows, columns, bool(imaginary), length, stored, what
    raise ValueError("an array of version 4 without a head")


def _array(path: Path, file: BinaryIO, head: bytes, size: int) -> tuple[MatlabArray | None, int]:
    order, rows, columns, is_complex, length, stored, what = _head(head)
    name = file.read(length).split(b"\0")[0].decode("latin-1")
    begin, count = file.tell(), rows * columns
    parts, dtype = 1 + is_complex, np.dtype(order + _STORED[stored])
    end = begin + parts * count * dtype.itemsize
    if end > size:
        raise ValueError(f"{name} is cut off")
    if what:
        return None, end
    native = dtype.newbyteorder("=")
    result: np.dtype[Any] = np.dtype("c8" if native == np.float32 else "c16") if is_complex else native

    def read(watch: Watch = UNWATCHED) -> AnyArray:
        refuse_beyond_memory(path, count * result.itemsize)
        raw: AnyArray = np.empty(parts * count, dtype)
        with path.open("rb") as again:
            again.seek(begin)
            try:
                read_bytes(again, raw, what=f"reading {path.name}", watch=watch)
            except EOFError as error:
                raise FileError(path, f"cannot be read as a MATLAB file ({error}).") from None
        values: AnyArray = np.empty(count, result)
        values[:] = raw[:count]
        if is_complex:
            values.imag = raw[count:]
        return values.reshape((rows, columns), order="F")

    return MatlabArray(name, (rows, columns), result, _CLASSES[stored], read), end
