"""What ``blochnet benchmark`` measures of speed and memory: the settings of each benchmark, and running it by name."""

from __future__ import annotations

import importlib
from typing import Any, Literal

from pydantic import field_validator

from napari_blochnet.benchmarks.mapping_speed import CASES
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.jobs.operations.devices import resolve_device
from napari_blochnet.jobs.settings import Settings, quantity, settings_from

__all__ = [
    "BENCHMARKS",
    "DecoderBenchmarkSettings",
    "MappingBenchmarkSettings",
    "MatchingBenchmarkSettings",
    "RestartsBenchmarkSettings",
    "StudiesBenchmarkSettings",
    "TrainingBenchmarkSettings",
    "VolumesBenchmarkSettings",
    "run_benchmark",
]


class DecoderBenchmarkSettings(Settings):
    """The decoder against plain PyTorch and, where it is installed, blochsim."""

    fingerprints: int = quantity(
        1000, "Fingerprints", "How many tissues, T1 100 to 5000 ms and T2 10 to 2000 ms.", "", ge=1, le=1_000_000
    )
    repeats: int = quantity(15, "Repeats", "Runs of each method, in turns; the median is shown.", "", ge=1, le=1000)
    states: tuple[int, int] = quantity((20, 64), "States", "Fixed numbers of EPG states to compare at.")
    peers: bool = quantity(True, "Peers", "Whether to run plain PyTorch and blochsim as well.")
    threads: int | None = quantity(None, "Threads", "CPU threads of the decoder; none: all.", "", ge=1, le=1024)
    seed: int = quantity(0, "Seed", "Of the tissues.", "", ge=0)


class MatchingBenchmarkSettings(Settings):
    """Dictionary matching beside plain searches."""

    voxels: int = quantity(10_000, "Voxels", "Fingerprints to match.", "voxels", ge=1, le=1_000_000)
    step: float = quantity(0.05, "Step", "Relative step of the dictionary; 0.05 makes 12,462 atoms.", ge=0.01, le=1)
    noise: float = quantity(
        0.05, "Noise", "Standard deviation in each channel over the root mean square of the fingerprint.", ge=0, le=10
    )
    repeats: int = quantity(15, "Repeats", "Runs of each search, in turns; the median is shown.", ge=1, le=1000)
    threads: int | None = quantity(None, "Threads", "CPU threads of our search; none: all.", ge=1, le=1024)
    seed: int = quantity(0, "Seed", "Of tissues and noise.", ge=0)


def _known_cases(names: str) -> str:
    if not all(name.strip() in CASES for name in names.split(",")):
        raise ValueError(f"expected some of {', '.join(CASES)}, separated by commas")
    return names


