"""Which schedule made a stack: its own, the Schedule tab's, or one of a file with all that the file leaves open."""

from __future__ import annotations

import html
import logging
import os
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QLabel, QToolButton, QVBoxLayout, QWidget

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.operations.opening import leaves_inversion_open
from napari_blochnet.jobs.recognise import schedule_beside
from napari_blochnet.jobs.settings import settings_from
from napari_blochnet.jobs.settings_schedules import ScheduleFileSettings
from napari_blochnet.napari_ui.background.hearing import data_warnings
from napari_blochnet.napari_ui.background.workers import is_any_working
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.forms.plain_words import in_plain_words
from napari_blochnet.napari_ui.panels.schedule.played_marks import understood_of
from napari_blochnet.napari_ui.panels.schedule.schedule_reading import ScheduleReading, fields_of_file
from napari_blochnet.napari_ui.widgets.panel import Panel
from napari_blochnet.napari_ui.widgets.parts import note
from napari_blochnet.schedules.missing import MissingHintError
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["FROM_FILE", "OWN", "SCHEDULE_TAB", "ScheduleQuestion"]

OWN = "its own schedule, or the Schedule tab's"
SCHEDULE_TAB = "the Schedule tab's schedule"
FROM_FILE = "the schedule of a file"
# Of the file's form, what stands there at once; more once it is asked for.
_FIRST = ("path", "flip_angle", "repetition_time", "echo_time", "inversion_time", "trains")
_STARTS = {"inversion_time": 0.0, "inversion_efficiency": 1.0, "recovery_time": 1000.0, "slice_positions": 10}
_log = logging.getLogger(__name__)


