"""The command ``blochnet experiment``: the paper's tables, and what goes beyond them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from napari_blochnet.cli.options import Console, given_settings, sentences, settings_options
from napari_blochnet.jobs.settings import Settings
from napari_blochnet.studies.study_runs import STUDIES, run_study

__all__ = ["experiment"]


@click.group()
def experiment() -> None:
    """Run an experiment: the paper's tables, or one of what goes beyond them.

    Every piece that is finished is kept in OUTPUT; the same command goes on with what is missing.
    """


def _command(name: str, settings: type[Settings], words: str) -> None:
    @experiment.command(name, help=words)
    @click.option("--data", type=click.Path(path_type=Path), help="Folder of data sets: brainweb/, anatomical/, …")
    @settings_options(settings)
    @click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for tables, figures.")
    @click.option("--device", default="auto", show_default=True, help="auto, cpu, or a GPU such as cuda:0.")
    @click.make_pass_decorator(Console)
    @sentences
    def run(console: Console, data: Path | None, output: Path, device: str, **options: Any) -> None:
        with console.progress() as progress:
            result = run_study(name, output, data=data, device=device, progress=progress, say=console.say,
                               **given_settings(settings, options))  # fmt: skip
        console.say(result.text)
        console.result(files=[str(path) for path in result.files], table=result.rows)


for _name, (_settings, _, _words) in STUDIES.items():
    _command(_name, _settings, _words)
