"""NIfTI headers as other programs, and other people, leave them.

nibabel writes the files; what it would not write is put into their bytes.
"""

from __future__ import annotations

import gzip
import struct
import tracemalloc
import zlib

import nibabel as nib
import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.io.nifti import read_nifti, write_nifti

DATA = np.arange(4 * 3 * 2 * 5, dtype=np.float32).reshape(4, 3, 2, 5)  # x, y, z, time
SFORM = np.array([[-2.0, 0, 0, 8], [0, 1.5, 0.1, -6], [0, 0, 3.0, 10], [0, 0, 0, 1]])
QFORM = np.array([[0, -2.0, 0, 1], [1.5, 0, 0, 2], [0, 0, 3.0, 3], [0, 0, 0, 1]])


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_nifti_1_and_2_in_either_byte_order(tmp_path, kind, ending, order):
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.float32)
    nib.save(kind(DATA, SFORM, header), tmp_path / f"a{ending}")
    values, geometry = read_nifti(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(values, DATA.T)
    np.testing.assert_allclose(geometry.affine, SFORM, atol=1e-6)


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("named", ["hdr", "img"])
def test_a_pair_of_files_by_either_name(tmp_path, kind, ending, named):
    nib.save(kind(DATA, SFORM), tmp_path / f"a.img{ending}")
    values, geometry = read_nifti(tmp_path / f"a.{named}{ending}")
    np.testing.assert_array_equal(values, DATA.T)
    np.testing.assert_allclose(geometry.affine, SFORM, atol=1e-6)
    schedule = nb.Schedule(np.full(5, 10.0), 12.0, 4.0)
    assert nb.read_fingerprints(tmp_path / f"a.{named}{ending}", schedule).shape == (5, 2, 3, 4)


def test_half_a_pair_is_a_sentence(tmp_path):
    nib.save(nib.Nifti1Pair(DATA, SFORM), tmp_path / "a.img")
    (tmp_path / "a.hdr").unlink()
    with pytest.raises(InputError, match=r"a\.hdr: there is no such file"):
        read_nifti(tmp_path / "a.img")
    nib.save(nib.AnalyzeImage(DATA.astype(np.int16), SFORM), tmp_path / "b.img")
    with pytest.raises(InputError, match=r"b\.img: cannot be read as NIfTI \(its header does not say that it is NIfTI"):
        read_nifti(tmp_path / "b.img")


def _with(path, sform, qform=None):
    image = nib.Nifti1Image(DATA, np.diag([2.0, 1.5, 3.0, 1.0]))
    image.set_qform(qform, 1) if qform is not None else image.set_qform(None, 0)
    image.set_sform(np.eye(4), 1)
    nib.save(image, path)
    raw = bytearray(path.read_bytes())
    raw[280:328] = struct.pack("<12f", *np.ravel(sform[:3]))
    path.write_bytes(raw)
    return path


FLAT = np.array([[2.0, 0, 4.0, 0], [0, 1.5, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    "sform", [np.zeros((4, 4)), FLAT, np.full((4, 4), np.nan), np.diag([2.0, 0.0, 3.0, 1.0])],
    ids=["zeros", "flat", "NaN", "without y"],
)  # fmt: skip
def test_an_sform_of_no_use_falls_back_to_the_qform_and_to_the_voxel_size(tmp_path, sform):
    with pytest.warns(DataWarning, match=r"^a\.nii: the sform of its header is of no use .* taken from its qform"):
        _, geometry = read_nifti(_with(tmp_path / "a.nii", sform, QFORM))
    np.testing.assert_allclose(geometry.affine, QFORM, atol=1e-5)
    with pytest.warns(DataWarning, match=r"^b\.nii: the sform .* voxel size, 3 × 1\.5 × 2 mm"):
        _, geometry = read_nifti(_with(tmp_path / "b.nii", sform))
    assert geometry.voxel_size == pytest.approx((3.0, 1.5, 2.0))


def test_a_header_without_any_geometry_is_taken_as_1_mm_and_told(tmp_path):
    path = _with(tmp_path / "a.nii", np.zeros((4, 4)))
    raw = bytearray(path.read_bytes())
    raw[80:92] = bytes(12)  # pixdim
    path.write_bytes(raw)
    with pytest.warns(DataWarning, match=r"^a\.nii: the sform and voxel size of its header are of no use.* as 1 mm"):
        _, geometry = read_nifti(path)
    assert geometry.voxel_size == (1.0, 1.0, 1.0)
    schedule = nb.Schedule(np.full(5, 10.0), 12.0, 4.0)
    with pytest.warns(DataWarning):
        assert nb.read_fingerprints(path, schedule, voxel_size=(3, 2, 2)).voxel_size == (3.0, 2.0, 2.0)


def test_an_affine_that_is_flat_is_refused_in_python():
    with pytest.raises(InputError, match="affine sends all voxels into a plane") as caught:
        Geometry((1, 1, 1), FLAT)
    assert caught.value.field == "affine"


def _claiming(size, offset):
    """Return a NIfTI-1 header of one voxel with an extension that says it has ``size`` bytes."""
    header = nib.Nifti1Header()
    header.set_data_shape((1, 1, 1))
    raw = bytearray(header.binaryblock)
    raw[108:112] = struct.pack("<f", offset)
    raw[344:348] = b"n+1\0"
    return bytes(raw) + b"\1\0\0\0" + struct.pack("<ii", size, 6)


@pytest.mark.parametrize("size", [2**30, 2**31 - 16, 0, -16, 7], ids=str)
@pytest.mark.parametrize("offset", [400.0, 1.5e9, -1.0, float("nan"), float("inf")], ids=str)
def test_extensions_that_claim_too_much_are_refused_cheaply(tmp_path, size, offset):
    packer = zlib.compressobj(9, wbits=31)
    content = packer.compress(_claiming(size, offset))
    zeros = bytes(2**20)
    content += b"".join(packer.compress(zeros) for _ in range(64)) + packer.flush()
    (tmp_path / "a.nii.gz").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"^a\.nii\.gz: cannot be read as NIfTI"):
        read_nifti(tmp_path / "a.nii.gz")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20 * 2**20


def test_extensions_are_passed_over(tmp_path):
    image = nib.Nifti1Image(DATA, SFORM)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"a word " * 5000))
    nib.save(image, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_nifti(tmp_path / "a.nii.gz")[0], DATA.T)
    raw = gzip.decompress((tmp_path / "a.nii.gz").read_bytes())
    assert len(raw) > 35_000 + DATA.nbytes


