"""Series of contrasts in folders: without a schedule as such, with one as fingerprints."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.stack_files import write_fingerprints
from napari_blochnet.schedules.generators import spline_schedule

SIZE = (6, 8)
PULSES = spline_schedule(length=5)


@pytest.fixture
def train(tmp_path, write_dicom):
    """Five images of a train of pulses, magnitude, written last pulse first."""
    folder = tmp_path / "train"
    folder.mkdir()
    for pulse in range(5):
        write_dicom(folder / f"{9 - pulse}", np.full(SIZE, pulse + 1), InstanceNumber=pulse, EchoTime=5 - pulse,
                    ImageType=["ORIGINAL", "PRIMARY", "M", "ND"])  # fmt: skip
    return folder


def test_a_folder_of_dicom_is_a_stack_where_a_schedule_is_given(train):
    stack = nb.read_fingerprints(train, PULSES)
    np.testing.assert_array_equal(stack.data[:, 0, 0, 0], [1, 2, 3, 4, 5])
    assert stack.kind == "magnitude"
    np.testing.assert_allclose(stack.voxel_size, (3.0, 2.0, 1.5))
    np.testing.assert_allclose(stack.affine @ [1, 1, 0, 1], [-1.5, -2, 0, 1])
    assert "Images are in the order of their acquisition." in stack.notes
    # one of its images is as good
    np.testing.assert_array_equal(nb.read_fingerprints(train / "7", PULSES).data, stack.data)
    with pytest.raises(InputError, match=r"train: holds 5 images of each slice, but the schedule .* has 4 pulses"):
        nb.read_fingerprints(train, spline_schedule(length=4))


def test_without_a_schedule_it_is_a_series_of_contrasts(train):
    with pytest.raises(
        InputError, match=r"train: does not say what schedule made it; give schedule .*nb.read_contrasts"
    ) as refused:
        nb.read_fingerprints(train)
    assert refused.value.field == "schedule"
    series = nb.read_contrasts(train)
    np.testing.assert_array_equal(series.data[:, 0, 0, 0], [5, 4, 3, 2, 1])
    np.testing.assert_array_equal(series.varied["TE"], [1, 2, 3, 4, 5])
    assert series.describe() == (
        "train: 5 contrasts × 1 × 6 × 8 voxels (z, y, x) of 3 × 2 × 1.5 mm, magnitude, TE 1 to 5 ms"
    )


def test_phases_alone_are_no_fingerprints(tmp_path, write_dicom):
    for pulse in range(5):
        write_dicom(tmp_path / f"{pulse}", np.full(SIZE, pulse), InstanceNumber=pulse, bits=12,
                    ImageType=["ORIGINAL", "PRIMARY", "P", "ND"])  # fmt: skip
    with pytest.raises(InputError, match="holds phase images only; expected the magnitude") as refused:
        nb.read_fingerprints(tmp_path, PULSES)
    assert refused.value.field == "variable"
    assert nb.read_contrasts(tmp_path).kind == "phase"


def _nifti(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.diag([1.5, 2.0, 3.0, 1.0])), path)


@pytest.fixture
def subject(tmp_path):
    """A BIDS folder with an inversion series of five, and its T1 map."""
    for number in range(1, 6):
        name = tmp_path / "sub-1" / "anat" / f"sub-1_inv-{number}_IRT1"
        _nifti(name.with_suffix(".nii.gz"), np.full((4, 3, 2), 10 * number - 25, np.float32))
        name.with_suffix(".json").write_text(json.dumps({"InversionTime": number / 10, "EchoTime": 0.002}))
    _nifti(tmp_path / "sub-1" / "anat" / "sub-1_T1map.nii.gz", np.ones((4, 3, 2), np.float32))
    return tmp_path / "sub-1"


def test_a_bids_series_is_joined_in_order(subject):
    series = nb.read_contrasts(subject)
    np.testing.assert_array_equal(series.data[:, 1, 2, 3], [-15, -5, 5, 15, 25])
    np.testing.assert_allclose(series.contrasts["TI"], [100, 200, 300, 400, 500])
    np.testing.assert_allclose(series.contrasts["TE"], 2)
    assert (series.kind, series.name) == ("real", "sub-1_IRT1")
    assert "TI varies: 100, 200, 300, 400, 500 ms." in series.notes
    stack = nb.read_fingerprints(subject / "anat", PULSES)
    np.testing.assert_array_equal(stack.data, series.data)
    np.testing.assert_allclose(stack.voxel_size, (3.0, 2.0, 1.5))
    assert any("5 files of sub-1_IRT1 were joined" in note for note in stack.notes)


def test_of_several_series_one_is_asked_for(subject):
    for number in (1, 2):
        _nifti(subject / "anat" / f"sub-1_echo-{number}_MESE.nii.gz", np.ones((4, 3, 2), np.float32))
    with pytest.raises(InputError, match=r"holds sub-1_MESE \(2 files\), sub-1_IRT1 \(5 files\)") as refused:
        nb.read_contrasts(subject)
    assert refused.value.field == "variable"
    assert len(nb.read_contrasts(subject, "sub-1_MESE").data) == 2
    assert nb.read_fingerprints(subject, PULSES, variable="sub-1_IRT1").shape == (5, 2, 3, 4)
    with pytest.raises(InputError, match="has no series 'T1'"):
        nb.read_contrasts(subject, "T1")


def test_a_folder_with_one_stack_is_that_stack_with_all_that_lies_beside_it(tmp_path):
    data = np.ones((5, 2, 3, 4), np.float32)
    data[:, 0, 0] = 0
    folder = tmp_path / "sub-1" / "anat"
    folder.mkdir(parents=True)
    write_fingerprints(nb.FingerprintStack(data, PULSES, name="mine"), folder / "sub-1_MRF.nii.gz")
    stack = nb.read_fingerprints(tmp_path / "sub-1")
    assert (stack.name, stack.schedule) == ("mine", PULSES)
    np.testing.assert_array_equal(stack.data, data)


def test_a_folder_of_something_else_is_one_sentence(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    for read in (nb.read_contrasts, lambda path: nb.read_fingerprints(path, PULSES)):
        with pytest.raises(
            InputError,
            match=r"holds no DICOM image of a slice and no series of NIfTI files .its files: 1 no DICOM file",
        ):
            read(tmp_path)
    with pytest.raises(InputError, match=r"notes\.txt: cannot tell the format from its ending; expected .*DICOM"):
        nb.read_fingerprints(tmp_path / "notes.txt", PULSES)


def test_a_folder_of_both_is_asked_about(train):
    _nifti(train / "sub-1_inv-1_IRT1.nii.gz", np.ones((4, 3, 2), np.float32))
    for read in (nb.read_contrasts, lambda path: nb.read_fingerprints(path, PULSES)):
        with pytest.raises(InputError, match=r"train: holds DICOM images and NIfTI files .sub-1_IRT1.*") as refused:
            read(train)
        assert refused.value.field == "variable"
    assert len(nb.read_contrasts(train, "0").data) == 5
    assert nb.read_contrasts(train, "sub-1_IRT1").data.shape == (1, 2, 3, 4)


def test_acquired_inversion_images_open_without_a_schedule(shared_data):
    series = nb.read_contrasts(shared_data / "dicom" / "T1" / "site1_20200218" / "plate5")
    assert series.data.shape == (6, 1, 192, 192)
    np.testing.assert_array_equal(series.varied["TR"], [1000, 1000, 1000, 1260, 1860, 2460])
    assert "6 series of one place that differ in TI and TR were joined." in series.notes


def test_frames_one_by_one_are_a_stack_in_the_order_of_their_numbers(tmp_path):
    """As SPM and others write series: one volume a file, ten after nine."""
    frames = np.random.default_rng(1).uniform(1, 2, (12, 2, 3, 4)).astype(np.float32)
    for number in range(12):
        image = nib.Nifti1Image(frames[number].T, np.diag([2.0, 2, 3, 1]))
        nib.save(image, tmp_path / f"img_{number + 1}.nii")
    nib.save(nib.Nifti1Image(np.ones((4, 3, 2), np.uint8), np.diag([2.0, 2, 3, 1])), tmp_path / "brain_mask.nii")
    schedule = spline_schedule(length=12, inversion_time=None)
    stack = nb.read_fingerprints(tmp_path, schedule)
    np.testing.assert_array_equal(stack.data, frames)
    assert stack.voxel_size == (3, 2, 2)
    assert any("12 files of img were joined, from img_1.nii to img_12.nii" in note for note in stack.notes)
    with pytest.raises(InputError, match=r"holds 12 images of each slice, but the schedule .* has 20 pulses"):
        nb.read_fingerprints(tmp_path, spline_schedule(length=20))
    # two files may be two runs
    for name in ("img_1.nii", "img_2.nii"):
        (tmp_path / "two").mkdir(exist_ok=True)
        (tmp_path / "two" / name).write_bytes((tmp_path / name).read_bytes())
    with pytest.raises(InputError, match=r"holds img_1 \(1 file\), img_2 \(1 file\); give variable"):
        nb.read_fingerprints(tmp_path / "two", schedule)


@pytest.mark.parametrize("below", ["", "sub-01", "sub-01/anat"])
def test_a_dataset_with_one_pair_of_parts_is_one_complex_stack(tmp_path, below):
    data = np.exp(1j * np.linspace(0, 3, 20))[:, None, None, None] * np.ones((20, 2, 3, 4))
    folder = tmp_path / "sub-01" / "anat"
    folder.mkdir(parents=True)
    (tmp_path / "README").write_text("a dataset")
    for part, values in (("mag", np.abs(data)), ("phase", np.angle(data))):
        nib.save(nib.Nifti1Image(values.T.astype(np.float32), np.eye(4)), folder / f"sub-01_part-{part}_MRF.nii.gz")
    stack = nb.read_fingerprints(tmp_path / below, spline_schedule(length=20))
    assert stack.kind == "complex"
    np.testing.assert_allclose(stack.data, data, atol=1e-6)


def test_a_dataset_of_several_subjects_says_what_to_name(tmp_path):
    for subject in ("sub-01", "sub-02"):
        (tmp_path / subject / "anat").mkdir(parents=True)
    with pytest.raises(InputError, match=r"a folder of one series \(of a BIDS dataset sub-…/anat\), or a file"):
        nb.read_fingerprints(tmp_path, spline_schedule(length=20))
