"""Refinement against the Cramér–Rao bound, which was computed by other means, and against hard cases."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import i0e, i1e
from scipy.stats import rice

from napari_blochnet import EPGDecoder, FingerprintStack, Schedule, cramer_rao_bound, fisp_schedule, reconstruct
from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.estimators.base import Estimates, Estimator
from napari_blochnet.estimators.fitting.fit import LARGEST_ERROR
from napari_blochnet.estimators.fitting.noise_models import Batch, Rician
from napari_blochnet.estimators.fitting.refined import Refined
from napari_blochnet.estimators.fitting.sums import _look_up, rician_tables, sums_there, threaded_sums
from napari_blochnet.estimators.matching.dictionary import DictionaryMatching
from napari_blochnet.physics.slice_profiles import sinc_profile

LENGTH = 400
FLIP = 8 + 50 * np.abs(np.sin(np.linspace(0, 9, LENGTH)))
TRAIN = Schedule(FLIP, np.linspace(11, 14, LENGTH), 4.0, inversion_time=10.0, name="short")
SPOILED = TRAIN.replace(rf_phase=np.cumsum(117.0 * np.arange(LENGTH)) % 360)
TISSUES = {"white matter": (811.0, 77.0), "grey matter": (1545.0, 83.0), "CSF": (5012.0, 512.0)}


class _Start(Estimator):
    """An estimator that answers what it was told to."""

    name = "told"

    def __init__(self, t1, t2, residual=1.0):
        self.answer = t1, t2, residual

    def estimate(self, block):
        t1, t2, residual = (np.broadcast_to(np.float32(value), len(block)) for value in self.answer)
        return Estimates(t1, t2, np.ones(len(t1)), residual, np.zeros(len(t1), bool))


def _noisy(schedule, kind, t1, t2, snr, seed=0, pd=1.0):
    """Data, and the noise's standard deviation in each channel."""
    rng = np.random.default_rng(seed)
    clean = EPGDecoder(schedule).signal(t1, t2).astype(complex) * pd
    sigma = np.sqrt(np.mean(np.abs(clean) ** 2)) / snr
    if kind != "real":
        clean = clean * np.exp(2j * np.pi * rng.random((len(clean), 1)))
    noisy = clean + sigma * (rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape))
    if kind == "complex":
        return noisy.astype(np.complex64), sigma
    return (np.abs(noisy) if kind == "magnitude" else noisy.real).astype(np.float32), sigma


def test_is_an_estimator():
    assert isinstance(Refined(DictionaryMatching()), Estimator)


@pytest.mark.parametrize("kind", ["complex", "real", "magnitude"])
@pytest.mark.parametrize("schedule", [TRAIN, SPOILED], ids=["real path", "complex path"])
def test_reaches_the_bound_and_covers(kind, schedule):
    count = 2500
    t1, t2 = (np.full(count, value) for value in TISSUES["grey matter"])
    data, sigma = _noisy(schedule, kind, t1, t2, snr=20)
    refined = Refined(_Start(t1[0] * 1.03, t2[0] * 0.95, 0.0))
    found = refined.predict(data, schedule, kind)
    bound = cramer_rao_bound(schedule, t1[0], t2[0], sigma=sigma, kind=kind)
    assert found.converged.all()
    for estimate, error, truth, least in ((found.t1, found.t1_se, t1, bound.t1), (found.t2, found.t2_se, t2, bound.t2)):
        deviation = estimate - truth
        # with 2500 voxels the root mean square is known to 1.4 %, the mean to 2 % of the bound, coverage to 0.44 %
        assert np.sqrt(np.mean(deviation**2)) == pytest.approx(least, rel=0.045)
        assert abs(deviation.mean()) < 0.1 * least
        inside = np.abs(np.log(estimate / truth)) < 1.96 * error / estimate
        assert 0.935 < inside.mean() < 0.965
        assert np.mean(error) == pytest.approx(least, rel=0.02)


