"""The published layers, what they are fed, and the estimator around them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import napari_blochnet as nb
from napari_blochnet.estimators.base import Estimator
from napari_blochnet.estimators.networks.architectures import FCDecoder, RNNDecoder, make_encoder
from napari_blochnet.estimators.networks.inputs import normalised_real, unit_mean_atom
from napari_blochnet.estimators.networks.label_network import LabelNetwork
from napari_blochnet.estimators.networks.network_estimator import NetworkEstimator


@pytest.fixture(scope="module")
def schedule():
    angles = 10 + 50 * np.abs(np.sin(np.arange(120) * np.pi / 60))
    return nb.Schedule(angles, 12.0, 4.0, inversion_time=15.0, name="short train")


class Oracle(nn.Module):
    """Stands for a perfectly trained encoder: knows the answer for the few fingerprints of a test."""

    def __init__(self, fingerprints, t1, t2):
        super().__init__()
        self.known = torch.from_numpy(fingerprints / np.linalg.norm(fingerprints, axis=1, keepdims=True)).float()
        self.answers = torch.log10(torch.tensor(np.stack([t1, t2], axis=1))).float()

    head = nn.Identity()

    def features(self, inputs):
        return self.answers[(inputs @ self.known.T).argmax(dim=1)]


@pytest.fixture
def known(schedule):
    t1, t2 = np.array([811.0, 1545.0, 3000.0]), np.array([77.0, 83.0, 400.0])
    signal = nb.EPGDecoder(schedule).signal(t1, t2)
    model = LabelNetwork("fc", 120, (8,))
    model.encoder = Oracle(signal, t1, t2)
    return t1, t2, signal, NetworkEstimator(model, [schedule])


def _linear(inputs, outputs):
    return inputs * outputs + outputs


def _gru(inputs, hidden):
    return 3 * (hidden * inputs + hidden * hidden + 2 * hidden)


def _convolution(inputs, outputs, kernel):
    return inputs * outputs * kernel + outputs


def _non_local(channels):
    return 3 * _convolution(channels, channels // 2, 1) + _convolution(channels // 2, channels, 1)


@pytest.mark.parametrize(
    ("architecture", "weights"),
    [
        ("fc", _linear(1000, 1000) + _linear(1000, 300) + _linear(300, 300) + _linear(300, 2)),
        ("rnn", _gru(1000, 300) + 2 * _gru(300, 300) + _linear(300, 2)),
        (
            "hydra",
            _convolution(1, 16, 21)
            + _convolution(16, 16, 21)
            + _non_local(16)
            + sum(
                _convolution(a, b, 1) + 2 * _convolution(b, b, 21) + _non_local(b)
                for a, b in ((16, 32), (32, 64), (64, 128))
            )
            + _linear(128, 2),
        ),
    ],
)
def test_encoders_have_the_published_weights(architecture, weights):
    """Counted by hand from the published layers at 1000 time points."""
    encoder = make_encoder(architecture, 1000)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == weights
    assert encoder(torch.randn(3, 1000)).shape == (3, 2)


def test_decoders_have_the_published_weights():
    fc, rnn = FCDecoder(1000), RNNDecoder()
    assert sum(p.numel() for p in fc.parameters()) == (
        _linear(2, 300) + _linear(300, 300) + _linear(300, 1000) + _linear(1000, 1000)
    )
    assert sum(p.numel() for p in rnn.parameters()) == _gru(5, 32) + 2 * _gru(32, 32) + _linear(32, 1)
    assert rnn(torch.rand(4, 2), torch.rand(50, 3)).shape == (4, 50)


def test_the_rnn_decoder_is_causal():
    """A sample cannot depend on pulses that come after it."""
    rnn, labels, pulses = RNNDecoder(), torch.rand(2, 2), torch.rand(30, 3)
    changed = pulses.clone()
    changed[20:] += 1
    before, after = rnn(labels, pulses), rnn(labels, changed)
    torch.testing.assert_close(before[:, :20], after[:, :20])
    assert (before[:, 20:] - after[:, 20:]).abs().max() > 1e-4


def test_non_local_blocks_attend_over_all_time():
    """With weights set so that every position asks for the same thing, each receives the mean of all values."""
    from napari_blochnet.estimators.networks.architectures import _NonLocal

    block = _NonLocal(2)
    with torch.no_grad():
        for part in (block.query, block.key, block.value, block.back):
            part.weight.zero_()
            part.bias.zero_()
        block.value.weight[:] = 1.0
        block.back.weight[:] = 1.0
    features = torch.ones(1, 2, 8)
    features[..., 0:2] = 5.0
    # pooled values: 10 once, 2 three times
    torch.testing.assert_close(block(features), features + (10 + 3 * 2) / 4)


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.6, 3.0, -2.2])
def test_complex_fingerprints_are_rotated_to_the_real_frame(schedule, angle):
    atoms = nb.EPGDecoder(schedule).signal([500.0, 1200.0, 4000.0], [50.0, 100.0, 500.0])
    rotated = (atoms * np.exp(1j * angle) * 7.0).astype(np.complex64)
    real, norms, empty = normalised_real(rotated, "complex", unit_mean_atom(schedule))
    np.testing.assert_allclose(real, atoms / np.linalg.norm(atoms, axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(norms, 7 * np.linalg.norm(atoms, axis=1), rtol=1e-6)
    assert not empty.any()


def test_the_estimator_keeps_to_its_protocol(known):
    assert isinstance(known[3], Estimator)


@pytest.mark.parametrize("kind", ["complex", "real"])
def test_pd_and_residual_are_the_projection_on_the_decoders_signal(schedule, known, kind):
    t1, t2, signal, estimator = known
    pd = np.array([0.8, 2.0, 1.3]) * (np.exp(1j * np.array([0.3, -2.0, 2.9])) if kind == "complex" else 1)
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.002, signal.shape) + (1j * rng.normal(0, 0.002, signal.shape) if kind == "complex" else 0)
    fingerprints = pd[:, None] * signal + noise
    estimates = estimator.predict(fingerprints.astype(np.complex64 if kind == "complex" else np.float32), schedule)
    np.testing.assert_allclose(estimates.t1, t1, rtol=1e-5)
    np.testing.assert_allclose(estimates.t2, t2, rtol=1e-5)
    for voxel in range(3):
        solution, *_ = np.linalg.lstsq(signal[voxel][:, None].astype(complex), fingerprints[voxel], rcond=None)
        left = np.linalg.norm(fingerprints[voxel] - solution[0] * signal[voxel]) / np.linalg.norm(fingerprints[voxel])
        # the estimator's decoder leaves out EPG states: NRMSE 1e-3
        assert estimates.pd[voxel] == pytest.approx(solution[0], rel=1e-3)
        assert estimates.residual[voxel] == pytest.approx(left, rel=0.01)
    assert np.iscomplexobj(estimates.pd) == (kind == "complex")


def test_without_a_signal_there_is_no_answer(schedule, known):
    fingerprints = known[2].copy()
    fingerprints[1] = 0
    estimates = known[3].predict(fingerprints, schedule)
    np.testing.assert_array_equal(estimates.failed, [False, True, False])
    assert estimates.t1[1] == estimates.t2[1] == estimates.pd[1] == estimates.residual[1] == 0
    assert len(known[3].predict(fingerprints[:0], schedule).t1) == 0


def test_refusals(schedule, known):
    *_, signal, estimator = known
    with pytest.raises(nb.InputError, match="magnitudes, whose sign is lost") as caught:
        estimator.predict(np.abs(signal), schedule, "magnitude")
    assert caught.value.field == "estimator"
    other = schedule.replace(echo_time=5.0, name="other train")
    with pytest.raises(nb.InputError, match=r"made for \[short train.*data's schedule is \[other train"):
        estimator.predict(signal, other)
    with pytest.raises(nb.InputError, match="120 time points, but the schedule"):
        estimator.predict(signal, nb.Schedule([30.0] * 60, 12.0, 4.0))
    with pytest.raises(nb.InputError, match="NaN or infinity"):
        estimator.predict(np.full_like(signal, np.nan), schedule)
    spoiled = schedule.replace(rf_phase=np.cumsum(np.arange(120)) * 117.0)
    with pytest.raises(nb.InputError, match="no rotation turns real"):
        estimator.predict(signal.astype(complex), spoiled)
    with pytest.raises(nb.InputError, match="device is 'cuda:17'"):
        NetworkEstimator(estimator.model, [schedule], device="cuda:17")
    with pytest.raises(nb.InputError, match="no network 'transformer'"):
        make_encoder("transformer", 100)
    with pytest.raises(nb.InputError, match="widths holds 100000000"):
        make_encoder("fc", 100, (10**8,))


def test_another_schedule_is_taken_where_it_is_asked_for(schedule, known):
    t1, t2, _, estimator = known
    other = schedule.replace(echo_time=5.0, name="other train")
    generous = NetworkEstimator(estimator.model, [schedule], other_schedule=True)
    estimates = generous.predict(nb.EPGDecoder(other).signal(t1, t2), other)
    # PD is found with the data's own schedule
    np.testing.assert_allclose(estimates.pd, 1.0, rtol=2e-3)
