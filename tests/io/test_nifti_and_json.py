"""Writing by renaming, and reading NIfTI and JSON with plain errors."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.io.atomic import existing_file, replacing
from napari_blochnet.io.json_files import read_json, write_json
from napari_blochnet.io.nifti import read_nifti, write_nifti


def test_a_crash_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    write_json({"blochnet_recipe": 1}, target)
    old = target.read_text()

    def crash() -> None:
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        crash()
    assert target.read_text() == old
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_good_end_leaves_the_new_file_readable_as_any_other(tmp_path: Path) -> None:
    target = tmp_path / "new" / "result.nii.gz"
    with replacing(target) as temporary:
        assert target.parent in temporary.parents
        assert temporary.name.endswith(".nii.gz")
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"new"
    umask = os.umask(0)
    os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~umask


def test_json_round_trip_and_mistakes(tmp_path: Path) -> None:
    content = {"a": [1, 2.5, None, "Ω"], "b": {"c": True}}
    write_json(content, tmp_path / "a.json")
    assert read_json(tmp_path / "a.json") == content
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json({"a": float("nan")}, tmp_path / "a.json")
    assert read_json(tmp_path / "a.json") == content
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(InputError, match=r"b\.json: found something that is not JSON"):
        read_json(tmp_path / "b.json")
    with pytest.raises(InputError, match="there is no such file"):
        existing_file(tmp_path / "c.json")


@pytest.mark.parametrize(
    ("levels", "lists"),
    [(200, 1), (201, 1), (20_000, 1), (1, 999_998), (1, 1_000_000)],
)
def test_what_is_written_can_be_read_again_or_is_not_written(tmp_path: Path, levels: int, lists: int) -> None:
    content: object = {"blochnet_recipe": ()}
    for _ in range(levels - 3):
        content = (content,)  # to JSON a list
    content = [content, *([[]] * (lists - 1))]
    target = tmp_path / "a.json"
    if levels <= 200 and lists < 1_000_000:
        write_json(content, target)
        assert len(read_json(target)) == lists
    else:
        with pytest.raises(InputError, match=r"a\.json: is not written, as it could not be read again: .*(deep|,000,)"):
            write_json(content, target)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.uint8, np.int16])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nifti_round_trip_keeps_axes_and_place(tmp_path: Path, dtype: type, ending: str) -> None:
    values = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5).astype(dtype)
    affine = np.array([[0, -2.0, 0, 5], [1.5, 0, 0, 6], [0, 0, 3.0, 7], [0, 0, 0, 1]])
    path = tmp_path / f"a{ending}"
    write_nifti(values, Geometry.from_affine(affine), path)
    again, geometry = read_nifti(path)
    np.testing.assert_array_equal(again, values)
    assert again.dtype == values.dtype
    np.testing.assert_allclose(geometry.affine, affine, atol=1e-6)
    # x is fastest on disk, as nibabel sees it
    assert nib.load(path).shape == (5, 4, 3, 2)


def test_uncompressed_nifti_stays_on_disk(tmp_path: Path) -> None:
    write_nifti(np.ones((2, 3, 4), np.float32), Geometry(), tmp_path / "a.nii")
    values, _ = read_nifti(tmp_path / "a.nii")
    assert isinstance(values.base, np.memmap) or isinstance(values, np.memmap)


def test_units_other_than_mm(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.ones((4, 3, 2), np.float32), np.diag([0.001, 0.002, 0.003, 1]))
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "a.nii")
    assert read_nifti(tmp_path / "a.nii")[1].voxel_size == pytest.approx((3.0, 2.0, 1.0))


def test_a_flat_image_gets_a_z_axis(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.ones((4, 3), np.float32), np.eye(4)), tmp_path / "a.nii")
    assert read_nifti(tmp_path / "a.nii")[0].shape == (1, 3, 4)


def test_damaged_nifti_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    write_nifti(np.ones((20, 30, 40), np.float32), Geometry(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000])
    with pytest.raises(InputError, match=r"a\.nii: cannot be read as NIfTI .*more than the file can hold"):
        read_nifti(path)
    path.write_text("text, not an image")
    with pytest.raises(InputError, match=r"a\.nii: cannot be read as NIfTI"):
        read_nifti(path)
    packed = tmp_path / "b.nii.gz"
    packed.write_bytes(gzip.compress(whole)[:-500])
    with pytest.raises(InputError, match=r"b\.nii\.gz: cannot be read as NIfTI"):
        read_nifti(packed)


def test_a_forged_size_is_refused_before_memory_is_set_aside(tmp_path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    header.set_data_dtype(np.float32)
    raw = header.binaryblock + b"\0" * 100
    (tmp_path / "a.nii").write_bytes(raw)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(raw))
    for name in ("a.nii", "a.nii.gz"):
        with pytest.raises(InputError, match="claims 108,000,000,000,000 bytes"):
            read_nifti(tmp_path / name)
