"""Running the compiled kernels: voxels sorted by T2, cut into blocks, blocks shared among threads.

A compiled function that releases the GIL runs in each thread of an ordinary pool. Numba's own ``parallel=True`` is no
faster here, and where its threading layer is the built-in work queue two calls at once abort the process.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import count

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray, IntArray
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.physics.kernels.pulses import Pulses
from napari_blochnet.physics.preparation_maps import gap_maps

__all__ = ["StateCount", "available_threads", "for_all_workers", "limited_threads", "simulate_blocks"]

StateCount = Callable[[FloatArray], IntArray]
"""Number of orders to keep at each T2 (ms)."""

# Lanes of a block: enough to hide the loops' overhead, few enough that the states of 64 orders stay in the cache.
_WIDTH = 128
# of few voxels for many threads, half of that and so on down to this
_LANES = 16

# What a thread was told to use at most, alone and with the others beside it.
_told = threading.local()


def available_threads() -> int:
    """Cores that the calling thread may use: those of this process, or what `limited_threads` left it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit: int | None = getattr(_told, "threads", None)
    return cores if limit is None else max(1, min(cores, limit))


@contextlib.contextmanager
def limited_threads(threads: int, together: int | None = None) -> Iterator[None]:
    """Let what the calling thread starts use at most so many threads, itself included.

    Parameters
    ----------
    threads : int
    together : int, optional
        What it may use with all the others that work beside it, for what they wait for: see `for_all_workers`.
    """
    before = getattr(_told, "threads", None), getattr(_told, "together", None)
    _told.threads, _told.together = threads, together or threads
    try:
        yield
    finally:
        _told.threads, _told.together = before


@contextlib.contextmanager
def for_all_workers() -> Iterator[None]:
    """Let the calling thread use the threads of all that work beside it: it makes what they wait for."""
    before = getattr(_told, "threads", None)
    _told.threads = getattr(_told, "together", None)
    try:
        yield
    finally:
        _told.threads = before


