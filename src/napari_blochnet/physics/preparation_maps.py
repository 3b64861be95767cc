"""What is played between two pulses, as one affine map of the longitudinal states for each voxel.

Every preparation ends with a spoiler, so that of its voxel only longitudinal states go on. On them it acts alike at
every place in the voxel, Mz ↦ A·Mz + B; of the configuration states, Z₀ becomes A·Z₀ + B and every other order A·Z_k.
Such maps compose, relaxation during the delays included, into one for each gap, with its derivatives beside it:

==================================  ==========================  ===================
inversion                           −η                          0
saturation, adiabatic               1 − η                       0
saturation                          cos(B1·arccos(1 − η))       0
T2 preparation, adiabatic           η·E2                        0
T2 preparation, tips θ = B1·90°     η·(sin²θ·E2 + cos²θ·E1)     η·cos θ·(1 − E1)
simulated                           a(T1, T2, B1)               b(T1, T2, B1)
relaxation                          E1                          1 − E1
==================================  ==========================  ===================

The second T2 preparation is what the Bloch equations leave of a tip down by θ, ideal refocusing over its duration and a
tip up: sin θ·Z is transverse and decays with T2; cos θ·Z stays along the field and recovers to E1·cos θ·Z + 1 − E1; the
tip up brings back sin θ of the one and cos θ of the other.

A whole play of a train acts in the same way at each place in the voxel: at the place where one gradient turns by θ,
Mz(θ) becomes a(θ)·Mz(θ) + b(θ), for all that is transverse is spoiled before the next play. On the orders this is a
convolution, so that two plays, one of Z₀ = 1 without recovery and one of nothing with it, give the coefficients of a
and b; any number of plays, or the steady state b/(1 − a), then follows place by place.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from napari_blochnet.common.arrays import FloatArray, IntArray
from napari_blochnet.schedules.preparations import Preparation, PreparationResponse
from napari_blochnet.schedules.schedule import Schedule

__all__ = [
    "ComposedGap",
    "GapMaps",
    "composed_gaps",
    "free_repetition_times",
    "gap_maps",
    "gap_of_pulse",
    "simulated_response",
]

# Voxels whose numbers stay in the cache from one preparation to the next.
_CHUNK = 8192


class GapMaps(NamedTuple):
    """The maps of G gaps on V voxels: Z₀ ↦ A·Z₀ + B, Z_k ↦ A·Z_k, F ↦ 0.

    Parameters
    ----------
    A, B : ndarray of shape (G, V)
    A_slopes, B_slopes : ndarray of shape (G, P, V)
        Their derivatives in T1 and T2 (per ms) and, where P is 3, in B1; P is 0 without derivatives.
    gap_of_pulse : int32 ndarray of shape (N,)
        Which of them is played right before each pulse, −1 where none is; see `gap_of_pulse`.
    """

    A: FloatArray
    B: FloatArray
    A_slopes: FloatArray
    B_slopes: FloatArray
    gap_of_pulse: IntArray


class ComposedGap(NamedTuple):
    """Z ↦ scale·Z + offset for V voxels, with its P derivatives; a number is the same for all of them."""

    scale: Any
    offset: Any
    d_scale: list[Any]
    d_offset: list[Any]


def gap_maps(
    schedule: Schedule,
    t1: FloatArray,
    t2: FloatArray,
    b1: FloatArray | None = None,
    *,
    tangents: int = 0,
    dtype: DTypeLike = np.float64,
) -> GapMaps:
    """Return what a schedule's preparations and delays do to the longitudinal states of each voxel.

    Parameters
    ----------
    schedule : Schedule
        N pulses. Where it is played more than once, gap 0 begins with its recovery time, which leaves the equilibrium
        from which the first play starts as it is.
    t1, t2 : ndarray of shape (V,)
        ms, above 0.
    b1 : ndarray of shape (V,), optional
        Relative transmit field; 1 where not given.
    tangents : int
        Derivatives: 0; 2, in T1 and T2; 3, in B1 too.
    dtype : numpy.dtype
        Of the result; all is computed in float64.

    Returns
    -------
    GapMaps
        Gaps in which the same is played share one map. Gap 0 is always there and before pulse 0, with A = 1 and B = 0
        where nothing is played.
    """
    tissue = [None if value is None else np.asarray(value, np.float64) for value in (t1, t2, b1)]
    gaps, voxels = gap_of_pulse(schedule), len(t1)
    shape = (int(gaps.max()) + 1, voxels)
    A, B = np.empty(shape, dtype), np.empty(shape, dtype)
    A_slopes, B_slopes = (np.empty((shape[0], tangents, voxels), dtype) for _ in range(2))
    for start in range(0, voxels, _CHUNK):
        part = slice(start, start + _CHUNK)
        chunk = [None if value is None else value[part] for value in tissue]
        for gap, whole in enumerate(composed_gaps(schedule, *chunk, tangents=tangents)):
            A[gap, part], B[gap, part] = whole.scale, whole.offset
            for p in range(tangents):
                A_slopes[gap, p, part], B_slopes[gap, p, part] = whole.d_scale[p], whole.d_offset[p]
    return GapMaps(A, B, A_slopes, B_slopes, gaps)


def composed_gaps(schedule: Schedule, t1: Any, t2: Any, b1: Any = None, *, tangents: int = 0) -> list[ComposedGap]:
    """Return the map of each gap of `gap_maps`, of arrays or of tensors wherever they are.

    Parameters
    ----------
    schedule, tangents
        As in `gap_maps`.
    t1, t2, b1 : float64 ndarray or Tensor of shape (V,)
    """
    composed = []
    for recovery, preparations in _gaps(schedule)[0]:
        whole = ComposedGap(1.0, 0.0, [0.0] * tangents, [0.0] * tangents)
        if recovery > 0.0:
            whole = _then(whole, _relaxation(recovery, t1, tangents))
        for preparation in preparations:
            whole = _then(whole, _preparation(preparation, t1, t2, b1, tangents))
            if preparation.delay > 0.0:
                whole = _then(whole, _relaxation(preparation.delay, t1, tangents))
        composed.append(whole)
    return composed


def gap_of_pulse(schedule: Schedule) -> IntArray:
    """Return which gap of `gap_maps` lies before each pulse: int32 of shape (N,), −1 where there is none.

    Pulse 0 always has gap 0.
    """
    return _gaps(schedule)[1]


def free_repetition_times(schedule: Schedule) -> FloatArray:
    """Return TR less what the preparations in it take, (N,), ms: the relaxation before the spoiler of each gap."""
    free = schedule.repetition_time.copy()
    for preparation in schedule.all_preparations:
        if preparation.before > 0:
            free[preparation.before - 1] -= preparation.time
    # A gap that is filled exactly may be left with the rounding of the sum.
    return np.asarray(np.maximum(free, schedule.echo_time))


def simulated_response(
    response: PreparationResponse, t1: FloatArray, t2: FloatArray, b1: FloatArray | None, *, slopes: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Return a and b of a simulated preparation, between the points of its grid.

    Parameters
    ----------
    response : PreparationResponse
    t1, t2, b1 : ndarray of shape (V,)
        ms, ms, relative; 1 where ``b1`` is None. Beyond the grid its edge holds, and slopes are 0.
    slopes : bool
        Return the derivatives in T1, T2 (per ms) and B1 behind each.

    Returns
    -------
    a, b : ndarray of shape (V,), or (4, V) with ``slopes``

    Notes
    -----
    Splines in log T1, log T2 and B1: cubic, of the degree that the grid allows where it has fewer than four points.
    """
    spline, ends = _response_spline(response)
    given = [np.log(t1), np.log(t2), np.ones_like(t1) if b1 is None else b1]
    inside = np.stack([np.clip(x, low, high) for x, (low, high) in zip(given, ends, strict=True)], axis=-1)
    values = [spline(inside)]
    if slopes:
        for axis, (x, scale) in enumerate(zip(given, (t1, t2, np.ones_like(t1)), strict=True)):
            order = np.eye(3, dtype=np.int64)[axis]
            moved = (x == inside[:, axis])[:, None]
            values.append(np.where(moved, spline(inside, nu=order), 0.0) / scale[:, None])
    a, b = np.moveaxis(np.stack(values), -1, 0)
    return (a, b) if slopes else (a[0], b[0])


