"""The row of buttons for the pins."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QToolButton, QWidget

from napari_blochnet.napari_ui.inspector.styles import pin_icon, translucent
from napari_blochnet.napari_ui.state.pins import MAX_PINS, PIN_COLOURS, Voxel
from napari_blochnet.napari_ui.widgets.appearance import Palette

__all__ = ["PinBar"]


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
            self.select.setToolTip(
                f"Pin {self.number}: voxel z {z}, y {y}, x {x} of {voxel.stack.name}. A click shows it."
            )
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
                # Qt lets go of the button later, and of its stack with it
                chip.voxel = None
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
