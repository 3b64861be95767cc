"""In which batches the voxels of a stack are mapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray, IntArray

__all__ = ["KeptSlabs", "batches", "nearest_first", "slabs"]

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


class KeptSlabs(Protocol):
    """Where slabs that are mapped are kept, for the next run of a mapping that is broken off."""

    #: how long the slabs that it gave took
    seconds: float

    def begin(self, estimator: Any, device: str, inside: BoolArray, field: FloatArray | None) -> None:
        """Be told what maps, once it is made: slabs of another mapping are not given."""

    def take(self, slab: slice, maps: Any) -> bool:
        """Enter a slab into maps; False where it is not kept."""

    def put(self, slab: slice, maps: Any, seconds: float) -> None:
        """Keep a slab that is mapped."""


def nearest_first(inside: BoolArray, looked_at: Callable[[], int | None] | None = None) -> Iterator[slice]:
    """Yield the slabs that hold voxels, each time the one that is nearest to the slice that somebody looks at.

    Parameters
    ----------
    inside : bool array of shape (Z, Y, X)
    looked_at : callable, optional
        Returns that slice, asked before each slab; None: nobody looks at any. Then they come as they lie.
    """
    left = [slab for slab in slabs(inside.shape) if inside[slab].any()]
    while left:
        here = None if looked_at is None else looked_at()
        distance = [0 if here is None else max(slab.start - here, here - slab.stop + 1, 0) for slab in left]
        yield left.pop(distance.index(min(distance)))


def batches(inside: BoolArray, largest: int, slab: slice | None = None) -> Iterator[IntArray]:
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
    slab : slice, optional
        One of `slabs`. None: all of them.

    Yields
    ------
    int array of shape (voxel,)
        Indices into the flat grid, ascending.
    """
    plane = inside.shape[1] * inside.shape[2]
    for here in slabs(inside.shape) if slab is None else (slab,):
        voxels = np.flatnonzero(inside[here]) + here.start * plane
        start, size = 0, min(_FIRST, largest)
        while start < len(voxels):
            yield voxels[start : start + size]
            start += size
            size = min(2 * size, largest)
