"""What is made once in a process, for all who ask for it, and kept for the last few of its kind."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.physics.kernels.launch import for_all_workers

__all__ = ["Kept"]

T = TypeVar("T")
# Between two looks of those who wait, s.
_LOOK = 0.1


class Kept(Generic[T]):
    """The last few things of a kind that this process has made.

    Parameters
    ----------
    most : int
    """

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._things: OrderedDict[Hashable, T] = OrderedDict()
        self._turns: dict[Hashable, threading.Lock] = {}

    def __len__(self) -> int:
        return len(self._things)

    def clear(self) -> None:
        """Keep none any more."""
        with self._lock:
            self._things.clear()

    def get(self, key: Hashable, make: Callable[[], T], watch: Watch = UNWATCHED) -> T:
        """Return what is kept under a key, or make it and keep it.

        Of several threads one makes it, with the cores of all, for the others wait.

        Parameters
        ----------
        key : hashable
        make : callable
        watch : Watch
            Looked at while another thread makes it.
        """
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        while not turn.acquire(timeout=_LOOK):
            watch.check("making what others are to share")
        try:
            with self._lock:
                if key in self._things:
                    self._things.move_to_end(key)
                    return self._things[key]
            with for_all_workers():
                made = make()
            with self._lock:
                self._things[key] = made
                while len(self._things) > self._most:
                    self._turns.pop(self._things.popitem(last=False)[0], None)
            return made
        finally:
            turn.release()
