"""The one module that owns threads.

A `Job` lives on the main thread. Its function runs in a worker of superqt's (napari's own would also write every
warning on the canvas). How it ends arrives by one signal with a queued connection, how far it is the main thread
looks up by a timer, so that whatever hears of a job is called on the main thread, always. Cancelling sets an event
that the function looks at once per batch; the function ends by itself, in the middle of nothing.

What a result asks of the window is done in steps, one per turn of the event loop (`Job.run_steps`).
"""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from napari.utils.progress import cancelable_progress
from qtpy.QtCore import QCoreApplication, QEventLoop, QObject, Qt, QThreadPool, QTimer, Signal
from qtpy.QtWidgets import QWidget
from superqt.utils import FunctionWorker

from napari_blochnet.common.errors import Cancelled, DataWarning, InputError
from napari_blochnet.napari_ui.background.llvm import keep_triton_out
from napari_blochnet.napari_ui.background.turns import Turns

__all__ = ["Failure", "Job", "is_any_working", "result_of"]

_log = logging.getLogger(__name__)

# The main thread looks this often at how far a job is, ms. It looks, and is not told: napari's bars run the event loop
# while they are drawn, and messages that arrive in there would nest without end.
_LOOK_INTERVAL = 60
# Live maps are drawn at most this often, s: a volume takes a while to send to the graphics card.
_PARTIAL_INTERVAL = 0.3
# And the bar in napari's activity dock.
_BAR_INTERVAL = 0.3

# How often threads take turns while jobs run, s. A painting main thread lets go of the interpreter at every call into
# the graphics library, and waits this long to get it back from a worker that computes in Python.
_SWITCH_INTERVAL = 0.0005
# Collections of all of Python's objects take 0.1 to 0.2 s and stop every thread; while jobs run, none starts by itself.
_NEVER = 1_000_000

# Qt does not keep a running job alive, and the panel that started it may be gone before it ends.
_running: set[Job] = set()
_usual: tuple[float, tuple[int, int, int]] | None = None
# How long after the last job full collections may come again, ms: not before its result has been drawn.
_QUIET = 2000


def _keep(job: Job) -> None:
    global _usual
    if _usual is None:
        _usual = sys.getswitchinterval(), gc.get_threshold()
        sys.setswitchinterval(_SWITCH_INTERVAL)
        gc.set_threshold(*_usual[1][:2], _NEVER)
        application = QCoreApplication.instance()
        if application is not None:
            # a script that goes on after the window is closed gets them back, too
            application.aboutToQuit.connect(_restore)
    _running.add(job)


def _make_room() -> None:
    """Let one more job begin at once.

    Qt's pool has as many threads as the machine has cores; with two, the inspector would wait for a mapping and a
    training to end, and a job that waits answers no Cancel.
    """
    pool = QThreadPool.globalInstance()
    if pool is not None:
        pool.setMaxThreadCount(max(pool.maxThreadCount(), pool.activeThreadCount() + 1))


def _drop(job: Job) -> None:
    global _usual
    _running.discard(job)
    QTimer.singleShot(_QUIET, _as_usual)


def _as_usual() -> None:
    if not _running:
        _restore()


