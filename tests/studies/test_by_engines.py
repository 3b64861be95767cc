"""Experiments whose pieces an engine makes."""

from __future__ import annotations

import csv

import pytest
from click.testing import CliRunner

from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.errors import InputError
from napari_blochnet.studies import draw_tasks, loss_weights
from napari_blochnet.studies import draws as experiment_draws
from napari_blochnet.studies import paper as experiments
from napari_blochnet.studies.study_runs import run_study


@pytest.fixture
def small(monkeypatch):
    """Short schedules and few tissues in place of the published ones."""
    import numpy as np

    import napari_blochnet as nb
    from napari_blochnet.estimators.training.options import PRESETS
    from napari_blochnet.studies.draws import TestSet as Tissues

    t1 = np.exp(np.random.default_rng(2).uniform(np.log(300), np.log(3000), 40))
    for module in (experiments, draw_tasks, loss_weights):
        monkeypatch.setattr(module, "read_test_sets", lambda data: [Tissues("phantom", t1, 0.1 * t1)])
    monkeypatch.setattr(experiment_draws, "fisp_schedule", lambda: nb.spline_schedule(60, seed=99, inversion_time=0.0))
    monkeypatch.setattr(
        experiment_draws, "training_schedules",
        lambda name, seed: (nb.spline_schedule(60, seed=seed), nb.spline_schedule(60, seed=seed + 1)),
    )  # fmt: skip
    monkeypatch.setitem(PRESETS, "reduced", {"fingerprints": 300, "epochs": 1, "batch": 100})


def scores(result):
    return [(row["model"], row["draw"], row["set"], row["mse_log10"]) for row in result.rows]


def test_the_models_of_all_draws_are_made_side_by_side_with_the_same_scores(small, tmp_path):
    common = {"draws": 2, "models": "dictionary,fc,fc-adapted", "preset": "reduced"}
    alone, said = run_study("table3", tmp_path / "alone", **common), []
    both = run_study("table3", tmp_path / "both", **common, workers=2, say=said.append)
    assert [row[:3] for row in scores(both)] == [row[:3] for row in scores(alone)]
    # sums over other numbers of threads are rounded otherwise, and training carries that on
    assert [row[3] for row in scores(both)] == pytest.approx([row[3] for row in scores(alone)], rel=0.05)
    assert len(said) == 5
    # nothing is left to be made
    again = []
    run_study("table3", tmp_path / "both", **common, workers=2, say=again.append)
    assert again == []


def test_weights_of_the_loss_are_compared(small, tmp_path):
    result = run_study("weights", tmp_path, draws=1, weights=(0.0, 10.0), preset="reduced", workers=2)
    assert {row["decoder_weight"] for row in result.rows} == {0.0, 10.0}
    assert (tmp_path / "weight_10" / "draw_01" / "blochnet.safetensors").is_file()
    assert "| λ" in result.text
    with (tmp_path / "weights.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert rows[0]["mse_log10"] != rows[1]["mse_log10"]
    # with the weight of the paper it is what table3 makes
    paper = run_study("table3", tmp_path / "paper", draws=1, models="blochnet", preset="reduced")
    (mine,) = (row for row in result.rows if row["decoder_weight"] == 10.0)
    assert mine["mse_log10"] == pytest.approx(paper.rows[0]["mse_log10"], rel=0.05)


def test_an_experiment_of_one_piece_takes_no_workers(tmp_path):
    with pytest.raises(InputError, match="is one piece; expected no workers"):
        run_study("schedules", tmp_path, workers=2)
    result = CliRunner().invoke(blochnet, ["experiment", "schedules", "--workers", "2", "-o", str(tmp_path)])
    assert result.exit_code == 2
    assert "No such option" in result.output
