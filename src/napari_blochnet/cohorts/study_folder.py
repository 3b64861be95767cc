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
from napari_blochnet.io.origin import check_place
from napari_blochnet.io.sets.digests import digest
from napari_blochnet.io.sets.rooms import PREFIX, lock_file

__all__ = ["at_work_in", "finished_note", "key_of", "models_folder", "state_of", "write_note"]

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
        (place / name).mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        raise FileError(str(place), "is a link, and nothing is written through it", "another folder", field="output")
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
    """Return what a file, or a folder, is known by: its path, and a digest of what it holds."""
    if path is None:
        return None
    found = Path(path)
    if not found.exists():
        return [str(found)]
    # the description of a store holds its record
    inner = [found / name for name in ("zarr.json", ".zattrs") if (found / name).is_file()] if found.is_dir() else []
    return [str(found), digest(found), *map(digest, inner)]


def finished_note(folder: Path, prefix: str, key: str) -> dict[str, Any] | None:
    """Return what is noted of a stack whose results lie there as they were written; None where they do not."""
    try:
        with (folder / _FOLDER / _NOTES / f"{prefix}.json").open("rb") as file:
            note: dict[str, Any] = parse_json(file.read(_LARGEST))
        if note["key"] != key or not isinstance(note["rows"], list):
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
