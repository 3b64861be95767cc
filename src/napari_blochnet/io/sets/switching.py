"""Putting a set of files in its place in one step, and finishing what a killed process left half done.

A room whose set is whole takes the name `SWITCH`, of which there is one in a folder at most: two writers follow each
other. Then its plan is written, which is the step: without it there is the old set, with it whoever comes next, a
reader or a writer, sees it through.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import FileError
from napari_blochnet.common.json_text import parse_json
from napari_blochnet.io.sets.digests import digest
from napari_blochnet.io.sets.rooms import LOCK, PLAN, SWITCH, Room, is_same, lock, sync_file, sync_folder

__all__ = ["commit", "settle"]

# How often another process's switch is waited for.
_TRIES = 1000
# The largest plan.
_LARGEST = 2**24
# Where there are no locks, a switch of fewer seconds may be somebody's at work; how long between two looks.
_YOUNG, _PAUSE = 10.0, 0.05


def commit(room: Room, names: Sequence[str], left: Callable[[], Iterable[Path]] | None = None) -> None:
    """Put what was written in a room in its place beside it, and take away members of an earlier set; all or nothing.

    Parameters
    ----------
    room : Room
        Goes, whatever comes.
    names : sequence of str
        What is put in place, in this order; the one that lists the set is the last.
    left : callable, optional
        Returns what is taken away.

    Raises
    ------
    OSError
        The old set is there.
    """
    folder = room.path.parent
    is_settled = True
    try:
        for name in names:
            _take_mode(room.new / name, folder / name)
            sync_file(room.new / name)
        sync_folder(room.new)
        if len(names) == 1 and left is None and not (room.new / names[0]).is_dir():
            os.replace(room.new / names[0], folder / names[0])
            sync_folder(folder)
            return
        new = {name: digest(room.new / name) for name in names}
        _take_turn(room)
        plan = {
            "files": {name: [_digest_of(folder / name), new[name]] for name in names},
            "left": {path.name: _digest_of(path) for path in (left() if left is not None else ())},
        }
        _write_plan(room, plan)
        is_settled = False
        try:
            _put(room, plan)
        except BaseException:
            _put_back(room, plan)
            is_settled = True
            raise
        is_settled = True
    finally:
        if is_settled:
            room.remove()
        else:  # who comes next sees it through
            room.close()


def _take_turn(room: Room) -> None:
    """Give a room the name that one in a folder has."""
    switch = room.path.with_name(SWITCH)
    if os.name == "nt":
        room.close()  # a folder with an open file keeps its name
    for _ in range(_TRIES):
        try:
            os.rename(room.path, switch)
        except OSError as error:
            is_taken = error.errno in (errno.EEXIST, errno.ENOTEMPTY)
            if not is_taken and not (error.errno == errno.EACCES and switch.is_dir()):  # as Windows says it
                raise
            settle(switch.parent)
        else:
            room.path = switch
            return
    raise FileError(str(switch), "is in the way", "nothing of this name")


def _write_plan(room: Room, plan: dict[str, Any]) -> None:
    draft = room.former / PLAN
    draft.write_text(json.dumps(plan), encoding="utf-8")
    sync_file(draft)
    os.replace(draft, room.path / PLAN)
    sync_folder(room.path)
    sync_folder(room.path.parent)


def settle(folder: Path) -> None:
    """See through what another process began to put in place in a folder, or wait until it has done so.

    Raises
    ------
    FileError
        A set was left half in place, and nothing may be written there.
    """
    switch = folder / SWITCH
    while os.path.isdir(switch):
        room = Room(switch, -1)
        try:
            room.lock = _open(switch / LOCK)
            is_alone = lock(room.lock)
            if not is_same(room.lock, switch / LOCK):
                continue
            if is_alone is None and time.time() - switch.stat().st_mtime < _YOUNG:
                time.sleep(_PAUSE)
                continue
            if os.path.isfile(switch / PLAN):
                plan = _read_plan(switch / PLAN)
                if plan is None:
                    return  # none of ours
                _put(room, plan, is_mine=False)
            _set_aside(room)
            return
        except FileNotFoundError:
            if (switch / LOCK).exists():
                continue
            with contextlib.suppress(OSError):
                switch.rmdir()
            return
        except OSError as error:
            if not switch.exists():
                continue
            raise FileError(
                str(folder),
                f"writing files there was broken off midway and cannot be finished ({error.strerror or error})",
                "a folder that may be written to",
            ) from None
        finally:
            room.close()


def _set_aside(room: Room) -> None:
    room.remove()
    if room.path.name == SWITCH and room.path.exists():
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(room.path))


def _open(path: Path) -> int:
    no_links = getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(path, os.O_RDWR | no_links)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return os.open(path, os.O_RDONLY | no_links)


def _read_plan(path: Path) -> dict[str, Any] | None:
    """Return a plan; None where it is none of ours: it names what does not lie beside it, or hidden files."""
    try:
        with path.open("rb") as file:
            plan = parse_json(file.read(_LARGEST))
        known = all(isinstance(was, str | None) and isinstance(new, str) for was, new in plan["files"].values())
        names = [*plan["files"], *plan["left"].keys()]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return plan if known and all(name and name == Path(name).name and name[0] != "." for name in names) else None


def _put(room: Room, plan: dict[str, Any], *, is_mine: bool = True) -> None:
    """Put members in their places; of another's set not over what is no longer as it was when that was written."""
    folder = room.path.parent
    for name, (was, new) in plan["files"].items():
        source, target = room.new / name, folder / name
        if not source.exists() or source.is_symlink():
            continue
        if not is_mine and (target.is_symlink() or _digest_of(target) not in (None, was, new)):
            continue
        if target.exists() and (is_mine or source.is_dir() or target.is_dir()):
            _keep(target, room.former / name)
        os.replace(source, target)
    for name, was in plan["left"].items():
        target = folder / name
        if target.exists() and (is_mine or (not target.is_symlink() and _digest_of(target) == was)):
            # what is open elsewhere stays, where the system wants it so; no list names it any more
            with contextlib.suppress(OSError):
                os.replace(target, room.former / name)
    sync_folder(folder)


def _keep(target: Path, former: Path) -> None:
    """Keep what is replaced until all is in place; under its name, too, where a file can have two."""
    if not target.is_dir():
        with contextlib.suppress(OSError):
            os.link(target, former)
            return
    os.rename(target, former)


def _put_back(room: Room, plan: dict[str, Any]) -> None:
    """Undo what was put in place; what is new goes back first, so that it can still be seen through."""
    folder = room.path.parent
    for name in reversed(plan["files"]):
        if not (room.new / name).exists():
            os.rename(folder / name, room.new / name)
    for name in (*plan["files"], *plan["left"]):
        if (room.former / name).exists():
            os.replace(room.former / name, folder / name)
    sync_folder(folder)


def _take_mode(new: Path, target: Path) -> None:
    with contextlib.suppress(OSError):
        new.chmod(target.stat().st_mode & 0o7777)


def _digest_of(path: Path) -> str | None:
    if not path.exists():
        return None
    return digest(path) if path.is_file() or path.is_dir() else ""  # a pipe has none, and is not opened
