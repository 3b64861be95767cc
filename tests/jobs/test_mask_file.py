"""A mask file for reconstruction: one setting in Python, command, record, recipe and copied scripts."""

from __future__ import annotations

import json
import shutil

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner
from scipy.io import savemat

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.evaluation.maps_io import read_maps
from napari_blochnet.jobs.history.recipes import run_recipe
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.operations.opening import make_schedule, open_fingerprints
from napari_blochnet.jobs.operations.reconstruct import reconstruct
from napari_blochnet.jobs.records import as_recipe
from napari_blochnet.jobs.settings import ReconstructSettings

GRID = {"t1_range": (500.0, 1500.0), "t2_range": (50.0, 150.0), "step": 0.2}
AFFINE = np.array([[-2.0, 0, 0, 8], [0, 2.0, 0, -6], [0, 0, 3.0, 10], [0, 0, 0, 1]])
INSIDE = np.zeros((5, 4, 3), np.uint8)  # x, y, z
INSIDE[:2, 1:, 0] = 1
WANTED = INSIDE.T.astype(bool)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    schedule = nb.Schedule(np.linspace(10, 60, 24), 12.0, 4.0, inversion_time=20.0)
    nb.write_schedule(schedule, "s.csv")
    signal = np.asarray(nb.bloch_signal(schedule, [900.0], [90.0]))[0]
    nib.save(nib.Nifti1Image(np.broadcast_to(signal, (*INSIDE.shape, 24)).astype(np.complex64), AFFINE), "a.nii.gz")
    nib.save(nib.Nifti1Image(INSIDE, AFFINE), "mask.nii.gz")
    return tmp_path


@pytest.fixture
def stack(folder):
    return open_fingerprints("a.nii.gz", make_schedule(kind="file", path="s.csv"))


@pytest.mark.parametrize("given", ["argument", "setting"])
def test_in_python(stack, given):
    if given == "argument":
        maps = reconstruct(stack, "dictionary", "mask.nii.gz", device="cpu", **GRID)
    else:
        maps = nb.reconstruct(stack, "dictionary", mask="mask.nii.gz", device="cpu", **GRID)
    np.testing.assert_array_equal(maps.mask, WANTED)
    assert maps.record["settings"]["mask"] == "mask.nii.gz"
    assert "mask" not in maps.record["inputs"]
    # an array is one more mask beside the settings' own
    both = WANTED.copy()
    both[0, 1] = False
    settings = nb.reconstruct(stack, mask="mask.nii.gz", device="cpu", **GRID).record["settings"]
    assert settings["mask"] == "mask.nii.gz"
    part = reconstruct(stack, None, both, ReconstructSettings(**GRID, mask="mask.nii.gz"), device="cpu")
    np.testing.assert_array_equal(part.mask, WANTED & both)


def test_by_the_command_and_by_what_it_records(folder):
    words = ["reconstruct", "a.nii.gz", "--schedule", "s.csv", "--mask", "mask.nii.gz", "--step", "0.2", "-o", "out",
             "--t1-range", "500", "1500", "--t2-range", "50", "150", "--device", "cpu"]  # fmt: skip
    result = CliRunner().invoke(blochnet, words)
    assert result.exit_code == 0, result.output
    maps = read_maps("out")
    np.testing.assert_array_equal(maps.mask, WANTED)
    again = run_recipe(as_recipe(maps.record))[-1]
    np.testing.assert_array_equal(again.mask, WANTED)
    np.testing.assert_array_equal(again.t1, maps.t1)
    assert "--mask mask.nii.gz" in as_command(maps.record)
    script = as_python(maps.record)
    assert "mask='mask.nii.gz'" in script
    names: dict = {}
    exec(script, names)
    np.testing.assert_array_equal(names["maps"].mask, WANTED)


@pytest.mark.parametrize("code", ["LAS", "RPS", "SAL"])
def test_it_lies_where_its_affine_says(stack, code):
    turned = nib.Nifti1Image(INSIDE, AFFINE).as_reoriented(nib.orientations.axcodes2ornt(code))
    nib.save(turned, "turned.nii")
    with pytest.warns(DataWarning, match=r"turned\.nii is stored in other directions than the stack a"):
        maps = nb.reconstruct(stack, mask="turned.nii", device="cpu", **GRID)
    np.testing.assert_array_equal(maps.mask, WANTED)


def test_every_format_of_stacks_holds_masks(stack):
    np.save("mask.npy", WANTED)
    with_nan = np.where(WANTED, 0.5, np.nan)  # a probability, say
    np.savez("mask.npz", mask=with_nan)
    savemat("mask.mat", {"mask": INSIDE.transpose(1, 0, 2)[..., None]})  # y, x, z, 1
    for name in ("mask.npy", "mask.npz", "mask.mat"):
        np.testing.assert_array_equal(nb.reconstruct(stack, mask=name, device="cpu", **GRID).mask, WANTED, name)


def test_mistakes(stack):
    nib.save(nib.Nifti1Image(0 * INSIDE, AFFINE), "none.nii")
    np.save("other.npy", np.ones((2, 2, 2)))
    np.save("text.npy", np.full((3, 4, 5), "in"))
    shutil.copy("s.csv", "text.nii")
    for name, sentence in (
        ("none.nii", "No voxel to map"),
        ("other.npy", r"other\.npy: has shape \(2, 2, 2\); expected that of the stack a, \(3, 4, 5\)"),
        ("text.npy", r"text\.npy: holds <U2"),
        ("text.nii", r"text\.nii: cannot be read as NIfTI"),
        ("nowhere.nii", r"nowhere\.nii: there is no such file"),
    ):
        with pytest.raises(InputError, match=sentence) as caught:
            nb.reconstruct(stack, mask=name, device="cpu", **GRID)
        assert caught.value.field == "mask"


def test_recipes_of_earlier_versions_know_of_no_mask(stack):
    recipe = json.loads(json.dumps(as_recipe(nb.reconstruct(stack, device="cpu", **GRID).record)))
    del recipe["steps"][-1]["settings"]["mask"]
    assert run_recipe(recipe)[-1].mask.all()


def test_a_mask_without_a_zero_is_told_of(stack):
    nib.save(nib.Nifti1Image(np.where(INSIDE, 0.99, 0.004).astype(np.float32), AFFINE), "probability.nii.gz")
    with pytest.warns(DataWarning, match=r"No voxel of probability\.nii\.gz is 0, so that all are inside"):
        assert reconstruct(stack, "dictionary", "probability.nii.gz", device="cpu", **GRID).mask.all()
