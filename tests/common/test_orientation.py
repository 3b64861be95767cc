"""Letters of a volume's axes against nibabel's, for straight, left-handed and oblique affines."""

from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_blochnet.common.orientation import axis_letters, direction_letters, plane_axes

OPPOSITE = dict(zip("RLAPSI", "LRPAIS", strict=True))
STRAIGHT = [
    (order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)
]


def _affine(order, signs, size=(1.0, 2.0, 3.0)):
    affine = np.eye(4)
    affine[:3, :3] = np.diag(signs)[:, list(order)] * size
    return affine


@pytest.mark.parametrize(("order", "signs"), STRAIGHT)
def test_straight_axes_have_nibabels_letters(order, signs):
    affine = _affine(order, signs)
    # nibabel names the far end of x, y, z; left-handed affines are among these
    far = nibabel.aff2axcodes(affine)[::-1]
    assert axis_letters(affine) == tuple((OPPOSITE[letter], letter) for letter in far)


@pytest.mark.parametrize("seed", range(20))
def test_oblique_axes_have_the_nearest_letter_first(seed):
    turn = Rotation.from_rotvec(np.radians(30) * np.random.default_rng(seed).uniform(-1, 1, 3) / np.sqrt(3))
    for order, signs in STRAIGHT[::7]:
        affine = _affine(order, signs)
        affine[:3, :3] = turn.as_matrix() @ affine[:3, :3]
        far = nibabel.aff2axcodes(affine)[::-1]
        for (low, high), letter in zip(axis_letters(affine), far, strict=True):
            assert (low[0], high[0]) == (OPPOSITE[letter], letter)


def test_what_is_oblique_is_said_to_be():
    for degrees, letters in ((0, "A"), (10, "A"), (20, "AS"), (50, "SA")):
        angle = np.radians(degrees)
        assert direction_letters(np.array([0, np.cos(angle), np.sin(angle)])) == letters
    assert direction_letters(np.array([-1.0, 1.0, 1.0])) == "LAS"


@pytest.mark.parametrize(("order", "signs"), STRAIGHT)
def test_planes_cut_across_the_axis_they_are_named_for(order, signs):
    affine = _affine(order, signs)
    letters = [set(pair) for pair in axis_letters(affine)]
    found = {plane: [letters[axis] for axis in axes] for plane, axes in plane_axes(affine).items()}
    right, front, up = set("RL"), set("AP"), set("SI")
    assert found == {
        "axial": [up, front, right], "coronal": [front, up, right], "sagittal": [right, up, front]
    }  # fmt: skip
