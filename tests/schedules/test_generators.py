"""Generated schedules against the published tables and their definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from napari_blochnet.common.errors import InputError
from napari_blochnet.schedules.generators import fisp_schedule, perlin_repetition_time, spline_schedule


def test_fisp_reproduces_the_published_tables(shared_data: Path) -> None:
    schedule = fisp_schedule()
    published_flip = np.loadtxt(shared_data / "schedules" / "yun_fa.txt")
    published_tr = np.loadtxt(shared_data / "schedules" / "yun_tr.txt")
    assert np.abs(schedule.flip_angle - published_flip).max() < 0.005
    assert np.abs(schedule.repetition_time - published_tr).max() < 0.005
    assert np.sqrt(np.mean((schedule.repetition_time - published_tr) ** 2)) < 0.0035
    assert schedule.inversion_time == 0.0
    assert schedule.inversion_efficiency == 1.0
    assert (schedule.echo_time == 10.0).all()


def test_fisp_lobes_and_pauses() -> None:
    flip = fisp_schedule().flip_angle
    assert flip[619:628].max() == 0.0
    assert flip.max() == pytest.approx(70.0)
    assert int(flip.argmax()) == 419 + 99
    assert flip[209] == pytest.approx(5 + 38 * np.sin(np.pi / 200))


def test_fisp_takes_echo_and_inversion_time() -> None:
    schedule = fisp_schedule(echo_time=4.0, inversion_time=None)
    assert (schedule.echo_time == 4.0).all()
    assert schedule.inversion_time is None
    with pytest.raises(InputError, match="echo_time is 12 at pulse"):
        fisp_schedule(echo_time=12.0)


def test_spline_is_the_cubic_spline_through_uniform_control_points() -> None:
    schedule = spline_schedule(length=401, control_points=5, seed=7)
    control = np.random.default_rng(7).uniform(0, 120, 5)
    expected = CubicSpline(np.linspace(0, 400, 5), control)(np.arange(401))
    np.testing.assert_allclose(schedule.flip_angle, np.maximum(expected, 0), atol=1e-9)
    np.testing.assert_allclose(schedule.flip_angle[::100], control, atol=1e-9)


def test_spline_noise_has_the_variance_asked_for() -> None:
    smooth = spline_schedule(length=20_000, control_points=11, seed=3)
    noisy = spline_schedule(length=20_000, control_points=11, noise_variance=10.0, seed=3)
    away_from_zero = smooth.flip_angle > 20
    difference = (noisy.flip_angle - smooth.flip_angle)[away_from_zero]
    assert np.var(difference) == pytest.approx(10.0, rel=0.05)
    assert abs(np.mean(difference)) < 0.1
    assert noisy.flip_angle.min() >= 0
    assert noisy.name == "SplineNoise11, seed 3"


@pytest.mark.parametrize("seed", [0, 1, 8])
@pytest.mark.parametrize("noise_variance", [0.0, 10.0])
def test_the_largest_flip_angle_is_what_was_asked_for(seed: int, noise_variance: float) -> None:
    given = {"length": 400, "seed": seed, "noise_variance": noise_variance}
    drawn, scaled = spline_schedule(**given), spline_schedule(**given, largest_flip_angle=120.0)
    assert scaled.flip_angle.max() == 120.0
    np.testing.assert_allclose(scaled.flip_angle, drawn.flip_angle * 120 / drawn.flip_angle.max(), rtol=1e-12)
    np.testing.assert_array_equal(scaled.repetition_time, drawn.repetition_time)


def test_without_it_trains_are_those_published() -> None:
    # a cubic spline through what the generator draws, which may pass its points, and nothing taken off above
    for seed in (0, 1, 8):
        points = np.random.default_rng(seed).uniform(0.0, 120.0, 5)
        expected = CubicSpline(np.linspace(0, 1, 5), points)(np.linspace(0, 1, 1000))
        np.testing.assert_array_equal(spline_schedule(seed=seed).flip_angle, np.maximum(expected, 0))
    assert spline_schedule(seed=1).flip_angle.max() == pytest.approx(140.1, abs=0.1)


def test_spline_of_1000_pulses_shares_the_published_tr() -> None:
    fisp = fisp_schedule()
    np.testing.assert_array_equal(spline_schedule(seed=5).repetition_time, fisp.repetition_time)
    short = spline_schedule(length=500, seed=5)
    np.testing.assert_array_equal(short.repetition_time, perlin_repetition_time(500, 5))


def test_seeds_decide() -> None:
    assert spline_schedule(seed=1) == spline_schedule(seed=1)
    assert spline_schedule(seed=1) != spline_schedule(seed=2)


@given(
    length=st.integers(1, 3000),
    seed=st.integers(0, 2**32),
    low=st.floats(1, 20),
    width=st.floats(0, 10),
    period=st.floats(1.5, 500),
)
def test_perlin_stays_in_its_range(length: int, seed: int, low: float, width: float, period: float) -> None:
    tr = perlin_repetition_time(length, seed, low, low + width, period)
    assert tr.shape == (length,)
    assert tr.min() >= low
    assert tr.max() <= low + width
    if length > 2 * period and width > 0:
        assert tr.min() == pytest.approx(low)
        assert tr.max() == pytest.approx(low + width)


def test_perlin_is_as_smooth_as_the_published_tr() -> None:
    published = np.abs(np.diff(fisp_schedule().repetition_time)).max()
    steps = [np.abs(np.diff(perlin_repetition_time(1000, seed))).max() for seed in range(20)]
    assert np.mean(steps) == pytest.approx(published, rel=0.2)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"length": 0}, "length"),
        ({"length": 10.5}, "length"),
        ({"control_points": 1}, "control_points"),
        ({"noise_variance": -1.0}, "noise_variance"),
        ({"seed": -1}, "seed"),
        ({"max_flip_angle": 0.0}, "max_flip_angle"),
        ({"largest_flip_angle": 0.0}, "largest_flip_angle"),
        ({"largest_flip_angle": 181.0}, "largest_flip_angle"),
        ({"echo_time": 20.0}, "echo_time"),
    ],
)
def test_values_out_of_range_are_named(arguments: dict[str, float], field: str) -> None:
    with pytest.raises(InputError) as caught:
        spline_schedule(**arguments)  # type: ignore[arg-type]
    assert caught.value.field == field
    assert field in str(caught.value)
