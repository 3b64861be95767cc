"""NIfTI both ways, with plain errors; a JSON file beside it where its maker has something to say."""

from __future__ import annotations

import io
import math
import os
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.atomic import existing_file, replacing
from napari_blochnet.io.json_files import read_json, write_json
from napari_blochnet.io.origin import check_outputs, listing
from napari_blochnet.io.reading import read_in_blocks

__all__ = ["is_nifti", "nifti_sidecar", "nifti_stem", "read_nifti", "write_nifti", "write_nifti_with_sidecar"]

# The deflate format cannot pack more tightly than this (RFC 1951: 258 bytes in 2 bits).
_DEFLATE_LIMIT = 1032
# Bytes written between two looks at ``cancelled``: a tenth of a second of compression.
_PIECE_BYTES = 2**22


def is_nifti(path: Path) -> bool:
    """Return whether a name ends as NIfTI files do."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def nifti_stem(path: Path) -> str:
    """Return the name without ``.nii`` or ``.nii.gz``."""
    return re.sub(r"\.nii(\.gz)?$", "", path.name, flags=re.IGNORECASE)


def nifti_sidecar(path: Path) -> dict[str, Any]:
    """Return what the JSON file beside an image says; empty where there is none, or no object in it."""
    beside = path.with_name(f"{nifti_stem(path)}.json")
    content = read_json(beside) if beside.is_file() else {}
    return content if isinstance(content, dict) else {}


def write_nifti(
    data: AnyArray,
    geometry: Geometry,
    path: str | os.PathLike[str],
    *,
    time_step: float | None = None,
    double: bool = False,
    watch: Watch = UNWATCHED,
) -> None:
    """Write an array (z, y, x) or (time, z, y, x) as NIfTI-1 (x, y, z[, time]), mm and ms, by renaming.

    Parameters
    ----------
    data : array
        bool is stored as uint8, float64 as float32, complex128 as complex64.
    geometry : Geometry
        Voxel size and affine.
    path : path
        ``.nii`` or ``.nii.gz``.
    time_step : float, optional
        ms between time points; 1 if not given.
    double : bool
        Store float64 as it is.
    watch : Watch
        Counts kilobytes.

    Raises
    ------
    Cancelled
        There is the old file, or none.
    """
    import nibabel as nib
    from nibabel.openers import Opener

    smaller = {"b": np.uint8, "f": np.float32, "c": np.complex64}
    keep = double and data.dtype == np.float64
    dtype = np.dtype(smaller[data.dtype.kind]) if data.dtype.kind in smaller and not keep else data.dtype
    image = nib.Nifti1Image(np.asarray(data, dtype=dtype).T, geometry.affine)
    zooms = geometry.voxel_size[::-1]
    image.header.set_zooms(zooms if data.ndim == 3 else (*zooms, 1.0 if time_step is None else time_step))
    image.header.set_xyzt_units("mm", "msec" if data.ndim == 4 else "unknown")
    with replacing(path) as temporary, Opener(str(temporary), "wb") as file:
        size = image.get_data_dtype().itemsize * data.size
        image.to_stream(_WatchedFile(file, size, Path(path).name, watch))


def write_nifti_with_sidecar(
    data: AnyArray,
    geometry: Geometry,
    path: str | os.PathLike[str],
    sidecar: dict[str, Any],
    *,
    double: bool = False,
    watch: Watch = UNWATCHED,
) -> list[Path]:
    """Write NIfTI, and beside it JSON that says what it holds; see `write_nifti`. Return both paths.

    The JSON lists the image, by which it is known as ours.
    """
    target = Path(path)
    beside = target.with_name(f"{nifti_stem(target)}.json")
    check_outputs([target, beside])
    write_nifti(data, geometry, target, double=double, watch=watch)
    write_json({**sidecar, **listing([target])}, beside)
    return [target, beside]


class _WatchedFile(io.RawIOBase):
    """A file to write to that says how much it holds, and stops where nobody wants it any more.

    Parameters
    ----------
    file : file-like
    size : int
        How many bytes are expected.
    name : str
        What people call the file.
    """

    def __init__(self, file: Any, size: int, name: str, watch: Watch) -> None:
        self._file, self._size, self._name, self._watch = file, size, name, watch
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        content = memoryview(data).cast("B")
        for start in range(0, len(content), _PIECE_BYTES):
            self._watch.check(f"writing {self._name}")
            piece = content[start : start + _PIECE_BYTES]
            self._file.write(piece)
            self._written += len(piece)
        self._watch.report(self._written // 1000, self._size // 1000, f"writing {self._name}")
        return len(content)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())


def read_nifti(path: str | os.PathLike[str], *, watch: Watch = UNWATCHED) -> tuple[AnyArray, Geometry]:
    """Read NIfTI as an array (z, y, x) or (time, z, y, x) with its geometry.

    An uncompressed file without scaling stays memory-mapped. A 2-D image gets a z axis of size 1.

    Parameters
    ----------
    path : path
    watch : Watch
        Counts megabytes.

    Raises
    ------
    InputError
        No such file; not NIfTI; more or fewer axes than 2 to 4; a header that claims more than the file can hold.
    Cancelled
    """
    import nibabel as nib

    found = existing_file(path)
    try:
        # kept open: a gzipped file that is opened anew for each block would be unpacked from its beginning
        image = nib.Nifti1Image.from_filename(str(found), keep_file_open=True)
        claimed = math.prod(int(n) for n in image.shape) * image.get_data_dtype().itemsize
        # nibabel sets aside what the header claims before it looks at the file
        if claimed > found.stat().st_size * (_DEFLATE_LIMIT if found.suffix.lower() == ".gz" else 1):
            raise ValueError(f"its header claims {claimed:,} bytes of voxels, more than the file can hold")
        data = _voxels(image, found, watch)
    except (
        nib.filebasedimages.ImageFileError,
        nib.spatialimages.HeaderDataError,
        nib.wrapstruct.WrapStructError,
        OSError,
        ValueError,
        EOFError,
        OverflowError,
        MemoryError,
        zlib.error,
    ) as error:
        reason = str(error).split("\n")[0]
        raise FileError(found, f"cannot be read as NIfTI ({reason})", "a whole .nii or .nii.gz file") from None
    # (x, y, z, 1, time) is how some write fingerprints
    while data.ndim > 4 and 1 in data.shape[3:]:
        data = np.squeeze(data, 3 + data.shape[3:].index(1))
    if data.ndim == 2:
        data = data[:, :, None]
    if data.ndim not in (3, 4):
        raise FileError(found, f"has {data.ndim} axes", "3 (a map) or 4 (fingerprints)")
    units = image.header.get_xyzt_units()[0]
    scale = {"micron": 1e-3, "meter": 1e3}.get(units, 1.0)
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3] *= scale
    return data.T, Geometry.from_affine(affine)


def _voxels(image: Any, file: Path, watch: Watch) -> AnyArray:
    """Return the voxels of a NIfTI image in its own order of axes, mapped into memory or read in blocks."""
    stored = image.dataobj
    if file.suffix.lower() != ".gz" and (stored.slope, stored.inter) == (1, 0):
        return np.asanyarray(stored)
    if 0 in image.shape:
        return np.asanyarray(stored)
    # scaling makes other numbers of those that are stored
    dtype = stored[(slice(0, 1),) * image.ndim].dtype
    return read_in_blocks(
        lambda selection: stored[selection[::-1]].T, image.shape[::-1], dtype, what=f"reading {file.name}", watch=watch
    ).T