def test_rician_fit_has_no_bias_where_least_squares_has():
    count, snr = 2500, 6
    t1, t2 = (np.full(count, value) for value in TISSUES["white matter"])
    data, sigma = _noisy(TRAIN, "magnitude", t1, t2, snr)
    found = Refined(_Start(t1[0], t2[0], 0.0)).predict(data, TRAIN, "magnitude")
    squares = Refined(_Start(t1[0], t2[0], 0.0)).predict(data * np.sign(EPGDecoder(TRAIN).signal(t1[0], t2[0])),
                                                         TRAIN, "real")  # fmt: skip
    bound = cramer_rao_bound(TRAIN, t1[0], t2[0], sigma=sigma, kind="magnitude")

    def bias(estimates):
        return max(abs(estimates.t1.mean() - t1[0]) / bound.t1, abs(estimates.t2.mean() - t2[0]) / bound.t2)

    # the mean of 2500 voxels is known to 0.02 of the bound
    assert bias(found) < 0.08
    assert bias(squares) > 0.15
    assert np.std(found.t2) == pytest.approx(bound.t2, rel=0.05)


def test_noise_of_magnitudes_is_found():
    count = 400
    t1, t2 = (np.full(count, value) for value in TISSUES["white matter"])
    for snr in (3.0, 30.0):
        data, sigma = _noisy(TRAIN, "magnitude", t1, t2, snr)
        batch = Batch(data, np.empty((0, LENGTH), bool), "magnitude", EPGDecoder(TRAIN))
        theta = np.log(np.column_stack([t1, t2]))
        guess = np.full(count, 0.6 * sigma)
        noise = Rician.noise(batch, theta, np.ones(count), np.arange(count), guess)
        assert noise.mean() == pytest.approx(sigma, rel=0.01)


def test_rician_tables_against_closed_forms():
    ratio, level, information = rician_tables()
    for z in (0.0, 1e-3, 0.5, 3.0, 40.0, 3e3, 1e6):
        assert _look_up(ratio, z / (z + 2.0)) == pytest.approx(i1e(z) / i0e(z), abs=2e-9)
        assert _look_up(level, z / (z + 2.0)) - 0.5 * np.log1p(2 * np.pi * z) == pytest.approx(np.log(i0e(z)), abs=2e-8)
    for alpha in (0.2, 1.0, 4.0):  # variance of the score by differences of scipy's own density
        x = np.linspace(1e-4, alpha + 12, 20001)
        score = (rice.logpdf(x, alpha + 1e-4) - rice.logpdf(x, alpha - 1e-4)) / 2e-4
        expected = np.trapezoid(rice.pdf(x, alpha) * score**2, x)
        assert _look_up(information, alpha / (alpha + 1.0)) == pytest.approx(expected, rel=1e-4)


def test_magnitude_fit_is_the_likelihoods_maximum():
    t1, t2 = np.array([800.0]), np.array([70.0])
    data, sigma = _noisy(TRAIN, "magnitude", t1, t2, snr=8, seed=3)
    found = Refined(_Start(t1, t2, 0.0), noise_sigma=sigma).predict(data, TRAIN, "magnitude")
    decoder = EPGDecoder(TRAIN)

    def misfit(p):
        modulus = np.exp(p[2]) * np.abs(decoder.signal(np.exp(p[:1]), np.exp(p[1:2]), dtype=np.float64)[0])
        return -np.sum(rice.logpdf(data[0], modulus / sigma, scale=sigma))

    best = minimize(misfit, [*np.log([t1[0], t2[0]]), 0.0], method="Nelder-Mead",
                    options={"xatol": 1e-6, "fatol": 1e-8, "maxiter": 2000})  # fmt: skip
    expected = np.exp(best.x[:2])
    assert abs(found.t1[0] - expected[0]) < 0.04 * found.t1_se[0]
    assert abs(found.t2[0] - expected[1]) < 0.04 * found.t2_se[0]


