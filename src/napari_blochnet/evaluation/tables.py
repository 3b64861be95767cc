"""Tables of scores: for the terminal, as CSV, and their columns for the page."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from napari_blochnet.common.plain_text import cell_text
from napari_blochnet.io.atomic import replacing

__all__ = [
    "COMPARISON_COLUMNS",
    "Column",
    "cell",
    "in_unit",
    "mean_and_sd",
    "region_columns",
    "text_table",
    "write_csv",
]


@dataclass(frozen=True)
class Column:
    """How a column of rows is shown.

    Parameters
    ----------
    key : str
        Of the row.
    heading : str
        With the unit.
    form : str
        Format specification of numbers; empty for words. What rounds to 0 has no minus.
    meaning : str
        One sentence.
    """

    key: str
    heading: str
    form: str = ""
    meaning: str = ""


COMPARISON_COLUMNS = (
    Column("model", "Model"),
    Column("tissue", "Tissue", "", "Pure voxels of one tissue; all: the whole mask."),
    Column("parameter", "Map", "", "PD is scaled by one number per stack before it is scored."),
    Column("voxels", "Voxels", ",d"),
    Column("failures", "Failed", ",d", "Voxels without an estimate; every score counts them as −100 %, or one decade."),
    Column("bias_percent", "Bias / %", "+z.2f", "Mean of (estimate − truth)/truth."),
    Column("median_percent", "Median |error| / %", ".2f", "Median of |estimate − truth|/truth."),
    Column("mae_percent", "MAE / %", ".2f", "Mean of |estimate − truth|/truth."),
    Column("bias", "Bias / ms", "+z.1f", "Mean of estimate − truth; PD in its own unit."),
    Column("mae", "MAE / ms", ".1f", "Mean of |estimate − truth|; PD in its own unit."),
    Column("rmse", "RMSE / ms", ".1f", "Root mean square of estimate − truth; PD in its own unit."),
    Column(
        "bound",
        "Bound / ms",
        ".2f",
        "Cramér–Rao bound: root mean square of the least standard deviation that the "
        "known noise allows an unbiased estimator; PD in its own unit.",
    ),
    Column(
        "rmse_per_bound",
        "RMSE / bound",
        ".2f",
        "1 is the limit that the noise sets; below it only with bias, or with prior knowledge.",
    ),
    Column("mse_log10", "MSE log10", ".2e", "Mean of (Δlog10)²; for T1, T2 the mean of both."),
    Column("constant_mse_log10", "Best constant", ".2e", "MSE of log10 of the one value that is best for all voxels."),
)


def region_columns(references: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of a table of regions, with two for each reference that is known (such as "true")."""
    known = [
        column
        for name in references
        for column in (
            Column(name, f"{name.capitalize()} / ms", ".1f"),
            Column(f"{name}_percent", f"Mean − {name} / %", "+z.1f", f"(mean − {name})/{name}."),
        )
    ]
    return (
        Column("model", "Model"),
        Column("region", "Region"),
        Column("parameter", "Map"),
        Column("voxels", "Voxels", ",d"),
        Column("failures", "Failed", ",d", "Voxels without an estimate; they are not in the mean."),
        Column("mean", "Mean / ms", ".1f"),
        Column("sd", "SD / ms", ".1f", "Standard deviation over the region's voxels."),
        *known,
        Column("residual", "Residual", ".3f", "Mean of ‖x − ŝ‖/‖x‖: what the model leaves unexplained."),
    )


# Of rows without a parameter, too.
_IN_MS = ("T1", "T2", "T1, T2", None)


def cell(row: Mapping[str, Any], column: Column) -> str:
    """Return what stands in one cell."""
    value = row.get(column.key)
    if value is None:
        return ""
    if not column.form:
        return str(value)
    parameter = row.get("parameter")
    if "/ ms" in column.heading and parameter == "PD":
        # PD has no unit and is about 1: a tenth of a millisecond's precision would show nothing of it
        return format(value, column.form.replace(".1f", ".3f").replace(".2f", ".4f"))
    if "/ ms" in column.heading and parameter not in _IN_MS:
        return format(value, in_unit(column, "").form)
    return format(value, column.form)


def in_unit(column: Column, unit: str) -> Column:
    """Return a column of times as one of another parameter's values, in its unit."""
    if "/ ms" not in column.heading:
        return column
    form = column.form.replace(".1f", ".4g").replace(".2f", ".4g")
    return replace(column, heading=column.heading.replace(" / ms", f" / {unit}" if unit else ""), form=form)


def mean_and_sd(row: Mapping[str, Any]) -> str:
    """Return "mean ± SD" of a row of regions, both to the same decimal place; empty where nothing was averaged."""
    mean, deviation = row["mean"], row["sd"]
    if mean is None:
        return ""
    decimals = 3 if row["parameter"] == "PD" else 0 if mean >= 1000 else 1
    spread = "" if deviation is None else f" ± {deviation:.{decimals}f}"
    return f"{mean:.{decimals}f}{spread}"


def text_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> str:
    """Return rows as aligned text, numbers to the right; columns that are empty throughout are left out."""
    shown = [column for column in columns if any(cell(row, column) for row in rows)]
    lines = [[column.heading for column in shown], *([cell(row, column) for column in shown] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(shown))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if column.form else text.ljust(width)
            for text, width, column in zip(line, widths, shown, strict=True)
        ).rstrip()
        for line in lines
    )


def write_csv(rows: Sequence[Mapping[str, Any]], path: str | os.PathLike[str]) -> None:
    """Write rows as CSV (UTF-8, a header, full precision, empty cells for what does not apply), by renaming."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        writer = csv.DictWriter(stream, keys, restval="")
        writer.writerow({key: cell_text(key) for key in keys})
        writer.writerows({key: _plain(value) for key, value in row.items()} for row in rows)


def _plain(value: Any) -> Any:
    return cell_text(value) if isinstance(value, str) else value
