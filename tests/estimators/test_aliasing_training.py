"""Aliasing as a training draws it, against aliased frames of a simulated scan; and the decoder's share of the loss."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning
from napari_blochnet.estimators.networks.cards import StoredModel, stored_models, was_trained_aliased
from napari_blochnet.estimators.training.aliasing import Aliasing
from napari_blochnet.estimators.training.data import TrainingSet, stream
from napari_blochnet.estimators.training.loop import Training, train_estimator
from napari_blochnet.estimators.training.losses import SignalWeight, label_loss, weight_of_signal
from napari_blochnet.estimators.training.options import options_from
from napari_blochnet.sampling.measured_aliasing import measured_residuals
from napari_blochnet.sampling.scans import Scan
from napari_blochnet.sampling.trajectories import make_trajectory
from napari_blochnet.sampling.trajectory_files import in_cycles_per_view

SMALL = {"fingerprints": 600, "batch": 100, "epochs": 2}


def _object():
    """An object that has nothing in common with the built-in head: patches of any tissue."""
    random = np.random.default_rng(4)
    y, x = np.meshgrid(*[np.linspace(-1, 1, 128)] * 2, indexing="ij")
    mask = (y / 0.8) ** 2 + (x / 0.65) ** 2 < 1
    cells = random.uniform(-1, 1, (40, 2))
    nearest = np.argmin([(y - a) ** 2 + (x - b) ** 2 for a, b in cells], axis=0)
    t1 = np.exp(random.uniform(np.log(300), np.log(3500), 40))
    t2 = t1 * np.exp(random.uniform(np.log(0.04), np.log(0.2), 40))
    pd = random.uniform(0.5, 1.0, 40)
    maps = [np.where(mask, values[nearest], 0.0)[None] for values in (t1, t2, pd)]
    return nb.Phantom(*maps, mask=mask[None])


@pytest.fixture(scope="module")
def whole(schedule):
    return nb.simulate(_object(), schedule)


@pytest.fixture(scope="module")
def scanned(schedule):
    """Return frames of the object along a trajectory, each simulated once."""

    @cache
    def of(trajectory):
        return nb.simulate(_object(), schedule, trajectory=trajectory, interleaves=48, coils=8)

    return of


@pytest.fixture(scope="module")
def basis(schedule):
    """Singular vectors of the signals."""
    return TrainingSet([schedule], options_from("aliased", fingerprints=2000)).find_subspace(12).basis


def _added(aliased, whole):
    """What undersampling added inside the object."""
    return (aliased.data - whole.data)[:, whole.mask].T


def _energies(residuals, basis):
    """Mean square of each coefficient, of residuals of mean square 1."""
    residuals = residuals / np.sqrt(np.mean(np.abs(residuals) ** 2, axis=1, keepdims=True))
    return np.mean(np.abs(residuals @ basis) ** 2, axis=0)


def _off(made, witness):
    """How far energies are from others, in their logarithm, and how alike they are."""
    made, witness = np.log(made), np.log(witness)
    return np.sqrt(np.mean((made - witness) ** 2)), np.corrcoef(made, witness)[0, 1]


@pytest.mark.parametrize(("trajectory", "another"), [("spiral", "radial"), ("radial", "spiral"), ("rosette", "spiral")])
def test_what_is_drawn_is_what_aliases_into_another_object(schedule, scanned, whole, basis, trajectory, another):
    """Against a scan of an object that has no voxel in common with the built-in head."""
    witness = _energies(_added(scanned(trajectory), whole), basis)

    def off(of):
        drawn = Aliasing([schedule], basis, scan=Scan(of)).draw(np.zeros(20_000, int), stream(1)).double().numpy()
        # the real part has half of the energy
        return _off(2.0 * np.mean(drawn**2, axis=0), witness)

    mine, alike = off(trajectory)
    assert alike > 0.9
    # white noise, with an energy of 1 in each, and another trajectory are farther from it
    assert mine < 0.5 * _off(np.full(12, 1.0 - 1e-9) + 1e-9 * np.arange(12), witness)[0]
    assert mine < 0.7 * off(another)[0]


@pytest.mark.parametrize("trajectory", ["radial", "rosette"])
def test_what_lies_beside_an_object_is_what_aliases_into_it(scanned, whole, basis, trajectory):
    """Along the signals, too, which a fit's residual lacks; where no mask tells the object, its signals have to."""
    aliased = scanned(trajectory)
    witness = _energies(_added(aliased, whole), basis)
    white = np.sqrt(np.mean(np.log(witness) ** 2))
    found = measured_residuals(aliased)
    assert found.shape == (2048, 120)
    assert _off(_energies(found, basis), witness)[0] < 0.5 * white
    unmasked = replace(aliased, mask=np.ones(aliased.mask.shape, bool))
    assert _off(_energies(measured_residuals(unmasked), basis), witness)[0] < 0.7 * white


