"""What coils read of frames, and what gridding and the subspace problem make of it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_blochnet.sampling import coefficients, scanning
from napari_blochnet.sampling.coefficients import SubspaceProblem, coefficient_images
from napari_blochnet.sampling.coils import coil_maps
from napari_blochnet.sampling.density_compensation import density_weights
from napari_blochnet.sampling.scanning import grid_frames, read_kspace
from napari_blochnet.sampling.trajectories import Trajectory, make_trajectory

IMAGE = (20, 16)
FRAMES = 40


def _random(*shape, seed=0):
    numbers = np.random.default_rng(seed).standard_normal((*shape, 2))
    return (numbers[..., 0] + 1j * numbers[..., 1]).astype(np.complex64)


def _basis(rank=3):
    return np.linalg.qr(np.random.default_rng(5).standard_normal((FRAMES, rank)))[0]


@pytest.fixture(scope="module")
def spiral():
    return make_trajectory("spiral", FRAMES, IMAGE, 5)


def test_samples_are_the_fourier_sum(spiral):
    images, coils = _random(*IMAGE, FRAMES), coil_maps(3, IMAGE)
    found = read_kspace(images, spiral, coils)
    y, x = np.meshgrid(np.arange(20) - 10, np.arange(16) - 8, indexing="ij")
    for frame in (0, 17):
        ky, kx = spiral.points[frame].T
        waves = np.exp(-2j * np.pi * (ky[:, None, None] * y + kx[:, None, None] * x))
        expected = np.einsum("syx,cyx->cs", waves, coils * images[..., frame]) / np.sqrt(20 * 16)
        np.testing.assert_allclose(found[frame], expected, atol=2e-4 * np.abs(expected).max())


def test_all_of_a_grid_gives_frames_as_they_were():
    ky, kx = np.meshgrid((np.arange(20) - 10) / 20, (np.arange(16) - 8) / 16, indexing="ij")
    points = np.stack([ky, kx], axis=-1).reshape(1, -1, 2)
    grid = Trajectory(points, density_weights(points, IMAGE))
    images, coils = _random(*IMAGE, 3), coil_maps(4, IMAGE)
    frames = grid_frames(read_kspace(images, grid, coils), grid, coils)
    np.testing.assert_allclose(frames, images, atol=2e-3)


def test_coils_are_smooth_differ_and_lose_nothing():
    maps = coil_maps(8, (64, 64))
    np.testing.assert_allclose(np.square(np.abs(maps)).sum(axis=0), 1, atol=1e-5)
    assert np.abs(np.diff(maps, axis=1)).max() < 0.1
    # each sees best what lies before it, all around
    brightest = [np.unravel_index(np.abs(each).argmax(), each.shape) for each in maps]
    assert len(set(brightest)) == 8
    # a quarter turn of the ring puts every coil where another was
    turned = np.abs(maps[[(coil + 2) % 8 for coil in range(8)]])
    np.testing.assert_allclose(np.rot90(np.abs(maps), -1, axes=(1, 2)), turned, atol=1e-5)
    np.testing.assert_array_equal(coil_maps(1, (3, 4)), np.ones((1, 3, 4)))


def test_noise_has_its_size_and_is_the_same_on_any_number_of_threads(spiral, monkeypatch):
    nothing, coils = np.zeros((*IMAGE, FRAMES), np.complex64), coil_maps(4, IMAGE)
    first = read_kspace(nothing, spiral, coils, 0.5, (3,))
    assert first.real.std() == pytest.approx(0.5, rel=0.02)
    assert first.imag.std() == pytest.approx(0.5, rel=0.02)
    monkeypatch.setattr(scanning, "available_threads", lambda: 1)
    np.testing.assert_array_equal(read_kspace(nothing, spiral, coils, 0.5, (3,)), first)
    assert not np.array_equal(read_kspace(nothing, spiral, coils, 0.5, (4,)), first)


@pytest.mark.parametrize("rotation", ["golden", "uniform"])
def test_the_normal_operator_is_the_adjoint_of_what_is_read(rotation):
    basis, coils, images = _basis(), coil_maps(3, IMAGE), _random(3, *IMAGE)
    if rotation == "uniform":
        # complex time courses, as RF spoiling makes them
        basis = np.linalg.qr(_random(FRAMES, 3, seed=8).astype(np.complex128))[0]
    problem = SubspaceProblem(make_trajectory("spiral", FRAMES, IMAGE, 5, rotation), basis, coils)
    signal = np.einsum("nk,kyx->yxn", basis, images)
    expected = problem.seen(read_kspace(signal, problem.trajectory, coils))
    np.testing.assert_allclose(problem.normal(images), expected, atol=1e-3 * np.abs(expected).max())


def test_coefficients_that_were_read_are_found(spiral):
    basis, coils = _basis(), coil_maps(4, IMAGE)
    y, x = np.meshgrid(np.linspace(-1, 1, 20), np.linspace(-1, 1, 16), indexing="ij")
    smooth = np.stack([np.exp(-3 * (x**2 + y**2)), x * np.exp(-4 * (x**2 + y**2)), 1j * np.exp(-5 * (x**2 + y**2))])
    problem = SubspaceProblem(spiral, basis, coils)
    samples = read_kspace(np.einsum("nk,kyx->yxn", basis, smooth), spiral, coils)
    for low_rank, tolerance in ((0.0, 0.01), (1e-4, 0.02)):
        found = coefficient_images(problem, samples, low_rank)
        assert np.linalg.norm(found - smooth) < tolerance * np.linalg.norm(smooth), low_rank


def test_thresholds_are_those_of_singular_values():
    images = _random(3, 19, 24)
    shift = np.array([2, 1])
    found = coefficients._thresholded(images, 1.5, shift)
    # a block whose corner lies at (8 − 2, 4 − 1)
    u, values, rows = np.linalg.svd(images[:, 6:10, 3:7].reshape(3, -1).T, full_matrices=False)
    expected = (u * np.maximum(values - 1.5, 0)) @ rows
    np.testing.assert_allclose(found[:, 6:10, 3:7].reshape(3, -1).T, expected, atol=1e-4)
    np.testing.assert_allclose(coefficients._thresholded(images, 0.0, shift), images, atol=1e-5)


def test_of_nothing_there_is_nothing(spiral):
    problem = SubspaceProblem(spiral, _basis(), coil_maps(2, IMAGE))
    silent = np.zeros((FRAMES, 2, spiral.points.shape[1]), np.complex64)
    for low_rank in (0.0, 0.01):
        assert not coefficient_images(problem, silent, low_rank).any()
