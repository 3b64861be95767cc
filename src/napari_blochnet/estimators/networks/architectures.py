"""The published networks as PyTorch modules: encoders from fingerprint to log10 T1 and T2, decoders back.

Encoders take fingerprints of shape (voxel, length), real and L2-normalised, and return (voxel, 2): log10 T1/ms and
log10 T2/ms. Decoders take (voxel, 2) and return fingerprints. Layers are those of "Physics-based Decoding Improves
Magnetic Resonance Fingerprinting" (2022) and, for HYDRA, of Song et al., Med Phys 46:4951 (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.networks.cards import ARCHITECTURES

__all__ = ["ARCHITECTURES", "FCDecoder", "FCEncoder", "HydraEncoder", "RNNDecoder", "RNNEncoder", "make_encoder"]

#: Hidden widths as published.
FC_WIDTHS = (1000, 300, 300)
RNN_WIDTH = 300
# What a card from a stranger may ask for at most; checked before anything is allocated.
_MAX_WIDTH = 16_384
_MAX_LAYERS = 16
_MAX_LENGTH = 100_000


def make_encoder(
    architecture: str, length: int, widths: Sequence[int] | None = None, activation: str = "relu"
) -> FCEncoder | RNNEncoder | HydraEncoder:
    """Make the encoder of an architecture, with random weights from torch's global generator.

    Parameters
    ----------
    architecture : str
        One of `ARCHITECTURES`.
    length : int
        Numbers in its input: time points, or coefficients of a subspace.
    widths : sequence of int, optional
        Hidden widths of an FC encoder. None: as published.
    activation : {"relu", "silu"}
        Of an FC encoder. Published: relu.

    Raises
    ------
    InputError
        An unknown architecture; a size out of bounds; widths for a network that has none to choose.
    """
    if architecture not in ARCHITECTURES:
        raise InputError(
            f"There is no network {architecture!r}; expected one of {', '.join(ARCHITECTURES)}.", field="estimator"
        )
    kind = ARCHITECTURES[architecture][0]
    _check("length", length, _MAX_LENGTH)
    if activation not in ("relu", "silu"):
        raise InputError(f"activation is {activation!r}; expected relu or silu.", field="activation")
    if kind != "fc" and (widths is not None or activation != "relu"):
        raise InputError(f"The layers of {architecture} are fixed; expected no widths or activation.", field="widths")
    if widths is not None:
        if not 1 <= len(widths) <= _MAX_LAYERS:
            raise InputError(f"widths names {len(widths)} layers; expected 1 to {_MAX_LAYERS}.", field="widths")
        for width in widths:
            _check("widths", width, _MAX_WIDTH)
    if kind == "fc":
        return FCEncoder(length, FC_WIDTHS if widths is None else widths, activation)
    return RNNEncoder(length) if kind == "rnn" else HydraEncoder(length)


def _check(field: str, value: object, largest: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
        raise InputError(f"{field} holds {value!r}; expected whole numbers from 1 to {largest}.", field=field)


class FCEncoder(nn.Sequential):
    """Fully connected: length → 1000 → 300 → 300 → 2, ReLU between.

    Parameters
    ----------
    length : int
    widths : sequence of int
        Hidden widths.
    activation : {"relu", "silu"}
    """

    def __init__(self, length: int, widths: Sequence[int] = FC_WIDTHS, activation: str = "relu") -> None:
        layers: list[nn.Module] = []
        for before, after in zip([length, *widths[:-1]], widths, strict=True):
            layers += [nn.Linear(before, after), nn.SiLU() if activation == "silu" else nn.ReLU()]
        super().__init__(*layers, nn.Linear(widths[-1], 2))

    def features(self, fingerprints: Tensor) -> Tensor:
        """Return what the last layer takes."""
        for layer in list(self)[:-1]:
            fingerprints = layer(fingerprints)
        return fingerprints

    @property
    def head(self) -> nn.Module:
        """The last layer."""
        return self[-1]


class RNNEncoder(nn.Module):
    """Three GRU layers of 300, fed the whole fingerprint as one step, then linear to 2."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.gru = nn.GRU(length, RNN_WIDTH, num_layers=3, batch_first=True)
        self.head = nn.Linear(RNN_WIDTH, 2)

    def features(self, fingerprints: Tensor) -> Tensor:
        """Return what the last layer takes."""
        states, _ = self.gru(fingerprints[:, None])
        return cast(Tensor, states[:, 0])

    def forward(self, fingerprints: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.features(fingerprints)))


