"""The summary of a study: a table with a row for each stack, region and parameter, and a page for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.cohorts.stack_names import entities_of
from napari_blochnet.evaluation.report import page_table, write_page
from napari_blochnet.evaluation.result_tables import ALL_TISSUES
from napari_blochnet.evaluation.tables import Column, write_csv
from napari_blochnet.io.json_files import write_json
from napari_blochnet.io.origin import check_outputs

__all__ = ["check_summary", "write_summary"]

_TABLE, _PAGE, _DATASET = "summary.csv", "summary.html", "dataset_description.json"
# Of the table; those that a row has not are empty.
_KEYS = ("name", "subject", "session", "stack", "estimator", "region", "parameter", "unit", "voxels", "failures",
         "mean", "sd", "median", "median_residual", "seconds", "failure")  # fmt: skip
_COLUMNS = (
    Column("model", "Stack"),
    Column("estimator", "Estimator"),
    Column("voxels", "Voxels", ",d", "With an estimate."),
    Column("failures", "Failed", ",d", "Voxels without an estimate; they are in no mean."),
    Column("mean", "Mean / ms", ".1f"),
    Column("sd", "SD / ms", ".1f", "Over the voxels: scatter within a region, not accuracy."),
    Column("median", "Median / ms", ".1f"),
    Column("median_residual", "Residual", ".3f", "Median of ‖x − ŝ‖/‖x‖: what the model leaves unexplained."),
    Column("seconds", "Time / s", ".1f", "To open, map and write the stack."),
)
_ACROSS = (
    Column("model", "Region"),
    Column("parameter", "Map"),
    Column("stacks", "Stacks", ",d"),
    Column("mean", "Mean of means / ms", ".1f"),
    Column("sd", "SD of means / ms", ".1f", "Between stacks."),
    Column("cv", "CV / %", ".1f", "SD between stacks over their mean."),
    Column("lowest", "Lowest / ms", ".1f"),
    Column("highest", "Highest / ms", ".1f"),
    Column("failures", "Failed", ",d"),
    Column("median_residual", "Residual", ".3f"),
)
_FAILED = (Column("model", "Stack"), Column("failure", "Why"))


def check_summary(folder: Path, stacks: Sequence[Path]) -> None:
    """Raise `InputError` where a summary would replace what is not ours."""
    check_outputs([folder / name for name in (_TABLE, _PAGE, _DATASET)], inputs=stacks, field="output",
                  instead="a folder of its own for the results")  # fmt: skip


def write_summary(
    rows: Sequence[Mapping[str, Any]],
    folder: Path,
    recipe: dict[str, Any],
    notes: Mapping[str, Sequence[str]],
    failed: Mapping[str, str],
) -> None:
    """Write what is known of the stacks of a study.

    Parameters
    ----------
    rows : sequence of dict
        Of each stack, by its ``name``; one that failed has a ``failure``.
    folder : Path
    recipe : dict
    notes : mapping of str to sequence of str
        What was told of each stack.
    failed : mapping of str to str
        Why stacks failed, by their names.
    """
    check_summary(folder, [])
    table = [{key: value for key, value in _of_table(row).items() if key in _KEYS} for row in rows]
    write_csv([{key: row.get(key) for key in _KEYS} for row in table], folder / _TABLE)
    _write_page(rows, folder / _PAGE, recipe, notes, failed)
    write_json(
        {
            "Name": "Maps of magnetic resonance fingerprints",
            "BIDSVersion": "1.10.0",
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "napari-blochnet"}],
        },
        folder / _DATASET,
    )


def _of_table(row: Mapping[str, Any]) -> dict[str, Any]:
    known = entities_of(row["name"])
    return {**row, "subject": known.get("sub"), "session": known.get("ses")}


def _write_page(
    rows: Sequence[Mapping[str, Any]],
    path: Path,
    recipe: dict[str, Any],
    notes: Mapping[str, Sequence[str]],
    failed: Mapping[str, str],
) -> None:
    mapped = [{"model": row["name"], **row} for row in rows if "parameter" in row]
    names = list(dict.fromkeys(row["name"] for row in rows))
    regions = list(dict.fromkeys(row["region"] for row in mapped))
    tables = []
    if failed:
        bad = [{"model": name, "failure": why} for name, why in failed.items()]
        tables.append(page_table(f"{len(failed)} of {len(names)} stacks failed", bad, _FAILED))
    # the scale of PD is that of each stack's own receiver
    timed = [row for row in mapped if row["unit"]]
    if timed:
        tables.append(page_table("Across stacks", list(_across(timed)), _ACROSS))
    for region in regions:
        for parameter in dict.fromkeys(row["parameter"] for row in mapped if row["region"] == region):
            chosen = [row for row in mapped if (row["region"], row["parameter"]) == (region, parameter)]
            where = "all mapped voxels" if region == ALL_TISSUES else region
            tables.append(page_table(f"{parameter}, {where}", chosen, _columns(chosen[0]["unit"])))
    said = [f"{name}: {sentence}" for name, sentences in notes.items() for sentence in sentences]
    write_page(
        path,
        title="T1 and T2 of a study",
        summary=[
            f"{len(names) - len(failed)} of {len(names)} stacks were done.",
            "Mean, standard deviation and median are over the voxels of a region that have an estimate; differences "
            "between stacks are of subjects, noise and scanner alike.",
            *said,
        ],
        tables=tables,
        columns=(*_COLUMNS, *_ACROSS),
        figures=[],
        records=[("Recipe", recipe)],
    )


def _columns(unit: str) -> list[Column]:
    """Return the columns of one parameter; what has no unit is about 1."""
    if unit:
        return list(_COLUMNS)
    return [
        replace(column, heading=column.heading.removesuffix(" / ms"), form=".3f")
        if column.heading.endswith(" / ms") else column
        for column in _COLUMNS
    ]  # fmt: skip


def _across(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what the stacks have together, for each region and parameter."""
    for region, parameter in dict.fromkeys((row["region"], row["parameter"]) for row in rows):
        chosen = [row for row in rows if (row["region"], row["parameter"]) == (region, parameter)]
        means = np.array([row["mean"] for row in chosen if row["mean"] is not None], np.float64)
        residuals = [row["median_residual"] for row in chosen if row["median_residual"] is not None]
        sd = float(means.std(ddof=1)) if means.size > 1 else None
        mean = float(means.mean()) if means.size else None
        yield {
            "model": region, "parameter": parameter, "stacks": int(means.size), "mean": mean, "sd": sd,
            "cv": None if sd is None or not mean or not math.isfinite(sd / mean) else 100.0 * sd / mean,
            "lowest": float(means.min()) if means.size else None,
            "highest": float(means.max()) if means.size else None,
            "failures": sum(row["failures"] for row in chosen),
            "median_residual": float(np.median(residuals)) if residuals else None,
        }  # fmt: skip
