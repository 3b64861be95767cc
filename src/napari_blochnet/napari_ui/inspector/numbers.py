"""The inspector's numbers: a row for the truth and for every model."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QBrush, QColor, QFont, QFontMetrics
from qtpy.QtWidgets import QAbstractItemView, QFrame, QHeaderView

from napari_blochnet.evaluation.voxel import Explanation, Explanations
from napari_blochnet.napari_ui.inspector.styles import colour_of, swatch, time_text, translucent
from napari_blochnet.napari_ui.widgets.appearance import Palette
from napari_blochnet.napari_ui.widgets.number_table import NumberTable

__all__ = ["VoxelTable"]

_COLUMNS = (
    ("", "The colour of its curve and of its mark in the plane. A click on a name hides both, or shows them again."),
    ("T1 (ms)", "T1; ± one standard error where the model gives one, of the noise alone."),
    ("error", "(estimate − truth)/truth of T1"),
    ("T2 (ms)", "T2; ± one standard error where the model gives one, of the noise alone."),
    ("error", "(estimate − truth)/truth of T2"),
    ("PD", "Proton density, in units of the fingerprint; the truth's is brought to them by one factor for the stack"),
    ("residual", "‖x − ŝ‖/‖x‖ of the whole fingerprint x and its explanation ŝ"),
)
_ERRORS = (2, 4)
# Rows shrink to this where all of them would not fit otherwise, and grow to that; pixels.
_ROW_HEIGHTS = (15, 22)
_FONT_SIZE = 11
# What stands before a name, with its margins, and up to where a name has room of its own; pixels.
_ICON, _WIDEST_NAME = 34, 110
_PADDING = 11


class VoxelTable(NumberTable):
    """T1, T2, proton density and residual, with units; the row under the mouse stands out everywhere."""

    #: index of the explanation under the mouse, or None
    hovered = Signal(object)
    #: index of the explanation whose name was clicked
    named = Signal(int)
    painted = Signal()

    def __init__(self) -> None:
        super().__init__(
            "Numbers of the truth and of each model",
            "T1, T2, proton density and residual; a column's heading says what it is.",
            _COLUMNS,
        )
        self._colours: Palette | None = None
        self._shown: Explanations | None = None
        self._highlighted: int | None = None
        self._hidden: frozenset[int] = frozenset()
        #: whether it stands beside the plots, and takes the width that it needs
        self.is_beside = False
        for heading in self.headings[1:]:
            heading.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setIconSize(QSize(22, 12))
        self.side.setMinimumSectionSize(_ROW_HEIGHTS[0])
        # widths are set for all cells at once: by contents, Qt would measure every column again after every cell
        self.head.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.head.setMinimumSectionSize(20)
        self.head.setFixedHeight(18)
        self.setMouseTracking(True)
        self.sheet.setMouseTracking(True)
        self.cellEntered.connect(lambda row, _column: self.hovered.emit(row))
        self.cellClicked.connect(self._on_click)

    def _on_click(self, row: int, column: int) -> None:
        if column == 0:
            self.named.emit(row)

    def leaveEvent(self, event: Any) -> None:  # noqa: N802
        super().leaveEvent(event)
        self.hovered.emit(None)

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        super().paintEvent(event)
        self.painted.emit()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit_rows()
        self._fit_columns()

    def apply_theme(self, colours: Palette) -> None:
        """Take the theme's colours."""
        self._colours = colours
        self.setStyleSheet(
            f"QTableWidget {{ background: {colours.background}; border: 0; color: {colours.text};"
            f" font-size: {_FONT_SIZE}px; }}"
            f"QHeaderView::section {{ background: {colours.background}; color: {colours.faint}; border: 0;"
            f" border-bottom: 1px solid {colours.edge}; padding: 0 3px; font-size: {_FONT_SIZE}px; }}"
        )
        self.show_explanations(self._shown, self._hidden)

    def show_explanations(self, shown: Explanations | None, hidden: frozenset[int] = frozenset()) -> None:
        """Fill in a voxel's numbers, or none; names of those whose slots are hidden are struck out."""
        self._shown, self._hidden = shown, hidden
        self._highlighted = None
        items, residuals = ((), ()) if shown is None else (shown.items, shown.residual)
        if self.rowCount() != len(items):
            self.setRowCount(len(items))
        truth = None if shown is None else shown.truth
        for column in _ERRORS:
            if self.isColumnHidden(column) != (truth is None):
                self.setColumnHidden(column, truth is None)
        for row, item in enumerate(items):
            for column, text in enumerate(_texts(item, residuals[row], truth)):
                self.cell(row, column).setText(text)
            is_hidden = item.slot in hidden
            name = self.cell(row, 0)
            if self._colours is not None:
                colour = self._colours.edge if is_hidden else colour_of(item, self._colours)
                name.setIcon(swatch(colour, item.is_truth))
                name.setForeground(QBrush(QColor(self._colours.faint if is_hidden else self._colours.text)))
            font = name.font()
            if font.strikeOut() != is_hidden:
                font.setStrikeOut(is_hidden)
                name.setFont(font)
            name.setToolTip(
                f"<p>{escape(item.name)}</p><p>Click the name to {'show' if is_hidden else 'hide'} its curves and its "
                "mark.</p>"
            )
        self._fit_rows()
        self._fit_columns()
        self._shade()

    def _fit_rows(self) -> None:
        """Let all rows fit where they can."""
        low, high = _ROW_HEIGHTS
        height = min(high, max(low, self.sheet.height() // max(1, self.rowCount())))
        if self.side.defaultSectionSize() != height:
            self.side.setDefaultSectionSize(height)

    def _fit_columns(self) -> None:
        """Give the numbers what they need, and the names the rest."""
        font = QFont(self.font())
        font.setPixelSize(_FONT_SIZE)
        metrics = QFontMetrics(font)
        rest, needed = self.sheet.width(), 0
        for column in range(1, self.columnCount()):
            if self.isColumnHidden(column):
                continue
            texts = [self.headings[column].text()]
            texts += [self.cell(row, column).text() for row in range(self.rowCount())]
            width = max(metrics.horizontalAdvance(text) for text in texts) + _PADDING
            rest, needed = rest - width, needed + width
            if self.columnWidth(column) != width:
                self.setColumnWidth(column, width)
        names = (metrics.horizontalAdvance(self.cell(row, 0).text()) for row in range(self.rowCount()))
        name = min(_WIDEST_NAME, max(names, default=0) + _ICON)
        self.setColumnWidth(0, max(64, rest))
        if self.is_beside:
            # the curves give way, as far as they can
            self.setMinimumWidth(needed + max(64, name))

    def highlight(self, number: int | None) -> None:
        """Let one row stand out, or none."""
        if number != self._highlighted:
            self._highlighted = number
            self._shade()

    def _shade(self) -> None:
        if self._colours is None:
            return
        shade = QBrush(translucent(self._colours.accent, 70))
        for row in range(self.rowCount()):
            for column in range(self.columnCount()):
                self.cell(row, column).setBackground(shade if row == self._highlighted else QBrush())


def _texts(item: Explanation, residual: float, truth: Explanation | None) -> Sequence[str]:
    def value(time: float, error: float | None) -> str:
        return time_text(time) + (f" ± {_two_digits(error)}" if error is not None else "")

    def error(time: float, true: float | None) -> str:
        return "" if true is None or item.is_truth else f"{100 * (time / true - 1):+z.1f} %".replace("-", "−")

    return (
        item.name,
        value(item.t1, item.t1_se),
        error(item.t1, None if truth is None else truth.t1),
        value(item.t2, item.t2_se),
        error(item.t2, None if truth is None else truth.t2),
        "" if item.pd != item.pd else f"{item.pd:#.3g}".rstrip("."),
        "" if residual != residual else f"{100 * residual:.1f} %",
    )


def _two_digits(value: float) -> str:
    """Return an error with the digits that mean something."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.95 else f"{value:.2f}"
