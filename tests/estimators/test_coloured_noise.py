"""Coefficients whose noise is neither white nor equal: fits weighed by its covariance, and what their errors cover."""

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.estimators.fitting.refined import Refined
from napari_blochnet.estimators.fitting.standard_errors import WithStandardErrors
from napari_blochnet.estimators.registry import make_estimator
from napari_blochnet.fingerprints.subspaces import Subspace

N, K, REPETITIONS = 120, 6, 1000
TRAIN = nb.Schedule(10 + 50 * np.abs(np.sin(np.arange(N) / 25)), 12.0 + 3 * np.cos(np.arange(N) / 7), 3.0,
                    inversion_time=10.0)  # fmt: skip
T1, T2 = 1000.0, 90.0


@pytest.fixture(scope="module")
def basis():
    """Singular vectors, mixed: neither orthonormal nor in their order."""
    t1, t2 = (axis.ravel() for axis in np.meshgrid(np.geomspace(100, 4000, 30), np.geomspace(10, 500, 20)))
    atoms = nb.EPGDecoder(TRAIN).signal(t1, t2).astype(np.float64)
    vectors = np.linalg.svd(atoms / np.linalg.norm(atoms, axis=1)[:, None], full_matrices=False)[2][:K].T
    return vectors @ np.random.default_rng(7).standard_normal((K, K))


@pytest.fixture(scope="module")
def covariance():
    """In each real channel; standard deviations from 1e-3 to 2e-2, correlated."""
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((K, K)))[0]
    return turn @ np.diag(np.geomspace(1e-3, 2e-2, K) ** 2) @ turn.T


@pytest.fixture(scope="module")
def noisy(basis, covariance):
    """Coefficients of one tissue at many phases, with noise of that covariance."""
    random = np.random.default_rng(9)
    signal = np.linalg.lstsq(basis, nb.EPGDecoder(TRAIN).signal([T1], [T2])[0].astype(np.float64), rcond=None)[0]
    phases = np.exp(1j * random.uniform(0, 2 * np.pi, REPETITIONS))
    drawn = random.standard_normal((2, REPETITIONS, K)) @ np.linalg.cholesky(covariance).T
    return (0.3 * signal * phases[:, None] + drawn[0] + 1j * drawn[1]).astype(np.complex64)


def _covered(found):
    return [
        np.mean(np.abs(value - truth) <= 1.96 * error)
        for value, error, truth in ((found.t1, found.t1_se, T1), (found.t2, found.t2_se, T2))
    ]


def test_noise_is_white_in_whitened_coordinates(basis, covariance):
    drawn = np.random.default_rng(1).standard_normal((100_000, K)) @ np.linalg.cholesky(covariance).T
    subspace = Subspace.of(basis).whitened(covariance)
    found = np.cov(subspace.coordinates(drawn), rowvar=False) / subspace.noise**2
    np.testing.assert_allclose(found, np.eye(K), atol=0.02)


def test_whitened_coordinates_are_of_the_same_time_courses(basis, covariance, noisy):
    plain, white = Subspace.of(basis), Subspace.of(basis).whitened(covariance)
    coordinates = white.coordinates(noisy)
    np.testing.assert_allclose(white.expand(coordinates), noisy @ basis.T, rtol=0, atol=2e-4 * np.abs(noisy).max())
    np.testing.assert_allclose(white.coefficients(coordinates), noisy, rtol=0, atol=2e-4 * np.abs(noisy).max())
    curves = noisy[:3] @ basis.T
    expected = plain.project(curves) @ np.linalg.inv(white.colour).T
    np.testing.assert_allclose(white.project(curves), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("make", "first"), [(Refined, "universal"), (WithStandardErrors, "dictionary")])
def test_intervals_cover_the_truth_and_estimates_are_nearer_to_it(make, first, basis, covariance, noisy):
    plain, white = Subspace.of(basis), Subspace.of(basis).whitened(covariance)
    start = make_estimator(first)
    weighed = make(start, noise_sigma=white.noise).predict(white.coordinates(noisy), TRAIN, subspace=white)
    equal = make(start).predict(plain.coordinates(noisy), TRAIN, subspace=plain)
    assert all(0.93 <= share <= 0.97 for share in _covered(weighed))
    # 1000 repetitions tell the spread to 2 %
    for name, truth in (("t1", T1), ("t2", T2)):
        spread, without = (np.std(getattr(each, name) - truth) for each in (weighed, equal))
        assert spread == pytest.approx(np.median(getattr(weighed, f"{name}_se")), rel=0.1)
        assert spread < 0.8 * without
