"""What a mapping will take: memory, before it is begun."""

from __future__ import annotations

import numpy as np

from napari_blochnet.common.arrays import BoolArray
from napari_blochnet.estimators.registry import declared
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.settings import ReconstructSettings

__all__ = ["free_memory", "mapping_memory"]

# Measured with tracemalloc at 300 and 1000 TRs: arrays of a batch's size that exist at once in a fit.
_FITTING = {"complex": 5.0, "real": 8.0, "magnitude": 9.0}


def mapping_memory(stack: FingerprintStack, settings: ReconstructSettings, mask: BoolArray | None = None) -> int:
    """Return the bytes that a mapping takes at its peak, beyond the stack itself, on the machine's own memory.

    A dictionary or anchors while they are made, or the largest batch while it is estimated, whichever is more; and the
    maps. Weights of networks and PyTorch's own libraries are not counted.

    Parameters
    ----------
    stack : FingerprintStack
    settings : ReconstructSettings
    mask : bool array of shape (Z, Y, X), optional
        Voxels to map. None: those of the stack's mask.

    Raises
    ------
    InputError
        A dictionary of settings that make none.
    """
    inside = stack.mask if mask is None else stack.mask & mask
    pulses = len(stack.schedule)
    largest = min(settings.batch, int(inside.sum(axis=(1, 2)).max(initial=0)))
    batch = largest * pulses * (8 if stack.kind == "complex" else 4)
    # RF phases that make signals complex double what is simulated
    parts = 1 if stack.schedule.is_real else 2
    preparing, kept, working = declared(settings.estimator).memory(pulses, stack.kind, parts, batch, settings)
    if settings.refine or settings.uncertainty or settings.b1 is not None:
        working = max(working, _FITTING[stack.kind] * batch)
    return int(max(preparing, kept + working)) + _maps_memory(stack, settings)


def _maps_memory(stack: FingerprintStack, settings: ReconstructSettings) -> int:
    floats = (
        4
        + (stack.kind == "complex")
        + 2 * (settings.refine or settings.uncertainty)
        + settings.fit_b1
        + (settings.b1 is not None)
    )
    return int(np.prod(stack.shape[1:])) * (4 * floats + 3)


def free_memory() -> int:
    """Return the bytes of memory that this machine has free."""
    import psutil

    return int(psutil.virtual_memory().available)
