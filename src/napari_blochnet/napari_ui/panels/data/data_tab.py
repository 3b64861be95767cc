"""The Data tab: open a phantom or a fingerprint stack, and see in words what was understood."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QComboBox, QFrame, QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.operations.opening import brainweb_phantom, open_fingerprints, open_phantom
from napari_blochnet.jobs.recognise import has_own_schedule, what_is_in
from napari_blochnet.jobs.settings import BrainWebSettings, FingerprintsSettings, PhantomSettings
from napari_blochnet.napari_ui.background.turns import Steps, Turns
from napari_blochnet.napari_ui.background.workers import Failure, Job
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas.layer_data import LayerData, Opened, opened_layer_data
from napari_blochnet.napari_ui.canvas.showing import look_at
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.forms.text_lines import accept_files
from napari_blochnet.napari_ui.panels.data.brainweb_dialog import BrainWebDialog
from napari_blochnet.napari_ui.panels.data.sample_choice import SAMPLES, load_sample
from napari_blochnet.napari_ui.panels.data.session_buttons import SessionRow
from napari_blochnet.napari_ui.state.entries import Entry
from napari_blochnet.napari_ui.widgets.panel import Panel, in_steps
from napari_blochnet.napari_ui.widgets.parts import Foldable, heading, note, primary_button
from napari_blochnet.napari_ui.widgets.path_row import PathRow
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["DataPanel"]

# Of what was understood, the sentences beside Cancel: the panel has other things to show.
_MOST_NOTES = 4
_OWN = "its own schedule, or the Schedule tab's"
_CURRENT = "the Schedule tab's schedule"


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
        text.setTextFormat(Qt.TextFormat.PlainText)
        text.setWordWrap(True)
        layout.addWidget(text)
        for sentence in notes:
            layout.addWidget(note(f"• {sentence}"))


def _card(entry: Entry[Phantom | FingerprintStack]) -> QWidget:
    subject, notes = entry.subject, entry.subject.notes
    kind = "Phantom" if isinstance(subject, Phantom) else "Fingerprints"
    if isinstance(subject, FingerprintStack):
        notes = (*notes, f"Schedule: {subject.schedule.describe()}")
    text = subject.describe().removeprefix(f"{subject.name}: ")
    return _Card(f"{kind} – {entry.title}", text[:1].upper() + text[1:], notes)


class DataPanel(Panel):
    """Opens phantoms and fingerprint stacks."""

    title = "Data"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self.body.addWidget(heading("Try a sample"))
        # four in one row are wider than the panel of a small window
        row = QGridLayout()
        self.sample_buttons: dict[str, QPushButton] = {}
        for number, (key, text) in enumerate(SAMPLES.items()):
            button = QPushButton(text.short)
            button.setToolTip(text.long)
            button.clicked.connect(functools.partial(self.open_sample, key))
            row.addWidget(button, number // 2, number % 2)
            self.sample_buttons[key] = button
        self.brainweb = QPushButton("BrainWeb…")
        self.brainweb.setToolTip("One of BrainWeb's 20 normal brains, 0.5 mm; asks before it downloads.")
        self.brainweb.clicked.connect(self.ask_brainweb)
        row.addWidget(self.brainweb, len(SAMPLES) // 2, len(SAMPLES) % 2)
        self.body.addLayout(row)

        self.body.addWidget(heading("Open a phantom"))
        self.phantom_path = PathRow("BrainWeb, NIfTI or MATLAB", folders=True)
        self.phantom_form = SettingsForm(PhantomSettings, starts={"shape": (91, 109, 91), "voxel_size": (1, 1, 1)})
        self.phantom_options = Foldable("Options", self.phantom_form)
        self.open_phantom = primary_button("Open phantom", "Read T1, T2 and proton density of every voxel.")
        self.body.addWidget(self.phantom_path)
        self.body.addWidget(self.phantom_options)
        self.body.addWidget(self.open_phantom, 0, Qt.AlignmentFlag.AlignLeft)

        self.body.addWidget(heading("Open fingerprints"))
        self.stack_path = PathRow("DICOM, NIfTI, Zarr, NumPy, HDF5, MATLAB", folders=False)
        self.schedule_choice = QComboBox()
        self.schedule_choice.addItems([_OWN, _CURRENT])
        self.schedule_choice.setToolTip(
            "What made the stack. Stacks written by this plugin carry their schedule; others take the Schedule tab's."
        )
        self.schedule_choice.setAccessibleName("Schedule of the stack")
        self.schedule_line = note()
        self.stack_form = SettingsForm(FingerprintsSettings, starts={"voxel_size": (1, 1, 1), "time_axis": 0})
        self.stack_options = Foldable("Options", self.stack_form)
        self.open_stack = primary_button("Open fingerprints", "Read a stack, one sample per pulse of the schedule.")
        for widget in (self.stack_path, self.schedule_choice, self.schedule_line, self.stack_options):
            self.body.addWidget(widget)
        self.body.addWidget(self.open_stack, 0, Qt.AlignmentFlag.AlignLeft)
        self.schedule_error = QLabel()
        self.schedule_error.setTextFormat(Qt.TextFormat.PlainText)
        self.schedule_error.setObjectName("blochnetError")
        self.schedule_error.setWordWrap(True)
        self.schedule_error.hide()
        self.body.insertWidget(self.body.indexOf(self.schedule_line) + 1, self.schedule_error)
        self.sessions = SessionRow(self)
        self.body.addWidget(self.sessions)

        self.body.addWidget(heading("What is open"))
        self._card_list = QVBoxLayout()
        self._cards: list[QWidget] = []
        self.body.addLayout(self._card_list)
        self.body.addStretch(1)
        # in view at any height of the window, and not only after scrolling: Cancel, and what became of a drop
        footer = QVBoxLayout()
        footer.setContentsMargins(10, 2, 10, 4)
        footer.addWidget(self.jobs)
        self.outer.addLayout(footer)
        self.outer.setStretch(0, 1)
        self.setAcceptDrops(True)

        self.open_phantom.clicked.connect(self._open_phantom)
        self.phantom_path.submitted.connect(self._open_phantom)
        self.open_stack.clicked.connect(self._open_stack)
        self.stack_path.submitted.connect(self._open_stack)
        self._described: list[int] | None = None
        # what is being opened: where its mistakes are written
        self._row: PathRow | None = None
        self._turns = Turns(self, self.session.window)
        self.remember(phantom=self.phantom_form, fingerprints=self.stack_form, schedule=self.schedule_choice)

    def forms(self) -> list[SettingsForm]:
        # the two share names of fields
        known = {self.phantom_path: self.phantom_form, self.stack_path: self.stack_form}
        return [known[self._row]] if self._row is not None else []

    def start(self, title: str, function: Callable[..., Any], **wants: bool) -> Job:
        job = super().start(title, function, **wants)
        self._enable(False)
        job.ended.connect(self._on_ended)
        return job

    def _on_ended(self) -> None:
        self._enable(True)

    def _enable(self, free: bool) -> None:
        """Let buttons be pressed, or not while there is a job."""
        others = (self.brainweb, self.open_phantom, self.open_stack, *self.sessions.buttons)
        for button in (*self.sample_buttons.values(), *self.phantom_path.buttons, *self.stack_path.buttons, *others):
            button.setEnabled(free)

    def begin(self, row: PathRow | None = None) -> bool:
        """Return whether a job may begin now, and say where not; take the sentences about older mistakes away."""
        if self.is_busy:
            self.jobs.refuse()
            return False
        self._row = row
        for form in (self.phantom_form, self.stack_form):
            form.clear_errors()
        for line in (self.phantom_path, self.stack_path):
            line.show_error("")
        self.schedule_error.hide()
        return True

    # -- files that are dropped

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802
        found = what_is_in(accept_files(event))
        self.phantom_path.mark(found == "phantom")
        self.stack_path.mark(found == "fingerprints")

    def dragLeaveEvent(self, event: Any) -> None:  # noqa: N802
        self.phantom_path.mark(False)
        self.stack_path.mark(False)

    def dropEvent(self, event: Any) -> None:  # noqa: N802
        self.dragLeaveEvent(event)
        paths = accept_files(event)
        found = what_is_in(paths)
        if found == "session":
            self.sessions.open(paths[0])
        elif found is not None:
            (self.phantom_path if found == "phantom" else self.stack_path).take(paths)
        elif paths:
            name = Path(paths[0]).name if len(paths) == 1 else f"Each of these {len(paths)} files"
            self._say_unless_busy(f"{name} may hold a phantom or fingerprints; drop it on the line of one of the two.")

    def _say_unless_busy(self, sentence: str) -> None:
        if self.is_busy:
            self.jobs.refuse()
        else:
            self.jobs.say(sentence, "error")

    def update_session(self) -> None:
        schedule = self.session.schedule
        self.schedule_line.setText(
            "No schedule is chosen in the Schedule tab."
            if schedule is None
            else f"In the Schedule tab: {schedule.describe()}"
        )
        entries: list[Entry[Phantom | FingerprintStack]] = [
            *self.session.entries("phantom"),
            *self.session.entries("stack"),
        ]
        subjects = [id(entry.subject) for entry in entries]
        if subjects == self._described:
            return
        self._described = subjects
        for card in self._cards:
            self._card_list.removeWidget(card)
            # deleted with the next turn of the event loop, and seen until then
            card.hide()
            card.deleteLater()
        self._cards = [_card(entry) for entry in entries] or [
            note("Nothing yet. Open a sample, a phantom or fingerprints, or drop their files here.")
        ]
        for card in self._cards:
            self._card_list.addWidget(card)

    def job(self, title: str, read: Callable[..., Any], show: Callable[[Any], None]) -> Job:
        """Return a job of this panel that reads something, to be started, and shows it."""
        job = self.start(title, read)
        job.returned.connect(show)
        return job

    def open_sample(self, key: str) -> None:
        """Open one of the samples."""
        if self.begin():
            self.job("Opening the sample", functools.partial(load_sample, key), self.show_opened).start()

    def ask_brainweb(self) -> None:
        """Ask which of BrainWeb's subjects to open, and whether it may be downloaded."""
        dialog = BrainWebDialog(self)
        dialog.chosen.connect(self._open_brainweb)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def choose_brainweb(self) -> BrainWebSettings | None:
        """Ask the same and wait for the answer, events running; None where the person did not want it after all."""
        dialog = BrainWebDialog(self)
        wanted: list[BrainWebSettings] = []
        dialog.chosen.connect(wanted.append)
        dialog.exec()
        dialog.deleteLater()
        return wanted[0] if wanted else None

    def _open_brainweb(self, settings: BrainWebSettings) -> None:
        if self.begin():
            read = functools.partial(brainweb_phantom, settings)
            self.job(f"Opening BrainWeb {settings.subject}", read, self.show_opened).start()

    def _open(self, row: PathRow, missing: InputError, read: Callable[[list[str], Any], Callable[..., Any]]) -> None:
        """Open what a row names, with the options below it."""
        if not self.begin(row):
            return
        try:
            if not row.paths:
                raise missing
            reading = read(row.paths, self.forms()[0].settings())
        except InputError as error:
            self.show_input_error(error)
        else:
            self.job(f"Opening {Path(row.paths[0]).name}", reading, self.show_opened).start()

    def _open_phantom(self) -> None:
        missing = InputError("No phantom is chosen; expected a folder or files.", field="source")
        self._open(
            self.phantom_path,
            missing,
            lambda paths, settings: functools.partial(open_phantom, paths[0] if len(paths) == 1 else paths, settings),
        )

    def _open_stack(self) -> None:
        def read(paths: list[str], settings: Any) -> Callable[..., FingerprintStack]:
            own = self.schedule_choice.currentText() == _OWN and has_own_schedule(Path(paths[0]).expanduser())
            return functools.partial(open_fingerprints, paths[0], None if own else self.session.schedule, settings)

        self._open(self.stack_path, InputError("No fingerprint stack is chosen; expected a file.", field="path"), read)

    def show_failure(self, failure: Failure) -> None:
        super().show_failure(failure)
        row = self._row
        if row is None or (failure.field or "").split(".")[0] in self.forms()[0].fields:
            return
        if row is self.stack_path and failure.field == "schedule":
            self.schedule_error.setText(failure.sentence)
            self.schedule_error.show()
            self.bring_into_view(self.schedule_error)
        else:
            # what is wrong with the file, whatever part of it is named
            row.show_error(failure.sentence)
            self.bring_into_view(row)

    @in_steps
    def show_opened(self, found: Opened | Phantom | FingerprintStack) -> Steps[None]:
        """Show what was read."""
        yield from layers.opened_steps(self.session, Opened.of(found))
        self.announce(found)

    @in_steps
    def show_but_last(self, found: Opened | Phantom | FingerprintStack) -> Steps[None]:
        """Add all layers of what was read but the last, not visible yet."""
        yield from layers.hidden_steps(self.session, opened_layer_data(Opened.of(found))[:-1])
        self.announce(found)

    def last_layer(self, opened: Opened) -> LayerData:
        """Return the last layer for napari to add, and show it once it is there."""
        data, how, kind = opened_layer_data(opened)[-1]
        QTimer.singleShot(0, functools.partial(self._look_at, opened.subject))
        return data, {**how, "visible": False}, kind

    def _look_at(self, subject: Phantom | FingerprintStack) -> None:
        self._turns.add(look_at(self.session, self.session.layers(subject=subject), subject.mask))

    def announce(self, found: Opened | Phantom | FingerprintStack) -> None:
        """Say what was opened, and how it was understood: the card that keeps it may lie outside the view."""
        subject = Opened.of(found).subject
        self.jobs.say(f"Opened {subject.name}.", "good")
        more = len(subject.notes) - _MOST_NOTES
        tail = [f"and {more} more, under What is open."] if more > 0 else []
        self.jobs.tell([*subject.notes[:_MOST_NOTES], *tail])
        self.session.added.emit(subject)
