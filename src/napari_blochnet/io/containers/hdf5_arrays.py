"""Numbers of HDF5 files, MATLAB 7.3 among them: complex ones by the names of their parts, mapped where they lie so."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.progress import Watch
from napari_blochnet.io.containers.mapped_arrays import MappedArray
from napari_blochnet.io.reading import read_in_blocks, refuse_beyond_memory

__all__ = [
    "create_hdf5_array",
    "is_hdf5_name",
    "list_hdf5_arrays",
    "map_hdf5_array",
    "numbers_of",
    "read_hdf5_array",
    "unpack_hdf5_array",
]

# What the parts of complex numbers are called, in small letters.
_REAL = {"real", "re", "r"}
_IMAGINARY = {"imag", "imaginary", "im", "i"}
# Nothing that HDF5 itself packs with is tighter; what was never written takes no room and reads as zeros.
_PACKING_LIMIT = 1040
_SMALL = 100 * 2**20


def is_hdf5_name(path: Path) -> bool:
    """Return whether a name ends as HDF5 files do, MATLAB's apart."""
    return path.name.lower().endswith((".h5", ".hdf5"))


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
        if numbers_of(item.dtype).kind in kinds:
            shapes[name] = item.shape

    file.visititems(note)
    return shapes


def numbers_of(stored: np.dtype[Any]) -> np.dtype[Any]:
    """Return what numbers of a stored type are once they are read: of pairs with such names, complex ones.

    Whatever order, padding or byte order the parts have. Other compound types are returned as they are.
    """
    parts = _parts(stored)
    if parts is None:
        return np.dtype(stored)
    return np.dtype(np.result_type(stored[parts[0]], stored[parts[1]], np.complex64))


def _parts(dtype: np.dtype[Any]) -> tuple[str, str] | None:
    """Return the names of the real and the imaginary part; None where a type is no pair of them."""
    if dtype.names is None or len(dtype.names) != 2:
        return None
    named = {name.lower(): name for name in dtype.names}
    real, imaginary = ([named[key] for key in named if key in known] for known in (_REAL, _IMAGINARY))
    if len(real) != 1 or len(imaginary) != 1 or any(dtype[name].kind not in "iuf" for name in dtype.names):
        return None
    return real[0], imaginary[0]


def map_hdf5_array(path: Path, dataset: Any, mode: Literal["r", "c"] = "r") -> AnyArray | None:
    """Map a dataset into memory; None where its bytes do not lie in a row, or are not those that NumPy would have.

    Parameters
    ----------
    path : Path
    dataset : h5py.Dataset
    mode : {"r", "c"}
        Of `numpy.memmap`.
    """
    import h5py

    stored, offset = np.dtype(dataset.dtype), dataset.id.get_offset()
    size = math.prod(dataset.shape) * stored.itemsize
    if not size or offset is None or offset + size > path.stat().st_size:
        return None
    # h5py shows NumPy's type for some that are laid out otherwise, and converts as it reads
    if not dataset.id.get_type().equal(h5py.h5t.py_create(stored, logical=True)):
        return None
    parts = _parts(stored)
    if parts is None:
        return MappedArray(path, stored, mode, offset, dataset.shape)
    (real, at), (imaginary, then) = (stored.fields[name][:2] for name in parts)
    if real != imaginary or real.kind != "f" or real.itemsize not in (4, 8) or then != at + real.itemsize:
        return None
    # the two lie as NumPy's complex numbers do, whatever is around them
    pair = np.dtype(f"{real.byteorder}c{2 * real.itemsize}")
    whole = np.dtype({"names": ["z"], "formats": [pair], "offsets": [at], "itemsize": stored.itemsize})
    mapped: AnyArray = MappedArray(path, whole, mode, offset, dataset.shape)["z"]
    return mapped


def unpack_hdf5_array(dataset: Any, what: str, watch: Watch) -> AnyArray:
    """Read a dataset into memory.

    Parameters
    ----------
    dataset : h5py.Dataset
    what : str
        What is being done, for whoever watches.
    watch : Watch
        Counts megabytes.

    Raises
    ------
    Cancelled
    """
    dtype, parts = numbers_of(dataset.dtype), _parts(dataset.dtype)

    def read(selection: tuple[slice, ...]) -> AnyArray:
        values: AnyArray = np.asarray(dataset[selection])
        if parts is None:
            return values
        joined: AnyArray = np.empty(values.shape, dtype)
        joined.real, joined.imag = values[parts[0]], values[parts[1]]
        return joined

    if dataset.shape == ():
        return read(())
    native = dtype.newbyteorder("=")
    return read_in_blocks(read, dataset.shape, native, chunks=dataset.chunks, what=what, watch=watch)


def read_hdf5_array(path: Path, dataset: Any, what: str, watch: Watch) -> AnyArray:
    """Map a contiguous dataset into memory, or read it; see `unpack_hdf5_array`.

    Raises
    ------
    InputError
        More than this machine can hold, which is not mapped.
    ValueError
        More is claimed than the file can hold.
    Cancelled
    """
    mapped = map_hdf5_array(path, dataset)
    if mapped is not None:
        return mapped
    size, held = math.prod(dataset.shape) * dataset.dtype.itemsize, dataset.id.get_storage_size()
    if dataset.id.get_offset() is None and size > _SMALL + _PACKING_LIMIT * held:
        raise ValueError(f"{dataset.name} claims {size:,} bytes out of {held:,}")
    refuse_beyond_memory(path, dataset.size * numbers_of(dataset.dtype).itemsize)
    return unpack_hdf5_array(dataset, what, watch)


def create_hdf5_array(
    path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], axes: tuple[str, ...], said: dict[str, Any]
) -> int:
    """Make an HDF5 file of one contiguous array of zeros, which takes no room on disk where files may have holes.

    Its samples are written beside HDF5, by their place: whatever ends a process then, the file is whole.

    Parameters
    ----------
    path : Path
    name : str
    shape : tuple of int
    dtype : dtype
    axes : tuple of str
        What they are called.
    said : dict
        Attributes of the array.

    Returns
    -------
    int
        Where in the file its first sample lies.
    """
    import h5py

    with h5py.File(path, "w") as file:
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_obj_track_times(False)  # the same bytes whenever it is made
        made.set_layout(h5py.h5d.CONTIGUOUS)
        made.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        made.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        stored = h5py.h5t.py_create(dtype, logical=True)
        array = h5py.Dataset(h5py.h5d.create(file.id, name.encode(), stored, h5py.h5s.create_simple(shape), made))
        for axis, called in enumerate(axes):
            array.dims[axis].label = called
        array.attrs.update(said)
        return int(array.id.get_offset())
