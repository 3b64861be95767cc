"""Maps of the transmit field B1: reading and checking them, and fields that are made for phantoms."""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import DataWarning, FileError, InputError
from napari_blochnet.common.grids import lay_on_grid
from napari_blochnet.common.plain_text import counted
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.io.atomic import existing_file
from napari_blochnet.jobs.records import make_record
from napari_blochnet.jobs.settings import B1FieldSettings, settings_from
from napari_blochnet.phantoms.fields.transmit_field import with_transmit_field
from napari_blochnet.phantoms.map_files import MapArray, choose_maps, read_map
from napari_blochnet.phantoms.matlab import map_arrays
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.phantoms.quantities import B1_RANGE, nominal_b1

__all__ = ["add_b1_field", "checked_b1", "describe_b1", "read_b1"]


def read_b1(path: str | os.PathLike[str], stack: FingerprintStack) -> MapArray:
    """Read a B1 map for a stack, and what a JSON file beside it states of its unit, if any.

    Parameters
    ----------
    path : path
        NIfTI, MINC, ``.npy``; ``.mat`` or ``.npz``, or a folder of maps, of which one is called as a B1 map, such as a
        phantom's.
    stack : FingerprintStack
        On whose grid it is laid, as the affines say; a `DataWarning` tells where it was turned or interpolated. 0 and
        NaN are no values of B1, and are not interpolated with; voxels inside the mask that are left without a value
        within one voxel of the map take that of the nearest voxel, which a `DataWarning` tells.

    Returns
    -------
    MapArray
        Its values of shape (Z, Y, X), float32.

    Raises
    ------
    InputError
        A file that cannot be read, that lies elsewhere, or of another shape without a word of where it lies; complex
        numbers.
    """
    try:
        path = _within(Path(path).expanduser())
        found = _map_in(existing_file(path))
    except InputError as error:
        raise InputError(str(error), field="b1") from None
    _, *shape = stack.shape
    laid = lay_on_grid(
        found.values,
        found.geometry,
        (shape[0], shape[1], shape[2]),
        stack.geometry,
        name=Path(path).name,
        onto=f"the stack {stack.name}",
        field="b1",
        nearest=False,
        zero_is_empty=True,
    )
    missed = 0 if laid.covered is None else int((stack.mask & ~laid.covered).sum())
    if missed:
        raise InputError(
            f"{Path(path).name}: does not reach {missed:,} of the {int(stack.mask.sum()):,} voxels inside the mask of "
            f"the stack {stack.name}",
            "a map of all of them",
            field="b1",
        )
    if laid.note:
        warnings.warn(laid.note, DataWarning, stacklevel=2)
    values = np.asarray(laid.data, dtype=np.float32)
    if laid.how == "resampled" and found.geometry is not None:
        values = _filled(values, stack, max(found.geometry.voxel_size), Path(path).name)
    return replace(found, values=values)


def _map_in(path: Path) -> MapArray:
    """Return the B1 map of a file; of one with named arrays the one that is called so."""
    if not path.name.lower().endswith((".mat", ".npz")):
        return read_map(path)
    maps, arrays = map_arrays(path)
    if "b1" not in maps:
        held = ", ".join(arrays) or "no arrays"
        raise FileError(path, f"holds no map that is called as one of B1; it has {held}", "an array such as b1map")
    return maps["b1"]


def _within(path: Path) -> Path:
    """Return the B1 map of a folder; any other path as it is."""
    if not path.is_dir():
        return path
    found = choose_maps(sorted(file for file in path.iterdir() if file.is_file()), str(path)).get("b1")
    if found is None:
        raise FileError(path, "holds no map that is called as one of B1", "a file such as sub-01_TB1map.nii.gz")
    return found


def _filled(values: FloatArray, stack: FingerprintStack, reach: float, name: str) -> FloatArray:
    """Return a field in which voxels inside the mask without a value have the nearest one, up to ``reach`` mm away."""
    lack = stack.mask & (values == 0)
    if not lack.any() or lack.all() or not values.any():
        return values
    from scipy import ndimage

    distance, nearest = ndimage.distance_transform_edt(values == 0, sampling=stack.voxel_size, return_indices=True)
    lack &= distance <= reach * (1 + 1e-6)
    if not lack.any():
        return values
    filled = values.copy()
    filled[lack] = values[tuple(index[lack] for index in nearest)]
    warnings.warn(
        f"{name} has no value in {int(lack.sum()):,} of the {int(stack.mask.sum()):,} voxels inside the mask of the "
        f"stack {stack.name}; they took that of the nearest voxel, at most {reach:g} mm away.",
        DataWarning,
        stacklevel=3,
    )
    return filled


