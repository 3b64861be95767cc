"""How a result was made, to take along: as Python, as commands, as a recipe."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QApplication, QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_blochnet.errors import InputError
from napari_blochnet.files import write_json
from napari_blochnet.jobs.records import as_command, as_python, as_recipe
from napari_blochnet.napari_ui.session import Session

__all__ = ["CopyRow"]


class CopyRow(QWidget):
    """Three buttons that hand out the record of the latest result."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._record: dict[str, Any] = {}
        self.python = QPushButton("Copy as Python")
        self.python.setToolTip("Copy a script that makes this result again.")
        self.command = QPushButton("Copy as command")
        self.command.setToolTip("Copy the shell commands that make this result again.")
        self.recipe = QPushButton("Save recipe…")
        self.recipe.setToolTip("Write a file that 'blochnet run' replays.")
        self.said = QLabel()
        self.said.setWordWrap(True)
        self.said.hide()
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for button in (self.python, self.command, self.recipe):
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self.said)
        self.python.clicked.connect(lambda: self._copy(as_python, "Python"))
        self.command.clicked.connect(lambda: self._copy(as_command, "Commands"))
        self.recipe.clicked.connect(self._save)
        self.setVisible(False)

    def show_record(self, record: dict[str, Any]) -> None:
        """Offer the record of this result from now on."""
        self._record = record
        self.said.hide()
        self.setVisible(bool(record))

    def _copy(self, write: Any, what: str) -> None:
        try:
            text = write(self._record)
        except InputError as error:
            self._say(str(error))
            return
        except KeyError as error:
            self._say(f"A step of this result was not recorded: {error}.")
            return
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(text)
        self._say(f"{what} copied.")

    def _save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save the recipe", "recipe.json", "JSON (*.json)")
        if name:
            write_json(as_recipe(self._record), name)
            self._say(f"Saved {name}.")

    def _say(self, text: str) -> None:
        self.said.setText(text)
        self.said.show()
