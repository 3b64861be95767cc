"""Layers of others that the Data tab takes as fingerprints, and the schedule that it asks for first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.settings_schedules import ScheduleFileSettings
from napari_blochnet.napari_ui.canvas.layer_sources import fits_schedule
from napari_blochnet.napari_ui.panels.data.layer_row import LayerRow, reading_of, without_fit
from napari_blochnet.napari_ui.state import preferences
from napari_blochnet.napari_ui.widgets.docks import go_to_tab

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_blochnet.napari_ui.background.workers import Job
    from napari_blochnet.napari_ui.forms.forms import SettingsForm
    from napari_blochnet.napari_ui.panels.data.schedule_question import ScheduleQuestion
    from napari_blochnet.napari_ui.state.session import Session
    from napari_blochnet.napari_ui.widgets.job_bar import JobBar
    from napari_blochnet.napari_ui.widgets.path_row import PathRow

__all__ = ["TakesLayers"]

_FILES = str(ScheduleFileSettings.model_fields["path"].json_schema_extra["files"])  # type: ignore[index]


class TakesLayers:
    """What a panel with a line for fingerprints and a question for their schedule does with layers of others.

    A layer that is used (`use_layer`) is wanted for maps: once it is open, ``map_wanted`` tells so. One that is chosen
    in the panel is opened by the panel's button.
    """

    session: Session
    question: ScheduleQuestion
    layers: LayerRow
    stack_path: PathRow
    stack_form: SettingsForm
    open_stack: QPushButton
    jobs: JobBar
    is_busy: Any
    begin: Any
    job: Any
    show_opened: Any
    show_input_error: Any
    bring_into_view: Any

    # the layer that is read; the one that is used; the one that is opened as soon as its schedule's file is read
    _taken: Layer | None = None
    _used: Layer | None = None
    _waiting: Layer | None = None

    def _on_layer(self, layer: Layer | None) -> None:
        if layer is not self._used:
            self._used = self._waiting = None
        if layer is not None:
            self.stack_path.line.clear()
            if not self.question.is_file and not fits_schedule(layer, self.session.schedule):
                self._ask_schedule_of(layer)

    def use_layer(self, layer: Layer) -> Job | None:
        """Take a layer as fingerprints: at once with a schedule that is known to fit, else ask for its file.

        Returns
        -------
        Job or None
            None where something is to be said first.
        """
        # the tab may not have been looked at yet
        self.question.set_in_tab(self.session.schedule)
        self._used, self._waiting = layer, None
        if not self.layers.choose(layer):
            if self.begin():
                self.jobs.say(f"{layer.name} holds no fingerprints; expected an image layer with time and at least a "
                              "slice, that is not one of BlochNet's.", "error")  # fmt: skip
            return None
        if fits_schedule(layer, self.question.known):
            self._open_layer(layer)
            return self.jobs.job
        go_to_tab(self.session.viewer, cast("QWidget", self), "Data")
        self._ask_schedule_of(layer)
        # one that lies beside the layer's file is proposed in the form; what that leaves open is asked for there
        if self.question.path == "" or (self.question.known and not fits_schedule(layer, self.question.known)):
            self.choose_schedule(layer)
        return None

    def _ask_schedule_of(self, layer: Layer) -> None:
        self.question.ask(without_fit(layer), layer.source.path)
        self.bring_into_view(self.open_stack)

    def choose_schedule(self, layer: Layer) -> QFileDialog:
        """Ask for the file of a layer's schedule; where it leaves nothing open, the layer is opened with it."""
        here = preferences.folder("schedule") or preferences.folder("fingerprints")
        dialog = QFileDialog(cast("QWidget", self), f"Schedule of {layer.name}", here, _FILES)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._on_schedule_file)
        dialog.open()
        return dialog

    def _on_schedule_file(self, path: str) -> None:
        preferences.set_folder("schedule", path)
        self._waiting = self._used
        self.question.take(path)
        if not self.question.is_reading:
            # what is still open is answered in the form, above the button that opens
            self._waiting = None
            self.bring_into_view(self.open_stack)

    def _open_waiting(self) -> None:
        """Open the layer for whose schedule a file was chosen, once that is read and leaves nothing open."""
        layer = self._waiting
        if layer is None or not self.question.is_complete or self.is_busy:
            return
        self._waiting = None
        if fits_schedule(layer, self.question.known):
            self._open_layer(layer)
        else:
            self.question.show_error(without_fit(layer, self.question.known))

    def _open_layer(self, layer: Layer) -> None:
        if not self.begin(self.stack_path):
            return
        try:
            schedule = self.question.schedule()
            if schedule is None:
                raise InputError("No schedule is chosen in the Schedule tab; expected one.", field="schedule")
            read = reading_of(layer, schedule, self.stack_form.settings())
        except InputError as error:
            self.show_input_error(error)
            return
        self._taken = layer
        self.job(f"Reading {layer.name}", read, self.show_opened).start()
