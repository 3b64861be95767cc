"""Schedules made by rule: the published FISP train, random splines, smooth random TRs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.schedules.preparations import Preparation
from napari_blochnet.schedules.published import PUBLISHED_LENGTH, published_flip_angle, published_repetition_time
from napari_blochnet.schedules.schedule import Schedule, Trains

__all__ = ["MAX_LENGTH", "fisp_schedule", "perlin_repetition_time", "spline_schedule"]

#: Pulses that a generated schedule may have at most; the longest published trains have a few thousand.
MAX_LENGTH = 100_000


def fisp_schedule(
    echo_time: float = 10.0,
    inversion_time: float | None = 0.0,
    inversion_efficiency: float = 1.0,
    preparations: Iterable[Preparation | str] = (),
    recovery_time: float = 0.0,
    trains: Trains = 1,
) -> Schedule:
    """Return the published FISP schedule: 1000 flip angles from 0° to 70°, TR from 11.67 to 14.33 ms.

    Parameters
    ----------
    echo_time : float
        TE of every pulse, ms; at most the smallest TR, 11.67 ms.
    inversion_time : float or None
        TI, ms. 0: perfect inversion right before the first pulse, as in the paper. None: no inversion pulse.
    inversion_efficiency : float
        η from 0 to 1: the inversion turns the equilibrium 1 into −η.
    preparations : iterable of Preparation, or of words
        What is played before pulses, as `Schedule` takes it. The TRs in which they lie are longer by what they take.
    recovery_time, trains
        As `Schedule` takes them.

    Returns
    -------
    Schedule
        Flip angles within 0.005° and TRs within 0.005 ms of the published tables.

    Raises
    ------
    InputError
        A TE or TI out of range.

    Notes
    -----
    Jiang, Ma, Seiberlich, Gulani, Griswold: MR fingerprinting using fast imaging with steady state precession (FISP)
    with spiral readout. Magn Reson Med 74:1621 (2015).

    Examples
    --------
    >>> fisp_schedule().describe()
    'FISP: 1000 pulses, flip angle 0–70°, TR 11.67–14.33 ms, TE 10 ms, inversion, TI 0 ms'
    """
    return _schedule(
        published_flip_angle(),
        published_repetition_time(),
        preparations,
        echo_time=echo_time,
        inversion_time=inversion_time,
        inversion_efficiency=inversion_efficiency,
        recovery_time=recovery_time,
        trains=trains,
        name="FISP",
    )


def spline_schedule(
    length: int = 1000,
    control_points: int = 5,
    noise_variance: float = 0.0,
    seed: int = 0,
    max_flip_angle: float = 120.0,
    echo_time: float = 10.0,
    inversion_time: float | None = 0.0,
    inversion_efficiency: float = 1.0,
    largest_flip_angle: float | None = None,
    preparations: Iterable[Preparation | str] = (),
    recovery_time: float = 0.0,
    trains: Trains = 1,
) -> Schedule:
    """Return a schedule of random flip angles: a cubic spline through random control points, with or without noise.

    The defaults are the paper's Spline5; 11 control points and a noise variance of 10 are its SplineNoise11.

    Parameters
    ----------
    length : int
        Number of pulses, 1 to 100,000. With 1000 the TRs are those of the published FISP schedule, as in the paper;
        other lengths get `perlin_repetition_time` of the same seed.
    control_points : int
        Equally spaced control points, 2 to 1000; their flip angles are uniform from 0 to `max_flip_angle`.
    noise_variance : float
        Variance of the Gaussian noise added to each flip angle, square degrees.
    seed : int
        At least 0. Equal seeds give equal schedules.
    max_flip_angle : float
        Of control points, degrees; above 0 and at most 180. Between them the spline may pass it, and noise, too, as
        published.
    echo_time : float
        TE of every pulse, ms.
    inversion_time : float or None
        TI, ms. 0: perfect inversion right before the first pulse, as in the paper. None: no inversion pulse.
    inversion_efficiency : float
        η from 0 to 1: the inversion turns the equilibrium 1 into −η.
    largest_flip_angle : float, optional
        Degrees, above 0 and at most 180: the train is scaled so that its largest flip angle is this. None: it is as
        control points and noise give it.
    preparations : iterable of Preparation, or of words
        What is played before pulses, as `Schedule` takes it. The TRs in which they lie are longer by what they take.
    recovery_time, trains
        As `Schedule` takes them.

    Returns
    -------
    Schedule
        Flip angles below 0° are set to 0°.

    Raises
    ------
    InputError
        A value out of range.
    """
    from scipy.interpolate import CubicSpline

    length = _integer("length", length, 1, MAX_LENGTH)
    control_points = _integer("control_points", control_points, 2, 1000)
    seed = _integer("seed", seed, 0, None)
    variance = _at_least_zero("noise_variance", noise_variance, "square degrees")
    for key, angle in (("max_flip_angle", max_flip_angle), ("largest_flip_angle", largest_flip_angle)):
        if angle is not None and not 0 < angle <= 180:
            raise InputError(f"{key} is {angle:g}°", "above 0° and at most 180°", field=key)
    random = np.random.default_rng(seed)
    control = random.uniform(0.0, max_flip_angle, control_points)
    spline = CubicSpline(np.linspace(0.0, 1.0, control_points), control)
    flip_angle = np.asarray(spline(np.linspace(0.0, 1.0, length)), dtype=np.float64)
    if variance:
        flip_angle = flip_angle + random.normal(0.0, math.sqrt(variance), length)
    flip_angle = np.maximum(flip_angle, 0.0)
    if largest_flip_angle is not None and flip_angle.max() > 0:
        # divided first: the largest is exactly what was asked for
        flip_angle = flip_angle / flip_angle.max() * largest_flip_angle
    if length == PUBLISHED_LENGTH:
        repetition_time = published_repetition_time()
    else:
        repetition_time = perlin_repetition_time(length, seed)
    return _schedule(
        flip_angle,
        repetition_time,
        preparations,
        echo_time=echo_time,
        inversion_time=inversion_time,
        inversion_efficiency=inversion_efficiency,
        recovery_time=recovery_time,
        trains=trains,
        name=f"Spline{'Noise' if variance else ''}{control_points}, seed {seed}",
    )


def _schedule(
    flip_angle: FloatArray, repetition_time: FloatArray, preparations: Iterable[Preparation | str], **more: Any
) -> Schedule:
    """Return a schedule whose TRs are longer by the preparations that lie in them."""
    first = Schedule(flip_angle, repetition_time, **more)
    read = [Preparation.from_text(item) if isinstance(item, str) else item for item in preparations]
    if not read:
        return first
    longer = first.repetition_time.copy()
    for item in read:
        if 0 < item.before < len(longer):
            longer[item.before - 1] += item.time
    return first.replace(repetition_time=longer, preparations=read)


def perlin_repetition_time(
    length: int, seed: int = 0, low: float = 11.5, high: float = 14.5, period: float = 90.0
) -> FloatArray:
    """Return smooth random repetition times: one octave of gradient noise, rescaled to a range.

    Parameters
    ----------
    length : int
        Number of pulses, 1 to 100,000.
    seed : int
        At least 0.
    low, high : float
        Smallest and largest TR, ms; 0 < low ≤ high. Both are reached wherever the noise varies at all.
    period : float
        Pulses between two nodes of the noise; above 1. At 90 the largest step from one TR to the next is, on average
        over seeds, the published schedule's 0.05 ms.

    Returns
    -------
    array of shape (length,)
        ms.

    Notes
    -----
    Perlin, Improving noise, ACM Trans Graph 21:681 (2002), in one dimension.
    """
    length = _integer("length", length, 1, MAX_LENGTH)
    seed = _integer("seed", seed, 0, None)
    if not 0 < low <= high < math.inf:
        raise InputError(f"The TR range is {low:g} to {high:g} ms", "0 < low ≤ high", field="low")
    if not 1 < period < math.inf:
        raise InputError(f"period is {period:g} pulses", "above 1", field="period")
    position = np.arange(length) / period
    node = position.astype(np.int64)
    t = position - node
    # a stream of its own, so that a spline of the same seed keeps its flip angles whatever its TRs
    gradient = np.random.default_rng((seed, 1)).uniform(-1.0, 1.0, int(node[-1]) + 2)
    fade = t**3 * (t * (6.0 * t - 15.0) + 10.0)
    noise = (1.0 - fade) * gradient[node] * t + fade * gradient[node + 1] * (t - 1.0)
    spread = float(np.ptp(noise))
    if spread == 0.0:
        return np.full(length, (low + high) / 2)
    # rounding must not carry a TR past the bounds that were asked for
    rescaled: FloatArray = np.clip(low + (high - low) * (noise - noise.min()) / spread, low, high)
    return rescaled


def _integer(key: str, value: int, low: int, high: int | None) -> int:
    expected = f"a whole number of at least {low}" if high is None else f"a whole number from {low} to {high}"
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InputError(f"{key} is {value!r}", expected, field=key)
    if value < low or (high is not None and value > high):
        raise InputError(f"{key} is {value}", expected, field=key)
    return int(value)


def _at_least_zero(key: str, value: float, unit: str) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"{key} is {value:g}", f"at least 0 {unit}", field=key)
    return float(value)
