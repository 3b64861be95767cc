"""The universal estimator: one network that reads fingerprints of any schedule, in the decoder's coordinates."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_blochnet.estimators.universal_features import feature_count

__all__ = ["UniversalNetwork"]


class UniversalNetwork(torch.nn.Module):
    """Corrects where the top of a hill seems to be; untrained, it corrects nothing.

    Parameters
    ----------
    width : int
        Of the two hidden layers.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(feature_count(), width),
            torch.nn.SiLU(),
            torch.nn.Linear(width, width),
            torch.nn.SiLU(),
            torch.nn.Linear(width, width // 2),
            torch.nn.SiLU(),
            torch.nn.Linear(width // 2, 2),
        )
        torch.nn.init.zeros_(self.layers[-1].weight)
        torch.nn.init.zeros_(self.layers[-1].bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return the correction of log T1 and log T2 in lattice steps, shape (voxel, 2)."""
        correction: Tensor = self.layers(features)
        return correction
