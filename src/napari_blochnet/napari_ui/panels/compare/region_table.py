"""The table of means over regions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QTableWidgetItem

from napari_blochnet.common.plain_text import counted
from napari_blochnet.evaluation.regions import RegionMeans
from napari_blochnet.evaluation.tables import mean_and_sd
from napari_blochnet.napari_ui.widgets.number_table import ROW_HEIGHT, NumberTable

__all__ = ["RegionTable"]

_COLUMNS = (
    (
        "Region",
        "A painted label, a drawn shape, or a tissue. Double-click the name of a painted or drawn one to change it.",
    ),
    ("Model", "What made the map; truth: the phantom."),
    ("n", "Voxels of the region that have an estimate."),
    ("T1 / ms", "Mean ± standard deviation over the region's voxels."),
    ("T2 / ms", "Mean ± standard deviation over the region's voxels."),
    (
        "PD",
        "Mean ± standard deviation over the region's voxels; scaled to the truth where there is one, else in "
        "each model's own unit.",
    ),
)
_FIRST_MEAN = 3
_PARAMETERS = ("T1", "T2", "PD")
_PADDING = 10
# More rows than this are scrolled.
_ROWS = 12


class RegionTable(NumberTable):
    """Mean ± SD of every model and of the truth in each region, whose name can be changed where it stands."""

    #: a person gave a region another name: (old, new)
    named = Signal(str, str)

    def __init__(self) -> None:
        super().__init__(
            "Means over regions",
            "Mean ± SD of every model in each region; a column's heading says what it is. A wider dock shows PD as "
            "well.",
            _COLUMNS,
            words=(0, 1),
            small=True,
        )
        self.hide()
        self.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed)
        self.itemChanged.connect(self._on_changed)
        self._names: list[str] = []
        self._is_filling = False

    def _on_changed(self, item: QTableWidgetItem) -> None:
        if self._is_filling or item.column() != 0 or not self._names[item.row()]:
            return
        old, new = self._names[item.row()], item.text().strip()
        if new and new != old:
            self._names[item.row()] = new
            self.named.emit(old, new)
        elif new != item.text() or not new:
            item.setText(old)

    def show_means(self, means: RegionMeans, colours: Mapping[str, str], *, can_be_named: bool = False) -> None:
        """Show means, the models in their colours; ``can_be_named``: whether a person may change regions' names."""
        self._is_filling = True
        try:
            self._fill(means, colours, can_be_named)
        finally:
            self._is_filling = False

    def _fill(self, found: RegionMeans, colours: Mapping[str, str], can_be_named: bool) -> None:
        cells: dict[tuple[str, str], dict[str, Any]] = {}
        for row in found.table:
            cells.setdefault((row["region"], row["model"]), {})[row["parameter"]] = row
        names = [region.name for region in found.regions]
        order = sorted(cells, key=lambda key: names.index(key[0]))
        self.setRowCount(len(order))
        self._names = []
        for line, (region, model) in enumerate(order):
            rows = cells[region, model]
            name = region if line == 0 or order[line - 1][0] != region else ""
            # a dictionary that came with the data may know one of them alone
            some = next(iter(rows.values()))
            means = [mean_and_sd(rows[parameter]) if parameter in rows else "" for parameter in _PARAMETERS]
            lost = some["failures"]
            tip = f"{counted(lost, 'voxel', ',')} of {region} without an estimate by {model}." if lost else region
            for column, text in enumerate([name, model, f"{some['voxels']:,}", *means]):
                item = self.write(line, column, text, tip)
                if column or not text or not can_be_named:
                    item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
            self._names.append(name if can_be_named else "")
            if model in colours:
                self.cell(line, 1).setForeground(QColor(colours[model]))

    def fit(self, width: int) -> None:
        """Give columns what their texts need, means what is left, and rows their height; leave PD out without room.

        What is saved holds it.
        """
        last = len(_COLUMNS) - 1
        widths = [self._width(column) for column in range(last + 1)]
        bar = self.verticalScrollBar()
        room = width - 2 * self.frameWidth()
        if bar is not None and self.rowCount() > _ROWS:
            room -= bar.sizeHint().width()
        self.setColumnHidden(last, sum(widths) > room)
        shown = range(last if self.isColumnHidden(last) else last + 1)
        left = max(0, room - sum(widths[column] for column in shown))
        means = shown[_FIRST_MEAN:]
        for column in shown:
            self.setColumnWidth(column, widths[column] + (left // len(means) if column in means else 0))
        # a bar for what has no room lies over no row
        bar = self.horizontalScrollBar()
        below = bar.sizeHint().height() if bar is not None and sum(widths[column] for column in shown) > room else 0
        self.setFixedHeight(self.head.sizeHint().height() + ROW_HEIGHT * min(self.rowCount(), _ROWS) + 8 + below)

    def _width(self, column: int) -> int:
        """Return what the cells and the heading need."""
        metrics = self.fontMetrics()
        texts = (self.headings[column].text(), *(self.cell(row, column).text() for row in range(self.rowCount())))
        return max(map(metrics.horizontalAdvance, texts)) + _PADDING
