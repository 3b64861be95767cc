"""What all versions of MATLAB files give: arrays by their path, read no sooner than asked for."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import DataWarning, FileError

__all__ = ["MatlabArray", "TooManyError", "Walk", "check_packing", "plain_name", "warn_of_rest"]

# Arrays of one file that are looked at, at most.
_MOST_ARRAYS = 5_000
# Structures and cells within each other.
_DEEPEST = 32
# Deflate packs one value all over to a thousandth; maps of a few tissues, stored in doubles, to some two hundredths.
_SMALL, _TIGHT = 64 * 2**20, 500
# What is unpacked to look into structures, beside this many times the file.
_UNPACKED, _UNPACKED_PER_BYTE = 256 * 2**20, 64


@dataclass(frozen=True)
class MatlabArray:
    """One numeric array of a file, not read yet.

    Parameters
    ----------
    name : str
        As MATLAB would write it: ``seq.rf.fa``, ``x(2).fa``, ``x{3}``.
    shape : tuple of int
        As MATLAB shows it; at least two axes.
    dtype : dtype
        Of what reading gives.
    matlab_class : str
        MATLAB's own: ``double``, ``int16``, ``logical``…; a double of whole numbers may be stored in fewer bytes.
    read : callable
        Returns the array; takes a `Watch`. Raises `InputError` where bytes are missing.
    trouble : str
        Why it cannot be read, as the middle of a sentence; its shape is then not known.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    matlab_class: str
    read: Callable[..., AnyArray]
    trouble: str = ""

    @property
    def nbytes(self) -> int:
        """What reading it takes."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def is_flag(self) -> bool:
        """Whether it holds true and false."""
        return self.matlab_class == "logical"


class TooManyError(Exception):
    """More than is looked at, as the end of a sentence."""


@dataclass
class Walk:
    """How far structures and cells are looked into.

    Parameters
    ----------
    size : int
        Bytes of the file.
    """

    size: int
    seen: int = 0
    depth: int = 0
    unpacked: int = 0

    @contextmanager
    def into(self) -> Iterator[None]:
        """Look into one more."""
        self.seen += 1
        if self.seen > _MOST_ARRAYS:
            raise TooManyError(f"more than {_MOST_ARRAYS:,} arrays")
        if self.depth >= _DEEPEST:
            raise TooManyError(f"more than {_DEEPEST} structures within each other")
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    def spend(self, count: int) -> None:
        """Unpack this many bytes more."""
        self.unpacked += count
        if self.unpacked > _UNPACKED + _UNPACKED_PER_BYTE * self.size:
            raise TooManyError("structures that are packed too tightly to be looked through")


def warn_of_rest(path: Path, error: TooManyError) -> None:
    """Say that not everything is listed."""
    warnings.warn(f"{path.name}: holds {error}; the rest is left out.", DataWarning, stacklevel=4)


def plain_name(name: str) -> str:
    """Return a path as paths are compared: ``x(1).fa`` and ``x/fa`` are ``x.fa``."""
    return re.sub(r"\s|\(1\)", "", name.strip("/")).replace("/", ".")


def check_packing(path: Path, name: str, size: int, packed: int) -> None:
    """Refuse an array that is packed as tightly as only one value all over is, before memory is set aside.

    Parameters
    ----------
    path : Path
    name : str
    size, packed : int
        Bytes of the array, and of it in the file.
    """
    if size > _SMALL and size > _TIGHT * packed:
        found = f"{name} claims {size >> 20:,} MB out of {packed:,} bytes, which can be one value all over at most"
        raise FileError(path, found, "an array of measured or simulated numbers")
