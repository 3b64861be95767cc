"""The tables of the Compare tab: many numbers in a narrow dock."""

from __future__ import annotations

from collections.abc import Container, Sequence

from qtpy.QtWidgets import QAbstractItemView

from napari_blochnet.napari_ui.widgets.tables import NumberTable

__all__ = ["ResultsTable"]


class ResultsTable(NumberTable):
    """A table in small print, hidden until there are results."""

    def __init__(
        self, name: str, meaning: str, columns: Sequence[tuple[str, str]], *, words: Container[int] = (0,)
    ) -> None:
        super().__init__(name, meaning, columns, words=words)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setStyleSheet("QTableWidget, QHeaderView { font-size: 11px; } QTableWidget::item { padding: 0; }")
        self.hide()
