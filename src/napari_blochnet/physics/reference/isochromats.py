"""The same physics without configuration states: isochromats, three real numbers each, turned and relaxed.

This is the simulation of the paper's appendix A.1 and the independent witness of the extended phase graph: it shares
no code with it. Rotations are right-handed about their axis, so that a 90° pulse of phase 0 (about +x) turns +z to −y,
as in Weigel 2015.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from napari_blochnet.common.arrays import ComplexArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.physics.preparation_maps import simulated_response
from napari_blochnet.schedules.preparations import Preparation
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["bloch_signal"]


def bloch_signal(
    schedule: Schedule, t1: ArrayLike, t2: ArrayLike, b1: ArrayLike = 1.0, isochromats: int | None = None
) -> ComplexArray:
    """Signal of a gradient-spoiled train by averaging isochromats, in the receiver's frame.

    Each TR dephases the isochromats over one full cycle across the voxel; their mean transverse magnetisation
    Mx + i·My at the echo time, times i·exp(−iφ), is the signal.

    Parameters
    ----------
    schedule : Schedule
        N pulses, with all that is played around them. A slice profile is averaged over.
    t1, t2, b1 : array_like of shape (...)
        ms, ms, relative to nominal; they broadcast. B1 scales the flip angles, and of the preparations those that are
        not adiabatic.
    isochromats : int, optional
        How many sample the cycle of dephasing. None: 2·N + 2. From N on the mean is that of a continuum,
        to rounding, since N gradients make no harmonic above N − 1; where more trains than one are played, harmonics
        live on along the field, and there are more isochromats, as the longest T2 asks for.

    Returns
    -------
    ndarray of shape (..., N), complex128

    Raises
    ------
    InputError
        T1 or T2 not positive and finite, B1 negative or not finite, fewer than one isochromat.

    References
    ----------
    Appendix A.1 of "Physics-based Decoding Improves Magnetic Resonance Fingerprinting" (2022); Bloch, Phys Rev 70:460
    (1946).

    Examples
    --------
    >>> from napari_blochnet import Schedule, bloch_signal
    >>> bloch_signal(Schedule(30.0, [10.0, 10.0, 10.0], 5.0), t1=1000.0, t2=100.0).real.round(6)
    array([0.475615, 0.412528, 0.335848])
    """
    if isochromats is not None and int(isochromats) < 1:
        raise InputError(f"isochromats is {int(isochromats)}", "at least 1", field="isochromats")
    tissue = (_values("t1", t1, above=True), _values("t2", t2, above=True), _values("b1", b1, above=False))
    t1_all, t2_all, b1_all = (values[..., None] for values in np.broadcast_arrays(*tissue))
    count = _enough(schedule, t2_all) if isochromats is None else int(isochromats)
    # Turn of each isochromat by one gradient: the same for all tissues.
    cycle = 2 * np.pi * np.arange(count) / count
    profile = np.ones(1) if schedule.slice_profile is None else schedule.slice_profile
    signal = np.zeros((*t1_all.shape[:-1], len(schedule)), dtype=np.complex128)
    for scale in profile:
        signal += _trains(schedule, t1_all, t2_all, b1_all, scale, cycle) / len(profile)
    return signal


def _enough(schedule: Schedule, t2: FloatArray) -> int:
    """Return how many isochromats have the mean of a continuum, to rounding."""
    plain = 2 * len(schedule) + 2
    if schedule.trains == 1 or t2.size == 0:
        return plain
    # Harmonic k needs k gradients, during which it was transverse: exp(−k·TR/T2) of it is left.
    left = int(np.ceil(-np.log(np.finfo(np.float64).eps) * t2.max() / schedule.repetition_time.min()))
    most = max(plain, left)
    return most if schedule.trains == "steady" else min(most, schedule.trains * len(schedule) + 2)


def _trains(
    schedule: Schedule, t1: FloatArray, t2: FloatArray, b1: FloatArray, scale: float, cycle: FloatArray
) -> ComplexArray:
    """Play all trains, the first from equilibrium, and return the samples of the last."""

    def play(z: FloatArray) -> tuple[ComplexArray, FloatArray]:
        return _train(schedule, z, t1, t2, b1, scale, cycle)

    z: FloatArray = np.ones(t1.shape[:-1] + cycle.shape)
    if schedule.trains == "steady":
        # Transverse magnetisation does not live on: of each isochromat, Mz at the end of a train is a·Mz + b.
        b = play(np.zeros_like(z))[1]
        a = play(z)[1] - b
        z = b / (1.0 - a)
    else:
        for _ in range(schedule.trains - 1):
            z = play(z)[1]
    return play(z)[0]


def _train(
    schedule: Schedule,
    z: FloatArray,
    t1: FloatArray,
    t2: FloatArray,
    b1: FloatArray,
    scale: float,
    cycle: FloatArray,
) -> tuple[ComplexArray, FloatArray]:
    """Play one train from longitudinal magnetisation z; return its samples and z after the recovery."""
    x, y = np.zeros_like(z), np.zeros_like(z)
    signal = np.empty((*t1.shape[:-1], len(schedule)), dtype=np.complex128)
    preparations, taken = schedule.all_preparations, np.zeros(len(schedule) + 1)
    for preparation in preparations:
        taken[preparation.before] += preparation.duration + preparation.delay
    for n in range(len(schedule)):
        for preparation in preparations:
            if preparation.before == n:
                z = _prepare(preparation, z, t1, t2, b1)
                x, y = np.zeros_like(z), np.zeros_like(z)
        phase = np.deg2rad(schedule.rf_phase[n])
        te, tr = schedule.echo_time[n], schedule.repetition_time[n]
        x, y = _about_z(x, y, -phase)
        # about x: y and z turn as x and y about z
        y, z = _about_z(y, z, np.deg2rad(schedule.flip_angle[n]) * (scale * b1))
        x, y = _about_z(x, y, phase)
        x, y, z = _relax(x, y, z, te, t1, t2)
        signal[..., n] = 1j * np.exp(-1j * phase) * (x.mean(axis=-1) + 1j * y.mean(axis=-1))
        x, y, z = _relax(x, y, z, tr - te - taken[n + 1], t1, t2)
        x, y = _about_z(x, y, cycle)
    return signal, _relax(x, y, z, schedule.recovery_time, t1, t2)[2]


def _prepare(preparation: Preparation, z: FloatArray, t1: FloatArray, t2: FloatArray, b1: FloatArray) -> FloatArray:
    """Turn and relax longitudinal magnetisation as a preparation and its delay do; both ends are spoiled."""
    nothing, field = np.zeros_like(z), 1.0 if preparation.adiabatic else b1
    if preparation.kind == "inversion":
        z = -preparation.efficiency * z
    elif preparation.kind == "saturation":
        _, z = _about_z(nothing, z, np.arccos(1.0 - preparation.efficiency) * field)
    elif preparation.kind == "t2":
        y, z = _about_z(nothing, z, np.pi / 2 * field)
        _, y, z = _relax(nothing, y, z, preparation.duration, t1, t2)
        z = preparation.efficiency * _about_z(y, z, -np.pi / 2 * field)[1]
    elif preparation.kind == "simulated" and preparation.response is not None:
        tissue = (np.broadcast_to(values, t1.shape).ravel() for values in (t1, t2, b1))
        a, b = (values.reshape(t1.shape) for values in simulated_response(preparation.response, *tissue))
        z = a * z + b
    return _relax(nothing, nothing, z, preparation.delay, t1, t2)[2]


def _about_z(x: FloatArray, y: FloatArray, angle: FloatArray | float) -> tuple[FloatArray, FloatArray]:
    cosine, sine = np.cos(angle), np.sin(angle)
    return cosine * x - sine * y, sine * x + cosine * y


def _relax(
    x: FloatArray, y: FloatArray, z: FloatArray, duration: float, t1: FloatArray, t2: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    e1, e2 = np.exp(-duration / t1), np.exp(-duration / t2)
    return e2 * x, e2 * y, e1 * z + (1 - e1)


def _values(key: str, given: ArrayLike, *, above: bool) -> FloatArray:
    values = np.asarray(given, dtype=np.float64)
    good = np.isfinite(values) & ((values > 0) if above else (values >= 0))
    if not good.all():
        expected = "a finite number above 0 ms" if above else "a finite number of at least 0"
        raise InputError(f"{key} is {values[~good].flat[0]:g}", expected, field=key)
    return values
