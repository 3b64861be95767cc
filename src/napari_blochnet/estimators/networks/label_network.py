"""A network with the fixed arithmetic around it: subspace before, scaling of the labels behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.networks.architectures import make_encoder

__all__ = ["LabelNetwork", "initialise", "torch_device"]


class LabelNetwork(nn.Module):
    """From L2-normalised real fingerprints (voxel, time) to log10 T1 and T2 (voxel, 2).

    Parameters
    ----------
    architecture : str
        See `napari_blochnet.estimators.networks.architectures.ARCHITECTURES`.
    length : int
        Time points.
    widths : sequence of int, optional
        Hidden widths of an FC encoder.
    subspace : int, optional
        Number of singular vectors that fingerprints are projected on first. Their coefficients are normalised again,
        which takes the noise outside the subspace away, and scaled to a spread of about 1; the labels the encoder
        learns are standardised. None: the encoder takes the time points and answers the labels themselves, as
        published.
    activation : {"relu", "silu"}
        Of an FC encoder.
    """

    basis: Tensor
    gain: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        architecture: str,
        length: int,
        widths: Sequence[int] | None = None,
        subspace: int | None = None,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        if subspace is not None and not 1 <= subspace <= length:
            raise InputError(
                f"subspace is {subspace}; expected 1 to the {length} time points of the schedule.", field="subspace"
            )
        self.architecture, self.length, self.subspace = architecture, length, subspace
        self.widths, self.activation = None if widths is None else tuple(widths), activation
        self.encoder = make_encoder(architecture, length if subspace is None else subspace, widths, activation)
        if subspace is not None:
            self.register_buffer("basis", torch.zeros(length, subspace))
            self.register_buffer("gain", torch.ones(subspace))
            self.register_buffer("centre", torch.zeros(2))
            self.register_buffer("spread", torch.ones(2))

    def forward(self, fingerprints: Tensor) -> Tensor:
        """Return log10 T1 and T2 of normalised fingerprints of shape (voxel, time)."""
        return self.labels(fingerprints if self.subspace is None else fingerprints @ self.basis)

    def labels(self, inputs: Tensor, *, half: bool = False) -> Tensor:
        """Return the labels of what the encoder takes: time points, or coefficients in the subspace.

        With ``half``, all layers but the last compute in bfloat16. The labels themselves are too coarse in it:
        log10 T1 near 3 would come in steps of 0.016, which is 4 % of T1.
        """
        if self.subspace is not None:
            inputs = nn.functional.normalize(inputs, dim=1) * self.gain
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=half):
            features = self.encoder.features(inputs)
        labels = cast(Tensor, self.encoder.head(features.float()))
        return labels if self.subspace is None else labels * self.spread + self.centre


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights anew as PyTorch's layers do by default, but from one generator.

    Torch's own drawing uses a generator that all threads of a process share, so that a second job at the same time
    would change the weights of the first.
    """
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Conv1d)):
            bound = 1.0 / np.sqrt(part.weight[0].numel())
        elif isinstance(part, nn.GRU):
            bound = 1.0 / np.sqrt(part.hidden_size)
        else:
            continue
        with torch.no_grad():
            for parameter in part.parameters():
                parameter.uniform_(-float(bound), float(bound), generator=generator)


def torch_device(name: str) -> torch.device:
    """Return the device called ``name``; "auto" is CUDA where there is one, otherwise the CPU.

    Raises
    ------
    InputError
        A device that this machine or this build of PyTorch does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise InputError(f"device is {name!r}, which is not available here; expected auto, cpu or an accelerator of "
                         "this machine.", field="device") from None  # fmt: skip
    return found
