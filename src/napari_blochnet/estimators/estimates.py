"""What estimators say of fingerprints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray, SignalKind

__all__ = ["Estimates"]


@dataclass(frozen=True)
class Estimates:
    """What an estimator says of a batch of fingerprints.

    Parameters
    ----------
    t1, t2 : array of shape (voxel,)
        ms.
    pd : array of shape (voxel,)
        Proton density relative to a decoder signal of PD 1; complex (with the voxel's phase) for complex data.
    residual : array of shape (voxel,)
        ‖x − ŝ‖/‖x‖, from 0 (explained) to 1.
    failed : bool array of shape (voxel,)
        Voxels the estimator has no answer for (a fingerprint of zeros); their numbers are 0.
    t1_se, t2_se : array of shape (voxel,), optional
        Standard errors, ms, of estimators that have them.
    converged : bool array of shape (voxel,), optional
        Whether a fit reached a minimum; None of estimators that do not fit.
    b1 : array of shape (voxel,), optional
        Relative transmit field where it was fitted.
    """

    t1: FloatArray
    t2: FloatArray
    pd: AnyArray
    residual: FloatArray
    failed: BoolArray
    t1_se: FloatArray | None = None
    t2_se: FloatArray | None = None
    converged: BoolArray | None = None
    b1: FloatArray | None = None

    @classmethod
    def where(
        cls, good: BoolArray, t1: FloatArray, t2: FloatArray, pd: AnyArray, residual: FloatArray, kind: SignalKind
    ) -> Self:
        """Return estimates in single precision of the voxels that are ``good``; the others have failed."""

        def single(values: AnyArray, number: type[Any] = np.float32) -> AnyArray:
            return np.where(good, values, 0).astype(number)

        density = single(pd, np.complex64 if kind == "complex" else np.float32)
        return cls(single(t1), single(t2), density, single(np.minimum(residual, 1.0)), ~good)

    @classmethod
    def joined(cls, parts: Sequence[Estimates]) -> Self:
        """Return the estimates of several batches as those of one."""
        known = [field.name for field in fields(cls) if getattr(parts[0], field.name) is not None]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in known})

    def without(self, lost: BoolArray) -> Self:
        """Return the same estimates but of voxels that are lost: they have failed."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {name: values for name, values in known.items() if values is not None}
        kept = {name: np.where(lost, values.dtype.type(0), values) for name, values in arrays.items()}
        return replace(self, **{**kept, "failed": self.failed | lost})

    def some(self, chosen: AnyArray) -> Self:
        """Return the estimates of some voxels, by index or mask."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: values[chosen] for name, values in known.items() if values is not None})
