"""What the universal network is told of a patch of anchors: the shape of a hill, whatever its height and slope."""

from __future__ import annotations

from functools import cache

import numpy as np

from napari_blochnet.arrays import FloatArray
from napari_blochnet.estimators.universal_anchors import REACH, patch_size

__all__ = ["feature_count", "hill_features", "interpolation"]

_SIDE = 2 * REACH + 1
# Points between −REACH and REACH at which a profile is interpolated: eight to a lattice step.
_FINE = 16 * REACH + 1
# Share of the energy below which differences of height are rounding: fingerprints are given in single precision.
_FLOOR = 1e-10


def feature_count() -> int:
    """Return the number of features."""
    return 2 * patch_size() + 4 * _SIDE + 2


def hill_features(heights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return what the network is told, and where the top would be by polynomial interpolation alone.

    Parameters
    ----------
    heights : array of shape (voxel, patch)
        As `Anchors.heights` returns them.

    Returns
    -------
    features : float32 array of shape (voxel, feature)
        How far each point lies below the highest, over the mean of that over the patch, and its square root; the same
        of the two profiles (the height of the ridge for each T2, and for each T1), and where the ridge runs; the
        tops of the profiles. A constant added to the heights (noise) and a factor (SNR, length, schedule) drop out.
    top : float32 array of shape (voxel, 2)
        Place of the tops of the profiles, log T1 and log T2 in lattice steps from the patch's centre.
    """
    patch = heights.reshape(-1, _SIDE, _SIDE)
    below = _relative(heights)
    along_t1, ridge_t1 = _tops(patch.transpose(0, 2, 1))  # for each T2
    along_t2, ridge_t2 = _tops(patch)  # for each T1
    top = np.stack([_tops(along_t2[:, None])[1][:, 0], _tops(along_t1[:, None])[1][:, 0]], axis=1)
    parts = [
        below, np.sqrt(below), _relative(along_t1), _relative(along_t2), ridge_t1 / REACH, ridge_t2 / REACH, top / REACH,
    ]  # fmt: skip
    return np.concatenate(parts, axis=1, dtype=np.float32), top.astype(np.float32)


def _relative(heights: FloatArray) -> FloatArray:
    below = heights.max(axis=1, keepdims=True) - heights
    relative: FloatArray = below / (below.mean(axis=1, keepdims=True) + _FLOOR)
    return relative


def _tops(profiles: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return height and place of the maximum of profiles at −REACH … REACH (last axis), by their polynomial."""
    fine = profiles @ interpolation(_SIDE, _FINE)
    k = np.clip(fine.argmax(axis=-1), 1, _FINE - 2)
    left, middle, right = (np.take_along_axis(fine, (k + o)[..., None], axis=-1)[..., 0] for o in (-1, 0, 1))
    bend = left - 2.0 * middle + right
    slope = right - left
    shift = np.where(bend < 0, -0.5 * slope / np.where(bend < 0, bend, 1.0), 0.5 * np.sign(slope))
    shift = np.clip(shift, -1.0, 1.0)
    spacing = 2.0 * REACH / (_FINE - 1)
    return middle + 0.5 * shift * slope + 0.5 * shift**2 * bend, (k + shift) * spacing - REACH


@cache
def interpolation(nodes: int, points: int) -> FloatArray:
    """Return the matrix (nodes, points) of the polynomial through values at equally spaced nodes, Lagrange's form."""
    at, x = np.linspace(-1.0, 1.0, nodes), np.linspace(-1.0, 1.0, points)
    matrix = np.ones((nodes, points))
    for k in range(nodes):
        for other in range(nodes):
            if other != k:
                matrix[k] *= (x - at[other]) / (at[k] - at[other])
    return matrix
