"""Compiled kernels on all cores: a share of the voxels for each thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.one_thread_blas import one_thread_blas
from napari_blochnet.physics.kernels.launch import available_threads

__all__ = ["in_parts", "threaded"]


def threaded(kernel: Callable[..., None], voxels: int, *arrays: AnyArray) -> None:
    """Run a kernel, called as ``kernel(first, last, *arrays)``, over voxels on all threads."""
    workers = available_threads()
    if voxels < 256 or workers == 1:
        kernel(0, voxels, *arrays)
        return
    edges = np.linspace(0, voxels, workers + 1).astype(int)
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(kernel, int(a), int(b), *arrays) for a, b in pairwise(edges)]:
            done.result()


def in_parts(do: Callable[[slice], None], length: int, size: int) -> None:
    """Call ``do`` with slices of a size on all threads: which they are does not depend on how many threads there are.

    Products of matrices in there are done by one thread each, and have the same bits on every machine of a kind.
    """
    parts = [slice(start, min(start + size, length)) for start in range(0, length, size)]
    workers = min(available_threads(), len(parts))
    with one_thread_blas:
        if workers < 2:
            for part in parts:
                do(part)
            return
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(do, parts))
