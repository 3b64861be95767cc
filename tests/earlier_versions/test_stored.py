"""What people saved with version 0.1.0 (commit 8940060) opens, says the same, and makes the same again.

The files in ``stored/`` were written by that version, and ``expected.json`` was written by it, too: arrays as sha256 of
their bytes. `stored/README.md` says how each file was made.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import napari_blochnet as nb
from napari_blochnet.estimators.training.options import PRESETS
from napari_blochnet.evaluation.maps_io import read_maps
from napari_blochnet.jobs.history.recipes import read_recipe
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.records import as_recipe
from napari_blochnet.jobs.sessions import read_session

STORED = Path(__file__).parent / "stored"
EXPECTED = json.loads((STORED / "expected.json").read_text(encoding="utf-8"))["read"]
MAPS = ("t1", "t2", "pd", "residual", "mask", "failed", "phase", "t1_se", "t2_se", "converged", "b1")
FOLDERS = ("maps", "refined-b1", "universal", "network-maps")


def _check(found, expected, names=None):
    """Compare arrays of an object, by their bytes, with what the earlier version read."""
    names = [name for name, value in expected.items() if isinstance(value, dict) and "sha256" in value] + list(
        names or []
    )
    assert names
    for name in dict.fromkeys(names):
        values = getattr(found, name)
        if name not in expected:
            assert values is None, name
            continue
        assert (values.dtype.str, list(values.shape)) == (expected[name]["dtype"], expected[name]["shape"]), name
        digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
        assert digest == expected[name]["sha256"], name


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the stored files: records name their sources beside them."""
    copy = tmp_path / "stored"
    shutil.copytree(STORED, copy)
    monkeypatch.chdir(copy)
    return copy


def test_a_phantom(folder):
    read, expected = nb.read_phantom("small"), EXPECTED["small"]
    _check(read, expected)
    assert (read.describe(), list(read.notes)) == (expected["describe"], expected["notes"])
    for tissue, share in expected["fractions"].items():
        assert hashlib.sha256(np.ascontiguousarray(read.fractions[tissue]).tobytes()).hexdigest() == share["sha256"]
    assert read.record["settings"] == expected["record"]["settings"]


@pytest.mark.parametrize(("file", "entry"), [("schedule.csv",) * 2, ("stack.json", "stack.json as schedule")])
def test_a_schedule(folder, file, entry):
    read = nb.read_schedule(file)
    _check(read, EXPECTED[entry])
    assert read.describe() == EXPECTED[entry]["describe"]


@pytest.mark.parametrize("name", ["stack.nii.gz", "magnitude.nii", "real.nii.gz"])
def test_a_stack(folder, name):
    read, expected = nb.read_fingerprints(name), EXPECTED[name]
    _check(read, expected)
    for field in ("kind", "snr", "noise_sigma", "name"):
        assert getattr(read, field) == expected[field], field
    assert read.schedule.describe() == expected["schedule"]["describe"]
    np.testing.assert_array_equal(read.affine, expected["affine"])


@pytest.mark.parametrize("name", FOLDERS)
def test_maps(folder, name):
    read = read_maps(name)
    _check(read, EXPECTED[name], MAPS)
    assert read.estimator == EXPECTED[name]["estimator"]


@pytest.mark.parametrize("name", ["network.safetensors", "adapted.safetensors"])
def test_a_model(folder, name):
    loaded, expected = nb.load_estimator(name), EXPECTED[name]
    assert (loaded.name, loaded.description) == (expected["name"], expected["description"])
    weights = loaded.model.state_dict()
    assert weights.keys() == expected["weights"].keys()
    for key, value in weights.items():
        assert hashlib.sha256(value.detach().cpu().numpy().tobytes()).hexdigest() == expected["weights"][key]["sha256"]


@pytest.mark.parametrize("name", ["maps", "refined-b1", "network-maps"])
def test_what_is_copied_of_a_record(folder, name):
    record = read_maps(name).record
    assert as_recipe(record) == read_recipe(Path(f"recipe-{name}.json"))
    for words, ending in ((as_python, "py"), (as_command, "sh")):
        stored = Path(f"copied-{name}.{ending}.txt").read_text(encoding="utf-8")
        try:
            said = words(record)
        except nb.InputError as error:
            # what no command can say is said in the same sentence
            said = f"{error}\n"
        assert said == stored


@pytest.mark.parametrize("name", ["session", "session-simple"])
def test_a_session(folder, name):
    saved, expected = read_session(name), EXPECTED[name]
    assert [layer["name"] for layer in saved.state["layers"]] == expected["layers"]
    assert saved.state["pins"] == expected["pins"]
    assert len(saved.subjects) == len(expected["subjects"])
    for subject, known in zip(saved.subjects, expected["subjects"], strict=True):
        assert type(subject).__name__ == known["type"]
        _check(subject, known)


def _free_pd_of_its_scale(rows, scales):
    """Bring a stored table up to date in place: PD beside a truth was averaged in its own unit."""
    mean, sd = rows[0].index("mean"), rows[0].index("sd")
    known, percent = rows[0].index("truth"), rows[0].index("truth_percent")
    for row in rows[1:]:
        if row[rows[0].index("parameter")] == "PD" and row[0] in scales:
            row[mean], row[sd] = (str(float(row[column]) * scales[row[0]]) for column in (mean, sd))
            row[percent] = str(100 * (float(row[mean]) / float(row[known]) - 1))


