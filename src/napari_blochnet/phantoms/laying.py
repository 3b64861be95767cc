"""A phantom on another volume's grid: some of its slices, turned as their affines say, or resampled."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.grids import lay_on_grid, turned_onto
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["lay_phantom", "turn_phantom"]


def turn_phantom(phantom: Phantom, shape: tuple[int, int, int], geometry: Geometry) -> Phantom | None:
    """Return the part of a phantom that covers a volume, where slices or turning do; None where that does not suffice.

    Parameters
    ----------
    phantom : Phantom
    shape : tuple of int
        (z, y, x) of the volume.
    geometry : Geometry
        Of the volume.
    """
    try:
        return phantom.on_grid(shape, geometry)
    except InputError:
        pass

    def turn(values: AnyArray) -> AnyArray | None:
        laid = turned_onto(values, phantom.geometry, shape, geometry, name=phantom.name, onto="the maps")
        return None if laid is None else laid.data

    return None if turn(phantom.mask) is None else _each(phantom, turn, geometry)


def lay_phantom(phantom: Phantom, shape: tuple[int, int, int], geometry: Geometry, *, onto: str) -> Phantom:
    """Bring a phantom onto the grid of maps, as their affines say; a note of it and a `DataWarning` say how.

    On another grid every voxel takes the nearest one's tissue: T1 and T2 of two tissues have no mean that is true of a
    third voxel.

    Parameters
    ----------
    phantom : Phantom
    shape : tuple of int
        (z, y, x) of the maps.
    geometry : Geometry
        Of the maps.
    onto : str
        What people call them.

    Raises
    ------
    InputError
        A phantom that lies elsewhere.
    """
    try:
        return phantom.on_grid(shape, geometry)
    except InputError:
        # the number of every voxel is laid in place of each map
        places = np.arange(phantom.mask.size, dtype=np.int64).reshape(phantom.shape)
        laid = lay_on_grid(places, phantom.geometry, shape, geometry, name=f"the truth {phantom.name}", onto=onto,
                           field="truth", nearest=True)  # fmt: skip

    def take(values: AnyArray) -> AnyArray:
        found: AnyArray = values.reshape(-1)[laid.data]
        return found if laid.covered is None else np.where(laid.covered, found, np.zeros((), found.dtype))

    part = _each(phantom, take, geometry)
    if not part.mask.any():
        raise InputError(f"No voxel of {phantom.name} lies on the grid of {onto}; expected the same place.",
                         field="truth")  # fmt: skip
    if laid.note:
        sentence = laid.note[:1].upper() + laid.note[1:]
        warnings.warn(sentence, DataWarning, stacklevel=3)
        part = replace(part, notes=(*part.notes, sentence))
    return part


def _each(phantom: Phantom, take: Callable[[AnyArray], AnyArray | None], geometry: Geometry) -> Phantom:
    """Return the phantom with something done to each of its volumes."""
    volumes = {key: getattr(phantom, key) for key in ("t1", "t2", "pd", "mask", "b1", "labels")}
    changed: dict[str, Any] = {key: None if values is None else take(values) for key, values in volumes.items()}
    if phantom.fractions is not None:
        changed["fractions"] = {tissue: take(np.asarray(share)) for tissue, share in phantom.fractions.items()}
    return replace(phantom, **changed, voxel_size=geometry.voxel_size, affine=geometry.affine)
