"""Dictionaries of ours as files that others, and this package, read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.endings import check_ending
from napari_blochnet.common.origin_marks import HDF5_HEAD, MATLAB_HEAD, PROGRAM
from napari_blochnet.estimators.brought.brought_dictionary import BroughtDictionary
from napari_blochnet.io.atomic import replacing

__all__ = ["WRITTEN", "write_dictionary"]

#: Endings of the formats that are written.
WRITTEN = (".npz", ".mat", ".h5", ".hdf5")
# Bytes of text that a MATLAB 5 file begins with; of the block that HDF5 leaves to others, as MATLAB 7.3 does.
_HEAD, _BLOCK = 116, 512


def write_dictionary(dictionary: BroughtDictionary, path: str | os.PathLike[str]) -> None:
    """Write a dictionary's atoms, look-up table and basis.

    Parameters
    ----------
    dictionary : BroughtDictionary
    path : path
        ``.npz``, ``.h5``, or ``.mat`` (MATLAB 5, a structure ``D``): ``magnetization`` (K or time × atom),
        ``normalization`` (1 × atom) what each atom was divided by, ``lookup_table`` (atom × parameter) with
        ``parameter`` and ``unit`` of its columns, ``u`` (time × K) the basis, ``schedule`` and ``record`` as JSON.

    Raises
    ------
    InputError
        Another ending; a file that is there and not ours.
    """
    target, table = Path(path), dictionary.table
    check_ending(target, WRITTEN, "dictionaries", field="output")
    arrays: dict[str, Any] = {
        "magnetization": np.asarray(table.atoms).T,
        "lookup_table": np.column_stack([column.values for column in table.columns]),
    }
    if table.norms is not None:
        arrays["normalization"] = table.norms[None]
    if table.basis is not None:
        arrays["u"] = np.asarray(table.basis)
    texts = {"kind": "magnitude" if table.magnitude else "signal", "record": json.dumps(table.record)}
    if table.schedule is not None:
        texts["schedule"] = json.dumps(table.schedule.to_dict())
    names, units = [column.name for column in table.columns], [column.unit for column in table.columns]
    with replacing(target) as draft:
        if target.name.lower().endswith(".npz"):
            listed = {"parameter": np.array(names), "unit": np.array(units), **texts, PROGRAM: "dictionary"}
            with draft.open("wb") as file:
                np.savez(file, **{**arrays, **{key: np.asarray(value) for key, value in listed.items()}})
            return
        if not target.name.lower().endswith(".mat"):
            _write_hdf5(draft, {**arrays, "parameter": names, "unit": units, **texts})
            return
        from scipy.io import savemat

        cells = {"parameter": np.array([*names], object), "unit": np.array([unit or "1" for unit in units], object)}
        savemat(draft, {"D": {**arrays, **cells, **texts}}, do_compression=True, long_field_names=True)
        with draft.open("r+b") as file:
            file.write(MATLAB_HEAD.ljust(_HEAD))


def _write_hdf5(draft: Path, held: dict[str, Any]) -> None:
    import h5py

    with h5py.File(draft, "w", userblock_size=_BLOCK) as file:
        for name, value in held.items():
            is_text = isinstance(value, (str, list))
            file.create_dataset(name, data=value, dtype=h5py.string_dtype() if is_text else None)
    with draft.open("r+b") as stream:
        stream.write(HDF5_HEAD)
