"""What a column or variable of a schedule file means: its quantity and its unit, from its name or its values."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import FileError
from napari_blochnet.schedules.missing import MissingHintError

__all__ = ["AngleUnit", "Column", "Quantity", "TimeUnit", "parse_name", "unit_of"]

AngleUnit: TypeAlias = Literal["deg", "rad", "fraction"]
TimeUnit: TypeAlias = Literal["ms", "s", "us"]
Quantity: TypeAlias = Literal[
    "flip_angle", "repetition_time", "echo_time", "rf_phase", "inversion_time", "inversion_efficiency", "inversion"
]

_WORDS: dict[Quantity, frozenset[str]] = {
    # the order decides where a name holds words of two: "rf_phase_of_flip", "inversion_efficiency"
    "inversion_efficiency": frozenset({"efficiency", "eff", "inveff"}),
    "rf_phase": frozenset({"phase", "phases", "phi", "phs", "rfphase", "rfphases"}),
    "flip_angle": frozenset({"fa", "flip", "flips", "flipangle", "flipangles", "alpha", "flipwinkel"}),
    "repetition_time": frozenset({"tr", "repetition", "repetitiontime", "repetitiontimes", "reptime", "reptimes",
                                  "repetitionszeit"}),
    "echo_time": frozenset({"te", "echo", "echotime", "echotimes", "echozeit"}),
    "inversion_time": frozenset({"ti", "inversiontime", "invtime", "inversiondelay", "invdelay", "inversionszeit"}),
    "inversion": frozenset({"inversion", "inv", "invert", "inverted", "inversionpulse", "invpulse"}),
}  # fmt: skip
# "TRs", "fa_list", "TEvec"
_LISTS = re.compile(r"(?<=^(fa|tr|te|ti))(s|list|vec|vector|array|values|vals|train|all)$")
# Words of names that say something about a quantity and do not hold it: "numTR", "TR_max", "phase_encoding".
_COUNTS = frozenset({"n", "nr", "no", "num", "number", "count"})
_ABOUT = frozenset({
    "min", "max", "minimum", "maximum", "mean", "average", "median", "total", "delta", "std", "type", "units", "mode",
    "encoding", "encode", "encodes", "spacing", "length", "factor", "increment", "increments", "inc",
    "index", "idx",
})  # fmt: skip
_SIGNS = str.maketrans({
    "µ": "u", "μ": "u", "°": " deg ", "º": " deg ", "˚": " deg ", "α": " alpha ", "φ": " phi ", "ϕ": " phi ",
})  # fmt: skip
_UNITS: dict[str, frozenset[str]] = {
    "deg": frozenset({"deg", "degree", "degrees"}),
    "rad": frozenset({"rad", "radian", "radians"}),
    "fraction": frozenset({"fraction", "fractions", "relative", "normalized", "normalised"}),
    "ms": frozenset({"ms", "msec", "millisecond", "milliseconds"}),
    "s": frozenset({"s", "sec", "second", "seconds"}),
    "us": frozenset({"us", "usec", "microsecond", "microseconds"}),
}
_ANGLES = ("deg", "rad", "fraction")
_TIMES = {"ms": 1.0, "s": 1000.0, "us": 0.001}
# No gradient-spoiled train has TRs outside 1 ms to 1 s, so a time in that range under one unit only has that unit.
_PLAUSIBLE_TR = (1.0, 1000.0)
# No echo is read out this early: such a number is in seconds.
_SMALLEST_TE = 0.1


@dataclass(frozen=True)
class Column:
    """One column, with what its name says.

    Parameters
    ----------
    quantity : str
        The field of `Schedule` it fills.
    values : array of shape (N,)
        As in the file.
    source : str
        File and column, as a sentence names them.
    unit : str, optional
        As the name states it; None where it does not.
    is_addition : bool
        Whether the values are additions to a base value that the file leaves open.
    is_flag : bool
        Whether the values are true and false.
    is_argument : bool
        Whether they are the phase of complex flip angles.
    """

    quantity: Quantity
    values: FloatArray
    source: str
    unit: str | None = None
    is_addition: bool = False
    is_flag: bool = False
    is_argument: bool = False

    def degrees(self, hint: AngleUnit | None, nominal: float | None) -> FloatArray:
        """Return an angle in degrees.

        Parameters
        ----------
        hint : {"deg", "rad", "fraction"}, optional
            The unit, used where the name states none.
        nominal : float, optional
            The flip angle, degrees, that fractions multiply.

        Raises
        ------
        InputError
            The unit cannot be told, or the values are fractions and the nominal angle was not given.
        """
        unit = self.unit if self.unit in _ANGLES else hint
        largest = float(np.abs(self.values).max(initial=0.0))
        if unit is None and largest == 0.0:
            return self.values
        if unit is None and self.quantity == "flip_angle":
            if nominal is not None and largest <= 1.0:
                unit = "fraction"
            elif largest > 2 * math.pi:  # nothing turns the magnetisation by more than a full circle
                unit = "deg"
        if unit is None:
            choices = "'deg', 'rad' or 'fraction'" if self.quantity == "flip_angle" else "'deg' or 'rad'"
            raise self._unit_unknown(largest, "angle_unit", choices)
        if unit == "rad":
            return np.rad2deg(self.values)
        if unit == "fraction":
            if self.quantity != "flip_angle":
                sentence = "a phase cannot be a fraction; give angle_unit as 'deg' or 'rad'."
                raise FileError(self.source, sentence, field="angle_unit")
            if nominal is None:
                found = "holds fractions of a nominal flip angle that the file does not give"
                raise MissingHintError(self.source, found, "flip_angle", ", in degrees", "DEGREES")
            return self.values * nominal
        return self.values

    def milliseconds(self, hint: TimeUnit | None, repetition_time_unit: str | None = None) -> FloatArray:
        """Return a time in ms.

        Parameters
        ----------
        hint : {"ms", "s", "us"}, optional
            The unit, used where the name states none.
        repetition_time_unit : str, optional
            The unit found for the file's TRs, which its other times share unless they state one.

        Raises
        ------
        InputError
            The unit cannot be told.
        """
        return self.values * _TIMES[self.time_unit(hint, repetition_time_unit)]

    def time_unit(self, hint: TimeUnit | None, repetition_time_unit: str | None = None) -> str:
        """Return the unit of a time: stated, given, or the only one that makes sense; see `milliseconds`."""
        if self.unit in _TIMES:
            return str(self.unit)
        if hint is not None:
            return hint
        used = self.values[self.values != 0]
        if self.quantity == "repetition_time" and not self.is_addition and len(used):
            low, high = _PLAUSIBLE_TR
            fits = [
                unit for unit in ("ms", "s") if ((used * _TIMES[unit] >= low) & (used * _TIMES[unit] <= high)).all()
            ]
            if len(fits) == 1:
                return fits[0]
        elif repetition_time_unit is not None and self.quantity != "repetition_time":
            if not len(used) or np.abs(used).min() * _TIMES[repetition_time_unit] >= _SMALLEST_TE:
                return repetition_time_unit
        elif not len(used):
            return "ms"
        raise self._unit_unknown(float(np.abs(self.values).max()), "time_unit", "'ms', 's' or 'us'")

    def _unit_unknown(self, largest: float, field: str, choices: str) -> FileError:
        found = f"the unit of the {_word(self.quantity)} is not stated and values up to {largest:g} do not tell it"
        # radians and seconds are what is left to doubt
        likely = sorted(choices.split("'")[1::2], key=lambda unit: unit not in ("rad", "s"))
        return MissingHintError(self.source, found, field, f" as {choices}", *likely)


def parse_name(name: str, values: FloatArray, source: str) -> Column | None:
    """Read quantity and unit out of a column's name; None where the name means nothing here.

    Names such as ``flip_angle_deg``, ``FA (°)``, ``tr``, ``rf_phase_(deg)``, ``repetitionTime``, ``TRvec``, ``invTime``
    and ``extension_of_base_TR_(ms)`` are understood; ``Npulses``, ``numTR`` and ``TR_max`` hold something else.
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.translate(_SIGNS))
    words = [_LISTS.sub("", word) for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]
    if "flip" in words or "angle" in words:
        words = [word for word in words if word != "alpha"]
    unit = next((unit for unit, known in _UNITS.items() if known.intersection(words)), None)
    is_addition = bool({"extension", "addition", "additional"}.intersection(words))
    if not words or words[0] in _COUNTS or words[-1] in _COUNTS - {"n"}:
        return None
    if _ABOUT.intersection(words) and not is_addition and unit != "fraction":
        return None
    # "t_r" and "inv_time" are one word
    plain = [word for word in words if unit is None or word not in _UNITS[unit]]
    words += [first + second for first, second in itertools.pairwise(plain)]
    found = next((quantity for quantity, known in _WORDS.items() if known.intersection(words)), None)
    return None if found is None else Column(found, values, source, unit, is_addition)


def unit_of(text: str) -> str | None:
    """Return the unit that a text is, such as ``ms`` of "msec"; None where it is none."""
    word = text.translate(_SIGNS).strip().lower()
    return next((unit for unit, known in _UNITS.items() if word in known), None)


def _word(quantity: Quantity) -> str:
    return "RF phase" if quantity == "rf_phase" else quantity.replace("_", " ")
