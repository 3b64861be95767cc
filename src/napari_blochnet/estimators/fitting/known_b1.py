"""Least squares under a transmit field that is known in each voxel.

A start is looked up among tissues simulated under the nearest of a few values of B1; from there the physics leads to
the best tissue under the voxel's own one. What a step of B1 moves T2 by is gone after two or three Gauss–Newton steps,
however large it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray, IntArray
from napari_blochnet.estimators.base import Block
from napari_blochnet.estimators.fitting.fit import least_squares
from napari_blochnet.estimators.fitting.noise_models import Batch
from napari_blochnet.estimators.fitting.on_top import normalised
from napari_blochnet.estimators.projected import Simulator

__all__ = ["best_tissues", "between_b1", "near_b1"]

# Ratio of neighbouring values of B1: half a step moves T2 by a tenth; and where answers are interpolated between two.
_STEP, _WIDE_STEP = 1.1, 1.35
# ln T2 moves by twice the logarithm of B1 at most, a wide step by 0.6: what differs by more is another minimum.
_MOST_BY_A_STEP = 1.0


def near_b1(b1: FloatArray) -> Iterator[tuple[float, IntArray]]:
    """Yield the nearest of a few values of B1, ascending, with the voxels of each."""
    steps = np.rint(np.log(b1) / math.log(_STEP)).astype(np.int64)
    for step in np.unique(steps):
        yield _STEP ** int(step), np.flatnonzero(steps == step)


def between_b1(
    b1: FloatArray, read: Callable[[float, IntArray], FloatArray]
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return parameters at each B1 from those under the two of a few values that it lies between.

    Parameters
    ----------
    b1 : array of shape (voxel,)
    read : callable
        From a value of B1 and voxels (V,) to ln T1 and ln T2 (V, 2) under it.

    Returns
    -------
    start : array of shape (voxel, 2)
        Interpolated in ln B1; where the two disagree by more than B1 explains, those under the nearer one.
    other : array of shape (voxel, 2)
        Those under the one that is not as near.
    differ : bool array of shape (voxel,)
        Where they disagree: only a fit from both tells.
    """
    place = np.log(b1) / math.log(_WIDE_STEP)
    below = np.floor(place).astype(np.int64)
    found = np.empty((2, len(b1), 2))
    for step in range(below.min(initial=0), below.max(initial=0) + 2):
        which = np.flatnonzero((below == step) | (below == step - 1))
        if which.size:
            values = read(_WIDE_STEP**step, which)
            for side in (0, 1):
                its = below[which] == step - side
                found[side, which[its]] = values[its]
    weight = (place - below)[:, None]
    is_first = weight < 0.5
    differ = (np.abs(found[1] - found[0]) > _MOST_BY_A_STEP).any(axis=1)
    between, nearer = (1 - weight) * found[0] + weight * found[1], np.where(is_first, found[0], found[1])
    return np.where(differ[:, None], nearer, between), np.where(is_first, found[1], found[0]), differ


def best_tissues(
    block: Block,
    decoder: Simulator,
    start: FloatArray,
    saturation: float | None = None,
    within: tuple[FloatArray, FloatArray] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return ln T1 and ln T2 of least squares, proton density free, each voxel under its own B1.

    Parameters
    ----------
    block : Block
        With ``b1``; of fingerprints that are not all 0.
    decoder : Simulator
    start : array of shape (voxel, 2)
        ln T1 and ln T2, of ms.
    saturation : float, optional
        Samples of this magnitude or more are left out.
    within : tuple of two arrays of shape (2,), optional
        Lowest and highest logarithms.

    Returns
    -------
    theta : array of shape (voxel, 2)
    fisher : array of shape (voxel, 2, 2)
        The curvature there, which says how much worse other tissues are; of fingerprints over their largest samples.
    """
    data, used, _ = normalised(block.data, block.kind, saturation)
    return least_squares(Batch(data, used, block.kind, decoder, block.b1), start, within, block.watch)
