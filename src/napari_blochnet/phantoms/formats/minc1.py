"""MINC 1 volumes: netCDF classic files with an image and a scale for each slice.

The netCDF header is read here because the BrainWeb files that circulate lack their last bytes: no voxel is missing,
but general readers refuse the whole file. Format: "The NetCDF Classic Format Specification" (Unidata); "MINC 1.0
Programmer's Guide" (Montreal Neurological Institute).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, dimensions
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.unpacking import unpack
from napari_blochnet.phantoms.formats.minc_volume import SPACE, check_claim, minc_geometry, scaled_volume, valid_range
from napari_blochnet.phantoms.formats.volume import Volume

__all__ = ["read_minc"]

# Headers of MINC files are a few thousand bytes; a history of many commands makes them longer.
_HEADER = 2**16
_LARGEST_HEADER = 2**22
_MOST_ENTRIES = 1000
_TYPES = {1: "i1", 2: "S1", 3: ">i2", 4: ">i4", 5: ">f4", 6: ">f8"}


class _ShortHeaderError(Exception):
    """The header goes on past the bytes at hand."""


@dataclass
class _Variable:
    dimensions: list[int]
    attributes: dict[str, Any]
    dtype: np.dtype[Any]
    begin: int
    shape: tuple[int, ...] = field(default=())

    @property
    def end(self) -> int:
        return self.begin + math.prod(self.shape) * self.dtype.itemsize


@dataclass
class _Header:
    dimensions: list[tuple[str, int]]
    variables: dict[str, _Variable]


def read_minc(path: Path, watch: Watch = UNWATCHED) -> Volume:
    """Read a MINC 1 volume, gzipped or not.

    Parameters
    ----------
    path : Path
    watch : Watch

    Returns
    -------
    Volume
        Axes (z, y, x); values scaled by ``image-min`` and ``image-max``; affine from start, step and direction
        cosines, which in MINC are RAS+ mm.

    Raises
    ------
    InputError
        Not MINC 1; a header that is damaged or claims more than the file holds; voxels missing; no three spatial axes.

    Warns
    -----
    DataWarning
        Bytes missing after the voxels, or damage in the gzip packing.
    """
    header = _header_of(path)
    image = header.variables.get("image")
    if image is None:
        raise FileError(path, "is a netCDF file without a variable 'image'", "a MINC 1 volume")
    names = [header.dimensions[i][0] for i in image.dimensions]
    if sorted(names) != sorted(SPACE):
        raise FileError(path, f"the image has the axes {', '.join(names) or 'none'}", "zspace, yspace and xspace")
    if image.dtype.kind == "S":
        raise FileError(path, "its image holds text", "numbers")
    scales = [header.variables[key] for key in ("image-min", "image-max") if key in header.variables]
    end = max(variable.end for variable in (image, *scales))
    check_claim(path, image.shape, end)
    declared = max(variable.end for variable in header.variables.values())
    content = unpack(path, min(declared, end + _LARGEST_HEADER), watch)
    if len(content.data) < end:
        raise FileError(
            path, f"ends after {len(content.data):,} bytes", f"{end:,} for its {dimensions(image.shape)} voxels"
        )
    complaints = [content.damage] if content.damage else []
    if len(content.data) < declared and content.complete:
        complaints.append(f"lacks the last {declared - len(content.data)} bytes of its netCDF")
    volume = _volume(path, header, image, memoryview(content.data), names)
    return replace(volume, damage=" and ".join(complaints))


def _volume(path: Path, header: _Header, image: _Variable, content: memoryview, names: list[str]) -> Volume:
    stored = _values(content, image)
    if image.dtype.kind == "i" and _text(image.attributes.get("signtype")) == "unsigned":
        stored = stored.view(image.dtype.str.replace("i", "u"))
    limits = valid_range(path, image.attributes.get("valid_range"), stored.dtype)
    bounds: list[AnyArray] = []
    for key, default in (("image-min", 0.0), ("image-max", 1.0)):
        scale = header.variables.get(key)
        if scale is None:
            bounds.append(np.full((1, 1, 1), default))
            continue
        if scale.dimensions != image.dimensions[: len(scale.dimensions)] or scale.dtype.kind == "S":
            raise FileError(path, f"{key} does not have the first axes of the image", "one value a slice")
        bounds.append(_values(content, scale))
    axes = {name: header.variables[name].attributes for name in SPACE if name in header.variables}
    return scaled_volume(path, stored, names, limits, bounds, minc_geometry(path, axes))


def _values(content: memoryview, variable: _Variable) -> AnyArray:
    return np.frombuffer(content, variable.dtype, math.prod(variable.shape), variable.begin).reshape(variable.shape)


def _text(value: Any) -> str:
    return value.decode("latin-1").strip("_ \0") if isinstance(value, bytes) else ""


def _header_of(path: Path) -> _Header:
    size = _HEADER
    while True:
        beginning = unpack(path, size)
        if not beginning.data.startswith((b"CDF\x01", b"CDF\x02")):
            raise FileError(path, "does not begin as a netCDF file does", "a MINC 1 volume")
        try:
            return _Parser(bytes(beginning.data)).header()
        except _ShortHeaderError:
            if beginning.complete or size >= _LARGEST_HEADER:
                raise FileError(path, "its netCDF header is cut off", "a MINC 1 volume") from None
            size *= 8
        except (ValueError, struct.error) as error:
            raise FileError(path, f"its netCDF header is damaged ({error})", "a MINC 1 volume") from None


class _Parser:
    """Reads a netCDF classic header from its bytes, believing no number in it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 4
        self.offset_size = 4 if data[3] == 1 else 8

    def header(self) -> _Header:
        self._integer()  # number of records: no MINC volume of ours has a record axis
        dimensions = [(self._name(), self._integer()) for _ in range(self._count(10))]
        self._attributes()
        variables = {}
        for _ in range(self._count(11)):
            name = self._name()
            variables[name] = variable = self._variable()
            if any(i >= len(dimensions) for i in variable.dimensions):
                raise ValueError(f"{name} has an axis that does not exist")
            variable.shape = tuple(dimensions[i][1] for i in variable.dimensions)
        return _Header(dimensions, variables)

    def _variable(self) -> _Variable:
        dimensions = [self._integer() for _ in range(self._entries())]
        attributes = self._attributes()
        dtype = self._dtype()
        self._integer()  # its size, which follows from the shape
        begin = int.from_bytes(self._bytes(self.offset_size), "big")
        return _Variable(dimensions, attributes, dtype, begin)

    def _attributes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(self._count(12)):
            name = self._name()
            dtype = self._dtype()
            count = self._integer()
            raw = self._padded(count * dtype.itemsize)
            found[name] = raw if dtype.kind == "S" else np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="))
        return found

    def _dtype(self) -> np.dtype[Any]:
        code = self._integer()
        if code not in _TYPES:
            raise ValueError(f"unknown number type {code}")
        return np.dtype(_TYPES[code])

    def _count(self, expected: int) -> int:
        tag = self._integer()
        count = self._entries()
        if tag != expected and (tag or count):
            raise ValueError(f"found the tag {tag} where {expected} was expected")
        return count

    def _entries(self) -> int:
        count = self._integer()
        if count > _MOST_ENTRIES:
            raise ValueError(f"a list of {count} entries")
        return count

    def _name(self) -> str:
        return self._padded(self._integer()).decode("latin-1")

    def _padded(self, size: int) -> bytes:
        value = self._bytes(size)
        self._bytes(-size % 4)
        return value

    def _integer(self) -> int:
        return int.from_bytes(self._bytes(4), "big")

    def _bytes(self, size: int) -> bytes:
        if self.position + size > len(self.data):
            raise _ShortHeaderError
        value = self.data[self.position : self.position + size]
        self.position += size
        return value
