"""Numeric arrays of MATLAB 5 files (what ``save -v6`` and ``-v7`` write), whole or damaged.

scipy reads whole files; on some damaged ones it ends the process, which no plugin may do to its window. Only numeric
arrays are looked at here, and no number in the file is believed before it is checked against the bytes at hand.
Format: "MAT-File Format", The MathWorks.
"""

from __future__ import annotations

import math
import mmap
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.common.progress import UNWATCHED, Watch

__all__ = ["MatlabArray", "is_matlab_73", "list_matlab_arrays"]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_NUMERIC_CLASSES = range(6, 16)
_COMPLEX = 0x0800
# Flags, shape and name of an array fit in this many bytes: 32 axes, and names of 63 letters.
_HEAD = 1024
# Packed bytes between two looks at ``cancelled``; they may unpack to a thousand times as many.
_PACKED = 2**16


class _DamageError(Exception):
    """What is wrong, as the middle of a sentence."""


@dataclass(frozen=True)
class MatlabArray:
    """One numeric array of a file, not read yet.

    Parameters
    ----------
    name : str
    shape : tuple of int
        As MATLAB shows it; at least two axes.
    nbytes : int
        What reading it takes.
    read : callable
        Returns the array, of the type it is stored in; takes a `Watch`. Raises `InputError` where bytes are missing.
    """

    name: str
    shape: tuple[int, ...]
    nbytes: int
    read: Callable[..., AnyArray]


def is_matlab_73(path: Path) -> bool:
    """Return whether a file is HDF5, as MATLAB 7.3 files are behind a block of 512 bytes."""
    with path.open("rb") as file:
        head = file.read(520)
    return _HDF5 in (head[:8], head[512:520])


def list_matlab_arrays(path: Path) -> dict[str, MatlabArray]:
    """List the numeric arrays of a MATLAB 5 file by name.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict of str to MatlabArray
        Text, cells, structures, objects and sparse arrays are left out. An array that is damaged in its head ends the
        list.

    Raises
    ------
    InputError
        Not a MATLAB 5 file, or one whose first array is damaged.
    """
    with path.open("rb") as file:
        head = file.read(128)
        order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
        if order is None or struct.unpack(f"{order}H", head[124:126]) != (0x0100,):
            raise FileError(path, "cannot be read as a MATLAB file (it does not begin as one of version 5 does).")
        found: dict[str, MatlabArray] = {}
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                for start, stop, packed in _elements(content, order):
                    array = _array(path, _Element(path, start, stop, packed), order)
                    if array is not None:
                        found[array.name] = array
            except _DamageError as error:
                if not found:
                    raise _sentence(path, error) from None
    return found


def _elements(content: mmap.mmap, order: str) -> Iterator[tuple[int, int, bool]]:
    """Yield where each matrix begins and ends, and whether it is compressed."""
    at = 128
    while at + 8 <= len(content):
        kind, size = struct.unpack(f"{order}II", content[at : at + 8])
        at += 8
        if kind not in (_MATRIX, _COMPRESSED):
            raise _DamageError(f"found an element of type {kind} at byte {at - 8}")
        yield at, min(at + size, len(content)), kind == _COMPRESSED
        at += size if kind == _COMPRESSED else size + -size % 8


@dataclass(frozen=True)
class _Element:
    """The bytes of one matrix, unpacked no further than asked for."""

    path: Path
    start: int
    stop: int
    packed: bool

    def first(self, size: int, watch: Watch = UNWATCHED) -> bytes:
        """Return the first ``size`` bytes behind the matrix's own tag, or what there is of them."""
        what = f"reading {self.path.name}"
        # the tag of the matrix is inside the compressed part
        stream, tag = (zlib.decompressobj(), 8) if self.packed else (None, 0)
        content, left = bytearray(), self.stop - self.start
        with self.path.open("rb") as file:
            file.seek(self.start)
            while left > 0 and (missing := size + tag - len(content)) > 0:
                watch.check(what)
                watch.report(len(content) >> 20, size >> 20, what)
                chunk = file.read(min(left, _PACKED if stream else min(missing, 2**22)))
                if not chunk:
                    break
                left -= len(chunk)
                try:
                    content += stream.decompress(chunk, missing) if stream else chunk
                except zlib.error as error:
                    raise _DamageError(f"damage in its packing, {error}") from None
        return bytes(memoryview(content)[tag:])


def _array(path: Path, element: _Element, order: str) -> MatlabArray | None:
    head = element.first(_HEAD)
    at, flags = _part(head, 0, order)
    if len(flags[1]) < 4 or flags[0] != 6:
        raise _DamageError("an array without flags")
    word = struct.unpack(f"{order}I", flags[1][:4])[0]
    if word & 0xFF not in _NUMERIC_CLASSES:
        return None
    at, (kind, raw) = _part(head, at, order)
    if kind != 5 or not 8 <= len(raw) <= 4 * 32 or len(raw) % 4:
        raise _DamageError("an array without a shape")
    shape = struct.unpack(f"{order}{len(raw) // 4}i", raw)
    at, (_, name) = _part(head, at, order)
    if min(shape) < 0:
        raise _DamageError(f"an array with the shape {shape}")
    parts = 2 if word & _COMPLEX else 1
    count = math.prod(shape)
    kind, _, _ = _tag(head, at, order)
    if kind not in _STORED:
        raise _DamageError(f"numbers of the unknown type {kind}")
    size = parts * count * np.dtype(_STORED[kind]).itemsize

    def read(watch: Watch = UNWATCHED) -> AnyArray:
        try:
            # two tags, and filling up to multiples of 8 bytes
            body = element.first(at + size + 32, watch)
            position, first = _numbers(body, at, order, count)
            values = first if parts == 1 else first + 1j * _numbers(body, position, order, count)[1]
        except _DamageError as error:
            raise _sentence(path, error) from None
        return values.reshape(shape, order="F")

    return MatlabArray(name.decode("latin-1"), shape, size, read)


def _tag(data: bytes, at: int, order: str) -> tuple[int, int, int]:
    """Return type, size, and where the data of the part at ``at`` begins."""
    if at + 8 > len(data):
        raise _DamageError("missing bytes at its end")
    word, size = struct.unpack(f"{order}II", data[at : at + 8])
    if word >> 16:  # a part of at most 4 bytes lies inside its tag
        return word & 0xFFFF, word >> 16, at + 4
    return word, size, at + 8


def _part(data: bytes, at: int, order: str) -> tuple[int, tuple[int, bytes]]:
    kind, size, begin = _tag(data, at, order)
    if begin == at + 4 and size > 4:
        raise _DamageError("a short part that is too long")
    if begin + size > len(data):
        raise _DamageError("missing bytes at its end")
    after = at + 8 if begin == at + 4 else begin + size + -size % 8
    return after, (kind, data[begin : begin + size])


def _numbers(body: bytes, at: int, order: str, count: int) -> tuple[int, AnyArray]:
    after, (kind, raw) = _part(body, at, order)
    if kind not in _STORED:
        raise _DamageError(f"numbers of the unknown type {kind}")
    dtype: np.dtype[Any] = np.dtype(order + _STORED[kind])
    if len(raw) != count * dtype.itemsize:
        raise _DamageError(f"{len(raw):,} bytes where its shape needs {count * dtype.itemsize:,}")
    return after, np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="))


def _sentence(path: Path, error: _DamageError) -> InputError:
    return FileError(path, f"cannot be read as a MATLAB file ({error}).")
