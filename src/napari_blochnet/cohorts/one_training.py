"""A network trained by a worker, once: for a study, or because somebody asks for it there."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.engines.engine import open_engine
from napari_blochnet.engines.one_task import Task
from napari_blochnet.engines.settings_engines import EngineSettings
from napari_blochnet.estimators.training.stopped import CHECKPOINT
from napari_blochnet.jobs.history.recipes import absolute_files, run_recipe
from napari_blochnet.jobs.operations.train import train
from napari_blochnet.jobs.records import as_recipe, embed_schedule
from napari_blochnet.jobs.settings_training import TrainSettings
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["make_network", "train_elsewhere"]


def make_network(task: Task, device: str, watch: Watch) -> dict[str, Any]:
    """Train the network that the last step of ``recipe`` makes, into ``file``.

    What is trained is saved beside it about once a minute, and gone on with by whoever is given the task again.
    """
    steps, file = task["recipe"]["steps"], Path(task["file"])
    instead: dict[int, Callable[..., Any]] = {}
    if steps[-1]["operation"] == "train":
        instead[len(steps) - 1] = functools.partial(train, checkpoint=file.with_suffix(CHECKPOINT))
    made = run_recipe(task["recipe"], device=device, progress=watch.progress, cancelled=watch.cancelled,
                      instead=instead)[-1]  # fmt: skip
    made.save(file)
    return {"scores": made.card.get("scores", {}), "seconds": made.card.get("training", {}).get("seconds")}


def train_elsewhere(
    schedules: Sequence[Schedule],
    file: Path,
    settings: TrainSettings,
    engine: EngineSettings,
    *,
    device: str = "auto",
    watch: Watch = UNWATCHED,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Let a worker train a network and write it.

    Parameters
    ----------
    schedules : sequence of Schedule
    file : Path
        Where it is written, in a folder that the worker sees.
    settings : TrainSettings
    engine : EngineSettings
    device : str
        On the worker.
    watch : Watch
    say : callable

    Returns
    -------
    dict
        ``scores`` and ``seconds``, as the model's card has them.

    Raises
    ------
    InputError
        As `napari_blochnet.train`, and where no worker can do it.
    Cancelled
        The same call goes on with it.
    """
    record = {
        "operation": "train",
        "settings": settings.model_dump(mode="json"),
        "inputs": {"schedules": [embed_schedule(schedule) for schedule in schedules]},
    }
    task = {"recipe": absolute_files(as_recipe(record)), "file": str(file.absolute())}
    home = f"{make_network.__module__}:{make_network.__name__}"
    with open_engine(engine, device) as opened:
        say(f"Trains {settings.estimator} by {opened.about}.")
        run = opened.run(home, [task], watch, needs={"folders": [str(file.absolute().parent)]})
        ((_, outcome),) = run
    for note in outcome.notes:
        warnings.warn(note, DataWarning, stacklevel=2)
    if outcome.failure:
        raise InputError(outcome.failure)
    return outcome.result
