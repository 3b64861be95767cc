"""Density compensation of trajectories of any shape: what part of k-space each sample stands for."""

from __future__ import annotations

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.sampling.fourier import FramePlans

__all__ = ["density_weights"]

_ITERATIONS = 20


def density_weights(points: FloatArray, image: tuple[int, int], watch: Watch = UNWATCHED) -> FloatArray:
    """Return the weights by which samples of all frames together cover k-space evenly.

    Parameters
    ----------
    points : array of shape (frame, sample, 2)
        Cycles per voxel.
    image : tuple of int
        Voxels (y, x).
    watch : Watch
        Counts iterations.

    Returns
    -------
    float64 array of shape (frame, sample)
        Above 0. Smooth images keep their brightness in the mean over frames, each of which counts as the whole.

    Notes
    -----
    The iteration of Pipe and Menon (Magn Reson Med 41:179, 1999). Its kernel is a squared sinc, whose transform is a
    triangle over the image: it has no negative lobes, so that no weight runs away.
    """
    flat = points.reshape(-1, 2)
    # twice the field of view: the kernel is then as narrow as the cells of k-space
    wide = (2 * image[0], 2 * image[1])
    plans = FramePlans(wide, 1)
    plans.set_points(flat)
    window = np.outer(*(1.0 - np.abs(np.arange(n) - n // 2) / (n / 2.0) for n in wide)).astype(np.float32)
    weights = np.ones((1, len(flat)), np.complex64)
    for done in range(_ITERATIONS):
        watch.check("density compensation")
        watch.report(done, _ITERATIONS, "density compensation")
        weights /= np.abs(plans.to_samples(window * plans.from_samples(weights)))
    found = weights.real.astype(np.float64).reshape(points.shape[:2])
    # a bump of some voxels has its spectrum where every trajectory reads
    plans = FramePlans(image, 1)
    plans.set_points(flat)
    bump = np.outer(*(np.exp(-0.5 * np.square((np.arange(n) - n // 2) / (n / 8.0))) for n in image)).astype(
        np.complex64
    )
    seen = np.square(np.abs(plans.to_samples(bump[None]))).reshape(points.shape[:2])
    return found * (len(points) * float(np.vdot(bump, bump).real) / float((found * seen).sum()))
