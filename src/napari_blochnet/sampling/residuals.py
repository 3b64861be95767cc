"""What undersampling adds to the fingerprints of a head: aliased frames of the built-in one, less the whole images."""

from __future__ import annotations

import math

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.phantoms.synthetic import synthetic_phantom
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.sampling.coils import coil_maps
from napari_blochnet.sampling.scanning import grid_frames, read_kspace
from napari_blochnet.sampling.scans import Scan
from napari_blochnet.sampling.trajectory_files import in_cycles_per_view, trajectory_of
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["KEPT", "aliasing_residuals", "of_unit_size"]

#: Residuals that are kept, a random choice of the voxels: 16 MB under 1000 TRs.
KEPT = 2048
# Voxels along the sides of the slice; the most where a trajectory's own k-space says how many it has: 2 GB of frames.
_SIZE, _LEAST_SIZE, _MOST_SIZE = 128, 32, 512
_TOLERANCE = 1e-3


def aliasing_residuals(schedule: Schedule, scan: Scan | None = None, watch: Watch = UNWATCHED) -> AnyArray:
    """Return what an undersampled scan adds to the fingerprints of voxels of the built-in head.

    It is no white noise: along a golden-angle spiral, under a smooth train, it hardly reaches the first singular
    vectors, as readouts of TRs a Fibonacci number apart have nearly one angle, and others cancel. Other heads have
    nearly the same; other trajectories have not.

    Parameters
    ----------
    schedule : Schedule
        Signals are real in the receiver's frame.
    scan : Scan, optional
        None: a 48-fold undersampled golden-angle spiral, 8 coils. The slice has 128² voxels, or as many as a file in
        cycles per field of view reads.
    watch : Watch

    Returns
    -------
    complex64 array of shape (voxel, N)
        2048 of them, of mean square 1 each.

    Raises
    ------
    InputError
        A file that holds no trajectory of this schedule, or of more than 512 voxels; too many interleaves.
    Cancelled
    """
    scan = scan or Scan()
    size = _size(scan, len(schedule), watch)
    trajectory = trajectory_of(schedule, (size, size), scan.trajectory, scan.trajectory_file, scan.interleaves,
                               scan.rotation, watch)  # fmt: skip
    head = synthetic_phantom((1, size, size))
    inside = head.mask[0]
    signal = EPGDecoder(schedule, tolerance=_TOLERANCE).signal(head.t1[0][inside], head.t2[0][inside])
    images = np.zeros((*inside.shape, len(schedule)), np.complex64)
    images[inside] = head.pd[0][inside][:, None] * signal
    coils = coil_maps(scan.coils, inside.shape)
    samples = read_kspace(images, trajectory, coils, watch=watch)
    frames = grid_frames(samples, trajectory, coils, watch)
    some = np.sort(np.random.default_rng(0).permutation(int(inside.sum()))[:KEPT])
    return of_unit_size((frames[inside][some] - images[inside][some]).astype(np.complex64))


def of_unit_size(residuals: AnyArray) -> AnyArray:
    """Return residuals (voxel, N), each with a mean square of 1."""
    size = np.sqrt(np.square(np.abs(residuals)).mean(axis=1, keepdims=True))
    unit: AnyArray = residuals / np.maximum(size, np.finfo(np.float32).tiny)
    return unit


def _size(scan: Scan, pulses: int, watch: Watch) -> int:
    """Return how many voxels the sides of the slice have, of a trajectory that is read from a file as it says."""
    if scan.trajectory != "file" or scan.trajectory_file is None:
        return _SIZE
    reach = in_cycles_per_view(scan.trajectory_file, pulses, watch=watch)
    if reach is None:
        return _SIZE
    # rounding is no reason for two voxels more
    size = max(_LEAST_SIZE, 2 * math.ceil(reach - 0.01))
    if size > _MOST_SIZE:
        raise FileError(scan.trajectory_file, f"goes up to |k| = {reach:.4g}, of {size} voxels",
                        f"up to {_MOST_SIZE // 2} cycles per field of view, or cycles or radians per voxel",
                        field="trajectory_file")  # fmt: skip
    return size
