"""Arrays of .npz files are read once they are asked for; NumPy writes the files."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.io.containers.numpy_archives import list_archived_arrays
from napari_blochnet.phantoms.formats.numpy_arrays import numpy_arrays

VALUES = np.random.default_rng(0).normal(size=(3, 4, 5))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_what_numpy_wrote(tmp_path, save):
    # object arrays are nobody's numbers, and are never unpickled
    save(tmp_path / "a.npz", c=VALUES, f=np.asfortranarray(VALUES), big=VALUES.astype(">i2"), one=np.array(3), o=[{}])
    arrays = list_archived_arrays(tmp_path / "a.npz")
    assert {name: each.shape for name, each in arrays.items()} == {
        "c": (3, 4, 5),
        "f": (3, 4, 5),
        "big": (3, 4, 5),
        "one": (),
    }
    for name, each in arrays.items():
        np.testing.assert_array_equal(each.read(), np.load(tmp_path / "a.npz")[name])


def test_a_stack_beside_the_maps_is_not_read(tmp_path):
    t1, t2 = np.full((4, 5, 6), 900.0), np.full((4, 5, 6), 80.0)
    np.savez_compressed(tmp_path / "maps.npz", T1=t1, T2=t2, stack=np.zeros((400, 4, 50, 60), np.float32))
    nb.read_phantom(tmp_path / "maps.npz")
    tracemalloc.start()
    try:
        phantom = nb.read_phantom(tmp_path / "maps.npz")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(phantom.t1, t1)
    # the stack has 19 MB
    assert peak < 2**22


def _archive(path, claimed, content):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": claimed})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("T1.npy", header.getvalue() + content)


def test_what_is_claimed_is_not_set_aside(tmp_path):
    _archive(tmp_path / "a.npz", (1000, 1000, 1000), bytes(2**16))
    for read in (numpy_arrays, lambda path: nb.read_fingerprints(path, nb.Schedule(np.ones(1000), 9.0, 3.0))):
        with pytest.raises(InputError, match=r"^a\.npz: .*T1 claims 8,000,000,000 bytes out of"):
            read(tmp_path / "a.npz")
    # as it may be, but is not there
    _archive(tmp_path / "a.npz", (8, 10, 10), VALUES.tobytes())
    with pytest.raises(InputError, match=r"^a\.npz: cannot be read as NumPy arrays \(it ends after 480 of 6,400 bytes"):
        nb.read_fingerprints(tmp_path / "a.npz", nb.Schedule(np.ones(8), 9.0, 3.0))


def test_a_file_without_a_volume_says_what_it_holds(tmp_path):
    np.savez(tmp_path / "a.npz", te=np.arange(3.0), none=np.zeros((0, 3)))
    with pytest.raises(InputError, match=r"^a\.npz: holds no volume \(te \(float64, 3\), none \(float64, 0 × 3\)\)"):
        numpy_arrays(tmp_path / "a.npz")
