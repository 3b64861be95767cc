"""Real and imaginary parts, or magnitude and phase, as two arrays of one file: one stack of complex samples."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import scipy.io
import zarr

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError

PULSES = 30
SCHEDULE = nb.Schedule(np.linspace(10, 60, PULSES), 12.0, 4.0, inversion_time=20.0)
SIZE = np.random.default_rng(0).uniform(0.1, 1, (PULSES, 2, 3, 4))
# a phase that drifts: neither part alone is a signal
DATA = SIZE * np.exp(1j * np.linspace(0, 3, PULSES))[:, None, None, None]


def _hdf5(path, arrays):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values


def _zarr(path, arrays):
    group = zarr.open_group(path, mode="w")
    for name, values in arrays.items():
        group.create_array(name, data=values)


WRITERS = {
    "a.h5": _hdf5,
    "a.npz": lambda path, arrays: np.savez(path, **arrays),
    "a.zarr": _zarr,
    "a.mat": lambda path, arrays: scipy.io.savemat(path, {n: np.moveaxis(a, 1, -1) for n, a in arrays.items()}),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("names", [("img_real", "img_imag"), ("re", "im"), ("Real", "Imag")])
def test_real_and_imaginary_arrays_are_one_stack(tmp_path, name, names):
    WRITERS[name](tmp_path / name, dict(zip(names, (DATA.real, DATA.imag), strict=True)))
    for variable in (None, *names):
        stack = nb.read_fingerprints(tmp_path / name, SCHEDULE, variable=variable)
        assert stack.kind == "complex"
        np.testing.assert_allclose(stack.data, DATA, rtol=1e-6)
        assert any("real and imaginary parts of complex samples" in note for note in stack.notes)
    alone = nb.read_fingerprints(tmp_path / name, SCHEDULE, "real", variable=names[0])
    assert alone.kind == "real"
    np.testing.assert_allclose(alone.data, DATA.real)


@pytest.mark.parametrize("name", ["a.h5", "a.npz", "a.zarr"])
def test_magnitude_and_phase_arrays_are_one_stack(tmp_path, name):
    WRITERS[name](tmp_path / name, {"mag": np.abs(DATA), "phase": np.angle(DATA)})
    stack = nb.read_fingerprints(tmp_path / name, SCHEDULE)
    np.testing.assert_allclose(stack.data, DATA, rtol=1e-5)
    alone = nb.read_fingerprints(tmp_path / name, SCHEDULE, "magnitude")
    np.testing.assert_allclose(alone.data, np.abs(DATA))


def test_a_group_that_holds_both_parts_is_named(tmp_path):
    """As ISMRMRD and others store images, beside something else of the same size."""
    arrays = {"image_0/real": DATA.real, "image_0/imag": DATA.imag, "other": SIZE}
    _hdf5(tmp_path / "a.h5", arrays)
    with pytest.raises(InputError, match=r"^a\.h5: holds 3 arrays: .*image_0/imag.*give variable"):
        nb.read_fingerprints(tmp_path / "a.h5", SCHEDULE)
    stack = nb.read_fingerprints(tmp_path / "a.h5", SCHEDULE, variable="image_0")
    np.testing.assert_allclose(stack.data, DATA, rtol=1e-6)


def test_arrays_of_other_names_or_sizes_are_no_parts(tmp_path):
    _hdf5(tmp_path / "a.h5", {"before": DATA.real, "after": DATA.imag})
    with pytest.raises(InputError, match="holds 2 arrays"):
        nb.read_fingerprints(tmp_path / "a.h5", SCHEDULE)
    _hdf5(tmp_path / "b.h5", {"real": DATA.real, "imag": DATA.imag[:, :1]})
    with pytest.raises(InputError, match="holds 2 arrays"):
        nb.read_fingerprints(tmp_path / "b.h5", SCHEDULE)
    with pytest.raises(InputError, match=r"b\.h5, imag: has shape"):
        nb.read_fingerprints(tmp_path / "b.h5", SCHEDULE, variable="real")
