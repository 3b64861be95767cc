"""Masks, labels and maps as people have them: mirrored, of MATLAB, of bool, with axes of one.

nibabel and SciPy write them, and nibabel says where their voxels lie.
"""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy.io import savemat

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning
from napari_blochnet.evaluation.regions import read_regions

SCHEDULE = nb.Schedule(np.linspace(10, 60, 24), 12.0, 4.0, inversion_time=20.0)
SHAPE = (5, 4, 3)  # x, y, z
AFFINE = np.array([[-2.0, 0, 0, 8], [0, 2.0, 0, -6], [0, 0, 3.0, 10], [0, 0, 0, 1]])
INSIDE = np.zeros(SHAPE, np.uint8)
INSIDE[:2, 1:, 0] = 1


@pytest.fixture
def stack(tmp_path):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(*SHAPE, 24)) + 1j * rng.normal(size=(*SHAPE, 24))
    nib.save(nib.Nifti1Image(data.astype(np.complex64), AFFINE), tmp_path / "s.nii.gz")
    return tmp_path / "s.nii.gz"


def _mask(stack, file):
    return nb.read_fingerprints(stack, SCHEDULE, mask=file)


@pytest.mark.parametrize("code", ["RAS", "LAS", "RPS", "LPI", "ASR", "SRA"])
def test_a_mask_stored_in_other_directions_lies_where_its_affine_says(stack, tmp_path, code):
    image = nib.Nifti1Image(INSIDE, AFFINE)
    turned = image.as_reoriented(nib.orientations.axcodes2ornt(code))
    # to stored orientation `code`: nibabel keeps every voxel at its place in the scanner
    nib.save(turned, tmp_path / "m.nii.gz")
    read = _mask(stack, tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(read.mask, INSIDE.T.astype(bool))
    assert any("turned" in note for note in read.notes) == (not np.array_equal(turned.affine, AFFINE))


def test_a_mask_of_a_finer_grid_is_taken_from_the_nearest_voxels_and_told(stack, tmp_path):
    fine = AFFINE.copy()
    fine[:3, :3] /= 2
    fine[:3, 3] -= fine[:3, :3] @ [0.5, 0.5, 0.5]
    nib.save(nib.Nifti1Image(INSIDE.repeat(2, 0).repeat(2, 1).repeat(2, 2), fine), tmp_path / "m.nii.gz")
    read = _mask(stack, tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(read.mask, INSIDE.T.astype(bool))
    assert any("nearest voxel" in note for note in read.notes)


def test_a_mask_of_another_place_is_refused(stack, tmp_path):
    far = AFFINE.copy()
    far[0, 3] += 400
    nib.save(nib.Nifti1Image(INSIDE, far), tmp_path / "m.nii.gz")
    with pytest.raises(nb.InputError, match=r"m\.nii\.gz: lies elsewhere than s\.nii\.gz") as refused:
        _mask(stack, tmp_path / "m.nii.gz")
    assert refused.value.field == "mask"


def test_a_mask_of_bool_and_one_with_an_axis_of_one_are_read(stack, tmp_path):
    np.save(tmp_path / "m.npy", INSIDE.T.astype(bool))
    nib.save(nib.Nifti1Image(INSIDE[..., None], AFFINE), tmp_path / "m.nii.gz")
    for name in ("m.npy", "m.nii.gz"):
        np.testing.assert_array_equal(_mask(stack, tmp_path / name).mask, INSIDE.T.astype(bool))


def test_a_mask_of_matlab_lies_as_its_stack_does(tmp_path):
    cube = np.random.default_rng(1).normal(size=(4, 4, 3, 24))  # y, x, slice, time
    inside = np.zeros((4, 4, 3))
    inside[:, :2, 2] = 1
    savemat(tmp_path / "s.mat", {"data": cube})
    savemat(tmp_path / "m.mat", {"mask": inside})
    read = nb.read_fingerprints(tmp_path / "s.mat", SCHEDULE, mask=tmp_path / "m.mat")
    np.testing.assert_array_equal(read.mask, np.moveaxis(inside, -1, 0).astype(bool))
    np.testing.assert_array_equal(read.data[:, 2, 0, 1], cube[0, 1, 2])


def test_an_axis_of_one_before_time_is_dropped(stack, tmp_path):
    plain = nb.read_fingerprints(stack, SCHEDULE)
    data = np.asarray(nib.load(stack).dataobj)
    nib.save(nib.Nifti1Image(data[:, :, :, None], AFFINE), tmp_path / "five.nii.gz")
    np.testing.assert_array_equal(nb.read_fingerprints(tmp_path / "five.nii.gz", SCHEDULE).data, plain.data)


def test_maps_with_an_axis_of_one_and_one_of_other_directions_are_a_phantom(tmp_path):
    t1 = np.linspace(0.5, 2.0, 60).reshape(SHAPE)
    nib.save(nib.Nifti1Image(t1[..., None], AFFINE), tmp_path / "sub-1_T1map.nii.gz")
    turned = nib.Nifti1Image(t1 / 10, AFFINE).as_reoriented(nib.orientations.axcodes2ornt("ASR"))
    nib.save(turned, tmp_path / "sub-1_T2map.nii.gz")
    read = nb.read_phantom(tmp_path)
    np.testing.assert_allclose(read.t1, 1000 * t1.T, rtol=1e-5)
    np.testing.assert_allclose(read.t2, 100 * t1.T, rtol=1e-5)
    assert any("turned" in note for note in read.notes)


def test_labels_of_regions_lie_where_their_affine_says(tmp_path):
    stack = nb.FingerprintStack(np.ones((24, 3, 4, 5), np.complex64), SCHEDULE, affine=AFFINE, voxel_size=(3, 2, 2))
    labels = nib.Nifti1Image(INSIDE.astype(np.int16) * 7, AFFINE)
    nib.save(labels.as_reoriented(nib.orientations.axcodes2ornt("RPS")), tmp_path / "l.nii.gz")
    with pytest.warns(DataWarning, match="turned"):
        (region,) = read_regions(tmp_path / "l.nii.gz", stack.shape[1:], geometry=stack.geometry)
    assert region.name == "label 7"
    np.testing.assert_array_equal(region.mask, INSIDE.T.astype(bool))
