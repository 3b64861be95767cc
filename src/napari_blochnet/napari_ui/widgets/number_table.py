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
    small : bool
        Whether it is printed small: many numbers in a narrow dock.
    """

    def __init__(
        self,
        name: str,
        meaning: str,
        columns: Sequence[tuple[str, str]],
        *,
        words: Container[int] = (0,),
        small: bool = False,
    ) -> None:
        super().__init__(0, len(columns))
        self._words = words
        self.setAccessibleName(name)
        self.setToolTip(meaning)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setTabKeyNavigation(False)
        side = self.side
        side.hide()
        side.setDefaultSectionSize(ROW_HEIGHT)
        if small:
            self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
            self.setStyleSheet("QTableWidget, QHeaderView { font-size: 11px; } QTableWidget::item { padding: 0; }")
        #: what stands above each column
        self.headings = [QTableWidgetItem(text) for text, _ in columns]
        for number, item in enumerate(self.headings):
            item.setToolTip(columns[number][1])
            self.setHorizontalHeaderItem(number, item)

    # Qt makes them for every table, which its type hints do not know; asked for each time, since PySide may let go of
    # what stands for them in Python

    @property
    def head(self) -> QHeaderView:
        """What stands above the columns."""
        found = self.horizontalHeader()
        assert found is not None
        return found

    @property
    def side(self) -> QHeaderView:
        """What stands before the rows."""
        found = self.verticalHeader()
        assert found is not None
        return found

    @property
    def sheet(self) -> QWidget:
        """What the cells are drawn on."""
        found = self.viewport()
        assert found is not None
        return found

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
        # an old one is taken out, not deleted under Python's hands: PySide would go on pointing at it
        self.takeItem(row, column)
        item = self.cell(row, column)
        item.setText(text)
        item.setToolTip(tip)
        return item
