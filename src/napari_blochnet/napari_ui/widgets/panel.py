"""The panel: a tab of the workbench, or a dock of its own."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFrame, QMainWindow, QScrollArea, QVBoxLayout, QWidget

from napari_blochnet.common.errors import InputError
from napari_blochnet.napari_ui.background.turns import Steps
from napari_blochnet.napari_ui.background.workers import Failure, Job
from napari_blochnet.napari_ui.canvas.swapping import calm_steps
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.state.entries import Entry
from napari_blochnet.napari_ui.state.session import session_of
from napari_blochnet.napari_ui.widgets.appearance import Palette, palette, panel_style
from napari_blochnet.napari_ui.widgets.job_bar import Complaint, JobBar
from napari_blochnet.napari_ui.widgets.keyboard import FocusOrder
from napari_blochnet.napari_ui.widgets.parts import Foldable
from napari_blochnet.napari_ui.widgets.remembering import remember_controls

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["Panel", "in_steps"]


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
        sideways = scroll.horizontalScrollBar()
        if sideways is not None:
            sideways.setValue(0)


def in_steps(method: Callable[..., Steps[None]]) -> Callable[..., None]:
    """Let a panel's method that yields after each change of the window be a slot of its job's signals."""

    @functools.wraps(method)
    def slot(self: Panel, *content: Any) -> None:
        self.run_steps(method(self, *content))

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
        self._complaint = Complaint(self)
        self.jobs.complained.connect(self._complaint.begin)
        inner = QWidget()
        self.body = filled(QVBoxLayout(inner), spacing=8)
        self.body.setContentsMargins(10, 8, 10, 8)
        FocusOrder(inner)
        scroll = self._scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        #: the scrolled body, and below it what a panel adds
        self.outer = filled(QVBoxLayout(self), scroll)
        self.setMinimumWidth(330)

    @property
    def colours(self) -> Palette:
        """Colours of the viewer's theme."""
        viewer = self.session.viewer
        return palette(viewer.theme if viewer is not None else "dark")

    def remember(self, **controls: Any) -> None:
        """Give controls what a person chose last time; see `remember_controls`."""
        remember_controls(self.title.lower(), **controls)

    def update_session(self) -> None:
        """Look again at the session; called when the panel is shown and when anything changes."""

    def apply_theme(self) -> None:
        """Take the theme's colours."""
        self.setStyleSheet(panel_style(self.colours))

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
            self.session.changed.connect(self._complaint.look)
            self.session.schedule_changed.connect(self._complaint.look)
            viewer.events.theme.connect(self._on_theme)
            self.attach(viewer)
        if viewer is not None and self._theme != viewer.theme:
            self._on_theme()
        self._complaint.look()
        self.update_session()

    def hideEvent(self, event: Any) -> None:  # noqa: N802
        super().hideEvent(event)
        if self._attached:
            self._attached = False
            for slot in (self.update_session, self._complaint.look):
                self.session.stop_telling(slot, "changed", "schedule_changed")
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

    def run_steps(self, steps: Steps[None]) -> None:
        """Change the window in steps; this panel's job ends after the last."""
        if self.jobs.job is not None:
            self.jobs.job.run_steps(calm_steps(self.session, steps))

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

    @property
    def cause(self) -> object:
        """What sentences about mistakes may be about besides this panel's controls; they go once it is another."""
        subjects: list[Entry[Any]] = [*self.session.entries("phantom"), *self.session.entries("stack")]
        return self.session.schedule, *(id(entry.subject) for entry in subjects)

    def forget_complaint(self, sentence: str) -> None:
        """Take away a sentence about a mistake, wherever it stands: what it was about has changed."""
        if self.jobs.message.text() == sentence:
            self.jobs.say("")
        for form in self.findChildren(SettingsForm):
            form.clear_errors()

    def _on_stopped(self, partial: object) -> None:
        self.jobs.say("Cancelled; what was finished stays." if partial is not None else "Cancelled.")
