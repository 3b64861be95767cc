"""Mapping of volumes into a folder: slices that are mapped stay if it is broken off."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray
from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.maps_io import write_maps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.io.atomic import named_by
from napari_blochnet.io.sets.digests import digest
from napari_blochnet.io.sets.unfinished import Unfinished, open_unfinished
from napari_blochnet.jobs.last_step import write_or_keep
from napari_blochnet.jobs.operations.reconstruct import reconstruct
from napari_blochnet.jobs.records import software_versions
from napari_blochnet.jobs.settings import ReconstructSettings, settings_from

__all__ = ["reconstruct_to"]


def reconstruct_to(
    folder: str | os.PathLike[str],
    stack: FingerprintStack,
    estimator: Any = None,
    mask: BoolArray | str | os.PathLike[str] | None = None,
    settings: ReconstructSettings | None = None,
    *,
    prefix: str = "sub-01",
    source: str | os.PathLike[str] | None = None,
    b1: AnyArray | str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> ParameterMaps:
    """Map T1, T2 and PD from fingerprints into a folder, a slice at a time.

    Each slice that is mapped is kept in a hidden folder in there until the maps are whole: whoever stops it, or
    whatever ends the process, the same call goes on with the slices that are missing, and ends with the same bits.

    Parameters
    ----------
    folder : path
        See `napari_blochnet.evaluation.maps_io.write_maps`.
    stack : FingerprintStack
    estimator, mask, settings, b1, device, progress, cancelled, **fields
        See `napari_blochnet.reconstruct`.
    prefix : str
        BIDS entities of the files.
    source : path, optional
        File of the stack: once that has changed, nothing that was made from it before is gone on with.

    Returns
    -------
    ParameterMaps

    Raises
    ------
    InputError
        As `napari_blochnet.reconstruct` and `write_maps`; another process that makes maps of this name there.
    Cancelled
        What is finished is kept.
    """
    target = Path(folder)
    given = settings_from(ReconstructSettings, settings, **fields)
    kept = _Kept(target / prefix, stack, given, None if source is None else Path(source))
    try:
        maps = reconstruct(stack, estimator, mask, given, b1=b1, device=device, progress=progress, cancelled=cancelled,
                           kept=kept)  # fmt: skip
        write_or_keep(lambda place: write_maps(maps, place, prefix, progress=progress, cancelled=cancelled), target)
        kept.remove()
    finally:
        kept.close()
    return maps


class _Kept:
    """Slabs of maps in files; see `napari_blochnet.jobs.operations.batches.KeptSlabs`."""

    def __init__(self, target: Path, stack: FingerprintStack, settings: ReconstructSettings, source: Path | None):
        self._target, self._stack, self._settings, self._source = target, stack, settings, source
        self._work: Unfinished | None = None
        self.seconds = 0.0

    def begin(self, estimator: Any, device: str, inside: BoolArray, field: FloatArray | None) -> None:
        work = {
            "operation": "reconstruct", "settings": self._settings.model_dump(mode="json"),
            "stack": _digest_of(self._stack), "file": _state_of(self._source), "mask": _bytes_digest(inside),
            "b1": None if field is None else _bytes_digest(field), "estimator": _made_of(estimator), "device": device,
            "software": software_versions(),
        }  # fmt: skip
        with named_by(self._target):
            self._work = open_unfinished(self._target, work)

    def take(self, slab: slice, maps: ParameterMaps) -> bool:
        assert self._work is not None
        note = self._work.finished(f"slab-{slab.start}")
        if note is None:
            return False
        try:
            with np.load(self._file(slab), allow_pickle=False) as found:
                for name, values in _arrays(maps).items():
                    values[slab] = found[name]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return False
        self.seconds += float(note["seconds"])
        return True

    def put(self, slab: slice, maps: ParameterMaps, seconds: float) -> None:
        assert self._work is not None
        with named_by(self._target):
            found: dict[str, Any] = {name: values[slab] for name, values in _arrays(maps).items()}
            with self._file(slab).open("wb") as file:
                np.savez(file, **found)
            self._work.finish(f"slab-{slab.start}", [self._file(slab)], seconds=seconds)

    def _file(self, slab: slice) -> Path:
        assert self._work is not None
        return self._work.new / f"slab-{slab.start}.npz"

    def remove(self) -> None:
        if self._work is not None:
            self._work.remove()

    def close(self) -> None:
        if self._work is not None:
            self._work.close()


def _arrays(maps: ParameterMaps) -> dict[str, AnyArray]:
    values = {each.name: getattr(maps, each.name) for each in fields_of(maps)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray) and value.ndim == 3}


def _digest_of(stack: FingerprintStack) -> str:
    """Return a digest of what is known of a stack, and of one fingerprint of each slice."""
    said = [stack.shape, str(stack.data.dtype), stack.kind, stack.schedule and stack.schedule.digest,
            stack.noise_sigma, np.asarray(stack.affine).tolist(), stack.record]  # fmt: skip
    if stack.subspace is not None:
        said += [stack.subspace.digest, stack.subspace.r.tobytes().hex()]
    found = hashlib.blake2b(json.dumps(said, sort_keys=True, default=str).encode(), digest_size=16)
    for z in np.flatnonzero(stack.mask.any(axis=(1, 2))):
        inside = np.flatnonzero(stack.mask[z])
        y, x = np.unravel_index(inside[len(inside) // 2], stack.mask.shape[1:])
        found.update(np.asarray(stack.data[:, z, y, x]).tobytes())
    return found.hexdigest()


def _state_of(file: Path | None) -> list[Any] | None:
    """Return what tells whether a file, or what lies in a store, has changed."""
    if file is None or not file.exists():
        return None
    about = file.stat()
    if file.is_dir():
        return [digest(file), *((file / name).stat().st_mtime_ns for name in ("zarr.json",) if (file / name).is_file())]
    return [about.st_size, about.st_mtime_ns]


def _made_of(estimator: Any) -> list[Any]:
    """Return what tells an estimator from others of its name: what it says of itself, and its weights."""
    weights = hashlib.blake2b(digest_size=16)
    below = estimator
    while below is not None:
        state = getattr(getattr(below, "model", None), "state_dict", dict)
        for name, tensor in state().items():
            weights.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
        below = getattr(below, "estimator", None)
    return [estimator.description, estimator.source, weights.hexdigest()]


def _bytes_digest(values: AnyArray) -> str:
    return hashlib.blake2b(np.ascontiguousarray(values).tobytes(), digest_size=16).hexdigest()
