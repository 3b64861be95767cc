"""The pieces of the experiments over draws as tasks for any engine, each kept where the experiment looks for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import Watch
from napari_blochnet.engines.engine import Engine
from napari_blochnet.engines.one_task import Task
from napari_blochnet.jobs.operations.devices import resolve_device
from napari_blochnet.jobs.settings_training import ExperimentSettings
from napari_blochnet.studies.draws import ADAPTED, Draws, model_names, read_test_sets
from napari_blochnet.studies.pieces import Study

__all__ = ["make_draw", "make_draws"]


def make_draws(experiment: str, study: Study, given: ExperimentSettings, engine: Engine) -> None:
    """Let an engine make all models of all draws that are missing: networks first, then what is adapted from them.

    Parameters
    ----------
    experiment : {"table2", "table3", "figure6"}
    study : Study
    given : ExperimentSettings
    engine : Engine

    Raises
    ------
    InputError
        A piece that could not be made; those that could are kept.
    """
    models, sets = model_names(given.models), read_test_sets(study.data)
    draws = Draws(experiment, study, given, sets)
    pieces = [(model, draw) for draw in range(1, given.draws + 1) for model in models if draw <= draws.count(model)]
    # a network that only an adapted one needs
    needed = [(model.removesuffix(ADAPTED), draw) for model, draw in pieces if model.endswith(ADAPTED)]
    first = dict.fromkeys([*(piece for piece in pieces if not piece[0].endswith(ADAPTED)), *needed])
    for phase in (list(first), [piece for piece in pieces if piece not in first]):
        _make(experiment, study, given, engine, [piece for piece in phase if not draws.is_made(*piece)])


def _make(
    experiment: str, study: Study, given: ExperimentSettings, engine: Engine, pieces: Sequence[tuple[str, int]]
) -> None:
    root = study.folder.absolute()
    root.mkdir(parents=True, exist_ok=True)
    known: dict[str, Any] = {name: getattr(given, name) for name in ExperimentSettings.model_fields}
    tasks: list[Task] = [
        {"experiment": experiment, "folder": str(root), "settings": known, "model": model, "draw": draw,
         "data": None if study.data is None else str(study.data.absolute())}
        for model, draw in pieces
    ]  # fmt: skip
    failed: list[str] = []
    home = f"{make_draw.__module__}:{make_draw.__name__}"
    study.watch.report(0, len(tasks), "training and testing models")
    for done, (number, outcome) in enumerate(
        engine.run(home, tasks, study.watch, needs={"folders": [str(root)]}), start=1
    ):
        study.watch.report(done, len(tasks), "training and testing models")
        model, draw = pieces[number]
        if outcome.failure:
            failed.append(f"draw {draw}, {model}: {outcome.failure}")
        elif study.say is not None:
            study.say(outcome.result["said"])
    if failed:
        raise InputError(f"{len(failed)} of {len(tasks)} pieces failed; the others are kept. {failed[0]}")


def make_draw(task: Task, device: str, watch: Watch) -> dict[str, Any]:
    """Train and test one model of one draw, for `napari_blochnet.engines.one_task.do_task`."""
    said: list[str] = []
    data = None if task["data"] is None else Path(task["data"])
    study = Study(task["experiment"], Path(task["folder"]), data, resolve_device(device), watch, said.append)
    draws = Draws(task["experiment"], study, ExperimentSettings(**task["settings"]), read_test_sets(data))
    draws.result(task["model"], task["draw"])
    return {"said": "\n".join(said)}
