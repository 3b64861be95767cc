"""What files are: told without napari, with evidence where the format belongs to everybody."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.fingerprints.stack_files import write_fingerprints
from napari_blochnet.jobs.recognise import (
    has_own_schedule,
    is_our_stack,
    is_phantom,
    is_series_of_contrasts,
    what_is_in,
)
from napari_blochnet.jobs.sessions import SESSION_FILE, SavedSession, write_session
from napari_blochnet.phantoms.synthetic import synthetic_phantom
from napari_blochnet.phantoms.write import write_phantom
from napari_blochnet.schedules.generators import spline_schedule


def test_what_is_clear(tmp_path):
    assert what_is_in([]) is None
    write_phantom(synthetic_phantom(shape=(2, 24, 20)), tmp_path / "sub-small")
    assert what_is_in([str(tmp_path / "sub-small")]) == "phantom"
    for name in ("scan.npy", "scan.NPZ", "scan.h5", "scan.hdf5"):
        assert what_is_in([str(tmp_path / name)]) == "fingerprints"
    loose = [str(tmp_path / name) for name in ("sub-1_label-GM_probseg.nii.gz", "wm.nii", "csf.mnc.gz")]
    assert what_is_in(loose) == "phantom"
    for unclear in (["scan.nii.gz"], ["scan.mat"], ["scan.npy", "other.npy"], ["gm.nii", "scan.nii"], ["notes.txt"]):
        assert what_is_in([str(tmp_path / name) for name in unclear]) is None
    stack = FingerprintStack(np.ones((20, 1, 2, 3), np.float32), spline_schedule(length=20))
    write_fingerprints(stack, tmp_path / "mine.nii.gz")
    assert what_is_in([str(tmp_path / "mine.nii.gz")]) == "fingerprints"
    session = write_session(SavedSession((), (), {}), tmp_path / "session")
    for path in (session, session / SESSION_FILE):
        assert what_is_in([path]) == "session"


def test_a_name_alone_is_evidence_for_a_person_and_not_for_a_reader(tmp_path):
    assert what_is_in([tmp_path / "wm.nii"]) == "phantom"
    assert not is_phantom(tmp_path / "wm.nii")
    assert what_is_in([tmp_path / "scan.npy"]) == "fingerprints"
    assert not is_our_stack(tmp_path / "scan.npy")


@pytest.mark.parametrize("content", [None, "{", "[]", '{"schedule": 3}', '{"RepetitionTime": 2.0}'])
def test_somebody_elses_sidecar_is_no_schedule_of_ours(tmp_path, content):
    if content is not None:
        (tmp_path / "scan.json").write_text(content)
    assert not has_own_schedule(tmp_path / "scan.nii.gz")
    assert not is_our_stack(tmp_path / "scan.nii.gz")


def test_scanners_images_and_stores_are_fingerprints_for_a_person(tmp_path, write_dicom):
    folder = tmp_path / "train"
    folder.mkdir()
    for name in ("IM_0001", "a.dcm", "b.IMA"):
        write_dicom(folder / name, np.ones((3, 4), int))
        assert what_is_in([folder / name]) == "fingerprints"
    assert what_is_in([folder]) == "fingerprints"
    assert is_series_of_contrasts(folder)
    (tmp_path / "empty.dcm").write_bytes(b"")
    assert what_is_in([tmp_path / "empty.dcm"]) is None
    assert not is_series_of_contrasts(tmp_path / "none")
    stack = FingerprintStack(np.ones((20, 1, 2, 3), np.float32), spline_schedule(length=20))
    write_fingerprints(stack, tmp_path / "mine.zarr")
    assert is_our_stack(tmp_path / "mine.zarr")
    assert has_own_schedule(tmp_path / "mine.zarr")
    zarr.create_array(tmp_path / "theirs.zarr", data=np.ones((20, 3, 4)))
    assert not is_our_stack(tmp_path / "theirs.zarr")
    for name in ("mine.zarr", "theirs.zarr"):
        assert what_is_in([tmp_path / name]) == "fingerprints"
        assert not is_series_of_contrasts(tmp_path / name)
    # a damaged store is no stack of ours, and no fault
    (tmp_path / "mine.zarr" / "zarr.json").write_text("{")
    assert not is_our_stack(tmp_path / "mine.zarr")


def test_a_bids_folder_with_a_series_is_fingerprints_and_one_with_maps_a_phantom(tmp_path):
    for name in ("sub-1_inv-1_IRT1.nii", "sub-1_inv-2_IRT1.nii"):
        (tmp_path / name).write_bytes(b"")
    assert what_is_in([tmp_path]) == "fingerprints"
    (tmp_path / "sub-1_T1map.nii").write_bytes(b"")
    assert what_is_in([tmp_path]) == "phantom"
