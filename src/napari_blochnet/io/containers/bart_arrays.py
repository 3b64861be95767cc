"""Arrays as BART writes them: sizes in text (``.hdr``), single-precision complex numbers beside it (``.cfl``).

Sixteen dimensions, the first the fastest, each with a meaning of its own (BART's ``src/misc/mri.h``).
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray, dimensions
from napari_blochnet.common.errors import FileError
from napari_blochnet.io.containers.mapped_arrays import MappedArray
from napari_blochnet.io.plain_files import plain_file

__all__ = ["is_bart", "map_bart", "map_bart_images"]

_NAMES = {3: "coils", 4: "sets of sensitivity maps", 5: "echoes", 6: "coefficients", 7: "coefficients of a second kind",
          8: "iterations", 9: "CSHIFT steps", 10: "time points", 11: "time points of a second kind", 12: "levels",
          13: "slices", 14: "averages", 15: "batches"}  # fmt: skip
_SPACE, _SLICES = (0, 1, 2), 13
# What images follow each other along: echo, coefficient, time.
_ALONG = (5, 6, 10, 11)
_HEADER_BYTES = 2**16


def is_bart(path: Path) -> bool:
    """Return whether a name is that of an array of BART: ``.cfl``, or ``.hdr`` with such a file beside it."""
    name = path.name.lower()
    return name.endswith(".cfl") or (name.endswith(".hdr") and _other(path, ".cfl").is_file())


def map_bart(path: Path) -> AnyArray:
    """Map an array into memory, complex64, with the dimensions as BART counts them.

    Parameters
    ----------
    path : Path
        Either of the two files.

    Raises
    ------
    InputError
        A file without the other, sizes that are no such, or a file of another length than they say.
    """
    header, numbers = plain_file(_other(path, ".hdr")), plain_file(_other(path, ".cfl"))
    with header.open("rb") as file:
        lines = file.read(_HEADER_BYTES).decode("latin-1").splitlines()
    at = next((i for i, line in enumerate(lines) if line.strip().lower() == "# dimensions"), len(lines))
    sizes = lines[at + 1].split() if at + 1 < len(lines) else []
    if not sizes or not all(re.fullmatch(r"[0-9]{1,12}", size) for size in sizes) or len(sizes) > 32:
        raise FileError(header, "states no sizes", "'# Dimensions' and below it whole numbers, as BART writes them")
    shape = tuple(map(int, sizes))
    wanted, there = 8 * math.prod(shape), numbers.stat().st_size
    if not wanted or wanted != there:
        raise FileError(numbers, f"has {there:,} bytes, and {header.name} states {dimensions(shape)} complex numbers",
                        f"{wanted:,} bytes")  # fmt: skip
    return MappedArray(numbers, np.dtype("<c8"), "r", 0, shape, order="F")


def map_bart_images(path: Path) -> tuple[AnyArray, bool]:
    """Map images into memory.

    Returns
    -------
    array
        (echo, coefficient or time point; z, y, x), or of an array that has the first three dimensions only, and so may
        have its own meaning of them, these backwards.
    bool
        Whether the first axis is known to be what images follow each other along.

    Raises
    ------
    InputError
        What `map_bart` refuses; images of several coils or of anything else that is no stack.
    """
    array = map_bart(path)
    long = [axis for axis, size in enumerate(array.shape) if size > 1 and axis not in _SPACE]
    others = [axis for axis in long if axis != _SLICES]
    if not others and not (long and array.shape[2] == 1):
        return np.transpose(array.reshape(array.shape[:3], order="F")), False
    along = [axis for axis in others if axis in _ALONG]
    if len(others) > 1 or others != along or (_SLICES in long and array.shape[2] > 1):
        found = ", ".join(f"{array.shape[axis]} {_NAMES.get(axis, 'of something else')} (dimension {axis})"
                          for axis in long)  # fmt: skip
        raise FileError(path, f"holds {found}", "combined images that follow each other along one dimension: echoes "
                        "(5), coefficients (6) or time (10)")  # fmt: skip
    z = _SLICES if _SLICES in long else 2
    order = [*others, z, 1, 0]
    rest = [axis for axis in range(array.ndim) if axis not in order]
    images = np.transpose(array, (*rest, *order))
    return images.reshape(images.shape[len(rest) :] if others else (1, *images.shape[len(rest) :])), True


def _other(path: Path, ending: str) -> Path:
    return path.with_name(path.name[:-4] + ending)
