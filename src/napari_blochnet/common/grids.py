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

__all__ = ["Laid", "lay_on_grid", "turned_onto", "without_axes_of_one"]

# Two grids are the same where no corner is further from its place than this share of the smallest voxel's edge: header
# numbers are rounded, and a mask drawn on a copy of the stack may differ in the last digits.
_TOLERANCE = 0.05
# A volume that covers less of the target than this lies elsewhere.
_LEAST_COVERED = 0.01


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

    Returns
    -------
    Laid
        0 where the volume does not reach.

    Raises
    ------
    InputError
        More axes than three; another shape without a word of where it lies; a volume that lies elsewhere.
    """
    data = without_axes_of_one(np.asarray(data))
    if data.ndim != 3:
        raise InputError(f"{name}: has shape {data.shape}", "three axes (z, y, x)", field=field)
    if geometry is None:
        if data.shape != shape:
            raise InputError(f"{name}: has shape {data.shape}", f"that of {onto}, {shape} (z, y, x)", field=field)
        return Laid(data, "same")
    found = turned_onto(data, geometry, shape, target, name=name, onto=onto)
    if found is not None:
        return found
    if not is_placed and data.shape == shape and (_says_nothing(geometry) or _says_nothing(target)):
        silent = name if _says_nothing(geometry) else onto
        return Laid(
            data, "by index", f"{name} is taken voxel by voxel: the affine of {silent} is a default that says nothing."
        )
    to_source = _to_source(geometry, target)
    least = 0.0 if is_placed else _LEAST_COVERED
    return _resampled(data, to_source, shape, name=name, onto=onto, field=field, nearest=nearest, least=least)


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


def _says_nothing(geometry: Geometry) -> bool:
    """Whether an affine is what writers put there that know of none: voxel sizes along the axes, no offset."""
    return bool(np.allclose(geometry.affine, np.diag([*np.abs(np.diag(geometry.affine))[:3], 1.0]), atol=1e-6))


def _resampled(
    data: AnyArray,
    to_source: FloatArray,
    shape: tuple[int, int, int],
    *,
    name: str,
    onto: str,
    field: str,
    nearest: bool,
    least: float,
) -> Laid:
    from scipy import ndimage

    size = np.array(data.shape[::-1])
    grid = np.indices(shape[::-1], dtype=np.float64).reshape(3, -1)
    places = to_source[:3, :3] @ grid + to_source[:3, 3:]
    inside = ((places > -0.5 - _TOLERANCE) & (places < size[:, None] - 0.5 + _TOLERANCE)).all(axis=0)
    if inside.mean() < least:
        raise InputError(
            f"{name}: lies elsewhere than {onto}, of which it covers {100 * inside.mean():.1f} % by their affines",
            "a volume of the same place",
            field=field,
        )
    values = ndimage.map_coordinates(
        data.T.astype(np.uint8 if data.dtype == bool else data.dtype, copy=False),
        places,
        order=0 if nearest else 1,
        mode="nearest",
        output=None if nearest else np.float64,
    )
    values[~inside] = 0
    covered: BoolArray = np.asarray(inside).reshape(shape[::-1]).T
    left_out = "" if covered.all() else f"; it covers {100 * covered.mean():.0f} % of it, and the rest is 0"
    how = "the nearest voxel" if nearest else "linear interpolation"
    note = f"{name} lies on another grid than {onto}; it was resampled by {how}{left_out}."
    laid: AnyArray = values.reshape(shape[::-1]).T
    return Laid(laid.astype(data.dtype) if nearest else laid.astype(np.float32), "resampled", note, covered)
