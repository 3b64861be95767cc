"""A real dask scheduler and real workers, as people start them, for tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import napari_blochnet

_SOURCE = Path(napari_blochnet.__file__).parent.parent
# A command of dask's has come up long before; on a machine that is busy it takes its time.
_PATIENCE = 120.0


def wait_for(condition, what: str):
    """Wait until something holds; return it."""
    for _ in range(int(_PATIENCE / 0.05)):
        if found := condition():
            return found
        threading.Event().wait(0.05)
    raise AssertionError(f"{what} did not come")


class Cluster:
    """A scheduler, and workers of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        self.processes: list[subprocess.Popen] = []
        # signals reach this process's other threads, too
        self._start("scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard", "--no-jupyter",
                    "--scheduler-file", str(self.file))  # fmt: skip
        wait_for(self.file.exists, "the scheduler")
        self.address = wait_for(self._said, "the scheduler's address")

    def _said(self) -> str:
        with contextlib.suppress(ValueError):
            return json.loads(self.file.read_text())["address"]
        return ""

    def worker(self, *paths: Path) -> subprocess.Popen:
        """Start a worker of one thread, with folders before its path."""
        return self._start("worker", self.address, "--nthreads", "1", "--no-dashboard", "--no-nanny",
                           "--local-directory", str(self.folder), paths=paths)  # fmt: skip

    def _start(self, *words: str, paths: tuple[Path, ...] = ()) -> subprocess.Popen:
        path = os.pathsep.join([*map(str, paths), str(_SOURCE), os.environ.get("PYTHONPATH", "")])
        number = len(self.processes)
        with (self.folder / f"process-{number}.log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "dask", *words], stdout=log, stderr=log,
                                       env={**os.environ, "PYTHONPATH": path}, start_new_session=True)  # fmt: skip
        self.processes.append(process)
        return process

    def end(self) -> None:
        """End all of it."""
        for process in reversed(self.processes):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Give a scheduler without workers; end it, and those that were started, with the block."""
    made = Cluster(folder)
    try:
        yield made
    finally:
        made.end()
