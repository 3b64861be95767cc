"""Every option of a training can be asked for on the command line, and a mistake costs nothing that was there."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.estimators.networks import cards
from napari_blochnet.fingerprints.stack_files import write_fingerprints

SMALL = ["--fingerprints", "400", "--epochs", "3", "--batch", "100"]


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.setattr(cards, "user_folder", lambda: tmp_path / "own")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def schedule():
    angles = 10 + 50 * np.abs(np.sin(np.arange(60) * np.pi / 30))
    return nb.Schedule(angles, 12.0, 4.0, inversion_time=15.0, name="short train")


def _run(*words):
    return CliRunner().invoke(blochnet, [str(word) for word in words])


def _train(schedule, output, *words):
    nb.write_schedule(schedule, "short.csv")
    return _run("train", "--schedule", "short.csv", *SMALL, *words, "-o", output)


def test_all_options_reach_the_training(schedule):
    done = _train(
        schedule, "all.safetensors", "--estimator", "blochnet", "--preset", "paper", "--snr-range", 5, 200, "--cosine",
        "--held-out", 0.1, "--patience", 2, "--subspace", 12, "--loss", "smooth-l1", "--decoder-weight", 5,
        "--precision", "half", "--seed", 3, "--learning-rate", 2e-3, "--grid-step", 20, "--t1-range", 100, 4000,
        "--t2-range", 10, 400, "--aliasing-range", 0.01, 0.5, "--balanced", "--decoded", 40,
        "--trajectory", "radial", "--interleaves", 34, "--rotation", "uniform", "--coils", 4,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    card = nb.load_estimator("./all.safetensors").card
    expected = {
        "preset": "paper", "fingerprints": 400, "epochs": 3, "batch": 100, "snr_range": [5, 200], "cosine": True,
        "held_out": 0.1, "patience": 2, "subspace": 12, "loss": "smooth-l1", "decoder_weight": 5, "precision": "half",
        "seed": 3, "learning_rate": 2e-3, "grid_step": 20, "t1_range": [100, 4000], "t2_range": [10, 400],
        "aliasing_range": [0.01, 0.5], "balanced": True, "decoded": 40,
        "trajectory": "radial", "interleaves": 34, "rotation": "uniform", "coils": 4,
    }  # fmt: skip
    assert {name: card["training"][name] for name in expected} == expected
    assert card["network"]["subspace"] == 12
    # what is left out is as published
    assert card["network"]["widths"] is None
    assert card["training"]["tolerance"] == 1e-3


@pytest.mark.parametrize(
    ("preset", "published"),
    [
        ("paper", {"learning_rate": 1e-3, "snr_range": None, "cosine": False, "subspace": None, "seed": 1234}),
        ("quick", {"snr_range": [5.0, 200.0], "cosine": True, "subspace": 24, "held_out": 0.02}),
    ],
)
def test_a_preset_is_one_word(schedule, preset, published):
    done = _train(schedule, "one.safetensors", "--preset", preset)
    assert done.exit_code == 0, done.output
    training = nb.load_estimator("./one.safetensors").card["training"]
    assert {name: training[name] for name in published} == published


@pytest.fixture
def model(schedule, tmp_path):
    done = _train(schedule, "mine.safetensors")
    assert done.exit_code == 0, done.output
    return tmp_path / "mine.safetensors"


def test_a_training_that_fails_leaves_the_model_before_it(schedule, model):
    before = model.read_bytes(), model.with_suffix(".json").read_bytes()
    for words, sentence in (
        (["--preset", "paper", "--learning-rate", 1], "diverged at step"),
        (["--snr-range", 5, 1], "snr_range"),
        (["--preset", "quick", "--estimator", "rnn"], "rnn is not; expected paper, reduced or aliased"),
        (["--subspace", 500], "expected 1 to the 60 time points"),
    ):
        failed = _train(schedule, "mine.safetensors", *words)
        assert failed.exit_code == 2, failed.output
        # one sentence, also of a training that had begun
        assert sentence in failed.output
        assert failed.output.count("\n") == 1
        assert (model.read_bytes(), model.with_suffix(".json").read_bytes()) == before


def _stack(schedule, path):
    t1 = np.full((1, 2, 3), 900.0)
    write_fingerprints(nb.simulate(nb.Phantom(t1, t1 / 10, np.ones_like(t1)), schedule), path)


def _rewritten_as(model, architecture, other):
    """Write the tensors of one network under the card of another."""
    from safetensors.torch import load_file

    from napari_blochnet.estimators.networks.tensors import read_header, write_tensors

    _, metadata = read_header(model)
    card = json.loads(metadata["blochnet_card"])
    card |= {"architecture": architecture}
    card["network"] |= {"widths": None, "subspace": None, "activation": "relu"}
    write_tensors(other, load_file(str(model)), {"blochnet_card": json.dumps(card)})


def test_a_model_that_does_not_fit_is_a_sentence_and_nothing_is_lost(schedule, model, tmp_path):
    _stack(schedule, tmp_path / "stack.nii.gz")
    done = _run("reconstruct", "stack.nii.gz", "--estimator", "./mine.safetensors", "-o", "maps")
    assert done.exit_code == 0, done.output
    before = {path: path.read_bytes() for path in (tmp_path / "maps").rglob("*") if path.is_file()}
    assert before
    (tmp_path / "cut.safetensors").write_bytes(model.read_bytes()[:-100])
    _rewritten_as(model, "rnn", tmp_path / "other.safetensors")
    _stack(schedule.replace(echo_time=5.0, name="later echo"), tmp_path / "later.nii.gz")
    short = nb.Schedule(schedule.flip_angle[:50], 12.0, 4.0, inversion_time=15.0, name="shorter")
    _stack(short, tmp_path / "shorter.nii.gz")
    for stack, estimator, sentence in (
        ("stack.nii.gz", "./cut.safetensors", "cut.safetensors: is cut short: found"),
        ("stack.nii.gz", "./other.safetensors", "other.safetensors: holds no tensor"),
        ("later.nii.gz", "./mine.safetensors", "was made for [short train"),
        ("shorter.nii.gz", "./mine.safetensors", "was made for [short train"),
    ):
        failed = _run("reconstruct", stack, "--estimator", estimator, "-o", "maps")
        assert failed.exit_code == 2, failed.output
        assert sentence in failed.output
        assert {path: path.read_bytes() for path in (tmp_path / "maps").rglob("*") if path.is_file()} == before
    failed = _run("reconstruct", "shorter.nii.gz", "--estimator", "./mine.safetensors", "--other-schedule", "-o",
                  "maps")  # fmt: skip
    assert failed.exit_code == 2
    assert "takes 60 time points, but the data's schedule has 50 pulses" in failed.output
    failed = _run("reconstruct", "stack.nii.gz", "--schedule", "short.csv", "--estimator", "./absent.safetensors", "-o",
                  "maps")  # fmt: skip
    assert failed.exit_code == 2
    assert "absent.safetensors: there is no such file" in failed.output
