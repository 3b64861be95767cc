"""Reading a set that may be written meanwhile: as it was before or as it is after, never some of both."""

from __future__ import annotations

import contextlib
import functools
import os
import time
import warnings
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeAlias, TypeVar

from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.io.sets.switching import is_unfinished

__all__ = ["looked_at", "note_read", "reads_whole", "stays_as", "tell_of"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Identity: TypeAlias = tuple[int | str, ...] | None


@dataclass
class _Try:
    """One go at reading: the files that were opened, as they were then, and what is to be told if it counts."""

    seen: dict[Path, _Identity] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)


_NOW: ContextVar[_Try | None] = ContextVar("_NOW", default=None)
# How often a set is read that changes meanwhile, and for how long (s) it is begun again.
_TRIES, _LONGEST = 50, 5.0


def reads_whole(read: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let a function read again where what it read was replaced meanwhile.

    Its files are those that `napari_blochnet.io.atomic.existing_file` gave it.
    """

    @functools.wraps(read)
    def whole(*args: _P.args, **more: _P.kwargs) -> _T:
        if _NOW.get() is not None:
            return read(*args, **more)
        until = time.monotonic() + _LONGEST
        for left in reversed(range(_TRIES)):
            now = _Try()
            token = _NOW.set(now)
            try:
                result = read(*args, **more)
            except (InputError, OSError):
                if stays_as(now.seen) or left == 0 or time.monotonic() > until:
                    raise
            else:
                if stays_as(now.seen) or left == 0 or time.monotonic() > until:
                    for words in now.words:
                        warnings.warn(words, DataWarning, stacklevel=2)
                    return result
            finally:
                _NOW.reset(token)
        raise AssertionError("the last try returns or raises")

    return whole


def note_read(path: Path) -> None:
    """Remember what a file or folder is, where a reader of a set opens it."""
    now = _NOW.get()
    if now is not None:
        now.seen.setdefault(path, _identity(path))
        if os.path.isdir(path):
            now.seen.setdefault(path / "zarr.json", _identity(path / "zarr.json"))


def tell_of(words: str) -> None:
    """Tell something of a set in a `DataWarning`, once it is read whole."""
    now = _NOW.get()
    if now is None:
        warnings.warn(words, DataWarning, stacklevel=2)
    else:
        now.words.append(words)


def looked_at(paths: Iterable[Path]) -> dict[Path, _Identity]:
    """Return what files and folders are now, for `stays_as`."""
    return {path: _identity(path) for path in paths}


def stays_as(seen: dict[Path, _Identity]) -> bool:
    """Whether files and folders are what they were, and no set that they are of is half in place."""
    folders = {path.parent for path in seen}
    if any(is_unfinished(folder, {path.name for path in seen if path.parent == folder}) for folder in folders):
        return False
    return all(_identity(path) == was for path, was in seen.items())


def _identity(path: Path) -> _Identity:
    try:
        about = os.stat(path)
    except OSError:
        return None
    if os.path.isdir(path):
        # what is hidden, rooms among it, is no part of what is read
        with contextlib.suppress(OSError):
            return about.st_dev, about.st_ino, *sorted(name for name in os.listdir(path) if not name.startswith("."))
        return about.st_dev, about.st_ino
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns
