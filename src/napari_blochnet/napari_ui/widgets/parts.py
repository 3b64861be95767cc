"""Parts that panels are put together from: buttons, choices, rows of widgets, rows with a name before each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QHBoxLayout, QPushButton, QWidget

__all__ = ["Choice", "ExportButton", "button", "named_rows", "row_of"]


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
    question : str
        Title of the dialog.
    name : str
        Of the file, as proposed.
    filters : str
        Kinds of files, as Qt wants them.
    save : callable
        Called with the path.
    """

    def __init__(
        self, text: str, tooltip: str, question: str, name: str, filters: str, save: Callable[[str], None]
    ) -> None:
        super().__init__(text)
        self.setToolTip(tooltip)
        self._dialog, self._save = (question, name, filters), save
        self.clicked.connect(self._ask)

    def _ask(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, *self._dialog)
        if path:
            self._save(path)


class Choice(QComboBox):
    """A choice among things; the longest name does not make the panel wider."""

    def __init__(self, name: str, tooltip: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setToolTip(tooltip)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)

    @property
    def things(self) -> list[Any]:
        """What is offered."""
        return [self.itemData(index) for index in range(self.count())]

    def offer(self, things: Sequence[tuple[str, Any]], chosen: Any = None) -> None:
        """Offer other things, without a signal; the first is chosen where ``chosen`` is not among them."""
        self.blockSignals(True)
        self.clear()
        for text, thing in things:
            self.addItem(text, thing)
        self.setCurrentIndex(next((i for i, (_, thing) in enumerate(things) if thing == chosen), 0))
        self.blockSignals(False)


def named_rows(*rows: tuple[str, QWidget]) -> QFormLayout:
    """Return widgets below each other, each with its name before it, as wide as the panel."""
    layout = QFormLayout()
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for name, widget in rows:
        layout.addRow(name, widget)
    return layout


def row_of(*widgets: QWidget, last: QWidget | None = None) -> QHBoxLayout:
    """Return widgets side by side from the left, and one at the right."""
    layout = QHBoxLayout()
    for widget in widgets:
        layout.addWidget(widget)
    layout.addStretch(1)
    if last is not None:
        layout.addWidget(last)
    return layout
