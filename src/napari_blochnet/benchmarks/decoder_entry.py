"""Benchmarks: what is claimed of speed and memory, measured here and now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.jobs.settings import Settings, quantity, settings_from

if TYPE_CHECKING:
    from napari_blochnet.benchmarks.decoder_speed import BenchmarkRow

__all__ = ["DecoderBenchmarkSettings", "benchmark_decoder"]


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


def benchmark_decoder(
    settings: DecoderBenchmarkSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> Sequence[BenchmarkRow]:
    """Time the decoder; see `napari_blochnet.benchmarks.decoder_speed.benchmark_decoder`.

    Parameters
    ----------
    settings : DecoderBenchmarkSettings, optional
    **fields
        Fields of `DecoderBenchmarkSettings`.

    Returns
    -------
    sequence of BenchmarkRow
    """
    from napari_blochnet.benchmarks.decoder_speed import benchmark_decoder as run

    given = settings_from(DecoderBenchmarkSettings, settings, **fields)
    return run(**given.model_dump(), progress=progress, cancelled=cancelled)
