"""What the numbers of a map are: units of T1 and T2, rates, B1 in per cent; and what is a weighted image and no map.

A unit is told by what a person says, by what the file says, or by the values; what these say together is checked, and
where they disagree a person is asked. No rule takes a number silently for another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.errors import FileError

__all__ = [
    "B1_RANGE",
    "TimeUnit",
    "in_ms",
    "is_weighted",
    "named_as_map",
    "nominal_b1",
    "refuse_weighted",
    "stated_unit",
    "time_units",
]

#: Units of maps of T1 and T2: times, or rates.
TimeUnit: TypeAlias = Literal["ms", "s", "us", "1/ms", "1/s"]

_SPELLED: Mapping[str, TimeUnit] = {
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("s", "sec", "second", "seconds"), "s"),
    **dict.fromkeys(("us", "µs", "μs", "usec", "µsec", "μsec", "microsecond", "microseconds"), "us"),
    **dict.fromkeys(("1/s", "s^-1", "s-1", "s**-1", "hz", "hertz"), "1/s"),
    **dict.fromkeys(("1/ms", "ms^-1", "ms-1", "ms**-1", "khz"), "1/ms"),
}
_TO_MS = {"ms": 1.0, "s": 1000.0, "us": 1e-3, "1/ms": 1.0, "1/s": 1000.0}
# Units that values may tell, those that may be meant, and those of rates.
_GUESSED = ("ms", "s")
_TIMES = ("ms", "s", "us")
_RATES = ("1/s", "1/ms")
# The median of any tissue lies between these, ms; so a median T1 tells ms from s.
_PLAUSIBLE = {"t1": (20.0, 20_000.0), "t2": (1.0, 5_000.0)}

# What a person says of a unit is believed within these, ms.
_BELIEVED = {"t1": (5.0, 20_000.0), "t2": (0.2, 20_000.0)}

#: Transmit fields relative to nominal that are taken as such: those in which fits stay.
B1_RANGE = (0.2, 3.0)
# What a field relative to nominal is not stated in.
_ABSOLUTE_B1 = ("deg", "°", "rad", "hz", "hertz", "khz", "ut", "µt", "μt", "tesla")
_PERCENT = ("%", "percent", "per cent", "pct", "p.u.")
_PERMILLE = ("‰", "permille", "per mille", "promille", "permil")
_DEGREES = ("deg", "°")
# Median of a field relative to nominal, and of one that can only be in per cent: 85 may as well be degrees of 90.
_RELATIVE_B1 = (0.05, 5.0)
_PERCENT_B1 = (95.0, 105.0)
_PERMILLE_B1 = (950.0, 1050.0)
# A median between these, where nobody states a unit, is per cent or degrees.
_PERCENT_OR_DEGREES = (20.0, 200.0)
# Beyond these it is permille or, as scanners store it, tenths of degrees.
_PERMILLE_OR_TENTHS = (200.0, 2000.0)
# Median over what is nominal, where a file states that.
_PLAUSIBLE_B1 = (0.4, 1.8)

# Names of weighted images that are spelled like those of maps: IXI's, BrainWeb's simulated scans, BIDS' T1w.
_WEIGHTED = re.compile(
    r"(^|[^a-z0-9])(ixi\d+|pn\d+_rf\d+|(t1|t2|t2star|pd)w|t[12](weighted|_weighted)|mprage|flair|spgr|tse)([^a-z0-9]|$)",
    re.IGNORECASE,
)


def is_weighted(name: str) -> bool:
    """Return whether a name says a weighted image: ``IXI002-Guys-0828-T1``, ``T1_ICBM_normal_1mm_pn0_rf0``, ``T1w``."""
    return bool(_WEIGHTED.search(name)) and "map" not in name.lower()


def named_as_map(name: str) -> bool:
    """Return whether a name says more than T1 or T2, which weighted images are called too: ``T1map``, ``qT1``."""
    return bool(re.search(r"map|(^|[^a-z0-9])[qr][12]|qt[12]", name.lower()))


def refuse_weighted(source: str, key: str, values: AnyArray, *, by_file: bool = False) -> None:
    """Raise `FileError` for what is a weighted image by its name, or by whole numbers where no name says a map."""
    name = source.split(".")[0]
    by_name = is_weighted(name)
    if not by_name and (named_as_map(name) or values.dtype.kind not in "iu"):
        return
    holds = f" and holds whole numbers up to {int(values.max(initial=0)):,}" if values.dtype.kind in "iu" else ""
    raise FileError(
        source,
        f"is called as {key.upper()}-weighted images are{holds}; such images are no maps",
        f"maps named T1map and T2map, or {_said_by(key, by_file)} where this is a map of {key.upper()}",
        field=f"{key}_unit",
    )


def stated_unit(text: object) -> str | None:
    """Return the unit that a sidecar's ``Units`` mean, as `TimeUnit` spells it; other words as they are; None: none."""
    if not isinstance(text, str) or not text.strip():
        return None
    word = text.strip().lower()
    return _SPELLED.get(word, word)


