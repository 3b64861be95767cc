"""What undersampling adds to the fingerprints of a head: aliased frames of the built-in one, less the whole images."""

from __future__ import annotations

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.phantoms.synthetic import synthetic_phantom
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.sampling.coils import coil_maps
from napari_blochnet.sampling.scanning import grid_frames, read_kspace
from napari_blochnet.sampling.trajectories import make_trajectory
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["aliasing_residuals"]

# The scan: a slice of so many voxels, one of so many interleaves of a spiral in each TR, turned by the golden angle.
_SIZE, _INTERLEAVES, _COILS = 128, 48, 8
# Residuals that are kept, a random choice of the voxels: 16 MB under 1000 TRs.
_KEPT = 2048
_TOLERANCE = 1e-3


def aliasing_residuals(schedule: Schedule, watch: Watch = UNWATCHED) -> AnyArray:
    """Return what a 48-fold undersampled golden-angle spiral adds to the fingerprints of voxels of the built-in head.

    It is no white noise: under a smooth train it hardly reaches the first singular vectors, as readouts of TRs a
    Fibonacci number apart have nearly one angle, and others cancel. Other heads have nearly the same.

    Parameters
    ----------
    schedule : Schedule
        Signals are real in the receiver's frame.
    watch : Watch

    Returns
    -------
    complex64 array of shape (voxel, N)
        2048 of them, of mean square 1 each.

    Raises
    ------
    Cancelled
    """
    head = synthetic_phantom((1, _SIZE, _SIZE))
    inside = head.mask[0]
    signal = EPGDecoder(schedule, tolerance=_TOLERANCE).signal(head.t1[0][inside], head.t2[0][inside])
    images = np.zeros((*inside.shape, len(schedule)), np.complex64)
    images[inside] = head.pd[0][inside][:, None] * signal
    coils = coil_maps(_COILS, inside.shape)
    spiral = make_trajectory("spiral", len(schedule), inside.shape, _INTERLEAVES)
    samples = read_kspace(images, spiral, coils, watch=watch)
    frames = grid_frames(samples, spiral, coils, watch)
    some = np.sort(np.random.default_rng(0).permutation(int(inside.sum()))[:_KEPT])
    residuals = (frames[inside][some] - images[inside][some]).astype(np.complex64)
    size = np.sqrt(np.square(np.abs(residuals)).mean(axis=1, keepdims=True))
    unit: AnyArray = residuals / np.maximum(size, np.finfo(np.float32).tiny)
    return unit
