"""Volumes larger than the memory: how long simulation and mapping take, and how much memory, as commands."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_blochnet.benchmarks.mapping_speed import CASES
from napari_blochnet.benchmarks.watched_commands import run_command
from napari_blochnet.common.arrays import BoolArray
from napari_blochnet.common.freed_memory import give_back_freed_memory
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.fingerprints.stack_files import fingerprint_files, read_fingerprints
from napari_blochnet.jobs.catalogue import OPERATIONS, Operation
from napari_blochnet.jobs.operations.reconstruct import reconstruct
from napari_blochnet.jobs.operations.simulate import simulate
from napari_blochnet.jobs.settings import ReconstructSettings, SimulateSettings, settings_from
from napari_blochnet.jobs.volumes.stated_memory import memory_said
from napari_blochnet.jobs.volumes.volume_maps import reconstruct_to
from napari_blochnet.jobs.volumes.volume_stacks import simulate_to
from napari_blochnet.phantoms.read import read_phantom
from napari_blochnet.phantoms.synthetic import synthetic_phantom
from napari_blochnet.schedules.schedule_files import read_schedule

__all__ = ["VolumeRow", "benchmark_volumes", "format_volumes", "map_timed", "simulate_timed", "working_folder"]

_WORKING = re.compile(r"in ([\d.]+) s, ([\d.]+) s of processors, without preparation")
_VOXELS = re.compile(r"([\d,]+) (?:voxels (?:inside the mask|mapped)|inside the mask)")


@dataclass(frozen=True)
class VolumeRow:
    """One command on one volume.

    Attributes
    ----------
    step : str
        The command, or what mapped.
    slices, voxels : int
        Slices of the volume, and voxels that hold something.
    seconds : float
        Of the whole command, from its start to its end.
    microseconds : float
        For each voxel; by sizes without start and preparation.
    peak_mib, stated_mib : float or None
        Most anonymous memory of its processes, and what it had said.
    processor_microseconds : float or None
        By sizes: time of processors for each voxel, which others at work on the machine lengthen less.
    """

    step: str
    slices: int
    voxels: int
    seconds: float
    microseconds: float
    peak_mib: float | None
    stated_mib: float | None
    processor_microseconds: float | None = None


def benchmark_volumes(
    shape: tuple[int, int, int] = (160, 192, 160),
    estimators: str = ",".join(CASES),
    *,
    half: bool = True,
    sizes: str = "",
    ending: str = "zarr",
    snr: float = 30.0,
    seed: int = 0,
    folder: str | None = None,
    watch: Watch = UNWATCHED,
) -> list[VolumeRow]:
    """Time the built-in head under FISP, 1000 samples: simulated into a file in parts, and mapped from that.

    Parameters
    ----------
    shape : tuple of int
        Voxels (z, y, x).
    estimators : str
        Of those of the benchmark of mapping, separated by commas.
    half : bool
        Whether half of the slices are done first: time for a voxel, and memory, do not depend on how many there are.
    sizes : str
        Numbers of voxels, separated by commas: then as many slices from the middle as hold so many, for each.
    ending : {"zarr", "nii", "h5"}
        Of the stack's file.
    snr : float
    seed : int
    folder : str, optional
        Where to work, on a disk with room: some 8 KB for each voxel inside the mask. None: where temporary files are.
    watch : Watch
        Told, and looked at, between commands.
    """
    names = [name.strip() for name in estimators.split(",")]
    cuts = [shape[0] // 2, shape[0]] if half and shape[0] > 1 else [shape[0]]
    rows: list[VolumeRow] = []

    def run(step: str, slices: int, *words: object, function: str = "") -> None:
        watch.report(len(rows), 1 + len(cuts) * (1 + len(names)), f"{step}, {slices} slices")
        found = run_command(words, watch, function)
        voxels = int(_VOXELS.search(found.text)[1].replace(",", "")) if _VOXELS.search(found.text) else 0  # type: ignore[index]
        working = _WORKING.search(found.text)
        seconds, processors = (found.seconds, None) if working is None else map(float, working.groups())
        each = [None if value is None else 1e6 * value / max(1, voxels) for value in (seconds, processors)]
        rows.append(VolumeRow(step, slices, voxels, found.seconds, each[0] or 0.0, found.peak_mib, found.stated_mib,
                              each[1]))  # fmt: skip

    with working_folder(folder) as place:
        run("phantom", shape[0], "phantom", "--synthetic", "--shape", *shape, "-o", place / "head")
        run_command(["schedule", "fisp", "-o", place / "fisp.csv"], watch)
        if sizes:
            cuts = _cuts(read_phantom(place / "head").mask, [int(size) for size in sizes.split(",")])
        for slices in cuts:
            # from the middle, where a slice holds what others do
            first = (shape[0] - slices) // 2
            stack = place / f"stack-{slices}.{ending}"
            if sizes:
                run("simulate", slices, place / "head", place / "fisp.csv", snr, seed, first, first + slices, stack,
                    function=f"{__name__}:simulate_timed")  # fmt: skip
            else:
                run("simulate", slices, "simulate", "--phantom", place / "head", "--schedule", place / "fisp.csv",
                    "--snr", snr, "--seed", seed, "--slices", first, first + slices, "-o", stack)  # fmt: skip
            for name in names:
                out = place / f"{name}-{slices}"
                if sizes:
                    run(name, slices, stack, name, out, function=f"{__name__}:map_timed")
                    continue
                refine = ["--refine"] if CASES[name].get("refine") else []
                run(name, slices, "reconstruct", stack, "--estimator", CASES[name]["estimator"], *refine, "-o", out)
            if sizes:
                # what one stack takes on the disk is there for the next
                for file in fingerprint_files(stack):
                    shutil.rmtree(file) if file.is_dir() else file.unlink()
    watch.report(1, 1, "done")
    return rows


def _cuts(mask: BoolArray, sizes: Sequence[int]) -> list[int]:
    """Return how many slices around the middle hold as many voxels, or all of them."""
    depth = len(mask)
    held = [int(mask[(depth - count) // 2 : (depth + count) // 2].sum()) for count in range(depth + 1)]
    return [next((count for count, voxels in enumerate(held) if voxels >= size), depth) for size in sizes]


def simulate_timed(
    phantom_path: str, schedule_path: str, snr: str, seed: str, first: str, last: str, path: str
) -> None:
    """Simulate slices as the command does, and say how long that takes once all is compiled.

    Parameters
    ----------
    phantom_path, schedule_path, snr, seed, first, last, path : str
        As a command has them.
    """
    give_back_freed_memory()
    phantom, schedule = read_phantom(phantom_path), read_schedule(schedule_path)
    settings = settings_from(SimulateSettings, snr=float(snr), seed=int(seed), slices=(int(first), int(last)))
    simulate(synthetic_phantom((1, 24, 20)), schedule, snr=float(snr))
    print(memory_said(_operation("simulate"), Path(path), {"phantom": phantom, "schedule": schedule}, settings))
    begun = _times()
    stack = simulate_to(path, phantom, schedule, settings)
    print(f"{int(stack.mask.sum()):,} voxels inside the mask, {_since(begun)}")


def map_timed(stack_path: str, case: str, folder: str) -> None:
    """Map a stack as the command does, and say how long that takes once all is prepared, and compiled.

    Parameters
    ----------
    stack_path : str
    case : str
        Of `napari_blochnet.benchmarks.mapping_speed.CASES`.
    folder : str
        Where the maps go.
    """
    give_back_freed_memory()
    stack, settings = read_fingerprints(stack_path), settings_from(ReconstructSettings, **CASES[case])
    few = np.zeros_like(stack.mask)
    few.reshape(-1)[np.flatnonzero(stack.mask)[:100]] = True
    reconstruct(stack, mask=few, settings=settings)
    print(memory_said(_operation("reconstruct"), Path(folder), {"stack": stack}, settings))
    begun: list[tuple[float, float]] = []

    def started(_done: int, _total: int, message: str = "", /) -> None:
        if message.startswith("mapping with"):
            begun.append(_times())

    maps = reconstruct_to(folder, stack, settings=settings, progress=started)
    print(f"{maps.record['voxels']:,} voxels mapped, {_since(begun[0])}")


def _operation(name: str) -> Operation:
    return next(operation for operation in OPERATIONS if operation.name == name)


def _times() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(begun: tuple[float, float]) -> str:
    wall, processor = (now - then for now, then in zip(_times(), begun, strict=True))
    return f"in {wall:.3f} s, {processor:.3f} s of processors, without preparation."


@contextmanager
def working_folder(folder: str | None) -> Iterator[Path]:
    """Give a new folder to work in, inside another or where temporary files are; it goes at the end."""
    with tempfile.TemporaryDirectory(prefix="blochnet-benchmark-", dir=folder) as place:
        yield Path(place)


def format_volumes(rows: Sequence[VolumeRow]) -> str:
    """Return a Markdown table."""
    from napari_blochnet.benchmarks.measuring import markdown_table

    def whole(value: float | None) -> str:
        return "" if value is None else f"{value:.0f}"

    has_processors = any(row.processor_microseconds is not None for row in rows)
    more = ("CPU µs/voxel",) if has_processors else ()
    return markdown_table(
        ("step", "slices", "voxels", "s", "µs/voxel", *more, "peak MiB", "stated MiB"),
        [
            (row.step, str(row.slices), f"{row.voxels:,}", f"{row.seconds:.1f}", f"{row.microseconds:.1f}",
             *(whole(row.processor_microseconds) for _ in more), whole(row.peak_mib), whole(row.stated_mib))
            for row in rows
        ],
    )  # fmt: skip
