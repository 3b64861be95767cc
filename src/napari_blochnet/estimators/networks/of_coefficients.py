"""Networks on coefficients: from a stack's subspace to the one that a network looks at, and what is lost between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.networks.inputs import normalised_real
from napari_blochnet.estimators.projected import ProjectedDecoder
from napari_blochnet.fingerprints.subspaces import Subspace
from napari_blochnet.physics.decoder import EPGDecoder

__all__ = ["Across", "across_subspaces"]

# Tissues of which the loss is measured, and ranges of T1 and T2 (ms) where a card does not say what was trained.
_TISSUES, _T1_RANGE, _T2_RANGE = 1000, (100.0, 5000.0), (10.0, 1500.0)
# Change of T1 or T2 that nine of ten tissues may have at most.
_MOST_CHANGED, _SHARE = 0.02, 0.9


@dataclass(frozen=True, eq=False)
class Across:
    """How a network is fed coordinates of a subspace.

    Parameters
    ----------
    turn : array of shape (own, K)
        From coordinates to coefficients of the network's own subspace: of the same time courses.
    mean_atom : float32 array of shape (own,)
        Of the schedule, in that subspace; see `napari_blochnet.estimators.networks.inputs.unit_mean_atom`.
    decoder : ProjectedDecoder
        Of coordinates.
    changed : tuple of float
        Relative change of T1 and T2, which nine of ten training tissues do not exceed, by what the stack's subspace
        leaves out.
    """

    turn: AnyArray
    mean_atom: FloatArray
    decoder: ProjectedDecoder
    changed: tuple[float, float]

    def describe(self, name: str) -> str:
        """Return a sentence for records."""
        count, own = self.turn.shape[1], self.turn.shape[0]
        t1, t2 = (100 * value for value in self.changed)
        return (
            f"The {own} coefficients that {name} looks at are made of the stack's {count}; over the tissues of its "
            f"training, that changes T1 by up to {t1:.2g} % and T2 by up to {t2:.2g} % in nine of ten."
        )


def across_subspaces(
    name: str,
    own: FloatArray,
    labels: Callable[[FloatArray], FloatArray],
    subspace: Subspace,
    mean_atom: FloatArray,
    decoder: EPGDecoder,
    training: Mapping[str, Any],
) -> Across:
    """Return how a network is fed coordinates of a subspace.

    Parameters
    ----------
    name : str
        Of the network, for sentences.
    own : array of shape (time, own)
        Orthonormal columns that the network projects fingerprints on.
    labels : callable
        From coefficients (voxel, own), real and normalised, to log10 of T1 and T2.
    subspace : Subspace
        Of the stack.
    mean_atom : array of shape (time,)
    decoder : EPGDecoder
    training : mapping
        Of the network's card.

    Raises
    ------
    InputError
        Its answers change by more than 2 % in more than a tenth of the tissues: what it looks at is not in the stack.
    """
    turn = own.astype(np.float64).T @ subspace.curves
    mean = np.ascontiguousarray(own.T @ mean_atom, dtype=np.float32)
    signals = decoder.signal(*_tissues(training)).astype(np.float64)
    whole = labels(_fed(signals @ own, mean))
    left = labels(_fed(subspace.project(signals) @ turn.T, mean))
    change = np.abs(10.0 ** (left.astype(np.float64) - whole) - 1.0)
    t1, t2 = (float(value) for value in np.quantile(change, _SHARE, axis=0))
    found = Across(turn, mean, ProjectedDecoder(decoder, subspace), (t1, t2))
    if not (t1 <= _MOST_CHANGED and t2 <= _MOST_CHANGED):
        raise InputError(
            f"The stack's {subspace.rank} coefficients hold too little of the {own.shape[1]} that {name} looks at: "
            f"over the tissues of its training T1 changes by up to {100 * t1:.2g} % and T2 by up to {100 * t2:.2g} % "
            "in nine of ten",
            f"at most {100 * _MOST_CHANGED:g} %: more coefficients, or dictionary or universal, which match them",
            field="estimator",
        )
    return found


def _fed(coefficients: AnyArray, mean: FloatArray) -> FloatArray:
    is_complex = np.iscomplexobj(coefficients)
    rows = np.ascontiguousarray(coefficients, np.complex64 if is_complex else np.float32)
    return normalised_real(rows, "complex" if is_complex else "real", mean)[0]


def _tissues(training: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Return T1 and T2 (ms), evenly in their logarithms over what was trained; T2 ≤ T1."""
    low, high = np.log(
        [_range(training.get(key), usual) for key, usual in (("t1_range", _T1_RANGE), ("t2_range", _T2_RANGE))]
    ).T
    drawn = np.exp(np.random.default_rng(0).uniform(low, high, (4 * _TISSUES, 2)))
    t1, t2 = drawn[drawn[:, 1] <= drawn[:, 0]][:_TISSUES].T
    return t1, t2


def _range(stated: Any, usual: tuple[float, float]) -> tuple[float, float]:
    """Return what a card says, where it does; a stranger's may say anything."""
    try:
        low, high = map(float, stated)
    except (TypeError, ValueError):
        return usual
    return (low, high) if 0 < low < high < np.inf else usual
