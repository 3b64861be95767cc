"""How much the loss of the signal should weigh: BlochNet and autoencoders trained with several λ, tested alike."""

from __future__ import annotations

from dataclasses import replace

from napari_blochnet.jobs.settings_training import ExperimentSettings
from napari_blochnet.studies.draws import Draws, model_names, read_test_sets
from napari_blochnet.studies.paper import run_draws
from napari_blochnet.studies.paper_tables import LABELS, markdown_grid, summarise
from napari_blochnet.studies.pieces import ExperimentResult, Row, Study
from napari_blochnet.studies.settings_studies import WeightsSettings

__all__ = ["of_each_weight", "score_weights"]

_EXPERIMENT = "table3"


def of_each_weight(study: Study, given: WeightsSettings) -> list[tuple[float, Study, ExperimentSettings]]:
    """Return for each λ the study of its own folder, and its settings."""
    shared = given.model_dump(exclude={"weights"})
    return [
        (weight, replace(study, folder=study.folder / f"weight_{weight:g}"),
         ExperimentSettings(**shared, decoder_weight=weight))
        for weight in dict.fromkeys(given.weights)
    ]  # fmt: skip


def score_weights(study: Study, given: WeightsSettings) -> ExperimentResult:
    """Train and score models with each λ, as for ``table3``, or go on with it."""
    models, sets, rows = model_names(given.models), read_test_sets(study.data), list[Row]()
    for weight, own, settings in of_each_weight(study, given):
        rows += [{**row, "experiment": study.name, "decoder_weight": weight}
                 for row in run_draws(Draws(_EXPERIMENT, own, settings, sets), models)]  # fmt: skip
    return study.finished(rows, _page(rows))


def _page(rows: list[Row]) -> str:
    sets = list(dict.fromkeys(row["set"] for row in rows))
    body = []
    for model in dict.fromkeys(row["model"] for row in rows):
        for weight in dict.fromkeys(row["decoder_weight"] for row in rows):
            found = summarise([row for row in rows if (row["model"], row["decoder_weight"]) == (model, weight)])
            cells = [_cell(found[model, name]) for name in sets]
            body.append([LABELS[model], f"{weight:g}", *cells])
    constants = {row["set"]: row["constant_mse_log10"] for row in rows}
    body.append(["best constant", "", *(f"{constants[name]:.4f}" for name in sets)])
    lines = [
        "# Weight λ of the signal's loss: trained under two Spline5 schedules, tested under FISP",
        "",
        "MSE of log10 T1 and T2, mean ± standard deviation over the draws of the training schedules.",
        "",
        *markdown_grid(["model", "λ", *sets], body),
    ]
    return "\n".join(lines) + "\n"


def _cell(found: tuple[float, float, int]) -> str:
    mean, spread, draws = found
    return f"{mean:.4f} ± {spread:.4f}" if draws > 1 else f"{mean:.4f}"
