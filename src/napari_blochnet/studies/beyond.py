"""Beyond the paper: adapted, universal and refined maps on the paper's test, and the voxels each of them misses."""

from __future__ import annotations

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.studies.draws import Draws, TestSet, model_names, read_test_sets
from napari_blochnet.studies.paper import run_draws
from napari_blochnet.studies.pieces import ExperimentResult, Row, Study
from napari_blochnet.studies.settings_studies import BeyondSettings

__all__ = ["score_beyond"]

# A voxel is off where T1 or T2 is wrong by more than this part; not told where log10 T2 is known no better than that.
_OFF = 1e-3
_NOT_TOLD = 0.1


def score_beyond(study: Study, given: BeyondSettings) -> ExperimentResult:
    """Score what goes beyond the paper on its own test: networks trained under two splines, data under FISP.

    The folder of a ``table3`` run will do: its networks are used, and only what is missing is computed. Rows are those
    of ``table3``, each with the number of voxels that are off by more than 0.1 % in T1 or T2 and of those whose
    standard error of log10 T2 exceeds 0.1: as predicted at ``snr``, and as a refined map itself says.
    """
    models = model_names(given.models)
    draws = Draws("table3", study, given, read_test_sets(study.data))
    sets = {item.name: item for item in draws.sets}
    predicted = {name: _predicted(draws, item, given.snr) for name, item in sets.items()}
    rows = []
    for row in run_draws(draws, models):
        item = sets[row["set"]]
        found = draws.estimates(row["model"], row["draw"], item)
        wrong = np.maximum(np.abs(found["t1"] / item.t1 - 1), np.abs(found["t2"] / item.t2 - 1))
        own = found["t2_se"] / np.where(found["t2"] > 0, found["t2"], 1) / np.log(10) if "t2_se" in found else None
        rows.append({
            **row,
            "experiment": "beyond",
            "off_by_more_than_0.1_percent": int((wrong > _OFF).sum()),
            "largest_error_percent": 100.0 * float(wrong.max()),
            f"t2_not_told_at_snr_{given.snr:g}": int((predicted[row["set"]] > _NOT_TOLD).sum()),
            "t2_not_told_by_own_error": None if own is None else int((own > _NOT_TOLD).sum()),
        })  # fmt: skip
    return study.finished(rows, _page(rows, given.snr))


def _predicted(draws: Draws, item: TestSet, snr: float) -> FloatArray:
    """Return the Cramér–Rao bound of log10 T2 of each voxel at an SNR over the set."""
    from napari_blochnet.physics.bounds import cramer_rao_bound

    power = np.mean(np.square(draws.fingerprints(item), dtype=np.float64))
    bound = cramer_rao_bound(
        draws.test_schedule, item.t1, item.t2, sigma=float(np.sqrt(power)) / snr, cancelled=draws.study.watch.cancelled
    )
    return np.asarray(bound.t2 / item.t2 / np.log(10))


def _page(rows: list[Row], snr: float) -> str:
    from napari_blochnet.studies.paper_tables import LABELS, markdown_grid

    sets = list(dict.fromkeys(row["set"] for row in rows))
    first = {(row["model"], row["set"]): row for row in rows if row["draw"] == 1}
    models = list(dict.fromkeys(row["model"] for row in rows))
    lines = ["# Beyond the paper: trained under two Spline5 schedules or not at all, tested under FISP, noise-free", ""]
    any_row = {name: first[models[0], name] for name in sets}
    body = [["best constant", *(f"{any_row[name]['constant_mse_log10']:.4f}" for name in sets), "none"]]
    for model in models:
        scores = [[row["mse_log10"] for row in rows if (row["model"], row["set"]) == (model, name)] for name in sets]
        seconds = [row["training_seconds"] for row in rows if row["model"] == model and row["training_seconds"]]
        body.append([LABELS[model], *(f"{np.mean(each):.2g}" for each in scores),
                     f"{np.mean(seconds):,.0f}" if seconds else "none"])  # fmt: skip
    lines += ["MSE of log10 T1 and T2, mean over the draws.", ""]
    lines += markdown_grid(["model", *(f"{name} ({any_row[name]['voxels']:,})" for name in sets), "training, s"], body)
    lines += ["", "Voxels that are off by more than 0.1 % in T1 or T2, and the largest error, draw 1.", ""]
    lines += markdown_grid(
        ["model", *sets],
        [[LABELS[model], *(_off(first[model, name]) for name in sets)] for model in models],
    )
    counts = ", ".join(f"{name} {any_row[name][f't2_not_told_at_snr_{snr:g}']:,}" for name in sets)
    lines += ["", f"Voxels whose standard error of log10 T2 would exceed {_NOT_TOLD} at SNR {snr:g} (by the "
              f"Cramér–Rao bound): {counts}."]  # fmt: skip
    for model in models:
        own = [(name, first[model, name]["t2_not_told_by_own_error"]) for name in sets]
        if all(count is not None for _, count in own):
            lines.append(f"By {LABELS[model]}'s own standard errors, from the residual of these noise-free data: "
                         + ", ".join(f"{name} {count:,}" for name, count in own) + ".")  # fmt: skip
    lines.append("Adapted: the trained network, fine-tuned on the test set's fingerprints without their labels; the "
                 "time is that of this alone.")  # fmt: skip
    return "\n".join(lines) + "\n"


def _off(row: Row) -> str:
    return f"{row['off_by_more_than_0.1_percent']:,} ({row['largest_error_percent']:.2g} %)"
