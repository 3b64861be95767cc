"""The inspector's numbers: a row for the truth and for every model, and a row of buttons for the pins."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QBrush, QColor, QFont, QFontMetrics
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QWidget,
)

from napari_blochnet.evaluation.voxel import Explanation, Explanations
from napari_blochnet.napari_ui.inspector.styles import colour_of, pin_icon, swatch, time_text, translucent
from napari_blochnet.napari_ui.state.pins import MAX_PINS, PIN_COLOURS, Voxel
from napari_blochnet.napari_ui.widgets.appearance import Palette

__all__ = ["NumbersTable", "PinBar"]

_COLUMNS = (
    ("", "The colour of its curve and of its mark in the plane."),
    ("T1 (ms)", "T1; ± one standard error where the model gives one, of the noise alone."),
    ("error", "(estimate − truth)/truth of T1"),
    ("T2 (ms)", "T2; ± one standard error where the model gives one, of the noise alone."),
    ("error", "(estimate − truth)/truth of T2"),
    ("PD", "Proton density, relative"),
    ("misfit", "‖x − ŝ‖/‖x‖ of the whole fingerprint x and its explanation ŝ"),
)
_ERRORS = (2, 4)
# Rows shrink to this where all of them would not fit otherwise, and grow to that; pixels.
_ROW_HEIGHTS = (15, 22)
_FONT_SIZE = 11
_PADDING = 11


class NumbersTable(QTableWidget):
    """T1, T2, proton density and misfit, with units; the row under the mouse stands out everywhere."""

    #: index of the explanation under the mouse, or None
    hovered = Signal(object)
    painted = Signal()

    def __init__(self) -> None:
        super().__init__(0, len(_COLUMNS))
        self._colours: Palette | None = None
        self._shown: Explanations | None = None
        self._highlighted: int | None = None
        self.setAccessibleName("Numbers of the truth and of each model")
        self.setToolTip("T1, T2, proton density and misfit; a column's heading says what it is.")
        self.setHorizontalHeaderLabels([name for name, _ in _COLUMNS])
        for column, (_, tip) in enumerate(_COLUMNS):
            self.horizontalHeaderItem(column).setToolTip(tip)
            if column:
                self.horizontalHeaderItem(column).setTextAlignment(
                    Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                )
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setIconSize(QSize(22, 12))
        self.verticalHeader().hide()
        self.verticalHeader().setMinimumSectionSize(_ROW_HEIGHTS[0])
        header = self.horizontalHeader()
        # widths are set for all cells at once: by contents, Qt would measure every column again after every cell
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setMinimumSectionSize(20)
        header.setFixedHeight(18)
        self.setMouseTracking(True)
        self.viewport().setMouseTracking(True)
        self.cellEntered.connect(lambda row, _column: self.hovered.emit(row))

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
        self.show_explanations(self._shown)

    def show_explanations(self, shown: Explanations | None) -> None:
        """Fill in a voxel's numbers, or none."""
        self._shown = shown
        self._highlighted = None
        items = () if shown is None else shown.items
        if self.rowCount() != len(items):
            self.setRowCount(len(items))
        truth = None if shown is None else shown.truth
        for column in _ERRORS:
            if self.isColumnHidden(column) != (truth is None):
                self.setColumnHidden(column, truth is None)
        for row, item in enumerate(items):
            misfit = float(shown.residual[row])
            for column, text in enumerate(_texts(item, misfit, truth)):
                self._cell(row, column).setText(text)
            if self._colours is not None:
                self._cell(row, 0).setIcon(swatch(colour_of(item, self._colours), item.is_truth))
            self._cell(row, 0).setToolTip(item.name)
        self._fit_rows()
        self._fit_columns()
        self._shade()

    def _fit_rows(self) -> None:
        """Let all rows fit where they can."""
        low, high = _ROW_HEIGHTS
        height = min(high, max(low, self.viewport().height() // max(1, self.rowCount())))
        if self.verticalHeader().defaultSectionSize() != height:
            self.verticalHeader().setDefaultSectionSize(height)

    def _cell(self, row: int, column: int) -> QTableWidgetItem:
        cell = self.item(row, column)
        if cell is None:
            cell = QTableWidgetItem()
            if column:
                cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.setItem(row, column, cell)
        return cell

    def _fit_columns(self) -> None:
        """Give the numbers what they need, and the names the rest."""
        font = QFont(self.font())
        font.setPixelSize(_FONT_SIZE)
        metrics = QFontMetrics(font)
        rest = self.viewport().width()
        for column in range(1, self.columnCount()):
            if self.isColumnHidden(column):
                continue
            texts = [self.horizontalHeaderItem(column).text()]
            texts += [self.item(row, column).text() for row in range(self.rowCount())]
            width = max(metrics.horizontalAdvance(text) for text in texts) + _PADDING
            rest -= width
            if self.columnWidth(column) != width:
                self.setColumnWidth(column, width)
        self.setColumnWidth(0, max(64, rest))

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
                self._cell(row, column).setBackground(shade if row == self._highlighted else QBrush())


def _texts(item: Explanation, misfit: float, truth: Explanation | None) -> Sequence[str]:
    def value(time: float, error: float | None) -> str:
        return time_text(time) + (f" ± {_two_digits(error)}" if error is not None else "")

    def error(time: float, true: float | None) -> str:
        return "" if true is None or item.is_truth else f"{100 * (time / true - 1):+.1f} %".replace("-", "−")

    return (
        item.name,
        value(item.t1, item.t1_se),
        error(item.t1, None if truth is None else truth.t1),
        value(item.t2, item.t2_se),
        error(item.t2, None if truth is None else truth.t2),
        f"{item.pd:#.3g}".rstrip("."),
        "" if misfit != misfit else f"{100 * misfit:.1f} %",
    )


def _two_digits(value: float) -> str:
    """Return an error with the digits that mean something."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.95 else f"{value:.2f}"


class _Chip(QFrame):
    """A pin's button that selects it, and the cross that gives it up."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.voxel: Voxel | None = None
        self.setObjectName("blochnetPin")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        row = QHBoxLayout(self)
        row.setContentsMargins(5, 0, 4, 0)
        row.setSpacing(0)
        self.select, self.remove = QToolButton(), QToolButton()
        self.select.setText(str(number))
        self.select.setIcon(pin_icon(PIN_COLOURS[(number - 1) % MAX_PINS]))
        self.select.setIconSize(QSize(12, 12))
        self.select.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.select.setCheckable(True)
        self.select.setAccessibleName(f"Pin {number}")
        self.remove.setText("×")
        self.remove.setToolTip(f"Give up pin {number}.")
        self.remove.setAccessibleName(f"Give up pin {number}")
        for button, width in ((self.select, 30), (self.remove, 14)):
            button.setFixedSize(width, 19)
            row.addWidget(button)

    def show_pin(self, voxel: Voxel, is_current: bool, colours: Palette) -> None:
        """Stand for a voxel."""
        if voxel != self.voxel:
            self.voxel = voxel
            z, y, x = voxel.index
            self.select.setToolTip(f"Pin {self.number}: voxel z {z}, y {y}, x {x} of {voxel.stack.name}. "
                                   "A click shows it.")  # fmt: skip
        self.select.setChecked(is_current)
        colour = PIN_COLOURS[(self.number - 1) % MAX_PINS]
        sheet = (
            f"QFrame#blochnetPin {{ border: 1px solid {colour if is_current else colours.edge}; border-radius: 9px;"
            f" background: {translucent(colour, 60 if is_current else 0).name(QColor.NameFormat.HexArgb)}; }}"
            f"QToolButton {{ border: 0; background: transparent; color: {colours.text}; padding: 0; }}"
            f"QToolButton:focus {{ color: {colours.accent}; }} QToolButton:hover {{ color: {colours.accent}; }}"
        )
        # the same sheet again would lay out and draw everything again
        if sheet != self.styleSheet():
            self.setStyleSheet(sheet)


class PinBar(QWidget):
    """One button for each pin: a click selects it, its cross gives it up."""

    selected = Signal(object)
    removed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(3)
        self._chips: list[_Chip] = []

    @property
    def chips(self) -> list[tuple[QToolButton, QToolButton]]:
        """The buttons that select and that give up, by pin, oldest first."""
        return [(chip.select, chip.remove) for chip in self._chips]

    def show_pins(self, pins: Sequence[tuple[Voxel, int]], current: Voxel | None, colours: Palette) -> None:
        """Show a button for each pin.

        Parameters
        ----------
        pins : sequence of (Voxel, number)
        current : Voxel, optional
        colours : Palette
        """
        # a pin that only moves keeps its buttons: new ones would take a layout and another drawing
        if [chip.number for chip in self._chips] != [number for _, number in pins]:
            for chip in self._chips:
                self._row.removeWidget(chip)
                chip.hide()
                chip.deleteLater()
            self._chips = [_Chip(number) for _, number in pins]
            for chip in self._chips:
                chip.select.clicked.connect(functools.partial(self._tell, self.selected, chip))
                chip.remove.clicked.connect(functools.partial(self._tell, self.removed, chip))
                self._row.addWidget(chip)
        for chip, (voxel, _) in zip(self._chips, pins, strict=True):
            chip.show_pin(voxel, voxel == current, colours)

    @staticmethod
    def _tell(signal: Any, chip: _Chip) -> None:
        signal.emit(chip.voxel)
