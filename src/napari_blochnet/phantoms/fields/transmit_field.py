"""A synthetic transmit field B1: smooth, of a given range, as inhomogeneous as those that are measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.phantoms.quantities import B1_RANGE

__all__ = ["with_transmit_field"]

# Waves that are added up, and the range of their lengths, mm: at 128 MHz a wave in tissue is some 260 mm long.
_WAVES = 8
_SHORTEST, _LONGEST = 250.0, 500.0


def with_transmit_field(phantom: Phantom, b1_range: tuple[float, float] = (0.75, 1.25), seed: int = 0) -> Phantom:
    """Return a phantom with a smooth transmit field in place of its own.

    Parameters
    ----------
    phantom : Phantom
    b1_range : tuple of float
        Smallest and largest B1 inside the mask, relative to nominal, 0.2 to 3; both are reached.
    seed : int
        At least 0. Equal seeds give equal fields on one phantom.

    Returns
    -------
    Phantom
        With ``b1``, 0 outside the mask; its record is not changed.

    Raises
    ------
    InputError
        A range that is none, or out of bounds; a negative seed; a mask without a voxel.

    Notes
    -----
    Eight plane waves of random direction, phase and length, 250 to 500 mm, are added up, and the sum is scaled to
    the range: the pattern of standing waves that a head has at 3 T, not the field of any coil.
    """
    low, high = (float(value) for value in b1_range)
    if not B1_RANGE[0] <= low <= high <= B1_RANGE[1]:
        expected = f"{B1_RANGE[0]:g} ≤ smallest ≤ largest ≤ {B1_RANGE[1]:g}"
        raise InputError(f"b1_range is {low:g} to {high:g}", expected, field="b1_range")
    if seed < 0:
        raise InputError(f"seed is {seed}", "at least 0", field="seed")
    if not phantom.mask.any():
        raise InputError(f"The phantom {phantom.name} has no voxel inside its mask", "at least one", field="phantom")
    random = np.random.default_rng(seed)
    directions = random.normal(size=(_WAVES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = random.uniform(_SHORTEST, _LONGEST, _WAVES)
    phases = random.uniform(0.0, 2.0 * np.pi, _WAVES)
    # a wave is a product over the axes: no array of all voxels' places is needed
    axes = [size * np.arange(count) for size, count in zip(phantom.voxel_size, phantom.shape, strict=True)]
    field = np.zeros(phantom.shape)
    for direction, length, phase in zip(directions, lengths, phases, strict=True):
        turns = [np.exp(2j * np.pi * part / length * axis) for part, axis in zip(direction, axes, strict=True)]
        field += (np.exp(1j * phase) * turns[0][:, None, None] * turns[1][:, None] * turns[2]).real
    return replace(phantom, b1=_scaled(field, phantom, low, high))


def _scaled(field: FloatArray, phantom: Phantom, low: float, high: float) -> FloatArray:
    """Return the field from ``low`` to ``high`` inside the mask; the middle of them where it is constant."""
    inside = field[phantom.mask]
    least, most = float(inside.min()), float(inside.max())
    share = (field - least) / (most - least) if most > least else np.full(field.shape, 0.5)
    return np.where(phantom.mask, np.clip(low + (high - low) * share, low, high), 0.0).astype(np.float32)
