"""The Data tab: open a phantom or a fingerprint stack, and see in words what was understood."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QEventLoop, Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_blochnet.errors import InputError
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.operations import brainweb_phantom, open_fingerprints, open_phantom
from napari_blochnet.jobs.settings import BrainWebSettings, FingerprintsSettings, PhantomSettings
from napari_blochnet.napari_ui import layers, preferences, samples
from napari_blochnet.napari_ui.brainweb_dialog import BrainWebDialog
from napari_blochnet.napari_ui.drawing import Steps
from napari_blochnet.napari_ui.forms import SettingsForm
from napari_blochnet.napari_ui.panels.sessions import SessionRow
from napari_blochnet.napari_ui.readers import has_own_schedule
from napari_blochnet.napari_ui.widgets import Foldable, Panel, heading, in_steps, note, primary_button
from napari_blochnet.napari_ui.workers import Failure
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["DataPanel"]

_OWN = "its own schedule, or the Schedule tab's"
_CURRENT = "the Schedule tab's schedule"


class _PathRow(QWidget):
    """Where something is: typed, dropped, or chosen in a dialog."""

    submitted = Signal()

    def __init__(self, hint: str, *, folders: bool) -> None:
        super().__init__()
        self.line = QLineEdit()
        self.line.setPlaceholderText(hint)
        self.line.setAccessibleName("Phantom" if folders else "Fingerprint stack")
        self.line.setToolTip(f"{hint}; type or paste a path, or drop it on the viewer.")
        self.line.returnPressed.connect(self.submitted)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.line, 1)
        if folders:
            folder = QPushButton("Folder…")
            folder.setToolTip("Choose the folder of a phantom.")
            folder.clicked.connect(self.choose_folder)
            row.addWidget(folder)
        files = QPushButton("File…")
        files.setToolTip("Choose one file, or several that belong together." if folders else "Choose a file.")
        files.clicked.connect(self.choose_files)
        row.addWidget(files)
        self._several = folders
        self._kind = "phantom" if folders else "fingerprints"

    def _start(self) -> str:
        """Where a dialog begins: at what is named here, or where the last one ended."""
        return self.line.text() or preferences.folder(self._kind)

    def choose_folder(self) -> None:
        """Ask for a folder and open it."""
        name = QFileDialog.getExistingDirectory(self, "Folder of a phantom", self._start())
        if name:
            preferences.set_folder(self._kind, name)
            self.line.setText(name)
            self.submitted.emit()

    def choose_files(self) -> None:
        """Ask for files and open them."""
        if self._several:
            names, _ = QFileDialog.getOpenFileNames(self, "Files of a phantom", self._start())
        else:
            name, _ = QFileDialog.getOpenFileName(self, "Fingerprint stack", self._start())
            names = [name] if name else []
        if names:
            preferences.set_folder(self._kind, names[0])
            self.line.setText("; ".join(names))
            self.submitted.emit()

    @property
    def paths(self) -> list[str]:
        """What is chosen."""
        return [part.strip() for part in self.line.text().split(";") if part.strip()]


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
        self.phantom_path = _PathRow("BrainWeb, NIfTI or MATLAB: a folder or files", folders=True)
        self.phantom_form = SettingsForm(PhantomSettings, starts={"shape": (91, 109, 91), "voxel_size": (1, 1, 1)})
        self.phantom_options = Foldable("Options", self.phantom_form)
        self.open_phantom = primary_button("Open phantom", "Read T1, T2 and proton density of every voxel.")
        for widget in (self.phantom_path, self.phantom_options):
            self.body.addWidget(widget)
        self.body.addWidget(self.open_phantom, 0, Qt.AlignmentFlag.AlignLeft)

        self.body.addWidget(heading("Open fingerprints"))
        self.stack_path = _PathRow("NIfTI, .npy, .npz, HDF5 or MATLAB", folders=False)
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
        self.sessions = SessionRow(self)
        self.body.addWidget(self.sessions)
        self.body.addWidget(self.jobs)

        self.body.addWidget(heading("What is open"))
        self._cards = QVBoxLayout()
        self.body.addLayout(self._cards)
        self.body.addStretch(1)

        self.open_phantom.clicked.connect(self._open_phantom)
        self.phantom_path.submitted.connect(self._open_phantom)
        self.open_stack.clicked.connect(self._open_stack)
        self.stack_path.submitted.connect(self._open_stack)
        self._shown: list[int] | None = None
        self.remember(phantom=self.phantom_form, fingerprints=self.stack_form, schedule=self.schedule_choice)

    def forms(self) -> list[SettingsForm]:
        return [self.phantom_form, self.stack_form]

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
            self._cards.addWidget(note("Nothing yet. Open a sample, a phantom or fingerprints, or drop them on the "
                                       "viewer."))  # fmt: skip

    def open_sample(self, key: str) -> None:
        """Open one of the samples."""
        if not self.is_busy:
            job = self.start("Opening the sample", functools.partial(samples.load, key))
            job.returned.connect(self._show_sample)
            job.start()

    def ask_brainweb(self) -> None:
        """Ask which of BrainWeb's subjects to open, and whether it may be downloaded."""
        dialog = BrainWebDialog(self)
        dialog.chosen.connect(self._open_brainweb)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def wait_for_brainweb(self) -> Phantom | None:
        """Ask the same and wait for the phantom, events running; None where the person did not want it after all.

        Raises
        ------
        InputError
            The sentence that also stands in the panel.
        """
        dialog = BrainWebDialog(self)
        wanted: list[BrainWebSettings] = []
        dialog.chosen.connect(wanted.append)
        dialog.exec()
        dialog.deleteLater()
        if not wanted or self.is_busy:
            return None
        found: list[Phantom] = []
        failures: list[Failure] = []
        loop = QEventLoop()
        job = self.start(f"Opening BrainWeb {wanted[0].subject}", functools.partial(brainweb_phantom, wanted[0]))
        job.returned.connect(found.append)
        job.failed.connect(failures.append)
        job.ended.connect(loop.quit)
        job.start()
        loop.exec()
        if failures:
            raise InputError(failures[0].sentence, field=failures[0].field)
        if found:
            self._announce(found[0])
        return found[0] if found else None

    def _open_brainweb(self, settings: BrainWebSettings) -> None:
        if not self.is_busy:
            job = self.start(f"Opening BrainWeb {settings.subject}", functools.partial(brainweb_phantom, settings))
            job.returned.connect(self._show_phantom)
            job.start()

    def _open_phantom(self) -> None:
        self.phantom_form.clear_errors()
        if self.is_busy:
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
        self.stack_form.clear_errors()
        if self.is_busy:
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

    def show_failure(self, failure: object) -> None:
        super().show_failure(failure)
        for form, options in ((self.phantom_form, self.phantom_options), (self.stack_form, self.stack_options)):
            if form.errors():
                options.open()

    @in_steps
    def _show_phantom(self, phantom: Phantom) -> Steps[None]:
        yield from layers.phantom_steps(self.session, phantom)
        self._announce(phantom)

    @in_steps
    def _show_stack(self, stack: FingerprintStack) -> Steps[None]:
        yield from layers.stack_steps(self.session, stack)
        self._announce(stack)

    @in_steps
    def _show_sample(self, sample: samples.Sample) -> Steps[None]:
        if sample.phantom is not None:
            yield from layers.phantom_steps(self.session, sample.phantom)
        if sample.stack is not None:
            yield from layers.stack_steps(self.session, sample.stack, sample.phantom)
        self._announce(sample.stack or sample.phantom)

    def _announce(self, subject: Phantom | FingerprintStack) -> None:
        self.jobs.say(f"Opened {subject.name}.", "good")
        self.session.added.emit(subject)
