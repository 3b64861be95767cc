"""The universal estimator: any schedule, any kind of signal, between the anchors."""

from __future__ import annotations

import numpy as np
import pytest

from napari_blochnet import EPGDecoder, Schedule, cramer_rao_bound, fisp_schedule, read_schedule, spline_schedule
from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.base import Estimator
from napari_blochnet.estimators.registry import make_estimator
from napari_blochnet.estimators.universal.anchors import REACH, STEP, lattice
from napari_blochnet.estimators.universal.hill import hill_top
from napari_blochnet.estimators.universal.universal_estimator import Universal

LENGTH = 400
FLIP = 8 + 50 * np.abs(np.sin(np.linspace(0, 9, LENGTH)))
TRAIN = Schedule(FLIP, np.linspace(11, 14, LENGTH), 4.0, inversion_time=10.0, name="short")
SPOILED = TRAIN.replace(rf_phase=np.cumsum(117.0 * np.arange(LENGTH)) % 360)


def _tissues(count, t1_range=(100.0, 4500.0), t2_range=(10.0, 1000.0), seed=0):
    rng = np.random.default_rng(seed)
    t2 = np.exp(rng.uniform(*np.log(t2_range), count))
    return np.exp(rng.uniform(np.log(np.maximum(t2, t1_range[0])), np.log(t1_range[1]))), t2


def _score(found, t1, t2):
    return 0.5 * (np.mean(np.log10(found.t1 / t1) ** 2) + np.mean(np.log10(found.t2 / t2) ** 2))


def _data(schedule, kind, t1, t2, seed=0):
    signal = EPGDecoder(schedule).signal(t1, t2)
    if kind == "magnitude":
        return np.abs(signal)
    if kind == "real":
        return np.ascontiguousarray(signal.real)
    phase = np.exp(2j * np.pi * np.random.default_rng(seed).random((len(t1), 1)))
    return (signal * phase).astype(np.complex64)


def test_is_an_estimator_known_by_name():
    assert isinstance(make_estimator("universal", step=0.02, saturation=None), Estimator)


def test_lattice_is_whole():
    points = lattice()
    side = 2 * REACH + 1
    i, j = points.i[points.neighbours], points.j[points.neighbours]
    centre = points.candidates
    np.testing.assert_array_equal(i.reshape(-1, side, side)[:, :, 0] - points.i[centre][:, None],
                                  np.tile(np.arange(-REACH, REACH + 1), (len(centre), 1)))  # fmt: skip
    np.testing.assert_array_equal(j.reshape(-1, side, side)[:, 0] - points.j[centre][:, None],
                                  np.tile(np.arange(-REACH, REACH + 1), (len(centre), 1)))  # fmt: skip
    assert (points.t2[centre] <= points.t1[centre]).all()
    again = points.nearest(points.i[centre].astype(float) + 0.3, points.j[centre] - 0.3)
    np.testing.assert_array_equal(again, np.arange(len(centre)))
    beyond = points.nearest(np.array([-50.0, 500.0, 40.0]), np.array([-50.0, 500.0, 60.0]))
    assert (beyond >= 0).all()
    assert points.t2[centre[beyond]][2] <= points.t1[centre[beyond]][2]


def test_top_of_a_known_hill():
    rng = np.random.default_rng(2)
    u, v = (axis.reshape(-1) for axis in np.meshgrid(*[np.arange(-REACH, REACH + 1.0)] * 2, indexing="ij"))
    truth = rng.uniform(-0.6, 0.6, (200, 2))
    du, dv = u - truth[:, :1], v - truth[:, 1:]
    correlation = rng.uniform(-0.5, 0.5, (200, 1))
    below = du**2 + 3.0 * dv**2 + 2.0 * np.sqrt(3.0) * correlation * du * dv
    for heights in (1.0 - 1e-4 * below, 0.2 - 0.03 * below, np.exp(-0.02 * below)):
        np.testing.assert_allclose(hill_top(heights), truth, atol=0.01)
    assert np.isfinite(hill_top(np.zeros((1, u.size)))).all()


@pytest.mark.parametrize("kind", ["complex", "real", "magnitude"])
@pytest.mark.parametrize("schedule", [TRAIN, SPOILED], ids=["real path", "complex path"])
def test_between_the_anchors(kind, schedule):
    t1, t2 = _tissues(400)
    found = Universal().predict(_data(schedule, kind, t1, t2), schedule, kind)
    assert not found.failed.any()
    # the best of the anchors alone, 10 % apart, would score 1.4e-4; moduli of complex signals are less smooth
    assert _score(found, t1, t2) < (2e-5 if kind == "magnitude" and schedule is SPOILED else 1e-6)
    np.testing.assert_allclose(np.abs(found.pd), 1.0, rtol=0.03)
    assert found.residual.max() < 0.02


@pytest.mark.parametrize("seed", range(3))
def test_random_schedules_and_lengths(seed):
    schedule = spline_schedule(length=(150, 600, 1200)[seed], seed=seed, echo_time=(1.0, 5.0, 9.0)[seed])
    t1, t2 = _tissues(200, seed=seed)
    found = Universal().predict(_data(schedule, "complex", t1, t2), schedule)
    assert _score(found, t1, t2) < 1e-5


