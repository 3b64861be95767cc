"""What MINC 1 and 2 have in common: axes by name, a scale for each slice, directions, and claims that are too large."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray, dimensions
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.phantoms.formats.volume import Volume

__all__ = ["SPACE", "check_claim", "minc_geometry", "scaled_volume", "valid_range"]

#: The axes of a volume, in the order of this package.
SPACE = ("zspace", "yspace", "xspace")

_MOST_VOXELS = 2**30
# BrainWeb's largest volumes have 57 MB, and pack to a hundredth at most.
_ALWAYS_ALLOWED = 2**26
_TIGHTEST_PACKING = 100


def check_claim(path: Path, shape: Sequence[int], nbytes: int) -> None:
    """Raise `FileError` where a header claims no volume, or one far larger than its file, before any is set aside."""
    if not 0 < math.prod(shape) <= _MOST_VOXELS:
        raise FileError(path, f"its header claims {dimensions(shape)} voxels", f"from 1 to {_MOST_VOXELS:,} in all")
    size = path.stat().st_size
    if nbytes > max(_ALWAYS_ALLOWED, _TIGHTEST_PACKING * size):
        raise FileError(
            path,
            f"its header claims {dimensions(shape)} voxels, {nbytes:,} bytes, in a file of {size:,}",
            f"at most {_TIGHTEST_PACKING} times the file",
        )


def scaled_volume(
    path: Path,
    stored: AnyArray,
    names: Sequence[str],
    limits: tuple[float, float],
    bounds: Sequence[AnyArray],
    geometry: Geometry,
) -> Volume:
    """Return stored numbers with what makes real numbers of them, axes (z, y, x).

    Parameters
    ----------
    path : Path
    stored : array with three axes
    names : sequence of str
        Of the axes, each of `SPACE`.
    limits : tuple of float
        The stored numbers that stand for the smallest and the largest real one.
    bounds : sequence of array
        ``image-min`` and ``image-max``, in the first axes of the image, or in none.
    geometry : Geometry

    Raises
    ------
    InputError
        Scales that are not finite.
    """
    shaped = [part.astype(np.float64).reshape(part.shape + (1,) * (3 - part.ndim)) for part in bounds]
    if not all(np.isfinite(part).all() for part in shaped):
        raise FileError(path, "image-min or image-max holds NaN or infinity", "numbers")
    low, high = limits
    slope = (shaped[1] - shaped[0]) / (high - low)
    intercept = shaped[0] - low * slope
    order = [list(names).index(name) for name in SPACE]
    if stored.dtype.kind == "f":  # MINC stores real voxels as they are
        return Volume(stored.transpose(order), 1.0, 0.0, geometry, path.name)
    if max(slope.shape[1:]) == 1 and order[0] == 0:
        return Volume(stored.transpose(order), slope[:, 0, 0], intercept[:, 0, 0], geometry, path.name)
    scaled: FloatArray = np.empty(stored.shape, np.float32)
    for place, part in enumerate(stored):
        own = place if len(slope) > 1 else 0
        scaled[place] = part * slope[own] + intercept[own]
    return Volume(scaled.transpose(order), 1.0, 0.0, geometry, path.name)


def valid_range(path: Path, stated: Any, dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the stored numbers between which real ones are scaled; ``stated`` None: all that the type holds."""
    if dtype.kind == "f":
        return 0.0, 1.0
    limits = np.iinfo(dtype)
    values = np.atleast_1d((limits.min, limits.max) if stated is None else stated)
    if values.dtype.kind not in "iuf" or values.size != 2:
        raise FileError(path, "its valid_range is not two numbers.")
    # files written as unsigned may state the range of the signed type's bits, in either order
    low, high = sorted(float(value) for value in values.reshape(-1))
    if not (math.isfinite(high - low) and high > low):
        raise FileError(path, f"its valid_range is {low:g} to {high:g}", "two different numbers")
    return low, high


def minc_geometry(path: Path, axes: Mapping[str, Mapping[str, Any]]) -> Geometry:
    """Return where a volume lies, of the attributes of its axes; MINC's world is RAS+ mm.

    Raises
    ------
    InputError
        Irregular slices; a start, step or direction that is not usable.
    """
    affine = np.eye(4)
    size = []
    for column, name in enumerate(reversed(SPACE)):
        attributes = axes.get(name, {})
        spacing = attributes.get("spacing")
        if (spacing.decode("latin-1") if isinstance(spacing, bytes) else str(spacing)).strip("_ \0") == "irregular":
            raise FileError(path, f"its slices along {name} are spaced irregularly", "equal steps")
        step = _number(path, name, "step", attributes.get("step", 1.0))
        start = _number(path, name, "start", attributes.get("start", 0.0))
        cosines: FloatArray = np.atleast_1d(attributes.get("direction_cosines", np.eye(3)[column]))
        if step == 0 or cosines.shape != (3,) or cosines.dtype.kind != "f" or not np.isfinite(cosines).all():
            raise FileError(
                path, f"the step or direction of {name} is not usable", "a step other than 0 mm and three cosines"
            )
        affine[:3, column] = cosines * step
        affine[:3, 3] += cosines * start
        size.append(abs(step))
    if abs(np.linalg.det(affine[:3, :3] / np.array(size))) < 1e-3:
        raise FileError(path, "the directions of its axes lie in one plane", "three that span space")
    return Geometry((size[2], size[1], size[0]), affine)


def _number(path: Path, name: str, key: str, value: Any) -> float:
    numbers = np.atleast_1d(value)
    if numbers.dtype.kind not in "if" or numbers.size != 1 or not np.isfinite(numbers.reshape(-1)[0]):
        raise FileError(path, f"the {key} of {name} is not a number.")
    return float(numbers.reshape(-1)[0])
