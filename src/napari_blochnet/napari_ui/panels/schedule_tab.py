"""The Schedule tab: choose the pulse sequence, and see it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QComboBox

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.settings import Settings, settings_from
from napari_blochnet.jobs.settings_schedules import FispSettings, ScheduleFileSettings, SplineSettings
from napari_blochnet.napari_ui.background.hearing import data_warnings
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.panels.schedule.played_marks import understood_of
from napari_blochnet.napari_ui.panels.schedule.schedule_plot import SchedulePlot
from napari_blochnet.napari_ui.panels.schedule.schedule_reading import ScheduleReading, fields_of_file
from napari_blochnet.napari_ui.widgets.panel import Panel
from napari_blochnet.napari_ui.widgets.parts import Foldable, heading, note
from napari_blochnet.napari_ui.widgets.rows import ExportButton, fill, row_of
from napari_blochnet.schedules.schedule import Schedule

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["SchedulePanel"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Kind:
    title: str
    model: type[Settings]
    values: dict[str, Any] = field(default_factory=dict)


# The paper's two random schedules are one generator with two sets of numbers.
_KINDS = (
    _Kind("FISP (Jiang 2015)", FispSettings),
    _Kind("Spline5", SplineSettings, {"control_points": 5, "noise_variance": 0.0}),
    _Kind("SplineNoise11", SplineSettings, {"control_points": 11, "noise_variance": 10.0}),
    _Kind("From a file", ScheduleFileSettings),
)
# What is played around the pulses, and has a fold of its own.
_AROUND = ("trains", "recovery_time", "preparations")
_FOLD = "Around the pulses: trains, preparations"
# What an optional field shows first once it is ticked.
_STARTS = {
    "inversion_time": 0.0,
    "largest_flip_angle": 120.0,
    "flip_angle": 60.0,
    "repetition_time": 15.0,
    "echo_time": 3.0,
    "inversion_efficiency": 1.0,
    "recovery_time": 1000.0,
    "slice_positions": 10,
}


def _forms_of(model: type[Settings]) -> tuple[SettingsForm, SettingsForm]:
    """Return the form of a model's pulses, and that of what is played around them."""
    others = [name for name in model.model_fields if name not in _AROUND]
    return (
        SettingsForm(model, leave_out=("kind", *_AROUND), starts=_STARTS),
        SettingsForm(model, leave_out=others, starts=_STARTS),
    )


