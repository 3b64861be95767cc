"""The benchmarks measure what they say they measure."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.benchmarks.benchmark_runs import run_benchmark
from napari_blochnet.benchmarks.mapping_speed import format_mapping
from napari_blochnet.benchmarks.measuring import markdown_table, peak_growth, timed
from napari_blochnet.cli.main import blochnet


def test_matching_is_compared_with_the_plain_searches():
    seen = []
    result = run_benchmark("matching", voxels=300, step=0.2, repeats=2, progress=lambda *what: seen.append(what))
    ours, plain, uncompressed = result.rows[0], result.rows[1], result.rows[-1]
    # the same atoms: the same errors as the plain search, and hardly others than without compression
    assert ours.t1_error == pytest.approx(plain.t1_error, rel=0.01)
    for error in ("t1_error", "t2_error"):
        assert getattr(ours, error) == pytest.approx(getattr(uncompressed, error), rel=0.05)
        # steps of 20 % leave a quarter of a step in the mean, more where noise adds to it
        assert 0.02 < getattr(ours, error) < 0.12
    assert (ours.repeats, plain.repeats) == (2, 2)
    assert uncompressed.times_faster == pytest.approx(uncompressed.milliseconds / ours.milliseconds)
    assert set(result.peak_mib) == {300, 3000}
    text = result.to_text()
    assert "951 atoms" in text
    assert text.count("\n|") == 2 + len(result.rows)
    assert seen[-1][0] == seen[-1][1]


def test_the_peak_memory_of_matching_is_that_of_a_block():
    # more than two blocks in both: what a block leaves while the next is made belongs to the peak
    result = run_benchmark("matching", voxels=9000, step=0.2, repeats=1)
    few, many = result.peak_mib.values()
    if few is None:
        pytest.skip("this system does not tell the peak memory")
    # 81,000 more voxels of 1000 complex numbers are 620 MiB, and all their scores with 951 atoms 290 MiB
    assert many - few < 60


def test_mapping_goes_through_reconstruct():
    rows = run_benchmark("mapping", voxels=(60, 90), estimators="fc, refined", repeats=1)
    assert [(row.estimator, row.voxels) for row in rows] == [("fc", 60), ("refined", 60), ("fc", 90), ("refined", 90)]
    for row in rows:
        assert row.microseconds == pytest.approx(1e6 * row.seconds / row.voxels)
        # at SNR 20 under FISP the bound of T2 is about 1 %
        assert row.t1_error < 0.02
        assert row.t2_error < 0.03
    assert len(format_mapping(rows).splitlines()) == 6


def test_training_counts_one_epoch_from_nothing(monkeypatch):
    from napari_blochnet.benchmarks import training_speed as module

    given = []
    train = module.train_estimator

    def small(architecture, schedule, preset="paper", **options):
        given.append((architecture, preset, options.get("fingerprints"), options["epochs"]))
        return train(architecture, schedule, preset, **{**options, "fingerprints": 100})

    monkeypatch.setattr(module, "train_estimator", small)
    result = run_benchmark("training", repeats=2, quick=False)
    # the first compiles; the published size is that of the preset, which nothing changes
    assert given == [("blochnet", "paper", 200, 1), ("blochnet", "paper", None, 1), ("blochnet", "paper", None, 1)]
    assert len(result.epoch_seconds) == 2
    assert min(result.epoch_seconds) > 0
    assert "run 2" in result.to_text()


@pytest.mark.parametrize("name", ["matching", "mapping", "training"])
def test_cancel(name):
    stop = threading.Event()
    stop.set()
    with pytest.raises(nb.Cancelled):
        run_benchmark(name, cancelled=stop)


def test_refusals():
    with pytest.raises(nb.InputError, match="estimators is 'fc,guess'; expected some of dictionary, fc"):
        run_benchmark("mapping", estimators="fc,guess")
    with pytest.raises(nb.InputError, match="voxels"):
        run_benchmark("mapping", voxels=(0, 10))
    with pytest.raises(nb.InputError, match="repeats"):
        run_benchmark("training", repeats=0)


def test_on_the_command_line():
    done = CliRunner().invoke(blochnet, ["--json", "benchmark", "mapping", "--voxels", "20", "30", "--estimators", "fc",
                                         "--repeats", "1"])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert [row["voxels"] for row in json.loads(done.output)["rows"]] == [20, 30]
    refused = CliRunner().invoke(blochnet, ["benchmark", "matching", "--step", "7"])
    assert refused.exit_code == 2
    assert "step is 7.0" in refused.output


def test_timing_takes_medians_in_turns():
    order = []
    quick, slow = timed([("a", lambda: order.append("a"), 3), ("b", lambda: order.append("b"), 1)])
    assert order == ["a", "b", "a", "a"]
    assert (quick.repeats, slow.repeats) == (3, 1)


def test_peak_memory_sees_what_a_call_takes():
    result, growth = peak_growth(lambda: float(np.ones(30 * 2**20 // 8).sum()))
    assert result == 30 * 2**20 / 8
    if growth is None:
        pytest.skip("this system does not tell the peak memory")
    assert 25 < growth < 60


def test_markdown():
    assert markdown_table(("a", "bb"), [("x", "1"), ("longer", "20")]).splitlines() == [
        "| a      | bb |", "| ------ | -: |", "| x      |  1 |", "| longer | 20 |"]  # fmt: skip