def test_a_stack_that_holds_no_aliasing_of_the_schedule_is_refused(schedule, other, scanned, whole):
    aliased = scanned("radial")
    noise = np.random.default_rng(0).standard_normal((*whole.shape, 2)).astype(np.float32) @ np.complex64([1, 1j])
    cases = [
        (replace(aliased, data=aliased.data * aliased.mask), r"0 voxels of .* beside the object .*not masked"),
        (replace(whole, data=whole.data + 0.01 * noise), "is white noise: nothing aliases"),
        (replace(aliased, data=np.abs(aliased.data), kind="magnitude"), "holds magnitude samples.*complex frames"),
        (nb.compress(aliased, components=6), "holds 6 coefficients for each voxel.*aliased frames"),
        (replace(aliased, schedule=other), "is of another schedule than is trained for.*short train"),
    ]
    for stack, said in cases:
        with pytest.raises(nb.InputError, match=said) as caught:
            nb.train("fc", schedule, preset="aliased", aliasing_from=stack)
        assert caught.value.field == "aliasing_from"
    with pytest.raises(nb.InputError, match=r"coils is 4, but aliasing is that of .*one of the two"):
        nb.train("fc", schedule, preset="aliased", coils=4, aliasing_from=aliased)


def test_networks_on_time_points_are_trained_in_the_space_of_the_signals(schedule):
    """With published layers; and what is drawn for them has nothing that a mapping would take away."""
    options = options_from("aliased", "rnn", fingerprints=200, epochs=1)
    assert options.widths is options.subspace is None
    training = Training("rnn", (schedule,), "aliased", options, "cpu")
    training.data.prepare(0)
    training.weigh()
    drawn = training._drawn(training.data.training[:64], stream(3))
    t1, t2 = (axis.ravel() for axis in np.meshgrid(np.geomspace(20, 6000, 40), np.geomspace(2, 3000, 40)))
    atoms = nb.EPGDecoder(schedule, tolerance=1e-4).signal(t1[t2 <= t1], t2[t2 <= t1]).astype(float)
    vectors = np.linalg.svd(atoms / np.linalg.norm(atoms, axis=1, keepdims=True))[2]
    inputs, clean = drawn.inputs.double().numpy(), drawn.clean.double().numpy()
    assert np.linalg.norm(inputs - clean, axis=1).mean() > 0.05
    left = inputs - inputs @ vectors[:24].T @ vectors[:24]
    # the space of other tissues is another by less
    assert np.linalg.norm(left, axis=1).max() < 0.02
    trained = train_estimator("rnn", schedule, "aliased", fingerprints=200, epochs=1)
    assert trained.takes_aliasing
    assert trained.card["notes"] == ["Differs from the preset aliased: fingerprints 200, epochs 1."]


def test_a_scan_says_nothing_where_no_aliasing_is_added(schedule):
    for name, value in (("trajectory", "radial"), ("interleaves", 48), ("aliasing_from", "stack.nii")):
        with pytest.raises(nb.InputError, match=f"{name} is {value}, but no aliasing is added.*aliased") as caught:
            nb.train("fc", schedule, **{name: value})
        assert caught.value.field == name
    with pytest.raises(nb.InputError, match="interleaves is 203, but spokes fill k-space of 128 voxels by 202"):
        nb.train("fc", schedule, preset="aliased", interleaves=203, trajectory="radial", **SMALL)


