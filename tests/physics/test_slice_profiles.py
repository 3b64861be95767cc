"""Slice profiles against the Bloch equations by rotation matrices, Fourier facts, and each other."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from scipy.optimize import least_squares

from napari_blochnet.common.errors import InputError
from napari_blochnet.physics import slice_profiles
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.physics.reference import formalism
from napari_blochnet.physics.slice_profiles import (
    gaussian_profile,
    gaussian_pulse,
    simulated_flip_angle,
    sinc_profile,
    sinc_pulse,
    slice_positions,
    small_tip_flip_angle,
)
from napari_blochnet.schedules.generators import fisp_schedule

POSITION = np.linspace(-1.5, 1.5, 31)


def _brute_force(pulse: np.ndarray, time_bandwidth: float, flip_angle: float) -> np.ndarray:
    """Magnetisation after the pulse and half its area of refocusing gradient, by 3 × 3 rotations."""
    step = formalism.gradient_rotation(360.0 * time_bandwidth * POSITION / len(pulse) / 2.0)
    total = formalism.gradient_rotation(np.zeros(len(POSITION)))
    for share in pulse:
        total = step @ formalism.rf_pulse(flip_angle * share) @ step @ total
    refocus = formalism.gradient_rotation(-360.0 * time_bandwidth * POSITION / 2.0)
    return (refocus @ total)(np.array([0.0, 0.0, 1.0]))


@pytest.mark.parametrize("flip_angle", [5.0, 70.0, 150.0])
@pytest.mark.parametrize("maker", [sinc_pulse, gaussian_pulse])
def test_shinnar_le_roux_against_rotation_matrices(maker, flip_angle: float) -> None:
    pulse = maker(4.0, 200)
    M = _brute_force(pulse, 4.0, flip_angle)
    angle = np.deg2rad(flip_angle) * simulated_flip_angle(pulse, 4.0, POSITION, flip_angle)
    np.testing.assert_allclose(np.cos(angle), M[:, 2], atol=1e-12)
    # Refocusing leaves the transverse magnetisation along ∓y, but for a phase that grows with the flip angle.
    np.testing.assert_array_equal(np.sign(M[:, 1]), -np.sign(angle))
    if flip_angle < 10.0:
        np.testing.assert_allclose(M[:, 1], -np.sin(angle), atol=1e-5)


@pytest.mark.parametrize("profile", [sinc_profile, gaussian_profile])
def test_small_tip_is_the_limit_of_the_simulation(profile) -> None:
    small_tip = profile(21, 4.0, 2.0)
    difference = [np.abs(profile(21, 4.0, 2.0, flip_angle=a) - small_tip).max() for a in (0.1, 10.0, 20.0, 90.0)]
    assert difference[0] < 1e-4
    # The first correction is of third order in the flip angle, hence of second order in the relative one.
    assert difference[2] / difference[1] == pytest.approx(4.0, rel=0.05)
    assert difference[3] > 0.03


@pytest.mark.parametrize("flip_angle", [None, 60.0])
@pytest.mark.parametrize("profile", [sinc_profile, gaussian_profile])
def test_profiles_are_symmetric_and_1_at_the_centre(profile, flip_angle: float | None) -> None:
    for positions in (1, 10, 11):
        p = profile(positions, flip_angle=flip_angle)
        assert p.shape == (positions,)
        np.testing.assert_allclose(p, p[::-1], atol=1e-12)
        if positions % 2:
            assert p[positions // 2] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("maker", "time_bandwidth", "tolerance"),
    [(sinc_pulse, 4.0, 0.01), (sinc_pulse, 8.0, 0.002), (gaussian_pulse, 3.0, 0.005), (gaussian_pulse, 6.0, 0.001)],
)
def test_full_width_at_half_maximum_is_the_slice_thickness(maker, time_bandwidth: float, tolerance: float) -> None:
    z = np.linspace(0.0, 1.0, 20001)
    p = small_tip_flip_angle(maker(time_bandwidth, 512), time_bandwidth, z)
    assert 2.0 * z[np.argmax(p < 0.5)] == pytest.approx(1.0, abs=tolerance)


def test_gaussian_profile_is_a_gaussian() -> None:
    """exp(−4 ln 2 · z²), its half maximum at ±½: 1/16 at one slice thickness."""
    z = np.linspace(0.0, 1.5, 50)
    p = small_tip_flip_angle(gaussian_pulse(8.0, 1024), 8.0, z)
    np.testing.assert_allclose(p, 2.0 ** (-4.0 * z**2), atol=1e-5)


def test_windowed_sinc_is_a_box_blurred_by_the_window() -> None:
    """The transform of sinc times Hann, worked out: a difference of integrals of the window's transform."""
    from scipy.integrate import quad

    def window(f: float) -> float:
        return float(np.sinc(f) + 0.5 * (np.sinc(f - 1.0) + np.sinc(f + 1.0)))

    for z in (0.0, 0.3, 0.5, 0.8):
        blurred = quad(window, 4.0 * z - 2.0, 4.0 * z + 2.0)[0] / quad(window, -2.0, 2.0)[0]
        assert small_tip_flip_angle(sinc_pulse(4.0, 2048), 4.0, z) == pytest.approx(blurred, abs=1e-5)


