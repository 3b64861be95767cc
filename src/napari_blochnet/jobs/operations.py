"""The operations: each one function with one settings model, called by the command line, by napari and from Python.

Every operation takes its settings as a model or as keyword arguments of the same names, reports progress, looks at
``cancelled`` once per batch, and returns a domain object that carries its record.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_blochnet.arrays import AnyArray, BoolArray
from napari_blochnet.errors import Cancelled, InputError
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.devices import check_memory, resolve_device
from napari_blochnet.jobs.records import embed_schedule, make_record
from napari_blochnet.jobs.settings import (
    CompareSettings,
    FingerprintsSettings,
    FispSettings,
    PhantomSettings,
    ReconstructSettings,
    ScheduleFileSettings,
    ScheduleSettings,
    SimulateSettings,
    SplineSettings,
    SyntheticSettings,
    settings_from,
)
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.progress import CancelEvent, ProgressCallback, raise_if_cancelled, report
from napari_blochnet.schedules.schedule import Schedule

if TYPE_CHECKING:
    from napari_blochnet.estimators.base import Estimates, Estimator
    from napari_blochnet.evaluation.comparison import Comparison
    from napari_blochnet.physics.decoder import EPGDecoder

__all__ = [
    "SETTINGS",
    "compare",
    "make_schedule",
    "open_fingerprints",
    "open_phantom",
    "reconstruct",
    "simulate",
    "synthetic_head",
]

#: The settings model of each operation; a schedule's depends on its kind.
SETTINGS: dict[str, Any] = {
    "open_phantom": PhantomSettings,
    "synthetic_head": SyntheticSettings,
    "make_schedule": {"fisp": FispSettings, "spline": SplineSettings, "file": ScheduleFileSettings},
    "open_fingerprints": FingerprintsSettings,
    "simulate": SimulateSettings,
    "reconstruct": ReconstructSettings,
    "compare": CompareSettings,
}

# Voxels simulated between two looks at `cancelled`: some 50 ms of work, and 8 MB of samples at 1000 pulses.
_SIMULATED_AT_A_TIME = 2048

PathLike = str | os.PathLike[str]


def _plain(path: PathLike) -> str:
    return str(Path(path).expanduser())


def open_phantom(
    source: PathLike | Sequence[PathLike],
    settings: PhantomSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> Phantom:
    """Read a phantom from a folder or files.

    Parameters
    ----------
    source : path or sequence of paths
        BrainWeb fuzzy or crisp volumes, NIfTI memberships, labels or maps, MATLAB maps; see
        `napari_blochnet.read_phantom`.
    settings : PhantomSettings, optional
    **fields
        Fields of `PhantomSettings`.

    Returns
    -------
    Phantom
    """
    from napari_blochnet.phantoms.read import read_phantom

    given = settings_from(PhantomSettings, settings, **fields)
    raise_if_cancelled(cancelled, "reading the phantom")
    report(progress, 0, 1, "reading the phantom")
    started = time.perf_counter()
    phantom = read_phantom(source, **given.model_dump())
    report(progress, 1, 1, "reading the phantom")
    paths = _plain(source) if isinstance(source, (str, os.PathLike)) else [_plain(path) for path in source]
    record = make_record("open_phantom", given, {"source": paths}, seconds=time.perf_counter() - started)
    return replace(phantom, record=record)


def synthetic_head(
    settings: SyntheticSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> Phantom:
    """Make the built-in head.

    Parameters
    ----------
    settings : SyntheticSettings, optional
    **fields
        Fields of `SyntheticSettings`.

    Returns
    -------
    Phantom
    """
    from napari_blochnet.phantoms.synthetic import synthetic_phantom

    given = settings_from(SyntheticSettings, settings, **fields)
    raise_if_cancelled(cancelled, "making the synthetic head")
    report(progress, 0, 1, "making the synthetic head")
    started = time.perf_counter()
    phantom = synthetic_phantom(shape=given.shape, seed=given.seed)
    report(progress, 1, 1, "making the synthetic head")
    return replace(phantom, record=make_record("synthetic_head", given, {}, seconds=time.perf_counter() - started))


def make_schedule(settings: ScheduleSettings | None = None, *, kind: str = "fisp", **fields: Any) -> Schedule:
    """Make a schedule, or read one.

    Parameters
    ----------
    settings : FispSettings, SplineSettings or ScheduleFileSettings, optional
    kind : {"fisp", "spline", "file"}
        Which, where no settings are given.
    **fields
        Fields of the settings.

    Returns
    -------
    Schedule
    """
    from napari_blochnet.schedules.files import read_schedule
    from napari_blochnet.schedules.generators import fisp_schedule, spline_schedule

    models = SETTINGS["make_schedule"]
    if settings is None and kind not in models:
        raise InputError(f"The kind of schedule is {kind!r}; expected one of {', '.join(models)}.", field="kind")
    given = settings_from(type(settings) if settings is not None else models[kind], settings, **fields)
    values = given.model_dump(exclude={"kind"})
    if isinstance(given, ScheduleFileSettings):
        if not given.path:
            raise InputError("No schedule file is chosen; expected a CSV, text or MATLAB file.", field="path")
        # what is left out stays the file's own
        hints = {key: value for key, value in values.items() if value is not None and key != "path"}
        schedule = read_schedule(given.path, **hints)
    elif isinstance(given, SplineSettings):
        schedule = spline_schedule(**values)
    else:
        schedule = fisp_schedule(**values)
    return schedule.replace(record=make_record("make_schedule", given, {}))


def open_fingerprints(
    path: PathLike,
    schedule: Schedule | None = None,
    settings: FingerprintsSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> FingerprintStack:
    """Open a fingerprint stack.

    Parameters
    ----------
    path : path
        ``.npy``, ``.npz``, NIfTI and more; see `napari_blochnet.read_fingerprints`.
    schedule : Schedule, optional
        What made it; may be left out for a stack that carries its own.
    settings : FingerprintsSettings, optional
    **fields
        Fields of `FingerprintsSettings`.

    Returns
    -------
    FingerprintStack
    """
    from napari_blochnet.fingerprints.files import read_fingerprints

    given = settings_from(FingerprintsSettings, settings, **fields)
    raise_if_cancelled(cancelled, "opening the fingerprints")
    report(progress, 0, 1, "opening the fingerprints")
    stack = read_fingerprints(path, schedule, **given.model_dump())
    report(progress, 1, 1, "opening the fingerprints")
    inputs = {"path": _plain(path), "schedule": None if schedule is None else embed_schedule(schedule)}
    return replace(stack, record=make_record("open_fingerprints", given, inputs))


def simulate(
    phantom: Phantom,
    schedule: Schedule,
    settings: SimulateSettings | None = None,
    *,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> FingerprintStack:
    """Simulate the fingerprints of a phantom under a schedule.

    Parameters
    ----------
    phantom : Phantom
        T1, T2 in ms, PD, and B1 where it has one.
    schedule : Schedule
    settings : SimulateSettings, optional
    device : str
        "auto", "cpu" or a GPU such as "cuda:0".
    progress, cancelled : optional
        See `napari_blochnet.progress`.
    **fields
        Fields of `SimulateSettings`: ``snr``, ``seed``, ``kind``, ``slices``, ``tolerance``.

    Returns
    -------
    FingerprintStack
        Samples (time, z, y, x), complex64 or float32, 0 outside the phantom's mask.

    Raises
    ------
    InputError
        Settings out of bounds; slices the phantom does not have; a stack larger than the memory at hand.
    Cancelled
        Nothing is kept of a stack that is not complete.
    """
    from napari_blochnet.fingerprints.noise import add_noise

    given = settings_from(SimulateSettings, settings, **fields)
    source = phantom.record or {"operation": "given", "phantom": phantom.name}
    if given.slices is not None:
        if given.slices[1] > phantom.shape[0]:
            raise InputError(
                f"slices is {given.slices[0]} to {given.slices[1]}, but the phantom {phantom.name} has "
                f"{phantom.shape[0]} slices; expected an end of at most {phantom.shape[0]}.",
                field="slices",
            )
        phantom = phantom[slice(*given.slices)]
    if not phantom.mask.any():
        raise InputError(f"The phantom {phantom.name} has no voxel inside its mask here; expected at least one.",
                         field="slices" if given.slices else "phantom")  # fmt: skip
    if given.kind == "real" and not schedule.is_real:
        raise InputError("kind is 'real', but the schedule's RF phases make a complex signal; expected complex or "
                         "magnitude.", field="kind")  # fmt: skip
    started = time.perf_counter()
    chosen = resolve_device(device)
    complex_data = given.kind == "complex" or not schedule.is_real
    dtype = np.dtype(np.complex64 if complex_data else np.float32)
    check_memory(len(schedule) * phantom.mask.size * dtype.itemsize, "The fingerprint stack", "slices")
    # time is the fastest axis in memory: one voxel's fingerprint is one stretch
    volume = np.zeros((*phantom.shape, len(schedule)), dtype)
    backend = _fill(volume, phantom, schedule, given.tolerance, chosen, progress, cancelled)
    sigma = 0.0
    if given.snr is not None:
        report(progress, 0, 1, "adding noise")
        sigma = add_noise(volume, phantom.mask, given.snr, given.seed, cancelled=cancelled)
    if given.kind == "magnitude":
        volume = np.abs(volume)
    record = make_record(
        "simulate",
        given,
        {"phantom": source, "schedule": embed_schedule(schedule)},
        device=chosen,
        seconds=time.perf_counter() - started,
        decoder=backend,
    )
    return FingerprintStack(
        np.moveaxis(volume, -1, 0),
        schedule,
        given.kind,
        phantom.mask,
        phantom.voxel_size,
        phantom.affine,
        snr=given.snr,
        noise_sigma=sigma,
        name=f"{phantom.name}, {schedule.name or 'schedule'}",
        record=record,
    )


def _fill(
    volume: AnyArray,
    phantom: Phantom,
    schedule: Schedule,
    tolerance: float,
    device: str,
    progress: ProgressCallback | None,
    cancelled: CancelEvent | None,
) -> str:
    """Write the noise-free fingerprints into ``volume`` (z, y, x, time); return what computed them."""
    from napari_blochnet.physics.decoder import EPGDecoder

    decoder = EPGDecoder(schedule, tolerance=tolerance)
    inside = np.flatnonzero(phantom.mask)
    columns = [phantom.t1.reshape(-1)[inside], phantom.t2.reshape(-1)[inside]]
    if phantom.b1 is not None:
        columns.append(phantom.b1.reshape(-1)[inside])
    # crisp phantoms hold a handful of tissues: each is simulated once
    tissues, which = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
    which = which.reshape(-1)
    # one block holds tissues of similar T2 and so needs a similar number of states
    order = np.argsort(tissues[:, 1], kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    by_tissue = np.argsort(rank[which], kind="stable")
    sorted_rank = rank[which][by_tissue]
    pd = phantom.pd.reshape(-1)[inside]
    flat = volume.reshape(-1, volume.shape[-1])
    for start in range(0, len(tissues), _SIMULATED_AT_A_TIME):
        raise_if_cancelled(cancelled, "simulating")
        report(progress, start, len(tissues), "simulating fingerprints")
        stop = min(start + _SIMULATED_AT_A_TIME, len(tissues))
        block = tissues[order[start:stop]]
        signal = _signal(decoder, block, device)
        low, high = np.searchsorted(sorted_rank, [start, stop])
        voxels = by_tissue[low:high]
        flat[inside[voxels]] = signal[sorted_rank[low:high] - start] * pd[voxels, None]
    report(progress, len(tissues), len(tissues), "simulating fingerprints")
    return str(decoder.backend)


def _signal(decoder: EPGDecoder, tissues: AnyArray, device: str) -> AnyArray:
    """Return the fingerprints of tissues given as rows (T1, T2[, B1])."""
    t1, t2, *b1 = tissues.T
    if device == "cpu":
        return decoder.signal(t1, t2, *b1)
    import torch

    with torch.inference_mode():
        on_device = [torch.as_tensor(values, device=device) for values in (t1, t2, *b1)]
        signal = decoder(on_device[0], on_device[1], None, *on_device[2:])
        return np.asarray(signal.cpu().numpy())


def reconstruct(
    stack: FingerprintStack,
    estimator: str | Estimator | None = None,
    mask: BoolArray | None = None,
    settings: ReconstructSettings | None = None,
    *,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    partial: Callable[[ParameterMaps], None] | None = None,
    **fields: Any,
) -> ParameterMaps:
    """Map T1, T2 and PD from fingerprints.

    Parameters
    ----------
    stack : FingerprintStack
    estimator : str or Estimator, optional
        A name, or an estimator already made. None: as the settings say.
    mask : bool array of shape (Z, Y, X), optional
        Voxels to map, of those inside the stack's mask. None: all of them.
    settings : ReconstructSettings, optional
    device : str
        "auto", "cpu" or a GPU such as "cuda:0".
    progress, cancelled : optional
        See `napari_blochnet.progress`.
    partial : callable, optional
        Called after each batch, in the thread that works, with the maps so far; their mask is what is finished.
    **fields
        Fields of `ReconstructSettings`.

    Returns
    -------
    ParameterMaps
        On the stack's grid; 0 outside what was mapped.

    Raises
    ------
    InputError
        An unknown estimator, one made for another schedule, a mask of another shape or without a voxel.
    Cancelled
        Its ``partial`` holds the maps of the finished batches.
    """
    from napari_blochnet.estimators.registry import make_estimator

    if isinstance(estimator, str):
        fields["estimator"] = estimator
        estimator = None
    given = settings_from(ReconstructSettings, settings, **fields)
    chosen = resolve_device(device)
    started = time.perf_counter()
    inside = _mapped_voxels(stack, mask)
    if estimator is None:
        estimator = make_estimator(given.estimator, device=chosen, **given.model_dump(exclude={"estimator", "batch"}))
    raise_if_cancelled(cancelled, "mapping")
    estimator.prepare(stack.schedule, stack.kind, progress=progress, cancelled=cancelled)
    maps = _empty_maps(stack, estimator.name)
    voxels = np.flatnonzero(inside)
    for start in range(0, len(voxels), given.batch):
        raise_if_cancelled(cancelled, "mapping", partial=maps)
        report(progress, start, len(voxels), f"mapping with {estimator.name}")
        batch = voxels[start : start + given.batch]
        here = np.zeros(inside.shape, dtype=bool)
        here.reshape(-1)[batch] = True
        try:
            estimates = estimator.predict(stack.fingerprints(here), stack.schedule, stack.kind)
        except Cancelled as stopped:
            raise Cancelled(str(stopped), partial=maps) from None
        _enter(maps, batch, estimates)
        if partial is not None:
            partial(maps)
    report(progress, len(voxels), len(voxels), f"mapping with {estimator.name}")
    record = make_record(
        "reconstruct",
        given,
        {"stack": stack.record or {"operation": "given", "stack": stack.name}},
        device=chosen,
        seconds=time.perf_counter() - started,
        estimator=getattr(estimator, "description", estimator.name),
        voxels=len(voxels),
        failed=int(maps.failed.sum()),
    )
    return maps.replace(record=record)


def _mapped_voxels(stack: FingerprintStack, mask: BoolArray | None) -> BoolArray:
    if mask is None:
        inside = stack.mask
    else:
        if np.shape(mask) != stack.shape[1:]:
            raise InputError(f"The mask has shape {np.shape(mask)}; expected that of the stack, {stack.shape[1:]}.",
                             field="mask")  # fmt: skip
        inside = stack.mask & np.asarray(mask, dtype=bool)
    if not inside.any():
        raise InputError(f"No voxel to map: what was chosen and the mask of {stack.name} have none in common.",
                         field="mask")  # fmt: skip
    return inside


def _empty_maps(stack: FingerprintStack, estimator: str) -> ParameterMaps:
    shape = stack.shape[1:]
    t1, t2, pd, residual = (np.zeros(shape, np.float32) for _ in range(4))
    phase = np.zeros(shape, np.float32) if stack.kind == "complex" else None
    return ParameterMaps(
        t1, t2, pd, residual, np.zeros(shape, bool), np.zeros(shape, bool), phase,
        estimator=estimator, voxel_size=stack.voxel_size, affine=stack.affine,
    )  # fmt: skip


def _enter(maps: ParameterMaps, voxels: np.ndarray, estimates: Estimates) -> None:
    maps.t1.reshape(-1)[voxels] = estimates.t1
    maps.t2.reshape(-1)[voxels] = estimates.t2
    maps.pd.reshape(-1)[voxels] = np.abs(estimates.pd)
    maps.residual.reshape(-1)[voxels] = estimates.residual
    maps.failed.reshape(-1)[voxels] = estimates.failed
    if maps.phase is not None:
        maps.phase.reshape(-1)[voxels] = np.degrees(np.angle(estimates.pd))
    maps.mask.reshape(-1)[voxels] = True


def compare(
    truth: Phantom,
    maps: ParameterMaps | Sequence[ParameterMaps],
    settings: CompareSettings | None = None,
    **fields: Any,
) -> Comparison:
    """Compare maps with the truth.

    Parameters
    ----------
    truth : Phantom
        On the maps' grid, or with more slices.
    maps : ParameterMaps or sequence of them
        One per model, all on one grid.
    settings : CompareSettings, optional
    **fields
        Fields of `CompareSettings`.

    Returns
    -------
    Comparison
        ``.table`` has a row per model, tissue and parameter; ``.to_html`` and ``.to_csv`` write it.

    Raises
    ------
    InputError
        Maps on another grid, or no maps.
    """
    from napari_blochnet.evaluation.comparison import compare_maps

    given = settings_from(CompareSettings, settings, **fields)
    several = [maps] if isinstance(maps, ParameterMaps) else list(maps)
    record = make_record(
        "compare",
        given,
        {
            "truth": truth.record or {"operation": "given", "phantom": truth.name},
            "maps": [item.record or {"operation": "given", "maps": item.estimator} for item in several],
        },
    )
    if not several:
        raise InputError("There are no maps to compare; expected at least one model's.", field="maps")
    truth = truth.on_grid(several[0].shape, several[0].geometry)
    return compare_maps(truth, several, record=record, **given.model_dump())
