"""What does many tasks, one at a time, on threads, or on a cluster, with the same bits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Protocol

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.engines.local_engine import LocalEngine
from napari_blochnet.engines.one_task import Outcome, Task
from napari_blochnet.engines.settings_engines import EngineSettings

__all__ = ["Engine", "open_engine"]


class Engine(Protocol):
    """Whoever does the work."""

    @property
    def about(self) -> str:
        """Who that is, in words."""

    def run(
        self, function: str, tasks: Sequence[Task], watch: Watch = UNWATCHED, *, needs: Task | None = None
    ) -> Iterator[tuple[int, Outcome]]:
        """Do tasks; yield the number of each, and what became of it, as they are done.

        Parameters
        ----------
        function : str
            ``module:function``; see `napari_blochnet.engines.one_task.do_task`.
        tasks : sequence of dict
            JSON each.
        watch : Watch
            Asked; told by a task only where one is done at a time, in this thread.
        needs : dict, optional
            What each worker is asked before it begins: `napari_blochnet.engines.each_worker.refusal` takes it.

        Raises
        ------
        Cancelled, KeyboardInterrupt
            Once all tasks have been told to stop.
        InputError
            No worker can do them.
        """


@contextlib.contextmanager
def open_engine(settings: EngineSettings | None = None, device: str = "auto") -> Iterator[Engine]:
    """Give the engine that settings name.

    Parameters
    ----------
    settings : EngineSettings, optional
    device : str
        "auto", "cpu" or a GPU. Auto: a GPU for each worker, in turns, where there are several.

    Raises
    ------
    InputError
        Both workers and a scheduler; no ``distributed``; a cluster that does not answer, or has other versions.
    """
    given = settings or EngineSettings()
    if given.scheduler is None:
        yield LocalEngine(given.workers or 1, device)
        return
    if given.workers is not None:
        raise InputError("Both workers of this machine and a scheduler are given", "one of the two", field="scheduler")
    from napari_blochnet.engines.cluster_engine import cluster_engine

    with cluster_engine(given.scheduler, device) as engine:
        yield engine
