"""The clear extended phase graph against closed forms, published states and isochromats."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_blochnet import InputError, Schedule, bloch_signal
from napari_blochnet.physics.reference.epg import States, epg_f0, epg_signal, equilibrium, relax, rotate, shift

FOREVER = 1e15  # ms; no relaxation within a train


def test_fisp_of_three_pulses():
    # Reference states to six digits; the first is sin 30° · exp(−5/100).
    f0 = epg_f0(Schedule(30.0, [10.0, 10.0, 10.0], 5.0), 1000.0, 100.0)
    np.testing.assert_allclose(f0.numpy(), [-0.475615j, -0.412528j, -0.335848j], atol=5e-7)


def _echoes(angles, phases, spacing, t1, t2):
    """Echo amplitudes of a turbo spin echo train, from the operators: half the spacing on each side of a pulse."""
    size = torch.Size(())
    states = equilibrium(size, len(angles) + 2, torch.complex128, torch.device("cpu"))
    times = (torch.tensor(t1, dtype=torch.float64), torch.tensor(t2, dtype=torch.float64))
    angles = torch.deg2rad(torch.tensor(angles, dtype=torch.float64))
    states = rotate(states, angles[0], np.deg2rad(phases[0]))
    echoes = []
    for angle, phase in zip(angles[1:], phases[1:], strict=True):
        states = shift(relax(states, spacing / 2, *times))
        states = rotate(states, angle, np.deg2rad(phase))
        states = relax(shift(states), spacing / 2, *times)
        echoes.append(abs(states.f_plus[0].item()))
    return echoes


def test_turbo_spin_echo_of_120_degrees_without_relaxation():
    # Hennig, Concepts Magn Reson 3:125 (1991); Weigel 2015, fig. 9
    echoes = _echoes([90.0, 120.0, 120.0, 120.0], [90.0, 0.0, 0.0, 0.0], 10.0, FOREVER, FOREVER)
    np.testing.assert_allclose(echoes, [0.75, 0.9375, 0.84375], atol=1e-12)


def test_turbo_spin_echo_of_180_degrees_decays_with_t2():
    echoes = _echoes([90.0] + [180.0] * 10, [90.0] + [0.0] * 10, 50.0, 1000.0, 100.0)
    np.testing.assert_allclose(echoes, np.exp(-50.0 * np.arange(1, 11) / 100.0), rtol=1e-12)


def test_rf_spoiled_train_of_epgx(shared_data):
    oracle = np.load(shared_data / "oracles" / "epgx_gre_f0.npy")
    n = np.arange(200)
    schedule = Schedule(10.0, np.full(200, 5.0), 0.0, rf_phase=(n * (n - 1) / 2 * 117.0) % 360.0)
    f0 = epg_f0(schedule, 779.0, 45.0).numpy()
    np.testing.assert_allclose(np.abs(f0), np.abs(oracle), rtol=0, atol=1e-12)


def test_states_of_sycomore():
    """Its test values of one pulse of 47° at 23°, a gradient, and 10 ms at T1/T2 1000/100 ms (lamyj/sycomore, MIT)."""
    states = equilibrium(torch.Size(()), 3, torch.complex128, torch.device("cpu"))
    states = rotate(states, torch.deg2rad(torch.tensor(47.0, dtype=torch.float64)), np.deg2rad(23.0))
    excited = 0.2857626571584661 - 0.6732146319308543j
    np.testing.assert_allclose(states.f_plus.numpy(), [excited, 0, 0], rtol=0, atol=1e-15)
    np.testing.assert_allclose(states.f_minus.numpy(), [np.conj(excited), 0, 0], rtol=0, atol=1e-15)
    np.testing.assert_allclose(states.z.numpy(), [0.6819983600624985, 0, 0], rtol=0, atol=1e-15)
    times = (torch.tensor(1000.0, dtype=torch.float64), torch.tensor(100.0, dtype=torch.float64))
    states = relax(shift(states), 10.0, *times)
    relaxed = 0.2585687448743616 - 0.6091497893403431j
    np.testing.assert_allclose(states.f_plus.numpy(), [0, relaxed, 0], rtol=0, atol=1e-15)
    np.testing.assert_allclose(states.f_minus.numpy(), [0, 0, 0], rtol=0, atol=1e-15)
    np.testing.assert_allclose(states.z.numpy(), [0.6851625292479138, 0, 0], rtol=0, atol=1e-15)


def test_isochromats_agree_for_an_inversion_prepared_train(varied_schedule):
    t1, t2, b1 = [800.0, 2000.0, 300.0], [70.0, 400.0, 290.0], [0.8, 1.0, 1.3]
    epg = epg_signal(varied_schedule, t1, t2, b1=b1).numpy()
    spins = bloch_signal(varied_schedule, t1, t2, b1)
    np.testing.assert_allclose(epg, spins, rtol=0, atol=1e-12)
    # What converges is the number of isochromats: with too few, dephased ones come back in step.
    coarse = bloch_signal(varied_schedule, t1, t2, b1, isochromats=12)
    assert np.abs(coarse - epg).max() > 1e-3


def test_isochromats_agree_with_any_rf_phase_and_a_slice_profile(varied_schedule):
    rng = np.random.default_rng(5)
    schedule = varied_schedule.replace(
        rf_phase=rng.uniform(0, 360, len(varied_schedule)), slice_profile=[1.0, 0.7, -0.2]
    )
    epg = epg_signal(schedule, [900.0, 200.0], [60.0, 500.0], b1=0.9).numpy()
    np.testing.assert_allclose(epg, bloch_signal(schedule, [900.0, 200.0], [60.0, 500.0], 0.9), rtol=0, atol=1e-12)


def test_isochromat_examples_and_errors():
    with pytest.raises(InputError, match=r"t1 is -1; expected a finite number above 0 ms"):
        bloch_signal(Schedule(30.0, 10.0, 5.0), -1.0, 50.0)
    with pytest.raises(InputError, match="b1 is nan"):
        bloch_signal(Schedule(30.0, 10.0, 5.0), 1.0, 50.0, np.nan)
    with pytest.raises(InputError, match="isochromats is 0"):
        bloch_signal(Schedule(30.0, 10.0, 5.0), 1.0, 50.0, isochromats=0)


def test_states_below_one_are_refused(varied_schedule):
    with pytest.raises(InputError, match="states is 0"):
        epg_signal(varied_schedule, 1000.0, 100.0, states=0)


def test_orders_beyond_half_the_train_never_return(varied_schedule):
    every = epg_signal(varied_schedule, 3000.0, 2000.0, states=10 * len(varied_schedule))
    assert torch.equal(every, epg_signal(varied_schedule, 3000.0, 2000.0))


angles = st.floats(0.0, 180.0)


@settings(max_examples=25, deadline=None)
@given(st.lists(angles, min_size=1, max_size=12), st.floats(0, 360))
def test_pulses_and_gradients_keep_the_norm(train, phase):
    # Without relaxation the mean of |M|² over the voxel is 1: |F_k|² summed over k from −∞ to ∞, and |Z_k|² likewise.
    states = equilibrium(torch.Size(()), len(train) + 2, torch.complex128, torch.device("cpu"))
    for angle in train:
        states = rotate(states, torch.deg2rad(torch.tensor(angle, dtype=torch.float64)), np.deg2rad(phase))
        states = shift(states)
        assert _norm(states) == pytest.approx(1.0, abs=1e-12)


def _norm(states: States) -> float:
    f_plus, f_minus, z = (part.abs().square() for part in states)
    return float(f_plus.sum() + f_minus[1:].sum() + z[0] + 2 * z[1:].sum())


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.floats(10, 5000), st.floats(5, 2000))
def test_no_pulse_no_signal(pulses, t1, t2):
    signal = epg_signal(Schedule(0.0, np.full(pulses, 12.0), 4.0, inversion_time=10.0), t1, t2)
    assert torch.count_nonzero(signal) == 0


@settings(max_examples=20, deadline=None)
@given(angles, st.floats(0, 360), st.floats(10, 5000), st.floats(5, 2000), st.floats(0, 50), st.floats(0, 1))
def test_one_pulse_in_closed_form(angle, phase, t1, t2, inversion_time, efficiency):
    schedule = Schedule(angle, 12.0, 4.0, phase, inversion_time=inversion_time, inversion_efficiency=efficiency)
    z = 1 - (1 + efficiency) * np.exp(-inversion_time / t1)
    expected = z * np.sin(np.deg2rad(angle)) * np.exp(-4.0 / t2)
    assert epg_signal(schedule, t1, t2).item() == pytest.approx(expected, abs=1e-13)


def test_float32_is_what_was_asked_for(varied_schedule):
    signal = epg_signal(varied_schedule, 1000.0, 100.0, dtype=torch.float32)
    assert signal.dtype == torch.complex64
    exact = epg_signal(varied_schedule, 1000.0, 100.0)
    assert torch.linalg.norm(signal - exact) < 1e-5 * torch.linalg.norm(exact)
