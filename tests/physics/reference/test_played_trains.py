"""Preparations, trains that repeat and the steady state: isochromats, two extended phase graphs, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_blochnet import Schedule, bloch_signal
from napari_blochnet.physics.reference.epg import epg_signal
from napari_blochnet.physics.reference.train_maps import train_map, train_states
from napari_blochnet.schedules.preparations import Preparation, PreparationResponse

PLAYS = pytest.mark.parametrize("trains", [1, 2, 4, "steady"])


@PLAYS
@pytest.mark.parametrize("spoiled", [False, True])
def test_isochromats_agree_with_the_extended_phase_graph(played, tissues, trains, spoiled):
    schedule = played(trains, spoiled).replace(slice_profile=[1.0, 0.6])
    t1, t2, b1 = tissues
    epg = epg_signal(schedule, t1, t2, b1=b1).numpy()
    np.testing.assert_allclose(epg, bloch_signal(schedule, t1, t2, b1), rtol=0, atol=1e-12)
    # preparations and plays do something: to each of these signals, a per cent of it at least
    alone = epg_signal(schedule.replace(preparations=()), t1, t2, b1=b1).numpy()
    assert (np.abs(epg - alone).max(axis=-1) > 0.01).all()
    if trains != 1:
        once = epg_signal(schedule.replace(trains=1), t1, t2, b1=b1).numpy()
        assert (np.abs(epg - once).max(axis=-1) > 0.01).all()


@PLAYS
def test_trains_of_the_formalism_agree_in_both_pictures(played, tissues, trains):
    schedule = played(trains, spoiled=True)
    t1, t2, b1 = (float(values[0]) for values in tissues)
    Q = train_states(schedule, t1, t2, b1, sampled=True)
    places = 2 * Q.shape[1] - 1
    M = train_map(schedule, t1, t2, np.arange(places) / places, b1, sampled=True)([0.0, 0.0, 1.0])
    assert complex(*M.mean(axis=0)[:2]) == pytest.approx(Q[0, 0], abs=1e-12)
    received = 1j * np.exp(-1j * np.deg2rad(schedule.rf_phase[-1])) * Q[0, 0]
    assert received == pytest.approx(complex(bloch_signal(schedule, t1, t2, b1)[-1]), abs=1e-12)


def test_steady_state_is_what_two_hundred_plays_reach(played, tissues):
    plays = played(200, spoiled=False)
    t1, t2, b1 = (values[1:] for values in tissues)
    steady = bloch_signal(plays.replace(trains="steady"), t1, t2, b1)
    np.testing.assert_allclose(steady, bloch_signal(plays, t1, t2, b1), rtol=0, atol=1e-12)


def test_ernst_angle_signal_in_closed_form():
    # One pulse and a spoiler, until it repeats: sin α·(1 − E1)/(1 − cos α·E1), E1 over TR and recovery.
    schedule = Schedule([35.0], 20.0, 0.0, trains="steady", recovery_time=130.0)
    e1, angle = np.exp(-150.0 / 900.0), np.deg2rad(0.9 * 35.0)
    expected = np.sin(angle) * (1 - e1) / (1 - np.cos(angle) * e1)
    assert epg_signal(schedule, 900.0, 60.0, b1=0.9).real.item() == pytest.approx(expected, rel=1e-12)
    assert bloch_signal(schedule, 900.0, 60.0, 0.9).real.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("preparation", "expected"),
    [
        (Preparation(0, "inversion", duration=12.0, delay=300.0, efficiency=0.9), lambda e1: 1 - 1.9 * e1(300.0)),
        (Preparation(0, "saturation", delay=300.0), lambda e1: 1 - (1 - np.cos(0.8 * np.pi / 2)) * e1(300.0)),
        (Preparation(0, "saturation", delay=300.0, adiabatic=True), lambda e1: 1 - e1(300.0)),
        (Preparation(0, "t2", 45.0, efficiency=0.95), lambda e1: 0.95 * np.exp(-45.0 / 60.0)),
        # a tip of θ, and what stays along the field recovers from cos θ to 1 − (1 − cos θ)·E1
        (
            Preparation(0, "t2", 45.0, adiabatic=False),
            lambda e1: (
                np.sin(0.4 * np.pi) ** 2 * np.exp(-45.0 / 60.0)
                + np.cos(0.4 * np.pi) * (1 - (1 - np.cos(0.4 * np.pi)) * e1(45.0))
            ),
        ),
        (Preparation(0, "delay", delay=300.0), lambda e1: 1.0),
    ],
)
def test_one_preparation_in_closed_form(preparation, expected):
    schedule = Schedule(90.0, [10.0], 0.0, preparations=[preparation])
    at = expected(lambda time: np.exp(-time / 900.0)) * np.sin(0.8 * np.pi / 2)
    assert epg_signal(schedule, 900.0, 60.0, b1=0.8).real.item() == pytest.approx(at, abs=1e-13)
    assert bloch_signal(schedule, 900.0, 60.0, 0.8).real.item() == pytest.approx(at, abs=1e-13)


def test_orders_along_the_field_live_through_preparations_and_recovery():
    # 90° – shift – 90°: half of what is transverse is stored along the field at order 1. Everything transverse is
    # spoiled, and a last 90° with two more gradients brings the stored order back as an echo.
    flips = [90.0, 90.0, 90.0, 0.0]
    between = [Preparation(2, "delay", delay=5.0), Preparation(2, "inversion", efficiency=0.8, duration=1.0)]
    schedule = Schedule(flips, 10.0, 0.0, preparations=between)
    forever = 1e15
    signal = epg_signal(schedule, forever, forever).numpy()
    assert signal[3].real == pytest.approx(0.5 * 0.8, abs=1e-12)
    np.testing.assert_allclose(signal, bloch_signal(schedule, forever, forever), rtol=0, atol=1e-12)


def test_a_simulated_preparation_is_its_response(played):
    # The response of an ideal T2 preparation with its delay, on a fine grid, against that preparation.
    t1, t2, b1 = np.geomspace(300, 3000, 30), np.geomspace(20, 400, 40), np.linspace(0.7, 1.3, 15)
    e1, e2 = np.exp(-40.0 / t1)[:, None, None], np.exp(-40.0 / t2)[None, :, None]
    sine, cosine = np.sin(np.pi / 2 * b1), np.cos(np.pi / 2 * b1)
    response = PreparationResponse(t1, t2, b1, sine**2 * e2 + cosine**2 * e1, cosine * (1 - e1) + 0 * e2)
    simulated = Preparation(3, "simulated", 40.0, 8.0, response=response)
    base = played(2, spoiled=False)
    ideal = Preparation(3, "t2", 40.0, 8.0, adiabatic=False)
    tissue = (np.array([800.0, 1500.0]), np.array([70.0, 300.0]), np.array([0.9, 1.2]))
    one, other = (base.replace(preparations=[p]) for p in (simulated, ideal))
    np.testing.assert_allclose(bloch_signal(one, *tissue), bloch_signal(other, *tissue), rtol=0, atol=2e-6)
    np.testing.assert_allclose(
        epg_signal(one, *tissue[:2], b1=tissue[2]).numpy(), bloch_signal(one, *tissue), rtol=0, atol=1e-12
    )
    leaves = [torch.tensor(values, requires_grad=True) for values in tissue]
    assert torch.autograd.gradcheck(lambda x, y, z: epg_signal(one, x, y, b1=z), leaves)


def test_a_preparation_takes_its_time_from_the_tr():
    # Two trains that differ only in where a delay is written: inside the TR it changes nothing but the spoiler.
    schedule = Schedule([40.0, 60.0], 200.0, 4.0, preparations=[Preparation(1, "delay", delay=90.0)])
    spoiled_only = schedule.replace(preparations=[Preparation(1, "delay", delay=0.0)])
    found, expected = (bloch_signal(item, 900.0, 60.0) for item in (schedule, spoiled_only))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(epg_signal(schedule, 900.0, 60.0).numpy(), expected, rtol=0, atol=1e-13)
