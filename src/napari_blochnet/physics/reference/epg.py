"""The extended phase graph, written to be read: small pure functions on configuration states, in PyTorch.

Conventions are those of Weigel, J Magn Reson Imaging 41:266–295 (2015). The fast kernels are tested against this.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from napari_blochnet.common.errors import InputError
from napari_blochnet.physics.tissue_values import Tissues, TissueValue, as_tissues
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["States", "epg_f0", "epg_signal", "equilibrium", "invert", "relax", "rotate", "shift"]


class States(NamedTuple):
    """Configuration states of orders 0 … K−1, each a complex tensor of shape (..., K); F⁻0 is conj(F⁺0)."""

    f_plus: Tensor
    f_minus: Tensor
    z: Tensor


def equilibrium(shape: torch.Size, states: int, dtype: torch.dtype, device: torch.device) -> States:
    """Z0 = 1, all else 0."""
    empty = torch.zeros((*shape, states), dtype=dtype, device=device)
    z = empty.clone()
    z[..., 0] = 1.0
    return States(empty, empty, z)


def invert(states: States, efficiency: float) -> States:
    """An adiabatic inversion with its spoiler: Z ← −η·Z, no transverse magnetisation."""
    nothing = torch.zeros_like(states.f_plus)
    return States(nothing, nothing, -efficiency * states.z)


def rotate(states: States, angle: Tensor, phase: float) -> States:
    """An RF pulse of ``angle`` (radians, shape (...)) and ``phase`` (radians): Weigel 2015, eq. 18."""
    f_plus, f_minus, z = states
    cosine_squared = torch.cos(angle / 2)[..., None] ** 2
    sine_squared = torch.sin(angle / 2)[..., None] ** 2
    sine, cosine = torch.sin(angle)[..., None], torch.cos(angle)[..., None]
    turn = complex(math.cos(phase), math.sin(phase))
    back = turn.conjugate()
    return States(
        cosine_squared * f_plus + turn**2 * sine_squared * f_minus - 1j * turn * sine * z,
        back**2 * sine_squared * f_plus + cosine_squared * f_minus + 1j * back * sine * z,
        -0.5j * back * sine * f_plus + 0.5j * turn * sine * f_minus + cosine * z,
    )


def relax(states: States, duration: float, t1: Tensor, t2: Tensor) -> States:
    """Relaxation for ``duration`` (ms): F·E2, Z·E1, and recovery of Z0 by 1 − E1."""
    e1, e2 = torch.exp(-duration / t1)[..., None], torch.exp(-duration / t2)[..., None]
    recovery = torch.zeros_like(states.z)
    recovery[..., :1] = -torch.expm1(-duration / t1)[..., None]
    return States(states.f_plus * e2, states.f_minus * e2, states.z * e1 + recovery)


def shift(states: States) -> States:
    """A gradient of one full turn across the voxel: F⁺ up, F⁻ down, F⁺0 = conj(F⁻0); the highest order is lost."""
    f_plus, f_minus, z = states
    f_minus = torch.cat([f_minus[..., 1:], torch.zeros_like(f_minus[..., :1])], dim=-1)
    f_plus = torch.cat([f_minus[..., :1].conj(), f_plus[..., :-1]], dim=-1)
    return States(f_plus, f_minus, z)


def epg_f0(
    schedule: Schedule,
    t1: TissueValue,
    t2: TissueValue,
    b1: TissueValue | None = None,
    *,
    states: int | None = None,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """F⁺0 at each echo time, as it is: in the frame of the scanner, not of the RF phase.

    Parameters
    ----------
    schedule : Schedule
        N pulses. A slice profile is averaged over.
    t1, t2 : tensor, array or number of shape (...)
        ms.
    b1 : tensor, array or number of shape (...), optional
        Scales the flip angles, not the inversion.
    states : int, optional
        Orders kept. None: all that can come back to be sampled, (N + 1) // 2.
    dtype : torch.dtype
        Precision of T1, T2, B1: torch.float32 or torch.float64.

    Returns
    -------
    Tensor of shape (..., N)
        Complex; differentiable in T1, T2 and B1.

    Raises
    ------
    InputError
        Tissue values that are not positive and finite, or ``states`` below 1.
    """
    return _f0(schedule, as_tissues(t1, t2, None, b1, dtype=dtype), states)


def epg_signal(
    schedule: Schedule,
    t1: TissueValue,
    t2: TissueValue,
    pd: TissueValue | None = None,
    b1: TissueValue | None = None,
    *,
    states: int | None = None,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Signal of a gradient-spoiled train by the extended phase graph, in the receiver's frame: i·exp(−iφ)·F⁺0·PD.

    Parameters
    ----------
    schedule : Schedule
        N pulses. A slice profile is averaged over.
    t1, t2 : tensor, array or number of shape (...)
        ms.
    pd : tensor, array or number of shape (...), optional
        Proton density, real or complex; 1 where not given.
    b1 : tensor, array or number of shape (...), optional
        Scales the flip angles, not the inversion.
    states : int, optional
        Orders kept. None: all that can come back to be sampled, (N + 1) // 2.
    dtype : torch.dtype
        Precision of T1, T2, PD, B1: torch.float32 or torch.float64.

    Returns
    -------
    Tensor of shape (..., N)
        Complex; differentiable in T1, T2, PD and B1 by PyTorch, with one record for each state of each TR.

    Raises
    ------
    InputError
        Tissue values that are not positive and finite, or ``states`` below 1.

    References
    ----------
    Weigel, J Magn Reson Imaging 41:266–295 (2015); Jiang et al., Magn Reson Med 74:1621–1631 (2015).
    """
    tissues = as_tissues(t1, t2, pd, b1, dtype=dtype)
    f0 = _f0(schedule, tissues, states)
    phase = torch.deg2rad(torch.as_tensor(schedule.rf_phase.copy(), dtype=dtype, device=f0.device))
    signal = 1j * torch.exp(-1j * phase) * f0
    return signal if tissues.pd is None else signal * tissues.pd[..., None]


def _f0(schedule: Schedule, tissues: Tissues, states: int | None) -> Tensor:
    if states is not None and states < 1:
        raise InputError(f"states is {states}", "at least 1, or None for all", field="states")
    needed = (len(schedule) + 1) // 2
    kept = needed if states is None else min(states, needed)
    profile = [1.0] if schedule.slice_profile is None else schedule.slice_profile.tolist()
    trains = [_train(schedule, tissues, kept, scale) for scale in profile]
    return torch.stack(trains).mean(dim=0) if len(trains) > 1 else trains[0]


def _train(schedule: Schedule, tissues: Tissues, kept: int, scale: float) -> Tensor:
    t1, t2, _, b1 = tissues
    states = equilibrium(tissues.shape, kept, t1.dtype.to_complex(), t1.device)
    if schedule.inversion_time is not None:
        states = invert(states, schedule.inversion_efficiency)
        states = relax(states, schedule.inversion_time, t1, t2)
    transmit = torch.ones((), dtype=t1.dtype, device=t1.device) if b1 is None else b1
    samples = []
    for flip, tr, te, phase in zip(
        schedule.flip_angle, schedule.repetition_time, schedule.echo_time, schedule.rf_phase, strict=True
    ):
        states = rotate(states, math.radians(flip) * scale * transmit, math.radians(phase))
        states = relax(states, te, t1, t2)
        samples.append(states.f_plus[..., 0])
        states = relax(states, tr - te, t1, t2)
        states = shift(states)
    return torch.stack(samples, dim=-1)
