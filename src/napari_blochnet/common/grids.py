"""One gate through which every volume comes onto another one's grid: as it lies, turned, resampled, or refused.

Masks, labels, B1 fields and maps of the same object are often stored mirrored, with other axes first, with an axis of
length one, on a coarser grid, or elsewhere altogether. Their affines say which; this module compares these, and says in
a sentence what it did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.geometry import Geometry

__all__ = ["Laid", "lay_on_grid", "says_nothing", "turned_onto", "without_axes_of_one"]

# Two grids are the same where no corner is further from its place than this share of the smallest voxel's edge: header
# numbers are rounded, and a mask drawn on a copy of the stack may differ in the last digits.
_TOLERANCE = 0.05
# A volume that covers less of the target than this lies elsewhere.
_LEAST_COVERED = 0.01
# Resampling places this many voxels of the grid at once: their places and values take 80 bytes each.
_AT_ONCE = 2**18
# Values whose neighbours with a value weigh less than this together have none.
_LEAST_WEIGHT = 1e-6


@dataclass(frozen=True, eq=False)
class Laid:
    """A volume on another one's grid.

    Parameters
    ----------
    data : array of shape (Z, Y, X)
    how : {"same", "turned", "resampled", "by index"}
        What was done with it.
    note : str
        That in a sentence; empty where nothing was.
    covered : bool array of shape (Z, Y, X), optional
        Voxels of the grid that lie inside the volume; None: all.
    """

    data: AnyArray
    how: Literal["same", "turned", "resampled", "by index"]
    note: str = ""
    covered: BoolArray | None = None


def without_axes_of_one(data: AnyArray, axes: int = 3) -> AnyArray:
    """Return a volume with ``axes`` axes: of more, those of length one go, the last first; a plane gets a first axis.

    Parameters
    ----------
    data : array
    axes : int
        Wanted; a volume that cannot be brought to that many keeps what it has.
    """
    for axis in reversed(range(data.ndim)):
        if data.ndim > axes and data.shape[axis] == 1:
            data = np.squeeze(data, axis)
    return data[None] if data.ndim == axes - 1 else data


def lay_on_grid(
    data: AnyArray,
    geometry: Geometry | None,
    shape: tuple[int, int, int],
    target: Geometry,
    *,
    name: str,
    onto: str,
    field: str,
    nearest: bool,
    is_placed: bool = False,
    zero_is_empty: bool = False,
) -> Laid:
    """Bring a volume onto the grid of another one, as their affines say.

    Parameters
    ----------
    data : array of shape (z, y, x)
        Axes of length one beyond these are dropped.
    geometry : Geometry, optional
        Where it lies; None where its format does not say: its shape then has to be that of the grid.
    shape : tuple of int
        Of the grid, (Z, Y, X).
    target : Geometry
        Of the grid.
    name, onto : str
        What people call the volume, and what it is brought onto; for sentences.
    field : str
        Settings field at fault where it cannot be brought there.
    nearest : bool
        Of labels and masks: a resampled voxel takes the value of the nearest one. Other volumes are interpolated
        linearly.
    is_placed : bool
        The volume's place is known beyond doubt, as that of a layer which a person sees on the canvas: however little
        of the grid it covers it is taken, and never voxel by voxel because an affine is a default.
    zero_is_empty : bool
        0 and what is not finite are no values, as outside the object in a map of B1: they take no part in linear
        interpolation, which gives 0 where none of the voxels around has a value.

    Returns
    -------
    Laid
        0 where the volume does not reach.

    Raises
    ------
    InputError
        More axes than three; another shape without a word of where it lies; a volume that lies elsewhere; one to be
        interpolated whose numbers are not real.
    """
    data = without_axes_of_one(np.asarray(data))
    if data.ndim != 3:
        raise InputError(f"{name}: has shape {data.shape}", "three axes (z, y, x)", field=field)
    if not nearest and data.dtype.kind not in "fiub":
        expected = "real numbers; where it is complex and its magnitude is meant, save that"
        raise InputError(f"{name}: holds {data.dtype}", expected, field=field)
    if geometry is None:
        if data.shape != shape:
            raise InputError(f"{name}: has shape {data.shape}", f"that of {onto}, {shape} (z, y, x)", field=field)
        return Laid(data, "same")
    found = turned_onto(data, geometry, shape, target, name=name, onto=onto)
    if found is not None:
        return found
    if not is_placed and data.shape == shape and (says_nothing(geometry) or says_nothing(target)):
        silent = name if says_nothing(geometry) else onto
        return Laid(
            data, "by index", f"{name} is taken voxel by voxel: the affine of {silent} is a default that says nothing."
        )
    to_source = _to_source(geometry, target)
    least = 0.0 if is_placed else _LEAST_COVERED
    values, covered = _resampled(data, to_source, shape, nearest=nearest, zero_is_empty=zero_is_empty)
    if covered.mean() < least:
        raise InputError(
            f"{name}: lies elsewhere than {onto}, of which it covers {100 * covered.mean():.1f} % by their affines",
            "a volume of the same place",
            field=field,
        )
    left_out = "" if covered.all() else f"; it covers {100 * covered.mean():.0f} % of it, and the rest is 0"
    how = "the nearest voxel" if nearest else "linear interpolation"
    note = f"{name} lies on another grid than {onto}; it was resampled by {how}{left_out}."
    return Laid(values, "resampled", note, covered)


def turned_onto(
    data: AnyArray, geometry: Geometry, shape: tuple[int, int, int], target: Geometry, *, name: str, onto: str
) -> Laid | None:
    """Return a volume (z, y, x) on the grid of another, as it is or turned; None where that is not all it takes.

    Parameters are those of `lay_on_grid`.
    """
    to_source = _to_source(geometry, target)
    if data.shape == shape and _is_near(to_source, np.eye(4), shape):
        return Laid(data, "same")
    turned = _turned(data, to_source, shape)
    if turned is None:
        return None
    return Laid(turned, "turned", f"{name} is stored in other directions than {onto}; it was turned to lie alike.")


def _to_source(geometry: Geometry, target: Geometry) -> FloatArray:
    """Return what sends the target's indices (x, y, z, 1) to the volume's own."""
    found: FloatArray = np.linalg.solve(geometry.affine, target.affine)
    return found


def _corners(shape: tuple[int, ...]) -> FloatArray:
    """Return the indices (x, y, z, 1) of a volume's eight corner voxels, one a column."""
    ends = [(0, n - 1) for n in shape[::-1]]
    return np.array([(x, y, z, 1) for x in ends[0] for y in ends[1] for z in ends[2]], dtype=np.float64).T


