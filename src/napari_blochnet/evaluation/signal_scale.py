"""Where a truth's PD meets measured samples: the one factor between their units.

A truth's PD is relative, about 1; samples, and the PD of maps made from them, are in the units of whatever wrote the
stack. Bounds, scores and pictures of PD take what is between the two from here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.evaluation.maps import ParameterMaps, failures
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["SignalScale", "signal_scales"]

# Voxels whose PD is looked at, spread over the maps.
_VOXELS = 2**16
# Units that agree to this are one: what was simulated is in the unit of the PD that it was simulated from, which a
# median over a few voxels, matched to a grid, does not tell any closer.
_SAME = 0.02
# Quartiles of the ratio of PDs lie at most this factor apart where one number is between the units.
_SPREAD = 1.25


@dataclass(frozen=True)
class SignalScale:
    """What a truth's PD is in the units of a stack's samples.

    Parameters
    ----------
    signal_per_pd : float
        Size of the samples of a voxel of PD 1, over that of the decoder's signal; above 0. 1 where nothing is known.
    unknown : str
        Why one number cannot be known, as the end of a sentence; empty where it is known.
    """

    signal_per_pd: float = 1.0
    unknown: str = ""

    @property
    def pd_scale(self) -> float:
        """What estimated PD is multiplied with, to be in the truth's unit."""
        return 1.0 / self.signal_per_pd


def signal_scales(truth: Phantom, maps: Sequence[ParameterMaps]) -> list[SignalScale]:
    """Return the scale of each set of maps; those of one stack share theirs.

    Of the maps of one stack, those that leave the least residual tell: the median of estimated over true PD, over
    the voxels of both masks. It is exactly 1 where the two units agree, as those of a stack simulated from this truth.

    Parameters
    ----------
    truth : Phantom
        On the maps' grid.
    maps : sequence of ParameterMaps
        One per model. Whether two were made from one stack is told by their records; maps whose record does not tell
        have a scale of their own.

    Returns
    -------
    list of SignalScale
        One for each set of maps.
    """
    by_stack: dict[str, list[ParameterMaps]] = {}
    for number, item in enumerate(maps):
        by_stack.setdefault(_stack_of(item) or str(number), []).append(item)
    found = {key: _scale(truth, several) for key, several in by_stack.items()}
    return [found[_stack_of(item) or str(number)] for number, item in enumerate(maps)]


def _stack_of(maps: ParameterMaps) -> str | None:
    """Return what is the same in the records of maps of one stack; None where a record does not tell its stack."""
    known = maps.record.get("acquisition")
    samples = known.get("samples") if isinstance(known, Mapping) else None
    return samples if isinstance(samples, str) and samples else None


def _scale(truth: Phantom, maps: Sequence[ParameterMaps]) -> SignalScale:
    told = [found for item in maps if (found := _ratio(truth, item))[1].size]
    if not told:
        return SignalScale(unknown="no voxel of its maps has a PD that could be set against the truth's")
    _, ratio = min(told, key=lambda found: found[0])
    low, middle, high = (float(value) for value in np.quantile(ratio, (0.25, 0.5, 0.75)))
    middle = 1.0 if abs(middle - 1.0) <= _SAME else middle
    if high > _SPREAD * low:
        return SignalScale(
            middle,
            f"the PD of its maps is not in proportion to the truth's (half of the voxels have {low:.3g} to {high:.3g} "
            "times it), so one scale does not bring the truth to the units of the fingerprints",
        )
    return SignalScale(middle)


def _ratio(truth: Phantom, maps: ParameterMaps) -> tuple[float, FloatArray]:
    """Return the median residual, and estimated over true PD, of some voxels."""
    if maps.pd is None:
        return math.inf, np.empty(0)
    inside = np.flatnonzero(truth.mask & maps.mask)
    if len(inside) > _VOXELS:
        inside = inside[np.linspace(0, len(inside) - 1, _VOXELS).astype(np.intp)]
    where = np.unravel_index(inside, maps.shape)
    made, true = maps.pd[where].astype(np.float64), truth.pd[where]
    good = ~failures(maps, where) & (made > 0)
    left = math.inf if maps.residual is None or not good.any() else float(np.median(maps.residual[where][good]))
    return left, made[good] / true[good]
