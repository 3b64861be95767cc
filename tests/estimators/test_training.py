"""Trainings: what they learn, and that they can be stopped, killed and gone on with."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning
from napari_blochnet.common.progress import Watch, ctrl_c_waits
from napari_blochnet.estimators.training.against_bound import tissue_scores
from napari_blochnet.estimators.training.data import TrainingSet, draw_tissues
from napari_blochnet.estimators.training.decoders import TrainingDecoder, softly_bounded
from napari_blochnet.estimators.training.loop import train_estimator
from napari_blochnet.estimators.training.options import PRESETS, options_from

SMALL = {"fingerprints": 600, "batch": 100, "epochs": 2}


def _weights(estimator):
    return {name: value.numpy().copy() for name, value in estimator.model.state_dict().items()}


def _same(first, second):
    return all(np.array_equal(first[name], second[name]) for name in first)


def test_the_published_grid_has_80100_pairs():
    t1, t2 = draw_tissues(options_from("paper"))
    assert len(t1) == 80_100
    assert (t1.min(), t1.max(), t2.min(), t2.max()) == (5, 4995, 5, 1995)
    assert (t2 <= t1).all()
    assert np.unique(np.diff(np.unique(t1))).tolist() == [10.0]


def test_drawn_tissues_are_even_in_their_logarithm():
    options = options_from("quick", t1_range=(100, 10_000), t2_range=(1, 100), fingerprints=20_000)
    t1, t2 = draw_tissues(options)
    # T2 ≤ T1 leaves no pair out here: quantiles of a uniform distribution, known to 1 %
    for values, low in ((t1, 2.0), (t2, 0.0)):
        np.testing.assert_allclose(np.quantile(np.log10(values), [0.25, 0.5, 0.75]), low + np.array([0.5, 1, 1.5]),
                                   atol=0.03)  # fmt: skip


def test_batches_hold_the_normalised_signal_of_their_schedule(schedule, other):
    data = TrainingSet([schedule, other], options_from("paper", fingerprints=50))
    index = np.array([3, 53, 20, 70])
    for held in (False, True):
        if held:
            data.prepare(0)
        inputs, labels, which = data.batch(index)
        np.testing.assert_array_equal(which, [0, 1, 0, 1])
        for row, train in enumerate([schedule, other, schedule, other]):
            t1, t2 = 10.0 ** labels[row].double().numpy()
            # an independent simulation, by isochromats
            witness = np.asarray(nb.bloch_signal(train, t1, t2)).real
            error = np.linalg.norm(inputs[row].numpy() - witness / np.linalg.norm(witness))
            assert error < 1.5e-3


def test_fingerprints_beyond_the_memory_are_made_batch_by_batch(schedule, monkeypatch):
    from napari_blochnet.estimators.training import data as training_data

    held = TrainingSet([schedule], options_from("paper", fingerprints=50))
    held.prepare(0)
    monkeypatch.setattr(training_data, "_HELD_BYTES", 1000)
    made = TrainingSet([schedule], options_from("paper", fingerprints=50))
    made.prepare(0)
    assert made._held is None
    np.testing.assert_allclose(made.batch(np.arange(9))[0], held.batch(np.arange(9))[0], atol=1e-3)


def test_fresh_tissues_differ_from_epoch_to_epoch(schedule):
    options = options_from("quick", fingerprints=500, fresh=True, held_out=0.0)
    data = TrainingSet([schedule], options)
    data.prepare(0)
    first = data.t1.copy()
    data.prepare(1)
    assert not np.array_equal(first, data.t1)
    inputs, labels, _ = data.batch(np.array([7]))
    witness = nb.EPGDecoder(schedule).signal(*(10.0 ** labels.double().numpy().T))[0]
    np.testing.assert_allclose(inputs[0], witness / np.linalg.norm(witness), atol=2e-4)


def test_soft_bounds_leave_tissue_alone_and_hold_everything_else():
    tissue = torch.tensor([[3.7, 3.0], [1.0, 0.7], [2.0, 2.2]], dtype=torch.float64)
    torch.testing.assert_close(softly_bounded(tissue), tissue, atol=1e-8, rtol=0)
    wild = torch.tensor([[50.0, 50.0], [-50.0, -50.0]], requires_grad=True)
    held = softly_bounded(wild)
    torch.testing.assert_close(held.detach(), torch.tensor([[4.3, 3.6], [0.0, 0.0]]), atol=1e-5, rtol=0)
    held.sum().backward()
    assert torch.isfinite(wild.grad).all()


def test_blochnets_loss_has_the_gradient_of_the_decoder(schedule, other):
    """Central differences of the mixed-schedule loss in the predicted labels, at a tolerance that needs no states."""
    decoder = TrainingDecoder("epg", [schedule, other], 1e-6)
    which = np.array([1, 0, 1])
    labels = torch.tensor([[2.9, 1.9], [3.1, 2.2], [3.3, 2.0]], requires_grad=True)
    target = decoder(labels.detach() + 0.05, which)
    torch.testing.assert_close(target.norm(dim=1), torch.ones(3))

    def loss(values):
        return ((decoder(values, which) - target) ** 2).sum()

    (gradient,) = torch.autograd.grad(loss(labels), labels)
    step = 1e-2
    for row in range(3):
        for column in range(2):
            shift = torch.zeros(3, 2)
            shift[row, column] = step
            with torch.no_grad():
                slope = (loss(labels + shift) - loss(labels - shift)) / (2 * step)
            assert float(gradient[row, column]) == pytest.approx(float(slope), rel=0.02, abs=2e-4)


def test_the_signals_loss_is_the_labels_error_weighted_by_the_jacobian():
    """And at the published weight a hundredth of the labels' loss, under the FISP schedule."""
    fisp = nb.fisp_schedule()
    random = np.random.default_rng(0)
    t2 = np.exp(random.uniform(np.log(20), np.log(1000), 200))
    t1 = np.exp(random.uniform(np.log(np.maximum(t2, 100)), np.log(5000)))
    signal, slopes = (values.double().numpy() for values in nb.EPGDecoder(fisp).jacobian(t1, t2))
    slopes = slopes * np.stack([t1, t2], axis=1)[:, None] * np.log(10.0)
    norms = np.linalg.norm(signal, axis=1)[:, None]
    unit, slopes = signal / norms, slopes / norms[..., None]
    # normalised fingerprints move across themselves only
    slopes -= unit[..., None] * np.einsum("vn,vnp->vp", unit, slopes)[:, None]
    errors = 0.005 * random.standard_normal((200, 2))
    labels = torch.from_numpy((np.log10(np.stack([t1, t2], axis=1)) + errors).astype(np.float32))
    decoded = TrainingDecoder("epg", [fisp], 1e-6)(labels, np.zeros(200, int)).numpy()
    loss = float(np.mean((decoded - unit) ** 2))
    assert loss == pytest.approx(np.mean(np.einsum("vnp,vp->vn", slopes, errors) ** 2), rel=0.02)
    assert 0.005 < 10 * loss / np.mean(errors**2) < 0.02


