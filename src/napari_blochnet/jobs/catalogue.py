"""The operations: each one function with one settings model, called by the command line, by napari and from Python.

Every operation takes its settings as a model or as keyword arguments of the same names, reports progress, looks at
``cancelled`` once per batch, and returns a domain object that carries its record.
"""

from __future__ import annotations

from typing import Any

from napari_blochnet.jobs.operations.adapt import adapt
from napari_blochnet.jobs.operations.compare import compare, region_means
from napari_blochnet.jobs.operations.opening import (
    SCHEDULE_KINDS,
    brainweb_phantom,
    make_schedule,
    open_fingerprints,
    open_phantom,
    synthetic_head,
)
from napari_blochnet.jobs.operations.reconstruct import reconstruct
from napari_blochnet.jobs.operations.simulate import simulate
from napari_blochnet.jobs.operations.train import train
from napari_blochnet.jobs.settings import (
    BrainWebSettings,
    CompareSettings,
    FingerprintsSettings,
    PhantomSettings,
    ReconstructSettings,
    RegionSettings,
    SimulateSettings,
    SyntheticSettings,
)
from napari_blochnet.jobs.settings_training import AdaptSettings, TrainSettings

__all__ = [
    "SETTINGS",
    "adapt",
    "brainweb_phantom",
    "compare",
    "make_schedule",
    "open_fingerprints",
    "open_phantom",
    "reconstruct",
    "region_means",
    "simulate",
    "synthetic_head",
    "train",
]

#: The settings model of each operation; a schedule's depends on its kind.
SETTINGS: dict[str, Any] = {
    "open_phantom": PhantomSettings,
    "brainweb_phantom": BrainWebSettings,
    "synthetic_head": SyntheticSettings,
    "make_schedule": SCHEDULE_KINDS,
    "open_fingerprints": FingerprintsSettings,
    "simulate": SimulateSettings,
    "reconstruct": ReconstructSettings,
    "compare": CompareSettings,
    "region_means": RegionSettings,
    "train": TrainSettings,
    "adapt": AdaptSettings,
}
