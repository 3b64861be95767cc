"""The headers of NumPy's files, of anybody."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, is_lazy

__all__ = ["read_npy_header", "write_npy"]

# Of one array; NumPy itself takes no longer ones.
_HEADER_BYTES = 10_000
# Axes that an array can have, and bytes.
_MOST_AXES, _MOST_BYTES = 32, 2**62


def read_npy_header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether the first axis varies fastest, and type; the file is then where the samples begin.

    Raises
    ------
    ValueError
        What is wrong, as the middle of a sentence.
    """
    head = file.read(8)
    if head[:6] != b"\x93NUMPY":
        raise ValueError("it does not begin as one does")
    field = file.read(2 if head[6:8] == b"\x01\x00" else 4)
    length = int.from_bytes(field, "little")
    if length > _HEADER_BYTES:  # NumPy would read all of it first
        raise ValueError(f"a header claims {length:,} bytes")
    text = io.BytesIO(field + file.read(length))
    try:
        read = np.lib.format.read_array_header_1_0 if len(field) == 2 else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(text)
    except Exception as error:  # NumPy parses it as Python, which raises what Python raises
        raise ValueError(f"its header is damaged, {type(error).__name__}: {str(error).splitlines()[:1]}") from None
    are_lengths = all(type(length) is int and length >= 0 for length in shape)
    if not are_lengths or len(shape) > _MOST_AXES or math.prod(shape) * dtype.itemsize > _MOST_BYTES:
        raise ValueError(f"its header claims the shape {shape}")
    return shape, is_fortran, dtype


def write_npy(file: Any, array: AnyArray) -> None:
    """Write an array piece by piece, its last axis the fastest.

    Only one in memory whose first axis is has to be copied; of one that is read where it is looked at, a piece at a
    time is in memory.
    """
    if is_lazy(array):
        described = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_1_0(file, described)
        for piece in array:
            file.write(np.ascontiguousarray(piece).tobytes())
        return
    array = np.ascontiguousarray(array) if array.flags.fnc else array
    np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)
