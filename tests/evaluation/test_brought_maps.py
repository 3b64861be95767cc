"""Maps of other programs beside the truth: by many names, in s or ms, without PD and residual, on turned grids."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.evaluation.maps_io import read_maps, write_maps
from napari_blochnet.phantoms.write import write_phantom

SHAPE = (3, 6, 5)
AFFINE = np.array([[2.0, 0, 0, -5], [0, 2.0, 0, 7], [0, 0, 3.0, -40], [0, 0, 0, 1]])
T1 = np.resize([600.0, 900, 1400, 3000], SHAPE)
T2 = np.resize([60.0, 80, 110, 500], SHAPE)


@pytest.fixture
def truth() -> nb.Phantom:
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, :3], labels[:, 3:] = 1, 2
    return nb.Phantom(T1, T2, np.full(SHAPE, 0.8), labels=labels, tissues=("front", "back"), voxel_size=(3, 2, 2),
                      affine=AFFINE, name="head")  # fmt: skip


def _save(folder: Path, units: str | None = None, affine: np.ndarray = AFFINE, **maps: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    for name, values in maps.items():
        nib.save(nib.Nifti1Image(np.asarray(values, np.float32).T, affine), folder / f"{name}.nii.gz")
        if units is not None:
            (folder / f"{name}.json").write_text(json.dumps({"Units": units}), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("names", "factor", "units"),
    [
        (("sub-01_T1map", "sub-01_T2map"), 1e-3, "s"),
        (("sub-01_T1map", "sub-01_T2map"), 1.0, "ms"),
        (("T1_map", "T2_map"), 1e-3, None),
        (("scan_qT1", "scan_qT2"), 1.0, None),
    ],
)
def test_a_folder_of_another_program_is_compared(tmp_path, truth, names, factor, units):
    first, second = names
    folder = _save(tmp_path / "qMRLab", units, **{first: T1 * 1.1 * factor, second: T2 * factor})
    maps = read_maps(folder)
    assert maps.estimator == "T1map of qMRLab"
    assert maps.pd is None
    assert maps.residual is None
    np.testing.assert_allclose(maps.t1, 1.1 * T1, rtol=1e-6)
    found = nb.compare(truth, maps)
    assert found.score(maps.estimator, "T1").bias_percent == pytest.approx(10, rel=1e-4)
    assert found.score(maps.estimator, "T2").mae_percent < 1e-3
    assert "PD" not in {row.parameter for row in found.table}
    found.to_html(tmp_path / "report.html")
    assert "Estimated PD" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_command_takes_folders_and_files_beside_our_own(tmp_path, truth):
    write_phantom(truth, tmp_path / "head")
    _save(tmp_path / "theirs", a_T1map=T1, a_T2map=T2, b_T1map=1.2 * T1, b_T2map=T2)
    ours = nb.ParameterMaps(T1, T2, np.ones(SHAPE), np.zeros(SHAPE), np.ones(SHAPE, bool), estimator="fc",
                            voxel_size=(3, 2, 2), affine=AFFINE)  # fmt: skip
    write_maps(ours, tmp_path / "ours")
    run = ["--json", "compare", "--truth", str(tmp_path / "head"), "-o", str(tmp_path / "r.html")]
    chosen = [str(tmp_path / "theirs" / "b_T1map.nii.gz"), str(tmp_path / "ours")]
    done = CliRunner().invoke(blochnet, [*run, *chosen])
    assert done.exit_code == 0, done.output
    rows = {(row["model"], row["parameter"]): row for row in json.loads(done.stdout)["table"] if row["tissue"] == "all"}
    model = "T1map of b_T1map"
    assert rows[model, "T1"]["bias_percent"] == pytest.approx(20, rel=1e-4)
    assert (model, "PD") not in rows
    assert rows["fc", "PD"]["mae_percent"] < 1e-3
    several = CliRunner().invoke(blochnet, [*run, str(tmp_path / "theirs")])
    assert several.exit_code == 2
    assert "holds 2 sets of maps (a, b); expected one; name its T1 map" in several.output


def test_the_truth_is_not_compared_with_itself(tmp_path, truth):
    write_phantom(truth, tmp_path / "head")
    with pytest.raises(InputError, match=r"^head: holds a phantom, which counts as truth"):
        read_maps(tmp_path / "head")


def test_voxels_without_a_fit_count_as_not_mapped(tmp_path, truth):
    t1, t2 = T1.copy(), T2.copy()
    t1[0, 0, 0], t2[1, 1, 1], t1[2, 2, 2] = np.nan, -1, np.inf
    t1[:, :, 4] = t2[:, :, 4] = 0
    folder = _save(tmp_path / "a", x_T1map=t1, x_T2map=t2)
    with pytest.warns(DataWarning, match="3 voxels have no T1 or T2 that is a time above 0"):
        maps = read_maps(folder)
    assert maps.mask.sum() == 90 - 18 - 3
    notes = nb.compare(truth, maps).notes
    assert any(note.startswith("21 of 90 voxels are left out") for note in notes)


def test_a_unit_that_cannot_be_told_is_asked_for_where_it_can_be_said(tmp_path):
    folder = _save(tmp_path / "a", x_T1map=T1, x_T2map=T2 / 1000)
    with pytest.raises(InputError, match=r"x_T2map\.nii\.gz: .* 'Units' in a JSON file beside each") as caught:
        read_maps(folder)
    assert "t2_unit" not in str(caught.value)
    np.testing.assert_allclose(read_maps(folder, t1_unit="ms", t2_unit="s").t2, T2, rtol=1e-6)
    (folder / "x_T2map.json").write_text('{"Units": "s"}')
    np.testing.assert_allclose(read_maps(folder).t2, T2, rtol=1e-6)
    with pytest.raises(InputError, match="there is no T2 map"):
        read_maps(_save(tmp_path / "b", x_T1map=T1))


def test_maps_without_pd_are_averaged_written_and_read_again(tmp_path, truth):
    maps = read_maps(_save(tmp_path / "a", x_T1map=T1, x_T2map=T2))
    labels = nib.Nifti1Image(np.asarray(truth.labels).T, AFFINE)
    nib.save(labels, tmp_path / "regions.nii.gz")
    means = nb.region_means(maps, tmp_path / "regions.nii.gz", truth)
    assert {row["parameter"] for row in means.table if row["model"] != "truth"} == {"T1", "T2"}
    assert all(row["residual"] is None for row in means.table)
    means.to_html(tmp_path / "regions.html")
    files = write_maps(maps, tmp_path / "again")
    assert not any("PDmap" in file.name or "residual" in file.name for file in files)
    again = read_maps(tmp_path / "again")
    assert again.pd is None
    np.testing.assert_allclose(again.t2, maps.t2, rtol=1e-6)


def test_what_is_left_of_a_set_of_ours_is_not_taken_for_another_program_s(tmp_path):
    maps = nb.ParameterMaps(T1, T2, np.ones(SHAPE), np.zeros(SHAPE), np.ones(SHAPE, bool))
    write_maps(maps, tmp_path)
    (tmp_path / "sub-01_T1map.json").unlink()
    with pytest.raises(InputError, match=r"T1map\.json"):
        read_maps(tmp_path)


def _mirrored(affine: np.ndarray, count: int) -> np.ndarray:
    turned = affine.copy()
    turned[:3, 3] += turned[:3, 0] * (count - 1)
    turned[:3, 0] *= -1
    return turned


def test_a_mirrored_truth_is_turned(tmp_path, truth):
    maps = read_maps(_save(tmp_path / "a", x_T1map=T1, x_T2map=T2))
    mirrored = nb.Phantom(T1[..., ::-1], T2[..., ::-1], truth.pd, labels=truth.labels, tissues=truth.tissues,
                          voxel_size=(3, 2, 2), affine=_mirrored(AFFINE, 5), name="head")  # fmt: skip
    with pytest.warns(DataWarning, match="The truth head is stored in other directions than the maps of T1map of a"):
        found = nb.compare(mirrored, maps)
    assert found.score(maps.estimator, "T1").mae == 0
    assert any("turned to lie alike" in note for note in found.truth.notes)


def test_maps_stored_in_other_directions_than_the_first_are_turned(tmp_path, truth):
    first = read_maps(_save(tmp_path / "a", x_T1map=T1, x_T2map=T2))
    other = _save(tmp_path / "b", x_T1map=1.1 * T1[..., ::-1], x_T2map=T2[..., ::-1], affine=_mirrored(AFFINE, 5))
    with pytest.warns(DataWarning, match="T1map of b's set of maps is stored in other directions than the first"):
        found = nb.compare(truth, [first, read_maps(other)])
    assert found.score("T1map of b", "T1").bias_percent == pytest.approx(10, rel=1e-4)
    assert found.score("T1map of b", "T2").mae_percent < 1e-3


def test_a_permuted_truth_and_one_of_finer_voxels_meet_the_maps_where_they_lie(tmp_path, truth):
    maps = read_maps(_save(tmp_path / "a", x_T1map=T1, x_T2map=T2))
    permuted = nb.Phantom(T1.transpose(2, 0, 1), T2.transpose(2, 0, 1), truth.pd.transpose(2, 0, 1),
                          voxel_size=(2, 3, 2), affine=AFFINE[:, [1, 2, 0, 3]], name="head")  # fmt: skip
    with pytest.warns(DataWarning, match="turned"):
        assert nb.compare(permuted, maps).score(maps.estimator, "T2").mae == 0
    fine = AFFINE.copy()
    fine[:3, :3] /= 2
    fine[:3, 3] -= fine[:3, :3] @ [0.5, 0.5, 0.5]
    fine[:3, 3] += 1e-3
    twice = [np.kron(values, np.ones((2, 2, 2))) for values in (T1, T2, truth.pd)]
    with pytest.warns(DataWarning, match="resampled by the nearest voxel"):
        found = nb.compare(nb.Phantom(*twice, voxel_size=(1.5, 1, 1), affine=fine), maps)
    assert found.score(maps.estimator, "T1").mae == 0
    assert found.score(maps.estimator, "T1").voxels == 90


def test_a_truth_elsewhere_is_refused_in_one_sentence(tmp_path, truth):
    maps = read_maps(_save(tmp_path / "a", x_T1map=T1, x_T2map=T2))
    away = truth.affine.copy()
    away[0, 3] += 200
    with pytest.raises(InputError, match="the truth head: lies elsewhere than the maps of T1map of a") as caught:
        nb.compare(nb.Phantom(T1, T2, truth.pd, voxel_size=(3, 2, 2), affine=away, name="head"), maps)
    assert caught.value.field == "truth"


def test_maps_that_agree_bring_no_word(tmp_path, truth):
    maps = read_maps(_save(tmp_path / "a", "ms", x_T1map=T1, x_T2map=T2))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        found = nb.compare(truth, maps)
    assert found.score(maps.estimator, "T1", "front").voxels == 45
