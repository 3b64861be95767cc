"""The folder of a study: who is at work in it, and what of it is finished.

Notes in a hidden folder say of each stack what its results were made from and the digests of their files. What is
noted, and lies there as it was written, is not done again, whatever its name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import FileError
from napari_blochnet.common.json_text import parse_json
from napari_blochnet.fingerprints.paired_files import beside_stack, part_of
from napari_blochnet.io.origin import check_place
from napari_blochnet.io.sets.digests import DIGESTED_WHOLE, digest
from napari_blochnet.io.sets.rooms import PREFIX, lock_file

__all__ = ["at_work_in", "finished_note", "key_of", "models_folder", "notes_of_study", "stack_files", "state_of",
           "write_note"]  # fmt: skip

_FOLDER, _LOCK, _NOTES, _MODELS = f"{PREFIX}study", "at-work", "done", "models"
_LARGEST = 2**26


@contextlib.contextmanager
def at_work_in(folder: Path) -> Iterator[None]:
    """Keep everybody else out of the folder of a study, which is made.

    Raises
    ------
    FileError
        Another process is at work in it.
    """
    check_place(folder, field="output")
    place = folder / _FOLDER
    for name in (_NOTES, _MODELS):
        if place.is_symlink() or (place / name).is_symlink():
            raise FileError(str(place), "is a link, or holds one, and nothing is written through it",
                            "another folder", field="output")  # fmt: skip
        (place / name).mkdir(parents=True, exist_ok=True)
    lock = os.open(place / _LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        if lock_file(lock, wait=False) is False:
            raise FileError(str(folder), "is being written to by another run", "that to end first, or another folder",
                            field="output")  # fmt: skip
        yield
    finally:
        os.close(lock)


def models_folder(folder: Path) -> Path:
    """Return where the networks of a study lie, which every worker loads once."""
    return folder / _FOLDER / _MODELS


def key_of(work: Any) -> str:
    """Return a digest of all that results depend on, JSON."""
    return hashlib.blake2b(json.dumps(work, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def state_of(path: Path | str | None) -> list[str] | None:
    """Return what a file, or a folder, is known by: its path, and a digest of what it holds.

    Where that digest is not of every byte, when it was last changed, too: of large files, and of what lies in folders.
    """
    if path is None:
        return None
    found = Path(path)
    if not found.exists():
        return [str(found)]
    changed: list[str] = []
    if found.is_dir():
        below = [Path(parent, file) for parent, _, files in os.walk(found) for file in files]
        changed = [str(max((file.lstat().st_mtime_ns for file in below), default=0))]
    elif (about := found.stat()).st_size > DIGESTED_WHOLE:
        changed = [str(about.st_mtime_ns)]
    return [str(found), digest(found), *changed]


def stack_files(path: Path) -> list[Path]:
    """Return a stack's file, and what lies beside it and is read with it: its mask, its JSON, its other part."""
    if not path.is_file():
        return [path]
    part = part_of(path)
    both = [path, *([] if part.partner is None else [part.partner])]
    return [file for each in both for file in (each, *beside_stack(each)) if file.is_file()]


def finished_note(folder: Path, prefix: str, key: str) -> dict[str, Any] | None:
    """Return what is noted of a stack whose results lie there as they were written; None where they do not."""
    note = _note(folder, prefix)
    return note if note is not None and note["key"] == key else None


def notes_of_study(folder: Path, study: str) -> dict[str, dict[str, Any]]:
    """Return, by their prefixes, the notes of all stacks that one recipe was done to and whose results lie there."""
    names = sorted(path.stem for path in (folder / _FOLDER / _NOTES).glob("*.json"))
    found = {prefix: _note(folder, prefix) for prefix in names}
    return {prefix: note for prefix, note in found.items() if note is not None and note.get("study") == study}


def _note(folder: Path, prefix: str) -> dict[str, Any] | None:
    try:
        with (folder / _FOLDER / _NOTES / f"{prefix}.json").open("rb") as file:
            note: dict[str, Any] = parse_json(file.read(_LARGEST))
        if not isinstance(note["rows"], list) or not isinstance(note["key"], str):
            return None
        files = {folder / name: was for name, was in note["files"].items()}
        is_whole = all(path.is_file() and digest(path) == was for path, was in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return note if is_whole else None


def write_note(folder: Path, prefix: str, key: str, files: list[Path], **more: Any) -> dict[str, Any]:
    """Note that the results of a stack lie there; return the note."""
    note = {"key": key, "files": {path.relative_to(folder).as_posix(): digest(path) for path in files}, **more}
    target = folder / _FOLDER / _NOTES / f"{prefix}.json"
    draft = target.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(note), encoding="utf-8")
    os.replace(draft, target)
    return note
