"""The Data tab: open a phantom or a fingerprint stack, and see in words what was understood."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEventLoop, Qt, QTimer
from qtpy.QtWidgets import QComboBox, QFrame, QGridLayout, QLabel, QPushButton, QVBoxLayout

from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.catalogue import brainweb_phantom, open_fingerprints, open_phantom
from napari_blochnet.jobs.settings import BrainWebSettings, FingerprintsSettings, PhantomSettings
from napari_blochnet.napari_ui.background.turns import Drawing, Steps
from napari_blochnet.napari_ui.background.workers import Failure, Job
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas.layer_data import LayerData, sample_layer_data
from napari_blochnet.napari_ui.canvas.showing import look_at
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.forms.text_lines import accept_files
from napari_blochnet.napari_ui.napari_calls import sample_data as samples
from napari_blochnet.napari_ui.napari_calls.readers import has_own_schedule, what_is_in
from napari_blochnet.napari_ui.panels.data.brainweb_dialog import BrainWebDialog
from napari_blochnet.napari_ui.panels.data.session_buttons import SessionRow
from napari_blochnet.napari_ui.widgets.panel import Panel, in_steps
from napari_blochnet.napari_ui.widgets.parts import Foldable, heading, note, primary_button
from napari_blochnet.napari_ui.widgets.path_row import PathRow
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["DataPanel"]

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
        text.setWordWrap(True)
        layout.addWidget(text)
        for sentence in notes:
            layout.addWidget(note(f"• {sentence}"))


class DataPanel(Panel):
    """Opens phantoms and fingerprint stacks."""

    title = "Data"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self.body.addWidget(heading("Try a sample"))
        # four in one row are wider than the panel of a small window
        row = QGridLayout()
        self.sample_buttons: dict[str, QPushButton] = {}
        for number, (key, text) in enumerate(samples.TITLES.items()):
            button = QPushButton(text.short)
            button.setToolTip(text.long)
            button.clicked.connect(functools.partial(self.open_sample, key))
            row.addWidget(button, number // 2, number % 2)
            self.sample_buttons[key] = button
        self.brainweb = QPushButton("BrainWeb…")
        self.brainweb.setToolTip("One of BrainWeb's 20 normal brains, 0.5 mm; asks before it downloads.")
        self.brainweb.clicked.connect(self.ask_brainweb)
        row.addWidget(self.brainweb, len(samples.TITLES) // 2, len(samples.TITLES) % 2)
        self.body.addLayout(row)

        self.body.addWidget(heading("Open a phantom"))
        self.phantom_path = PathRow("BrainWeb, NIfTI or MATLAB", folders=True)
        self.phantom_form = SettingsForm(PhantomSettings, starts={"shape": (91, 109, 91), "voxel_size": (1, 1, 1)})
        self.phantom_options = Foldable("Options", self.phantom_form)
        self.open_phantom = primary_button("Open phantom", "Read T1, T2 and proton density of every voxel.")
        for widget in (self.phantom_path, self.phantom_options):
            self.body.addWidget(widget)
        self.body.addWidget(self.open_phantom, 0, Qt.AlignmentFlag.AlignLeft)

        self.body.addWidget(heading("Open fingerprints"))
        self.stack_path = PathRow("NIfTI, .npy, .npz, HDF5 or MATLAB", folders=False)
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
        self.schedule_error.setObjectName("blochnetError")
        self.schedule_error.setWordWrap(True)
        self.schedule_error.hide()
        self.body.insertWidget(self.body.indexOf(self.schedule_line) + 1, self.schedule_error)
        self.sessions = SessionRow(self)
        self.body.addWidget(self.sessions)

        self.body.addWidget(heading("What is open"))
        self._cards = QVBoxLayout()
        self.body.addLayout(self._cards)
        self.body.addStretch(1)
        # in view at any height of the window, and not only after scrolling: Cancel, and what became of a drop
        footer = QVBoxLayout()
        footer.setContentsMargins(10, 2, 10, 4)
        footer.addWidget(self.jobs)
        outer = self.layout()
        outer.addLayout(footer)
        outer.setStretch(0, 1)
        self.setAcceptDrops(True)

        self.open_phantom.clicked.connect(self._open_phantom)
        self.phantom_path.submitted.connect(self._open_phantom)
        self.open_stack.clicked.connect(self._open_stack)
        self.stack_path.submitted.connect(self._open_stack)
        self._shown: list[int] | None = None
        # what is being opened: where its mistakes are written
        self._row: PathRow | None = None
        self._drawing = Drawing(self, self.session.window)
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
            "No schedule is chosen in the Schedule tab." if schedule is None
            else f"In the Schedule tab: {schedule.describe()}"
        )  # fmt: skip
        entries = [*self.session.entries("phantom"), *self.session.entries("stack")]
        subjects = [id(entry.subject) for entry in entries]
        if subjects == self._shown:
            return
        self._shown = subjects
        while self._cards.count():
            card = self._cards.takeAt(0).widget()
            # deleted with the next turn of the event loop, and seen until then
            card.hide()
            card.deleteLater()
        for entry in entries:
            kind = "Phantom" if entry.kind == "phantom" else "Fingerprints"
            text = entry.subject.describe().removeprefix(f"{entry.subject.name}: ")
            notes = entry.subject.notes
            if entry.kind == "stack":
                notes = (*notes, f"Schedule: {entry.subject.schedule.describe()}")
            self._cards.addWidget(_Card(f"{kind} – {entry.title}", text[:1].upper() + text[1:], notes))
        if not entries:
            self._cards.addWidget(note("Nothing yet. Open a sample, a phantom or fingerprints, or drop their files "
                                       "here."))  # fmt: skip

    def open_sample(self, key: str) -> None:
        """Open one of the samples."""
        if self.begin():
            job = self.start("Opening the sample", functools.partial(samples.load, key))
            job.returned.connect(self.show_sample)
            job.start()

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

    def wait_for(
        self, title: str, read: Callable[..., samples.Sample], show: Callable[[samples.Sample], None] | None = None
    ) -> samples.Sample | None:
        """Read something in the background and wait for it, events running.

        Parameters
        ----------
        title : str
            What the job is called.
        read : callable
            See `Panel.start`.
        show : callable, optional
            Shows what was read, in steps that are waited for, too. None: the caller does.

        Returns
        -------
        Sample or None
            None where it was cancelled, or the window closed.

        Raises
        ------
        InputError
            The sentence that also stands in the panel; this panel has another job.
        """
        if not self.begin():
            raise InputError(self.jobs.refuse())
        found: list[samples.Sample] = []
        failures: list[Failure] = []
        loop = QEventLoop()
        job = self.start(title, read)
        job.returned.connect(found.append)
        job.returned.connect(self._announce_sample if show is None else show)
        job.failed.connect(failures.append)
        job.ended.connect(loop.quit)
        job.start()
        loop.exec()
        if failures:
            raise InputError(failures[0].sentence, field=failures[0].field)
        return found[0] if found and self.session.viewer is not None else None

    def _open_brainweb(self, settings: BrainWebSettings) -> None:
        if self.begin():
            job = self.start(f"Opening BrainWeb {settings.subject}", functools.partial(brainweb_phantom, settings))
            job.returned.connect(self._show_phantom)
            job.start()

    def _open_phantom(self) -> None:
        if not self.begin(self.phantom_path):
            return
        paths = self.phantom_path.paths
        try:
            if not paths:
                raise InputError("No phantom is chosen; expected a folder or files.", field="source")
            settings = self.phantom_form.settings()
        except InputError as error:
            self.show_input_error(error)
            return
        source = paths[0] if len(paths) == 1 else paths
        job = self.start(f"Opening {Path(paths[0]).name}", functools.partial(open_phantom, source, settings))
        job.returned.connect(self._show_phantom)
        job.start()

    def _open_stack(self) -> None:
        if not self.begin(self.stack_path):
            return
        paths = self.stack_path.paths
        try:
            if not paths:
                raise InputError("No fingerprint stack is chosen; expected a file.", field="path")
            settings = self.stack_form.settings()
        except InputError as error:
            self.show_input_error(error)
            return
        own = self.schedule_choice.currentText() == _OWN and has_own_schedule(Path(paths[0]).expanduser())
        schedule = None if own else self.session.schedule
        job = self.start(
            f"Opening {Path(paths[0]).name}", functools.partial(open_fingerprints, paths[0], schedule, settings)
        )
        job.returned.connect(self._show_stack)
        job.start()

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
    def _show_phantom(self, phantom: Phantom) -> Steps[None]:
        yield from layers.phantom_steps(self.session, phantom)
        self._announce(phantom)

    @in_steps
    def _show_stack(self, stack: FingerprintStack) -> Steps[None]:
        yield from layers.stack_steps(self.session, stack)
        self._announce(stack)

    @in_steps
    def show_sample(self, sample: samples.Sample) -> Steps[None]:
        """Show a sample, or what was dropped on the viewer."""
        if sample.phantom is not None:
            yield from layers.phantom_steps(self.session, sample.phantom)
        if sample.stack is not None:
            yield from layers.stack_steps(self.session, sample.stack, sample.phantom)
        self._announce_sample(sample)

    @in_steps
    def show_but_last(self, sample: samples.Sample) -> Steps[None]:
        """Add all layers of a sample but the last, not visible yet."""
        yield from layers.hidden_steps(self.session, sample_layer_data(sample.phantom, sample.stack)[:-1])
        self._announce_sample(sample)

    def last_layer(self, sample: samples.Sample) -> LayerData:
        """Return the last layer for napari to add, and show it once it is there."""
        data, how, kind = sample_layer_data(sample.phantom, sample.stack)[-1]
        QTimer.singleShot(0, functools.partial(self._look_at, sample))
        return data, {**how, "visible": False}, kind

    def _look_at(self, sample: samples.Sample) -> None:
        subject = sample.stack or sample.phantom
        self._drawing.add(look_at(self.session, self.session.layers(subject=subject), subject.mask))

    def _announce_sample(self, sample: samples.Sample) -> None:
        self._announce(sample.stack or sample.phantom)

    def _announce(self, subject: Phantom | FingerprintStack) -> None:
        self.jobs.say(f"Opened {subject.name}.", "good")
        self.session.added.emit(subject)
