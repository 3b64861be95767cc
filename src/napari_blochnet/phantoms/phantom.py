"""The phantom: T1, T2 and proton density known in every voxel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import BoolArray, FloatArray, IntArray, dimensions, first_true
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.geometry import Geometry, OnGrid
from napari_blochnet.common.plain_text import counted

__all__ = ["PURE", "Phantom"]

#: Smallest share of one tissue at which a voxel counts as pure in scores per tissue.
PURE = 0.99


@dataclass(frozen=True, eq=False, repr=False)
class Phantom(OnGrid):
    """Maps of T1, T2 and PD on a voxel grid, with the tissues they came from where known.

    Parameters
    ----------
    t1, t2 : array of shape (Z, Y, X)
        Relaxation times, ms; positive inside the mask, T2 ≤ T1.
    pd : array of shape (Z, Y, X)
        Proton density, relative; positive inside the mask.
    mask : bool array of shape (Z, Y, X), optional
        Valid voxels. None: where T1, T2 and PD are all positive. Maps are set to 0 outside.
    b1 : array of shape (Z, Y, X), optional
        Relative transmit field, 1 = nominal; positive inside the mask.
    fractions : mapping of str to array of shape (Z, Y, X), optional
        Share of each tissue in each voxel, 0 to 1 (fuzzy memberships).
    labels : integer array of shape (Z, Y, X), optional
        Tissue label; 0 is background, ``k`` is ``tissues[k - 1]``.
    tissues : tuple of str
        Names of the labels.
    voxel_size : tuple of float
        (z, y, x), mm.
    affine : array of shape (4, 4), optional
        NIfTI affine: index (x, y, z, 1) to scanner mm, RAS+.
    name : str
        What people call it.
    notes : tuple of str
        What was found and what is missing, in sentences, from reading.
    record : dict
        How it was made, where known.

    Raises
    ------
    InputError
        Shapes that differ; T1, T2, PD or B1 ≤ 0 or not finite, or T2 > T1, inside the mask.
    """

    t1: FloatArray
    t2: FloatArray
    pd: FloatArray
    mask: BoolArray = field(default=None)  # type: ignore[arg-type]
    b1: FloatArray | None = None
    fractions: Mapping[str, FloatArray] | None = None
    labels: IntArray | None = None
    tissues: tuple[str, ...] = ()
    voxel_size: tuple[float, float, float] = (1.0, 1.0, 1.0)
    affine: FloatArray = field(default=None)  # type: ignore[arg-type]
    name: str = "phantom"
    notes: tuple[str, ...] = ()
    record: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = np.shape(self.t1)
        if len(shape) != 3:
            raise InputError(f"t1 has shape {shape}", "three axes (z, y, x)", field="t1")
        for key in ("t2", "pd", "mask", "b1", "labels"):
            value = getattr(self, key)
            if value is not None and np.shape(value) != shape:
                raise InputError(f"{key} has shape {np.shape(value)}", f"that of t1, {shape}", field=key)
        for tissue, share in (self.fractions or {}).items():
            if np.shape(share) != shape:
                raise InputError(
                    f"The fraction of {tissue} has shape {np.shape(share)}", f"that of t1, {shape}", field="fractions"
                )
        if self.mask is None:
            with np.errstate(invalid="ignore"):  # type: ignore[unreachable]
                mask = (np.asarray(self.t1) > 0) & (np.asarray(self.t2) > 0) & (np.asarray(self.pd) > 0)
        else:
            mask = np.asarray(self.mask, dtype=bool)
        object.__setattr__(self, "mask", mask)
        for key in ("t1", "t2", "pd", "b1"):
            value = getattr(self, key)
            if value is None:
                continue
            _check_positive(key, np.asarray(value), mask)
            object.__setattr__(self, key, _zero_outside(np.asarray(value), mask))
        _check_order(self.t1, self.t2, mask)
        if self.labels is not None:
            object.__setattr__(self, "labels", np.where(mask, self.labels, 0).astype(np.uint8))
        self._check_geometry()

    def __repr__(self) -> str:
        return f"<Phantom {self.describe()}>"

    def __getitem__(self, slices: slice | int) -> Phantom:
        """Return a sub-volume along z, geometry kept: ``p[40:46]``; ``p[40]`` keeps z with size 1."""
        kept = self._slices_along_z(slices, self.shape[0])
        part: dict[str, Any] = {
            key: None if getattr(self, key) is None else getattr(self, key)[kept]
            for key in ("t1", "t2", "pd", "mask", "b1", "labels")
        }
        if self.fractions is not None:
            part["fractions"] = {tissue: share[kept] for tissue, share in self.fractions.items()}
        part["record"] = self._record_of_slices("phantom", self.record, kept, self.shape[0])
        return replace(self, **part, affine=self.geometry.cut(kept.start).affine)

    def on_grid(self, shape: tuple[int, int, int], geometry: Geometry) -> Phantom:
        """Return the part of the phantom that covers a stack or maps of some of its slices.

        Parameters
        ----------
        shape : tuple of int
            (z, y, x) of the other volume.
        geometry : Geometry
            Its voxel size and affine.

        Raises
        ------
        InputError
            A volume that is not some of this phantom's slices, to a hundredth of a voxel.
        """
        where = np.linalg.solve(self.affine, geometry.affine)
        first = round(float(where[2, 3]))
        moved = self.geometry.cut(first)
        tolerance = 0.01 * min(self.voxel_size)
        fits = (
            shape[1:] == self.shape[1:]
            and 0 <= first <= self.shape[0] - shape[0]
            and np.allclose(moved.affine, geometry.affine, rtol=0, atol=tolerance)
        )
        if not fits:
            raise InputError(
                f"The volume of {dimensions(shape)} voxels (z, y, x) of {geometry.describe()} does not "
                f"lie on the grid of {self.name}, {dimensions(self.shape)} of {self.geometry.describe()}",
                "the same grid, or some of its slices",
                field="truth",
            )
        return self if shape == self.shape else self[first : first + shape[0]]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (z, y, x)."""
        return self.t1.shape

    @property
    def pure_labels(self) -> IntArray | None:
        """`labels` where one tissue makes up at least 99 % of the voxel, 0 elsewhere; None without labels."""
        if self.labels is None or self.fractions is None:
            return self.labels
        pure = np.zeros(self.shape, bool)
        for share in self.fractions.values():
            pure |= np.asarray(share) >= PURE
        return np.where(pure, self.labels, 0).astype(np.uint8)

    def describe(self) -> str:
        """Return one line for people: name, size, voxel size, voxels in the mask, tissues."""
        tissues = f", tissues: {', '.join(self.tissues)}" if self.tissues else ""
        size, inside = f"{dimensions(self.shape)} voxels (z, y, x)", int(self.mask.sum())
        return f"{self.name}: {size} of {self.geometry.describe()}, {inside:,} inside the mask{tissues}"


