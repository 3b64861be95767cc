"""Arrays in files: which one, how large, and mapped into memory where the format allows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.fingerprints.array_pairs import choose_array
from napari_blochnet.fingerprints.contrasts import is_series, nifti_series, open_series
from napari_blochnet.fingerprints.zarr_stacks import AXES, open_zarr
from napari_blochnet.io.containers.bart_arrays import is_bart, map_bart_images
from napari_blochnet.io.containers.hdf5_arrays import list_hdf5_arrays, read_hdf5_array
from napari_blochnet.io.containers.mapped_arrays import map_npy
from napari_blochnet.io.containers.numpy_archives import list_archived_arrays
from napari_blochnet.io.matlab5 import is_matlab_73
from napari_blochnet.io.matlab_files import find_array, list_arrays, outermost
from napari_blochnet.io.nifti import is_nifti, is_nifti_pair, read_nifti
from napari_blochnet.io.zarr_arrays import is_zarr

__all__ = ["SourceArray", "open_array"]

_KINDS = "iufc"
# Of the names in a file that holds nothing of use.
_LISTED = 8


@dataclass(frozen=True, eq=False)
class SourceArray:
    """An array as a file gives it.

    Parameters
    ----------
    data : array
        In memory, or a memory map.
    geometry : Geometry, optional
        Where the format knows it; then `data` is (time, z, y, x) or (z, y, x), or has a fifth axis before these.
    is_time_first : bool
        Whether the format knows that the first of four axes is time.
    slices_last : bool
        Whether the format's habit is (y, x, slice) once the time axis is taken out, as in MATLAB.
    kind : str
        What the samples are, where the format knows: "complex", "real", "magnitude", "phase", "imaginary".
    mask : bool array of shape (z, y, x), optional
        Where the file holds one.
    notes : tuple of str
        What was understood, in sentences.
    """

    data: AnyArray
    geometry: Geometry | None = None
    slices_last: bool = False
    kind: str = ""
    mask: BoolArray | None = None
    notes: tuple[str, ...] = ()
    is_time_first: bool = False


@dataclass(frozen=True)
class _How:
    """Who is told how a reading goes, and what it is called."""

    watch: Watch
    what: str
    kinds: str = _KINDS


def open_array(
    path: Path, variable: str | None = None, *, kinds: str = _KINDS, watch: Watch = UNWATCHED
) -> SourceArray:
    """Open the array in a file, by the file's ending.

    Parameters
    ----------
    path : Path
        ``.npy``, ``.npz``, ``.nii``, ``.nii.gz``, ``.hdr`` with ``.img`` or ``.cfl``, ``.h5``, ``.hdf5``,
        ``.mat`` (4, 5 and 7.3), a Zarr store, DICOM images whatever their ending, a folder of these or of a
        BIDS series.
    variable : str, optional
        Name of the array, where the file holds several with more than one axis; in MATLAB files its path through
        structures and cells, ``D.maps{2}``.
    kinds : str
        NumPy's letters of the types that are taken; "b" for masks.
    watch : Watch
        Counts megabytes of what is not mapped into memory.

    Raises
    ------
    InputError
        A format that is not known, a damaged file, no such variable, several to choose from, an array that is larger
        than this machine's memory or does not hold numbers.
    Cancelled
    """
    how = _How(watch, f"reading {path.name}", kinds)
    name = path.name.lower()
    if is_zarr(path):
        store = open_zarr(path, variable, watch=watch)
        return SourceArray(_numeric(path, store.data, kinds), store.geometry, mask=store.mask, notes=store.notes)
    if path.is_dir():
        return _series(path, variable, how)
    if is_bart(path):
        images, is_time_first = map_bart_images(path)
        return SourceArray(_numeric(path, images, kinds), is_time_first=is_time_first)
    if is_nifti(path) or is_nifti_pair(path):
        data, geometry = read_nifti(path, most_axes=5, watch=watch)
        return SourceArray(_numeric(path, data, kinds), geometry)
    if name.endswith(".npy"):
        return SourceArray(_numeric(path, map_npy(path), kinds))
    if name.endswith(".npz"):
        return SourceArray(_numeric(path, _npz(path, variable, how), kinds))
    if name.endswith((".h5", ".hdf5", ".mat")):
        if name.endswith(".mat"):
            return SourceArray(_numeric(path, _matlab(path, variable, how), kinds), slices_last=True)
        if not is_matlab_73(path):
            raise FileError(path, "does not begin as an HDF5 file does", "HDF5")
        return _hdf5(path, variable, how)
    if is_series(path):
        return _series(path, variable, how)
    raise FileError(
        path,
        "cannot tell the format from its ending",
        ".npy, .npz, .nii, .nii.gz, .h5, .hdf5, .mat, .zarr, .cfl, DICOM, or a folder of one series",
    )


def _series(path: Path, variable: str | None, how: _How) -> SourceArray:
    """Open DICOM images or a BIDS series, in the order in which they were made."""
    series = open_series(path, variable, "acquisition", watch=how.watch)
    # DICOM says what its numbers are; of NIfTI files they are looked at, as those of other files are
    kind = "" if path.is_dir() and nifti_series(path, variable) else series.kind
    return SourceArray(_numeric(path, series.data, how.kinds), series.geometry, kind=kind, notes=series.notes)


def _numeric(path: Path, data: AnyArray, kinds: str = _KINDS) -> AnyArray:
    if data.dtype.kind not in kinds:
        raise FileError(path, f"holds {data.dtype}", "complex or real numbers")
    return data


def _npz(path: Path, variable: str | None, how: _How) -> AnyArray:
    arrays = list_archived_arrays(path)
    shapes = {name: each.shape for name, each in arrays.items() if each.dtype.kind in how.kinds and each.nbytes}
    return arrays[choose_array(path, shapes, variable)].read(how.watch)


def _matlab(path: Path, variable: str | None, how: _How) -> AnyArray:
    arrays = list_arrays(path)
    if variable is None:
        chosen = arrays[choose_array(path, {name: array.shape for name, array in outermost(arrays).items()}, None)]
    else:
        chosen = find_array(path, arrays, variable)
    return chosen.read(how.watch)


def _hdf5(path: Path, variable: str | None, how: _How) -> SourceArray:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            shapes = list_hdf5_arrays(file, how.kinds)
            if not shapes and variable is None:
                there = ", ".join(sorted(map(str, file))[:_LISTED]) or "nothing"
                raise FileError(path, f"holds 0 arrays of numbers; it has: {there}", "fingerprints")
            dataset = file[choose_array(path, shapes, variable)]
            data = _numeric(path, read_hdf5_array(path, dataset, how.what, how.watch), how.kinds)
            geometry = _stack_geometry(path, dataset)
            return SourceArray(data if geometry is None else np.moveaxis(data, -1, 0), geometry)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error).split("\n")[0]
        raise FileError(path, f"cannot be read as HDF5 ({reason}).") from None


def _stack_geometry(path: Path, dataset: Any) -> Geometry | None:
    """Return where an array (z, y, x, time) lies that says so, as ours do; None of another."""
    said = dataset.attrs
    if dataset.ndim != 4 or tuple(dim.label for dim in dataset.dims) != (*AXES[1:], AXES[0]) or "affine" not in said:
        return None
    try:
        return Geometry(tuple(map(float, said["voxel_size"])), np.array(said["affine"], np.float64))  # type: ignore[arg-type]
    except (TypeError, ValueError, KeyError, IndexError) as error:
        why = str(error) if isinstance(error, InputError) else f"its voxel size or affine are no numbers ({error})."
        raise FileError(path, why) from None
