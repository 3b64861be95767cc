"""What was understood of the things that are open, a card each."""

from __future__ import annotations

import functools
from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.state.entries import Entry
from napari_blochnet.napari_ui.widgets.parts import heading, note
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["subject_card"]


class _Card(QFrame):
    """What was understood of one thing that is open."""

    def __init__(self, title: str, description: str, notes: tuple[str, ...]) -> None:
        super().__init__()
        self.setObjectName("blochnetCard")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(2)
        name = heading(title)
        # a long name would make the panel wider than its dock
        name.setWordWrap(True)
        layout.addWidget(name)
        text = QLabel(description)
        text.setWordWrap(True)
        layout.addWidget(text)
        for sentence in notes:
            layout.addWidget(note(f"• {sentence}"))

    def add(self, button: QPushButton) -> None:
        """Put a button below what is said."""
        layout = self.layout()
        assert layout is not None
        layout.addWidget(button)
        layout.setAlignment(button, Qt.AlignmentFlag.AlignLeft)


def subject_card(entry: Entry[Phantom | FingerprintStack], in_field: Callable[[Phantom], object]) -> QWidget:
    """Return the card of a phantom or a stack.

    Parameters
    ----------
    entry : Entry
    in_field : callable
        Called with a phantom that is to lie in a synthetic B1 field.
    """
    subject, notes = entry.subject, entry.subject.notes
    kind = "Phantom" if isinstance(subject, Phantom) else "Fingerprints"
    if isinstance(subject, FingerprintStack):
        notes = (*notes, f"Schedule: {subject.schedule.describe()}")
    text = subject.describe().removeprefix(f"{subject.name}: ")
    card = _Card(f"{kind} – {entry.title}", text[:1].upper() + text[1:], notes)
    if isinstance(subject, Phantom):
        field = QPushButton("In a B1 field…")
        field.setToolTip("Open it once more, in a smooth synthetic transmit field of a range that is asked for.")
        field.clicked.connect(functools.partial(in_field, subject))
        card.add(field)
    return card
