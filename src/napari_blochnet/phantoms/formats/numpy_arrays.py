"""Arrays in NumPy's files, their sizes checked before any of them is set aside."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from napari_blochnet.common.arrays import AnyArray, dimensions
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.containers.mapped_arrays import map_npy
from napari_blochnet.io.containers.numpy_archives import ArchivedArray, list_archived_arrays
from napari_blochnet.io.matlab_files import ArraysOnDemand

__all__ = ["is_numpy", "numpy_arrays"]

_MOST_VOXELS = 2**30


def is_numpy(path: Path) -> bool:
    """Return whether a name ends as NumPy's files do."""
    return path.suffix.lower() in (".npy", ".npz")


def numpy_arrays(path: Path, watch: Watch = UNWATCHED) -> Mapping[str, AnyArray]:
    """Return the arrays of real numbers with two to four axes in ``.npz`` by name, the one of ``.npy`` by its file's.

    Those of ``.npz`` are read once they are asked for.

    Raises
    ------
    InputError
        A damaged file; one that claims more than it holds; no such array in it.
    """
    if path.suffix.lower() == ".npz":
        packed = list_archived_arrays(path)
        _check_volumes(path, packed)
        usable = {name: each for name, each in packed.items() if _is_volume(each)}
        for name, each in usable.items():
            if math.prod(each.shape) > _MOST_VOXELS:
                raise FileError(path, f"{name} claims {each.nbytes:,} bytes", f"at most {_MOST_VOXELS:,} voxels")
            each.check()
        return ArraysOnDemand(usable, watch)
    mapped = map_npy(path)
    _check_volumes(path, {path.stem: mapped})
    return {path.stem: mapped}


def _is_volume(array: AnyArray | ArchivedArray) -> bool:
    return array.dtype.kind in "iufb" and 2 <= len(array.shape) <= 4


def _check_volumes(path: Path, found: Mapping[str, AnyArray | ArchivedArray]) -> None:
    volumes = [each for each in found.values() if _is_volume(each)]
    if not volumes or not all(each.nbytes for each in volumes):
        held = ", ".join(f"{name} ({each.dtype}, {dimensions(each.shape)})" for name, each in found.items())
        raise FileError(path, f"holds no volume ({held or 'nothing'})", "arrays of real numbers (z, y, x)")
