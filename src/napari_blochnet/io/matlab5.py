"""Numeric arrays of MATLAB 5 files (what ``save -v6`` and ``-v7`` write), whole or damaged, in structures and cells.

scipy reads whole files; on some damaged ones it ends the process, which no plugin may do to its window. Only numeric
arrays are looked at here, and no number in the file is believed before it is checked against the bytes at hand.
Format: "MAT-File Format", The MathWorks.
"""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import DataWarning, FileError, InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.containers.mapped_arrays import MappedArray
from napari_blochnet.io.containers.spilled_arrays import roomy_array
from napari_blochnet.io.matlab_array import MatlabArray, TooManyError, Walk, check_packing, warn_of_rest
from napari_blochnet.io.matlab_stream import DamageError, Element, Stream
from napari_blochnet.io.reading import refuse_beyond_memory

__all__ = ["is_matlab_5", "is_matlab_73", "list_matlab_arrays"]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
# How the characters of text are stored: in whole numbers, or encoded.
_TEXT = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CLASSES = {
    6: "double", 7: "single", 8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32", 13: "uint32",
    14: "int64", 15: "uint64",
}  # fmt: skip
_COMPLEX, _LOGICAL = 0x0800, 0x0200
# What is read at once of names and shapes: 32 axes, names of 63 letters, the names of a structure's fields.
_LONGEST_PART = 2**20
# Arrays above this stay on disk where they are not packed.
_MAPPED = 2**20
_BLOCK = 2**22


def is_matlab_73(path: Path) -> bool:
    """Return whether a file is HDF5, as MATLAB 7.3 files are behind a block of 512 bytes."""
    with path.open("rb") as file:
        head = file.read(520)
    return _HDF5 in (head[:8], head[512:520])


def _byte_order(head: bytes) -> str | None:
    order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
    return order if order and struct.unpack(f"{order}H", head[124:126]) == (0x0100,) else None


def is_matlab_5(head: bytes) -> bool:
    """Return whether a file's first 128 bytes are the head of a MATLAB 5 file."""
    return _byte_order(head) is not None


def list_matlab_arrays(path: Path, texts: dict[str, str] | None = None) -> dict[str, MatlabArray]:
    """List the numeric arrays of a MATLAB 5 file by path.

    Parameters
    ----------
    path : Path
    texts : dict of str to str, optional
        Takes what text there is, by its path.

    Returns
    -------
    dict of str to MatlabArray
        Text, objects, tables and sparse arrays are left out. An array that is damaged in its head ends the list, with
        a `DataWarning`.

    Raises
    ------
    InputError
        Not a MATLAB 5 file, or one whose first array is damaged.
    """
    found: dict[str, MatlabArray] = {}
    with path.open("rb") as file:
        order = _byte_order(file.read(128))
        if order is None:
            raise FileError(path, "cannot be read as a MATLAB file (it does not begin as one of version 5 does).")
        size = path.stat().st_size
        walk = Walk(size)
        try:
            for element in _elements(path, file, size, order):
                with walk.into():
                    _Reader(element, order, found, walk, texts).matrix(Stream(file, element, spend=walk.spend))
        except TooManyError as error:
            warn_of_rest(path, error)
        except DamageError as error:
            if not found:
                raise _sentence(path, error) from None
            sentence = f"{path.name}: is damaged behind {list(found)[-1]} ({error}); what follows is left out."
            warnings.warn(sentence, DataWarning, stacklevel=3)
    return found


def _elements(path: Path, file: BinaryIO, size: int, order: str) -> Iterator[Element]:
    """Yield where each matrix begins and ends, and whether it is compressed."""
    at = 128
    while at + 8 <= size:
        file.seek(at)
        kind, length = struct.unpack(f"{order}II", file.read(8))
        at += 8
        if kind not in (_MATRIX, _COMPRESSED):
            raise DamageError(f"found an element of type {kind} at byte {at - 8}")
        yield Element(path, at, min(at + length, size), kind == _COMPRESSED)
        at += length if kind == _COMPRESSED else length + -length % 8


@dataclass(frozen=True)
class _Tag:
    """Type and size of a part of an array, and where its bytes begin and the next part does."""

    kind: int
    size: int
    begin: int
    after: int


@dataclass(frozen=True)
class _Numbers:
    """Where the numbers of an array lie in its element, and what they are."""

    element: Element
    order: str
    at: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    parts: int

    def read(self, watch: Watch = UNWATCHED) -> AnyArray:
        """Return the array; see `MatlabArray`."""
        path, dtype, count = self.element.path, self.dtype, math.prod(self.shape)
        size = count * dtype.itemsize
        try:
            # complex numbers may be stored in a byte each part
            if size > 16 * self.element.most:
                raise DamageError(f"{self.name} claims {size:,} bytes, more than there can be")
            check_packing(path, self.name, size, self.element.stop - self.element.start)
            with path.open("rb") as file:
                stream = Stream(file, self.element, watch)
                stream.skip(self.at)
                tag, stored = self._numbers(stream)
                plain = self.parts == 1 and not self.element.packed and stored == dtype and size > _MAPPED
                if plain and stream.start + tag.begin + size <= self.element.stop:
                    place = stream.start + tag.begin
                    return MappedArray(path, dtype, "c", place, self.shape, order="F")
                refuse_beyond_memory(path, size)
                values = roomy_array(count, dtype)
                self._fill(stream, values if self.parts == 1 else values.real, stored)
                if self.parts == 2:
                    stream.skip(tag.after - stream.at)
                    _, stored = self._numbers(stream)
                    self._fill(stream, values.imag, stored)
        except DamageError as error:
            raise _sentence(path, error) from None
        return values.reshape(self.shape, order="F")

    def _numbers(self, stream: Stream) -> tuple[_Tag, np.dtype[Any]]:
        tag = _tag(stream, self.order)
        if tag.kind not in _STORED:
            raise DamageError(f"numbers of the unknown type {tag.kind}")
        stored: np.dtype[Any] = np.dtype(self.order + _STORED[tag.kind])
        needed = math.prod(self.shape) * stored.itemsize
        if tag.size != needed:
            raise DamageError(f"{tag.size:,} bytes where its shape needs {needed:,}")
        return tag, stored

    @staticmethod
    def _fill(stream: Stream, target: AnyArray, stored: np.dtype[Any]) -> None:
        step = _BLOCK // stored.itemsize
        for start in range(0, len(target), step):
            block = target[start : start + step]
            block[:] = np.frombuffer(stream.take(len(block) * stored.itemsize), stored)


