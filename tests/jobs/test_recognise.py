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
    unreadable,
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


def _whole_mat(path, **variables) -> bytes:
    from scipy.io import savemat

    savemat(path, variables, do_compression=True)
    return path.read_bytes()


def _damaged(tmp_path) -> dict[str, bytes]:
    whole = _whole_mat(tmp_path / "whole.mat", T1=np.random.default_rng(0).random((20, 20)), T2=np.ones((20, 20)))
    middle = len(whole) // 3
    return {
        "flipped.mat": whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :],
        "cut.mat": whole[:200],
        "head.mat": whole[:128],
        "empty.mat": b"",
        "text.mat": b"T1 T2 brain\n" * 40,
        "zeros.mat": bytes(4096),
        "hdf5.mat": bytes(512) + b"\x89HDF\r\n\x1a\n" + bytes(64),
    }


def test_damaged_matlab_files_are_no_evidence_and_no_exception(tmp_path):
    for name, content in _damaged(tmp_path).items():
        (tmp_path / name).write_bytes(content)
        assert not is_phantom(tmp_path / name)
        assert what_is_in([str(tmp_path / name)]) is None
        said = unreadable(tmp_path / name)
        assert "\n" not in said
        # a head alone is a whole file, of no array
        assert said.startswith(f"{name}: cannot be read as a MATLAB") == (name != "head.mat")
        assert (said == "") == (name == "head.mat")
    assert is_phantom(tmp_path / "whole.mat")
    assert unreadable(tmp_path / "whole.mat") == ""


def test_maps_are_known_in_every_version_of_matlab(tmp_path):
    import h5py
    from scipy.io import savemat

    savemat(tmp_path / "four.mat", {"T1map": np.ones((4, 4)), "T2map": np.ones((4, 4))}, format="4")
    with h5py.File(tmp_path / "seven.mat", "w", userblock_size=512) as file:
        file["t1"], file["t2"] = np.ones((2, 4, 4)), np.ones((2, 4, 4))
        file.create_group("#refs#")
    _whole_mat(tmp_path / "other.mat", spikes=np.zeros(100))
    assert [is_phantom(tmp_path / f"{name}.mat") for name in ("four", "seven", "other")] == [True, True, False]


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"schedule": ' * 50_000, "9" * 10_000, '{"schedule": \ud800}', "\0"]
)
def test_whatever_lies_beside_a_stack_is_no_exception(tmp_path, content):
    (tmp_path / "scan.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    assert not has_own_schedule(tmp_path / "scan.nii")
    assert not is_our_stack(tmp_path / "scan.nii")
    assert what_is_in([tmp_path / "scan.nii"]) is None


def test_paths_that_cannot_be_looked_at(tmp_path):
    for path in ("x" * 5000 + ".nii", "a\0b.mat", str(tmp_path / "nothing.mat"), "https://host/file.nii"):
        assert not is_phantom(path)
        assert not is_our_stack(path)
        assert what_is_in([path]) is None
    # of a folder by the name of a file, and of a link that leads nowhere
    (tmp_path / "folder.mat").mkdir()
    (tmp_path / "link.mat").symlink_to(tmp_path / "away.mat")
    for name in ("folder.mat", "link.mat"):
        assert not is_phantom(tmp_path / name)
        assert unreadable(tmp_path / name).startswith(name)


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


def test_dictionaries_and_complex_images_in_matlab_files(tmp_path):
    from scipy.io import savemat

    atoms, table = (
        np.random.default_rng(1).standard_normal((4, 50)),
        {"T1_ms": np.arange(1.0, 51), "T2_ms": np.ones(50)},
    )
    images = np.ones((12, 10, 4), np.complex64)
    savemat(tmp_path / "dictionary.mat", {"D": {"magnetization": atoms, **table}})
    savemat(tmp_path / "two.mat", {name: {"magnetization": atoms, **table} for name in ("fine", "coarse")})
    np.savez(tmp_path / "dictionary.npz", atoms=atoms, **table)
    savemat(tmp_path / "images.mat", {"contrast": images})
    savemat(tmp_path / "real.mat", {"contrast": images.real})
    # whoever has both in one file opens the images
    savemat(tmp_path / "both.mat", {"contrast": images, "D": {"magnetization": atoms, **table}})
    found = {path.name: what_is_in([path]) for path in tmp_path.iterdir()}
    assert found == {
        "dictionary.mat": "dictionary", "two.mat": "dictionary", "dictionary.npz": "dictionary",
        "images.mat": "fingerprints", "real.mat": None, "both.mat": "fingerprints",
    }  # fmt: skip
