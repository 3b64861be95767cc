"""Slice profiles: the relative flip angles that a slice-selective pulse gives across the slice.

A schedule takes them as `Schedule.slice_profile`: P equally weighted positions, each with its flip angle relative to
the nominal one, over which signals are averaged. Positions are the midpoints of P equal parts of ``extent`` slice
thicknesses around the slice's centre. Averaging instead of integrating means that PD is relative to the density times
``extent``.

Two theories give the flip angle at a position. For small flip angles it is the Fourier transform of the pulse envelope
(Pauly et al., J Magn Reson 81:43 (1989)), whatever the nominal flip angle. For any flip angle it follows from the Bloch
equations without relaxation: the pulse is cut into hard pulses separated by precession, whose rotations are multiplied
as Cayley–Klein parameters, the forward Shinnar–Le Roux transform (Pauly et al., IEEE Trans Med Imaging 10:53 (1991)).
Such a profile belongs to one nominal flip angle; a schedule has one profile for all its pulses, so that of a typical
pulse is what to give it. The phase that refocusing leaves across the slice after large flip angles is not part of it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import InputError

__all__ = [
    "gaussian_profile",
    "gaussian_pulse",
    "simulated_flip_angle",
    "sinc_profile",
    "sinc_pulse",
    "slice_positions",
    "small_tip_flip_angle",
]

# Hard pulses per unit of time-bandwidth product, when a profile is asked for and no pulse given: at 64 the profile of
# a 90° pulse differs from its limit by less than 1e-4 (tested).
_SAMPLES_PER_CYCLE = 64


def sinc_profile(
    positions: int = 11, time_bandwidth: float = 4.0, extent: float = 2.0, flip_angle: float | None = None
) -> FloatArray:
    """Return the slice profile of a Hann-windowed sinc pulse.

    Parameters
    ----------
    positions : int
        P, the number of positions across the slice; at least 1.
    time_bandwidth : float
        Duration times bandwidth of the pulse, which is its number of sinc zero crossings; above 0.
    extent : float
        What the positions cover, in slice thicknesses; above 0. The profile of a pulse reaches beyond the slice, the
        more so the smaller the time-bandwidth product: at 4, 2 slice thicknesses hold all of it but side lobes.
    flip_angle : float, optional
        Nominal flip angle, degrees, for a Bloch-simulated profile. None: the small-tip profile.

    Returns
    -------
    ndarray of shape (P,)
        Relative flip angles, 1 at the slice's centre; below 0 in side lobes of opposite phase.

    Examples
    --------
    >>> sinc_profile(5, time_bandwidth=4.0, extent=2.0).round(3)
    array([0.049, 0.685, 1.   , 0.685, 0.049])
    """
    pulse = sinc_pulse(time_bandwidth, _sample_count(time_bandwidth))
    return _profile(pulse, positions, time_bandwidth, extent, flip_angle)


def gaussian_profile(
    positions: int = 11, time_bandwidth: float = 3.0, extent: float = 3.0, flip_angle: float | None = None
) -> FloatArray:
    """Return the slice profile of a Gaussian pulse.

    Parameters
    ----------
    positions, extent, flip_angle
        As in `sinc_profile`. A Gaussian profile is wider: of the small-tip one, 2 % of the maximum is left at a
        distance of 1.2 slice thicknesses.
    time_bandwidth : float
        Duration times bandwidth (full width at half maximum of the spectrum); 1.5 or more, below which the pulse's
        cut ends shape the profile more than the Gaussian does.

    Returns
    -------
    ndarray of shape (P,)
        Relative flip angles, 1 at the slice's centre.
    """
    pulse = gaussian_pulse(time_bandwidth, _sample_count(time_bandwidth))
    return _profile(pulse, positions, time_bandwidth, extent, flip_angle)


def slice_positions(positions: int, extent: float) -> FloatArray:
    """Return P positions in slice thicknesses: the midpoints of P equal parts of ``extent`` around 0."""
    if positions < 1:
        raise InputError(f"positions is {positions}", "at least 1", field="positions")
    _check_positive("extent", extent)
    return extent * ((np.arange(positions) + 0.5) / positions - 0.5)


def sinc_pulse(time_bandwidth: float, samples: int) -> FloatArray:
    """Return a Hann-windowed sinc envelope at the midpoints of ``samples`` equal steps; its sum is 1.

    sinc(b·t)·(1 + cos 2πt)/2 for −½ < t < ½, b the time-bandwidth product (Bernstein, King, Zhou, Handbook of MRI Pulse
    Sequences (2004), section 2.2).
    """
    _check_positive("time_bandwidth", time_bandwidth)
    t = _times(samples)
    return _unit_area(np.sinc(time_bandwidth * t) * 0.5 * (1.0 + np.cos(2.0 * np.pi * t)))


def gaussian_pulse(time_bandwidth: float, samples: int) -> FloatArray:
    """Return a Gaussian envelope at the midpoints of ``samples`` equal steps; its sum is 1.

    exp(−t²/2s²) for −½ < t < ½, where s = √(2 ln 2)/(π·b) makes the full width at half maximum of the spectrum b, the
    time-bandwidth product (Bernstein, King, Zhou, Handbook of MRI Pulse Sequences (2004), section 4.1).
    """
    _check_positive("time_bandwidth", time_bandwidth)
    if time_bandwidth < 1.5:
        sentence = f"time_bandwidth is {time_bandwidth:g}; a Gaussian pulse takes 1.5 or more."
        raise InputError(sentence, field="time_bandwidth")
    s = math.sqrt(2.0 * math.log(2.0)) / (math.pi * time_bandwidth)
    return _unit_area(np.exp(-0.5 * (_times(samples) / s) ** 2))


def small_tip_flip_angle(pulse: ArrayLike, time_bandwidth: float, position: ArrayLike) -> FloatArray:
    """Return relative flip angles by the small-tip approximation, the Fourier transform of the envelope.

    Parameters
    ----------
    pulse : array_like of shape (S,)
        Real envelope at the midpoints of S equal steps, symmetric in time.
    time_bandwidth : float
        Duration times the bandwidth that selects one slice thickness.
    position : array_like of shape (...)
        Slice thicknesses from the centre.

    Returns
    -------
    ndarray of shape (...)
    """
    envelope, cycles = _envelope(pulse), time_bandwidth * np.asarray(position, dtype=np.float64)
    t = _times(len(envelope))
    return np.asarray(np.cos(2.0 * np.pi * cycles[..., None] * t) @ envelope)


def simulated_flip_angle(pulse: ArrayLike, time_bandwidth: float, position: ArrayLike, flip_angle: float) -> FloatArray:
    """Return relative flip angles by the forward Shinnar–Le Roux transform, exact for hard pulses.

    Every sample is a rotation about x by its share of the flip angle between two half steps of precession. In
    Cayley–Klein parameters it takes (a, b) to (c·a − s·b, s·a + c·b) but for factors i, with c and s the cosine and
    sine of half the angle, and precession multiplies a and b by opposite phases; what the whole pulse leaves of an
    equilibrium of 1 is Mz = 1 − 2|b|².

    Parameters
    ----------
    pulse, time_bandwidth, position
        As in `small_tip_flip_angle`.
    flip_angle : float
        Nominal flip angle, degrees: that at the slice's centre; above 0, at most 180.

    Returns
    -------
    ndarray of shape (...)
        Angle between the magnetisation and z, over the nominal flip angle. It is negative where the rephased
        transverse magnetisation points opposite to that at the centre.
    """
    envelope = _envelope(pulse)
    if not 0.0 < flip_angle <= 180.0:
        raise InputError(f"flip_angle is {flip_angle:g}°", "above 0 and at most 180°", field="flip_angle")
    nominal = math.radians(flip_angle)
    z = np.asarray(position, dtype=np.float64)
    half_step = np.exp(0.5j * np.pi * time_bandwidth * z / len(envelope))
    a, b = np.ones(z.shape, dtype=complex), np.zeros(z.shape, dtype=complex)
    for half_angle in 0.5 * nominal * envelope:
        c, s = math.cos(half_angle), math.sin(half_angle)
        a, b = a * half_step.conj(), b * half_step
        a, b = (c * a - 1j * s * b) * half_step.conj(), (c * b - 1j * s * a) * half_step
    # Of a time-symmetric pulse, b is imaginary: the rotation axis of what remains once precession is unwound is x.
    angle = 2.0 * np.arcsin(np.clip(np.abs(b), 0.0, 1.0))
    return np.asarray(np.copysign(angle, -b.imag) / nominal)


def _profile(
    pulse: FloatArray, positions: int, time_bandwidth: float, extent: float, flip_angle: float | None
) -> FloatArray:
    z = slice_positions(positions, extent)
    if flip_angle is None:
        return small_tip_flip_angle(pulse, time_bandwidth, z)
    return simulated_flip_angle(pulse, time_bandwidth, z, flip_angle)


def _sample_count(time_bandwidth: float) -> int:
    return max(256, math.ceil(_SAMPLES_PER_CYCLE * time_bandwidth)) if math.isfinite(time_bandwidth) else 1


def _times(samples: int) -> FloatArray:
    if samples < 1:
        raise InputError(f"samples is {samples}", "at least 1", field="samples")
    return (np.arange(samples) + 0.5) / samples - 0.5


def _unit_area(envelope: FloatArray) -> FloatArray:
    return np.asarray(envelope / envelope.sum())


def _envelope(pulse: ArrayLike) -> FloatArray:
    envelope = np.asarray(pulse, dtype=np.float64)
    if envelope.ndim != 1 or envelope.size == 0 or not np.isfinite(envelope).all() or envelope.sum() == 0.0:
        raise InputError("pulse is not an envelope", "one row of finite samples whose sum is not 0", field="pulse")
    if not np.allclose(envelope, envelope[::-1], rtol=0.0, atol=1e-9 * np.abs(envelope).max()):
        sentence = "pulse is not symmetric in time; a slice profile as relative flip angles needs it to be."
        raise InputError(sentence, field="pulse")
    return _unit_area(envelope)


def _check_positive(key: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0.0):
        raise InputError(f"{key} is {value:g}", "a number above 0", field=key)
