"""What images of maps share: which part is shown, and which way up."""

from __future__ import annotations

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray

__all__ = ["crop", "rows_run_up"]


def crop(mask: BoolArray, margin: float = 0.03) -> tuple[slice, slice]:
    """Return the rows and columns that hold a mask, with a margin."""
    found = []
    for axis in (1, 0):
        used = np.flatnonzero(mask.any(axis=axis))
        low, high = (int(used[0]), int(used[-1]) + 1) if used.size else (0, mask.shape[1 - axis])
        room = max(1, round(margin * (high - low)))
        found.append(slice(max(0, low - room), min(mask.shape[1 - axis], high + room)))
    return found[0], found[1]


def rows_run_up(affine: FloatArray) -> bool:
    """Whether rows (y) run mainly to anterior or superior, which belong at the top."""
    column = np.asarray(affine)[:3, 1]
    axis = int(np.argmax(np.abs(column)))
    return axis in (1, 2) and bool(column[axis] > 0)
