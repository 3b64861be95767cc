"""Arrays in chunks on disk that are unpacked where they are looked at; the chunks looked at last are kept."""

from __future__ import annotations

import itertools
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray

__all__ = ["ChunkedArray", "keep_unpacked", "kept_bytes"]

# Bytes of chunks that an array keeps unpacked: those of two or three batches' fingerprints.
_kept = 96 * 2**20


def keep_unpacked(size: int) -> None:
    """Let every array keep as many bytes of unpacked chunks, if that is more: where one slice is looked at for long."""
    global _kept
    _kept = max(_kept, size)


def kept_bytes() -> int:
    """Return how many bytes of unpacked chunks an array keeps, at most."""
    return _kept


class ChunkedArray:
    """An array whose chunks are unpacked when they are needed; what dask makes a lazy array of.

    Parameters
    ----------
    shape, chunks : tuple of int
    dtype : dtype
    unpack : callable
        Called with the selection of one chunk, from any thread; returns its elements.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        chunks: tuple[int, ...],
        dtype: np.dtype[Any],
        unpack: Callable[[tuple[slice, ...]], AnyArray],
    ) -> None:
        self.shape, self.chunks, self.dtype, self.ndim = shape, chunks, dtype, len(shape)
        self._unpack, self._chunk_bytes = unpack, max(1, math.prod(chunks) * dtype.itemsize)
        self._held: OrderedDict[tuple[int, ...], AnyArray] = OrderedDict()
        self._lock = threading.Lock()

    def lazily(self) -> AnyArray:
        """Return it as a dask array: cut, turned and converted without being read."""
        import dask.array as da

        empty = np.empty((0,) * self.ndim, self.dtype)
        lazy: AnyArray = da.from_array(  # type: ignore[no-untyped-call]
            self, chunks=self.chunks, name=False, meta=empty
        )
        return lazy

    def __getitem__(self, key: Any) -> AnyArray:
        """Return elements by integers and slices."""
        parts = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in parts:
            at = parts.index(Ellipsis)
            parts[at : at + 1] = [slice(None)] * (self.ndim - len(parts) + 1)
        parts += [slice(None)] * (self.ndim - len(parts))
        ranges = [range(n)[part] for n, part in zip(self.shape, parts, strict=True)]
        spans = [range(one, one + 1) if isinstance(one, int) else range(min(one), max(one) + 1) if one else range(0)
                 for one in ranges]  # fmt: skip
        # seen from the first element that is needed
        rest = tuple(0 if isinstance(one, int) else slice(one.start - span.start, _stop(one, span), one.step)
                     if one else slice(0, 0) for one, span in zip(ranges, spans, strict=True))  # fmt: skip
        return self._span(spans)[rest]

    def _span(self, spans: list[range]) -> AnyArray:
        indices = [range(span.start // n, (span.stop - 1) // n + 1) if span else range(0)
                   for span, n in zip(spans, self.chunks, strict=True)]  # fmt: skip
        if math.prod(map(len, indices)) == 1:
            return self._taken(tuple(index[0] for index in indices), spans)
        found: AnyArray = np.empty([len(span) for span in spans], self.dtype)
        for index in itertools.product(*indices):
            inside = [range(max(span.start, i * n), min(span.stop, (i + 1) * n))
                      for span, i, n in zip(spans, index, self.chunks, strict=True)]  # fmt: skip
            target = tuple(slice(part.start - span.start, part.stop - span.start)
                           for part, span in zip(inside, spans, strict=True))  # fmt: skip
            found[target] = self._taken(index, inside)
        return found

    def _taken(self, index: tuple[int, ...], spans: list[range]) -> AnyArray:
        chunk = self._chunk(index)
        return chunk[tuple(slice(span.start - i * n, span.stop - i * n)
                           for span, i, n in zip(spans, index, self.chunks, strict=True))]  # fmt: skip

    def _chunk(self, index: tuple[int, ...]) -> AnyArray:
        with self._lock:
            if index in self._held:
                self._held.move_to_end(index)
                return self._held[index]
        chunk = self._unpack(tuple(slice(i * n, min((i + 1) * n, length))
                                   for i, n, length in zip(index, self.chunks, self.shape, strict=True)))  # fmt: skip
        # whoever looks at it looks at all the others, too
        chunk.setflags(write=False)
        with self._lock:
            self._held[index] = chunk
            while len(self._held) > max(1, _kept // self._chunk_bytes):
                self._held.popitem(last=False)
        return chunk


def _stop(taken: range, span: range) -> int | None:
    stop = taken[-1] - span.start + (1 if taken.step > 0 else -1)
    return None if stop < 0 else stop
