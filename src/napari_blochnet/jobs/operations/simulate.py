"""Simulation: fingerprints of a phantom under a schedule."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, IntArray
from napari_blochnet.common.compiling import tells_of_compiling
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.plain_text import counted
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.operations.devices import check_memory, resolve_device
from napari_blochnet.jobs.records import embed_schedule, make_record
from napari_blochnet.jobs.settings import SimulateSettings, check_slices, settings_from
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.schedules.schedule import Schedule

if TYPE_CHECKING:
    from napari_blochnet.estimators.memory import Allowance
    from napari_blochnet.physics.decoder import EPGDecoder
    from napari_blochnet.sampling.trajectories import Trajectory

__all__ = ["SIMULATED_AT_A_TIME", "fill_fingerprints", "simulate", "simulated_part", "simulated_type"]

#: Voxels simulated between two looks at `cancelled`: some 50 ms of work, and 8 MB of samples at 1000 pulses.
SIMULATED_AT_A_TIME = 2048


@tells_of_compiling
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
        See `napari_blochnet.common.progress`.
    **fields
        Fields of `SimulateSettings`: ``snr``, ``seed``, ``kind``, ``slices``, ``tolerance``; ``trajectory`` and others
        of undersampling.

    Returns
    -------
    FingerprintStack
        Samples (time, z, y, x), complex64 or float32, 0 outside the phantom's mask. Undersampled: aliased frames, of
        which voxels outside hold aliasing, too. Coefficient images come with their basis; those of whole images are
        what `napari_blochnet.compress` makes of the frames.

    Raises
    ------
    InputError
        A schedule that makes no signal; settings out of bounds; slices the phantom does not have; a stack larger than
        the memory at hand.
    Cancelled
        Nothing is kept of a stack that is not complete.
    """
    from napari_blochnet.estimators.memory import Allowance
    from napari_blochnet.evaluation.signal_scale import mark_of_pd
    from napari_blochnet.fingerprints.noise import add_noise
    from napari_blochnet.physics.decoder import EPGDecoder

    given = settings_from(SimulateSettings, settings, **fields)
    source = phantom.record or {"operation": "given", "phantom": phantom.name}
    phantom = simulated_part(phantom, schedule, given)
    started = time.perf_counter()
    watch = Watch(progress, cancelled)
    chosen = resolve_device(device)
    dtype = simulated_type(schedule, given)
    check_memory(len(schedule) * phantom.mask.size * dtype.itemsize, "The fingerprint stack", "slices")
    # before anything is simulated: what is wrong with a trajectory is said at once
    sampling = None if given.trajectory is None else _sampling(phantom, schedule, given, watch)
    # time is the fastest axis in memory: one voxel's fingerprint is one stretch
    volume = np.zeros((*phantom.shape, len(schedule)), dtype)
    allowance = Allowance(SIMULATED_AT_A_TIME, chosen, "simulating", "tissues")
    decoder = EPGDecoder(schedule, tolerance=given.tolerance)
    fill_fingerprints(volume.reshape(-1, len(schedule)), phantom, np.flatnonzero(phantom.mask), decoder, allowance,
                      watch)  # fmt: skip
    sigma: float | None = 0.0
    basis: AnyArray | None = None
    more: dict[str, Any] = {}
    if sampling is not None:
        volume, more = _undersampled(volume, phantom, sampling, given, allowance.device, watch)
        basis = sampling[1]
        # aliasing and regularisation are no white noise of a known size
        sigma = None
    elif given.snr is not None:
        watch.report(0, 1, "adding noise")
        sigma = add_noise(volume, phantom.mask, given.snr, given.seed, watch=Watch(cancelled=cancelled))
    if sampling is None and given.images == "coefficients":
        volume, basis = _coefficients(volume, phantom, schedule, given, watch)
    if given.kind == "magnitude":
        volume = np.abs(volume)
    inputs = {"phantom": source, "schedule": embed_schedule(schedule)}
    memory = {"memory": list(allowance.notes)} if allowance.notes else {}
    record = make_record("simulate", given, inputs, device=allowance.device, seconds=time.perf_counter() - started,
                         decoder=decoder.describe_backend(allowance.device), pd_mark=mark_of_pd(phantom),
                         **memory, **more)  # fmt: skip
    return FingerprintStack(
        np.moveaxis(volume, -1, 0), schedule, given.kind, phantom.mask, phantom.voxel_size, phantom.affine,
        snr=None if sigma is None else given.snr, noise_sigma=sigma,
        name=f"{phantom.name}, {schedule.name or 'schedule'}", basis=basis, record=record,
    )  # fmt: skip


def _sampling(
    phantom: Phantom, schedule: Schedule, settings: SimulateSettings, watch: Watch
) -> tuple[Trajectory, AnyArray | None]:
    """Return where k-space is read, and the basis (time, K) where images are coefficients."""
    from napari_blochnet.sampling.acquiring import subspace_basis
    from napari_blochnet.sampling.trajectory_files import trajectory_of

    assert settings.trajectory is not None
    image = (phantom.shape[1], phantom.shape[2])
    trajectory = trajectory_of(schedule, image, settings.trajectory, settings.trajectory_file, settings.interleaves,
                               settings.rotation, watch)  # fmt: skip
    in_images = settings.images == "frames"
    return trajectory, None if in_images else subspace_basis(schedule, settings.components, watch)


