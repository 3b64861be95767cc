"""Bytes out of files that may be gzipped, cut off, or followed by garbage, never more than asked for."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

from napari_blochnet.common.errors import FileError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.plain_files import plain_file

__all__ = ["Unpacked", "is_gzipped", "unpack"]

_GZIP = b"\x1f\x8b"
# Packed bytes between two looks at ``cancelled``; they may unpack to a thousand times as many.
_CHUNK = 2**16


@dataclass(frozen=True)
class Unpacked:
    """The beginning of a file's content.

    Parameters
    ----------
    data : bytes-like
        Up to as many bytes as were asked for.
    complete : bool
        Whether this is all there is.
    damage : str
        What is wrong with the packing, as the end of a sentence about the file; empty where nothing is.
    """

    data: bytearray
    complete: bool
    damage: str = ""


def is_gzipped(path: Path) -> bool:
    """Return whether a file begins as gzip files do, whatever it is called."""
    with plain_file(path).open("rb") as file:
        return file.read(2) == _GZIP


def unpack(path: Path, limit: int, watch: Watch = UNWATCHED) -> Unpacked:
    """Read at most ``limit`` bytes of a file's content, unpacked if it is gzipped.

    What follows the last gzip member is left alone (reported as damage), and so is what a cut-off member lacks:
    the bytes before are returned. Memory stays near ``limit`` whatever the file claims to hold.

    Raises
    ------
    InputError
        No byte can be unpacked.
    Cancelled
    """
    data = bytearray()
    with plain_file(path).open("rb") as file:
        first = file.read(2)
        file.seek(0)
        if first != _GZIP:
            # Python sets aside as much as it is asked for
            data += file.read(min(limit, path.stat().st_size))
            return Unpacked(data, not file.read(1))
        stream = zlib.decompressobj(wbits=31)
        packed = b""
        while len(data) < limit:
            watch.check(f"unpacking {path.name}")
            packed = packed or file.read(_CHUNK)
            if stream.eof:
                # gzip files may be put end to end; zeros may fill up a tape's block
                if packed[:2] != _GZIP:
                    break
                stream = zlib.decompressobj(wbits=31)
            elif not packed:
                return Unpacked(_some(path, data), True, "is cut off inside its gzip stream")
            try:
                data += stream.decompress(packed, limit - len(data))
            except zlib.error as error:
                return Unpacked(_some(path, data), True, f"is damaged inside its gzip stream ({error})")
            packed = stream.unused_data if stream.eof else stream.unconsumed_tail
        if not stream.eof:
            return Unpacked(data, False)
        rest, is_garbage = 0, False
        packed = packed or file.read(_CHUNK)
        while packed:
            rest += len(packed)
            is_garbage |= bool(packed.strip(b"\0"))
            packed = file.read(_CHUNK)
    return Unpacked(data, True, f"carries {rest:,} bytes of garbage after its gzip content" if is_garbage else "")


def _some(path: Path, data: bytearray) -> bytearray:
    if not data:
        raise FileError(path, "begins like a gzip file but cannot be unpacked", "a whole .gz file")
    return data
