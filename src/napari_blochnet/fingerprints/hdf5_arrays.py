"""Numeric arrays of HDF5 files, MATLAB 7.3 among them: complex numbers by the names of their parts, nothing outside."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.progress import Watch
from napari_blochnet.io.reading import read_in_blocks

__all__ = ["list_hdf5_arrays", "read_hdf5_array", "stored_dtype"]

# What the parts of complex numbers are called, in small letters.
_REAL = {"real", "re", "r"}
_IMAGINARY = {"imag", "imaginary", "im", "i"}
# Nothing that HDF5 itself packs with is tighter; what was never written takes no room and reads as zeros.
_PACKING_LIMIT = 1040
_SMALL = 100 * 2**20


def list_hdf5_arrays(file: Any, kinds: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays of numbers in an open file, by their paths.

    Data that lies in another file than the one that was named is left out, and so is what MATLAB keeps for itself:
    groups such as ``#refs#``, text, cells.

    Parameters
    ----------
    file : h5py.File
    kinds : str
        NumPy's letters of the types that are taken.
    """
    import h5py

    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset) or name.startswith("#") or not item.shape or 0 in item.shape:
            return
        if item.is_virtual or item.external or item.attrs.get("MATLAB_class") in (b"char", b"cell"):
            return
        if stored_dtype(item).kind in kinds:
            shapes[name] = item.shape

    file.visititems(note)
    return shapes


def stored_dtype(dataset: Any) -> np.dtype[Any]:
    """Return what the numbers of a dataset are once they are read; of complex ones, a complex type."""
    dtype: np.dtype[Any] = np.dtype(dataset.dtype)
    parts = _parts(dtype)
    if parts is None:
        return dtype
    return np.dtype(np.result_type(dtype[parts[0]], dtype[parts[1]], np.complex64))


def _parts(dtype: np.dtype[Any]) -> tuple[str, str] | None:
    """Return the names of the real and the imaginary part; None where a type is no pair of them."""
    if dtype.names is None or len(dtype.names) != 2:
        return None
    named = {name.lower(): name for name in dtype.names}
    real, imaginary = ([named[key] for key in named if key in known] for known in (_REAL, _IMAGINARY))
    if len(real) != 1 or len(imaginary) != 1 or any(dtype[name].kind not in "iuf" for name in dtype.names):
        return None
    return real[0], imaginary[0]


def read_hdf5_array(path: Path, dataset: Any, what: str, watch: Watch) -> AnyArray:
    """Map a contiguous dataset into memory, or read it.

    Parameters
    ----------
    path : Path
    dataset : h5py.Dataset
    what : str
        What is being done, for whoever watches.
    watch : Watch
        Counts megabytes.

    Raises
    ------
    ValueError
        More is claimed than the file can hold.
    Cancelled
    """
    import h5py

    stored, dtype = np.dtype(dataset.dtype), stored_dtype(dataset)
    size = math.prod(dataset.shape) * stored.itemsize
    offset, parts = dataset.id.get_offset(), _parts(stored)
    # h5py shows NumPy's type for some that are laid out otherwise, and converts as it reads
    is_alike = dataset.id.get_type().equal(h5py.h5t.py_create(stored, logical=True))
    if is_alike and offset is not None and offset + size <= path.stat().st_size:
        if parts is None:
            return np.memmap(path, stored, "r", offset, dataset.shape)
        (real, at), (imaginary, then) = (stored.fields[name][:2] for name in parts)
        if real == imaginary and real.kind == "f" and then == at + real.itemsize:
            # the two lie as NumPy's complex numbers do, whatever is around them
            pair = np.dtype(f"{real.byteorder}c{2 * real.itemsize}")
            whole = np.dtype({"names": ["z"], "formats": [pair], "offsets": [at], "itemsize": stored.itemsize})
            mapped: AnyArray = np.memmap(path, whole, "r", offset, dataset.shape)["z"]
            return mapped
    elif offset is None and size > _SMALL + _PACKING_LIMIT * dataset.id.get_storage_size():
        raise ValueError(f"{dataset.name} claims {size:,} bytes out of {dataset.id.get_storage_size():,}")

    def read(selection: tuple[slice, ...]) -> AnyArray:
        values: AnyArray = dataset[selection]
        if parts is None:
            return values
        joined: AnyArray = np.empty(values.shape, dtype)
        joined.real, joined.imag = values[parts[0]], values[parts[1]]
        return joined

    return read_in_blocks(read, dataset.shape, dtype, chunks=dataset.chunks, what=what, watch=watch)
