"""Stacks in other formats on the command line: Zarr stores both ways, DICOM and BIDS folders to map."""

from __future__ import annotations

import contextlib

import nibabel as nib
import numpy as np
import pytest
import zarr
from click.testing import CliRunner

from napari_blochnet.cli import main


def blochnet(*words, cwd, code=0):
    with contextlib.chdir(cwd):
        done = CliRunner().invoke(main.blochnet, [*map(str, words)])
    assert done.exit_code == code, done.output
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A schedule, and one magnitude stack as NIfTI and as a Zarr store."""
    path = tmp_path_factory.mktemp("formats")
    blochnet("phantom", "--synthetic", "--shape", 4, 24, 20, "-o", "head", cwd=path)
    blochnet("schedule", "spline", "--length", 40, "-o", "mine.csv", cwd=path)
    for name in ("s.nii.gz", "s.zarr"):
        blochnet("simulate", "--phantom", "head", "--schedule", "mine.csv", "--slices", 1, 2, "--kind", "magnitude",
                 "-o", name, cwd=path)  # fmt: skip
    blochnet("reconstruct", "s.nii.gz", "--step", 0.1, "-o", "maps", cwd=path)
    return path


def _t1(folder, name="maps"):
    return np.asarray(nib.load(folder / name / "sub-01_T1map.nii.gz").dataobj)


def test_a_store_is_mapped_without_a_schedule_to_the_same_bits(folder):
    blochnet("reconstruct", "s.zarr", "--step", 0.1, "-o", "from-zarr", cwd=folder)
    np.testing.assert_array_equal(_t1(folder, "from-zarr"), _t1(folder))
    # and again, from the record of the maps
    blochnet("run", folder / "from-zarr" / "sub-01_T1map.json", "-o", "again", cwd=folder)
    np.testing.assert_array_equal(_t1(folder / "again"), _t1(folder))


def test_a_store_of_somebody_else_is_not_replaced(folder):
    zarr.open_group(folder / "theirs.zarr", mode="w").create_array("data", data=np.ones(3))
    done = blochnet("simulate", "--phantom", "head", "--schedule", "mine.csv", "--slices", 1, 2, "-o", "theirs.zarr",
                    cwd=folder, code=2)  # fmt: skip
    assert "was not written by napari-blochnet and is not replaced" in done.stderr
    np.testing.assert_array_equal(zarr.open_group(folder / "theirs.zarr", mode="r")["data"][:], 1)


def test_a_folder_of_dicom_images_is_mapped(folder, write_dicom):
    data = np.asarray(nib.load(folder / "s.nii.gz").dataobj).T[:, 0]
    scale = 60_000 / data.max()
    (folder / "images").mkdir()
    for pulse, frame in enumerate(data):
        for series in (3, 4):
            write_dicom(folder / "images" / f"{series}_{99 - pulse}", np.rint(frame * scale), SeriesNumber=series,
                        series=f"1.{series}", InstanceNumber=pulse)  # fmt: skip
    words = ("reconstruct", "images", "--step", 0.1, "-o", "from-dicom")
    # each sentence names what its own options answer
    done = blochnet(*words, "--schedule", "mine.csv", cwd=folder, code=2)
    assert "holds series 3 (magnitude), series 4 (magnitude)" in done.stderr
    assert "give variable" in done.stderr
    done = blochnet(*words, "--variable", 4, cwd=folder, code=2)
    assert "images: does not say what schedule made it" in done.stderr
    done = blochnet(*words, "--variable", 4, "--schedule", "mine.csv", cwd=folder)
    assert "Images are in the order of their acquisition." in done.stdout
    inside = _t1(folder) > 0
    near = np.abs(_t1(folder, "from-dicom")[inside] / _t1(folder)[inside] - 1) < 0.11  # one step of the dictionary
    assert near.mean() > 0.95


def test_a_bids_folder_is_mapped(folder):
    image = nib.load(folder / "s.nii.gz")
    (folder / "sub-9" / "anat").mkdir(parents=True)
    for pulse in range(40):
        volume = nib.Nifti1Image(np.asarray(image.dataobj[..., pulse]), image.affine)
        nib.save(volume, folder / "sub-9" / "anat" / f"sub-9_flip-{pulse + 1}_MRF.nii.gz")
    blochnet("reconstruct", "sub-9", "--schedule", "mine.csv", "--kind", "magnitude", "--step", 0.1, "-o", "from-bids",
             cwd=folder)  # fmt: skip
    np.testing.assert_array_equal(_t1(folder, "from-bids"), _t1(folder))
    np.testing.assert_array_equal(
        nib.load(folder / "from-bids" / "sub-01_T1map.nii.gz").affine,
        nib.load(folder / "maps/sub-01_T1map.nii.gz").affine,
    )
