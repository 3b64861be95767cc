"""Benchmarks on the command line: ``blochnet benchmark decoder | gui | mapping | matching | training``."""

from __future__ import annotations

from dataclasses import asdict
from pkgutil import resolve_name
from typing import Any, NamedTuple

import click

from napari_blochnet.benchmarks.decoder_entry import DecoderBenchmarkSettings
from napari_blochnet.benchmarks.estimator_entries import (
    MappingBenchmarkSettings,
    MatchingBenchmarkSettings,
    TrainingBenchmarkSettings,
)
from napari_blochnet.benchmarks.window_smoothness import GuiBenchmarkSettings
from napari_blochnet.cli.options import given_settings, settings_options
from napari_blochnet.cli.shape import Answer, Console, command, device
from napari_blochnet.jobs.settings import Settings

__all__ = ["benchmark"]


class _Benchmark(NamedTuple):
    """Settings, what measures and what writes the result as text, both below ``benchmarks``, and the help.

    ``rows``: what a result of several rows is called in JSON.
    """

    settings: type[Settings]
    measure: str
    text: str
    help: str
    rows: str = ""
    on_device: bool = False


_BENCHMARKS = {
    "decoder": _Benchmark(
        DecoderBenchmarkSettings, "decoder_entry:benchmark_decoder", "decoder_speed:format_rows",
        "Time the decoder against plain PyTorch and, where it is installed, blochsim.", "rows",
    ),
    "gui": _Benchmark(
        GuiBenchmarkSettings, "window_smoothness:benchmark_gui", "window_smoothness:format_figures",
        "Measure the napari window while jobs run; needs a display (xvfb-run will do) and half an hour.", "figures",
    ),
    "mapping": _Benchmark(
        MappingBenchmarkSettings, "estimator_entries:benchmark_mapping", "mapping_speed:format_mapping",
        "Time mapping by dictionary, fc, universal and refined, with their memory.", "rows", on_device=True,
    ),
    "matching": _Benchmark(
        MatchingBenchmarkSettings, "estimator_entries:benchmark_matching", "matching_speed:MatchingBenchmark.to_text",
        "Time dictionary matching beside plain searches, with its errors and its memory.",
    ),
    "training": _Benchmark(
        TrainingBenchmarkSettings, "estimator_entries:benchmark_training", "training_speed:TrainingBenchmark.to_text",
        "Time one epoch of BlochNet at its published size, and the quick preset with its scores.", on_device=True,
    ),
}  # fmt: skip


@click.group()
def benchmark() -> None:
    """Measure speed and memory on this machine."""


def _command(name: str, what: _Benchmark) -> click.Command:
    @command(settings_options(what.settings), *([device("cpu")] if what.on_device else []), name=name, help=what.help)
    def run(console: Console, **options: Any) -> Answer:
        measure, text = (resolve_name(f"napari_blochnet.benchmarks.{place}") for place in (what.measure, what.text))
        result = measure(progress=console.progress, **given_settings(what.settings, options), **options)
        return text(result), {what.rows: [asdict(row) for row in result]} if what.rows else asdict(result)

    return run


for _name, _what in _BENCHMARKS.items():
    benchmark.add_command(_command(_name, _what))
