"""Phantoms as NumPy, MATLAB 7.3, raw shorts and four-dimensional memberships; and memberships that lie differently."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import scipy.io

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.recognise import is_phantom, what_is_in
from napari_blochnet.jobs.settings import PhantomSettings
from napari_blochnet.phantoms.formats.brainweb import brainweb_grid, read_volume

SHAPE = (4, 5, 3)  # (x, y, z)
AFFINE = np.array([[2.0, 0, 0, -5], [0, 2.0, 0, 7], [0, 0, 3.0, -40], [0, 0, 0, 1]])
GM = np.random.default_rng(0).uniform(0.5, 1, SHAPE).astype(np.float32)
T1 = np.resize([600.0, 900, 1400, 3000], SHAPE)
T2 = np.resize([60.0, 80, 110, 500], SHAPE)


def _nifti(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


@pytest.mark.parametrize("scale", [1.0, 255])
def test_memberships_along_the_fourth_axis(tmp_path, scale):
    shares = np.stack([1 - GM, 0 * GM, GM], axis=-1)
    stored = shares if scale == 1.0 else np.rint(255 * shares).astype(np.uint8)
    path = _nifti(tmp_path / "sub-1_probseg.nii.gz", stored)
    with pytest.raises(InputError, match=r"holds 3 volumes of 3 × 5 × 4 voxels .* tissue_order") as caught:
        nb.read_phantom(path)
    assert caught.value.field == "tissue_order"
    assert caught.value.field in PhantomSettings.model_fields
    told = nb.read_phantom(path, tissue_order="csf, -, gm")
    (tmp_path / "sub-1_probseg.json").write_text(json.dumps({"LabelMap": ["CSF", "BG", "GM"]}))
    for phantom in (told, nb.read_phantom(path), nb.read_phantom(tmp_path)):
        assert phantom.tissues == ("CSF", "grey matter")
        np.testing.assert_allclose(phantom.fractions["grey matter"], GM.T, atol=0.003)
        np.testing.assert_allclose(phantom.affine, AFFINE)
    for order, words in (("csf, gm", "names 2 tissues, and there are 3 volumes"), ("csf, gm, liver", "names 'liver'")):
        with pytest.raises(InputError, match=words):
            nb.read_phantom(path, tissue_order=order)


def test_memberships_of_numpy_with_tissues_first_or_last(tmp_path):
    shares = np.stack([GM.T, 1 - GM.T])
    for name, stored in (("first", shares), ("last", np.moveaxis(shares, 0, -1))):
        np.save(tmp_path / f"{name}.npy", stored)
        phantom = nb.read_phantom(tmp_path / f"{name}.npy", tissue_order="gm;wm", voxel_size=(3, 2, 2))
        np.testing.assert_array_equal(phantom.fractions["white matter"], 1 - GM.T)
        assert phantom.voxel_size == (3, 2, 2)


def test_volumes_of_numpy_by_tissue_and_labels(tmp_path):
    np.save(tmp_path / "gm.npy", GM.T)
    np.save(tmp_path / "wm.npy", 1 - GM.T)
    phantom = nb.read_phantom(tmp_path)
    np.testing.assert_array_equal(phantom.fractions["grey matter"], GM.T)
    labels = np.zeros((3, 4, 5), np.int64)
    labels[1], labels[2] = 3, 10
    np.save(tmp_path / "phantom_labels.npy", labels)
    np.savez(tmp_path / "head.npz", labels=labels, other=np.zeros(4))
    for source in (tmp_path / "phantom_labels.npy", tmp_path / "head.npz"):
        labelled = nb.read_phantom(source)
        assert labelled.tissues == ("white matter", "dura")
        np.testing.assert_array_equal(labelled.labels == 1, labels == 3)
    np.savez(tmp_path / "maps.npz", T1=T1.T, T2=T2.T, PD=np.ones(SHAPE[::-1]))
    np.testing.assert_allclose(nb.read_phantom(tmp_path / "maps.npz").t2, T2.T)


def test_objects_and_claims_in_numpy_files_are_refused(tmp_path):
    np.save(tmp_path / "T1.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "T2.npy", T2)
    with pytest.raises(InputError, match=r"^T1\.npy: cannot be read as a NumPy array \(it holds object, no numbers\)"):
        nb.read_phantom([tmp_path / "T1.npy", tmp_path / "T2.npy"])
    import io
    import zipfile

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1000, 1000, 1000)})
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("T1.npy", header.getvalue() + bytes(2**20))
    with pytest.raises(InputError, match=r"^bomb\.npz: .*claims 8,000,000,000 bytes"):
        nb.read_phantom(tmp_path / "bomb.npz")


def test_matlab_73_maps_and_labels_lie_as_those_of_version_5(tmp_path):
    maps = {"T1": T1.transpose(1, 0, 2), "T2": T2.transpose(1, 0, 2)}  # (y, x, z)
    scipy.io.savemat(tmp_path / "five.mat", maps)
    labels = np.zeros((4, 5, 3), np.uint8)
    labels[1:], labels[0, 0, 0] = 3, 10
    scipy.io.savemat(tmp_path / "labels.mat", {"brain": labels})
    for name, content in (("seven", maps), ("labels73", {"brain": labels})):
        with h5py.File(tmp_path / f"{name}.mat", "w", userblock_size=512) as file:
            for key, values in content.items():
                # MATLAB writes the axes in reverse
                file.create_dataset(key, data=values.T).attrs["MATLAB_class"] = np.bytes_("double")
        data = (tmp_path / f"{name}.mat").read_bytes()
        head = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
        (tmp_path / f"{name}.mat").write_bytes(head + data[128:])
    five, seven = (nb.read_phantom(tmp_path / f"{name}.mat") for name in ("five", "seven"))
    np.testing.assert_array_equal(seven.t1, five.t1)
    np.testing.assert_array_equal(seven.t1, maps["T1"].transpose(2, 0, 1))
    one, other = (nb.read_phantom(tmp_path / f"{name}.mat") for name in ("labels", "labels73"))
    np.testing.assert_array_equal(other.labels, one.labels)
    np.testing.assert_array_equal(other.labels == 1, labels.T == 3)


@pytest.fixture(scope="module")
def crisp() -> np.ndarray:
    shape, _ = brainweb_grid(91 * 109 * 91)
    labels = np.zeros(shape, np.uint8)
    labels[10:80, 20:90, 20:70] = np.random.default_rng(0).integers(0, 10, (70, 70, 50))
    return labels


@pytest.mark.parametrize("order", ["<u2", ">u2"])
@pytest.mark.parametrize("scaled", [True, False])
def test_raw_shorts_hold_labels(tmp_path, crisp, order, scaled):
    stored = np.rint(crisp * (4095 / 255)) if scaled else crisp
    if scaled:
        assert np.unique(stored).tolist() == [0, 16, 32, 48, 64, 80, 96, 112, 128, 145]
    path = tmp_path / "phantom_2.0mm_normal_crisp.raws.gz"
    path.write_bytes(gzip.compress(stored.astype(order).tobytes(), 1))
    np.testing.assert_array_equal(read_volume(path, labels=True).labels(), crisp)
    phantom = nb.read_phantom(path)
    white = 1 + phantom.tissues.index("white matter")
    np.testing.assert_array_equal(phantom.labels == white, crisp == 3)


def test_raw_shorts_that_are_no_labels(tmp_path, crisp):
    path = tmp_path / "phantom_2.0mm_normal_crisp.raws"
    path.write_bytes((crisp.astype("<u2") * 100 + 7).tobytes())
    with pytest.raises(InputError, match="holds numbers that are no labels"):
        nb.read_phantom(path)


def test_a_folder_of_raw_shorts_is_a_phantom_when_it_is_dropped(tmp_path, crisp):
    for name, label in (("gry", 2), ("wht", 3)):
        stored = np.where(crisp == label, 4095, 0).astype("<u2")
        (tmp_path / f"phantom_2.0mm_normal_{name}.raws.gz").write_bytes(gzip.compress(stored.tobytes(), 1))
    assert is_phantom(tmp_path)
    assert what_is_in([tmp_path]) == "phantom"
    assert what_is_in(sorted(tmp_path.iterdir())) == "phantom"
    phantom = nb.read_phantom(tmp_path)
    assert phantom.tissues == ("grey matter", "white matter")
    np.testing.assert_array_equal(phantom.labels == 2, crisp == 3)


def test_rates_and_minc_are_phantoms_when_dropped(tmp_path):
    (tmp_path / "maps").mkdir()
    _nifti(tmp_path / "maps" / "sub-1_R1map.nii.gz", (1 / T1).astype(np.float32))
    assert is_phantom(tmp_path / "maps")
    for names in (("T1_map.mat", "T2_map.mat"), ("t1.npy", "t2.npy", "pd.npy"), ("a_qT1.nii.gz", "a_qT2.nii.gz")):
        assert what_is_in([tmp_path / name for name in names]) == "phantom"
    for names in (("IXI002-T1.nii.gz", "IXI002-T2.nii.gz"), ("t1.npy", "scan.npy")):
        assert what_is_in([tmp_path / name for name in names]) is None
    (tmp_path / "skull").mkdir()
    (tmp_path / "skull" / "notes.raws").write_bytes(b"")
    assert not is_phantom(tmp_path / "skull")


def test_memberships_stored_mirrored_or_permuted_are_turned_and_said(tmp_path):
    mirrored = AFFINE.copy()
    mirrored[:3, 3] += mirrored[:3, 0] * (SHAPE[0] - 1)
    mirrored[:3, 0] *= -1
    _nifti(tmp_path / "sub-1_label-GM_probseg.nii.gz", GM)
    _nifti(tmp_path / "sub-1_label-WM_probseg.nii.gz", (1 - GM)[::-1], mirrored)
    csf = (0.1 * GM).transpose(1, 2, 0)
    _nifti(tmp_path / "sub-1_label-CSF_probseg.nii.gz", csf, AFFINE[:, [1, 2, 0, 3]])
    phantom = nb.read_phantom(tmp_path)
    turned = {name for note in phantom.notes if "turned to lie alike" in note for name in ("CSF", "GM", "WM")
              if note.startswith(f"sub-1_label-{name}")}  # fmt: skip
    assert turned == {"GM", "WM"}  # onto the first, CSF
    at = {tissue: _at(phantom, tissue, AFFINE @ [3, 1, 2, 1]) for tissue in phantom.tissues}
    gm = float(GM[3, 1, 2])
    assert at == pytest.approx({"CSF": 0.1 * gm, "grey matter": gm, "white matter": 1 - gm}, rel=1e-5)


def _at(phantom: nb.Phantom, tissue: str, place: np.ndarray) -> float:
    x, y, z = np.rint(np.linalg.solve(phantom.affine, place)[:3]).astype(int)
    return float(phantom.fractions[tissue][z, y, x])


def test_memberships_elsewhere_are_refused_and_nan_is_none(tmp_path):
    away = AFFINE.copy()
    away[0, 3] += 500
    _nifti(tmp_path / "gm.nii", GM)
    _nifti(tmp_path / "wm.nii", 1 - GM, away)
    with pytest.raises(InputError, match=r"^wm\.nii: lies elsewhere than gm\.nii"):
        nb.read_phantom(tmp_path)
    holes = (1 - GM).copy()
    holes[0, 0, 0] = np.nan
    _nifti(tmp_path / "wm.nii", holes)
    share = nb.read_phantom(tmp_path).fractions["white matter"]
    assert share[0, 0, 0] == 0
    np.testing.assert_array_equal(share[1:], (1 - GM).T[1:])


def test_a_segmentation_stored_mirrored_is_turned_with_its_maps(tmp_path):
    mirrored = AFFINE.copy()
    mirrored[:3, 3] += mirrored[:3, 1] * (SHAPE[1] - 1)
    mirrored[:3, 1] *= -1
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, :2] = 1
    _nifti(tmp_path / "a_T1map.nii", T1.astype(np.float32))
    _nifti(tmp_path / "a_T2map.nii", T2.astype(np.float32)[:, ::-1], mirrored)
    _nifti(tmp_path / "a_dseg.nii", labels[:, ::-1], mirrored)
    phantom = nb.read_phantom(tmp_path)
    np.testing.assert_array_equal(phantom.labels, labels.T)
    np.testing.assert_array_equal(phantom.t2, T2.T)
