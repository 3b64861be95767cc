"""One task as a worker does it, wherever that is: a function by its name, what it is told, and what became of it.

What goes to a worker and back is plain JSON, and every task writes its result itself: so any of them can be done again,
by another worker, at any time.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any, TypeAlias

from napari_blochnet.common.errors import Cancelled, DataWarning, InputError
from napari_blochnet.common.progress import Watch

__all__ = ["Outcome", "SharedContext", "Task", "collected_notes", "do_task", "notes_so_far"]

#: What a task is told, JSON; its function takes it as the first argument.
Task: TypeAlias = dict[str, Any]

# Of each thread, where its notes go.
_notes = threading.local()


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Parameters
    ----------
    result : dict
        What its function returned, JSON; empty where it failed.
    failure : str
        The sentence that says why it failed; empty where it did not.
    notes : tuple of str
        What was told meanwhile.
    where : str
        The worker, where there are several machines.
    """

    result: dict[str, Any] = field(default_factory=dict)
    failure: str = ""
    notes: tuple[str, ...] = ()
    where: str = ""


def do_task(function: str, task: Task, device: str, watch: Watch) -> Outcome:
    """Do a task; what goes wrong becomes its outcome, so that others go on.

    Parameters
    ----------
    function : str
        ``module:function``, called as ``function(task, device, watch)``.
    task : dict
    device : str
        "auto", "cpu" or a GPU.
    watch : Watch

    Raises
    ------
    Cancelled
        Nobody wants it any more.
    """
    notes: list[str] = []
    before, _notes.told = getattr(_notes, "told", None), notes
    try:
        found = resolve_name(function)(task, device, watch)
        return Outcome(found, notes=tuple(dict.fromkeys(notes)))
    except Cancelled:
        raise
    except Exception as error:
        return Outcome(failure=_sentence(error), notes=tuple(dict.fromkeys(notes)))
    finally:
        _notes.told = before


def notes_so_far() -> list[str]:
    """Return what was told since this thread began its task."""
    return list(dict.fromkeys(getattr(_notes, "told", None) or ()))


def _sentence(error: Exception) -> str:
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename else ""
        return f"{named}{error.strerror}; expected a file or folder that can be used."
    if isinstance(error, MemoryError):
        return "The memory of this machine does not suffice; choose fewer workers, or fewer slices."
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"An unexpected fault ({type(error).__name__}: {error}; {where.name}); please report it."


class SharedContext:
    """Something that holds for a whole process, while any of its threads wants it.

    Parameters
    ----------
    make : callable
        Returns a context manager: the first thread enters it, and the last one leaves it.
    """

    def __init__(self, make: Callable[[], contextlib.AbstractContextManager[Any]]) -> None:
        self._make, self._lock, self._users, self._entered = make, threading.Lock(), 0, contextlib.ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._users:
                self._entered.enter_context(self._make())
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._entered.close()


@contextlib.contextmanager
def _notes_kept() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = functools.partial(_show, warnings.showwarning)
        yield


def _show(shown: Callable[..., None], message: Any, category: type[Warning], *more: Any, **named: Any) -> None:
    told = getattr(_notes, "told", None)
    if told is not None and issubclass(category, DataWarning):
        told.append(str(message))
    else:
        shown(message, category, *more, **named)


#: Lets what is told while a thread does a task go into that task's outcome, not to whoever started them all.
collected_notes = SharedContext(_notes_kept)
