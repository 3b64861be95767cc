"""The compiled kernels against the clear version, and their arithmetic against NumPy."""

from pathlib import Path

import numba as nb
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_blochnet import EPGDecoder, Schedule, bloch_signal, fisp_schedule
from napari_blochnet.physics.kernels.math import decay, rotation
from napari_blochnet.physics.kernels.real import real_block
from napari_blochnet.physics.reference.epg import epg_signal


def error(found, exact) -> np.ndarray:
    """NRMSE of each fingerprint."""
    return np.linalg.norm(found - exact, axis=-1) / np.linalg.norm(exact, axis=-1)


@nb.njit
def _rotations(unit, angles, lanes):
    return rotation(unit, angles, lanes)


@pytest.mark.parametrize(("dtype", "digits"), [(np.float32, 1e-7), (np.float64, 5e-16)])
def test_one_minus_exp_keeps_small_numbers(dtype, digits):
    rates = np.logspace(-7, 2.2, 20000).astype(dtype)
    lost = np.empty_like(rates)
    decay(dtype(1.0), rates, lost)
    exact = -np.expm1(-rates.astype(np.longdouble))
    assert np.max(np.abs(lost - exact) / exact) < digits


@pytest.mark.parametrize(("dtype", "digits"), [(np.float32, 1.3e-7), (np.float64, 1e-15)])
def test_rotations_in_all_quadrants(dtype, digits):
    angles = np.linspace(-12.0, 12.0, 20000).astype(dtype)
    versine, sine = _rotations(dtype(1.0), angles, np.empty((2, len(angles)), dtype))
    wide = angles.astype(np.longdouble)
    assert np.max(np.abs(sine - np.sin(wide))) < digits
    assert np.max(np.abs(versine - 2 * np.sin(wide / 2) ** 2)) < digits
    small = np.abs(wide) < 0.5
    assert np.max(np.abs(versine / (2 * np.sin(wide / 2) ** 2) - 1)[small]) < digits


TISSUES = np.array([(5000.0, 2000.0), (5000.0, 10.0), (1000.0, 80.0), (800.0, 800.0), (100.0, 10.0), (300.0, 900.0)]).T


def test_real_path_agrees_with_the_clear_version_up_to_long_relaxation():
    schedule = fisp_schedule()
    exact = epg_signal(schedule, *TISSUES).numpy()
    assert np.abs(exact.imag).max() == 0
    found = EPGDecoder(schedule).signal(*TISSUES)
    assert found.dtype == np.float32
    assert error(found, exact.real).max() < 2e-6


@pytest.mark.parametrize("profile", [None, [1.0, 0.6, -0.1]])
@pytest.mark.parametrize("b1", [None, 0.85])
@pytest.mark.parametrize("path", ["varied_schedule", "spoiled_schedule"])
def test_all_states_agree_in_double_precision(path, b1, profile, request):
    schedule = request.getfixturevalue(path).replace(slice_profile=profile)
    exact = epg_signal(schedule, *TISSUES, b1=b1).numpy()
    found = EPGDecoder(schedule, states=len(schedule)).signal(*TISSUES, b1, dtype=np.float64)
    assert np.iscomplexobj(found) is not schedule.is_real
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-13)
    rounded = EPGDecoder(schedule, states=len(schedule)).signal(*TISSUES, b1)
    assert error(rounded, exact).max() < 2e-6


@pytest.mark.parametrize("states", [1, 2, 7, 20])
@pytest.mark.parametrize("path", ["varied_schedule", "spoiled_schedule"])
def test_a_fixed_number_of_states_truncates_as_the_clear_version_does(path, states, request):
    schedule = request.getfixturevalue(path)
    exact = epg_signal(schedule, *TISSUES, states=states).numpy()
    found = EPGDecoder(schedule, states=states).signal(*TISSUES, dtype=np.float64)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-13)


@pytest.mark.parametrize("step", [0.0, 37.0, 180.0])
def test_phases_linear_in_time_stay_on_the_real_path(varied_schedule, step):
    n = np.arange(len(varied_schedule))
    turned = 180.0 * (np.random.default_rng(2).random(len(n)) < 0.5)
    schedule = varied_schedule.replace(rf_phase=20.0 + step * n + turned)
    assert schedule.is_real
    exact = epg_signal(schedule, *TISSUES).numpy()
    found = EPGDecoder(schedule, states=len(n)).signal(*TISSUES, dtype=np.float64)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-13)


@pytest.mark.parametrize("path", ["varied_schedule", "spoiled_schedule"])
def test_tangents_are_the_derivatives(path, request):
    schedule = request.getfixturevalue(path).replace(slice_profile=[1.0, 0.8])
    decoder = EPGDecoder(schedule, states=len(schedule)).double()
    tissue = [np.array(value) for value in ([900.0, 2500.0, 150.0], [70.0, 900.0, 140.0], [0.9, 1.0, 1.2])]
    signal, derivatives = (part.numpy() for part in decoder.jacobian(*tissue))
    np.testing.assert_allclose(signal, epg_signal(schedule, *tissue[:2], b1=tissue[2]).numpy(), atol=1e-13)
    for p, value in enumerate(tissue):
        step = 1e-5 * value
        sides = []
        for sign in (1, -1):
            moved = list(tissue)
            moved[p] = value + sign * step
            sides.append(epg_signal(schedule, *moved[:2], b1=moved[2]).numpy())
        difference = (sides[0] - sides[1]) / (2 * step[:, None])
        assert error(derivatives[..., p], difference).max() < 1e-7
    # Without B1 the first two are the same.
    _, two = decoder.jacobian(tissue[0], tissue[1])
    ones = np.ones(3)
    _, three = decoder.jacobian(tissue[0], tissue[1], ones)
    np.testing.assert_allclose(two.numpy(), three.numpy()[..., :2], atol=1e-14)