def _restore() -> None:
    global _usual
    if _usual is not None:
        sys.setswitchinterval(_usual[0])
        gc.set_threshold(*_usual[1])
        _usual = None
        application = QCoreApplication.instance()
        with contextlib.suppress(RuntimeError, TypeError):  # an application that is gone
            if application is not None:
                application.aboutToQuit.disconnect(_restore)


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
    wants_last : bool
        Whether what was finished last is passed on before the end even where the main thread had not looked yet: for
        whoever shows what the result does not hold.
    window : callable, optional
        Returns the window that `run_steps` changes.
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

    def __init__(
        self,
        title: str,
        function: Callable[..., Any],
        *,
        wants_partial: bool = False,
        wants_last: bool = False,
        window: Callable[[], QWidget | None] | None = None,
    ) -> None:
        super().__init__()
        self.title = title
        #: from the start until all is shown
        self.is_running = False
        #: while the function runs in its thread
        self.is_working = False
        self._function: Callable[..., Any] | None = function
        self._wants_partial = wants_partial
        self._wants_last = wants_last
        self._cancelled = threading.Event()
        self._is_closed = False
        self._bar: _Bar | None = None
        self._bar_text = ""
        self._message.connect(self._receive, Qt.ConnectionType.QueuedConnection)
        self._turns = Turns(self, window)
        self._turns.finished.connect(self._end)
        # written by the worker, taken by the main thread; each is replaced as a whole
        self._progress: tuple[int, int, str] | None = None
        self._partial: Any = None
        self._partial_at = self._bar_at = 0.0
        self._is_looking = False
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_INTERVAL)
        self._timer.timeout.connect(self._look)

    def start(self) -> Job:
        """Run the function in a worker thread."""
        keep_triton_out()
        self.is_running = self.is_working = True
        _keep(self)
        # napari's bars also print to a stream; nobody reads it here
        self._bar = _Bar(total=0, desc=self.title, file=io.StringIO())
        self._bar.job = self
        self._timer.start()
        worker = FunctionWorker(self._run)
        worker.warned.connect(self._on_warning)
        _make_room()
        worker.start()
        return self

    def cancel(self) -> None:
        """Ask the function to end; it answers after its current batch."""
        self._cancelled.set()

    def close(self) -> None:
        """Cancel it, and tell nothing but that it has ended: the window is gone."""
        self._is_closed = True
        self.cancel()
        self._turns.clear()

    def run_steps(self, steps: Iterator[Any]) -> None:
        """Change the window in steps, one per turn of the event loop; the job ends after the last.

        Parameters
        ----------
        steps : iterator
            See `napari_blochnet.napari_ui.background.turns`; run after all that were given before. What stops them
            is said like what stops the function: a panel must not stay at what it was doing.
        """
        self._turns.add(self._guarded(steps))

    def _guarded(self, steps: Iterator[Any]) -> Iterator[None]:
        try:
            yield from steps
        except Exception as error:
            self.failed.emit(self._failure(error))

    @property
    def is_showing(self) -> bool:
        """Whether the window is still being changed."""
        return self._turns.is_busy

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked it to end."""
        return self._cancelled.is_set()

    def _run(self) -> None:
        """Call the function; worker thread."""

        def progress(done: int, total: int, message: str = "", /) -> None:
            self._progress = (int(done), int(total), message)

        def partial(result: Any) -> None:
            self._partial = result

        function = self._function
        if function is None:
            return
        extra = {"partial": partial} if self._wants_partial else {}
        try:
            result = function(progress=progress, cancelled=self._cancelled, **extra)
        except Cancelled as wish:
            self._message.emit("stopped", wish.partial)
        except Exception as error:
            self._message.emit("failed", self._failure(error))
        else:
            self._message.emit("returned", result)

    def _failure(self, error: Exception) -> Failure:
        """Return what is said of an error, and log what nobody has foreseen."""
        if isinstance(error, InputError):
            return Failure(str(error), error.field)
        if isinstance(error, MemoryError):
            return Failure(
                f"{self.title} needs more memory than this machine has free; choose fewer voxels, one slice for "
                "example."
            )
        _log.error("%s ended with an error", self.title, exc_info=error)
        first = (str(error).splitlines() or [""])[0]
        return Failure(
            f"{self.title} stopped by an error in the program ({type(error).__name__}: {first}); "
            "the log has the details."
        )

    def _on_warning(self, warning: tuple[Any, ...]) -> None:
        """Pass on what the function warned of; main thread."""
        message, category = warning[:2]
        if issubclass(category, DataWarning):
            self.warned.emit(str(message))
        else:
            _log.warning("%s: %s", self.title, message)

    def _look(self) -> None:
        """Pass on how far the worker is; main thread."""
        if self._is_looking or self._is_closed or not self.is_running:
            return
        self._is_looking = True
        try:
            progress, self._progress = self._progress, None
            if progress is not None:
                self.progressed.emit(*progress)
            now = time.monotonic()
            if self._partial is not None and now - self._partial_at >= _PARTIAL_INTERVAL:
                partial, self._partial = self._partial, None
                self.partial.emit(partial)
                # counted from the end of drawing, so that drawing never fills all the time
                self._partial_at = time.monotonic()
            if progress is not None:
                self._show_progress(*progress)
        finally:
            self._is_looking = False

    def _receive(self, kind: str, content: Any) -> None:
        """Pass on how the worker ended; main thread."""
        self.is_working = False
        self._timer.stop()
        progress, last = self._progress, self._partial
        # a panel keeps its last job for its message; what that worked on is not to stay in memory with it
        self._function = self._progress = self._partial = None
        if self._wants_last and last is not None and not self._is_closed:
            if progress is not None:
                self.progressed.emit(*progress)
            self.partial.emit(last)
        if self._bar is not None:
            self._bar.job = None
            self._bar.close()
            self._bar = None
        try:
            # whoever would show it is gone with the window
            if not self._is_closed:
                getattr(self, kind).emit(content)
        finally:
            self._end()

    def _end(self) -> None:
        if self.is_running and not self.is_working and not self._turns.is_busy:
            self.is_running = False
            _drop(self)
            self.ended.emit()

    def _show_progress(self, done: int, total: int, message: str) -> None:
        bar = self._bar
        now = time.monotonic()
        # napari's bar runs the event loop at every change; beside the panel's own it need not be as quick
        if bar is None or total <= 0 or self.is_showing or now - self._bar_at < _BAR_INTERVAL:
            return
        self._bar_at = now
        if bar.total != total:
            bar.total = total
            bar.n = 0
        bar.update(done - bar.n)
        # the job may have ended inside
        description = f"{self.title}: {message}"
        if message and self._bar is not None and description != self._bar_text:
            self._bar_text = description
            bar.set_description(description)


def result_of(job: Job, if_cancelled: str) -> Any:
    """Start a job, and return its result once it has ended and all is shown, events running: for whom napari waits.

    Parameters
    ----------
    job : Job
    if_cancelled : str
        What is said where somebody has cancelled it, or closed the window.

    Raises
    ------
    InputError
        The job failed; its sentence.
    Cancelled
        There is none.
    """
    outcome: list[Any] = []
    loop = QEventLoop()
    job.returned.connect(outcome.append)
    job.failed.connect(outcome.append)
    job.ended.connect(loop.quit)
    job.start()
    loop.exec()
    if not outcome:
        raise Cancelled(if_cancelled)
    # a result that cannot be shown is followed by why
    if isinstance(outcome[-1], Failure):
        raise InputError(outcome[-1].sentence, field=outcome[-1].field)
    return outcome[0]


def is_any_working() -> bool:
    """Whether the function of any job runs now."""
    return any(job.is_working for job in _running)