@lru_cache(maxsize=64)
def _gaps(schedule: Schedule) -> tuple[list[tuple[float, list[Preparation]]], IntArray]:
    """Return what is played in each gap that differs, recovery first, and which of them is before each pulse."""
    contents: list[tuple[float, list[Preparation]]] = [(0.0 if schedule.trains == 1 else schedule.recovery_time, [])]
    by_pulse = schedule.preparations_by_pulse()
    contents[0][1].extend(by_pulse.pop(0, []))
    gaps = np.full(len(schedule), -1, np.int32)
    gaps[0] = 0
    known: dict[tuple[tuple[object, ...], ...], int] = {}
    for pulse, preparations in by_pulse.items():
        key = tuple((p.kind, p.duration, p.delay, p.efficiency, p.adiabatic, p.response) for p in preparations)
        if key not in known:
            known[key] = len(contents)
            contents.append((0.0, preparations))
        gaps[pulse] = known[key]
    gaps.setflags(write=False)
    return contents, gaps


def _then(first: ComposedGap, second: ComposedGap) -> ComposedGap:
    pairs = list(zip(first.d_scale, first.d_offset, second.d_scale, second.d_offset, strict=True))
    return ComposedGap(
        second.scale * first.scale,
        second.scale * first.offset + second.offset,
        [d_scale * first.scale + second.scale * d_first for d_first, _, d_scale, _ in pairs],
        [d_scale * first.offset + second.scale * d_first + d_offset for _, d_first, d_scale, d_offset in pairs],
    )


def _library(values: Any) -> Any:
    """The one whose exp, sin and cos are for ``values``."""
    if isinstance(values, np.ndarray):
        return np
    import torch

    return torch


