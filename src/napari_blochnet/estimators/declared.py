"""What is known of the package's own estimators without what they compute with: no torch, no numba.

Faces ask it before an estimator is made; the estimators themselves inherit it.
"""

from __future__ import annotations

from typing import Any

from napari_blochnet.estimators.base import Estimator
from napari_blochnet.estimators.matching.grid import TissueGrid
from napari_blochnet.fingerprints.stack import SignalKind

__all__ = ["DeclaredDictionary", "DeclaredNetwork", "DeclaredUniversal"]

# Of memory: measured with tracemalloc at 300 and 1000 TRs; the numbers of arrays of the given size that exist at once.
_ATOMS_AT_ONCE = 4096
_SIMULATING = 4.5
_CUTTING = 4.0
_ANCHORS = 74_000.0
_RANK = {"complex": 24, "real": 24, "magnitude": 72}
_MATCHING = {"complex": 5.0, "real": 3.5, "magnitude": 3.5}
_READING = {"complex": 2.2, "real": 3.8, "magnitude": 3.8}
_NETWORK = 2.2
# HYDRA keeps 16 features of each sample, of this many voxels at a time, for its convolutions.
_HYDRA = 512 * 16 * 4 * 4


class DeclaredDictionary(Estimator):
    """Of `napari_blochnet.estimators.matching.dictionary.DictionaryMatching`."""

    name = "dictionary"
    about = "Looks for the most similar among simulated fingerprints, on a grid of T1 and T2. Any schedule, any signal."
    settings = ("t1_range", "t2_range", "step", "saturation")
    is_global = True
    takes_subspace = True
    takes_b1 = True
    is_movable = True
    block = 4096  # fingerprints in double precision: 32 MB at 1000 TRs

    @classmethod
    def memory(
        cls, pulses: int, kind: SignalKind, parts: int, batch: float, settings: Any
    ) -> tuple[float, float, float]:
        grid = TissueGrid(settings.t1_range, settings.t2_range, settings.step)
        kept = grid.memory(_RANK[kind], parts > 1)
        preparing = _SIMULATING * min(_ATOMS_AT_ONCE, len(grid)) * pulses * 4 * parts + _CUTTING * kept
        return preparing, kept, _MATCHING[kind] * batch


class DeclaredUniversal(Estimator):
    """Of `napari_blochnet.estimators.universal.universal_estimator.Universal`."""

    name = "universal"
    about = (
        "Interpolates between tissues simulated under the stack's own schedule: no grid in the answers, and no "
        "training. Any schedule, any signal."
    )
    settings = ("saturation",)
    is_global = True
    takes_subspace = takes_b1 = apart_with_b1 = True
    block = 4096  # their interpolated profiles take 40 MB
    kept = 8  # 2 to 5 MB each

    @classmethod
    def memory(
        cls, pulses: int, kind: SignalKind, parts: int, batch: float, settings: Any
    ) -> tuple[float, float, float]:
        return _ANCHORS * pulses * parts, 0.0, _READING[kind] * batch


class DeclaredNetwork(Estimator):
    """Of all networks, whether they are named or loaded."""

    settings = ("other_schedule",)
    is_trained = True
    is_movable = True
    takes_subspace = True
    takes_magnitude = False
    takes_phases = False
    block: int | None = 8192  # 32 MB of samples at 1000 TRs, and enough for all cores

    @classmethod
    def memory(
        cls, pulses: int, kind: SignalKind, parts: int, batch: float, settings: Any
    ) -> tuple[float, float, float]:
        return 0.0, 0.0, _NETWORK * batch + (_HYDRA * pulses if "hydra" in settings.estimator else 0)