def test_a_trajectory_of_ones_own_says_how_many_voxels_it_reads(schedule, tmp_path):
    points = make_trajectory("spiral", 120, (128, 128)).points[..., ::-1]
    for name, scale in (("voxel", 1), ("view", 140), ("far", 600)):
        np.save(tmp_path / f"{name}.npy", points * scale)
    assert in_cycles_per_view(tmp_path / "voxel.npy", 120) is None
    assert in_cycles_per_view(tmp_path / "view.npy", 120) == pytest.approx(70, rel=1e-3)
    with pytest.raises(nb.InputError, match=r"far.npy: goes up to .* of 600 voxels; expected up to 256 cycles"):
        Aliasing([schedule], scan=Scan("file", str(tmp_path / "far.npy")))


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
    ranges = {"t1_range": (300.0, 3000.0), "t2_range": (30.0, 300.0)}
    options = options_from("aliased", fingerprints=400, decoder_weight=1.0, **ranges)
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
    usual = train_estimator("fc", schedule, "quick", **options, interleaves=48, coils=8, trajectory="spiral")
    assert torch.equal(first.model.encoder.head.weight, usual.model.encoder.head.weight)
    assert first.card["training"]["aliasing_range"] == [0.1, 1.0]
    assert was_trained_aliased(first.card)
    assert not was_trained_aliased(without.card)


def test_trainings_for_different_scans_are_told_apart(schedule, scanned, tmp_path):
    """By what a file and a stack hold; checkpoints from before there was a choice are of the usual scan."""

    def key(measured=None, **options):
        training = Training("fc", (schedule,), "aliased", options_from("aliased", **SMALL, **options), "cpu")
        training.measured = measured or {}
        return training.key

    usual = key()
    assert not {"option trajectory", "option interleaves", "option coils", "option aliasing_from"} & usual.keys()
    assert key(trajectory="spiral", interleaves=48) == usual
    assert key(interleaves=24) == usual | {"option interleaves": 24}
    for name, step in (("a", 1), ("b", 1), ("c", 2)):
        np.save(tmp_path / f"{name}.npy", make_trajectory("radial", 120, (128, 128)).points[::step])
    a, b, c = (key(trajectory="file", trajectory_file=str(tmp_path / f"{name}.npy")) for name in "abc")
    assert a == b != c
    one, two = ({schedule.digest: np.full((3, 120), value, np.complex64)} for value in (1, 2))
    assert key(one, aliasing_from="x") == key(one, aliasing_from="y") != key(two, aliasing_from="x")
    checkpoint = tmp_path / "run.training"
    options = {**SMALL, "aliasing_range": (0.1, 1.0), "epochs": 3}
    first = nb.train("fc", schedule, **options, aliasing_from=scanned("radial"), checkpoint=checkpoint)
    with pytest.raises(nb.InputError, match=r"run\.training: holds another training.*option aliasing_from"):
        nb.train("fc", schedule, **options, checkpoint=checkpoint)
    # at its end already
    again = nb.train("fc", schedule, **options, aliasing_from=scanned("radial"), checkpoint=checkpoint)
    assert torch.equal(first.model.encoder.head.weight, again.model.encoder.head.weight)
    assert first.card["training"]["aliasing_from"] == scanned("radial").name
    assert first.card["record"]["inputs"]["aliasing_from"]["settings"]["trajectory"] == "radial"


def test_a_network_for_another_trajectory_says_so(schedule, scanned):
    options = {**SMALL, "aliasing_range": (0.1, 1.0)}
    trained = train_estimator("fc", schedule, "quick", **options, trajectory="radial", interleaves=34)
    frames = scanned("rosette")
    said = r"fc was trained with the aliasing of another scan \(radial, 34 interleaves, golden angle, 8 coils\)"
    with pytest.warns(DataWarning, match=said):
        found = nb.reconstruct(frames, trained)
    assert any("rosette, 48 interleaves" in each for each in found.record["understood"])
    # as many interleaves or not: along the same trajectory
    assert "understood" not in nb.reconstruct(scanned("radial"), trained).record
    stored = StoredModel("mine", Path("mine.safetensors"), trained.card, packaged=False)
    assert "trained for aliased frames too (radial, 34 interleaves, golden angle, 8 coils)" in stored.describe()


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
    assert "not trained for aliased frames" in told["hydra-fisp"]


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
