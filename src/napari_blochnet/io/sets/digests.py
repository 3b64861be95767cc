"""What a file or folder is known by: a digest of what it holds."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

__all__ = ["DIGESTED_WHOLE", "digest"]

#: Files up to this size (bytes) are digested whole; of larger ones some pieces, evenly spread.
DIGESTED_WHOLE = 64 * 2**20
_PIECES, _PIECE = 256, 2**16


def digest(path: Path) -> str:
    """Return the digest of a file; of a folder that of the names and sizes of what lies in it."""
    found = hashlib.blake2b(digest_size=16)
    if path.is_dir():
        for parent, folders, files in os.walk(path):
            folders.sort()
            for file in sorted(files):
                below = Path(parent, file)
                found.update(f"{below.relative_to(path)}\0{below.lstat().st_size}\0".encode(errors="surrogateescape"))
        return found.hexdigest()
    size = path.stat().st_size
    with path.open("rb") as stream:
        if size <= DIGESTED_WHOLE:
            while block := stream.read(2**20):
                found.update(block)
        else:
            found.update(str(size).encode())
            for piece in range(_PIECES):
                stream.seek((size - _PIECE) * piece // (_PIECES - 1))
                found.update(stream.read(_PIECE))
    return found.hexdigest()
