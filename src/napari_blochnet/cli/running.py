"""The command ``blochnet run``: a recipe again, or on other stacks, here or on a cluster."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from napari_blochnet.cli.setting_options import given_settings, settings_options
from napari_blochnet.cli.shape import DEVICE, FILE, OUTPUT, PATH, Answer, Console, command
from napari_blochnet.cohorts.settings_cohorts import CohortSettings
from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.engines.settings_engines import EngineSettings
from napari_blochnet.jobs.settings import settings_from

__all__ = ["GOES_ON", "quiet_cluster", "run"]

#: What is said of many tasks that were stopped.
GOES_ON = "what is finished is kept, and the same command goes on with what is missing."
# Failures named in the last sentence; the page names all.
_NAMED = 5


def quiet_cluster() -> None:
    """Let dask's own log say nothing that a sentence of ours says."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)


@command(
    click.argument("recipe", type=PATH),
    click.argument("stacks", nargs=-1, type=FILE),
    settings_options(CohortSettings),
    settings_options(EngineSettings),
    OUTPUT,
    DEVICE,
)
def run(console: Console, recipe: Path, stacks: tuple[str, ...], output: Path, device: str, **options: Any) -> Answer:
    """Run RECIPE again: a recipe saved from napari, or the JSON beside any result; write into a folder.

    With STACKS (stacks, tables of stacks as CSV, BIDS datasets) what it did to its own stack is done to each of these:
    maps with BIDS names, summary.csv and summary.html. The same command goes on with what is missing.
    """
    quiet_cluster()
    engine = settings_from(EngineSettings, **given_settings(EngineSettings, options))
    fields = given_settings(CohortSettings, options)
    if not stacks:
        named = next(iter(fields), None)
        if named is not None:
            raise InputError(f"{named} is given, and no stack", "stacks after the recipe", field=named)
        return _again(console, recipe, output, engine, device)
    from napari_blochnet.cohorts.many_stacks import run_on_stacks

    try:
        study = run_on_stacks(recipe, stacks, output, workers=engine.workers, scheduler=engine.scheduler,
                              device=device, progress=console.progress, say=console.say, **fields)  # fmt: skip
    except (KeyboardInterrupt, Cancelled):
        raise Cancelled(kept=GOES_ON) from None
    for name, notes in study.notes.items():
        for note in notes:
            click.echo(f"blochnet: note: {name}: {note}", err=True)
    content = {"output": output, "rows": list(study.rows), "failed": study.failed}
    text = f"{study.describe()}\nWritten to {output}: summary.csv, summary.html and a folder for each subject."
    if study.failed:
        console.say(text)
        console.result(**content)
        shown = [f"{name}: {why.rstrip('.')}" for name, why in list(study.failed.items())[:_NAMED]]
        more = f"; and {len(study.failed) - _NAMED} more, in summary.html" if len(study.failed) > _NAMED else ""
        count = len(study.failed)
        raise InputError(f"{count} {'stack' if count == 1 else 'stacks'} failed. {'; '.join(shown)}{more}.")
    return text, content


def _again(console: Console, recipe: Path, output: Path, engine: EngineSettings, device: str) -> Answer:
    from napari_blochnet.jobs.history.recipes import check_results, files_read, read_recipe, run_recipe, write_results

    steps = read_recipe(recipe)
    check_results(steps, output)
    read = files_read(steps)
    console.say(f"Reads {', '.join(read) or 'no files'}; writes into {output}.")
    if engine.workers is None and engine.scheduler is None:
        files = write_results(run_recipe(steps, device=device, progress=console.progress), output)
    else:
        from napari_blochnet.cohorts.many_stacks import run_whole_recipe

        files = run_whole_recipe(steps, output, engine, device=device, progress=console.progress)
    content = {"output": output, "files": list(map(str, files)), "read": read}
    return "Written: " + ", ".join(map(str, files)), content
