"""NIfTI both ways, with plain errors; a JSON file beside it where its maker has something to say."""

from __future__ import annotations

import io
import math
import os
import re
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import DataWarning, FileError, InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.atomic import existing_file, replacing, replacing_set
from napari_blochnet.io.containers.mapped_arrays import watched
from napari_blochnet.io.json_files import beside_json, write_json
from napari_blochnet.io.origin import check_outputs, listing
from napari_blochnet.io.reading import read_in_blocks
from napari_blochnet.io.unpacking import unpack

__all__ = [
    "is_nifti",
    "is_nifti_pair",
    "nifti_sidecar",
    "nifti_stem",
    "nifti_type",
    "read_nifti",
    "write_nifti",
    "write_nifti_header",
    "write_nifti_with_sidecar",
]

# The deflate format cannot pack more tightly than this (RFC 1951: 258 bytes in 2 bits).
_DEFLATE_LIMIT = 1032
# mm a unit of length, by the code of its header: metres and micrometres; all else is taken as mm.
_LENGTHS = {1: 1e3, 3: 1e-3}
# The longest of NIfTI's headers, and the mark behind it.
_HEADER_BYTES = 544
# Header and extensions: what AFNI, FSL and DICOM converters write there is a hundred times smaller.
_EXTENSION_BYTES = 16 * 2**20
# The header of version 1 states lengths in 16 bits.
_LONGEST_AXIS = 2**15 - 1
# Bytes written between two looks at ``cancelled``: a tenth of a second of compression.
_PIECE_BYTES = 2**22


def is_nifti(path: Path) -> bool:
    """Return whether a name ends as NIfTI files do."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def is_nifti_pair(path: Path) -> bool:
    """Return whether a name ends as those of NIfTI in two files do."""
    return path.name.lower().endswith((".hdr", ".img", ".hdr.gz", ".img.gz"))


def nifti_stem(path: Path) -> str:
    """Return the name without ``.nii`` or ``.nii.gz``."""
    return re.sub(r"\.nii(\.gz)?$", "", path.name, flags=re.IGNORECASE)


def nifti_sidecar(path: Path) -> dict[str, Any]:
    """Return what the JSON file beside an image says; empty where there is none, or no object in it.

    One that cannot be read is told of in a `DataWarning`, and left aside.
    """
    content, wrong = beside_json(path.with_name(f"{nifti_stem(path)}.json"))
    if wrong:
        warnings.warn(wrong, DataWarning, stacklevel=2)
    return content


def nifti_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which numbers are stored, if not as double; see `write_nifti`."""
    smaller = {"b": np.uint8, "f": np.float32, "c": np.complex64}
    return np.dtype(smaller[dtype.kind]) if dtype.kind in smaller else dtype


def write_nifti(
    data: AnyArray,
    geometry: Geometry,
    path: str | os.PathLike[str],
    *,
    time_step: float | None = None,
    double: bool = False,
    watch: Watch = UNWATCHED,
) -> None:
    """Write an array (z, y, x) or (time, z, y, x) as NIfTI (x, y, z[, time]), mm and ms, by renaming.

    Version 1, or version 2 where an axis is longer than version 1 can say.

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
    from nibabel.openers import Opener

    keep = double and data.dtype == np.float64
    dtype = data.dtype if keep else nifti_type(data.dtype)
    image = _image(np.asarray(data, dtype=dtype), geometry, time_step)
    with replacing(path) as temporary, Opener(str(temporary), "wb") as file:
        size = image.get_data_dtype().itemsize * data.size
        image.to_stream(_WatchedFile(file, size, Path(path).name, watch))


def _image(data: AnyArray, geometry: Geometry, time_step: float | None = None) -> Any:
    """Return nibabel's image of an array (z, y, x) or (time, z, y, x)."""
    import nibabel as nib

    version: Any = nib.Nifti1Image if max(data.shape) <= _LONGEST_AXIS else nib.Nifti2Image
    image = version(data.T, geometry.affine)
    zooms = geometry.voxel_size[::-1]
    image.header.set_zooms(zooms if data.ndim == 3 else (*zooms, 1.0 if time_step is None else time_step))
    image.header.set_xyzt_units("mm", "msec" if data.ndim == 4 else "unknown")
    return image


