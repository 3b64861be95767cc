"""What is added to the fingerprints of a training: noise, and what undersampling of k-space adds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from napari_blochnet.common.arrays import AnyArray, IntArray
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.estimators.kept import Kept
from napari_blochnet.estimators.training.options import TrainingOptions
from napari_blochnet.sampling.residuals import aliasing_residuals
from napari_blochnet.sampling.scans import Scan
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["Aliasing", "disturbed"]

# Simulated residuals of the last schedules and scans: 16 MB each at 1000 TRs.
_simulated: Kept[AnyArray] = Kept(4)


class Aliasing:
    """Draws of aliasing, from what a scan has of it under the same schedule: a simulated one, or a person's own.

    Each is that of a random voxel, turned by a random phase; what the real frame of a fingerprint holds of it is drawn.

    Parameters
    ----------
    schedules : sequence of Schedule
        Of one length N, with signals that are real in the receiver's frame.
    basis : array of shape (N, K), optional
        Draws are coefficients on it. None: time points.
    watch : Watch
    scan : Scan, optional
        That of the built-in head that is simulated. None: the usual one.
    measured : mapping of str to array (voxel, N), optional
        By digest of a schedule, what takes the place of the simulated.
    """

    def __init__(
        self,
        schedules: Sequence[Schedule],
        basis: AnyArray | None = None,
        watch: Watch = UNWATCHED,
        *,
        scan: Scan | None = None,
        measured: Mapping[str, AnyArray] | None = None,
    ) -> None:
        scan, file = scan or Scan(), None if scan is None else scan.file_digest
        self._measured: list[Tensor] = []
        for schedule in schedules:
            residuals = (measured or {}).get(schedule.digest)
            if residuals is None:
                make = partial(aliasing_residuals, schedule, scan, watch)
                residuals = _simulated.get((schedule.digest, scan, file), make, watch)
            if basis is not None:
                residuals = residuals @ basis.astype(np.float32)
            self._measured.append(torch.view_as_real(torch.from_numpy(residuals)))

    def draw(self, which: IntArray, generator: torch.Generator) -> Tensor:
        """Return aliasing, shape (voxel, N) or (voxel, K); of complex samples with a mean square of 1, the real part.

        Parameters
        ----------
        which : int array of shape (voxel,)
            Number of each one's schedule.
        generator : torch.Generator
        """
        # of scans that have fewer, the first again
        voxel = torch.randint(max(map(len, self._measured)), (len(which),), generator=generator)
        angle = 2.0 * math.pi * torch.rand(len(which), 1, generator=generator)
        turn = torch.cat([torch.cos(angle), -torch.sin(angle)], dim=1)
        drawn = torch.empty(len(which), self._measured[0].shape[1])
        for number, residuals in enumerate(self._measured):
            mine = torch.from_numpy(np.flatnonzero(which == number))
            drawn[mine] = torch.einsum("vnp,vp->vn", residuals[voxel[mine] % len(residuals)], turn[mine])
        return drawn


def disturbed(
    clean: Tensor,
    which: IntArray,
    options: TrainingOptions,
    length: int,
    aliasing: Aliasing | None,
    generator: torch.Generator,
    spaces: Sequence[Tensor] | None = None,
) -> Tensor:
    """Return normalised fingerprints, or their coefficients, with the noise and the aliasing that options ask for.

    Parameters
    ----------
    clean : Tensor of shape (voxel, N) or (voxel, K)
        Of unit norm.
    which : int array of shape (voxel,)
        Number of each one's schedule.
    options : TrainingOptions
    length : int
        N.
    aliasing : Aliasing, optional
        Where options ask for it.
    generator : torch.Generator
    spaces : sequence of Tensor of shape (N, K), optional
        Of each schedule's signals (`napari_blochnet.estimators.networks.inputs.signal_space`): what lies outside of it
        is taken away again, as it is from fingerprints that are mapped.
    """
    inputs = clean
    # a normalised fingerprint of N samples has a root mean square of 1/sqrt(N), in any orthonormal basis
    if options.snr_range is not None:
        sigma = 1.0 / (_ratios(options.snr_range, len(clean), generator) * math.sqrt(length))
        inputs = inputs + sigma * torch.randn(clean.shape, generator=generator)
    if options.aliasing_range is not None and aliasing is not None:
        size = _ratios(options.aliasing_range, len(clean), generator) / math.sqrt(length)
        inputs = inputs + size * aliasing.draw(which, generator)
    if spaces is not None and inputs is not clean:
        for number, space in enumerate(spaces):
            mine = torch.from_numpy(np.flatnonzero(which == number))
            inputs[mine] = inputs[mine] @ space @ space.T
    return inputs if inputs is clean else nn.functional.normalize(inputs, dim=1)


def _ratios(limits: tuple[float, float], count: int, generator: torch.Generator) -> Tensor:
    """Return ratios that are drawn evenly in their logarithm, shape (count, 1)."""
    low, high = (math.log(limit) for limit in limits)
    return torch.exp(low + (high - low) * torch.rand(count, 1, generator=generator))
