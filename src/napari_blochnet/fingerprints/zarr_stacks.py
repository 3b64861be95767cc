"""Fingerprint stacks as Zarr stores: a group with ``data`` (time, z, y, x), ``mask``, and all else as attributes.

All time points of a voxel lie in one chunk, and chunks of zeros are not written. The attributes are those that a NIfTI
stack has in the JSON file beside it (name, kind, schedule, SNR, noise, record), with voxel size (z, y, x) in mm and
affine. Other people's stores open as arrays; those of OME-NGFF with the voxel size that they state.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, dimensions
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.fingerprints.array_pairs import choose_array
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.io.zarr_arrays import ZarrArray, list_zarr_arrays, write_zarr_group, zarr_attributes

__all__ = [
    "AXES",
    "LAZY_BYTES",
    "ZarrSource",
    "chunks_of",
    "is_zarr_name",
    "is_zarr_stack",
    "open_zarr",
    "write_zarr_stack",
]

# A chunk has about this many bytes: some hundred voxels of long trains.
_CHUNK_BYTES = 8 * 2**20
#: What the axes are called.
AXES = ("time", "z", "y", "x")
#: Stacks of ours larger than this are not read when they are opened.
LAZY_BYTES = 64 * 2**20
_LENGTHS = {"": 1.0, "millimeter": 1.0, "micrometer": 1e-3, "nanometer": 1e-6, "centimeter": 10.0, "meter": 1e3}


@dataclass(frozen=True, eq=False)
class ZarrSource:
    """An array as a store gives it; see `napari_blochnet.fingerprints.sources.SourceArray`."""

    data: AnyArray
    geometry: Geometry | None = None
    mask: BoolArray | None = None
    notes: tuple[str, ...] = ()


def is_zarr_name(path: Path) -> bool:
    """Return whether a name ends as Zarr stores do."""
    return path.name.lower().endswith(".zarr")


def is_zarr_stack(path: Path) -> bool:
    """Whether a store is a stack that was written here."""
    try:
        attributes = zarr_attributes(path)
        # file managers leave hidden files
        entries = {entry.name for entry in path.iterdir() if not entry.name.startswith(".")}
    except (OSError, FileError):
        return False
    is_said = isinstance(attributes.get("schedule"), dict) or isinstance(attributes.get("basis"), dict)
    return is_said and "data" in entries <= {"zarr.json", "data", "mask"}


def open_zarr(path: Path, variable: str | None = None, *, watch: Watch = UNWATCHED) -> ZarrSource:
    """Open the array of a store: a large one of ours stays on disk, others are read into memory.

    Parameters
    ----------
    path : Path
    variable : str, optional
        Path of the array in the store, where it holds several.
    watch : Watch
        Counts megabytes.

    Raises
    ------
    InputError
        No array of numbers, several to choose from, another codec than `zarr_arrays` takes, damaged chunks.
    Cancelled
    """
    attributes = zarr_attributes(path)
    arrays = list_zarr_arrays(path)
    shapes = {name: array.shape for name, array in arrays.items()}
    if is_zarr_stack(path) and variable in (None, "data"):
        name = choose_array(path, shapes, "data")
        mask = arrays["mask"].read(watch.quiet) != 0 if "mask" in arrays else None
        found = arrays[name]
        # a slice of ours lies in chunks of its own
        is_lazy = found.nbytes > LAZY_BYTES and len(found.chunks) == 4 and found.chunks[1] == 1
        data = found.lazily(watch) if is_lazy else found.read(watch)
        return ZarrSource(data, _own_geometry(path, attributes), mask)
    scales = _multiscales(attributes)
    if variable is None and scales is not None and scales["name"] in arrays:
        return _ome(path, arrays[scales["name"]], scales, watch)
    name = choose_array(path, shapes, variable)
    axes = arrays[name].names
    notes = (f"The store calls the axes of {name} {', '.join(axes)}.",) if axes else ()
    return ZarrSource(arrays[name].read(watch), notes=notes)


def _own_geometry(path: Path, attributes: dict[str, Any]) -> Geometry | None:
    """Return where a stack of ours lies, by its attributes; None where they do not say."""
    if "voxel_size" not in attributes and "affine" not in attributes:
        return None
    try:
        if "voxel_size" not in attributes:
            return Geometry.from_affine(np.array(attributes["affine"], dtype=np.float64))
        return Geometry(tuple(attributes["voxel_size"]), attributes.get("affine"))  # type: ignore[arg-type]
    except (TypeError, ValueError, IndexError) as error:
        why = str(error) if isinstance(error, InputError) else f"its voxel size or affine are no numbers ({error})."
        raise FileError(path, why) from None


def _multiscales(attributes: dict[str, Any]) -> dict[str, Any] | None:
    """Return path, axes and scale of the finest level of an OME-NGFF image (0.4 and 0.5)."""
    try:
        ome = attributes.get("ome", attributes)
        first = ome["multiscales"][0]
        level = first["datasets"][0]
        axes = [(str(axis["name"]), str(axis.get("unit", ""))) for axis in first["axes"]]
        scale = next(
            (turn["scale"] for turn in level.get("coordinateTransformations", ()) if turn["type"] == "scale"),
            [1.0] * len(axes),
        )
        return {"name": str(level["path"]), "axes": axes, "scale": [float(value) for value in scale]}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None


def _ome(path: Path, array: ZarrArray, scales: dict[str, Any], watch: Watch) -> ZarrSource:
    """Read an OME-NGFF image as (time, z, y, x): its time, or its channels where it has none."""
    axes = [name for name, _ in scales["axes"]]
    if len(axes) != len(array.shape) or len(scales["scale"]) != len(axes) or len({*axes}) < len(axes):
        raise FileError(
            path, f"names {len(axes)} axes of {dimensions(array.shape)}", "as many names and scales as axes"
        )
    length = dict(zip(axes, array.shape, strict=True))
    space = [name for name in "zyx" if name in axes]
    others = [name for name in axes if name not in space]
    long = [name for name in others if length[name] > 1]
    if "y" not in space or "x" not in space or len(long) > 1:
        listed = ", ".join(f"{name} {n}" for name, n in length.items())
        raise FileError(path, f"has the axes {listed}", "z, y, x and one axis more, of time or channels")
    data = array.read(watch)
    kept = long or others[:1]
    index = tuple(0 if name in others and name not in kept else slice(None) for name in axes)
    left = [name for name in axes if name in space or name in kept]
    data = data[index].transpose([left.index(name) for name in (*kept, *space)])
    if "z" not in space:
        data = np.expand_dims(data, -3)
    size = []
    for name in "zyx":
        at = axes.index(name) if name in axes else None
        unit = scales["axes"][at][1].lower() if at is not None else ""
        if unit not in _LENGTHS:
            raise FileError(path, f"measures {name} in {unit!r}", f"one of {', '.join(filter(None, _LENGTHS))}")
        size.append(1.0 if at is None else abs(scales["scale"][at]) * _LENGTHS[unit])
    axis = f" Axis {kept[0]} is taken as time." if kept and kept[0] != "t" else ""
    note = (
        f"The store is an OME-NGFF image of {', '.join(axes)}, which says how large voxels are, "
        f"not where it lies.{axis}"
    )
    return ZarrSource(data, Geometry((size[0], size[1], size[2])), notes=(note,))


def chunks_of(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, int, int, int]:
    """Return the chunks of a stack (time, z, y, x): all time points of some voxels of a slice."""
    time, _, height, width = shape
    side = max(1, int(max(1, _CHUNK_BYTES // (time * dtype.itemsize)) ** 0.5))
    return time, 1, min(height, side), min(width, side)


def write_zarr_stack(
    stack: FingerprintStack, path: Path, sidecar: dict[str, Any], *, watch: Watch = UNWATCHED
) -> list[Path]:
    """Write a stack as a Zarr store of version 3, by renaming.

    Parameters
    ----------
    stack : FingerprintStack
    path : Path
        Ending in ``.zarr``.
    sidecar : dict
        Name, kind, SNR, noise, schedule and record, as beside a NIfTI file.
    watch : Watch
        Counts megabytes.

    Returns
    -------
    list of Path

    Raises
    ------
    InputError
        Something lies there that was not written here.
    Cancelled
        There is the old store, or none.
    """
    samples = stack.data
    dtype = np.dtype({"f": np.float64, "c": np.complex128}.get(samples.dtype.kind, samples.dtype))
    if samples.dtype.itemsize <= dtype.itemsize:
        dtype = samples.dtype.newbyteorder("=")
    attributes = {
        **sidecar,
        "voxel_size": list(stack.voxel_size),
        "affine": np.asarray(stack.affine).tolist(),
    }
    arrays = {
        "mask": (stack.mask, stack.mask.dtype, stack.mask.shape, AXES[1:]),
        "data": (samples, dtype, chunks_of(stack.shape, dtype), AXES),
    }
    write_zarr_group(path, arrays, attributes, watch=watch)
    return [path]
