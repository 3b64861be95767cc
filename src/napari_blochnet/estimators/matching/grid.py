"""The tissues a dictionary holds: pairs of T1 and T2, log-spaced."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from napari_blochnet.common.arrays import FloatArray, IntArray
from napari_blochnet.common.errors import InputError

__all__ = ["LONGEST", "SHORTEST", "TissueGrid", "step_errors"]

#: Times that are taken, ms: far beyond those of any tissue, and far from where numbers end.
SHORTEST, LONGEST = 1e-3, 1e6

# Atoms per axis in a patch: the atoms of one patch are stored side by side, see `TissueGrid.atoms`.
_PATCH = 16
# A grid of more atoms than this is a slip of the pen, not a dictionary: 1 % steps over four decades make 400,000.
_MOST_ATOMS = 50_000_000


@dataclass(frozen=True)
class TissueGrid:
    """Log-spaced pairs of T1 and T2 with T2 ≤ T1.

    Parameters
    ----------
    t1_range, t2_range : tuple of float
        Smallest and largest, ms; both are on the grid. Equal: a single value.
    step : float
        Largest relative step between neighbours, above 0; the step is made a little smaller where that is needed for
        the range to end on a grid value.

    Raises
    ------
    InputError
        A range that is not ascending, or beyond 0.001 to 1,000,000 ms; a step outside (0, 10]; no pair with T2 ≤ T1;
        more than fifty million pairs.
    """

    t1_range: tuple[float, float] = (20.0, 6000.0)
    t2_range: tuple[float, float] = (2.0, 3000.0)
    step: float = 0.02

    def __post_init__(self) -> None:
        for field in ("t1_range", "t2_range"):
            object.__setattr__(self, field, _checked_range(field, getattr(self, field)))
        try:
            step = float(self.step)
        except (TypeError, ValueError):
            step = math.nan
        if not 0 < step <= 10:
            raise InputError(
                f"step is {self.step!r}; expected a relative step above 0 and at most 10 (0.02 is 2 %).", field="step"
            )
        object.__setattr__(self, "step", step)
        if self.t2_range[0] > self.t1_range[1]:
            raise InputError(
                f"t2_range starts at {self.t2_range[0]:g} ms, above the largest T1 of {self.t1_range[1]:g} ms; "
                "expected at least one pair with T2 ≤ T1.",
                field="t2_range",
            )
        # counted before anything of that size is made
        axes = _points(self.t1_range, step), _points(self.t2_range, step)
        if axes[0] * axes[1] > 2 * _MOST_ATOMS or len(self) > _MOST_ATOMS:
            raise InputError(
                f"step is {step:g}, which makes a grid of up to {axes[0]} × {axes[1]} atoms; expected a step that "
                f"makes at most {_MOST_ATOMS:,}.",
                field="step",
            )

    @property
    def t1_values(self) -> FloatArray:
        """The T1 of the grid, ascending, ms."""
        return _axis(self.t1_range, self.step)

    @property
    def t2_values(self) -> FloatArray:
        """The T2 of the grid, ascending, ms."""
        return _axis(self.t2_range, self.step)

    def __len__(self) -> int:
        """Return the number of pairs with T2 ≤ T1."""
        return int(np.searchsorted(self.t2_values, self.t1_values, side="right").sum())

    def atoms(self) -> tuple[IntArray, IntArray]:
        """Return the pairs as indices into `t1_values` and `t2_values`.

        Returns
        -------
        t1_index, t2_index : int array of shape (atom,)
            Neighbours in both T1 and T2 are near each other in this order: 16 × 16 patches, one after the other,
            back and forth along T2. The search for the best match rules out whole stretches of similar atoms.
        """
        t1, t2 = self.t1_values, self.t2_values
        t1_index, t2_index = np.nonzero(t2[None, :] <= t1[:, None])
        t1_patch, t2_patch = t1_index // _PATCH, t2_index // _PATCH
        back_and_forth = np.where(t1_patch % 2 == 0, t2_patch, -t2_patch)
        order = np.lexsort((t2_index, t1_index, back_and_forth, t1_patch))
        return t1_index[order], t2_index[order]

    def memory(self, rank: int, complex_atoms: bool = False) -> int:
        """Return the bytes a dictionary on this grid takes once compressed to ``rank`` (float32 or complex64)."""
        coordinates = 2 * np.dtype(np.float64).itemsize
        return len(self) * (rank * (8 if complex_atoms else 4) + coordinates)

    def describe(self) -> str:
        """Return one line for people: ranges, step, number of atoms."""
        return (
            f"T1 {self.t1_range[0]:g}–{self.t1_range[1]:g} ms, T2 {self.t2_range[0]:g}–{self.t2_range[1]:g} ms, "
            f"steps of {100 * self.step:g} %, T2 ≤ T1: {len(self):,} atoms"
        )


def step_errors(values: FloatArray, answers: FloatArray) -> FloatArray:
    """Return what answers on a few values alone leave open: the standard deviation of truths spread over their cells.

    Parameters
    ----------
    values : array of shape (value,)
        Ascending. A single one leaves nothing open.
    answers : array of shape (voxel,)
        Each of them one of the values.
    """
    if len(values) < 2:
        return np.zeros(len(answers))
    steps = np.diff(values)
    cells = np.concatenate([steps[:1], 0.5 * (steps[1:] + steps[:-1]), steps[-1:]])
    nearest = np.searchsorted(0.5 * (values[1:] + values[:-1]), answers)
    errors: FloatArray = cells[nearest] / math.sqrt(12.0)
    return errors


def _checked_range(field: str, given: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in given)
    except (TypeError, ValueError):
        raise InputError(
            f"{field} is {given!r}; expected two numbers, smallest and largest, in ms.", field=field
        ) from None
    if not (SHORTEST <= low <= high <= LONGEST):
        raise InputError(
            f"{field} is {low:g} to {high:g} ms", f"{SHORTEST:g} ≤ smallest ≤ largest ≤ {LONGEST:,.0f}", field=field
        )
    return low, high


def _points(limits: tuple[float, float], step: float) -> int:
    # a range that is a whole number of steps must not gain a point by rounding
    return math.ceil(math.log(limits[1] / limits[0]) / math.log1p(step) - 1e-9) + 1


def _axis(limits: tuple[float, float], step: float) -> FloatArray:
    return np.geomspace(*limits, _points(limits, step))
