"""Phantoms, stacks and maps in a session's folder: every number as it is, bit for bit, in files nobody can run.

NIfTI under BIDS names would round: times become seconds, affines single precision. Arrays are stored as ``.npy`` in
their own type instead, everything else as JSON, whose numbers repeat exactly.

A session's folder holds ``session.json`` and one folder of data, which that file names. Saving again writes another
folder of data, then replaces the file by renaming, then removes what it no longer names: whatever happens on the way,
there is the old session or the new one.
"""

from __future__ import annotations

import math
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.evaluation.maps import OtherMap, ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.io.atomic import replacing_set
from napari_blochnet.io.containers.mapped_arrays import MappedArray
from napari_blochnet.io.containers.numpy_headers import read_npy_header, write_npy
from napari_blochnet.io.json_files import write_json
from napari_blochnet.io.origin import check_outputs
from napari_blochnet.io.plain_files import existing_file, plain_file
from napari_blochnet.io.sets.reading_whole import reads_whole
from napari_blochnet.io.sets.rooms import is_room
from napari_blochnet.jobs.session_values import plain, read_object
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["SESSION_FILE", "SavedSession", "Subject", "is_session", "read_session", "session_folder", "write_session"]

Subject: TypeAlias = Phantom | FingerprintStack | ParameterMaps

#: The file that makes a folder a session.
SESSION_FILE = "session.json"
_FORMAT = 1
_DATA = re.compile(r"data-[0-9a-f]{8}")
_MEMBER = re.compile(r"(array|(phantom|stack|maps))-\d+(-[a-z0-9_]+(-\d+)?)?\.(npy|json)")
# Bytes written or read between two words on how far it is.
_TOLD_BYTES = 16 * 2**20
# Arrays above this stay on disk and are read where they are needed.
_MAPPED_BYTES = 2**30

_CLASSES: dict[str, type[Subject]] = {"phantom": Phantom, "stack": FingerprintStack, "maps": ParameterMaps}
_ARRAYS = {
    "phantom": ("t1", "t2", "pd", "mask", "b1", "labels"),
    "stack": ("data", "mask", "basis"),
    "maps": ("t1", "t2", "pd", "residual", "mask", "failed", "phase", "t1_se", "t2_se", "converged", "b1"),
}
_VALUES = {
    "phantom": ("tissues", "voxel_size", "affine", "name", "notes", "record"),
    "stack": ("kind", "voxel_size", "affine", "snr", "noise_sigma", "name", "notes", "record"),
    "maps": ("estimator", "voxel_size", "affine", "record"),
}


@dataclass(frozen=True)
class SavedSession:
    """What a session's folder holds.

    Parameters
    ----------
    subjects : tuple of Phantom, FingerprintStack or ParameterMaps
        What was open; None in the place of one that is damaged and was left out.
    arrays : tuple of ndarray
        Further arrays: painted regions, error maps; likewise.
    state : dict
        How they were shown and linked, JSON; it refers to subjects and arrays by their place.
    """

    subjects: tuple[Subject | None, ...]
    arrays: tuple[AnyArray | None, ...]
    state: dict[str, Any]


