"""Phantoms in MATLAB files of every version, in structures too."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from napari_blochnet.common.errors import InputError
from napari_blochnet.phantoms.read import read_phantom

_T1 = np.linspace(600.0, 2000.0, 24).reshape(4, 3, 2)
_MAPS = {"T1": _T1, "T2": _T1 / 10, "PD": np.linspace(0.5, 1.0, 24).reshape(4, 3, 2)}


def _write(path: Path, version: str) -> None:
    if version == "struct":
        scipy.io.savemat(path, {"phantom": _MAPS, "note": "text"}, do_compression=True)
    elif version == "4":
        scipy.io.savemat(path, {name: values[..., 0] for name, values in _MAPS.items()}, format="4")
    else:
        with h5py.File(path, "w", userblock_size=512) as file:
            group = file.create_group("phantom") if version == "73 struct" else file
            for name, values in _MAPS.items():
                group[name] = values.T


@pytest.mark.parametrize("version", ["4", "struct", "73", "73 struct"])
def test_maps(tmp_path: Path, version: str) -> None:
    _write(tmp_path / "p.mat", version)
    phantom = read_phantom(tmp_path / "p.mat")
    slices = 1 if version == "4" else 2
    np.testing.assert_allclose(phantom.t1, _T1.transpose(2, 0, 1)[:slices])
    np.testing.assert_allclose(phantom.t2, _T1.transpose(2, 0, 1)[:slices] / 10)


def test_two_phantoms_in_one_file_are_not_chosen_between(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "p.mat", {"left": _MAPS, "right": _MAPS})
    with pytest.raises(InputError, match=r"p\.mat: holds T1 and T2 maps in left, right; expected those of one phantom"):
        read_phantom(tmp_path / "p.mat")


def test_only_what_is_needed_is_read(tmp_path: Path) -> None:
    """An array that no machine could hold lies beside the maps."""
    _write(tmp_path / "p.mat", "73")
    with h5py.File(tmp_path / "p.mat", "r+") as file:
        file.create_dataset("history", (2**14, 2**14), "f8", chunks=(2**10, 2**10), compression="gzip")
    np.testing.assert_allclose(read_phantom(tmp_path / "p.mat").t1, _T1.transpose(2, 0, 1))
