"""Maps of the transmit field B1 for reconstruction: reading and checking them."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.common.grids import lay_on_grid
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.io.atomic import existing_file
from napari_blochnet.phantoms.map_files import read_map
from napari_blochnet.phantoms.quantities import nominal_b1

__all__ = ["checked_b1", "read_b1"]

# What refinement takes (`napari_blochnet.estimators.fitting.fit.LIMITS`); a map in per cent is far outside.
_RANGE = (0.2, 3.0)


def read_b1(path: str | os.PathLike[str], stack: FingerprintStack) -> tuple[FloatArray, str | None]:
    """Read a B1 map for a stack (NIfTI, MINC, ``.npy``), and the unit that a JSON file beside it states, if any.

    Parameters
    ----------
    path : path
    stack : FingerprintStack
        On whose grid it is laid, as the affines say; a `DataWarning` tells where it was turned or interpolated.

    Returns
    -------
    array of shape (Z, Y, X)
    str or None

    Raises
    ------
    InputError
        A file that cannot be read, that lies elsewhere, or of another shape without a word of where it lies.
    """
    try:
        found = read_map(existing_file(path))
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
    return np.asarray(laid.data, dtype=np.float32), found.unit


def checked_b1(
    b1: AnyArray, stack: FingerprintStack, inside: BoolArray, *, unit: str | None = None, nominal: float | None = None
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

    Raises
    ------
    InputError
        Another shape than the stack's; a value in a voxel that is mapped that is not finite, or outside 0.2 to 3; a
        map in degrees or Hz without `nominal`.
    """
    if np.shape(b1) != stack.shape[1:]:
        raise InputError(
            f"b1 has shape {np.shape(b1)}; expected that of the stack, {stack.shape[1:]} (z, y, x).", field="b1"
        )
    field = np.asarray(b1)
    if field.dtype.kind not in "fiu":
        raise InputError(f"b1 holds {field.dtype}; expected real numbers, 1 being nominal.", field="b1")
    scale, note = nominal_b1("the B1 map", field, inside, stated=unit, nominal=nominal, field="b1_nominal")
    if note:
        field = field / np.float32(scale)
        warnings.warn(note, DataWarning, stacklevel=2)
    bad = inside & ~((field >= _RANGE[0]) & (field <= _RANGE[1]))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(f"b1 is {field[where]:g} at voxel (z, y, x) = {where}, and out of range in {int(bad.sum())} "
                         f"voxels in all; expected {_RANGE[0]:g} to {_RANGE[1]:g}, 1 being nominal.",
                         field="b1")  # fmt: skip
    return np.where(stack.mask, field, 1.0).astype(np.float32)
