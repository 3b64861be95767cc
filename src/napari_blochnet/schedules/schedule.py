"""The schedule: what the scanner does, pulse by pulse."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import InputError

__all__ = ["ReceiverPhase", "Schedule"]

ReceiverPhase = Literal["follows", "fixed"]

_PER_PULSE = ("flip_angle", "repetition_time", "echo_time", "rf_phase")
# Two RF phases count as equal within this many degrees: tables are printed with at most six decimals.
_PHASE_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Schedule:
    """An RF schedule of a gradient-spoiled MRF scan (transient-state FISP): N pulses, with or without inversion.

    Parameters
    ----------
    flip_angle : array_like of shape (N,), or float
        Nominal flip angle of each pulse, degrees. A number stands for all pulses, here and below.
    repetition_time : array_like of shape (N,), or float
        TR, from this pulse to the next, ms; above 0.
    echo_time : array_like of shape (N,), or float
        TE, from the pulse to its sample, ms; from 0 to TR.
    rf_phase : array_like of shape (N,), or float
        Phase of each pulse, degrees.
    inversion_time : float or None
        TI, ms, between an inversion pulse and the first pulse. None: no inversion pulse. 0: the longitudinal
        magnetisation is ``-inversion_efficiency`` at the first pulse.
    inversion_efficiency : float
        η from 0 to 1: the inversion turns the equilibrium 1 into −η.
    slice_profile : array_like of shape (P,), optional
        Relative flip angles at P equally weighted positions across the slice; signals are averaged over them.
        None: one position of 1.
    receiver_phase : {"follows", "fixed"}
        Whether data acquired with this schedule has the RF phase taken out already ("follows", the package's frame:
        i·exp(−iφ)·F0) or still in it ("fixed"). Reading a fingerprint stack takes it out.
    name : str
        What people call it. Not part of equality or `digest`.
    record : dict
        How it was made, where known. Not part of equality or `digest`.

    Raises
    ------
    InputError
        Lengths that differ, N = 0, values out of range or not finite; the sentence names the field and the pulse.

    Notes
    -----
    Conventions: Weigel, J Magn Reson Imaging 41:266 (2015); schedule as in Jiang et al., Magn Reson Med 74:1621 (2015).
    """

    flip_angle: FloatArray
    repetition_time: FloatArray
    echo_time: FloatArray
    rf_phase: FloatArray = field(default=0.0)  # type: ignore[arg-type]
    inversion_time: float | None = None
    inversion_efficiency: float = 1.0
    slice_profile: FloatArray | None = None
    receiver_phase: ReceiverPhase = "follows"
    name: str = ""
    record: dict[str, Any] = field(default_factory=dict)

    if TYPE_CHECKING:  # what may be given is wider than what the fields hold afterwards

        def __init__(
            self,
            flip_angle: ArrayLike,
            repetition_time: ArrayLike,
            echo_time: ArrayLike,
            rf_phase: ArrayLike = 0.0,
            inversion_time: float | None = None,
            inversion_efficiency: float = 1.0,
            slice_profile: ArrayLike | None = None,
            receiver_phase: ReceiverPhase = "follows",
            name: str = "",
            record: dict[str, Any] = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        columns = {key: _column(key, getattr(self, key)) for key in _PER_PULSE}
        length = max(len(column) for column in columns.values())
        shortest = min(len(column) for column in columns.values())
        if shortest == 0:
            empty = next(key for key, column in columns.items() if len(column) == 0)
            raise InputError(f"{empty} is empty; a schedule needs at least one pulse.", field=empty)
        for key, column in columns.items():
            if len(column) not in (1, length):
                raise InputError(
                    f"{key} has {len(column)} values where the schedule has {length} pulses; "
                    "give one for each pulse, or a single number.",
                    field=key,
                )
            value = np.full(length, column[0]) if len(column) == 1 else column
            value.setflags(write=False)
            object.__setattr__(self, key, value)
        _check_pulses("repetition_time", self.repetition_time, self.repetition_time > 0, "above 0 ms")
        _check_pulses("echo_time", self.echo_time, self.echo_time >= 0, "at least 0 ms")
        _check_pulses(
            "echo_time", self.echo_time, self.echo_time <= self.repetition_time, "at most the TR of its pulse"
        )
        if self.inversion_time is not None:
            object.__setattr__(
                self, "inversion_time", _number("inversion_time", self.inversion_time, 0.0, math.inf, "ms")
            )
        efficiency = _number("inversion_efficiency", self.inversion_efficiency, 0.0, 1.0, "")
        object.__setattr__(self, "inversion_efficiency", efficiency)
        if self.slice_profile is not None:
            profile = _column("slice_profile", self.slice_profile)
            if len(profile) == 0:
                sentence = "slice_profile is empty; give at least one relative flip angle, or leave it out."
                raise InputError(sentence, field="slice_profile")
            profile.setflags(write=False)
            object.__setattr__(self, "slice_profile", profile)
        if self.receiver_phase not in ("follows", "fixed"):
            raise InputError(
                f"receiver_phase is {_short(self.receiver_phase)}", "'follows' or 'fixed'", field="receiver_phase"
            )

    def __len__(self) -> int:
        return len(self.flip_angle)

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Schedule) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<Schedule {self.describe()}>"

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of everything that acts on the signal; equal schedules have equal digests."""
        content = hashlib.sha256()
        for item in fields(self):
            if item.name in ("name", "receiver_phase", "record"):
                continue
            value = getattr(self, item.name)
            content.update(item.name.encode())
            content.update(b"none" if value is None else np.asarray(value, dtype="<f8").tobytes())
        return content.hexdigest()

    @property
    def is_real(self) -> bool:
        """Whether the whole recursion is real in the receiver's frame.

        It is where the RF phases are equal modulo 180°, or linear in the pulse number modulo 180°.
        """
        steps = np.diff(self.rf_phase) % 180.0
        away = (steps - steps[:1] + 90.0) % 180.0 - 90.0
        return bool(np.all(np.abs(away) < _PHASE_TOLERANCE))

    @property
    def duration(self) -> float:
        """Time from the start of the inversion delay to the end of the last TR, ms."""
        return float(self.repetition_time.sum()) + (self.inversion_time or 0.0)

    def replace(self, **changes: Any) -> Schedule:
        """Return a copy with some fields changed, validated again."""
        return replace(self, **changes)

    def describe(self) -> str:
        """Return one line for people: name, pulses, ranges with units, inversion."""
        inversion = "no inversion" if self.inversion_time is None else f"inversion, TI {self.inversion_time:g} ms"
        if self.inversion_time is not None and self.inversion_efficiency != 1.0:
            inversion += f", efficiency {self.inversion_efficiency:g}"
        phase = "" if not np.ptp(self.rf_phase) else ", varying RF phase"
        profile = "" if self.slice_profile is None else f", slice profile of {len(self.slice_profile)} positions"
        return (
            f"{self.name + ': ' if self.name else ''}{len(self)} pulses, flip angle {_span(self.flip_angle)}°, "
            f"TR {_span(self.repetition_time)} ms, TE {_span(self.echo_time)} ms, {inversion}{phase}{profile}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary; numbers repeat exactly."""
        result: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            result[item.name] = value.tolist() if isinstance(value, np.ndarray) else value
        return result

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Schedule:
        """Make a schedule from what `to_dict` returned."""
        if not isinstance(content, dict):
            raise InputError(
                f"Found {type(content).__name__} where a schedule was expected: an object with entries such as "
                "flip_angle."
            )
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(content) - known)
        missing = sorted({"flip_angle", "repetition_time", "echo_time"} - set(content))
        if unknown or missing:
            raise InputError(
                f"The schedule has {'unknown' if unknown else 'missing'} entries {', '.join(unknown or missing)}",
                f"{', '.join(item.name for item in fields(cls))}; flip_angle and rf_phase in degrees, times in ms",
            )
        for key, kind, expected in (("name", str, "text"), ("record", dict, "an object")):
            if not isinstance(content.get(key, kind()), kind):
                raise InputError(f"{key} is {_short(content[key])}", expected, field=key)
        return cls(**content)


