"""Masks by how strong the signal is: its level in each voxel, and Otsu's threshold of it."""

from __future__ import annotations

import weakref

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.fingerprints.stack import FingerprintStack

__all__ = ["OTSU", "otsu_level", "otsu_threshold", "signal_level", "threshold_mask"]

#: What stands for Otsu's threshold where a number may stand.
OTSU = "otsu"
# Samples looked at together.
_BLOCK_BYTES = 16 * 2**20
_levels: weakref.WeakKeyDictionary[FingerprintStack, FloatArray] = weakref.WeakKeyDictionary()


def signal_level(stack: FingerprintStack, *, watch: Watch = UNWATCHED) -> FloatArray:
    """Return how strong the signal of each voxel is: the root mean square of its magnitudes over all time points.

    Parameters
    ----------
    stack : FingerprintStack
    watch : Watch
        Counts slices.

    Returns
    -------
    float32 array of shape (Z, Y, X)
        In units of the data, 0 outside the stack's mask; kept as long as the stack is, and not to be written.
    """
    known = _levels.get(stack)
    if known is not None:
        return known
    time, slices, rows, columns = stack.shape
    level = np.zeros((slices, rows, columns), np.float32)
    lines = max(1, _BLOCK_BYTES // (16 * time * columns))
    for z in range(slices):
        watch.check("looking at the signal")
        watch.report(z, slices, "looking at the signal")
        for y in range(0, rows, lines):
            level[z, y : y + lines] = _rms(np.asarray(stack.data[:, z, y : y + lines]), stack.mask[z, y : y + lines])
    level.setflags(write=False)
    _levels[stack] = level
    return level


def _rms(samples: AnyArray, inside: BoolArray) -> FloatArray:
    """Return the root mean square over time inside, 0 outside, where samples need not be finite."""
    found = np.zeros(inside.shape)
    magnitudes = np.abs(samples[:, inside]).astype(np.float64, copy=False)
    found[inside] = np.sqrt(np.mean(np.square(magnitudes), axis=0))
    return found


def otsu_threshold(stack: FingerprintStack, *, watch: Watch = UNWATCHED) -> float:
    """Return the level between signal and background that Otsu's method finds, in units of the data.

    Of all thresholds it is that which leaves most variance between the two classes (Otsu, IEEE Trans SMC 9:62, 1979),
    in the middle of the gap between them. It is exact: of a histogram the last bin below the gap would be cut in two.
    Voxels outside the stack's own mask count as background.

    Raises
    ------
    InputError
        All voxels have the same level.
    """
    level = otsu_level(signal_level(stack, watch=watch))
    if level is None:
        raise InputError(
            f"All voxels of {stack.name} have the same signal, so that no threshold parts them from background; "
            "expected a mask from a file, or none.",
            field="mask",
        )
    return level


def otsu_level(levels: AnyArray) -> float | None:
    """Return what Otsu's method parts numbers by; None where all are equal. See `otsu_threshold`."""
    values = np.sort(levels, axis=None).astype(np.float64)
    if not len(values) or values[0] == values[-1]:
        return None
    below = np.arange(1, len(values))
    above = below[::-1]
    total = np.cumsum(values)
    between = below * above * np.square(total[:-1] / below - (total[-1] - total[:-1]) / above)
    # no threshold lies between equal values
    between[values[1:] == values[:-1]] = -1.0
    cut = int(np.argmax(between))
    return float((values[cut] + values[cut + 1]) / 2)


def threshold_mask(stack: FingerprintStack, threshold: float, *, watch: Watch = UNWATCHED) -> BoolArray:
    """Return which voxels have a level above a threshold.

    Raises
    ------
    InputError
        None of them.
    """
    level = signal_level(stack, watch=watch)
    mask: BoolArray = level > np.float64(threshold)
    if not mask.any():
        raise InputError(
            f"No voxel of {stack.name} has a signal above {threshold:g}; its strongest has {level.max():.4g} (root "
            "mean square over time): expected a threshold below that.",
            field="threshold",
        )
    return mask
