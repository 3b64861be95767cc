"""Arrays in NumPy's ``.npz`` files: their headers first, each array once it is asked for, its size checked before."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import Cancelled, FileError, InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.containers.numpy_headers import read_npy_header
from napari_blochnet.io.containers.spilled_arrays import roomy_array
from napari_blochnet.io.reading import read_bytes, refuse_beyond_memory

__all__ = ["ArchivedArray", "list_archived_arrays"]

# deflate packs no more tightly than to 1/1032 (RFC 1951)
_DEFLATE_LIMIT = 1040


@dataclass(frozen=True)
class ArchivedArray:
    """An array in an ``.npz`` file, not read yet.

    Parameters
    ----------
    path : Path
        The file.
    name : str
    shape : tuple of int
    dtype : dtype
    is_fortran : bool
        Whether the first axis varies fastest.
    packed : int
        Its bytes in the file.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool
    packed: int

    @property
    def nbytes(self) -> int:
        """What reading it takes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def check(self) -> None:
        """Refuse an array of more bytes than the file or this machine can hold.

        Raises
        ------
        InputError
        """
        if self.nbytes > self.packed * _DEFLATE_LIMIT + 1024:
            raise _damaged(self.path, f"{self.name} claims {self.nbytes:,} bytes out of {self.packed:,}")
        refuse_beyond_memory(self.path, self.nbytes)

    def read(self, watch: Watch = UNWATCHED) -> AnyArray:
        """Return the array.

        Raises
        ------
        InputError
            A damaged file; see `check`.
        Cancelled
        """
        self.check()
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{self.name}.npy") as file:
                read_npy_header(file)
                values = roomy_array(math.prod(self.shape), self.dtype)
                read_bytes(file, values, what=f"reading {self.path.name}", watch=watch)
        except (InputError, Cancelled):
            raise
        except Exception as error:
            raise _damaged(self.path, error) from None
        return values.reshape(self.shape, order="F" if self.is_fortran else "C")


def list_archived_arrays(path: Path) -> dict[str, ArchivedArray]:
    """List the arrays in an ``.npz`` file by name, those of Python's own objects apart.

    Raises
    ------
    InputError
        A damaged file.
    """
    found: dict[str, ArchivedArray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(".npy"):
                    continue
                with archive.open(member) as file:
                    shape, is_fortran, dtype = read_npy_header(file)
                name = member.filename.removesuffix(".npy")
                if not dtype.hasobject:
                    found[name] = ArchivedArray(path, name, shape, dtype, is_fortran, member.compress_size)
    except Exception as error:  # a damaged header makes numpy raise what Python's own parser raises
        raise _damaged(path, error) from None
    return found


def _damaged(path: Path, reason: object) -> InputError:
    said = str(reason).split("\n")[0]
    return FileError(path, f"cannot be read as NumPy arrays ({said})", "a whole .npz file")
