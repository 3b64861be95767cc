"""Phantoms in files of named arrays (MATLAB, NumPy): maps by name, or an array of BrainWeb's crisp labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray, IntArray, dimensions
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.common.grids import without_axes_of_one
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.matlab5 import is_matlab_73, list_matlab_arrays
from napari_blochnet.phantoms.formats.brainweb import CRISP_TWENTY
from napari_blochnet.phantoms.formats.numpy_arrays import numpy_arrays
from napari_blochnet.phantoms.map_files import MapArray, is_rate, map_key

__all__ = ["ArrayLabels", "map_arrays", "read_labels"]

_MOST_VOXELS = 2**28
# Labels are also distributed as grey values, label × 255/11.
_GREY_STEP = 255 / (len(CRISP_TWENTY) - 1)


@dataclass(frozen=True)
class ArrayLabels:
    """Labels that a file holds as an array.

    Parameters
    ----------
    labels : array of shape (Z, Y, X)
        uint8.
    classes : tuple of str, optional
        Tissue of each label, where the values tell it.
    voxel_size : tuple of float, optional
        (z, y, x), mm, where the grid tells it.
    notes : tuple of str
    """

    labels: IntArray
    classes: tuple[str, ...] | None = None
    voxel_size: tuple[float, float, float] | None = None
    notes: tuple[str, ...] = ()


def map_arrays(path: Path, watch: Watch = UNWATCHED) -> tuple[dict[str, MapArray], dict[str, AnyArray]]:
    """Return the maps in a file by field of `Phantom`, axes (z, y, x), and all its arrays by name as they are.

    An array is a map by its name; a file with one array may be called as the map, ``T1_map.mat``. Arrays of MATLAB with
    two axes are slices (y, x) as it shows them, of three (y, x, z).

    Raises
    ------
    InputError
        A damaged file, or one without an array of two or three axes.
    """
    arrays = _arrays(path, watch) if path.suffix.lower() == ".mat" else numpy_arrays(path)
    named = {name: name for name in arrays}
    if len(arrays) == 1 and map_key(next(iter(arrays))) is None:
        named = dict.fromkeys(arrays, path.stem)
    maps: dict[str, MapArray] = {}
    # a map that is called T1 counts more than one called R1
    for name, said in sorted(named.items(), key=lambda item: is_rate(item[1])):
        key = map_key(said)
        if key is None or (key in maps and is_rate(said)) or arrays[name].ndim > 3:
            continue
        maps[key] = MapArray(_volume(path, name, arrays[name]), path.name, is_rate=is_rate(said))
    return maps, arrays


def read_labels(path: Path, arrays: dict[str, AnyArray], variable: str | None = None) -> ArrayLabels:
    """Find labels among the arrays of a file.

    Those of MATLAB with three axes are (x, y, z); of two, ``axial`` is (y, x), ``coronal`` (x, z) and ``sagittal``
    (y, z), as in the files of JEMRIS and KomaMRI. Those of NumPy are (z, y, x), or a slice (y, x).

    Parameters
    ----------
    path : Path
    arrays : dict of str to array
        What it holds.
    variable : str, optional
        The array to take, where there are several.

    Raises
    ------
    InputError
        Some maps, but not T1 and T2; no array of labels; no such variable.
    """
    if variable is not None and variable not in arrays:
        raise FileError(path, f"has no variable {variable!r}; it holds {', '.join(arrays)}.", field="variable")
    maps = [name for name in arrays if map_key(name)]
    if maps and variable is None:
        raise FileError(path, f"holds maps of {', '.join(maps)}", "T1 and T2 at least")
    name = variable or next(iter(arrays))
    notes = []
    if len(arrays) > 1:
        notes.append(f"The file holds {', '.join(arrays)}; {name} was opened.")
    values = arrays[name]
    if values.ndim > 3:
        raise FileError(
            path, f"{name} has {values.ndim} axes", "labels with three, or tissue_order where these are shares"
        )
    levels = np.unique(values)
    if levels.min() < 0 or levels.max() > 255 or (levels != np.rint(levels)).any():
        raise FileError(
            path, f"{name} holds values that are not labels", "T1, T2 and PD maps, or whole numbers from 0 to 255"
        )
    classes = None
    if levels.max() > len(CRISP_TWENTY) - 1:
        steps = np.rint(levels / _GREY_STEP)
        if np.abs(levels - steps * _GREY_STEP).max() > 1.0:
            raise FileError(
                path,
                f"{name} holds values up to {levels.max():g} that are no labels of BrainWeb",
                "0 to 11, or these times 255/11",
            )
        values = np.rint(values / _GREY_STEP)
        classes = CRISP_TWENTY
        notes.append(f"The values of {name} are labels times 255/11, of BrainWeb's 20 normal brains.")
    whole: IntArray = values.astype(np.uint8)
    labels: IntArray = _oriented(name, whole) if path.suffix.lower() == ".mat" else without_axes_of_one(whole)
    size = None
    if set(labels.shape) <= {1, 362, 434}:
        size = (0.5, 0.5, 0.5)
        notes.append("A grid of 362 × 434 × 362 is BrainWeb's with voxels of 0.5 mm.")
    elif labels.shape == (180, 216, 180):
        size = (1.0, 1.0, 1.0)
        notes.append("A grid of 180 × 216 × 180 is BrainWeb's older brain with voxels of 1 mm.")
    return ArrayLabels(labels=labels, classes=classes, voxel_size=size, notes=tuple(notes))


def _arrays(path: Path, watch: Watch) -> dict[str, AnyArray]:
    if is_matlab_73(path):
        return _hdf5_arrays(path)
    found = {}
    for name, array in list_matlab_arrays(path).items():
        if not 2 <= len(array.shape) <= 4 or math.prod(array.shape) <= 1:
            continue
        if math.prod(array.shape) > _MOST_VOXELS:
            raise FileError(path, f"{name} claims {dimensions(array.shape)} voxels", f"at most {_MOST_VOXELS:,} in all")
        found[name] = array.read(watch)
    if not found:
        raise FileError(path, "holds no array with two or three axes", "T1, T2 and PD maps, or labels")
    return found


def _hdf5_arrays(path: Path) -> dict[str, AnyArray]:
    """Return the numeric arrays of a MATLAB 7.3 file, which has their axes in reverse."""
    import h5py

    found = {}
    try:
        with h5py.File(path, "r") as file:
            for name in file:
                link, item = file.get(name, getlink=True), None
                if isinstance(link, h5py.HardLink) and not name.startswith("#"):
                    item = file[name]
                if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "iuf" or not 2 <= item.ndim <= 4:
                    continue
                if item.is_virtual or item.external or item.size <= 1 or item.attrs.get("MATLAB_class") == b"char":
                    continue
                # deflate packs no more tightly than this
                if item.size > _MOST_VOXELS or item.nbytes > 1032 * max(item.id.get_storage_size(), 1):
                    raise FileError(path, f"{name} claims {dimensions(item.shape[::-1])} voxels, more than it holds.")
                found[name] = item[()].T
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error).split("\n")[0]
        raise FileError(path, f"cannot be read as a MATLAB 7.3 file ({reason}).") from None
    if not found:
        raise FileError(path, "holds no array with two or three axes", "T1, T2 and PD maps, or labels")
    return found


def _volume(path: Path, name: str, values: AnyArray) -> AnyArray:
    if values.dtype.kind not in "iufb":
        raise FileError(path, f"{name} holds {values.dtype}", "real numbers")
    if values.ndim == 2:
        return values[None]
    return values.transpose(2, 0, 1) if path.suffix.lower() == ".mat" else values


def _oriented(name: str, values: IntArray) -> IntArray:
    if values.ndim == 3:
        return values.T
    if name.lower().startswith("cor"):
        return values.T[:, None, :]
    if name.lower().startswith("sag"):
        return values.T[:, :, None]
    return values[None]
