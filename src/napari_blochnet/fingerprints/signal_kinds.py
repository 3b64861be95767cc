"""What the numbers of a stack are: complex, signed or magnitudes, told by the samples; phases are no samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, SignalKind
from napari_blochnet.common.errors import InputError
from napari_blochnet.io.reading import blocks

__all__ = [
    "PHASE_IMAGE",
    "UNDERSHOOT",
    "PhaseRange",
    "Tally",
    "default_kind",
    "is_signed",
    "phase_range",
    "recognised_kind",
]

#: Interpolation leaves magnitudes below 0 of at most this share of the largest one.
UNDERSHOOT = 0.02
#: What to do with phases.
PHASE_IMAGE = "give the magnitude image, with the phase image beside it (…_part-mag and …_part-phase, or x and x_ph)"

# Samples looked at where their histogram is asked for.
_FEW = 2**21
# Phases of noise are uniform; of eight bins over their range none holds less than this share.
_LEAST_SHARE = 0.02


def default_kind(dtype: np.dtype[Any]) -> SignalKind:
    """Return what data of this type is by the type alone: unsigned integers are magnitude, other reals real."""
    if dtype.kind == "c":
        return "complex"
    return "magnitude" if dtype.kind in "ub" else "real"


@dataclass
class Tally:
    """What a look at all samples inside the mask has found.

    Parameters
    ----------
    lowest, highest : float
        Smallest and largest sample; of complex numbers, of their real parts as long as no imaginary part was found.
    voxels : int
        How many.
    has_imaginary : bool
        Whether an imaginary part other than 0 was found.
    empty, spoiled : int
        Voxels that were left out: without a finite sample, and with some that are not finite.
    """

    lowest: float = math.inf
    highest: float = -math.inf
    voxels: int = 0
    has_imaginary: bool = False
    empty: int = 0
    spoiled: int = 0

    def add(self, samples: AnyArray, here: BoolArray, is_empty_outside: bool = False) -> None:
        """Take the samples (time, …) of a part of the stack into account, where ``here`` is True.

        Outside they may be 0 or not finite, and nothing else.
        """
        count = int(here.sum())
        if not count:
            return
        self.voxels += count
        if samples.dtype.kind == "c":
            self.has_imaginary = self.has_imaginary or bool((np.any(samples.imag, axis=0) & here).any())
            if self.has_imaginary:
                return
            samples = samples.real
        # all of them at once is faster, and 0 more or less changes nothing
        low, high = (samples.min(), samples.max()) if is_empty_outside or count == here.size else (math.nan, math.nan)
        if not math.isfinite(low) or not math.isfinite(high):
            low, high = np.min(samples, axis=0)[here].min(), np.max(samples, axis=0)[here].max()
        self.lowest, self.highest = min(self.lowest, float(low)), max(self.highest, float(high))


@dataclass(frozen=True)
class PhaseRange:
    """A range that phases fill.

    Parameters
    ----------
    name : str
        What people call it.
    low, high : float
        Its ends, one turn apart.
    whole : bool
        Whether the phases are whole numbers.
    """

    name: str
    low: float
    high: float
    whole: bool = False

    @property
    def radian(self) -> float:
        """What one of its units is in radians."""
        return 2 * math.pi / (self.high - self.low)

    def is_filled(self, low: float, high: float, slack: float = 0.01) -> bool:
        """Whether values from ``low`` to ``high`` lie within it and come near both of its ends."""
        span = self.high - self.low
        inside = low >= self.low - 1e-4 * span and high <= self.high + 1e-4 * span
        return inside and low <= self.low + slack * span and high >= self.high - slack * span


_RANGES = (
    PhaseRange("−π…π", -math.pi, math.pi),
    PhaseRange("0…2π", 0.0, 2 * math.pi),
    PhaseRange("−180…180°", -180.0, 180.0),
    PhaseRange("0…360°", 0.0, 360.0),
    PhaseRange("−4096…4095", -4096.0, 4096.0, whole=True),
    PhaseRange("0…4095", 0.0, 4096.0, whole=True),
    PhaseRange("−3142…3142 (thousandths of a radian)", -3141.6, 3141.6, whole=True),
)


def phase_range(low: float, high: float) -> PhaseRange | None:
    """Return the range of phases that values from ``low`` to ``high`` fill; None where they fill none."""
    return next((each for each in _RANGES if each.is_filled(low, high)), None)


def _few_samples(data: AnyArray) -> AnyArray:
    """Return the samples (time, …) of voxels from all over a stack, in one row, without those that are not finite.

    Of each voxel it is the whole time course: signs and phases alternate from pulse to pulse, and a stride would meet
    one of the two only. Voxels are thinned along the two longest axes, to some millions of samples.
    """
    thin = round(math.sqrt(max(1.0, data.size / _FEW)))
    longest = sorted(range(1, data.ndim), key=lambda axis: -data.shape[axis])[:2]
    steps = [slice(None, None, thin if axis in longest else None) for axis in range(data.ndim)]
    few: AnyArray = np.asarray(data[tuple(steps)]).reshape(-1)
    finite: AnyArray = few[np.isfinite(few)]
    return finite


def is_signed(data: AnyArray) -> bool:
    """Whether any sample lies below 0; all are looked at, up to the first that does."""
    if data.dtype.kind in "ub":
        return False
    with np.errstate(invalid="ignore"):
        return any(bool((data[part] < 0).any()) for part in blocks(data.shape, data.dtype.itemsize))


def _are_spread(samples: AnyArray, over: PhaseRange) -> bool:
    """Whether samples, those of 0 apart, are spread over a range as phases are."""
    values = samples[samples != 0]
    if not values.size:
        return False
    counts, _ = np.histogram(values, bins=8, range=(over.low, over.high))
    return bool(counts.min() >= _LEAST_SHARE * values.size)


def recognised_kind(data: AnyArray, tally: Tally, has_both_signs: bool) -> tuple[SignalKind, str]:
    """Return what the samples of a stack are, and that in a sentence; empty where the type alone says it.

    Parameters
    ----------
    data : array of shape (time, Z, Y, X)
    tally : Tally
        Of all samples inside the mask.
    has_both_signs : bool
        Whether signed signals of the schedule lie on both sides of 0, as an inversion makes them.

    Raises
    ------
    InputError
        Phases; samples of which it cannot be told.
    """
    kind = default_kind(data.dtype)
    if not tally.voxels or tally.highest == -math.inf:
        return kind, ""
    if kind == "complex":
        if tally.has_imaginary or tally.lowest < 0 or not has_both_signs or tally.highest == 0:
            return kind, ""
        return "magnitude", (
            "The samples are complex numbers without imaginary parts, none of them below 0 although the schedule makes "
            "signals of both signs; they are taken as magnitudes (give the kind as complex if they are not)."
        )
    _refuse_phases(data, tally)
    if tally.lowest >= 0 and data.dtype.kind == "f" and not has_both_signs:
        return "real", (
            "No sample lies below 0, and without an inversion signed signals need not either: the two cannot be told "
            "apart. They are taken as real, signed values (give the kind as magnitude if they are magnitudes)."
        )
    if tally.lowest >= 0:
        otherwise = "" if data.dtype.kind in "ub" else " (give the kind as real if they are signed)"
        return "magnitude", f"No sample lies below 0; they are taken as magnitudes{otherwise}."
    if has_both_signs and -tally.lowest <= UNDERSHOOT * tally.highest:
        raise InputError(
            f"The samples below 0 are small, down to {tally.lowest:.3g} where the largest is {tally.highest:.3g}, "
            "although the schedule makes signals of both signs: magnitudes that were interpolated, or signed values; "
            "give the kind as magnitude or real.",
            field="kind",
        )
    return "real", (
        f"Samples lie below 0, down to {tally.lowest:.3g} where the largest is {tally.highest:.3g}; they are taken as "
        "real, signed values."
    )


def _refuse_phases(data: AnyArray, tally: Tally) -> None:
    filled = phase_range(tally.lowest, tally.highest)
    few = _few_samples(data) if filled is not None else np.empty(0)
    if filled is not None and filled.whole and (few != np.rint(few)).any():
        filled = None
    if filled is not None and _are_spread(few, filled):
        raise InputError(
            f"The samples fill {filled.name} evenly: they are a phase, from which nothing can be mapped; "
            f"{PHASE_IMAGE}, or the kind if they are signals.",
            field="kind",
        )
    signed = tally.lowest < 0 and filled is not None and (filled.whole or filled.name == "−π…π")
    # the phase of noise-free signals is 0 or π
    ends = abs(tally.highest - math.pi) < 1e-5 and tally.lowest >= -math.pi - 1e-5
    if signed or ends:
        raise InputError(
            f"The samples reach from {tally.lowest:.6g} to {tally.highest:.6g}, as phases do; if they are, "
            f"{PHASE_IMAGE}; if they are signals, give the kind as "
            f"{'real' if tally.lowest < 0 else 'magnitude or real'}.",
            field="kind",
        )
