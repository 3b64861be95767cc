"""mrpro as the peer: its NUFFT grids the same k-space, and its operator matches the same dictionary."""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.schedules.schedule import Schedule
from napari_blochnet.studies.settings_studies import UndersamplingSettings

__all__ = ["PeerMaps", "check_peer", "grid_and_match"]

# Frames that are gridded, and voxels that are matched, at a time.
_FRAMES, _VOXELS = 50, 1024


@dataclass(frozen=True)
class PeerMaps:
    """What another package made of the same k-space: maps in ms (0 outside), and the seconds of either step."""

    t1: FloatArray
    t2: FloatArray
    gridding_seconds: float
    matching_seconds: float


def check_peer() -> None:
    """Raise `InputError` where mrpro, or what it needs, is not installed."""
    try:
        importlib.import_module("mrpro.operators")
    except (ImportError, RuntimeError) as error:
        raise InputError(f"The peer is mrpro, which cannot be loaded here ({error}); expected it (pip install mrpro), "
                         "or no peer.", field="peer") from None  # fmt: skip


def grid_and_match(stack: FingerprintStack, schedule: Schedule, settings: UndersamplingSettings) -> PeerMaps:
    """Grid and match what coils read of noise-free whole images, by mrpro (doi 10.5281/zenodo.14509598).

    Raises
    ------
    InputError
        mrpro is not installed.
    """
    check_peer()
    import torch
    from mrpro.data import KTrajectory
    from mrpro.operators import DictionaryMatchOp, NonUniformFastFourierOp

    from napari_blochnet.estimators.matching.grid import TissueGrid
    from napari_blochnet.fingerprints.noise import sigma_for_snr
    from napari_blochnet.physics.decoder import EPGDecoder
    from napari_blochnet.sampling.coils import coil_maps
    from napari_blochnet.sampling.scanning import read_kspace
    from napari_blochnet.sampling.trajectory_files import trajectory_of

    volume = np.moveaxis(np.asarray(stack.data), 0, -1)
    image = (volume.shape[1], volume.shape[2])
    trajectory = trajectory_of(schedule, image, settings.trajectory, settings.trajectory_file, settings.interleaves,
                               settings.rotation)  # fmt: skip
    coils = coil_maps(settings.coils, image)
    sigma = sigma_for_snr(volume, stack.mask, settings.snr)
    samples = read_kspace(volume[0], trajectory, coils, sigma, (settings.seed, 0))
    started = time.perf_counter()
    combining, inside = torch.as_tensor(coils.conj()), stack.mask[0]
    frames = np.empty((len(schedule), int(inside.sum())), np.complex64)
    for start in range(0, len(schedule), _FRAMES):
        which = [trajectory.frame(n) for n in range(start, min(start + _FRAMES, len(schedule)))]
        points = torch.as_tensor(trajectory.points[which] * image, dtype=torch.float32)[:, None, None, None]
        path = KTrajectory(torch.zeros_like(points[..., 0]), points[..., 0], points[..., 1])
        operator = NonUniformFastFourierOp(("y", "x"), image, image, path)
        weighted = samples[start : start + _FRAMES] * trajectory.weights[which][:, None]
        (made,) = operator.adjoint(torch.as_tensor(weighted.astype(np.complex64))[:, :, None, None])
        frames[start : start + _FRAMES] = (made[:, :, 0] * combining).sum(dim=1)[:, torch.as_tensor(inside)].numpy()
    gridding = time.perf_counter() - started
    # the dictionary that this package matches by default, in one piece
    grid = TissueGrid((20.0, 6000.0), (2.0, 3000.0), 0.02)
    rows, columns = grid.atoms()
    t1, t2 = grid.t1_values[rows], grid.t2_values[columns]
    atoms = torch.as_tensor(EPGDecoder(schedule, tolerance=1e-4).signal(t1, t2).T.astype(np.complex64))
    matcher = DictionaryMatchOp(lambda _t1, _t2: (atoms,)).append(torch.as_tensor(t1), torch.as_tensor(t2))
    started = time.perf_counter()
    found = np.zeros((2, *stack.mask.shape), np.float64)
    parts = [matcher(torch.as_tensor(part)) for part in np.split(frames, range(_VOXELS, frames.shape[1], _VOXELS), 1)]
    for out, each in zip(found, zip(*parts, strict=True), strict=True):
        out[0][inside] = torch.cat([part.real for part in each]).numpy()
    return PeerMaps(found[0], found[1], gridding, time.perf_counter() - started)
