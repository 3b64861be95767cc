"""Tasks on the threads of this process: compiled code and array libraries let others run meanwhile.

Threads share what is made once (dictionaries, networks, compiled code), and start at no cost.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from napari_blochnet.common.progress import UNWATCHED, CancelEvent, Watch
from napari_blochnet.engines.each_worker import devices_for, torch_threads
from napari_blochnet.engines.one_task import Outcome, Task, collected_notes, do_task
from napari_blochnet.physics.kernels.launch import available_threads, limited_threads

__all__ = ["LocalEngine"]

# Between two looks at whether the work is still wanted, s; and between two threads' turns, which makes a study of small
# stacks a fifth faster.
_LOOK, _TURN = 0.1, 2e-4


@dataclass(frozen=True)
class LocalEngine:
    """Threads of this process.

    Parameters
    ----------
    workers : int
        How many tasks are done at a time; one: in the calling thread, on all cores.
    device : str
    """

    workers: int = 1
    device: str = "auto"

    @property
    def about(self) -> str:
        return "this process" if self.workers == 1 else f"{self.workers} threads of this process"

    def run(
        self, function: str, tasks: Sequence[Task], watch: Watch = UNWATCHED, *, needs: Task | None = None
    ) -> Iterator[tuple[int, Outcome]]:
        """See `napari_blochnet.engines.engine.Engine`."""
        with collected_notes:
            if min(self.workers, len(tasks)) < 2:
                for number, task in enumerate(tasks):
                    watch.check("the tasks that are left")
                    yield number, do_task(function, task, self.device, watch)
            else:
                yield from self._on_threads(function, tasks, watch)

    def _on_threads(self, function: str, tasks: Sequence[Task], watch: Watch) -> Iterator[tuple[int, Outcome]]:
        workers = min(self.workers, len(tasks))
        cores = available_threads()
        share = max(1, cores // workers)
        free = devices_for(self.device, workers)
        stop = _Stop(watch.cancelled)

        def do(task: Task) -> Outcome:
            own = Watch(cancelled=stop)
            own.check("the tasks that are left")  # a thread whose task was stopped comes here for the next one
            device = free.pop()
            try:
                with limited_threads(share, cores):
                    return do_task(function, task, device, own)
            finally:
                free.append(device)

        with (
            torch_threads(share),
            _short_turns(),
            ThreadPoolExecutor(workers, initializer=_begin, initargs=(share,)) as pool,
        ):
            running: dict[Future[Outcome], int] = {pool.submit(do, task): number for number, task in enumerate(tasks)}
            try:
                while running:
                    done, _ = wait(running, timeout=_LOOK, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield running.pop(future), future.result()
                    watch.check("the tasks that are left")
            finally:  # also where whoever asked for them goes away
                stop.set()
                pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _short_turns() -> Iterator[None]:
    """Let a thread that comes back from compiled code wait less for one that runs Python's own, 5 ms by default."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _begin(share: int) -> None:
    import torch

    torch.set_num_threads(share)  # of OpenMP each thread has its own number


class _Stop(threading.Event):
    """Set once this engine stops, or nobody wants the work any more."""

    def __init__(self, cancelled: CancelEvent | None) -> None:
        super().__init__()
        self._cancelled = cancelled

    def is_set(self) -> bool:
        return super().is_set() or (self._cancelled is not None and self._cancelled.is_set())
