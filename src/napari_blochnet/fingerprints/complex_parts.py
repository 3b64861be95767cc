"""Complex samples out of two arrays: real and imaginary parts, or magnitude and phase in whatever unit."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.progress import Watch
from napari_blochnet.fingerprints.signal_kinds import phase_range
from napari_blochnet.io.containers.spilled_arrays import roomy_array
from napari_blochnet.io.reading import blocks

__all__ = ["extent", "joined_parts", "joined_polar"]

_STATED = {
    **dict.fromkeys(("rad", "radian", "radians"), (1.0, "radians")),
    **dict.fromkeys(("deg", "degree", "degrees", "°"), (math.pi / 180, "degrees")),
}
# Phases from −π to π, rounded; those from −1 to 1 may be half turns.
_HALF_TURN = math.pi * (1 + 1e-4)
_TWO_HALF_TURNS = 2.1


def extent(data: AnyArray, watch: Watch, what: str) -> tuple[float, float]:
    """Return the smallest and the largest finite sample; (inf, -inf) where there is none."""
    low, high = math.inf, -math.inf
    for selection in blocks(data.shape, data.dtype.itemsize):
        watch.check(what)
        part = np.asarray(data[selection])
        if part.dtype.kind == "f":
            part = part[np.isfinite(part)]
        if part.size:
            low, high = min(low, float(part.min())), max(high, float(part.max()))
    return low, high


def joined_parts(real: AnyArray, imaginary: AnyArray, watch: Watch, what: str) -> AnyArray:
    """Return complex64 samples of their real and imaginary parts, which have one shape."""

    def join(joined: AnyArray, one: AnyArray, other: AnyArray) -> None:
        joined.real, joined.imag = one, other

    return _joined(real, imaginary, join, watch, what)


def joined_polar(
    magnitude: AnyArray, phase: AnyArray, unit: str, name: str, watch: Watch, what: str
) -> tuple[AnyArray, str]:
    """Return complex64 samples of magnitude and phase, which have one shape, and the range of the phase in words.

    Parameters
    ----------
    magnitude, phase : array
    unit : str
        Of the phase, where it is stated; by default it is told from the range that the phase fills.
    name : str
        What people call the phase.

    Raises
    ------
    InputError
        A phase of which the unit cannot be told.
    """
    low, high = extent(phase, watch, what)
    radian, shift, words = _unit(low, high, unit.lower(), phase.dtype.kind == "f", name)

    def join(joined: AnyArray, one: AnyArray, other: AnyArray) -> None:
        angle = other.astype(np.float64) * radian + shift
        joined.real, joined.imag = one * np.cos(angle), one * np.sin(angle)

    return _joined(magnitude, phase, join, watch, what), words


def _unit(low: float, high: float, unit: str, is_floating: bool, name: str) -> tuple[float, float, str]:
    """Return what one of a phase's units is in radians, what is added to it, and its range in words."""
    filled = phase_range(low, high)
    if unit in _STATED:
        radian, words = _STATED[unit]
        if filled is not None and not math.isclose(filled.radian, radian, rel_tol=1e-3):
            raise FileError(
                name,
                f"fills {filled.name}, but the JSON file beside it states {words}",
                "'Units' that its numbers have, or none",
            )
        return radian, 0.0, words
    if filled is not None:
        # 0…4095 begins at −π
        return filled.radian, -math.pi if filled.whole and filled.low == 0 else 0.0, filled.name
    if is_floating and low >= -_HALF_TURN and high <= _HALF_TURN and high - low > _TWO_HALF_TURNS:
        return 1.0, 0.0, "radians"
    raise FileError(
        name,
        f"reaches from {low:.6g} to {high:.6g}, which fills no range of phases that is known "
        "(−π…π, −180…180°, −4096…4095, 0…4095)",
        "'Units': 'rad' or 'deg' in a JSON file beside it",
    )


def _joined(
    one: AnyArray,
    other: AnyArray,
    join: Callable[[AnyArray, AnyArray, AnyArray], None],
    watch: Watch,
    what: str,
) -> AnyArray:
    joined = roomy_array(one.shape, np.dtype(np.complex64))
    done = 0
    with np.errstate(invalid="ignore", over="ignore"):
        for selection in blocks(joined.shape, joined.dtype.itemsize):
            watch.check(what)
            watch.report(done >> 20, joined.nbytes >> 20, what)
            part = joined[selection]
            join(part, np.asarray(one[selection]), np.asarray(other[selection]))
            done += part.nbytes
    return joined
