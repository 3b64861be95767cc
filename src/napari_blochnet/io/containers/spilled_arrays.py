"""Large arrays that are filled once and looked at in parts: they lie in a file without a name, not in memory.

The system keeps of such a file in memory what is looked at, as long as there is room, and the file goes with the last
array of it, however the process ends.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray

__all__ = ["SPILLED_BYTES", "room_for_spilling", "roomy_array", "spill_folder"]

#: Arrays larger than this lie on the disk.
SPILLED_BYTES = 256 * 2**20


def spill_folder() -> Path:
    """Return where they lie: where the environment says (TMPDIR), else not in a /tmp that may be memory itself."""
    kept = Path("/var/tmp")
    is_told = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    return kept if not is_told and os.access(kept, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def room_for_spilling() -> int:
    """Return how many bytes may be taken there: a tenth of what is free stays so."""
    try:
        return shutil.disk_usage(spill_folder()).free // 10 * 9
    except OSError:
        return 0


def roomy_array(shape: Sequence[int] | int, dtype: np.dtype[Any]) -> AnyArray:
    """Return an array whose elements are not set yet; on the disk where it is large and there is room, else in memory.

    Parameters
    ----------
    shape : sequence of int, or int
    dtype : dtype
    """
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    size = math.prod(shape) * dtype.itemsize
    # a full disk, or one where nobody may write
    if size > SPILLED_BYTES and size <= room_for_spilling():
        with contextlib.suppress(OSError), tempfile.TemporaryFile(prefix="blochnet-", dir=spill_folder()) as file:
            if hasattr(os, "posix_fallocate"):
                # a disk that is full later would end the process
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            return np.asarray(np.memmap(file, dtype, "r+", shape=shape))
    return np.empty(shape, dtype)
