"""Numbers of schedules, checked: what is none or out of range is told in a sentence."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.errors import InputError

__all__ = ["check_number", "numbers", "shortened"]


def shortened(value: object) -> str:
    """Return what was given as text of at most 40 characters."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, an integer of too many digits
        return f"a {type(value).__name__} that cannot be written out"
    return text if len(text) <= 40 else text[:37] + "…"


def numbers(key: str, value: ArrayLike, *, field: str) -> FloatArray:
    """Return an array of float64 with at least one axis; refuse what holds no finite numbers."""
    try:
        array = np.array(value, dtype=np.float64, ndmin=1)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{key} holds something that is not a number", "numbers", field=field) from None
    if not np.isfinite(array).all():
        raise InputError(f"{key} holds {array[~np.isfinite(array)][0]:g}", "finite numbers", field=field)
    return array


def check_number(key: str, value: float, low: float, high: float, unit: str, *, field: str | None = None) -> float:
    """Return a number of a field as a float; refuse what is none, not finite, or out of range."""
    field = key if field is None else field
    if isinstance(value, (bool, np.bool_)):
        raise InputError(f"{key} is {bool(value)}", "a number, or none", field=field)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{key} is {shortened(value)}", "a number", field=field) from None
    if not (math.isfinite(number) and low <= number <= high):
        unit = f" {unit}" if unit else ""
        expected = f"at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
        raise InputError(f"{key} is {number:g}{unit}", f"{expected}{unit}", field=field)
    return number
