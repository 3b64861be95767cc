"""Whether a train makes a signal at all: pulses of 180° or 720° only leave nothing but rounding noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from napari_blochnet.common.errors import InputError
from napari_blochnet.physics.preparation_maps import free_repetition_times, gap_maps
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["check_train_signal"]

# Tissues looked at, ms, and configuration orders kept of each.
_T1, _T2 = np.array([200.0, 1000.0, 4000.0]), np.array([30.0, 100.0, 2000.0])
_ORDERS = 4
# A signal is this many times what the rounding of its angles to single precision changes.
_ABOVE_ROUNDING = 10.0


def check_train_signal(schedule: Schedule, b1: ArrayLike = 1.0) -> None:
    """Raise `InputError` where a train leaves no signal of any tissue above the rounding of its angles.

    Its first play is looked at: preparations that leave nothing there leave nothing in later ones.

    Parameters
    ----------
    schedule : Schedule
    b1 : array_like
        Transmit field relative to nominal; a signal at one of several suffices.

    Raises
    ------
    InputError
        Of the field "schedule".
    """
    fields = np.unique(np.asarray(b1, np.float64))
    fields = np.unique(fields[np.linspace(0, len(fields) - 1, 9).astype(np.intp)])
    profile = np.ones(1) if schedule.slice_profile is None else schedule.slice_profile
    scale = np.outer(fields, profile)
    # configurations of (order, precision of the angle, tissue, transmit field, position in the slice)
    plus, minus, z = (np.zeros((_ORDERS, 2, len(_T1), *scale.shape), complex) for _ in range(3))
    z[0] = 1.0
    t1, t2 = _T1[:, None, None], _T2[:, None, None]
    gaps = gap_maps(schedule, *(x.ravel() for x in np.broadcast_arrays(_T1[:, None], _T2[:, None], fields)))
    A, B = (values.reshape(-1, len(_T1), len(fields), 1) for values in (gaps.A, gaps.B))
    angles, times = np.deg2rad(schedule.flip_angle), free_repetition_times(schedule)
    for angle, phase, time, gap in zip(angles, np.deg2rad(schedule.rf_phase), times, gaps.gap_of_pulse, strict=True):
        if gap >= 0:
            plus, minus, z = np.zeros_like(plus), np.zeros_like(minus), A[gap] * z
            z[0] += B[gap]
        turned = np.stack([angle * scale, (angle * scale).astype(np.float32)])[:, None]
        cosine, sine, turn = np.cos(turned), np.sin(turned), np.exp(1j * phase)
        half, rest = (1.0 + cosine) / 2.0, (1.0 - cosine) / 2.0
        plus, minus, z = (
            half * plus + turn**2 * rest * minus - 1j * turn * sine * z,
            rest * plus / turn**2 + half * minus + 1j / turn * sine * z,
            -0.5j / turn * sine * plus + 0.5j * turn * sine * minus + cosine * z,
        )
        signal, rounded = plus[0].mean(axis=-1)
        if (np.abs(signal) > _ABOVE_ROUNDING * np.abs(signal - rounded)).any():
            return
        e1, e2 = np.exp(-time / t1), np.exp(-time / t2)
        z = e1 * z
        z[0] += 1.0 - e1
        plus, minus = np.roll(e2 * plus, 1, axis=0), np.roll(e2 * minus, -1, axis=0)
        minus[-1] = 0.0
        plus[0] = minus[0].conj()
    raise InputError(
        f"The schedule {schedule.name or 'given'} makes no signal (flip angles of {schedule.flip_angle.min():g} to "
        f"{schedule.flip_angle.max():g}° leave nothing but rounding)",
        "flip angles other than 0° and multiples of 180°",
        field="schedule",
    )
