"""Preparations: what is played between the pulses of a train, and acts on the longitudinal magnetisation."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.schedules.checks import check_number, numbers, shortened

__all__ = ["Preparation", "PreparationKind", "PreparationResponse"]

PreparationKind = Literal["inversion", "saturation", "t2", "delay", "simulated"]

_KINDS: tuple[PreparationKind, ...] = get_args(PreparationKind)
_WORDS: dict[PreparationKind, str] = {
    "inversion": "inversion",
    "saturation": "saturation",
    "t2": "T2 preparation",
    "delay": "delay",
    "simulated": "simulated preparation",
}
# Whether B1 leaves a kind as it is where nothing else is said.
_ADIABATIC: dict[PreparationKind, bool | None] = {
    "inversion": True,
    "saturation": False,
    "t2": True,
    "delay": None,
    "simulated": None,
}


# As people write a preparation: `Preparation.describe`, of which the order of what follows the pulse does not matter.
_TIME = r"([\d.]+(?:e[+-]?\d+)?) ?(ms|s|us|µs)"
_FIRST = re.compile(rf"(.+?)(?: of {_TIME})? before pulse (\d{{1,9}})", re.IGNORECASE)
_THEN = re.compile(rf"(TI|then) {_TIME}", re.IGNORECASE)
_EFFICIENCY = re.compile(r"efficiency ([\d.]+(?:e[+-]?\d+)?)", re.IGNORECASE)
_RESPONSE = re.compile(r"response (\d{1,9})", re.IGNORECASE)
_KIND_OF: dict[str, PreparationKind] = {
    **{words.lower(): kind for kind, words in _WORDS.items()},
    "t2": "t2", "t2 prep": "t2", "inv": "inversion", "sat": "saturation", "pause": "delay", "simulated": "simulated",
}  # fmt: skip
_MILLISECONDS = {"ms": 1.0, "s": 1000.0, "us": 0.001, "µs": 0.001}
_EXAMPLE = "'T2 preparation of 50 ms before pulse 12, efficiency 0.9, then 20 ms'"


@dataclass(frozen=True, eq=False)
class PreparationResponse:
    """What a preparation does to longitudinal magnetisation, from a simulation of its waveforms.

    Over the whole preparation, relaxation during it included, Z0 becomes a·Z0 + b and every other longitudinal order
    Zk becomes a·Zk; transverse states are gone.

    Parameters
    ----------
    t1, t2 : array_like of shape (I,), (J,)
        Ascending, ms; above 0.
    b1 : array_like of shape (K,)
        Relative transmit field, ascending; above 0.
    a, b : array_like of shape (I, J, K)
        At each of them.

    Raises
    ------
    InputError
        Axes that do not ascend, shapes that differ, values that are not finite.
    """

    t1: FloatArray
    t2: FloatArray
    b1: FloatArray
    a: FloatArray
    b: FloatArray

    if TYPE_CHECKING:

        def __init__(self, t1: ArrayLike, t2: ArrayLike, b1: ArrayLike, a: ArrayLike, b: ArrayLike) -> None: ...

    def __post_init__(self) -> None:
        shape: tuple[int, ...] = ()
        for key in ("t1", "t2", "b1", "a", "b"):
            value = numbers(f"the response's {key}", getattr(self, key), field="preparations")
            if key in ("a", "b"):
                if value.shape != shape:
                    found = f"the response's {key} has shape {value.shape}"
                    raise InputError(found, f"{shape}, a value for each T1, T2 and B1", field="preparations")
            elif value.ndim != 1 or not value.size or not value[0] > 0 or not (np.diff(value) > 0).all():
                found = f"the response's {key} does not ascend from above 0"
                raise InputError(found, "one row of ascending numbers", field="preparations")
            else:
                shape = (*shape, len(value))
            value.setflags(write=False)
            object.__setattr__(self, key, value)

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, PreparationResponse) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<PreparationResponse at {len(self.t1)} T1, {len(self.t2)} T2 and {len(self.b1)} B1>"

    @cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of all its numbers."""
        content = hashlib.sha256(repr(self.a.shape).encode())
        for value in (self.t1, self.t2, self.b1, self.a, self.b):
            content.update(np.asarray(value, dtype="<f8").tobytes())
        return content.hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary; numbers repeat exactly."""
        return {key: getattr(self, key).tolist() for key in ("t1", "t2", "b1", "a", "b")}


@dataclass(frozen=True)
class Preparation:
    """What is played before a pulse: its spoiler ends every transverse state, every longitudinal order lives on.

    Parameters
    ----------
    before : int
        The pulse before which it is played, from 0. Before pulse 0 it is played before the train; before another it
        lies at the end of the TR of the pulse before, whatever else lies there.
    kind : {"inversion", "saturation", "t2", "delay", "simulated"}
        Inversion: Z becomes −η·Z. Saturation: (1 − η)·Z. T2 preparation: η·exp(−duration/T2)·Z. Delay: time alone.
        Simulated: as `response` says.
    duration : float
        Of the preparation itself, ms. A T2 preparation: its echo time, above 0. A delay: 0.
    delay : float
        From its end to what follows, the next preparation or the pulse, ms: free relaxation. Of an inversion, its TI.
    efficiency : float
        η from 0 to 1.
    adiabatic : bool, optional
        Whether B1 leaves it as it is. None: as the kind is by itself, which is adiabatic but for saturation.
        Otherwise B1 scales the angles that its pulses turn: those of a saturation, arccos(1 − η), or the tips of a T2
        preparation, 90°.
    response : PreparationResponse, optional
        Of a simulated one.
    name : str
        What people call it. Not part of equality.

    Raises
    ------
    InputError
        A value out of range, or one that the kind does not have; the sentence names it.
    """

    before: int
    kind: PreparationKind
    duration: float = 0.0
    delay: float = 0.0
    efficiency: float = 1.0
    adiabatic: bool | None = None
    response: PreparationResponse | None = None
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            found = f"A preparation of the kind {shortened(self.kind)}"
            raise InputError(found, f"one of {', '.join(map(repr, _KINDS))}", field="preparations")
        before = self.before
        if isinstance(before, (bool, np.bool_)) or not isinstance(before, (int, np.integer)) or before < 0:
            found = f"A preparation's before is {shortened(before)}"
            raise InputError(found, "the number of a pulse, from 0", field="preparations")
        object.__setattr__(self, "before", int(before))
        for key, high in (("duration", np.inf), ("delay", np.inf), ("efficiency", 1.0)):
            unit = "" if key == "efficiency" else "ms"
            name = f"the {key} of the {self.what} before pulse {self.before + 1}"
            value = check_number(name, getattr(self, key), 0.0, high, unit, field="preparations")
            object.__setattr__(self, key, value)
        self._check_kind()
        adiabatic = _ADIABATIC[self.kind] if self.adiabatic is None else bool(self.adiabatic)
        object.__setattr__(self, "adiabatic", adiabatic)

    def _check_kind(self) -> None:
        where = f"the {self.what} before pulse {self.before + 1}"
        if self.kind == "t2" and self.duration == 0.0:
            raise InputError(f"{where} has no duration", "its echo time, above 0 ms", field="preparations")
        if self.kind == "delay" and self.duration != 0.0:
            raise InputError(f"{where} has a duration", "its length as its delay alone", field="preparations")
        if self.kind in ("delay", "simulated") and (self.efficiency != 1.0 or self.adiabatic is not None):
            raise InputError(f"{where} has neither efficiency nor adiabatic; leave them out.", field="preparations")
        adiabatic: object = self.adiabatic
        if adiabatic is not None and not isinstance(adiabatic, (bool, np.bool_)):
            found = f"adiabatic of {where} is {shortened(adiabatic)}"
            raise InputError(found, "true, false or none", field="preparations")
        if self.kind == "inversion" and adiabatic is not None and not adiabatic:
            sentence = f"{where} is not adiabatic; such an inversion is not modelled, B1 never scales it."
            raise InputError(sentence, field="preparations")
        if (self.kind == "simulated") != isinstance(self.response, PreparationResponse) or (
            self.kind != "simulated" and self.response is not None
        ):
            expected = "a PreparationResponse with kind 'simulated', and with no other"
            found = f"{where} has {'a' if self.response is not None else 'no'} response"
            raise InputError(found, expected, field="preparations")
        if not isinstance(self.name, str):
            raise InputError(f"the name of {where} is {shortened(self.name)}", "text", field="preparations")

    @property
    def what(self) -> str:
        """Its kind, in words: "T2 preparation"."""
        return _WORDS[self.kind]

    @property
    def time(self) -> float:
        """What it takes of its gap, ms: duration and delay."""
        return self.duration + self.delay

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of all of it but its name."""
        response = None if self.response is None else self.response.digest
        own = (self.before, self.kind, self.duration, self.delay, self.efficiency, self.adiabatic, response)
        return hashlib.sha256(repr(own).encode()).hexdigest()

    def describe(self, exact: bool = False) -> str:
        """Return it in words: "T2 preparation of 50 ms before pulse 12, efficiency 0.9, then 20 ms".

        `from_text` reads it; where it is ``exact``, to the last bit.
        """
        show = repr if exact else "{:g}".format
        lasts = self.delay if self.kind == "delay" else self.duration
        words = f"{self.what}{f' of {show(lasts)} ms' if lasts else ''} before pulse {self.before + 1}"
        if self.efficiency != 1.0:
            words += f", efficiency {show(self.efficiency)}"
        if self.adiabatic != _ADIABATIC[self.kind]:
            words += ", adiabatic" if self.adiabatic else ", scaled by B1"
        if self.delay and self.kind != "delay":
            words += f", {'TI' if self.kind == 'inversion' else 'then'} {show(self.delay)} ms"
        return f"{words}, named {' '.join(self.name.split())}" if self.name else words

    @classmethod
    def from_text(cls, text: str, responses: Mapping[int, PreparationResponse] | None = None) -> Preparation:
        """Make a preparation from words, as `describe` writes them.

        Parameters
        ----------
        text : str
            Kind and pulse, counted from 1, then what else there is: "inversion before pulse 1, TI 20 ms, efficiency
            0.95", "saturation before pulse 40, adiabatic", "T2 preparation of 50 ms before pulse 12, scaled by B1,
            then 20 ms", "delay of 1.5 s before pulse 100".
        responses : mapping of int to PreparationResponse, optional
            Those that "response 1" stands for.

        Raises
        ------
        InputError
            Words that say something else.
        """
        stated, _, name = str(text).partition(", named ")
        first, *clauses = (" ".join(part.split()) for part in stated.split(","))
        match = _FIRST.fullmatch(first)
        kind = None if match is None else _KIND_OF.get(match[1].lower().replace("t₂", "t2"))
        if match is None or kind is None:
            raise _unreadable(text, first)
        found: dict[str, Any] = {"name": name.strip()} if name.strip() else {}
        if match[2]:
            found["delay" if kind == "delay" else "duration"] = _milliseconds(text, match[2], match[3])
        value: Any
        for clause in clauses:
            if then := _THEN.fullmatch(clause):
                key, value = "delay", _milliseconds(text, then[2], then[3])
            elif stated_efficiency := _EFFICIENCY.fullmatch(clause):
                key, value = "efficiency", _float(text, stated_efficiency[1])
            elif clause.lower() in ("adiabatic", "scaled by b1", "not adiabatic"):
                key, value = "adiabatic", clause.lower() == "adiabatic"
            elif (which := _RESPONSE.fullmatch(clause)) and int(which[1]) in (responses or {}):
                key, value = "response", (responses or {})[int(which[1])]
            else:
                raise _unreadable(text, clause)
            if key in found:
                raise _unreadable(text, clause)
            found[key] = value
        if match[4] == "0":
            raise InputError(f"{shortened(text)} counts pulses from 0", "the first to be pulse 1", field="preparations")
        return cls(int(match[4]) - 1, kind, **found)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary, without what is as it is by itself; numbers repeat exactly."""
        result: dict[str, Any] = {"before": self.before, "kind": self.kind}
        for key, usual in (
            ("duration", 0.0),
            ("delay", 0.0),
            ("efficiency", 1.0),
            ("adiabatic", _ADIABATIC[self.kind]),
        ):
            if getattr(self, key) != usual:
                result[key] = getattr(self, key)
        if self.response is not None:
            result["response"] = self.response.to_dict()
        return result | ({"name": self.name} if self.name else {})

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Preparation:
        """Make a preparation from what `to_dict` returned."""
        _check_entries("A preparation", content, {"before", "kind"}, set(cls.__dataclass_fields__))
        response = content.get("response")
        if response is not None and not isinstance(response, PreparationResponse):
            known = set(PreparationResponse.__dataclass_fields__)
            _check_entries("A preparation's response", response, known, known)
            response = PreparationResponse(**response)
        return cls(**{**content, "response": response})


def _unreadable(text: str, part: str) -> InputError:
    found = f"'{part}' of the preparation {text!r} cannot be read" if part != text else f"{text!r} is no preparation"
    return InputError(found, f"words such as {_EXAMPLE}", field="preparations")


def _float(text: str, number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise _unreadable(text, number) from None


def _milliseconds(text: str, number: str, unit: str) -> float:
    return _float(text, number) * _MILLISECONDS[unit.lower()]


def _check_entries(what: str, content: object, needed: set[str], known: set[str]) -> None:
    if not isinstance(content, dict):
        expected = f"an object with the entries {', '.join(sorted(needed))}"
        raise InputError(f"{what} is {shortened(content)}", expected, field="preparations")
    unknown, missing = sorted(set(content) - known), sorted(needed - set(content))
    if unknown or missing:
        found = f"{what} has {'unknown' if unknown else 'missing'} entries {', '.join(map(str, unknown or missing))}"
        raise InputError(found, f"{', '.join(sorted(known))}", field="preparations")