def test_tangents_in_single_precision(varied_schedule):
    decoder = EPGDecoder(varied_schedule)
    _, exact = EPGDecoder(varied_schedule, states=len(varied_schedule)).double().jacobian(*TISSUES)
    _, found = decoder.jacobian(*TISSUES)
    assert found.dtype == torch.float32
    relative = torch.linalg.norm(found - exact, dim=1) / torch.linalg.norm(exact, dim=1)
    assert relative.max() < 2e-5


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.booleans(), st.booleans())
def test_any_short_train_agrees_with_isochromats(seed, pulses, spoiled, inverted):
    rng = np.random.default_rng(seed)
    repetition_time = rng.uniform(3.0, 30.0, pulses)
    schedule = Schedule(
        rng.uniform(0.0, 180.0, pulses),
        repetition_time,
        repetition_time * rng.uniform(0.0, 1.0, pulses),
        rf_phase=rng.uniform(0.0, 360.0, pulses) if spoiled else 90.0,
        inversion_time=rng.uniform(0.0, 40.0) if inverted else None,
        inversion_efficiency=rng.uniform(0.0, 1.0),
        slice_profile=rng.uniform(-0.2, 1.0, rng.integers(1, 4)),
    )
    t1, t2, b1 = rng.uniform(50, 4000, 3), rng.uniform(5, 3000, 3), rng.uniform(0.0, 1.5, 3)
    found = EPGDecoder(schedule, states=pulses).signal(t1, t2, b1, dtype=np.float64)
    np.testing.assert_allclose(found, bloch_signal(schedule, t1, t2, b1), rtol=0, atol=1e-12)


def test_more_states_than_hold_anything_cost_nothing():
    # Orders of a short T2 sink below the smallest normal float32 long before the 128th; they are not carried.
    decoder = EPGDecoder(fisp_schedule(), states=128)
    kept = decoder.state_counts([10.0, 100.0, 2000.0])
    assert kept[0] < 30
    assert kept[1] == kept[2] == 128
    short = decoder.signal(500.0, 10.0, dtype=np.float64)
    np.testing.assert_allclose(short, epg_signal(fisp_schedule(), 500.0, 10.0, states=60).real.numpy(), atol=1e-14)


def test_equal_voxels_have_equal_signals_wherever_they_stand(varied_schedule):
    # 300 voxels are three blocks of 128 lanes, the last one filled up with repeats.
    t1, t2 = np.tile([1000.0, 500.0, 250.0], 100), np.tile([100.0, 40.0, 90.0], 100)
    signal = EPGDecoder(varied_schedule, states=9).signal(t1, t2)
    for first in range(3):
        assert np.array_equal(signal[first::3], np.broadcast_to(signal[first], (100, len(varied_schedule))))


def test_no_relaxation_and_refocusing(varied_schedule):
    # T1 = T2 = ∞: 180° pulses turn Z and conjugate the transverse part; 90° leaves its echo at every second pulse.
    flips = np.r_[90.0, np.full(9, 180.0)]
    schedule = Schedule(flips, 10.0, 0.0, rf_phase=np.r_[90.0, np.zeros(9)])
    signal = EPGDecoder(schedule).signal(1e12, 1e12, dtype=np.float64)
    np.testing.assert_allclose(np.abs(signal), np.arange(10) % 2 == 0, atol=1e-9)


def test_compiled_code_is_kept_on_disk(varied_schedule):
    EPGDecoder(varied_schedule).signal(500.0, 50.0)
    stored = list(Path(real_block.stats.cache_path).glob("real.real_block-*.nbc"))
    assert stored
    assert sum(real_block.stats.cache_hits.values()) + sum(real_block.stats.cache_misses.values()) >= 1


@pytest.mark.parametrize("voxels", [5, 60, 100, 130, 300])
@pytest.mark.parametrize("path", ["varied_schedule", "spoiled_schedule"])
def test_no_bit_depends_on_the_number_of_threads(path, voxels, request, monkeypatch):
    from napari_blochnet.physics.kernels import launch

    rng = np.random.default_rng(voxels)
    t1, t2 = rng.uniform(100, 4000, voxels), np.exp(rng.uniform(np.log(5), np.log(2000), voxels))
    decoder = EPGDecoder(request.getfixturevalue(path), tolerance=1e-3)  # few orders, another number in each block
    found = []
    for threads in (1, 2, 3, 8):
        monkeypatch.setattr(launch, "available_threads", lambda threads=threads: threads)
        found.append([np.asarray(each) for each in decoder.jacobian(t1, t2)])
    for signal, derivatives in found[1:]:
        np.testing.assert_array_equal(signal, found[0][0])
        np.testing.assert_array_equal(derivatives, found[0][1])
