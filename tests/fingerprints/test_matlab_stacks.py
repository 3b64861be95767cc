"""Stacks and masks in MATLAB files of every version, in structures and cells too."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.stack_files import read_fingerprints
from napari_blochnet.schedules.schedule import Schedule

_N = 7
_SCHEDULE = Schedule(np.linspace(5, 60, _N), 12.0, 3.0, inversion_time=20.0, name="seven")
_RANDOM = np.random.default_rng(0)
_DATA = (_RANDOM.normal(size=(_N, 2, 3, 4)) + 1j * _RANDOM.normal(size=(_N, 2, 3, 4))).astype(np.complex64)
_MATLAB = _DATA.transpose(2, 3, 1, 0)  # (y, x, z, time)


def _cells(*values: np.ndarray) -> np.ndarray:
    cell = np.empty((1, len(values)), dtype=object)
    for i, value in enumerate(values):
        cell[0, i] = value
    return cell


def test_structures_and_cells(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"D": {"images": _MATLAB, "te": 3.0}})
    np.testing.assert_array_equal(read_fingerprints(tmp_path / "a.mat", _SCHEDULE).data, _DATA)
    scipy.io.savemat(tmp_path / "a.mat", {"x": _cells(_MATLAB, 2 * _MATLAB)}, do_compression=True)
    with pytest.raises(InputError, match=r"holds 2 arrays: x\{1\} .*give variable") as caught:
        read_fingerprints(tmp_path / "a.mat", _SCHEDULE)
    assert caught.value.field == "variable"
    np.testing.assert_array_equal(read_fingerprints(tmp_path / "a.mat", _SCHEDULE, variable="x{2}").data, 2 * _DATA)


def test_a_variable_counts_before_what_structures_hold(tmp_path: Path) -> None:
    """As it did before structures were opened."""
    scipy.io.savemat(tmp_path / "a.mat", {"info": {"matrix": np.eye(_N)}, "stack": _MATLAB})
    np.testing.assert_array_equal(read_fingerprints(tmp_path / "a.mat", _SCHEDULE).data, _DATA)


def test_version_4(tmp_path: Path) -> None:
    one = _DATA[:, 0].reshape(_N, 12)
    scipy.io.savemat(tmp_path / "a.mat", {"voxels": one}, format="4")
    stack = read_fingerprints(tmp_path / "a.mat", _SCHEDULE, kind="complex")
    np.testing.assert_array_equal(stack.data.reshape(_N, 12), one)


def test_version_73_with_references_and_groups(tmp_path: Path) -> None:
    pairs = np.zeros(_MATLAB.T.shape, [("imag", "<f4"), ("real", "<f4")])
    pairs["real"], pairs["imag"] = _MATLAB.T.real, _MATLAB.T.imag
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        file["#refs#/a"] = pairs
        file["#refs#/canonical empty"] = np.zeros(2, np.uint64)
        file.create_dataset("D/x", data=np.array([[file["#refs#/a"].ref]], h5py.ref_dtype))
        file["D/x"].attrs["MATLAB_class"] = np.bytes_("cell")
    np.testing.assert_array_equal(read_fingerprints(tmp_path / "a.mat", _SCHEDULE).data, _DATA)
    # as the path within the file was given once
    np.testing.assert_array_equal(read_fingerprints(tmp_path / "a.mat", _SCHEDULE, variable="D/x{1}").data, _DATA)


@pytest.mark.parametrize("version", ["5", "73"])
def test_masks_in_structures(tmp_path: Path, version: str) -> None:
    inside = np.zeros((3, 4, 2), bool)
    inside[..., 0] = True
    if version == "5":
        scipy.io.savemat(tmp_path / "mask.mat", {"roi": {"brain": inside}})
    else:
        with h5py.File(tmp_path / "mask.mat", "w", userblock_size=512) as file:
            file["roi/brain"] = inside.T.astype(np.uint8)
            file["roi/brain"].attrs["MATLAB_class"] = np.bytes_("logical")
    scipy.io.savemat(tmp_path / "a.mat", {"stack": _MATLAB})
    stack = read_fingerprints(tmp_path / "a.mat", _SCHEDULE, mask=tmp_path / "mask.mat")
    assert stack.mask[0].all()
    assert not stack.mask[1].any()
