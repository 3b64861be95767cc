"""Memory that is freed, given back to the system."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["give_back_freed_memory"]

# Of glibc's `mallopt`, and the size from which blocks go back.
_MMAP_THRESHOLD, _SIZE = -3, 2**20


def give_back_freed_memory() -> None:
    """Let arrays of a megabyte and more go back to the system where they are freed, from now on in this process.

    The C library of Linux keeps freed blocks of up to 32 MB for itself once it has seen such, and that for each thread:
    some hundred megabytes, where chunks and batches come and go.
    """
    if sys.platform.startswith("linux"):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # another C library has none
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _SIZE)