def test_time_first_is_told_so(tmp_path):
    nib.save(nib.Nifti1Image(np.moveaxis(np.ones((4, 3, 2, 7), np.float32), -1, 0), SFORM), tmp_path / "a.nii.gz")
    with pytest.raises(
        InputError,
        match=r"^a\.nii\.gz: axis 0 of 7 × 4 × 3 × 2, as nibabel shows and counts it, is as long as .* and axis 3 is "
        r"not; expected \(x, y, z, time\)",
    ):
        nb.read_fingerprints(tmp_path / "a.nii.gz", nb.Schedule(np.full(7, 10.0), 12.0, 4.0))


@pytest.mark.parametrize(("pulses", "header"), [(2**15 - 1, 348), (2**15, 540)])
def test_a_train_longer_than_nifti_1_can_say_is_written_as_version_2(tmp_path, pulses, header):
    write_nifti(np.arange(pulses, dtype=np.float32).reshape(-1, 1, 1, 1), Geometry((3, 2, 1)), tmp_path / "a.nii")
    image = nib.load(tmp_path / "a.nii")
    assert int(image.header["sizeof_hdr"]) == header
    assert image.shape == (1, 1, 1, pulses)
    assert float(image.dataobj[0, 0, 0, -1]) == pulses - 1
    data, geometry = read_nifti(tmp_path / "a.nii")
    assert data.shape == (pulses, 1, 1, 1)
    assert geometry.voxel_size == (3, 2, 1)
