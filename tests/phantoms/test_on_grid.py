"""A truth of many slices beside maps of some of them."""

from __future__ import annotations

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.geometry import Geometry

AFFINE = np.array([[0.0, 0, -3, 40], [0, 2.0, 0, -30], [1.0, 0, 0, 5], [0, 0, 0, 1]])


@pytest.fixture
def truth():
    t1 = 1000 + np.arange(6 * 3 * 4, dtype=float).reshape(6, 3, 4)
    return nb.Phantom(t1, t1 / 10, np.ones_like(t1), voxel_size=(3, 2, 1), affine=AFFINE)


def test_slices_are_found_by_where_they_lie(truth):
    """Sagittal slices, so that the third index runs along the scanner's x axis."""
    third = Geometry((3, 2, 1), AFFINE + np.array([[0, 0, 0, -6], [0] * 4, [0] * 4, [0] * 4]))
    part = truth.on_grid((2, 3, 4), third)
    np.testing.assert_array_equal(part.t1, truth.t1[2:4])
    np.testing.assert_array_equal(part.affine, third.affine)
    assert truth.on_grid(truth.shape, truth.geometry) is truth


@pytest.mark.parametrize(
    ("shape", "move"),
    [
        ((2, 3, 4), [0, 0.5, 0]),
        ((2, 3, 4), [3, 0, 0]),
        ((2, 3, 5), [0, 0, 0]),
        ((7, 3, 4), [0, 0, 0]),
        ((2, 3, 4), [-1, 0, 0]),
    ],
)
def test_other_grids_are_refused(truth, shape, move):
    affine = AFFINE.copy()
    affine[:3, 3] += move
    with pytest.raises(nb.InputError, match="does not lie on the grid"):
        truth.on_grid(shape, Geometry((3, 2, 1), affine))
