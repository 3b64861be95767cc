"""Arrays that stay on disk, and files that shrink under them.

Where a file was cut after it was mapped, the system ends the process that reads what is no longer there. The length of
the file is looked at before each piece is taken instead.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import FileError
from napari_blochnet.io.containers.numpy_headers import read_npy_header

__all__ = ["MappedArray", "map_npy", "watched"]


class MappedArray(np.memmap):
    """A memory-mapped array that looks whether its file is still whole before each piece of it is taken."""

    def __getitem__(self, index: Any) -> Any:
        self.check()
        found = super().__getitem__(index)
        # a copy is on disk no longer
        return found.view(np.ndarray) if isinstance(found, MappedArray) and found._held is None else found

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else np.asarray(array)

    @property
    def _held(self) -> Any:
        """The mapping; None of an array that is none any more."""
        return getattr(self, "_mmap", None)

    def check(self) -> None:
        """Raise `InputError` where the file is shorter than it was.

        A file that another one has replaced, or that was removed, is still there for who has mapped it.
        """
        held = self._held
        if held is None:
            return
        begin = self.offset - self.offset % mmap.ALLOCATIONGRANULARITY
        if held.size() < begin + len(held):
            raise FileError(
                "an open file" if self.filename is None else Path(self.filename),
                f"has {held.size():,} bytes, {begin + len(held) - held.size():,} less than when it was opened",
                "the whole file: wait until it is written, and open it again; results that were made of it stay",
            )


def watched(array: AnyArray) -> AnyArray:
    """Return an array as it is, or as a `MappedArray` where it is memory-mapped."""
    return array.view(MappedArray) if isinstance(array, np.memmap) else array


def map_npy(path: Path) -> AnyArray:
    """Map the array in an ``.npy`` file.

    Raises
    ------
    InputError
        A damaged file, one of Python's own objects, or one that claims more than it holds.
    """
    try:
        with path.open("rb") as file:
            shape, is_fortran, dtype = read_npy_header(file)
            begin = file.tell()
        if dtype.hasobject:
            raise ValueError(f"it holds {dtype}, no numbers")
        if 0 in shape:
            return np.zeros(shape, dtype)
        return MappedArray(path, dtype, "r", begin, shape, order="F" if is_fortran else "C")
    except (OSError, ValueError, OverflowError) as error:
        reason = str(error).split("\n")[0]
        raise FileError(path, f"cannot be read as a NumPy array ({reason})", "a whole .npy file of numbers") from None
