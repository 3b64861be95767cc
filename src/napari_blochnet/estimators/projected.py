"""What simulates fingerprints for estimators: the decoder, or its signals' coordinates in a subspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.progress import CancelEvent
from napari_blochnet.fingerprints.subspaces import Subspace
from napari_blochnet.schedules.schedule import Schedule

if TYPE_CHECKING:
    from torch import Tensor

    from napari_blochnet.physics.decoder import EPGDecoder

__all__ = ["ProjectedDecoder", "Simulator", "simulator"]


class Simulator(Protocol):
    """What fits and matching ask of a decoder."""

    schedule: Schedule

    @property
    def reference(self) -> Tensor:
        """A tensor that is where it computes."""

    @property
    def is_real(self) -> bool:
        """Whether its signals are real."""

    def signal(self, t1: Any, t2: Any, b1: Any = None, *, cancelled: CancelEvent | None = None) -> AnyArray:
        """Return signals (…, time) or their coordinates (…, K), of PD 1."""

    def jacobian(self, t1: Any, t2: Any, b1: Any = None, *, is_b1_known: bool = False) -> tuple[Tensor, Tensor]:
        """Return signals and their derivatives, with one more axis."""

    def to(self, device: Any, /) -> Self:
        """Compute on another device."""


def simulator(schedule: Schedule, tolerance: float, subspace: Subspace | None = None) -> Simulator:
    """Return what simulates fingerprints of a schedule, or their coordinates in a subspace."""
    from napari_blochnet.physics.decoder import EPGDecoder

    decoder = EPGDecoder(schedule, tolerance=tolerance)
    return decoder if subspace is None else ProjectedDecoder(decoder, subspace)


class ProjectedDecoder:
    """A decoder whose signals are coordinates qᴴ·s in a subspace, of K numbers in place of N samples.

    Coordinates keep norms and inner products, so that whatever compares fingerprints compares them in the same way.

    Parameters
    ----------
    decoder : EPGDecoder
    subspace : Subspace
        Of time courses as long as the decoder's schedule.
    """

    def __init__(self, decoder: EPGDecoder, subspace: Subspace) -> None:
        self.decoder, self.subspace, self.schedule = decoder, subspace, decoder.schedule
        self._bases: dict[Any, Tensor] = {}

    @property
    def reference(self) -> Tensor:
        """Where it computes."""
        return self.decoder.reference

    @property
    def is_real(self) -> bool:
        """Whether coordinates are real: where signals and basis are."""
        return self.decoder.is_real and not self.subspace.is_complex

    def to(self, device: Any, /) -> Self:
        """Compute on another device."""
        self.decoder.to(device)
        return self

    def signal(self, t1: Any, t2: Any, b1: Any = None, *, cancelled: CancelEvent | None = None) -> AnyArray:
        """Return coordinates, shape (voxel, K), in single precision; see `EPGDecoder.signal`."""
        coordinates = self.subspace.project(self.decoder.signal(t1, t2, b1, cancelled=cancelled))
        return np.ascontiguousarray(coordinates, np.complex64 if np.iscomplexobj(coordinates) else np.float32)

    def jacobian(self, t1: Any, t2: Any, b1: Any = None, *, is_b1_known: bool = False) -> tuple[Tensor, Tensor]:
        """Return coordinates (voxel, K) and their derivatives (voxel, K, P); see `EPGDecoder.jacobian`."""
        signal, derivatives = self.decoder.jacobian(t1, t2, b1, is_b1_known=is_b1_known)
        q = self._basis(signal)
        projected = signal.to(q.dtype) @ q
        return projected, (derivatives.to(q.dtype).transpose(-1, -2) @ q).transpose(-1, -2).contiguous()

    def _basis(self, like: Tensor) -> Tensor:
        """Return q* on a device, complex where it or the signal is."""
        import torch

        key = like.device, like.is_complex()
        if key not in self._bases:
            is_complex = self.subspace.is_complex or like.is_complex()
            q = torch.from_numpy(np.ascontiguousarray(self.subspace.q.conj()))
            self._bases[key] = q.to(like.device, torch.complex64 if is_complex else torch.float32)
        return self._bases[key]
