"""The command ``blochnet experiment``: the paper's tables, and what goes beyond them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import click

from napari_blochnet.cli.options import Console, given_settings, sentences, settings_options
from napari_blochnet.jobs.settings import Settings
from napari_blochnet.jobs.settings_training import ExperimentSettings
from napari_blochnet.studies.settings_studies import (
    AcquiredSettings,
    BeyondSettings,
    PrecisionSettings,
    SchedulesSettings,
)

__all__ = ["experiment"]

# Module, function and first arguments, settings, and what people read of each experiment.
_PAPER = "Trained under random splines, tested under FISP."
_EXPERIMENTS: dict[str, tuple[str, str, tuple[str, ...], type[Settings], str]] = {
    "table2": ("paper", "run_experiment", ("table2",), ExperimentSettings, f"The paper's Table 2. {_PAPER}"),
    "table3": ("paper", "run_experiment", ("table3",), ExperimentSettings, f"The paper's Table 3. {_PAPER}"),
    "figure6": ("paper", "run_experiment", ("figure6",), ExperimentSettings, f"The paper's Figure 6. {_PAPER}"),
    "beyond": ("beyond", "run_beyond", (), BeyondSettings,
               "Adapted, universal and refined maps on the paper's test. OUTPUT may be the folder of a table3 run."),
    "schedules": ("every_schedule", "run_schedules", (), SchedulesSettings,
                  "Universal and refined maps under every published schedule."),
    "precision": ("noise_limit", "run_precision", (), PrecisionSettings,
                  "Refined maps of pure tissues against the Cramér–Rao bound."),
    "acquired": ("acquired", "run_acquired", (), AcquiredSettings,
                 "The acquired phantom, refined, against the truth and the site."),
}  # fmt: skip


@click.group()
def experiment() -> None:
    """Run an experiment: the paper's tables, or one of what goes beyond them.

    Every piece that is finished is kept in OUTPUT; the same command goes on with what is missing.
    """


def _command(
    name: str, module: str, function: str, arguments: tuple[str, ...], settings: type[Settings], words: str
) -> None:
    @experiment.command(name, help=words)
    @click.option("--data", type=click.Path(path_type=Path), help="Folder of data sets: brainweb/, anatomical/, …")
    @settings_options(settings)
    @click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for tables, figures.")
    @click.option("--device", default="auto", show_default=True, help="auto, cpu, or a GPU such as cuda:0.")
    @click.make_pass_decorator(Console)
    @sentences
    def run(console: Console, data: Path | None, output: Path, device: str, **options: Any) -> None:
        work = getattr(importlib.import_module(f"napari_blochnet.studies.{module}"), function)
        with console.progress() as progress:
            result = work(*arguments, output, data=data, device=device, progress=progress, say=console.say,
                          **given_settings(settings, options))  # fmt: skip
        console.say(result.text)
        console.result(files=[str(path) for path in result.files], table=result.rows)


for _name, _what in _EXPERIMENTS.items():
    _command(_name, *_what)
