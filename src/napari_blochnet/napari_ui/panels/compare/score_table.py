"""The table of scores in the Compare tab: as many of its columns as the dock has room for."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHeaderView

from napari_blochnet.evaluation.tables import COMPARISON_COLUMNS, cell
from napari_blochnet.napari_ui.widgets.number_table import NumberTable

if TYPE_CHECKING:
    from napari_blochnet.evaluation.comparison import Comparison

__all__ = ["ComparisonTable"]

_KEYS = [column.key for column in COMPARISON_COLUMNS]
_TISSUE = _KEYS.index("tissue")
# What is always shown, and what else, in this order, where the dock is wide enough; all of it is saved.
_ALWAYS = ("tissue", "parameter", "failures", "bias_percent", "mae_percent", "rmse", "mse_log10", "rmse_per_bound")
_MORE = ("voxels", "median_percent", "bound", "bias", "mae", "constant_mse_log10")
# Of a tissue's name at least this much is seen, pixels; the whole is in the tooltip.
_NAME = 48
_PADDING = 8


def _below_names(comparison: Comparison) -> list[dict[str, Any]]:
    """Return the rows of each model below one with its name alone."""
    rows: list[dict[str, Any]] = []
    for model, own in itertools.groupby(comparison.rows(), key=lambda row: row["model"]):
        rows += [{"model": model}, *own]
    return rows


class ComparisonTable(NumberTable):
    """One row per tissue and map below each model's name; no column is cut off or asks for scrolling sideways."""

    def __init__(self) -> None:
        super().__init__(
            "Scores",
            "Errors of each model in each tissue; a column's heading says what it is. A wider dock shows more columns, "
            "and the saved table has all.",
            [(column.heading, column.meaning or column.heading) for column in COMPARISON_COLUMNS],
            words=[number for number, column in enumerate(COMPARISON_COLUMNS) if not column.form],
            small=True,
        )
        self.hide()
        self.setMinimumHeight(240)
        self.setWordWrap(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.head.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.head.setMinimumSectionSize(20)
        self.head.setDefaultAlignment(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
        self._filled: list[str] = []
        # rows that hold a model's name
        self._names: set[int] = set()

    def show_scores(self, comparison: Comparison) -> None:
        """Show a comparison."""
        rows = _below_names(comparison) if len(comparison.models) > 1 else comparison.rows()
        self.clearSpans()
        self.setRowCount(len(rows))
        self._names = {i for i, row in enumerate(rows) if len(row) == 1}
        for i, row in enumerate(rows):
            for j, column in enumerate(COMPARISON_COLUMNS):
                text = "" if i in self._names else cell(row, column)
                self.write(i, j, text, column.meaning if column.form else text)
            if i in self._names:
                item = self.write(i, _TISSUE, row["model"], row["model"])
                font = item.font()
                font.setBold(True)
                item.setFont(font)
                self.setSpan(i, _TISSUE, 1, len(COMPARISON_COLUMNS) - _TISSUE)
        rows = comparison.rows()
        self._filled = [column.key for column in COMPARISON_COLUMNS if any(cell(row, column) for row in rows)]
        self._filled.remove("model")
        if not any(row["failures"] for row in rows):
            self._filled.remove("failures")
        self.show()
        self._fit()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def showEvent(self, event: Any) -> None:  # noqa: N802
        super().showEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Show the columns that fit, and give what is left to the tissues' names."""
        if not self._filled:
            return
        widths = {key: self._width(_KEYS.index(key)) for key in self._filled}
        shown = [key for key in _ALWAYS if key in widths]
        room = self.sheet.width() - sum(widths[key] for key in shown)
        for key in _MORE:
            # others only once no name is cut
            if key in widths and widths[key] <= room:
                shown.append(key)
                room -= widths[key]
        widths["tissue"] = max(_NAME, widths["tissue"] + room)
        for j, key in enumerate(_KEYS):
            self.setColumnHidden(j, key not in shown)
            if key in shown:
                self.setColumnWidth(j, widths[key])
        # what is scored over both maps together has this one score
        parameter = _KEYS.index("parameter")
        for i in range(self.rowCount()):
            self.setRowHidden(i, "mse_log10" not in shown and self.cell(i, parameter).text() == "T1, T2")
        self.head.setFixedHeight(2 * self.fontMetrics().height() + 6)

    def _width(self, column: int) -> int:
        """Return what the cells and the longest word of the heading need."""
        words = self.headings[column].text().replace(" /", "\u00a0/").split()
        head = max(map(self.fontMetrics().horizontalAdvance, words)) + _PADDING
        scored = [self.cell(i, column) for i in range(self.rowCount()) if i not in self._names]
        cells = (self.sizeHintForIndex(self.indexFromItem(item)).width() for item in scored)
        # and the line of the grid
        return max(head, *cells) + 1
