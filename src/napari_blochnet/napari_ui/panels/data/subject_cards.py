"""What was understood of the things that are open, a card each."""

from __future__ import annotations

from qtpy.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

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


def subject_card(entry: Entry[Phantom | FingerprintStack]) -> QWidget:
    """Return the card of a phantom or a stack."""
    subject, notes = entry.subject, entry.subject.notes
    kind = "Phantom" if isinstance(subject, Phantom) else "Fingerprints"
    if isinstance(subject, FingerprintStack):
        notes = (*notes, subject.describe_schedule())
    text = subject.describe().removeprefix(f"{subject.name}: ")
    return _Card(f"{kind} – {entry.title}", text[:1].upper() + text[1:], notes)
