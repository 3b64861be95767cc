"""How fast estimators were, to say how long they will take."""

from __future__ import annotations

import time
from dataclasses import dataclass

from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.settings import ReconstructSettings

__all__ = ["Pace", "Paces", "Stopwatch"]

# What a voxel costs an estimator depends on these settings, and little on the others.
_COSTLY = (
    "dictionary",
    "estimator",
    "refine",
    "uncertainty",
    "fit_b1",
    "b1",
    "step",
    "t1_range",
    "t2_range",
    "saturation",
)


@dataclass(frozen=True)
class Pace:
    """How fast one estimator was.

    Parameters
    ----------
    rate : float
        Voxels per second, once it had begun.
    preparing : float
        Seconds before.
    """

    rate: float
    preparing: float


class Paces:
    """What was measured last, by what was asked for."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Pace] = {}

    @staticmethod
    def _key(settings: ReconstructSettings, stack: FingerprintStack, device: str) -> tuple[object, ...]:
        return (*(getattr(settings, name) for name in _COSTLY), stack.pulses, stack.is_compressed, stack.kind, device)

    def note(self, settings: ReconstructSettings, stack: FingerprintStack, device: str, pace: Pace) -> None:
        """Keep what was measured."""
        self._known[self._key(settings, stack, device)] = pace

    def seconds(
        self, settings: list[ReconstructSettings], stack: FingerprintStack, device: str, voxels: int
    ) -> float | None:
        """Return how long some voxels will take with all of these estimators; None where one was never measured."""
        known = [self._known.get(self._key(item, stack, device)) for item in settings]
        if not known or None in known:
            return None
        return sum(pace.preparing + voxels / pace.rate for pace in known if pace is not None)


class Stopwatch:
    """Measures one estimator while it maps.

    Parameters
    ----------
    voxels : int
        How many it is to map.
    """

    def __init__(self, voxels: int) -> None:
        self._voxels = voxels
        self._started = time.perf_counter()
        self._begun: float | None = None
        self._done = 0
        self._latest = self._started

    def mapped(self, done: int) -> None:
        """Take note that so many voxels are mapped; the first call, with 0, ends the preparations."""
        self._latest = time.perf_counter()
        if self._begun is None:
            self._begun = self._latest
        self._done = done

    @property
    def pace(self) -> Pace | None:
        """What was measured so far; None before the first batch."""
        if self._begun is None or not self._done:
            return None
        return Pace(self._done / max(self._latest - self._begun, 1e-6), self._begun - self._started)

    @property
    def remaining(self) -> float | None:
        """Seconds until all voxels are mapped; None before the first batch."""
        pace = self.pace
        return None if pace is None else (self._voxels - self._done) / pace.rate
