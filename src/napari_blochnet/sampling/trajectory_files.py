"""Trajectories from files."""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray, ComplexArray, dimensions
from napari_blochnet.common.errors import DataWarning, FileError, InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.fingerprints.sources import open_array
from napari_blochnet.io.plain_files import existing_file
from napari_blochnet.sampling.density_compensation import density_weights
from napari_blochnet.sampling.trajectories import Rotation, Trajectory, make_trajectory
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["in_cycles_per_view", "read_trajectory", "trajectory_of"]

# Largest |k| along an axis, in the units that people use: cycles per voxel, radians per voxel. Above these it is in
# cycles per field of view. Rounding of single precision is no reason to take the next one.
_UNITS = ((0.5, 1.0), (math.pi, 1.0 / (2.0 * math.pi)))
_SLACK = 1.001
# A readout that stays within less of k-space than this is of an image that is smaller than the one it is used for, or
# in other units than they were taken for.
_LEAST = 0.05
# One that leaves out the outer half of k-space is worth a word.
_COARSE = 0.25 * 0.98
# What stays farther from the centre of k-space, in cycles per field of view, has not seen how bright images are.
_CENTRE = 2.0


def trajectory_of(
    schedule: Schedule,
    image: tuple[int, int],
    trajectory: str,
    trajectory_file: str | None = None,
    interleaves: int = 48,
    rotation: Rotation = "golden",
    watch: Watch = UNWATCHED,
) -> Trajectory:
    """Return the trajectory that settings name, for the TRs of a schedule and an image of (y, x) voxels."""
    if trajectory == "file":
        if trajectory_file is None:
            raise InputError("The trajectory is to come from a file, and none is named", "trajectory_file",
                             field="trajectory_file")  # fmt: skip
        return read_trajectory(trajectory_file, len(schedule), image, watch=watch)
    return make_trajectory(trajectory, len(schedule), image, interleaves, rotation)


def read_trajectory(
    path: str | os.PathLike[str], pulses: int, image: tuple[int, int], *, watch: Watch = UNWATCHED
) -> Trajectory:
    """Read where k-space is read in each TR.

    Parameters
    ----------
    path : path
        NumPy, MATLAB, HDF5, or ``.cfl`` as BART writes it (kx, ky and a kz of 0):
        real of shape (TR, sample, 2) with (kx, ky) last or first, or complex kx + i·ky of shape
        (TR, sample); TR and sample the other way round where only that fits the schedule. In cycles per voxel (up to
        0.5), radians per voxel (up to π), or cycles per field of view (up to half the image's voxels), told by the
        largest.
    pulses : int
        Of the schedule. Files of fewer readouts than it has TRs are played again from the first.
    image : tuple of int
        Voxels (y, x).
    watch : Watch

    Returns
    -------
    Trajectory

    Raises
    ------
    InputError
        No file, another shape, more readouts than TRs, values beyond the image's k-space or not finite.
    """
    file, k, largest = _opened(path, pulses, watch)
    scale = _scale(largest)
    if scale is not None:
        points = np.stack([k.imag, k.real], axis=-1) * scale
    else:
        points = np.stack([k.imag / image[0], k.real / image[1]], axis=-1)
    reach = float(np.abs(points).max())
    if reach > 0.5 * _SLACK or reach < _LEAST:
        found = f"goes up to |k| = {largest:.4g}, which is {reach:.3g} cycles per voxel of {dimensions(image)} voxels"
        raise FileError(file, found, "k of this image: up to 0.5 cycles or π radians per voxel, or half as many cycles "
                        "per field of view as it has voxels", field="trajectory_file")  # fmt: skip
    if reach < _COARSE:
        unit = (
            "cycles per field of view" if scale is None else "cycles per voxel" if scale == 1 else "radians per voxel"
        )
        warnings.warn(f"{file.name}, up to {largest:.4g}, is taken in {unit}: it reads k-space up to {reach:.3g} of "
                      "0.5 cycles per voxel, and images come out as much coarser; give it in one of these units if "
                      "it is in another.", DataWarning, stacklevel=2)  # fmt: skip
    nearest = float(np.linalg.norm(points * image, axis=-1).min())
    if nearest > _CENTRE:
        raise FileError(file, f"stays {nearest:.3g} cycles per field of view away from the centre of k-space",
                        "readouts that pass through it", field="trajectory_file")  # fmt: skip
    points = np.clip(points, -0.5, 0.5)
    return Trajectory(points, density_weights(points, image, watch), file.name)


