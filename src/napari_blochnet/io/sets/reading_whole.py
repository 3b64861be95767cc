"""Reading a set that may be written meanwhile: as it was before or as it is after, never some of both."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import ParamSpec, TypeAlias, TypeVar

from napari_blochnet.common.errors import InputError
from napari_blochnet.io.sets.rooms import SWITCH

__all__ = ["note_read", "reads_whole"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Identity: TypeAlias = tuple[int, ...] | None

# Files that were opened since the outermost reader began, as they were then.
_SEEN: ContextVar[dict[Path, _Identity] | None] = ContextVar("_SEEN", default=None)
_TRIES = 50


def reads_whole(read: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let a function read again where what it read was replaced meanwhile.

    Its files are those that `napari_blochnet.io.atomic.existing_file` gave it.
    """

    @functools.wraps(read)
    def whole(*args: _P.args, **more: _P.kwargs) -> _T:
        if _SEEN.get() is not None:
            return read(*args, **more)
        for left in reversed(range(_TRIES)):
            seen: dict[Path, _Identity] = {}
            token = _SEEN.set(seen)
            try:
                result = read(*args, **more)
            except (InputError, OSError):
                if left == 0 or _is_as_seen(seen):
                    raise
            else:
                if left == 0 or _is_as_seen(seen):
                    return result
            finally:
                _SEEN.reset(token)
        raise AssertionError("the last try returns or raises")

    return whole


def note_read(path: Path) -> None:
    """Remember what a file or folder is, where a reader of a set opens it."""
    seen = _SEEN.get()
    if seen is not None:
        seen.setdefault(path, _identity(path))
        if os.path.isdir(path):
            seen.setdefault(path / "zarr.json", _identity(path / "zarr.json"))


def _is_as_seen(seen: dict[Path, _Identity]) -> bool:
    if any(os.path.isdir(folder / SWITCH) for folder in {path.parent for path in seen}):
        return False
    return all(_identity(path) == was for path, was in seen.items())


def _identity(path: Path) -> _Identity:
    try:
        about = os.stat(path)
    except OSError:
        return None
    if os.path.isdir(path):
        return about.st_dev, about.st_ino
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns
