"""Adapting a network to a schedule it was not trained for, by fingerprints without labels."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_blochnet import EPGDecoder, FingerprintStack, Schedule, adapt, load_estimator
from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.common.progress import Watch
from napari_blochnet.estimators.training.adaptation import AdaptationOptions, adapt_estimator
from napari_blochnet.estimators.training.loop import train_estimator

LENGTH = 160
TRAINED = Schedule(10 + 40 * np.abs(np.cos(np.linspace(0, 5, LENGTH))), 12.0, 4.0, inversion_time=10.0, name="trained")
OTHER = Schedule(8 + 50 * np.abs(np.sin(np.linspace(0, 7, LENGTH))), 13.0, 5.0, inversion_time=20.0, name="other")


@pytest.fixture(scope="module")
def network():
    return train_estimator(
        "fc", TRAINED, "paper", widths=(64, 64), grid_step=None, fingerprints=4000, epochs=15, batch=200
    )


def _tissues(count, seed=0):
    rng = np.random.default_rng(seed)
    t1 = np.exp(rng.uniform(np.log(300), np.log(3000), count))
    return t1, t1 * np.exp(rng.uniform(np.log(0.04), np.log(0.2), count))


def _data(t1, t2, snr=100, seed=0):
    rng = np.random.default_rng(seed)
    signal = EPGDecoder(OTHER).signal(t1, t2) * np.exp(2j * np.pi * rng.random((len(t1), 1)))
    sigma = np.sqrt(np.mean(np.abs(signal) ** 2)) / snr
    noise = rng.standard_normal(signal.shape) + 1j * rng.standard_normal(signal.shape)
    return (signal + sigma * noise).astype(np.complex64)


def _score(estimator, t1, t2):
    found = estimator.predict(_data(t1, t2, seed=9), OTHER)
    return 0.5 * (np.mean(np.log10(found.t1 / t1) ** 2) + np.mean(np.log10(found.t2 / t2) ** 2))


def test_learns_the_schedule_without_labels(network, tmp_path):
    data = _data(*_tissues(1500))
    before = {name: value.clone() for name, value in network.model.state_dict().items()}
    losses = []
    adapted = adapt_estimator(network, data, OTHER, "complex", AdaptationOptions(epochs=25, batch=128),
                              on_loss=lambda point: losses.append(point.loss))  # fmt: skip
    for name, value in network.model.state_dict().items():
        assert (value == before[name]).all(), "the network given must not change"
    fresh = _tissues(400, seed=5)
    network.other_schedule = True
    assert _score(adapted, *fresh) < 0.02 * _score(network, *fresh)
    network.other_schedule = False
    assert losses[-1] < 0.3 * losses[0]
    assert adapted.schedule == OTHER
    with pytest.raises(InputError, match="expected the same schedule"):
        adapted.predict(data[:2], TRAINED)
    again = load_estimator(adapted.save(tmp_path / "adapted.safetensors"))
    assert again.schedule == OTHER
    assert "unlabelled stack" in again.card["notes"][-1]


def test_same_seed_same_network(network):
    data = _data(*_tissues(200))
    options = AdaptationOptions(epochs=2, batch=64, seed=3)
    one, two = (adapt_estimator(network, data, OTHER, "complex", options) for _ in range(2))
    for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True):
        assert (a == b).all()


def test_operation_and_its_refusals(network):
    data = _data(*_tissues(60))
    stack = FingerprintStack(np.moveaxis(data.reshape(1, 6, 10, LENGTH), -1, 0), OTHER)
    adapted = adapt(network, stack, epochs=1, device="cpu")
    assert adapted.card["record"]["operation"] == "adapt"
    magnitudes = FingerprintStack(np.abs(stack.data), OTHER, "magnitude")
    with pytest.raises(InputError, match="magnitudes"):
        adapt(network, magnitudes, epochs=1)
    short = FingerprintStack(stack.data[:100], OTHER.replace(flip_angle=OTHER.flip_angle[:100], echo_time=5.0,
                                                             repetition_time=13.0, rf_phase=0.0))  # fmt: skip
    with pytest.raises(InputError, match="160 time points"):
        adapt(network, short, epochs=1)
    with pytest.raises(InputError, match="epochs"):
        adapt(network, stack, epochs=0)
    with pytest.raises(InputError, match="any tissue"):
        adapt(network, FingerprintStack(np.zeros_like(stack.data), OTHER, mask=stack.mask), epochs=1)


def test_cancelled(network):
    event = threading.Event()
    event.set()
    with pytest.raises(Cancelled):
        adapt_estimator(network, _data(*_tissues(10)), OTHER, "complex", watch=Watch(cancelled=event))
