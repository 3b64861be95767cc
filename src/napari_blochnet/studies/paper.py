"""The paper's experiments: train under random splines, test under FISP, over several draws; resumable."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_blochnet.common.progress import CancelEvent, ProgressCallback, raise_if_cancelled
from napari_blochnet.jobs.operations.devices import resolve_device
from napari_blochnet.jobs.settings import settings_from
from napari_blochnet.jobs.settings_training import ExperimentSettings
from napari_blochnet.studies.draws import Draws, model_names, read_test_sets
from napari_blochnet.studies.pieces import ExperimentResult, Row, finished

__all__ = ["run_draws", "run_experiment"]

_FIGURE_MODELS = "fc,rnn,hydra,blochnet"


def run_experiment(
    name: str,
    folder: str | os.PathLike[str],
    settings: ExperimentSettings | None = None,
    *,
    data: Path | None = None,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    say: Callable[[str], None] | None = None,
    **fields: Any,
) -> ExperimentResult:
    """Run an experiment of the paper, or go on with it.

    Every finished model of every draw is kept in ``folder`` and not computed again; a training that was interrupted
    goes on from its checkpoint.

    Parameters
    ----------
    name : {"table2", "table3", "figure6"}
    folder : path
    settings : ExperimentSettings, optional
    data : path, optional
        See `read_test_sets`.
    device : str
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.
    say : callable, optional
        Called with a line about each model that is finished.
    **fields
        Fields of `ExperimentSettings`.

    Returns
    -------
    ExperimentResult

    Raises
    ------
    InputError
        An unknown model; a folder that holds results of other settings.
    Cancelled
        What was finished is in the folder.
    """
    from napari_blochnet.studies.paper_tables import markdown_table

    if name == "figure6" and "models" not in fields and settings is None:
        fields["models"] = _FIGURE_MODELS
    given = settings_from(ExperimentSettings, settings, **fields)
    models = model_names(given.models)
    draws = Draws(name, Path(folder), given, read_test_sets(data), resolve_device(device), progress, cancelled)
    rows = run_draws(draws, models, say)
    result = finished(name, draws.folder, rows, markdown_table(name, rows))
    return replace(result, files=(*result.files, *_figures(draws, models)))


def run_draws(draws: Draws, models: list[str], say: Callable[[str], None] | None = None) -> list[Row]:
    """Return the rows of all models in all draws, sorted by model; make those that are missing."""
    rows: list[Row] = []
    for draw in range(1, draws.settings.draws + 1):
        for model in models:
            raise_if_cancelled(draws.cancelled, f"experiment {draws.experiment}")
            if draw > draws.count(model):
                continue
            found, new = draws.result(model, draw)
            rows += found
            if new and say is not None:
                scores = ", ".join(f"{row['set']} {row['mse_log10']:.2g}" for row in found)
                say(f"draw {draw}, {model}: {scores}")
    return sorted(rows, key=lambda row: (models.index(row["model"]), row["draw"]))


def _figures(draws: Draws, models: list[str]) -> list[Path]:
    """Draw the first draw's estimates against the truth, a figure for each test set."""
    from napari_blochnet.evaluation.figures import save_figure
    from napari_blochnet.studies.paper_tables import scatter_of_models

    made: list[Path] = []
    for item in draws.sets:
        found = {model: draws.estimates(model, 1, item) for model in models}
        estimates = {model: (maps["t1"], maps["t2"]) for model, maps in found.items()}
        path = draws.folder / f"{draws.experiment}_{item.name.replace(', ', '_')}.png"
        title = f"{item.name[:1].upper()}{item.name[1:]} data under FISP, trained under splines, draw 1"
        save_figure(scatter_of_models(title, (item.t1, item.t2), estimates), path)
        made.append(path)
    return made
