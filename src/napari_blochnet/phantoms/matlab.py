"""Phantoms in MATLAB files: maps by name, or an array of BrainWeb's crisp labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray, IntArray, dimensions
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.matlab_files import ArraysOnDemand, MatlabArray, list_arrays
from napari_blochnet.phantoms.brainweb import CRISP_TWENTY
from napari_blochnet.phantoms.phantom_maps import map_key

__all__ = ["MatlabPhantom", "read_matlab"]

_MOST_VOXELS = 2**28
# Labels are also distributed as grey values, label × 255/11.
_GREY_STEP = 255 / (len(CRISP_TWENTY) - 1)


@dataclass(frozen=True)
class MatlabPhantom:
    """What a MATLAB file holds: maps, or labels.

    Parameters
    ----------
    maps : dict of str to array of shape (Z, Y, X)
        By field of `Phantom`; empty where the file holds labels.
    labels : array of shape (Z, Y, X)
        uint8; empty where it holds maps.
    classes : tuple of str, optional
        Tissue of each label, where the values tell it.
    voxel_size : tuple of float, optional
        (z, y, x), mm, where the grid tells it.
    notes : tuple of str
    """

    maps: dict[str, AnyArray] = field(default_factory=dict)
    labels: IntArray = field(default_factory=lambda: np.zeros((0, 0, 0), np.uint8))
    classes: tuple[str, ...] | None = None
    voxel_size: tuple[float, float, float] | None = None
    notes: tuple[str, ...] = ()


def read_matlab(path: Path, variable: str | None = None, *, watch: Watch = UNWATCHED) -> MatlabPhantom:
    """Read maps or labels from a MATLAB file, version 4, 5 or 7.3.

    Arrays of maps with two axes are slices (y, x) as MATLAB shows them. Labels with three axes are (x, y, z) there;
    of two, ``axial`` is (y, x), ``coronal`` (x, z) and ``sagittal`` (y, z), as in the files of JEMRIS and KomaMRI.

    Parameters
    ----------
    path : Path
    variable : str, optional
        The array of labels to take, where there are several.
    watch : Watch
        Counts megabytes of each array.

    Raises
    ------
    InputError
        Not a MATLAB file; no map and no array of labels in it; no such variable.
    """
    arrays = _arrays(path, watch)
    maps = {key: name for name in arrays if (key := map_key(name))}
    if {"t1", "t2"} <= set(maps):
        return MatlabPhantom(maps={key: _volume(path, name, arrays[name]) for key, name in maps.items()})
    if maps:
        raise FileError(path, f"holds maps of {', '.join(maps.values())}", "T1 and T2 at least")
    if variable is not None and variable not in arrays:
        raise FileError(path, f"has no variable {variable!r}; it holds {', '.join(arrays)}.", field="variable")
    name = variable or next(iter(arrays))
    notes = []
    if len(arrays) > 1:
        notes.append(f"The file holds {', '.join(arrays)}; {name} was opened.")
    values = arrays[name]
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
    labels = _oriented(name, values.astype(np.uint8))
    size = None
    if set(labels.shape) <= {1, 362, 434}:
        size = (0.5, 0.5, 0.5)
        notes.append("A grid of 362 × 434 × 362 is BrainWeb's with voxels of 0.5 mm.")
    elif labels.shape == (180, 216, 180):
        size = (1.0, 1.0, 1.0)
        notes.append("A grid of 180 × 216 × 180 is BrainWeb's older brain with voxels of 1 mm.")
    return MatlabPhantom(labels=labels, classes=classes, voxel_size=size, notes=tuple(notes))


def _arrays(path: Path, watch: Watch) -> Mapping[str, AnyArray]:
    """Return the arrays with two or three axes, read once they are asked for.

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
    return len(array.shape) in (2, 3) and math.prod(array.shape) > 1


def _volume(path: Path, name: str, values: AnyArray) -> AnyArray:
    if values.dtype.kind not in "iufb":
        raise FileError(path, f"{name} holds {values.dtype}", "real numbers")
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


def _oriented(name: str, values: IntArray) -> IntArray:
    if values.ndim == 3:
        return values.T
    if name.lower().startswith("cor"):
        return values.T[:, None, :]
    if name.lower().startswith("sag"):
        return values.T[:, :, None]
    return values[None]
