"""Buttons, and the rows in which widgets stand in a panel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QBoxLayout, QFileDialog, QFormLayout, QHBoxLayout, QLayout, QPushButton, QWidget

from napari_blochnet.napari_ui.forms.layouts import filled

__all__ = ["ExportButton", "button", "fill", "named_rows", "row_of"]


def button(text: str, tooltip: str, *, checkable: bool = False) -> QPushButton:
    """Return a button."""
    made = QPushButton(text)
    made.setToolTip(tooltip)
    made.setCheckable(checkable)
    return made


class ExportButton(QPushButton):
    """A button that asks for a file to write.

    Parameters
    ----------
    text, tooltip : str
    dialog : (str, str, str)
        Its title, the proposed name of the file, and the kinds of files as Qt wants them.
    save : callable
        Called with the path.
    """

    def __init__(self, text: str, tooltip: str, dialog: tuple[str, str, str], save: Callable[[str], None]) -> None:
        super().__init__(text)
        self.setToolTip(tooltip)
        self._dialog, self._save = dialog, save
        self.clicked.connect(self._ask)

    def _ask(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, *self._dialog)
        if path:
            self._save(path)


def fill(layout: QBoxLayout, *parts: QWidget | QLayout) -> None:
    """Put widgets and rows of them into a layout, one after the other."""
    for part in parts:
        if isinstance(part, QLayout):
            layout.addLayout(part)
        else:
            layout.addWidget(part)


def named_rows(*rows: tuple[str, Any]) -> QFormLayout:
    """Return widgets, Qt's or magicgui's, below each other, each with its name before it, as wide as the panel."""
    layout = QFormLayout()
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for name, widget in rows:
        layout.addRow(name, getattr(widget, "native", widget))
    return layout


def row_of(*widgets: QWidget, last: QWidget | None = None) -> QHBoxLayout:
    """Return widgets side by side from the left, and one at the right."""
    return filled(QHBoxLayout(), *widgets, 1, *([] if last is None else [last]))