def _is_near(one: FloatArray, other: FloatArray, shape: tuple[int, ...]) -> bool:
    """Whether two maps of indices send every corner of a grid to the same place."""
    return bool(np.abs((one - other) @ _corners(shape))[:3].max() <= _TOLERANCE)


def _turned(data: AnyArray, to_source: FloatArray, shape: tuple[int, int, int]) -> AnyArray | None:
    """Return the volume with axes exchanged and reversed, where that is all it takes."""
    directions = np.round(to_source[:3, :3])
    if not (np.abs(directions).sum(axis=0) == 1).all() or not (np.abs(directions).sum(axis=1) == 1).all():
        return None
    exact = np.eye(4)
    exact[:3, :3], exact[:3, 3] = directions, np.round(to_source[:3, 3])
    if not _is_near(to_source, exact, shape):
        return None
    # row i of the map says which of the grid's axes runs along the volume's own axis i (x, y, z)
    own = data.T
    axes = [int(np.flatnonzero(directions[:, axis])[0]) for axis in range(3)]
    turned = own.transpose(axes)
    for axis, source_axis in enumerate(axes):
        if directions[source_axis, axis] < 0:
            turned = np.flip(turned, axis)
    wanted_start = [
        exact[source_axis, 3]
        if directions[source_axis, axis] > 0
        else own.shape[source_axis] - 1 - exact[source_axis, 3]
        for axis, source_axis in enumerate(axes)
    ]
    if turned.T.shape != shape or any(wanted_start):
        return None  # a larger or smaller field of view: resampling takes what they share
    return turned.T


def says_nothing(geometry: Geometry) -> bool:
    """Whether an affine is what writers put there that know of none: voxel sizes along the axes, no offset."""
    return bool(np.allclose(geometry.affine, np.diag([*np.abs(np.diag(geometry.affine))[:3], 1.0]), atol=1e-6))


def _resampled(
    data: AnyArray, to_source: FloatArray, shape: tuple[int, int, int], *, nearest: bool, zero_is_empty: bool
) -> tuple[AnyArray, BoolArray]:
    """Return the volume at the voxels of a grid, 0 beyond it, and which of them lie inside it; a few lines at once."""
    dtype = data.dtype.newbyteorder("=")
    # what is interpolated knows neither bool nor half and long double
    known = {"b": np.dtype(np.uint8), "f": dtype if dtype.itemsize in (4, 8) else np.dtype(np.float64)}
    own = data.T.astype(known.get(dtype.kind, dtype), copy=False)
    valid: AnyArray | None = None
    if zero_is_empty and not nearest:
        has_value = np.isfinite(own) & (own != 0)
        if not has_value.all():
            own, valid = np.where(has_value, own, 0), has_value.astype(np.uint8)
    laid = np.zeros(shape, dtype if nearest else np.float32)
    covered = np.zeros(shape, dtype=bool)
    size, (slices, rows, columns) = np.array(data.shape[::-1]), shape
    lines = max(1, _AT_ONCE // max(columns, 1))
    for z in range(slices):
        for start in range(0, rows, lines):
            here = (z, slice(start, start + lines))
            y, x = np.indices(covered[here].shape).reshape(2, -1)
            grid = np.stack([x, y + start, np.full_like(x, z)]).astype(np.float64)
            places = to_source[:3, :3] @ grid + to_source[:3, 3:]
            inside = ((places > -0.5 - _TOLERANCE) & (places < size[:, None] - 0.5 + _TOLERANCE)).all(axis=0)
            values = _at(own, places, nearest)
            if valid is not None:
                weight = _at(valid, places, nearest)
                values = np.where(weight > _LEAST_WEIGHT, values / np.maximum(weight, _LEAST_WEIGHT), 0)
            values[~inside] = 0
            laid[here] = values.reshape(covered[here].shape)
            covered[here] = inside.reshape(covered[here].shape)
    return laid, covered


def _at(own: AnyArray, places: FloatArray, nearest: bool) -> AnyArray:
    """Return a volume (x, y, z) at places in it, one a column."""
    from scipy import ndimage

    found: AnyArray = ndimage.map_coordinates(
        own, places, order=0 if nearest else 1, mode="nearest", output=None if nearest else np.float64
    )
    return found
