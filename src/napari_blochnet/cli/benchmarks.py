"""Benchmarks on the command line: ``blochnet benchmark NAME``."""

from __future__ import annotations

from dataclasses import asdict
from pkgutil import resolve_name
from typing import Any

import click

from napari_blochnet.benchmarks.benchmark_runs import BENCHMARKS, run_benchmark
from napari_blochnet.benchmarks.window_smoothness import GuiBenchmarkSettings
from napari_blochnet.cli.setting_options import given_settings, settings_options
from napari_blochnet.cli.shape import Answer, Console, command, device

__all__ = ["benchmark"]

# Of each benchmark, what writes its result as text, and the help.
_BENCHMARKS = {
    "decoder": (
        "decoder_speed:format_rows",
        "Time the decoder against plain PyTorch and, where it is installed, blochsim.",
    ),
    "mapping": (
        "mapping_speed:format_mapping",
        "Time mapping by dictionary, fc, universal and refined, with their memory.",
    ),
    "matching": (
        "matching_speed:MatchingBenchmark.to_text",
        "Time dictionary matching beside plain searches, with its errors and its memory.",
    ),
    "restarts": (
        "restarts_speed:format_restarts",
        "Kill a simulation and a mapping at random moments, start them again, and look at what comes out.",
    ),
    "studies": (
        "studies_speed:format_studies",
        "Time a study by the plain loop, by one worker, by several, and by a cluster one of whose workers is killed.",
    ),
    "training": (
        "training_speed:TrainingBenchmark.to_text",
        "Time one epoch of BlochNet at its published size, and the quick preset with its scores.",
    ),
    "volumes": (
        "volumes_speed:format_volumes",
        "Time a head larger than the memory, simulated into a store and mapped, with the memory that it takes.",
    ),
}


@click.group()
def benchmark() -> None:
    """Measure speed and memory on this machine."""


def _add(name: str, text: str, words: str) -> None:
    settings = BENCHMARKS[name]
    on_a_device = [device("cpu")] if name in ("mapping", "training") else []

    @command(settings_options(settings), *on_a_device, name=name, help=words)
    def run(console: Console, **options: Any) -> Answer:
        fields = given_settings(settings, options)
        result = run_benchmark(name, progress=console.progress, **fields, **options)
        said = resolve_name(f"napari_blochnet.benchmarks.{text}")(result)
        return said, {"rows": [asdict(row) for row in result]} if isinstance(result, list) else asdict(result)

    benchmark.add_command(run)


for _name, _what in _BENCHMARKS.items():
    _add(_name, *_what)


@command(settings_options(GuiBenchmarkSettings))
def gui(console: Console, **options: Any) -> Answer:
    """Measure the napari window while jobs run; needs a display (xvfb-run will do) and half an hour."""
    from napari_blochnet.benchmarks.window_smoothness import benchmark_gui, format_figures

    figures = benchmark_gui(progress=console.progress, **given_settings(GuiBenchmarkSettings, options))
    return format_figures(figures), {"figures": [asdict(figure) for figure in figures]}


benchmark.add_command(gui)
