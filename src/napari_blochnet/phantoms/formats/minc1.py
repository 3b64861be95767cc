"""MINC 1 volumes: netCDF classic files with an image and a scale for each slice.

The netCDF header is read here because the BrainWeb files that circulate lack their last bytes: no voxel is missing,
but general readers refuse the whole file. Format: "The NetCDF Classic Format Specification" (Unidata); "MINC 1.0
Programmer's Guide" (Montreal Neurological Institute).
"""

from __future__ import annotations

import math
import struct
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray, dimensions
from napari_blochnet.common.errors import DataWarning, FileError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.unpacking import unpack
from napari_blochnet.phantoms.formats.volume import Volume

__all__ = ["read_minc"]

# Headers of MINC files are a few thousand bytes; a history of many commands makes them longer.
_HEADER = 2**16
_LARGEST_HEADER = 2**22
_MOST_VOXELS = 2**30
_MOST_ENTRIES = 1000
_TYPES = {1: "i1", 2: "S1", 3: ">i2", 4: ">i4", 5: ">f4", 6: ">f8"}
_SPACE = ("zspace", "yspace", "xspace")


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
    if sorted(names) != sorted(_SPACE):
        raise FileError(path, f"the image has the axes {', '.join(names) or 'none'}", "zspace, yspace and xspace")
    voxels = math.prod(image.shape)
    if not 0 < voxels <= _MOST_VOXELS:
        raise FileError(
            path, f"its header claims {dimensions(image.shape)} voxels", f"from 1 to {_MOST_VOXELS:,} in all"
        )
    if image.dtype.kind == "S":
        raise FileError(path, "its image holds text", "numbers")
    scales = [header.variables[key] for key in ("image-min", "image-max") if key in header.variables]
    end = max(variable.end for variable in (image, *scales))
    declared = max(variable.end for variable in header.variables.values())
    content = unpack(path, min(declared, end + _LARGEST_HEADER), watch)
    if len(content.data) < end:
        raise FileError(
            path, f"ends after {len(content.data):,} bytes", f"{end:,} for its {dimensions(image.shape)} voxels"
        )
    complaints = [content.damage] if content.damage else []
    if len(content.data) < declared and content.complete:
        complaints.append(f"lacks the last {declared - len(content.data)} bytes of its netCDF")
    if complaints:
        warnings.warn(
            f"{path.name} {' and '.join(complaints)}; all voxels are there and were read.", DataWarning, stacklevel=2
        )
    return _volume(path.name, header, image, memoryview(content.data), names)


def _volume(source: str, header: _Header, image: _Variable, content: memoryview, names: list[str]) -> Volume:
    stored = _values(content, image)
    if image.dtype.kind == "i" and _text(image.attributes.get("signtype")) == "unsigned":
        stored = stored.view(image.dtype.str.replace("i", "u"))
    low, high = _valid_range(source, image, stored.dtype)
    bounds = []
    for key, default in (("image-min", 0.0), ("image-max", 1.0)):
        scale = header.variables.get(key)
        if scale is None:
            bounds.append(np.full((1, 1, 1), default))
            continue
        if scale.dimensions != image.dimensions[: len(scale.dimensions)] or scale.dtype.kind == "S":
            raise FileError(source, f"{key} does not have the first axes of the image", "one value a slice")
        values = _values(content, scale).astype(np.float64)
        bounds.append(values.reshape(scale.shape + (1,) * (3 - len(scale.shape))))
    if not all(np.isfinite(part).all() for part in bounds):
        raise FileError(source, "image-min or image-max holds NaN or infinity", "numbers")
    slope = (bounds[1] - bounds[0]) / (high - low)
    intercept = bounds[0] - low * slope
    order = [names.index(name) for name in _SPACE]
    geometry = _geometry(source, header)
    if stored.dtype.kind == "f":  # MINC stores real voxels as they are
        return Volume(stored.transpose(order), 1.0, 0.0, geometry, source)
    if max(slope.shape[1:]) == 1 and order[0] == 0:
        return Volume(stored.transpose(order), slope[:, 0, 0], intercept[:, 0, 0], geometry, source)
    scaled = (stored * slope + intercept).astype(np.float32)
    return Volume(scaled.transpose(order), 1.0, 0.0, geometry, source)


def _valid_range(source: str, image: _Variable, dtype: np.dtype[Any]) -> tuple[float, float]:
    if dtype.kind == "f":
        return 0.0, 1.0
    limits = np.iinfo(dtype)
    stated = np.atleast_1d(image.attributes.get("valid_range", (limits.min, limits.max)))
    if stated.dtype.kind not in "if" or stated.size != 2:
        raise FileError(source, "its valid_range is not two numbers.")
    # files written as unsigned may state the range of the signed type's bits, in either order
    low, high = sorted(float(value) for value in stated)
    if not (math.isfinite(high - low) and high > low):
        raise FileError(source, f"its valid_range is {low:g} to {high:g}", "two different numbers")
    return low, high


def _geometry(source: str, header: _Header) -> Geometry:
    affine = np.eye(4)
    size = []
    for column, name in enumerate(reversed(_SPACE)):
        axis = header.variables.get(name)
        attributes = {} if axis is None else axis.attributes
        if _text(attributes.get("spacing")) == "irregular":
            raise FileError(source, f"its slices along {name} are spaced irregularly", "equal steps")
        step = _number(source, name, "step", attributes.get("step", 1.0))
        start = _number(source, name, "start", attributes.get("start", 0.0))
        cosines: FloatArray = np.atleast_1d(attributes.get("direction_cosines", np.eye(3)[column]))
        if step == 0 or cosines.shape != (3,) or cosines.dtype.kind != "f" or not np.isfinite(cosines).all():
            raise FileError(
                source, f"the step or direction of {name} is not usable", "a step other than 0 mm and three cosines"
            )
        affine[:3, column] = cosines * step
        affine[:3, 3] += cosines * start
        size.append(abs(step))
    return Geometry((size[2], size[1], size[0]), affine)


def _number(source: str, name: str, key: str, value: Any) -> float:
    numbers = np.atleast_1d(value)
    if numbers.dtype.kind not in "if" or numbers.size != 1 or not np.isfinite(numbers[0]):
        raise FileError(source, f"the {key} of {name} is not a number.")
    return float(numbers[0])


def _values(content: memoryview, variable: _Variable) -> AnyArray:
    return np.frombuffer(content, variable.dtype, math.prod(variable.shape), variable.begin).reshape(variable.shape)


def _text(value: Any) -> str:
    return value.decode("latin-1").strip("_ \0") if isinstance(value, bytes) else ""


def _header_of(path: Path) -> _Header:
    size = _HEADER
    while True:
        beginning = unpack(path, size)
        if beginning.data[:8] == b"\x89HDF\r\n\x1a\n":
            raise FileError(path, "is a MINC 2 (HDF5) file", "MINC 1 (mincconvert makes one)")
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
