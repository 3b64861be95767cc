"""The readable operators against closed forms, against each other, and through the Fourier transform."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_blochnet.common.errors import InputError
from napari_blochnet.physics.reference import formalism as f
from napari_blochnet.physics.reference.train_maps import train_map, train_states
from napari_blochnet.schedules.schedule import Schedule

EQUILIBRIUM = np.array([0.0, 0.0, 1.0])


def _train(pulses: int = 12, seed: int = 3) -> Schedule:
    rng = np.random.default_rng(seed)
    tr = rng.uniform(9.0, 15.0, pulses)
    return Schedule(
        flip_angle=rng.uniform(5.0, 150.0, pulses),
        repetition_time=tr,
        echo_time=tr * rng.uniform(0.1, 0.9, pulses),
        rf_phase=rng.uniform(0.0, 360.0, pulses),
        inversion_time=17.0,
        inversion_efficiency=0.93,
    )


def _grid(count: int) -> np.ndarray:
    return np.arange(count) / count


def test_90_degree_pulse_of_phase_0_leaves_minus_i() -> None:
    np.testing.assert_allclose(f.rf_pulse(90.0)(EQUILIBRIUM), [0.0, -1.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(f.rf_pulse(90.0, 90.0)(EQUILIBRIUM), [1.0, 0.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(f.epg_rf([[0], [0], [1]], 90.0)[:, 0], [-1j, 1j, 0.0], atol=1e-15)


def test_rotations_are_the_right_handed_ones() -> None:
    """Rodrigues' formula about the axis (sin θ cos φ, sin θ sin φ, cos θ) is another way to the same matrix."""
    rng = np.random.default_rng(0)
    for alpha, phi, theta in rng.uniform(0, 360, (20, 3)):
        p, t, a = np.deg2rad([phi, theta, alpha])
        axis = np.array([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)])
        cross = np.cross(np.eye(3), axis)
        rodrigues = np.eye(3) + np.sin(a) * cross + (1 - np.cos(a)) * cross @ cross
        np.testing.assert_allclose(f.rf_rotation(alpha, phi, theta), rodrigues, atol=1e-14)


def test_the_appendix_prints_the_opposite_sense() -> None:
    """Rx(α) as printed in A.1 is the rotation by −α here."""
    a = np.deg2rad(35.0)
    printed = np.array([[1, 0, 0], [0, np.cos(a), np.sin(a)], [0, -np.sin(a), np.cos(a)]])
    np.testing.assert_allclose(f.rf_rotation(-35.0), printed, atol=1e-15)


def test_inversion_recovery() -> None:
    """Mz(TI) = 1 − (1 + η)·exp(−TI/T1)."""
    for efficiency, ti in ((1.0, 400.0), (0.9, 20.0)):
        after = (f.relaxation(ti, 900.0, 80.0) @ f.inversion(efficiency))(EQUILIBRIUM)
        np.testing.assert_allclose(after, [0, 0, 1 - (1 + efficiency) * np.exp(-ti / 900.0)], atol=1e-15)


def test_spin_echo() -> None:
    """90°ₓ – τ – 180°ᵧ – τ refocuses whatever the off-resonance, and leaves exp(−2τ/T2)."""
    off_resonance = np.random.default_rng(1).uniform(0, 360, 50)
    wait = f.gradient_rotation(off_resonance) @ f.relaxation(25.0, 1e9, 70.0)
    echo = (wait @ f.rf_pulse(180.0, 90.0) @ wait @ f.rf_pulse(90.0, 0.0))(EQUILIBRIUM)
    np.testing.assert_allclose(echo[:, :2], np.tile([0.0, -np.exp(-50.0 / 70.0)], (50, 1)), atol=1e-6)


def test_relaxation_composes_in_time() -> None:
    once, twice = f.relaxation(31.0, 700.0, 60.0), f.relaxation(11.0, 700.0, 60.0) @ f.relaxation(20.0, 700.0, 60.0)
    np.testing.assert_allclose(twice.A, once.A, atol=1e-15)
    np.testing.assert_allclose(twice.B, once.B, atol=1e-15)


def test_relaxation_solves_the_bloch_equations() -> None:
    """The matrix exponential of the homogeneous Bloch matrix, precession included, by another route."""
    from scipy.linalg import expm

    t1, t2, time, precession = 800.0, 75.0, 9.0, 40.0
    w = np.deg2rad(precession) / time
    bloch = np.array([[-1 / t2, -w, 0, 0], [w, -1 / t2, 0, 0], [0, 0, -1 / t1, 1 / t1], [0, 0, 0, 0]])
    start = np.array([0.3, -0.2, 0.4])
    expected = (expm(bloch * time) @ [*start, 1.0])[:3]
    both = f.gradient_rotation(precession) @ f.relaxation(time, t1, t2)
    np.testing.assert_allclose(both(start), expected, atol=1e-14)


