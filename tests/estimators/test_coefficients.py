"""Estimators on coefficients: the same answers as on the curves that they stand for."""

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.fitting.refined import Refined
from napari_blochnet.estimators.fitting.standard_errors import WithStandardErrors
from napari_blochnet.estimators.registry import make_estimator
from napari_blochnet.fingerprints.subspaces import Subspace

N, K, SIGMA = 120, 8, 2e-3


@pytest.fixture(scope="module")
def schedule():
    n = np.arange(N)
    return nb.Schedule(10 + 50 * np.abs(np.sin(n / 25)), 12.0 + 3 * np.cos(n / 7), 3.0, inversion_time=10.0)


@pytest.fixture(scope="module")
def tissues():
    random = np.random.default_rng(2)
    t1 = np.exp(random.uniform(np.log(400), np.log(2500), 200))
    return t1, t1 * random.uniform(0.05, 0.2, 200)


@pytest.fixture(scope="module")
def signals(schedule, tissues):
    phase = np.random.default_rng(4).uniform(0, 2 * np.pi, 200)
    return (nb.EPGDecoder(schedule).signal(*tissues) * np.exp(1j * phase)[:, None]).astype(np.complex64)


@pytest.fixture(scope="module")
def subspace(schedule):
    """Of singular vectors, mixed: neither orthonormal nor in their order."""
    t1, t2 = (axis.ravel() for axis in np.meshgrid(np.geomspace(100, 4000, 30), np.geomspace(10, 500, 20)))
    atoms = nb.EPGDecoder(schedule).signal(t1, t2).astype(np.float64)
    vectors = np.linalg.svd(atoms / np.linalg.norm(atoms, axis=1)[:, None], full_matrices=False)[2][:K].T
    return Subspace.of(vectors @ np.random.default_rng(7).standard_normal((K, K)))


def _noise(shape, sigma=SIGMA, seed=0):
    random = np.random.default_rng(seed)
    return sigma * (random.standard_normal(shape) + 1j * random.standard_normal(shape))


@pytest.mark.parametrize("name", ["dictionary", "universal"])
def test_coefficients_give_the_answers_of_whole_fingerprints(name, schedule, signals, subspace):
    noisy = (signals + _noise(signals.shape)).astype(np.complex64)
    estimator = make_estimator(name, **({"step": 0.05} if name == "dictionary" else {}))
    # what lies in the subspace is all there is: the curve and its coordinates are one and the same
    coordinates = subspace.project(noisy).astype(np.complex64)
    found = estimator.predict(coordinates, schedule, subspace=subspace)
    whole = estimator.predict(subspace.expand(coordinates), schedule)
    limit = 1e-3 if name == "universal" else 0.05
    assert np.median(np.abs(found.t1 / whole.t1 - 1)) < limit
    assert np.median(np.abs(found.t2 / whole.t2 - 1)) < limit
    np.testing.assert_allclose(np.abs(found.pd), np.abs(whole.pd), rtol=0.05)


def test_answers_do_not_depend_on_which_basis_spans_the_subspace(schedule, signals, subspace):
    turned = Subspace.of(subspace.q @ np.random.default_rng(1).standard_normal((K, K)))
    estimator = make_estimator("universal")
    one, other = (
        estimator.predict(each.project(signals).astype(np.complex64), schedule, subspace=each)
        for each in (subspace, turned)
    )
    np.testing.assert_allclose(one.t1, other.t1, rtol=1e-3)
    np.testing.assert_allclose(one.t2, other.t2, rtol=3e-3)


def test_a_complex_basis_is_taken(schedule, signals, subspace):
    turn = np.exp(1j * np.random.default_rng(3).uniform(0, 6, K))
    mixed = Subspace.of(subspace.q * turn + 0.1j * subspace.q[:, ::-1])
    estimator = make_estimator("universal")
    found, same = (
        estimator.predict(each.project(signals).astype(np.complex64), schedule, subspace=each)
        for each in (mixed, subspace)
    )
    np.testing.assert_allclose(found.t1, same.t1, rtol=1e-3)
    np.testing.assert_allclose(found.t2, same.t2, rtol=1e-3)


