"""Noise by its definition."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from scipy import stats

from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.common.progress import Watch
from napari_blochnet.fingerprints.noise import add_noise, sigma_for_snr, with_noise
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.schedules.schedule import Schedule

_SCHEDULE = Schedule(np.full(50, 10.0), 12.0, 3.0)
_MASK = np.random.default_rng(9).random((4, 20, 20)) < 0.5


def _samples(dtype: type = np.complex64) -> np.ndarray:
    random = np.random.default_rng(0)
    samples = random.normal(size=(4, 20, 20, 50)) + 1j * random.normal(size=(4, 20, 20, 50))
    samples *= random.uniform(0.2, 3, (4, 20, 20, 1))
    return np.where(_MASK[..., None], samples, 0).astype(dtype)


@pytest.mark.parametrize("dtype", [np.complex64, np.float32])
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
def test_snr_is_rms_over_mask_and_time_by_the_deviation_per_channel(dtype: type) -> None:
    clean = _samples(dtype)
    noisy = clean.copy()
    sigma = add_noise(noisy, _MASK, 20.0, seed=1)
    rms = np.sqrt(np.mean(np.abs(clean[_MASK].astype(complex)) ** 2))
    assert sigma == pytest.approx(rms / 20.0, rel=1e-5)
    assert sigma_for_snr(clean, _MASK, 20.0) == sigma
    noise = (noisy - clean)[_MASK]
    channels = [noise.real, noise.imag] if noise.dtype.kind == "c" else [noise]
    for channel in channels:
        assert channel.std() == pytest.approx(sigma, rel=0.02)
        assert abs(channel.mean()) < 4 * sigma / np.sqrt(channel.size)
        assert stats.kstest(channel.reshape(-1)[:5000] / sigma, "norm").pvalue > 1e-3
    if len(channels) == 2:
        assert abs(np.corrcoef(channels[0].reshape(-1), channels[1].reshape(-1))[0, 1]) < 0.02


def test_nothing_is_added_outside_the_mask() -> None:
    noisy = _samples()
    add_noise(noisy, _MASK, 20.0)
    assert (noisy[~_MASK] == 0).all()


def test_seeds_decide() -> None:
    first, same, other = (_samples() for _ in range(3))
    add_noise(first, _MASK, 10.0, seed=1)
    add_noise(same, _MASK, 10.0, seed=1)
    add_noise(other, _MASK, 10.0, seed=2)
    np.testing.assert_array_equal(first, same)
    assert (first[_MASK] != other[_MASK]).all()


def _stack() -> FingerprintStack:
    return FingerprintStack(np.moveaxis(_samples(), -1, 0), _SCHEDULE, mask=_MASK, noise_sigma=0.0)


def test_magnitude_noise_is_rician() -> None:
    """The mean square of a Rician magnitude is the signal's plus twice the variance per channel."""
    clean = _stack()
    noisy = with_noise(clean, 2.0, seed=4, kind="magnitude")
    assert noisy.kind == "magnitude"
    inside = np.abs(clean.fingerprints().astype(complex)) ** 2
    expected = inside.mean() + 2 * noisy.noise_sigma**2
    assert np.mean(noisy.fingerprints() ** 2) == pytest.approx(expected, rel=0.01)
    assert noisy.snr == 2.0
    assert noisy.record["noise"]["seed"] == 4


def test_a_copy_is_made() -> None:
    clean = _stack()
    before = clean.data.copy()
    with_noise(clean, 5.0)
    np.testing.assert_array_equal(clean.data, before)


@pytest.mark.parametrize("snr", [0.0, -1.0, np.nan, np.inf])
def test_impossible_snr(snr: float) -> None:
    with pytest.raises(InputError, match="snr is") as caught:
        add_noise(_samples(), _MASK, snr)
    assert caught.value.field == "snr"


def test_no_signal_and_wrong_kinds() -> None:
    with pytest.raises(InputError, match="holds no signal inside the mask"):
        add_noise(np.zeros((4, 20, 20, 5), np.float32), _MASK, 10.0)
    magnitude = with_noise(_stack(), 10.0, kind="magnitude")
    with pytest.raises(InputError, match="is a magnitude, to which noise cannot be added"):
        with_noise(magnitude, 10.0)
    with pytest.raises(InputError, match="is complex; expected kind complex or magnitude"):
        with_noise(_stack(), 10.0, kind="real")


def test_cancel() -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        add_noise(_samples(), _MASK, 10.0, watch=Watch(cancelled=cancelled))
