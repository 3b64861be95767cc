"""The one module that owns threads.

A `Job` lives on the main thread. Its function runs in a napari worker and talks to it by one signal with a queued
connection, so that whatever hears of the job's progress or end is called on the main thread, always. Cancelling sets
an event that the function looks at once per batch; the function ends by itself, in the middle of nothing.
"""

from __future__ import annotations

import io
import logging
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari.qt.threading import FunctionWorker
from napari.utils.progress import cancelable_progress
from qtpy.QtCore import QObject, Qt, Signal

from napari_blochnet.errors import Cancelled, DataWarning, InputError

__all__ = ["Failure", "Job"]

_log = logging.getLogger(__name__)

# A bar that moves more often than this many seconds only costs time.
_PROGRESS_INTERVAL = 0.05
# Live maps are drawn at most this often, s: a volume takes a while to send to the graphics card.
_PARTIAL_INTERVAL = 0.3

# Qt does not keep a running job alive, and the panel that started it may be gone before it ends.
_running: set[Job] = set()


@dataclass(frozen=True)
class Failure:
    """Why a job ended without a result: the sentence to show, and the field at fault where one is."""

    sentence: str
    field: str | None = None


class _Bar(cancelable_progress):
    """A bar in napari's activity dock whose Cancel button reaches the job at once."""

    job: Job | None = None

    def cancel(self) -> None:
        super().cancel()
        if self.job is not None:
            self.job.cancel()


class Job(QObject):
    """One run of one core function in the background.

    Parameters
    ----------
    title : str
        What the activity dock calls it.
    function : callable
        Called as ``function(progress=…, cancelled=…)`` on the worker thread; it must not touch Qt or layers.
    wants_partial : bool
        Whether the function also takes ``partial``, to be called with what is finished so far.
    """

    #: (done, total, message)
    progressed = Signal(int, int, str)
    #: what is finished so far
    partial = Signal(object)
    #: sentences of the data warnings raised on the way
    warned = Signal(str)
    #: the result
    returned = Signal(object)
    #: a `Failure`
    failed = Signal(object)
    #: what was finished when it was cancelled, or None
    stopped = Signal(object)
    #: after any of the three above
    ended = Signal()

    _message = Signal(str, object)

    def __init__(self, title: str, function: Callable[..., Any], *, wants_partial: bool = False) -> None:
        super().__init__()
        self.title = title
        self.is_running = False
        self._function = function
        self._wants_partial = wants_partial
        self._cancelled = threading.Event()
        self._bar: _Bar | None = None
        self._message.connect(self._receive, Qt.ConnectionType.QueuedConnection)

    def start(self) -> Job:
        """Run the function in a worker thread."""
        self.is_running = True
        _running.add(self)
        # napari's bars also print to a stream; nobody reads it here
        self._bar = _Bar(total=0, desc=self.title, file=io.StringIO())
        self._bar.job = self
        FunctionWorker(self._run).start()
        return self

    def cancel(self) -> None:
        """Ask the function to end; it answers after its current batch."""
        self._cancelled.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked it to end."""
        return self._cancelled.is_set()

    def _run(self) -> None:
        """Call the function; worker thread."""
        last = {"progress": 0.0, "partial": 0.0}

        def now_and_then(kind: str, interval: float, content: Any, always: bool = False) -> None:
            now = time.monotonic()
            if always or now - last[kind] >= interval:
                last[kind] = now
                self._message.emit(kind, content)

        def progress(done: int, total: int, message: str = "", /) -> None:
            now_and_then("progress", _PROGRESS_INTERVAL, (int(done), int(total), message), always=done == total)

        def partial(result: Any) -> None:
            now_and_then("partial", _PARTIAL_INTERVAL, result)

        extra = {"partial": partial} if self._wants_partial else {}
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", DataWarning)
                result = self._function(progress=progress, cancelled=self._cancelled, **extra)
            for warning in caught:
                if issubclass(warning.category, DataWarning):
                    self._message.emit("warned", str(warning.message))
        except Cancelled as wish:
            self._message.emit("stopped", wish.partial)
        except InputError as error:
            self._message.emit("failed", Failure(str(error), error.field))
        except MemoryError:
            self._message.emit("failed", Failure(f"{self.title} needs more memory than this machine has free; "
                                                 "choose fewer voxels, one slice for example."))  # fmt: skip
        except Exception as error:
            _log.exception("%s ended with an error", self.title)
            first = (str(error).splitlines() or [""])[0]
            self._message.emit(
                "failed",
                Failure(
                    f"{self.title} stopped by an error in the program ({type(error).__name__}: {first}); "
                    "the log has the details."
                ),
            )
        else:
            self._message.emit("returned", result)

    def _receive(self, kind: str, content: Any) -> None:
        """Pass on what the worker said; main thread."""
        if kind == "progress":
            # the bar last: napari's runs the event loop in its update, where the next message may arrive
            self.progressed.emit(*content)
            self._show_progress(*content)
            return
        if kind in ("partial", "warned"):
            getattr(self, kind).emit(content)
            return
        self.is_running = False
        _running.discard(self)
        if self._bar is not None:
            self._bar.job = None
            self._bar.close()
        getattr(self, kind).emit(content)
        self.ended.emit()

    def _show_progress(self, done: int, total: int, message: str) -> None:
        bar = self._bar
        if bar is None or total <= 0:
            return
        if bar.total != total:
            bar.total = total
            bar.n = 0
        bar.update(done - bar.n)
        if message:
            bar.set_description(f"{self.title}: {message}")
