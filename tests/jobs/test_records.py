"""Records: a result is made again, bit for bit, from its recipe, its Python and its commands."""

from __future__ import annotations

import shlex
import subprocess
import sys
import warnings

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning
from napari_blochnet.io.json_files import write_json
from napari_blochnet.jobs.history.recipes import read_recipe, run_recipe, write_results
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.operations.opening import make_schedule, open_fingerprints, open_phantom, synthetic_head
from napari_blochnet.jobs.records import as_recipe

COARSE = {"step": 0.2, "t1_range": (100.0, 5000.0)}


@pytest.fixture(scope="module")
def maps():
    head = synthetic_head(shape=(8, 24, 20), seed=3)
    schedule = make_schedule(kind="spline", length=60, seed=2, inversion_time=None)
    stack = nb.simulate(head, schedule, snr=25, seed=7, slices=(3, 5))
    return nb.reconstruct(stack, **COARSE)


def test_a_record_tells_the_whole_history(maps):
    record = maps.record
    assert record["settings"]["step"] == 0.2
    assert record["software"]["torch"]
    made_by = record["inputs"]["stack"]
    assert made_by["settings"]["snr"] == 25
    assert made_by["inputs"]["schedule"]["settings"]["seed"] == 2
    assert made_by["inputs"]["phantom"]["operation"] == "synthetic_head"


def test_the_recipe_makes_the_same_maps(maps, tmp_path):
    write_json(as_recipe(maps.record), tmp_path / "recipe.json")
    again = run_recipe(read_recipe(tmp_path / "recipe.json"))[-1]
    np.testing.assert_array_equal(again.t1, maps.t1)
    np.testing.assert_array_equal(again.t2, maps.t2)


def test_the_python_makes_the_same_maps(maps):
    names = {}
    exec(compile(as_python(maps.record), "<copied>", "exec"), names)
    np.testing.assert_array_equal(names["maps"].t1, maps.t1)
    np.testing.assert_array_equal(names["maps"].pd, maps.pd)


def test_the_commands_make_the_same_maps(maps, tmp_path):
    """T1 and T2 to the last bit; the truth went through seconds in a file, which moves a PD by a bit of float32."""
    from napari_blochnet.evaluation.maps_io import read_maps, write_maps

    for line in as_command(maps.record).splitlines():
        words = shlex.split(line)
        assert words[0] == "blochnet"
        subprocess.run([sys.executable, "-m", "napari_blochnet", *words[1:]], cwd=tmp_path, check=True)
    write_maps(maps, tmp_path / "expected")
    expected, again = read_maps(tmp_path / "expected"), read_maps(tmp_path / "maps")
    np.testing.assert_array_equal(again.t1, expected.t1)
    np.testing.assert_array_equal(again.t2, expected.t2)
    np.testing.assert_allclose(again.pd, expected.pd, rtol=5e-7)


def test_files_that_were_read_are_named_in_every_form(maps, tmp_path):
    recipe = as_recipe(maps.record)
    write_results(run_recipe(recipe), tmp_path / "first")
    schedule = make_schedule(kind="file", path=str(tmp_path / "first" / "schedule.csv"))
    stack = open_fingerprints(tmp_path / "first" / "stack.nii.gz", schedule)
    mapped = nb.reconstruct(stack, **COARSE)
    np.testing.assert_array_equal(mapped.t1, maps.t1)
    names = {}
    exec(compile(as_python(mapped.record), "<copied>", "exec"), names)
    np.testing.assert_array_equal(names["maps"].t1, maps.t1)
    for line in as_command(mapped.record).splitlines():
        subprocess.run([sys.executable, "-m", "napari_blochnet", *shlex.split(line)[1:]], cwd=tmp_path, check=True)
    assert (tmp_path / "maps").is_dir()
    truth = open_phantom(tmp_path / "first" / "phantom")
    comparison = nb.compare(truth[3:5], maps)
    assert comparison.record["inputs"]["truth"]["inputs"]["phantom"]["inputs"]["source"] == str(
        tmp_path / "first" / "phantom"
    )


