"""What benchmarks share: time, peak memory and the table of both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from napari_blochnet.common.peak_memory import memory, peak_growth, reset_peak
from napari_blochnet.common.progress import UNWATCHED, Watch

__all__ = ["Timing", "markdown_table", "memory", "peak_growth", "reset_peak", "timed"]


@dataclass(frozen=True)
class Timing:
    """How long a call took.

    Attributes
    ----------
    milliseconds : float
        Wall time, the median over repeats.
    cpu_milliseconds : float
        Processor time of all threads, the median over repeats. On a machine that does other work too, the wall time of
        a quiet one lies between this and this over the number of cores.
    repeats : int
    """

    milliseconds: float
    cpu_milliseconds: float
    repeats: int


def timed(
    calls: Sequence[tuple[str, Callable[[], Any], int]],
    *,
    watch: Watch = UNWATCHED,
) -> list[Timing]:
    """Time calls in turns, so that a disturbance hits all of them; the caller has warmed them up.

    Parameters
    ----------
    calls : sequence of (str, callable, int)
        Name, what to call, how often.
    watch : Watch
        Told, and looked at, between calls.

    Returns
    -------
    list of Timing
    """
    taken: list[list[tuple[float, float]]] = [[] for _ in calls]
    done, total = 0, sum(repeats for _, _, repeats in calls)
    for turn in range(max((repeats for _, _, repeats in calls), default=0)):
        for (name, call, repeats), times in zip(calls, taken, strict=True):
            if turn >= repeats:
                continue
            watch.check("the benchmark")
            watch.report(done, total, name)
            cpu, wall = time.process_time(), time.perf_counter()
            call()
            times.append((1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)))
            done += 1
    watch.report(total, total, "done")
    return [
        Timing(statistics.median(wall for wall, _ in times), statistics.median(cpu for _, cpu in times), len(times))
        for times in taken
    ]


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns are aligned; all but the first are flush right."""
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.rjust(width) if column else cell.ljust(width)
                  for column, (cell, width) in enumerate(zip(cells, widths, strict=True))]  # fmt: skip
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if column == 0 else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    return "\n".join([line(head), line(rule), *(line(row) for row in rows)])
