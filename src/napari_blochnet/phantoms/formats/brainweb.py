"""BrainWeb's volumes: what their names mean, their grids, and the raw formats.

Fuzzy volumes hold one tissue's membership, crisp ones a label for each voxel. The 20 normal brains (Aubert-Broche,
Griffin, Pike, Evans, Collins, IEEE Trans Med Imaging 25:1410, 2006) are called ``subjectNN_TISSUE_v``, the older normal
brain (Collins et al., IEEE Trans Med Imaging 17:463, 1998) ``phantom_1.0mm_normal_TISSUE``.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import IntArray, dimensions
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.unpacking import unpack
from napari_blochnet.phantoms.formats.minc1 import read_minc
from napari_blochnet.phantoms.formats.minc2 import read_minc2
from napari_blochnet.phantoms.formats.volume import Volume, warn_of_damage

__all__ = [
    "CRISP_OLD",
    "CRISP_TWENTY",
    "brainweb_grid",
    "crisp_classes",
    "is_brainweb_format",
    "read_volume",
    "role_of",
]

#: Tissue of each label, as `tissues` names them: the 20 normal brains, and the older normal brain.
CRISP_TWENTY = (
    "background", "CSF", "grey matter", "white matter", "fat", "muscle", "muscle/skin", "skull", "vessels",
    "around fat", "dura", "marrow",
)  # fmt: skip
CRISP_OLD = (
    "background", "CSF", "grey matter", "white matter", "fat", "muscle/skin", "skin", "skull", "glial matter",
    "connective tissue",
)  # fmt: skip

# Shape (z, y, x), voxel size in mm, and the position (x, y, z) of the first voxel: BrainWeb's own, and the 2-mm one of
# the CRAN package mritc. x increases to the right, y to the front, z upwards.
_GRIDS = (
    ((362, 434, 362), 0.5, (-90.25, -126.25, -72.25)),
    ((181, 217, 181), 1.0, (-90.0, -126.0, -72.0)),
    ((91, 109, 91), 2.0, (-90.0, -126.0, -72.0)),
)
_FORMATS = (".mnc", ".rawb", ".raws")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_TWELVE_BITS = 4095
_MOST_VOXELS = 2**30


def is_brainweb_format(path: Path) -> bool:
    """Return whether a name ends as MINC, raw byte or raw short files do, gzipped or not."""
    return _format(path) in _FORMATS


def role_of(path: Path) -> str:
    """Return what a volume's name says it holds: ``crisp``, ``mask``, or a tissue's name as the file spells it."""
    stem = re.sub(r"(\.gz|\.(mnc|rawb|raws|nii|mat|img|npy|npz))+$", "", path.name, flags=re.IGNORECASE)
    found = (
        re.fullmatch(r"subject\d+_(.+?)(?:_v)?", stem, flags=re.IGNORECASE)
        or re.fullmatch(r"phantom_[\d.]+mm_\w+?_(.+)", stem, flags=re.IGNORECASE)
        or re.fullmatch(r".*label-([A-Za-z0-9]+)_.*", stem)
    )
    return found[1] if found else stem


def crisp_classes(name: str, labels: IntArray) -> tuple[str, ...]:
    """Return the tissue of each label of a crisp volume.

    Parameters
    ----------
    name : str
        The file's; ``subjectNN_crisp`` has the labels of the 20 normal brains, ``phantom_…`` of the older one.
    labels : array of shape (Z, Y, X)
        Without a telling name, the grid or a label above 9 decides.

    Raises
    ------
    InputError
        Labels that neither set has, or no way to tell the sets apart.
    """
    largest = int(labels.max(initial=0))
    if largest >= len(CRISP_TWENTY):
        raise InputError(f"{name}: holds the label {largest}", "BrainWeb's labels, 0 to 9 or 0 to 11", field="path")
    if largest >= len(CRISP_OLD) or name.lower().startswith("subject") or labels.shape == _GRIDS[0][0]:
        return CRISP_TWENTY
    # (180, 216, 180) is the older brain without its last plane on each side, as JEMRIS distributes it
    if name.lower().startswith("phantom_") or labels.shape in (_GRIDS[1][0], (180, 216, 180)):
        return CRISP_OLD
    raise InputError(
        f"{name}: labels 0 to {largest} on a grid of {dimensions(labels.shape)} could be of "
        "BrainWeb's 20 normal brains or of its older one",
        "a name that begins with subject or phantom_",
        field="path",
    )


def brainweb_grid(voxels: int) -> tuple[tuple[int, int, int], Geometry] | None:
    """Return shape (z, y, x) and geometry of the BrainWeb grid with this many voxels, or None."""
    for shape, size, origin in _GRIDS:
        if math.prod(shape) == voxels:
            affine = np.diag([size, size, size, 1.0])
            affine[:3, 3] = origin
            return shape, Geometry((size, size, size), affine)
    return None


def read_volume(
    path: Path,
    *,
    labels: bool = False,
    shape: tuple[int, int, int] | None = None,
    voxel_size: tuple[float, float, float] | None = None,
    quiet: bool = False,
    watch: Watch = UNWATCHED,
) -> Volume:
    """Read one BrainWeb volume: MINC 1 or 2, raw byte (membership = value/255) or short (value/4095), gzipped or not.

    Parameters
    ----------
    path : Path
    labels : bool
        Whether it holds labels, which raw bytes store as they are, and raw shorts as round(label · 4095/255).
    shape : tuple of int, optional
        (z, y, x) of a raw file; not needed for BrainWeb's grids, which are known by the number of bytes.
    voxel_size : tuple of float, optional
        (z, y, x), mm, of a raw file with a given shape.
    quiet : bool
        Whether to leave it to the caller to warn of damage.
    watch : Watch

    Returns
    -------
    Volume

    Raises
    ------
    InputError
        A file shorter or longer than its voxels; a grid that is not known and was not given; not the format its name
        says.

    Warns
    -----
    DataWarning
        Damage around voxels that are all there.
    """
    if _format(path) == ".mnc":
        volume = (read_minc2 if unpack(path, len(_HDF5)).data == _HDF5 else read_minc)(path, watch)
    else:
        volume = _read_raw(path, labels, shape, voxel_size, watch)
    if not quiet:
        warn_of_damage({volume.source: volume.damage})
    return volume


def _read_raw(
    path: Path,
    labels: bool,
    shape: tuple[int, int, int] | None,
    voxel_size: tuple[float, float, float] | None,
    watch: Watch,
) -> Volume:
    width = 2 if _format(path) == ".raws" else 1
    largest = (math.prod(shape) if shape else max(math.prod(grid) for grid, _, _ in _GRIDS)) * width
    if shape is not None and not (min(shape) > 0 and math.prod(shape) <= _MOST_VOXELS):
        raise InputError(
            f"shape is {shape}", f"three numbers of voxels above 0, in all at most {_MOST_VOXELS:,}", field="shape"
        )
    content = unpack(path, largest, watch)
    found = len(content.data)
    grid = brainweb_grid(found // width) if found % width == 0 and content.complete else None
    held = f"holds {found:,} bytes" if content.complete else f"holds more than {found:,} bytes"
    if shape is not None:
        if found < largest or not content.complete:
            raise FileError(path, held, f"{largest:,} for {dimensions(shape)} voxels", field="shape")
        known = grid is not None and grid[0] == tuple(shape)
        if not known and voxel_size is None:
            raise FileError(
                path, "raw files do not state a voxel size; give voxel_size (z, y, x), in mm.", field="voxel_size"
            )
    elif grid is None:
        sizes = ", ".join(f"{math.prod(size) * width:,} ({dimensions(size)})" for size, _, _ in _GRIDS)
        raise FileError(path, held, f"a BrainWeb grid of {sizes}, or give shape and voxel_size", field="shape")
    size = tuple(shape) if shape is not None else grid[0]  # type: ignore[index]
    geometry = Geometry(voxel_size) if voxel_size is not None else grid[1]  # type: ignore[index]
    if width == 1:
        stored: IntArray = np.frombuffer(content.data, np.uint8).reshape(size)
        slope = 1.0 if labels else 1.0 / 255
    elif labels:
        stored, slope = _labels_of_shorts(path, content.data, size), 1.0
    else:
        stored, slope = _shorts(path, content.data, size), 1.0 / _TWELVE_BITS
    return Volume(stored, slope, 0.0, geometry, path.name, content.damage or "")


def _shorts(path: Path, data: bytearray, shape: tuple[int, ...]) -> IntArray:
    """Return 12-bit numbers in the byte order that makes them 12-bit numbers."""
    for order in ("<u2", ">u2"):
        values = np.frombuffer(data, order).reshape(shape)
        if values.max() <= _TWELVE_BITS:
            return values
    raise FileError(path, f"holds numbers above {_TWELVE_BITS} in either byte order", "12-bit memberships")


def _labels_of_shorts(path: Path, data: bytearray, shape: tuple[int, ...]) -> IntArray:
    """Return labels, which BrainWeb stores as round(label · 4095/255), or others as they are."""
    step = _TWELVE_BITS / 255
    for order in ("<u2", ">u2"):
        values = np.frombuffer(data, order).reshape(shape)
        levels = np.flatnonzero(np.bincount(values.reshape(-1)))
        if levels[-1] < len(CRISP_TWENTY):
            return values.astype(np.uint8)
        labels = np.rint(levels / step)
        if levels[-1] <= _TWELVE_BITS and (np.abs(labels * step - levels) <= 1.0).all():
            lookup = np.zeros(levels[-1] + 1, np.uint8)
            lookup[levels] = labels
            found: IntArray = lookup[values]
            return found
    raise FileError(path, "holds numbers that are no labels", "labels, or round(label · 4095/255) as BrainWeb has them")


def _format(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix
