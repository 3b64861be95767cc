"""Buttons, and the rows in which widgets stand in a panel."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import (
    QBoxLayout,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLayout,
    QMessageBox,
    QPushButton,
    QWidget,
)

from napari_blochnet.napari_ui.forms.layouts import filled

__all__ = ["ExportButton", "ask_where_to_save", "button", "fill", "named_rows", "row_of"]


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
        path = ask_where_to_save(self, *self._dialog)
        if path:
            self._save(path)


def ask_where_to_save(parent: QWidget | None, title: str, start: str, kinds: str) -> str:
    """Ask for a file to write; a name without an ending gets that of the kind chosen, any other decides by itself.

    Parameters
    ----------
    parent : QWidget, optional
    title, start, kinds : str
        Of the dialog; kinds as Qt wants them: "CSV (*.csv);;HTML (*.html)".

    Returns
    -------
    str
        Empty where the person gave it up.
    """
    path, kind = QFileDialog.getSaveFileName(parent, title, start, kinds)
    if not path or Path(path).suffix:
        return str(path)
    endings = re.findall(r"\*(\.\w+(?:\.\w+)*)", kind or kinds)
    named = Path(f"{path}{endings[0]}" if endings else path)
    # the dialog asked about the name as it was typed
    if named.exists() and named != Path(path):
        answer = QMessageBox.question(parent, "Replace file?", f"{named.name} is already in {named.parent}. Replace?")
        if answer != QMessageBox.StandardButton.Yes:
            return ""
    return str(named)


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
