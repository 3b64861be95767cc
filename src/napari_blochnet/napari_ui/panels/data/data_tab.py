"""The Data tab: open a phantom or a fingerprint stack, and see in words what was understood."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QGridLayout, QPushButton, QVBoxLayout, QWidget

from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.operations.opening import brainweb_phantom, open_phantom
from napari_blochnet.jobs.recognise import has_own_schedule
from napari_blochnet.jobs.settings import BrainWebSettings, FingerprintsSettings, PhantomSettings
from napari_blochnet.napari_ui.background.turns import Steps, Turns
from napari_blochnet.napari_ui.background.workers import Failure, Job
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas.layer_data import LayerData, Opened, opened_layer_data
from napari_blochnet.napari_ui.canvas.showing import look_at
from napari_blochnet.napari_ui.canvas.swapping import calm_steps
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.panels.data.brainweb_dialog import BrainWebDialog
from napari_blochnet.napari_ui.panels.data.compress_fold import CompressFold
from napari_blochnet.napari_ui.panels.data.layer_row import LayerRow, open_stack
from napari_blochnet.napari_ui.panels.data.sample_choice import SAMPLES, load_sample
from napari_blochnet.napari_ui.panels.data.schedule_question import OWN, ScheduleQuestion
from napari_blochnet.napari_ui.panels.data.session_buttons import SessionRow
from napari_blochnet.napari_ui.panels.data.subject_cards import subject_card
from napari_blochnet.napari_ui.panels.data.takes_drops import TakesDrops
from napari_blochnet.napari_ui.panels.data.takes_layers import TakesLayers
from napari_blochnet.napari_ui.state.entries import Entry
from napari_blochnet.napari_ui.state.world import give_mm
from napari_blochnet.napari_ui.widgets.docks import go_to_tab
from napari_blochnet.napari_ui.widgets.panel import Panel, in_steps
from napari_blochnet.napari_ui.widgets.parts import Foldable, heading, note, primary_button
from napari_blochnet.napari_ui.widgets.path_row import PathRow
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari import Viewer

    from napari_blochnet.evaluation.maps import ParameterMaps

__all__ = ["DataPanel"]

# Of what was understood, the sentences beside Cancel: the panel has other things to show.
_MOST_NOTES = 4


class DataPanel(TakesDrops, TakesLayers, Panel):
    """Opens phantoms and fingerprint stacks."""

    title = "Data"

    #: the file of a dictionary that came with the data
    dictionary_given = Signal(str)
    #: the schedule of a stack, which was given with it
    schedule_given = Signal(object)
    #: a stack is open that maps are wanted of: a layer that is used, or one whose schedule was asked for
    map_wanted = Signal(object)

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
        self.layers = LayerRow(self.session)
        self.question = ScheduleQuestion(self)
        self.schedule_choice, self.schedule_line = self.question.choice, self.question.line
        self.stack_form = SettingsForm(FingerprintsSettings, starts={"voxel_size": (1, 1, 1), "time_axis": 0})
        self.stack_options = Foldable("Options", self.stack_form)
        self.open_stack = primary_button("Open fingerprints", "Read a stack, one sample per pulse of the schedule.")
        for widget in (self.stack_path, self.layers, self.question, self.stack_options):
            self.body.addWidget(widget)
        self.body.addWidget(self.open_stack, 0, Qt.AlignmentFlag.AlignLeft)
        self.sessions = SessionRow(self)
        self.body.addWidget(self.sessions)

        self.body.addWidget(heading("What is open"))
        self._card_list = QVBoxLayout()
        self._cards: list[QWidget] = []
        self.body.addLayout(self._card_list)
        self.compressing = CompressFold(self)
        self.body.addWidget(self.compressing)
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
        self.stack_path.line.textChanged.connect(self._on_typed)
        self.question.changed.connect(self._on_answer)
        self.question.changed.connect(self._open_waiting)
        self.question.tab_wanted.connect(lambda: go_to_tab(self.session.viewer, self, "Schedule"))
        self.layers.chosen.connect(self._on_layer)
        self._described: list[int] | None = None
        # what is being opened: where its mistakes are written
        self._row: PathRow | None = None
        self._turns = Turns(self, self.session.window)
        # with which options each row's path was opened: they are that file's
        self._opened_with: dict[PathRow, dict[str, Any]] = {}
        self.phantom_path.line.textChanged.connect(lambda: self._forget_options(self.phantom_path))
        self.stack_path.line.textChanged.connect(lambda: self._forget_options(self.stack_path))

    def _form_of(self, row: PathRow) -> SettingsForm:
        return self.phantom_form if row is self.phantom_path else self.stack_form

    def forms(self) -> list[SettingsForm]:
        # the two of files share names of fields
        return [self.compressing.form if self._row is None else self._form_of(self._row)]

    def _forget_options(self, row: PathRow) -> None:
        """Let what one file needed not be said of the next."""
        if row in self._opened_with:
            self._form_of(row).forget_data(self._opened_with.pop(row))
            if row is self.stack_path:
                self.schedule_choice.setCurrentIndex(0)

    def start(self, title: str, function: Callable[..., Any], **wants: bool) -> Job:
        job = super().start(title, function, **wants)
        self._enable(False)
        job.ended.connect(self._on_ended)
        return job

    def _on_ended(self) -> None:
        self._enable(True)

    def _enable(self, free: bool) -> None:
        """Let buttons be pressed, or not while there is a job."""
        others = (self.brainweb, self.open_phantom, self.open_stack, self.compressing.run, *self.sessions.buttons)
        for button in (*self.sample_buttons.values(), *self.phantom_path.buttons, *self.stack_path.buttons, *others):
            button.setEnabled(free)

    def begin(self, row: PathRow | None = None) -> bool:
        """Return whether a job may begin now, and say where not; take the sentences about older mistakes away."""
        if self.is_busy:
            self.jobs.refuse()
            return False
        self._row, self._taken = row, None
        for form in (self.phantom_form, self.stack_form):
            form.clear_errors()
        self._take_away_errors()
        return True

    def update_session(self) -> None:
        self.question.set_in_tab(self.session.schedule)
        self.layers.update_choices()
        self.compressing.update_session()
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
        self._cards = [subject_card(entry) for entry in entries] or [
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

    # -- layers as fingerprints

    def _on_answer(self) -> None:
        """Take the sentence away that asked for a schedule."""
        if not self.is_busy and self._row is self.stack_path:
            self.jobs.say("")

    def _on_typed(self, text: str) -> None:
        """Open what is named last: whoever names a file does not mean the layer that was chosen before."""
        if text:
            self.layers.choose(None)
            self.question.drop()

    def show_layers_as(self, steps: Steps[Any], found: Phantom | ParameterMaps) -> None:
        """Show what layers of others were made to be, and what there was to say of them."""
        name = found.name if isinstance(found, Phantom) else found.estimator
        self._turns.add(steps)
        self.jobs.say(f"{name}: taken as {'truth' if isinstance(found, Phantom) else 'maps to compare'}.", "good")
        self.session.added.emit(found)

    def _open_stack(self) -> None:
        if self.layers.layer is not None:
            self._open_layer(self.layers.layer)
            return

        def read(paths: list[str], settings: Any) -> Callable[..., FingerprintStack]:
            # whoever has named a schedule's file means it
            is_own = self.schedule_choice.currentText() == OWN or (self.question.is_file and not self.question.path)
            # coefficients come with a basis, and need none
            is_told = has_own_schedule(Path(paths[0]).expanduser())
            own = is_own and (is_told or (settings.basis is not None and self.question.is_file))
            schedule = None if own else self.question.schedule()
            return functools.partial(open_stack, paths[0], schedule, settings, self.question.is_file)

        self._open(self.stack_path, InputError("No fingerprint stack is chosen; expected a file.", field="path"), read)

    def show_failure(self, failure: Failure) -> None:
        # first: what is asked for changes controls, and with these the sentence would go
        self._show_at_row(failure)
        super().show_failure(failure)

    def _show_at_row(self, failure: Failure) -> None:
        row = self._row
        if row is None or (failure.field or "").split(".")[0] in self.forms()[0].fields:
            return
        if row is self.stack_path and failure.field == "schedule":
            if self.question.is_file and self.question.path:
                if not self.question.form.errors():
                    self.question.show_error(failure.sentence)
            else:
                self.question.ask(failure.sentence, row.paths[0] if row.paths else None)
            self.bring_into_view(self.open_stack)
        else:
            # what is wrong with the file, whatever part of it is named
            row.show_error(failure.sentence)
            self.bring_into_view(row)

    def forget_complaint(self, sentence: str) -> None:
        super().forget_complaint(sentence)
        self._take_away_errors()

    def _take_away_errors(self) -> None:
        for row in (self.phantom_path, self.stack_path):
            row.show_error("")
        self.question.show_error("")

    @in_steps
    def show_opened(self, found: Opened | Phantom | FingerprintStack) -> Steps[None]:
        """Show what was read."""
        if self._row is not None:
            self._opened_with[self._row] = self._form_of(self._row).values()
        taken = self._taken
        # whoever uses a layer, or has answered what its schedule's file left open, wants maps
        is_next = taken is not None and taken is self._used
        if taken is not None:
            # before ours, which is in mm: napari warns of layers whose units differ
            give_mm(taken, time_axis=Opened.of(found).subject.record.get("settings", {}).get("time_axis"))
        yield from layers.opened_steps(self.session, Opened.of(found))
        if taken is not None:
            # the same samples are not drawn twice
            taken.visible = False
            self.layers.choose(None)
        self.announce(found)
        self.question.end()
        if self.question.is_file and self.question.path and isinstance(found, FingerprintStack):
            # what is simulated and trained next is so for the schedule that was given here
            self.schedule_given.emit(found.schedule)
            is_next = True
        if is_next:
            self.map_wanted.emit(Opened.of(found).subject)

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
        steps = look_at(self.session, self.session.layers(subject=subject), subject.mask)
        self._turns.add(calm_steps(self.session, steps))

    def announce(self, found: Opened | Phantom | FingerprintStack) -> None:
        """Say what was opened, and how it was understood: the card that keeps it may lie outside the view."""
        subject = Opened.of(found).subject
        self.jobs.say(f"Opened {subject.name}.", "good")
        more = len(subject.notes) - _MOST_NOTES
        tail = [f"and {more} more, under What is open."] if more > 0 else []
        self.jobs.tell([*subject.notes[:_MOST_NOTES], *tail])
        self.session.added.emit(subject)
