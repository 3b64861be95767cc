"""What lies between pulses, and trains that are played again, for the kernel on a GPU; see `plays`."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from napari_blochnet.physics.preparation_maps import gap_maps
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["gap_table", "start_of_play"]


def gap_table(schedule: Schedule, t1: Tensor, t2: Tensor, b1: Tensor | None, tangents: int) -> Tensor:
    """What gaps do to each voxel, (gap, 2·(1 + tangents), voxel): A, its slopes, B and its slopes."""
    tissue = [None if value is None else value.detach().cpu().double().numpy() for value in (t1, t2, b1)]
    maps = gap_maps(schedule, *tissue, tangents=tangents)  # type: ignore[arg-type]
    table = np.concatenate([maps.A[:, None], maps.A_slopes, maps.B[:, None], maps.B_slopes], axis=1)
    if tangents:
        for row in (1, 2):
            # T²·∂/∂T, of A and of B, as the kernel carries derivatives
            table[:, [row, row + tangents + 1]] *= tissue[row - 1] ** 2  # type: ignore[operator]
    return torch.from_numpy(table).to(t1)


def start_of_play(kept: Tensor, gained: Tensor, plays: int | Literal["steady"]) -> Tensor:
    """Return the longitudinal states that a play starts from, as `kernels.plays.start_of_play` does.

    Parameters
    ----------
    kept, gained : Tensor of shape (Q, 1 + P, parts, K, V)
        What a play without recovery leaves of Z₀ = 1, and a play with it of nothing, by slice position, derivative,
        real and imaginary part, order and voxel.
    plays : int or "steady"
        The play, counted from 1, the first of which starts from equilibrium; or that of the steady state.
    """
    parts, states = kept.shape[2:4]
    half = (3 * states + 1) // 2 + 1
    order = torch.arange(states, dtype=torch.float64, device=kept.device)
    place = (2.0 * torch.arange(half * parts, dtype=torch.float64, device=kept.device) + 1.0) * (np.pi / (2 * half))
    angle = order * place[:, None]
    # Real states are symmetric about θ = 0: half of the circle is enough.
    waves = torch.stack([torch.cos(angle), -torch.sin(angle)][:parts])
    twice = torch.where(order > 0, 2.0, 1.0)
    (a, *a_slopes), (b, *b_slopes) = (
        torch.einsum("cpk,qsckv->sqpv", waves * twice, values.double()) for values in (kept, gained)
    )
    magnetisation = _magnetisation(a, a_slopes, b, b_slopes, plays)
    start = torch.einsum("cpk,sqpv->qsckv", waves / (half * parts), torch.stack(magnetisation))
    return start.to(kept).contiguous()


def _magnetisation(
    a: Tensor, a_slopes: list[Tensor], b: Tensor, b_slopes: list[Tensor], plays: int | Literal["steady"]
) -> list[Tensor]:
    """Return Mz before a play, place by place, and its derivatives, where each play takes m to a·m + b."""
    pairs = list(zip(a_slopes, b_slopes, strict=True))
    if plays == "steady":
        m = b / (1.0 - a)
        return [m, *((d_b + d_a * m) / (1.0 - a) for d_a, d_b in pairs)]
    m, slopes = torch.ones_like(a), [torch.zeros_like(a) for _ in pairs]
    # By the bits of the number of plays: the map is squared from one to the next.
    remaining = plays - 1
    while remaining > 0:
        if remaining % 2 == 1:
            slopes = [a * slope + d_a * m + d_b for slope, (d_a, d_b) in zip(slopes, pairs, strict=True)]
            m = a * m + b
        pairs = [(2.0 * a * d_a, d_a * b + a * d_b + d_b) for d_a, d_b in pairs]
        a, b = a * a, a * b + b
        remaining //= 2
    return [m, *slopes]
