"""Phantoms by the names that neuroimaging tools give: hMRI's rates, tissues of FSL FAST and SPM, label images."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.maps_io import read_maps
from napari_blochnet.jobs.recognise import what_is_in

SHAPE = (6, 5, 3)  # (x, y, z)
T1 = np.resize([600.0, 900, 1400, 3000], SHAPE)
T2 = np.resize([60.0, 80, 110, 500], SHAPE)
CSF, GREY, WHITE = (
    np.float32(np.arange(SHAPE[0])[:, None, None] % 3 == number) * np.ones(SHAPE) for number in range(3)
)
LABELS = (CSF + 2 * GREY + 3 * WHITE).astype(np.uint8)


def _save(folder: Path, **volumes: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    for name, values in volumes.items():
        stored = values if values.dtype.kind in "iu" else values.astype(np.float32)
        nib.save(nib.Nifti1Image(stored, np.eye(4)), folder / f"{name}.nii.gz")
    return folder


def _tissues(phantom: nb.Phantom) -> list[str]:
    """Return the tissue of each plane along x, by its T1."""
    names = {5012: "csf", 1545: "gm", 811: "wm"}
    return [names[round(float(value))] for value in phantom.t1[0, 0]]


@pytest.mark.parametrize("name", ["sub01_MPM", "p1", "sub-02_acq-x"])
def test_names_that_end_in_r1_and_r2_are_rates(tmp_path, name):
    maps = {f"{name}_R1": 1000 / T1, f"{name}_R2": 1000 / T2}
    folder = _save(tmp_path / "a", **maps)
    # R2* is not R2, and takes no part
    _save(folder, **{f"{name}_R2s_OLS": 2000 / T2, f"{name}_MTsat": T1 / 1000})
    for source in (folder, sorted(folder.glob("*_R[12].nii.gz"))):
        phantom = nb.read_phantom(source)
        np.testing.assert_allclose(phantom.t1, T1.T, rtol=1e-6)
        np.testing.assert_allclose(phantom.t2, T2.T, rtol=1e-6)
        assert f"{name}_R1.nii.gz and {name}_R2.nii.gz are taken as maps of the rates R1 and R2 by their names." in (
            phantom.notes
        )
    np.testing.assert_allclose(read_maps(folder).t1, T1.T, rtol=1e-6)


def test_r1_alone_asks_for_t2(tmp_path):
    folder = _save(tmp_path / "a", sub01_MPM_R1=1000 / T1, sub01_MPM_R2s=1000 / T2)
    with pytest.raises(InputError, match="there is no T2 map; found t1"):
        nb.read_phantom(folder)


def test_runs_and_readers_are_no_rates(tmp_path):
    lesions = _save(tmp_path / "a", lesion_R1=GREY, lesion_R2=np.maximum(GREY, WHITE))
    with pytest.raises(InputError, match=r"end in R1 and R2 .* hold whole numbers that are not those of rates"):
        nb.read_phantom(lesions)
    runs = _save(tmp_path / "b", scan_R1=T1 / 999, scan_R2=T1 / 1001)
    with pytest.raises(InputError, match=r"two runs, and hold values .* R2 well above R1; or names R1map and R2map"):
        nb.read_phantom(runs)
    # beside tissues and beside maps they are what they were: left alone
    _save(lesions, csf=CSF, gm=GREY, wm=WHITE)
    assert _tissues(nb.read_phantom(lesions)) == ["csf", "gm", "wm"] * 2
    beside = _save(tmp_path / "c", T1map=T1, T2map=T2, lesion_R1=GREY, lesion_R2=GREY)
    np.testing.assert_allclose(nb.read_phantom(beside).t1, T1.T)
    np.testing.assert_allclose(read_maps(beside).t1, T1.T)
    again = _save(tmp_path / "d", x_T1map=T1, x_T2map_R2=T2)
    np.testing.assert_allclose(nb.read_phantom(again).t2, T2.T)


@pytest.mark.parametrize("stem", ["T1_brain", "sub-01_T1w_brain", "bet"])
def test_partial_volumes_of_fast(tmp_path, stem):
    parts = {f"{stem}_pve_0": CSF, f"{stem}_pve_1": GREY, f"{stem}_pve_2": WHITE}
    folder = _save(tmp_path / "a", **parts)
    for _ in range(2):
        phantom = nb.read_phantom(folder)
        assert _tissues(phantom) == ["csf", "gm", "wm"] * 2
        assert any(f"FSL FAST, of a T1-weighted image by their names: {stem}_pve_0.nii.gz as CSF" in note
                   for note in phantom.notes)  # fmt: skip
        # what else FAST writes, and what it was given, is left alone
        _save(folder, **{stem: T1.astype(np.int16), f"{stem}_seg": LABELS, f"{stem}_pveseg": LABELS,
                         f"{stem}_restore": T1, f"{stem}_mixeltype": LABELS})  # fmt: skip
    parts = sorted(folder.glob("*_pve_?.nii.gz"))
    assert _tissues(nb.read_phantom(parts)) == ["csf", "gm", "wm"] * 2
    # dropped onto the window
    assert what_is_in([folder]) == what_is_in(parts) == "phantom"
    assert what_is_in(parts[:2]) is None


@pytest.mark.parametrize(
    "names",
    [
        ("T1_pve_0", "T1_pve_1"),
        ("T2_brain_pve_0", "T2_brain_pve_1", "T2_brain_pve_2"),
        ("T1_pve_0", "T1_pve_1", "T1_pve_2", "T1_pve_3"),
        ("a_pve_0", "a_pve_1", "b_pve_2"),
    ],
)
def test_partial_volumes_that_could_be_others_are_asked_for(tmp_path, names):
    folder = _save(tmp_path / "a", **dict.fromkeys(names, GREY))
    with pytest.raises(InputError, match=r"partial volume of FSL FAST .* expected .* named as csf\.nii\.gz, gm"):
        nb.read_phantom(folder)


@pytest.mark.parametrize("image", ["sub01", "sub-01_T1", "_T1w", ""])
def test_tissues_of_spm(tmp_path, image):
    parts = {f"c1{image}": GREY, f"c2{image}": WHITE, f"c3{image}": CSF}
    folder = _save(tmp_path / "a", **parts)
    assert _tissues(nb.read_phantom(folder)) == ["csf", "gm", "wm"] * 2
    _save(folder, **{f"c4{image}": 0 * CSF, f"wc1{image}": WHITE})
    phantom = nb.read_phantom(folder)
    assert _tissues(phantom) == ["csf", "gm", "wm"] * 2
    assert any(f"SPM by their names: c1{image}.nii.gz as grey matter" in note for note in phantom.notes)
    (folder / f"c3{image}.nii.gz").unlink()
    with pytest.raises(InputError, match=r"tissue of SPM .* expected c1…, c2… and c3… of one image"):
        nb.read_phantom(folder)


@pytest.mark.parametrize("case", ["c1sub", "c12", "c1", "wc1x"])
def test_maps_of_a_case_whose_name_begins_as_those_of_spm_are_maps(tmp_path, case):
    folder = _save(tmp_path / "a", **{f"{case}_T1": T1, f"{case}_T2": T2})
    np.testing.assert_allclose(nb.read_phantom(folder).t2, T2.T)


@pytest.mark.parametrize("name", ["T1_brain_seg", "seg", "labels", "sub-01_T1w_label", "T2_pveseg"])
def test_labels_say_what_makes_them_readable(tmp_path, name):
    folder = _save(tmp_path / "a", **{name: LABELS})
    with pytest.raises(InputError, match=rf"{name}\.nii\.gz holds labels .* a table {name}\.tsv beside it"):
        nb.read_phantom(folder / f"{name}.nii.gz")
    (folder / f"{name}.tsv").write_text("index\tname\n1\tCSF\n2\tGray Matter\n3\tWM\n", encoding="utf-8")
    phantom = nb.read_phantom(folder / f"{name}.nii.gz")
    assert _tissues(phantom) == ["csf", "gm", "wm"] * 2
    assert phantom.tissues == ("CSF", "grey matter", "white matter")


def test_a_bids_segmentation_is_read_by_its_table(tmp_path):
    # white matter of both hemispheres, numbers beyond a byte, and the order of no program
    labels = np.select([CSF > 0, GREY > 0], [24, 1001], 2).astype(np.int16)
    labels[3:][WHITE[3:] > 0] = 41
    folder = _save(tmp_path / "a", **{"sub-1_dseg": labels})
    table = "index\tname\n24\tCSF\n1001\tgrey\n2\twhite matter\n41\tWM\n"
    (folder / "sub-1_dseg.tsv").write_text(table, encoding="utf-8")
    phantom = nb.read_phantom(folder)
    assert _tissues(phantom) == ["csf", "gm", "wm"] * 2
    assert sorted(phantom.tissues) == ["CSF", "grey matter", "white matter"]
