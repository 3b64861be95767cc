"""The command ``blochnet experiment``: the paper's tables, and what goes beyond them."""

from __future__ import annotations

from typing import Any

import click

from napari_blochnet.cli.setting_options import given_settings, settings_options
from napari_blochnet.cli.shape import DEVICE, PATH, Answer, Console, command, output
from napari_blochnet.jobs.settings import Settings
from napari_blochnet.studies.study_runs import STUDIES, run_study

__all__ = ["experiment"]


@click.group()
def experiment() -> None:
    """Run an experiment: the paper's tables, or one of what goes beyond them.

    Every piece that is finished is kept in OUTPUT; the same command goes on with what is missing.
    """


def _command(study: str, settings: type[Settings], words: str) -> click.Command:
    data = click.option("--data", type=PATH, help="Folder of data sets: brainweb/, anatomical/, …")
    folder = output("Folder for tables, figures.")

    @command(data, settings_options(settings), folder, DEVICE, name=study, help=words)
    def run(console: Console, output: Any, **options: Any) -> Answer:
        fields = given_settings(settings, options)
        result = run_study(study, output, progress=console.progress, say=console.say, **fields, **options)
        return result.text, {"files": [str(path) for path in result.files], "table": result.rows}

    return run


for _name, (_settings, _, _words) in STUDIES.items():
    experiment.add_command(_command(_name, _settings, _words))
