"""Tasks on the workers of a dask cluster, wherever somebody has started one.

The scheduler gives a task to another worker where the first one dies. Tasks write their results themselves, so the
cluster shares a file system with this machine. What a worker makes once (dictionaries, networks) stays there.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import queue
import secrets
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask

from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.engines.each_worker import own_device, refusal, torch_threads, worker_name
from napari_blochnet.engines.one_task import Outcome, SharedContext, Task, collected_notes, do_task
from napari_blochnet.jobs.records import software_versions
from napari_blochnet.physics.kernels.launch import limited_threads

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["ClusterEngine", "cluster_engine"]

# How long a scheduler may take to answer, and the first worker to come, s; between two looks.
_ANSWER, _FIRST_WORKER, _LOOK = 20, 300.0, 0.2
# A dask array that a task looks at is computed by the thread that looks, not by the cluster.
_own_arrays = SharedContext(lambda: dask.config.set(scheduler="synchronous"))
_of_torch = functools.cache(lambda threads: SharedContext(lambda: torch_threads(threads)))
# Work that was called off, by its name: of each process of workers.
_called_off: dict[str, threading.Event] = {}


@contextlib.contextmanager
def cluster_engine(scheduler: str, device: str = "auto") -> Iterator[ClusterEngine]:
    """Give the workers of a scheduler.

    Parameters
    ----------
    scheduler : str
        Its address, or the file it wrote (``--scheduler-file``).
    device : str

    Raises
    ------
    InputError
        ``distributed`` is not installed; no scheduler answers; versions that differ.
    """
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "A scheduler is given, and dask.distributed is not installed",
            'it: pip install "napari-blochnet[distributed]"',
            field="scheduler",
        ) from None
    where = {"scheduler_file" if _is_file(scheduler) else "address": scheduler}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # versions are looked at below, and told in a sentence
            client = Client(**where, timeout=_ANSWER, set_as_default=False)
    except Exception as error:  # whatever transport, protocol or a version of these raises
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"No dask scheduler answers at {scheduler} ({why})",
            "the address that dask scheduler printed, such as tcp://host:8786",
            field="scheduler",
        ) from None
    with client:
        yield ClusterEngine(client, scheduler, device)


def _is_file(scheduler: str) -> bool:
    """Whether a scheduler is named by its file, which is waited for: it writes that as it starts."""
    file, waited = Path(scheduler), 0.0
    while not file.is_file():
        if file.suffix != ".json":
            return False
        if waited > _ANSWER:
            raise FileError(scheduler, "does not come", "the file that dask scheduler --scheduler-file writes",
                            field="scheduler")  # fmt: skip
        threading.Event().wait(_LOOK)
        waited += _LOOK
    return True


class ClusterEngine:
    """Workers of a dask cluster.

    Parameters
    ----------
    client : distributed.Client
    address : str
        What people call the cluster.
    device : str
        On each worker; auto: a GPU of its own, where its machine has several.
    """

    def __init__(self, client: Client, address: str, device: str = "auto") -> None:
        self._client, self._address, self._device = client, address, device

    @property
    def about(self) -> str:
        count = len(self._workers())
        return f"{count} worker{'' if count == 1 else 's'} of {self._address}"

    def run(
        self, function: str, tasks: Sequence[Task], watch: Watch = UNWATCHED, *, needs: Task | None = None
    ) -> Iterator[tuple[int, Outcome]]:
        """See `napari_blochnet.engines.engine.Engine`."""
        needs = {**(needs or {}), "versions": software_versions()}
        self._check_workers(needs, watch)
        name = secrets.token_hex(8)
        share = max(1, self._threads() // max(1, len(tasks)))
        futures: dict[Future[Any], int] = {
            self._client.submit(_on_worker, function, task, self._device, name, needs, share, key=f"{name}-{number}",
                                pure=False): number
            for number, task in enumerate(tasks)
        }  # fmt: skip
        finished = False
        try:
            yield from self._gathered(futures, watch)
            finished = True
        finally:
            if not finished:
                self._call_off(name, list(futures))

    def _gathered(self, futures: dict[Future[Any], int], watch: Watch) -> Iterator[tuple[int, Outcome]]:
        done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        for future in futures:
            future.add_done_callback(done.put)
        left = len(futures)
        while left:
            watch.check("the tasks that are left")
            if self._client.status not in ("running", "connecting"):
                raise self._lost()
            with contextlib.suppress(queue.Empty):
                future = done.get(timeout=_LOOK)
                yield futures[future], self._outcome(future)
                left -= 1

    def _outcome(self, future: Future[Any]) -> Outcome:
        """Return what became of a task; raise `InputError` where a worker that came late cannot do any of them."""
        from distributed import KilledWorker

        if future.status in ("cancelled", "lost"):
            raise self._lost()
        try:
            found = future.result(timeout=_ANSWER)
        except KilledWorker as error:
            return Outcome(failure=f"{error.allowed_failures + 1} workers died while they were at it, the last of them "
                                   f"{getattr(error.last_worker, 'address', '')}; expected workers with more "
                                   "memory.")  # fmt: skip
        except ImportError as error:
            raise InputError(f"A worker of {self._address} lacks a package ({error})", "the same packages as here",
                             field="scheduler") from None  # fmt: skip
        except Exception as error:  # what a worker could not even begin
            return Outcome(failure=f"A worker of {self._address} failed ({type(error).__name__}: {error}).")
        if found["refused"]:  # or it would take one after the other
            raise InputError(found["refused"], field="scheduler")
        return Outcome(found["result"], found["failure"], tuple(found["notes"]), found["where"])

    def _lost(self) -> InputError:
        return InputError(
            f"The scheduler {self._address} is gone; what is finished is kept",
            "it to be started again, and then the same command, which goes on",
            field="scheduler",
        )

    def _workers(self) -> dict[str, Any]:
        return dict(self._client.scheduler_info(n_workers=-1)["workers"])

    def _threads(self) -> int:
        return sum(int(worker["nthreads"]) for worker in self._workers().values())

    def _check_workers(self, needs: dict[str, Any], watch: Watch) -> None:
        """Raise `InputError` where a worker that is there cannot do the work; wait for the first one."""
        waited = 0.0
        while not self._workers():
            watch.check("waiting for a worker")
            watch.report(0, 1, "waiting for a worker")
            if waited > _FIRST_WORKER:
                raise InputError(f"The scheduler {self._address} has no worker", "dask worker ADDRESS to be started",
                                 field="scheduler")  # fmt: skip
            threading.Event().wait(_LOOK)
            waited += _LOOK
        self._check_dask()
        # a function of Python's own first: of ours a worker may have none, or another
        ours = "napari-blochnet"
        for worker, version in self._asked(importlib.metadata.version, ours).items():
            if version != needs["versions"].get(ours):
                has = "no napari-blochnet" if isinstance(version, Exception) else f"{ours} {version}"
                raise InputError(f"The worker {worker} has {has}", f"{ours} {needs['versions'].get(ours)} as here",
                                 field="scheduler")  # fmt: skip
        for worker, refused in self._asked(refusal, needs).items():
            if isinstance(refused, Exception):
                raise InputError(f"The worker {worker} cannot load napari-blochnet ({refused})",
                                 "the same packages as here", field="scheduler")  # fmt: skip
            if refused:
                raise InputError(refused, field="scheduler")

    def _asked(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """Return what each worker answers, or what that raised; nothing of one that has just gone."""
        found = self._client.run(function, *args, on_error="return")
        return {worker: said for worker, said in found.items() if not isinstance(said, OSError)}

    def _check_dask(self) -> None:
        """Raise `InputError` where the scheduler or a worker has another dask: they talk to each other otherwise."""
        found: Any = self._client.get_versions(check=False)
        here = found["client"]["packages"]
        others = {f"scheduler {self._address}": found["scheduler"]}
        others |= {f"worker {address}": about for address, about in found["workers"].items()}
        for who, about in others.items():
            there = (about or {}).get("packages", {})
            for package in ("distributed", "dask"):
                if there.get(package) != here[package]:
                    raise InputError(f"The {who} has {package} {there.get(package) or '(unknown)'}",
                                     f"{package} {here[package]} as here", field="scheduler")  # fmt: skip

    def _call_off(self, name: str, futures: list[Future[Any]]) -> None:
        """Take back the tasks that wait, and tell the workers to stop those they are at."""
        with contextlib.suppress(Exception):  # the scheduler may be gone
            self._client.cancel(futures, force=True)
            self._client.run(call_off, name, wait=True, on_error="ignore")


def call_off(name: str) -> None:
    """Tell this process that some work is not wanted any more."""
    _event(name).set()


def _event(name: str) -> threading.Event:
    return _called_off.setdefault(name, threading.Event())


def _on_worker(function: str, task: Task, device: str, name: str, needs: dict[str, Any], share: int) -> dict[str, Any]:
    """Do a task on a worker of the cluster, on as many of its threads as there are for each task."""
    from distributed import get_worker

    refused, outcome = refusal(needs), Outcome()  # this one may have come later than the others
    if not refused:
        its_own = get_worker().state.nthreads
        threads = min(share, its_own)
        with _of_torch(threads), limited_threads(threads, its_own), collected_notes, _own_arrays:
            outcome = do_task(function, task, own_device(device), Watch(cancelled=_event(name)))
    return {"refused": refused, "result": outcome.result, "failure": outcome.failure, "notes": list(outcome.notes),
            "where": worker_name()}  # fmt: skip
