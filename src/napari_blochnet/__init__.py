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
    "read_schedule": "schedules.files",
    "write_schedule": "schedules.files",
    "EPGDecoder": "physics.decoder",
    "bloch_signal": "physics.isochromats",
    "cramer_rao_bound": "physics.bounds",
    "Phantom": "phantoms.phantom",
    "read_phantom": "phantoms.read",
    "synthetic_phantom": "phantoms.synthetic",
    "brainweb_phantom": "jobs.operations",
    "FingerprintStack": "fingerprints.stack",
    "read_fingerprints": "fingerprints.files",
    "ParameterMaps": "evaluation.maps",
    "Comparison": "evaluation.comparison",
    "simulate": "jobs.operations",
    "reconstruct": "jobs.operations",
    "compare": "jobs.operations",
    "region_means": "jobs.operations",
    "adapt": "jobs.adapt",
    "train": "jobs.train",
    "load_estimator": "estimators.store",
    "unpack_b1": "jobs.b1_maps",
    "unpack_mask": "jobs.masks",
    "unpack_regions": "jobs.masks",
    "InputError": "errors",
    "Cancelled": "errors",
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
    from napari_blochnet.errors import Cancelled, InputError
    from napari_blochnet.estimators.store import load_estimator
    from napari_blochnet.evaluation.comparison import Comparison
    from napari_blochnet.evaluation.maps import ParameterMaps
    from napari_blochnet.fingerprints.files import read_fingerprints
    from napari_blochnet.fingerprints.stack import FingerprintStack
    from napari_blochnet.jobs.adapt import adapt
    from napari_blochnet.jobs.b1_maps import unpack_b1
    from napari_blochnet.jobs.masks import unpack_mask, unpack_regions
    from napari_blochnet.jobs.operations import compare, reconstruct, region_means, simulate
    from napari_blochnet.jobs.train import train
    from napari_blochnet.phantoms.phantom import Phantom
    from napari_blochnet.phantoms.read import read_phantom
    from napari_blochnet.phantoms.synthetic import synthetic_phantom
    from napari_blochnet.physics.bounds import cramer_rao_bound
    from napari_blochnet.physics.decoder import EPGDecoder
    from napari_blochnet.physics.isochromats import bloch_signal
    from napari_blochnet.schedules.files import read_schedule, write_schedule
    from napari_blochnet.schedules.generators import fisp_schedule, spline_schedule
    from napari_blochnet.schedules.schedule import Schedule
