"""The undersampling experiment, small."""

from __future__ import annotations

import json

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.studies import undersampling
from napari_blochnet.studies.study_runs import run_study
from napari_blochnet.studies.undersampling import centred_slice

TRAIN = nb.Schedule(8 + 50 * np.abs(np.sin(np.linspace(0, 9, 150))), 12.0, 4.0, inversion_time=10.0, name="short")
SMALL = {"size": 32, "interleaves": 8, "coils": 3, "components": 4, "estimators": "universal,fc", "snr": 60.0}
SMALL["coverage"] = False


def test_a_slice_lies_in_the_middle():
    head = nb.synthetic_phantom((5, 20, 40))
    laid = centred_slice(head, 30)
    assert laid.shape == (1, 30, 30)
    np.testing.assert_array_equal(laid.t1[0, 5:25], head.t1[2, :, 5:35])
    assert not laid.mask[0, :5].any()
    assert not laid.mask[0, 25:].any()
    np.testing.assert_array_equal(laid.pure_labels[0, 5:25], head.pure_labels[2, :, 5:35])


def test_undersampling_scores_every_kind_of_images(tmp_path, monkeypatch):
    monkeypatch.setattr(undersampling, "fisp_schedule", lambda: TRAIN)
    monkeypatch.setattr(undersampling, "head_of", lambda data: nb.synthetic_phantom((6, 30, 26)))
    said = []
    result = run_study("undersampling", tmp_path, say=said.append, **SMALL)
    found = {(row["images"], row["estimator"]): row for row in result.rows if row["tissue"] == "all"}
    full, frames, coefficients = (found[images, "universal"] for images in ("full", "frames", "coefficients"))
    assert full["failed"] == 0
    assert full["t1_median_percent"] < 1.5
    for parameter in ("t1", "t2"):
        median = f"{parameter}_median_percent"
        assert full[median] < coefficients[median] < frames[median]
    # a network for another train is told of, and the rest goes on
    assert "schedule" in found["full", "fc"]["refused"]
    assert found["full", "fc"]["t1_median_percent"] is None
    assert {row["tissue"] for row in result.rows} > {"all", "white matter"}
    assert "## Aliased frames" in result.text
    assert len(said) == 3
    # what is finished is not computed again
    run_study("undersampling", tmp_path, say=said.append, **SMALL)
    assert len(said) == 3


def test_a_peer_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mrpro", None)
    monkeypatch.setattr(undersampling, "head_of", lambda data: pytest.fail("it is said before anything is computed"))
    with pytest.raises(nb.InputError, match="mrpro"):
        run_study("undersampling", tmp_path, peer=True, **{**SMALL, "estimators": "universal"})
    with pytest.raises(nb.InputError, match="No estimator"):
        run_study("undersampling", tmp_path, **{**SMALL, "estimators": " , "})


def test_coverage_is_of_intervals_that_are_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(undersampling, "fisp_schedule", lambda: TRAIN)
    monkeypatch.setattr(undersampling, "head_of", lambda data: nb.synthetic_phantom((6, 36, 32)))
    said = []
    given = SMALL | {"size": 48, "coverage": True, "estimators": "universal", "components": 6, "snr": 20.0}
    result = run_study("undersampling", tmp_path, say=said.append, **given)
    rows = [row for path in sorted(tmp_path.glob("coverage-*.json")) for row in json.loads(path.read_text())["rows"]]
    found = {(row["images"], row["estimator"]): row for row in rows}
    assert len(rows) == len(found) == 10
    full = found["full", "universal, refined"]
    assert full["voxels"] > 500
    for parameter in ("t1", "t2"):
        # three standard deviations of as many voxels are 3 %
        assert 92 <= full[f"{parameter}_own_percent"] <= 98
        for estimator in ("dictionary", "universal, refined"):
            compressed = found["compressed", estimator]
            assert 90 <= compressed[f"{parameter}_sharp_percent"] < 99.5
            # what resolution blurs is in no standard error
            assert compressed[f"{parameter}_own_percent"] < compressed[f"{parameter}_sharp_percent"] - 5
    # where no interval is shown a sentence says why
    assert "k-space was undersampled" in found["frames", "dictionary"]["why"]
    assert "low-rank prior" in found["prior", "universal, refined"]["why"]
    assert "with noise of SNR 10 or less, they hold" in found["plain", "universal, refined"]["why"]
    assert found["prior", "universal, refined"]["t1_own_percent"] is None
    assert "## Coverage of 95 % intervals" in result.text
    assert "low-rank prior, which errs inside" in result.text
    assert len(said) == 8
