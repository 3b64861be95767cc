"""Arrays in NumPy's files, their sizes checked before any of them is set aside."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, dimensions
from napari_blochnet.common.errors import FileError

__all__ = ["is_numpy", "numpy_arrays"]

_MOST_VOXELS = 2**30
# deflate packs no more tightly than this (RFC 1951)
_DEFLATE_LIMIT = 1032


def is_numpy(path: Path) -> bool:
    """Return whether a name ends as NumPy's files do."""
    return path.suffix.lower() in (".npy", ".npz")


def numpy_arrays(path: Path) -> dict[str, AnyArray]:
    """Return the arrays of real numbers with two to four axes in ``.npz`` by name, the one of ``.npy`` by its file's.

    Raises
    ------
    InputError
        A damaged file; one that claims more than it holds; no such array in it.
    """
    try:
        if path.suffix.lower() == ".npy":
            found = {path.stem: np.load(path, mmap_mode="r", allow_pickle=False)}
        else:
            found = _archive(path)
    except Exception as error:  # a damaged header makes numpy raise what Python's own parser raises
        reason = str(error).split("\n")[0]
        raise FileError(path, f"cannot be read as NumPy arrays ({reason})", "a whole .npy or .npz file") from None
    usable = {name: array for name, array in found.items() if array.dtype.kind in "iufb" and 2 <= array.ndim <= 4}
    if not usable or not all(array.size for array in usable.values()):
        held = ", ".join(f"{name} ({array.dtype}, {dimensions(array.shape)})" for name, array in found.items())
        raise FileError(path, f"holds no volume ({held or 'nothing'})", "arrays of real numbers (z, y, x)")
    return usable


def _archive(path: Path) -> dict[str, AnyArray]:
    found: dict[str, AnyArray] = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.filename.endswith(".npy"):
                continue
            with archive.open(member) as file:
                shape, dtype = _header(file)
            size = math.prod(shape) * dtype.itemsize
            if dtype.hasobject or not 2 <= len(shape) <= 4:
                continue
            if math.prod(shape) > _MOST_VOXELS or size > member.compress_size * _DEFLATE_LIMIT + 1024:
                raise ValueError(f"{member.filename} claims {size:,} bytes out of {member.compress_size:,}")
            with archive.open(member) as file:
                found[member.filename.removesuffix(".npy")] = np.lib.format.read_array(file, allow_pickle=False)
    return found


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype
