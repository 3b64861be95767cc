"""Where volumes lie."""

from __future__ import annotations

import numpy as np
import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.geometry import Geometry


def test_default_affine_follows_the_voxel_size() -> None:
    geometry = Geometry((3.0, 2.0, 1.0))
    np.testing.assert_array_equal(geometry.affine, np.diag([1.0, 2.0, 3.0, 1.0]))
    assert geometry.describe() == "3 × 2 × 1 mm"


def test_voxel_size_out_of_an_oblique_affine() -> None:
    angle = np.deg2rad(30)
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([1.0, 2.0, 3.0])
    assert Geometry.from_affine(affine).voxel_size == pytest.approx((3.0, 2.0, 1.0))


def test_a_cut_moves_the_origin_to_its_first_voxel() -> None:
    affine = np.array([[0, -2.0, 0, 5], [1.0, 0, 0, 6], [0, 0, 3.0, 7], [0, 0, 0, 1]])
    geometry = Geometry.from_affine(affine)
    cut = geometry.cut(z=4, y=3, x=2)
    np.testing.assert_allclose(cut.affine @ [0, 0, 0, 1], affine @ [2, 3, 4, 1])
    assert cut.voxel_size == geometry.voxel_size


@pytest.mark.parametrize("size", [(1.0, 1.0), (1.0, 0.0, 1.0), (1.0, -1.0, 1.0), (1.0, np.nan, 1.0)])
def test_impossible_voxel_sizes(size: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="expected three lengths"):
        Geometry(size)  # type: ignore[arg-type]


def test_impossible_affines() -> None:
    with pytest.raises(InputError, match="4 × 4"):
        Geometry(affine=np.eye(3))
    with pytest.raises(InputError, match="4 × 4"):
        Geometry(affine=np.full((4, 4), np.nan))
