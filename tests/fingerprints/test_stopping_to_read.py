"""A large stack says how far its reading is, and Cancel is answered at once, whatever the format."""

from __future__ import annotations

import gzip
import threading
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import scipy.io

from napari_blochnet.common.errors import Cancelled
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.io.nifti import read_nifti, write_nifti
from napari_blochnet.jobs.operations.opening import open_fingerprints
from napari_blochnet.schedules.schedule import Schedule

_N = 60
_SCHEDULE = Schedule(np.linspace(5, 60, _N), 12.0, 3.0, name="sixty")
_RANDOM = np.random.default_rng(0)
# 38 MB, some of it as hard to pack as measured samples are
_DATA = (_RANDOM.integers(1, 200, (2, _N, 5, 128, 128)).T @ np.array([1, 1j])).T.astype(np.complex64)


def _nifti(path: Path) -> Path:
    write_nifti(_DATA, Geometry(), path / "a.nii.gz")
    return path / "a.nii.gz"


def _npz(path: Path) -> Path:
    np.savez_compressed(path / "a.npz", stack=_DATA)
    return path / "a.npz"


def _hdf5(path: Path) -> Path:
    with h5py.File(path / "a.h5", "w") as file:
        file.create_dataset("stack", data=_DATA, chunks=(10, 1, 32, 32), compression="gzip", compression_opts=1)
    return path / "a.h5"


def _matlab(path: Path) -> Path:
    scipy.io.savemat(path / "a.mat", {"stack": _DATA.transpose(2, 3, 1, 0)}, do_compression=True)
    return path / "a.mat"


def _matlab_unpacked(path: Path) -> Path:
    scipy.io.savemat(path / "a.mat", {"stack": _DATA.transpose(2, 3, 1, 0)})
    return path / "a.mat"


def _npy(path: Path) -> Path:
    np.save(path / "a.npy", _DATA)
    return path / "a.npy"


@pytest.mark.parametrize("write", [_nifti, _npz, _hdf5, _matlab, _matlab_unpacked, _npy])
def test_reading_says_how_far_it_is_and_can_be_stopped(tmp_path: Path, write) -> None:
    path = write(tmp_path)
    steps: list[tuple[int, int, str]] = []
    stack = open_fingerprints(path, _SCHEDULE, progress=lambda *step: steps.append(step))
    np.testing.assert_array_equal(stack.data, _DATA)
    assert stack.record["operation"] == "open_fingerprints"
    messages = list(dict.fromkeys(message for _, _, message in steps))
    assert messages == ([f"reading {path.name}"] if write is not _npy else []) + ["looking at the samples"]
    for message in messages:
        shares = [done / total for done, total, said in steps if said == message]
        assert shares == sorted(shares)
        assert shares[0] == 0
        # more than a beginning and an end
        assert len(shares) >= 4
        assert max(np.diff([*shares, 1.0])) < 0.35
        wish, later = threading.Event(), []

        def stop(done: int, total: int, said: str, wish=wish, later=later, message=message) -> None:
            if wish.is_set():
                later.append((done, total, said))
            elif said == message and done > 0.3 * total:
                wish.set()

        with pytest.raises(Cancelled):
            open_fingerprints(path, _SCHEDULE, progress=stop, cancelled=wish)
        # nothing is begun after the piece that was being read
        assert wish.is_set()
        assert later == []


def test_scaled_and_packed_images_in_blocks_are_what_nibabel_reads(tmp_path: Path) -> None:
    raw = _RANDOM.integers(0, 4000, (40, 50, 30, 60)).astype(np.int16)
    for name, slope, inter in (("a.nii", 0.5, 3.0), ("a.nii.gz", 0.5, 3.0), ("b.nii.gz", 1.0, 0.0)):
        image = nib.Nifti1Image(raw, np.eye(4))
        image.header.set_slope_inter(slope, inter)
        nib.save(image, tmp_path / name)
        expected = np.asanyarray(nib.load(tmp_path / name).dataobj)
        values, _ = read_nifti(tmp_path / name)
        assert values.dtype == expected.dtype
        np.testing.assert_array_equal(values, expected.T)


def test_a_packed_image_is_unpacked_once(tmp_path: Path, monkeypatch) -> None:
    write_nifti(_DATA, Geometry(), tmp_path / "a.nii.gz")
    asked = []
    read = gzip.GzipFile.read

    def counted(self, size=-1):
        content = read(self, size)
        asked.append(len(content))
        return content

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    read_nifti(tmp_path / "a.nii.gz")
    assert sum(asked) < 1.1 * _DATA.nbytes


def test_another_record_does_not_look_at_the_samples_again() -> None:
    stack = FingerprintStack(_DATA[:, :1, :4, :4].copy(), _SCHEDULE)
    stack.data[3, 0, 1, 1] = np.nan
    same = stack.with_record({"seed": 3})
    assert same.record == {"seed": 3}
    assert stack.record == {}
    assert same.data is stack.data
    assert same.schedule is stack.schedule
