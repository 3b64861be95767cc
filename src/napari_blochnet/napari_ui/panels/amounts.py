"""Times and sizes as people say them."""

from __future__ import annotations

__all__ = ["duration", "memory"]


def duration(seconds: float) -> str:
    """Return a duration: "2 s", "4 min", "1 h 10 min"."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def memory(size: float) -> str:
    """Return a number of bytes: "12 MB", "1.4 GB"."""
    return f"{size / 1e9:.1f} GB" if size >= 0.95e9 else f"{max(1, round(size / 1e6))} MB"