def test_a_whole_train_is_one_affine_map() -> None:
    schedule, position = _train(), _grid(31)
    whole = train_map(schedule, 800.0, 70.0, position, b1=0.87)
    start = np.random.default_rng(5).normal(size=(31, 3))
    M = start * [0, 0, -schedule.inversion_efficiency]
    M = f.relaxation(17.0, 800.0, 70.0)(M)
    for n in range(len(schedule)):
        M = np.einsum("ij,pj->pi", f.rf_rotation(0.87 * schedule.flip_angle[n], schedule.rf_phase[n]), M)
        M = f.relaxation(schedule.repetition_time[n], 800.0, 70.0)(M)
        M = np.einsum("pij,pj->pi", f.rotation_z(360.0 * position), M)
    assert whole.A.shape == (31, 3, 3)
    np.testing.assert_allclose(whole(start), M, atol=1e-13)


def test_the_two_sums_of_the_appendix() -> None:
    """A = ∏ Aᵢ and B = Σ (∏ Aⱼ)·Bᵢ, written out, against composition."""
    maps = [f.relaxation(5.0 + i, 300.0, 40.0) @ f.rf_pulse(20.0 * i, 35.0 * i) for i in range(1, 6)]
    A, B = np.eye(3), np.zeros(3)
    for i, step in enumerate(maps):
        A = step.A @ A
        after = np.eye(3)
        for later in maps[i + 1 :]:
            after = later.A @ after
        B = B + after @ step.B
    total = maps[0]
    for step in maps[1:]:
        total = step @ total
    np.testing.assert_allclose(total.A, A, atol=1e-14)
    np.testing.assert_allclose(total.B, B, atol=1e-14)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_round_trip_between_states_and_magnetisation(orders: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    Q = rng.normal(size=(3, orders)) + 1j * rng.normal(size=(3, orders))
    Q[1, 0] = Q[0, 0].conj()
    Q[2, 0] = Q[2, 0].real
    positions = 2 * orders + seed % 2
    M = f.voxel_magnetisation(Q, _grid(positions))
    np.testing.assert_allclose(f.configuration_states(M, orders - 1), Q, atol=1e-12)
    again = f.voxel_magnetisation(f.configuration_states(M, orders - 1), _grid(positions))
    np.testing.assert_allclose(again, M, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 360), st.floats(-360, 360), st.integers(0, 2**32 - 1))
def test_epg_pulse_is_the_isochromats_pulse_transformed(alpha: float, phase: float, seed: int) -> None:
    M = np.random.default_rng(seed).normal(size=(15, 3))
    turned = f.rf_pulse(alpha, phase)(M)
    expected = f.configuration_states(turned)
    np.testing.assert_allclose(f.epg_rf(f.configuration_states(M), alpha, phase), expected, atol=1e-13)


def test_epg_gradient_is_the_isochromats_gradient_transformed() -> None:
    rng = np.random.default_rng(8)
    Q = rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4))
    Q[1, 0], Q[2, 0] = Q[0, 0].conj(), Q[2, 0].real
    position = _grid(11)
    M = f.gradient_rotation(360.0 * position)(f.voxel_magnetisation(Q, position))
    np.testing.assert_allclose(f.configuration_states(M, 4), f.epg_gradient(Q), atol=1e-13)


@pytest.mark.parametrize("sampled", [False, True])
def test_train_of_isochromats_is_the_train_of_states(sampled: bool) -> None:
    schedule = _train()
    positions = _grid(2 * len(schedule) + 1)
    M = train_map(schedule, 800.0, 70.0, positions, b1=1.1, sampled=sampled)(EQUILIBRIUM)
    Q = train_states(schedule, 800.0, 70.0, b1=1.1, sampled=sampled)
    np.testing.assert_allclose(f.configuration_states(M, Q.shape[1] - 1), Q, atol=1e-13)
    np.testing.assert_allclose(f.voxel_magnetisation(Q, positions), M, atol=1e-13)


def test_published_fisp_signal() -> None:
    """Three pulses of 30°, T1/T2 1000/100, TR 10, TE 5: F0 as worked out by hand."""
    schedule = Schedule(np.full(3, 30.0), 10.0, 5.0)
    signal = [train_states(schedule, 1000.0, 100.0, pulses=n, sampled=True)[0, 0] for n in (1, 2, 3)]
    np.testing.assert_allclose(signal, [-0.475615j, -0.412528j, -0.335848j], atol=5e-7)


def test_published_echo_amplitudes() -> None:
    """90°ᵧ, then 120°ₓ three times, no relaxation: echoes 0.75, 0.9375, 0.84375 (Weigel 2015)."""
    Q = f.epg_rf([[0], [0], [1]], 90.0, 90.0)
    echoes = []
    for _ in range(3):
        Q = f.epg_gradient(f.epg_rf(f.epg_gradient(Q), 120.0, 0.0))
        echoes.append(abs(Q[0, 0]))
    np.testing.assert_allclose(echoes, [0.75, 0.9375, 0.84375], atol=1e-14)


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="order is 3; 6 positions across the voxel tell orders 0 to 2"):
        f.configuration_states(np.zeros((6, 3)), 3)
    with pytest.raises(InputError, match=r"magnetisation has shape \(3,\)"):
        f.configuration_states(np.zeros(3))
    with pytest.raises(InputError, match=r"Q has shape \(2, 4\)"):
        f.voxel_magnetisation(np.zeros((2, 4)), 0.0)
    with pytest.raises(InputError, match="pulses is 13; expected 1 to 12"):
        train_map(_train(), 800.0, 70.0, 0.0, pulses=13)
