"""Degrees of freedom: how many samples tell the parameters of a fingerprint, and what they leave to tell its noise."""

from __future__ import annotations

from typing import Any

from napari_blochnet.common.arrays import AnyArray, SignalKind
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.plain_text import counted
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["check_samples", "fewest_samples", "spare_numbers", "tell_noise"]

# Of coefficients, numbers beyond the unknowns that tell a noise: with fewer, intervals of ±1.96 standard errors cover
# less than 90 % (Student's distribution).
_FEWEST_SPARE = 6


def fewest_samples(schedule: Schedule, kind: SignalKind, *, fit_b1: bool = False) -> int:
    """Return how many samples tell T1, T2 and PD, and B1 where it is fitted.

    Complex samples hold two numbers each, and PD then has a phase, too. Where the signal is real but for that phase,
    half of these numbers tell nothing but the phase.
    """
    return 3 + fit_b1 if kind != "complex" or schedule.is_real else (4 + fit_b1 + 1) // 2


def spare_numbers(samples: AnyArray | int, kind: SignalKind, *, fit_b1: bool = False) -> Any:
    """Return how many numbers remain beyond the unknowns, to estimate noise from: the residual's degrees of freedom."""
    return 2 * samples - 4 - fit_b1 if kind == "complex" else samples - 3 - fit_b1


def tell_noise(numbers: int, kind: SignalKind, are_coefficients: bool, *, fit_b1: bool = False) -> bool:
    """Whether the residual of so many samples, or coefficients, tells the noise that standard errors follow from."""
    return bool(spare_numbers(numbers, kind, fit_b1=fit_b1) >= (_FEWEST_SPARE if are_coefficients else 1))


def check_samples(schedule: Schedule, kind: SignalKind, *, fit_b1: bool = False, components: int | None = None) -> None:
    """Raise `InputError` where fingerprints have fewer samples, or coefficients, than there are unknowns."""
    fewest = fewest_samples(schedule, kind, fit_b1=fit_b1)
    if min(len(schedule), components or fewest) < fewest:
        unknown = ["T1", "T2", "PD", *(["its phase"] if kind == "complex" else []), *(["B1"] if fit_b1 else [])]
        if components is not None and len(schedule) >= fewest:
            raise InputError(
                f"The stack has {counted(components, 'coefficient')} for each voxel, "
                f"and as many {kind} numbers cannot tell {', '.join(unknown[:-1])} and {unknown[-1]}",
                f"at least {fewest}",
                field="basis",
            )
        raise InputError(
            f"The schedule {schedule.name or 'given'} has {len(schedule)} {'pulse' if len(schedule) == 1 else 'pulses'}"
            f", and as many {kind} samples cannot tell {', '.join(unknown[:-1])} and {unknown[-1]}",
            f"at least {fewest}",
            field="schedule",
        )
