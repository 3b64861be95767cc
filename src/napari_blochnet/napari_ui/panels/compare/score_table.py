"""The table of the Compare tab: a column for each model, a row for each tissue and region, one measure at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QHeaderView, QTableWidgetItem

from napari_blochnet.common.plain_text import counted
from napari_blochnet.evaluation.agreement.agreement_table import AGREEMENT_COLUMNS
from napari_blochnet.evaluation.tables import COMPARISON_COLUMNS, Column, cell
from napari_blochnet.napari_ui.widgets.number_table import ROW_HEIGHT, NumberTable

if TYPE_CHECKING:
    from napari_blochnet.napari_ui.state.session import Compared

__all__ = ["LIMITS", "ComparisonTable", "Measure", "current_name", "measures_of"]

#: The measure that is a text of two numbers: bias, and how far from it the limits of agreement are.
LIMITS = "Bland–Altman bias ± 1.96 SD / % of mean"
# What it was called in sessions that were saved earlier.
_EARLIER = {"Bias ± 1.96 SD / %": LIMITS}
# What matters first comes first.
_SCORES = (
    "median_percent", "rmse_per_bound", "bias_percent", "mae_percent", "rmse", "bound", "bias", "mae", "mse_log10",
    "failures",
)  # fmt: skip
_AGREEMENT = ("median_percent", "sd_percent", "concordance", "bias", "sd", "failures")
_PADDING = 12


@dataclass(frozen=True)
class Measure:
    """What the table shows of each model.

    Parameters
    ----------
    name : str
        With the unit.
    column : Column
        Of the rows that have it.
    agreement : bool
        Whether it is one of agreement, or else a score.
    """

    name: str
    column: Column
    agreement: bool


def current_name(measure: str) -> str:
    """Return what a measure is called today that a session names."""
    return _EARLIER.get(measure, measure)


def measures_of(compared: Compared) -> list[Measure]:
    """Return the measures that there are numbers for: scores, then those of agreement."""
    found: list[Measure] = []
    for made, columns, keys in (
        (compared.comparison, COMPARISON_COLUMNS, _SCORES),
        (compared.agreement, AGREEMENT_COLUMNS, _AGREEMENT),
    ):
        if made is None:
            continue
        of_agreement = columns is AGREEMENT_COLUMNS
        by_key = {column.key: column for column in columns}
        if of_agreement:
            bias = by_key["bias_percent"]
            meaning = (
                "Mean of (model − reference)/mean of both, and the limits of agreement within which 95 % of the "
                "differences lie, bias ± 1.96 SD (Bland–Altman)."
            )
            found.append(Measure(LIMITS, Column(bias.key, LIMITS, bias.form, meaning), True))
        rows = made.rows()
        for key in keys:
            column = by_key[key]
            # a measure that both have is the score's
            known = any(column.heading == other.name for other in found)
            if not known and any(row.get(key) is not None for row in rows):
                found.append(Measure(column.heading, column, of_agreement))
    return found


@dataclass(frozen=True)
class _Line:
    place: str
    parameter: str
    #: of each model: its row, None where it has none
    rows: tuple[Mapping[str, Any] | None, ...]
    voxels: int | None

    def value(self, column: int, key: str) -> Any:
        """Return what a column is sorted by."""
        if column < 2:
            return (self.place, self.parameter)[column]
        row = None if column - 2 >= len(self.rows) else self.rows[column - 2]
        return self.voxels if column - 2 == len(self.rows) else None if row is None else row.get(key)


class ComparisonTable(NumberTable):
    """One row per tissue and map, one column per model; all rows are seen, and a click on a heading sorts them."""

    def __init__(self) -> None:
        super().__init__(
            "Scores",
            "One column for each model. Click a heading to sort; a third click brings the order of tissues back.",
            [("Tissue", "Pure voxels of one tissue, or a region; all: every voxel."), ("Map", "What was mapped.")],
            words=(0, 1),
            small=True,
        )
        self.hide()
        self.setWordWrap(False)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.head.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.head.setMinimumSectionSize(20)
        self.head.setDefaultAlignment(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
        self.head.setSectionsClickable(True)
        self.head.sectionClicked.connect(self._sort)
        self._lines: list[_Line] = []
        self._measure: Measure | None = None
        # the column that rows are sorted by and whether the largest comes first; None: the order of tissues
        self._order: tuple[int, bool] | None = None

    def show_measure(self, compared: Compared, measure: Measure, colours: Mapping[str, str]) -> None:
        """Show one measure of what was compared, the models' names in their colours."""
        made = compared.agreement if measure.agreement else compared.comparison
        if made is None:
            return
        if measure != self._measure:
            self._order = None
        self._measure = measure
        place = "region" if measure.agreement else "tissue"
        cells: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
        for row in made.rows():
            # what has no per cent is shown in its unit, where bias and limits are
            if row.get("bias" if measure.name == LIMITS else measure.column.key) is not None:
                cells.setdefault((row["parameter"], row[place]), {})[row["model"]] = row
        parameters = list(dict.fromkeys(parameter for parameter, _ in cells))
        self._lines = [
            _Line(where, parameter, tuple(by_model.get(model) for model in made.models), _voxels(by_model.values()))
            for (parameter, where), by_model in sorted(cells.items(), key=lambda item: parameters.index(item[0][0]))
        ]
        headings = [*(item.text() for item in self.headings[:2]), *made.models, "Voxels"]
        self.setColumnCount(len(headings))
        for number, text in enumerate(headings[2:], start=2):
            item = QTableWidgetItem(text)
            item.setToolTip(f"{text}: {measure.column.meaning}" if text in made.models else "Of the tissue or region.")
            if text in colours:
                item.setForeground(QColor(colours[text]))
            self.setHorizontalHeaderItem(number, item)
            self.headings[number:] = [item]
        self.setAccessibleName(measure.name)
        self.show()
        self._write()

    def _sort(self, column: int) -> None:
        # what is largest is looked for first; names begin with the first letter
        first = column >= 2
        orders = [(column, first), (column, not first), None]
        self._order = orders[(orders.index(self._order) + 1) % 3 if self._order in orders else 0]
        self._write()

    def _write(self) -> None:
        measure = self._measure
        if measure is None:
            return
        lines = list(self._lines)
        if self._order is not None:
            column, descending = self._order
            key = measure.column.key
            known = [line for line in lines if line.value(column, key) is not None]
            known.sort(key=lambda line: line.value(column, key), reverse=descending)
            lines = known + [line for line in lines if line.value(column, key) is None]
            self.head.setSortIndicator(
                column, Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
            )
        self.head.setSortIndicatorShown(self._order is not None)
        self.setRowCount(len(lines))
        for i, line in enumerate(lines):
            self.write(i, 0, line.place, line.place)
            self.write(i, 1, line.parameter, line.parameter)
            for j, row in enumerate(line.rows, start=2):
                text, tip = ("", "") if row is None else (_text(row, measure), _tip(row, measure))
                self.write(i, j, text, tip)
            self.write(i, len(line.rows) + 2, "" if line.voxels is None else f"{line.voxels:,}")
        self._fit()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def showEvent(self, event: Any) -> None:  # noqa: N802
        super().showEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Give every column what its numbers need and the models what is left, and show every row."""
        count = self.columnCount()
        if count < 3 or not self.rowCount():
            return
        widths = [self._width(column) for column in range(count)]
        room = self.viewport_width() - sum(widths)
        # the number of voxels is the first to go
        self.setColumnHidden(count - 1, room < 0)
        if room < 0:
            room += widths[-1]
        models = range(2, count - 1)
        for column in range(count):
            more = max(0, room) // len(models) if column in models else 0
            self.setColumnWidth(column, widths[column] + more)
        lines = max(self._lines_of(column) for column in range(count) if not self.isColumnHidden(column))
        head = lines * self.fontMetrics().height() + 8
        self.head.setFixedHeight(head)
        bar = self.horizontalScrollBar()
        below = bar.sizeHint().height() if bar is not None and room < 0 else 0
        self.setFixedHeight(head + ROW_HEIGHT * self.rowCount() + below + 2 * self.frameWidth())

    def viewport_width(self) -> int:
        """Return the pixels that columns may take."""
        return self.width() - 2 * self.frameWidth()

    def _width(self, column: int) -> int:
        """Return what the cells and the longest word of the heading need."""
        metrics = self.fontMetrics()
        head = max(map(metrics.horizontalAdvance, self.headings[column].text().split() or [""]))
        cells = (metrics.horizontalAdvance(self.cell(row, column).text()) for row in range(self.rowCount()))
        return max(head, *cells) + _PADDING

    def _lines_of(self, column: int) -> int:
        """Return how many lines a heading takes."""
        metrics, room = self.fontMetrics(), self.columnWidth(column) - 6
        lines, used = 1, 0
        for word in self.headings[column].text().split():
            width = metrics.horizontalAdvance(word + " ")
            if used and used + width > room:
                lines, used = lines + 1, 0
            used += width
        return lines


def _voxels(rows: Any) -> int | None:
    known: Sequence[int] = [row["voxels"] for row in rows]
    return max(known, default=None)


def _text(row: Mapping[str, Any], measure: Measure) -> str:
    if measure.name != LIMITS:
        return cell(row, measure.column).replace("-", "−")
    bias, upper = row["bias_percent"], row["upper_percent"]
    if bias is None:
        spread = "" if row["upper"] is None else f" ± {row['upper'] - row['bias']:.2g}"
        return f"{row['bias']:+.2g}{spread} {row.get('unit', '')}".rstrip().replace("-", "−")
    text = f"{bias:+z.2f}" if upper is None else f"{bias:+z.2f} ± {upper - bias:.2f}"
    return text.replace("-", "−")


def _tip(row: Mapping[str, Any], measure: Measure) -> str:
    tip = measure.column.meaning
    if measure.name == LIMITS and row["lower_percent"] is not None:
        parts = [
            f"{name} {row[f'{key}_percent_from']:+.3g} to {row[f'{key}_percent_to']:+.3g} %"
            for name, key in (("bias", "bias"), ("lower limit", "lower"), ("upper limit", "upper"))
        ]
        tip += f" Confidence intervals: {', '.join(parts)}.".replace("-", "−")
    failed = row.get("failures")
    return f"{tip} No answer: {counted(failed, 'voxel', ',')}." if failed else tip
