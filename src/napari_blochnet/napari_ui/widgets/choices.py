"""Choices among what is open: one of it, or several with ticks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFrame, QVBoxLayout

from napari_blochnet.napari_ui.state.entries import Entry, Kind, Subject
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.widgets.panel import note

__all__ = ["CheckList", "SubjectChoice"]


class SubjectChoice(QComboBox):
    """A choice among the phantoms, stacks or maps that are open; it keeps its choice while others come and go.

    Parameters
    ----------
    session : Session
    kind : {"phantom", "stack", "maps"}
    nothing : str
        What stands there when none is open.
    optional : bool
        Whether "none" is a choice.
    """

    def __init__(self, session: Session, kind: Kind, nothing: str, *, optional: bool = False) -> None:
        super().__init__()
        self._session, self._kind, self._nothing, self._optional = session, kind, nothing, optional
        self._entries: list[Entry | None] = []
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)
        self.update_entries()

    def update_entries(self, accept: Callable[[Entry], bool] | None = None) -> None:
        """Look again at what is open; newer ones are chosen where the old choice is gone."""
        before = self.subject
        entries: list[Entry | None] = [
            entry for entry in self._session.entries(self._kind) if not accept or accept(entry)
        ]
        texts = [entry.title for entry in entries]
        if self._optional or not entries:
            entries.insert(0, None)
            texts.insert(0, "none" if self._optional else self._nothing)
        known = [None if entry is None else entry.subject for entry in self._entries]
        found = [None if entry is None else entry.subject for entry in entries]
        self._entries = entries
        if list(map(id, known)) == list(map(id, found)) and self.count() == len(entries):
            return
        self.blockSignals(True)
        self.clear()
        self.addItems(texts)
        kept = next((i for i, subject in enumerate(found) if subject is before and subject is not None), None)
        self.setCurrentIndex(kept if kept is not None else (0 if self._optional else len(entries) - 1))
        self.blockSignals(False)
        if self.subject is not before:
            self.currentIndexChanged.emit(self.currentIndex())

    @property
    def entry(self) -> Entry | None:
        """The chosen entry."""
        index = self.currentIndex()
        return self._entries[index] if 0 <= index < len(self._entries) else None

    @property
    def subject(self) -> Subject | None:
        """The chosen phantom, stack or maps."""
        entry = self.entry
        return None if entry is None else entry.subject

    def choose(self, subject: Subject) -> None:
        """Choose a subject."""
        for index, entry in enumerate(self._entries):
            if entry is not None and entry.subject is subject:
                self.setCurrentIndex(index)


class CheckList(QFrame):
    """Several of a few things, by tick boxes."""

    changed = Signal()

    def __init__(self, nothing: str) -> None:
        super().__init__()
        self.setObjectName("blochnetCard")
        self._nothing = nothing
        self._boxes: list[tuple[QCheckBox, Any]] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(8, 4, 8, 4)
        self._layout.setSpacing(2)
        self._empty = note(nothing)
        self._layout.addWidget(self._empty)

    def set_items(self, items: Sequence[tuple[str, Any]], *, checked: Callable[[Any], bool]) -> None:
        """Offer other things; what was ticked or not before stays so."""
        before = {id(value): box.isChecked() for box, value in self._boxes}
        for box, _ in self._boxes:
            self._layout.removeWidget(box)
            box.hide()
            box.deleteLater()
        self._boxes = []
        for text, value in items:
            box = QCheckBox(text)
            box.setToolTip(self.toolTip())
            box.setChecked(before.get(id(value), checked(value)))
            box.toggled.connect(self.changed)
            self._layout.addWidget(box)
            self._boxes.append((box, value))
        self._empty.setVisible(not items)
        self.changed.emit()

    @property
    def chosen(self) -> list[Any]:
        """The ticked things, in order."""
        return [value for box, value in self._boxes if box.isChecked()]

    def tick(self, values: Sequence[Any]) -> None:
        """Tick these things and no others; nothing changes where none of them is there."""
        if any(known in values for _, known in self._boxes):
            for box, known in self._boxes:
                box.setChecked(known in values)

    def box(self, value: Any) -> QCheckBox:
        """Return the tick box of a thing."""
        return next(box for box, known in self._boxes if known is value or known == value)
