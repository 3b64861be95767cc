"""BIDS names of series: which files belong together, in which order, and what their sidecars say."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.io.bids_series import bids_series, join_series, sidecar_contrasts

AFFINE = np.array([[-1.5, 0.2, 0.0, 10.0], [0.1, 2.0, 0.3, -5.0], [0.0, 0.4, 3.0, 7.0], [0.0, 0.0, 0.0, 1.0]])


def _write(path, value, affine=AFFINE, dtype=np.int16, **said):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.full((4, 3, 2), value, dtype), affine), path)
    if said:
        path.with_name(path.name.removesuffix(".nii.gz") + ".json").write_text(json.dumps(said))


def test_series_are_told_by_their_names(tmp_path):
    for name in (
        "sub-1_inv-10_IRT1", "sub-1_inv-2_IRT1", "sub-1_inv-1_IRT1", "sub-1_run-1_echo-1_MESE",
        "sub-1_run-1_echo-2_MESE",
        "sub-1_run-2_echo-1_MESE", "sub-1_T1map", "sub-1_IRT1_mask", "sub-1_dseg", "sub-1_flip-2_inv-1_MP2RAGE",
        "sub-1_flip-1_inv-2_MP2RAGE", "sub-1_inv-1_part-mag_MPM",
    ):  # fmt: skip
        _write(tmp_path / "sub-1" / "anat" / f"{name}.nii.gz", 0)
    (tmp_path / "sub-1" / "anat" / "sub-1_inv-3_IRT1.json").write_text("{}")
    found = {name: [file.name for file in files] for name, files in bids_series(tmp_path / "sub-1").items()}
    assert found == {
        "sub-1_IRT1": [f"sub-1_inv-{number}_IRT1.nii.gz" for number in (1, 2, 10)],
        "sub-1_run-1_MESE": [f"sub-1_run-1_echo-{number}_MESE.nii.gz" for number in (1, 2)],
        "sub-1_run-2_MESE": ["sub-1_run-2_echo-1_MESE.nii.gz"],
        "sub-1_MP2RAGE": ["sub-1_flip-2_inv-1_MP2RAGE.nii.gz", "sub-1_flip-1_inv-2_MP2RAGE.nii.gz"],
        "sub-1_part-mag_MPM": ["sub-1_inv-1_part-mag_MPM.nii.gz"],
    }


def test_files_are_joined_with_what_their_sidecars_say_in_ms_and_degrees(tmp_path):
    files = [tmp_path / f"sub-1_inv-{number}_IRT1.nii.gz" for number in (1, 2, 3)]
    for number, file in enumerate(files):
        said = {"InversionTime": 0.05 * (number + 1), "RepetitionTime": 2.0, "FlipAngle": 90}
        _write(file, 7 + number, dtype=np.float32 if number else np.int16, **(said if number < 2 else {}))
    data, geometry = join_series("series", files)
    np.testing.assert_array_equal(data[:, 1, 2, 3], [7, 8, 9])
    np.testing.assert_allclose(geometry.affine, AFFINE, atol=1e-5)
    said = sidecar_contrasts(files)
    np.testing.assert_allclose(said["TI"], [50, 100, np.nan])
    np.testing.assert_allclose(said["TR"], [2000, 2000, np.nan])
    np.testing.assert_allclose(said["flip angle"], [90, 90, np.nan])
    assert "TE" not in said


@pytest.mark.parametrize(
    ("shape", "affine"), [((4, 3, 3), AFFINE), ((4, 3, 2), AFFINE @ np.diag([-1, 1, 1, 1])), ((4, 3, 2, 5), AFFINE)]
)
def test_files_that_do_not_lie_alike_are_refused(tmp_path, shape, affine):
    files = [tmp_path / f"sub-1_echo-{number}_MESE.nii.gz" for number in (1, 2)]
    _write(files[0], 1)
    nib.save(nib.Nifti1Image(np.zeros(shape, np.int16), affine), files[1])
    with pytest.raises(InputError, match=r"sub-1_echo-2_MESE\.nii\.gz: has another grid than sub-1_echo-1"):
        join_series("series", files)
