"""Opening phantoms of every kind, on real data, and mistakes as sentences."""

from __future__ import annotations

import gzip
import threading
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import scipy.io

from napari_blochnet.common.errors import Cancelled, DataWarning, InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.io.nifti import write_nifti
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.phantoms.read import read_phantom
from napari_blochnet.phantoms.write import write_phantom


def _warned(path: Path, **hints) -> tuple[Phantom, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        phantom = read_phantom(path, **hints)
    return phantom, [str(warning.message) for warning in caught if warning.category is DataWarning]


def test_fuzzy_volumes_of_mritc(shared_data: Path) -> None:
    phantom, warned = _warned(shared_data / "brainweb" / "mritc_2mm")
    assert phantom.shape == (91, 109, 91)
    assert phantom.voxel_size == (2.0, 2.0, 2.0)
    assert phantom.tissues == ("CSF", "grey matter", "white matter")
    # 245,417 voxels have any membership, 2,546 of them less than a half in all
    assert int(phantom.mask.sum()) == 245_417 - 2_546
    assert phantom.mask.sum(axis=(1, 2)).max() >= 4_500
    assert len(warned) == 1
    assert warned[0].startswith("mask.rawb.gz carries 41,590 bytes of garbage")
    assert any("mask.rawb.gz covers 229,786 voxels" in note for note in phantom.notes)
    assert phantom.t1.dtype == np.float32
    other, _ = _warned(shared_data / "brainweb" / "mritc_2mm", tissues="brainweb-1.5T")
    pure = phantom.pure_labels == 3
    assert pure.sum() > 10_000
    assert np.abs(other.t1[pure] - 500).max() < 25


def test_a_folder_without_brain_tissue_opens_with_what_is_there(shared_data: Path) -> None:
    phantom, warned = _warned(shared_data / "brainweb" / "subject20")
    assert phantom.shape == (362, 434, 362)
    assert phantom.tissues == ("fat", "muscle", "muscle/skin", "around fat", "dura", "marrow")
    assert "There is no csf, gm or wm volume in this folder." in phantom.notes
    assert any("background, skull and vessels" in note for note in phantom.notes)
    assert any("subject20_crisp_v.mnc.gz" in note for note in phantom.notes)
    # what is missing comes first; what six files lack around voxels that are all there is said once
    assert phantom.notes[0] == "There is no csf, gm or wm volume in this folder."
    assert warned == [
        "subject20_dura_v.mnc.gz and 5 other files: each lacks the last 4 bytes of its netCDF; all voxels are there "
        "and were read."
    ]
    assert int(phantom.mask.sum()) == 10_733_852
    assert phantom.fractions is not None
    assert all(share.dtype == np.float16 for share in phantom.fractions.values())


def test_crisp_minc(shared_data: Path) -> None:
    path = shared_data / "brainweb" / "subject20" / "subject20_crisp_v.mnc.gz"
    phantom, warned = _warned(path)
    assert warned == []
    assert phantom.tissues[:3] == ("CSF", "grey matter", "white matter")
    white = phantom.labels == 3
    assert white.sum() > 3_000_000
    assert set(np.unique(phantom.t1[white])) == {811.0}
    assert set(np.unique(phantom.t2[phantom.labels == 1])) == {512.0}


def test_crisp_labels_in_matlab_files(shared_data: Path) -> None:
    folder = shared_data / "brainweb" / "crisp"
    older, _ = _warned(folder / "MNIbrain.mat")
    stored = scipy.io.loadmat(folder / "MNIbrain.mat")["BRAIN"]
    assert older.shape == (180, 216, 180)
    # (x, y, z) in MATLAB: the brain lies in the upper half of z, the cerebellum behind
    np.testing.assert_array_equal(older.t1 == 811, (stored == 3).transpose(2, 1, 0))
    assert older.voxel_size == (1.0, 1.0, 1.0)
    slices, _ = _warned(folder / "brain2D.mat")
    axial = scipy.io.loadmat(folder / "brain2D.mat")["axial"]
    assert slices.shape == (1, 434, 362)
    np.testing.assert_array_equal(slices.t1[0] == 811, axial == 70)  # 3 · 255/11, rounded
    assert any("axial was opened" in note for note in slices.notes)
    assert _warned(folder / "brain2D.mat", variable="coronal")[0].shape == (362, 1, 362)
    assert _warned(folder / "brain2D.mat", variable="sagittal")[0].shape == (362, 434, 1)
    with pytest.raises(InputError, match="holds 2 MATLAB files"):
        read_phantom(folder)
    with pytest.raises(InputError, match="has no variable 'oblique'; it holds axial, coronal, sagittal"):
        read_phantom(folder / "brain2D.mat", variable="oblique")


def test_measured_maps_leave_out_voxels_without_t2(shared_data: Path) -> None:
    path = shared_data / "anatomical" / "brain_t1_t2_pd_128.mat"
    phantom, warned = _warned(path)
    content = scipy.io.loadmat(path)
    t1, t2, pd = (content[f"{name}_128"] for name in ("T1", "T2", "PD"))
    assert int(((t1 > 0) & (t2 == 0)).sum()) == 15
    np.testing.assert_array_equal(phantom.mask[0], (t1 > 0) & (t2 > 0) & (pd > 0))
    np.testing.assert_array_equal(phantom.t1[0][phantom.mask[0]], t1[phantom.mask[0]])
    assert len(warned) == 1
    assert "90 voxels were left out of the mask: 15 with T2 = 0, 88 with PD = 0" in warned[0]
    assert any("15 with T2 = 0" in note for note in phantom.notes)
    assert any("voxel size" in note for note in phantom.notes)


def _memberships(folder: Path, **volumes: np.ndarray) -> Path:
    folder.mkdir()
    for name, values in volumes.items():
        (folder / f"{name}.rawb").write_bytes(np.asarray(values, np.uint8).tobytes())
    return folder


def test_own_tissues_and_own_grid(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("tissue,t1_ms,t2_ms,pd\ntumour,2000,150,1\nwm,800,80,0.7\n")
    folder = _memberships(tmp_path / "head", tumour=np.full((2, 3, 4), 255), wm=np.zeros((2, 3, 4)))
    phantom = read_phantom(folder, tissues=table, shape=(2, 3, 4), voxel_size=(3.0, 2.0, 1.0))
    assert phantom.tissues == ("tumour", "white matter")
    assert (phantom.t1 == 2000).all()
    assert phantom.voxel_size == (3.0, 2.0, 1.0)


def test_some_files_of_a_folder_by_name(shared_data: Path) -> None:
    folder = shared_data / "brainweb" / "mritc_2mm"
    phantom = read_phantom([folder / "gm.rawb.gz", folder / "wm.rawb.gz"])
    assert phantom.tissues == ("grey matter", "white matter")
    assert "There is no csf volume among these files." in phantom.notes
    single = read_phantom(folder / "wm.rawb.gz")
    assert single.tissues == ("white matter",)


def test_nifti_memberships(tmp_path: Path) -> None:
    share = np.random.default_rng(0).uniform(0.5, 1, (3, 4, 5)).astype(np.float32)
    geometry = Geometry((3.0, 2.0, 1.0))
    write_nifti(share, geometry, tmp_path / "sub-1_label-GM_probseg.nii.gz")
    write_nifti(np.rint(255 * (1 - share)).astype(np.uint8), geometry, tmp_path / "sub-1_label-WM_probseg.nii.gz")
    phantom = read_phantom(tmp_path)
    assert phantom.tissues == ("grey matter", "white matter")
    np.testing.assert_allclose(phantom.fractions["grey matter"], share)
    np.testing.assert_allclose(phantom.fractions["white matter"], 1 - share, atol=0.002)
    assert phantom.voxel_size == (3.0, 2.0, 1.0)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("gm.rawb", b"\0" * 100, r"gm\.rawb: holds 100 bytes; expected a BrainWeb grid"),
        ("gm.mnc", b"a text file", r"gm\.mnc: does not begin as a netCDF file does"),
        ("gm.nii", b"a text file", r"gm\.nii: cannot be read as NIfTI"),
        ("maps.mat", b"a text file", r"maps\.mat: cannot be read as a MATLAB file"),
        ("notes.txt", b"a text file", r"holds nothing that is understood as a phantom \(found notes\.txt\)"),
        ("notes.mnc", b"a text file", r"^notes\.mnc: does not begin as a netCDF file does"),
        ("liver.rawb", b"\0" * 100, r"^liver\.rawb: holds 100 bytes; expected a BrainWeb grid"),
        ("liver.rawb", b"\0" * 902_629, r"the name liver\.rawb says no tissue; expected names such as gm\.rawb"),
        ("skull.rawb", b"\0" * 100, r"skull\.rawb holds tissue without signal; expected at least one"),
    ],
)
def test_files_that_are_no_phantom(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(InputError, match=sentence) as caught:
            read_phantom(path)
        assert "\n" not in str(caught.value)


def test_empty_folder_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it holds no file"):
        read_phantom(tmp_path)
    with pytest.raises(InputError, match="there is no such file or folder"):
        read_phantom(tmp_path / "nowhere")
    with pytest.raises(InputError, match="path holds no file"):
        read_phantom([])


def test_volumes_on_different_grids(tmp_path: Path) -> None:
    folder = _memberships(tmp_path / "a", gm=np.zeros((91, 109, 91)), wm=np.zeros((181, 217, 181)))
    with pytest.raises(InputError, match=r"wm\.rawb: has 181 × 217 × 181 voxels .* expected 91 × 109 × 91, as in gm"):
        read_phantom(folder)


def test_two_volumes_of_one_tissue(tmp_path: Path) -> None:
    folder = _memberships(tmp_path / "a", gm=np.zeros((91, 109, 91)), gry=np.zeros((91, 109, 91)))
    with pytest.raises(InputError, match=r"gm\.rawb, gry\.rawb all hold the membership of grey matter"):
        read_phantom(folder)


def test_empty_memberships(tmp_path: Path) -> None:
    folder = _memberships(tmp_path / "a", gm=np.zeros((91, 109, 91)))
    with pytest.raises(InputError, match=r"in no voxel do the memberships sum to 0\.5"):
        read_phantom(folder)


def test_cancel(shared_data: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        read_phantom(shared_data / "brainweb" / "mritc_2mm" / "gm.rawb.gz", cancelled=cancelled)


def _maps(folder: Path, name: str = "sub-1", **maps: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    for suffix, values in maps.items():
        write_nifti(np.asarray(values, np.float32), Geometry((3.0, 2.0, 1.0)), folder / f"{name}_{suffix}.nii.gz")
    return folder


_T1 = np.full((2, 3, 4), 1.5)
_T2 = np.full((2, 3, 4), 0.08)


def test_bids_maps_in_seconds_and_others_in_ms(tmp_path: Path) -> None:
    for folder, factor in (("s", 1.0), ("ms", 1000.0)):
        phantom = read_phantom(_maps(tmp_path / folder, T1map=_T1 * factor, T2map=_T2 * factor))
        np.testing.assert_allclose(phantom.t1, 1500.0)
        np.testing.assert_allclose(phantom.t2, 80.0, rtol=1e-6)
        np.testing.assert_array_equal(phantom.pd, 1.0)
        assert "There is no PD map; PD is 1 in every voxel." in phantom.notes
        assert any(f"means {folder}." in note for note in phantom.notes)


def test_a_stated_unit_that_cannot_be(tmp_path: Path) -> None:
    folder = _maps(tmp_path / "a", T1map=_T1, T2map=_T2)
    (folder / "sub-1_T1map.json").write_text('{"Units": "ms"}')
    with pytest.raises(InputError, match=r"sub-1_T1map\.nii\.gz: states T1 in ms, but its median is 1\.5"):
        read_phantom(folder)
    (folder / "sub-1_T1map.json").write_text('{"Units": "furlong"}')
    with pytest.raises(InputError, match=r"sub-1_T1map\.nii\.gz: states the unit 'furlong'"):
        read_phantom(folder)


def _with(values: np.ndarray, value: float) -> np.ndarray:
    changed = values.copy()
    changed[1, 2, 3] = value
    return changed


def test_no_value_above_0(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^sub-1_T1map\.nii\.gz: the T1 map holds no value above 0") as caught:
        read_phantom(_maps(tmp_path / "a", T1map=0 * _T1, T2map=0 * _T2))
    assert caught.value.field == "t1"


def test_nan_outside_the_object_is_background(tmp_path: Path) -> None:
    phantom = read_phantom(_maps(tmp_path / "a", T1map=_with(_T1, np.nan), T2map=_with(_T2, np.nan)))
    assert not phantom.mask[1, 2, 3]
    assert phantom.mask.sum() == 23
    assert phantom.t1[1, 2, 3] == 0


def test_t2_of_zero_is_left_out_with_a_warning_inside_a_label_too(tmp_path: Path) -> None:
    folder = _maps(tmp_path / "a", T1map=_T1, T2map=_with(_T2, 0.0))
    with pytest.warns(DataWarning, match="1 voxel was left out of the mask: 1 with T2 = 0"):
        phantom = read_phantom(folder)
    assert phantom.mask.sum() == 23
    write_nifti(np.ones((2, 3, 4), np.uint8), Geometry(), folder / "sub-1_dseg.nii.gz")
    with pytest.warns(DataWarning, match="1 with T2 = 0"):
        phantom = read_phantom(folder)
    assert phantom.labels[1, 2, 3] == 0
    assert (phantom.labels == 1).sum() == 23


def test_maps_of_different_shape_or_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has 1 × 3 × 4 voxels .* expected 2 × 3 × 4, as in sub-1_T1map"):
        read_phantom(_maps(tmp_path / "a", T1map=_T1, T2map=_T2[:1]))
    with pytest.raises(InputError, match="there is no T2 map; found t1, expected T1 and T2"):
        read_phantom(_maps(tmp_path / "b", T1map=_T1))
    folder = _maps(_maps(tmp_path / "c", T1map=_T1, T2map=_T2), "sub-2", T1map=_T1)
    with pytest.raises(InputError, match="are all T1 maps"):
        read_phantom(folder)


def test_written_phantom_comes_back(tmp_path: Path, shared_data: Path) -> None:
    whole, _ = _warned(shared_data / "brainweb" / "mritc_2mm")
    part = whole[40:43]
    b1 = np.random.default_rng(0).uniform(0.8, 1.2, part.shape)
    phantom = Phantom(part.t1, part.t2, part.pd, part.mask, b1, part.fractions, part.labels, part.tissues,
                      part.voxel_size, part.affine, name="my head", record={"made": "by hand"})  # fmt: skip
    seen: list[tuple[int, int]] = []
    files = write_phantom(phantom, tmp_path, progress=lambda done, total, message="": seen.append((done, total)))
    assert seen == [(n, 8) for n in range(9)]
    assert {file.name for file in files} == {file.name for file in tmp_path.iterdir()}
    again, warned = _warned(tmp_path)
    assert warned == []
    for key in ("t1", "t2"):
        np.testing.assert_allclose(getattr(again, key), getattr(phantom, key), rtol=1.2e-7)
    for key in ("pd", "b1", "mask", "labels"):
        np.testing.assert_array_equal(getattr(again, key), getattr(phantom, key))
    assert again.tissues == phantom.tissues
    for tissue in phantom.tissues:
        np.testing.assert_array_equal(again.fractions[tissue], phantom.fractions[tissue])
    np.testing.assert_allclose(again.affine, phantom.affine)
    assert (again.name, again.record) == ("my head", {"made": "by hand"})
    # BIDS has T1 maps in seconds
    stored = nib.load(tmp_path / "sub-myhead_T1map.nii.gz").get_fdata()
    assert stored.max() == pytest.approx(5.012, rel=1e-6)


def test_writing_can_be_cancelled(tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        write_phantom(Phantom(_T1 * 1000, _T2 * 1000, _T1), tmp_path, cancelled=cancelled)
    assert not list(tmp_path.iterdir())


def test_damaged_gzip_is_a_sentence_through_the_front_door(tmp_path: Path) -> None:
    random = np.random.default_rng(0).integers(0, 256, 91 * 109 * 91).astype(np.uint8).tobytes()
    packed = bytearray(gzip.compress(random))
    packed[len(packed) // 2] ^= 0xFF
    (tmp_path / "gm.rawb.gz").write_bytes(bytes(packed[:-10]))
    with pytest.raises(InputError, match=r"^gm\.rawb\.gz: holds"):
        read_phantom(tmp_path)


@pytest.mark.parametrize("number", ["1", "9" * 5000, "²"])
def test_labels_of_nothing_and_numbers_that_are_none(tmp_path, number):
    nib.save(nib.Nifti1Image(np.zeros((4, 3, 2), np.uint8), np.eye(4)), tmp_path / "a_dseg.nii.gz")
    (tmp_path / "a_dseg.tsv").write_text(f"index\tname\n{number}\twhite matter\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"^a_dseg\.nii\.gz: |/a_dseg\.nii\.gz: "):
        read_phantom(tmp_path / "a_dseg.nii.gz")
