"""Aliasing as a training draws it, against aliased frames of a simulated scan; and the decoder's share of the loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning
from napari_blochnet.estimators.networks.cards import stored_models, was_trained_aliased
from napari_blochnet.estimators.training.aliasing import Aliasing
from napari_blochnet.estimators.training.data import TrainingSet, stream
from napari_blochnet.estimators.training.loop import Training, train_estimator
from napari_blochnet.estimators.training.losses import SignalWeight, label_loss, weight_of_signal
from napari_blochnet.estimators.training.options import options_from

ANGLES = 10 + 50 * np.abs(np.sin(np.arange(120) * np.pi / 60))
SMALL = {"fingerprints": 600, "batch": 100, "epochs": 2}


@pytest.fixture(scope="module")
def schedule():
    return nb.Schedule(ANGLES, 12.0, 4.0, inversion_time=15.0, name="short train")


@pytest.fixture(scope="module")
def other():
    return nb.Schedule(ANGLES[::-1], 12.0, 4.0, inversion_time=15.0, name="reversed train")


def _of_another_head(schedule, seed):
    """What the package's own simulation of a scan adds to fingerprints of another object: patches of any tissue."""
    random = np.random.default_rng(seed)
    y, x = np.meshgrid(*[np.linspace(-1, 1, 128)] * 2, indexing="ij")
    mask = (y / 0.8) ** 2 + (x / 0.65) ** 2 < 1
    cells = random.uniform(-1, 1, (40, 2))
    nearest = np.argmin([(y - a) ** 2 + (x - b) ** 2 for a, b in cells], axis=0)
    t1 = np.exp(random.uniform(np.log(300), np.log(3500), 40))
    t2 = t1 * np.exp(random.uniform(np.log(0.04), np.log(0.2), 40))
    pd = random.uniform(0.5, 1.0, 40)
    maps = [np.where(mask, values[nearest], 0.0)[None] for values in (t1, t2, pd)]
    object_ = nb.Phantom(*maps, mask=mask[None])
    whole = nb.simulate(object_, schedule)
    aliased = nb.simulate(object_, schedule, trajectory="spiral", interleaves=48, coils=8)
    return (aliased.data - whole.data)[:, mask[None]].T


def _energies(residuals, basis):
    """Mean square of each coefficient, of residuals of mean square 1."""
    residuals = residuals / np.sqrt(np.mean(np.abs(residuals) ** 2, axis=1, keepdims=True))
    return np.mean(np.abs(residuals @ basis) ** 2, axis=0)


def test_what_is_drawn_is_what_aliases_into_another_object(schedule):
    """Against a scan of an object that has no voxel in common with the built-in head; white noise is far from it."""
    data = TrainingSet([schedule], options_from("aliased", fingerprints=2000))
    basis = data.find_subspace(12).basis.astype(np.float32)
    witness = _energies(_of_another_head(schedule, 4), basis)
    drawn = Aliasing([schedule], basis).draw(np.zeros(20_000, int), stream(1)).double().numpy()
    # the real part has half of the energy
    made = 2.0 * np.mean(drawn**2, axis=0)
    off = np.sqrt(np.mean(np.log(made / witness) ** 2))
    # white noise would have an energy of 1 in each
    white = np.sqrt(np.mean(np.log(witness) ** 2))
    assert off < 0.4 * white, (off, white)
    assert np.corrcoef(np.log(made), np.log(witness))[0, 1] > 0.9


def test_coefficients_of_aliasing_are_those_of_its_time_points(schedule, other):
    """The same draws, in time and in a subspace; those of a schedule are of its own scan."""
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((120, 8)))[0]
    which = np.array([0, 1, 1, 0, 1])
    in_time = Aliasing([schedule, other]).draw(which, stream(1)).numpy()
    in_space = Aliasing([schedule, other], basis).draw(which, stream(1)).numpy()
    np.testing.assert_allclose(in_space, in_time @ basis, atol=1e-5)
    alone = Aliasing([other]).draw(np.zeros(5, int), stream(1)).numpy()
    np.testing.assert_array_equal(in_time[which == 1], alone[which == 1])
    many = Aliasing([schedule]).draw(np.zeros(4000, int), stream(2)).numpy()
    assert np.mean(many**2) == pytest.approx(0.5, rel=0.03)


