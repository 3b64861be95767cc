"""What lies between pulses, and trains that are played again, for the kernel on a GPU; see `plays`."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from napari_blochnet.physics.preparation_maps import composed_gaps
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["gap_table", "start_of_play"]


def gap_table(schedule: Schedule, t1: Tensor, t2: Tensor, b1: Tensor | None, tangents: int) -> Tensor:
    """What gaps do to each voxel, (gap, 2·(1 + tangents), voxel): A, its slopes, B and its slopes."""
    wide = [None if value is None else value.detach().double() for value in (t1, t2, b1)]
    # T²·∂/∂T, as the kernel carries derivatives
    factors = [wide[0] ** 2, wide[1] ** 2, 1.0]  # type: ignore[operator]
    table = []
    for gap in composed_gaps(schedule, *wide, tangents=tangents):
        for value, slopes in ((gap.scale, gap.d_scale), (gap.offset, gap.d_offset)):
            rows = [value, *(slope * factor for slope, factor in zip(slopes, factors, strict=False))]
            table += [torch.as_tensor(row, dtype=torch.float64).to(t1).expand(len(t1)) for row in rows]
    return torch.stack(table).reshape(-1, 2 * (1 + tangents), len(t1))


def start_of_play(kept: Tensor, gained: Tensor, plays: int | Literal["steady"], orders: int) -> Tensor:
    """Return the longitudinal states that a play starts from, as `kernels.plays.start_of_play` does.

    Parameters
    ----------
    kept, gained : Tensor of shape (Q, 1 + P, parts, K, V)
        What a play without recovery leaves of Z₀ = 1, and a play with it of nothing, by slice position, derivative,
        real and imaginary part, order and voxel.
    plays : int or "steady"
        The play, counted from 1, the first of which starts from equilibrium; or that of the steady state.
    orders : int
        How many orders of Mz are told apart, K or more.
    """
    parts, states = kept.shape[2:4]
    half = (3 * orders + 1) // 2 + 1
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
        # A T1 of days leaves no difference that this precision holds.
        lost = (1.0 - a).clamp_min(torch.finfo(a.dtype).eps)
        m = b / lost
        return [m, *((d_b + d_a * m) / lost for d_a, d_b in pairs)]
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
