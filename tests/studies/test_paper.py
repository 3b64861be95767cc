"""The paper's experiments, small."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.estimators.training import adaptation
from napari_blochnet.studies import draws as experiment_draws
from napari_blochnet.studies import paper as experiments
from napari_blochnet.studies.draws import TestSet as Tissues
from napari_blochnet.studies.draws import read_test_sets, training_schedules
from napari_blochnet.studies.paper_tables import PUBLISHED, markdown_table, summarise
from napari_blochnet.studies.study_runs import run_study


@pytest.fixture
def small(monkeypatch):
    """Short schedules and few tissues in place of the published ones."""
    rng = np.random.default_rng(2)
    t1 = np.exp(rng.uniform(np.log(300), np.log(3000), 60))
    sets = [Tissues("phantom", t1, 0.1 * t1), Tissues("anatomical", t1, 0.05 * t1)]
    monkeypatch.setattr(experiments, "read_test_sets", lambda data: sets)
    monkeypatch.setattr(experiment_draws, "fisp_schedule", lambda: nb.spline_schedule(60, seed=99, inversion_time=0.0))
    monkeypatch.setattr(
        experiment_draws, "training_schedules",
        lambda name, seed: (nb.spline_schedule(60, seed=seed), nb.spline_schedule(60, seed=seed + 1)),
    )  # fmt: skip
    from napari_blochnet.estimators.training.options import PRESETS

    monkeypatch.setitem(PRESETS, "reduced", {"fingerprints": 400, "epochs": 1, "batch": 100})
    return sets


def test_training_schedules_are_those_of_the_tables():
    noisy, smooth = training_schedules("table2", 7)
    assert (noisy.name, smooth.name) == ("SplineNoise11, seed 7", "Spline5, seed 8")
    assert [schedule.name for schedule in training_schedules("table3", 7)] == ["Spline5, seed 7", "Spline5, seed 8"]
    fisp = nb.fisp_schedule()
    for schedule in (noisy, smooth):
        np.testing.assert_array_equal(schedule.repetition_time, fisp.repetition_time)
        assert np.unique(schedule.echo_time) == [10.0]


def test_test_sets_are_those_of_the_definitions(shared_data):
    sets = {item.name: item for item in read_test_sets(shared_data)}
    assert {name: len(item.t1) for name, item in sets.items()} == {
        "phantom": 9841, "anatomical": 7360, "anatomical, physical": 7288,
    }  # fmt: skip
    for name, constant in (("anatomical", 0.134), ("anatomical, physical", 0.114)):
        logs = np.log10(np.stack([sets[name].t1, sets[name].t2]))
        assert np.mean(logs.var(axis=1)) == pytest.approx(constant, abs=5e-4)


def test_an_experiment_writes_its_tables_and_goes_on_with_what_is_missing(small, tmp_path):
    said = []
    common = {"draws": 2, "models": "dictionary,fc,blochnet", "preset": "reduced", "say": said.append}
    result = run_study("table3", tmp_path, **common)
    assert len(said) == 5  # the dictionary does not depend on the draw
    with (tmp_path / "table3.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 2
    # a matching grid of 2 % on noise-free data
    assert all(float(row["mse_log10"]) < 2e-3 for row in rows if row["model"] == "dictionary")
    # the scores again, from the estimates kept beside them
    with np.load(tmp_path / "draw_02" / "blochnet.npz") as estimates:
        decades = [np.log10(estimates[f"phantom {key}"] / getattr(small[0], key)) for key in ("t1", "t2")]
    (mine,) = (row for row in rows if (row["model"], row["draw"], row["set"]) == ("blochnet", "2", "phantom"))
    assert float(mine["mse_log10"]) == pytest.approx(np.mean(np.square(decades)), rel=1e-4)
    assert {path.name for path in result.files} >= {"table3.csv", "table3.md", "table3_phantom.png"}
    assert "FC (reduced)" in result.text
    assert "0.1344" in result.text

    (tmp_path / "draw_02" / "fc.json").unlink()
    said.clear()
    again = run_study("table3", tmp_path, **common)
    assert len(said) == 1
    assert [row["mse_log10"] for row in again.rows] == [row["mse_log10"] for row in result.rows]
    with pytest.raises(nb.InputError, match="result of other settings"):
        run_study("table3", tmp_path, **{**common, "decoder_weight": 3.0})


def test_rows_beyond_the_paper_build_on_the_networks_at_hand(small, tmp_path, monkeypatch):
    small.append(Tissues("anatomical, half", small[1].t1[:30], small[1].t2[:30], part_of="anatomical"))
    adaptations = []
    adapt_estimator = adaptation.adapt_estimator

    def short(network, fingerprints, schedule, kind, options, **more):
        adaptations.append(len(fingerprints))
        return adapt_estimator(network, fingerprints, schedule, kind, replace(options, epochs=8, batch=16), **more)

    monkeypatch.setattr(adaptation, "adapt_estimator", short)
    common = {"draws": 2, "preset": "reduced"}
    first = run_study("table3", tmp_path, models="fc", **common)
    weights = (tmp_path / "draw_01" / "fc.safetensors").read_bytes()
    result = run_study("table3", tmp_path, models="fc,fc-adapted,universal,refined", **common)
    assert (tmp_path / "draw_01" / "fc.safetensors").read_bytes() == weights
    assert [row for row in result.rows if row["model"] == "fc"] == first.rows
    # two draws, the two whole sets: the half is scored on the network adapted to the whole
    assert adaptations == [60] * 4
    scores = {(row["model"], row["draw"], row["set"]): row["mse_log10"] for row in result.rows}
    assert len(scores) == 3 * (2 + 2 + 1 + 1)
    for draw in (1, 2):
        for name in ("phantom", "anatomical"):
            assert scores["fc-adapted", draw, name] < 0.5 * scores["fc", draw, name]
            assert scores["refined", 1, name] < 1e-8 < scores["fc-adapted", draw, name]
            assert scores["universal", 1, name] < 1e-4
    assert all(row["training_seconds"] > 0 for row in result.rows if row["model"] == "fc-adapted")
    assert "| FC adapted (reduced) |" in result.text
    assert "without their labels" in result.text


def test_slow_networks_take_fewer_draws_and_the_table_says_so(small, tmp_path):
    common = {"draws": 2, "preset": "reduced", "models": "fc,autoencoder-rnn"}
    result = run_study("table3", tmp_path, **common)
    assert [(row["model"], row["draw"]) for row in result.rows if row["set"] == "phantom"] == [
        ("fc", 1), ("fc", 2), ("autoencoder-rnn", 1),
    ]  # fmt: skip
    assert "autoencoder RNN-RNN (reduced, 1 draw only)" in result.text
    assert "over 2 draws" in result.text
    more = run_study("table3", tmp_path, slow_draws=5, **common)
    assert "autoencoder RNN-RNN (reduced) |" in more.text


def test_refused_experiments(small, tmp_path):
    with pytest.raises(nb.InputError, match="models names 'transformer'") as caught:
        run_study("table3", tmp_path, models="fc,transformer")
    assert caught.value.field == "models"
    with pytest.raises(nb.InputError, match="there is no such folder"):
        read_test_sets(tmp_path / "absent")


def test_the_table_gives_mean_and_spread():
    rows = [
        {"model": "fc", "set": "phantom", "mse_log10": value, "preset": "paper", "training_seconds": 10.0,
         "constant_mse_log10": 0.5, "voxels": 7}
        for value in (0.1, 0.2, 0.6)
    ]  # fmt: skip
    mean, deviation, draws = summarise(rows)["fc", "phantom"]
    assert (mean, draws) == (pytest.approx(0.3), 3)
    assert deviation == pytest.approx(np.sqrt(0.07))
    text = markdown_table("table3", rows)
    assert "0.3000 ± 0.2646 (3)" in text
    assert f"{PUBLISHED['table3']['fc'][0]:.4f}" in text
    assert "reduced" not in text


def test_results_are_plain_json(small, tmp_path):
    run_study("figure6", tmp_path, draws=1, models="fc", preset="reduced")
    content = json.loads((tmp_path / "draw_01" / "fc.json").read_text())
    assert content["rows"][0]["seed"] == 1


def test_an_experiment_on_the_command_line(small, tmp_path):
    words = ["experiment", "table2", "--draws", "1", "--models", "dictionary,fc", "--preset", "reduced", "-o"]
    done = CliRunner().invoke(blochnet, [*words, str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "Table 2: trained under one SplineNoise11 and one Spline5 schedule" in done.output
    assert (tmp_path / "table2.csv").is_file()
    refused = CliRunner().invoke(blochnet, [*words[:-1], "--data", str(tmp_path / "absent"), "--draws", "0", "-o", "x"])
    assert refused.exit_code == 2
    assert "draws is 0" in refused.output