def test_b1_is_taken_with_coefficients(schedule, tissues, subspace):
    b1 = np.random.default_rng(5).uniform(0.85, 1.15, 200)
    signals = nb.EPGDecoder(schedule).signal(*tissues, b1).astype(np.complex64)
    found = make_estimator("universal").predict(
        subspace.project(signals).astype(np.complex64), schedule, subspace=subspace, b1=b1
    )
    np.testing.assert_allclose(found.t1, tissues[0], rtol=0.01)
    np.testing.assert_allclose(found.t2, tissues[1], rtol=0.02)


@pytest.mark.parametrize("make", [Refined, WithStandardErrors])
def test_intervals_of_coefficients_cover_the_truth(make, schedule, tissues, subspace):
    repetitions = 1000
    signal = nb.EPGDecoder(schedule).signal([1000.0], [90.0])
    phases = np.exp(1j * np.random.default_rng(8).uniform(0, 2 * np.pi, repetitions))
    noisy = signal * phases[:, None] + _noise((repetitions, N), seed=9)
    coordinates = subspace.project(noisy).astype(np.complex64)
    found = make(make_estimator("universal")).predict(coordinates, schedule, subspace=subspace)
    for value, error, truth in ((found.t1, found.t1_se, 1000.0), (found.t2, found.t2_se, 90.0)):
        assert 0.90 <= np.mean(np.abs(value - truth) <= 1.96 * error) <= 0.98


def test_standard_errors_are_those_of_the_projected_signals(schedule, subspace):
    # the bound by finite differences of the projected decoder, in double precision, as a witness
    signals, step = nb.EPGDecoder(schedule), 1e-3
    at = np.array([[1000.0, 90.0]] * 5)
    at[1, 0], at[2, 0], at[3, 1], at[4, 1] = 1000 * (1 + step), 1000 * (1 - step), 90 * (1 + step), 90 * (1 - step)
    rows = signals.signal(*at.T, dtype=np.float64) @ subspace.q
    unit = rows[0] / np.linalg.norm(rows[0])
    tangents = np.stack([(rows[1] - rows[2]) / (2000 * step), (rows[3] - rows[4]) / (180 * step)])
    off = tangents - np.outer(tangents @ unit, unit)
    expected = SIGMA * np.sqrt(np.diag(np.linalg.inv(off @ off.T)))
    estimator = WithStandardErrors(make_estimator("universal"), noise_sigma=SIGMA)
    found = estimator.predict(rows[:1].astype(np.complex64), schedule, subspace=subspace)
    np.testing.assert_allclose([found.t1_se[0], found.t2_se[0]], expected, rtol=0.01)


def test_what_takes_no_coefficients_says_so(schedule, subspace):
    coordinates = np.ones((2, K), np.complex64)
    with pytest.raises(InputError, match=r"saturation is given, but coefficients have no samples"):
        make_estimator("universal", saturation=0.5).predict(coordinates, schedule, subspace=subspace)
    few = Subspace.of(subspace.q[:, :2])
    with pytest.raises(InputError, match=r"has 2 coefficients for each voxel.*expected at least 3"):
        make_estimator("universal").predict(coordinates[:, :2], schedule, subspace=few)


def test_too_few_coefficients_have_no_intervals(schedule, subspace):
    # 2·4 − 4 degrees of freedom: ±1.96 standard errors would cover 88 %
    few, coordinates = Subspace.of(subspace.q[:, :4]), np.ones((2, 4), np.complex64)
    estimator = make_estimator("universal")
    assert not Refined(estimator).has_errors(schedule, "complex", few)
    assert Refined(estimator, noise_sigma=0.1).has_errors(schedule, "complex", few)
    with pytest.raises(InputError, match="4 complex coefficients leave too little to estimate their noise"):
        WithStandardErrors(estimator).predict(coordinates, schedule, subspace=few)


def test_noise_of_coefficients_is_that_of_their_basis():
    """What white noise of fingerprints becomes in the coefficients of a skewed basis, drawn and turned back."""
    random = np.random.default_rng(3)
    basis = random.standard_normal((40, 5)) @ np.diag([0.1, 1, 2, 5, 9])
    drawn = 0.3 * random.standard_normal((20_000, 40)) @ np.linalg.pinv(basis).T
    subspace = Subspace.of(basis)
    sigma = float(np.sqrt(np.mean(drawn**2)))
    assert subspace.noise_of(sigma) == pytest.approx(0.3, rel=0.02)
    assert subspace.coordinates(drawn).std() == pytest.approx(0.3, rel=0.02)
