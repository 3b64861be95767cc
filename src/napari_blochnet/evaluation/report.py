"""Comparisons as one HTML page that needs no other file and runs nothing."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jinja2

from napari_blochnet.common.plain_text import counted
from napari_blochnet.evaluation.result_tables import ALL_TISSUES, ComparisonTable, RegionTable, said_of_scale
from napari_blochnet.evaluation.tables import COMPARISON_COLUMNS, Column, cell, region_columns
from napari_blochnet.io.atomic import replacing
from napari_blochnet.io.origin import check_outputs

__all__ = ["page_table", "write_comparison", "write_page", "write_region_means"]

# Lists of numbers longer than this are shown by their ends: a record holds the schedule's thousand flip angles.
_SHOWN = 8
# What stands below the figures.
_MAPS = (
    "Maps, signed errors (estimate − truth)/truth, and their distribution. Colour limits are shared; the "
    "brightest colour stands for everything beyond its bar."
)
_SCATTER = "Estimated against true values; darker where more voxels lie. Lines: identity and ±10 %."
_REGIONS = (
    "Maps with the regions (voxels with less than a tenth of the regions' median PD are black), and how "
    "far each mean is from known values."
)


def write_comparison(comparison: ComparisonTable, path: str | os.PathLike[str]) -> None:
    """Write the page of a comparison: tables, figures, how everything was made."""
    from napari_blochnet.evaluation.drawing.figures import comparison_figure, scatter_figure

    truth, rows = comparison.truth, comparison.rows()
    pure = ", pure voxels" if truth.fractions else ""
    tables = [page_table("All voxels", [row for row in rows if row["tissue"] == ALL_TISSUES], COMPARISON_COLUMNS)]
    for tissue in dict.fromkeys(row["tissue"] for row in rows if row["tissue"] != ALL_TISSUES):
        chosen = [row for row in rows if row["tissue"] == tissue]
        tables.append(page_table(f"{tissue}{pure}", chosen, COMPARISON_COLUMNS))
    write_page(
        path,
        title=comparison.title,
        summary=[
            f"Truth: {truth.describe()}.",
            f"Models: {', '.join(comparison.models)}. Scored: "
            f"{counted(int(comparison.mask.sum()), 'voxel', ',')}, the same for all.",
            *truth.notes,
            *comparison.notes,
            *said_of_scale(comparison.pd_scale, "scored"),
        ],
        tables=tables,
        columns=COMPARISON_COLUMNS,
        figures=[(_MAPS, comparison_figure(comparison)), (_SCATTER, scatter_figure(comparison))],
        records=[
            ("Comparison", comparison.record),
            *(
                (f"Maps of {model}", maps.record)
                for model, maps in zip(comparison.models, comparison.maps, strict=True)
            ),
        ],
    )


def write_region_means(means: RegionTable, path: str | os.PathLike[str]) -> None:
    """Write the page of a table of regions."""
    from napari_blochnet.evaluation.drawing.figures import region_figure

    columns = region_columns(means.references)
    rows = means.rows()
    write_page(
        path,
        title=means.title,
        summary=[
            f"Mean and standard deviation over the voxels of {counted(len(means.regions), 'region')}. The "
            "standard deviation is "
            "scatter within a region, not accuracy.",
            *means.notes,
        ],
        tables=[
            page_table(parameter, found, columns)
            for parameter in ("T1", "T2")
            if (found := [row for row in rows if row["parameter"] == parameter])
        ],
        columns=columns,
        figures=[(_REGIONS, region_figure(means))],
        records=[("Table", means.record), *((f"Maps of {maps.estimator}", maps.record) for maps in means.maps)],
    )


def page_table(heading: str, rows: Sequence[Mapping[str, Any]], columns: Iterable[Column]) -> dict[str, Any]:
    """Return rows as a table of a page; columns that are empty or that the heading says are left out."""
    shown = [column for column in columns if any(cell(row, column) for row in rows)]
    # a heading says the tissue already
    said = [key for key in ("tissue", "parameter") if len({row.get(key) for row in rows}) < 2]
    shown = [column for column in shown if column.key not in said]
    body = []
    for before, row in zip([None, *rows], rows, strict=False):
        body.append(
            {
                "cells": [
                    {"text": _typeset(cell(row, column), column), "number": bool(column.form)} for column in shown
                ],
                "first": before is None or before["model"] != row["model"],
            }
        )
    return {"heading": heading, "columns": shown, "rows": body}


def write_page(
    path: str | os.PathLike[str],
    *,
    title: str,
    summary: Sequence[str],
    tables: Sequence[dict[str, Any]],
    columns: Sequence[Column],
    figures: Sequence[tuple[str, Any]],
    records: Sequence[tuple[str, dict[str, Any]]],
) -> None:
    """Write a page: sentences, tables, figures each with its caption, and records, the result's own first."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("napari_blochnet.evaluation", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html").render(
        title=title,
        summary=summary,
        tables=tables,
        meanings=[column for column in columns if column.meaning],
        figures=[
            {
                "caption": caption,
                "image": base64.b64encode(_png(figure)).decode("ascii"),
                "width": round(96 * figure.get_figwidth()),
            }
            for caption, figure in figures
        ],
        records=[
            {
                "name": name,
                "text": json.dumps(_shortened(record), indent=1, ensure_ascii=False, default=str),
                "whole": base64.b64encode(said.encode(errors="backslashreplace")).decode("ascii"),
            }
            for name, record in records
            if record and (said := json.dumps(record, ensure_ascii=False, default=str))
        ],
    )
    check_outputs([path], record=records[0][1])
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="backslashreplace")


def _png(figure: Any) -> bytes:
    from napari_blochnet.evaluation.drawing.figures import figure_png

    return figure_png(figure)


def _typeset(text: str, column: Column) -> str:
    return text.replace("-", "−") if column.form else text


def _shortened(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _shortened(value) for key, value in content.items()}
    if isinstance(content, list):
        if len(content) > _SHOWN and all(isinstance(value, (int, float)) for value in content):
            return f"{len(content)} numbers: {content[0]:g}, {content[1]:g}, … {content[-1]:g}"
        return [_shortened(value) for value in content]
    return content
