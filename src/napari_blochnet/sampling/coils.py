"""Receive coils: smooth sensitivities of loops around the field of view."""

from __future__ import annotations

import math

import numpy as np

from napari_blochnet.common.arrays import AnyArray

__all__ = ["coil_maps"]

# In halves of the field of view: where the loops stand, and how large they are.
_DISTANCE, _RADIUS = 1.4, 0.6
_SEGMENTS = 60


def coil_maps(coils: int, image: tuple[int, int]) -> AnyArray:
    """Return the sensitivities of loops that stand evenly around an image, by the law of Biot and Savart.

    Parameters
    ----------
    coils : int
        1: one that is even everywhere.
    image : tuple of int
        Voxels (y, x).

    Returns
    -------
    complex64 array of shape (coil, y, x)
        The transverse field Bx − i·By of each, scaled so that the sum of squares is 1 at every voxel.
    """
    if coils == 1:
        return np.ones((1, *image), np.complex64)
    half = max(image) / 2.0
    y, x = np.meshgrid(*((np.arange(n) - (n - 1) / 2.0) / half for n in image), indexing="ij")
    around = 2.0 * math.pi * np.arange(_SEGMENTS) / _SEGMENTS
    # a loop that faces the centre from +x: its wire lies in the plane x = distance
    wire = np.stack([np.full(_SEGMENTS, _DISTANCE), _RADIUS * np.cos(around), _RADIUS * np.sin(around)], axis=-1)
    along = np.stack([np.zeros(_SEGMENTS), -np.sin(around), np.cos(around)], axis=-1)
    maps = np.empty((coils, *image), np.complex128)
    for coil in range(coils):
        angle = 2.0 * math.pi * coil / coils
        cosine, sine = math.cos(angle), math.sin(angle)
        # the voxels as the loop sees them, which is the same as the loop turned
        seen = np.stack([cosine * x + sine * y, -sine * x + cosine * y, np.zeros_like(x)], axis=-1)
        away = seen[:, :, None] - wire
        field = (np.cross(along, away) / np.linalg.norm(away, axis=-1, keepdims=True) ** 3).sum(axis=2)
        maps[coil] = (field[..., 0] - 1j * field[..., 1]) * np.exp(-1j * angle)
    maps /= np.sqrt(np.square(np.abs(maps)).sum(axis=0))
    return maps.astype(np.complex64)
