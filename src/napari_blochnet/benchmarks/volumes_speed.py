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
from napari_blochnet.jobs.catalogue import OPERATIONS
from napari_blochnet.jobs.operations.reconstruct import reconstruct
from napari_blochnet.jobs.settings import ReconstructSettings, settings_from
from napari_blochnet.jobs.volumes.stated_memory import memory_said
from napari_blochnet.jobs.volumes.volume_maps import reconstruct_to
from napari_blochnet.phantoms.read import read_phantom

__all__ = ["VolumeRow", "benchmark_volumes", "format_volumes", "map_timed", "working_folder"]

_WORKING = re.compile(r"in ([\d.]+) s without preparation")
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
    """

    step: str
    slices: int
    voxels: int
    seconds: float
    microseconds: float
    peak_mib: float | None
    stated_mib: float | None


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
        seconds = found.seconds if working is None else float(working[1])
        if sizes and step == "simulate":
            # noted part by part
            seconds = float(read_fingerprints(words[-1]).record["seconds"])  # type: ignore[arg-type]
        rows.append(VolumeRow(step, slices, voxels, found.seconds, 1e6 * seconds / max(1, voxels),
                              found.peak_mib, found.stated_mib))  # fmt: skip

    with working_folder(folder) as place:
        run("phantom", shape[0], "phantom", "--synthetic", "--shape", *shape, "-o", place / "head")
        run_command(["schedule", "fisp", "-o", place / "fisp.csv"], watch)
        if sizes:
            cuts = _cuts(read_phantom(place / "head").mask, [int(size) for size in sizes.split(",")])
        for slices in cuts:
            # from the middle, where a slice holds what others do
            first = (shape[0] - slices) // 2
            stack = place / f"stack-{slices}.{ending}"
            run("simulate", slices, "simulate", "--phantom", place / "head", "--schedule", place / "fisp.csv", "--snr",
                snr, "--seed", seed, "--slices", first, first + slices, "-o", stack)  # fmt: skip
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
    (operation,) = (operation for operation in OPERATIONS if operation.name == "reconstruct")
    print(memory_said(operation, Path(folder), {"stack": stack}, settings))
    # what is compiled is read from the disk by the first that is mapped
    few = np.zeros_like(stack.mask)
    few.reshape(-1)[np.flatnonzero(stack.mask)[:100]] = True
    reconstruct(stack, mask=few, settings=settings)
    begun: list[float] = []

    def started(_done: int, _total: int, message: str = "", /) -> None:
        if message.startswith("mapping with"):
            begun.append(time.perf_counter())

    maps = reconstruct_to(folder, stack, settings=settings, progress=started)
    seconds = time.perf_counter() - begun[0]
    print(f"{maps.record['voxels']:,} voxels mapped in {seconds:.3f} s without preparation.")


@contextmanager
def working_folder(folder: str | None) -> Iterator[Path]:
    """Give a new folder to work in, inside another or where temporary files are; it goes at the end."""
    with tempfile.TemporaryDirectory(prefix="blochnet-benchmark-", dir=folder) as place:
        yield Path(place)


def format_volumes(rows: Sequence[VolumeRow]) -> str:
    """Return a Markdown table."""
    from napari_blochnet.benchmarks.measuring import markdown_table

    def mib(value: float | None) -> str:
        return "" if value is None else f"{value:.0f}"

    return markdown_table(
        ("step", "slices", "voxels", "s", "µs/voxel", "peak MiB", "stated MiB"),
        [
            (row.step, str(row.slices), f"{row.voxels:,}", f"{row.seconds:.1f}", f"{row.microseconds:.1f}",
             mib(row.peak_mib), mib(row.stated_mib))
            for row in rows
        ],
    )  # fmt: skip
