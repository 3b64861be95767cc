"""Masks in files and arrays, on the grid of what they belong to."""

from __future__ import annotations

import os

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.grids import lay_on_grid, without_axes_of_one
from napari_blochnet.fingerprints.sources import open_array
from napari_blochnet.io.atomic import existing_file

__all__ = ["read_mask"]


def read_mask(
    given: AnyArray | str | os.PathLike[str], shape: tuple[int, int, int], place: Geometry | None, onto: str
) -> tuple[BoolArray, str]:
    """Return a mask on a grid, and what was done to bring it there, in a sentence; empty where nothing was.

    Parameters
    ----------
    given : array or path
        (z, y, x), or (y, x) of one slice; what is neither 0 nor NaN is valid. A file of any format of stacks.
    shape : tuple of int
        Of the grid, (Z, Y, X).
    place : Geometry, optional
        Where the grid lies, if that is known; the mask is then laid as its own affine says.
    onto : str
        What people call what it belongs to.

    Raises
    ------
    InputError
        No such file, a damaged one, no numbers, a mask of another shape or another place; its field is ``mask``.
    """
    name, source = "the mask", None
    if isinstance(given, (str, os.PathLike)):
        try:
            found = existing_file(given)
            name, source = found.name, open_array(found, kinds="biufc")
        except InputError as error:
            raise InputError(str(error), field="mask") from None
        given = without_axes_of_one(source.data)
        if source.slices_last and source.data.ndim >= 3:
            # it lies in its file as the stack of such a file does
            given = np.moveaxis(given, -1, 0)
    given = np.asarray(given)
    if given.dtype.kind not in "biufc":
        raise FileError(name, f"holds {given.dtype}", "numbers, 0 outside", field="mask")
    valid: BoolArray = given != 0
    if given.dtype.kind in "fc":
        valid &= ~np.isnan(given)
    there = None if source is None or place is None else source.geometry
    laid = lay_on_grid(valid, there, shape, place or Geometry(), name=name, onto=onto, field="mask", nearest=True)
    notes = [laid.note] if laid.note else []
    if valid.all() and valid.size > 1 and (given != given.flat[0]).any():
        # probabilities, or −1 outside
        notes.append(f"No voxel of {name} is 0, so that all are inside; outside a mask is 0.")
    return laid.data != 0, " ".join(notes)