def test_a_balanced_decoder_weighs_as_much_as_the_labels(schedule):
    """With labels that are off by the loss's scale; fingerprints by isochromats, another simulation."""
    options = options_from("aliased", fingerprints=400, t1_range=(300.0, 3000.0), t2_range=(30.0, 300.0))
    data = TrainingSet([schedule], options)
    data.find_subspace(24)
    weight = weight_of_signal(data, options)
    random = np.random.default_rng(3)
    some = random.permutation(data.training)[:60]
    labels = data.labels[torch.from_numpy(some)].double()
    off = labels + options.loss_scale * torch.from_numpy(random.standard_normal(labels.shape))

    def unit(of):
        made = np.stack([np.asarray(nb.bloch_signal(schedule, *(10.0**each).tolist())).real for each in of])
        return made / np.linalg.norm(made, axis=1)[:, None] @ data.subspace.basis

    signal = float(np.mean((unit(off) - unit(labels)) ** 2))
    # 60 tissues, not all
    assert weight.factor * signal == pytest.approx(float(label_loss(off, labels, options)), rel=0.35)
    assert weight_of_signal(data, options_from("quick", fingerprints=400)) == SignalWeight(10.0)


def test_few_fingerprints_that_are_decoded_stand_for_the_batch(schedule):
    """Each third of a batch in turn: the mean of their losses is the loss of all; and a step in parts is the same."""

    def made(decoded):
        options = options_from("aliased", **SMALL, decoded=decoded)
        training = Training("blochnet", (schedule,), "aliased", options, "cpu")
        training._set_input()
        training.data.prepare(0)
        training.weigh()
        return training

    index = np.arange(90)
    few, whole = made(30), made(None)
    drawn = whole._drawn(index, stream(3))
    expected = whole._losses(drawn, slice(0, 90))[2]
    thirds = [few._losses(drawn.part(np.roll(index, -start)), slice(0, 90)) for start in (0, 30, 60)]
    assert sum(third[2].item() for third in thirds) / 3 == pytest.approx(expected.item(), rel=1e-4)
    in_parts = [few._losses(drawn, slice(start, start + 20 if start < 80 else 90)) for start in range(0, 90, 20)]
    summed = sum(part[2].item() * size / 90 for part, size in zip(in_parts, (20, 20, 20, 20, 10), strict=True))
    assert summed == pytest.approx(thirds[0][2].item(), rel=1e-4)


def test_training_with_aliasing_is_seeded_recorded_and_goes_on(schedule, tmp_path):
    options = {**SMALL, "aliasing_range": (0.1, 1.0)}
    first = train_estimator("fc", schedule, "quick", **options)
    again = train_estimator("fc", schedule, "quick", **options)
    without = train_estimator("fc", schedule, "quick", **SMALL)
    same = [torch.equal(first.model.state_dict()[name], again.model.state_dict()[name]) for name in
            first.model.state_dict()]  # fmt: skip
    assert all(same)
    assert not torch.equal(first.model.encoder.head.weight, without.model.encoder.head.weight)
    assert first.card["training"]["aliasing_range"] == [0.1, 1.0]
    assert was_trained_aliased(first.card)
    assert not was_trained_aliased(without.card)


def test_a_network_that_does_not_know_aliasing_says_so():
    """Of the packaged networks, where a scan was undersampled, and in the maps' record; not where it was not."""
    fisp = nb.fisp_schedule()
    maps = [np.full((1, 16, 16), value) for value in (900.0, 80.0, 1.0)]
    disc = np.hypot(*np.meshgrid(np.arange(16) - 7.5, np.arange(16) - 7.5))[None] < 4
    phantom = nb.Phantom(*maps, mask=disc)
    aliased = nb.simulate(phantom, fisp, trajectory="spiral", interleaves=8, coils=4)
    with pytest.warns(DataWarning, match="autoencoder-fc was not trained for aliased frames"):
        found = nb.reconstruct(aliased, "autoencoder-fc")
    assert any("not trained for aliased frames" in said for said in found.record["understood"])
    assert "understood" not in nb.reconstruct(aliased, "blochnet").record
    assert "understood" not in nb.reconstruct(nb.simulate(phantom, fisp), "autoencoder-fc").record
    told = {model.name: model.describe() for model in stored_models() if model.packaged}
    assert "trained for aliased frames too" in told["blochnet-fisp"]
    assert "not trained for aliased frames" in told["rnn-fisp"]


def test_aliasing_does_not_turn_what_lies_in_the_subspace(schedule):
    """A disturbance outside it, larger than the signal and of a phase of its own, changes no estimate."""
    trained = train_estimator("fc", schedule, "quick", **SMALL)
    signal = nb.EPGDecoder(schedule).signal([900.0, 1500.0], [80.0, 100.0]).astype(np.complex128)
    basis = trained.model.basis.double().numpy()
    outside = np.random.default_rng(0).standard_normal((2, 120))
    outside -= outside @ basis @ basis.T
    outside *= 2.0 * np.linalg.norm(signal, axis=1, keepdims=True) / np.linalg.norm(outside, axis=1, keepdims=True)
    whole = trained.predict(signal.astype(np.complex64), schedule, "complex")
    turned = trained.predict((signal + outside * np.exp(1.1j)).astype(np.complex64), schedule, "complex")
    np.testing.assert_allclose(turned.t1, whole.t1, rtol=1e-3)
    np.testing.assert_allclose(turned.t2, whole.t2, rtol=1e-3)
