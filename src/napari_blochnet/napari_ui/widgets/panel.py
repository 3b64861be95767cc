"""What panels are built from: the panel itself, and the line that shows a job."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_blochnet.common.errors import InputError
from napari_blochnet.napari_ui.background.turns import Steps
from napari_blochnet.napari_ui.background.workers import Failure, Job
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.state import preferences
from napari_blochnet.napari_ui.state.session import session_of
from napari_blochnet.napari_ui.widgets.appearance import Palette, palette
from napari_blochnet.napari_ui.widgets.keyboard import FocusOrder

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["Foldable", "JobBar", "Panel", "heading", "in_steps", "note", "primary_button"]


def heading(text: str) -> QLabel:
    """Return the title of a part of a panel."""
    label = QLabel(text)
    label.setObjectName("blochnetHeading")
    return label


def note(text: str = "") -> QLabel:
    """Return a wrapped line of explanation."""
    label = QLabel(text)
    label.setObjectName("blochnetNote")
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.MinimumExpanding)
    return label


def primary_button(text: str, tooltip: str) -> QPushButton:
    """Return the button a panel is about."""
    button = QPushButton(text)
    button.setObjectName("blochnetPrimary")
    button.setToolTip(tooltip)
    return button


def _style(colours: Palette) -> str:
    return f"""
    QLabel#blochnetHeading {{ font-weight: 600; color: {colours.text}; padding-top: 4px; }}
    QLabel#blochnetNote {{ color: {colours.faint}; }}
    QLabel#blochnetError, QLabel[state="error"] {{ color: {colours.error}; }}
    QLabel[state="good"] {{ color: {colours.good}; }}
    QPushButton#blochnetPrimary {{
        background: {colours.accent}; color: {colours.accent_text}; font-weight: 600; padding: 6px 14px;
        border-radius: 4px; }}
    QPushButton#blochnetPrimary:disabled {{ background: {colours.edge}; color: {colours.faint}; }}
    QToolButton#blochnetFold {{ border: none; background: transparent; color: {colours.text}; padding: 2px 0; }}
    QFrame#blochnetCard {{ border: 1px solid {colours.edge}; border-radius: 4px; }}
    QFrame#blochnetPath {{ border: 2px solid transparent; border-radius: 5px; }}
    QFrame#blochnetPath[target="true"] {{ border: 2px dashed {colours.accent}; }}
    """


class JobBar(QWidget):
    """Shows one job: a bar, Cancel, one sentence about how it ended, and one about what cannot be done meanwhile."""

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
        self.message.setWordWrap(True)
        self.message.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.MinimumExpanding)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # an empty line would take room
        self.message.hide()
        self.refusal = note()
        self.refusal.hide()
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.bar, 1)
        line.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(line)
        layout.addWidget(self.message)
        layout.addWidget(self.refusal)
        self.cancel.clicked.connect(self._cancel)
        self._show_running(False)

    def follow(self, job: Job) -> None:
        """Show this job from now on."""
        self.job = job
        self._warnings = []
        self.bar.setRange(0, 0)
        self._show_running(True)
        self.say(f"{job.title}…")
        job.progressed.connect(self._on_progress)
        job.warned.connect(self._on_warned)
        job.ended.connect(self._on_ended)

    def say(self, text: str, state: str = "") -> None:
        """Show a sentence; ``state`` is "", "error" or "good"."""
        if state:
            text = " ".join([text, *self._warnings])
            self._warnings = []
        self.message.setText(text)
        self.message.setProperty("state", state)
        self.message.style().unpolish(self.message)
        self.message.style().polish(self.message)
        self.message.setVisible(bool(text))

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
        self._warnings.append(sentence)

    def _on_ended(self) -> None:
        self._show_running(False)


class Foldable(QWidget):
    """Rarely needed settings behind a line that opens."""

    def __init__(self, title: str, content: QWidget) -> None:
        super().__init__()
        self.button = QToolButton()
        self.button.setObjectName("blochnetFold")
        self.button.setText(title)
        self.button.setCheckable(True)
        self.button.setToolTip("Show or hide these settings.")
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setArrowType(Qt.ArrowType.RightArrow)
        self.content = content
        content.setVisible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.button)
        layout.addWidget(content)
        self.button.toggled.connect(self.open)

    def open(self, opened: bool = True) -> None:
        """Show or hide the content."""
        self.button.setChecked(opened)
        self.button.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)
        self.content.setVisible(opened)


def _fold_of(widget: QWidget) -> Foldable | None:
    """Return what a widget is folded away in, if it is in anything of the kind."""
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, Foldable):
        parent = parent.parentWidget()
    return parent


def _scroll_to(scroll: QScrollArea, widget: QWidget) -> None:
    with contextlib.suppress(RuntimeError):  # a panel that is gone
        scroll.ensureWidgetVisible(widget, 0, 24)
        # panels are laid out to need no scrolling sideways
        scroll.horizontalScrollBar().setValue(0)


def in_steps(method: Callable[..., Steps[None]]) -> Callable[..., None]:
    """Let a panel's method that yields after each change of the window be a slot of its job's signals."""

    @functools.wraps(method)
    def slot(self: Panel, *content: Any) -> None:
        self.draw(method(self, *content))

    return slot


class Panel(QWidget):
    """A tab of the workbench, or a dock of its own.

    Callbacks are attached when it is shown and detached when it is hidden, because napari hides a dock that is closed
    and never tells its widget of a close.
    """

    title = ""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.session = session_of(napari_viewer)
        self.jobs = JobBar()
        self._attached = False
        self._theme = ""
        inner = QWidget()
        self.body = QVBoxLayout(inner)
        self.body.setContentsMargins(10, 8, 10, 8)
        self.body.setSpacing(8)
        FocusOrder(inner)
        scroll = self._scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.setMinimumWidth(330)

    @property
    def colours(self) -> Palette:
        """Colours of the viewer's theme."""
        viewer = self.session.viewer
        return palette(viewer.theme if viewer is not None else "dark")

    def remember(self, **controls: QWidget) -> None:
        """Give controls what a person chose last time; see `napari_blochnet.napari_ui.state.preferences.remember`."""
        preferences.remember(self.title.lower(), **controls)

    def update_session(self) -> None:
        """Look again at the session; called when the panel is shown and when anything changes."""

    def apply_theme(self) -> None:
        """Take the theme's colours."""
        self.setStyleSheet(_style(self.colours))

    def showEvent(self, event: Any) -> None:  # noqa: N802
        super().showEvent(event)
        viewer = self.session.viewer
        parent = self.parent()
        while parent is not None and not isinstance(parent, QMainWindow):
            parent = parent.parent()
        self.session.watch(parent)
        if not self._attached and viewer is not None:
            self._attached = True
            self.session.changed.connect(self.update_session)
            self.session.schedule_changed.connect(self.update_session)
            viewer.events.theme.connect(self._on_theme)
            self.attach(viewer)
        if viewer is not None and self._theme != viewer.theme:
            self._on_theme()
        self.update_session()

    def hideEvent(self, event: Any) -> None:  # noqa: N802
        super().hideEvent(event)
        if self._attached:
            self._attached = False
            self.session.stop_telling(self.update_session, "changed", "schedule_changed")
            viewer = self.session.viewer
            if viewer is not None:
                viewer.events.theme.disconnect(self._on_theme)
                self.detach(viewer)

    def attach(self, viewer: Viewer) -> None:
        """Connect to the viewer; the panel is visible."""

    def detach(self, viewer: Viewer) -> None:
        """Disconnect from the viewer; the panel is hidden."""

    def _on_theme(self, event: Any = None) -> None:
        viewer = self.session.viewer
        if viewer is not None:
            self._theme = viewer.theme
            self.apply_theme()

    def start(self, title: str, function: Callable[..., Any], **wants: bool) -> Job:
        """Make a job (with the ``wants_…`` of `Job`) shown in this panel; connect to it, then start it."""
        job = self.session.start(title, function, **wants)
        self.jobs.follow(job)
        job.failed.connect(self.show_failure)
        job.stopped.connect(self._on_stopped)
        return job

    def draw(self, steps: Steps[None]) -> None:
        """Change the window in steps; this panel's job ends after the last."""
        if self.jobs.job is not None:
            self.jobs.job.draw(steps)

    @property
    def is_busy(self) -> bool:
        """Whether this panel's job is running."""
        return self.jobs.job is not None and self.jobs.job.is_running

    def forms(self) -> Sequence[SettingsForm]:
        """Return the forms in which a field at fault may stand; those that do not apply are hidden, or left out."""
        return ()

    def show_failure(self, failure: Failure) -> None:
        """Write the sentence beside its field, unfolded and scrolled to, and where results are announced."""
        for form in self.forms():
            fold = _fold_of(form)
            # what is only folded applies all the same
            applies = (form if fold is None else fold).isVisibleTo(self)
            if applies and failure.field is not None and form.show_error(failure.field, failure.sentence):
                if fold is not None:
                    fold.open()
                self.bring_into_view(form.row(failure.field))
        self.jobs.say(failure.sentence, "error")

    def bring_into_view(self, widget: QWidget) -> None:
        """Scroll to a part of the panel, once it has its size."""
        # and again when sentences that were wrapped have pushed everything to its place
        for wait in (0, 100):
            QTimer.singleShot(wait, functools.partial(_scroll_to, self._scroll, widget))

    def show_input_error(self, error: InputError) -> None:
        """Do the same for a mistake that was found before any job."""
        self.show_failure(Failure(str(error), error.field))

    @contextlib.contextmanager
    def reading_forms(self) -> Iterator[None]:
        """Read the forms anew: a mistake ends the block and is shown beside its field."""
        for form in self.forms():
            form.clear_errors()
        try:
            yield
        except InputError as error:
            self.show_input_error(error)

    def _on_stopped(self, partial: object) -> None:
        self.jobs.say("Cancelled; what was finished stays." if partial is not None else "Cancelled.")
