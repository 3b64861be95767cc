"""Benchmarks of the estimators: matching, mapping, training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from napari_blochnet.benchmarks.mapping_speed import CASES, MappingRow, run_mapping_benchmark
from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.jobs.operations.devices import resolve_device
from napari_blochnet.jobs.settings import Settings, quantity, settings_from

if TYPE_CHECKING:
    from napari_blochnet.benchmarks.matching_speed import MatchingBenchmark
    from napari_blochnet.benchmarks.training_speed import TrainingBenchmark

__all__ = [
    "MappingBenchmarkSettings",
    "MatchingBenchmarkSettings",
    "TrainingBenchmarkSettings",
    "benchmark_mapping",
    "benchmark_matching",
    "benchmark_training",
]


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

    @field_validator("estimators")
    @classmethod
    def _known(cls, names: str) -> str:
        if not all(name.strip() in CASES for name in names.split(",")):
            raise ValueError(f"expected some of {', '.join(CASES)}, separated by commas")
        return names


class TrainingBenchmarkSettings(Settings):
    """One epoch of BlochNet, and the quick preset."""

    repeats: int = quantity(3, "Repeats", "Epochs of BlochNet, each from nothing.", ge=1, le=100)
    quick: bool = quantity(True, "Quick", "Train the quick preset too, which takes minutes, and score it.")


def benchmark_matching(
    settings: MatchingBenchmarkSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> MatchingBenchmark:
    """Time matching; see `napari_blochnet.benchmarks.matching_speed.benchmark_matching`."""
    from napari_blochnet.benchmarks.matching_speed import benchmark_matching as run

    given = settings_from(MatchingBenchmarkSettings, settings, **fields)
    return run(**given.model_dump(), progress=progress, cancelled=cancelled)


def benchmark_mapping(
    settings: MappingBenchmarkSettings | None = None,
    *,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> list[MappingRow]:
    """Time mapping; see `napari_blochnet.benchmarks.mapping_speed.run_mapping_benchmark`."""
    given = settings_from(MappingBenchmarkSettings, settings, **fields)
    names = [name.strip() for name in given.estimators.split(",")]
    return run_mapping_benchmark(
        given.voxels, names, snr=given.snr, repeats=given.repeats, seed=given.seed, device=resolve_device(device),
        progress=progress, cancelled=cancelled,
    )  # fmt: skip


def benchmark_training(
    settings: TrainingBenchmarkSettings | None = None,
    *,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> TrainingBenchmark:
    """Time trainings; see `napari_blochnet.benchmarks.training_speed.benchmark_training`."""
    from napari_blochnet.benchmarks.training_speed import benchmark_training as run

    given = settings_from(TrainingBenchmarkSettings, settings, **fields)
    return run(**given.model_dump(), device=resolve_device(device), progress=progress, cancelled=cancelled)
