"""Where a volume lies: voxel size, affine, and how they follow a cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import InputError

__all__ = ["Geometry", "OnGrid"]

# A volume of three unit vectors below this is a plane, for rounded header numbers.
_FLAT = 1e-6


@dataclass(frozen=True, eq=False)
class Geometry:
    """Voxel size and affine of a volume with axes (z, y, x).

    Parameters
    ----------
    voxel_size : tuple of float
        (z, y, x), mm; above 0.
    affine : array of shape (4, 4), optional
        NIfTI affine: index (x, y, z, 1) to scanner mm, RAS+. None: axes along the scanner's, origin at voxel 0.
    """

    voxel_size: tuple[float, float, float] = (1.0, 1.0, 1.0)
    affine: FloatArray = field(default=None)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        size = tuple(float(length) for length in self.voxel_size)
        if len(size) != 3 or not all(np.isfinite(size)) or min(size) <= 0:
            raise InputError(
                f"voxel_size is {self.voxel_size}", "three lengths (z, y, x) above 0 mm", field="voxel_size"
            )
        object.__setattr__(self, "voxel_size", size)
        if self.affine is None:
            affine = np.diag([*size[::-1], 1.0])  # type: ignore[unreachable]
        else:
            affine = np.array(self.affine, dtype=np.float64)
            if affine.shape != (4, 4) or not np.isfinite(affine).all():
                raise InputError(f"affine has shape {affine.shape}", "4 × 4 finite numbers", field="affine")
            extents = np.linalg.norm(affine[:3, :3], axis=0)
            if not extents.all() or abs(np.linalg.det(affine[:3, :3] / extents)) < _FLAT:
                raise InputError("affine sends all voxels into a plane", "axes that span space", field="affine")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)

    @classmethod
    def from_affine(cls, affine: FloatArray) -> Geometry:
        """Take the voxel size from the columns of the affine."""
        lengths = np.linalg.norm(np.asarray(affine, dtype=np.float64)[:3, :3], axis=0)
        return cls((float(lengths[2]), float(lengths[1]), float(lengths[0])), affine)

    def cut(self, z: int = 0, y: int = 0, x: int = 0) -> Geometry:
        """Return the geometry of a sub-volume that starts at voxel (z, y, x)."""
        moved = np.array(self.affine)
        moved[:3, 3] += moved[:3, :3] @ np.array([x, y, z], dtype=np.float64)
        return Geometry(self.voxel_size, moved)

    def describe(self) -> str:
        """Return the voxel size in words, (z, y, x)."""
        return " × ".join(f"{length:g}" for length in self.voxel_size) + " mm"


class OnGrid:
    """What fills a volume: a dataclass with the fields ``voxel_size`` and ``affine`` of a `Geometry`."""

    voxel_size: tuple[float, float, float]
    affine: FloatArray

    @property
    def geometry(self) -> Geometry:
        """Voxel size and affine together."""
        return Geometry(self.voxel_size, self.affine)

    def _check_geometry(self) -> None:
        """Give both fields the values that `Geometry` makes of them; for ``__post_init__``."""
        geometry = self.geometry
        object.__setattr__(self, "voxel_size", geometry.voxel_size)
        object.__setattr__(self, "affine", geometry.affine)

    def _slices_along_z(self, wanted: slice | int, count: int) -> slice:
        """Return the slices that somebody asks for out of ``count``, a single one as a slice; for ``__getitem__``."""
        if isinstance(wanted, (int, np.integer)):
            index = range(count)[wanted]
            wanted = slice(index, index + 1)
        if not isinstance(wanted, slice):
            raise TypeError(f"a {type(self).__name__.lower()} is cut along z only: p[z] or p[z0:z1]")
        start, stop, step = wanted.indices(count)
        if step != 1 or stop <= start:
            raise InputError(f"The slices {start}:{stop}:{step} hold no contiguous part of {count} slices.")
        return slice(start, stop)

    def _record_of_slices(self, kind: str, record: dict[str, Any], kept: slice, count: int) -> dict[str, Any]:
        """Return the record of some slices of a volume with this record: the same where they are all there are."""
        if not record or (kept.start, kept.stop) == (0, count):
            return record
        software = {"software": record["software"]} if "software" in record else {}
        settings = {"slices": [kept.start, kept.stop]}
        return {"operation": f"cut_{kind}", "settings": settings, "inputs": {kind: record}, **software}
