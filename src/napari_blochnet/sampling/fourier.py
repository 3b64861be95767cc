"""Fourier transforms between images and samples off the grid (FINUFFT), frame by frame."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray

__all__ = ["PRECISION", "from_samples", "radians", "to_samples"]

#: Largest relative error of a transform.
PRECISION = 1e-4
# The smaller of FINUFFT's two oversampling factors: images are small and samples few, so that FFTs are what costs.
_OVERSAMPLING = 1.25


def radians(points: FloatArray) -> tuple[AnyArray, AnyArray]:
    """Return k of points (…, 2) in cycles per voxel as FINUFFT takes it: (y, x), radians per voxel, one axis each."""
    flat = np.asarray(points, np.float64).reshape(-1, 2) * (2.0 * math.pi)
    return np.ascontiguousarray(flat[:, 0], np.float32), np.ascontiguousarray(flat[:, 1], np.float32)


def _plan(kind: int, image: tuple[int, int], several: int, **options: Any) -> Any:
    import finufft

    return finufft.Plan(kind, image, several, PRECISION, 1 if kind == 1 else -1, "complex64", nthreads=1,
                        upsampfac=_OVERSAMPLING, **options)  # fmt: skip


class FramePlans:
    """Both transforms of several images at a time, for points that change from frame to frame.

    Scaled to be adjoint to each other, and unitary where all of k-space is read on the grid. One thread's own.
    """

    def __init__(self, image: tuple[int, int], several: int) -> None:
        self._to, self._from = _plan(2, image, several), _plan(1, image, several)
        self._scale = np.float32(1.0 / math.sqrt(image[0] * image[1]))

    def set_points(self, points: FloatArray) -> None:
        """Take the points (sample, 2) of a frame, in cycles per voxel."""
        self._at = radians(points)

    def to_samples(self, images: AnyArray) -> AnyArray:
        """Return the samples (several, sample) of images (several, y, x), complex64."""
        self._to.setpts(*self._at)
        return np.asarray(self._to.execute(np.ascontiguousarray(images, np.complex64))) * self._scale

    def from_samples(self, samples: AnyArray) -> AnyArray:
        """Return what the adjoint makes of samples (several, sample)."""
        self._from.setpts(*self._at)
        return np.asarray(self._from.execute(np.ascontiguousarray(samples, np.complex64))) * self._scale


def to_samples(images: AnyArray, points: FloatArray) -> AnyArray:
    """Return samples (several, sample) of images (several, y, x) at points (sample, 2), in cycles per voxel."""
    plans = FramePlans(images.shape[-2:], len(images))
    plans.set_points(points)
    return plans.to_samples(images)


def from_samples(samples: AnyArray, points: FloatArray, image: tuple[int, int]) -> AnyArray:
    """Return what the adjoint of `to_samples` makes of samples (several, sample)."""
    plans = FramePlans(image, len(samples))
    plans.set_points(points)
    return plans.from_samples(samples)
