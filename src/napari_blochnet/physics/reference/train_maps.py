"""Whole trains in the two pictures of `formalism`, with all that is played around their pulses.

A preparation is written here as what it is, rotations and relaxation between two spoilers. Of a train that is played
more than once, the plays before the last are one affine map themselves, and the steady state is its fixed point.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from napari_blochnet.common.arrays import ComplexArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.physics.preparation_maps import simulated_response
from napari_blochnet.physics.reference.formalism import (
    AffineMap,
    configuration_states,
    epg_gradient,
    epg_relaxation,
    epg_rf,
    gradient_rotation,
    inversion,
    relaxation,
    rf_pulse,
)
from napari_blochnet.schedules.preparations import Preparation
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["epg_preparation", "epg_spoiler", "preparation_map", "spoiler", "train_map", "train_states"]


def spoiler() -> AffineMap:
    """Return a spoiler that nothing undoes: Mx = My = 0."""
    return AffineMap(np.diag([0.0, 0.0, 1.0]), np.zeros(3))


def preparation_map(preparation: Preparation, t1: float, t2: float, b1: float = 1.0) -> AffineMap:
    """Return a preparation between two spoilers, then its delay; T1 and T2 in ms.

    A saturation is a pulse of arccos(1 − η), a T2 preparation a pulse of 90°, ideal refocusing for its duration, and
    the opposite pulse; B1 scales them unless they are adiabatic. The efficiency of a T2 preparation is the part that is
    left of what it brings back along the field.
    """
    efficiency, field = preparation.efficiency, 1.0 if preparation.adiabatic else b1
    acts = AffineMap(np.eye(3), np.zeros(3))
    if preparation.kind == "inversion":
        acts = inversion(efficiency)
    elif preparation.kind == "saturation":
        acts = rf_pulse(field * np.rad2deg(np.arccos(1.0 - efficiency)))
    elif preparation.kind == "t2":
        echo = relaxation(preparation.duration, t1, t2) @ rf_pulse(90.0 * field)
        acts = AffineMap(efficiency * np.eye(3), np.zeros(3)) @ rf_pulse(-90.0 * field) @ echo
    elif preparation.response is not None:
        a, b = simulated_response(preparation.response, np.array([t1]), np.array([t2]), np.array([b1]))
        acts = AffineMap(a[0] * np.eye(3), np.array([0.0, 0.0, b[0]]))
    return relaxation(preparation.delay, t1, t2) @ spoiler() @ acts @ spoiler()


def train_map(
    schedule: Schedule,
    t1: float,
    t2: float,
    position: ArrayLike,
    b1: float = 1.0,
    *,
    pulses: int | None = None,
    sampled: bool = False,
) -> AffineMap:
    """Return a whole train, all plays of it, as one affine map per isochromat, M_L = A·M₀ + B.

    Parameters
    ----------
    schedule : Schedule
        The train, its preparations included. A steady state does not depend on M₀: A is 0.
    t1, t2 : float
        Relaxation times, ms.
    position : array_like of shape (...)
        Where in the voxel the isochromats are, in units of the length over which one TR's gradient dephases by 360°.
    b1 : float
        Relative transmit field; scales the excitation pulses, and of the preparations those that are not adiabatic.
    pulses : int, optional
        How many pulses of the last play to go through; all by default.
    sampled : bool
        Stop at the echo time of the last of them, where its signal is sampled, instead of at the end of its TR.

    Returns
    -------
    AffineMap
        A of shape (..., 3, 3), B of shape (..., 3).
    """
    count = _pulse_count(schedule, pulses)
    turn = gradient_rotation(360.0 * np.asarray(position, dtype=np.float64))
    start = AffineMap(np.broadcast_to(np.eye(3), turn.A.shape), turn.B)
    last = _play(schedule, t1, t2, turn, b1, count, sampled)
    if schedule.trains == 1:
        return last @ start
    between = spoiler() @ relaxation(schedule.recovery_time, t1, t2) @ _play(schedule, t1, t2, turn, b1, len(schedule))
    if schedule.trains == "steady":
        return last @ _fixed_point(between)
    for _ in range(schedule.trains - 1):
        start = between @ start
    return last @ start


def _play(
    schedule: Schedule, t1: float, t2: float, turn: AffineMap, b1: float, count: int, sampled: bool = False
) -> AffineMap:
    """One play of a train from before its first preparation; ``turn`` is the gradient of one TR."""
    before_pulse = _before_pulse(schedule)
    total = AffineMap(np.eye(3), np.zeros(3))
    for n in range(count):
        te, tr = schedule.echo_time[n], schedule.repetition_time[n]
        for preparation in before_pulse[n]:
            total = preparation_map(preparation, t1, t2, b1) @ total
        total = relaxation(te, t1, t2) @ rf_pulse(b1 * schedule.flip_angle[n], schedule.rf_phase[n]) @ total
        if n < count - 1 or not sampled:
            total = turn @ relaxation(tr - te - _time(before_pulse[n + 1]), t1, t2) @ total
    return total


def _fixed_point(play: AffineMap) -> AffineMap:
    """Return M = (1 − A)⁻¹·B, which M ↦ A·M + B leaves as it is, as a map from anything to it."""
    fixed = np.linalg.solve(np.eye(3) - play.A, play.B[..., None])[..., 0]
    return AffineMap(np.zeros_like(play.A), fixed)


def epg_spoiler(Q: ArrayLike) -> ComplexArray:
    """Apply a spoiler that nothing undoes to a state matrix Q of shape (3, K): F = 0, every Z as it was."""
    return np.asarray(np.asarray(Q, dtype=complex) * np.array([[0.0], [0.0], [1.0]]))


def epg_preparation(Q: ArrayLike, preparation: Preparation, t1: float, t2: float, b1: float = 1.0) -> ComplexArray:
    """Apply what `preparation_map` is to a state matrix Q of shape (3, K)."""
    states, efficiency, field = epg_spoiler(Q), preparation.efficiency, 1.0 if preparation.adiabatic else b1
    if preparation.kind == "inversion":
        states = -efficiency * states
    elif preparation.kind == "saturation":
        states = epg_rf(states, field * float(np.rad2deg(np.arccos(1.0 - efficiency))))
    elif preparation.kind == "t2":
        echo = epg_relaxation(epg_rf(states, 90.0 * field), preparation.duration, t1, t2)
        states = efficiency * epg_rf(echo, -90.0 * field)
    elif preparation.response is not None:
        a, b = simulated_response(preparation.response, np.array([t1]), np.array([t2]), np.array([b1]))
        states = a[0] * states
        states[2, 0] += b[0]
    return epg_relaxation(epg_spoiler(states), preparation.delay, t1, t2)


def train_states(
    schedule: Schedule, t1: float, t2: float, b1: float = 1.0, *, pulses: int | None = None, sampled: bool = False
) -> ComplexArray:
    """Return the configuration state matrix Q after a train, all plays of it, with every order it can have reached.

    Parameters
    ----------
    schedule : Schedule
        The train, its preparations included. A slice profile is left out: it is several voxels, each with its own Q.
    t1, t2, b1, pulses, sampled
        As in `train_map`.

    Returns
    -------
    ndarray of shape (3, K), complex
        K is one more than the number of gradients passed; the orders of a steady state are those that are left above
        rounding. ``Q[0, 0]`` at the echo is the signal before the receiver's phase i·exp(−iφ).
    """
    count = _pulse_count(schedule, pulses)
    Q = np.array([[0.0], [0.0], [1.0]], dtype=complex)
    if schedule.trains == "steady":
        Q = _steady_states(schedule, t1, t2, b1)
    else:
        for _ in range(schedule.trains - 1):
            Q = _epg_play(schedule, Q, t1, t2, b1, len(schedule))
            Q = epg_spoiler(epg_relaxation(Q, schedule.recovery_time, t1, t2))
    return _epg_play(schedule, Q, t1, t2, b1, count, sampled)


def _epg_play(
    schedule: Schedule, Q: ComplexArray, t1: float, t2: float, b1: float, count: int, sampled: bool = False
) -> ComplexArray:
    before_pulse = _before_pulse(schedule)
    for n in range(count):
        te, tr = schedule.echo_time[n], schedule.repetition_time[n]
        for preparation in before_pulse[n]:
            Q = epg_preparation(Q, preparation, t1, t2, b1)
        Q = epg_relaxation(epg_rf(Q, b1 * schedule.flip_angle[n], schedule.rf_phase[n]), te, t1, t2)
        if n < count - 1 or not sampled:
            Q = epg_gradient(epg_relaxation(Q, tr - te - _time(before_pulse[n + 1]), t1, t2))
    return Q


def _steady_states(schedule: Schedule, t1: float, t2: float, b1: float) -> ComplexArray:
    """Q before the train that repeats itself: what a play acts on lies along the field, at each place by itself."""
    # Order k has been transverse for k TRs: exp(−k·TR/T2) of it is left.
    orders = int(np.ceil(-np.log(np.finfo(np.float64).eps) * t2 / schedule.repetition_time.min()))
    places = 2 * orders + 1
    turn = gradient_rotation(360.0 * np.arange(places) / places)
    play = _play(schedule, t1, t2, turn, b1, len(schedule))
    start = _fixed_point(spoiler() @ relaxation(schedule.recovery_time, t1, t2) @ play)
    return configuration_states(start.B)


def _before_pulse(schedule: Schedule) -> list[list[Preparation]]:
    """What is played before each pulse, and nothing behind the last."""
    found = schedule.preparations_by_pulse()
    return [found.get(n, []) for n in range(len(schedule) + 1)]


def _time(preparations: list[Preparation]) -> float:
    return sum(preparation.time for preparation in preparations)


def _pulse_count(schedule: Schedule, pulses: int | None) -> int:
    if pulses is None:
        return len(schedule)
    if not 1 <= pulses <= len(schedule):
        raise InputError(f"pulses is {pulses}", f"1 to {len(schedule)}, the schedule's", field="pulses")
    return pulses