def checked_b1(
    b1: AnyArray,
    stack: FingerprintStack,
    inside: BoolArray,
    *,
    unit: str | None = None,
    nominal: float | None = None,
    flip_angle: float | None = None,
) -> FloatArray:
    """Return a B1 map as float32 relative to nominal, 1 outside the stack's mask.

    A map in per cent is divided by 100, which a `DataWarning` tells.

    Parameters
    ----------
    b1 : array of shape (Z, Y, X)
        Relative to nominal, or in per cent.
    stack : FingerprintStack
    inside : bool array of shape (Z, Y, X)
        Voxels that are mapped.
    unit : str, optional
        As its file states it.
    nominal : float, optional
        What it holds where the field is nominal.
    flip_angle : float, optional
        Degrees, as its file states it: nominal of a map that it states in degrees.

    Raises
    ------
    InputError
        Another shape than the stack's; a value in a voxel that is mapped that is not finite, or outside 0.2 to 3; a
        map in degrees or Hz, or one that may be, without `nominal`.
    """
    if np.shape(b1) != stack.shape[1:]:
        raise InputError(
            f"b1 has shape {np.shape(b1)}; expected that of the stack, {stack.shape[1:]} (z, y, x).", field="b1"
        )
    field = np.asarray(b1)
    if field.dtype.kind not in "fiu":
        raise InputError(f"b1 holds {field.dtype}; expected real numbers, 1 being nominal.", field="b1")
    scale, note = nominal_b1("the B1 map", field, inside, stated=unit, nominal=nominal, field="b1_nominal",
                             flip_angle=flip_angle)  # fmt: skip
    if note:
        field = field / np.float32(scale)
        warnings.warn(note, DataWarning, stacklevel=2)
    bad = inside & ~((field >= B1_RANGE[0]) & (field <= B1_RANGE[1]))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        found = (
            f"b1 is {field[where]:g} at voxel (z, y, x) = {where}, and out of range in "
            f"{counted(int(bad.sum()), 'voxel')} in all"
        )
        fitting = f"{B1_RANGE[0]:g} to {B1_RANGE[1]:g}, 1 being nominal, or a mask that leaves them out"
        raise InputError(found, fitting, field="b1")
    return np.where(stack.mask, field, 1.0).astype(np.float32)


def describe_b1(
    stack: FingerprintStack, b1: str | os.PathLike[str] | tuple[AnyArray, str], nominal: float | None = None
) -> str:
    """Return in words what a B1 map is on a stack's grid: its range, and how much of the stack it leaves out.

    Parameters
    ----------
    stack : FingerprintStack
    b1 : path, or tuple of array of shape (Z, Y, X) and str
        A file, as `read_b1` takes it; or values on the stack's grid, and how they came there.
    nominal : float, optional
        What the map holds where the field is nominal; None: as the file or its values say.

    Returns
    -------
    str
        A `DataWarning` tells of the map's unit, and of how a file came onto the grid.

    Raises
    ------
    InputError
        As `read_b1` and `checked_b1`; a map without a value inside the stack.
    """
    unit = flip_angle = None
    if isinstance(b1, tuple):
        values, how = b1
    else:
        found, how = read_b1(b1, stack), ""
        values, unit, flip_angle = found.values, found.unit, found.flip_angle
    known = stack.mask & np.isfinite(values) & (np.asarray(values) > 0)
    if not known.any():
        raise InputError("The B1 map has no value inside the stack", "values above 0 there", field="b1")
    field = checked_b1(values, stack, known, unit=unit, nominal=nominal, flip_angle=flip_angle)[known]
    low, middle, high = np.percentile(field, (1, 50, 99))
    left_out = int((stack.mask & ~known).sum())
    lacking = f" It has no value in {counted(left_out, 'voxel', ',')}: leave these out by the mask." if left_out else ""
    return " ".join(filter(None, (f"B1 is {low:.3g} to {high:.3g} of nominal, median {middle:.3g}.{lacking}", how)))


def add_b1_field(phantom: Phantom, settings: B1FieldSettings | None = None, **fields: Any) -> Phantom:
    """Return a phantom in a synthetic transmit field, smooth and of a given range, in place of its own.

    Parameters
    ----------
    phantom : Phantom
    settings : B1FieldSettings, optional
    **fields
        Fields of `B1FieldSettings`: ``b1_range``, ``seed``.

    Returns
    -------
    Phantom
        With ``b1``, relative to nominal, and named for it; see `napari_blochnet.phantoms.fields.transmit_field`.

    Raises
    ------
    InputError
        Settings out of bounds; a phantom whose mask is empty.
    """
    given = settings_from(B1FieldSettings, settings, **fields)
    started = time.perf_counter()
    made = with_transmit_field(phantom, given.b1_range, given.seed)
    source = phantom.record or {"operation": "given", "phantom": phantom.name}
    low, high = given.b1_range
    note = f"A synthetic B1 field from {low:g} to {high:g}, seed {given.seed}."
    record = make_record("add_b1_field", given, {"phantom": source}, seconds=time.perf_counter() - started)
    name = f"{phantom.name.partition(', B1 ')[0]}, B1 {low:g}–{high:g}"
    return replace(made, name=name, notes=(*phantom.notes, note), record=record)
