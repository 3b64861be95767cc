"""Where the top of a hill is, from its height at the lattice points of a patch."""

from __future__ import annotations

from functools import cache

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.estimators.universal.anchors import REACH, lagrange

__all__ = ["hill_top"]

_SIDE = 2 * REACH + 1
# Points between −REACH and REACH at which a profile is interpolated: eight to a lattice step.
_FINE = 16 * REACH + 1


def hill_top(heights: FloatArray) -> FloatArray:
    """Return the place of the highest point between the lattice points.

    The polynomial through the heights along T1 gives the height of the ridge for each T2; that through the ridge's
    heights has its maximum at the T2 of the top. T1 and T2 are found each from its own ridge, so that a ridge that is
    level along one of them does not carry the other off. A constant added to the heights, which is what white noise
    does to them in the mean, and a factor change nothing.

    Parameters
    ----------
    heights : array of shape (voxel, patch)
        As `Anchors.heights` returns them.

    Returns
    -------
    array of shape (voxel, 2)
        log T1 and log T2 in lattice steps from the patch's centre, from −REACH to REACH.
    """
    patch = heights.reshape(-1, _SIDE, _SIDE)
    for_each_t1, _ = _tops(patch)
    for_each_t2, _ = _tops(patch.transpose(0, 2, 1))
    return np.stack([_tops(for_each_t1)[1], _tops(for_each_t2)[1]], axis=1)


def _tops(profiles: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return height and place of the maximum of the polynomials through profiles at −REACH … REACH (last axis)."""
    fine = profiles @ _interpolation()
    k = np.clip(fine.argmax(axis=-1), 1, _FINE - 2)
    left, middle, right = (np.take_along_axis(fine, (k + o)[..., None], axis=-1)[..., 0] for o in (-1, 0, 1))
    # between fine points a parabola; where they do not bend down, the higher neighbour
    bend, slope = left - 2.0 * middle + right, right - left
    down = bend < 0
    shift = np.where(down, -0.5 * slope / np.where(down, bend, 1.0), np.sign(slope))
    shift = np.clip(shift, -1.0, 1.0)
    place = (k + shift) * (2.0 * REACH / (_FINE - 1)) - REACH
    return middle + 0.5 * shift * slope + 0.5 * shift**2 * bend, place


@cache
def _interpolation() -> FloatArray:
    """The matrix (nodes, fine points) of the polynomial through values at the nodes."""
    return np.ascontiguousarray(lagrange(np.linspace(-1.0, 1.0, _SIDE), np.linspace(-1.0, 1.0, _FINE)).T)