def _coefficients(
    volume: AnyArray, phantom: Phantom, schedule: Schedule, settings: SimulateSettings, watch: Watch
) -> tuple[AnyArray, AnyArray]:
    """Return the coefficients (z, y, x, K) of whole fingerprints, and their orthonormal basis."""
    from napari_blochnet.estimators.matching.atoms import atom_form
    from napari_blochnet.estimators.matching.component_bases import signal_basis
    from napari_blochnet.fingerprints.subspaces import Subspace

    subspace = Subspace.of(signal_basis(schedule, atom_form(schedule, settings.kind), settings.components, watch=watch))
    number = np.complex64 if settings.kind == "complex" or subspace.is_complex else np.float32
    kept = np.zeros((*phantom.shape, subspace.rank), number)
    for z in np.flatnonzero(phantom.mask.any(axis=(1, 2))):
        watch.check("compressing")
        kept[z][phantom.mask[z]] = subspace.project(volume[z][phantom.mask[z]])
    return kept, subspace.q


def _undersampled(
    volume: AnyArray,
    phantom: Phantom,
    sampling: tuple[Trajectory, AnyArray | None],
    settings: SimulateSettings,
    device: str,
    watch: Watch,
) -> tuple[AnyArray, dict[str, Any]]:
    """Return frames or coefficients of a volume (z, y, x, time), and what the record says of them."""
    from napari_blochnet.fingerprints.noise import sigma_for_snr
    from napari_blochnet.sampling.acquiring import acquire
    from napari_blochnet.sampling.fourier import transforms_by

    trajectory, basis = sampling
    sigma = 0.0 if settings.snr is None else sigma_for_snr(volume, phantom.mask, settings.snr)
    made = acquire(volume, phantom.mask, trajectory, coils=settings.coils, images=settings.images, basis=basis,
                   low_rank=settings.low_rank, sigma=sigma, seed=settings.seed, watch=watch, device=device)  # fmt: skip
    said = {"trajectory": trajectory.name, "samples": int(trajectory.points.shape[1]), "kspace_sigma": sigma,
            "transforms": f"Transforms off the grid by {transforms_by(device)}."}  # fmt: skip
    return made, {"undersampled": said}


def simulated_part(phantom: Phantom, schedule: Schedule, settings: SimulateSettings) -> Phantom:
    """Return the slices of a phantom that settings ask for.

    Raises
    ------
    InputError
        See `simulate`.
    """
    from napari_blochnet.physics.train_signal import check_train_signal

    if settings.slices is not None:
        check_slices(settings.slices, phantom.shape[0], f"the phantom {phantom.name}")
        phantom = phantom[slice(*settings.slices)]
    if not phantom.mask.any():
        raise InputError(f"The phantom {phantom.name} has no voxel inside its mask here; expected at least one.",
                         field="slices" if settings.slices else "phantom")  # fmt: skip
    if settings.kind == "real" and not schedule.is_real:
        raise InputError("kind is 'real', but the schedule's RF phases make a complex signal; expected complex or "
                         "magnitude.", field="kind")  # fmt: skip
    if settings.is_made_whole:
        _check_images(settings, len(schedule))
    check_train_signal(schedule, 1.0 if phantom.b1 is None else phantom.b1[phantom.mask])
    return phantom


def _check_images(settings: SimulateSettings, pulses: int) -> None:
    """Raise `InputError` where undersampled images, or coefficients, cannot be of a kind, or so many."""
    found = f"kind is {settings.kind!r}, but "
    if settings.kind == "real" and settings.trajectory is not None:
        raise InputError(f"{found}undersampled frames are complex", "complex or magnitude", field="kind")
    if settings.kind == "magnitude" and settings.images == "coefficients":
        raise InputError(f"{found}magnitudes of coefficients have lost their signs", "complex", field="kind")
    if settings.images == "coefficients" and settings.components > pulses:
        raise InputError(f"components is {settings.components}, but the schedule has {counted(pulses, 'pulse')}",
                         "no more than these", field="components")  # fmt: skip


def simulated_type(schedule: Schedule, settings: SimulateSettings) -> np.dtype[Any]:
    """Return the type of the samples before their magnitude is taken, if it is."""
    # the magnitude of noisy data is Rician: it needs the noise of both channels, whatever the signal
    noisy_magnitude = settings.kind == "magnitude" and settings.snr is not None
    complex_data = (
        settings.kind == "complex" or noisy_magnitude or not schedule.is_real or settings.trajectory is not None
    )
    return np.dtype(np.complex64 if complex_data else np.float32)


def fill_fingerprints(
    rows: AnyArray,
    phantom: Phantom,
    inside: IntArray,
    decoder: EPGDecoder,
    allowance: Allowance,
    watch: Watch,
    *,
    packed: bool = False,
) -> None:
    """Write noise-free fingerprints of some of a phantom's voxels.

    Parameters
    ----------
    rows : array of shape (voxel, time)
        What is written to: a row for each voxel of the grid or, ``packed``, for each of ``inside``.
    phantom : Phantom
    inside : int array
        Indices of the voxels in the flat grid.
    decoder : EPGDecoder
    allowance : Allowance
    watch : Watch
        Counts tissues.
    packed : bool
    """
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
    at = np.arange(len(inside)) if packed else inside
    start = 0
    while start < len(tissues):
        watch.check("simulating")
        watch.report(start, len(tissues), "simulating fingerprints")
        stop = min(start + allowance.size, len(tissues))
        block = tissues[order[start:stop]]
        signal = allowance.attempt(partial(_signal, decoder, block, allowance.device), len(block))
        if signal is None:
            continue
        low, high = np.searchsorted(sorted_rank, [start, stop])
        voxels = by_tissue[low:high]
        rows[at[voxels]] = signal[sorted_rank[low:high] - start] * pd[voxels, None]
        start = stop
    watch.report(len(tissues), len(tissues), "simulating fingerprints")


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
