"""Trajectories: where k-space is read in each TR."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.plain_text import counted

__all__ = ["GOLDEN_ANGLE", "SHAPES", "Rotation", "Trajectory", "interleaf", "make_trajectory", "readout_samples"]

#: Trajectories that are made here.
SHAPES = ("spiral", "radial", "rosette")
#: Between one readout and the next, degrees: 180° over the golden ratio; of spirals, whose two ends differ, 360°.
GOLDEN_ANGLE = 180.0 * 2.0 / (1.0 + math.sqrt(5.0))

Rotation = Literal["golden", "uniform"]

# Samples along a readout lie half of what Nyquist allows apart.
_OVERSAMPLED = 2.0
# Points of a curve from which its length is told.
_FINE = 8192


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Where k-space is read.

    Parameters
    ----------
    points : float64 array of shape (frame, sample, 2)
        k in cycles per voxel along (y, x), from −0.5 to 0.5. A stack of more frames plays them again from the first.
    weights : float64 array of shape (frame, sample)
        Density compensation: what part of k-space a sample stands for, in units of a cell of the full grid, as if
        its frame alone had to cover what all cover.
    name : str
        What people call it.
    """

    points: FloatArray
    weights: FloatArray
    name: str = "trajectory"

    def __len__(self) -> int:
        return len(self.points)

    def frame(self, number: int) -> int:
        """Return which of the frames is played in a TR."""
        return number % len(self.points)


def interleaf(shape: str, size: int, interleaves: int) -> tuple[FloatArray, FloatArray]:
    """Return one readout, samples evenly spaced along it, and its density compensation among turned copies.

    Parameters
    ----------
    shape : {"spiral", "radial", "rosette"}
        An Archimedean spiral outwards, of which ``interleaves`` fill a disc; a spoke through the centre; a rose curve
        with as many petals as let ``interleaves`` fill the disc's rim.
    size : int
        Voxels along the longer side of the image.
    interleaves : int

    Returns
    -------
    points : float64 array of shape (sample, 2)
        (y, x), cycles per voxel; |k| ≤ 0.5.
    weights : float64 array of shape (sample,)
        ∫ r |dr| along a sample's part of the curve: turned by many angles, it sweeps a ring of that area. Their sum is
        the disc's area in cells of the full grid.
    """
    edge = size / 2.0
    if shape == "spiral":
        # turns of one interleaf are as far apart as there are interleaves: together, one cycle per field of view
        angle = np.linspace(0.0, 2.0 * math.pi * edge / interleaves, _FINE)
        curve = interleaves * angle / (2.0 * math.pi) * np.exp(1j * angle)
    elif shape == "radial":
        curve = np.linspace(-edge, edge, _FINE).astype(complex)
    else:
        # every petal crosses the rim's circles twice; an odd number closes within half a turn
        petals = max(1, math.ceil(math.pi * edge / interleaves)) | 1
        angle = np.linspace(0.0, math.pi, _FINE)
        curve = edge * np.sin(petals * angle) * np.exp(1j * angle)
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(curve)))])
    swept = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(np.square(np.abs(curve)))))])
    samples = max(2, math.ceil(_OVERSAMPLED * length[-1]) + 1)
    at = np.linspace(0.0, length[-1], samples)
    even = np.interp(at, length, curve.real) + 1j * np.interp(at, length, curve.imag)
    ends = np.concatenate([[0.0], (at[1:] + at[:-1]) / 2.0, [length[-1]]])
    weights = np.diff(np.interp(ends, length, swept))
    return np.stack([even.imag, even.real], axis=-1) / size, weights * (math.pi * edge**2 / weights.sum())


def readout_samples(shape: str, size: int, interleaves: int) -> int:
    """Return how many samples a readout has."""
    return len(interleaf(shape, size, interleaves)[1])


def turned(readout: FloatArray, degrees: FloatArray) -> FloatArray:
    """Return a readout (sample, 2) turned by angles (frame,), shape (frame, sample, 2)."""
    spun = (readout[:, 1] + 1j * readout[:, 0]) * np.exp(1j * np.radians(degrees))[:, None]
    return np.stack([spun.imag, spun.real], axis=-1)


def make_trajectory(
    shape: str, frames: int, image: tuple[int, int], interleaves: int = 48, rotation: Rotation = "golden"
) -> Trajectory:
    """Return a trajectory of one interleaf a TR, each turned against the one before.

    Parameters
    ----------
    shape : {"spiral", "radial", "rosette"}
    frames : int
        TRs.
    image : tuple of int
        Voxels (y, x).
    interleaves : int
        How many fill k-space: the factor by which a frame is undersampled, of spirals. At most π/2 times ``image``.
    rotation : {"golden", "uniform"}
        By the golden angle (Winkelmann et al., IEEE Trans Med Imaging 26:68, 2007), or ``interleaves`` even steps
        that are repeated.

    Returns
    -------
    Trajectory

    Raises
    ------
    InputError
        Another shape; an image smaller than 4 voxels; more interleaves than k-space has room for.
    """
    size = max(image)
    if shape not in SHAPES:
        raise InputError(f"trajectory is {shape!r}", f"one of {', '.join(SHAPES)}, or a file", field="trajectory")
    if min(image) < 4:
        raise InputError(f"The image has {image[0]} × {image[1]} voxels, which is too few to undersample",
                         "4 or more along y and x", field="trajectory")  # fmt: skip
    full = math.ceil(math.pi / 2 * size)
    if interleaves > full:
        raise InputError(f"interleaves is {interleaves}, but spokes fill k-space of {size} voxels by {full}",
                         f"at most {full}", field="interleaves")  # fmt: skip
    readout, weights = interleaf(shape, size, interleaves)
    # as many cells as the image has, whatever its shape
    weights *= image[0] * image[1] / size**2
    whole = 180.0 if shape == "radial" else 360.0
    golden = GOLDEN_ANGLE if shape == "radial" else 2.0 * GOLDEN_ANGLE
    number = np.arange(frames if rotation == "golden" else min(frames, interleaves))
    angles = number * (golden if rotation == "golden" else whole / interleaves)
    name = f"{shape}, {counted(interleaves, 'interleave')}, {rotation}"
    return Trajectory(turned(readout, angles), np.tile(weights, (len(angles), 1)), name)
