"""Tables that are read, not edited: a heading with its meaning above each column, numbers to the right."""

from __future__ import annotations

from collections.abc import Container, Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

__all__ = ["ROW_HEIGHT", "NumberTable"]

#: pixels
ROW_HEIGHT = 22
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class NumberTable(QTableWidget):
    """A table of numbers.

    Parameters
    ----------
    name : str
        For screen readers.
    meaning : str
        Its tooltip.
    columns : sequence of (str, str)
        What stands above each column, and its tooltip.
    words : container of int
        Columns whose text begins at the left; numbers end at the right.
    """

    def __init__(
        self, name: str, meaning: str, columns: Sequence[tuple[str, str]], *, words: Container[int] = (0,)
    ) -> None:
        super().__init__(0, len(columns))
        self._words = words
        self.setAccessibleName(name)
        self.setToolTip(meaning)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setTabKeyNavigation(False)
        self.side.hide()
        self.side.setDefaultSectionSize(ROW_HEIGHT)
        for column, (heading, tip) in enumerate(columns):
            head = QTableWidgetItem(heading)
            head.setToolTip(tip)
            self.setHorizontalHeaderItem(column, head)

    # what Qt gives every table, and its type hints only perhaps

    @property
    def head(self) -> QHeaderView:
        """What stands above the columns."""
        header = self.horizontalHeader()
        assert header is not None
        return header

    @property
    def side(self) -> QHeaderView:
        """What stands before the rows."""
        header = self.verticalHeader()
        assert header is not None
        return header

    @property
    def sheet(self) -> QWidget:
        """What the cells are drawn on."""
        viewport = self.viewport()
        assert viewport is not None
        return viewport

    def heading(self, column: int) -> QTableWidgetItem:
        """Return what stands above a column."""
        item = self.horizontalHeaderItem(column)
        assert item is not None
        return item

    def cell(self, row: int, column: int) -> QTableWidgetItem:
        """Return a cell, a new one where there is none yet."""
        item = self.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            if column not in self._words:
                item.setTextAlignment(_RIGHT)
            self.setItem(row, column, item)
        return item

    def write(self, row: int, column: int, text: str, tip: str = "") -> QTableWidgetItem:
        """Put a new cell into the table."""
        self.setItem(row, column, None)
        item = self.cell(row, column)
        item.setText(text)
        item.setToolTip(tip)
        return item