def _short(value: object) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, an integer of too many digits
        return f"a {type(value).__name__} that cannot be written out"
    return text if len(text) <= 40 else text[:37] + "…"


def _column(key: str, value: ArrayLike) -> FloatArray:
    try:
        column = np.array(value, dtype=np.float64, ndmin=1)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{key} holds something that is not a number", "numbers", field=key) from None
    if column.ndim != 1:
        raise InputError(f"{key} has shape {column.shape}", "one row of numbers", field=key)
    _check_pulses(key, column, np.isfinite(column), "a finite number")
    return column


def _check_pulses(key: str, column: FloatArray, good: np.ndarray, expected: str) -> None:
    if not good.all():
        first = int(np.argmin(good))
        raise InputError(f"{key} is {column[first]:g} at pulse {first + 1}", expected, field=key)


def _number(key: str, value: float, low: float, high: float, unit: str) -> float:
    if isinstance(value, (bool, np.bool_)):
        raise InputError(f"{key} is {bool(value)}", "a number, or none", field=key)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{key} is {_short(value)}", "a number", field=key) from None
    if not (math.isfinite(number) and low <= number <= high):
        unit = f" {unit}" if unit else ""
        expected = f"at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
        raise InputError(f"{key} is {number:g}{unit}", f"{expected}{unit}", field=key)
    return number


def _span(values: FloatArray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.4g}" if low == high else f"{low:.4g}–{high:.4g}"
