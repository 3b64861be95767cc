"""Which way the axes of a volume run in the body: R and L, A and P, S and I, from its affine."""

from __future__ import annotations

import itertools

import numpy as np

from napari_blochnet.common.arrays import FloatArray

__all__ = ["IMAGE_ORDER", "PLANES", "axis_letters", "direction_letters", "plane_axes"]

#: In records of phantoms whose rows are those of images, the first on top, for their file says no more of them.
IMAGE_ORDER = "image_order"
#: Each by the scanner axes (right, anterior, superior: 0, 1, 2) across it, up it and along it.
PLANES = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}

_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))
# A part along another axis counts from 15° on: what is that oblique is said to be.
_OBLIQUE = float(np.sin(np.radians(15.0)))


def direction_letters(direction: FloatArray) -> str:
    """Return where a direction points: one letter, or more where it is oblique by 15° or more, the nearest first.

    Parameters
    ----------
    direction : array of shape (3,)
        In scanner coordinates, RAS+.
    """
    unit = np.asarray(direction, dtype=float) / np.linalg.norm(direction)
    order = np.argsort(-np.abs(unit), kind="stable")
    return "".join(_LETTERS[axis][int(unit[axis] > 0)] for axis in order if abs(unit[axis]) >= _OBLIQUE)


def axis_letters(affine: FloatArray) -> tuple[tuple[str, str], ...]:
    """Return the letters at the first and at the last voxel along each axis (z, y, x).

    Parameters
    ----------
    affine : array of shape (4, 4)
        NIfTI affine: index (x, y, z, 1) to scanner mm, RAS+.
    """
    columns = np.asarray(affine, dtype=float)[:3, :3].T[::-1]
    return tuple((direction_letters(-column), direction_letters(column)) for column in columns)


def plane_axes(affine: FloatArray) -> dict[str, tuple[int, int, int]]:
    """Return for each plane the axis of a volume (z, y, x: 0, 1, 2) that runs across it, up or down it, and along it.

    Parameters
    ----------
    affine : array of shape (4, 4)
        NIfTI affine: index (x, y, z, 1) to scanner mm, RAS+. Of an oblique volume each axis counts as the scanner's
        that it is nearest to, no two as the same.
    """
    columns = np.asarray(affine, dtype=float)[:3, :3]
    near = np.abs(columns / np.linalg.norm(columns, axis=0))
    of_scanner = max(itertools.permutations(range(3)), key=lambda order: sum(near[i, order[i]] for i in range(3)))
    # arrays run (z, y, x), affines (x, y, z)
    return {plane: tuple(2 - of_scanner[i] for i in axes) for plane, axes in PLANES.items()}  # type: ignore[misc]
