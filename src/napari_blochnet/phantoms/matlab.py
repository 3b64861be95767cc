"""Phantoms in files of named arrays (MATLAB, NumPy): maps by name, or an array of BrainWeb's crisp labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray, IntArray, dimensions
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.grids import without_axes_of_one
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.matlab_files import ArraysOnDemand, MatlabArray, list_arrays
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


def map_arrays(path: Path, watch: Watch = UNWATCHED) -> tuple[dict[str, MapArray], Mapping[str, AnyArray]]:
    """Return the maps in a file by field of `Phantom`, axes (z, y, x), and all its arrays by name as they are.

    An array is a map by its name; a file with one array may be called as the map, ``T1_map.mat``. Arrays of MATLAB with
    two axes are slices (y, x) as it shows them, of three (y, x, z).

    Raises
    ------
    InputError
        A damaged file, or one without an array of two or three axes.
    """
    arrays: Mapping[str, AnyArray] = (
        _arrays(path, watch) if path.suffix.lower() == ".mat" else numpy_arrays(path, watch)
    )
    named = {name: name for name in arrays}
    if len(arrays) == 1 and map_key(next(iter(arrays))) is None:
        named = dict.fromkeys(arrays, path.stem)
    maps: dict[str, MapArray] = {}
    # a map that is called T1 counts more than one called R1
    for name, said in sorted(named.items(), key=lambda item: is_rate(item[1])):
        key = map_key(said)
        # one that is no map is not read
        array = None if key is None else arrays[name]
        if key is None or array is None or array.ndim > 3:
            continue
        if key in maps and not is_rate(said):
            maps[key] = replace(maps[key], values=_volume(path, name, array))
        elif key not in maps:
            maps[key] = MapArray(_volume(path, name, array), path.name, is_rate=is_rate(said))
    return maps, arrays


def read_labels(path: Path, arrays: Mapping[str, AnyArray], variable: str | None = None) -> ArrayLabels:
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


def _arrays(path: Path, watch: Watch) -> Mapping[str, AnyArray]:
    """Return the arrays with two to four axes, read once they are asked for.

    Those of a structure are called as its fields where T1 and T2 maps lie in one; by their path otherwise.
    """
    fitting = {name: each for name, each in list_arrays(path).items() if _is_map(each)}
    if not fitting:
        raise FileError(path, "holds no array with two or three axes", "T1, T2 and PD maps, or labels")
    for name, each in fitting.items():
        if math.prod(each.shape) > _MOST_VOXELS:
            raise FileError(path, f"{name} claims {dimensions(each.shape)} voxels", f"at most {_MOST_VOXELS:,} in all")
    variables = {name: each for name, each in fitting.items() if "." not in name and "{" not in name}
    within: dict[str, dict[str, MatlabArray]] = {"": variables}
    for name, each in fitting.items():
        structure, _, own = name.rpartition(".")
        within.setdefault(structure, {})[own] = each
    whole = [found for found in within.values() if {"t1", "t2"} <= {map_key(name) for name in found}]
    if len(whole) > 1 and whole[0] is not variables:
        places = ", ".join(key for key, found in within.items() if found in whole)
        raise FileError(path, f"holds T1 and T2 maps in {places}", "those of one phantom")
    return ArraysOnDemand(whole[0] if whole else variables | fitting, watch)


def _is_map(array: MatlabArray) -> bool:
    return 2 <= len(array.shape) <= 4 and math.prod(array.shape) > 1


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
