"""Dictionary and universal with the transmit field of each voxel known.

The witness of a field of b under one schedule is another schedule: the one whose flip angles are b times as large. Its
own dictionary, and its own universal estimator, know nothing of B1.
"""

from __future__ import annotations

import numpy as np
import pytest

from napari_blochnet import EPGDecoder, Schedule, cramer_rao_bound
from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.fitting.fit import least_squares
from napari_blochnet.estimators.fitting.known_b1 import between_b1, near_b1
from napari_blochnet.estimators.fitting.noise_models import Batch
from napari_blochnet.estimators.fitting.refined import Refined
from napari_blochnet.estimators.fitting.standard_errors import WithStandardErrors
from napari_blochnet.estimators.matching.dictionary import DictionaryMatching
from napari_blochnet.estimators.universal.universal_estimator import Universal

LENGTH = 240
FLIP = 10 + 45 * np.abs(np.sin(np.linspace(0, 9, LENGTH)))
TRAIN = Schedule(FLIP, np.linspace(11, 14, LENGTH), 4.0, inversion_time=10.0, name="short")
SPOILED = TRAIN.replace(rf_phase=np.cumsum(117.0 * np.arange(LENGTH)) % 360)
GRID = {"t1_range": (200.0, 3000.0), "t2_range": (15.0, 450.0), "step": 0.1}
FIELDS = (0.72, 0.97, 1.31)


def _tissues(count, seed=0):
    rng = np.random.default_rng(seed)
    t1 = np.exp(rng.uniform(np.log(250), np.log(2800), count))
    return t1, t1 * np.exp(rng.uniform(np.log(0.05), np.log(0.14), count))


def _scaled(schedule, b1):
    return schedule.replace(flip_angle=b1 * schedule.flip_angle)


def _data(schedule, kind, count=40, snr=40.0, seed=1):
    """Fingerprints with noise, some under each of `FIELDS`, in mixed order."""
    t1, t2 = _tissues(count * len(FIELDS), seed)
    rng = np.random.default_rng(seed)
    b1 = rng.permutation(np.repeat(FIELDS, count))
    signal = np.empty((len(t1), LENGTH), np.complex128)
    for field in FIELDS:
        which = b1 == field
        signal[which] = EPGDecoder(_scaled(schedule, field)).signal(t1[which], t2[which], dtype=np.float64)
    sigma = np.sqrt(np.mean(np.abs(signal) ** 2, axis=1, keepdims=True)) / snr
    signal += sigma * (rng.standard_normal(signal.shape) + 1j * rng.standard_normal(signal.shape))
    if kind == "complex":
        signal *= np.exp(2j * np.pi * rng.random((len(t1), 1)))
        return signal.astype(np.complex64), b1, t1, t2
    return (np.abs(signal) if kind == "magnitude" else signal.real).astype(np.float32), b1, t1, t2


def _by_scaled_schedules(estimator, data, b1, schedule, kind):
    """T1, T2 and residual by the schedules that need no B1."""
    found = np.empty((3, len(data)))
    for field in FIELDS:
        which = b1 == field
        part = estimator().predict(data[which], _scaled(schedule, field), kind)
        found[:, which] = part.t1, part.t2, part.residual
    return found


@pytest.mark.parametrize("kind", ["complex", "real", "magnitude"])
@pytest.mark.parametrize("schedule", [TRAIN, SPOILED], ids=["real path", "complex path"])
def test_the_dictionary_answers_as_one_made_for_each_field(schedule, kind):
    data, b1, _, _ = _data(schedule, kind)
    found = DictionaryMatching(**GRID).predict(data, schedule, kind, b1=b1)
    t1, t2, residual = _by_scaled_schedules(lambda: DictionaryMatching(**GRID), data, b1, schedule, kind)
    assert not found.failed.any()
    same = (np.abs(found.t1 / t1 - 1) < 1e-6) & (np.abs(found.t2 / t2 - 1) < 1e-6)
    assert same.mean() > 0.94
    # where the atoms differ they explain the data alike: to the compression, which only the one of them has
    np.testing.assert_allclose(found.residual, residual, rtol=2e-2)
    without = DictionaryMatching(**GRID).predict(data, schedule, kind)
    assert np.median(np.abs(without.t2 / t2 - 1)) > 0.03


