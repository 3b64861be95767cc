"""A schedule as the kernels take it: radians, contiguous arrays of one precision, RF phases turned into signs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_blochnet.common.arrays import ComplexArray, FloatArray, IntArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.physics.preparation_maps import free_repetition_times, gap_of_pulse
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["Pulses", "pulses_of"]

_LARGEST_ANGLE = 36000.0  # degrees


@dataclass(frozen=True)
class Pulses:
    """What the kernels need of a schedule of N pulses, in one precision.

    Attributes
    ----------
    is_real : bool
        Whether ``phase_step`` can be left out, the recursion being real in the receiver's frame.
    flip_angle : ndarray of shape (N,)
        Radians; on the real path negative where the RF phase is turned by 180°.
    repetition_time, echo_time : ndarray of shape (N,)
        ms; TR without what is played at its end.
    weight : ndarray of shape (N,)
        What each sample is multiplied with: 1 over the number of positions, with the sign of the receiver on the real
        path.
    phase_step : ndarray of shape (N,), complex
        exp(−i(φ_{n+1} − φ_n)), the turn of the receiver's frame during the TR of pulse n.
    positions : ndarray of shape (Q,)
        Relative flip angles across the slice.
    inversion_time, inversion_efficiency : number
        Of a plain train, TI in ms and η; 0 and −1 where there is no inversion (Z0 = −η).
    gap_of_pulse : int32 ndarray of shape (N,)
        Which of `gap_maps` is played before each pulse; −1: none.
    plays : int
        How often the train is played, the last being recorded; 0: once, in the steady state.
    schedule : Schedule
        What it was made from, for `gap_maps`.
    """

    is_real: bool
    flip_angle: FloatArray
    repetition_time: FloatArray
    echo_time: FloatArray
    weight: FloatArray
    phase_step: ComplexArray
    positions: FloatArray
    inversion_time: np.floating
    inversion_efficiency: np.floating
    gap_of_pulse: IntArray
    plays: int
    schedule: Schedule


def pulses_of(schedule: Schedule, dtype: np.dtype) -> Pulses:
    """Return the schedule in the precision ``dtype`` (float32 or float64).

    Raises
    ------
    InputError
        Flip angles beyond a hundred turns, where sines lose their meaning in single precision.
    """
    positions = np.ones(1) if schedule.slice_profile is None else schedule.slice_profile
    largest = float(np.abs(schedule.flip_angle).max() * np.abs(positions).max())
    if largest > _LARGEST_ANGLE:
        raise InputError(f"flip_angle reaches {largest:g}°", f"at most {_LARGEST_ANGLE:g}°", field="flip_angle")
    steps = np.append(np.diff(schedule.rf_phase), 0.0)
    sign = np.ones(len(schedule))
    if schedule.is_real and len(schedule) > 1:
        # Phases are φ0 + nψ + 180°·m: the gradient absorbs ψ, and 180° of phase is a negative flip angle.
        half_turns = np.rint((steps[:-1] - steps[0]) / 180.0)
        sign[1:] = np.where(np.cumsum(half_turns) % 2 == 0, 1.0, -1.0)
    # A plain train's inversion stays with the kernels, which carry 1 − E1 without rounding 1 − η away.
    inverted = schedule.is_plain and schedule.inversion_time is not None
    no_gaps = np.full(len(schedule), -1, np.int32)
    return Pulses(
        is_real=schedule.is_real,
        flip_angle=(np.deg2rad(schedule.flip_angle) * sign).astype(dtype),
        repetition_time=free_repetition_times(schedule).astype(dtype),
        echo_time=schedule.echo_time.astype(dtype),
        weight=(sign / len(positions)).astype(dtype),
        phase_step=np.exp(-1j * np.deg2rad(steps)).astype(np.result_type(dtype, np.complex64)),
        positions=positions.astype(dtype),
        inversion_time=dtype.type(schedule.inversion_time if inverted else 0.0),
        inversion_efficiency=dtype.type(schedule.inversion_efficiency if inverted else -1.0),
        gap_of_pulse=no_gaps if schedule.is_plain else gap_of_pulse(schedule),
        plays=0 if schedule.trains == "steady" else schedule.trains,
        schedule=schedule,
    )