@pytest.mark.parametrize("kind", ["complex", "real", "magnitude"])
def test_never_explains_less_than_its_start(kind):
    rng = np.random.default_rng(1)
    count = 300
    t1 = np.exp(rng.uniform(np.log(60), np.log(4000), count))
    t2 = t1 * rng.uniform(0.03, 1.0, count)
    data, _ = _noisy(TRAIN, kind, t1, t2, snr=50)
    start = DictionaryMatching(step=0.1)
    first = start.predict(data, TRAIN, kind)
    found = Refined(start).predict(data, TRAIN, kind)
    if kind != "magnitude":
        assert (found.residual <= first.residual + 1e-5).all()
    assert np.mean(found.residual) < np.mean(first.residual)
    assert found.converged.mean() > 0.98


@pytest.mark.parametrize("kind", ["complex", "magnitude"])
def test_fits_end_where_rounding_is_as_large_as_the_noise(kind):
    schedule, count = fisp_schedule(), 200
    for snr in (100, 200, 500, 1000):
        t1, t2 = (np.full(count, value) for value in TISSUES["grey matter"])
        data, sigma = _noisy(schedule, kind, t1, t2, snr, seed=snr)
        found = Refined(_Start(1500.0, 85.0, 0.0)).predict(data, schedule, kind)
        assert found.converged.all()
        bound = cramer_rao_bound(schedule, t1[0], t2[0], sigma=sigma, kind=kind)
        assert np.std(found.t2) < 1.2 * bound.t2


def test_t2_near_t1_is_fitted():
    t1 = np.geomspace(80, 3000, 60)
    data, _ = _noisy(TRAIN, "complex", t1, t1 * 0.999, snr=1e6)
    found = Refined(DictionaryMatching()).predict(data, TRAIN)
    assert found.converged.all()
    assert np.abs(found.t1 / t1 - 1).max() < 1e-3
    assert np.abs(found.t2 / t1 / 0.999 - 1).max() < 1e-3


def test_poor_starts_are_replaced():
    t1, t2 = np.array([300.0, 900.0, 2500.0]), np.array([30.0, 80.0, 400.0])
    data, _ = _noisy(TRAIN, "complex", t1, t2, snr=1e5)
    found = Refined(_Start(4900.0, 5.0, 0.9)).predict(data, TRAIN)
    assert found.converged.all()
    np.testing.assert_allclose(found.t1, t1, rtol=1e-3)
    np.testing.assert_allclose(found.t2, t2, rtol=1e-3)


@pytest.mark.parametrize("kind", ["complex", "real", "magnitude"])
def test_strange_fingerprints(kind):
    rows = np.zeros((5, LENGTH), np.complex64 if kind == "complex" else np.float32)
    rows[1] = 1.0
    rows[2, 17] = 3.0
    rows[3] = np.abs(np.random.default_rng(0).standard_normal(LENGTH))
    signal = EPGDecoder(TRAIN).signal(800.0, 80.0)
    rows[4] = 1e-20 * (np.abs(signal) if kind == "magnitude" else signal)
    found = Refined(DictionaryMatching()).predict(rows, TRAIN, kind)
    for name in ("t1", "t2", "pd", "residual", "t1_se", "t2_se"):
        assert np.isfinite(getattr(found, name)).all(), name
    assert found.failed[0]
    assert found.t1[0] == found.t2[0] == found.t1_se[0] == 0
    assert not found.converged[0]
    one = Refined(DictionaryMatching()).predict(rows[4:], TRAIN, kind)
    assert one.t1.shape == (1,)
    assert one.t1[0] == pytest.approx(800.0, rel=1e-3)
    none = Refined(DictionaryMatching()).predict(rows[:0], TRAIN, kind)
    assert none.t1.shape == (0,)


def test_what_the_data_do_not_tell_is_said():
    # T2 of 0.6 ms leaves nothing from one pulse to the next
    data, _ = _noisy(TRAIN, "complex", np.full(50, 800.0), np.full(50, 0.6), snr=20)
    found = Refined(DictionaryMatching()).predict(data, TRAIN)
    relative = found.t2_se / found.t2
    assert (relative > 0.1).all()
    assert np.median(relative) > 0.5
    assert relative.max() <= LARGEST_ERROR * 1.001
    assert (found.t1_se < 0.1 * found.t1).all()


