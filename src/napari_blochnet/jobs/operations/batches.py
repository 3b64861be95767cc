"""In which batches the voxels of a stack are mapped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from napari_blochnet.common.arrays import BoolArray, IntArray

__all__ = ["batches", "slabs"]

# Voxels of a slice's first batch; each further one is twice as large. The first pixels of a map appear soon, and the
# bulk of it is done in batches that keep many cores busy.
_FIRST = 512
# Slices smaller than this many voxels are mapped several together: a list of voxels along z is no list of slices.
_TINY = 64


def slabs(shape: tuple[int, int, int]) -> Iterator[slice]:
    """Yield the slices along z that are mapped independently of all others: one at a time, unless they are tiny."""
    planes = max(1, -(-_TINY // max(1, shape[1] * shape[2])))
    for start in range(0, shape[0], planes):
        yield slice(start, min(start + planes, shape[0]))


def batches(inside: BoolArray, largest: int) -> Iterator[IntArray]:
    """Yield voxels in batches, none of which reaches from one slab into the next.

    Which voxels are computed together moves the last bit of a result. A slice's batches depend on its own voxels
    alone, so that it comes out the same, bit for bit, whether it is mapped alone or with others; and a mapping that
    was stopped is the same as one of the voxels it had finished.

    Parameters
    ----------
    inside : bool array of shape (Z, Y, X)
        Voxels to map.
    largest : int
        Voxels of a batch, at most.

    Yields
    ------
    int array of shape (voxel,)
        Indices into the flat grid, ascending.
    """
    plane = inside.shape[1] * inside.shape[2]
    for slab in slabs(inside.shape):
        voxels = np.flatnonzero(inside[slab]) + slab.start * plane
        start, size = 0, min(_FIRST, largest)
        while start < len(voxels):
            yield voxels[start : start + size]
            start += size
            size = min(2 * size, largest)