def is_session(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a session's folder, or the file in it."""
    found = Path(path)
    try:
        return (found / SESSION_FILE).is_file() or (found.name == SESSION_FILE and found.is_file())
    except OSError:  # nobody may look into it
        return False


def session_folder(path: str | os.PathLike[str]) -> Path:
    """Return the folder that is meant by a path to it or to the file in it."""
    found = Path(path).expanduser()
    return found.parent if found.name == SESSION_FILE else found


def write_session(
    session: SavedSession,
    path: str | os.PathLike[str],
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> Path:
    """Write a session; an earlier one in the same folder stays whole until this one is.

    Parameters
    ----------
    session : SavedSession
    path : path
        A folder, made if it is not there, or ``session.json`` in it.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in megabytes.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        A folder that holds other things, a disk that is full or may not be written to, parts that were left out.
    Cancelled
        The folder is as it was.
    """
    subjects = [subject for subject in session.subjects if subject is not None]
    arrays = [array for array in session.arrays if array is not None]
    if len(subjects) < len(session.subjects) or len(arrays) < len(session.arrays):
        raise InputError("Parts of the session were left out when it was read, and its state still refers to them",
                         "all its subjects and arrays", field="session")  # fmt: skip
    folder = session_folder(path)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; expected a folder for the session.", field="path")
    check_outputs([folder / SESSION_FILE], instead="a new or empty folder")
    if folder.is_dir() and not is_session(folder) and any(not is_room(item) for item in folder.iterdir()):
        raise FileError(str(folder), "holds other files", "a new or empty folder, or an earlier session")
    name = f"data-{secrets.token_hex(4)}"
    try:
        with replacing_set([folder / name, folder / SESSION_FILE], left=lambda: _data_in(folder)) as draft:
            (draft / name).mkdir()
            total = sum(_bytes(part) for part in (*subjects, *arrays))
            writer = _Writer(draft / name, _Watched(Watch(progress, cancelled), total, "saving the session"))
            described = [writer.subject(part, place) for place, part in enumerate(subjects)]
            for place, array in enumerate(arrays):
                writer.array(np.asarray(array), f"array-{place}")
            write_json(
                {"blochnet_session": _FORMAT, "data": name, "subjects": described, "arrays": len(arrays),
                 "state": session.state},
                draft / SESSION_FILE,
            )  # fmt: skip
    except OSError as error:
        raise InputError(f"{folder}: the session cannot be written ({error.strerror or error}); expected a folder "
                         "with room that may be written to.", field="path") from None  # fmt: skip
    return folder


def read_session(
    path: str | os.PathLike[str],
    *,
    left_out: list[str] | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> SavedSession:
    """Read what `write_session` wrote; equal bit for bit.

    Parameters
    ----------
    path : path
        The folder, or ``session.json`` in it.
    left_out : list of str, optional
        Where it is given, what is damaged is left out, and said here in a sentence each; otherwise it is an error.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in megabytes.

    Returns
    -------
    SavedSession
        Arrays above 1 GiB are memory-mapped.

    Raises
    ------
    InputError
        No session, one of a later version, a file that is missing, damaged, of another size, or a link out of the
        session's folder; with ``left_out``, where nothing else is left.
    """
    saved, damage = _read_whole(path, left_out is not None, Watch(progress, cancelled))
    if left_out is not None:
        left_out += damage
    return saved


@reads_whole
def _read_whole(path: str | os.PathLike[str], leaves_out: bool, watch: Watch) -> tuple[SavedSession, list[str]]:
    """Return a session, and what is damaged of it where that is left out."""
    folder = session_folder(existing_file(path))
    content = read_object(existing_file(folder / SESSION_FILE))
    version = content.get("blochnet_session")
    if not isinstance(version, int) or isinstance(version, bool):
        raise InputError(f"{folder / SESSION_FILE}: is no session; expected one saved by this package.", field="path")
    if version > _FORMAT:
        raise InputError(f"{folder.name}: is a session of format {version}, saved by a later version of this package; "
                         f"expected format {_FORMAT}.", field="path")  # fmt: skip
    data, described, count, state = (content.get(key) for key in ("data", "subjects", "arrays", "state"))
    if (
        not isinstance(data, str)
        or not _DATA.fullmatch(data)
        or not isinstance(described, list)
        or not isinstance(count, int)
        or not 0 <= count <= 10_000
        or not isinstance(state, dict)
    ):
        raise FileError(str(folder / SESSION_FILE), "is damaged", "data, subjects, arrays and state")
    total = sum(file.lstat().st_size for file in (folder / data).glob("*.npy"))
    reader = _Reader(folder / data, _Watched(watch, total, "opening the session"))
    damage: list[str] = []

    def whole(read: Callable[..., Any], *given: Any) -> Any:
        try:
            return read(*given)
        except InputError as error:
            if not leaves_out:
                raise
            damage.append(str(error))
            return None

    subjects = tuple(whole(reader.subject, item, place) for place, item in enumerate(described))
    arrays = tuple(whole(reader.array, f"array-{place}") for place in range(count))
    if damage and all(part is None for part in (*subjects, *arrays)):
        raise InputError(damage[0], field="path")
    return SavedSession(subjects, arrays, state), damage


@dataclass
class _Watched:
    """A file of arrays as NumPy reads and writes it, piece by piece, while somebody looks on."""

    watch: Watch
    total: int
    what: str
    stream: BinaryIO | None = None
    done: int = 0

    def write(self, content: bytes) -> int:
        assert self.stream is not None
        self._look(len(content))
        return self.stream.write(content)

    def read(self, size: int = -1, /) -> bytes:
        assert self.stream is not None
        self._look(size)
        return self.stream.read(size)

    def _look(self, size: int) -> None:
        self.watch.check(self.what)
        if self.done == 0 or (self.done + size) // _TOLD_BYTES > self.done // _TOLD_BYTES:
            self.watch.report(self.done >> 20, (self.total >> 20) + 1, self.what)
        self.done += size


@dataclass(frozen=True)
class _Writer:
    folder: Path
    file: _Watched

    def subject(self, subject: Subject, place: int) -> dict[str, Any]:
        """Write a subject; return what the session's file says of it."""
        kind = next(kind for kind, of in _CLASSES.items() if isinstance(subject, of))
        stem = f"{kind}-{place}"
        about: dict[str, Any] = {key: plain(getattr(subject, key)) for key in _VALUES[kind]}
        arrays = [key for key in _ARRAYS[kind] if getattr(subject, key) is not None]
        for key in arrays:
            values = getattr(subject, key)
            # in memory time is the fastest axis of a stack: one voxel's fingerprint is one stretch, on disk too
            self.array(np.moveaxis(values, 0, -1) if key == "data" else values, f"{stem}-{key}")
        if isinstance(subject, FingerprintStack):
            about["schedule"] = None if subject.schedule is None else subject.schedule.to_dict()
        if isinstance(subject, ParameterMaps) and subject.others:
            about["others"] = [[name, other.unit] for name, other in subject.others.items()]
            for number, other in enumerate(subject.others.values()):
                self.array(other.values, f"{stem}-other-{number}")
        if isinstance(subject, Phantom) and subject.fractions is not None:
            about["fractions"] = list(subject.fractions)
            for number, share in enumerate(subject.fractions.values()):
                self.array(np.asarray(share), f"{stem}-fraction-{number}")
        write_json(about, self.folder / f"{stem}.json")
        return {"kind": kind, "arrays": arrays}

    def array(self, array: AnyArray, stem: str) -> None:
        """Write an array piece by piece, its last axis the fastest; only one whose first axis is has to be copied."""
        with (self.folder / f"{stem}.npy").open("wb") as self.file.stream:
            write_npy(self.file, array)


@dataclass(frozen=True)
class _Reader:
    folder: Path
    file: _Watched

    def subject(self, described: Any, place: int) -> Subject:
        """Read a subject; its own class checks what it holds."""
        kind = described.get("kind") if isinstance(described, dict) else None
        listed = described.get("arrays") if isinstance(described, dict) else None
        if kind not in _CLASSES or not isinstance(listed, list) or not set(map(str, listed)) <= set(_ARRAYS[kind]):
            raise InputError(f"{SESSION_FILE}: what it says of subject {place} is damaged; expected a phantom, a stack "
                             "or maps.", field="path")  # fmt: skip
        stem = f"{kind}-{place}"
        file = self._member(f"{stem}.json")
        about = read_object(file)
        fields: dict[str, Any] = {key: about.get(key) for key in _VALUES[kind]}
        for key in listed:
            values = self.array(f"{stem}-{key}")
            fields[key] = np.moveaxis(values, -1, 0) if key == "data" and values.ndim else values
        if kind == "maps":  # those of other programs and of others' dictionaries come without some
            fields = {"t1": None, "t2": None, "pd": None, "residual": None, **fields}
        try:
            if kind == "maps":
                fields["others"] = self._others(about.get("others", []), stem)
            if kind == "stack" and (about["schedule"] is not None or "basis" not in fields):
                fields["schedule"] = Schedule.from_dict(about["schedule"])
            names = about.get("fractions")
            if kind == "phantom" and names is not None:
                fields["fractions"] = {
                    str(name): self.array(f"{stem}-fraction-{number}") for number, name in enumerate(names)
                }
            for key in ("tissues", "notes"):
                if key in fields:
                    fields[key] = tuple(str(item) for item in fields[key])
            fields["affine"] = np.array(fields["affine"], dtype=np.float64)
            fields["voxel_size"] = tuple(fields["voxel_size"])
            if not isinstance(fields["record"], dict):
                raise TypeError
            return _CLASSES[kind](**fields)
        except InputError as error:
            raise InputError(f"{file.name}: {error}", field="path") from None
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{file.name}: is damaged; expected all that describes {kind}.", field="path") from None

    def _others(self, described: Any, stem: str) -> dict[str, OtherMap]:
        """Read further maps: names and units, in the order of their arrays."""
        found = {}
        for number, (name, unit) in enumerate(described if isinstance(described, list) else []):
            found[str(name)] = OtherMap(self.array(f"{stem}-other-{number}"), str(unit))
        return found

    def array(self, stem: str) -> AnyArray:
        """Read an array; its size is held against the file before anything is allocated."""
        path = self._member(f"{stem}.npy")
        try:
            with path.open("rb") as stream:
                shape, fortran, dtype = read_npy_header(stream)
                size = math.prod(shape) * dtype.itemsize
                start = stream.tell()
                if fortran or dtype.kind not in "biufc" or path.stat().st_size != start + size:
                    raise ValueError
                if size > _MAPPED_BYTES:
                    self.file.done += size
                    return MappedArray(path, dtype, "r", start, shape)
                stream.seek(0)
                self.file.stream = stream
                return np.lib.format.read_array(self.file, allow_pickle=False)
        except (ValueError, EOFError, OSError):
            raise InputError(
                f"{path.name}: is damaged or cut off; expected a whole array of numbers.", field="path"
            ) from None

    def _member(self, name: str) -> Path:
        """Return a file of the session; what lies elsewhere, behind a link, is nobody's to read."""
        path = plain_file(self.folder / name)
        if not path.resolve().is_relative_to(self.folder.parent.resolve()):
            raise FileError(path, "is a link to a file outside of the session", "the file itself")
        return path


def _data_in(folder: Path) -> list[Path]:
    """Return the arrays of earlier sessions in a folder."""
    return [old for old in folder.iterdir() if _DATA.fullmatch(old.name) and _is_data(old)]


def _is_data(folder: Path) -> bool:
    """Whether a folder holds what sessions write, and nothing else."""
    return folder.is_dir() and not folder.is_symlink() and all(map(_MEMBER.fullmatch, os.listdir(folder)))


def _bytes(subject: Subject | AnyArray) -> int:
    if isinstance(subject, np.ndarray):
        return subject.nbytes
    kind = next(kind for kind, of in _CLASSES.items() if isinstance(subject, of))
    held: list[Any] = [getattr(subject, key) for key in _ARRAYS[kind]]
    if isinstance(subject, Phantom):
        held += (subject.fractions or {}).values()
    if isinstance(subject, ParameterMaps):
        held += (other.values for other in subject.others.values())
    return sum(int(values.nbytes) for values in held if values is not None)
