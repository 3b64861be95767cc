"""Magnetic resonance fingerprinting: simulation, parameter maps, and napari as their window.

Every public name is loaded at its first use, so that ``import napari_blochnet`` costs nothing and loads neither
torch nor Qt.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOME = {
    "Schedule": "schedules.schedule",
    "fisp_schedule": "schedules.generators",
    "spline_schedule": "schedules.generators",
    "read_schedule": "schedules.schedule_files",
    "write_schedule": "schedules.schedule_files",
    "EPGDecoder": "physics.decoder",
    "bloch_signal": "physics.reference.isochromats",
    "cramer_rao_bound": "physics.bounds",
    "Phantom": "phantoms.phantom",
    "read_phantom": "phantoms.read",
    "synthetic_phantom": "phantoms.synthetic",
    "brainweb_phantom": "jobs.operations.opening",
    "FingerprintStack": "fingerprints.stack",
    "read_fingerprints": "fingerprints.stack_files",
    "ParameterMaps": "evaluation.maps",
    "Comparison": "evaluation.comparison",
    "simulate": "jobs.operations.simulate",
    "reconstruct": "jobs.operations.reconstruct",
    "compare": "jobs.operations.compare",
    "region_means": "jobs.operations.compare",
    "adapt": "jobs.operations.adapt",
    "train": "jobs.operations.train",
    "load_estimator": "estimators.networks.store",
    "unpack_b1": "jobs.packing",
    "unpack_mask": "jobs.packing",
    "unpack_regions": "jobs.packing",
    "InputError": "common.errors",
    "Cancelled": "common.errors",
}

__version__ = "0.1.0"
__all__ = [*sorted(_HOME), "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})


if TYPE_CHECKING:
    from napari_blochnet.common.errors import Cancelled, InputError
    from napari_blochnet.estimators.networks.store import load_estimator
    from napari_blochnet.evaluation.comparison import Comparison
    from napari_blochnet.evaluation.maps import ParameterMaps
    from napari_blochnet.fingerprints.stack import FingerprintStack
    from napari_blochnet.fingerprints.stack_files import read_fingerprints
    from napari_blochnet.jobs.operations.adapt import adapt
    from napari_blochnet.jobs.operations.compare import compare, region_means
    from napari_blochnet.jobs.operations.reconstruct import reconstruct
    from napari_blochnet.jobs.operations.simulate import simulate
    from napari_blochnet.jobs.operations.train import train
    from napari_blochnet.jobs.packing import unpack_b1, unpack_mask, unpack_regions
    from napari_blochnet.phantoms.phantom import Phantom
    from napari_blochnet.phantoms.read import read_phantom
    from napari_blochnet.phantoms.synthetic import synthetic_phantom
    from napari_blochnet.physics.bounds import cramer_rao_bound
    from napari_blochnet.physics.decoder import EPGDecoder
    from napari_blochnet.physics.reference.isochromats import bloch_signal
    from napari_blochnet.schedules.generators import fisp_schedule, spline_schedule
    from napari_blochnet.schedules.schedule import Schedule
    from napari_blochnet.schedules.schedule_files import read_schedule, write_schedule
