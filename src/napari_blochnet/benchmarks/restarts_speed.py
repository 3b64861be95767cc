"""Work that is killed again and again: whether it ends with the same bits, and what is done twice."""

from __future__ import annotations

import filecmp
import random
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_blochnet.benchmarks.volumes_speed import working_folder
from napari_blochnet.benchmarks.watched_commands import command_line, run_command
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch

__all__ = ["RestartRow", "benchmark_restarts", "format_restarts"]

# Between two looks at a process that is to be killed, s.
_LOOK = 0.01


@dataclass(frozen=True)
class RestartRow:
    """One command that was killed at random moments.

    Attributes
    ----------
    step : str
    kills, runs : int
        How often it was killed, and came to its end.
    parts : int
        Parts that it has.
    repeated : int
        Parts that were finished before a kill and were done again after it.
    identical : bool
        Whether every result had the same bits as that of a run that was left alone.
    seconds, alone_seconds : float
        Of all runs together, and of the one that was left alone.
    """

    step: str
    kills: int
    runs: int
    parts: int
    repeated: int
    identical: bool
    seconds: float
    alone_seconds: float


def benchmark_restarts(
    kills: int = 20,
    shape: tuple[int, int, int] = (24, 64, 54),
    estimator: str = "universal",
    *,
    ending: str = "zarr",
    snr: float = 30.0,
    seed: int = 0,
    folder: str | None = None,
    watch: Watch = UNWATCHED,
) -> list[RestartRow]:
    """Kill the simulation and the mapping of a head at random moments (SIGKILL), and start the same command again.

    Parameters
    ----------
    kills : int
        Of each.
    shape : tuple of int
        Voxels (z, y, x).
    estimator : str
    ending : {"zarr", "nii", "h5"}
        Of the stack's file.
    snr : float
    seed : int
        Of the moments, too.
    folder : str, optional
        Where to work; None: where temporary files are.
    watch : Watch
        Told, and looked at, all the while.
    """
    with working_folder(folder) as place:
        run_command(["phantom", "--synthetic", "--shape", *shape, "-o", place / "head"], watch)
        run_command(["schedule", "fisp", "-o", place / "fisp.csv"], watch)
        simulate = ["simulate", "--phantom", place / "head", "--schedule", place / "fisp.csv", "--snr", snr]
        whole = run_command([*simulate, "-o", place / f"alone.{ending}"], watch)
        rows = [_killed("simulate", [*simulate, "-o", place / f"killed.{ending}"], place / f"alone.{ending}",
                        place / f"killed.{ending}", whole.seconds, kills, seed, watch)]  # fmt: skip
        mapping = ["reconstruct", place / f"alone.{ending}", "--estimator", estimator]
        whole = run_command([*mapping, "-o", place / "alone"], watch)
        rows += [_killed(estimator, [*mapping, "-o", place / "killed"], place / "alone", place / "killed",
                         whole.seconds, kills, seed, watch)]  # fmt: skip
    return rows


def _killed(
    step: str, words: list[object], alone: Path, result: Path, seconds: float, kills: int, seed: int, watch: Watch
) -> RestartRow:
    moments = random.Random(seed)
    done = runs = repeated = parts = 0
    identical = True
    seen: dict[str, int] = {}
    started = time.perf_counter()
    while done < kills or not result.exists() or not runs:
        watch.check("the benchmark")
        watch.report(done, kills, f"killing {step}")
        with subprocess.Popen(command_line("--quiet", *words), stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE) as process:  # fmt: skip
            # once it is at work, after as long as a few parts take
            while process.poll() is None and not _notes(result):
                time.sleep(_LOOK)
            if done < kills:
                until = time.perf_counter() + moments.uniform(0.0, 3.0 * seconds / kills)
                while process.poll() is None and time.perf_counter() < until:
                    time.sleep(_LOOK)
                if process.poll() is None:
                    process.kill()
                    done += 1
            process.wait()
            if process.returncode > 0:
                wrong = b"" if process.stderr is None else process.stderr.read()
                raise InputError(f"After {done} kills, {step} ended with: {wrong.decode(errors='replace').strip()}")
        now = _notes(result)
        repeated += sum(now.get(name, when) != when for name, when in seen.items())
        parts, seen = max(parts, len(now)), now
        if process.returncode == 0:
            runs += 1
            identical = identical and _are_same(alone, result)
            if done < kills:  # once more from nothing
                shutil.rmtree(result) if result.is_dir() else result.unlink()
            seen = {}
    return RestartRow(step, done, runs, parts, repeated, identical, time.perf_counter() - started, seconds)


def _notes(result: Path) -> dict[str, int]:
    """Return the notes of what is finished of a result, with the time of each."""
    folders = [*result.parent.glob(f".napari-blochnet-unfinished-{result.name}/done"),
               *result.glob(".napari-blochnet-unfinished-*/done")]  # fmt: skip
    found = {}
    for note in (note for folder in folders for note in folder.glob("*.json")):
        try:
            found[note.name] = note.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    return found


def _are_same(one: Path, other: Path) -> bool:
    """Whether two stores, or two folders of maps, hold the same samples or maps."""
    if one.suffix in (".nii", ".h5"):
        return filecmp.cmp(one, other, shallow=False)
    if one.suffix == ".zarr":
        chunks = [{file.relative_to(path): file.read_bytes() for file in (path / "data" / "c").rglob("*")
                   if file.is_file()} for path in (one, other)]  # fmt: skip
        return chunks[0] == chunks[1]
    from napari_blochnet.io.nifti import read_nifti

    names = [{file.name for file in path.glob("*.nii.gz")} for path in (one, other)]
    return names[0] == names[1] and all(
        np.array_equal(read_nifti(one / name)[0], read_nifti(other / name)[0]) for name in names[0]
    )


def format_restarts(rows: Sequence[RestartRow]) -> str:
    """Return a Markdown table."""
    from napari_blochnet.benchmarks.measuring import markdown_table

    return markdown_table(
        ("step", "kills", "ended", "parts", "done twice", "same bits", "s", "s alone"),
        [
            (row.step, str(row.kills), str(row.runs), str(row.parts), str(row.repeated),
             "yes" if row.identical else "no", f"{row.seconds:.1f}", f"{row.alone_seconds:.1f}")
            for row in rows
        ],
    )  # fmt: skip
