"""How smooth a window is: the longest time in which its event loop did not turn, and where it was held up."""

from __future__ import annotations

import faulthandler
import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from qtpy.QtCore import QEventLoop, Qt, QTimer

__all__ = ["Gaps", "measure_gaps", "turn_until"]

# The timer's interval, ms; what is longer than one and a half of these is a gap.
_INTERVAL = 5
# A gap of this length, s, is looked into: what runs meanwhile is noted.
_NOTABLE = 0.05
_PACKAGE = str(Path(__file__).parents[2])


@dataclass
class Gaps:
    """What a timer of the main thread measured.

    Attributes
    ----------
    ticks : int
        How often it ticked.
    longest : float
        Longest time between two ticks, s.
    longest_cpu : float
        The most that the main thread itself computed between two ticks, s: what another program's load leaves alone.
    over_100_ms : int
        How many gaps were longer than 100 ms.
    cause : str
        What the main thread, and the others, were doing in most of the longest gap; empty below 50 ms.
    """

    ticks: int = 0
    longest: float = 0.0
    longest_cpu: float = 0.0
    over_100_ms: int = 0
    cause: str = ""
    _last: float = field(default=0.0, repr=False)
    _last_cpu: float = field(default=0.0, repr=False)
    _seen: Counter[str] = field(default_factory=Counter, repr=False)

    def _tick(self) -> None:
        now = time.perf_counter()
        gap = now - self._last
        seen, self._seen = self._seen, Counter()
        self._last = now
        cpu = time.thread_time()
        self.longest_cpu = max(self.longest_cpu, cpu - self._last_cpu)
        self._last_cpu = cpu
        self.ticks += 1
        self.over_100_ms += gap > 0.1
        if gap > self.longest:
            self.longest = gap
            self.cause = seen.most_common(1)[0][0] if seen else ""

    def _look(self, main: int, file: IO[str]) -> None:
        """Note what runs, if the main thread is late; called in a thread of its own."""
        if time.perf_counter() - self._last < _NOTABLE:
            return
        places = _places(file)
        here = _innermost(places.pop(main, []))
        places.pop(threading.get_ident(), None)
        others = {_innermost(lines, ours=True) for lines in places.values()}
        self._seen[" | ".join([here, *sorted(others - {""})])] += 1


def _places(file: IO[str]) -> dict[int, list[tuple[str, int, str]]]:
    """Return where each thread is: file, line and function, the innermost first.

    By the fault handler: a frame that another thread holds outlives its function, and so does a painter in it.
    """
    file.seek(0)
    file.truncate()
    faulthandler.dump_traceback(file)
    file.seek(0)
    found: dict[int, list[tuple[str, int, str]]] = {}
    lines: list[tuple[str, int, str]] = []
    for text in file:
        if head := re.search(r"[Tt]hread 0x([0-9a-f]+)", text):
            lines = found.setdefault(int(head[1], 16), [])
        elif line := re.match(r'  File "(.*)", line (\d+) in (.*)', text):
            lines.append((line[1], int(line[2]), line[3]))
    return found


def _innermost(lines: list[tuple[str, int, str]], *, ours: bool = False) -> str:
    """Return the innermost line, and the innermost of this package; nothing for a foreign thread if ``ours``."""
    own = next((line for line in lines if line[0].startswith(_PACKAGE) and "event_loop" not in line[0]), None)
    if not lines or (ours and own is None):
        return ""
    shown = dict.fromkeys([lines[0], own or lines[0]])
    return " in ".join(f"{'/'.join(Path(name).parts[-2:])}:{number} {function}" for name, number, function in shown)


@contextmanager
def measure_gaps() -> Iterator[Gaps]:
    """Measure the event loop of the main thread, which must turn meanwhile (see `turn_until`)."""
    gaps = Gaps()
    done = threading.Event()
    main = threading.get_ident()

    def watch() -> None:
        with tempfile.TemporaryFile("w+") as file:
            while not done.wait(_INTERVAL / 1000):
                gaps._look(main, file)

    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.setInterval(_INTERVAL)
    timer.timeout.connect(gaps._tick)
    watcher = threading.Thread(target=watch, name="event-loop watcher", daemon=True)
    gaps._last, gaps._last_cpu = time.perf_counter(), time.thread_time()
    timer.start()
    watcher.start()
    try:
        yield gaps
    finally:
        # what stood waiting while the last event was handled counts as well
        gaps._tick()
        timer.stop()
        done.set()
        watcher.join()


def turn_until(condition: Callable[[], bool], timeout: float, *, settle: float = 0.0) -> bool:
    """Let the event loop turn until a condition holds.

    Parameters
    ----------
    condition : callable
        Asked every 10 ms, on the main thread.
    timeout : float
        s.
    settle : float
        How long to go on afterwards, s: what has been shown is drawn by later events.

    Returns
    -------
    bool
        Whether it held in time.
    """
    loop, timer = QEventLoop(), QTimer()
    end = time.perf_counter() + timeout
    held = False

    def look() -> None:
        nonlocal held, end
        if not held and condition():
            held = True
            end = time.perf_counter() + settle
        if time.perf_counter() >= end:
            loop.quit()

    timer.setInterval(10)
    timer.timeout.connect(look)
    timer.start()
    loop.exec()
    timer.stop()
    return held