def _leave_out_pd_scores(stored, again):
    """PD was scored with a scale for each model; what it is scored with now is the same for all models of a stack."""
    names = ("bias", "bias_percent", "median_percent", "mae", "mae_percent", "rmse", "mse_log10", "rmse_per_bound")
    for rows in (stored, again):
        for row in rows[1:]:
            if row[rows[0].index("parameter")] == "PD":
                for name in names:
                    row[rows[0].index(name)] = ""


def _leave_out_bounds_of_fitted_b1(stored, again, model):
    """The bound beside a fit of B1 was that of a known B1; an unknown more never makes it smaller."""
    header = stored[0]
    for old, new in zip(stored[1:], again[1:], strict=True):
        if old[header.index("model")] == model:
            place = header.index("bound")
            assert bool(old[place]) == bool(new[place])
            assert not old[place] or float(old[place]) <= float(new[place]) <= 1.1 * float(old[place])
            for row in (old, new):
                row[place] = row[header.index("rmse_per_bound")] = ""


def test_tables_of_stored_maps(folder):
    small, maps, universal = nb.read_phantom("small"), read_maps("maps"), read_maps("universal")
    tables = {
        "report.csv": nb.compare(small, [maps, universal]),
        "regions.csv": nb.region_means([maps, universal], "regions.nii.gz"),
        "spheres-means.csv": nb.region_means([maps], "spheres.csv", small, radius=1.5),
    }
    for name, table in tables.items():
        table.to_csv("again.csv")
        stored, again = (
            list(csv.reader(Path(file).read_text(encoding="utf-8").splitlines())) for file in (name, "again.csv")
        )
        assert [len(row) for row in again] == [len(row) for row in stored], name
        if name == "report.csv":
            # both were simulated in the truth's unit
            assert set(table.pd_scale.values()) == {1.0}
            _leave_out_pd_scores(stored, again)
            _leave_out_bounds_of_fitted_b1(stored, again, "universal, refined")
        if name == "spheres-means.csv":
            _free_pd_of_its_scale(stored, table.pd_scale)
        pairs = zip(itertools.chain(*stored), itertools.chain(*again), strict=True)
        for old, new in pairs:
            # earlier versions wrote an apostrophe where a cell is empty text
            old = "" if old == "'" else old
            # another processor's sums may end in another digit
            assert old == new or float(old) == pytest.approx(float(new), rel=1e-6), name


def _same_numbers(again, stored):
    """Whether maps computed again are those that were stored, to what another processor's rounding leaves."""
    for name in MAPS:
        old, new = getattr(stored, name), getattr(again, name)
        assert (old is None) == (new is None), name
        if old is not None:
            np.testing.assert_allclose(new, old, rtol=2e-3, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("record", "name"),
    [("maps/sub-01_T1map.json", "maps"), ("refined-b1/sub-01_T2map.json", "refined-b1"), ("recipe-maps.json", "maps"),
     ("universal/sub-01_T1map.json", "universal"), ("network-maps/sub-01_PDmap.json", "network-maps"),
     ("recipe-refined-b1.json", "refined-b1"), ("recipe-network-maps.json", "network-maps")],
)  # fmt: skip
def test_a_record_is_run_again(folder, record, name):
    command = [sys.executable, "-m", "napari_blochnet", "run", record, "-o", "again"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    again, stored = read_maps("again/maps"), read_maps(name)
    if name != "refined-b1":
        _same_numbers(again, stored)
        return
    # a fit with a B1 map starts under that field now: the same minimum, from another side
    inside = stored.mask
    np.testing.assert_array_equal(again.mask, inside)
    np.testing.assert_allclose(again.residual[inside], stored.residual[inside], rtol=1e-4)
    for key in ("t1", "t2"):
        moved = np.abs(getattr(again, key) - getattr(stored, key))[inside]
        assert (moved <= 0.1 * getattr(stored, f"{key}_se")[inside]).all(), key


def test_the_record_of_a_stack_is_run_again(folder):
    done = subprocess.run(
        [sys.executable, "-m", "napari_blochnet", "run", "stack.json", "-o", "again"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    again, stored = nb.read_fingerprints("again/stack.nii.gz"), nb.read_fingerprints("stack.nii.gz")
    np.testing.assert_allclose(again.data, stored.data, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(again.mask, stored.mask)


def test_a_training_that_was_stopped_goes_on(folder, monkeypatch):
    # a training goes on with as many threads as it began with
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setitem(PRESETS, "quick", PRESETS["quick"] | {"widths": (8, 8), "subspace": 6})
    known = json.loads((STORED / "expected.json").read_text(encoding="utf-8"))["replay"]["go on with stopped.training"]
    seen = set()
    trained = nb.train(
        "fc",
        nb.read_schedule("schedule.csv"),
        checkpoint="stopped.training",
        watch=lambda point: seen.add(point.epoch),
        fingerprints=4000,
        epochs=6,
        t1_range=(200.0, 4500.0),
        t2_range=(20.0, 2500.0),
        seed=5,
        device="cpu",
    )
    # the third epoch was complete; a point inside the fourth bears its number
    assert (min(seen) >= 3, max(seen)) == (True, 6)
    for key, value in trained.model.state_dict().items():
        assert float(value.abs().mean()) == pytest.approx(known["weights"][key]["mean"], rel=0.02, abs=1e-4), key
    trained.save("gone-on.safetensors")
    assert not Path("stopped.training").exists()
