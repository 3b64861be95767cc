"""Simulation of volumes that need not fit into memory, part by part into a Zarr store, NIfTI or HDF5."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.compiling import tells_of_compiling
from napari_blochnet.common.endings import check_ending
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.io.atomic import existing_file, named_by, replacing_set
from napari_blochnet.io.origin import check_outputs
from napari_blochnet.io.sets.rooms import sync_folder
from napari_blochnet.io.sets.unfinished import Unfinished, open_unfinished
from napari_blochnet.jobs.last_step import write_or_keep
from napari_blochnet.jobs.operations.devices import resolve_device
from napari_blochnet.jobs.operations.simulate import (
    SIMULATED_AT_A_TIME,
    fill_fingerprints,
    simulate,
    simulated_part,
    simulated_type,
)
from napari_blochnet.jobs.records import embed_schedule, make_record, software_versions
from napari_blochnet.jobs.settings import SimulateSettings, settings_from
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["simulate_to"]


@tells_of_compiling
def simulate_to(
    path: str | os.PathLike[str],
    phantom: Phantom,
    schedule: Schedule,
    settings: SimulateSettings | None = None,
    *,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> FingerprintStack:
    """Simulate the fingerprints of a phantom into a file, of which no more than a part is in memory.

    What is finished is kept in a hidden folder beside the file until that is whole: whoever stops it, or whatever
    ends the process, the same call goes on with the parts that are missing. Undersampled stacks, of which every readout
    sees a whole slice, and coefficients are made in memory as by `simulate`, and nothing of one that is broken off is
    kept.

    Parameters
    ----------
    path : path
        Ending in ``.zarr``, ``.nii`` or ``.h5``; see `napari_blochnet.fingerprints.stack_files.write_fingerprints`.
    phantom : Phantom
        T1, T2 in ms, PD, and B1 where it has one.
    schedule : Schedule
    settings : SimulateSettings, optional
    device : str
        "auto", "cpu" or a GPU such as "cuda:0".
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in voxels.
    **fields
        Fields of `SimulateSettings`: ``snr``, ``seed``, ``kind``, ``slices``, ``tolerance``.

    Returns
    -------
    FingerprintStack
        The file, opened: samples of a large one stay on disk. They are those of `simulate` to within ``tolerance``,
        with the same noise; the same bits whether it was broken off or not.

    Raises
    ------
    InputError
        As `simulate`; a name with another ending; a file there that this package did not write; another process that
        makes one of this name.
    Cancelled
        What is finished is kept.
    """
    from napari_blochnet.estimators.memory import Allowance
    from napari_blochnet.evaluation.signal_scale import mark_of_pd
    from napari_blochnet.fingerprints.stack_drafts import PARTS_ENDINGS, open_draft, stack_parts
    from napari_blochnet.fingerprints.stack_files import files_to_write, read_fingerprints, write_fingerprints
    from napari_blochnet.physics.decoder import EPGDecoder

    target = Path(path)
    check_ending(target, PARTS_ENDINGS, "stacks part by part")
    given = settings_from(SimulateSettings, settings, **fields)
    source = phantom.record or {"operation": "given", "phantom": phantom.name}
    files = files_to_write(target)
    check_outputs(files, record=source)
    if given.is_made_whole:
        # made in memory, and written at once
        told: dict[str, Any] = {"progress": progress, "cancelled": cancelled}
        whole = simulate(phantom, schedule, given, device=device, **told)
        write_or_keep(lambda place: write_fingerprints(whole, place, **told), target)
        return read_fingerprints(existing_file(target))
    phantom = simulated_part(phantom, schedule, given)
    chosen = resolve_device(device)
    watch, dtype = Watch(progress, cancelled), simulated_type(schedule, given)
    stored = np.dtype(np.float32) if given.kind == "magnitude" else dtype
    work = {"operation": "simulate", "settings": given.model_dump(mode="json"), "phantom": _digest(phantom),
            "schedule": schedule.digest, "device": chosen, "software": software_versions()}  # fmt: skip
    allowance = Allowance(SIMULATED_AT_A_TIME, chosen, "simulating", "tissues")
    decoder = EPGDecoder(schedule, tolerance=given.tolerance)
    with named_by(target):
        unfinished = open_unfinished(target, work)
    try:
        making = _Making(unfinished, phantom, decoder, allowance, dtype, watch, passes=1 + (given.snr is not None))
        sigma = 0.0 if given.snr is None else making.sigma(given.snr)
        with named_by(target):
            draft = open_draft(unfinished.new / target.name, phantom.mask, phantom.geometry, len(schedule), stored)
            parts = list(stack_parts(phantom.mask, len(schedule), stored))
            making.write(draft, parts, sigma, given)
            inputs = {"phantom": source, "schedule": embed_schedule(schedule)}
            memory = {"memory": list(allowance.notes)} if allowance.notes else {}
            record = make_record("simulate", given, inputs, device=allowance.device, seconds=making.seconds,
                                 decoder=decoder.describe_backend(allowance.device), pd_mark=mark_of_pd(phantom),
                                 **memory)  # fmt: skip
            name = f"{phantom.name}, {schedule.name or 'schedule'}"
            watch.report(0, 1, f"writing {target.name} to the disk")
            made = draft.finish({"name": name, "kind": given.kind, "snr": given.snr, "noise_sigma": sigma,
                                 "schedule": schedule.to_dict(), "record": record})  # fmt: skip
            _put(made, files)
        unfinished.remove()
    finally:
        unfinished.close()
    return read_fingerprints(existing_file(target))


class _Making:
    """The passes over a phantom: its energy, by which noise is measured, and its samples."""

    def __init__(
        self,
        unfinished: Unfinished,
        phantom: Phantom,
        decoder: Any,
        allowance: Any,
        dtype: np.dtype[Any],
        watch: Watch,
        passes: int,
    ) -> None:
        self._unfinished, self._phantom, self._decoder, self._dtype = unfinished, phantom, decoder, dtype
        self._allowance, self._watch = allowance, watch
        self._done, self._total = 0, passes * int(phantom.mask.sum())
        #: how long what is finished took, in this run and in those before
        self.seconds = 0.0

    def sigma(self, snr: float) -> float:
        """Return the noise standard deviation per real channel that gives the whole stack an SNR."""
        energy = 0.0
        mask = self._phantom.mask
        for z in np.flatnonzero(mask.any(axis=(1, 2))):
            name = f"energy-{z}"
            note = self._unfinished.finished(name)
            inside = np.flatnonzero(mask[z]) + z * mask[z].size
            if note is None:
                self._say("measuring the signal for its noise")
                started, found = time.perf_counter(), 0.0
                for start in range(0, len(inside), SIMULATED_AT_A_TIME):
                    rows = self._rows(inside[start : start + SIMULATED_AT_A_TIME])
                    # the sum of squares of both channels; in double precision, a little at a time
                    parts = rows.view(np.float32)
                    found += sum(float(np.sum(np.square(few, dtype=np.float64))) for few in np.array_split(parts, 16))
                note = {"energy": found, "seconds": time.perf_counter() - started}
                self._unfinished.finish(name, **note)
            energy += float(note["energy"])
            self._count(len(inside), note)
        if energy == 0.0:
            raise InputError("The stack holds no signal inside the mask, so no SNR can be given to it.", field="snr")
        return math.sqrt(energy / (int(mask.sum()) * len(self._decoder.schedule))) / snr

    def write(self, draft: Any, parts: list[Any], sigma: float, settings: SimulateSettings) -> None:
        """Write the parts that are missing."""
        mask = self._phantom.mask
        plane = mask[0].size
        random = np.random.default_rng(settings.seed)
        notes = [self._finished(draft, part) for part in parts]
        with ThreadPoolExecutor(1) as pool:
            ahead: Future[AnyArray] | None = None
            for number, part in enumerate(parts):
                inside = np.flatnonzero(part.inside(mask)) + part.z * plane + part.rows.start * mask.shape[2]
                note = notes[number]
                if note is not None:
                    random.bit_generator.state = note["random"]
                    self._count(len(inside), note)
                    continue
                self._say("simulating fingerprints")
                started, noise = time.perf_counter(), None
                if sigma:
                    noise = ahead.result() if ahead is not None else self._noise(random, len(inside))
                state = random.bit_generator.state
                is_next = number + 1 < len(parts) and notes[number + 1] is None
                if sigma and is_next:
                    # noise of the next part while this one is simulated: its numbers follow one another
                    count = int(parts[number + 1].inside(mask).sum())
                    ahead = pool.submit(self._noise, random, count)
                else:
                    ahead = None
                rows = self._rows(inside)
                if noise is not None:
                    noise *= np.float32(sigma)
                    rows += noise
                files = draft.write(part, np.abs(rows) if settings.kind == "magnitude" else rows)
                seconds = time.perf_counter() - started
                self._unfinished.finish(part.name, files, samples=draft.digest(part), random=state, seconds=seconds)
                self._count(len(inside), {"seconds": seconds})

    def _finished(self, draft: Any, part: Any) -> dict[str, Any] | None:
        """Return the note of a part of which the draft still holds what it says."""
        note = self._unfinished.finished(part.name)
        if note is None:
            return None
        self._say("looking at what is finished")
        return note if note.get("samples", "") == draft.digest(part) else None

    def _noise(self, random: np.random.Generator, voxels: int) -> AnyArray:
        shape = (voxels, len(self._decoder.schedule))
        is_complex = self._dtype.kind == "c"
        noise = random.standard_normal((*shape, 2) if is_complex else shape, dtype=np.float32)
        return noise.view(np.complex64)[..., 0] if is_complex else noise

    def _rows(self, inside: AnyArray) -> AnyArray:
        rows = np.empty((len(inside), len(self._decoder.schedule)), self._dtype)
        fill_fingerprints(rows, self._phantom, inside, self._decoder, self._allowance, self._watch.quiet, packed=True)
        return rows

    def _say(self, what: str) -> None:
        self._watch.check("simulating")
        self._watch.report(self._done, self._total, what)

    def _count(self, voxels: int, note: dict[str, Any]) -> None:
        self._done += voxels
        self.seconds += float(note["seconds"])


def _put(made: list[Path], files: list[Path]) -> None:
    """Put a whole stack in its place, in one step."""
    check_outputs(files)
    if len(files) == 1 and not files[0].exists() and not files[0].is_symlink():
        os.rename(made[0], files[0])
        sync_folder(files[0].parent)
        return
    with replacing_set(files) as room:
        for file in made:
            try:
                # until all of it is in place it stays in the draft, too
                os.link(file, room / file.name)
            except OSError:  # a store; a disk that knows no links
                os.rename(file, room / file.name)


def _digest(phantom: Phantom) -> str:
    """Return a digest of all of a phantom that its fingerprints depend on."""

    def parts() -> Iterator[AnyArray]:
        for name in ("mask", "t1", "t2", "pd", "b1"):
            values = getattr(phantom, name)
            if values is not None:
                yield from values
        yield np.asarray(phantom.affine)

    found = hashlib.blake2b(f"{phantom.shape} {phantom.b1 is not None}".encode(), digest_size=16)
    for values in parts():
        found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()
