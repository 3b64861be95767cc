"""Parameter maps: what an estimator says of every voxel of a stack."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import EllipsisType
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray, dimensions
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.geometry import OnGrid

__all__ = ["ParameterMaps", "failures"]


@dataclass(frozen=True, eq=False, repr=False)
class ParameterMaps(OnGrid):
    """T1, T2, PD and residual maps of one estimator, or T1 and T2 maps that somebody brings.

    Parameters
    ----------
    t1, t2 : array of shape (Z, Y, X)
        ms; 0 outside the mask and where the estimator failed.
    pd : array of shape (Z, Y, X), or None
        Proton density, relative, magnitude. None: of maps that come without.
    residual : array of shape (Z, Y, X), or None
        ‖x − ŝ‖/‖x‖ of the voxel's fingerprint x and its explanation ŝ. None: of maps that come without.
    mask : bool array of shape (Z, Y, X)
        Voxels that were mapped.
    failed : bool array of shape (Z, Y, X), optional
        Voxels inside the mask that the estimator rejected; they count as failures in every score. None: none did.
    phase : array of shape (Z, Y, X), optional
        Phase of the proton density, degrees; complex data only.
    t1_se, t2_se : array of shape (Z, Y, X), optional
        Standard errors, ms, where refined.
    converged : bool array of shape (Z, Y, X), optional
        Where a fit reached a minimum; False outside the mask. None: nothing was fitted.
    b1 : array of shape (Z, Y, X), optional
        Relative transmit field, where it was fitted or given.
    estimator : str
        What made them.
    voxel_size, affine
        As in `napari_blochnet.common.geometry.Geometry`.
    record : dict
        How they were made, enough to make them again.
    """

    t1: FloatArray
    t2: FloatArray
    pd: FloatArray | None
    residual: FloatArray | None
    mask: BoolArray
    failed: BoolArray = field(default=None)  # type: ignore[arg-type]
    phase: FloatArray | None = None
    t1_se: FloatArray | None = None
    t2_se: FloatArray | None = None
    converged: BoolArray | None = None
    b1: FloatArray | None = None
    estimator: str = "estimate"
    voxel_size: tuple[float, float, float] = (1.0, 1.0, 1.0)
    affine: FloatArray = field(default=None)  # type: ignore[arg-type]
    record: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = np.shape(self.t1)
        if len(shape) != 3:
            raise InputError(f"The T1 map has shape {shape}", "three axes (z, y, x)", field="t1")
        for key in ("t2", "pd", "residual", "mask", "failed", "phase", "t1_se", "t2_se", "converged", "b1"):
            value = getattr(self, key)
            if key == "failed" and value is None:
                object.__setattr__(self, "failed", np.zeros(shape, dtype=bool))
            elif value is not None and np.shape(value) != shape:
                raise InputError(f"{key} has shape {np.shape(value)}", f"that of t1, {shape}", field=key)
        self._check_geometry()

    def __repr__(self) -> str:
        size, mapped = dimensions(self.shape), int(self.mask.sum())
        return f"<ParameterMaps by {self.estimator}: {size} voxels (z, y, x), {mapped:,} mapped>"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (z, y, x)."""
        return self.t1.shape

    def replace(self, **changes: Any) -> ParameterMaps:
        """Return a copy with some fields changed, validated again."""
        return replace(self, **changes)


def failures(maps: ParameterMaps, part: tuple[slice | AnyArray, ...] | EllipsisType = ...) -> BoolArray:
    """Return the mapped voxels without an estimate: rejected, or T1 or T2 not a positive finite number.

    Parameters
    ----------
    maps : ParameterMaps
    part : tuple of slice or of int array, optional
        (z, y, x) of the voxels to look at; by default all.
    """
    t1, t2 = maps.t1[part], maps.t2[part]
    with np.errstate(invalid="ignore"):
        good: BoolArray = (t1 > 0) & (t2 > 0) & np.isfinite(t1) & np.isfinite(t2)
    if maps.pd is not None:
        good &= np.isfinite(maps.pd[part])
    return maps.mask[part] & (maps.failed[part] | ~good)