@pytest.mark.parametrize("kind", ["complex", "real", "magnitude"])
@pytest.mark.parametrize("schedule", [TRAIN, SPOILED], ids=["real path", "complex path"])
def test_universal_answers_as_under_schedules_scaled_by_the_field(schedule, kind):
    data, b1, true_t1, true_t2 = _data(schedule, kind)
    found = Universal().predict(data, schedule, kind, b1=b1)
    t1, t2, residual = _by_scaled_schedules(Universal, data, b1, schedule, kind)
    # both are the least-squares answer, one between anchors and one by the physics; a standard error is 1 % and more
    assert np.median(np.abs(found.t1 / t1 - 1)) < 3e-4
    assert np.median(np.abs(found.t2 / t2 - 1)) < 2e-3
    assert (found.residual <= residual * (1 + 1e-3)).all()
    assert abs(np.median(found.t2 / true_t2) - 1) < 0.02
    assert abs(np.median(found.t1 / true_t1) - 1) < 0.01


def test_noise_free_fingerprints_give_their_tissues_back_under_any_field():
    rng = np.random.default_rng(3)
    b1 = rng.uniform(0.4, 1.7, 300)
    t2 = np.exp(rng.uniform(np.log(20), np.log(1500), 300))
    t1 = np.exp(rng.uniform(np.log(np.maximum(t2, 200.0)), np.log(4500)))
    data = EPGDecoder(TRAIN).signal(t1, t2, b1).astype(np.complex64)
    found = Universal().predict(data, TRAIN, b1=b1)
    np.testing.assert_allclose(found.t1, t1, rtol=2e-3)
    np.testing.assert_allclose(found.t2, t2, rtol=4e-3)
    assert found.residual.max() < 1e-3


def test_saturated_samples_are_left_out():
    t1, t2 = _tissues(100)
    b1 = np.random.default_rng(0).uniform(0.75, 1.25, 100)
    data = np.abs(EPGDecoder(TRAIN).signal(t1, t2, b1))
    limit = float(np.quantile(data, 0.8))
    clipped = np.minimum(data, limit)
    for estimator, allowed in (
        (Universal(saturation=limit), 0.01),
        (DictionaryMatching(**GRID, saturation=limit), 0.1),
    ):
        found = estimator.predict(clipped, TRAIN, "magnitude", b1=b1)
        assert np.abs(found.t1 / t1 - 1).max() < allowed
        assert np.quantile(np.abs(found.t2 / t2 - 1), 0.95) < allowed


@pytest.mark.parametrize("estimator", [Universal(), DictionaryMatching(**GRID)], ids=["universal", "dictionary"])
def test_a_voxel_without_signal_fails_and_changes_no_other(estimator):
    data, b1, _, _ = _data(TRAIN, "complex", count=5)
    whole = estimator.predict(data, TRAIN, b1=b1)
    data[3] = 0
    found = estimator.predict(data, TRAIN, b1=b1)
    assert found.failed.tolist() == [k == 3 for k in range(len(data))]
    assert found.t1[3] == found.t2[3] == found.pd[3] == 0
    others = np.arange(len(data)) != 3
    np.testing.assert_allclose(found.t2[others], whole.t2[others], rtol=1e-6)
    nothing = estimator.predict(0 * data, TRAIN, b1=b1)
    assert nothing.failed.all()
    assert len(estimator.predict(data[:0], TRAIN, b1=b1[:0]).t1) == 0


def test_a_grid_of_one_t1_and_the_edges_of_a_grid_hold():
    data, b1, _, t2 = _data(TRAIN, "complex", count=20)
    one = DictionaryMatching(t1_range=(800.0, 800.0), t2_range=(20.0, 400.0), step=0.1)
    found = one.predict(data, TRAIN, b1=b1)
    np.testing.assert_allclose(found.t1, 800.0)
    narrow = DictionaryMatching(t1_range=(200.0, 3000.0), t2_range=(60.0, 70.0), step=0.05).predict(data, TRAIN, b1=b1)
    assert (narrow.t2 >= 60 * (1 - 1e-6)).all()
    assert (narrow.t2 <= 70 * (1 + 1e-6)).all()
    np.testing.assert_allclose(narrow.t2[t2 < 50], 60.0, rtol=1e-6)


