"""Long work that may be broken off: what is finished of it is kept, beside where its result will lie.

A hidden folder named after the result holds the parts that are finished, each with a note that says what work it is of
and the digests of its files. The same work goes on with the parts whose notes and files are its own; what another
work left under that name goes. A lock says that somebody is at it, however that ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import FileError
from napari_blochnet.common.json_text import parse_json
from napari_blochnet.io.sets.digests import digest
from napari_blochnet.io.sets.rooms import PREFIX, is_same, lock_file

__all__ = ["BeingMadeError", "Unfinished", "open_unfinished"]

_LOCK, _KEY, _NOTES = "at-work", "work.json", "done"
# The largest note.
_LARGEST = 2**24
# How often a folder is made again that another process has just removed.
_TRIES = 20


class BeingMadeError(FileError):
    """Another process is making what this one was to make."""


@dataclass
class Unfinished:
    """What is finished of a work.

    Parameters
    ----------
    path : Path
        The folder.
    key : str
        Digest of all that the result depends on.
    lock : int
        Descriptor of the file that is locked; -1 once it is closed.
    made : bool
        Whether the folder that it lies in was made for it: that goes with it, as long as nothing else is there.
    """

    path: Path
    key: str
    lock: int
    made: bool = False

    @property
    def new(self) -> Path:
        """Where the result grows."""
        return self.path / "new"

    def finished(self, part: str) -> dict[str, Any] | None:
        """Return the note of a part that is finished: of this work, its files as they were written. Else None."""
        try:
            with (self.path / _NOTES / f"{part}.json").open("rb") as file:
                note = parse_json(file.read(_LARGEST))
            if note["key"] != self.key or note["part"] != part:
                return None
            files = {self.new / name: was for name, was in note["files"].items()}
            is_whole = all(path.is_file() and not path.is_symlink() and digest(path) == was
                           for path, was in files.items())  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return note if is_whole else None

    def finish(self, part: str, files: Iterable[Path] = (), **more: Any) -> None:
        """Note that a part is finished.

        Parameters
        ----------
        part : str
        files : iterable of Path
            What was written of it, in `new`.
        **more
            What the note is to say beside, JSON.
        """
        digests = {path.relative_to(self.new).as_posix(): digest(path) for path in files}
        note = {"key": self.key, "part": part, "files": digests, **more}
        self._write(f"{_NOTES}/{part}.json", note)

    def _write(self, name: str, content: dict[str, Any]) -> None:
        draft = self.path / "note"
        draft.write_text(json.dumps(content), encoding="utf-8")
        os.replace(draft, self.path / name)

    def close(self) -> None:
        """Let go of it; what is finished stays for the next run. Of nothing that is finished, nothing stays."""
        with contextlib.suppress(OSError):
            if not os.listdir(self.path / _NOTES):
                self.remove()
        self._unlock()

    def remove(self) -> None:
        """Remove all of it: the result lies in its place."""
        # without its notes nothing of it is gone on with, however far the removal comes
        for name in (_NOTES, "new"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        if os.name == "nt":
            self._unlock()  # there an open file keeps its folder
        for name in (_KEY, "note", _LOCK):
            with contextlib.suppress(OSError):
                (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.rmdir()
            if self.made:
                self.path.parent.rmdir()
        self._unlock()

    def _unlock(self) -> None:
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1


def open_unfinished(target: Path, work: Mapping[str, Any]) -> Unfinished:
    """Return what is finished of a work, or an empty beginning of it; nobody else is at it meanwhile.

    Parameters
    ----------
    target : Path
        Where its result will lie; the folder that it lies in is made.
    work : mapping
        All that the result depends on, JSON.

    Raises
    ------
    BeingMadeError
        Another process is making something of that name.
    """
    path = target.parent / f"{PREFIX}unfinished-{target.name}"
    text = json.dumps(work, sort_keys=True, default=str)
    key = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    made = not path.parent.exists()
    for _ in range(_TRIES):
        path.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            raise FileError(str(path), "is a link, and nothing is written through it", "another name or folder")
        try:
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except FileNotFoundError:
            continue  # whoever was at it has just removed it
        unfinished = Unfinished(path, key, lock, made)
        if lock_file(lock, wait=False) is False:
            unfinished._unlock()
            raise BeingMadeError(target, "is being made by another process",
                                 "that to end first, or another name or folder", field="output")  # fmt: skip
        if is_same(lock, path / _LOCK):
            break
        unfinished._unlock()
    else:
        raise FileError(str(path), "cannot be made", "another name or folder")
    try:
        if _key_of(path) != key:
            for name in (_NOTES, "new"):
                shutil.rmtree(path / name, ignore_errors=True)
            # a draft may hold a part of what others may not read
            (path / "new").mkdir(0o700)
            (path / _NOTES).mkdir()
            unfinished._write(_KEY, {"key": key, "work": work})
    except BaseException:
        unfinished._unlock()
        raise
    return unfinished


def _key_of(path: Path) -> str | None:
    """Return the key of what lies in a folder; None where nothing whole does."""
    try:
        with (path / _KEY).open("rb") as file:
            found = parse_json(file.read(_LARGEST))["key"]
        return found if (path / "new").is_dir() and (path / _NOTES).is_dir() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
