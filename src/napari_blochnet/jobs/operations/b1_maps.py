"""Maps of the transmit field B1 for reconstruction: reading and checking them."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.io.nifti import read_nifti

__all__ = ["checked_b1", "read_b1"]

# What refinement takes (`napari_blochnet.estimators.fitting.fit.LIMITS`); a map in per cent is far outside.
_RANGE = (0.2, 3.0)


def read_b1(path: str | os.PathLike[str], stack: FingerprintStack) -> FloatArray:
    """Read a B1 map for a stack from NIfTI; 1 is nominal.

    Parameters
    ----------
    path : path
    stack : FingerprintStack
        Whose grid it has to have. Where the file says that it lies elsewhere, a `DataWarning` tells so.

    Returns
    -------
    array of shape (Z, Y, X)

    Raises
    ------
    InputError
        A file that is not NIfTI, or of another shape.
    """
    try:
        data, geometry = read_nifti(path)
    except InputError as error:
        raise InputError(str(error), field="b1") from None
    name = Path(path).name
    if data.shape != stack.shape[1:]:
        raise InputError(f"{name}: has shape {data.shape} (z, y, x); expected that of the stack {stack.name}, "
                         f"{stack.shape[1:]}.", field="b1")  # fmt: skip
    if not np.allclose(geometry.affine, stack.geometry.affine, rtol=0, atol=0.01 * min(stack.voxel_size)):
        warnings.warn(f"{name}: its affine is another than the stack's; the B1 map is taken voxel by voxel.",
                      DataWarning, stacklevel=2)  # fmt: skip
    return np.asarray(data, dtype=np.float32)


def checked_b1(b1: AnyArray, stack: FingerprintStack, inside: BoolArray) -> FloatArray:
    """Return a B1 map as float32, 1 outside the stack's mask.

    Parameters
    ----------
    b1 : array of shape (Z, Y, X)
        Relative to nominal.
    stack : FingerprintStack
    inside : bool array of shape (Z, Y, X)
        Voxels that are mapped.

    Raises
    ------
    InputError
        Another shape than the stack's; a value in a voxel that is mapped that is not finite, or outside 0.2 to 3.
    """
    if np.shape(b1) != stack.shape[1:]:
        raise InputError(
            f"b1 has shape {np.shape(b1)}; expected that of the stack, {stack.shape[1:]} (z, y, x).", field="b1"
        )
    field = np.asarray(b1)
    if field.dtype.kind not in "fiu":
        raise InputError(f"b1 holds {field.dtype}; expected real numbers, 1 being nominal.", field="b1")
    bad = inside & ~((field >= _RANGE[0]) & (field <= _RANGE[1]))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(f"b1 is {field[where]:g} at voxel (z, y, x) = {where}, and out of range in {int(bad.sum())} "
                         f"voxels in all; expected {_RANGE[0]:g} to {_RANGE[1]:g}, 1 being nominal.",
                         field="b1")  # fmt: skip
    return np.where(stack.mask, field, 1.0).astype(np.float32)
