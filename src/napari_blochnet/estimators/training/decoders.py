"""The decoder side of a training: from predicted labels back to normalised fingerprints.

To first order the loss of the signal, mean((x̂ − x)²), is δᵀJᵀJδ/N in the errors δ of log10 T1 and T2: it weights these
by how far they move the signal under the schedules of the training, and asks less of tissues that hardly have any. It
knows nothing that labels without error do not say, and nothing of other schedules, whose fingerprints the encoder never
sees; those are taught by more schedules, or by the physics of the new one
(`napari_blochnet.estimators.training.adaptation`). At the published weight of 10 it
is about a hundredth of the loss: fingerprints of unit norm have squares of 1/N. A balanced training weighs it as much
as the labels (`napari_blochnet.estimators.training.losses.weight_of_signal`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from napari_blochnet.common.arrays import IntArray
from napari_blochnet.estimators.networks.architectures import FCDecoder, RNNDecoder
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["TrainingDecoder", "softly_bounded"]

# Bounds of what the Bloch decoder is asked to simulate, log10 ms. An untrained network may answer anything, and the
# cost of a fingerprint grows with its T2.
_T1_BOUNDS = (0.0, 4.3)
_T2_BOUNDS = (0.0, 3.6)
_SHARPNESS = 30.0


def softly_bounded(labels: Tensor) -> Tensor:
    """Return log10 T1 and T2 held between 1 ms and 20 s, and 1 ms and 4 s.

    Half a decade inside the bounds the change is below 1e-8; outside, the gradient falls off exponentially, so that
    the loss of the labels alone leads back.
    """
    low = labels.new_tensor([_T1_BOUNDS[0], _T2_BOUNDS[0]])
    high = labels.new_tensor([_T1_BOUNDS[1], _T2_BOUNDS[1]])
    above = low + nn.functional.softplus(labels - low, beta=_SHARPNESS)
    return high - nn.functional.softplus(high - above, beta=_SHARPNESS)


class TrainingDecoder(nn.Module):
    """One of the three decoders, for a batch that mixes schedules.

    Parameters
    ----------
    kind : {"fc", "rnn", "epg"} or None
        None: no decoder.
    schedules : sequence of Schedule
    tolerance : float
        Of the Bloch decoder.
    """

    def __init__(self, kind: str | None, schedules: Sequence[Schedule], tolerance: float) -> None:
        super().__init__()
        self.kind = kind
        self._epg: list[EPGDecoder] = []
        if kind == "fc":
            self.network: nn.Module = FCDecoder(len(schedules[0]))
        elif kind == "rnn":
            self.network = RNNDecoder()
            for number, schedule in enumerate(schedules):
                pulses = np.stack(
                    [schedule.flip_angle / 100.0, schedule.echo_time / 10.0, schedule.repetition_time / 10.0], axis=1
                )
                self.register_buffer(f"pulses_{number}", torch.from_numpy(pulses.astype(np.float32)), persistent=False)
        elif kind == "epg":
            # outside the module tree: they have no weights, and `.to()` need not move them
            self._epg = [EPGDecoder(schedule, tolerance=tolerance) for schedule in schedules]

    def forward(self, labels: Tensor, which: IntArray) -> Tensor:
        """Return fingerprints of shape (voxel, N).

        Parameters
        ----------
        labels : Tensor of shape (voxel, 2)
            Predicted log10 T1 and T2.
        which : int array of shape (voxel,)
            Number of each voxel's schedule. The FC decoder cannot know it, as published.
        """
        if self.kind == "fc":
            return cast(Tensor, self.network(labels))
        parts: list[Tensor] = []
        rows: list[Tensor] = []
        for number in np.unique(which):
            mine = torch.from_numpy(np.flatnonzero(which == number)).to(labels.device)
            rows.append(mine)
            if self.kind == "rnn":
                parts.append(self.network(labels[mine], getattr(self, f"pulses_{number}")))
            else:
                t1, t2 = (10.0 ** softly_bounded(labels[mine])).unbind(dim=1)
                parts.append(nn.functional.normalize(self._epg[number](t1, t2), dim=1))
        # back into the order of the batch
        return torch.cat(parts)[torch.argsort(torch.cat(rows))]
