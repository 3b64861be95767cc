"""Degrees of freedom: fewer samples than unknowns are refused, and no standard error comes from nothing."""

from __future__ import annotations

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.fitting.refined import Refined
from napari_blochnet.estimators.matching.dictionary import DictionaryMatching
from napari_blochnet.fingerprints.freedom import fewest_samples, spare_numbers

T1, T2 = np.array([600.0, 900.0, 1400.0]), np.array([60.0, 80.0, 110.0])


def train(pulses: int, phases: bool = False) -> nb.Schedule:
    phase = 58.5 * np.arange(pulses) ** 2 if phases else 0.0
    return nb.Schedule(np.linspace(8, 40, pulses), 12.0, 4.0, phase, inversion_time=20.0)


def stack_of(schedule: nb.Schedule, kind: str, noise: float = 1e-3) -> nb.FingerprintStack:
    random = np.random.default_rng(0)
    data = np.asarray(nb.EPGDecoder(schedule)(T1, T2)).astype(complex)
    data = data + noise * (random.normal(size=data.shape) + 1j * random.normal(size=data.shape))
    data = np.abs(data) if kind == "magnitude" else data.real if kind == "real" else data
    return nb.FingerprintStack(data.T[:, None, None].astype(np.complex64 if kind == "complex" else np.float32),
                               schedule, kind)  # fmt: skip


@pytest.mark.parametrize("estimator", ["dictionary", "universal"])
@pytest.mark.parametrize("how", [{}, {"refine": True}, {"uncertainty": True}])
@pytest.mark.parametrize(("kind", "pulses"), [("complex", 1), ("complex", 2), ("magnitude", 2), ("real", 2)])
def test_fewer_samples_than_unknowns_are_refused(estimator, how, kind, pulses):
    with pytest.raises(InputError, match=rf"{pulses} pulses?, and as many {kind} samples cannot tell .*at least 3"):
        nb.reconstruct(stack_of(train(pulses), kind), estimator, step=0.2, **how)


def test_b1_is_one_more_unknown():
    with pytest.raises(InputError, match=r"T1, T2, PD and B1; expected at least 4"):
        nb.reconstruct(stack_of(train(3), "magnitude"), step=0.2, refine=True, fit_b1=True)
    assert nb.reconstruct(stack_of(train(4), "magnitude"), step=0.2, refine=True, fit_b1=True).t1_se is None
    with pytest.raises(InputError, match="expected at least 3"):
        nb.reconstruct(stack_of(train(2, phases=True), "complex"), step=0.2, refine=True, fit_b1=True)


def test_complex_samples_of_varying_phase_tell_two_numbers_each():
    varying, equal = train(2, phases=True), train(2)
    varying = varying.replace(rf_phase=[0.0, 37.0])
    assert fewest_samples(varying, "complex") == 3 if varying.is_real else 2
    assert fewest_samples(equal, "complex") == 3
    assert [spare_numbers(4, kind) for kind in ("complex", "real", "magnitude")] == [4, 1, 1]


@pytest.mark.parametrize("kind", ["magnitude", "real"])
def test_as_many_samples_as_unknowns_give_no_standard_error(kind):
    stack = stack_of(train(3), kind)
    maps = nb.reconstruct(stack, step=0.2, refine=True)
    assert maps.t1_se is None
    assert maps.t2_se is None
    assert "no standard errors" in maps.record["note"]
    assert (maps.t1[maps.mask] > 0).all()
    with pytest.raises(InputError, match=f"3 {kind} samples leave nothing .* expected noise_sigma"):
        nb.reconstruct(stack, step=0.2, uncertainty=True)


@pytest.mark.parametrize("kind", ["magnitude", "real"])
@pytest.mark.parametrize("how", ["refine", "uncertainty"])
def test_known_noise_gives_standard_errors(kind, how):
    stack = stack_of(train(3), kind)
    maps = nb.reconstruct(stack, step=0.05, noise_sigma=1e-3, **{how: True})
    bound = nb.cramer_rao_bound(stack.schedule, maps.t1[maps.mask], maps.t2[maps.mask], maps.pd[maps.mask], sigma=1e-3,
                                kind=kind)  # fmt: skip
    told = bound.t1 < maps.t1[maps.mask]
    assert told.any()
    assert maps.t1_se[maps.mask][told] == pytest.approx(bound.t1[told], rel=0.02)


def test_one_sample_more_gives_them_from_the_residual():
    maps = nb.reconstruct(stack_of(train(4), "magnitude"), step=0.2, refine=True)
    assert (maps.t1_se[maps.mask] > 0).all()


def test_voxels_whose_samples_are_nearly_all_saturated_have_failed():
    stack = stack_of(train(12), "magnitude")
    data = np.array(stack.data)
    data[: 12 - 2, 0, 0, 1] = 9.0
    clipped = nb.FingerprintStack(data, stack.schedule, "magnitude")
    for how in ({}, {"refine": True}):
        maps = nb.reconstruct(clipped, step=0.2, saturation=5.0, **how)
        assert maps.failed[0, 0].tolist() == [False, True, False]
        assert maps.t1[0, 0, 1] == 0
    # as many as unknowns: an answer, whose error nothing tells
    data[: 12 - 3, 0, 0, 1] = 9.0
    data[12 - 3 :, 0, 0, 1] = np.asarray(stack.data)[12 - 3 :, 0, 0, 1]
    maps = nb.reconstruct(nb.FingerprintStack(data, stack.schedule, "magnitude"), step=0.2, saturation=5.0, refine=True)
    assert not maps.failed.any()
    assert maps.t1_se[0, 0, 1] == pytest.approx(10 * maps.t1[0, 0, 1])


def test_estimators_themselves_refuse():
    schedule = train(2)
    for estimator in (DictionaryMatching(step=0.3), Refined(DictionaryMatching(step=0.3))):
        with pytest.raises(InputError, match="at least 3"):
            estimator.predict(np.ones((1, 2), np.float32), schedule, "magnitude")


@pytest.mark.parametrize("angle", [0.0, 180.0, 720.0])
@pytest.mark.parametrize("how", [{}, {"refine": True}, {"estimator": "universal"}])
def test_a_train_without_signal_is_refused(angle, how):
    schedule = nb.Schedule(np.full(60, angle), 12.0, 4.0, inversion_time=20.0)
    data = np.random.default_rng(0).normal(size=(60, 1, 1, 3)).astype(np.float32)
    with pytest.raises(InputError, match="makes no signal"):
        nb.reconstruct(nb.FingerprintStack(data, schedule), step=0.2, **how)
