"""MINC 2 volumes: HDF5 files with an image, a scale for each slice, and axes with directions.

Format: "MINC 2.0 File Format Reference" (Montreal Neurological Institute).
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.reading import read_in_blocks
from napari_blochnet.io.unpacking import is_gzipped, unpack
from napari_blochnet.phantoms.formats.minc_volume import SPACE, check_claim, minc_geometry, scaled_volume, valid_range
from napari_blochnet.phantoms.formats.volume import Volume

__all__ = ["read_minc2"]

_IMAGE = "minc-2.0/image/0"
_MOST_UNPACKED = 2**26


def read_minc2(path: Path, watch: Watch = UNWATCHED) -> Volume:
    """Read a MINC 2 volume, gzipped or not.

    Parameters
    ----------
    path : Path
    watch : Watch
        Counts megabytes.

    Returns
    -------
    Volume
        Axes (z, y, x); values scaled by ``image-min`` and ``image-max``; affine from start, step and direction
        cosines, which in MINC are RAS+ mm.

    Raises
    ------
    InputError
        No MINC 2 image in it; one that claims more than the file can hold or lies in another file; no three spatial
        axes.
    """
    import h5py

    try:
        with h5py.File(_source(path, watch), "r") as file:
            return _volume(path, file, watch)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error).split("\n")[0]
        raise FileError(path, f"cannot be read as MINC 2 ({reason})", "a whole MINC volume") from None


def _source(path: Path, watch: Watch) -> Any:
    if not is_gzipped(path):
        return path
    limit = max(_MOST_UNPACKED, 4 * path.stat().st_size)
    content = unpack(path, limit, watch)
    if not content.complete:
        raise FileError(path, f"unpacks to more than {limit:,} bytes of HDF5", "the .mnc file itself: unpack it first")
    return io.BytesIO(content.data)


def _volume(path: Path, file: Any, watch: Watch) -> Volume:
    image = _inside(file, f"{_IMAGE}/image")
    if image is None:
        raise FileError(path, f"is an HDF5 file without {_IMAGE}/image", "a MINC volume")
    names = _names(image, image.ndim)
    kept = [axis for axis, name in enumerate(names) if name in SPACE]
    if sorted(names[axis] for axis in kept) != sorted(SPACE) or any(
        length != 1 for axis, length in enumerate(image.shape) if axis not in kept
    ):
        raise FileError(path, f"the image has the axes {', '.join(names) or 'none'}", "zspace, yspace and xspace")
    dtype = np.dtype(image.dtype)
    if dtype.kind not in "iuf":
        raise FileError(path, f"its image holds {dtype}", "numbers")
    check_claim(path, image.shape, image.size * dtype.itemsize)
    bounds = [
        _bound(path, file, key, default, image, names) for key, default in (("image-min", 0.0), ("image-max", 1.0))
    ]
    axes = {
        name: dict(found.attrs) for name in SPACE if (found := _inside(file, f"minc-2.0/dimensions/{name}")) is not None
    }
    geometry = minc_geometry(path, axes)
    limits = valid_range(path, image.attrs.get("valid_range"), dtype)
    stored: AnyArray = read_in_blocks(
        image.__getitem__, image.shape, dtype, chunks=image.chunks, what=f"reading {path.name}", watch=watch
    )
    stored = stored.reshape([image.shape[axis] for axis in kept])
    return scaled_volume(path, stored, [names[axis] for axis in kept], limits, bounds, geometry)


def _bound(path: Path, file: Any, key: str, default: float, image: Any, names: list[str]) -> AnyArray:
    found = _inside(file, f"{_IMAGE}/{key}")
    if found is None:
        return np.full((1, 1, 1), default)
    if found.dtype.kind not in "iuf" or found.shape != image.shape[: found.ndim] or found.ndim >= image.ndim:
        raise FileError(path, f"{key} does not have the first axes of the image", "one value a slice")
    values = np.asarray(found[()])
    spatial = [length for length, name in zip(found.shape, names, strict=False) if name in SPACE]
    return values.reshape(spatial)


def _inside(file: Any, name: str) -> Any:
    """Return a dataset that lies in this file itself, reached by no link into another; None where there is none."""
    import h5py

    here = file
    for part in name.split("/"):
        if not isinstance(here, h5py.Group) or not isinstance(here.get(part, getlink=True), h5py.HardLink):
            return None
        here = here[part]
    # data in other files is not read
    if not isinstance(here, h5py.Dataset) or here.is_virtual or here.external or here.shape is None:
        return None
    return here


def _names(image: Any, count: int) -> list[str]:
    """Return the names of the image's axes; without any, three are z, y and x."""
    stated = image.attrs.get("dimorder", "")
    text = stated.decode("latin-1") if isinstance(stated, bytes) else str(stated)
    names = [name.strip(" \0") for name in text.split(",") if name.strip(" \0")]
    if not names and count == len(SPACE):
        return list(SPACE)
    return names if len(names) == count else []
