"""How long work says how far it is, and learns that nobody wants it any more.

Every operation that may take longer than a second takes two optional arguments, ``progress`` and ``cancelled``. Inside
they are one `Watch`, which is asked and told once per batch, from the thread that does the work.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from napari_blochnet.common.errors import Cancelled

__all__ = ["UNWATCHED", "CancelEvent", "ProgressCallback", "Watch", "ctrl_c_waits"]


class ProgressCallback(Protocol):
    """Called as ``progress(done, total, message)``; ``done`` counts up to ``total`` in units the message implies."""

    def __call__(self, done: int, total: int, message: str = "", /) -> None: ...


class CancelEvent(Protocol):
    """Anything with ``is_set``; a `threading.Event` will do."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True)
class Watch:
    """Who looks on while long work is done: told how far it is, asked whether it is still wanted.

    Parameters
    ----------
    progress : callable, optional
        Told.
    cancelled : event, optional
        Asked.
    """

    progress: ProgressCallback | None = None
    cancelled: CancelEvent | None = None

    def report(self, done: int, total: int, message: str = "") -> None:
        """Tell how far it is, in units that the message implies."""
        if self.progress is not None:
            self.progress(done, total, message)

    def check(self, what: str = "", partial: object = None) -> None:
        """Raise `Cancelled` once nobody wants the work any more."""
        if self.cancelled is not None and self.cancelled.is_set():
            raise Cancelled(f"Cancelled: {what}." if what else "Cancelled.", partial=partial)

    @property
    def quiet(self) -> Watch:
        """Asked, and told nothing: for a part that counts in other units than the whole."""
        return Watch(cancelled=self.cancelled)


@contextlib.contextmanager
def ctrl_c_waits() -> Iterator[CancelEvent]:
    """Give an event that the first Ctrl-C sets, in the main thread; the second one interrupts at once, as ever.

    Who takes this for long work looks at the event, and raises `KeyboardInterrupt` once what was reached is saved.
    """
    pressed = threading.Event()
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield pressed
        return

    def press(number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            signal.default_int_handler(number, frame)
        pressed.set()

    signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if pressed.is_set():  # after the last look at it
        raise KeyboardInterrupt


#: Nobody looks on.
UNWATCHED = Watch()
