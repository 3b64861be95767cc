"""A scan: what the coils read of each frame, and the aliased frames that gridding makes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.physics.kernels.launch import available_threads
from napari_blochnet.sampling.fourier import FramePlans, transforms_by
from napari_blochnet.sampling.trajectories import Trajectory

__all__ = ["grid_frames", "read_kspace"]

# Frames between two looks at `cancelled`, and of which a thread makes its images contiguous.
_FRAMES = 16


def read_kspace(
    images: AnyArray,
    trajectory: Trajectory,
    coils: AnyArray,
    sigma: float = 0.0,
    seed: tuple[int, ...] = (0,),
    watch: Watch = UNWATCHED,
    device: str = "cpu",
) -> AnyArray:
    """Return what coils read of a slice, a readout in each frame.

    Parameters
    ----------
    images : array of shape (y, x, time)
        The signal of every voxel, time last.
    trajectory : Trajectory
    coils : complex array of shape (coil, y, x)
    sigma : float
        Standard deviation of the noise in each real channel of a sample, in units of `images`: transforms are unitary.
    seed : tuple of int
        Equal seeds give equal noise, on any number of threads.
    watch : Watch
        Counts frames.
    device : str
        See `napari_blochnet.sampling.fourier.transforms_by`.

    Returns
    -------
    complex64 array of shape (time, coil, sample)
    """
    height, width, frames = images.shape
    samples = np.empty((frames, len(coils), trajectory.points.shape[1]), np.complex64)

    def read(start: int, plans: FramePlans) -> None:
        some = np.ascontiguousarray(np.moveaxis(images[..., start : start + _FRAMES], -1, 0))
        for number, image in enumerate(some, start):
            plans.set_points(trajectory.points[trajectory.frame(number)])
            samples[number] = plans.to_samples(coils * image)
            if sigma:
                random = np.random.default_rng((*seed, number))
                noise = random.standard_normal((*samples[number].shape, 2), dtype=np.float32)
                samples[number] += np.float32(sigma) * noise.view(np.complex64)[..., 0]

    _each(frames, read, (height, width), len(coils), watch, "reading k-space", device)
    return samples


def grid_frames(
    samples: AnyArray, trajectory: Trajectory, coils: AnyArray, watch: Watch = UNWATCHED, device: str = "cpu"
) -> AnyArray:
    """Return the frames that gridding makes of what coils read, coils combined by their sensitivities.

    Parameters
    ----------
    samples : complex array of shape (time, coil, sample)
    trajectory : Trajectory
    coils : complex array of shape (coil, y, x)
    watch : Watch
        Counts frames.
    device : str
        See `napari_blochnet.sampling.fourier.transforms_by`.

    Returns
    -------
    complex64 array of shape (y, x, time)
        Aliased; a frame's brightness is that of the fully sampled image.
    """
    image = coils.shape[1:]
    frames = np.empty((*image, len(samples)), np.complex64)
    combining = coils.conj()

    def grid(start: int, plans: FramePlans) -> None:
        made = np.empty((min(_FRAMES, len(samples) - start), *image), np.complex64)
        for number, out in enumerate(made, start):
            played = trajectory.frame(number)
            plans.set_points(trajectory.points[played])
            weighted = samples[number] * trajectory.weights[played].astype(np.float32)
            np.einsum("cyx,cyx->yx", combining, plans.from_samples(weighted), out=out)
        frames[..., start : start + len(made)] = np.moveaxis(made, 0, -1)

    _each(len(samples), grid, image, len(coils), watch, "gridding frames", device)
    return frames


def _each(
    frames: int,
    work: Callable[[int, FramePlans], None],
    image: tuple[int, ...],
    coils: int,
    watch: Watch,
    message: str,
    device: str,
) -> None:
    """Do some frames at a time on all threads, each with plans of its own; on one that feeds a GPU."""
    own = threading.local()

    def one(start: int) -> int:
        watch.check(message)
        if not hasattr(own, "plans"):
            own.plans = FramePlans((image[0], image[1]), coils, device)
        work(start, own.plans)
        return start

    with ThreadPoolExecutor(1 if transforms_by(device) == "cufinufft" else available_threads()) as pool:
        for start in pool.map(one, range(0, frames, _FRAMES)):
            watch.report(start, frames, message)
