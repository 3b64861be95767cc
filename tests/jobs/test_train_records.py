"""A trained and an adapted network are made again from their records; a stopped one says so."""

from __future__ import annotations

import shlex
import threading

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.jobs.history.recipes import run_recipe, write_results
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.operations.opening import make_schedule, open_fingerprints
from napari_blochnet.jobs.records import as_recipe

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
        for name, value in expected.model.state_dict().items():
            assert torch.equal(again.model.state_dict()[name], value), name
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


def _same_maps(first, second):
    for name in ("t1", "t2", "pd", "residual", "mask"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


@pytest.fixture(scope="module")
def head_stack(schedule):
    from napari_blochnet.jobs.operations.opening import synthetic_head

    return nb.simulate(synthetic_head(shape=(8, 24, 20), seed=3), schedule, snr=25, slices=(3, 5))


def test_maps_of_a_network_just_trained_are_made_again_with_its_training(trained, head_stack, tmp_path, monkeypatch):
    maps = nb.reconstruct(head_stack, trained)
    assert maps.record["settings"]["estimator"] == "blochnet"
    assert maps.record["inputs"]["estimator"]["operation"] == "train"
    _same_maps(run_recipe(as_recipe(maps.record))[-1], maps)
    names = {}
    exec(compile(as_python(maps.record), "<copied>", "exec"), names)
    _same_maps(names["maps"], maps)
    monkeypatch.chdir(tmp_path)
    for line in as_command(maps.record).splitlines():
        done = CliRunner().invoke(blochnet, shlex.split(line)[1:])
        assert done.exit_code == 0, done.output
    from napari_blochnet.evaluation.maps_io import read_maps

    # a model file holds half precision
    np.testing.assert_allclose(read_maps(tmp_path / "maps").t1, maps.t1, rtol=0.02)


def test_maps_of_a_model_file_name_the_file(trained, head_stack, tmp_path):
    path = trained.save(tmp_path / "mine.safetensors")
    loaded = nb.load_estimator(path)
    maps = nb.reconstruct(head_stack, loaded)
    assert maps.record["settings"]["estimator"] == str(path)
    assert "estimator" not in maps.record["inputs"]
    _same_maps(run_recipe(as_recipe(maps.record))[-1], maps)
    _same_maps(nb.reconstruct(head_stack, str(path)), maps)
    other = make_schedule(kind="spline", length=60, seed=5, inversion_time=None)
    loaded = nb.load_estimator(path, other_schedule=True)
    elsewhere = nb.reconstruct(nb.simulate(nb.synthetic_phantom(shape=(8, 24, 20)), other, slices=(3, 4)), loaded)
    assert elsewhere.record["settings"]["other_schedule"]


def test_an_adaptation_of_a_network_just_trained_trains_it_first(trained, tmp_path):
    from napari_blochnet.jobs.operations.opening import synthetic_head

    other = make_schedule(kind="spline", length=60, seed=5, inversion_time=None)
    stack = nb.simulate(synthetic_head(shape=(8, 24, 20), seed=3), other, snr=40, slices=(3, 4))
    adapted = nb.adapt(trained, stack, epochs=2)
    results = run_recipe(as_recipe(adapted.card["record"]))
    assert _same(adapted, results[-1])
    assert _same(trained, results[[type(result) for result in results].index(type(trained))])


def test_an_estimator_made_in_python_or_stopped_cannot_be_made_again(trained, head_stack):
    from napari_blochnet.estimators.matching.dictionary import DictionaryMatching

    maps = nb.reconstruct(head_stack, DictionaryMatching(step=0.3))
    with pytest.raises(nb.InputError, match="made in Python"):
        run_recipe(as_recipe(maps.record))
    with pytest.raises(nb.InputError, match="made in Python"):
        as_command(maps.record)
    wish = threading.Event()
    with pytest.raises(nb.Cancelled) as stopped:
        nb.train("fc", head_stack.schedule, watch=lambda point: wish.set() if point.held_out else None,
                 cancelled=wish, **{**SMALL, "epochs": 50})  # fmt: skip
    maps = nb.reconstruct(head_stack, stopped.value.partial)
    assert maps.record["inputs"]["estimator"]["operation"] == "given"
