"""Fingerprints out of an array in memory: NumPy's, dask's, Zarr's, or any other that is read by slices."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, dimensions
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.fingerprints.stack_files import in_receiver_frame
from napari_blochnet.jobs.operations.devices import check_memory
from napari_blochnet.jobs.records import embed_schedule, make_record
from napari_blochnet.jobs.settings import settings_from
from napari_blochnet.jobs.settings_arrays import ArraySettings
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["fingerprints_from_array", "held_in_memory", "time_axis_of"]

# Of what is no array of dask's, read at a time.
_BLOCK_BYTES = 64 * 2**20


def fingerprints_from_array(
    data: Any,
    schedule: Schedule,
    settings: ArraySettings | None = None,
    *,
    name: str = "fingerprints",
    layer: str = "",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> FingerprintStack:
    """Take an array as a fingerprint stack.

    Parameters
    ----------
    data : array
        Time, and one to three axes of space, (z, y, x) or fewer of the last. NumPy's arrays are taken as they lie;
        others (dask, Zarr, HDF5) are read into memory once, chunk by chunk.
    schedule : Schedule
        What made it.
    settings : ArraySettings, optional
    name : str
        What people call it.
    layer : str
        Of a layer of napari its name, under which records find it again.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in megabytes while it is read.
    **fields
        Fields of `ArraySettings`.

    Returns
    -------
    FingerprintStack

    Raises
    ------
    InputError
        No axis as long as the schedule, or two; another number of axes; no numbers; more than the memory holds.
    Cancelled
    """
    given = settings_from(ArraySettings, settings, **fields)
    watch = Watch(progress, cancelled)
    axis = time_axis_of(tuple(np.shape(data)), schedule, given.time_axis, name)
    if np.dtype(data.dtype).kind not in "biufc":
        raise InputError(f"{name} holds {data.dtype}", "numbers", field="data")
    values = np.moveaxis(held_in_memory(data, name, watch), axis, 0)
    values = values.reshape(len(schedule), *(1,) * (4 - values.ndim), *values.shape[1:])
    affine = np.diag([*given.voxel_size[::-1], 1.0])
    affine[:3, 3] = given.origin[::-1]
    geometry = Geometry(given.voxel_size, affine)
    fixed = (given.receiver_phase or schedule.receiver_phase) if given.kind != "magnitude" else "follows"
    stack = FingerprintStack(
        values,
        schedule.replace(receiver_phase=fixed if schedule.rf_phase.any() else "follows"),
        given.kind,  # type: ignore[arg-type]
        voxel_size=geometry.voxel_size,
        affine=geometry.affine,
        name=name,
        progress=progress,
        cancelled=cancelled,
    )
    stack = in_receiver_frame(name, stack, watch)
    inputs = {"data": {"operation": "given", "layer": layer} if layer else {"operation": "given", "array": name},
              "schedule": embed_schedule(schedule)}  # fmt: skip
    # made again, it is the same whatever the numbers would be taken for then
    given = given.model_copy(update={"kind": stack.kind, "time_axis": axis})
    return stack.with_record(make_record("fingerprints_from_array", given, inputs))


def time_axis_of(shape: tuple[int, ...], schedule: Schedule, asked: int | None, name: str) -> int:
    """Return which axis of an array is time: the one that is as long as the schedule.

    Raises
    ------
    InputError
        None is, or several are and none was asked for; fewer than two axes or more than four.
    """
    size, called = dimensions(shape), schedule.name or "given"
    if not 2 <= len(shape) <= 4:
        raise InputError(f"{name} has {len(shape)} axes ({size})", "time and one to three of space", field="data")
    fits = [axis for axis, length in enumerate(shape) if length == len(schedule)]
    if asked is not None and asked not in fits:
        found = (
            f"axis {asked} has length {shape[asked]}" if asked < len(shape) else f"it has axes 0 to {len(shape) - 1}"
        )
        raise InputError(f"{name} ({size}): {found}", f"that of the schedule {called}, {len(schedule)} pulses",
                         field="time_axis")  # fmt: skip
    if asked is None and len(fits) > 1:
        axes = " and ".join(map(str, fits))
        raise InputError(f"{name}: axes {axes} of {size} are as long as the schedule; give time_axis, counted from 0.",
                         field="time_axis")  # fmt: skip
    if not fits:
        raise InputError(
            f"{name}: its axes have lengths {size}",
            f"one as long as the schedule {called}, {len(schedule)} pulses",
            field="schedule",
        )
    return fits[0] if asked is None else asked


def held_in_memory(data: Any, name: str, watch: Watch) -> AnyArray:
    """Return NumPy's arrays as they are, and others read into memory, each chunk of dask's once."""
    if isinstance(data, np.ndarray):
        return data
    size = int(np.prod(data.shape)) * np.dtype(data.dtype).itemsize
    check_memory(size, name, "data", "choose fewer slices or time points")
    values = np.empty(data.shape, data.dtype)
    done = 0
    for part in _parts(data):
        watch.check(f"reading {name}")
        watch.report(done >> 20, (size >> 20) + 1, f"reading {name}")
        values[part] = np.asarray(data[part])
        done += values[part].nbytes
    return values


def _parts(data: Any) -> Iterator[tuple[slice, ...]]:
    """Yield what to read at a time: chunks as dask has them, or runs of the first axis."""
    chunks = getattr(data, "chunks", None)
    if hasattr(data, "dask") and isinstance(chunks, tuple):
        ends = [list(itertools.accumulate(lengths, initial=0)) for lengths in chunks]
        yield from itertools.product(*([slice(*pair) for pair in itertools.pairwise(along)] for along in ends))
        return
    rows = max(1, _BLOCK_BYTES * len(data) // max(1, int(np.prod(data.shape)) * np.dtype(data.dtype).itemsize))
    yield from ((slice(start, start + rows),) for start in range(0, len(data), rows))
