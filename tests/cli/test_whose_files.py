"""Commands leave other people's files alone, and say so before they work."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.evaluation.maps_io import write_maps
from napari_blochnet.phantoms.write import write_phantom


def digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}  # fmt: skip


def run(*words: object, code: int = 2) -> str:
    result = CliRunner().invoke(blochnet, [str(word) for word in words])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A scan, its schedule, and a reference map, B1 map and sidecars that other programs made."""
    schedule = nb.spline_schedule(length=30, inversion_time=20.0, seed=2)
    nb.write_schedule(schedule, tmp_path / "s.csv")
    data = np.asarray(nb.EPGDecoder(schedule)(np.full(6, 800.0), np.full(6, 70.0))).reshape(1, 2, 3, 30)
    affine = np.diag([2.0, 2.0, 4.0, 1.0])
    nib.save(nib.Nifti1Image(data.astype(np.complex64).transpose(2, 1, 0, 3), affine), tmp_path / "sub-01_mrf.nii.gz")
    for name, value in (("T1map", 0.8), ("TB1map", 0.95)):
        image = nib.Nifti1Image(np.full((3, 2, 1), value, np.float32), affine)
        nib.save(image, tmp_path / f"sub-01_{name}.nii.gz")
    (tmp_path / "sub-01_T1map.json").write_text('{"Units": "s", "EstimationAlgorithm": "inversion recovery"}')
    (tmp_path / "scan.json").write_text('{"EchoTime": 0.004, "scanner": "mine"}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


MAP = ("reconstruct", "sub-01_mrf.nii.gz", "--schedule", "s.csv", "--step", "0.3", "-o")


def test_maps_of_another_method_and_a_measured_b1_map_stay(folder, monkeypatch):
    before = digests(folder)
    # refused before anything is mapped
    monkeypatch.setattr("napari_blochnet.jobs.operations.reconstruct.reconstruct", None)
    said = run(*MAP, ".")
    assert "sub-01_T1map.nii.gz, sub-01_T1map.json" in said
    assert "another name or folder" in said
    said = run(*MAP[:-1], "--refine", "--b1", "sub-01_TB1map.nii.gz", "-o", ".")
    assert "sub-01_TB1map.nii.gz" in said
    assert digests(folder) == before


def test_a_b1_map_beside_is_neither_deleted_nor_taken_for_ours(folder):
    (folder / "sub-01_T1map.nii.gz").unlink()
    (folder / "sub-01_T1map.json").unlink()
    before = digests(folder)
    run(*MAP, ".", code=0)
    run(*MAP, ".", code=0)
    after = digests(folder)
    assert {name: after[name] for name in before} == before
    said = run(*MAP[:-1], "--refine", "--b1", "sub-01_TB1map.nii.gz", "-o", ".")
    assert "sub-01_TB1map.nii.gz" in said
    assert digests(folder) == after


def test_a_stack_does_not_replace_a_scanners_sidecar(folder):
    write_phantom(nb.synthetic_phantom(shape=(2, 12, 10)), folder / "p")
    before = digests(folder)
    said = run("simulate", "--phantom", "p", "--schedule", "s.csv", "-o", "scan.nii.gz")
    assert "scan.json" in said
    assert digests(folder) == before
    run("simulate", "--phantom", "p", "--schedule", "s.csv", "-o", "mine.nii.gz", code=0)
    run("simulate", "--phantom", "p", "--schedule", "s.csv", "-o", "mine.nii.gz", code=0)


def test_tables_of_spheres_and_of_tissues_are_not_replaced_by_reports(folder):
    truth = nb.synthetic_phantom(shape=(2, 12, 10))
    write_phantom(truth, folder / "p")
    stack = nb.simulate(truth, nb.spline_schedule(length=30, seed=2))
    write_maps(nb.reconstruct(stack, step=0.3), folder / "maps")
    (folder / "spheres.csv").write_text("sphere,x,y,z,radius\n1,5,6,1,2\n")
    (folder / "t.csv").write_text("tissue,t1_ms,t2_ms,pd\nwhite matter,800,70,0.7\n")
    before = digests(folder)
    assert "spheres.csv" in run("compare", "--regions", "spheres.csv", "maps", "-o", "spheres.html")
    assert "t.csv" in run("compare", "--truth", "p", "--tissues", "t.csv", "maps", "-o", "t.html")
    assert digests(folder) == before
    for _ in range(2):
        run("compare", "--regions", "spheres.csv", "maps", "-o", "r.html", code=0)
    assert digests(folder).keys() - before.keys() == {"r.html", "r.csv"}


def test_an_input_is_not_rewritten(folder):
    before = digests(folder)
    assert "s.csv" in run("schedule", "convert", "s.csv", "-o", "s.csv")
    assert digests(folder) == before


def test_recipes_and_models_look_before_they_work(folder, monkeypatch):
    monkeypatch.setattr("napari_blochnet.jobs.history.recipes.run_recipe", None)
    schedule = nb.spline_schedule(length=30)
    from napari_blochnet.jobs.operations.opening import make_schedule
    from napari_blochnet.jobs.records import as_recipe

    recipe = as_recipe(make_schedule(kind="fisp").record)
    (folder / "recipe.json").write_text(json.dumps(recipe))
    (folder / "out").mkdir()
    (folder / "out" / "schedule.csv").write_text("mine\n")
    assert "schedule.csv" in run("run", "recipe.json", "-o", "out")
    (folder / "net.json").write_text('{"layers": 3}')
    assert "net.json" in run("train", "--schedule", "s.csv", "-o", "net.safetensors")
    assert len(schedule) == 30


def test_a_mapping_that_does_not_fit_says_so(folder):
    schedule = nb.read_schedule(folder / "s.csv")
    nb.write_schedule(schedule.replace(flip_angle=np.rad2deg(schedule.flip_angle)), folder / "wrong.csv")
    said = run("reconstruct", "sub-01_mrf.nii.gz", "--schedule", "wrong.csv", "--step", "0.3", "-o", "o", code=0)
    assert "blochnet: note: The maps by dictionary leave most of the signal unexplained" in said
    assert "median residual" in said
    record = json.loads((folder / "o" / "sub-01_T1map.json").read_text())["Record"]
    assert "check the schedule" in record["misfit"]
    assert "unexplained" not in run(*MAP, "right", code=0)
