"""What memory an operation will take, said before it begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.catalogue import Operation
from napari_blochnet.jobs.operations.memory_estimate import mapping_memory, simulating_memory
from napari_blochnet.jobs.settings import ReconstructSettings, Settings, SimulateSettings

__all__ = ["memory_said", "needed_memory"]

# Libraries and compiled code of this process, measured: PyTorch, Numba, nibabel, zarr.
_LIBRARIES = 420 * 2**20


def needed_memory(operation: Operation, output: Path, inputs: dict[str, Any], settings: Settings) -> int | None:
    """Return the bytes of memory that this process will take at most, all that it holds already included.

    Files that are mapped into memory are not counted; None of operations of which nothing is known.
    """
    if isinstance(settings, SimulateSettings):
        in_parts = operation.goes_in_parts(output, settings)
        more = simulating_memory(inputs["phantom"], inputs["schedule"], settings, in_parts)
    elif isinstance(settings, ReconstructSettings):
        stack: FingerprintStack = inputs["stack"]
        more = mapping_memory(stack, settings, inputs.get("mask"))
    else:
        return None
    return more + max(_held(), _LIBRARIES)


def memory_said(operation: Operation, output: Path, inputs: dict[str, Any], settings: Settings) -> str:
    """Return the sentence; empty of operations of which nothing is known."""
    size = needed_memory(operation, output, inputs, settings)
    return "" if size is None else f"Takes at most {size / 2**20:,.0f} MiB of memory."


def _held() -> int:
    """Return the bytes that this process holds, files apart."""
    import psutil

    about = psutil.Process().memory_info()
    return int(about.rss - getattr(about, "shared", 0))
