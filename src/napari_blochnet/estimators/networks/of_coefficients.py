"""Networks on coefficients: from a stack's subspace to the one that a network looks at, and what is lost between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.networks.inputs import Inputs, normalised_real
from napari_blochnet.estimators.projected import ProjectedDecoder
from napari_blochnet.fingerprints.subspaces import Subspace
from napari_blochnet.physics.decoder import EPGDecoder

__all__ = ["Across", "across_subspaces"]

# Tissues of which the loss is measured: of usual T1 (ms) and T2 relative to it, as far as they were trained.
_TISSUES, _T1_RANGE, _RATIO = 300, (200.0, 5000.0), (0.02, 0.7)
# Change of T1 or T2 that nine of ten tissues may have at most.
_MOST_CHANGED, _SHARE = 0.02, 0.9


@dataclass(frozen=True, eq=False)
class Across:
    """How a network is fed coordinates of a subspace.

    Parameters
    ----------
    turn : array of shape (own, K)
        From coordinates to coefficients of the network's own subspace: of the same time courses.
    inputs : Inputs
        Of the network, on its own subspace.
    decoder : ProjectedDecoder
        Of coordinates.
    changed : tuple of float
        Relative change of T1 and T2, which nine of ten usual tissues do not exceed, by what the stack's subspace leaves
        out.
    """

    turn: AnyArray
    inputs: Inputs
    decoder: ProjectedDecoder
    changed: tuple[float, float]

    def describe(self, name: str) -> str:
        """Return a sentence for records."""
        count, own = self.turn.shape[1], self.turn.shape[0]
        t1, t2 = (100 * value for value in self.changed)
        return (
            f"The {own} coefficients that {name} looks at are made of the stack's {count}; that changes T1 "
            f"by up to {t1:.2g} % and T2 by up to {t2:.2g} % in nine of ten tissues."
        )


def across_subspaces(
    name: str,
    inputs: Inputs,
    labels: Callable[[FloatArray], FloatArray],
    subspace: Subspace,
    decoder: EPGDecoder,
    training: Mapping[str, Any],
) -> Across:
    """Return how a network is fed coordinates of a subspace.

    Parameters
    ----------
    name : str
        Of the network, for sentences.
    inputs : Inputs
        Of the network: what it projects fingerprints on.
    labels : callable
        From coefficients (voxel, own), real and normalised, to log10 of T1 and T2.
    subspace : Subspace
        Of the stack.
    decoder : EPGDecoder
    training : mapping
        Of the network's card.

    Raises
    ------
    InputError
        Its answers change by more than 2 % in more than a tenth of the tissues: what it looks at is not in the stack.
    """
    own, mean = inputs.basis, inputs.mean
    turn = own.astype(np.float64).T @ subspace.curves
    signals = decoder.signal(*_tissues(training)).astype(np.float64)
    whole = labels(_fed(signals @ own, mean))
    left = labels(_fed(subspace.project(signals) @ turn.T, mean))
    change = np.abs(10.0 ** np.clip(left - whole, -9.0, 9.0) - 1.0)
    t1, t2 = (float(value) for value in np.quantile(change, _SHARE, axis=0))
    found = Across(turn, inputs, ProjectedDecoder(decoder, subspace), (t1, t2))
    if not (t1 <= _MOST_CHANGED and t2 <= _MOST_CHANGED):
        raise InputError(
            f"The stack's {subspace.rank} coefficients hold too little of the {own.shape[1]} that {name} looks at: "
            f"T1 changes by up to {100 * t1:.2g} % and T2 by up to {100 * t2:.2g} % in nine of ten tissues",
            f"at most {100 * _MOST_CHANGED:g} %: more coefficients, or dictionary or universal, which match them",
            field="estimator",
        )
    return found


def _fed(coefficients: AnyArray, mean: FloatArray) -> FloatArray:
    is_complex = np.iscomplexobj(coefficients)
    rows = np.ascontiguousarray(coefficients, np.complex64 if is_complex else np.float32)
    return normalised_real(rows, "complex" if is_complex else "real", mean)[0]


def _tissues(training: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Return T1 and T2 (ms) of usual tissues, evenly in their logarithms, as far as a card says they were trained."""
    random = np.random.default_rng(0)
    (shortest, longest), (least, most) = np.log(_T1_RANGE), np.log(_RATIO)
    t1 = np.exp(random.uniform(shortest, longest, 8 * _TISSUES))
    t2 = t1 * np.exp(random.uniform(least, most, 8 * _TISSUES))
    trained = np.ones(len(t1), bool)
    for values, key in ((t1, "t1_range"), (t2, "t2_range")):
        low, high = _range(training.get(key))
        trained &= (values >= low) & (values <= high)
    some = np.flatnonzero(trained if trained.any() else ~trained)[:_TISSUES]
    return t1[some], t2[some]


def _range(stated: Any) -> tuple[float, float]:
    """Return what a card says, where it does; a stranger's may say anything."""
    try:
        low, high = map(float, stated)
    except (TypeError, ValueError):
        return 0.0, np.inf
    return low, high
