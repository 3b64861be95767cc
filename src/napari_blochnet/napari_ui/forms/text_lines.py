"""Lines of text: what is typed, and what may be a file, which may be chosen in a dialog or dropped as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from magicgui.backends._qtpy.widgets import QBaseStringWidget
from magicgui.widgets import PushButton
from magicgui.widgets.bases import ValuedContainerWidget, ValueWidget
from qtpy.QtCore import QMimeData, Qt, Signal
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QFileDialog, QLineEdit

__all__ = ["PathEdit", "TextLine", "accept_files", "dropped_paths"]


def dropped_paths(content: QMimeData | None) -> list[str]:
    """Return the files and folders that are dragged; empty where something of it is not on this machine."""
    urls = [] if content is None else content.urls()
    # the folder of a URL ends in a slash
    return [url.toLocalFile().rstrip("/") or "/" for url in urls] if all(url.isLocalFile() for url in urls) else []


def accept_files(event: QDropEvent) -> list[str]:
    """Take a drag of files, and never let their owner move them away; return their paths."""
    paths = dropped_paths(event.mimeData())
    if paths:
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
    else:
        event.ignore()
    return paths


class _DropLine(QLineEdit):
    """A line into which one file may be dropped; other drops are the line's own, or left to what lies behind it."""

    dropped = Signal(str)

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802
        if not self._takes(event):
            super().dragEnterEvent(event)

    def dragMoveEvent(self, event: Any) -> None:  # noqa: N802
        if not self._takes(event):
            super().dragMoveEvent(event)

    def dropEvent(self, event: Any) -> None:  # noqa: N802
        if self._takes(event):
            self.dropped.emit(*dropped_paths(event.mimeData()))
        else:
            super().dropEvent(event)

    def _takes(self, event: Any) -> bool:
        return len(dropped_paths(event.mimeData())) == 1 and bool(accept_files(event))


class _LineBackend(QBaseStringWidget):
    def __init__(self, kind: type[QLineEdit] = QLineEdit, **more: Any) -> None:
        super().__init__(kind, "text", "setText", "editingFinished", **more)

    def _post_get_hook(self, value: str) -> str:
        return value.strip()


class TextLine(ValueWidget[str]):
    """A line of text, which tells of it once it is finished."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more | {"widget_type": _LineBackend})

    def _on_value_change(self, value: str | None = None) -> None:
        self.changed.emit(self.value)


class PathEdit(ValuedContainerWidget[str | None]):
    """What may be a file: typed, chosen in a dialog, or dropped.

    Parameters
    ----------
    files : str
        Endings, as a file dialog takes them.
    optional : bool
        Whether an empty line means None.
    """

    def __init__(self, files: str, *, optional: bool) -> None:
        self._files, self._empty = files, None if optional else ""
        self.line = TextLine(backend_kwargs={"kind": _DropLine})
        self.browse = PushButton(text="Browse…")
        super().__init__(widgets=[self.line, self.browse], layout="horizontal", labels=False, nullable=optional)
        self.margins = (0, 0, 0, 0)
        self.native.layout().setSpacing(4)
        self.line.native.setPlaceholderText("none" if optional else "")
        self.line.native.dropped.connect(self._take)
        self.line.changed.connect(self._tell)
        self.browse.changed.connect(self._ask)

    def _ask(self) -> None:
        # what stands there may be the name of a table, which no dialog starts at
        here = self.line.value
        name, _ = QFileDialog.getOpenFileName(
            self.native, "Choose a file", here if Path(here).exists() else "", self._files
        )
        if name:
            self._take(name)

    def _take(self, name: str) -> None:
        self.value = name
        self._tell()

    def _tell(self) -> None:
        self.changed.emit(self.value)

    def get_value(self) -> str | None:
        return self.line.value or self._empty

    def set_value(self, value: str | None) -> None:
        self.line.value = value or ""