def write_nifti_header(shape: tuple[int, ...], dtype: np.dtype[Any], geometry: Geometry, path: Path) -> int:
    """Write an image (time, z, y, x) of zeros, which takes no room on disk where files may have holes.

    Its samples are written by their place; then the file is the one that `write_nifti` writes.

    Returns
    -------
    int
        Where in the file the first sample lies.
    """
    image = _image(np.broadcast_to(np.zeros((), dtype), shape), geometry)
    image.update_header()
    image.header.set_slope_inter(1.0, 0.0)
    with path.open("wb") as file:
        image.header.write_to(file)
        start = int(image.header.get_data_offset())
        file.truncate(start + math.prod(shape) * dtype.itemsize)
    return start


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
    with replacing_set([target, beside]) as draft:
        image = draft / target.name
        write_nifti(data, geometry, image, double=double, watch=watch)
        write_json({**sidecar, **listing([image])}, draft / beside.name)
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


def read_nifti(
    path: str | os.PathLike[str], *, most_axes: int = 4, watch: Watch = UNWATCHED
) -> tuple[AnyArray, Geometry]:
    """Read NIfTI as an array (z, y, x) or (time, z, y, x) with its geometry.

    An uncompressed file without scaling stays memory-mapped. A 2-D image gets a z axis of size 1.

    Parameters
    ----------
    path : path
        NIfTI-1 or NIfTI-2: ``.nii``, ``.nii.gz``, or one of a pair ``.hdr`` and ``.img``.
    most_axes : int
        How many are taken, once those of length one behind the third are dropped; of five the file's last comes first.
    watch : Watch
        Counts megabytes.

    Returns
    -------
    array
    Geometry
        By the sform, else the qform, else the voxel size; a `DataWarning` tells where one of them is of no use.

    Raises
    ------
    InputError
        No such file; not NIfTI; more or fewer axes than 2 to 4; a header that claims more than the file can hold.
    Cancelled
    """
    import nibabel as nib

    found = existing_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of extensions whose sizes are odd
            # kept open: a gzipped file that is opened anew for each block would be unpacked from its beginning
            kind, is_sized = _kind_of_image(found)
            image: Any = kind.from_filename(str(found), keep_file_open=True)
        voxels = Path(image.file_map["image"].filename)
        claimed = math.prod(int(n) for n in image.shape) * image.get_data_dtype().itemsize
        # nibabel sets aside what the header claims before it looks at the file
        if claimed > voxels.stat().st_size * (_DEFLATE_LIMIT if voxels.suffix.lower() == ".gz" else 1):
            raise ValueError(f"its header claims {claimed:,} bytes of voxels, more than the file can hold")
        data = _voxels(image, voxels, watch)
    except (
        nib.filebasedimages.ImageFileError,
        nib.spatialimages.HeaderDataError,
        nib.wrapstruct.WrapStructError,
        OSError,
        ValueError,
        TypeError,
        EOFError,
        OverflowError,
        MemoryError,
        zlib.error,
    ) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error).split("\n")[0]
        raise FileError(found, f"cannot be read as NIfTI ({reason})", "a whole .nii or .nii.gz file") from None
    # (x, y, z, 1, time) is how some write fingerprints
    while data.ndim > 4 and 1 in data.shape[3:]:
        data = np.squeeze(data, 3 + data.shape[3:].index(1))
    if data.ndim == 2:
        data = data[:, :, None]
    if not 3 <= data.ndim <= most_axes:
        raise FileError(found, f"has {data.ndim} axes", "3 (a map) or 4 (fingerprints)")
    return data.T, _geometry(found, image.header, is_sized)


