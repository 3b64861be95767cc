"""Results as files, as the command line writes them: what each is called, what is there already, the writing itself.

Nothing here touches Qt: the functions that take ``progress`` run on worker threads.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.common.plain_text import counted
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.evaluation.agreement.difference_maps import PARAMETERS
from napari_blochnet.evaluation.error_maps import quantities_of
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.maps_io import (
    error_files,
    map_files,
    map_paths,
    write_error_maps,
    write_map,
    write_maps,
)
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.fingerprints.stack_files import fingerprint_files, write_fingerprints
from napari_blochnet.io.nifti import write_nifti_with_sidecar
from napari_blochnet.io.origin import check_outputs, ours_among
from napari_blochnet.napari_ui.canvas.layer_data import map_values
from napari_blochnet.napari_ui.state.entries import Entry, is_derived
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.phantoms.phantom import Phantom

__all__ = [
    "MapsToSave",
    "SavedMaps",
    "check_sets",
    "file_names",
    "layer_files",
    "maps_on_disk",
    "maps_to_save",
    "part_of",
    "save_fingerprints",
    "save_layer",
    "save_maps",
    "with_nifti_ending",
]


@dataclass(frozen=True)
class MapsToSave:
    """Maps of one model, and where their folder is.

    Parameters
    ----------
    title : str
        What people call them.
    maps : ParameterMaps
    truth : Phantom, optional
        On the maps' grid; error maps are written where it is known.
    folder : Path
    """

    title: str
    maps: ParameterMaps
    truth: Phantom | None
    folder: Path


@dataclass(frozen=True)
class SavedMaps:
    """What was written."""

    sets: tuple[MapsToSave, ...]
    files: tuple[Path, ...]

    def describe(self) -> str:
        """Return what was written where, in one sentence."""
        parent = self.sets[0].folder.parent
        names = ", ".join(item.folder.name for item in self.sets)
        errors = "" if all(item.truth is None for item in self.sets) else ", errors in %"
        size = sum(path.stat().st_size for path in self.files) / 1e6
        return (
            f"Saved to {parent}, a folder for each model ({names}): T1 and T2 in seconds, as BIDS asks{errors}; "
            f"{counted(len(self.files), 'file')}, {size:,.1f} MB."
        )


def file_names(titles: Iterable[str], others: Iterable[str] = ()) -> list[str]:
    """Return names for files or folders that no file system takes for each other, one per title."""
    taken = {name.casefold() for name in others}
    names = []
    for title in titles:
        base = re.sub(r"[^\w.]+", "-", title).strip("-._") or "result"
        name, number = base, 1
        while name.casefold() in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def maps_to_save(session: Session, entries: Sequence[Entry], parent: str | os.PathLike[str]) -> list[MapsToSave]:
    """Return maps with their truth, as far as it is known, and a folder for each; main thread."""
    names = file_names(entry.title for entry in entries)
    return [
        MapsToSave(entry.title, entry.subject, session.truth_of(entry.subject), Path(parent).expanduser() / name)
        for entry, name in zip(entries, names, strict=True)
    ]


def maps_on_disk(sets: Iterable[MapsToSave]) -> list[Path]:
    """Return the files that are there and would be replaced or removed."""
    return [path for item in sets for path in (*map_files(item.folder), *error_files(item.folder)) if path.exists()]


def check_sets(sets: Iterable[MapsToSave]) -> None:
    """Raise `InputError` where files are in the way that this package did not write."""
    for item in sets:
        optional = {path: getattr(item.maps, field) for field, path in map_paths(item.folder).items()}
        files = [path for path in map_files(item.folder) if optional.get(path, True) is not None]
        files += error_files(item.folder) if item.truth is not None else []
        check_outputs(files, record=item.maps.record, instead="another folder")


@contextlib.contextmanager
def _told(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let what the file system says reach people as a sentence."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}).", field="path") from None


def part_of(progress: ProgressCallback | None, number: int, count: int, which: str = "") -> ProgressCallback:
    """Return whom one of several parts tells how far it is: whoever is told how far the whole is."""

    def counted(done: int, total: int, message: str = "", /) -> None:
        Watch(progress).report(number * total + done, count * total, f"{message}{which}")

    return counted


def save_maps(
    sets: Sequence[MapsToSave], *, progress: ProgressCallback | None = None, cancelled: CancelEvent | None = None
) -> SavedMaps:
    """Write maps as `napari_blochnet.evaluation.maps_io.write_maps` does, each model's in its folder.

    Raises
    ------
    InputError
        A folder that cannot be written to.
    Cancelled
        Whole sets stay; ``partial`` is a `SavedMaps` of them, or None.
    """
    check_sets(sets)
    files: list[Path] = []
    for number, item in enumerate(sets):
        counted = part_of(progress, number, len(sets), f" of {item.title}")
        try:
            with _told(item.folder):
                written = write_maps(item.maps, item.folder, progress=counted, cancelled=cancelled)
                # errors of other maps do not belong to these
                for path in ours_among(error_files(item.folder)):
                    path.unlink(missing_ok=True)
                if item.truth is not None:
                    beside = [other.maps for other in sets if other.truth is item.truth]
                    write_error_maps(item.truth, item.maps, item.folder, beside=beside, cancelled=cancelled)
                    written += error_files(item.folder)
        except Cancelled as wish:
            whole = SavedMaps(tuple(sets[:number]), tuple(files)) if number else None
            raise Cancelled(str(wish), partial=whole) from None
        files += written
    return SavedMaps(tuple(sets), tuple(files))


def with_nifti_ending(path: str | os.PathLike[str]) -> Path:
    """Return the path with ``.nii.gz`` where it ends otherwise."""
    target = Path(path).expanduser()
    known = target.name.lower().endswith((".nii", ".nii.gz"))
    return target if known else target.with_name(target.name + ".nii.gz")


def save_fingerprints(
    stack: FingerprintStack,
    path: str | os.PathLike[str],
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> list[Path]:
    """Write a stack as `napari_blochnet.fingerprints.stack_files.write_fingerprints` does.

    Raises
    ------
    InputError
        A folder that cannot be written to.
    """
    with _told(path):
        return write_fingerprints(stack, path, progress=progress, cancelled=cancelled)


# -- single layers


def layer_files(entry: Entry, path: str | os.PathLike[str]) -> list[Path]:
    """Return the files that `save_layer` writes."""
    image, mask, sidecar = fingerprint_files(path)
    return [image, mask, sidecar] if entry.kind == "stack" else [image, sidecar]


def save_layer(
    entry: Entry,
    shown: AnyArray,
    path: str | os.PathLike[str],
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> list[Path]:
    """Write what one layer shows: with the true affine, in the unit that BIDS asks for, and JSON that names it.

    Parameters
    ----------
    entry : Entry
        What stands behind the layer.
    shown : array
        The layer's data: T1 and T2 in ms, errors in per cent, NaN where there is nothing to compare.
    path : path
        ``.nii`` or ``.nii.gz``.

    Raises
    ------
    InputError
        Data that was changed so that it is no longer the stack, or no longer lies on the subject's grid.
    """
    subject = entry.subject
    watched: dict[str, Any] = {"progress": progress, "cancelled": cancelled}
    if entry.kind == "stack":
        _check_samples(subject, shown)
        return save_fingerprints(subject, path, **watched)
    values = np.asarray(shown)
    if values.shape != subject.shape[-3:]:
        raise InputError(
            f"{Path(path).name}: the layer has {_size(values.shape)} voxels, but {entry.title} has "
            f"{_size(subject.shape[-3:])} (z, y, x); expected a layer on the grid it was made on.",
            field="path",
        )
    with _told(path):
        if isinstance(subject, ParameterMaps) and entry.kind == "maps" and not is_derived(entry.role):
            field = entry.role if entry.role in subject.others else _field(entry)
            own = np.array_equal(values, map_values(subject, entry.role), equal_nan=True)
            return write_map(subject, field, path, None if own else values, **watched)
        stored, sidecar = _described(entry, values)
        # as `napari_blochnet.phantoms.write` writes T1, T2 and PD
        double = entry.kind == "phantom" and entry.role != "tissue"
        watch = Watch(**watched)
        return write_nifti_with_sidecar(stored, subject.geometry, path, sidecar, double=double, watch=watch)


def _field(entry: Entry) -> str:
    return entry.role.lower().replace(" ", "_")


def _described(entry: Entry, values: AnyArray) -> tuple[AnyArray, dict[str, Any]]:
    """Return what is stored of a layer, and what the JSON beside it says."""
    subject, role = entry.subject, entry.role
    if role.endswith(" error"):
        about = f"({role.removesuffix(' error')} by {subject.estimator} − truth)/truth"
        return np.nan_to_num(values, nan=0.0), {"Units": "%", "Description": about, "Record": subject.record}
    if is_derived(role):
        parameter = role.removesuffix(" difference")
        about = f"{parameter} by {subject.estimator} − {parameter} of what it was compared with"
        unit = quantities_of(subject).get(parameter, "") or "arbitrary"
        if parameter in PARAMETERS:
            about, unit = f"({about})/mean of both", "%"
        return np.nan_to_num(values, nan=0.0), {"Units": unit, "Description": about, "Record": subject.record}
    if entry.kind == "region" or role == "tissue":
        sidecar: dict[str, Any] = {"Description": f"{role} of {entry.title}", "Units": "label"}
        if role == "tissue":
            sidecar["Labels"] = {str(number): name for number, name in enumerate(subject.tissues, start=1)}
        return values, sidecar
    is_time = role in ("T1", "T2")
    sidecar = {"Units": "s" if is_time else "arbitrary", "Name": subject.name}
    if np.array_equal(values, getattr(subject, _field(entry))):
        sidecar |= {"Notes": list(subject.notes), "Record": subject.record}
    return values.astype(np.float64) / 1000 if is_time else values, sidecar


def _check_samples(stack: FingerprintStack, shown: AnyArray) -> None:
    """Refuse a layer that shows other samples than the stack's magnitudes; looked at in one slice of one TR."""
    middle = (shown.shape[0] // 2, shown.shape[1] // 2) if shown.ndim == 4 else ()
    if shown.shape != stack.data.shape or not np.array_equal(
        np.abs(np.asarray(shown[middle])), np.abs(np.asarray(stack.data[middle])), equal_nan=True
    ):
        raise InputError(
            f"The layer's samples are no longer those of {stack.name}; expected a stack as it was opened or simulated.",
            field="path",
        )


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(str(length) for length in shape)