def _zero_outside(values: FloatArray, mask: BoolArray) -> FloatArray:
    """Return the map as float32 with 0 outside the mask; the map itself where it is so already, for it may be large."""
    if values.dtype == np.float32 and not np.any(values, where=~mask):
        return values
    return np.where(mask, values, 0).astype(np.float32, copy=False)


def _check_positive(key: str, values: FloatArray, mask: BoolArray) -> None:
    with np.errstate(invalid="ignore"):
        bad = mask & ~((values > 0) & np.isfinite(values))
    if bad.any():
        where = first_true(bad)
        raise InputError(
            f"{key} is {values[where]:g} at voxel (z, y, x) = {where} inside the mask, and in "
            f"{counted(int(bad.sum()), 'voxel')} in all",
            "a finite number above 0",
            field=key,
        )


def _check_order(t1: FloatArray, t2: FloatArray, mask: BoolArray) -> None:
    bad = mask & (t2 > t1)
    if bad.any():
        where = first_true(bad)
        raise InputError(
            f"t2 is {t2[where]:g} ms where t1 is {t1[where]:g} ms at voxel (z, y, x) = {where}, and above t1 "
            f"in {counted(int(bad.sum()), 'voxel')} in all",
            "T2 ≤ T1 inside the mask",
            field="t2",
        )
