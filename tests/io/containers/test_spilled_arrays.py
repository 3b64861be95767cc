"""Arrays too large for the memory: on the disk without a name, like those in memory, gone with the last of them."""

from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.arrays import lies_on_disk
from napari_blochnet.fingerprints.sources import open_array
from napari_blochnet.io import reading
from napari_blochnet.io.containers import spilled_arrays
from napari_blochnet.io.containers.hdf5_arrays import create_hdf5_array
from napari_blochnet.io.containers.spilled_arrays import roomy_array, spill_folder

FLOAT = np.dtype(np.float32)


@pytest.fixture
def spilled(monkeypatch, tmp_path):
    monkeypatch.setattr(spilled_arrays, "SPILLED_BYTES", 2**20)
    folder = tmp_path / "spilled"
    folder.mkdir()
    monkeypatch.setattr(spilled_arrays, "spill_folder", lambda: folder)
    return folder


def test_a_large_array_lies_on_the_disk_under_no_name(spilled):
    small, large = roomy_array((4, 5), FLOAT), roomy_array((300, 1000), FLOAT)
    assert [lies_on_disk(array) for array in (small, large)] == [False, True]
    assert [type(array) for array in (small, large)] == [np.ndarray, np.ndarray]
    assert list(spilled.iterdir()) == []
    large[:] = np.arange(300_000).reshape(300, 1000)
    part = large.T[10:, 20:]
    assert lies_on_disk(part)
    assert part[0, 0] == 20_010
    assert not any(lies_on_disk(array) for array in (part + 1, part.copy(), part.astype(np.float64)))


def test_without_room_on_the_disk_it_lies_in_memory(spilled, monkeypatch):
    monkeypatch.setattr(spilled_arrays, "room_for_spilling", lambda: 2**21)
    assert lies_on_disk(roomy_array(2**19, FLOAT))
    assert not lies_on_disk(roomy_array(2**20, FLOAT))
    spilled.rmdir()
    assert not lies_on_disk(roomy_array(2**19, FLOAT))


def test_it_lies_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert spill_folder() == tmp_path
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    assert spill_folder() in (Path("/var/tmp"), Path(tempfile.gettempdir()))
    monkeypatch.setattr(tempfile, "tempdir", None)


def test_a_packed_stack_is_read_and_cut_in_less_memory_than_it_has_bytes(spilled, tmp_path):
    schedule = nb.spline_schedule(length=100)
    shape = (100, 20, 64, 80)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = file.create_dataset("signal", shape, np.complex64, chunks=(100, 1, 64, 8), compression="lzf")
        for z in range(20):
            made[:, z] = np.broadcast_to(np.complex64(1) + z + np.arange(80), (100, 64, 80)).astype(np.complex64)
    tracemalloc.start()
    try:
        stack = nb.read_fingerprints(tmp_path / "a.h5", schedule)
        cut = stack[3:5]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < stack.data.nbytes / 2
    assert stack.mask.all()
    assert lies_on_disk(cut.data)
    np.testing.assert_array_equal(cut.fingerprints()[0], np.full(100, 4 + 0j))


@pytest.mark.parametrize("name", ["a.h5", "a.mat"])
def test_what_is_mapped_may_be_larger_than_memory_and_disk(tmp_path, name):
    # 1 TB of holes
    create_hdf5_array(tmp_path / name, "data", (500, 512, 512, 1000), np.dtype(np.complex64), ("z", "y", "x", "t"), {})
    data = open_array(tmp_path / name).data
    assert data.nbytes == 500 * 512 * 512 * 1000 * 8
    assert lies_on_disk(data)
    assert data[3, 4, 5, 6] == 0


def test_what_neither_memory_nor_disk_can_hold_is_told_before_it_is_unpacked(spilled, tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", (1000, 16, 16, 16), np.float32, chunks=(1000, 1, 16, 16), compression="gzip")
        file["data"][:, 0] = np.random.default_rng(0).normal(size=(1000, 16, 16))
    monkeypatch.setattr(reading, "SPILLED_BYTES", 2**20)
    monkeypatch.setattr(reading, "room_for_spilling", lambda: 2**20)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=2**21))
    with pytest.raises(nb.InputError, match=r"^a\.h5: claims an array of 0.0153 GiB.*0.00195 GiB are free.*TMPDIR"):
        open_array(tmp_path / "a.h5")
    # memory, or the disk, is enough
    monkeypatch.setattr(reading, "room_for_spilling", lambda: 2**25)
    assert open_array(tmp_path / "a.h5").data.shape == (1000, 16, 16, 16)
