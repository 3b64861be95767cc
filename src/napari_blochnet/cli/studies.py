"""The command ``blochnet experiment``: the paper's tables, and what goes beyond them."""

from __future__ import annotations

from typing import Any

import click

from napari_blochnet.cli.running import GOES_ON, quiet_cluster
from napari_blochnet.cli.setting_options import given_settings, settings_options
from napari_blochnet.cli.shape import DEVICE, PATH, Answer, Console, command, output
from napari_blochnet.common.errors import Cancelled
from napari_blochnet.engines.settings_engines import EngineSettings
from napari_blochnet.jobs.settings import Settings
from napari_blochnet.studies.study_runs import STUDIES, run_study

__all__ = ["experiment"]

# Experiments whose pieces are models of draws, which an engine makes side by side.
_OF_DRAWS = ("table2", "table3", "figure6", "beyond", "weights")


@click.group()
def experiment() -> None:
    """Run an experiment: the paper's tables, or one of what goes beyond them.

    Every piece that is finished is kept in OUTPUT; the same command goes on with what is missing.
    """


def _command(study: str, settings: type[Settings], words: str) -> click.Command:
    data = click.option("--data", type=PATH, help="Folder of data sets: brainweb/, anatomical/, …")
    folder = output("Folder for tables, figures.")

    # of the others there is no more than one piece at a time
    engine = settings_options(EngineSettings, leave_out=() if study in _OF_DRAWS else (*EngineSettings.model_fields,))

    @command(data, settings_options(settings), engine, folder, DEVICE, name=study, help=words)
    def run(console: Console, output: Any, **options: Any) -> Answer:
        quiet_cluster()
        fields = given_settings(settings, options) | given_settings(EngineSettings, options)
        try:
            result = run_study(study, output, progress=console.progress, say=console.say, **fields, **options)
        except (KeyboardInterrupt, Cancelled):
            raise Cancelled(kept=GOES_ON) from None
        return result.text, {"files": [str(path) for path in result.files], "table": result.rows}

    return run


for _name, (_settings, _, _words) in STUDIES.items():
    experiment.add_command(_command(_name, _settings, _words))
