"""A study by each engine: the plain loop, one worker, several, a cluster one of whose workers is killed."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.benchmarks.volumes_speed import working_folder
from napari_blochnet.benchmarks.watched_commands import command_line, run_command
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch

__all__ = ["StudyRow", "benchmark_studies", "format_studies"]

# The work of a study, as somebody writes it who has no study: one stack after the other.
_LOOP = """
import sys
import napari_blochnet as nb
out, estimator, refine, *stacks = sys.argv[1:]
how = {"estimator": estimator, "refine": refine == "refine"}
for number, stack in enumerate(stacks):
    nb.reconstruct_to(f"{out}/{number:02}", nb.read_fingerprints(stack), source=stack, **how)
"""
_LOOK, _PATIENCE = 0.02, 120.0


@dataclass(frozen=True)
class StudyRow:
    """One way to do a study.

    Attributes
    ----------
    way : str
    cores : int
        That it may use.
    seconds : float
        Of the whole command, from its start to its end; the median of its runs.
    processor : float
        Seconds of processors that the command itself took, which nobody beside it lengthens; of a cluster, all but its
        workers.
    identical : bool
        Whether all maps have the same bits as those of the plain loop.
    lines : int
        Stacks that were told of as done: each once, whatever was killed.
    """

    way: str
    cores: int
    seconds: float
    processor: float
    identical: bool
    lines: int


def benchmark_studies(
    stacks: int = 12,
    estimator: str = "universal",
    *,
    refine: bool = True,
    workers: int = 2,
    repeats: int = 3,
    cluster: bool = True,
    folder: str | None = None,
    watch: Watch = UNWATCHED,
) -> list[StudyRow]:
    """Time a study of single slices of the built-in head, 218 × 182 voxels, under FISP, 1000 samples.

    Parameters
    ----------
    stacks : int
    estimator : str
    refine : bool
    workers : int
        Beside one, each with one thread.
    repeats : int
        Runs of each way, in turns.
    cluster : bool
        Whether to start a dask scheduler and as many workers, too, and once more to kill one of them (SIGKILL) in the
        middle.
    folder : str, optional
        Where to work; None: where temporary files are.
    watch : Watch
    """
    with working_folder(folder) as place:
        paths = _stacks(place, stacks, watch)
        mapping = ["--estimator", estimator, *(["--refine"] if refine else [])]
        run_command(["reconstruct", paths[0], *mapping, "-o", place / "one"], watch)
        study = ["run", place / "one" / "sub-01_T1map.json", *paths]
        loop = [sys.executable, "-c", _LOOP]
        cores = min(workers, len(_cores()))
        ways: list[tuple[str, int, Any]] = [
            ("plain loop", len(_cores()),
             lambda out: [*loop, str(out), estimator, "refine" if refine else "", *map(str, paths)]),
            ("1 worker", len(_cores()), lambda out: command_line(*study, "-o", out)),
            ("1 worker, 1 thread", 1, lambda out: command_line(*study, "-o", out)),
            (f"{workers} workers, 1 thread each", cores,
             lambda out: command_line(*study, "-o", out, "--workers", workers)),
        ]  # fmt: skip
        times: dict[str, list[tuple[float, float]]] = {way: [] for way, _, _ in ways}
        found: dict[str, tuple[bool, int]] = {}
        for turn in range(repeats):
            for number, (way, allowed, line) in enumerate(ways):
                watch.report(turn * len(ways) + number, repeats * len(ways), way)
                out = place / f"way-{number}-{turn}"
                took, text = _timed(line(out), allowed, watch)
                times[way].append(took)
                found[way] = _same_as(place / "way-0-0", out), _finished(text)
        rows = []
        for way, allowed, _ in ways:
            seconds, processor = (statistics.median(each) for each in zip(*times[way], strict=True))
            rows.append(StudyRow(way, allowed, seconds, processor, *found[way]))
        if cluster:
            rows += _by_cluster(place, study, workers, watch)
    return rows


def _stacks(place: Path, count: int, watch: Watch) -> list[Path]:
    # slices of 1 mm, some 22,000 voxels each
    run_command(["phantom", "--synthetic", "--shape", 60, 218, 182, "-o", place / "head"], watch)
    run_command(["schedule", "fisp", "-o", place / "fisp.csv"], watch)
    paths = [place / f"sub-{number:02}_MRF.zarr" for number in range(count)]
    for number, path in enumerate(paths):
        watch.report(number, count, "simulating stacks")
        first = 18 + number % 24
        run_command(["simulate", "--phantom", place / "head", "--schedule", place / "fisp.csv", "--snr", 30, "--seed",
                     number, "--slices", first, first + 1, "-o", path], watch)  # fmt: skip
    return paths


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def _timed(line: Sequence[str], cores: int, watch: Watch) -> tuple[tuple[float, float], str]:
    """Run a command on some of the cores; return how long it and its processors took, and what it said."""
    allowed = _cores()[:cores]
    begin = functools.partial(os.sched_setaffinity, 0, allowed) if hasattr(os, "sched_setaffinity") else None
    before, started = os.times(), time.perf_counter()
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=begin) as process:
        said: list[tuple[str, str]] = []
        reader = threading.Thread(target=lambda: said.append(process.communicate()), daemon=True)
        reader.start()
        try:
            while reader.is_alive():
                watch.check("the benchmark")
                reader.join(_LOOK)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise InputError(f"{' '.join(line[:5])}… ended with {process.returncode}: {said[0][1].strip()}")
    after = os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return (time.perf_counter() - started, processor), said[0][0]


def _finished(text: str) -> int:
    return len(set(re.findall(r"^(sub-\w+): [\d,]+ voxels mapped", text, flags=re.MULTILINE)))


def _maps(folder: Path) -> list[dict[str, Any]]:
    """Return the maps of each stack below a folder, in their order."""
    from napari_blochnet.io.nifti import read_nifti

    sets = sorted(folder.rglob("*_desc-mapped_mask.nii.gz"))
    return [
        {file.name.partition("_")[2]: read_nifti(file)[0] for file in sorted(each.parent.glob("*.nii.gz"))}
        for each in sets
    ]


def _same_as(one: Path, other: Path) -> bool:
    both = _maps(one), _maps(other)
    return len(both[0]) == len(both[1]) > 0 and all(
        first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)
        for first, second in zip(*both, strict=True)
    )


@contextmanager
def _cluster(place: Path, workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Start a dask scheduler and workers of one thread, as people do; give its address and the workers."""
    file, started = place / "scheduler.json", list[subprocess.Popen[bytes]]()

    def start(*words: object) -> subprocess.Popen[bytes]:
        line = [sys.executable, "-m", "dask", *map(str, words)]
        started.append(subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return started[-1]

    try:
        start("scheduler", "--port", 0, "--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", file)
        waited = 0.0
        while not file.exists() or not file.read_text():
            if waited > _PATIENCE:
                raise InputError("dask scheduler does not start", 'pip install "napari-blochnet[distributed]"')
            time.sleep(_LOOK)
            waited += _LOOK
        address = json.loads(file.read_text())["address"]
        yield address, [start("worker", address, "--nthreads", 1, "--no-dashboard", "--no-nanny", "--local-directory",
                              place) for _ in range(workers)]  # fmt: skip
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def _by_cluster(place: Path, study: Sequence[object], workers: int, watch: Watch) -> Iterator[StudyRow]:
    """Do a study by a cluster, and again with one worker killed once the third stack is finished."""
    from distributed import Client

    with _cluster(place, workers) as (address, processes):
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(workers)
        for way in (f"cluster of {workers}", f"cluster of {workers}, one killed"):
            out = place / way.replace(" ", "-").replace(",", "")
            killer = None
            if "killed" in way:
                killer = threading.Thread(target=_kill_after, args=(out, 3, processes[0]), daemon=True)
                killer.start()
            line = command_line(*study, "-o", out, "--scheduler", address)
            took, text = _timed(line, len(_cores()), watch)
            if killer is not None:
                killer.join()
            yield StudyRow(way, workers, *took, _same_as(place / "way-0-0", out), _finished(text))


def _kill_after(folder: Path, stacks: int, process: subprocess.Popen[bytes]) -> None:
    """Kill a worker once so many stacks are finished: it is at another one then."""
    while len(list(folder.rglob("done/*.json"))) < stacks:
        time.sleep(_LOOK)
    process.send_signal(signal.SIGKILL)


def format_studies(rows: Sequence[StudyRow]) -> str:
    """Return a Markdown table, each way beside the plain loop and beside one thread."""
    from napari_blochnet.benchmarks.measuring import markdown_table

    loop, alone = (next(row.seconds for row in rows if row.way == way) for way in ("plain loop", "1 worker, 1 thread"))
    return markdown_table(
        ("way", "cores", "s", "of processors", "beside the plain loop", "times one thread", "stacks told", "same bits"),
        [
            (row.way, str(row.cores), f"{row.seconds:.1f}", f"{row.processor:.1f}",
             f"{row.seconds / loop:.2f}", f"{alone / row.seconds:.2f}",
             str(row.lines or ""), "yes" if row.identical else "no")
            for row in rows
        ],
    )  # fmt: skip
