"""Rows of states and of samples: what both kernels do with them.

Arrays have a row for each order or time, in it the signal's own lanes (set 0) and those of each tangent (sets 1 …).
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
from __future__ import annotations

import numpy as np

from napari_blochnet.physics.kernels.math import jit

__all__ = ["TILE", "add_to_set", "empty_rows", "project", "write", "write_complex"]

# Samples gathered before they are written: two cache lines of each voxel's row at once.
TILE = 32
# Bytes of a cache line, and of the widest registers: rows that begin at one are a tenth to a fifth faster.
_LINE = 64


@jit
def empty_rows(rows, sets, width, like):
    """Return an array (rows, sets, width) of the type of ``like``, which begins at a cache line."""
    size, item = rows * sets * width, like.itemsize
    memory = np.empty(size + _LINE // item, like.dtype)
    skipped = (-memory.ctypes.data % _LINE) // item
    return memory[skipped : skipped + size].reshape(rows, sets, width)


@jit
def add_to_set(target, row, tangent, source, source_row, factor):
    """Add factor times set 0 of a row of source to a tangent's set in a row of target."""
    for j in range(target.shape[2]):
        target[row, tangent, j] += factor * source[source_row, 0, j]


@jit
def write(tile, of, scale, first, length, rows, target, add, weight):
    """Move set ``of`` of a tile into rows of target (row, time), times scale by voxel and weight by time."""
    for j in range(len(rows)):
        factor = scale[of, j]
        # A slice, since an index that is a sum might be negative for all the compiler knows.
        into, by = target[rows[j], first : first + length], weight[first : first + length]
        if add:
            for i in range(length):
                into[i] += factor * by[i] * tile[i, of, j]
        else:
            for i in range(length):
                into[i] = factor * by[i] * tile[i, of, j]


@jit
def write_complex(real, imag, of, scale, first, length, rows, target, add, weight):
    """Do the same with real and imaginary parts, which alternate along the rows of target."""
    for j in range(len(rows)):
        factor = scale[of, j]
        into, by = target[rows[j], 2 * first : 2 * (first + length)], weight[first : first + length]
        if add:
            for i in range(length):
                into[2 * i] += factor * by[i] * real[i, of, j]
                into[2 * i + 1] += factor * by[i] * imag[i, of, j]
        else:
            for i in range(length):
                into[2 * i] = factor * by[i] * real[i, of, j]
                into[2 * i + 1] = factor * by[i] * imag[i, of, j]


@jit
def project(tile, of, scale, first, length, rows, cotangent, part, parts, gradient, weight):
    """Add to column ``of`` of gradient (row, set) the products over time of samples and cotangent (row, time).

    Of a complex cotangent, whose ``parts`` = 2 parts alternate along its rows, ``part`` is taken.
    """
    for j in range(len(rows)):
        incoming, by = cotangent[rows[j], parts * first : parts * (first + length)], weight[first : first + length]
        total = 0.0
        for i in range(length):
            total += by[i] * tile[i, of, j] * incoming[parts * i + part]
        gradient[rows[j], of] += scale[of, j] * total
