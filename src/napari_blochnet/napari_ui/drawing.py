"""Changing the window in steps: one per turn of the event loop, so that it answers meanwhile.

napari takes some 50 ms for one layer, and a job's result is a handful of them. What shows results is therefore
written as generators that yield after each change; a `Drawing` runs them, and `at_once` does where nobody waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

from qtpy.QtCore import QObject, QTimer, Signal

__all__ = ["Drawing", "Steps", "at_once"]

Made = TypeVar("Made")
#: changes of the window with a ``yield`` after each, and what they return
Steps = Generator[None, None, Made]


def at_once(steps: Steps[Made]) -> Made:
    """Run all steps now, and return what they return."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


class Drawing(QObject):
    """Runs steps on the main thread, those given first before those given later."""

    #: all steps are done, or one of them failed
    finished = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: deque[Iterator[Any]] = deque()
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._step)

    @property
    def is_busy(self) -> bool:
        """Whether there are steps to do."""
        return bool(self._waiting)

    def add(self, steps: Iterator[Any]) -> None:
        """Do these steps after all others."""
        self._waiting.append(steps)
        self._timer.start()

    def clear(self) -> None:
        """Do nothing more."""
        self._waiting.clear()

    def _step(self) -> None:
        # a step may let the event loop turn, and this timer with it
        self._timer.stop()
        done = False
        try:
            if self._waiting:
                next(self._waiting[0])
        except StopIteration:
            done = True
        except BaseException:
            self._waiting.clear()
            raise
        finally:
            if done and self._waiting:
                self._waiting.popleft()
            if self._waiting:
                self._timer.start()
            else:
                self.finished.emit()
