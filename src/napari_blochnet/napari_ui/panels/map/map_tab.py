"""The Map tab: fingerprints to T1, T2 and PD maps, filling in as they are computed."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QPushButton, QVBoxLayout

from napari_blochnet.common.arrays import BoolArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.offers import estimator_offers
from napari_blochnet.estimators.registry import declared
from napari_blochnet.evaluation import beside_truth as errors
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.operations.memory_estimate import free_memory, mapping_memory
from napari_blochnet.jobs.settings import ReconstructSettings
from napari_blochnet.napari_ui.background.turns import Steps
from napari_blochnet.napari_ui.canvas import showing as canvas
from napari_blochnet.napari_ui.canvas.click_tool import ClickTool
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.forms.switches import Switches
from napari_blochnet.napari_ui.panels.map.growing import GrowingLayers
from napari_blochnet.napari_ui.panels.map.mapping import Growing, Mapped, MappingTask, sample_mask
from napari_blochnet.napari_ui.panels.map.pace import Paces, duration
from napari_blochnet.napari_ui.saving.copying import CopyRow
from napari_blochnet.napari_ui.saving.save_buttons import SaveMaps
from napari_blochnet.napari_ui.state import places
from napari_blochnet.napari_ui.state.entries import Entry
from napari_blochnet.napari_ui.widgets.appearance import button_style
from napari_blochnet.napari_ui.widgets.choices import subject_choice
from napari_blochnet.napari_ui.widgets.device_choice import DeviceChoice
from napari_blochnet.napari_ui.widgets.estimator_choice import EstimatorChoice
from napari_blochnet.napari_ui.widgets.panel import Panel, in_steps
from napari_blochnet.napari_ui.widgets.part_choice import PartChoice, slice_mask
from napari_blochnet.napari_ui.widgets.parts import Foldable, heading, note, primary_button, restyle
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["MapPanel"]

_HINT = "click to map"
# Of the free memory, what a mapping may take without a warning.
_SHARE = 0.9


class MapPanel(Panel):
    """Maps T1, T2 and PD with one or several estimators."""

    title = "Map"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._task: MappingTask | None = None
        self._layers: GrowingLayers | None = None
        self._next: tuple[FingerprintStack, int] | None = None
        self._paces = Paces()
        self._started = 0.0
        # maps of networks that have been trained anew since: nothing more is merged with them
        self._outdated: weakref.WeakSet[ParameterMaps] = weakref.WeakSet()
        self._offered: object = None
        self._tool = ClickTool(self._on_click, _HINT)

        self.stack = subject_choice(
            self.session, FingerprintStack, "no fingerprints are open",
            "Which fingerprints are mapped; their schedule comes with them.", called="Fingerprints",
        )  # fmt: skip
        self.schedule_line = note()
        self.truth = subject_choice(
            self.session, Phantom, "none", "What the maps are compared with; a simulated stack brings its own.",
            called="Truth", nullable=True, accept=self._truth_fits,
        )  # fmt: skip
        self.choice = PartChoice(self.session)
        self.part, self.region, self.paint = self.choice.part, self.choice.region, self.choice.make
        self.estimators = EstimatorChoice()
        self.estimators.setToolTip("What turns fingerprints into T1 and T2; several are run one after the other.")
        self.device = DeviceChoice()
        self.form = SettingsForm(ReconstructSettings, leave_out=("estimator", "slices"), starts={"saturation": 250.0})
        self.switches = Switches(self.form, {
            "refine": "Refine by physics, with standard errors",
            "fit_b1": "and fit B1 along",
            "uncertainty": "Standard errors by the Cramér–Rao bound",
        }, under={"fit_b1": "refine"})  # fmt: skip
        self.options = Foldable("More options: dictionary grid, saturation, noise, batches", self.form)
        self.size_line = note()
        self.run = primary_button("Map", "Estimate T1, T2 and proton density of every chosen voxel.")
        self.click = QPushButton("Click to map")
        self.click.setCheckable(True)
        self.click.setShortcut("Alt+M")
        self.click.setToolTip(
            "While it is on, a click in the viewer maps the slice under the cursor with all ticked estimators; a drag "
            "still pans. Slices mapped one after another grow into the same maps. Alt+M switches it."
        )
        self.timing = QPushButton("Time it")
        self.timing.setToolTip("Map a few hundred of these voxels to say how long all of them will take, s.")
        self.save = SaveMaps(self, self._on_ended)
        self.copy = CopyRow(self.session)
        self.click.setAccessibleName("Click to map")

        source = QFormLayout()
        source.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        source.addRow("Fingerprints", self.stack.native)
        source.addRow("Part", self.choice)
        source.addRow("Truth", self.truth.native)
        source.addRow("Device", self.device.native)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.run)
        buttons.addWidget(self.click)
        buttons.addWidget(self.timing)
        buttons.addStretch(1)
        buttons.addWidget(self.save)
        self.body.addWidget(heading("What is mapped"))
        self.body.addLayout(source)
        self.body.addWidget(self.schedule_line)
        self.body.addWidget(heading("Estimators"))
        self.body.addWidget(self.estimators)
        self.body.addWidget(self.switches)
        self.body.addWidget(self.options)
        self.body.addStretch(1)
        # in view at any height of the window, and not only after scrolling
        footer = QVBoxLayout()
        footer.setContentsMargins(10, 4, 10, 6)
        footer.setSpacing(6)
        footer.addWidget(self.size_line)
        footer.addLayout(buttons)
        footer.addWidget(self.jobs)
        footer.addWidget(self.copy)
        outer = self.layout()
        outer.addLayout(footer)
        outer.setStretch(0, 1)

        self.stack.changed.connect(self._on_stack)
        self.choice.changed.connect(self._update_size)
        self.device.changed.connect(self._update_size)
        self.estimators.changed.connect(self._update_size)
        self.form.changed.connect(self._on_form)
        self.run.clicked.connect(self._map)
        self.timing.clicked.connect(self._time)
        self.click.toggled.connect(self._on_tool)
        self.session.models_changed.connect(self._on_models)
        self.remember(settings=self.form, estimators=self.estimators, device=self.device, part=self.part)

    def forms(self) -> list[SettingsForm]:
        return [self.form]

    def apply_theme(self) -> None:
        super().apply_theme()
        for button in (self.click, self.timing):
            button.setStyleSheet(button_style(self.colours) + "QPushButton { padding: 5px 10px; }")

    def attach(self, viewer: Viewer) -> None:
        viewer.dims.events.current_step.connect(self._update_size)
        viewer.dims.events.ndisplay.connect(self._update_size)
        viewer.dims.events.order.connect(self._update_size)
        viewer.layers.events.inserted.connect(self.update_session)
        viewer.layers.events.removed.connect(self.update_session)
        self._on_tool()

    def detach(self, viewer: Viewer) -> None:
        self._tool.turn_off()
        viewer.dims.events.current_step.disconnect(self._update_size)
        viewer.dims.events.ndisplay.disconnect(self._update_size)
        viewer.dims.events.order.disconnect(self._update_size)
        viewer.layers.events.inserted.disconnect(self.update_session)
        viewer.layers.events.removed.disconnect(self.update_session)

    # -- what there is to choose

    def update_session(self, event: Any = None) -> None:
        self.device.update_devices()
        self.stack.reset_choices()
        self._on_stack()
        self._offer_results()

    def _offer_results(self) -> None:
        """Offer what was mapped last and is open, all models of it, to be saved and made again."""
        if self.is_busy:
            self.save.setEnabled(False)
            return
        latest = self.session.latest_maps()
        self.save.offer(latest)
        self.copy.show_results([(entry.title, entry.subject.record) for entry in latest])

    def _truth_fits(self, entry: Entry) -> bool:
        stack = self.stack.value
        return stack is not None and errors.part_of_truth(entry.subject, stack) is not None

    def _on_stack(self) -> None:
        entry = self.stack.entry
        self.schedule_line.setText("" if entry is None else f"Schedule: {entry.subject.schedule.describe()}")
        self.schedule_line.setVisible(entry is not None)
        known = entry is not None and entry.truth is not None
        self.truth.null_string = "the simulated phantom" if known else "none"
        self.truth.reset_choices()
        self.choice.set_stack(self.stack.value)
        self._update_offers()
        self._update_size()

    def _update_offers(self) -> None:
        """Offer what can map the chosen stack."""
        stack = self.stack.value
        values = self.form.values()
        bearing = {name: values[name] for name in ("other_schedule", "saturation", "refine")}
        asked = (None if stack is None else (stack.schedule.digest, stack.kind), tuple(bearing.values()))
        if asked != self._offered:
            self._offered = asked
            schedule, kind = (None, None) if stack is None else (stack.schedule, stack.kind)
            self.estimators.set_offers(estimator_offers(schedule, kind, **bearing))

    def _on_models(self) -> None:
        """The store has other models: offer them, and merge nothing with what older ones made."""
        for entry in self.session.entries("maps"):
            name = entry.subject.record.get("settings", {}).get("estimator")
            if name is None or declared(name).is_trained:
                self._outdated.add(entry.subject)
        self._offered = None
        self._update_offers()

    def _on_form(self) -> None:
        self._update_offers()
        self._update_size()

    # -- what it will take

    def _settings(self) -> list[ReconstructSettings]:
        return [self.form.settings(estimator=name) for name in self.estimators.chosen]

    def _update_size(self, event: Any = None) -> None:
        stack = self.stack.value
        chosen = self.estimators.chosen
        self.run.setEnabled(stack is not None and bool(chosen) and not self.is_busy)
        self.click.setEnabled(stack is not None)
        # where the time is known it stands there
        self.timing.setVisible(False)
        self.timing.setEnabled(self.run.isEnabled())
        if stack is None:
            self._say_size("Simulate fingerprints, or open a stack in the Data tab first.")
            return
        try:
            mask = self.choice.voxels()
        except InputError as error:
            self._say_size(str(error))
            return
        count = int((stack.mask if mask is None else stack.mask & mask).sum())
        text = f"{count:,} voxels × {stack.shape[0]} TRs"
        if not chosen:
            self._say_size(f"{text}. Tick an estimator.")
            return
        try:
            settings = self._settings()
            needed = max(mapping_memory(stack, item, mask) for item in settings)
        except InputError:
            self._say_size(f"{text}.")
            return
        free = free_memory()
        seconds = self._paces.seconds(settings, stack, self.device.value, count)
        self.timing.setVisible(seconds is None and count > 0)
        if seconds is not None:
            text += f": about {duration(seconds)}"
        if needed > _SHARE * free:
            self._say_size(f"{text}. It needs about {_bytes(needed)} of memory, and {_bytes(free)} are free: choose "
                           "fewer voxels, a coarser dictionary or a smaller batch.", "error")  # fmt: skip
        else:
            self._say_size(f"{text}, {_bytes(needed)} of memory ({_bytes(free)} free).")

    def _say_size(self, text: str, state: str = "") -> None:
        self.size_line.setText(text)
        if self.size_line.property("state") != state:
            restyle(self.size_line, "state", state)

    # -- click to map

    def _on_tool(self) -> None:
        viewer = self.session.viewer
        if viewer is not None and self.click.isChecked() and self.isVisible():
            self._tool.turn_on(viewer)
        else:
            self._tool.turn_off()

    def _on_click(self, position: tuple[float, ...]) -> None:
        """Map the slice at a world position; the newest click waits for a mapping that runs."""
        viewer = self.session.viewer
        if viewer is None:
            return
        if viewer.dims.ndisplay == 3:
            self.jobs.say("Clicking maps in 2D only; switch the viewer to 2D, or choose a part and press Map.")
            return
        found = places.voxel_under(self.session, position, self.stack.value)
        if found is None or not self.session.layers("stack", found.stack):
            self.jobs.say("There are no fingerprints where you clicked; click inside a stack or its maps.")
            return
        stack, z = found.stack, found.index[0]
        if self.is_busy:
            self._next = stack, z
            self.jobs.say(f"Slice {z} of {stack.name} is next.")
            return
        self._map_slice(stack, z)

    def _map_slice(self, stack: FingerprintStack, z: int) -> None:
        if stack in self.stack.choices:
            self.stack.value = stack
        if not self.estimators.chosen:
            self.jobs.say("Tick an estimator that can map this stack first.")
        elif self.stack.value is stack:
            self._start(slice_mask(stack, z))

    # -- mapping

    def _time(self) -> None:
        """Map a sample of the chosen voxels, for nothing but its time."""
        stack = self.stack.value
        if stack is None or self.is_busy:
            return
        self.form.clear_errors()
        try:
            settings, mask = self._settings(), self.choice.voxels()
        except InputError as error:
            self.show_input_error(error)
            return
        device = self.device.value
        task = MappingTask(stack, settings, sample_mask(stack, mask), device, None, self.stack.entry.title, self._paces)
        whole = MappingTask(stack, settings, mask, device, None, task.title, self._paces)

        def run(**how: Any) -> None:
            # what the first makes and keeps (dictionary, compiled code, network) is there when all are mapped
            for _ in range(2):
                task.run(**how)

        job = self.start("Timing", run, wants_partial=True)
        job.returned.connect(lambda _: self._say_time(whole))
        job.ended.connect(self._on_ended)
        job.start()
        self._update_size()

    def _say_time(self, task: MappingTask) -> None:
        seconds = self._paces.seconds(task.settings, task.stack, task.device, task.voxels)
        if seconds is not None:
            self.jobs.say(f"{task.voxels:,} voxels will take about {duration(seconds)}.", "good")

    def _map(self) -> None:
        if self.stack.entry is None or self.is_busy:
            return
        self.form.clear_errors()
        try:
            mask = self.choice.voxels()
        except InputError as error:
            self.show_input_error(error)
            return
        self._start(mask)

    def _start(self, mask: BoolArray | None) -> None:
        entry = self.stack.entry
        self.form.clear_errors()
        try:
            settings = self._settings()
        except InputError as error:
            self.show_input_error(error)
            return
        stack = entry.subject
        truth = errors.part_of_truth(self.truth.value, stack) if self.truth.value is not None else entry.truth
        self._task = MappingTask(stack, settings, mask, self.device.value, truth, entry.title, self._paces)
        for index, item in enumerate(settings):
            older = self._older(stack, item)
            if older is not None:
                self._task.older[index] = older
        self._layers = GrowingLayers(self.session, self._task)
        self._started = time.perf_counter()
        job = self.start("Mapping", self._task.run, wants_partial=True)
        job.partial.connect(self._fill_in)
        job.returned.connect(self._finish)
        job.stopped.connect(self._finish_stopped)
        job.failed.connect(self._put_back)
        job.ended.connect(self._on_ended)
        job.start()
        self._update_size()
        self._offer_results()

    def _older(self, stack: FingerprintStack, settings: ReconstructSettings) -> ParameterMaps | None:
        """Return maps that a mapping with these settings continues."""
        wanted = {**settings.model_dump(mode="json"), "slices": None}
        for entry in reversed(self.session.entries("maps")):
            maps = entry.subject
            if entry.stack is not stack or maps in self._outdated:
                continue
            if {**maps.record.get("settings", {}), "slices": None} != wanted:
                continue
            # where somebody has deleted one of the layers, new ones are made
            if all(self.session.layers("maps", maps, role) for role in ("T1", "T2", "PD", "residual")):
                return maps
        return None

    def _fill_in(self, growing: Growing) -> None:
        job = self.jobs.job
        # what comes while the window is still busy with the last is drawn with the next
        if self._layers is not None and job is not None and not job.is_showing:
            self.run_steps(self._layers.fill_in(growing))

    def _settle(self, done: list[Mapped]) -> Steps[None]:
        if self._layers is None or self._task is None:
            return
        yield from self._layers.settle(done)
        if done:
            # a slice more changes nothing in how the maps are looked at
            if not all(mapped.is_merged for mapped in done):
                yield from canvas.show_result(self.session, [mapped.maps for mapped in done], self._task.truth)
            self.session.mapped = weakref.WeakSet(mapped.maps for mapped in done)
            self.session.added.emit(done[-1].maps)

    @in_steps
    def _put_back(self, _failure: object) -> Steps[None]:
        if self._layers is not None:
            yield from self._layers.put_back()

    @in_steps
    def _finish(self, done: list[Mapped]) -> Steps[None]:
        seconds = time.perf_counter() - self._started
        yield from self._settle(done)
        count = sum(mapped.voxels for mapped in done)
        sentences = [f"Mapped {count:,} voxels in {seconds:.1f} s."]
        sentences += [errors.summary(mapped.maps, mapped.errors) for mapped in done]
        # a line for each estimator
        self.jobs.say("\n".join(filter(None, sentences)), "good")

    @in_steps
    def _finish_stopped(self, done: object) -> Steps[None]:
        # who cancels does not want the slice that waits either
        self._next = None
        yield from self._settle(done if isinstance(done, list) else [])

    def _on_ended(self) -> None:
        self._task = self._layers = None
        self.device.update_devices()
        self._update_size()
        self._offer_results()
        waiting, self._next = self._next, None
        if waiting is not None and self.session.entry(waiting[0]) is not None:
            self._map_slice(*waiting)


def _bytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 0.95e9 else f"{max(1, round(count / 1e6))} MB"
