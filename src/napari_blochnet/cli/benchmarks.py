"""Benchmarks of the estimators on the command line: ``blochnet benchmark matching | mapping | training``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from napari_blochnet.benchmarks.estimator_entries import (
    MappingBenchmarkSettings,
    MatchingBenchmarkSettings,
    TrainingBenchmarkSettings,
)
from napari_blochnet.benchmarks.window_smoothness import GuiBenchmarkSettings
from napari_blochnet.cli.options import Console, given_settings, sentences, settings_options

__all__ = ["COMMANDS"]

_console = click.make_pass_decorator(Console)
_device = click.option("--device", default="cpu", show_default=True, help="auto, cpu, or a GPU such as cuda:0.")


@click.command()
@settings_options(MatchingBenchmarkSettings)
@_console
@sentences
def matching(console: Console, **options: Any) -> None:
    """Time dictionary matching beside plain searches, with its errors and its memory."""
    from napari_blochnet.benchmarks.estimator_entries import benchmark_matching

    with console.progress() as progress:
        result = benchmark_matching(progress=progress, **given_settings(MatchingBenchmarkSettings, options))
    console.say(result.to_text())
    console.result(**asdict(result))


@click.command()
@settings_options(MappingBenchmarkSettings)
@_device
@_console
@sentences
def mapping(console: Console, device: str, **options: Any) -> None:
    """Time mapping by dictionary, fc, universal and refined, with their memory."""
    from napari_blochnet.benchmarks.estimator_entries import benchmark_mapping
    from napari_blochnet.benchmarks.mapping_speed import format_mapping

    with console.progress() as progress:
        rows = benchmark_mapping(device=device, progress=progress, **given_settings(MappingBenchmarkSettings, options))
    console.say(format_mapping(rows))
    console.result(rows=[asdict(row) for row in rows])


@click.command()
@settings_options(TrainingBenchmarkSettings)
@_device
@_console
@sentences
def training(console: Console, device: str, **options: Any) -> None:
    """Time one epoch of BlochNet at its published size, and the quick preset with its scores."""
    from napari_blochnet.benchmarks.estimator_entries import benchmark_training

    with console.progress() as progress:
        result = benchmark_training(device=device, progress=progress,
                                    **given_settings(TrainingBenchmarkSettings, options))  # fmt: skip
    console.say(result.to_text())
    console.result(**asdict(result))


@click.command()
@settings_options(GuiBenchmarkSettings)
@_console
@sentences
def gui(console: Console, **options: Any) -> None:
    """Measure the napari window while jobs run; needs a display (xvfb-run will do) and half an hour."""
    from napari_blochnet.benchmarks.window_smoothness import benchmark_gui, format_figures

    with console.progress() as progress:
        figures = benchmark_gui(progress=progress, **given_settings(GuiBenchmarkSettings, options))
    console.say(format_figures(figures))
    console.result(figures=[asdict(figure) for figure in figures])


COMMANDS = (gui, matching, mapping, training)
