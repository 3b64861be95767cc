"""The schedule: what the scanner does, pulse by pulse."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.plain_text import counted
from napari_blochnet.schedules.checks import check_number, shortened
from napari_blochnet.schedules.preparations import Preparation, PreparationResponse

__all__ = ["ReceiverPhase", "Schedule", "Trains"]

ReceiverPhase = Literal["follows", "fixed"]
#: How many trains are played; "steady": until the train repeats itself.
Trains: TypeAlias = int | Literal["steady"]

_PER_PULSE = ("flip_angle", "repetition_time", "echo_time", "rf_phase")
# What earlier versions did not have; where a schedule does without, its digest and its dictionary are theirs.
_AROUND = ("preparations", "recovery_time", "trains")
# Nobody plays more; what is played so often is the steady state.
_MOST_TRAINS = 1_000_000
# More preparations are counted, not listed.
_MOST_IN_WORDS = 3
# Two RF phases count as equal within this many degrees: tables are printed with at most six decimals.
_PHASE_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Schedule:
    """An RF schedule of a gradient-spoiled MRF scan (transient-state FISP): N pulses, and what is played around them.

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
    preparations : iterable of Preparation
        What is played before pulses, or words for it as `Preparation.from_text` reads them: before pulse 0, ahead of
        each train; before another, at the end of the TR of the pulse before. Kept in the order of play. The inversion
        of `inversion_time` is another one, the last of those before pulse 0; `all_preparations` has them all.
    recovery_time : float
        From the end of a train's last TR to what begins the next, ms: free relaxation, then a spoiler.
    trains : int or "steady"
        How many trains are played, one after the other, the first from equilibrium; the last is recorded. "steady":
        until the train repeats itself.

    Raises
    ------
    InputError
        Lengths that differ, N = 0, values out of range or not finite, preparations that take longer than their TR has
        after its sample; the sentence names the field and the pulse.

    Notes
    -----
    A train's last TR is played whole, then `recovery_time`. Each preparation and the end of each recovery spoil the
    transverse states; all longitudinal orders live on, into the next train too.

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
    preparations: tuple[Preparation, ...] = ()
    recovery_time: float = 0.0
    trains: Trains = 1

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
            preparations: Iterable[Preparation | str | dict[str, Any]] = (),
            recovery_time: float = 0.0,
            trains: Trains = 1,
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
                    f"{key} has {counted(len(column), 'value')} where the schedule has {counted(length, 'pulse')}; "
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
                self, "inversion_time", check_number("inversion_time", self.inversion_time, 0.0, math.inf, "ms")
            )
        efficiency = check_number("inversion_efficiency", self.inversion_efficiency, 0.0, 1.0, "")
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
                f"receiver_phase is {shortened(self.receiver_phase)}", "'follows' or 'fixed'", field="receiver_phase"
            )
        self._check_around()

    def _check_around(self) -> None:
        recovery = check_number("recovery_time", self.recovery_time, 0.0, math.inf, "ms")
        object.__setattr__(self, "recovery_time", recovery)
        if self.trains != "steady":
            is_count = isinstance(self.trains, (int, np.integer)) and not isinstance(self.trains, bool)
            if not is_count or not 1 <= self.trains <= _MOST_TRAINS:
                expected = f"how many are played, at least 1, or 'steady' for more than {_MOST_TRAINS:,}"
                raise InputError(f"trains is {shortened(self.trains)}", expected, field="trains")
            object.__setattr__(self, "trains", int(self.trains))
        given: object = self.preparations
        if isinstance(given, (str, dict)) or not isinstance(given, Iterable):
            raise InputError(f"preparations is {shortened(given)}", "a list of preparations", field="preparations")
        read: list[Preparation] = []
        for each in given:
            read.append(_preparation(each, read))
        in_order = tuple(sorted(read, key=lambda item: item.before))
        object.__setattr__(self, "preparations", in_order)
        taken = np.zeros(len(self))
        for item in in_order:
            if item.before >= len(self):
                found = f"a preparation lies before pulse {item.before + 1} where the schedule has {len(self)} pulses"
                raise InputError(found, f"one of pulses 1 to {len(self)}", field="preparations")
            taken[item.before] += item.time
        left = self.repetition_time - self.echo_time
        for n in np.flatnonzero(taken[1:] > left[:-1] + 1e-9 * self.repetition_time[:-1]):
            found = (
                f"what is played before pulse {n + 2} takes {taken[n + 1]:g} ms, where pulse {n + 1} leaves "
                f"{left[n]:g} ms between its sample and the end of its TR"
            )
            raise InputError(found, "preparations that fit, or a longer TR there", field="preparations")

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
        first, around = self._first_inversion, self.preparations
        inversion = (self.inversion_time, self.inversion_efficiency)
        if first is not None:
            inversion, around = (first.delay, first.efficiency), tuple(item for item in around if item is not first)
        values = {**vars(self), "inversion_time": inversion[0], "inversion_efficiency": inversion[1]}
        for item in fields(self):
            if item.name in ("name", "receiver_phase", "record", *_AROUND):
                continue
            value = values[item.name]
            content.update(item.name.encode())
            content.update(b"none" if value is None else np.asarray(value, dtype="<f8").tobytes())
        # earlier versions had none of this, and records hold their digests
        for preparation in around:
            content.update(f"preparation {preparation.digest}".encode())
        if self.trains != 1:
            content.update(f"trains {self.trains} {self.recovery_time!r}".encode())
        return content.hexdigest()

    @property
    def _first_inversion(self) -> Preparation | None:
        """The preparation that says what `inversion_time` says, where that says nothing."""
        ahead = [item for item in self.preparations if item.before == 0]
        is_one = self.inversion_time is None and ahead and ahead[-1].kind == "inversion" and not ahead[-1].duration
        return ahead[-1] if is_one else None

    @property
    def all_preparations(self) -> tuple[Preparation, ...]:
        """All preparations in the order of play, the inversion of `inversion_time` among them."""
        if self.inversion_time is None:
            return self.preparations
        own = Preparation(0, "inversion", delay=self.inversion_time, efficiency=self.inversion_efficiency)
        return tuple(sorted((*self.preparations, own), key=lambda item: (item.before, item is own)))

    def preparations_by_pulse(self) -> dict[int, list[Preparation]]:
        """Return all preparations by the pulse, from 0, before which they are played, in the order of play."""
        found: dict[int, list[Preparation]] = {}
        for item in self.all_preparations:
            found.setdefault(item.before, []).append(item)
        return found

    @property
    def is_plain(self) -> bool:
        """Whether one train is played, and around its pulses nothing but, at most, `inversion_time`'s inversion."""
        return self.trains == 1 and not self.preparations

    @property
    def is_real(self) -> bool:
        """Whether the whole recursion is real in the receiver's frame.

        It is where the RF phases are equal modulo 180°, or linear in the pulse number modulo 180°.
        """
        steps = np.diff(self.rf_phase) % 180.0
        away = (steps - steps[:1] + 90.0) % 180.0 - 90.0
        return bool(np.all(np.abs(away) < _PHASE_TOLERANCE))

    @property
    def train_duration(self) -> float:
        """Time of one train, ms: from what is played before its first pulse to the end of its last TR."""
        ahead = sum(item.time for item in self.all_preparations if item.before == 0)
        return float(self.repetition_time.sum()) + ahead

    @property
    def duration(self) -> float:
        """Time of all trains and the recovery between them, ms; of a steady state, of one train and its recovery."""
        if self.trains == "steady":
            return self.train_duration + self.recovery_time
        return self.trains * self.train_duration + (self.trains - 1) * self.recovery_time

    def replace(self, **changes: Any) -> Schedule:
        """Return a copy with some fields changed, validated again; how it was made is known where the pulses stay."""
        if changes.keys() - {"name", "receiver_phase", "record"}:
            changes = {"record": {}, **changes}
        return replace(self, **changes)

    def describe(self) -> str:
        """Return one line for people: name, pulses, ranges with units, inversion, preparations, trains."""
        inversion = "no inversion" if self.inversion_time is None else f"inversion, TI {self.inversion_time:g} ms"
        if self.inversion_time is not None and self.inversion_efficiency != 1.0:
            inversion += f", efficiency {self.inversion_efficiency:g}"
        if self.inversion_time is None and self.preparations:
            inversion = ""
        phase = "" if not np.ptp(self.rf_phase) else "varying RF phase"
        profile = "" if self.slice_profile is None else f"slice profile of {len(self.slice_profile)} positions"
        parts = (
            f"{counted(len(self), 'pulse')}, flip angle {_span(self.flip_angle)}°, TR "
            f"{_span(self.repetition_time)} ms, "
            f"TE {_span(self.echo_time)} ms",
            inversion,
            self._preparations_in_words(),
            self._trains_in_words(),
            phase,
            profile,
        )
        return f"{self.name + ': ' if self.name else ''}{', '.join(part for part in parts if part)}"

    def _preparations_in_words(self) -> str:
        if len(self.preparations) <= _MOST_IN_WORDS:
            return ", ".join(item.describe() for item in self.preparations)
        counts = Counter(item.what for item in self.preparations)
        return ", ".join(f"{count} {what}{'s' if count > 1 else ''}" for what, count in counts.items())

    def _trains_in_words(self) -> str:
        if self.trains == 1:
            return ""
        pause = f"{self.recovery_time:g} ms of recovery between" if self.recovery_time else "no recovery between"
        if self.trains == "steady":
            return f"trains repeated to the steady state, {pause}"
        return f"the last of {self.trains} trains, {pause}"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary; numbers repeat exactly.

        Preparations, recovery time and trains are in it where there are any, as earlier versions know none; the
        response of a preparation that an earlier one has, too, as the place of that one.
        """
        result: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in _AROUND and value == item.default:
                continue
            result[item.name] = value.tolist() if isinstance(value, np.ndarray) else value
        if self.preparations:
            result["preparations"] = [item.to_dict() for item in self.preparations]
        first: dict[PreparationResponse, int] = {}
        for n, response in enumerate(each.response for each in self.preparations):
            # a response is large, and one waveform is often played several times
            if response is not None and first.setdefault(response, n) != n:
                result["preparations"][n]["response"] = first[response]
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
        for key, kind, expected in (
            ("name", str, "text"),
            ("record", dict, "an object"),
            ("preparations", list, "a list"),
        ):
            if not isinstance(content.get(key, kind()), kind):
                raise InputError(f"{key} is {shortened(content[key])}", expected, field=key)
        return cls(**content)


def _preparation(given: Any, earlier: Sequence[Preparation]) -> Preparation:
    if isinstance(given, Preparation):
        return given
    if isinstance(given, str):
        return Preparation.from_text(given)
    place = given.get("response") if isinstance(given, dict) else None
    if isinstance(place, int) and not isinstance(place, bool) and 0 <= place < len(earlier):
        given = {**given, "response": earlier[place].response}
    return Preparation.from_dict(given)


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


def _span(values: FloatArray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.4g}" if low == high else f"{low:.4g}–{high:.4g}"