class SchedulePanel(Panel):
    """Makes the schedule that simulation and opening of stacks use."""

    title = "Schedule"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self.schedule: Schedule | None = None
        # what the form held for the file that was read last
        self._read_with: dict[str, Any] | None = None
        self.kind = QComboBox()
        self.kind.setToolTip("Where the flip angles and TRs come from.")
        self.kind.setAccessibleName("Pulse sequence")
        self._forms: list[SettingsForm] = []
        self._folds: list[Foldable] = []
        for kind in _KINDS:
            self.kind.addItem(kind.title)
            form, around = _forms_of(kind.model)
            form.set_values(kind.values)
            for part in (form, around):
                part.changed.connect(self.make)
            self._forms.append(form)
            self._folds.append(Foldable(_FOLD, around))
        self.plot = SchedulePlot()
        self.description = note()
        #: what a file plays, in words
        self.understood = note()
        self._reading = ScheduleReading(self)
        self._reading.ready.connect(self.make)
        self.export = ExportButton(
            "Save as CSV…",
            "Write flip angle, TR, TE and RF phase of every pulse to a file.",
            ("Save the schedule", "schedule.csv", "CSV (*.csv)"),
            self.save,
        )

        fill(self.body, heading("Pulse sequence"), self.kind, *self._forms, *self._folds, self.jobs)
        self.body.addWidget(self.plot, 20)
        fill(self.body, self.description, self.understood, row_of(self.export))
        self.body.addStretch(1)
        self.kind.currentIndexChanged.connect(self._choose)
        titles = ("fisp", "spline5", "splinenoise11", "file")
        self.remember(kind=self.kind, **dict(zip(titles, self._forms, strict=True)))
        self.remember(**{f"{title}_around": fold.content for title, fold in zip(titles, self._folds, strict=True)})
        if "path" in self.form.fields and not self.form.values()["path"]:
            # the file belonged to the data of that time
            self.kind.setCurrentIndex(0)
        self._show_form(self.kind.currentIndex())
        # the first schedule loads SciPy's interpolation, which the window need not wait for
        QTimer.singleShot(0, self.make)

    @property
    def form(self) -> SettingsForm:
        """The form of the chosen kind."""
        return self._forms[self.kind.currentIndex()]

    @property
    def fold(self) -> Foldable:
        """What holds `around`."""
        return self._folds[self.kind.currentIndex()]

    @property
    def around(self) -> SettingsForm:
        """The form of what the chosen kind plays around its pulses."""
        content = self.fold.content
        assert isinstance(content, SettingsForm)
        return content

    def forms(self) -> list[SettingsForm]:
        return [self.form, self.around]

    def _values(self) -> dict[str, Any]:
        return {**self.form.values(), **self.around.values()}

    @property
    def cause(self) -> object:
        # what it says is of the schedule it makes, and is written before everybody hears of that
        return None

    def apply_theme(self) -> None:
        super().apply_theme()
        self.plot.apply_theme(self.colours)

    def _choose(self, index: int) -> None:
        self._show_form(index)
        self.make()

    def _show_form(self, index: int) -> None:
        for number, (form, fold) in enumerate(zip(self._forms, self._folds, strict=True)):
            form.setVisible(number == index)
            fold.setVisible(number == index)

    def make(self) -> None:
        """Make the schedule that the form describes and let everybody use it."""
        form = self.form
        self._forget_hints()
        for part in self.forms():
            part.clear_errors()
        # a train that is not followed by another needs no recovery
        self.around.set_row_visible("recovery_time", self.around.values()["trains"] != 1)
        self._show_file_rows()
        schedule = None
        heard: list[str] = []
        try:
            with data_warnings() as heard:
                schedule = self._reading.read(form.settings(**self.around.values()))
        except InputError as error:
            # a form that nobody has filled in yet is no mistake
            if error.field == "path" and not form.values().get("path"):
                self.jobs.say("Choose a file; what it does not state can be given above.")
            else:
                self._show_mistake(error)
        except Exception as error:  # somebody's file, read while the window waits
            _log.exception("reading a schedule ended with an error")
            self.jobs.say(f"The schedule cannot be made ({type(error).__name__}); the log has the details.", "error")
        else:
            if not self.is_busy:
                self.jobs.say("")
            if "path" in form.fields:
                self._read_with = self._values()
        self.jobs.warn(heard)
        self._take(schedule)

    def _show_file_rows(self) -> None:
        """Show what may be said of a file of this kind; a Pulseq file states nearly all itself."""
        if "path" in self.form.fields:
            fitting = fields_of_file(self.form, self.form.values()["path"])
            for name in self.form.fields:
                self.form.set_row_visible(name, name in fitting)

    def _show_mistake(self, error: InputError) -> None:
        """Write a sentence beside its field, unfolded, or where results are announced."""
        shown = self.form.show_error(error.field, str(error))
        if shown and error.field is not None:
            self.form.set_row_visible(error.field.split(".")[0], True)
        if not shown and self.around.show_error(error.field, str(error)):
            self.fold.open()
            shown = True
        self.jobs.say("" if shown else str(error), "error")

    def _forget_hints(self) -> None:
        """Let what one file left open not be said of the next."""
        hints = self._read_with
        if hints is not None and "path" in self.form.fields and self.form.values()["path"] != hints["path"]:
            self._read_with = None
            for form in self.forms():
                form.blockSignals(True)
                form.forget_data({name: value for name, value in hints.items() if name != "path"})
                form.blockSignals(False)

    def choose_file(self, path: str) -> None:
        """Take the schedule of a file, as if it had been chosen by hand."""
        self.kind.setCurrentIndex(_KINDS.index(next(each for each in _KINDS if each.model is ScheduleFileSettings)))
        self.form.set_values({"path": path})
        self.make()

    def show_schedule(self, schedule: Schedule) -> None:
        """Take a schedule that was made before; its form too, where it was made by one."""
        self._fill_in(schedule)
        self._show_file_rows()
        self.jobs.say("")
        self._take(schedule)

    def _take(self, schedule: Schedule | None) -> None:
        self.schedule = schedule
        self.plot.setVisible(schedule is not None)
        self.plot.show_schedule(schedule)
        self.description.setText("" if schedule is None else schedule.describe())
        self.understood.setText("" if schedule is None else understood_of(schedule))
        self.understood.setVisible(bool(self.understood.text()))
        self.export.setEnabled(schedule is not None)
        self.session.schedule = schedule

    def _fill_in(self, schedule: Schedule) -> None:
        found = schedule.record.get("settings")
        if schedule.record.get("operation") != "make_schedule" or not isinstance(found, dict):
            return
        fitting = [kind for kind in _KINDS if kind.model.model_fields["kind"].default == found.get("kind")]
        if not fitting:
            return
        try:
            settings = settings_from(fitting[0].model, **found).model_dump()
        except InputError:
            return
        # both random schedules have one model: SplineNoise11 is a spline with more points and noise
        kind = next((kind for kind in fitting if kind.values.items() <= settings.items()), fitting[0])
        self.kind.blockSignals(True)
        self.kind.setCurrentIndex(_KINDS.index(kind))
        self.kind.blockSignals(False)
        self._show_form(_KINDS.index(kind))
        for form in self.forms():
            form.blockSignals(True)
            form.set_values(settings)
            form.blockSignals(False)

    def save(self, path: str) -> None:
        """Write the schedule to a file."""
        from napari_blochnet.schedules.schedule_files import write_schedule

        if self.schedule is None:
            return
        try:
            write_schedule(self.schedule, path)
        except (InputError, OSError) as error:
            self.jobs.say(f"{path}: {error}" if isinstance(error, OSError) else str(error), "error")
        else:
            self.jobs.say(f"Saved {path}.", "good")
