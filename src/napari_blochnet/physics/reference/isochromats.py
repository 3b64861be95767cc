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
        N pulses. A slice profile is averaged over.
    t1, t2, b1 : array_like of shape (...)
        ms, ms, relative to nominal; they broadcast. B1 scales the flip angles, not the inversion.
    isochromats : int, optional
        How many sample the cycle of dephasing. None: 2·N + 2. From N on the mean is that of a continuum,
        to rounding, since N gradients make no harmonic above N − 1.

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
    count = 2 * len(schedule) + 2 if isochromats is None else int(isochromats)
    if count < 1:
        raise InputError(f"isochromats is {count}", "at least 1", field="isochromats")
    tissue = (_values("t1", t1, above=True), _values("t2", t2, above=True), _values("b1", b1, above=False))
    t1_all, t2_all, b1_all = np.broadcast_arrays(*tissue)
    # Turn of each isochromat by one gradient: the same for all tissues.
    cycle = 2 * np.pi * np.arange(count) / count
    profile = np.ones(1) if schedule.slice_profile is None else schedule.slice_profile
    signal = np.zeros((*t1_all.shape, len(schedule)), dtype=np.complex128)
    for scale in profile:
        transmit = scale * b1_all[..., None]
        signal += _train(schedule, t1_all[..., None], t2_all[..., None], transmit, cycle) / len(profile)
    return signal


def _train(schedule: Schedule, t1: FloatArray, t2: FloatArray, transmit: FloatArray, cycle: FloatArray) -> ComplexArray:
    x: FloatArray = np.zeros(t1.shape[:-1] + cycle.shape)
    y: FloatArray = x.copy()
    z: FloatArray = x + 1.0
    if schedule.inversion_time is not None:
        x, y, z = _relax(x, y, -schedule.inversion_efficiency * z, schedule.inversion_time, t1, t2)
    signal = np.empty((*t1.shape[:-1], len(schedule)), dtype=np.complex128)
    for n in range(len(schedule)):
        phase = np.deg2rad(schedule.rf_phase[n])
        te, tr = schedule.echo_time[n], schedule.repetition_time[n]
        x, y = _about_z(x, y, -phase)
        y, z = _about_z(y, z, np.deg2rad(schedule.flip_angle[n]) * transmit)  # about x: y and z turn as x and y about z
        x, y = _about_z(x, y, phase)
        x, y, z = _relax(x, y, z, te, t1, t2)
        signal[..., n] = 1j * np.exp(-1j * phase) * (x.mean(axis=-1) + 1j * y.mean(axis=-1))
        x, y, z = _relax(x, y, z, tr - te, t1, t2)
        x, y = _about_z(x, y, cycle)
    return signal


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
