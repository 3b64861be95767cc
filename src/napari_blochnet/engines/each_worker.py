"""What a worker is asked before it begins, and what it computes on."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_blochnet.io.sets.rooms import lock_file
from napari_blochnet.jobs.operations.devices import available_devices
from napari_blochnet.jobs.records import software_versions

__all__ = ["devices_for", "own_device", "refusal", "torch_threads", "worker_name"]

# What may differ: no bit depends on it.
_APART = "python"
# The lock of the GPU that this process has taken, held as long as it lives.
_taken: dict[str, int] = {}


def worker_name() -> str:
    """Return what people call this process among those of several machines."""
    return f"{socket.gethostname()}, process {os.getpid()}"


def refusal(needs: dict[str, Any]) -> str:
    """Return why this process cannot do the tasks, in a sentence; empty where it can.

    Parameters
    ----------
    needs : dict
        ``versions``: those of whoever asks; ``estimators``: names that must be known here; ``folders``: that must be
        seen here.
    """
    wanted, here = needs.get("versions", {}), software_versions()
    differ = [name for name in wanted if name != _APART and _public(here.get(name)) != _public(wanted[name])]
    if differ:
        found = ", ".join(f"{name} {here.get(name) or '(none)'}" for name in differ)
        asked = ", ".join(f"{name} {wanted[name]}" for name in differ)
        return f"The worker on {worker_name()} has {found}; expected the versions of this machine: {asked}."
    for name in needs.get("estimators", ()):
        from napari_blochnet.estimators.registry import declared_estimators

        if name not in declared_estimators():
            return (
                f"The worker on {worker_name()} lacks the package that brings the estimator {name}; expected it to be "
                "installed there, too."
            )
    for folder in needs.get("folders", ()):
        if not Path(folder).exists():
            return (
                f"The worker on {worker_name()} does not see {folder}; expected a file system that it shares with this "
                "machine."
            )
    return ""


def _public(version: str | None) -> str | None:
    """Return a version without what it was built for: torch 2.9.0+cpu and 2.9.0+cu128 are one."""
    return None if version is None else version.partition("+")[0]


@contextlib.contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let PyTorch use so many threads in each call of this process."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def devices_for(device: str, workers: int) -> list[str]:
    """Return a device for each of some workers of one process: GPUs in turns, where there are several and auto."""
    gpus = _gpus() if device == "auto" else []
    return [gpus[number % len(gpus)] for number in range(workers)] if len(gpus) > 1 else [device] * workers


def own_device(device: str) -> str:
    """Return the GPU that this process has for itself, where its machine has several and auto is asked for.

    The first one that no other process of this user has taken so; all are taken: the first.
    """
    if device != "auto":
        return device
    gpus = _gpus()
    if len(gpus) < 2:
        return device
    if not _taken:
        user = os.getuid() if hasattr(os, "getuid") else 0
        for gpu in gpus:
            name = f"napari-blochnet-{user}-{gpu.replace(':', '-')}.lock"
            lock = os.open(Path(tempfile.gettempdir()) / name, os.O_RDWR | os.O_CREAT, 0o600)
            if lock_file(lock, wait=False):
                _taken[gpu] = lock
                break
            os.close(lock)
        else:
            _taken[gpus[0]] = -1
    return next(iter(_taken))


def _gpus() -> list[str]:
    return [name for name in available_devices() if name.startswith("cuda")]