def test_saturated_samples_are_left_out():
    t1, t2 = np.full(200, 900.0), np.full(200, 90.0)
    data, sigma = _noisy(TRAIN, "magnitude", t1, t2, snr=30)
    limit = float(np.quantile(data, 0.85))
    clipped = np.minimum(data, limit)
    found = Refined(DictionaryMatching(saturation=limit), saturation=limit).predict(clipped, TRAIN, "magnitude")
    blind = Refined(DictionaryMatching()).predict(clipped, TRAIN, "magnitude")
    bound = cramer_rao_bound(TRAIN, 900.0, 90.0, sigma=sigma, kind="magnitude")
    assert abs(blind.t1.mean() - 900) > 5 * bound.t1
    # leaving out what noise lifted over the limit keeps the low ones of the highest: a small bias remains
    assert abs(found.t1.mean() - 900) < 1.5 * bound.t1
    assert abs(found.t2.mean() - 90) < 1.5 * bound.t2


def test_a_profile_in_the_model_takes_away_what_it_does_to_t2():
    profile = sinc_profile(11, 4.0, 2.0)
    sliced = TRAIN.replace(slice_profile=profile)
    count = 600
    t1, t2 = (np.full(count, value) for value in TISSUES["white matter"])
    data, sigma = _noisy(sliced, "complex", t1, t2, snr=20)
    bound = cramer_rao_bound(sliced, t1[0], t2[0], sigma=sigma)
    found = Refined(_Start(700.0, 90.0, 0.0)).predict(data, sliced)
    assert np.sqrt(np.mean((found.t2 - t2) ** 2)) < 1.1 * bound.t2
    without = Refined(_Start(700.0, 90.0, 0.0)).predict(data[:50], TRAIN)
    assert without.t2.mean() > 1.4 * t2[0]


def test_b1_given_and_b1_fitted():
    b1 = np.linspace(0.8, 1.2, 9)
    data = EPGDecoder(TRAIN).signal(np.full(9, 900.0), np.full(9, 90.0), b1).astype(np.complex64)
    given = Refined(DictionaryMatching()).predict(data, TRAIN, b1=b1)
    np.testing.assert_allclose(given.t2, 90.0, rtol=1e-3)
    fitted = Refined(DictionaryMatching(), fit_b1=True).predict(data, TRAIN)
    np.testing.assert_allclose(fitted.b1, b1, rtol=2e-3)
    np.testing.assert_allclose(fitted.t2, 90.0, rtol=5e-3)
    ignored = Refined(DictionaryMatching()).predict(data, TRAIN)
    assert np.abs(ignored.t2[[0, -1]] / 90.0 - 1).min() > 0.1
    with pytest.raises(InputError, match="one of the two"):
        Refined(DictionaryMatching(), fit_b1=True).predict(data, TRAIN, b1=b1)


def test_standard_errors_with_b1_fitted_are_the_bounds():
    count = 1500
    t1, t2 = (np.full(count, value) for value in TISSUES["white matter"])
    data, sigma = _noisy(TRAIN, "complex", t1, t2, snr=50)
    found = Refined(_Start(t1, t2, 0.0), fit_b1=True).predict(data, TRAIN)
    bound = cramer_rao_bound(TRAIN, t1[0], t2[0], sigma=sigma, fit_b1=True)
    assert np.std(found.t2) == pytest.approx(bound.t2, rel=0.06)
    assert found.t2_se.mean() == pytest.approx(bound.t2, rel=0.02)
    assert np.std(found.b1) == pytest.approx(bound.b1, rel=0.06)


