"""The most memory that a call takes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

__all__ = ["memory", "peak_growth", "reset_peak"]

T = TypeVar("T")


def peak_growth(call: Callable[[], T]) -> tuple[T, float | None]:
    """Return what a call returns and the most memory it took beyond what was there before, MiB.

    Results are included; None where the system does not tell.
    """
    before = reset_peak()
    result = call()
    return result, None if before is None else memory("VmHWM") - before


def reset_peak() -> float | None:
    """Set the process's peak memory back to what is used now, and return that in MiB; None where this is not Linux."""
    try:
        # What earlier calls have freed goes back first; a call that takes it again would seem to need none.
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        return memory("VmRSS")
    except (OSError, AttributeError):
        return None


def memory(field: str) -> float:
    """Return a size from /proc/self/status in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024.0
    raise OSError(f"{field} is not in /proc/self/status")