def in_ms(values: FloatArray, unit: str) -> FloatArray:
    """Return times in ms; where rates are given, 0, NaN and infinite ones stay what they are."""
    if unit == "us":
        return values / np.float32(1000)
    if not unit.startswith("1/"):
        return values * np.float32(_TO_MS[unit])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        times = _TO_MS[unit] / values
    return np.where((values == 0) | ~np.isfinite(values), values, times).astype(values.dtype, copy=False)


def time_units(
    sources: Mapping[str, str],
    medians: Mapping[str, float],
    stated: Mapping[str, str | None],
    asked: Mapping[str, str | None],
    rates: tuple[str, ...],
    notes: list[str],
    *,
    by_file: bool = False,
) -> dict[str, str]:
    """Return the units of T1 and T2, each told by a person, by its file, or by its values.

    Parameters
    ----------
    sources : mapping of str to str
        The files of "t1" and "t2", as a sentence names them.
    medians : mapping of str to float
        Of "t1" and "t2", in the file's unit.
    stated, asked : mapping of str to str
        What the file states, and what a person does.
    rates : tuple of str
        Keys of maps that are called R1 or R2.
    notes : list of str
        Takes what was understood.
    by_file : bool
        Whether a unit can be said in a JSON file only.

    Raises
    ------
    InputError
        A unit that cannot be by the values; one that a person says against what the file states and its values allow;
        values that tell none; T1 and T2 in different units by their values, where neither file nor person says so.
    """
    found: dict[str, str] = {}
    for key in ("t1", "t2"):
        name, median, source = key.upper(), medians[key], sources[key]
        unit, said = asked.get(key), stated.get(key)
        if unit is not None or said is not None:
            if unit is None:
                found[key] = _as_stated(source, key, str(said), median, by_file)
            else:
                found[key] = _as_asked(source, key, unit, said, median, notes)
            continue
        is_rate = key in rates
        # microseconds are no guess, but T1 in them is a reason
        units = _RATES if is_rate else _GUESSED if found.get("t1") != "us" else _TIMES
        fits = _fitting(key, median, units)
        if not fits:
            raise FileError(
                source,
                f"the unit of {name} is not stated and a median of {median:g} tells neither ms nor s; "
                "state 'Units' as 'ms', 's' or 'us' in a JSON file beside it"
                f"{'' if by_file else f', or give {key}_unit'}.",
                field=key,
            )
        if key == "t2":
            like_t1 = ("1/" if is_rate else "") + found["t1"].removeprefix("1/")
            if like_t1 not in fits and not is_rate:
                raise FileError(source, _in_other_units(medians, found["t1"], fits[0]), _what_helps(medians, by_file),
                                field="t2_unit")  # fmt: skip
            found[key] = like_t1 if like_t1 in fits else fits[0]
            continue
        found[key] = fits[0]
        what = "R1" if is_rate else "T1 and T2"
        notes.append(f"The unit of {what} is not stated; a median {what[:2]} of {median:g} means {fits[0]}.")
    return found


def _as_stated(source: str, key: str, said: str, median: float, by_file: bool) -> str:
    name = key.upper()
    if said not in get_args(TimeUnit):
        expected = f"'s', 'ms' or 'us'{'' if by_file else f', or {key}_unit where it is one of these'}"
        raise FileError(source, f"states the unit {said!r} for {name}", expected, field=f"{key}_unit")
    fits = _fitting(key, median, _RATES if said.startswith("1/") else _TIMES)
    # T2 has no bound that all tissue keeps: only where another unit makes sense of it, the stated one is doubted
    if said not in fits and (key == "t1" or fits):
        low, high = _PLAUSIBLE[key]
        sense = f" ({fits[0]} would make sense)" if fits else ""
        raise FileError(
            source,
            f"states {name} in {said}, but its median is {median:g}{sense}",
            f"a median from {low:g} ms to {high / 1000:g} s{'' if by_file else f', or {key}_unit, which counts more'}",
            field=key if key == "t1" else "t2_unit",
        )
    return said


def _as_asked(source: str, key: str, unit: str, said: str | None, median: float, notes: list[str]) -> str:
    """Return the unit that a person says, where values and file do not speak against it."""
    name, (low, high) = key.upper(), _BELIEVED[key]
    if not low <= _time(median, unit) <= high:
        fits = _fitting(key, median, _RATES if unit.startswith("1/") else _TIMES)
        raise FileError(
            source,
            f"{key}_unit is {unit}, in which a median {name} of {median:g} would be {_shown(median, unit)}",
            f"a median from {low:g} ms to {high / 1000:g} s{f' ({fits[0]} would make sense)' if fits else ''}",
            field=f"{key}_unit",
        )
    if said not in (None, unit):
        if said in _TO_MS and low <= _time(median, said) <= high:
            raise FileError(
                source,
                f"states {name} in {said}, which its median of {median:g} allows, but {key}_unit is {unit}",
                f"no {key}_unit, or a file that states {unit}",
                field=f"{key}_unit",
            )
        notes.append(f"{source} states {name} in {said}; {unit} was taken, as asked.")
    return unit


