"""Array types used in signatures, and arrays in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AnyArray",
    "BoolArray",
    "ComplexArray",
    "FloatArray",
    "IntArray",
    "SignalKind",
    "dimensions",
    "first_true",
    "is_lazy",
    "lies_on_disk",
]

FloatArray: TypeAlias = NDArray[np.floating[Any]]
ComplexArray: TypeAlias = NDArray[np.complexfloating[Any, Any]]
BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.integer[Any]]
AnyArray: TypeAlias = NDArray[Any]
#: What the samples of a signal are.
SignalKind: TypeAlias = Literal["complex", "real", "magnitude"]


def dimensions(shape: Iterable[int]) -> str:
    """Return a shape in words: "4 × 5 × 6"."""
    return " × ".join(str(n) for n in shape)


def is_lazy(data: object) -> bool:
    """Whether an array is computed, or read, where it is looked at, as dask's are: it is none of NumPy's."""
    return not isinstance(data, np.ndarray)


def lies_on_disk(data: object) -> bool:
    """Whether an array's elements are read where they are looked at: a lazy or a memory-mapped one."""
    if is_lazy(data):
        return True
    while isinstance(data, np.ndarray):
        if getattr(data, "_mmap", None) is not None:  # a memmap that is no copy
            return True
        data = data.base
    return False


def first_true(where: BoolArray) -> tuple[int, ...]:
    """Return the index of the first element that is True."""
    return tuple(int(i) for i in np.argwhere(where)[0])
