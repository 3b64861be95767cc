"""A trained and an adapted network are made again from their records; a stopped one says so."""

from __future__ import annotations

import shlex
import threading

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli import blochnet
from napari_blochnet.jobs.operations import make_schedule, open_fingerprints
from napari_blochnet.jobs.recipes import run_recipe, write_results
from napari_blochnet.jobs.records import as_command, as_python, as_recipe

SMALL = {"fingerprints": 1200, "epochs": 2, "batch": 200, "t1_range": (300.0, 4000.0), "t2_range": (20.0, 400.0)}


@pytest.fixture(scope="module")
def schedule():
    return make_schedule(kind="spline", length=60, seed=2, inversion_time=None)


@pytest.fixture(scope="module")
def trained(schedule):
    return nb.train("blochnet", schedule, **SMALL)


def _same(first, second) -> bool:
    found = second.model.state_dict()
    return all(torch.equal(value, found[name]) for name, value in first.model.state_dict().items())


def test_training_again_from_recipe_and_python(trained, tmp_path):
    record = trained.card["record"]
    results = run_recipe(as_recipe(record))
    assert _same(trained, results[-1])
    assert [path.name for path in write_results(results, tmp_path)] == ["schedule.csv", "estimator.safetensors"]
    names = {}
    exec(compile(as_python(record), "<copied>", "exec"), names)
    assert _same(trained, names["estimator"])


def test_training_and_adapting_again_from_commands(trained, tmp_path, monkeypatch):
    trained.save(tmp_path / "first.safetensors")
    other = make_schedule(kind="spline", length=60, seed=5, inversion_time=None)
    shape = (1, 4, 5)
    t1 = np.linspace(400, 2500, 20).reshape(shape)
    np.save(tmp_path / "stack.npy", nb.simulate(nb.Phantom(t1, t1 / 10, np.ones(shape)), other, snr=60).data)
    nb.write_schedule(other, tmp_path / "other.csv")
    monkeypatch.chdir(tmp_path)
    given = make_schedule(kind="file", path="other.csv")
    stack = open_fingerprints("stack.npy", given, voxel_size=(2, 1, 1))
    adapted = nb.adapt("./first.safetensors", stack, epochs=2)
    for record, expected in ((trained.card["record"], trained), (adapted.card["record"], adapted)):
        for line in as_command(record).splitlines():
            done = CliRunner().invoke(blochnet, shlex.split(line)[1:])
            assert done.exit_code == 0, done.output
        again = nb.load_estimator("./estimator.safetensors")
        # a file holds half precision
        for name, value in expected.model.state_dict().items():
            assert torch.equal(again.model.state_dict()[name], value.half().float()), name
    names = {}
    exec(compile(as_python(adapted.card["record"]), "<copied>", "exec"), names)
    assert _same(adapted, names["estimator"])


def test_a_stopped_training_says_so(schedule):
    wish = threading.Event()
    with pytest.raises(nb.Cancelled) as stopped:
        nb.train("fc", schedule, watch=lambda point: wish.set() if point.held_out else None, cancelled=wish,
                 **{**SMALL, "epochs": 50})  # fmt: skip
    card = stopped.value.partial.card
    assert card["notes"][-1] == card["record"]["stopped"] == "Stopped after 1 of 50 epochs."
    assert stopped.value.partial.predict(np.ones((1, 60), np.float32), schedule, "real").t1.shape == (1,)


def test_cancelled_while_it_is_scored_the_network_is_whole(schedule):
    wish = threading.Event()

    def progress(done: int, total: int, message: str = "", /) -> None:
        if done == total and message.startswith("training"):
            wish.set()

    with pytest.raises(nb.Cancelled) as stopped:
        nb.train("fc", schedule, progress=progress, cancelled=wish, **SMALL)
    card = stopped.value.partial.card
    assert card["training"]["epochs_trained"] == 2
    assert "stopped" not in card["record"]
