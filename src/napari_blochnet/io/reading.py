"""Large arrays read a few megabytes at a time, so that whoever waits sees how far it is, and can stop it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.containers.spilled_arrays import SPILLED_BYTES, room_for_spilling, roomy_array, spill_folder

__all__ = ["blocks", "read_bytes", "read_in_blocks", "refuse_beyond_memory"]

# Unpacking this much takes some 50 ms.
_BLOCK_BYTES = 4 * 2**20


def blocks(
    shape: Sequence[int], itemsize: int, chunks: Sequence[int] | None = None, size: int = _BLOCK_BYTES
) -> Iterator[tuple[slice, ...]]:
    """Yield selections that cover an array, in C order.

    Parameters
    ----------
    shape : sequence of int
    itemsize : int
        Bytes of an element.
    chunks : sequence of int, optional
        What the file packs together, and must unpack together; by default single elements.
    size : int
        Bytes of a block, at most, unless a chunk has more.
    """
    unit = [1] * len(shape) if chunks is None else list(chunks)
    lengths = list(unit)
    for axis in reversed(range(len(shape))):
        others = math.prod(lengths) // lengths[axis] * itemsize
        lengths[axis] = max(1, size // max(1, others * unit[axis])) * unit[axis]
        if lengths[axis] < shape[axis]:
            break
        lengths[axis] = max(1, shape[axis])
    starts = (range(0, n, length) for n, length in zip(shape, lengths, strict=True))
    for corner in itertools.product(*starts):
        yield tuple(slice(start, start + length) for start, length in zip(corner, lengths, strict=True))


def read_in_blocks(
    read: Callable[[tuple[slice, ...]], AnyArray],
    shape: Sequence[int],
    dtype: np.dtype[Any],
    *,
    chunks: Sequence[int] | None = None,
    what: str = "reading",
    watch: Watch = UNWATCHED,
) -> AnyArray:
    """Read an array block by block.

    Parameters
    ----------
    read : callable
        Returns the elements of a selection.
    shape : sequence of int
    dtype : dtype
    chunks : sequence of int, optional
        See `blocks`.
    what : str
        What is being done, for whoever watches.
    watch : Watch
        Counts megabytes.

    Returns
    -------
    array
        A large one lies on the disk; see `napari_blochnet.io.containers.spilled_arrays`.

    Raises
    ------
    Cancelled
    """
    values = roomy_array(shape, dtype)
    done = 0
    for selection in blocks(shape, dtype.itemsize, chunks):
        watch.check(what)
        watch.report(done >> 20, values.nbytes >> 20, what)
        part = values[selection]
        part[...] = read(selection)
        done += part.nbytes
    return values


def read_bytes(file: Any, values: AnyArray, *, what: str = "reading", watch: Watch = UNWATCHED) -> None:
    """Fill a contiguous array with the next bytes of a file.

    Parameters
    ----------
    file : file
        With ``readinto``.
    values : array of one axis
    what, watch
        See `read_in_blocks`.

    Raises
    ------
    EOFError
        The file has fewer bytes.
    Cancelled
    """
    raw = values.view(np.uint8).data
    done = 0
    while done < len(raw):
        watch.check(what)
        watch.report(done >> 20, len(raw) >> 20, what)
        count = file.readinto(raw[done : done + _BLOCK_BYTES])
        if not count:
            raise EOFError(f"it ends after {done:,} of {len(raw):,} bytes")
        done += count


def refuse_beyond_memory(path: Path, size: int) -> None:
    """Refuse an array that neither free memory nor the disk can hold, before any of it is set aside.

    Parameters
    ----------
    path : Path
        The file that holds it.
    size : int
        Bytes.

    Raises
    ------
    InputError
    """
    if size <= SPILLED_BYTES:
        return
    import psutil

    memory, room = int(psutil.virtual_memory().available), room_for_spilling()
    if size > max(memory, room):
        raise FileError(
            path,
            f"claims an array of {size / 2**30:.3g} GiB, more than this machine's memory, of which "
            f"{memory / 2**30:.3g} GiB are free, and more than {spill_folder()} has room for, {room / 2**30:.3g} GiB",
            "a folder with that room, which the variable TMPDIR names",
        )
