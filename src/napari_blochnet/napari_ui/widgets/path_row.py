"""A line for the path of what is to be opened: typed, chosen in a dialog, or dropped on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout

from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.forms.plain_words import in_plain_words
from napari_blochnet.napari_ui.forms.text_lines import accept_files
from napari_blochnet.napari_ui.state import preferences
from napari_blochnet.napari_ui.widgets.parts import restyle

__all__ = ["PathRow"]


class PathRow(QFrame):
    """Where something is, and below it what is wrong with it.

    Parameters
    ----------
    hint : str
        What is expected.
    folders : bool
        Whether it is a phantom, in a folder or in several files; otherwise a stack, in one file or one folder.
    """

    #: a person wants this opened
    submitted = Signal()

    def __init__(self, hint: str, *, folders: bool) -> None:
        super().__init__()
        self.setObjectName("blochnetPath")
        self.setAcceptDrops(True)
        self._hint = hint
        self.line = QLineEdit()
        self.line.setPlaceholderText(hint)
        self.line.setAccessibleName("Phantom" if folders else "Fingerprint stack")
        what = "a folder, a file, or several that belong together" if folders else "a file, or a folder of one series"
        self.line.setToolTip(f"{hint}: {what}. Type or paste a path, or drop it here.")
        # it would take the drop for itself, and write a URL
        self.line.setAcceptDrops(False)
        self.line.returnPressed.connect(self.submitted)
        self.line.textChanged.connect(lambda: self.show_error(""))
        self.buttons: list[QPushButton] = []
        folder = QPushButton("Folder…")
        folder.setToolTip(
            "Choose the folder of a phantom." if folders else "Choose a folder of DICOM images or BIDS files."
        )
        folder.clicked.connect(self.choose_folder)
        self.buttons.append(folder)
        files = QPushButton("File…")
        files.setToolTip("Choose one file, or several that belong together." if folders else "Choose a file.")
        files.clicked.connect(self.choose_files)
        self.buttons.append(files)
        row = filled(QHBoxLayout(), self.line, *self.buttons, spacing=4)
        row.setStretch(0, 1)
        self.error = QLabel()
        self.error.setTextFormat(Qt.TextFormat.PlainText)
        self.error.setObjectName("blochnetError")
        self.error.setWordWrap(True)
        self.error.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.error.hide()
        filled(QVBoxLayout(self), row, self.error, spacing=2).setContentsMargins(2, 2, 2, 2)
        self._several = folders
        self._kind = "phantom" if folders else "fingerprints"

    def _start(self) -> str:
        """Where a dialog begins: at what is named here, or where the last one ended."""
        return self.line.text() or preferences.folder(self._kind)

    def choose_folder(self) -> None:
        """Ask for a folder and open it."""
        title = "Folder of a phantom" if self._several else "Folder of a fingerprint stack"
        name = QFileDialog.getExistingDirectory(self, title, self._start())
        if name:
            self.take([name])

    def choose_files(self) -> None:
        """Ask for files and open them."""
        if self._several:
            names, _ = QFileDialog.getOpenFileNames(self, "Files of a phantom", self._start())
        else:
            name, _ = QFileDialog.getOpenFileName(self, "Fingerprint stack", self._start())
            names = [name] if name else []
        if names:
            self.take(names)

    def take(self, names: Sequence[str]) -> None:
        """Name files here and open them."""
        if len(names) > 1 and not self._several:
            self.show_error(f"These are {len(names)} files; expected one, which holds the whole stack.")
            return
        preferences.set_folder(self._kind, names[0])
        self.line.setText("; ".join(names))
        self.submitted.emit()

    @property
    def paths(self) -> list[str]:
        """What is chosen."""
        return [part.strip() for part in self.line.text().split(";") if part.strip()]

    def show_error(self, sentence: str) -> None:
        """Write a sentence below the line, or take it away."""
        self.error.setText(in_plain_words(sentence))
        self.error.setVisible(bool(sentence))

    def mark(self, is_target: bool) -> None:
        """Show that what is dragged would be opened here."""
        restyle(self, "target", is_target)
        self.line.setPlaceholderText("Drop to open" if is_target else self._hint)

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802
        self.mark(bool(accept_files(event)))

    def dragLeaveEvent(self, event: Any) -> None:  # noqa: N802
        self.mark(False)

    def dropEvent(self, event: Any) -> None:  # noqa: N802
        self.mark(False)
        paths = accept_files(event)
        if paths:
            self.take(paths)