@dataclass(frozen=True)
class _Reader:
    """Finds the arrays of one element."""

    element: Element
    order: str
    found: dict[str, MatlabArray]
    walk: Walk
    texts: dict[str, str] | None = None

    def matrix(self, stream: Stream, name: str = "", end: int | None = None) -> None:
        """Note the array that begins here, or those in it; ``name`` where it has none of its own."""
        kind, flags = self._part(stream)
        if len(flags) < 4 or kind != 6:
            raise DamageError("an array without flags")
        (word,) = struct.unpack(f"{self.order}I", flags[:4])
        matlab_class = word & 0xFF
        is_text = matlab_class == _CHAR and self.texts is not None
        if matlab_class not in _CLASSES and matlab_class not in (_CELL, _STRUCT) and not is_text:
            return
        kind, raw = self._part(stream)
        if kind != 5 or not 8 <= len(raw) <= 4 * 32 or len(raw) % 4:
            raise DamageError("an array without a shape")
        shape = struct.unpack(f"{self.order}{len(raw) // 4}i", raw)
        if min(shape) < 0:
            raise DamageError(f"an array with the shape {shape}")
        _, own = self._part(stream)
        name = name or own.decode("latin-1")
        end = self.element.most if end is None else end
        if matlab_class == _CELL:
            for i in range(math.prod(shape)):
                self._inner(stream, f"{name}{{{i + 1}}}", end)
        elif matlab_class == _STRUCT:
            self._structure(stream, name, math.prod(shape), end)
        elif is_text:
            self._text(stream, name, shape)
        else:
            self._note(stream, name, shape, word, _CLASSES[matlab_class])

    def _structure(self, stream: Stream, name: str, count: int, end: int) -> None:
        kind, raw = self._part(stream)
        length = struct.unpack(f"{self.order}i", raw)[0] if kind == 5 and len(raw) == 4 else 0
        _, names = self._part(stream)
        if length < 1 or len(names) % length:
            raise DamageError("a structure without names of its fields")
        fields = [names[i : i + length].split(b"\0")[0].decode("latin-1") for i in range(0, len(names), length)]
        for i in range(count if fields else 0):
            for field in fields:
                self._inner(stream, f"{name}.{field}" if count == 1 else f"{name}({i + 1}).{field}", end)

    def _inner(self, stream: Stream, name: str, end: int) -> None:
        tag = _tag(stream, self.order)
        if tag.kind != _MATRIX or tag.begin + tag.size > end:
            raise DamageError(f"{name} is no array")
        with self.walk.into():
            if tag.size:
                self.matrix(stream, name, tag.begin + tag.size)
        stream.skip(tag.after - stream.at)

    def _text(self, stream: Stream, name: str, shape: tuple[int, ...]) -> None:
        """Note text of one line; other text is left out."""
        assert self.texts is not None
        if len(shape) == 2 and shape[0] == 1 and shape[1] <= _LONGEST_PART // 4:
            kind, raw = self._part(stream)
            if kind in _TEXT:
                wide = {"<": "-le", ">": "-be"}[self.order] if kind in (4, 17, 18) else ""
                self.texts[name] = raw.decode(_TEXT[kind] + wide, "replace")

    def _note(self, stream: Stream, name: str, shape: tuple[int, ...], word: int, matlab_class: str) -> None:
        parts = 2 if word & _COMPLEX else 1
        at = stream.at
        kind = _tag(stream, self.order).kind
        if kind not in _STORED:
            raise DamageError(f"numbers of the unknown type {kind}")
        dtype: np.dtype[Any] = np.dtype(_STORED[kind])
        if parts == 2:
            # the two parts may be stored in different types
            dtype = np.dtype("c8" if matlab_class == "single" else "c16")
        numbers = _Numbers(self.element, self.order, at, name, shape, dtype, parts)
        matlab_class = "logical" if word & _LOGICAL else matlab_class
        self.found[name] = MatlabArray(name, shape, dtype, matlab_class, numbers.read)

    def _part(self, stream: Stream) -> tuple[int, bytes]:
        tag = _tag(stream, self.order)
        if tag.size > _LONGEST_PART:
            raise DamageError(f"a part of {tag.size:,} bytes where a name or shape is expected")
        data = stream.take(tag.size)
        stream.skip(tag.after - stream.at)
        return tag.kind, data


def _tag(stream: Stream, order: str) -> _Tag:
    at = stream.at
    head = stream.take(4)
    (word,) = struct.unpack(f"{order}I", head)
    if word >> 16:  # a part of at most 4 bytes lies inside its tag
        if word >> 16 > 4:
            raise DamageError("a short part that is too long")
        return _Tag(word & 0xFFFF, word >> 16, at + 4, at + 8)
    (size,) = struct.unpack(f"{order}I", stream.take(4))
    return _Tag(word, size, at + 8, at + 8 + size + -size % 8)


def _sentence(path: Path, error: DamageError) -> InputError:
    return FileError(path, f"cannot be read as a MATLAB file ({error}).")
