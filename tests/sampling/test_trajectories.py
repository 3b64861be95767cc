"""Where k-space is read: curves, their density, and files."""

from __future__ import annotations

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.sampling.density_compensation import density_weights
from napari_blochnet.sampling.fourier import from_samples, to_samples
from napari_blochnet.sampling.trajectories import GOLDEN_ANGLE, SHAPES, interleaf, make_trajectory
from napari_blochnet.sampling.trajectory_files import read_trajectory

SIZE = 48


def _bump():
    """An image whose spectrum lies within the disc that trajectories read."""
    y, x = np.meshgrid(*[np.arange(SIZE) - SIZE // 2] * 2, indexing="ij")
    return np.exp(-((x + 4) ** 2 + (y - 3) ** 2) / 30.0).astype(np.complex64)


@pytest.mark.parametrize("shape", SHAPES)
def test_all_interleaves_together_give_the_image_back(shape):
    count = 76 if shape == "radial" else 12
    made = make_trajectory(shape, count, (SIZE, SIZE), count, "uniform")
    assert np.hypot(*made.points.reshape(-1, 2).T).max() == pytest.approx(0.5)
    points, image = made.points.reshape(-1, 2), _bump()
    for weights in (made.weights, density_weights(made.points, (SIZE, SIZE))):
        found = from_samples(to_samples(image[None], points) * weights.reshape(1, -1) / count, points, image.shape)[0]
        assert np.linalg.norm(found - image) < 0.03 * np.linalg.norm(image)
    # one alone is aliased
    alone = from_samples(to_samples(image[None], made.points[0]) * made.weights[0], made.points[0], image.shape)[0]
    assert np.linalg.norm(alone - image) > 0.15 * np.linalg.norm(image)


def test_turns_of_a_spiral_lie_one_cycle_apart():
    points, weights = interleaf("spiral", 64, 16)
    # in cycles per field of view: two turns, of which the other 15 interleaves lie between
    radius = 64 * np.hypot(*points.T)
    angle = np.unwrap(np.arctan2(points[1:, 0], points[1:, 1]))
    assert angle[-1] - angle[0] == pytest.approx(4 * np.pi, rel=0.05)
    assert np.diff(np.interp([angle[0], angle[0] + 2 * np.pi], angle, radius[1:])) == pytest.approx([16], rel=0.01)
    steps = 64 * np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert steps == pytest.approx(0.5, rel=0.05)
    # even density over a disc: every sample stands for as much as the next, once the curve runs round
    assert weights.sum() == pytest.approx(np.pi * 32**2)
    assert weights[len(weights) // 2 : -1] == pytest.approx(8.0, rel=0.05)


@pytest.mark.parametrize(("shape", "angle"), [("radial", GOLDEN_ANGLE), ("spiral", 2 * GOLDEN_ANGLE)])
def test_golden_rotation(shape, angle):
    assert pytest.approx(111.246, abs=1e-3) == GOLDEN_ANGLE
    made = make_trajectory(shape, 20, (32, 32), 8)
    last = made.points[:, -1, 1] + 1j * made.points[:, -1, 0]
    assert np.angle(last[1:] / last[:-1] * np.exp(-1j * np.radians(angle))) == pytest.approx(0, abs=1e-9)
    again = make_trajectory(shape, 20, (32, 32), 8, "uniform")
    assert len(again) == 8
    assert [again.frame(number) for number in (0, 7, 8, 19)] == [0, 7, 0, 3]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("zigzag", 10, (32, 32)), "spiral, radial, rosette"),
        (("spiral", 10, (32, 2)), "32 × 2 voxels"),
        (("spiral", 10, (32, 32), 52), "at most 51"),
    ],
)
def test_what_no_trajectory_is_made_of(arguments, said):
    with pytest.raises(nb.InputError, match=said):
        make_trajectory(*arguments)


def test_files_in_every_unit_and_order_are_the_same(tmp_path):
    k = np.random.default_rng(0).uniform(-0.5, 0.5, (6, 90, 2))
    k[0, 0] = 0.5
    image = (40, 40)
    variants = {
        "voxel": k,
        "radians": 2 * np.pi * k,
        "field": 40 * k,
        "first": np.moveaxis(k, -1, 0),
        "complex": k[..., 0] + 1j * k[..., 1],
        "turned": (k[..., 0] + 1j * k[..., 1]).T,
    }
    for name, values in variants.items():
        np.save(tmp_path / f"{name}.npy", values)
        read = read_trajectory(tmp_path / f"{name}.npy", 6, image)
        # (kx, ky) in the file, (y, x) here
        np.testing.assert_allclose(read.points, k[..., ::-1], atol=1e-12, err_msg=name)
        assert (read.weights > 0).all()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((5, 7)), "5 × 7"),
        (np.full((5, 7, 2), 33.0), "0.825 cycles per voxel"),
        (np.full((5, 7, 2), 0.01), "cycles per field of view"),
        (np.full((5, 7, 2), np.nan), "NaN"),
        (np.full((9, 8, 2), 0.5), "9 readouts of 8 samples"),
        (np.zeros((5, 0, 2)), "5 × 0 × 2"),
        (np.full((5, 7, 2), 0.3), "17 cycles per field of view away from the centre"),
    ],
)
def test_files_that_hold_no_trajectory(values, said, tmp_path):
    np.save(tmp_path / "k.npy", values)
    with pytest.raises(nb.InputError, match=said) as caught:
        read_trajectory(tmp_path / "k.npy", 5, (40, 40))
    assert "k.npy" in str(caught.value)


def test_trajectories_of_bart(tmp_path):
    # kx, ky and a kz of 0 in cycles per field of view: 3 × sample × readout, the first the fastest, as complex numbers
    points = make_trajectory("spiral", 12, (SIZE, SIZE), 12, "golden").points[..., ::-1] * SIZE
    k = np.concatenate([points, np.zeros_like(points[..., :1])], axis=-1)
    expected = read_trajectory(_saved(tmp_path / "two.npy", points), 12, (SIZE, SIZE)).points
    for sizes in ([3, points.shape[1], 12], [3, points.shape[1], *[1] * 8, 12]):
        k.astype("<c8").tofile(tmp_path / "k.cfl")
        (tmp_path / "k.hdr").write_text(f"# Dimensions\n{' '.join(map(str, sizes))}\n")
        np.testing.assert_allclose(read_trajectory(tmp_path / "k.cfl", 12, (SIZE, SIZE)).points, expected, atol=1e-6)
    np.testing.assert_allclose(read_trajectory(_saved(tmp_path / "three.npy", k), 12, (SIZE, SIZE)).points, expected)
    with pytest.raises(InputError, match="holds kz other than 0"):
        read_trajectory(_saved(tmp_path / "out.npy", k + 1), 12, (SIZE, SIZE))


def test_the_inner_part_of_k_space_is_told(tmp_path):
    # 1/mm of a field of view of 240 mm look like cycles per voxel
    points = make_trajectory("spiral", 12, (SIZE, SIZE), 12, "golden").points * SIZE / 240
    with pytest.warns(DataWarning, match=r"up to 0.1, is taken in cycles per voxel: it reads k-space up to 0.1 of"):
        read_trajectory(_saved(tmp_path / "mm.npy", points), 12, (SIZE, SIZE))


def _saved(path, array):
    np.save(path, array)
    return path
