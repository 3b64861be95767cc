"""Rooms to write in: hidden folders beside what they will replace, locked as long as their writer lives.

A room holds ``new`` (what is written), ``former`` (what it replaced) and a file whose lock says that the writer is at
work: the system lets go of it however the writer ends. What nobody holds any more is a stray, and the next writer in
that folder removes it.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "LOCK",
    "PLAN",
    "PREFIX",
    "SWITCH",
    "Room",
    "is_in_room",
    "is_room",
    "is_same",
    "lock",
    "open_room",
    "sync_file",
    "sync_folder",
]

#: How the names of rooms begin.
PREFIX = ".napari-blochnet-"
#: The room whose set is being put in place: there is one in a folder at most.
SWITCH = f"{PREFIX}switch"
#: The file that is locked, and the one that says what is put where.
LOCK, PLAN = "lock", "plan.json"

_ROOM = re.compile(re.escape(PREFIX) + r"[0-9a-f]{8}")
# Where no locks are to be had, a room that nobody touched for so long (s) is a stray.
_OLD = 86_400.0


@dataclass
class Room:
    """A folder to write in.

    Parameters
    ----------
    path : Path
    lock : int
        Descriptor of the file that is locked; -1 once it is closed.
    """

    path: Path
    lock: int

    @property
    def new(self) -> Path:
        """Where the set is written."""
        return self.path / "new"

    @property
    def former(self) -> Path:
        """Where what it replaces is put."""
        return self.path / "former"

    def close(self) -> None:
        """Let go of the lock."""
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1

    def remove(self) -> None:
        """Remove it and all in it, as far as that can be done; what is left of it is a stray."""
        try:
            if self.path.name == SWITCH:
                # whole, out of everybody's way
                aside = self.path.with_name(_a_name())
                os.rename(self.path, aside)
                self.path = aside
            _empty(self.path)
        except OSError:
            return
        finally:
            self.close()
        with contextlib.suppress(OSError):
            self.path.rmdir()


def _a_name() -> str:
    return f"{PREFIX}{secrets.token_hex(4)}"


def _empty(path: Path) -> None:
    for name in ("new", "former"):
        shutil.rmtree(path / name, ignore_errors=True)
    # the lock goes last: a room without one is empty
    for name in (PLAN, LOCK):
        (path / name).unlink(missing_ok=True)


def open_room(folder: Path) -> Room:
    """Return a new room in a folder, and remove the strays there."""
    _remove_strays(folder)
    while True:
        path = folder / _a_name()
        path.mkdir()
        try:
            room = Room(path, os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
        except FileNotFoundError:
            if not folder.is_dir():
                raise
            continue  # somebody took it for a stray before it had a lock
        except BaseException:
            with contextlib.suppress(OSError):
                path.rmdir()
            raise
        lock(room.lock)
        if not is_same(room.lock, path / LOCK):
            room.close()
            continue
        try:
            # what nobody but the owner could read before is not read half written
            room.new.mkdir(0o700)
            room.former.mkdir(0o700)
        except BaseException:
            room.remove()
            raise
        return room


def is_room(path: Path) -> bool:
    """Whether a folder is one of these, by its name."""
    return path.name.startswith(PREFIX)


def is_in_room(path: Path) -> bool:
    """Whether a path lies in a room, where no one reads yet."""
    return path.parent.name == "new" and is_room(path.parent.parent)


def lock(descriptor: int, *, wait: bool = True) -> bool | None:
    """Lock an open file. False: somebody else has; None: there are no locks here."""
    if not hasattr(fcntl, "flock"):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_same(descriptor: int, path: Path) -> bool:
    """Whether an open file is still what lies under its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _remove_strays(folder: Path) -> None:
    try:
        with os.scandir(folder) as entries:
            rooms = [Path(entry.path) for entry in entries
                     if _ROOM.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)]  # fmt: skip
    except OSError:
        return  # who writes there is told
    for path in rooms:
        with contextlib.suppress(OSError):
            if not os.listdir(path):
                path.rmdir()
                continue
            room = Room(path, os.open(path / LOCK, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)))
            has = lock(room.lock, wait=False)
            if has or (has is None and time.time() - path.stat().st_mtime > _OLD):
                room.remove()
            room.close()


def sync_file(path: Path) -> None:
    """Wait until a file, or all files in a folder, are on the disk."""
    if path.is_dir():
        for parent, _, files in os.walk(path):
            for file in files:
                sync_file(Path(parent, file))
            sync_folder(Path(parent))
        return
    # Windows syncs only what is open for writing
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk, where folders can be waited for."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
