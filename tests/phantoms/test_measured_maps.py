"""Maps as people measure and name them: voxels without a fit, units of every quantity, and images that are no maps."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import scipy.io

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.jobs.settings import PhantomSettings

SHAPE = (10, 12, 2)  # (x, y, z)
AFFINE = np.diag([2.0, 2, 3, 1])
T1 = np.resize([600.0, 900, 1400, 3000], SHAPE).astype(np.float32)
T2 = np.resize([60.0, 80, 110, 500], SHAPE).astype(np.float32)
AT = (3, 4, 1)  # (x, y, z); (1, 4, 3) of a phantom


def _save(folder: Path, units: dict[str, str] | None = None, **maps: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    for name, values in maps.items():
        nib.save(nib.Nifti1Image(np.asarray(values), AFFINE), folder / f"{name}.nii.gz")
        if name in (units or {}):
            (folder / f"{name}.json").write_text(json.dumps({"Units": units[name]}))
    return folder


def _with(values: np.ndarray, value: float, at: tuple[int, ...] = AT) -> np.ndarray:
    changed = values.copy()
    changed[at] = value
    return changed


def _warned(path, **hints) -> tuple[nb.Phantom, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        phantom = nb.read_phantom(path, **hints)
    return phantom, [str(warning.message) for warning in caught if warning.category is DataWarning]


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ({"T1map": _with(T1, np.nan)}, "1 with T1 NaN"),
        ({"T1map": _with(T1, -3.0)}, "1 with T1 negative"),
        ({"T1map": _with(T1, np.inf)}, "1 with T1 infinite"),
        ({"T2map": _with(T2, -np.inf)}, "1 with T2 infinite"),
        ({"T2map": _with(T2.astype(float), 1e39)}, "1 with T2 infinite"),
        ({"T2map": _with(T2, 0)}, "1 with T2 = 0"),
        ({"T2map": _with(T2, 4000.0)}, "1 with T2 > T1"),
        ({"PDmap": _with(np.ones(SHAPE, np.float32), np.nan)}, "1 with PD NaN"),
        ({"PDmap": _with(np.ones(SHAPE, np.float32), -0.2)}, "1 with PD negative"),
        ({"TB1map": _with(np.ones(SHAPE, np.float32), np.nan)}, "1 with B1 NaN"),
    ],
)
def test_a_bad_voxel_leaves_the_mask_and_is_counted(tmp_path, maps, words):
    phantom, warned = _warned(_save(tmp_path / "a", **{"T1map": T1, "T2map": T2.astype(np.float64), **maps}))
    assert phantom.mask.sum() == 239
    assert not phantom.mask[1, 4, 3]
    np.testing.assert_allclose(phantom.t1[phantom.mask], T1.T[phantom.mask])
    np.testing.assert_allclose(phantom.t2[phantom.mask], T2.T[phantom.mask])
    assert warned == [f"T1map.nii.gz: 1 voxel was left out of the mask: {words}."]
    assert warned[0] in phantom.notes


def test_several_reasons_are_counted_each_and_nothing_left_is_refused(tmp_path):
    bad = _with(_with(T1, np.nan), np.inf, (0, 0, 0))
    _, warned = _warned(_save(tmp_path / "a", T1map=bad, T2map=_with(T2, 2000, (0, 1, 0))))
    assert warned == [
        "T1map.nii.gz: 3 voxels were left out of the mask: 1 with T1 NaN, 1 with T1 infinite, 1 with T2 > T1."
    ]
    with pytest.raises(InputError, match="no voxel is left that could be tissue: 240 with PD negative"):
        nb.read_phantom(_save(tmp_path / "b", T1map=T1, T2map=T2, PDmap=-np.ones(SHAPE, np.float32)))


def test_a_bad_voxel_in_a_matlab_file(tmp_path):
    scipy.io.savemat(
        tmp_path / "maps.mat", {"T1": _with(T1, np.nan)[:, :, 0], "T2": _with(T2, -1.0, (0, 0, 1))[:, :, 0]}
    )
    phantom, warned = _warned(tmp_path / "maps.mat")
    assert phantom.shape == (1, 10, 12)
    assert phantom.mask.sum() == 120
    scipy.io.savemat(tmp_path / "maps.mat", {"T1": _with(T1, np.nan, (2, 3, 0))[:, :, 0], "T2": T2[:, :, 0]})
    phantom, warned = _warned(tmp_path / "maps.mat")
    assert phantom.mask.sum() == 119
    assert not phantom.mask[0, 2, 3]
    assert "1 with T1 NaN" in warned[0]


@pytest.mark.parametrize("number", [1035, 77, 16_000_000])
def test_labels_of_freesurfer_do_not_keep_maps_from_opening(tmp_path, number):
    labels = np.zeros(SHAPE, np.int32)
    labels[:5] = number
    labels[5:8] = 2
    phantom, _ = _warned(_save(tmp_path / "a", **{"sub-1_T1map": T1, "sub-1_T2map": T2, "sub-1_dseg": labels}))
    assert phantom.mask.all()
    named = {name: (phantom.labels == place).sum() for place, name in enumerate(phantom.tissues, start=1)}
    assert named[f"label {number}"] == 120
    assert named["label 2"] == 72
    (tmp_path / "a" / "sub-1_dseg.tsv").write_text(f"index\tname\n{number}\tctx-lh-x\n2\tLeft-White\n")
    again, _ = _warned(tmp_path / "a")
    assert (again.labels == 1 + again.tissues.index("ctx-lh-x")).sum() == 120


@pytest.mark.parametrize("labels", [T1 / 7, np.full(SHAPE, -1, np.int16), np.zeros((3, 3, 3, 4), np.uint8)])
def test_a_segmentation_that_is_none_is_left_alone_and_said(tmp_path, labels):
    folder = _save(tmp_path / "a", **{"sub-1_T1map": T1, "sub-1_T2map": T2, "sub-1_dseg": labels})
    phantom, warned = _warned(folder)
    assert phantom.mask.all()
    assert phantom.labels is None
    assert warned[0].startswith("sub-1_dseg.nii.gz: ")
    assert "left alone" in warned[0]


def test_more_labels_than_a_phantom_holds_and_labels_of_another_grid(tmp_path):
    many = np.arange(240, dtype=np.int32).reshape(SHAPE) + 1000
    many = np.repeat(many, 2, axis=0) * 2
    many[::2] += 1
    folder = _save(tmp_path / "a", T1map=np.repeat(T1, 2, 0), T2map=np.repeat(T2, 2, 0), x_dseg=many)
    phantom, warned = _warned(folder)
    assert phantom.labels is None
    assert "holds 480 labels" in warned[0]
    coarse = nib.Nifti1Image(np.ones((5, 6, 2), np.uint8), AFFINE @ np.diag([2.0, 2, 1, 1]) + _moved(1.0))
    folder = _save(tmp_path / "b", T1map=T1, T2map=T2)
    nib.save(coarse, folder / "x_dseg.nii.gz")
    phantom, _ = _warned(folder)
    assert (phantom.labels == 1).all()
    assert any("resampled by the nearest voxel" in note for note in phantom.notes)


def _moved(by: float) -> np.ndarray:
    move = np.zeros((4, 4))
    move[:2, 3] = by
    return move


def test_one_array_per_file_is_one_phantom(tmp_path):
    scipy.io.savemat(tmp_path / "T1_map.mat", {"T1_map": T1[:, :, 0]})
    scipy.io.savemat(tmp_path / "T2_map.mat", {"data": T2[:, :, 0] / 1000}, do_compression=True)
    with pytest.raises(InputError, match="t2_unit"):
        nb.read_phantom([tmp_path / "T1_map.mat", tmp_path / "T2_map.mat"])
    for source in ([tmp_path / "T1_map.mat", tmp_path / "T2_map.mat"], tmp_path):
        phantom = nb.read_phantom(source, t2_unit="s")
        np.testing.assert_allclose(phantom.t1[0], T1[:, :, 0])
        np.testing.assert_allclose(phantom.t2[0], T2[:, :, 0], rtol=1e-6)
    arrays = tmp_path / "arrays"
    arrays.mkdir()
    np.save(arrays / "t1.npy", T1.T)
    np.save(arrays / "t2.npy", T2.T)
    phantom = nb.read_phantom(arrays, voxel_size=(3, 2, 2))
    np.testing.assert_array_equal(phantom.t2, T2.T)
    assert phantom.voxel_size == (3, 2, 2)
    np.savez_compressed(tmp_path / "maps.npz", T1=T1.T, T2=T2.T, B1=np.full(SHAPE[::-1], 0.9))
    phantom = nb.read_phantom(tmp_path / "maps.npz")
    np.testing.assert_array_equal(phantom.t1, T1.T)
    assert phantom.b1.mean() == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("first", "second"), [("T1_map", "T2_map"), ("qT1", "qT2"), ("sub-1_T1", "sub-1_T2"), ("sub_t1_ms", "sub_t2_ms")]
)
def test_maps_by_many_names(tmp_path, first, second):
    phantom = nb.read_phantom(_save(tmp_path / "a", **{first: T1, second: T2}))
    np.testing.assert_array_equal(phantom.t2, T2.T)


def test_rates_are_turned_into_times(tmp_path):
    rates = {"R1map": np.where(T1 > 2000, 0, 1000 / T1), "R2map": np.where(T1 > 2000, 0, 1000 / T2)}
    phantom = nb.read_phantom(_save(tmp_path / "a", **rates))
    np.testing.assert_allclose(phantom.t1[phantom.mask], T1.T[T1.T < 2000], rtol=1e-6)
    np.testing.assert_allclose(phantom.t2[phantom.mask], T2.T[T1.T < 2000], rtol=1e-6)
    mixed = nb.read_phantom(_save(tmp_path / "b", T1map=T1, R2map=1000 / T2))
    np.testing.assert_allclose(mixed.t2, T2.T, rtol=1e-6)
    # called as times, they are not taken for times
    wrong = _save(tmp_path / "c", T1map=1000 / T1, T2map=1000 / T2)
    with pytest.raises(InputError, match=r"R1 and R2"):
        nb.read_phantom(wrong)
    told = nb.read_phantom(wrong, t1_unit="1/s", t2_unit="1/s")
    np.testing.assert_allclose(told.t1, T1.T, rtol=1e-6)


def test_t2_in_another_unit_than_t1_is_asked_for(tmp_path):
    folder = _save(tmp_path / "a", T1map=T1, T2map=T2 / 1000)
    with pytest.raises(
        InputError, match=r"^T2map\.nii\.gz: .* 0\.095 ms in that unit, and 95 ms in s; .* t2_unit"
    ) as caught:
        nb.read_phantom(folder)
    assert caught.value.field == "t2_unit"
    assert "t2_unit" in PhantomSettings.model_fields
    np.testing.assert_allclose(nb.read_phantom(folder, t2_unit="s").t2, T2.T, rtol=1e-6)
    stated = _save(tmp_path / "b", {"T2map": "s"}, T1map=T1, T2map=T2 / 1000)
    np.testing.assert_allclose(nb.read_phantom(stated).t2, T2.T, rtol=1e-6)
    wrong = _save(tmp_path / "c", {"T2map": "ms"}, T1map=T1, T2map=T2 / 1000)
    with pytest.raises(InputError, match=r"states T2 in ms, but its median is 0\.095 \(s would make sense\)"):
        nb.read_phantom(wrong)
    back = _save(tmp_path / "d", T1map=T1 / 1000, T2map=T2)
    with pytest.raises(InputError, match="t2_unit"):
        nb.read_phantom(back)


@pytest.mark.parametrize("unit", ["us", "µs", "Microseconds", "usec"])
def test_microseconds_are_understood(tmp_path, unit):
    maps = {"T1map": 1000 * T1, "T2map": 1000 * T2}
    stated = nb.read_phantom(_save(tmp_path / "a", dict.fromkeys(maps, unit), **maps))
    np.testing.assert_allclose(stated.t1, T1.T, rtol=1e-6)
    np.testing.assert_allclose(stated.t2, T2.T, rtol=1e-6)
    # T2 in the unit of T1, or as a person says
    half = nb.read_phantom(_save(tmp_path / "b", {"T1map": unit}, **maps))
    np.testing.assert_allclose(half.t2, T2.T, rtol=1e-6)
    bare = _save(tmp_path / "c", **maps)
    with pytest.raises(InputError, match=r"state 'Units' as 'ms', 's' or 'us' .*, or give t1_unit"):
        nb.read_phantom(bare)
    assert PhantomSettings(t1_unit="us").t1_unit == "us"
    np.testing.assert_allclose(nb.read_phantom(bare, t1_unit="us", t2_unit="us").t1, T1.T, rtol=1e-6)


@pytest.mark.parametrize(
    ("stated", "factor", "asked", "words"),
    [
        ("us", 1000, "ms", r"t1_unit is ms, in which a median T1 of 1\.15e\+06 would be .* \(us would make sense\)"),
        (None, 1000, "ms", r"t1_unit is ms, .* expected a median from 5 ms to 20 s"),
        ("s", 0.001, "ms", r"t1_unit is ms, in which a median T1 of 1\.15 would be 1\.15 ms; .*s would make sense"),
        (None, 1, "s", r"t1_unit is s, .*\(ms would make sense\)"),
        (None, 1, "1/s", r"t1_unit is 1/s"),
        ("s", 0.006, "ms", r"states T1 in s, which its median of 6\.9 allows, but t1_unit is ms; expected no t1_unit"),
    ],
)
def test_a_unit_that_a_person_says_is_checked_too(tmp_path, stated, factor, asked, words):
    maps = {"T1map": factor * T1, "T2map": factor * T2}
    folder = _save(tmp_path / "a", dict.fromkeys(maps, stated) if stated else None, **maps)
    with pytest.raises(InputError, match=words) as caught:
        nb.read_phantom(folder, t1_unit=asked, t2_unit=asked)
    assert caught.value.field == "t1_unit"


def test_t2_is_checked_in_the_unit_that_a_person_says(tmp_path):
    folder = _save(tmp_path / "a", T1map=T1, T2map=1000 * T2)
    with pytest.raises(InputError, match=r"t2_unit is ms, .*\(us would make sense\)"):
        nb.read_phantom(folder, t1_unit="ms", t2_unit="ms")
    np.testing.assert_allclose(nb.read_phantom(folder, t1_unit="ms", t2_unit="us").t2, T2.T, rtol=1e-6)


def test_a_person_mends_what_a_file_states_wrongly(tmp_path):
    folder = _save(tmp_path / "a", {"T1map": "s", "T2map": "min"}, T1map=T1, T2map=T2)
    with pytest.raises(InputError, match="states T1 in s"):
        nb.read_phantom(folder)
    with pytest.raises(InputError, match="'min' for T2; expected 's', 'ms' or 'us', or t2_unit where it is one"):
        nb.read_phantom(folder, t1_unit="ms")
    phantom = nb.read_phantom(folder, t1_unit="ms", t2_unit="ms")
    np.testing.assert_array_equal(phantom.t1, T1.T)
    assert "T1map.nii.gz states T1 in s; ms was taken, as asked." in phantom.notes


def _b1(folder: Path, b1: np.ndarray, **sidecar: object) -> Path:
    _save(folder, T1map=T1, T2map=T2, TB1map=np.asarray(b1, np.float32))
    if sidecar:
        (folder / "TB1map.json").write_text(json.dumps(sidecar))
    return folder


@pytest.mark.parametrize("median", [95, 100, 105])
def test_b1_about_100_is_per_cent_and_told(tmp_path, median):
    phantom, warned = _warned(_b1(tmp_path / "a", np.full(SHAPE, median)))
    np.testing.assert_allclose(phantom.b1, median / 100, rtol=1e-6)
    assert f"a median B1 of {median} is per cent, and was divided by 100; where it is in degrees, give" in warned[0]


@pytest.mark.parametrize("median", [25, 55, 85, 94, 110, 180])
def test_b1_that_may_be_per_cent_or_degrees_is_asked_for(tmp_path, median):
    folder = _b1(tmp_path / "a", np.full(SHAPE, median))
    with pytest.raises(
        InputError, match=rf"a median B1 of {median} may be per cent or degrees; .*b1_nominal"
    ) as caught:
        nb.read_phantom(folder)
    assert caught.value.field == "b1_nominal"
    np.testing.assert_allclose(_warned(folder, b1_nominal=90)[0].b1, median / 90, rtol=1e-6)
    np.testing.assert_allclose(_warned(folder, b1_nominal=100)[0].b1, median / 100, rtol=1e-6)


@pytest.mark.parametrize(
    ("median", "said"), [(9, "is neither relative"), (500, "may be permille or tenths of degrees")]
)
def test_b1_that_is_neither_is_asked_for(tmp_path, median, said):
    with pytest.raises(InputError, match=f"a median B1 of {median} {said}"):
        nb.read_phantom(_b1(tmp_path / "a", np.full(SHAPE, median)))


@pytest.mark.parametrize("unit", ["percent", "%", "Per cent"])
def test_b1_stated_in_per_cent_is_per_cent(tmp_path, unit):
    phantom, warned = _warned(_b1(tmp_path / "a", np.full(SHAPE, 44.0), Units=unit))
    np.testing.assert_allclose(phantom.b1, 0.44, rtol=1e-6)
    assert "was divided by 100" in warned[0]
    with pytest.raises(InputError, match=f"states B1 in {unit}, but its median is 0.9; .*b1_nominal"):
        nb.read_phantom(_b1(tmp_path / "b", np.full(SHAPE, 0.9), Units=unit))


def test_b1_in_degrees_is_relative_to_the_flip_angle_that_its_file_states(tmp_path):
    for unit, angle in (("degrees", 90), ("deg", 90.0), ("°", 60)):
        phantom, warned = _warned(_b1(tmp_path / "a", np.full(SHAPE, 85.0), Units=unit, FlipAngle=angle))
        np.testing.assert_allclose(phantom.b1, 85 / angle, rtol=1e-6)
        assert f"divided by the FlipAngle that its file states, {angle:g}" in warned[0]
    for beside in ({}, {"FlipAngle": "90"}, {"FlipAngle": 8}, {"FlipAngle": True}):
        folder = _b1(tmp_path / "b", np.full(SHAPE, 99.0), Units="degrees", **beside)
        with pytest.raises(InputError, match=r"^TB1map\.nii\.gz: states B1 in degrees.*; its median is 99"):
            nb.read_phantom(folder)
        np.testing.assert_allclose(_warned(folder, b1_nominal=90)[0].b1, 1.1, rtol=1e-6)


def _elsewhere(name: str, folder: Path, values: np.ndarray, affine: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(np.asarray(values), affine), folder / f"{name}.nii.gz")
    return folder


def _placed(shift: float = 0.0, edge: float = 2.0) -> np.ndarray:
    affine = np.diag([edge, edge, 3.0, 1.0])
    affine[:3, 3] = [-11.0 + shift, -12.0, 5.0]
    return affine


@pytest.mark.parametrize("name", ["T2map", "PDmap"])
@pytest.mark.parametrize("affine", [_placed(4.0), _placed(0.0, 3.0), _placed(500.0)])
def test_a_map_of_as_many_voxels_elsewhere_is_refused(tmp_path, name, affine):
    maps = {"T1map": T1, "T2map": T2, "PDmap": np.ones(SHAPE, np.float32)}
    for key, values in maps.items():
        _elsewhere(key, tmp_path, values, affine if key == name else _placed())
    with pytest.raises(InputError, match=rf"{name}\.nii\.gz: lies on another grid than T1map\.nii\.gz.*resample it"):
        nb.read_phantom(tmp_path)


def test_a_map_stored_mirrored_is_turned_and_one_without_a_place_is_taken_by_voxel_and_told(tmp_path):
    _elsewhere("T1map", tmp_path, T1, _placed())
    mirrored = _placed() @ np.array([[-1, 0, 0, SHAPE[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    phantom, warned = _warned(_elsewhere("T2map", tmp_path, T2[::-1], mirrored))
    np.testing.assert_array_equal(phantom.t2, T2.T)
    assert not warned
    phantom, warned = _warned(_elsewhere("T2map", tmp_path, T2, np.eye(4)))
    np.testing.assert_array_equal(phantom.t2, T2.T)
    assert warned == [
        "T2map.nii.gz is taken voxel by voxel: the affine of T2map.nii.gz is a default that says nothing."
    ]
    assert warned[0] in phantom.notes
    np.testing.assert_allclose(phantom.geometry.affine, _placed())


def test_a_b1_map_of_as_many_voxels_and_another_field_of_view_is_laid_where_it_lies(tmp_path):
    _elsewhere("T1map", tmp_path, T1, _placed())
    _elsewhere("T2map", tmp_path, T2, _placed())
    # a field that is what its place along x says, on voxels twice as large and 0 beyond an object
    wide = np.diag([4.0, 4.0, 3.0, 1.0])
    wide[:3, 3] = [-20.0, -22.0, 5.0]
    x = wide[0, 0] * np.arange(SHAPE[0]) + wide[0, 3]
    field = np.broadcast_to(1 + 0.01 * x[:, None, None], SHAPE).astype(np.float32)
    phantom, _ = _warned(_elsewhere("TB1map", tmp_path, field, wide))
    expected = 1 + 0.01 * (2.0 * np.arange(SHAPE[0]) - 11.0)
    np.testing.assert_allclose(phantom.b1, np.broadcast_to(expected, SHAPE[::-1]), rtol=1e-5)
    assert any("TB1map.nii.gz lies on another grid" in note for note in phantom.notes)
    with pytest.raises(InputError, match=r"TB1map\.nii\.gz: lies elsewhere than T1map"):
        nb.read_phantom(_elsewhere("TB1map", tmp_path, field, _placed(500.0)))
    _, warned = _warned(_elsewhere("TB1map", tmp_path, field, np.eye(4)))
    assert "TB1map.nii.gz is taken voxel by voxel" in warned[0]
    with pytest.raises(InputError, match=r"TB1map\.nii\.gz: holds complex64; expected real numbers"):
        nb.read_phantom(_elsewhere("TB1map", tmp_path, field.astype(np.complex64), wide))


@pytest.mark.parametrize(
    ("affine", "told"),
    [(_placed(4.0), "lies on another grid than the maps; the shares of tissues are left alone"),
     (_placed(0.0, 3.0), "lies on another grid than the maps; the shares of tissues are left alone"),
     (np.eye(4), "is taken voxel by voxel"), (_placed(), None)],
)  # fmt: skip
def test_shares_of_tissues_elsewhere_are_left_alone(tmp_path, affine, told):
    for key, values in {"x_T1map": T1, "x_T2map": T2, "x_dseg": np.ones(SHAPE, np.uint8)}.items():
        _elsewhere(key, tmp_path, values, _placed())
    (tmp_path / "x_dseg.tsv").write_text("index\tname\n1\twhite matter\n")
    _elsewhere("x_label-whitematter_probseg", tmp_path, np.full(SHAPE, 0.75, np.float32), affine)
    phantom, warned = _warned(tmp_path)
    assert (phantom.fractions is None) == ("left alone" in (told or ""))
    assert [told in sentence for sentence in warned] == ([] if told is None else [True])


@pytest.mark.parametrize(
    "names",
    [
        ("IXI002-Guys-0828-T1", "IXI002-Guys-0828-T2"),
        ("T1_ICBM_normal_1mm_pn0_rf0", "T2_ICBM_normal_1mm_pn0_rf0"),
        ("sub-1_T1w", "sub-1_T2w"),
        ("t1", "t2"),
    ],
)
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_weighted_images_are_no_maps(tmp_path, names, dtype):
    first, second = names
    folder = _save(tmp_path / "a", **{first: T1.astype(dtype), second: T2.astype(dtype)})
    if first == "t1" and dtype is np.float32:
        assert nb.read_phantom(folder).mask.all()
        return
    with pytest.raises(InputError, match=r"(weighted images are|holds weighted images).*no maps.*t1_unit"):
        nb.read_phantom(folder)
    if not first.endswith("w"):
        told = nb.read_phantom(folder, t1_unit="ms", t2_unit="ms")
        np.testing.assert_allclose(told.t2, T2.T)


def test_images_of_which_t2_is_the_brighter_are_no_maps(tmp_path):
    with pytest.raises(InputError, match="T2 is above T1 in 75 % of the voxels"):
        nb.read_phantom(_save(tmp_path / "a", T1=np.full(SHAPE, 100.5, np.float32), T2=T2 + 30.25))


def test_pd_of_any_scale_is_taken_and_said(tmp_path):
    phantom = nb.read_phantom(_save(tmp_path / "a", T1map=T1, T2map=T2, PDmap=np.full(SHAPE, 80, np.float32)))
    np.testing.assert_array_equal(phantom.pd, 80)
    assert "PD goes up to 80; it is relative, and taken as it is." in phantom.notes


def test_an_axis_of_one_beyond_three_is_dropped(tmp_path):
    phantom = nb.read_phantom(_save(tmp_path / "a", T1map=T1[..., None], T2map=T2[..., None, None]))
    np.testing.assert_array_equal(phantom.t1, T1.T)


def test_measured_maps_of_the_field(shared_data):
    phantom, warned = _warned(shared_data / "coefficients" / "ua_t1_phantom" / "reference_maps.mat")
    content = scipy.io.loadmat(shared_data / "coefficients" / "ua_t1_phantom" / "reference_maps.mat")
    t1, t2, b1 = content["seir_t1map"], content["sese_t2map"], content["tfl_b1map"]
    np.testing.assert_array_equal(
        phantom.mask[0], (t1 > 0) & (t2 > 0) & (t2.astype("f4") <= t1.astype("f4")) & (b1 > 0)
    )
    assert "5,413 with T2 negative" in warned[0]
    np.testing.assert_allclose(phantom.b1[phantom.mask], b1[phantom.mask[0]], rtol=1e-6)
