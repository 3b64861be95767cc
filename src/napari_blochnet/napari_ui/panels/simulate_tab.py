"""The Simulate tab: phantom and schedule to fingerprints."""

from __future__ import annotations

import functools
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.plain_text import counted
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.declaring.settings_sampling import SamplingSettings, is_taken
from napari_blochnet.jobs.operations.b1_maps import add_b1_field
from napari_blochnet.jobs.operations.memory_estimate import free_memory, simulating_memory
from napari_blochnet.jobs.operations.simulate import simulate
from napari_blochnet.jobs.settings import B1FieldSettings, SimulateSettings, settings_from
from napari_blochnet.jobs.volumes.volume_stacks import simulate_to
from napari_blochnet.napari_ui.background.turns import Steps
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.forms.data_fields import DataFields
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.forms.plain_words import in_plain_words
from napari_blochnet.napari_ui.panels.amounts import memory
from napari_blochnet.napari_ui.saving.copying import CopyRow
from napari_blochnet.napari_ui.saving.save_buttons import FOLDER, SaveFingerprints
from napari_blochnet.napari_ui.state import places, preferences
from napari_blochnet.napari_ui.widgets.choices import subject_choice
from napari_blochnet.napari_ui.widgets.panel import Panel, in_steps
from napari_blochnet.napari_ui.widgets.parts import Foldable, heading, note, primary_button
from napari_blochnet.napari_ui.widgets.rows import ask_where_to_save, fill, named_rows, row_of
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["SimulatePanel"]

_SLICE, _ALL, _RANGE = "this slice", "all slices", "slices from … to …"
# Share of the free memory that a stack may take; a larger one goes into a file.
_MOST_OF_MEMORY = 0.8


