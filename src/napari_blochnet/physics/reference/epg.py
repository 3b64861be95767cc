"""The extended phase graph, written to be read: small pure functions on configuration states, in PyTorch.

Conventions are those of Weigel, J Magn Reson Imaging 41:266–295 (2015). The fast kernels are tested against this.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from napari_blochnet.common.errors import InputError
from napari_blochnet.physics.preparation_maps import simulated_response
from napari_blochnet.physics.tissue_values import Tissues, TissueValue, as_tissues
from napari_blochnet.schedules.preparations import Preparation, PreparationResponse
from napari_blochnet.schedules.schedule import Schedule

__all__ = [
    "States",
    "epg_f0",
    "epg_signal",
    "equilibrium",
    "invert",
    "prepare",
    "relax",
    "rotate",
    "shift",
    "spoil",
]

# Plays of a train after which it counts as one that never repeats itself.
_MOST_PLAYS = 20_000


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
    return spoil(_scale(states, -efficiency))


def spoil(states: States) -> States:
    """A spoiler that nothing undoes: no transverse magnetisation, Z of every order as it was."""
    nothing = torch.zeros_like(states.f_plus)
    return States(nothing, nothing, states.z)


def prepare(states: States, preparation: Preparation, t1: Tensor, t2: Tensor, b1: Tensor) -> States:
    """A preparation between two spoilers, then its delay; T1, T2 in ms and B1 of shape (...).

    A saturation is a pulse of arccos(1 − η), a T2 preparation a tip down, ideal refocusing for its duration, and a tip
    up; B1 scales these angles unless they are adiabatic. Of what is along the field in a T2 preparation, η is left.
    """
    states, field = spoil(states), torch.ones_like(b1) if preparation.adiabatic else b1
    if preparation.kind == "inversion":
        states = invert(states, preparation.efficiency)
    elif preparation.kind == "saturation":
        states = rotate(states, math.acos(1.0 - preparation.efficiency) * field, 0.0)
    elif preparation.kind == "t2":
        tip = math.pi / 2 * field
        states = rotate(relax(rotate(states, tip, 0.0), preparation.duration, t1, t2), -tip, 0.0)
        states = _scale(states, preparation.efficiency)
    elif preparation.kind == "simulated":
        a, b = _SimulatedResponse.apply(preparation.response, t1, t2, b1)  # type: ignore[no-untyped-call]
        z = a[..., None] * states.z
        z[..., 0] += b
        states = states._replace(z=z)
    return relax(spoil(states), preparation.delay, t1, t2)


def _scale(states: States, factor: float) -> States:
    return States(factor * states.f_plus, factor * states.f_minus, factor * states.z)


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
        N pulses, with all that is played around them. A slice profile is averaged over.
    t1, t2 : tensor, array or number of shape (...)
        ms.
    b1 : tensor, array or number of shape (...), optional
        Scales the flip angles, and of the preparations those that are not adiabatic.
    states : int, optional
        Orders kept. None: all that can come back to be sampled, (N + 1) // 2 where one train is played.
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
        N pulses, with all that is played around them. A slice profile is averaged over.
    t1, t2 : tensor, array or number of shape (...)
        ms.
    pd : tensor, array or number of shape (...), optional
        Proton density, real or complex; 1 where not given.
    b1 : tensor, array or number of shape (...), optional
        Scales the flip angles, and of the preparations those that are not adiabatic.
    states : int, optional
        Orders kept. None: all that can come back to be sampled, (N + 1) // 2 where one train is played.
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
    needed = _orders_that_return(schedule, tissues.t2)
    kept = needed if states is None else min(states, needed)
    profile = [1.0] if schedule.slice_profile is None else schedule.slice_profile.tolist()
    trains = [_trains(schedule, tissues, kept, scale) for scale in profile]
    return torch.stack(trains).mean(dim=0) if len(trains) > 1 else trains[0]


def _orders_that_return(schedule: Schedule, t2: Tensor) -> int:
    """Orders that can come back to be sampled; of more trains than one, without those that keep less than rounding."""
    if schedule.trains == 1 or t2.numel() == 0:
        return (len(schedule) + 1) // 2
    # Order k has been transverse for 2k TRs when it is sampled.
    shortest = float(schedule.repetition_time.min())
    left = math.ceil(-math.log(torch.finfo(torch.float64).eps) * float(t2.detach().max()) / (2 * shortest))
    return left + 1 if schedule.trains == "steady" else min(left + 1, (schedule.trains * len(schedule) + 1) // 2)


def _trains(schedule: Schedule, tissues: Tissues, kept: int, scale: float) -> Tensor:
    """Play all trains, the first from equilibrium, and return the samples of the last."""
    t1, t2, _, b1 = tissues
    field = torch.ones_like(t1) if b1 is None else b1
    states = equilibrium(tissues.shape, kept, t1.dtype.to_complex(), t1.device)
    same = 16 * torch.finfo(t1.dtype).eps
    for _ in range(_MOST_PLAYS if schedule.trains == "steady" else schedule.trains - 1):
        before = states.z
        states, _ = _train(schedule, states, t1, t2, field, scale)
        states = spoil(relax(states, schedule.recovery_time, t1, t2))
        if schedule.trains == "steady" and bool(((states.z - before).abs() <= same).all()):
            break
    return _train(schedule, states, t1, t2, field, scale)[1]


def _train(
    schedule: Schedule, states: States, t1: Tensor, t2: Tensor, b1: Tensor, scale: float
) -> tuple[States, Tensor]:
    """Play one train, from before its first preparation to the end of its last TR; return states and samples."""
    found = schedule.preparations_by_pulse()
    before_pulse = [found.get(n, []) for n in range(len(schedule) + 1)]
    samples = []
    for n in range(len(schedule)):
        for preparation in before_pulse[n]:
            states = prepare(states, preparation, t1, t2, b1)
        states = rotate(states, math.radians(schedule.flip_angle[n]) * scale * b1, math.radians(schedule.rf_phase[n]))
        te = float(schedule.echo_time[n])
        states = relax(states, te, t1, t2)
        samples.append(states.f_plus[..., 0])
        taken = sum(preparation.time for preparation in before_pulse[n + 1])
        states = shift(relax(states, float(schedule.repetition_time[n]) - te - taken, t1, t2))
    return states, torch.stack(samples, dim=-1)


class _SimulatedResponse(torch.autograd.Function):
    """a and b of a simulated preparation at T1, T2 and B1, with their first derivatives."""

    @staticmethod
    def forward(ctx: Any, response: PreparationResponse, t1: Tensor, t2: Tensor, b1: Tensor) -> tuple[Tensor, Tensor]:
        given = [value.detach().cpu().double().numpy().ravel() for value in (t1, t2, b1)]
        a, b = (
            torch.from_numpy(rows).to(t1).reshape(4, *t1.shape)
            for rows in simulated_response(response, *given, slopes=True)
        )
        ctx.save_for_backward(a[1:], b[1:])
        return a[0].clone(), b[0].clone()

    @staticmethod
    def backward(ctx: Any, d_a: Tensor, d_b: Tensor) -> tuple[Tensor | None, ...]:
        a_slopes, b_slopes = ctx.saved_tensors
        return None, *(d_a * a_slopes + d_b * b_slopes)
