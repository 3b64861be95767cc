"""Plays and gaps in the compiled kernels: what follows from two plays, what a gap is made of, how many orders count."""

from __future__ import annotations

import numpy as np
import pytest

from napari_blochnet import EPGDecoder, Schedule, bloch_signal
from napari_blochnet.physics.reference.epg import epg_signal
from napari_blochnet.physics.truncation import all_states
from napari_blochnet.schedules.preparations import Preparation


def error(found, exact) -> float:
    """Worst NRMSE of the fingerprints."""
    return float((np.linalg.norm(found - exact, axis=-1) / np.linalg.norm(exact, axis=-1)).max())


@pytest.mark.parametrize("spoiled", [False, True])
@pytest.mark.parametrize("trains", [3, 6, 7])
def test_later_plays_follow_from_two(played, tissues, trains, spoiled):
    # Numbers whose squarings are used, left out, and both.
    schedule = played(trains, spoiled)
    exact = epg_signal(schedule, *tissues[:2], b1=tissues[2]).numpy()
    assert error(EPGDecoder(schedule, states=600).signal(*tissues, dtype=np.float64), exact) < 1e-10


def test_steady_state_is_the_limit_of_plays(played, tissues):
    steady = EPGDecoder(played("steady", False), states=200).signal(*tissues, dtype=np.float64)
    many = EPGDecoder(played(10**6, False), states=200).signal(*tissues, dtype=np.float64)
    few = EPGDecoder(played(3, False), states=200).signal(*tissues, dtype=np.float64)
    assert error(many, steady) < 1e-12
    assert 1e-6 < error(few, steady) < 0.1


def test_a_train_that_is_played_once_knows_no_recovery(varied_schedule, tissues):
    with_recovery = varied_schedule.replace(recovery_time=900.0)
    found = EPGDecoder(with_recovery).signal(*tissues)
    np.testing.assert_array_equal(found, EPGDecoder(varied_schedule).signal(*tissues))


@pytest.mark.parametrize("path", ["varied_schedule", "spoiled_schedule"])
def test_inversion_is_a_preparation(path, tissues, request):
    schedule = request.getfixturevalue(path)
    inversion = Preparation(0, "inversion", delay=schedule.inversion_time, efficiency=schedule.inversion_efficiency)
    prepared = schedule.replace(inversion_time=None, preparations=[inversion])
    assert not prepared.is_plain
    both = (EPGDecoder(train).double().jacobian(*tissues) for train in (prepared, schedule))
    for found, exact in zip(*both, strict=True):
        np.testing.assert_allclose(found.numpy(), exact.numpy(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("trains", "gap", "orders"), [(1, False, 5), (2, False, 9), (3, False, 13), (1, True, 4), (3, True, 11)]
)
def test_all_states_are_needed_and_enough(trains, gap, orders):
    # Nine pulses shift states on eight times, seven with a gap among them; nothing relaxes.
    spoilers = [Preparation(5, "delay", delay=1.0)] if gap else []
    schedule = Schedule(np.linspace(50.0, 80.0, 9), 10.0, 3.0, preparations=spoilers, trains=trains)
    assert all_states(schedule) == orders
    exact = bloch_signal(schedule, 1e9, 1e9, isochromats=200)[None]
    t1, t2 = np.array([1e9]), np.array([1e9])
    assert error(EPGDecoder(schedule, states=orders).signal(t1, t2, dtype=np.float64), exact) < 1e-12
    # A third play follows from places across the voxel, which tell a few orders more apart.
    fewer = orders - 1 if trains < 3 else orders // 2
    assert error(EPGDecoder(schedule, states=fewer).signal(t1, t2, dtype=np.float64), exact) > 1e-6


def test_steady_state_of_what_hardly_relaxes_is_finite():
    # In single precision nothing is left of 1 − a.
    silent = Schedule(180.0, np.full(30, 10.0), 2.0, trains="steady")
    assert np.isfinite(EPGDecoder(silent, states=20).signal([1e9, 1e3], 50.0)).all()


@pytest.mark.parametrize("trains", [2, 4, "steady"])
@pytest.mark.parametrize("profile", [None, [1.0, 0.6]])
def test_tolerance_is_kept_by_trains_that_repeat(trains, profile):
    # Low flip angles, short TR, long T2: what many plays have left counts most.
    rng = np.random.default_rng(2)
    t2 = np.exp(rng.uniform(np.log(30.0), np.log(500.0), 12))
    t1, b1 = np.exp(rng.uniform(np.log(500.0), np.log(4000.0), 12)), rng.uniform(0.8, 1.2, 12)
    flips = 12.0 + 10.0 * np.sin(np.arange(40) / 6.0)
    schedule = Schedule(flips, 7.0, 2.0, inversion_time=5.0, trains=trains, slice_profile=profile)
    exact = EPGDecoder(schedule, states=1200).signal(t1, t2, b1, dtype=np.float64)
    for tolerance in (1e-6, 1e-4):
        found = EPGDecoder(schedule, tolerance=tolerance).signal(t1, t2, b1, dtype=np.float64)
        assert error(found, exact) < tolerance
    assert error(EPGDecoder(schedule).signal(t1, t2, b1), exact) < 4e-6
