"""Fourier transforms between images and samples off the grid, frame by frame.

By FINUFFT, on the CPU; on a CUDA device by cuFINUFFT where that is installed (the extra ``cuda``). The latter was built
to its documented interface and tested with a stand-in of it: it has never been run on a GPU. So it is used only where a
small transform of it agrees with FINUFFT's, once in each process.

References
----------
Barnett, Magland, af Klinteberg, SIAM J Sci Comput 41:C479 (2019). Shih et al., IEEE IPDPSW 688 (2021).
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray

__all__ = ["PRECISION", "FramePlans", "from_samples", "radians", "to_samples", "transforms_by"]

#: Largest relative error of a transform.
PRECISION = 1e-4
# The smaller of FINUFFT's two oversampling factors: images are small and samples few, so that FFTs are what costs.
_OVERSAMPLING = 1.25


def radians(points: FloatArray) -> tuple[AnyArray, AnyArray]:
    """Return k of points (…, 2) in cycles per voxel as FINUFFT takes it: (y, x), radians per voxel, one axis each."""
    flat = np.asarray(points, np.float64).reshape(-1, 2) * (2.0 * math.pi)
    return np.ascontiguousarray(flat[:, 0], np.float32), np.ascontiguousarray(flat[:, 1], np.float32)


@cache
def transforms_by(device: str) -> str:
    """Return which library transforms for a device: "finufft", or "cufinufft" on a CUDA device where it works."""
    if not device.startswith("cuda"):
        return "finufft"
    random = np.random.default_rng(0)
    points = radians(random.uniform(-0.5, 0.5, (40, 2)))
    try:
        for kind, shape in ((1, (2, 40)), (2, (2, 12, 10))):
            data = random.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
            found, expected = (_transformed(make(kind, (12, 10), 2), points, data)
                               for make in (lambda *what: _GpuPlan(device, *what), _plan))  # fmt: skip
            if not np.linalg.norm(found - expected) <= 10 * PRECISION * np.linalg.norm(expected):
                return "finufft"
    except Exception:
        # whatever it lacks (the package, a driver, memory), the other one is there
        return "finufft"
    return "cufinufft"


def _transformed(plan: Any, points: tuple[AnyArray, AnyArray], data: AnyArray) -> AnyArray:
    plan.setpts(*points)
    return np.asarray(plan.execute(data))


def _plan(kind: int, image: tuple[int, int], several: int, **options: Any) -> Any:
    import finufft

    return finufft.Plan(kind, image, several, PRECISION, 1 if kind == 1 else -1, "complex64", nthreads=1,
                        upsampfac=_OVERSAMPLING, **options)  # fmt: skip


class _GpuPlan:
    """A plan of cuFINUFFT with arrays of NumPy on either side."""

    def __init__(self, device: str, kind: int, image: tuple[int, int], several: int) -> None:
        import cufinufft
        import torch

        self._device = torch.device(device)
        number = torch.cuda.current_device() if self._device.index is None else self._device.index
        self._plan = cufinufft.Plan(kind, image, several, PRECISION, 1 if kind == 1 else -1, "complex64",
                                    gpu_device_id=number)  # fmt: skip

    def _there(self, values: AnyArray) -> Any:
        import torch

        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)

    def setpts(self, y: AnyArray, x: AnyArray) -> None:
        """Take the points, radians per voxel, single precision."""
        self._plan.setpts(self._there(y), self._there(x))

    def execute(self, data: AnyArray) -> AnyArray:
        """Return the transform of complex64 data."""
        found: AnyArray = self._plan.execute(self._there(data)).cpu().numpy()
        return found


class FramePlans:
    """Both transforms of several images at a time, for points that change from frame to frame.

    Scaled to be adjoint to each other, and unitary where all of k-space is read on the grid. One thread's own. See
    `transforms_by` for what a device does.
    """

    def __init__(self, image: tuple[int, int], several: int, device: str = "cpu") -> None:
        on_gpu = transforms_by(device) == "cufinufft"
        self._to, self._from = (_GpuPlan(device, kind, image, several) if on_gpu else _plan(kind, image, several)
                                for kind in (2, 1))  # fmt: skip
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
