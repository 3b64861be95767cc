"""The command ``blochnet experiment``: the paper's tables, and what goes beyond them."""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import click

from napari_blochnet.cli.options import given_settings, settings_options
from napari_blochnet.cli.shape import DEVICE, PATH, Answer, Console, command, output
from napari_blochnet.jobs.settings import Settings
from napari_blochnet.jobs.settings_training import ExperimentSettings
from napari_blochnet.studies.settings_studies import (
    AcquiredSettings,
    BeyondSettings,
    PrecisionSettings,
    SchedulesSettings,
)

__all__ = ["experiment"]

# What runs each experiment, its first arguments, settings, and what people read of it.
_PAPER = "Trained under random splines, tested under FISP."
_EXPERIMENTS: dict[str, tuple[str, tuple[str, ...], type[Settings], str]] = {
    "table2": ("paper:run_experiment", ("table2",), ExperimentSettings, f"The paper's Table 2. {_PAPER}"),
    "table3": ("paper:run_experiment", ("table3",), ExperimentSettings, f"The paper's Table 3. {_PAPER}"),
    "figure6": ("paper:run_experiment", ("figure6",), ExperimentSettings, f"The paper's Figure 6. {_PAPER}"),
    "beyond": ("beyond:run_beyond", (), BeyondSettings,
               "Adapted, universal and refined maps on the paper's test. OUTPUT may be the folder of a table3 run."),
    "schedules": ("every_schedule:run_schedules", (), SchedulesSettings,
                  "Universal and refined maps under every published schedule."),
    "precision": ("noise_limit:run_precision", (), PrecisionSettings,
                  "Refined maps of pure tissues against the Cramér–Rao bound."),
    "acquired": ("acquired:run_acquired", (), AcquiredSettings,
                 "The acquired phantom, refined, against the truth and the site."),
}  # fmt: skip


@click.group()
def experiment() -> None:
    """Run an experiment: the paper's tables, or one of what goes beyond them.

    Every piece that is finished is kept in OUTPUT; the same command goes on with what is missing.
    """


def _command(name: str, function: str, first: tuple[str, ...], settings: type[Settings], words: str) -> click.Command:
    data = click.option("--data", type=PATH, help="Folder of data sets: brainweb/, anatomical/, …")

    @command(data, settings_options(settings), output("Folder for tables, figures."), DEVICE, name=name, help=words)
    def run(console: Console, output: Path, **options: Any) -> Answer:
        work = resolve_name(f"napari_blochnet.studies.{function}")
        fields = given_settings(settings, options)
        result = work(*first, output, progress=console.progress, say=console.say, **fields, **options)
        return result.text, {"files": [str(path) for path in result.files], "table": result.rows}

    return run


for _name, _what in _EXPERIMENTS.items():
    experiment.add_command(_command(_name, *_what))
