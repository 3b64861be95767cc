"""Volumes onto other grids: the witness is nibabel's own reorientation, and landmarks at their world positions."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.grids import lay_on_grid, without_axes_of_one

SHAPE = (3, 5, 7)  # z, y, x
ROTATION = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])


def _affine(oblique: bool, left_handed: bool) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = (ROTATION if oblique else np.eye(3)) @ np.diag([-1.5 if left_handed else 1.5, 2.0, 4.0])
    affine[:3, 3] = [-11.0, 7.5, 30.0]
    return affine


def _lay(data, affine, shape=SHAPE, target=None, nearest=True):
    return lay_on_grid(
        data, Geometry.from_affine(affine), shape, Geometry.from_affine(target),
        name="mask.nii", onto="the stack", field="mask", nearest=nearest,
    )  # fmt: skip


@pytest.mark.parametrize(("oblique", "left_handed"), list(itertools.product([False, True], repeat=2)))
@pytest.mark.parametrize("order", list(itertools.permutations("RAS")))
@pytest.mark.parametrize("flips", list(itertools.product([1, -1], repeat=3)))
def test_however_a_volume_is_turned_it_comes_back_to_the_bit(oblique, left_handed, order, flips):
    affine = _affine(oblique, left_handed)
    volume = np.arange(np.prod(SHAPE)).reshape(SHAPE[::-1]).astype(np.int16)
    image = nib.Nifti1Image(volume, affine)
    opposite = dict(zip("RAS", "LPI", strict=True))
    code = "".join(letter if sign > 0 else opposite[letter] for letter, sign in zip(order, flips, strict=True))
    # nibabel turns the file: the stored order differs, every voxel keeps its place in the scanner
    turned = image.as_reoriented(nib.orientations.axcodes2ornt(code))
    laid = _lay(np.asarray(turned.dataobj).T, turned.affine, target=affine)
    np.testing.assert_array_equal(laid.data, volume.T)
    assert laid.how == ("same" if np.array_equal(turned.affine, affine) else "turned")
    assert bool(laid.note) == (laid.how == "turned")


def test_labels_of_a_finer_grid_are_those_of_the_nearest_voxel():
    affine = _affine(True, False)
    fine = affine.copy()
    fine[:3, :3] /= 2
    fine[:3, 3] -= fine[:3, :3] @ [0.5, 0.5, 0.5]  # two voxels of the fine grid share the place of a coarse one
    labels = np.arange(np.prod(SHAPE), dtype=np.int32).reshape(SHAPE)
    doubled = labels.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    laid = _lay(doubled, fine, target=affine)
    np.testing.assert_array_equal(laid.data, labels)
    assert laid.data.dtype == labels.dtype
    assert "nearest" in laid.note


def test_a_field_is_interpolated_at_its_world_positions():
    affine, coarse = _affine(True, True), _affine(False, False)
    coarse[:3, :3] = np.diag([3.0, 3.0, 3.0])
    coarse[:3, 3] = [-30.0, -20.0, 20.0]
    shape = (16, 24, 20)
    world = coarse[:3, :3] @ np.indices(shape[::-1]).reshape(3, -1) + coarse[:3, 3:]
    field = (0.01 * world[0] + 0.02 * world[1] - 0.005 * world[2] + 1).reshape(shape[::-1]).T
    laid = _lay(field, coarse, target=affine, nearest=False)
    here = affine[:3, :3] @ np.indices(SHAPE[::-1]).reshape(3, -1) + affine[:3, 3:]
    expected = (0.01 * here[0] + 0.02 * here[1] - 0.005 * here[2] + 1).reshape(SHAPE[::-1]).T
    np.testing.assert_allclose(laid.data, expected, atol=1e-5)
    assert "linear" in laid.note
    assert laid.covered.all()


def test_a_part_of_the_field_of_view_is_laid_where_it_is_and_told():
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    moved = affine.copy()
    moved[:3, 3] = [4.0, 0.0, 0.0]  # begins at x = 2
    laid = _lay(np.ones((3, 5, 5), np.uint8), moved, target=affine)
    np.testing.assert_array_equal(laid.data, np.broadcast_to([0, 0, 1, 1, 1, 1, 1], SHAPE))
    assert "71 %" in laid.note
    np.testing.assert_array_equal(laid.covered, laid.data.astype(bool))


def test_a_volume_that_lies_elsewhere_is_refused():
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-7.0, 3.0, 1.0]
    far = affine.copy()
    far[:3, 3] = [500.0, 0.0, 0.0]
    with pytest.raises(InputError, match=r"mask\.nii: lies elsewhere than the stack") as refused:
        _lay(np.ones(SHAPE, np.uint8), far, target=affine)
    assert refused.value.field == "mask"


def test_an_affine_that_says_nothing_is_told():
    laid = _lay(np.ones(SHAPE, bool), np.eye(4), target=_affine(True, False))
    assert laid.how == "by index"
    assert "voxel by voxel" in laid.note
    with pytest.raises(InputError, match="lies elsewhere"):
        _lay(np.ones((9, 9, 9), bool), np.eye(4), target=np.diag([1.0, 1.0, 1.0, 1.0]) + 999 * np.eye(4, k=3))


def test_digits_that_headers_round_are_no_other_grid():
    affine = _affine(True, True)
    rounded = affine.astype(np.float32).astype(np.float64)
    rounded[:3, 3] += 0.004
    assert _lay(np.ones(SHAPE), rounded, target=affine).how == "same"


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [((3, 5, 7, 1), 3, (3, 5, 7)), ((1, 3, 5, 7), 3, (3, 5, 7)), ((9, 1, 3, 5, 7), 4, (9, 3, 5, 7)),
     ((5, 7), 3, (1, 5, 7)), ((1, 5, 7), 3, (1, 5, 7)), ((2, 3, 5, 7), 3, (2, 3, 5, 7)), ((1, 1, 1, 5), 3, (1, 1, 5))],
)  # fmt: skip
def test_axes_of_length_one_go_and_no_others(shape, axes, expected):
    assert without_axes_of_one(np.zeros(shape), axes).shape == expected


def test_without_a_place_the_shape_has_to_be_right():
    target = Geometry((1.0, 1.0, 1.0))
    how = {"name": "mask.npy", "onto": "the stack", "field": "mask", "nearest": True}
    assert lay_on_grid(np.ones((5, 7)), None, (1, 5, 7), target, **how).data.shape == (1, 5, 7)
    with pytest.raises(InputError, match=r"mask\.npy: has shape \(1, 7, 5\).*expected that of the stack"):
        lay_on_grid(np.ones((7, 5)), None, (1, 5, 7), target, **how)
    with pytest.raises(InputError, match="three axes"):
        lay_on_grid(np.ones((2, 5, 7, 3)), None, (1, 5, 7), target, **how)


def _ball(shape: tuple[int, int, int], edge: float, background: float, dtype=np.float64) -> np.ndarray:
    """A field of 1.1 within 20 mm of the grid's centre, centred on (0, 0, 0) mm."""
    z, y, x = (edge * (np.arange(n) - (n - 1) / 2) for n in shape)
    near = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= 20.0**2
    return np.where(near, 1.1, background).astype(dtype)


