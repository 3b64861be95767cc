"""Tables and figures of the paper's experiments: tidy CSV, Markdown beside the published figures, scatter plots."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.io.atomic import replacing

__all__ = ["LABELS", "PUBLISHED", "markdown_grid", "markdown_table", "scatter_of_models", "summarise", "write_rows"]

#: Table 3 as published: MSE on phantom and on anatomical data. Table 2 is not in the paper's appendix.
PUBLISHED: dict[str, dict[str, tuple[float, float]]] = {
    "table2": {},
    "table3": {
        "dictionary": (6.6003, 6.0656),
        "fc": (0.2609, 0.2773),
        "rnn": (0.2727, 0.3555),
        "hydra": (0.2363, 0.3884),
        "autoencoder-fc": (0.2263, 0.2459),
        "autoencoder-rnn": (0.2784, 0.3353),
        "blochnet": (0.1024, 0.1344),
    },
    "figure6": {},
}

#: What models are called in tables and figures.
LABELS = {
    "dictionary": "dictionary", "fc": "FC", "rnn": "RNN", "hydra": "HYDRA", "autoencoder-fc": "autoencoder FC-FC",
    "autoencoder-rnn": "autoencoder RNN-RNN", "blochnet": "BlochNet (FC encoder, EPG decoder)",
    "fc-adapted": "FC adapted", "blochnet-adapted": "BlochNet adapted", "universal": "universal", "refined": "refined",
}  # fmt: skip
_TITLES = {
    "table2": "Table 2: trained under one SplineNoise11 and one Spline5 schedule, tested under FISP",
    "table3": "Table 3: trained under two Spline5 schedules, tested under FISP",
    "figure6": "Figure 6: trained under two Spline5 schedules, tested on anatomical data under FISP",
}


def write_rows(rows: Sequence[Mapping[str, Any]], path: str | os.PathLike[str]) -> None:
    """Write tidy rows as CSV."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], tuple[float, float, int]]:
    """Return mean, standard deviation over draws (n − 1) and number of draws of the MSE, by (model, test set)."""
    values: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        values.setdefault((row["model"], row["set"]), []).append(row["mse_log10"])
    return {
        key: (float(np.mean(found)), float(np.std(found, ddof=1)) if len(found) > 1 else math.nan, len(found))
        for key, found in values.items()
    }


def markdown_table(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of an experiment: a row per model, a column per test set, published figures at the end."""
    summary = summarise(rows)
    sets = list(dict.fromkeys(row["set"] for row in rows))
    models = list(dict.fromkeys(row["model"] for row in rows))
    published = PUBLISHED[name]
    head = ["model", *sets, "training, s a draw", *(["published: phantom", "anatomical"] if published else [])]
    all_draws = max(found[2] for found in summary.values())
    over = "of one draw" if all_draws == 1 else f"mean ± standard deviation over {all_draws} draws"
    lines = [f"# {_TITLES[name]}", "", f"MSE of log10 T1 and T2, {over} of the training schedules.", "",
             _line(head), _line(["---"] * len(head))]  # fmt: skip
    reduced = False
    for model in models:
        mine = [row for row in rows if row["model"] == model]
        label, remarks = LABELS.get(model, model), []
        if any(row["preset"] == "reduced" for row in mine):
            remarks, reduced = ["reduced"], True
        draws = max(found[2] for (name_, _), found in summary.items() if name_ == model)
        if draws < all_draws and any(row["preset"] != "none" for row in mine):
            remarks.append(f"{draws} draw{'s'[: draws > 1]} only")
        label += f" ({', '.join(remarks)})" if remarks else ""
        cells = [label, *(_cell(summary.get((model, each))) for each in sets)]
        seconds = [row["training_seconds"] for row in mine if row["training_seconds"] is not None]
        cells.append(f"{np.mean(seconds):,.0f}" if seconds else "none")
        if published:
            cells += [f"{value:.4f}" for value in published[model]] if model in published else ["", ""]
        lines.append(_line(cells))
    constants = {row["set"]: (row["constant_mse_log10"], row["voxels"]) for row in rows}
    lines.append(_line(["best constant", *(f"{constants[each][0]:.4f}" for each in sets), "none",
                        *(["", ""] if published else [])]))  # fmt: skip
    lines += ["", "Voxels: " + ", ".join(f"{each} {constants[each][1]:,}" for each in sets) + "."]
    if "dictionary" in models:
        lines.append("Dictionary matching is told the schedule of the test, as a user would tell it.")
    if {"universal", "refined"} & set(models):
        lines.append(
            "Universal and refined (from universal) are told it too; they are not trained and do not depend on the "
            "draw."
        )
    if any(model.endswith("-adapted") for model in models):
        lines.append(
            "Adapted: the draw's trained network, fine-tuned on the test set's fingerprints under FISP without their "
            "labels; the time is that of this alone, on top of the training."
        )
    if reduced:
        lines.append(
            "Reduced: trained on 20,000 fingerprints a schedule for 3 epochs in batches of 100, in place of 80,100 for "
            "26 in batches of 1000."
        )
    if published:
        lines.append(
            "The published figures count other voxels (ten other subjects; the anatomical mask is not stated) and are "
            "context only; the published dictionary exceeds what any matching error can reach."
        )
    return "\n".join(lines) + "\n"


def markdown_grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table as lines."""
    return [_line(head), _line(["---"] * len(head)), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(value: tuple[float, float, int] | None) -> str:
    if value is None:
        return ""
    mean, deviation, draws = value
    form = ".4f" if mean >= 1e-3 else ".6f" if mean >= 1e-5 else ".1e"
    if math.isnan(deviation):
        return f"{mean:{form}}"
    return f"{mean:{form}} ± {deviation:{form}} ({draws})"


def scatter_of_models(
    title: str, truth: tuple[FloatArray, FloatArray], estimates: Mapping[str, tuple[FloatArray, FloatArray]]
) -> Figure:
    """Draw estimated against true T1 and T2, a column for each model.

    Parameters
    ----------
    title : str
    truth : tuple of arrays of shape (voxel,)
        T1 and T2, ms.
    estimates : mapping
        By model, T1 and T2 of the same voxels; 0 where there is no estimate.
    """
    figure = Figure(figsize=(3.0 * max(1, len(estimates)), 6.0), dpi=150, layout="constrained")
    axes = figure.subplots(2, max(1, len(estimates)), squeeze=False, sharex="row", sharey="row")
    for column, (model, made) in enumerate(estimates.items()):
        for row, parameter in enumerate(("T1", "T2")):
            axis, true = axes[row, column], truth[row]
            limits = (float(true.min()) / 1.5, float(true.max()) * 1.5)
            axis.plot(limits, limits, color="#0072b2", linewidth=1.2, zorder=1)
            axis.scatter(true, np.clip(made[row], *limits), s=2, color="#d55e00", alpha=0.25, linewidths=0, zorder=2,
                         rasterized=True)  # fmt: skip
            axis.set(xscale="log", yscale="log", xlim=limits, ylim=limits, aspect="equal")
            axis.set_xlabel(f"true {parameter} (ms)")
            if column == 0:
                axis.set_ylabel(f"estimated {parameter} (ms)")
            if row == 0:
                axis.set_title(LABELS.get(model, model).split(" (")[0])
    figure.suptitle(title)
    return figure