@pytest.mark.parametrize("architecture", ["fc", "rnn", "hydra", "autoencoder-fc", "autoencoder-rnn", "blochnet"])
def test_every_network_learns_and_the_same_seed_gives_the_same_weights(schedule, other, architecture):
    small = {**SMALL, "fingerprints": 200, "precision": "half" if architecture == "fc" else "float32"}
    seen = []
    first = train_estimator(architecture, [schedule, other], on_loss=seen.append, **small)
    again = train_estimator(architecture, [schedule, other], **small)
    assert _same(_weights(first), _weights(again))
    different = train_estimator(architecture, [schedule, other], **small, seed=1)
    assert not _same(_weights(first), _weights(different))
    epochs = [point for point in seen if point.epoch and point.step % 4 == 0]
    assert epochs[-1].loss < epochs[0].loss
    assert (epochs[-1].decoder_loss > 0) == (architecture in ("autoencoder-fc", "autoencoder-rnn", "blochnet"))
    assert first.schedules == (schedule, other)
    assert first.card["training"]["epochs_trained"] == 2


def test_the_quick_preset_approaches_the_cramer_rao_bound(schedule):
    """A quarter of a minute of training on a short train; the bound is computed elsewhere, from the Jacobian."""
    trained = train_estimator("fc", schedule, "quick", fingerprints=20_000, epochs=60, t1_range=(300.0, 4000.0),
                              t2_range=(20.0, 400.0))  # fmt: skip
    scores = tissue_scores(trained, schedule, snr=50.0, voxels=1000)
    for tissue in ("WM T1", "WM T2", "GM T1", "GM T2"):
        # no unbiased estimator is below 1; 1000 voxels know the ratio to 2 %
        assert 0.9 < scores[tissue]["ratio"] < 1.3
    assert trained.card["training"]["epoch_kept"] >= 1


