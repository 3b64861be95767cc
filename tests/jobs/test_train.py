"""Training as an operation, from Python and from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.estimators.training.options import PRESETS, TrainingOptions
from napari_blochnet.jobs.settings_training import TrainSettings

SMALL = {"fingerprints": 2000, "epochs": 30}


@pytest.fixture(scope="module")
def schedule():
    angles = 10 + 50 * np.abs(np.sin(np.arange(120) * np.pi / 60))
    return nb.Schedule(angles, 12.0, 4.0, inversion_time=15.0, name="short train")


def test_settings_have_the_names_of_the_options():
    options = set(TrainSettings.model_fields) - {"estimator", "preset"}
    assert options <= set(TrainingOptions.__dataclass_fields__)
    assert set(TrainSettings.model_fields["preset"].annotation.__args__) == set(PRESETS)


def test_a_trained_network_maps_a_stack(schedule):
    trained = nb.train("fc", schedule, t1_range=(300, 4000), t2_range=(20, 400), **SMALL)
    t1, t2 = np.full((1, 3, 3), 900.0), np.full((1, 3, 3), 80.0)
    stack = nb.simulate(nb.Phantom(t1, t2, np.full((1, 3, 3), 0.7)), schedule, snr=100)
    maps = nb.reconstruct(stack, trained)
    # trained for a second or two: near, not exact
    np.testing.assert_allclose(maps.t1[maps.mask], 900, rtol=0.2)
    np.testing.assert_allclose(maps.t2[maps.mask], 80, rtol=0.2)
    np.testing.assert_allclose(maps.pd[maps.mask], 0.7, rtol=0.2)
    assert "short train" in maps.record["estimator"]
    card = trained.card
    assert card["record"]["operation"] == "train"
    assert card["record"]["inputs"]["schedules"][0]["schedule"]["name"] == "short train"
    assert card["scores"]["short train"]["WM T1"]["ratio"] > 0.9


def test_a_model_file_is_an_estimator_of_reconstruct(schedule, tmp_path):
    trained = nb.train("fc", schedule, **SMALL)
    path = trained.save(tmp_path / "mine.safetensors")
    stack = nb.simulate(nb.Phantom(*(np.full((1, 2, 2), value) for value in (900.0, 80.0, 1.0))), schedule)
    first, again = nb.reconstruct(stack, trained), nb.reconstruct(stack, str(path))
    np.testing.assert_allclose(first.t1, again.t1, rtol=0.01)
    assert nb.load_estimator(path).schedule == schedule
    with pytest.raises(nb.InputError, match="magnitudes, whose sign is lost"):
        nb.reconstruct(nb.simulate(nb.Phantom(*(np.full((1, 2, 2), value) for value in (900.0, 80.0, 1.0))), schedule,
                                   kind="magnitude"), str(path))  # fmt: skip
    other = schedule.replace(echo_time=5.0, name="other train")
    elsewhere = nb.simulate(nb.Phantom(*(np.full((1, 2, 2), value) for value in (900.0, 80.0, 1.0))), other)
    with pytest.raises(nb.InputError, match=r"made for \[short train.*\[other train"):
        nb.reconstruct(elsewhere, str(path))
    assert nb.reconstruct(elsewhere, str(path), other_schedule=True).mask.all()


def test_train_and_models_on_the_command_line(schedule, tmp_path, own_store):
    nb.write_schedule(schedule, tmp_path / "short.csv")
    words = ["train", "--schedule", str(tmp_path / "short.csv"), "--epochs", "2", "--fingerprints", "2000", "-o"]
    done = CliRunner().invoke(blochnet, [*words, "brain"])
    assert done.exit_code == 0, done.output
    assert "epoch 2: loss" in done.output
    assert "RMSE over the Cramér–Rao bound at SNR 20" in done.output
    assert (own_store / "brain.safetensors").is_file()
    assert not (own_store / "brain.training").exists()
    listed = CliRunner().invoke(blochnet, ["--json", "models"])
    names = {model["name"] for model in json.loads(listed.output)["models"]}
    assert "brain" in names
    assert "fc-fisp" in names
    words_of_it = "brain: fc network for short train; preset quick, 2 epochs"
    assert words_of_it in CliRunner().invoke(blochnet, ["models"]).output
    refused = CliRunner().invoke(blochnet, [*words, str(tmp_path / "brain.pt")])
    assert refused.exit_code == 2
    assert "expected a name ending in .safetensors" in refused.output
    refused = CliRunner().invoke(blochnet, [*words, "brain", "--learning-rate", "5"])
    assert refused.exit_code == 2
    assert "learning_rate is 5.0" in refused.output
