"""Parameter maps: what an estimator says of every voxel of a stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import EllipsisType
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray, dimensions
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.geometry import OnGrid

__all__ = ["OtherMap", "ParameterMaps", "failures"]


@dataclass(frozen=True, eq=False)
class OtherMap:
    """A map of a parameter that is none of T1, T2, PD and B1.

    Parameters
    ----------
    values : array of shape (Z, Y, X)
        0 outside the mask and where the estimator failed.
    unit : str
        As its dictionary says; may be empty.
    """

    values: FloatArray
    unit: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class ParameterMaps(OnGrid):
    """T1, T2, PD and residual maps of one estimator, or T1 and T2 maps that somebody brings.

    Parameters
    ----------
    t1, t2 : array of shape (Z, Y, X), or None
        ms; 0 outside the mask and where the estimator failed. None: a dictionary of others was simulated without it.
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
    others : mapping of str to OtherMap
        Further parameters, by the name that their dictionary has for them.
    estimator : str
        What made them.
    voxel_size, affine
        As in `napari_blochnet.common.geometry.Geometry`.
    record : dict
        How they were made, enough to make them again.
    """

    t1: FloatArray | None
    t2: FloatArray | None
    pd: FloatArray | None
    residual: FloatArray | None
    mask: BoolArray
    failed: BoolArray = field(default=None)  # type: ignore[arg-type]
    phase: FloatArray | None = None
    t1_se: FloatArray | None = None
    t2_se: FloatArray | None = None
    converged: BoolArray | None = None
    b1: FloatArray | None = None
    others: Mapping[str, OtherMap] = field(default_factory=dict)
    estimator: str = "estimate"
    voxel_size: tuple[float, float, float] = (1.0, 1.0, 1.0)
    affine: FloatArray = field(default=None)  # type: ignore[arg-type]
    record: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        first, shape = ("T1 map", np.shape(self.t1)) if self.t1 is not None else ("mask", np.shape(self.mask))
        if len(shape) != 3:
            raise InputError(f"The {first} has shape {shape}", "three axes (z, y, x)", field="t1")
        if self.failed is None:
            object.__setattr__(self, "failed", np.zeros(shape, dtype=bool))  # type: ignore[unreachable]
        known = ("t2", "pd", "residual", "mask", "failed", "phase", "t1_se", "t2_se", "converged", "b1")
        given = {key: getattr(self, key) for key in known} | {key: each.values for key, each in self.others.items()}
        for key, value in given.items():
            if value is not None and np.shape(value) != shape:
                name = "t1" if self.t1 is not None else "the mask"
                raise InputError(f"{key} has shape {np.shape(value)}", f"that of {name}, {shape}", field=key)
        self._check_geometry()

    def __repr__(self) -> str:
        size, mapped = dimensions(self.shape), int(self.mask.sum())
        return f"<ParameterMaps by {self.estimator}: {size} voxels (z, y, x), {mapped:,} mapped>"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (z, y, x)."""
        return self.mask.shape

    def volumes(self) -> dict[str | tuple[str], AnyArray]:
        """Return what there is by its field, and further parameters by a tuple of their name."""
        names = (each.name for each in fields(self) if each.name not in ("others", "affine"))
        known = {name: getattr(self, name) for name in names}
        present: dict[str | tuple[str], AnyArray] = {
            name: values for name, values in known.items() if isinstance(values, np.ndarray)
        }
        return present | {(name,): other.values for name, other in self.others.items()}

    def with_volumes(self, volumes: Mapping[str | tuple[str], AnyArray], **changes: Any) -> ParameterMaps:
        """Return a copy with other values, given as `volumes` returns them."""
        others = {
            name: replace(other, values=volumes.get((name,), other.values)) for name, other in self.others.items()
        }
        named: dict[str, Any] = {name: values for name, values in volumes.items() if isinstance(name, str)}
        return replace(self, **named, others=others, **changes)

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
    good: BoolArray = np.ones_like(maps.mask[part])
    for values in (maps.t1, maps.t2):
        if values is not None:
            with np.errstate(invalid="ignore"):
                good &= (values[part] > 0) & np.isfinite(values[part])
    if maps.pd is not None:
        good &= np.isfinite(maps.pd[part])
    return maps.mask[part] & (maps.failed[part] | ~good)