def _without_third(name: str, data: AnyArray) -> AnyArray:
    """Return real (kx, ky) of what has kz, too, as BART's trajectories have, in real numbers or complex ones."""
    shape = data.shape
    of_bart = data.dtype.kind == "c" and data.ndim > 2 and bool({2, 3} & {shape[0], shape[-1]})
    if of_bart and not np.any(data.imag):
        data = data.real
    axis = -1 if data.ndim > 2 and shape[-1] in (2, 3) else 0
    if data.ndim > 2 and data.dtype.kind != "c" and shape[axis] == 3:
        if np.any(np.take(data, 2, axis)):
            raise FileError(name, "holds kz other than 0", "readouts within a slice", field="trajectory_file")
        data = np.take(data, (0, 1), axis)
    # time and readouts of one time point lie along two axes
    return data.reshape(-1, *data.shape[2:]) if data.ndim == 4 and axis == -1 else data


def in_cycles_per_view(path: str | os.PathLike[str], pulses: int, *, watch: Watch = UNWATCHED) -> float | None:
    """Return how far a file's readouts go along an axis in cycles per field of view; None where it has other units.

    Raises
    ------
    InputError
        No file, another shape, more readouts than TRs, values that are not finite.
    """
    largest = _opened(path, pulses, watch)[2]
    return largest if _scale(largest) is None else None


def _opened(path: str | os.PathLike[str], pulses: int, watch: Watch) -> tuple[Path, ComplexArray, float]:
    """Return a file, its kx + i·ky of shape (TR, sample), and the largest |k| along an axis."""
    file = existing_file(path)
    k = _planar(file.name, np.asarray(open_array(file, watch=watch).data), pulses)
    if not np.isfinite(k.view(np.float64)).all():
        raise FileError(file, "holds NaN or infinity", "finite k", field="trajectory_file")
    return file, k, max(float(np.abs(k.real).max()), float(np.abs(k.imag).max()))


def _scale(largest: float) -> float | None:
    """Return what takes k to cycles per voxel, by the largest; None of cycles per field of view."""
    return next((scale for limit, scale in _UNITS if largest <= limit * _SLACK), None)


def _planar(name: str, data: AnyArray, pulses: int) -> ComplexArray:
    """Return kx + i·ky of shape (TR, sample), complex128."""
    data = _without_third(name, data)
    shape = data.shape
    if data.dtype.kind == "c" and data.ndim == 2 and data.size:
        k = data.astype(np.complex128)
    elif data.dtype.kind in "fiu" and data.ndim == 3 and 2 in (shape[0], shape[-1]) and data.size:
        kx, ky = (data[..., axis] if shape[-1] == 2 else data[axis] for axis in (0, 1))
        k = kx.astype(np.float64) + 1j * ky
    else:
        raise FileError(name, f"holds {data.dtype} of shape {dimensions(shape)}",
                        "k along (TR, sample, 2), or complex kx + i·ky along (TR, sample)",
                        field="trajectory_file")  # fmt: skip
    if len(k) != pulses and (k.shape[1] == pulses or len(k) > pulses >= k.shape[1]):
        k = k.T
    if len(k) > pulses:
        raise FileError(name, f"has {len(k)} readouts of {k.shape[1]} samples",
                        f"at most one for each of the schedule's {pulses} pulses", field="trajectory_file")  # fmt: skip
    return np.ascontiguousarray(k)
