"""What a training makes smaller: the error of the labels and, through a decoder, that of the signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from napari_blochnet.common.arrays import IntArray
from napari_blochnet.estimators.training.data import TrainingSet, stream
from napari_blochnet.estimators.training.decoders import TrainingDecoder
from napari_blochnet.estimators.training.options import TrainingOptions

__all__ = ["SignalWeight", "label_loss", "signal_squares", "weight_of_signal"]

# Tissues whose losses are compared, and the stream of random numbers of their errors.
_COMPARED, _ERRORS = 1024, 4
# Of a decoder that tells fingerprints of errors so small apart.
_TOLERANCE = 1e-4


def label_loss(predicted: Tensor, labels: Tensor, options: TrainingOptions) -> Tensor:
    """Return the loss of log10 T1 and T2, shape (voxel, 2) each."""
    if options.loss == "mse":
        return ((predicted - labels) ** 2).mean()
    return nn.functional.smooth_l1_loss(predicted, labels, beta=options.loss_scale)


@dataclass(frozen=True)
class SignalWeight:
    """What the signal's loss counts.

    Parameters
    ----------
    factor : float
        Of mean((x̂ − x)²) of a fingerprint.
    knee : float, optional
        Where a fingerprint's part of the loss goes from quadratic in the errors to linear, as that of its labels does.
    """

    factor: float
    knee: float | None = None

    def __call__(self, squares: Tensor) -> Tensor:
        """Return the part of the loss, of (x̂ − x)² of shape (voxel, samples)."""
        if self.knee is None:
            return self.factor * squares.mean()
        return self.knee * (torch.sqrt(1.0 + 2.0 * self.factor / self.knee * squares.mean(dim=1)) - 1.0).mean()


def signal_squares(
    decoder: TrainingDecoder, predicted: Tensor, clean: Tensor, which: IntArray, basis: Tensor | None
) -> Tensor:
    """Return (x̂ − x)², shaped as ``clean``, of what a decoder makes of predicted labels.

    Parameters
    ----------
    decoder : TrainingDecoder
    predicted : Tensor of shape (voxel, 2)
    clean : Tensor of shape (voxel, N) or (voxel, K)
        Fingerprints without noise, or their coefficients.
    which : int array of shape (voxel,)
        Number of each one's schedule.
    basis : Tensor of shape (N, K), optional
        Of the coefficients.
    """
    decoded = decoder(predicted, which)
    if basis is not None:
        decoded = decoded @ basis
    return cast(Tensor, (decoded - clean) ** 2)


@torch.no_grad()
def weight_of_signal(data: TrainingSet, options: TrainingOptions) -> SignalWeight:
    """Return what the signal's loss counts.

    That is ``decoder_weight`` itself or, where it is balanced, as many times as much as the labels' loss is larger than
    the signal's, for errors of ``loss_scale`` in both labels: fingerprints of unit norm have squares of 1/N, which
    schedules turn into labels with very different gains.
    """
    if not options.balanced or not options.decoder_weight:
        return SignalWeight(options.decoder_weight)
    some = data.training[:: max(1, len(data.training) // _COMPARED)][:_COMPARED]
    clean, labels, which = data.batch(some)
    off = options.loss_scale * torch.randn(labels.shape, generator=stream(options.seed, _ERRORS))
    basis = None if data.subspace is None else torch.from_numpy(data.subspace.basis.astype(np.float32))
    decoder = TrainingDecoder("epg", data.schedules, min(_TOLERANCE, options.tolerance))
    of_labels = float(label_loss(labels + off, labels, options))
    of_signal = float(signal_squares(decoder, labels + off, clean, which, basis).mean())
    knee = options.decoder_weight * of_labels if options.loss == "smooth-l1" else None
    return SignalWeight(options.decoder_weight * of_labels / of_signal, knee)