def simulate_blocks(
    pulses: Pulses,
    t1: FloatArray,
    t2: FloatArray,
    b1: FloatArray | None,
    states: StateCount,
    *,
    tangents: int = 0,
    signal: AnyArray | None = None,
    jacobian: AnyArray | None = None,
    cotangent: AnyArray | None = None,
    gradient: FloatArray | None = None,
    threads: int | None = None,
    watch: Watch = UNWATCHED,
) -> None:
    """Simulate V voxels of N pulses into the arrays given.

    Parameters
    ----------
    pulses : Pulses
        In the precision of all other arrays.
    t1, t2, b1 : ndarray of shape (V,)
        ms, ms, relative; contiguous.
    states : callable
        Orders to keep for an array of T2; each block keeps what its longest T2 needs.
    tangents : int
        0: signal alone; 2: with ∂/∂T1, ∂/∂T2; 3: with ∂/∂B1.
    signal : ndarray of shape (V, N), optional
        Receives the signal; real on the real path, else complex.
    jacobian : ndarray of shape (V, tangents, N), optional
        Receives the derivatives.
    cotangent : ndarray of shape (V, N), optional
        An incoming gradient g.
    gradient : ndarray of shape (V, 1 + tangents), optional
        Real; receives Σ Re(g*·s) over time for the signal and its derivatives.
    threads : int, optional
        None: all cores that this process may use.
    watch : Watch
        Looked at between blocks, in the calling thread; they count voxels.

    Raises
    ------
    Cancelled
        Once nobody wants the work any more; no block is running any more then.

    Notes
    -----
    Besides the results this takes a sorted index (8 bytes a voxel) and the states of one block for each thread:
    about 12·128·(1 + tangents)·K bytes in float32 on the real path, twice that on the complex one, and two thirds more
    where a train is played more than twice. What is played in G gaps takes 8·G·(1 + tangents) bytes a voxel in float32.
    """
    voxels = len(t1)
    if voxels == 0:
        return
    if gradient is not None:
        gradient[:] = 0
    order = np.argsort(t2).astype(np.int64, copy=False)
    workers = threads or available_threads()
    share, width = voxels / workers, _WIDTH
    while width > max(_LANES, 1.4 * share):
        width //= 2
    # The longest T2 need most states: they go first, so that no thread is left alone with them at the end.
    starts = np.arange(0, voxels, width)[::-1]
    # how many are kept is that of whole blocks, so that no bit depends on the number of threads
    last = np.minimum((starts // _WIDTH + 1) * _WIDTH, voxels) - 1
    kept = states(t2[order[last]])
    kernel = _kernel(pulses.is_real)
    dtype = t1.dtype
    phases = () if pulses.is_real else (_rows(pulses.phase_step, len(pulses.phase_step)),)
    inversion = (pulses.inversion_time, pulses.inversion_efficiency)
    per_pulse = (pulses.flip_angle, pulses.repetition_time, pulses.echo_time, pulses.weight, *phases)
    train = (*per_pulse, pulses.positions, *inversion, *_gaps(pulses, t1, t2, b1, tangents), pulses.plays)
    nothing = np.empty((0, 0), dtype)
    targets = (
        nothing if signal is None else _rows(signal, voxels),
        nothing if jacobian is None else _rows(jacobian, voxels * tangents),
        nothing if cotangent is None else _rows(cotangent, voxels),
        nothing if gradient is None else gradient,
    )

    def block(number: int) -> int:
        start = int(starts[number])
        size = min(width, voxels - start)
        kernel(*train, t1, t2, b1, order, start, size, width, int(kept[number]), tangents, *targets)
        return size

    _share_out(block, len(starts), voxels, workers, watch)


def _gaps(pulses: Pulses, t1: FloatArray, t2: FloatArray, b1: FloatArray | None, tangents: int) -> tuple[AnyArray, ...]:
    """The gap before each pulse, and what gaps do to each voxel, with its derivatives."""
    if pulses.schedule.is_plain:
        flat, deep = np.empty((0, len(t1)), t1.dtype), np.empty((0, tangents, len(t1)), t1.dtype)
        return pulses.gap_of_pulse, flat, flat, deep, deep
    maps = gap_maps(pulses.schedule, t1, t2, b1, tangents=tangents, dtype=t1.dtype)
    return pulses.gap_of_pulse, maps.A, maps.B, maps.A_slopes, maps.B_slopes


def _rows(values: AnyArray, rows: int) -> FloatArray:
    """The same memory as rows of real numbers; real and imaginary parts alternate."""
    return values.reshape(rows, -1).view(values.real.dtype)


def _share_out(block: Callable[[int], int], blocks: int, voxels: int, workers: int, watch: Watch) -> None:
    """Run all blocks; the calling thread takes its part, so that a single block needs no other thread."""
    numbers, stop = count(), threading.Event()
    done = [0] * workers

    def work(worker: int, between: Callable[[], None]) -> None:
        try:
            while not stop.is_set() and (number := next(numbers)) < blocks:
                done[worker] += block(number)
                between()
        except BaseException:
            stop.set()
            raise

    def say() -> None:
        watch.report(sum(done), voxels, "fingerprints simulated")
        watch.check(f"{sum(done)} of {voxels} fingerprints were simulated")

    watch.check("no fingerprint was simulated")
    helpers: list[Future[None]] = []
    if min(workers, blocks) > 1:
        pool = _pool(workers - 1, os.getpid())
        helpers = [pool.submit(work, helper, lambda: None) for helper in range(1, min(workers, blocks))]
    try:
        work(0, say)
    finally:
        # Arrays must not be written to once the caller has them back, whatever ended the work here. A helper that still
        # waits for a thread, behind another call's, has nothing left to do.
        errors = [helper.exception() for helper in helpers if not helper.cancel()]
    for error in errors:
        if error is not None:
            raise error
    watch.report(voxels, voxels, "fingerprints simulated")


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads for this process; a fork has none of its parent's, hence the process number."""
    return ThreadPoolExecutor(threads, thread_name_prefix="blochnet-epg")


def _kernel(is_real: bool) -> Callable[..., None]:
    # Compiled code is loaded where it is needed: it takes half a second that importing should not.
    if is_real:
        from napari_blochnet.physics.kernels.real import real_block

        return real_block  # type: ignore[no-any-return]
    from napari_blochnet.physics.kernels.complex import complex_block

    return complex_block  # type: ignore[no-any-return]