class _NonLocal(nn.Module):
    """Non-local block, embedded Gaussian, with max-pooled keys and values (Wang et al., CVPR 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.query = nn.Conv1d(channels, inner, 1)
        self.key = nn.Conv1d(channels, inner, 1)
        self.value = nn.Conv1d(channels, inner, 1)
        self.back = nn.Conv1d(inner, channels, 1)
        self.pool = nn.MaxPool1d(2, ceil_mode=True)

    def forward(self, features: Tensor) -> Tensor:
        query = self.query(features).transpose(1, 2)
        key = self.pool(self.key(features)).transpose(1, 2)
        value = self.pool(self.value(features)).transpose(1, 2)
        # with an axis for one head, contiguous, PyTorch takes its fused attention, which never holds the matrix of all
        # pairs of time points (2 GB for a batch of 1000)
        query, key, value = (part.contiguous().unsqueeze(1) for part in (query, key, value))
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, scale=1.0).squeeze(1)
        return features + cast(Tensor, self.back(mixed.transpose(1, 2)))


class _ResidualConvolution(nn.Module):
    """Two convolutions of kernel 21 beside a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(channels, channels, 21, padding="same")
        self.second = nn.Conv1d(channels, channels, 21, padding="same")

    def forward(self, features: Tensor) -> Tensor:
        inner = self.second(torch.relu(self.first(features)))
        return torch.relu(features + cast(Tensor, inner))


class HydraEncoder(nn.Module):
    """HYDRA: a residual convolutional network with non-local blocks.

    Twice conv16 (kernel 21, ReLU), non-local block, pool 2; then stages of 32, 64 and 128 channels, each a kernel-1
    convolution, a residual convolution of kernel 21 and a non-local block, with pool 2 between; global average, linear
    to 2. Any length from 8 time points.
    """

    def __init__(self, length: int) -> None:
        super().__init__()
        if length < 8:
            raise InputError(f"hydra halves the fingerprint three times; found {length} time points, expected at "
                             "least 8.", field="schedule")  # fmt: skip
        self.stem = nn.Sequential(
            nn.Conv1d(1, 16, 21, padding="same"), nn.ReLU(), nn.Conv1d(16, 16, 21, padding="same"), nn.ReLU(),
            _NonLocal(16),
        )  # fmt: skip
        stages: list[nn.Module] = []
        for before, after in ((16, 32), (32, 64), (64, 128)):
            stages += [nn.MaxPool1d(2), nn.Conv1d(before, after, 1), _ResidualConvolution(after), _NonLocal(after)]
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(128, 2)
        # features of an L2-normalised fingerprint are some 1/sqrt(length) in size; convolutions expect about 1
        self.gain = float(length) ** 0.5

    def features(self, fingerprints: Tensor) -> Tensor:
        """Return what the last layer takes."""
        features = self.stages(self.stem(self.gain * fingerprints[:, None]))
        return cast(Tensor, features.mean(dim=-1))

    def forward(self, fingerprints: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.features(fingerprints)))


class FCDecoder(nn.Sequential):
    """Fully connected: 2 → 300 → 300 → 1000 → length, ReLU between."""

    def __init__(self, length: int) -> None:
        super().__init__(
            nn.Linear(2, 300), nn.ReLU(), nn.Linear(300, 300), nn.ReLU(), nn.Linear(300, 1000), nn.ReLU(),
            nn.Linear(1000, length),
        )  # fmt: skip


class RNNDecoder(nn.Module):
    """Three GRU layers of 32 over the pulses, fed (flip angle, T1, T2, TE, TR) at each, then linear to 1.

    The five inputs come as numbers near 1: flip angle over 100°, log10 of T1 and T2 in ms, TE and TR over 10 ms.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(5, 32, num_layers=3, batch_first=True)
        self.head = nn.Linear(32, 1)

    def forward(self, labels: Tensor, pulses: Tensor) -> Tensor:
        """Return fingerprints (voxel, N).

        Parameters
        ----------
        labels : Tensor of shape (voxel, 2)
            log10 T1 and T2.
        pulses : Tensor of shape (N, 3)
            Flip angle, TE, TR; scaled as above.
        """
        length = len(pulses)
        tissue = labels[:, None].expand(-1, length, -1)
        train = pulses.expand(len(labels), -1, -1)
        states, _ = self.gru(torch.cat([train[..., :1], tissue, train[..., 1:]], dim=-1))
        return cast(Tensor, self.head(states)[..., 0])
