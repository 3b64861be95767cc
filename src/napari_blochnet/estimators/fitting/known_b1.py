"""Least squares under a transmit field that is known in each voxel.

A start is looked up among tissues simulated under the nearest of a few values of B1; from there the physics leads to
the best tissue under the voxel's own one. What a step of B1 moves T2 by is gone after two or three Gauss–Newton steps,
however large it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from napari_blochnet.common.arrays import FloatArray, IntArray
from napari_blochnet.estimators.base import Block
from napari_blochnet.estimators.fitting.fit import least_squares
from napari_blochnet.estimators.fitting.noise_models import Batch, Look
from napari_blochnet.estimators.fitting.on_top import normalised
from napari_blochnet.physics.decoder import EPGDecoder

__all__ = ["best_tissues", "near_b1"]

# Ratio of neighbouring values of B1; half a step moves T2 by a tenth.
_STEP = 1.1


def near_b1(b1: FloatArray) -> Iterator[tuple[float, IntArray]]:
    """Yield the nearest of a few values of B1, ascending, with the voxels of each."""
    steps = np.rint(np.log(b1) / math.log(_STEP)).astype(np.int64)
    for step in np.unique(steps):
        yield _STEP ** int(step), np.flatnonzero(steps == step)


def best_tissues(
    block: Block,
    decoder: EPGDecoder,
    start: FloatArray,
    saturation: float | None = None,
    within: tuple[FloatArray, FloatArray] | None = None,
) -> tuple[FloatArray, Look]:
    """Return ln T1 and ln T2 of least squares, proton density free, each voxel under its own B1.

    Parameters
    ----------
    block : Block
        With ``b1``; of fingerprints that are not all 0.
    decoder : EPGDecoder
    start : array of shape (voxel, 2)
        ln T1 and ln T2, of ms.
    saturation : float, optional
        Samples of this magnitude or more are left out.
    within : tuple of two arrays of shape (2,), optional
        Lowest and highest logarithms.

    Returns
    -------
    array of shape (voxel, 2)
    Look
        Its curvature says how much worse other tissues are. Of fingerprints over their largest samples.
    """
    data, used, _ = normalised(block.data, block.kind, saturation)
    return least_squares(Batch(data, used, block.kind, decoder, block.b1), start, within, block.watch)
