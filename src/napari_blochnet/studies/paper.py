"""The paper's experiments: train under random splines, test under FISP, over several draws; resumable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_blochnet.jobs.settings_training import ExperimentSettings
from napari_blochnet.studies.draws import Draws, model_names, read_test_sets
from napari_blochnet.studies.pieces import ExperimentResult, Row, Study

__all__ = ["run_draws", "score_paper"]


def score_paper(study: Study, given: ExperimentSettings) -> ExperimentResult:
    """Train and score the models of ``table2``, ``table3`` or ``figure6``, or go on with it.

    Every finished model of every draw is kept in the folder and not computed again; a training that was interrupted
    goes on from its checkpoint.
    """
    from napari_blochnet.studies.paper_tables import markdown_table

    models = model_names(given.models)
    draws = Draws(study.name, study, given, read_test_sets(study.data))
    rows = run_draws(draws, models)
    result = study.finished(rows, markdown_table(study.name, rows))
    return replace(result, files=(*result.files, *_figures(draws, models)))


def run_draws(draws: Draws, models: list[str]) -> list[Row]:
    """Return the rows of all models in all draws, sorted by model; make those that are missing."""
    rows: list[Row] = []
    for draw in range(1, draws.settings.draws + 1):
        for model in models:
            if draw <= draws.count(model):
                rows += draws.result(model, draw)
    return sorted(rows, key=lambda row: (models.index(row["model"]), row["draw"]))


def _figures(draws: Draws, models: list[str]) -> list[Path]:
    """Draw the first draw's estimates against the truth, a figure for each test set."""
    from napari_blochnet.evaluation.drawing.figures import save_figure
    from napari_blochnet.studies.paper_tables import scatter_of_models

    made: list[Path] = []
    for item in draws.sets:
        found = {model: draws.estimates(model, 1, item) for model in models}
        estimates = {model: (maps["t1"], maps["t2"]) for model, maps in found.items()}
        path = draws.study.folder / f"{draws.experiment}_{item.name.replace(', ', '_')}.png"
        title = f"{item.name[:1].upper()}{item.name[1:]} data under FISP, trained under splines, draw 1"
        save_figure(scatter_of_models(title, (item.t1, item.t2), estimates), path)
        made.append(path)
    return made