def _fitting(key: str, median: float, units: tuple[str, ...]) -> list[str]:
    """Return those of several units in which a median is one of tissue."""
    low, high = _PLAUSIBLE[key]
    return [unit for unit in units if low <= _time(median, unit) < high]


def _time(median: float, unit: str) -> float:
    return _TO_MS[unit] / median if unit.startswith("1/") else median * _TO_MS[unit]


def _in_other_units(medians: Mapping[str, float], unit: str, other: str) -> str:
    return (
        f"T1 (median {medians['t1']:g}) is in {unit}; T2 (median {medians['t2']:g}) would be "
        f"{_shown(medians['t2'], unit)} in that unit, and {_shown(medians['t2'], other)} in {other}"
    )


def _shown(value: float, unit: str) -> str:
    time = _time(value, unit)
    return f"{time:,.0f} ms" if time >= 1e4 else f"{time:.3g} ms"


def _what_helps(medians: Mapping[str, float], by_file: bool) -> str:
    rates = " (1/s where these are rates R1 and R2)" if medians["t2"] > medians["t1"] else ""
    said = "'Units' in a JSON file beside each" if by_file else "t1_unit and t2_unit, the unit of each"
    return f"T2 in the unit of T1, or {said}{rates}"


def _said_by(key: str, by_file: bool) -> str:
    return "'Units' in a JSON file beside it" if by_file else f"{key}_unit"


def nominal_b1(
    source: str,
    values: AnyArray,
    inside: BoolArray,
    *,
    stated: str | None,
    nominal: float | None,
    field: str,
    flip_angle: float | None = None,
) -> tuple[float, str]:
    """Return what a B1 map holds where the field is nominal, and what is to be said of it.

    Parameters
    ----------
    source : str
        The map, as a sentence names it.
    values : array of shape (Z, Y, X)
    inside : bool array of shape (Z, Y, X)
        Voxels that count.
    stated : str, optional
        Unit that its file states.
    nominal : float, optional
        What a person says: 100 of per cent, 1000 of permille, the prescribed flip angle of degrees.
    field : str
        Settings field by which a person says it.
    flip_angle : float, optional
        Degrees; what its file states as prescribed, used where it states the map in degrees.

    Returns
    -------
    float
        To divide the map by.
    str
        A note; empty where the map is relative.

    Raises
    ------
    InputError
        A map in degrees or Hz of which nobody says what is nominal; a stated unit that cannot be; values that may be
        per cent or degrees, permille or tenths of degrees, or are none of these.
    """
    if nominal is not None:
        return nominal, f"{source}: B1 was divided by {nominal:g}, as asked." if nominal != 1 else ""
    with np.errstate(invalid="ignore"):
        used = values[inside & (values > 0) & (values < np.inf)]
    if not used.size:
        return 1.0, ""
    median = float(np.median(used))
    unit = (stated or "").strip().lower()
    expected = (
        f"a field relative to nominal, or {field}: what the map holds where the field is nominal "
        "(100 of per cent, 1000 of permille, the prescribed flip angle of degrees)"
    )
    if unit.startswith(_ABSOLUTE_B1):
        known = flip_angle if unit.startswith(_DEGREES) else None
        if known and _PLAUSIBLE_B1[0] <= median / known <= _PLAUSIBLE_B1[1]:
            return known, f"{source}: B1 in {stated} was divided by the FlipAngle that its file states, {known:g}."
        prescribed = f" and a FlipAngle of {known:g}" if known else ""
        raise FileError(source, f"states B1 in {stated}{prescribed}; its median is {median:g}", expected, field=field)
    relative = _RELATIVE_B1[0] <= median <= _RELATIVE_B1[1]
    for spelled, whole in ((_PERCENT, 100.0), (_PERMILLE, 1000.0)):
        if unit in spelled:
            if relative:
                raise FileError(source, f"states B1 in {stated}, but its median is {median:g}", expected, field=field)
            return whole, f"{source}: B1 in {stated} was divided by {whole:g}."
    if _PERCENT_B1[0] <= median <= _PERCENT_B1[1]:
        return 100.0, (
            f"{source}: a median B1 of {median:g} is per cent, and was divided by 100; where it is in degrees, give "
            f"{field}, the prescribed flip angle."
        )
    if _PERMILLE_B1[0] <= median <= _PERMILLE_B1[1]:
        return 1000.0, (
            f"{source}: a median B1 of {median:g} is permille, and was divided by 1000; where it is in tenths of a "
            f"degree, give {field}, ten times the prescribed flip angle."
        )
    if not relative:
        may_be = {"per cent or degrees": _PERCENT_OR_DEGREES, "permille or tenths of degrees": _PERMILLE_OR_TENTHS}
        words = next((words for words, (low, high) in may_be.items() if low <= median <= high), None)
        what = "is neither relative (1 = nominal) nor per cent" if words is None else f"may be {words}"
        raise FileError(source, f"a median B1 of {median:g} {what}", expected, field=field)
    return 1.0, ""
