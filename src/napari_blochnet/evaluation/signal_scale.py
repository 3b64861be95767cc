"""Where a truth's PD meets measured samples: the one factor between their units.

A truth's PD is relative, about 1; samples, and the PD of maps made from them, are in the units of whatever wrote the
stack. Bounds, scores and pictures of PD take what is between the two from here.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from napari_blochnet.evaluation.maps import ParameterMaps, failures
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["SignalScale", "is_simulated_from", "mark_of_pd", "signal_scales", "stack_scale"]

# Voxels whose PD is looked at, spread over the maps.
_VOXELS = 2**16
# Units that agree to this are one: a median over a few voxels, matched to a grid, does not tell any closer.
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


# A record says when and on what something was made, too, which is not what was made.
_CIRCUMSTANCES = frozenset({"created", "software", "seconds", "device", "decoder", "memory"})
_MARKS: WeakKeyDictionary[Phantom, int] = WeakKeyDictionary()


def mark_of_pd(truth: Phantom) -> int:
    """Return a number by which a record of simulated fingerprints knows the PD that they have, as float32, again."""
    found = _MARKS.get(truth)
    if found is None:
        found = _MARKS[truth] = zlib.crc32(np.ascontiguousarray(truth.pd[truth.mask], np.float32).tobytes())
    return found


def is_simulated_from(truth: Phantom, made: Mapping[str, Any]) -> bool:
    """Whether fingerprints are in the unit of a truth's PD because they were simulated from it, as their record says.

    Parameters
    ----------
    truth : Phantom
        Or some of its slices, turned or not.
    made : mapping
        The fingerprints' record.
    """
    mark = made.get("pd_mark")
    # without one it is an earlier version's, or the samples have been scaled since, as those of our sample data
    if made.get("operation") != "simulate" or mark is None:
        return False
    inputs = made.get("inputs")
    named = inputs.get("phantom") if isinstance(inputs, Mapping) else None
    return bool(truth.record and _origin(named) == _origin(truth.record)) or mark == mark_of_pd(truth)


def _origin(record: Any) -> Any:
    """Return a record without the circumstances in which something was made; a part has the origin of the
    whole, and PD is the same in any transmit field.
    """
    if isinstance(record, Mapping):
        if record.get("operation") in ("cut_phantom", "add_b1_field") and isinstance(
            inputs := record.get("inputs"), Mapping
        ):
            return _origin(inputs.get("phantom"))
        return {key: _origin(value) for key, value in record.items() if key not in _CIRCUMSTANCES}
    return [_origin(value) for value in record] if isinstance(record, (list, tuple)) else record


def stack_scale(truth: Phantom, made: Mapping[str, Any], maps: Sequence[ParameterMaps]) -> SignalScale | None:
    """Return the scale of one stack by its record and its maps; None where it was simulated from the truth.

    Parameters
    ----------
    truth : Phantom
        On the maps' grid.
    made : mapping
        The stack's record.
    maps : sequence of ParameterMaps
        All of this stack.
    """
    if is_simulated_from(truth, made):
        return None
    return signal_scales(truth, maps)[0] if maps else SignalScale(unknown="there are no maps of it")


def signal_scales(truth: Phantom, maps: Sequence[ParameterMaps]) -> list[SignalScale]:
    """Return the scale of each set of maps; those of one stack share theirs.

    It is 1 where the stack was simulated from this truth (see `is_simulated_from`). Else, of the maps of one stack,
    those that leave the least residual tell: the median of estimated over true PD, over the voxels of both masks.

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


@dataclass(frozen=True)
class _Told:
    """What one set of maps tells: its median residual, and quartiles of estimated over true PD where there are any."""

    is_own: bool
    residual: float
    quartiles: tuple[float, float, float] | None


# Of finished maps: it is asked for at every stroke of a brush and at every voxel pointed at.
_TOLD: WeakKeyDictionary[Phantom, WeakKeyDictionary[ParameterMaps, _Told]] = WeakKeyDictionary()


def _scale(truth: Phantom, maps: Sequence[ParameterMaps]) -> SignalScale:
    told = [_told(truth, item) for item in maps]
    if any(found.is_own for found in told):
        return SignalScale()
    known = [(found.residual, found.quartiles) for found in told if found.quartiles is not None]
    if not known:
        return SignalScale(unknown="no voxel of its maps has a PD that could be set against the truth's")
    _, (low, middle, high) = min(known, key=lambda found: found[0])
    middle = 1.0 if abs(middle - 1.0) <= _SAME else middle
    if high > _SPREAD * low:
        return SignalScale(
            middle,
            f"the PD of its maps is not in proportion to the truth's (half of the voxels have {low:.3g} to {high:.3g} "
            "times it), so one scale does not bring the truth to the units of the fingerprints",
        )
    return SignalScale(middle)


def _told(truth: Phantom, maps: ParameterMaps) -> _Told:
    """Return what maps tell; it is kept unless they have no record yet, for a job may still be filling them."""
    if not maps.record:
        return _look(truth, maps)
    kept = _TOLD.setdefault(truth, WeakKeyDictionary())
    found = kept.get(maps)
    if found is None:
        found = kept[maps] = _look(truth, maps)
    return found


def _look(truth: Phantom, maps: ParameterMaps) -> _Told:
    inputs = maps.record.get("inputs")
    made = inputs.get("stack") if isinstance(inputs, Mapping) else None
    if isinstance(made, Mapping) and is_simulated_from(truth, made):
        return _Told(True, math.inf, None)
    if maps.pd is None:
        return _Told(False, math.inf, None)
    inside = np.flatnonzero(truth.mask & maps.mask)
    if len(inside) > _VOXELS:
        inside = inside[np.linspace(0, len(inside) - 1, _VOXELS).astype(np.intp)]
    where = np.unravel_index(inside, maps.shape)
    estimated, true = maps.pd[where].astype(np.float64), truth.pd[where]
    good = ~failures(maps, where) & (estimated > 0)
    if not good.any():
        return _Told(False, math.inf, None)
    low, middle, high = (float(value) for value in np.quantile(estimated[good] / true[good], (0.25, 0.5, 0.75)))
    left = math.inf if maps.residual is None else float(np.median(maps.residual[where][good]))
    return _Told(False, left, (low, middle, high))