class ScheduleQuestion(QWidget):
    """A choice of schedule, and the form of a schedule's file.

    Parameters
    ----------
    panel : Panel
        Shows what is read in the background.
    """

    #: there is another answer
    changed = Signal()
    #: it may ask for something now, or no more
    asking_changed = Signal()
    #: a person wants to go to the Schedule tab
    tab_wanted = Signal()

    def __init__(self, panel: Panel) -> None:
        super().__init__()
        self._reading = ScheduleReading(panel)
        self._reading.ready.connect(self._on_form)
        self.choice = QComboBox()
        self.choice.addItems([OWN, SCHEDULE_TAB, FROM_FILE])
        self.choice.setToolTip(
            "What made the stack. Stacks written by this plugin carry their schedule; others take the Schedule tab's, "
            "or that of a file, which can be given here."
        )
        self.choice.setAccessibleName("Schedule of the stack")
        #: what the answer is
        self.line = note()
        self.error = QLabel()
        self.error.setObjectName("blochnetError")
        self.error.setWordWrap(True)
        self.error.setTextFormat(Qt.TextFormat.RichText)
        # the way to what is at fault, for the mouse and the keys
        self.error.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
        self.error.linkActivated.connect(self._go_to_tab)
        self.error.hide()
        self.form = SettingsForm(ScheduleFileSettings, leave_out=("kind",), starts=_STARTS)
        self.more = QToolButton()
        self.more.setObjectName("blochnetFold")
        self.more.setText("More of what the file may leave open")
        self.more.setCheckable(True)
        self.more.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.more.setToolTip("Units, phases, preparations, and which array or columns of the file hold the schedule.")
        filled(QVBoxLayout(self), self.choice, self.line, self.error, self.form, self.more, spacing=4)
        self._in_tab: Schedule | None = None
        self._read: Schedule | None = None
        # what the file left open when it was read first: 0 is no answer to that
        self._asked: set[str] = set()
        self._path = ""
        self._is_inversion_open = self._is_asked = self._is_reading = False
        self._sentence = ""
        self.choice.currentIndexChanged.connect(self._update)
        self.form.changed.connect(self._on_form)
        self.more.toggled.connect(self._show_rows)
        self._show_rows()
        self._update()

    @property
    def is_file(self) -> bool:
        """Whether it is to be that of a file."""
        return self.choice.currentText() == FROM_FILE

    @property
    def is_asking(self) -> bool:
        """Whether a file is to be named, or leaves something open."""
        return self._is_asked and self.is_file

    @property
    def path(self) -> str:
        """The schedule's file, where one is named."""
        return str(self.form.values()["path"])

    @property
    def known(self) -> Schedule | None:
        """The schedule that the tab or the file has, as far as it can be read."""
        return self._read if self.is_file else self._in_tab

    @property
    def is_reading(self) -> bool:
        """Whether the file is read in the background."""
        return self._is_reading

    @property
    def is_complete(self) -> bool:
        """Whether the schedule is known, and nothing is left open that only a person can say."""
        return self.known is not None and not (self.is_file and self._is_inversion_open)

    def set_in_tab(self, schedule: Schedule | None) -> None:
        """Take note of the Schedule tab's schedule."""
        self._in_tab = schedule
        self._say()

    def ask(self, sentence: str, beside: str | os.PathLike[str] | None = None) -> None:
        """Ask for the schedule's file, and say why; one beside the stack is proposed.

        Parameters
        ----------
        sentence : str
        beside : path, optional
            The stack's file.
        """
        self._is_asked = True
        self.choice.setCurrentText(FROM_FILE)
        if beside is not None and not self.form.values()["path"] and (found := schedule_beside(beside)) is not None:
            self.form.set_values({"path": str(found)})
        self._on_form()
        if self._read is None and not self.form.errors():
            self.show_error(sentence, leads_on=True)
        self.asking_changed.emit()

    def take(self, path: str) -> None:
        """Take the schedule of a file, as if it had been chosen by hand."""
        self.choice.setCurrentText(FROM_FILE)
        self.form.set_values({"path": path})
        self._on_form()

    def drop(self) -> None:
        """Ask no more for what nobody has begun to answer: another stack may need no file."""
        if self.is_asking and not self.path:
            self.choice.setCurrentText(OWN)
            self.end()

    def end(self) -> None:
        """Ask for nothing more: the stack is open."""
        self._is_asked = False
        self.asking_changed.emit()

    def schedule(self) -> Schedule | None:
        """Return the schedule of the tab or of the file.

        Raises
        ------
        InputError
            The file cannot be read, or leaves something open; which then stands beside the fields.
        """
        if not self.is_file:
            return self._in_tab
        self._on_form()
        if self._read is None:
            waiting = f"{os.path.basename(self._path)} is being read; open the stack when that is done."
            known = [waiting] if self._is_reading else list(self.form.errors().values()) or [self._sentence]
            raise InputError(known[0] or "No schedule file is chosen; expected a CSV, text or MATLAB file.",
                             field="schedule")  # fmt: skip
        return self._read

    def show_error(self, sentence: str, *, leads_on: bool = False) -> None:
        """Write a sentence below the choice, where wanted with a way to the Schedule tab; or take it away."""
        # Qt's own blue cannot be read on dark
        colour = self.palette().windowText().color().name()
        way = f' <a href="Schedule" style="color: {colour}">Or choose it in the Schedule tab…</a>' if leads_on else ""
        self._sentence = sentence = in_plain_words(sentence)
        self.error.setText(f"{html.escape(sentence, quote=False)}{way}" if sentence else "")
        self.error.setVisible(bool(sentence))

    def _go_to_tab(self, _link: str) -> None:
        self.choice.setCurrentText(OWN)
        self.tab_wanted.emit()

    def _show_rows(self, _on: bool = False) -> None:
        self.more.setArrowType(Qt.ArrowType.DownArrow if self.more.isChecked() else Qt.ArrowType.RightArrow)
        # what follows a train is asked of one that is repeated
        first = (*_FIRST, "recovery_time") if self.form.values()["trains"] not in (None, 1) else _FIRST
        fitting = fields_of_file(self.form, self.path)
        for name in self.form.fields:
            is_wanted = name in first or name in self._asked or self.more.isChecked()
            self.form.set_row_visible(name, is_wanted and name in fitting)

    def _update(self) -> None:
        for widget in (self.form, self.more):
            widget.setVisible(self.is_file)
        self.show_error("")
        if self.is_file:
            self._on_form()
        self._say()
        self.changed.emit()

    def _say(self) -> None:
        if self.is_file:
            said = "" if self._read is None else understood_of(self._read)
            silent = " (the file does not say)" if self._is_inversion_open else ""
            self.line.setText(
                "" if self._read is None else f"In the file: {self._read.describe()}{silent}\n{said}".strip()
            )
        elif self._in_tab is None:
            self.line.setText("No schedule is chosen in the Schedule tab.")
        else:
            self.line.setText(f"In the Schedule tab: {self._in_tab.describe()}")
        self.line.setVisible(bool(self.line.text()))

    def _on_form(self) -> None:
        """Read the file with what the form says, and ask for all that is still open at once."""
        self._show_rows()
        values = self.form.values()
        if values["path"] != self._path:
            self._path, self._asked = values["path"], set()
        self.form.clear_errors()
        self.show_error("")
        self._read, self._is_inversion_open, self._is_reading = None, False, False
        if not self._path:
            self._say()
            return
        hints = self._hints()
        warned: list[str] = []
        try:
            with data_warnings() as warned:
                self._read = self._reading.read(self.form.settings(**hints))
                self._is_reading = self._read is None
        except MissingHintError as error:
            self._ask_together(error)
        except InputError as error:
            if not self.form.show_error(error.field, str(error)):
                self.show_error(str(error))
        except Exception as error:  # somebody's file, read while the window waits
            _log.exception("reading a schedule ended with an error")
            self.show_error(f"The schedule cannot be read ({type(error).__name__}); the log has the details.")
        self._ask_inversion()
        self._say()
        if self._read is not None and warned:
            self.line.setText(" ".join([self.line.text(), *warned]))
        if self._read is not None:
            self.changed.emit()

    def _hints(self) -> dict[str, Any]:
        """Return what the form answers: what was asked for and stands at 0 was not answered."""
        values = self.form.values()
        return {name: None if name in self._asked and value == 0 else value for name, value in values.items()}

    def _ask_inversion(self) -> None:
        """Ask for the inversion time of a file that does not say; without one it is none, which nobody may mean."""
        # the job that works is the one hearer of warnings, by which a file contradicts
        if is_any_working():
            return
        try:
            settings = settings_from(ScheduleFileSettings, **self._hints())
        except InputError:
            return
        self._is_inversion_open = leaves_inversion_open(settings)
        if self._is_inversion_open:
            name = os.path.basename(self._path)
            sentence = f"Not in {name}: leave out for no inversion, or give its time."
            self.form.show_error("inversion_time", sentence, is_question=True)

    def _ask_together(self, error: MissingHintError) -> None:
        """Unfold, tick and mark every field that the file leaves open; none of them has a value yet."""
        new = {name for name in error.asked if name in self.form.fields} - self._asked
        self._asked |= new
        self._show_rows()
        self.form.blockSignals(True)
        for name in new:
            tick = getattr(self.form.editor(name), "tick", None)
            if tick is not None and not tick.value:
                self.form.set_values({name: 0.0})
        self.form.blockSignals(False)
        for name, each in error.asked.items():
            how = each.how.replace(" as", ", as", 1)
            if not self.form.show_error(name, f"Not in {os.path.basename(self._path)}; give it{how}."):
                self.show_error(str(each))
