"""Undersampled acquisition of simulated fingerprints: aliased frames, or coefficient images."""

from __future__ import annotations

from typing import Literal

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.plain_text import counted
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.sampling.coefficients import SubspaceProblem, coefficient_images
from napari_blochnet.sampling.coils import coil_maps
from napari_blochnet.sampling.scanning import grid_frames, read_kspace
from napari_blochnet.sampling.trajectories import Trajectory, readout_samples
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["acquire", "acquiring_memory", "subspace_basis"]


def subspace_basis(schedule: Schedule, components: int, watch: Watch = UNWATCHED) -> AnyArray:
    """Return the first singular vectors of the signals of all tissues, shape (time, component)."""
    from napari_blochnet.estimators.matching.component_bases import signal_basis

    if components > len(schedule):
        raise InputError(f"components is {components}, but the schedule has {counted(len(schedule), 'pulse')}",
                         "no more than these", field="components")  # fmt: skip
    return signal_basis(schedule, "signal", components, watch=watch)


def acquire(
    volume: AnyArray,
    mask: BoolArray,
    trajectory: Trajectory,
    *,
    coils: int = 8,
    images: Literal["frames", "coefficients"] = "frames",
    basis: AnyArray | None = None,
    low_rank: float = 0.005,
    sigma: float = 0.0,
    seed: int = 0,
    watch: Watch = UNWATCHED,
    device: str = "cpu",
) -> AnyArray:
    """Read k-space of every slice along a trajectory, and make images of it.

    Parameters
    ----------
    volume : complex array of shape (z, y, x, time)
        What every voxel sends; frames take its place.
    mask : bool array of shape (z, y, x)
        Slices without a voxel are left as they are.
    trajectory : Trajectory
    coils : int
        See `napari_blochnet.sampling.coils.coil_maps`.
    images : {"frames", "coefficients"}
    basis : array of shape (time, K)
        Orthonormal; of coefficients.
    low_rank : float
        See `napari_blochnet.sampling.coefficients.coefficient_images`.
    sigma : float
        Standard deviation of k-space noise in each real channel, in units of `volume`.
    seed : int
        Of the noise.
    watch : Watch
        Counts thousandths of slices.
    device : str
        Of the transforms off the grid; see `napari_blochnet.sampling.fourier.transforms_by`.

    Returns
    -------
    complex64 array of shape (z, y, x, time) or (z, y, x, K)
    """
    maps = coil_maps(coils, (volume.shape[1], volume.shape[2]))
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    if images == "frames" or basis is None:
        for number, z in enumerate(slices):
            reading, gridding = (_part(watch, number, len(slices), half) for half in ((0.0, 0.5), (0.5, 1.0)))
            samples = read_kspace(volume[z], trajectory, maps, sigma, (seed, int(z)), reading, device)
            volume[z] = grid_frames(samples, trajectory, maps, gridding, device)
        return volume
    problem = SubspaceProblem(trajectory, basis, maps, watch.quiet, device)
    made = np.zeros((*mask.shape, basis.shape[1]), np.complex64)
    for number, z in enumerate(slices):
        reading, solving = (_part(watch, number, len(slices), half) for half in ((0.0, 0.2), (0.2, 1.0)))
        samples = read_kspace(volume[z], trajectory, maps, sigma, (seed, int(z)), reading, device)
        made[z] = np.moveaxis(coefficient_images(problem, samples, low_rank, seed=seed, watch=solving), 0, -1)
    return made


def _part(watch: Watch, number: int, total: int, span: tuple[float, float]) -> Watch:
    """Return a watch of one step of one slice, which counts in thousandths of slices."""

    def tell(done: int, of: int, message: str = "", /) -> None:
        here = span[0] + (span[1] - span[0]) * done / max(1, of)
        watch.report(int(1000 * (number + here)), 1000 * total, message)

    return Watch(tell, watch.cancelled)


def acquiring_memory(
    frames: int, image: tuple[int, int], trajectory: str, interleaves: int, coils: int, components: int | None
) -> int:
    """Return the bytes that the acquisition of a slice takes, beyond its volume; of a file's readouts as of spirals.

    Parameters
    ----------
    frames : int
    image : tuple of int
        Voxels (y, x).
    trajectory : str
    interleaves, coils : int
    components : int or None
        Of coefficients; None: frames.
    """
    samples = readout_samples("spiral" if trajectory == "file" else trajectory, max(image), interleaves)
    kspace = 8 * frames * coils * samples
    voxels = image[0] * image[1]
    if components is None:
        return kspace + 8 * frames * voxels
    # spectra; for each coil that is worked at, K weighted copies of its samples
    return kspace + 4 * 8 * components**2 * voxels + 2 * 8 * components * frames * samples + 16 * frames * samples
