"""Networks that look at a subspace of their own, fed coefficients of another: the answers of the whole curves."""

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.offers import estimator_offers, networks_that_lack
from napari_blochnet.fingerprints.subspaces import Subspace


@pytest.fixture(scope="module")
def schedule():
    return nb.fisp_schedule()


@pytest.fixture(scope="module")
def network():
    return nb.load_estimator("fc")


@pytest.fixture(scope="module")
def tissues():
    random = np.random.default_rng(2)
    t1 = np.exp(random.uniform(np.log(300), np.log(4000), 400))
    return t1, t1 * random.uniform(0.03, 0.3, 400)


@pytest.fixture(scope="module")
def signals(schedule, tissues):
    phase = np.random.default_rng(4).uniform(0, 2 * np.pi, 400)
    return (nb.EPGDecoder(schedule).signal(*tissues) * np.exp(1j * phase)[:, None]).astype(np.complex64)


@pytest.fixture(scope="module")
def subspace_of(schedule):
    """Of a number of components: singular vectors of the signals, neither orthonormal nor in their order."""
    t1, t2 = (axis.ravel() for axis in np.meshgrid(np.geomspace(20, 6000, 24), np.geomspace(2, 3000, 24)))
    atoms = nb.EPGDecoder(schedule, tolerance=1e-4).signal(t1[t2 <= t1], t2[t2 <= t1]).astype(np.float64)
    vectors = np.linalg.svd(atoms / np.linalg.norm(atoms, axis=1)[:, None], full_matrices=False)[2].T

    def made(components):
        mixed = np.random.default_rng(7).standard_normal((components, components))
        return Subspace.of(vectors[:, :components] @ mixed)

    return made


@pytest.mark.parametrize("components", [10, 24])
def test_coefficients_give_the_answers_of_whole_fingerprints(
    network, schedule, tissues, signals, subspace_of, components
):
    subspace = subspace_of(components)
    whole = network.predict(signals, schedule)
    found = network.predict(subspace.project(signals).astype(np.complex64), schedule, subspace=subspace)
    for name in ("t1", "t2"):
        one, other = getattr(found, name), getattr(whole, name)
        assert np.quantile(np.abs(one / other - 1), 0.9) < 0.02
    assert np.median(np.abs(found.t1 / tissues[0] - 1)) < 0.02
    assert np.median(np.abs(found.t2 / tissues[1] - 1)) < 0.02
    np.testing.assert_allclose(np.abs(found.pd), 1.0, atol=0.1)
    assert np.median(found.residual) < 0.05


def test_whitened_coordinates_give_the_same_answers(network, schedule, signals, subspace_of):
    subspace = subspace_of(10)
    random = np.random.default_rng(1).standard_normal((10, 10))
    white = subspace.whitened(1e-4 * (np.eye(10) + 0.1 * random @ random.T))
    plain = network.predict(subspace.project(signals).astype(np.complex64), schedule, subspace=subspace)
    found = network.predict(white.project(signals).astype(np.complex64), schedule, subspace=white)
    np.testing.assert_allclose(found.t1, plain.t1, rtol=2e-3)
    np.testing.assert_allclose(found.t2, plain.t2, rtol=5e-3)


def test_too_few_coefficients_get_a_sentence(network, schedule, signals, subspace_of):
    few = subspace_of(3)
    with pytest.raises(InputError, match="The stack's 3 coefficients hold too little of the 24 that fc looks at"):
        network.predict(few.project(signals[:2]).astype(np.complex64), schedule, subspace=few)
    # before anything is mapped, too
    lacking = networks_that_lack(["fc"], schedule, "complex", few)
    assert lacking["fc"].startswith("The stack's 3 coefficients hold too little of the 24 that fc looks at: T1 changes")
    assert networks_that_lack(["fc"], schedule, "complex", subspace_of(10)) == {}


def test_networks_on_time_points_take_coefficients_too(schedule, signals, subspace_of):
    """Of 12 the rnn answers what it does of whole fingerprints; and what is offered says so."""
    subspace, network = subspace_of(12), nb.load_estimator("rnn")
    whole = network.predict(signals, schedule)
    found = network.predict(subspace.project(signals).astype(np.complex64), schedule, subspace=subspace)
    for name in ("t1", "t2"):
        assert np.quantile(np.abs(getattr(found, name) / getattr(whole, name) - 1), 0.9) < 0.02
    refusals = {offer.name: offer.refusal for offer in estimator_offers(schedule, "complex", components=12)}
    assert refusals["rnn"] is refusals["blochnet"] is None


def test_what_lies_outside_the_signals_space_changes_no_answer(schedule, signals):
    """What aliases does, for the most part: networks on time points neither see it nor take their phase from it."""
    network = nb.load_estimator("rnn")
    space = network.inputs(schedule).basis.astype(np.float64)
    outside = np.random.default_rng(5).standard_normal((len(signals), 1000, 2)).view(np.complex128)[..., 0]
    outside -= outside @ space @ space.T
    outside *= np.linalg.norm(signals, axis=1, keepdims=True) / np.linalg.norm(outside, axis=1, keepdims=True)
    clean, found = (network.predict(each.astype(np.complex64), schedule) for each in (signals, signals + outside))
    np.testing.assert_allclose(found.t1, clean.t1, rtol=1e-3)
    np.testing.assert_allclose(found.t2, clean.t2, rtol=1e-3)


def test_a_mapping_says_what_was_lost(schedule):
    stack = nb.simulate(nb.synthetic_phantom((1, 16, 16)), schedule, snr=100)
    whole, kept = nb.reconstruct(stack, "fc"), nb.reconstruct(nb.compress(stack, components=10), "fc")
    inside = whole.mask & ~whole.failed
    assert np.median(np.abs(kept.t1[inside] / whole.t1[inside] - 1)) < 0.01
    assert np.median(np.abs(kept.t2[inside] / whole.t2[inside] - 1)) < 0.02
    assert any("24 coefficients that fc looks at are made of the stack's 10" in said
               for said in kept.record["understood"])  # fmt: skip