def test_refinement_starts_under_the_field():
    data, b1, _, _ = _data(TRAIN, "complex")
    found = Refined(Universal()).predict(data, TRAIN, b1=b1)
    plain = Universal().predict(data, TRAIN, b1=b1)
    assert found.converged.all()
    np.testing.assert_allclose(found.t2, plain.t2, rtol=2e-3)
    np.testing.assert_allclose(found.t1, plain.t1, rtol=1e-3)


def test_standard_errors_are_the_bound_under_the_field():
    rng = np.random.default_rng(0)
    clean = np.tile(EPGDecoder(TRAIN).signal(900.0, 90.0, 0.7), (60, 1))
    sigma = np.sqrt(np.mean(clean**2)) / 40
    data = clean + sigma * (rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape))
    estimator = WithStandardErrors(Universal(), noise_sigma=sigma)
    found = estimator.predict(data.astype(np.complex64), TRAIN, b1=np.full(60, 0.7))
    own, nominal = (cramer_rao_bound(TRAIN, 900.0, 90.0, b1=b1, sigma=sigma) for b1 in (0.7, 1.0))
    assert np.median(found.t2_se) == pytest.approx(own.t2, rel=0.03)
    assert abs(own.t2 / nominal.t2 - 1) > 0.1


def test_least_squares_from_afar_arrives_too():
    t1, t2 = _tissues(40)
    data = EPGDecoder(TRAIN).signal(t1, t2).astype(np.complex64)
    far = np.log(np.column_stack([3.0 * t1, 0.3 * t2]))
    theta, _ = least_squares(Batch(data, np.empty((0, LENGTH), bool), "complex", EPGDecoder(TRAIN)), far)
    np.testing.assert_allclose(np.exp(theta), np.column_stack([t1, t2]), rtol=1e-3)


def test_values_of_b1_are_few_and_near():
    b1 = np.random.default_rng(0).uniform(0.3, 2.5, 500)
    seen = np.zeros(500, int)
    for value, which in near_b1(b1):
        seen[which] += 1
        assert np.abs(np.log(b1[which] / value)).max() <= 0.5 * np.log(1.1) + 1e-9
    assert (seen == 1).all()
    # what is linear in ln B1 comes out as it is
    found, _, differ = between_b1(b1, lambda value, which: np.full((len(which), 2), -1.7 * np.log(value)))
    assert not differ.any()
    np.testing.assert_allclose(found, -1.7 * np.log(b1)[:, None] * np.ones(2), rtol=1e-9, atol=1e-12)


def test_a_network_takes_b1_as_nominal_and_says_so():
    from napari_blochnet.estimators.registry import declared

    assert declared("dictionary").takes_b1
    assert declared("universal").takes_b1
    assert not declared("fc").takes_b1
    with pytest.raises(InputError, match=r"b1 is 0; expected finite numbers above 0"):
        Universal().predict(np.ones((1, LENGTH), np.float32), TRAIN, b1=np.zeros(1))


@pytest.mark.parametrize("schedule", [TRAIN, SPOILED], ids=["real path", "complex path"])
def test_derivatives_of_a_known_field_are_those_of_any(schedule):
    decoder, (t1, t2) = EPGDecoder(schedule), _tissues(30)
    b1 = np.linspace(0.6, 1.5, 30)
    signal, derivatives = decoder.jacobian(t1, t2, b1)
    known = decoder.jacobian(t1, t2, b1, is_b1_known=True)
    np.testing.assert_array_equal(known[0], signal)
    assert known[1].shape == (30, LENGTH, 2)
    np.testing.assert_allclose(known[1], derivatives[..., :2], rtol=1e-6, atol=1e-12)
