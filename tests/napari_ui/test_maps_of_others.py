"""Maps of other programs in the window: opened in the Compare tab, scored beside the truth, kept in a session."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from napari_blochnet.jobs.operations.opening import synthetic_head
from napari_blochnet.napari_ui.canvas.layers import add_phantom

pytestmark = pytest.mark.gui


def _save(folder, truth, factor):
    folder.mkdir()
    for key in ("t1", "t2"):
        values = getattr(truth, key) * (factor if key == "t1" else 1) / 1000
        affine = np.array(truth.affine)
        nib.save(nib.Nifti1Image(values.T.astype(np.float32), affine), folder / f"sub-1_{key.upper()}map.nii.gz")


def test_they_are_opened_compared_and_come_back_with_the_session(desk, tmp_path):
    desk = desk()
    truth = synthetic_head(shape=(3, 24, 20))
    _save(tmp_path / "qMRLab", truth, 1.1)
    add_phantom(desk.session, truth)
    compare = desk.turn_to("Compare")
    compare.open_maps([str(tmp_path / "qMRLab" / "sub-1_T1map.nii.gz")])
    assert "T1map of qMRLab" in desk.wait(compare)
    (maps,) = compare.maps.chosen
    assert maps.pd is None
    assert {entry.role for _, entry in desk.session.pairs("maps", maps)} == {"T1", "T2"}
    assert desk.run(compare, compare.run).startswith("Compared")
    found = compare.comparison
    assert found.score(maps.estimator, "T1").bias_percent == pytest.approx(10, rel=1e-3)
    assert found.score(maps.estimator, "T2").mae_percent < 1e-3
    error = desk.layer("T1 error (%) – T1map of qMRLab").data
    np.testing.assert_allclose(error[truth.mask], 10, rtol=1e-3)

    compare.open_maps([str(tmp_path / "qMRLab" / "sub-1_T2map.nii.gz"), str(tmp_path / "nowhere.nii.gz")])
    assert "nowhere.nii.gz" in desk.wait(compare)


def test_what_is_kept_of_maps_without_pd_comes_back(tmp_path):
    from napari_blochnet.evaluation.maps_io import read_maps
    from napari_blochnet.jobs.sessions import SavedSession, read_session, write_session

    truth = synthetic_head(shape=(3, 24, 20))
    _save(tmp_path / "a", truth, 1.0)
    maps = read_maps(tmp_path / "a")
    write_session(SavedSession((maps,), (), {}), tmp_path / "session")
    (again,) = read_session(tmp_path / "session").subjects
    assert again.pd is None
    np.testing.assert_array_equal(again.t2, maps.t2)
