"""Standard errors of estimators that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from napari_blochnet import EPGDecoder, FingerprintStack, Schedule, cramer_rao_bound, reconstruct
from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.base import Estimator
from napari_blochnet.estimators.fitting.standard_errors import WithStandardErrors
from napari_blochnet.estimators.matching.dictionary import DictionaryMatching
from napari_blochnet.estimators.universal.universal_estimator import Universal

LENGTH = 300
TRAIN = Schedule(8 + 50 * np.abs(np.sin(np.linspace(0, 9, LENGTH))), 12.0, 4.0, inversion_time=10.0)


def _noisy(kind, snr, count=300):
    rng = np.random.default_rng(0)
    clean = np.tile(EPGDecoder(TRAIN).signal(900.0, 90.0),
                    (count, 1))  # fmt: skip
    sigma = np.sqrt(np.mean(clean**2)) / snr
    noisy = clean + sigma * (rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape))
    if kind == "complex":
        return noisy.astype(np.complex64), sigma
    return (np.abs(noisy) if kind == "magnitude" else noisy.real).astype(np.float32), sigma


@pytest.mark.parametrize("kind", ["complex", "real", "magnitude"])
@pytest.mark.parametrize("given", [True, False], ids=["noise given", "noise from the residual"])
def test_errors_are_the_bound(kind, given):
    data, sigma = _noisy(kind, snr=15)
    estimator = WithStandardErrors(Universal(), noise_sigma=sigma if given else None)
    assert isinstance(estimator, Estimator)
    found = estimator.predict(data, TRAIN, kind)
    bound = cramer_rao_bound(TRAIN, 900.0, 90.0, sigma=sigma, kind=kind)
    assert np.median(found.t1_se) == pytest.approx(bound.t1, rel=0.02)
    assert np.median(found.t2_se) == pytest.approx(bound.t2, rel=0.02)


def test_failed_voxels_have_none():
    data, _ = _noisy("complex", snr=15, count=2)
    data[0] = 0
    found = WithStandardErrors(Universal()).predict(data, TRAIN)
    assert found.failed[0]
    assert found.t1_se[0] == found.t2_se[0] == 0
    assert found.t2_se[1] > 0


@pytest.mark.parametrize("snr", [20, 2000])
def test_intervals_of_a_grid_hold_truths_between_its_values(snr):
    """Whether its steps are less than the noise or much more; the noise alone would say 1 % of the time at SNR 2000."""
    rng = np.random.default_rng(1)
    t1 = np.exp(rng.uniform(np.log(500), np.log(2000), 2000))
    t2 = t1 * rng.uniform(0.05, 0.15, 2000)
    clean = EPGDecoder(TRAIN).signal(t1, t2)
    sigma = float(np.sqrt(np.mean(clean**2))) / snr
    data = clean + sigma * rng.standard_normal(clean.shape)
    estimator = WithStandardErrors(DictionaryMatching(step=0.05), noise_sigma=sigma)
    found = estimator.predict(data.astype(np.float32), TRAIN, "real")
    for value, error, truth in ((found.t1, found.t1_se, t1), (found.t2, found.t2_se, t2)):
        assert np.mean(np.abs(value - truth) <= 1.96 * error) > 0.93


def test_as_maps_with_the_warning():
    data, _ = _noisy("complex", snr=15, count=6)
    stack = FingerprintStack(np.moveaxis(data.reshape(1, 2, 3, LENGTH), -1, 0), TRAIN)
    maps = reconstruct(stack, "universal", uncertainty=True)
    assert maps.estimator == "universal"
    assert (maps.t1_se > 0).all()
    assert maps.converged is None
    assert "aliasing" in maps.record["note"]
    assert reconstruct(stack, "universal").t1_se is None


def test_settings_out_of_range():
    with pytest.raises(InputError, match="noise_sigma"):
        WithStandardErrors(Universal(), noise_sigma=0.0)
