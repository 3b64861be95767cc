"""Pulses by splitting against the matrix exponential of the Bloch equations, closed forms and the other transform."""

import numpy as np
import pytest
from scipy.linalg import expm

from napari_blochnet.physics.pulse_simulation import coarsened, free_map, phase_map, pulse_angles, pulse_map
from napari_blochnet.physics.slice_profiles import simulated_flip_angle, sinc_pulse

NEVER = np.array([1e12])


def _adiabatic(count=2000, duration=10e-3):
    """A hyperbolic secant of 600 Hz that sweeps ±500 Hz."""
    time = (np.arange(count) + 0.5) / count * 2.0 - 1.0
    beta, sweep = 5.0, 2 * np.pi * 500.0
    phase = -sweep * duration / (2 * beta) * np.log(np.cosh(beta * time))
    return 600.0 / np.cosh(beta * time) * np.exp(1j * phase), duration / count


def _by_exponential(signal, step, t1, t2, b1, off_resonance):
    whole = np.eye(4)
    for sample in signal:
        x, y, z = 2e-3 * np.pi * np.array([b1 * sample.real, b1 * sample.imag, off_resonance])  # rad/ms
        generator = np.array(
            [[-1 / t2, -z, y, 0], [z, -1 / t2, -x, 0], [-y, x, -1 / t1, 1 / t1], [0, 0, 0, 0]], dtype=float
        )
        whole = expm(1e3 * step * generator) @ whole
    return whole


def test_a_waveform_acts_as_the_bloch_equations_say():
    signal, step = _adiabatic(400)
    t1, t2, b1 = np.array([1000.0, 300.0]), np.array([80.0, 20.0]), np.array([1.0, 0.8])
    found = pulse_map(signal, step, t1, t2, b1, off_resonance=-40.0)
    for v in range(2):
        right = _by_exponential(signal, step, t1[v], t2[v], b1[v], -40.0)
        np.testing.assert_allclose(found.matrix[v], right[:3, :3], atol=4e-5)
        np.testing.assert_allclose(found.offset[v], right[:3, 3], atol=2e-5)


def test_longer_steps_change_nothing_that_matters():
    signal, step = _adiabatic(20_000)
    t1, t2, b1 = np.array([1000.0]), np.array([50.0]), np.array([1.0])
    few, longer = coarsened(signal, step)
    assert len(few) < len(signal) / 5
    right = pulse_map(signal, step, t1, t2, b1).matrix
    np.testing.assert_allclose(pulse_map(few, longer, t1, t2, b1).matrix, right, atol=2e-4)
    # what preparations are made of
    assert abs(pulse_map(few, longer, t1, t2, b1).matrix[0, 2, 2] - right[0, 2, 2]) < 2e-5


def test_a_hard_pulse_turns_right_handed_about_its_phase():
    quarter = pulse_map(np.array([2500.0 + 0j]), 1e-4, NEVER, NEVER, np.ones(1))
    np.testing.assert_allclose(quarter.matrix[0] @ [0, 0, 1], [0, -1, 0], atol=1e-9)
    turned = phase_map(-np.pi / 2, 1).then(quarter).then(phase_map(np.pi / 2, 1))
    np.testing.assert_allclose(turned.matrix[0] @ [0, 0, 1], [1, 0, 0], atol=1e-9)


def test_magnetisation_locked_along_a_pulse_decays_with_t2():
    signal = np.full(4000, 500.0 + 0j)
    lock = pulse_map(signal, 1e-5, np.array([1000.0]), np.array([80.0]), np.ones(1))
    assert lock.matrix[0, 0, 0] == pytest.approx(np.exp(-40.0 / 80.0), abs=1e-9)


def test_free_relaxation_is_the_closed_form():
    rest = free_map(30.0, np.array([900.0]), np.array([70.0]))
    np.testing.assert_allclose(np.diag(rest.matrix[0]), np.exp([-30 / 70, -30 / 70, -30 / 900]))
    assert rest.offset[0, 2] == pytest.approx(1 - np.exp(-30 / 900))


def test_angles_are_those_of_the_slice_profiles():
    envelope = sinc_pulse(4.0, 256)
    duration, flip = 2e-3, 70.0
    signal = (flip / 360.0) * envelope / (duration / 256) + 0j
    position = np.linspace(-2.0, 2.0, 41)
    found = np.degrees(pulse_angles(signal, duration / 256, 4.0 / duration * position)) / flip
    np.testing.assert_allclose(found, simulated_flip_angle(envelope, 4.0, position, flip), atol=1e-9)
