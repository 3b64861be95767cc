"""A volume as its file stores it: small integers, a scale for each slice, and where it lies."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray, IntArray
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.common.geometry import Geometry

__all__ = ["Volume", "warn_of_damage"]


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
    damage : str
        What is wrong with the file around voxels that are all there, as the end of a sentence: "lacks …".
    """

    stored: AnyArray
    slope: FloatArray | float
    intercept: FloatArray | float
    geometry: Geometry
    source: str
    damage: str = ""

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


def warn_of_damage(found: Mapping[str, str]) -> None:
    """Say what is wrong with files whose voxels are all there, damage by name: a `DataWarning` for all of one kind."""
    files: dict[str, list[str]] = {}
    for name, damage in found.items():
        if damage:
            files.setdefault(damage, []).append(name)
    for damage, (first, *others) in files.items():
        more = f" and {len(others)} other file{'s' if len(others) > 1 else ''}: each" if others else ""
        warnings.warn(f"{first}{more} {damage}; all voxels are there and were read.", DataWarning, stacklevel=3)
