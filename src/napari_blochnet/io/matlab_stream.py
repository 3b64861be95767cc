"""The bytes of one array of a MATLAB 5 file, packed or not, one after the other and no further than asked for."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from napari_blochnet.common.progress import UNWATCHED, Watch

__all__ = ["DamageError", "Element", "Stream"]

# Packed bytes between two looks at ``cancelled``; they may unpack to a thousand times as many.
_PACKED = 2**16
_PIECE = 2**18
# Deflate packs no tighter (RFC 1951: 258 bytes in 2 bits).
_DEFLATE_LIMIT = 1032


class DamageError(Exception):
    """What is wrong, as the middle of a sentence."""


@dataclass(frozen=True)
class Element:
    """Where one array lies in its file, and whether it is packed."""

    path: Path
    start: int
    stop: int
    packed: bool

    @property
    def most(self) -> int:
        """Bytes that it can hold, at most."""
        return (self.stop - self.start) * (_DEFLATE_LIMIT if self.packed else 1) + 64 * self.packed


class Stream:
    """The bytes of an array behind its own tag.

    Parameters
    ----------
    file : file
        Open for reading; belongs to the stream while it is used.
    element : Element
    watch : Watch
        Counts megabytes.
    spend : callable, optional
        Told how many bytes are unpacked; raises where it is too many.
    """

    def __init__(
        self, file: BinaryIO, element: Element, watch: Watch = UNWATCHED, spend: Callable[[int], None] | None = None
    ) -> None:
        self._file, self._watch, self._spend = file, watch, spend
        self._what = f"reading {element.path.name}"
        self._left = element.stop - element.start
        self._unpacker = zlib.decompressobj() if element.packed else None
        self._tail = b""
        self._ready = memoryview(b"")
        #: bytes that come next in the file, if it is not packed, were at this place when `at` was 0
        self.start = element.start
        #: how many bytes are passed
        self.at = 0
        # the tag of the matrix is inside of the packed part
        self._ahead = 8 if element.packed else 0
        file.seek(element.start)

    def skip(self, count: int) -> None:
        """Pass over bytes; that there are as many is seen when the next are taken."""
        self._ahead += count
        self.at += count

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        self._pass_over()
        if count <= len(self._ready):
            taken = bytes(self._ready[:count])
            self._ready = self._ready[count:]
        else:
            # what is asked for may be more than there is: nothing is set aside before it is here
            content = bytearray(self._ready)
            self._ready = memoryview(b"")
            while len(content) < count:
                piece = self._next()
                missing = count - len(content)
                content += piece[:missing]
                self._ready = memoryview(piece)[missing:]
            taken = bytes(content)
        self.at += count
        return taken

    def _pass_over(self) -> None:
        if self._unpacker is None and self._ahead > len(self._ready):
            ahead = self._ahead - len(self._ready)
            if ahead > self._left:
                raise DamageError("missing bytes at its end")
            self._file.seek(ahead, 1)
            self._left -= ahead
            self._ready, self._ahead = memoryview(b""), 0
        while self._ahead > len(self._ready):
            self._ahead -= len(self._ready)
            self._ready = memoryview(self._next())
        self._ready = self._ready[self._ahead :]
        self._ahead = 0

    def _next(self) -> bytes:
        """Return some bytes, the next ones."""
        self._watch.check(self._what)
        self._watch.report(self.at >> 20, (self.at + self._left) >> 20, self._what)
        if self._unpacker is None:
            piece = self._file.read(min(self._left, _PIECE))
            self._left -= len(piece)
        else:
            piece = self._unpacked(self._unpacker)
        if not piece:
            raise DamageError("missing bytes at its end")
        return piece

    def _unpacked(self, unpacker: zlib._Decompress) -> bytes:
        piece = b""
        while not piece and not unpacker.eof:
            if not self._tail:
                self._tail = self._file.read(min(self._left, _PACKED))
                self._left -= len(self._tail)
                if not self._tail:
                    break
            try:
                piece = unpacker.decompress(self._tail, _PIECE)
            except zlib.error as error:
                raise DamageError(f"damage in its packing, {error}") from None
            self._tail = unpacker.unconsumed_tail
        if self._spend is not None:
            self._spend(len(piece))
        return piece