def test_reconstruct_refines():
    t1, t2 = np.full(12, 900.0), np.full(12, 90.0)
    data, _ = _noisy(TRAIN, "complex", t1, t2, snr=40)
    volume = np.moveaxis(data.reshape(1, 3, 4, LENGTH), -1, 0)
    mask = np.ones((1, 3, 4), bool)
    mask[0, 0, 0] = False
    maps = reconstruct(FingerprintStack(volume, TRAIN, mask=mask), "dictionary", refine=True)
    assert maps.estimator == "dictionary, refined"
    inside = maps.mask
    assert inside.sum() == 11
    assert (maps.t1_se[inside] > 0).all()
    assert maps.t1_se[0, 0, 0] == 0
    assert maps.converged[inside].all()
    assert maps.record["not_converged"] == 0
    assert "not accuracy" in maps.record["note"]
    assert np.abs(maps.t1[inside] / 900 - 1).max() < 6 * (maps.t1_se[inside] / 900).max()


@pytest.mark.parametrize("masked", [False, True], ids=["all samples", "some samples"])
@pytest.mark.parametrize(("data_type", "model_type"), [("f", "f"), ("F", "f"), ("F", "F")])
def test_sums_on_a_device_are_those_of_the_compiled_passes(data_type, model_type, masked):
    rng = np.random.default_rng(0)

    def draw(shape, code):
        values = rng.standard_normal((2, *shape))
        return (values[0] + 1j * values[1] if code == "F" else values[0]).astype(code)

    data, signal, derivatives = draw((5, 40), data_type), draw((5, 40), model_type), draw((5, 40, 3), model_type)
    used = rng.random((5, 40)) < 0.7 if masked else np.empty((0, 40), bool)
    found = sums_there(data, torch.from_numpy(signal), torch.from_numpy(derivatives), used)
    np.testing.assert_allclose(found, threaded_sums(data, signal, derivatives, used), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["complex", "real", "magnitude"])
@pytest.mark.parametrize("schedule", [TRAIN, SPOILED], ids=["real path", "complex path"])
def test_fits_on_an_accelerator_are_those_on_the_cpu(kind, schedule, monkeypatch):
    t1, t2 = np.linspace(500, 2500, 20), np.linspace(50, 200, 20)
    data, _ = _noisy(schedule, kind, t1, t2, snr=30)
    refined = Refined(_Start(900.0, 80.0, 0.0))
    here = refined.predict(data, schedule, kind)
    # the same code with the CPU in the accelerator's place
    monkeypatch.setattr(Batch, "is_accelerated", True)
    there = refined.predict(data, schedule, kind)
    for name in ("t1", "t2", "t1_se", "t2_se", "residual"):
        np.testing.assert_allclose(getattr(there, name), getattr(here, name), rtol=1e-4)
    assert there.converged.all()


def test_cancelled_between_steps():
    event = threading.Event()
    event.set()
    data, _ = _noisy(TRAIN, "complex", np.array([900.0]), np.array([90.0]), snr=40)
    with pytest.raises(Cancelled):
        Refined(_Start(900.0, 90.0, 0.0)).predict(data, TRAIN, cancelled=event)


@pytest.mark.parametrize("wrong", [{"noise_sigma": 0.0}, {"saturation": -1.0}])
def test_settings_out_of_range(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Refined(DictionaryMatching(), **wrong)


def test_anatomical_maps_noise_free(shared_data):
    from scipy.io import loadmat

    maps = loadmat(shared_data / "anatomical" / "brain_t1_t2_pd_128.mat")
    t1, t2 = maps["T1_128"].astype(float), maps["T2_128"].astype(float)
    physical = (t1 >= 50) & (t2 >= 5)
    t1, t2 = t1[physical][::6], t2[physical][::6]
    schedule = fisp_schedule()
    data = EPGDecoder(schedule).signal(t1, t2).astype(np.complex64) * np.complex64(np.exp(0.3j))
    found = Refined(DictionaryMatching()).predict(data, schedule)
    assert found.converged.all()
    score = 0.5 * (np.mean(np.log10(found.t1 / t1) ** 2) + np.mean(np.log10(found.t2 / t2) ** 2))
    assert score < 1e-9
    assert max(np.abs(found.t1 / t1 - 1).max(), np.abs(found.t2 / t2 - 1).max()) < 1e-3
