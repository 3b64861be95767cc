"""Rooms to write in: hidden folders beside what they will replace, locked as long as their writer lives.

A room holds ``new`` (what is written), ``former`` (what it replaced) and a file whose lock says that the writer is at
work: the system lets go of it however the writer ends. What nobody holds any more is a stray, and the next writer in
that folder removes it. Some file systems keep locks from other machines, so the file also says which one the writer
is on: of another's room only its age tells.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import platform
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable
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
    "is_left",
    "is_room",
    "is_same",
    "is_sound",
    "lock_file",
    "open_lock",
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
# Where a lock tells nothing, a room that nobody touched for so long (s) is a stray.
_OLD = 86_400.0
# How often a room is made again that was taken for a stray.
_TRIES = 100
_JUNCTION = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)
# What file systems say that know no syncing; a bad or a full disk says something else.
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


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
        if os.name == "nt":
            self.close()  # there an open file keeps its folder
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
    for _ in range(_TRIES):
        room = Room(folder / _a_name(), -1)
        room.path.mkdir()
        try:
            room.lock = os.open(room.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            lock_file(room.lock)
            os.write(room.lock, _this_machine())
            # what nobody but the owner could read before is not read half written
            room.new.mkdir(0o700)
            room.former.mkdir(0o700)
            if is_same(room.lock, room.path / LOCK):
                return room
        except FileNotFoundError:
            if not folder.is_dir():
                raise
        except BaseException:
            room.remove()
            raise
        room.remove()  # somebody took it for a stray before it had a lock
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(folder))


def is_room(path: Path) -> bool:
    """Whether a folder is one of these, by its name."""
    return path.name.startswith(PREFIX)


def is_in_room(path: Path) -> bool:
    """Whether a path lies in a room, where no one reads yet."""
    return path.parent.name == "new" and is_room(path.parent.parent)


def is_sound(path: Path) -> bool:
    """Whether a room is as this package makes them: with a lock, of folders and plain files, nothing of it a link."""
    return (
        _is(path, stat.S_ISDIR, if_missing=False)
        and _is(path / LOCK, stat.S_ISREG, if_missing=False)
        and _is(path / PLAN, stat.S_ISREG)
        and all(_is(path / name, stat.S_ISDIR) for name in ("new", "former"))
    )


def _is(path: Path, kind: Callable[[int], bool], *, if_missing: bool = True) -> bool:
    try:
        about = path.lstat()
        is_junction = getattr(about, "st_reparse_tag", 0) == _JUNCTION  # a folder's link, as Windows has them
        return kind(about.st_mode) and not is_junction
    except FileNotFoundError:
        return if_missing
    except OSError:
        return False


def open_lock(path: Path) -> int:
    """Open the file of a room that is locked; no link, and nothing that could wait."""
    more = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path / LOCK, os.O_RDWR | more)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        descriptor = os.open(path / LOCK, os.O_RDONLY | more)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path / LOCK))
    return descriptor


def is_left(room: Room, after: float) -> bool:
    """Whether the writer of a room is gone; if so, its lock, which was opened, is held from now on.

    Parameters
    ----------
    room : Room
    after : float
        Where the lock tells nothing, because the writer is on another machine or there are no locks: for how long (s)
        nobody touched a room that is left.
    """
    has = lock_file(room.lock, wait=False)
    if has is False or not is_same(room.lock, room.path / LOCK):
        return False
    is_told = has and os.read(room.lock, 4096) in (b"", _this_machine())  # nothing: it ended as it began
    return is_told or time.time() - room.path.stat().st_mtime > after


@functools.cache
def _this_machine() -> bytes:
    """Return a name of this machine, since it was started."""
    name = platform.node()
    with contextlib.suppress(OSError):
        name += f" {Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"
    return name.encode()


def lock_file(descriptor: int, *, wait: bool = True) -> bool | None:
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
            room = Room(path, open_lock(path))
            try:
                if is_left(room, _OLD):
                    room.remove()
            finally:
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
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
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
