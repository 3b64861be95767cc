"""Benchmarks on the command line: ``blochnet benchmark decoder | gui | matching | mapping | training``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from napari_blochnet.benchmarks.benchmark_runs import BENCHMARKS, run_benchmark
from napari_blochnet.benchmarks.window_smoothness import GuiBenchmarkSettings
from napari_blochnet.cli.options import Console, given_settings, sentences, settings_options

__all__ = ["COMMANDS"]

_console = click.make_pass_decorator(Console)
_device = click.option("--device", default="cpu", show_default=True, help="auto, cpu, or a GPU such as cuda:0.")


@click.command()
@settings_options(BENCHMARKS["decoder"])
@_console
@sentences
def decoder(console: Console, **options: Any) -> None:
    """Time the decoder against plain PyTorch and, where it is installed, blochsim."""
    from napari_blochnet.benchmarks.decoder_speed import format_rows

    with console.progress() as progress:
        rows = run_benchmark("decoder", progress=progress, **given_settings(BENCHMARKS["decoder"], options))
    console.say(format_rows(rows))
    console.result(rows=[asdict(row) for row in rows])


@click.command()
@settings_options(BENCHMARKS["matching"])
@_console
@sentences
def matching(console: Console, **options: Any) -> None:
    """Time dictionary matching beside plain searches, with its errors and its memory."""
    with console.progress() as progress:
        result = run_benchmark("matching", progress=progress, **given_settings(BENCHMARKS["matching"], options))
    console.say(result.to_text())
    console.result(**asdict(result))


@click.command()
@settings_options(BENCHMARKS["mapping"])
@_device
@_console
@sentences
def mapping(console: Console, device: str, **options: Any) -> None:
    """Time mapping by dictionary, fc, universal and refined, with their memory."""
    from napari_blochnet.benchmarks.mapping_speed import format_mapping

    with console.progress() as progress:
        rows = run_benchmark(
            "mapping", device=device, progress=progress, **given_settings(BENCHMARKS["mapping"], options)
        )
    console.say(format_mapping(rows))
    console.result(rows=[asdict(row) for row in rows])


@click.command()
@settings_options(BENCHMARKS["training"])
@_device
@_console
@sentences
def training(console: Console, device: str, **options: Any) -> None:
    """Time one epoch of BlochNet at its published size, and the quick preset with its scores."""
    with console.progress() as progress:
        result = run_benchmark("training", device=device, progress=progress,
                                    **given_settings(BENCHMARKS["training"], options))  # fmt: skip
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


COMMANDS = (decoder, gui, matching, mapping, training)
