"""Putting a set of files in its place in one step, and finishing what a killed process left half done.

A room whose set is whole takes the name `SWITCH`, of which there is one in a folder at most: two writers follow each
other. Then its plan is written, which is the step: without it there is the old set, with it whoever comes next, a
reader or a writer, sees it through. A name is waited for, or refused, only where a plan names it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import FileError
from napari_blochnet.common.json_text import parse_json
from napari_blochnet.io.sets.digests import digest
from napari_blochnet.io.sets.rooms import (
    PLAN,
    PREFIX,
    SWITCH,
    Room,
    is_left,
    is_sound,
    open_lock,
    sync_file,
    sync_folder,
)

__all__ = ["commit", "is_unfinished", "settle"]

# For how long (s) a plan that another process is at is waited for, one's turn to write a plan, and between two looks.
_PATIENCE, _TURN, _PAUSE = 10.0, 30.0, 0.01
# Where a lock tells nothing, a switch that was touched since so long (s) may be somebody's at work.
_YOUNG = 60.0
# The largest plan.
_LARGEST = 2**24


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
        plan: dict[str, Any] = {
            "files": {name: [_digest_of(folder / name), new[name]] for name in names},
            "left": {path.name: _digest_of(path) for path in (left() if left is not None else ())},
        }
        _write_plan(room, plan)
        is_settled = False
        try:
            _put(room, names, plan["left"])
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
    until = time.monotonic() + _TURN
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            os.utime(room.path)  # a new name alone makes no folder younger
        try:
            os.rename(room.path, switch)
        except OSError as error:
            is_taken = error.errno in (errno.EEXIST, errno.ENOTEMPTY)
            if not is_taken and not (error.errno == errno.EACCES and switch.is_dir()):  # as Windows says it
                raise
        else:
            room.path = switch
            return
        settle(switch.parent)
        time.sleep(_PAUSE)
    raise FileError(str(switch), "is in the way", "nothing of this name")


def _write_plan(room: Room, plan: dict[str, Any]) -> None:
    draft = room.former / PLAN
    draft.write_text(json.dumps(plan), encoding="utf-8")
    sync_file(draft)
    os.replace(draft, room.path / PLAN)
    sync_folder(room.path)
    sync_folder(room.path.parent)


def settle(folder: Path, names: Collection[str] | None = None) -> None:
    """See through what another process began to put in place in a folder, or wait until it has done so.

    Parameters
    ----------
    folder : Path
    names : collection of str, optional
        What is to be opened or written there; a plan that names none of it is no hindrance. None: anything.

    Raises
    ------
    FileError
        A set was left half in place, or a process that puts one there does not come to its end.
    """
    until = time.monotonic() + _PATIENCE
    while is_sound(folder / SWITCH):
        room = Room(folder / SWITCH, -1)
        trouble = ""
        try:
            room.lock = open_lock(room.path)
            if is_left(room, _YOUNG):
                _see_through(room)
                return
        except FileNotFoundError:
            pass  # somebody else did
        except OSError as error:
            trouble = f"was broken off midway and cannot be finished ({error.strerror or error})"
        finally:
            room.close()
        if not _names(_read_plan(room), names):
            return
        if trouble:
            raise FileError(str(folder), f"writing files there {trouble}", "a folder that may be written to")
        if time.monotonic() > until:
            raise FileError(
                str(folder),
                f"another process began to put files in place there and has not finished for {_PATIENCE:g} s",
                "a folder where nothing is being written, or that process to be ended",
            )
        time.sleep(_PAUSE)


def is_unfinished(folder: Path, names: Collection[str]) -> bool:
    """Whether a set with any of these names is half in place in a folder."""
    room = Room(folder / SWITCH, -1)
    try:
        plan = _read_plan(room) if is_sound(room.path) else None
        return plan is not None and bool(_names(plan, names)) and any(_left_to_do(room, plan))
    except OSError:  # it moves
        return True


def _see_through(room: Room) -> None:
    plan = _read_plan(room)
    if plan is None:
        return
    put, left = _left_to_do(room, plan)
    if put or left:
        room.former.mkdir(exist_ok=True)
        _put(room, put, left, is_mine=False)
    room.remove()


def _names(plan: dict[str, Any] | None, names: Collection[str] | None) -> set[str]:
    """Return what a plan names, of some names or of all."""
    every = {*plan["files"], *plan["left"]} if plan is not None else set()
    return every if names is None else every.intersection(names)


def _left_to_do(room: Room, plan: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return what another's plan has yet to put in place, and to take away.

    Only what was written for it is put, and only where that, or nothing, is there which was when it was written.
    """
    folder = room.path.parent

    def is_one_of(path: Path, *digests: str | None) -> bool:
        return not path.is_symlink() and _digest_of(path) in digests

    put = [name for name, (was, new) in plan["files"].items()
           if is_one_of(room.new / name, new) and is_one_of(folder / name, None, was)]  # fmt: skip
    return put, [name for name, was in plan["left"].items() if was and is_one_of(folder / name, was)]


def _read_plan(room: Room) -> dict[str, Any] | None:
    """Return the plan of a room, an empty one before it has one; None: it is none of ours, by what it names."""
    try:
        with (room.path / PLAN).open("rb") as file:
            plan = parse_json(file.read(_LARGEST))
        known = all(isinstance(was, str | None) and isinstance(new, str) and new for was, new in plan["files"].values())
        names = [*plan["files"], *plan["left"].keys()]
    except FileNotFoundError:
        return {"files": {}, "left": {}}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return plan if known and all(map(_may_be_put, names)) else None


def _may_be_put(name: str) -> bool:
    """Whether a name is one beside a room, and no other room's."""
    return name not in ("", "..") and name == Path(name).name and not name.startswith(PREFIX)


def _put(room: Room, put: Iterable[str], left: Iterable[str], *, is_mine: bool = True) -> None:
    """Put members in their places, and take others away; all that could have to be put back is kept."""
    folder = room.path.parent
    for name in put:
        source, target = room.new / name, folder / name
        if target.exists() and (is_mine or source.is_dir() or target.is_dir()):
            _keep(target, room.former / name)
        os.replace(source, target)
    for name in left:
        # what is open elsewhere stays, where the system wants it so; no list names it any more
        with contextlib.suppress(OSError):
            os.replace(folder / name, room.former / name)
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