def test_early_stopping_keeps_the_best_epoch(schedule):
    trained = train_estimator("fc", schedule, "quick", fingerprints=2000, epochs=400, patience=2, learning_rate=0.05,
                              cosine=False)  # fmt: skip
    training = trained.card["training"]
    assert training["epochs_trained"] < 400
    assert training["epoch_kept"] == training["epochs_trained"] - 2


def test_a_cancelled_training_keeps_the_best_so_far_and_goes_on_to_the_same_end(schedule, tmp_path):
    whole = train_estimator("blochnet", schedule, **SMALL, snr_range=(10, 100), held_out=0.1)
    checkpoint, cancelled = tmp_path / "run.training", threading.Event()

    def stop(done, total, message="", /):
        if done == 8 and message.startswith("training"):  # in the middle of the second epoch
            cancelled.set()

    with pytest.raises(nb.Cancelled) as stopped:
        train_estimator("blochnet", schedule, **SMALL, snr_range=(10, 100), held_out=0.1, checkpoint=checkpoint,
                        watch=Watch(stop, cancelled))  # fmt: skip
    partial = stopped.value.partial
    assert partial.card["training"]["steps_trained"] == 8
    assert np.isfinite(partial.predict(nb.EPGDecoder(schedule).signal([1000.0], [80.0]), schedule).t1).all()
    assert not _same(_weights(partial), _weights(whole))
    resumed = train_estimator("blochnet", schedule, **SMALL, snr_range=(10, 100), held_out=0.1, checkpoint=checkpoint)
    assert _same(_weights(resumed), _weights(whole))
    # it goes last: once the model is written
    assert checkpoint.exists()
    resumed.save(tmp_path / "run.safetensors")
    assert not checkpoint.exists()
    resumed.save(tmp_path / "run.safetensors")


_KILLED = """
import os, signal, sys, numpy as np, napari_blochnet as nb
from napari_blochnet.common.progress import Watch
from napari_blochnet.estimators.training import loop as training
training._CHECKPOINT_EVERY = 0.0
schedule = nb.Schedule(10 + 50 * np.abs(np.sin(np.arange(120) * np.pi / 60)), 12.0, 4.0, inversion_time=15.0)

def kill(done, total, message="", /):
    if message.startswith("training") and done == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

training.train_estimator(sys.argv[1], schedule, "quick", fingerprints=600, batch=100, epochs=4, held_out=0.1,
                         checkpoint=sys.argv[2], watch=Watch(kill))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing kills a process so here")
# within the first epoch, at the end of the second, within the third
@pytest.mark.parametrize(("architecture", "step"), [("fc", 3), ("fc", 12), ("blochnet", 16)])
def test_a_training_killed_in_the_middle_resumes_to_the_same_end(schedule, tmp_path, architecture, step):
    """The kernel ends it without a word: nothing is flushed, closed or cleaned up. Noise, cosine and held-out tissues
    all have a state that must come back."""
    checkpoint = tmp_path / "killed.training"
    words = [sys.executable, "-c", _KILLED, architecture, str(checkpoint), str(step)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    plain = schedule.replace(name="")
    small = {"fingerprints": 600, "batch": 100, "epochs": 4, "held_out": 0.1}
    steps = []
    resumed = train_estimator(architecture, plain, "quick", checkpoint=checkpoint, **small,
                              watch=Watch(lambda done, total, message="": steps.append((message, done))))  # fmt: skip
    taken = [done for message, done in steps if message.startswith("training")]
    # the last step before the kill was not saved yet
    assert taken == list(range(step, 25))
    whole = train_estimator(architecture, plain, "quick", **small)
    assert _same(_weights(resumed), _weights(whole))
    for name in ("final_loss", "held_out_loss", "epoch_kept", "steps_trained"):
        assert resumed.card["training"][name] == whole.card["training"][name], name
    # killed again while scores are computed, it begins at its end
    more = []
    again = train_estimator(architecture, plain, "quick", checkpoint=checkpoint, **small,
                            watch=Watch(lambda done, total, message="": more.append(message)))  # fmt: skip
    assert not any(message.startswith("training") for message in more)
    assert _same(_weights(again), _weights(whole))
    again.save(tmp_path / "killed.safetensors")
    assert not checkpoint.exists()


@pytest.fixture
def ctrl_c_is_heard():
    """A shell lets what it runs in the background ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
