"""Volumes larger than the memory: how long simulation and mapping take, and how much memory, as commands."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from napari_blochnet.benchmarks.mapping_speed import CASES
from napari_blochnet.benchmarks.watched_commands import run_command
from napari_blochnet.common.progress import UNWATCHED, Watch

__all__ = ["VolumeRow", "benchmark_volumes", "format_volumes", "working_folder"]

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
        For each voxel.
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
    snr: float = 30.0,
    seed: int = 0,
    folder: str | None = None,
    watch: Watch = UNWATCHED,
) -> list[VolumeRow]:
    """Time the built-in head under FISP, 1000 samples: simulated into a Zarr store, and mapped from that.

    Parameters
    ----------
    shape : tuple of int
        Voxels (z, y, x).
    estimators : str
        Of those of the benchmark of mapping, separated by commas.
    half : bool
        Whether half of the slices are done first: time for a voxel, and memory, do not depend on how many there are.
    snr : float
    seed : int
    folder : str, optional
        Where to work, on a disk with room: some 8 KB for each voxel inside the mask. None: where temporary files are.
    watch : Watch
        Told, and looked at, between commands.
    """
    names = [name.strip() for name in estimators.split(",")]
    cuts = [shape[0] // 2, shape[0]] if half and shape[0] > 1 else [shape[0]]
    steps = 2 + len(cuts) * (1 + len(names))
    rows: list[VolumeRow] = []

    def run(step: str, slices: int, *words: object) -> None:
        watch.report(len(rows), steps, f"{step}, {slices} slices")
        found = run_command(words, watch)
        voxels = int(_VOXELS.search(found.text)[1].replace(",", "")) if _VOXELS.search(found.text) else 0  # type: ignore[index]
        rows.append(VolumeRow(step, slices, voxels, found.seconds, 1e6 * found.seconds / max(1, voxels),
                              found.peak_mib, found.stated_mib))  # fmt: skip

    with working_folder(folder) as place:
        run("phantom", shape[0], "phantom", "--synthetic", "--shape", *shape, "-o", place / "head")
        run_command(["schedule", "fisp", "-o", place / "fisp.csv"], watch)
        for slices in cuts:
            # from the middle, where a slice holds what others do
            first = (shape[0] - slices) // 2
            stack = place / f"stack-{slices}.zarr"
            run("simulate", slices, "simulate", "--phantom", place / "head", "--schedule", place / "fisp.csv", "--snr",
                snr, "--seed", seed, "--slices", first, first + slices, "-o", stack)  # fmt: skip
            for name in names:
                refine = ["--refine"] if CASES[name].get("refine") else []
                run(name, slices, "reconstruct", stack, "--estimator", CASES[name]["estimator"], *refine, "-o",
                    place / f"{name}-{slices}")  # fmt: skip
    watch.report(steps, steps, "done")
    return rows


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
