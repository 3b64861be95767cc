"""Numbers of HDF5 files are the same whether these are called .h5 or .mat, mapped or read; h5py writes them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_blochnet.fingerprints.sources import open_array
from napari_blochnet.io import matlab73

SHAPE = (30, 5, 6)
RNG = np.random.default_rng(0)
WHOLE = RNG.integers(-2000, 2000, SHAPE)


@pytest.fixture(autouse=True)
def _mapped(monkeypatch):
    # arrays of this size are read otherwise
    monkeypatch.setattr(matlab73, "_MAPPED", 0)


def _both(tmp_path, fill):
    """Return the array as it is read from a file of either name, axes as in HDF5."""
    found = []
    for name in ("a.h5", "a.mat"):
        with h5py.File(tmp_path / name, "w", userblock_size=512) as file:
            fill(file)
        data = open_array(tmp_path / name).data
        found.append(data.T if name == "a.mat" else data)
    return found


def _exactly(file, stored, values, chunks=None):
    """Write into a dataset of just this type, which h5py would show and make as another."""
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if chunks:
        made.set_chunk(chunks)
    space = h5py.h5s.create_simple(values.shape)
    dataset = h5py.h5d.create(file.id, b"signal", stored, space, made)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(values))


def _of_few_bits(precision, offset):
    stored = h5py.h5t.STD_I32LE.copy()
    stored.set_precision(precision)
    stored.set_offset(offset)
    return stored


def _of_other_bias():
    stored = h5py.h5t.IEEE_F32LE.copy()
    stored.set_ebias(120)
    return stored


@pytest.mark.parametrize("chunks", [None, (7, 5, 2)])
@pytest.mark.parametrize(
    "stored", [_of_few_bits(17, 0), _of_few_bits(12, 20), _of_other_bias()], ids=["17", "12", "bias"]
)
def test_numbers_that_lie_otherwise_than_in_memory_are_converted(tmp_path, stored, chunks):
    values = WHOLE.astype("f4" if stored.get_class() == h5py.h5t.FLOAT else "i4")
    for data in _both(tmp_path, lambda file: _exactly(file, stored, values, chunks)):
        np.testing.assert_array_equal(data, values)


@pytest.mark.parametrize("chunks", [None, (7, 5, 2)])
@pytest.mark.parametrize("names", [("real", "imag"), ("re", "im")])
@pytest.mark.parametrize(
    ("part", "taken"),
    [("<f2", "c8"), ("<f4", "c8"), (">f4", "c8"), ("<f8", "c16"), ("<i2", "c8"), ("<u1", "c8"), ("<i4", "c16")],
)
def test_pairs_are_complex_numbers_of_one_type(tmp_path, names, part, taken, chunks):
    pairs = np.zeros(SHAPE, [(name, part) for name in names])
    pairs[names[0]], pairs[names[1]] = WHOLE % 200, WHOLE[::-1] % 200

    def fill(file):
        file.create_dataset("signal", data=pairs, chunks=chunks)

    for data in _both(tmp_path, fill):
        assert data.dtype.newbyteorder("=") == np.dtype(taken)
        np.testing.assert_array_equal(data, WHOLE % 200 + 1j * (WHOLE[::-1] % 200))


def test_pairs_of_vectors_are_no_complex_numbers(tmp_path):
    pairs = np.zeros(SHAPE, [("r", "f4", 3), ("i", "f4", 3)])
    for name in ("a.h5", "a.mat"):
        with h5py.File(tmp_path / name, "w") as file:
            file["signal"], file["other"] = pairs, WHOLE
        assert open_array(tmp_path / name).data.dtype.kind == "i"