def _kind_of_image(path: Path) -> tuple[Any, bool]:
    """Return nibabel's class for a file, NIfTI-1 or 2, alone or a pair, and whether its header states a voxel size.

    Extensions that claim too much are refused: nibabel reads them whole, however large they are, before anything else
    is known of the file.
    """
    import nibabel as nib

    is_pair = is_nifti_pair(path)
    if is_pair:
        # either of the two may be named, and gzipped
        path = path.with_name(re.sub(r"\.(hdr|img)(\.gz)?$", r".hdr\2", path.name, flags=re.IGNORECASE))
    head = bytes(unpack(existing_file(path), _HEADER_BYTES).data)
    order = next((o for o in "<>" if len(head) >= 4 and struct.unpack(f"{o}i", head[:4])[0] in (348, 540)), None)
    if order is None:
        raise ValueError("it does not begin as NIfTI does")
    size = struct.unpack(f"{order}i", head[:4])[0]
    magic = head[344:347] if size == 348 else head[4:7]
    if len(head) < size or magic not in ((b"ni1", b"ni2") if is_pair else (b"n+1", b"n+2")):
        kinds = "a pair of .hdr and .img" if is_pair else "one .nii file"
        raise ValueError(f"its header does not say that it is NIfTI in {kinds}")
    if size == 348:
        (offset,), sides = struct.unpack(f"{order}f", head[108:112]), struct.unpack(f"{order}3f", head[80:92])
    else:
        (offset,), sides = struct.unpack(f"{order}q", head[168:176]), struct.unpack(f"{order}3d", head[112:136])
    if len(head) > size + 4 and head[size] != 0:
        _check_extensions(path, size + 4, None if is_pair else offset, order)
    if is_pair:
        return nib.Nifti1Pair if size == 348 else nib.Nifti2Pair, any(sides)
    return nib.Nifti1Image if size == 348 else nib.Nifti2Image, any(sides)


def _check_extensions(path: Path, start: int, stop: float | None, order: str) -> None:
    """Refuse a header whose extensions are larger than anybody makes them, or than the place that they have."""
    limit = _EXTENSION_BYTES if stop is None else min(max(stop, 0), _EXTENSION_BYTES)
    if stop is not None and not 0 <= stop <= _EXTENSION_BYTES:
        raise ValueError(f"its header claims {stop:,.0f} bytes of extensions")
    content = unpack(path, int(limit))
    if stop is None and not content.complete:
        raise ValueError(f"its header has more than {_EXTENSION_BYTES:,} bytes of extensions")
    while start + 16 <= len(content.data):
        (size,) = struct.unpack(f"{order}i", content.data[start : start + 4])
        if size < 8 or start + size > len(content.data):
            raise ValueError(f"one of its header's extensions claims {size:,} bytes")
        start += size


def _geometry(path: Path, header: Any, is_sized: bool) -> Geometry:
    """Return where an image lies, by the first of its header's statements that can be used."""
    scale = _LENGTHS.get(int(header["xyzt_units"]) & 7, 1.0)
    stated = []
    useless = []
    if header["sform_code"] > 0:
        stated.append(("sform", header.get_sform))
    if header["qform_code"] > 0:
        stated.append(("qform", header.get_qform))
    if is_sized:
        stated.append(("voxel size", header.get_base_affine))
    for name, affine_of in stated:
        try:
            affine = np.array(affine_of(), dtype=np.float64)
            affine[:3] *= scale
            geometry = Geometry.from_affine(affine)
        except (ValueError, np.linalg.LinAlgError):  # numbers that are no rotation, lengths of 0
            useless.append(name)
            continue
        if useless:
            _tell_useless(path, useless, f"where it lies is taken from its {name}, {geometry.describe()} (z, y, x)")
        return geometry
    _tell_useless(path, useless if is_sized else [*useless, "voxel size"], "a voxel is taken as 1 mm")
    return Geometry()


def _tell_useless(path: Path, useless: list[str], instead: str) -> None:
    what = " and ".join(useless)
    verb = "are" if len(useless) > 1 else "is"
    warnings.warn(
        f"{path.name}: the {what} of its header {verb} of no use (without extent along an axis, or not finite); "
        f"{instead}.",
        DataWarning,
        stacklevel=4,
    )


def _voxels(image: Any, file: Path, watch: Watch) -> AnyArray:
    """Return the voxels of a NIfTI image in its own order of axes, mapped into memory or read in blocks."""
    stored = image.dataobj
    if file.suffix.lower() != ".gz" and (stored.slope, stored.inter) == (1, 0):
        return watched(np.asanyarray(stored))
    if 0 in image.shape:
        return np.asanyarray(stored)
    # scaling makes other numbers of those that are stored
    dtype = stored[(slice(0, 1),) * image.ndim].dtype
    return read_in_blocks(
        lambda selection: stored[selection[::-1]].T, image.shape[::-1], dtype, what=f"reading {file.name}", watch=watch
    ).T