@pytest.mark.parametrize("step", [2, 11])
def test_ctrl_c_saves_what_was_reached(schedule, tmp_path, step):
    checkpoint = tmp_path / "stopped.training"
    # a shell lets what it runs in the background ignore Ctrl-C
    script = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n" + _KILLED
    script = script.replace("SIGKILL", "SIGINT").replace("_CHECKPOINT_EVERY = 0.0", "_CHECKPOINT_EVERY = 1e9")
    done = subprocess.run([sys.executable, "-c", script, "fc", str(checkpoint), str(step)], capture_output=True,
                          text=True)  # fmt: skip
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
    plain, small = schedule.replace(name=""), {"fingerprints": 600, "batch": 100, "epochs": 4, "held_out": 0.1}
    steps = []
    resumed = train_estimator("fc", plain, "quick", checkpoint=checkpoint, **small,
                              watch=Watch(lambda done, total, message="": steps.append((message, done))))  # fmt: skip
    assert [done for message, done in steps if message.startswith("training")] == list(range(step + 1, 25))
    assert _same(_weights(resumed), _weights(train_estimator("fc", plain, "quick", **small)))


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), nb.InputError("x was not written by us")])
def test_a_training_outlives_a_checkpoint_that_cannot_be_written(schedule, tmp_path, monkeypatch, fault):
    """In the middle, after the last step, and where it is cancelled; said once."""
    from napari_blochnet.estimators.training import loop

    def refuse(*given):
        raise fault

    monkeypatch.setattr(loop, "write_state", refuse)
    monkeypatch.setattr(loop, "_CHECKPOINT_EVERY", 0.0)
    checkpoint, cancelled = tmp_path / "run.training", threading.Event()
    with pytest.warns(
        DataWarning, match=r"run\.training: the training cannot be saved here \((No space|x was)"
    ) as said:
        trained = train_estimator("fc", schedule, "quick", **SMALL, checkpoint=checkpoint)
    assert len([one for one in said if one.category is DataWarning]) == 1
    assert _same(_weights(trained), _weights(train_estimator("fc", schedule, "quick", **SMALL)))

    def stop(done, total, message="", /):
        if done == 8 and message.startswith("training"):
            cancelled.set()

    with pytest.warns(DataWarning, match="cannot be saved"), pytest.raises(nb.Cancelled) as stopped:
        train_estimator("fc", schedule, "quick", **SMALL, checkpoint=checkpoint, watch=Watch(stop, cancelled))
    assert stopped.value.partial.card["training"]["steps_trained"] == 8


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_during_the_last_checkpoint_waits_for_it(schedule, tmp_path, monkeypatch):
    from napari_blochnet.estimators.training import loop

    write, checkpoint = loop.write_state, tmp_path / "run.training"

    def press(*given):
        signal.raise_signal(signal.SIGINT)
        write(*given)

    monkeypatch.setattr(loop, "write_state", press)
    with pytest.raises(KeyboardInterrupt):
        train_estimator("fc", schedule, "quick", **SMALL, checkpoint=checkpoint)
    assert checkpoint.is_file()


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_waits_once_and_then_interrupts():
    reached = []

    def press(times):
        with ctrl_c_waits() as pressed:
            for number in range(times):
                signal.raise_signal(signal.SIGINT)
                reached.append((number, pressed.is_set()))

    for times in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            press(times)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    # the first waits, the second does not
    assert reached == [(0, True), (0, True)]


