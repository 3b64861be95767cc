"""A volume as its file stores it: small integers, a scale for each slice, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray, IntArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.geometry import Geometry

__all__ = ["Volume"]


@dataclass(frozen=True, eq=False)
class Volume:
    """Stored values with what makes numbers of them, so that a large volume takes a byte a voxel.

    Parameters
    ----------
    stored : array of shape (Z, Y, X)
        As in the file.
    slope, intercept : array of shape (Z,), or float
        Value = stored · slope + intercept, slice by slice.
    geometry : Geometry
    source : str
        The file, as a sentence names it.
    """

    stored: AnyArray
    slope: FloatArray | float
    intercept: FloatArray | float
    geometry: Geometry
    source: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (z, y, x)."""
        return self.stored.shape

    def slab(self, start: int, stop: int) -> FloatArray:
        """Return the values of slices ``start`` to ``stop``, float32."""
        slope, intercept = (
            np.broadcast_to(np.asarray(part, dtype=np.float32), self.shape[:1])[start:stop, None, None]
            for part in (self.slope, self.intercept)
        )
        return self.stored[start:stop].astype(np.float32) * slope + intercept

    def labels(self) -> IntArray:
        """Return the values as tissue labels, uint8.

        Raises
        ------
        InputError
            Values that are not whole numbers from 0 to 255.
        """
        labels = np.empty(self.shape, np.uint8)
        for z in range(self.shape[0]):
            values = self.slab(z, z + 1)[0]
            whole = np.rint(values)
            # per-slice scaling stores labels with a rounding error of a fraction of a step
            if not (np.abs(values - whole) < 0.1).all() or whole.min() < 0 or whole.max() > 255:
                raise InputError(
                    f"{self.source}: slice {z} holds values that are not labels",
                    "whole numbers from 0 to 255",
                    field="path",
                )
            labels[z] = whole
        return labels