def test_profiles_are_sampled_finely_enough() -> None:
    z = slice_positions(41, 2.0)
    limit = simulated_flip_angle(sinc_pulse(4.0, 8192), 4.0, z, 90.0)
    np.testing.assert_allclose(sinc_profile(41, 4.0, 2.0, flip_angle=90.0), limit, atol=1e-4)


def test_positions_are_midpoints() -> None:
    np.testing.assert_allclose(slice_positions(4, 2.0), [-0.75, -0.25, 0.25, 0.75])


def test_what_a_profile_left_out_does_to_white_matter() -> None:
    """Published FISP schedule, T1/T2 811/77 ms, fitted without the profile that made the data: T2 +88 %."""
    plain = EPGDecoder(fisp_schedule(), tolerance=1e-5)
    shaped = EPGDecoder(fisp_schedule().replace(slice_profile=sinc_profile()), tolerance=1e-5)
    data = shaped.signal([811.0], [77.0], dtype=np.float64)[0]

    def residual(log_times: np.ndarray) -> np.ndarray:
        t1, t2 = np.exp(log_times)
        model = plain.signal([t1], [t2], dtype=np.float64)[0]
        return data - model * (model @ data) / (model @ model)

    fit = least_squares(residual, np.log([811.0, 77.0]), diff_step=1e-4)
    t1, t2 = np.exp(fit.x)
    assert t2 / 77.0 - 1.0 == pytest.approx(0.88, abs=0.01)
    assert t1 / 811.0 - 1.0 == pytest.approx(-0.04, abs=0.005)


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(slice_profiles).failed == 0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: sinc_profile(0), "positions is 0; expected at least 1"),
        (lambda: sinc_profile(time_bandwidth=0.0), "time_bandwidth is 0; expected a number above 0"),
        (lambda: sinc_profile(time_bandwidth=float("inf")), "time_bandwidth is inf"),
        (lambda: gaussian_profile(time_bandwidth=1.0), "time_bandwidth is 1; a Gaussian pulse takes 1.5 or more"),
        (lambda: sinc_profile(extent=float("nan")), "extent is nan"),
        (lambda: sinc_profile(flip_angle=200.0), "flip_angle is 200°; expected above 0 and at most 180°"),
        (lambda: small_tip_flip_angle([1.0, -1.0], 4.0, 0.0), "pulse is not an envelope"),
        (lambda: small_tip_flip_angle([1.0, 2.0], 4.0, 0.0), "pulse is not symmetric"),
    ],
)
def test_mistakes_are_named(call, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        call()