class SimulatePanel(Panel):
    """Simulates the fingerprints of a phantom."""

    title = "Simulate"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self.phantom = subject_choice(
            self.session, Phantom, "no phantom is open", "Whose T1, T2 and proton density are simulated."
        )
        self.schedule_line = QLabel()
        self.schedule_line.setTextFormat(Qt.TextFormat.PlainText)
        self.schedule_line.setWordWrap(True)
        self.part = QComboBox()
        self.part.addItems([_SLICE, _ALL, _RANGE])
        self.part.setToolTip("Which slices of the phantom; 'this slice' is the one that the viewer shows.")
        self.field_form = SettingsForm(B1FieldSettings)
        self.field_run = QPushButton("Add field")
        self.field_run.setToolTip("Open the phantom once more, in a smooth B1 field of this range, and simulate that.")
        field = QWidget()
        filled(QVBoxLayout(field), self.field_form, row_of(self.field_run), spacing=4)
        self.field = Foldable("B1 field: range, seed", field)
        self.form = SettingsForm(SimulateSettings, starts={"snr": 30.0, "slices": (0, 1)})
        self._own = DataFields(self.form)
        self.size_line = note()
        self.run = primary_button("Simulate", "Simulate the signal of every voxel at every TR.")
        self.save = SaveFingerprints(self, self.update_session)
        self.copy = CopyRow(self.session)

        choices = named_rows(("Phantom", self.phantom), ("Part", self.part))
        fill(
            self.body,
            heading("What is scanned"),
            choices,
            self.field,
            heading("With which schedule"),
            self.schedule_line,
        )
        fill(self.body, heading("Signal and noise"), self.form, self.size_line)
        fill(self.body, row_of(self.run, last=self.save), self.jobs, self.copy)
        self.body.addStretch(1)

        self.phantom.changed.connect(self._update_size)
        self.part.currentIndexChanged.connect(self._update_size)
        self.form.changed.connect(self._update_size)
        self.run.clicked.connect(self._simulate)
        self.field_run.clicked.connect(self._add_field)
        self.remember(settings=self.form)
        self._source: Phantom | None = None
        self._is_large = False
        self._latest: weakref.ref[FingerprintStack] | None = None

    def forms(self) -> list[SettingsForm]:
        return [self.form, self.field_form]

    def attach(self, viewer: Viewer) -> None:
        viewer.dims.events.current_step.connect(self._update_size)

    def detach(self, viewer: Viewer) -> None:
        viewer.dims.events.current_step.disconnect(self._update_size)

    def update_session(self) -> None:
        self.phantom.reset_choices()
        schedule = self.session.schedule
        self.schedule_line.setText(
            "No schedule yet: choose one in the Schedule tab." if schedule is None else schedule.describe()
        )
        self._update_size()
        self._offer_result()

    def _offer_result(self) -> None:
        """Offer the stack that was simulated last and is open, here or in a session that was saved."""
        made = [entry for entry in self.session.entries("stack") if entry.subject.record.get("operation") == "simulate"]
        latest = None if self._latest is None else self._latest()
        made = [entry for entry in made if entry.subject is latest] or made[-1:]
        self.save.offer(made)
        self.copy.show_results([(entry.title, entry.subject.record) for entry in made])

    def _slices(self) -> tuple[int, int] | None:
        """Return the chosen slices; None for all of them."""
        phantom = self.phantom.value
        if phantom is None or self.part.currentText() == _ALL:
            return None
        if self.part.currentText() == _RANGE:
            slices: tuple[int, int] | None = self.form.values()["slices"]
            return slices
        here = places.current_slice(self.session, phantom)
        if here is None:
            raise InputError(
                f"The viewer shows no slice of {phantom.name}; move the z slider, or choose all slices.", field="slices"
            )
        return None if phantom.shape[0] == 1 else (here, here + 1)

    def _update_size(self, event: Any = None) -> None:
        phantom, schedule = self.phantom.value, self.session.schedule
        self._own.turn_to(phantom)
        self.form.set_row_visible("slices", self.part.currentText() == _RANGE)
        self._show_sampling()
        self.run.setEnabled(phantom is not None and schedule is not None and not self.is_busy)
        self.field_run.setEnabled(phantom is not None and not self.is_busy)
        if phantom is None or schedule is None:
            self.size_line.setText("Open a phantom in the Data tab first." if phantom is None else "")
            return
        try:
            chosen = self._slices()
            settings = settings_from(SimulateSettings, **{**self.form.values(), "slices": chosen})
        except InputError as error:
            self.size_line.setText(in_plain_words(str(error)))
            return
        slices = chosen or (0, phantom.shape[0])
        part = phantom.mask[slice(*slices)]
        size, free = simulating_memory(phantom, schedule, settings), free_memory()
        is_large = size > _MOST_OF_MEMORY * free
        self._is_large = is_large and not settings.is_made_whole
        self.run.setText("Simulate into a file…" if self._is_large else "Simulate")
        which = f"slice {slices[0]}" if slices[1] - slices[0] == 1 else f"slices {slices[0]} to {slices[1] - 1}"
        line = (
            f"{which[:1].upper()}{which[1:]}: {counted(int(part.sum()), 'voxel', ',')} × "
            f"{counted(len(schedule), 'TR')}, {memory(size)}"
        )
        if self._is_large:
            line += f", and {memory(free)} of memory are free: they go into a file, and stay on the disk."
        elif is_large:
            line += f" of memory, and {memory(free)} are free: choose fewer slices, or frames of whole images."
        else:
            line += " of memory."
        self.size_line.setText(line)

    def _show_sampling(self) -> None:
        """Show of the fields of undersampling those that the chosen trajectory and images take."""
        chosen = self.form.values()
        if chosen["trajectory"] != "file" and chosen["trajectory_file"] is not None:
            # what nobody sees says nothing
            self.form.editor("trajectory_file").value = None
        for name in SamplingSettings.model_fields:
            if name != "trajectory":
                self.form.set_row_visible(name, is_taken(name, chosen["trajectory"], chosen["images"]))

    def _add_field(self) -> None:
        """Open the phantom in a synthetic B1 field, and choose it."""
        phantom = self.phantom.value
        if phantom is None or self.is_busy:
            return
        with self.reading_forms():
            settings = self.field_form.settings()
            work = functools.partial(add_b1_field, phantom, settings)
            job = self.start("Adding a B1 field", lambda **_watched: work())
            job.returned.connect(self._show_field)
            job.ended.connect(self.update_session)
            job.start()
            self.update_session()

    @in_steps
    def _show_field(self, phantom: Phantom) -> Steps[None]:
        yield from layers.phantom_steps(self.session, phantom)
        self.phantom.value = phantom
        low, high = phantom.record["settings"]["b1_range"]
        self.jobs.say(f"{phantom.name} lies in a B1 field from {low:g} to {high:g}: see its layer B1.", "good")
        self.session.added.emit(phantom)

    def _simulate(self) -> None:
        phantom, schedule = self.phantom.value, self.session.schedule
        if phantom is None or schedule is None or self.is_busy:
            return
        with self.reading_forms():
            settings = self.form.settings(slices=self._slices())
            run = functools.partial(simulate, phantom, schedule, settings)
            if self._is_large:
                start = Path(preferences.folder(FOLDER) or Path.home()) / "fingerprints.zarr"
                kinds = "Zarr (*.zarr);;NIfTI (*.nii);;HDF5 (*.h5)"
                path = ask_where_to_save(self, "Where the fingerprints go", str(start), kinds)
                if not path:
                    return
                preferences.set_folder(FOLDER, path)
                run = functools.partial(simulate_to, path, phantom, schedule, settings)
            self._source = phantom
            job = self.start("Simulating", run)
            job.returned.connect(self._show)
            if self._is_large:
                job.stopped.connect(self._say_kept)
            job.ended.connect(self.update_session)
            job.start()
            self.update_session()

    def _say_kept(self, _partial: object) -> None:
        self.jobs.say("Cancelled; what is finished is kept: Simulate with the same settings and name goes on with it.")

    @in_steps
    def _show(self, stack: FingerprintStack) -> Steps[None]:
        truth = None if self._source is None else self._source.on_grid(stack.shape[1:], stack.geometry)
        self._source, self._latest = None, weakref.ref(stack)
        yield from layers.stack_steps(self.session, stack, truth)
        seconds = stack.record.get("seconds")
        took = f" in {seconds:.1f} s" if isinstance(seconds, float) else ""
        self.jobs.say(f"Simulated {int(stack.mask.sum()):,} fingerprints{took}. Next: the Map tab.", "good")
        self.session.added.emit(stack)