def test_a_result_that_cannot_be_written_does_not_take_the_later_ones_along(maps, tmp_path, monkeypatch):
    from napari_blochnet.jobs.history import recipes

    results, write = run_recipe(as_recipe(maps.record)), recipes.write_or_keep
    assert len(results) == 4
    for refused in (["stack.nii.gz"], ["phantom", "stack.nii.gz"]):
        folder = tmp_path / str(len(refused))

        def full(function, path, refused=refused):
            if path.name in refused:
                raise nb.InputError(f"{path.name}: No space left on device; it was written to elsewhere")
            return write(function, path)

        monkeypatch.setattr(recipes, "write_or_keep", full)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            with pytest.raises(nb.InputError, match=r"stack.*elsewhere"):
                write_results(results, folder)
        assert [str(one.message).split(":")[0] for one in said if one.category is DataWarning] == refused[:-1]
        there = {path.name for path in folder.iterdir()}
        assert there == {"phantom", "schedule.csv", "maps"} - set(refused)


@pytest.mark.parametrize(
    ("dtype", "inverted", "kind"),
    [
        (np.float32, False, "real"),
        (np.float32, True, "magnitude"),
        (np.int16, False, "magnitude"),
        (np.complex64, True, "magnitude"),
        (np.complex64, False, "complex"),
    ],
)
def test_a_record_holds_what_the_numbers_were_taken_for(dtype, inverted, kind, tmp_path):
    data = np.random.default_rng(0).uniform(1, 9, (6, 2, 3, 4)).astype(dtype)
    np.save(tmp_path / "a.npy", data)
    schedule = nb.Schedule(np.full(6, 30.0), 12.0, 4.0, inversion_time=20.0 if inverted else None)
    stack = open_fingerprints(tmp_path / "a.npy", schedule)
    assert stack.kind == stack.record["settings"]["kind"] == kind
    again = run_recipe(as_recipe(stack.record))[-1]
    assert again.kind == kind
    np.testing.assert_array_equal(again.data, stack.data)
    # recipes of before leave it to the numbers
    before = stack.record | {"settings": stack.record["settings"] | {"kind": None}}
    assert run_recipe(as_recipe(before))[-1].kind == kind


def test_what_was_made_in_python_says_so(maps, tmp_path):
    by_hand = nb.Schedule(np.full(60, 30.0), 10.0, 3.0)
    head = synthetic_head(shape=(8, 24, 20), seed=3)
    mapped = nb.reconstruct(nb.simulate(head, by_hand, slices=(3, 4)), **COARSE)
    again = run_recipe(as_recipe(mapped.record))[-1]
    np.testing.assert_array_equal(again.t1, mapped.t1)
    with pytest.raises(nb.InputError, match="made in Python"):
        as_command(mapped.record)


@pytest.mark.parametrize(
    "content",
    [[], {"blochnet_recipe": 2, "steps": []}, {"name": "x"}],
)
def test_other_json_is_no_recipe(content, tmp_path):
    write_json(content, tmp_path / "other.json")
    with pytest.raises(nb.InputError, match=r"other\.json: found neither a recipe nor a record"):
        read_recipe(tmp_path / "other.json")


def test_a_recipe_with_an_unknown_step():
    with pytest.raises(nb.InputError, match=r"Step 1 of the recipe is 'os\.remove'"):
        run_recipe({"blochnet_recipe": 1, "steps": [{"operation": "os.remove", "settings": {}, "inputs": {}}]})
    with pytest.raises(nb.InputError, match="step 4 before it was run"):
        run_recipe({"blochnet_recipe": 1, "steps": [
            {"operation": "reconstruct", "settings": {}, "inputs": {"stack": {"step": 4}}}]})  # fmt: skip
