"""Recipes for other stacks: what is done to one, without what is its own."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.maps_io import read_maps
from napari_blochnet.fingerprints.stack_files import write_fingerprints
from napari_blochnet.jobs.history.other_stacks import EACH, recipe_for_stacks
from napari_blochnet.jobs.history.recipes import absolute_files
from napari_blochnet.jobs.records import as_recipe
from napari_blochnet.phantoms.write import write_phantom

SCHEDULE = nb.Schedule(20 + 30 * np.sin(np.linspace(0, 6, 60)) ** 2, 12.0, 3.0, inversion_time=15.0)


@pytest.fixture(scope="module")
def stack():
    values = np.random.default_rng(0).uniform(0.8, 1.2, (3, 6, 8))
    return nb.simulate(nb.Phantom(t1=1000 * values, t2=80 * values, pd=values), SCHEDULE)


def template(result):
    return recipe_for_stacks(as_recipe(result.record))


def test_the_stack_is_replaced_and_the_rest_stays(stack):
    maps = nb.reconstruct(nb.cut_stack(stack, slices=(0, 2)), "universal", refine=True, threshold=0.01)
    found = template(maps)
    assert [step["operation"] for step in found.steps] == ["given", EACH, "cut_stack", "reconstruct"]
    assert found.steps[found.each]["inputs"] == {"schedule": {"step": 0}}
    assert found.steps[2]["settings"] == {"slices": [0, 2]}
    settings = found.steps[3]["settings"]
    assert (settings["estimator"], settings["refine"], settings["threshold"]) == ("universal", True, 0.01)
    assert (found.results, found.mapped, found.needs, found.notes) == ((3,), (3,), (), ())
    # as a file it is the same
    assert recipe_for_stacks(json.loads(json.dumps(found.recipe))) == found


def test_what_belongs_to_one_stack_is_left_out_and_told(stack):
    mask = np.zeros((3, 6, 8), bool)
    mask[1, 2:5, 2:6] = True
    found = template(nb.reconstruct(stack, step=0.5, mask=mask))
    assert "mask" not in found.steps[-1]["inputs"]
    assert len(found.notes) == 1
    assert "mask (painted) belongs to its own stack" in found.notes[0]
    found = template(nb.reconstruct(stack, step=0.5, slices=(1, 2), mask="otsu"))
    assert "slices" not in found.steps[-1]["settings"]
    assert found.steps[-1]["settings"]["mask"] == "otsu"
    assert "slices (1 to 2)" in found.notes[0]
    assert recipe_for_stacks(found.recipe) == found


def test_a_b1_map_is_asked_for_of_each_stack(stack, tmp_path):
    found = template(nb.reconstruct(stack, step=0.5, b1=np.full((3, 6, 8), 1.1)))
    assert found.needs == ("b1",)
    assert not found.notes
    assert found.steps[found.each]["needs"] == ["b1"]
    assert recipe_for_stacks(found.recipe) == found
    write_fingerprints(stack, tmp_path / "sub-1_MRF.nii")
    with pytest.raises(InputError, match="sub-1 has none; expected a table of stacks with a column b1"):
        nb.run_on_stacks(found.recipe, [tmp_path / "sub-1_MRF.nii"], tmp_path / "out")
    np.save(tmp_path / "field.npy", np.full((3, 6, 8), 1.1, np.float32))
    (tmp_path / "study.csv").write_text("stack,b1\nsub-1_MRF.nii,field.npy\n")
    assert nb.run_on_stacks(found.recipe, [tmp_path / "study.csv"], tmp_path / "out").failed == {}
    maps = read_maps(tmp_path / "out" / "sub-1" / "anat")
    known = nb.reconstruct(stack, step=0.5, b1=np.full((3, 6, 8), 1.1, np.float32))
    np.testing.assert_allclose(maps.t2, known.t2, rtol=2e-7)


def test_a_stack_that_was_made_in_python_is_replaced_too(stack, tmp_path):
    made = nb.FingerprintStack(np.asarray(stack.data), SCHEDULE, "complex")
    maps = nb.reconstruct(made, step=0.5)
    assert [step["operation"] for step in template(maps).steps] == [EACH, "reconstruct"]
    write_fingerprints(stack, tmp_path / "sub-1_MRF.nii")
    np.save(tmp_path / "bare.npy", stack.data)
    study = nb.run_on_stacks(maps.record, [tmp_path / "sub-1_MRF.nii", tmp_path / "bare.npy"], tmp_path / "out")
    assert study.done == 1
    assert "does not say what schedule made it" in study.failed["sub-bare"]


@pytest.mark.parametrize("make", [lambda stack: stack, lambda stack: nb.cut_stack(stack, slices=(0, 1))])
def test_a_history_that_maps_nothing_is_refused(stack, make):
    if make(stack) is stack:
        with pytest.raises(InputError, match="makes nothing from a stack"):
            template(stack)
    else:
        assert template(make(stack)).mapped == ()
    with pytest.raises(InputError, match="makes nothing from a stack"):
        recipe_for_stacks({"blochnet_recipe": 1, "steps": [{"operation": "synthetic_head"}]})


def test_comparisons_are_done_for_each_stack_too(stack, tmp_path):
    values = np.random.default_rng(0).uniform(0.8, 1.2, (3, 6, 8))
    truth = nb.Phantom(t1=1000 * values, t2=80 * values, pd=values)
    write_phantom(truth, tmp_path / "head")
    head = nb.read_phantom(tmp_path / "head")
    maps = nb.reconstruct(nb.simulate(head, SCHEDULE, snr=80.0), step=0.5)
    from napari_blochnet.jobs.operations.opening import open_phantom

    opened = open_phantom(tmp_path / "head")
    found = template(nb.compare(opened, nb.reconstruct(nb.simulate(opened, SCHEDULE, snr=80.0), step=0.5)))
    assert [found.steps[number]["operation"] for number in found.results] == ["compare"]
    write_fingerprints(nb.simulate(head, SCHEDULE, snr=20.0), tmp_path / "sub-1_MRF.nii")
    study = nb.run_on_stacks(found.recipe, [tmp_path / "sub-1_MRF.nii"], tmp_path / "out")
    assert study.failed == {}
    assert (tmp_path / "out" / "sub-1" / "anat" / "sub-1_comparison.html").is_file()
    assert maps.mask.all()


def test_a_recipe_for_other_stacks_says_that_it_needs_them(stack, tmp_path):
    found = template(nb.reconstruct(stack, step=0.5))
    (tmp_path / "recipe.json").write_text(json.dumps(found.recipe))
    result = CliRunner().invoke(blochnet, ["run", str(tmp_path / "recipe.json"), "-o", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "for other stacks, and none is named; expected blochnet run RECIPE STACK… -o FOLDER" in result.stderr


def test_a_basis_in_a_file_is_found_from_anywhere_and_watched(stack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = nb.compress(stack, components=5)
    np.save("basis.npy", small.basis)
    np.save("c.npy", small.data)
    from napari_blochnet.jobs.operations.opening import open_fingerprints

    maps = nb.reconstruct(open_fingerprints("c.npy", SCHEDULE, basis="basis.npy"), step=0.5)
    # of a recipe for other stacks that was saved, too
    recipe = template(maps).recipe
    study = nb.run_on_stacks(recipe, ["c.npy"], "out")
    assert (study.failed, study.done) == ({}, 1)
    np.testing.assert_array_equal(read_maps(tmp_path / "out" / "sub-c" / "anat").t1, maps.t1)
    assert nb.run_on_stacks(recipe, ["c.npy"], "out").before == 1
    # another basis makes other maps
    np.save("basis.npy", small.basis * np.float32([1, 1, 1, 1, 0.9]))
    assert nb.run_on_stacks(recipe, ["c.npy"], "out").done == 1
    assert absolute_files(recipe)["steps"][template(maps).each]["settings"]["basis"] == str(tmp_path / "basis.npy")