def test_what_was_stopped_is_listed_with_all_that_going_on_takes(schedule, tmp_path):
    from napari_blochnet.estimators.training.stopped import stopped_trainings
    from napari_blochnet.jobs.settings_training import TrainSettings

    cancelled = threading.Event()

    def stop(done, total, message="", /):
        if done == 5 and message.startswith("training"):
            cancelled.set()

    small = {"fingerprints": 600, "batch": 100, "epochs": 4}
    with pytest.raises(nb.Cancelled):
        nb.train("fc", schedule, checkpoint=tmp_path / "brain.training", device="cpu", progress=stop,
                 cancelled=cancelled, **small)  # fmt: skip
    (tmp_path / "other.training").write_bytes(b"not a checkpoint")
    (found,) = stopped_trainings(tmp_path)
    assert (found.name, found.step, found.total, found.epochs) == ("brain", 5, 24, 4)
    assert found.describe() == "brain (fc): 5 of 24 steps"
    again = nb.train(None, [nb.Schedule.from_dict(found.schedules[0])], TrainSettings(**found.settings),
                     device=found.device, checkpoint=found.path)  # fmt: skip
    whole = nb.train("fc", schedule, device="cpu", **small)
    assert _same(_weights(again), _weights(whole))


def test_a_checkpoint_of_another_training_is_refused_and_kept(schedule, tmp_path):
    checkpoint, cancelled = tmp_path / "run.training", threading.Event()

    def stop(done, total, message="", /):
        if done == 3 and message.startswith("training"):
            cancelled.set()

    with pytest.raises(nb.Cancelled):
        train_estimator("fc", schedule, **SMALL, checkpoint=checkpoint, watch=Watch(stop, cancelled))
    before = checkpoint.read_bytes()
    with pytest.raises(nb.InputError, match=r"run\.training: holds another training.*option learning_rate") as caught:
        train_estimator("fc", schedule, **SMALL, checkpoint=checkpoint, learning_rate=1e-4)
    assert caught.value.field == "checkpoint"
    with pytest.raises(nb.InputError, match="of another network"):
        train_estimator("rnn", schedule, **SMALL, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before
    checkpoint.write_bytes(before[:-100])
    with pytest.raises(nb.InputError, match="cut short"):
        train_estimator("fc", schedule, **SMALL, checkpoint=checkpoint)


def test_a_training_that_diverges_is_said_so(schedule):
    with pytest.raises(nb.InputError, match=r"diverged at step \d+ .*learning rate smaller than 1e\+06") as caught:
        train_estimator("fc", schedule, **SMALL, learning_rate=1e6)
    assert caught.value.field == "learning_rate"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"preset": "best"}, "no preset 'best'"),
        ({"layers": 3}, "no option layers"),
        ({"snr_range": (5.0, 1.0)}, "snr_range is 5 to 1"),
        ({"patience": 3}, "held-out share"),
        ({"grid_step": None}, "fingerprints is None"),
        ({"epochs": 0}, "epochs is 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"t1_range": (5.0, 6.0), "t2_range": (100.0, 200.0)}, "no pair with T2 ≤ T1"),
    ],
)
def test_refused_options(schedule, change, sentence):
    with pytest.raises(nb.InputError, match=sentence):
        train_estimator("fc", schedule, **change)


def test_the_quick_preset_is_for_fully_connected_encoders(schedule):
    with pytest.raises(nb.InputError, match="rnn is not; expected paper, reduced or aliased"):
        train_estimator("rnn", schedule, "quick")
    small = {"fingerprints": 500, "epochs": 2}
    trained = train_estimator("blochnet", schedule, "quick", **small)
    assert trained.card["notes"] == ["Differs from the preset quick: fingerprints 500, epochs 2."]
    assert trained.card["network"] == {"length": 120, "widths": [128, 128, 128], "subspace": 24, "activation": "silu"}


def test_refused_schedules(schedule):
    with pytest.raises(nb.InputError, match="60 and 120 pulses"):
        train_estimator("fc", [schedule, nb.Schedule([30.0] * 60, 12.0, 4.0)])
    with pytest.raises(nb.InputError, match="have no pulses"):
        train_estimator("fc", [])
    with pytest.raises(nb.InputError, match="no rotation turns real"):
        train_estimator("fc", schedule.replace(rf_phase=np.cumsum(np.arange(120)) * 117.0))


def test_presets_are_valid():
    epochs = {"paper": 26, "reduced": 3, "quick": 200, "aliased": 200}
    assert {name: options_from(name).epochs for name in PRESETS} == epochs
    paper = options_from("paper")
    assert (paper.learning_rate, paper.batch, paper.seed, paper.decoder_weight) == (1e-3, 1000, 1234, 10)
    assert paper.snr_range is None