def _centred(shape: tuple[int, int, int], edge: float) -> np.ndarray:
    affine = np.diag([edge, edge, edge, 1.0])
    affine[:3, 3] = [-edge * (n - 1) / 2 for n in shape[::-1]]
    return affine


@pytest.mark.parametrize("background", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ">f4"])
def test_what_is_no_value_takes_no_part_in_interpolation(background, dtype):
    fine, coarse = (30, 32, 34), (14, 14, 14)
    field = _ball(coarse, 4.0, background, dtype)
    laid = lay_on_grid(
        field, Geometry.from_affine(_centred(coarse, 4.0)), fine, Geometry.from_affine(_centred(fine, 1.5)),
        name="b1.nii", onto="the stack", field="b1", nearest=False, zero_is_empty=True,
    )  # fmt: skip
    values = np.unique(laid.data)
    assert values[0] == 0
    np.testing.assert_allclose(values[1:], 1.1, rtol=1e-3 if dtype is np.float16 else 1e-6)
    # wherever the object is there is a value, but for slivers between the corners of coarse voxels
    assert (laid.data[_ball(fine, 1.5, 0.0) > 0] > 0).mean() > 0.99


def test_zero_is_a_number_like_others_where_nobody_says_that_it_is_none():
    shares = np.zeros((1, 1, 4))
    shares[..., 2:] = 1
    moved = np.eye(4)
    moved[0, 3] = 0.25
    assert _lay(shares, moved, (1, 1, 3), np.eye(4), nearest=False).data[0, 0].tolist() == [0, 0, 0.75]


@pytest.mark.parametrize("nearest", [True, False])
@pytest.mark.parametrize("shape", [(1, 700, 500), (4, 9, 5), (3, 1, 300_000)])
def test_a_grid_is_filled_in_pieces_as_it_is_at_once(nearest, shape):
    from scipy import ndimage

    turn = np.eye(4)
    turn[:3, :3] = 0.9 * ROTATION
    turn[:3, 3] = [-1.3, -20.2, -0.4]
    volume = np.random.default_rng(3).integers(1, 200, (5, 60, 50)).astype(np.int16)
    laid = lay_on_grid(
        volume, Geometry.from_affine(turn), shape, Geometry(), name="a", onto="b", field="mask", nearest=nearest,
        is_placed=True,
    )  # fmt: skip
    places = np.linalg.inv(turn) @ np.concatenate(
        [np.indices(shape[::-1]).reshape(3, -1), np.ones((1, np.prod(shape)))]
    )
    at_once = ndimage.map_coordinates(
        volume.T, places[:3], order=0 if nearest else 1, mode="nearest", output=np.float64
    ).reshape(shape[::-1]).T  # fmt: skip
    assert laid.covered.any()
    np.testing.assert_allclose(laid.data[laid.covered], at_once[laid.covered], rtol=1e-5)
    assert not laid.data[~laid.covered].any()


def test_complex_numbers_are_not_interpolated():
    with pytest.raises(InputError, match=r"mask\.nii: holds complex128; expected real numbers; .*magnitude"):
        _lay(np.ones(SHAPE, complex), np.eye(4), target=np.eye(4), nearest=False)


def test_resampling_takes_little_more_memory_than_its_result():
    import tracemalloc

    volume, shape = np.ones((20, 20, 20), np.float32), (128, 128, 128)
    turn = Geometry.from_affine(np.diag([5.0, 5.0, 5.0, 1.0]))
    lay_on_grid(volume, turn, (2, 2, 2), Geometry(), name="a", onto="b", field="mask", nearest=False, is_placed=True)
    tracemalloc.start()
    try:
        lay_on_grid(volume, turn, shape, Geometry(), name="a", onto="b", field="mask", nearest=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 5 bytes a voxel are the result and where it is covered
    assert peak < 20 * np.prod(shape)