def test_reaches_the_bound():
    count = 1500
    t1, t2 = np.full(count, 1545.0), np.full(count, 83.0)
    rng = np.random.default_rng(0)
    clean = _data(TRAIN, "complex", t1, t2)
    sigma = np.sqrt(np.mean(np.abs(clean) ** 2)) / 20
    noise = sigma * (rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape))
    found = Universal().predict((clean + noise).astype(np.complex64), TRAIN)
    bound = cramer_rao_bound(TRAIN, 1545.0, 83.0, sigma=sigma)
    assert np.sqrt(np.mean((found.t1 - t1) ** 2)) == pytest.approx(bound.t1, rel=0.06)
    assert np.sqrt(np.mean((found.t2 - t2) ** 2)) == pytest.approx(bound.t2, rel=0.06)


def test_one_voxel_none_zero_and_constant():
    estimator = Universal()
    assert estimator.predict(np.zeros((0, LENGTH), np.float32), TRAIN).t1.shape == (0,)
    rows = np.zeros((3, LENGTH), np.complex64)
    rows[1] = 1.0
    rows[2] = 1e-20 * EPGDecoder(TRAIN).signal(800.0, 80.0)
    found = estimator.predict(rows, TRAIN)
    np.testing.assert_array_equal(found.failed, [True, False, False])
    assert found.t1[0] == found.t2[0] == 0
    for name in ("t1", "t2", "residual"):
        assert np.isfinite(getattr(found, name)).all()
    assert found.t1[2] == pytest.approx(800.0, rel=1e-2)
    upside_down = estimator.predict(-rows[2:].real / 1e-20, TRAIN, "real")
    assert upside_down.t1[0] == 0 or upside_down.pd[0] > 0


def test_saturated_samples_are_left_out():
    t1, t2 = np.array([900.0, 2000.0]), np.array([90.0, 200.0])
    data = _data(TRAIN, "magnitude", t1, t2)
    limit = float(np.quantile(data, 0.8))
    clipped = np.minimum(data, limit)
    found = Universal(saturation=limit).predict(clipped, TRAIN, "magnitude")
    blind = Universal().predict(clipped, TRAIN, "magnitude")
    assert _score(found, t1, t2) < 1e-3 * _score(blind, t1, t2)


def test_refusals():
    estimator = Universal()
    with pytest.raises(InputError, match="expected the same number"):
        estimator.predict(np.ones((2, LENGTH - 1), np.float32), TRAIN)
    with pytest.raises(InputError, match="finite"):
        estimator.predict(np.full((2, LENGTH), np.nan, np.float32), TRAIN)
    with pytest.raises(InputError, match="kind"):
        estimator.predict(np.ones((2, LENGTH), np.complex64), TRAIN, "real")
    with pytest.raises(InputError, match="flip angles"):
        estimator.predict(np.ones((2, 30), np.float32), Schedule(np.zeros(30), 10.0, 5.0))
    with pytest.raises(InputError, match="saturation"):
        Universal(saturation=0.0)


def _published(folder):
    read = read_schedule
    s = folder / "schedules"
    yield fisp_schedule()
    yield read([s / "cao_fa.txt", s / "cao_tr.txt"], echo_time=4.0, inversion_time=20.0)
    yield read(s / "fatr.mat", echo_time=3.0, inversion_time=20.0)
    yield read(s / "MRF_210.csv", flip_angle=70.0, repetition_time=28.0, echo_time=3.3, inversion_time=28.0)
    yield read(folder / "acquired" / "vumc_mrf_500" / "MRF_500.csv", flip_angle=60.0, repetition_time=15.0,
               echo_time=3.3, inversion_time=15.0)  # fmt: skip
    yield read(s / "MRF_1000.csv", flip_angle=70.0, repetition_time=16.0, echo_time=3.3, inversion_time=20.0)
    yield Schedule(np.full(500, 15.0), 12.0, 4.0, inversion_time=20.0, name="constant")


def test_published_schedules(shared_data):
    t1, t2 = _tissues(400)
    estimator = Universal()
    for schedule in _published(shared_data):
        found = estimator.predict(_data(schedule, "complex", t1, t2), schedule)
        assert _score(found, t1, t2) < 2e-6, schedule.name


def test_anatomical_maps(shared_data):
    from scipy.io import loadmat

    maps = loadmat(shared_data / "anatomical" / "brain_t1_t2_pd_128.mat")
    t1, t2 = maps["T1_128"].astype(float), maps["T2_128"].astype(float)
    with_signal = (t1 >= 1) & (t2 >= 1)
    t1, t2 = t1[with_signal], t2[with_signal]
    assert len(t1) == 7360
    schedule = fisp_schedule()
    found = Universal().predict(_data(schedule, "complex", t1, t2), schedule)
    physical = (t1 >= 50) & (t2 >= 5)
    error = 0.5 * (np.log10(found.t1 / t1) ** 2 + np.log10(found.t2 / t2) ** 2)
    # published best: 0.134, as the best constant
    assert error.mean() < 0.005
    assert error[physical].mean() < 1e-6


def test_anchors_are_one_step_apart():
    points = lattice()
    assert np.unique(np.round(np.diff(np.unique(points.t1)) / np.unique(points.t1)[:-1], 9)).tolist() == [
        pytest.approx(STEP - 1)
    ]
