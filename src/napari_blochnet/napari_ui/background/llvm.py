"""Keeping Triton out of a window that Mesa draws.

Mesa's drivers and Triton each bring an LLVM of their own, and a process that loads Triton after the canvas was drawn by
Mesa ends in a segmentation fault. PyTorch loads Triton at the first step of any optimizer, CPU or GPU, without needing
it there. Windows drawn by NVIDIA's driver hold no second LLVM; there the GPU kernels stay at hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["keep_triton_out"]

_MESA = ("libLLVM", "libgallium", "_dri.so")


def keep_triton_out() -> None:
    """Make Triton look as if it were not installed, where it would crash this process; called before every job."""
    if sys.platform != "linux" or "triton" in sys.modules:
        return
    try:
        loaded = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    if any(name in loaded for name in _MESA):
        # an entry of None makes the import fail and find_spec answer None, as for a package that is absent
        sys.modules["triton"] = None  # type: ignore[assignment]
