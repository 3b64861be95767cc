"""How long mapping takes, and how much memory, for each estimator, through the same function as every mapping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["CASES", "MappingRow", "benchmark_mapping", "format_mapping"]

#: What is measured: a name, and the settings of `reconstruct`.
CASES: dict[str, dict[str, Any]] = {
    "dictionary": {"estimator": "dictionary"},
    "fc": {"estimator": "fc"},
    "universal": {"estimator": "universal"},
    "refined": {"estimator": "universal", "refine": True},
}
_SLICE = (100, 100)


@dataclass(frozen=True)
class MappingRow:
    """One estimator at one size.

    Attributes
    ----------
    estimator : str
    voxels : int
    seconds, cpu_seconds : float
        Wall and processor time, medians over repeats; with PD and residual, without what is prepared once for a
        schedule.
    microseconds : float
        Wall time for each voxel.
    repeats : int
    peak_mib : float or None
        Most memory beyond the stack, the maps included; None where the system does not tell.
    t1_error, t2_error : float
        Mean of |estimate/truth − 1|.
    """

    estimator: str
    voxels: int
    seconds: float
    cpu_seconds: float
    microseconds: float
    repeats: int
    peak_mib: float | None
    t1_error: float
    t2_error: float


def benchmark_mapping(
    voxels: Sequence[int] = (10_000, 100_000),
    estimators: str = ",".join(CASES),
    *,
    snr: float = 20.0,
    repeats: int = 3,
    seed: int = 0,
    device: str = "cpu",
    watch: Watch = UNWATCHED,
) -> list[MappingRow]:
    """Time `reconstruct` on complex stacks of the FISP schedule, 1000 samples.

    Parameters
    ----------
    voxels : sequence of int
        Sizes, rounded up to whole slices of 10,000 voxels above that. T1 300–4000 ms, T2 20–400 ms, log-uniform,
        T2 ≤ T1.
    estimators : str
        Of `CASES`, separated by commas.
    snr : float
    repeats : int
        In turns, after a run that also prepares and in which the memory is looked at.
    seed : int
    device : str
        "cpu" or a GPU such as "cuda:0".
    watch : Watch
        Told, and looked at, at every batch.
    """
    from napari_blochnet.benchmarks.measuring import peak_growth, timed
    from napari_blochnet.jobs.operations.reconstruct import reconstruct

    rows = []
    names = [name.strip() for name in estimators.split(",")]
    for size in voxels:
        truth, stack = _stack(size, snr, seed, watch)
        calls, first = [], {}
        for name in names:
            watch.check("the benchmark")
            run = partial(reconstruct, stack, device=device, cancelled=watch.cancelled, **CASES[name])
            # the dictionary is kept from here on; what is measured is mapping
            reconstruct(stack[:1], device=device, progress=watch.progress, cancelled=watch.cancelled, **CASES[name])
            watch.report(0, 1, f"{name}, {size:,} voxels, memory")
            first[name] = peak_growth(run)
            calls.append((f"{name}, {size:,} voxels", run, repeats))
        times = timed(calls, watch=watch)
        for name, timing in zip(names, times, strict=True):
            maps, peak = first[name]
            inside = truth.mask
            assert maps.t1 is not None
            assert maps.t2 is not None
            mapped = int(inside.sum())
            rows.append(
                MappingRow(
                    name,
                    mapped,
                    timing.milliseconds / 1e3,
                    timing.cpu_milliseconds / 1e3,
                    1e3 * timing.milliseconds / mapped,
                    timing.repeats,
                    peak,
                    float(np.mean(np.abs(maps.t1[inside] / truth.t1[inside] - 1.0))),
                    float(np.mean(np.abs(maps.t2[inside] / truth.t2[inside] - 1.0))),
                )
            )
    return rows


def _stack(voxels: int, snr: float, seed: int, watch: Watch) -> tuple[Phantom, FingerprintStack]:
    from napari_blochnet.jobs.operations.simulate import simulate
    from napari_blochnet.schedules.generators import fisp_schedule

    plane = _SLICE[0] * _SLICE[1]
    shape = (1, 1, voxels) if voxels < plane else (-(-voxels // plane), *_SLICE)
    rng = np.random.default_rng(seed)
    t2 = np.exp(rng.uniform(np.log(20.0), np.log(400.0), shape))
    t1 = np.exp(rng.uniform(np.log(np.maximum(300.0, t2)), np.log(4000.0)))
    truth = Phantom(t1, t2, np.ones(shape))
    stack = simulate(truth, fisp_schedule(), snr=snr, seed=seed, progress=watch.progress, cancelled=watch.cancelled)
    return truth, stack


def format_mapping(rows: Sequence[MappingRow]) -> str:
    """Return a Markdown table."""
    from napari_blochnet.benchmarks.measuring import markdown_table

    head = ("estimator", "voxels", "s", "CPU s", "µs/voxel", "peak MiB", "T1 error / %", "T2 error / %")
    return markdown_table(
        head,
        [
            (
                row.estimator,
                f"{row.voxels:,}",
                f"{row.seconds:.2f}",
                f"{row.cpu_seconds:.2f}",
                f"{row.microseconds:.1f}",
                "" if row.peak_mib is None else f"{row.peak_mib:.0f}",
                f"{100 * row.t1_error:.2f}",
                f"{100 * row.t2_error:.2f}",
            )
            for row in rows
        ],
    )