class MappingBenchmarkSettings(Settings):
    """Mapping by each estimator."""

    voxels: tuple[int, int] = quantity((10_000, 100_000), "Voxels", "Two sizes of stack.", "voxels")
    estimators: str = quantity(",".join(CASES), "Estimators", f"Some of {', '.join(CASES)}, separated by commas.")
    snr: float = quantity(20.0, "SNR", "Of the stacks.", gt=0, le=1e9)
    repeats: int = quantity(3, "Repeats", "Runs of each, in turns; the median is shown.", ge=1, le=1000)
    seed: int = quantity(0, "Seed", "Of tissues and noise.", ge=0)

    @field_validator("voxels")
    @classmethod
    def _sizes(cls, voxels: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= min(voxels) <= max(voxels) <= 1_000_000:
            raise ValueError("expected 1 to 1,000,000 voxels")
        return voxels

    _cases = field_validator("estimators")(_known_cases)


class TrainingBenchmarkSettings(Settings):
    """One epoch of BlochNet, and the quick preset."""

    repeats: int = quantity(3, "Repeats", "Epochs of BlochNet, each from nothing.", ge=1, le=100)
    quick: bool = quantity(True, "Quick", "Train the quick preset too, which takes longest, and score it.")


_FOLDER: str | None = quantity(None, "Folder", "Where to work, on a disk with room; none: where temporary files are.")


class VolumesBenchmarkSettings(Settings):
    """A head larger than the memory, simulated into a store and mapped, as commands."""

    shape: tuple[int, int, int] = quantity((160, 192, 160), "Shape", "Voxels along (z, y, x).", "voxels")
    estimators: str = quantity(",".join(CASES), "Estimators", f"Some of {', '.join(CASES)}, separated by commas.")
    half: bool = quantity(True, "Half", "Do half of the slices first, beside which the whole is read.")
    sizes: str = quantity(
        "",
        "Sizes",
        "Numbers of voxels, separated by commas: as many middle slices as hold them, in place of half and all, "
        "timed without start and preparation. 10000,100000,1000000: how time and memory depend on the size.",
    )
    ending: Literal["zarr", "nii", "h5"] = quantity("zarr", "Ending", "Of the stack's file: its format.")
    snr: float = quantity(30.0, "SNR", "Of the stack.", gt=0, le=1e9)
    seed: int = quantity(0, "Seed", "Of the noise.", ge=0)
    folder: str | None = _FOLDER

    _cases = field_validator("estimators")(_known_cases)

    @field_validator("sizes")
    @classmethod
    def _numbers(cls, sizes: str) -> str:
        if sizes and not all(size.strip().isdecimal() and int(size) for size in sizes.split(",")):
            raise ValueError("expected numbers of voxels, separated by commas, such as 10000,100000")
        return sizes


class RestartsBenchmarkSettings(Settings):
    """A simulation and a mapping that are killed at random moments and started again."""

    kills: int = quantity(20, "Kills", "Of each.", ge=1, le=1000)
    shape: tuple[int, int, int] = quantity((24, 64, 54), "Shape", "Voxels along (z, y, x).", "voxels")
    estimator: str = quantity("universal", "Estimator", "What maps.")
    ending: Literal["zarr", "nii", "h5"] = quantity("zarr", "Ending", "Of the stack's file: its format.")
    snr: float = quantity(30.0, "SNR", "Of the stack.", gt=0, le=1e9)
    seed: int = quantity(0, "Seed", "Of the moments.", ge=0)
    folder: str | None = _FOLDER


class StudiesBenchmarkSettings(Settings):
    """A study of single slices, by each engine."""

    stacks: int = quantity(12, "Stacks", "Of one slice each.", ge=1, le=1000)
    estimator: str = quantity("universal", "Estimator", "What maps.")
    refine: bool = quantity(True, "Refine", "Fit each voxel by the physics, from the estimator's answer.")
    workers: int = quantity(2, "Workers", "Beside one, each with one thread.", ge=2, le=64)
    repeats: int = quantity(3, "Repeats", "Runs of each way, in turns; the median is shown.", ge=1, le=100)
    cluster: bool = quantity(True, "Cluster", "Start a dask scheduler and its workers, too, and kill one of them.")
    folder: str | None = _FOLDER


#: The settings of each benchmark; it is the function ``benchmark_NAME`` of the module ``NAME_speed``.
BENCHMARKS: dict[str, type[Settings]] = {
    "decoder": DecoderBenchmarkSettings,
    "matching": MatchingBenchmarkSettings,
    "mapping": MappingBenchmarkSettings,
    "restarts": RestartsBenchmarkSettings,
    "studies": StudiesBenchmarkSettings,
    "training": TrainingBenchmarkSettings,
    "volumes": VolumesBenchmarkSettings,
}
_ON_A_DEVICE = ("mapping", "training")


def run_benchmark(
    name: str,
    settings: Settings | None = None,
    *,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> Any:
    """Run a benchmark.

    Parameters
    ----------
    name : {"decoder", "matching", "mapping", "restarts", "studies", "training", "volumes"}
    settings : Settings, optional
        Of `BENCHMARKS`.
    device : str
        For mapping and training: "auto", "cpu" or a GPU such as "cuda:0".
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.
    **fields
        Fields of its settings.

    Returns
    -------
    object
        What the benchmark's own function returns.
    """
    given = settings_from(BENCHMARKS[name], settings, **fields).model_dump()
    run = getattr(importlib.import_module(f"napari_blochnet.benchmarks.{name}_speed"), f"benchmark_{name}")
    where = {"device": resolve_device(device)} if name in _ON_A_DEVICE else {}
    return run(**given, **where, watch=Watch(progress, cancelled))