def _relaxation(duration: float, t1: Any, tangents: int) -> ComposedGap:
    """E1 and 1 − E1."""
    recovered = -_library(t1).expm1(-duration / t1)
    slopes: list[Any] = [0.0] * tangents
    back = list(slopes)
    if tangents:
        slopes[0] = (1.0 - recovered) * duration / t1**2
        back[0] = -slopes[0]
    return ComposedGap(1.0 - recovered, recovered, slopes, back)


def _preparation(preparation: Preparation, t1: Any, t2: Any, b1: Any, tangents: int) -> ComposedGap:
    """One preparation without the delay behind it."""
    efficiency, library = preparation.efficiency, _library(t1)
    d_scale: list[Any] = [0.0] * tangents
    d_offset = list(d_scale)
    if preparation.kind == "simulated":
        assert preparation.response is not None
        return _simulated(preparation.response, t1, t2, b1, tangents)
    if preparation.kind == "inversion":
        return ComposedGap(-efficiency, 0.0, d_scale, d_offset)
    if preparation.kind == "saturation":
        if preparation.adiabatic:
            return ComposedGap(1.0 - efficiency, 0.0, d_scale, d_offset)
        angle = float(np.arccos(1.0 - efficiency))
        sine, cosine = _scaled_angle(angle, 1.0 - efficiency, b1)
        if tangents == 3:
            d_scale[2] = -angle * sine
        return ComposedGap(cosine, 0.0, d_scale, d_offset)
    if preparation.kind == "t2":
        time, quarter = preparation.duration, np.pi / 2
        e2 = library.exp(-time / t2)
        if preparation.adiabatic:
            # its tips are 90° at any B1
            sine, cosine, recovered = 1.0, 0.0, 0.0
        else:
            sine, cosine = _scaled_angle(quarter, 0.0, b1)
            recovered = -library.expm1(-time / t1)
        e1 = 1.0 - recovered
        if tangents:
            d_scale[1] = efficiency * sine**2 * e2 * time / t2**2
        if tangents and not preparation.adiabatic:
            d_scale[0] = efficiency * cosine**2 * e1 * time / t1**2
            d_offset[0] = -efficiency * cosine * e1 * time / t1**2
        if tangents == 3 and not preparation.adiabatic:
            d_scale[2] = efficiency * 2.0 * quarter * sine * cosine * (e2 - e1)
            d_offset[2] = -efficiency * quarter * sine * recovered
        scale = efficiency * (sine**2 * e2 + cosine**2 * e1)
        return ComposedGap(scale, efficiency * cosine * recovered, d_scale, d_offset)
    return ComposedGap(1.0, 0.0, d_scale, d_offset)


def _simulated(response: PreparationResponse, t1: Any, t2: Any, b1: Any, tangents: int) -> ComposedGap:
    """Splines are NumPy's: tensors go there and back."""
    is_array = isinstance(t1, np.ndarray)
    tissue = (t1, t2, b1) if is_array else [None if value is None else value.cpu().numpy() for value in (t1, t2, b1)]
    a, b = simulated_response(response, *tissue, slopes=True)
    if not is_array:
        a, b = (_library(t1).from_numpy(values).to(t1) for values in (a, b))
    return ComposedGap(a[0], b[0], list(a[1 : 1 + tangents]), list(b[1 : 1 + tangents]))


def _scaled_angle(angle: float, cosine: float, field: Any) -> tuple[Any, Any]:
    """Return sine and cosine of field·angle; a field of 1, or None, leaves ``cosine`` to the last bit."""
    sine = float(np.sin(angle))
    if field is None:
        return sine, cosine
    beyond = angle * (field - 1.0)
    here, there = _library(field).cos(beyond), _library(field).sin(beyond)
    return sine * here + cosine * there, cosine * here - sine * there


@lru_cache(maxsize=32)
def _response_spline(response: PreparationResponse) -> tuple[Any, list[tuple[float, float]]]:
    """Return a spline of (a, b) over (log T1, log T2, B1) and the ends of these axes."""
    from scipy.interpolate import NdBSpline, make_interp_spline

    coefficients = np.stack([response.a, response.b], axis=-1)
    knots, degrees, ends = [], [], []
    for axis, points in enumerate((np.log(response.t1), np.log(response.t2), response.b1)):
        ends.append((float(points[0]), float(points[-1])))
        if len(points) == 1:
            # Constant along this axis: two equal coefficients of a line around the one point.
            points = np.array([points[0] - 1.0, points[0] + 1.0])
            coefficients = np.repeat(coefficients, 2, axis=axis)
        degree = min(3, len(points) - 1)
        spline = make_interp_spline(points, coefficients, k=degree, axis=axis)
        # Coefficients come along the first axis.
        coefficients = np.moveaxis(spline.c, 0, axis)
        knots.append(spline.t)
        degrees.append(degree)
    return NdBSpline(tuple(knots), np.ascontiguousarray(coefficients), tuple(degrees)), ends
