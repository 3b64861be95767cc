"""What a mapping or a simulation will take: memory, before it is begun."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import BoolArray, is_lazy
from napari_blochnet.estimators.registry import declared
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.fingerprints.zarr_stacks import chunks_of
from napari_blochnet.io.containers.chunked_arrays import kept_bytes
from napari_blochnet.jobs.operations.simulate import SIMULATED_AT_A_TIME, simulated_type
from napari_blochnet.jobs.settings import ReconstructSettings, SimulateSettings
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.physics.kernels.launch import available_threads
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["free_memory", "mapping_memory", "simulating_memory"]

# Measured with tracemalloc at 300 and 1000 TRs: arrays of a batch's size that exist at once in a fit.
_FITTING = {"complex": 5.0, "real": 8.0, "magnitude": 9.0}
# Bytes kept of a dictionary's file, which may be packed, in double precision and laid out for the search.
_OF_FILE = 4.0


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
    samples, pulses = stack.shape[0], stack.pulses
    largest = min(settings.batch, int(inside.sum(axis=(1, 2)).max(initial=0)))
    batch = largest * samples * (8 if stack.kind == "complex" else 4)
    # RF phases that make signals complex double what is simulated
    parts = 2 if stack.schedule is not None and not stack.schedule.is_real else 1
    preparing, kept, working = declared(settings.estimator).memory(pulses, stack.kind, parts, batch, settings)
    if settings.dictionary is not None:
        file = Path(settings.dictionary).expanduser()
        kept = _OF_FILE * file.stat().st_size if file.is_file() else 0.0
        preparing = 2 * kept
    if settings.refine or settings.uncertainty or settings.b1 is not None:
        working = max(working, _FITTING[stack.kind] * batch)
    reading = 0
    if is_lazy(stack.data):
        reading = min(kept_bytes(), int(stack.data.nbytes)) + _rows_bytes(stack, largest)
    return int(max(preparing, kept + working)) + _maps_memory(stack, settings) + reading


def simulating_memory(phantom: Phantom, schedule: Schedule, settings: SimulateSettings, in_parts: bool = False) -> int:
    """Return the bytes that a simulation takes at its peak, beyond the phantom, on the machine's own memory.

    Parameters
    ----------
    phantom : Phantom
    schedule : Schedule
    settings : SimulateSettings
    in_parts : bool
        Whether it is written part by part: then only parts are counted, else the whole stack.
    """
    mask = phantom.mask if settings.slices is None else phantom.mask[slice(*settings.slices)]
    sample = simulated_type(schedule, settings).itemsize
    fingerprint = len(schedule) * sample
    # a block's signals, sorted back to its voxels and scaled by their PD
    block = SIMULATED_AT_A_TIME * len(schedule) * (4 + 3 * sample)
    if in_parts:
        chunk = chunks_of((len(schedule), *mask.shape), np.dtype(f"V{sample}"))
        starts = np.arange(0, mask.shape[1], chunk[2])
        largest = int(np.add.reduceat(mask.sum(axis=2), starts, axis=1).max(initial=0))
        # its samples, its noise and that of the next; chunks that are packed, a few copies each
        return int(block + 4 * largest * fingerprint + 4 * available_threads() * np.prod(chunk) * sample)
    noise = int(mask.sum(axis=(1, 2)).max(initial=0)) * fingerprint * (settings.snr is not None)
    magnitudes = mask.size * len(schedule) * 4 * (settings.kind == "magnitude")
    if settings.trajectory is not None:
        from napari_blochnet.sampling.acquiring import acquiring_memory

        image = (mask.shape[1], mask.shape[2])
        components = settings.components if settings.images == "coefficients" else None
        block = max(block, acquiring_memory(len(schedule), image, settings.trajectory, settings.interleaves,
                                            settings.coils, components))  # fmt: skip
    return int(mask.size * fingerprint + max(2 * noise, block, magnitudes))


def _rows_bytes(stack: FingerprintStack, largest: int) -> int:
    """Return the bytes of the rows of a slice that a batch lies in, as they are read from a store, and as they lie."""
    _, _, height, width = stack.shape
    most = int(stack.mask.sum(axis=(1, 2)).max(initial=1))
    rows = min(height, -(-height * largest // max(1, most)) + 1)
    read = rows * width * stack.shape[0]
    # chunks, packed and unpacked, that threads are at
    chunks = min((os.cpu_count() or 1) * int(np.prod(getattr(stack.data, "chunksize", ()))), read)
    return 2 * (read + chunks) * int(stack.data.dtype.itemsize)


def _maps_memory(stack: FingerprintStack, settings: ReconstructSettings) -> int:
    floats = (
        4
        + (stack.kind == "complex")
        + 2 * (settings.refine or settings.uncertainty)
        + settings.fit_b1
        + (settings.b1 is not None)
    )
    # one of them in double precision while it is written
    return int(np.prod(stack.shape[1:])) * (4 * floats + 3 + 16)


def free_memory() -> int:
    """Return the bytes of memory that this machine has free."""
    import psutil

    return int(psutil.virtual_memory().available)
