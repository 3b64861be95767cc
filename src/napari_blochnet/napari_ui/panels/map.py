"""The Map tab: fingerprints to T1, T2 and PD maps, filling in as they are computed."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QPushButton

from napari_blochnet.arrays import BoolArray, FloatArray
from napari_blochnet.errors import Cancelled, InputError
from napari_blochnet.estimators.registry import estimator_names
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.devices import available_devices
from napari_blochnet.jobs.operations import reconstruct
from napari_blochnet.jobs.settings import ReconstructSettings
from napari_blochnet.napari_ui import canvas, errors, layers, places
from napari_blochnet.napari_ui.forms import SettingsForm
from napari_blochnet.napari_ui.records import CopyRow
from napari_blochnet.napari_ui.session import Entry, entry_of
from napari_blochnet.napari_ui.widgets import (
    CheckList,
    Foldable,
    Panel,
    SubjectChoice,
    heading,
    note,
    primary_button,
)
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.progress import CancelEvent, ProgressCallback

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["MapPanel"]

_SLICE, _ALL, _REGION = "this slice", "the whole volume", "a painted region"


@dataclass(frozen=True)
class _Mapped:
    """Maps of one estimator with their errors, computed on the worker thread."""

    maps: ParameterMaps
    errors: dict[str, FloatArray] | None


@dataclass
class _Task:
    """What one click on Map asks for."""

    stack: FingerprintStack
    settings: list[ReconstructSettings]
    mask: BoolArray | None
    device: str
    truth: Phantom | None
    title: str
    entries: dict[int, ParameterMaps]

    def run(
        self,
        *,
        progress: ProgressCallback,
        cancelled: CancelEvent,
        partial: Callable[[ParameterMaps], None],
    ) -> list[_Mapped]:
        """Map with each estimator in turn; worker thread."""
        done: list[_Mapped] = []
        for settings in self.settings:
            try:
                maps = reconstruct(self.stack, None, self.mask, settings, device=self.device, progress=progress,
                                   cancelled=cancelled, partial=partial)  # fmt: skip
            except Cancelled as stopped:
                if isinstance(stopped.partial, ParameterMaps) and stopped.partial.mask.any():
                    done.append(self._with_errors(stopped.partial))
                raise Cancelled(str(stopped), partial=done) from None
            done.append(self._with_errors(maps))
        return done

    def _with_errors(self, maps: ParameterMaps) -> _Mapped:
        return _Mapped(maps, None if self.truth is None else errors.signed_errors(self.truth, maps))


class MapPanel(Panel):
    """Maps T1, T2 and PD with one or several estimators."""

    title = "Map"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._task: _Task | None = None
        self._rate: float | None = None
        self._started = 0.0

        self.stack = SubjectChoice(self.session, "stack", "no fingerprints are open")
        self.stack.setToolTip("Which fingerprints are mapped; their schedule comes with them.")
        self.schedule_line = note()
        self.truth = SubjectChoice(self.session, "phantom", "none", optional=True)
        self.truth.setToolTip("What the maps are compared with; a simulated stack brings its own.")
        self.part = QComboBox()
        self.part.addItems([_SLICE, _ALL, _REGION])
        self.part.setToolTip("Which voxels; 'this slice' is the one that the viewer shows.")
        self.region = QComboBox()
        self.region.setToolTip("A Labels layer; every painted voxel is mapped.")
        self.region.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.paint = QPushButton("Paint…")
        self.paint.setToolTip("Add an empty region on the stack's grid and take the brush.")
        self.estimators = CheckList("No estimator is installed.")
        self.estimators.setToolTip("What turns fingerprints into T1 and T2; several are run one after the other.")
        self.device = QComboBox()
        self.device.setToolTip("Where it is computed; automatic takes a GPU where there is one.")
        self.device.addItem("automatic", "auto")
        self.device.addItem("CPU", "cpu")
        self.form = SettingsForm(ReconstructSettings, leave_out=("estimator", "slices"), starts={"saturation": 250.0})
        self.options = Foldable("Options: dictionary, refinement, batches", self.form)
        self.size_line = note()
        self.run = primary_button("Map", "Estimate T1, T2 and proton density of every chosen voxel.")
        self.copy = CopyRow(self.session)

        source = QFormLayout()
        source.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        source.addRow("Fingerprints", self.stack)
        source.addRow("Part", self.part)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.region, 1)
        row.addWidget(self.paint)
        source.addRow("", row)
        source.addRow("Truth", self.truth)
        source.addRow("Device", self.device)
        self.body.addWidget(heading("What is mapped"))
        self.body.addLayout(source)
        self.body.addWidget(self.schedule_line)
        self.body.addWidget(heading("Estimators"))
        self.body.addWidget(self.estimators)
        self.body.addWidget(self.options)
        self.body.addWidget(self.size_line)
        self.body.addWidget(self.run, 0, Qt.AlignmentFlag.AlignLeft)
        self.body.addWidget(self.jobs)
        self.body.addWidget(self.copy)
        self.body.addStretch(1)

        names = estimator_names()
        self.estimators.set_items([(name, name) for name in names], checked=lambda name: name == names[0])
        self.stack.currentIndexChanged.connect(self._on_stack)
        self.part.currentIndexChanged.connect(self._update_size)
        self.region.currentIndexChanged.connect(self._update_size)
        self.estimators.changed.connect(self._update_size)
        self.paint.clicked.connect(self._paint)
        self.run.clicked.connect(self._map)
        self.remember(settings=self.form, estimators=self.estimators, device=self.device, part=self.part)

    def forms(self) -> list[SettingsForm]:
        return [self.form]

    def attach(self, viewer: Viewer) -> None:
        viewer.dims.events.current_step.connect(self._update_size)
        viewer.layers.events.inserted.connect(self.update_session)
        viewer.layers.events.removed.connect(self.update_session)

    def detach(self, viewer: Viewer) -> None:
        viewer.dims.events.current_step.disconnect(self._update_size)
        viewer.layers.events.inserted.disconnect(self.update_session)
        viewer.layers.events.removed.disconnect(self.update_session)

    def update_session(self, event: Any = None) -> None:
        self.stack.update_entries()
        self.truth.update_entries(self._truth_fits)
        self._update_regions()
        self._on_stack()

    def _truth_fits(self, entry: Entry) -> bool:
        stack = self.stack.subject
        return stack is not None and errors.part_of_truth(entry.subject, stack) is not None

    def _on_stack(self) -> None:
        entry = self.stack.entry
        self.truth.update_entries(self._truth_fits)
        self.schedule_line.setText("" if entry is None else f"Schedule: {entry.subject.schedule.describe()}")
        self.schedule_line.setVisible(entry is not None)
        known = entry is not None and entry.truth is not None
        self.truth.setItemText(0, "the simulated phantom" if known else "none")
        self._update_size()

    def _update_regions(self) -> None:
        viewer = self.session.viewer
        before = self.region.currentData()
        found = [] if viewer is None else [
            layer for layer in viewer.layers
            if isinstance(layer, Labels) and (entry_of(layer) is None or entry_of(layer).kind == "region")
        ]  # fmt: skip
        if [self.region.itemData(i) for i in range(self.region.count())] == found:
            return
        self.region.blockSignals(True)
        self.region.clear()
        for layer in found:
            self.region.addItem(layer.name, layer)
        self.region.setCurrentIndex(found.index(before) if before in found else len(found) - 1)
        self.region.blockSignals(False)

    def _paint(self) -> None:
        if self.stack.subject is not None:
            layers.add_region(self.session, self.stack.subject)
            self._update_regions()
            self.region.setCurrentIndex(self.region.count() - 1)

    def _mask(self) -> BoolArray | None:
        """Return the voxels to map; None for all of them."""
        stack = self.stack.subject
        part = self.part.currentText()
        if stack is None or part == _ALL:
            return None
        if part == _REGION:
            region = self.region.currentData()
            if region is None:
                raise InputError("No region is painted; click Paint and draw one.", field="mask")
            return places.mask_of_region(region, self.session.layers("stack", stack)[-1])
        here = places.current_slice(self.session, stack)
        if here is None:
            raise InputError(f"The viewer shows no slice of {stack.name}; move the z slider, or choose the whole "
                             "volume.", field="mask")  # fmt: skip
        mask = np.zeros(stack.shape[1:], dtype=bool)
        mask[here] = True
        return mask

    def _update_size(self, event: Any = None) -> None:
        stack = self.stack.subject
        is_region = self.part.currentText() == _REGION
        self.region.setVisible(is_region)
        self.paint.setVisible(is_region)
        self.run.setEnabled(stack is not None and bool(self.estimators.chosen) and not self.is_busy)
        if stack is None:
            self.size_line.setText("Simulate fingerprints, or open a stack in the Data tab first.")
            return
        try:
            mask = self._mask()
        except InputError as error:
            self.size_line.setText(str(error))
            return
        count = int((stack.mask if mask is None else stack.mask & mask).sum())
        text = f"{count:,} voxels × {stack.shape[0]} TRs"
        if self._rate is not None:
            text += (
                f", about {max(1, round(count * len(self.estimators.chosen) / self._rate))} s at the last run's speed"
            )
        self.size_line.setText(text + ".")

    def _map(self) -> None:
        entry = self.stack.entry
        self.form.clear_errors()
        if entry is None or self.is_busy:
            return
        try:
            settings = [self.form.settings(estimator=name) for name in self.estimators.chosen]
            mask = self._mask()
        except InputError as error:
            self.show_input_error(error)
            return
        stack = entry.subject
        truth = errors.part_of_truth(self.truth.subject, stack) if self.truth.subject is not None else entry.truth
        self._task = _Task(stack, settings, mask, self.device.currentData(), truth, entry.title, {})
        self._started = time.perf_counter()
        job = self.start("Mapping", self._task.run, wants_partial=True)
        job.partial.connect(self._fill_in)
        job.returned.connect(self._finish)
        job.stopped.connect(self._finish_stopped)
        job.ended.connect(self._on_ended)
        job.start()
        self._update_size()

    def _fill_in(self, maps: ParameterMaps) -> None:
        """Show maps while they grow; their arrays are written by the worker."""
        task = self._task
        if task is None:
            return
        if id(maps.t1) not in task.entries:
            task.entries[id(maps.t1)] = maps
            layers.add_maps(self.session, maps, task.stack, task.truth, self._title(maps.estimator))
        else:
            layers.refresh_maps(self.session, task.entries[id(maps.t1)])

    def _title(self, estimator: str) -> str:
        """Return a name for new maps that no others have."""
        taken = {entry.title for entry in self.session.entries("maps")}
        number = next(i for i in itertools.count(1) if (estimator if i == 1 else f"{estimator} {i}") not in taken)
        return estimator if number == 1 else f"{estimator} {number}"

    def _settle(self, done: list[_Mapped]) -> None:
        task = self._task
        if task is None:
            return
        for mapped in done:
            maps = mapped.maps
            if id(maps.t1) not in task.entries:
                self._fill_in(maps)
            layers.replace_maps(self.session, task.entries[id(maps.t1)], maps, task.truth)
            if mapped.errors is not None:
                layers.add_error_layers(self.session, maps, mapped.errors)
        if done:
            canvas.show_result(self.session, [mapped.maps for mapped in done], task.truth)
            self.copy.show_record(done[-1].maps.record)
            self.session.added.emit(done[-1].maps)

    def _finish(self, done: list[_Mapped]) -> None:
        self._settle(done)
        seconds = time.perf_counter() - self._started
        count = sum(int(mapped.maps.mask.sum()) for mapped in done)
        self._rate = count / max(seconds, 1e-3)
        sentences = [f"Mapped {count:,} voxels in {seconds:.1f} s."]
        sentences += [errors.summary(mapped.maps, mapped.errors) for mapped in done]
        self.jobs.say(" ".join(filter(None, sentences)), "good")

    def _finish_stopped(self, done: object) -> None:
        if isinstance(done, list):
            self._settle(done)

    def _on_ended(self) -> None:
        self._task = None
        # naming GPUs needs torch; once a job has loaded it, asking is free
        if "torch" in sys.modules:
            before = self.device.currentData()
            self.device.clear()
            for key, name in available_devices().items():
                self.device.addItem(name, key)
            self.device.setCurrentIndex(max(0, self.device.findData(before)))
        self._update_size()
