"""The promised tolerance, measured against all states in double precision."""

from itertools import pairwise

import numpy as np
import pytest

from napari_blochnet import EPGDecoder, Schedule, fisp_schedule, read_schedule, spline_schedule
from napari_blochnet.physics.truncation import all_states, fixed_states, states_for_tolerance

# T1 100–5000 ms, T2 10–2000 ms, log-uniform, T2 ≤ T1.
_RNG = np.random.default_rng(20)
T2 = np.exp(_RNG.uniform(np.log(10.0), np.log(2000.0), 96))
T1 = np.exp(_RNG.uniform(np.log(np.maximum(100.0, T2)), np.log(5000.0)))

BUILT = {
    "FISP": fisp_schedule(),
    "Spline5": spline_schedule(),
    "SplineNoise11": spline_schedule(control_points=11, noise_variance=10.0, seed=1),
    "constant 60°": Schedule(np.full(1000, 60.0), 12.0, 4.0, inversion_time=0.0),
    "echo train": Schedule(np.linspace(90.0, 150.0, 1000), 12.0, 4.0, rf_phase=np.r_[90.0, np.zeros(999)]),
    "random echo train": Schedule(np.random.default_rng(3).uniform(90.0, 150.0, 1000), 12.0, 4.0, inversion_time=0.0),
}
# NRMSE allowed at tolerance 1e-6, float32 rounding included.
ALLOWED = {
    "FISP": 2e-6,
    "Spline5": 2e-6,
    "SplineNoise11": 2e-6,
    "cao": 5e-6,
    "MRF_500": 5e-6,
    "constant 60°": 5e-6,
    "echo train": 2e-5,
    "random echo train": 2e-5,
}


@pytest.fixture(params=sorted(ALLOWED))
def named_schedule(request):
    if request.param in BUILT:
        return request.param, BUILT[request.param]
    data = request.getfixturevalue("shared_data")
    if request.param == "cao":
        flips = np.loadtxt(data / "schedules" / "cao_fa.txt")
        return "cao", Schedule(flips, 12.0, 4.0, inversion_time=20.0)
    path = data / "acquired" / "vumc_mrf_500" / "MRF_500.csv"
    hints = {"flip_angle": 60.0, "repetition_time": 15.0, "echo_time": 3.3, "inversion_time": 15.0}
    return "MRF_500", read_schedule(path, **hints)


def test_tolerance_is_kept(named_schedule):
    name, schedule = named_schedule
    exact = EPGDecoder(schedule, states=all_states(schedule)).signal(T1, T2, dtype=np.float64)
    norm = np.linalg.norm(exact, axis=1)
    for tolerance, allowed in ((1e-6, ALLOWED[name]), (1e-4, 1e-4)):
        found = EPGDecoder(schedule, tolerance=tolerance).signal(T1, T2)
        worst = (np.linalg.norm(found - exact, axis=1) / norm).max()
        assert worst <= allowed, f"{name}, tolerance {tolerance:g}: {worst:.2g}"


def test_the_promise_itself_holds_voxel_by_voxel():
    # In double precision and one T2 at a time, so that neither rounding nor a neighbour with more states helps.
    schedule = BUILT["echo train"]
    every = EPGDecoder(schedule, states=all_states(schedule))
    for tolerance in (1e-3, 1e-5):
        decoder = EPGDecoder(schedule, tolerance=tolerance)
        for t1, t2 in zip(T1[:12], T2[:12], strict=True):
            exact = every.signal(t1, t2, dtype=np.float64)
            lost = np.linalg.norm(decoder.signal(t1, t2, dtype=np.float64) - exact)
            assert lost <= tolerance * np.linalg.norm(exact)


def test_a_looser_tolerance_keeps_fewer_states():
    t2 = np.array([80.0, 200.0, 300.0])
    counts = [states_for_tolerance(BUILT["FISP"], tolerance)(t2) for tolerance in (1e-3, 1e-4, 1e-6)]
    for fewer, more in pairwise(counts):
        assert (fewer < more).all()
    for kept in counts:
        assert (np.diff(kept) > 0).all()


def test_states_are_bounded_by_the_train(varied_schedule):
    assert all_states(varied_schedule) == 40
    assert states_for_tolerance(varied_schedule, 1e-6)(np.array([1e6]))[0] == 40
    assert fixed_states(varied_schedule, 500)(np.array([1e6]))[0] == 40
    assert all_states(Schedule(30.0, 10.0, 5.0)) == 1


def test_a_train_without_pulses_needs_no_check():
    silent = Schedule(0.0, np.full(30, 12.0), 4.0)
    assert (EPGDecoder(silent).signal([500.0, 900.0], 50.0) == 0).all()


def test_transmit_fields_and_profiles_keep_the_tolerance_too():
    schedule = fisp_schedule().replace(slice_profile=[1.0, 0.9, 0.5])
    t1, t2 = T1[:32], T2[:32]
    b1 = np.random.default_rng(1).uniform(0.7, 1.3, 32)
    exact = EPGDecoder(schedule, states=all_states(schedule)).signal(t1, t2, b1, dtype=np.float64)
    found = EPGDecoder(schedule).signal(t1, t2, b1)
    assert (np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact, axis=1)).max() < 2e-6
