"""The Train tab: a network for one's own schedule, or a network adapted to the stack that is open."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFormLayout, QHBoxLayout

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.plain_text import counted
from napari_blochnet.estimators.networks.cards import StoredModel, stored_models
from napari_blochnet.estimators.training.options import options_from
from napari_blochnet.estimators.training.stopped import StoppedTraining
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.declaring.settings_sampling import TrajectorySettings, is_taken
from napari_blochnet.jobs.settings import settings_from
from napari_blochnet.jobs.settings_training import AdaptSettings, TrainSettings
from napari_blochnet.napari_ui.background.workers import Failure
from napari_blochnet.napari_ui.forms.editors import BlankChoice, OptionalEdit
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.panels.amounts import duration
from napari_blochnet.napari_ui.panels.train.name_row import NameRow, check_name
from napari_blochnet.napari_ui.panels.train.stopped_row import StoppedRow
from napari_blochnet.napari_ui.panels.train.tasks import Kept, TrainingTask, adapt_task, go_on_task, train_task
from napari_blochnet.napari_ui.panels.train.training_clock import TrainingClock
from napari_blochnet.napari_ui.panels.train.training_view import TrainingView
from napari_blochnet.napari_ui.saving.copying import CopyRow
from napari_blochnet.napari_ui.widgets.choices import OpenChoice, subject_choice
from napari_blochnet.napari_ui.widgets.device_choice import DeviceChoice
from napari_blochnet.napari_ui.widgets.panel import Panel
from napari_blochnet.napari_ui.widgets.parts import Foldable, heading, note, primary_button
from napari_blochnet.napari_ui.widgets.rows import fill, named_rows, row_of
from napari_blochnet.schedules.schedule import Schedule

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["TrainPanel"]

_CHOICE = ("estimator", "preset")
# What an option shows, greyed out, where neither the person nor the preset sets it.
_STARTS = {
    "subspace": 24,
    "snr_range": (5.0, 200.0),
    "aliasing_range": (0.0005, 1.5),
    "decoded": 32,
    "grid_step": 10.0,
    "patience": 20,
    "fingerprints": 100_000,
}


class TrainPanel(Panel):
    """Trains a network for a schedule, and adapts one to a stack without labels."""

    title = "Train"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._models: tuple[StoredModel, ...] = ()
        self.name = self._active = NameRow()
        self._started = 0.0
        self.adapt_name = NameRow()

        self.source = OpenChoice(
            self._schedules, "the Schedule tab's", nullable=True, called="Schedule to train for",
            tooltip="For which schedule the network is trained; it maps fingerprints of that schedule only.",
        )  # fmt: skip
        self.schedule_line = note()
        others = [name for name in TrainSettings.model_fields if name not in _CHOICE]
        self.choice = SettingsForm(TrainSettings, leave_out=others)
        self.form = SettingsForm(TrainSettings, leave_out=_CHOICE, starts=_STARTS)
        self.options = Foldable("Options: tissues, epochs, noise, loss", self.form)
        self.device = DeviceChoice()
        self.size_line = note()
        self.run = primary_button(
            "Train for my schedule",
            "Train a network on fingerprints that the decoder simulates for this schedule, and put it into Map's list.",
        )
        self.clock = TrainingClock(self)
        self.time_line = note()
        self.stopped = StoppedRow()
        self.view = TrainingView()
        self.copy = CopyRow(self.session)
        self.stack = subject_choice(
            self.session,
            FingerprintStack,
            "no fingerprints are open",
            "The fingerprints that the network is adapted to; no truth is needed.",
            called="Fingerprints to adapt to",
        )
        self.model = OpenChoice(
            self._fitting_models,
            "–",
            called="Network to adapt",
            tooltip="Which network is adapted: those of the model store that take as many samples as the stack has.",
        )
        self.adapt_form = SettingsForm(AdaptSettings)
        self.adapt_options = Foldable("Options: epochs, batches, voxels", self.adapt_form)
        self.adapt_line = note()
        self.adapt = primary_button(
            "Adapt to this stack",
            "Fine-tune the network on this stack's own fingerprints, without labels, and put the result into Map's "
            "list.",
        )
        self._lay_out()

        self.source.changed.connect(self._update)
        self.choice.changed.connect(self._on_choice)
        self.form.changed.connect(self._update)
        self.run.clicked.connect(self._train)
        self.stopped.wanted.connect(self._go_on)
        self.stack.changed.connect(self._update_models)
        self.model.changed.connect(self._update)
        self.adapt.clicked.connect(self._adapt)
        self.clock.changed.connect(self._say_time)
        self.device.changed.connect(self._update)
        for field in ("loss", "precision"):
            choice = self.form.editor(field)
            if isinstance(choice, BlankChoice):
                choice.null_string = "as in the preset"
                choice.reset_choices()
        self._show_preset()
        self.remember(network=self.choice, options=self.form, adaptation=self.adapt_form, device=self.device)
        self._show_preset()

    def _lay_out(self) -> None:
        def rows(*pairs: tuple[str, Any]) -> QFormLayout:
            layout = named_rows(*pairs)
            layout.setHorizontalSpacing(8)
            layout.setVerticalSpacing(4)
            return layout

        first = rows(("Schedule", self.source)), rows(("Name", self.name), ("Device", self.device))
        second = rows(("Fingerprints", self.stack), ("Network", self.model)), rows(("Name", self.adapt_name))
        self._columns = (*first, self.choice.layout()), second
        fill(self.body, heading("A network for my schedule"), first[0], self.schedule_line, self.choice, self.options)
        start = filled(QHBoxLayout(), self.run, self.time_line)
        start.setStretch(1, 1)
        fill(self.body, first[1], self.size_line, start, self.stopped, self.jobs, self.view, self.copy)
        fill(self.body, heading("A network adapted to my data"), second[0], self.adapt_options, second[1])
        fill(self.body, self.adapt_line, row_of(self.adapt))
        self.body.addStretch(1)

    # -- what the panel shows of the session

    def forms(self) -> list[SettingsForm]:
        return [self.adapt_form] if self._active is self.adapt_name else [self.choice, self.form]

    def apply_theme(self) -> None:
        super().apply_theme()
        self.view.plot.apply_theme(self.colours)

    def attach(self, viewer: Viewer) -> None:
        self.session.models_changed.connect(self._read_models)
        self._models = stored_models()
        self.stopped.look(is_busy=self.is_busy)
        # napari's style decides how wide words are, and it is known once the panel is shown
        for layouts in self._columns:
            _align(*layouts)

    def detach(self, viewer: Viewer) -> None:
        self.clock.stop()
        self.session.stop_telling(self._read_models, "models_changed")

    def _read_models(self) -> None:
        self._models = stored_models()
        self._update_models()

    def update_session(self) -> None:
        self.stack.reset_choices()
        self.device.update_devices()
        self.source.reset_choices()
        self._update_models()

    def _schedules(self) -> list[tuple[str, Any]]:
        # coefficients may come without one
        known = (entry for entry in self.session.entries("stack") if entry.subject.schedule is not None)
        return [(f"that of {entry.title}", entry.subject) for entry in known]

    @property
    def schedule(self) -> Schedule | None:
        """The schedule that is trained for."""
        stack = self.source.value
        return self.session.schedule if stack is None else stack.schedule

    def _update_models(self) -> None:
        self.model.null_string = "none takes as many samples" if self.stack.value is not None else "–"
        self.model.reset_choices()
        self._update()

    def _fitting_models(self) -> list[tuple[str, Any]]:
        stack = self.stack.value
        length = None if stack is None or stack.is_compressed else stack.shape[0]
        return [(model.name, model.name) for model in self._models if model.card["network"]["length"] == length]

    def _on_choice(self) -> None:
        self._show_preset()
        self._update()

    def _show_preset(self) -> None:
        """Let options that the person has not set show what the preset does."""
        choice = self.choice.values()
        options = options_from(str(choice["preset"]), str(choice["estimator"]))
        self.form.blockSignals(True)
        for field, value in self.form.values().items():
            default = getattr(options, field)
            editor = self.form.editor(field)
            if value is None and default is not None and isinstance(editor, OptionalEdit):
                editor.inner.value = default
        self.form.blockSignals(False)

    def _show_aliasing(self) -> None:
        """Show of the scan that aliases what says something, where any aliasing is added; the rest is left out."""
        values = self.form.values()
        preset = options_from(str(self.choice.values()["preset"]))
        is_added = (values["aliasing_range"] or preset.aliasing_range) is not None
        is_simulated = is_added and values["aliasing_from"] is None
        shown = {name: is_simulated and is_taken(name, values["trajectory"] or preset.trajectory, "frames")
                 for name in TrajectorySettings.model_fields}  # fmt: skip
        self.form.blockSignals(True)
        for name, is_shown in {**shown, "trajectory": is_simulated, "aliasing_from": is_added}.items():
            self.form.set_row_visible(name, is_shown)
            if not is_shown:
                # what nobody sees says nothing
                self.form.editor(name).value = None
        self.form.blockSignals(False)

    def _update(self) -> None:
        self._show_aliasing()
        schedule, stack = self.schedule, self.stack.value
        self.schedule_line.setText(
            "No schedule is chosen in the Schedule tab." if schedule is None else schedule.describe()
        )
        values = {**self.choice.values(), **self.form.values()}
        if schedule is not None:
            self.name.propose(f"{values['estimator']}-{schedule.name or len(schedule)}")
        if stack is not None and self.model.value:
            self.adapt_name.propose(f"{self.model.value}-{stack.name or 'adapted'}")
        self.size_line.setText(_amount(values))
        self.run.setEnabled(schedule is not None and not self.is_busy)
        self.clock.ask(None if self.is_busy else self._wanted(), schedule, self.device.value)
        self._say_time()
        can = stack is not None and self.model.value is not None
        self.adapt.setEnabled(can and not self.is_busy)
        self.adapt_line.setText(_why_not(stack, can))

    def _wanted(self) -> TrainSettings | None:
        """Return what would be trained; None where options contradict each other, which pressing the button says."""
        try:
            return settings_from(TrainSettings, **self.choice.values(), **self.form.values())
        except InputError:
            return None

    def _say_time(self) -> None:
        self.time_line.setText(self.clock.sentence)

    # -- jobs

    def _train(self) -> None:
        schedule = self.schedule
        if schedule is None or self.is_busy:
            return
        with self._reading(self.name):
            settings = self.form.settings(**self.choice.values())
            name = check_name(self.name.line.text().strip())
            epochs = options_from(settings.preset, settings.estimator, **settings.options()).epochs
            self._run(f"Training {name}", train_task(settings, schedule, self.device.value, name), epochs)

    def _go_on(self, stopped: StoppedTraining) -> None:
        if self.is_busy:
            return
        with self._reading(self.name):
            self._run(f"Training {stopped.name}", go_on_task(stopped), int(stopped.epochs))

    def _adapt(self) -> None:
        stack, model = self.stack.value, self.model.value
        if stack is None or model is None or self.is_busy:
            return
        with self._reading(self.adapt_name):
            settings = self.adapt_form.settings()
            name = check_name(self.adapt_name.line.text().strip())
            task = adapt_task(settings, model, stack, self.device.value, name)
            self._run(f"Adapting {model}", task, settings.epochs)

    def _reading(self, row: NameRow) -> contextlib.AbstractContextManager[None]:
        """Read the forms of one half of the panel, and no longer show what was wrong in the other."""
        self._active = row
        for form in (self.choice, self.form, self.adapt_form):
            form.clear_errors()
        for name in (self.name, self.adapt_name):
            name.show_error("")
        return self.reading_forms()

    def _run(self, title: str, task: TrainingTask, epochs: int) -> None:
        self.clock.stop()
        self._started = time.perf_counter()
        self.view.begin(epochs)
        self.copy.show_record({})
        job = self.start(title, task.run, wants_partial=True, wants_last=True)
        job.progressed.connect(self.view.note_steps)
        job.partial.connect(self.view.show_losses)
        job.returned.connect(self._finish)
        job.stopped.connect(self._finish_stopped)
        job.ended.connect(self._on_ended)
        job.start()
        self.stopped.look(is_busy=True)
        self._update()

    def _finish(self, kept: Kept) -> None:
        seconds = time.perf_counter() - self._started
        self._show_kept(kept)
        self.copy.show_record(kept.card.get("record", {}))
        self.jobs.say(f"{kept.name} was made in {duration(seconds)}; it is in Map's list.", "good")

    def _finish_stopped(self, kept: object) -> None:
        if not isinstance(kept, Kept):
            self.jobs.say("Cancelled before the first epoch's end; nothing was kept.")
            return
        self._show_kept(kept)
        if "stopped" in kept.card["record"]:
            words = kept.card["notes"][-1].rstrip(".")
            self.jobs.say(f"{words}; the best so far is in Map's list as {kept.name}.")
        else:
            self.jobs.say(f"{kept.name} was finished, but not scored; it is in Map's list.")

    def _show_kept(self, kept: Kept) -> None:
        self._active.settle()
        self.view.show_scores(kept.scores)
        self.session.models_changed.emit()

    def _on_ended(self) -> None:
        self.stopped.look(is_busy=False)
        self.view.time_left.clear()
        self.device.update_devices()
        self._update()

    def show_failure(self, failure: Failure) -> None:
        super().show_failure(failure)
        if failure.field == "name":
            self._active.show_error(failure.sentence)


def _align(*layouts: QFormLayout) -> None:
    """Give the labels of several forms one width."""
    items = [
        layout.itemAt(row, QFormLayout.ItemRole.LabelRole) for layout in layouts for row in range(layout.rowCount())
    ]
    labels = [label for item in items if item is not None and (label := item.widget()) is not None]
    width = max(label.sizeHint().width() for label in labels)
    for label in labels:
        label.setMinimumWidth(width)


def _amount(values: dict[str, Any]) -> str:
    """Say how much is trained; empty where the options contradict each other."""
    chosen = {name: value for name, value in values.items() if name not in _CHOICE and value is not None}
    try:
        options = options_from(values["preset"], values["estimator"], **chosen)
    except InputError:
        return ""
    count = options.fingerprints
    tissues = f"A grid of {options.grid_step:g} ms" if count is None else counted(count, "tissue", ",")
    return f"{tissues}, {counted(options.epochs, 'epoch', ',')}."


def _why_not(stack: Any, can: bool) -> str:
    if stack is None:
        return "Simulate fingerprints, or open a stack in the Data tab, to adapt a network to them."
    if stack.is_compressed:
        return f"{stack.name} holds coefficients; networks are adapted to whole fingerprints."
    if not can:
        return (
            f"No network of the store takes {stack.shape[0]:,} samples; train one above for this stack's schedule "
            "or another of its length."
        )
    return "The network learns what the decoder finds in this stack; it fits this schedule afterwards."
