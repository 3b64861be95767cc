"""Changing the window in steps: one per turn of the event loop, so that it answers meanwhile.

napari takes some 50 ms for one layer, and a job's result is a handful of them. What shows results is therefore
written as generators that yield after each change; `Turns` runs them, and `at_once` does where nobody waits.
"""

from __future__ import annotations

import contextlib
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any, TypeVar

from qtpy.QtCore import QCoreApplication, QEvent, QObject, QTimer, Signal
from qtpy.QtWidgets import QWidget

from napari_blochnet.napari_ui.background.painting import few_new_visuals, scene_canvas

__all__ = ["Steps", "Turns", "at_once"]

Made = TypeVar("Made")
#: changes of the window with a ``yield`` after each, and what they return
Steps = Generator[None, None, Made]


def at_once(steps: Steps[Made]) -> Made:
    """Run all steps now, and return what they return."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: Made = end.value
            return made


class Turns(QObject):
    """Runs steps on the main thread, those given first before those given later.

    What a step has changed is painted in a turn of its own. Qt would paint at once, before it looks at the mouse and
    the keys again; on a machine that draws in software, painting takes as long as the step. Where a step shows much
    that is new, its painting takes several turns.

    Parameters
    ----------
    parent : QObject, optional
    window : callable, optional
        Returns the window that the steps change, or None once it is gone.
    """

    #: all steps are done and painted, or one of them failed
    finished = Signal()

    def __init__(self, parent: QObject | None = None, window: Callable[[], QWidget | None] | None = None) -> None:
        super().__init__(parent)
        self._find_window = window
        # weakly, like the paint that is put off: a window must not outlive its closing for what was still to be drawn
        self._watched: weakref.ref[QWidget] | None = None
        self._waiting: deque[Iterator[Any]] = deque()
        self._is_busy = False
        # a step has just run; Qt wants to paint what it changed
        self._has_stepped = self._is_paint_due = False
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._step)

    @property
    def is_busy(self) -> bool:
        """Whether there is something to do or to paint."""
        return self._is_busy

    def add(self, steps: Iterator[Any]) -> None:
        """Do these steps after all others."""
        self._waiting.append(steps)
        self._is_busy = True
        self._timer.start()

    def clear(self) -> None:
        """Do nothing more."""
        self._waiting.clear()

    def _step(self) -> None:
        # a step may let the event loop turn, and this timer with it
        self._timer.stop()
        self._has_stepped = False
        if self._is_paint_due:
            return
        if not self._waiting:
            self._watch(None)
            self._is_busy = False
            self.finished.emit()
            return
        self._watch(self._find_window() if self._find_window is not None else None)
        done = False
        try:
            next(self._waiting[0])
        except StopIteration:
            done = True
        except BaseException:
            self._waiting.clear()
            raise
        finally:
            if done and self._waiting:
                self._waiting.popleft()
            self._has_stepped = True
            self._timer.start()

    def _watch(self, window: QWidget | None) -> None:
        watched = None if self._watched is None else self._watched()
        if window is watched:
            return
        with contextlib.suppress(RuntimeError):  # a window that is gone
            if watched is not None:
                watched.removeEventFilter(self)
        self._watched = None if window is None else weakref.ref(window)
        if window is not None:
            window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 (Qt's name)
        """Put off what Qt wants to paint right after a step."""
        if watched is None or event is None or event.type() != QEvent.Type.UpdateRequest:
            return False
        if self._is_paint_due:
            return True
        if not self._has_stepped:
            return False
        self._has_stepped = False
        self._is_paint_due = True
        # it must come whatever becomes of this object: Qt asks once
        QTimer.singleShot(0, partial(_paint, weakref.ref(watched), weakref.ref(self)))
        return True

    def _go_on(self) -> None:
        self._timer.start()


def _paint(window: weakref.ref[QObject], turns: weakref.ref[Turns], left_before: int | None = None) -> None:
    shown, waiting = window(), turns()
    if waiting is not None:
        waiting._is_paint_due = False
    # what is left out again and again is painted with all the rest
    canvas = None if waiting is None or left_before == 0 else scene_canvas(shown)
    left = 0
    if shown is not None:
        with contextlib.suppress(RuntimeError):  # only Python's part of it is left
            with few_new_visuals(canvas) as left_out:
                QCoreApplication.sendEvent(shown, QEvent(QEvent.Type.UpdateRequest))
            left = len(left_out)
    del shown
    if waiting is None:
        return
    with contextlib.suppress(RuntimeError):
        if left and canvas is not None:
            waiting._is_paint_due = True
            fewer = left_before is None or left < left_before
            canvas.update()
            QTimer.singleShot(0, partial(_paint, window, turns, left if fewer else 0))
        else:
            waiting._go_on()
