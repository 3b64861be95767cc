"""A recipe done to many stacks: names, tables, datasets, summaries, what fails and what is gone on with."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import subprocess
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import zarr
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.evaluation.maps_io import read_maps
from napari_blochnet.fingerprints.stack_files import write_fingerprints
from napari_blochnet.phantoms.write import write_phantom
from napari_blochnet.schedules.schedule_files import write_schedule
from studies import QUICK, SCHEDULE, edited, images, phantom, recipe, write_stack


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A recipe, and three stacks."""
    folder = tmp_path_factory.mktemp("made")
    return recipe(folder / "maps"), [write_stack(folder / f"sub-{name}_MRF.nii.gz", name) for name in (1, 2, 3)]


def rows_of(folder):
    with (folder / "summary.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def by_hand(stack, **settings):
    return nb.reconstruct(nb.read_fingerprints(stack), **{**QUICK, **settings})


def test_each_stack_gets_the_maps_that_it_gets_by_hand(made, tmp_path):
    json_beside, stacks = made
    said = []
    study = nb.run_on_stacks(json_beside, stacks, tmp_path, say=said.append)
    assert (study.done, study.before, study.failed) == (3, 0, {})
    assert len(list(tmp_path.rglob("*_T1map.nii.gz"))) == 3
    for number, stack in enumerate(stacks, start=1):
        found, known = read_maps(tmp_path / f"sub-{number}" / "anat"), by_hand(stack)
        for field in ("t1", "t2", "pd", "residual"):
            np.testing.assert_allclose(getattr(found, field), getattr(known, field), rtol=2e-7)
        # as a mapping of that one stack says it was made
        assert found.record["settings"] == known.record["settings"]
        assert found.record["inputs"]["stack"]["inputs"]["path"] == str(stack)
        rows = {row["parameter"]: row for row in rows_of(tmp_path) if row["subject"] == str(number)}
        assert float(rows["T1"]["mean"]) == pytest.approx(known.t1[known.mask].mean(), rel=1e-6)
        assert float(rows["T2"]["median"]) == pytest.approx(np.median(known.t2[known.mask]), rel=1e-6)
        assert float(rows["T2"]["sd"]) == pytest.approx(known.t2[known.mask].std(ddof=1), rel=1e-5)
        assert float(rows["PD"]["median_residual"]) == pytest.approx(np.median(known.residual[known.mask]), rel=1e-6)
        assert rows["T1"]["voxels"] == "48"
    described = json.loads((tmp_path / "dataset_description.json").read_text())
    assert described["DatasetType"] == "derivative"
    page = (tmp_path / "summary.html").read_text()
    assert "3 of 3 stacks were done." in page
    tables = {name: page.split(name)[1].split("</table>")[0] for name in ("Across stacks", "PD, all mapped voxels")}
    assert "T2" in tables["Across stacks"]
    assert "PD" not in tables["Across stacks"]
    assert "/ ms" not in tables["PD, all mapped voxels"]
    assert any("sub-2: 48 voxels mapped with dictionary" in line for line in said)


def test_bits_depend_on_no_engine(made, tmp_path):
    json_beside, stacks = made
    refined = edited(json_beside, tmp_path / "refined.json", estimator="universal", refine=True)
    for workers in (None, 2, 3):
        study = nb.run_on_stacks(refined, stacks, tmp_path / str(workers), workers=workers)
        assert study.failed == {}
    alone = images(tmp_path / "None")
    assert alone.keys() >= {f"sub-{number}/anat/sub-{number}_desc-se_T1map.nii.gz" for number in (1, 2, 3)}
    assert alone == images(tmp_path / "2") == images(tmp_path / "3")


def test_the_same_call_does_what_is_missing_and_nothing_twice(made, tmp_path):
    json_beside, stacks = made
    nb.run_on_stacks(json_beside, stacks[:2], tmp_path)
    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*_T1map.nii.gz")}
    study = nb.run_on_stacks(json_beside, stacks, tmp_path)
    assert (study.done, study.before) == (1, 2)
    assert {path: path.stat().st_mtime_ns for path in first} == first
    assert {row["name"] for row in rows_of(tmp_path)} == {"sub-1", "sub-2", "sub-3"}
    # a map that is gone, another setting
    next(iter(first)).unlink()
    assert nb.run_on_stacks(json_beside, stacks, tmp_path).done == 1
    other = edited(json_beside, tmp_path / "other.json", step=0.5)
    assert nb.run_on_stacks(other, stacks, tmp_path).done == 3


def test_a_study_that_grows_has_one_summary_and_another_recipe_is_not_in_it(made, tmp_path):
    json_beside, stacks = made
    nb.run_on_stacks(json_beside, stacks[:2], tmp_path)
    early = rows_of(tmp_path)
    study = nb.run_on_stacks(json_beside, stacks[2:], tmp_path)
    assert (study.done, study.before) == (1, 0)
    assert {row["name"] for row in study.rows} == {"sub-3"}
    rows = rows_of(tmp_path)
    assert [row["name"] for row in rows] == ["sub-3"] * 3 + ["sub-1"] * 3 + ["sub-2"] * 3
    assert rows[3:] == early
    assert "3 of 3 stacks were done." in (tmp_path / "summary.html").read_text()
    # maps that are gone, or by another recipe, are no part of it
    next(tmp_path.glob("sub-1/anat/*_T1map.nii.gz")).unlink()
    other = edited(json_beside, tmp_path / "other.json", step=0.5)
    nb.run_on_stacks(other, stacks[1:2], tmp_path)
    assert {row["name"] for row in rows_of(tmp_path)} == {"sub-2"}
    nb.run_on_stacks(json_beside, stacks[2:], tmp_path)
    assert {row["name"] for row in rows_of(tmp_path)} == {"sub-3"}


def test_another_stack_under_the_same_name_is_done_again(made, tmp_path):
    json_beside, stacks = made
    mine = tmp_path / stacks[0].name
    shutil.copy(stacks[0], mine)
    for ending in (".json", "_mask.nii.gz"):
        name = stacks[0].name.removesuffix(".nii.gz") + ending
        shutil.copy(stacks[0].with_name(name), tmp_path / name)
    nb.run_on_stacks(json_beside, [mine], tmp_path / "out")
    before = images(tmp_path / "out")
    write_stack(mine, 7)
    assert nb.run_on_stacks(json_beside, [mine], tmp_path / "out").done == 1
    assert images(tmp_path / "out") != before


def test_what_changed_beside_a_stack_or_inside_a_store_is_seen(made, tmp_path):
    mine = write_stack(tmp_path / "sub-1_MRF.nii", 1)
    rough = zarr.create_group(tmp_path / "sub-2_MRF.zarr", zarr_format=3)
    samples = nb.read_fingerprints(mine).data
    data = rough.create_array("data", shape=samples.shape, dtype=samples.dtype, chunks=samples.shape, compressors=None)
    data[:] = samples
    write_schedule(SCHEDULE, tmp_path / "schedule.csv")
    stacks, how = [mine, tmp_path / "sub-2_MRF.zarr"], {"schedule": str(tmp_path / "schedule.csv")}
    study = nb.run_on_stacks(made[0], stacks, tmp_path / "out", **how)
    assert study.failed == {}
    assert nb.run_on_stacks(made[0], stacks, tmp_path / "out", **how).before == 2
    before = images(tmp_path / "out")
    inside = nb.read_fingerprints(mine).mask
    inside[0, 0] = False
    nibabel.Nifti1Image(inside.transpose(2, 1, 0).astype(np.uint8), np.eye(4)).to_filename(
        tmp_path / "sub-1_MRF_mask.nii.gz"
    )
    data[:] = samples[:, :, :, ::-1]  # as many bytes, and nothing else of the store is written
    assert nb.run_on_stacks(made[0], stacks, tmp_path / "out", **how).done == 2
    after = images(tmp_path / "out")
    assert all(after[name] != before[name] for name in after if name.endswith("_T1map.nii.gz"))


def test_what_was_told_of_a_stack_stays_with_it(made, tmp_path):
    json_beside, stacks = made
    written = nb.read_fingerprints(stacks[0])
    other = replace(written, schedule=SCHEDULE.replace(inversion_efficiency=0.97))
    mine = tmp_path / "sub-1_MRF.nii"
    write_fingerprints(other, mine)
    write_schedule(SCHEDULE, tmp_path / "schedule.csv")
    (tmp_path / "study.csv").write_text("stack,schedule\nsub-1_MRF.nii,schedule.csv\n")
    for done in (1, 0):  # now, and when it is done already
        study = nb.run_on_stacks(json_beside, [tmp_path / "study.csv"], tmp_path / "out")
        assert study.done == done
        (told,) = study.notes["sub-1"]
        assert "it is read with" in told
        assert "sub-1: sub-1_MRF.nii was made with" in (tmp_path / "out" / "summary.html").read_text()


def test_a_stack_that_fails_stops_no_other_and_is_named_with_its_sentence(made, tmp_path):
    json_beside, stacks = made
    (tmp_path / "bad.nii.gz").write_bytes(b"nothing of NIfTI")
    line = ["run", str(json_beside), str(stacks[0]), str(tmp_path / "bad.nii.gz"), str(tmp_path / "none.npy"),
            str(stacks[2]), "--workers", "2", "-o", str(tmp_path / "out")]  # fmt: skip
    result = CliRunner().invoke(blochnet, line)
    assert result.exit_code == 2
    assert "2 stacks done; 2 failed." in result.stdout
    assert "2 stacks failed. sub-bad: bad.nii.gz" in result.stderr
    assert "sub-none: " in result.stderr
    assert len(list((tmp_path / "out").rglob("*_T1map.nii.gz"))) == 2
    failed = {row["name"]: row["failure"] for row in rows_of(tmp_path / "out") if row["failure"]}
    assert failed.keys() == {"sub-bad", "sub-none"}
    assert "2 of 4 stacks failed" in (tmp_path / "out" / "summary.html").read_text()


def test_a_table_names_stacks_subjects_and_what_is_their_own(tmp_path):
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    write_schedule(SCHEDULE, stacks / "schedule.csv")
    for number in (1, 2):
        stack = nb.simulate(phantom(number), SCHEDULE, snr=50.0, seed=number)
        np.save(stacks / f"scan {number}.npy", stack.data)
    mask = np.zeros((1, 6, 8), bool)
    mask[0, 2:4] = True
    np.save(stacks / "mask.npy", mask)
    labels = np.zeros((1, 6, 8), np.uint8)
    labels[0, 2], labels[0, 3] = 1, 2
    nibabel.Nifti1Image(labels.transpose(2, 1, 0), np.eye(4)).to_filename(stacks / "rois.nii.gz")
    (stacks / "rois.tsv").write_text("index\tname\n1\tputamen\n2\tthalamus\n")
    table = tmp_path / "stacks" / "study.csv"
    table.write_text(
        "stack,subject,session,schedule,mask,regions\n"
        "scan 1.npy,A,1,schedule.csv,mask.npy,rois.nii.gz\n"
        "scan 2.npy,sub-A,2,schedule.csv,,n/a\n"
    )
    study = nb.run_on_stacks(recipe(tmp_path / "maps"), [table], tmp_path / "out")
    assert study.failed == {}
    assert (tmp_path / "out" / "sub-A" / "ses-2" / "anat" / "sub-A_ses-2_T1map.nii.gz").is_file()
    rows = [row for row in rows_of(tmp_path / "out") if row["parameter"] == "T1"]
    found = {(row["session"], row["region"]): int(row["voxels"]) for row in rows}
    assert found == {("1", "all"): 16, ("1", "putamen"): 8, ("1", "thalamus"): 8, ("2", "all"): 48}
    known = read_maps(tmp_path / "out" / "sub-A" / "ses-1" / "anat")
    (mine,) = (row for row in rows if row["region"] == "thalamus")
    assert float(mine["mean"]) == pytest.approx(known.t1[labels == 2].mean(), rel=1e-6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stack,colour\na.npy,red\n", "has a column 'colour'; expected columns among stack, subject"),
        ("subject,session\n1,2\n", "has no column stack"),
        ("stack,subject\na.npy,1\nb.npy,1\n", "a.npy and b.npy are both sub-1"),
        ("stack,subject\na.npy,A B\n", "line 2: subject is 'A B'; expected letters and digits"),
        ("stack,saturation\na.npy,-3\n", "line 2: saturation is '-3'"),
        ("stack,session\na.npy,3\n", "line 2: gives a session and no subject"),
    ],
)
def test_a_table_that_says_nothing_is_refused_in_a_sentence(text, said, made, tmp_path):
    (tmp_path / "study.csv").write_text(text)
    with pytest.raises(InputError) as error:
        nb.run_on_stacks(made[0], [tmp_path / "study.csv"], tmp_path / "out")
    assert said in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_bids_dataset_gives_its_stacks_schedules_and_labels(made, tmp_path):
    (tmp_path / "bids").mkdir()
    (tmp_path / "bids" / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    write_schedule(SCHEDULE, tmp_path / "bids" / "schedule.csv")
    for subject, session in (("01", "1"), ("01", "2"), ("02", "1")):
        folder = tmp_path / "bids" / f"sub-{subject}" / f"ses-{session}" / "mrf"
        folder.mkdir(parents=True)
        start = f"sub-{subject}_ses-{session}"
        data = nb.simulate(phantom(int(subject) + int(session)), SCHEDULE, snr=50.0).data
        # magnitude and phase in two files are one stack
        for part, values in (("mag", np.abs(data)), ("phase", np.angle(data))):
            image = nibabel.Nifti1Image(values.transpose(3, 2, 1, 0).astype(np.float32), np.diag([2, 2, 3, 1]))
            image.to_filename(folder / f"{start}_part-{part}_MRF.nii.gz")
        if session == "1":
            labels = np.ones((8, 6, 1), np.uint8)
            nibabel.Nifti1Image(labels, np.diag([2, 2, 3, 1])).to_filename(folder / f"{start}_dseg.nii.gz")
    study = nb.run_on_stacks(made[0], [tmp_path / "bids"], tmp_path / "derivatives")
    assert study.failed == {}
    assert study.done == 3
    assert (tmp_path / "derivatives" / "sub-01" / "ses-2" / "anat" / "sub-01_ses-2_T2map.nii.gz").is_file()
    rows = rows_of(tmp_path / "derivatives")
    assert {row["name"] for row in rows if row["region"] == "label 1"} == {"sub-01_ses-1", "sub-02_ses-1"}
    assert all(abs(float(row["mean"]) / 1000 - 1) < 0.1 for row in rows if row["parameter"] == "T1")
    with pytest.raises(InputError, match="was not written by napari-blochnet and is not replaced"):
        nb.run_on_stacks(made[0], [tmp_path / "bids"], tmp_path / "bids")


def test_stacks_of_one_name_are_called_by_their_folders(made, tmp_path):
    for name in ("ann", "bob"):
        (tmp_path / name).mkdir()
        write_stack(tmp_path / name / "scan.nii.gz", 1)
    nb.run_on_stacks(made[0], [tmp_path / "ann" / "scan.nii.gz", tmp_path / "bob" / "scan.nii.gz"], tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").glob("sub-*")) == ["sub-annscan", "sub-bobscan"]
    with pytest.raises(InputError, match="would both be called"):
        nb.run_on_stacks(made[0], [made[1][0], made[1][0]], tmp_path / "twice")


def test_pure_voxels_of_a_phantom_are_its_tissues(made, tmp_path):
    head = nb.synthetic_phantom(shape=(8, 48, 40))[4:5]
    write_phantom(head, tmp_path / "head")
    write_fingerprints(nb.simulate(head, SCHEDULE, snr=50.0), tmp_path / "sub-1_MRF.nii")
    nb.run_on_stacks(made[0], [tmp_path / "sub-1_MRF.nii"], tmp_path / "out", regions=str(tmp_path / "head"))
    rows = [row for row in rows_of(tmp_path / "out") if row["parameter"] == "T1" and row["region"] != "all"]
    assert len(rows) > 1
    for row in rows:
        inside = head.pure_labels == head.tissues.index(row["region"]) + 1
        assert int(row["voxels"]) == inside.sum()
        assert float(row["median"]) == pytest.approx(np.median(head.t1[inside]), rel=0.15)  # steps of 25 %


def test_a_network_goes_once_to_the_workers_and_records_name_it_as_by_hand(tmp_path):
    fisp = nb.fisp_schedule()
    stack = nb.simulate(phantom(1), fisp, snr=50.0)
    write_fingerprints(stack, tmp_path / "sub-1_MRF.nii")
    nb.load_estimator("fc").save(tmp_path / "mine.safetensors")
    network = str(tmp_path / "mine.safetensors")
    nb.reconstruct_to(tmp_path / "maps", stack, network)
    study = nb.run_on_stacks(tmp_path / "maps" / "sub-01_T1map.json", [tmp_path / "sub-1_MRF.nii"], tmp_path / "out")
    assert study.failed == {}
    found, known = read_maps(tmp_path / "out" / "sub-1" / "anat"), read_maps(tmp_path / "maps")
    np.testing.assert_array_equal(found.t1, known.t1)
    assert found.estimator == known.estimator == "mine"
    assert found.record["settings"]["estimator"] == known.record["settings"]["estimator"] == network


def test_what_is_cancelled_is_gone_on_with(made, tmp_path):
    json_beside, stacks = made

    class AfterTheFirst:
        def is_set(self):
            return bool(list(tmp_path.rglob("*_T2map.json")))

    with pytest.raises(Cancelled):
        nb.run_on_stacks(json_beside, stacks, tmp_path / "out", cancelled=AfterTheFirst())
    assert {row["name"] for row in rows_of(tmp_path / "out")} == {"sub-1"}
    study = nb.run_on_stacks(json_beside, stacks, tmp_path / "out")
    assert (study.before, study.done) == (1, 2)


def test_a_full_disk_is_told_of_and_the_same_call_goes_on(made, tmp_path, monkeypatch):
    json_beside, stacks = made
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    try:
        filler = place / "other"
        nb.run_on_stacks(json_beside, stacks[:1], place / "out")
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"0" * 4096)
        line = ["run", str(json_beside), *map(str, stacks), "--workers", "2", "-o", str(place / "out")]
        result = CliRunner().invoke(blochnet, line)
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1
        assert "No space left on device" in result.stderr
        assert len(list((place / "out").rglob("*_T1map.nii.gz"))) == 1
        filler.unlink()
        study = nb.run_on_stacks(json_beside, stacks, place / "out")
        assert (study.before, study.done, study.failed) == (1, 2, {})
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_recipe_without_stacks_runs_on_an_engine_as_it_is(tmp_path):
    stack = write_stack(tmp_path / "stack.nii", 1)
    nb.reconstruct_to(tmp_path / "maps", nb.read_fingerprints(stack), **QUICK)
    record = json.loads((tmp_path / "maps" / "sub-01_T1map.json").read_text())["Record"]
    record["inputs"]["stack"] = {"operation": "open_fingerprints", "inputs": {"path": str(stack)}}
    (tmp_path / "recipe.json").write_text(json.dumps(record))
    line = ["run", str(tmp_path / "recipe.json"), "-o"]
    for out, words in (("here", []), ("engine", ["--workers", "2"])):
        result = CliRunner().invoke(blochnet, [*line, str(tmp_path / out), *words])
        assert result.exit_code == 0, result.stderr
    assert images(tmp_path / "here") == images(tmp_path / "engine")
    result = CliRunner().invoke(blochnet, [*line, str(tmp_path / "more"), "--regions", "x.nii"])
    assert (result.exit_code, "regions is given, and no stack" in result.stderr) == (2, True)
