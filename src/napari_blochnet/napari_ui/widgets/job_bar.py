"""The line that shows a panel's job, and how long what it complains of stands there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_blochnet.napari_ui.background.workers import Job
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.forms.plain_words import in_plain_words
from napari_blochnet.napari_ui.widgets.parts import note, restyle

if TYPE_CHECKING:
    from napari_blochnet.napari_ui.widgets.panel import Panel

__all__ = ["Complaint", "JobBar"]


class JobBar(QWidget):
    """Shows one job: a bar, Cancel, how it ended, what should be known of it, and what cannot be done meanwhile."""

    #: it shows a sentence of something that is wrong
    complained = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.job: Job | None = None
        self._warnings: list[str] = []
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(14)
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop after the current batch; what is finished stays.")
        self.message = QLabel()
        self.message.setTextFormat(Qt.TextFormat.PlainText)
        self.message.setWordWrap(True)
        self.message.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.MinimumExpanding)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # an empty line would take room
        self.message.hide()
        self.warning = note()
        self.warning.setObjectName("blochnetWarning")
        self.warning.hide()
        self.told = note()
        self.told.hide()
        self.refusal = note()
        self.refusal.hide()
        line = filled(QHBoxLayout(), self.bar, self.cancel)
        line.setStretch(0, 1)
        filled(QVBoxLayout(self), line, self.message, self.told, self.warning, self.refusal)
        self.cancel.clicked.connect(self._cancel)
        self._show_running(False)

    def follow(self, job: Job) -> None:
        """Show this job from now on."""
        self.job = job
        self._warnings = []
        self.warn(())
        self.bar.setRange(0, 0)
        self._show_running(True)
        self.say(f"{job.title}…")
        job.progressed.connect(self._on_progress)
        job.warned.connect(self._on_warned)
        job.ended.connect(self._on_ended)

    def say(self, text: str, state: str = "") -> None:
        """Show a sentence; ``state`` is "", "error" or "good", which ends a job: with what it has warned of."""
        if state:
            self.warn(self._warnings)
            self._warnings = []
        self.tell(())
        text = in_plain_words(text)
        self.message.setText(text)
        restyle(self.message, "state", state)
        self.message.setVisible(bool(text))
        if text and state == "error":
            self.complained.emit(text)

    def warn(self, sentences: Sequence[str]) -> None:
        """Show what should be known of a result, a line each, or take it away."""
        self.warning.setText(in_plain_words("\n".join(sentences)))
        self.warning.setVisible(bool(sentences))

    def tell(self, sentences: Sequence[str]) -> None:
        """Show what was understood on the way to a result, a line each, or take it away."""
        self.told.setText(in_plain_words("\n".join(sentences)))
        self.told.setVisible(bool(sentences))

    def refuse(self) -> str:
        """Say that the job must end before anything else is begun here, until it has; return the sentence."""
        title = "The work here" if self.job is None else self.job.title
        sentence = f"{title} has not ended; wait for it, or cancel it first."
        self.refusal.setText(sentence)
        self.refusal.show()
        return sentence

    def _show_running(self, running: bool) -> None:
        self.refusal.hide()
        self.bar.setVisible(running)
        self.cancel.setVisible(running)
        self.cancel.setEnabled(running)

    def _cancel(self) -> None:
        if self.job is not None:
            self.cancel.setEnabled(False)
            self.say("Stopping after the current batch…")
            self.job.cancel()

    def _on_progress(self, done: int, total: int, message: str) -> None:
        # a bar that moves has Qt draw at once whatever has changed in the window; asked for like this, in its own turn
        self.bar.setUpdatesEnabled(False)
        self.bar.setRange(0, max(0, total))
        self.bar.setValue(done)
        self.bar.setUpdatesEnabled(True)
        if message and self.job is not None and not self.job.is_cancelled:
            self.say(f"{message[:1].upper()}{message[1:]}…")

    def _on_warned(self, sentence: str) -> None:
        # two estimators may find the same in one stack
        if sentence not in self._warnings:
            self._warnings.append(sentence)

    def _on_ended(self) -> None:
        self._show_running(False)


# Controls by whose signals a person changes what a sentence may be about.
_CHANGES = (
    (QLineEdit, "textEdited"),
    (QComboBox, "currentIndexChanged"),
    (QSpinBox, "valueChanged"),
    (QDoubleSpinBox, "valueChanged"),
    (QCheckBox, "toggled"),
)
_WATCHED = "blochnetWatched"


class Complaint(QObject):
    """A panel's sentence about a mistake: it goes as soon as what it may be about has changed.

    That is any control of the panel, and the `Panel.cause`: the schedule, and which data are open.

    Parameters
    ----------
    panel : Panel
    """

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._panel = panel
        self._sentence = ""
        self._cause: object = None

    def begin(self, sentence: str) -> None:
        """Take note of a sentence that was just written."""
        self._sentence, self._cause = sentence, self._panel.cause
        for kind, signal in _CHANGES:
            for control in self._panel.findChildren(kind):
                if not control.property(_WATCHED):
                    control.setProperty(_WATCHED, True)
                    getattr(control, signal).connect(self.end)

    def look(self) -> None:
        """Look whether the cause has changed."""
        if self._sentence and self._panel.cause != self._cause:
            self.end()

    def end(self, _content: Any = None) -> None:
        """Take the sentence away."""
        sentence, self._sentence = self._sentence, ""
        if sentence:
            self._panel.forget_complaint(sentence)
