"""The Map tab: fingerprints to T1, T2 and PD maps, filling in as they are computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.layers import Layer
from qtpy.QtWidgets import QVBoxLayout

from napari_blochnet.common.arrays import BoolArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.beside_truth import part_of_truth
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.settings import ReconstructSettings
from napari_blochnet.napari_ui.background.workers import Failure
from napari_blochnet.napari_ui.canvas.click_tool import ClickTool
from napari_blochnet.napari_ui.canvas.layer_sources import stack_layers
from napari_blochnet.napari_ui.forms.data_fields import DataFields
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.forms.switches import Switches
from napari_blochnet.napari_ui.panels.map.b1_choice import B1Choice
from napari_blochnet.napari_ui.panels.map.brought_choice import BroughtChoice
from napari_blochnet.napari_ui.panels.map.map_controls import SWITCHES, click_button
from napari_blochnet.napari_ui.panels.map.map_jobs import MapJobs
from napari_blochnet.napari_ui.panels.map.mapping import EstimatorRun, MappingTask
from napari_blochnet.napari_ui.panels.map.mask_choice import MaskChoice
from napari_blochnet.napari_ui.panels.map.needs import Needs, needs_of, voxels_text
from napari_blochnet.napari_ui.panels.map.offered import Offered
from napari_blochnet.napari_ui.panels.map.pace import Paces
from napari_blochnet.napari_ui.saving.copying import CopyRow
from napari_blochnet.napari_ui.saving.save_buttons import SaveMaps
from napari_blochnet.napari_ui.state import places
from napari_blochnet.napari_ui.state.entries import Entry
from napari_blochnet.napari_ui.widgets.appearance import button_style
from napari_blochnet.napari_ui.widgets.choices import subject_choice
from napari_blochnet.napari_ui.widgets.device_choice import DeviceChoice
from napari_blochnet.napari_ui.widgets.docks import WORKBENCH, open_dock
from napari_blochnet.napari_ui.widgets.estimator_choice import EstimatorChoice
from napari_blochnet.napari_ui.widgets.panel import Panel
from napari_blochnet.napari_ui.widgets.part_choice import PartChoice, slice_mask
from napari_blochnet.napari_ui.widgets.parts import Foldable, heading, note, primary_button, restyle
from napari_blochnet.napari_ui.widgets.rows import button, fill, named_rows, row_of
from napari_blochnet.phantoms.phantom import Phantom

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["MapPanel"]

_HINT = "click to map"
# What has a control of its own above.
_ELSEWHERE = ("estimator", "slices", "mask", "threshold", "b1", "b1_nominal", *BroughtChoice.fields)


class MapPanel(Panel):
    """Maps T1, T2 and PD with one or several estimators."""

    title = "Map"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._next: tuple[FingerprintStack, int] | None = None
        self._chosen: FingerprintStack | None = None
        self._paces = Paces()
        self._mapping = MapJobs(self)
        self._tool = ClickTool(self._on_click, _HINT)

        self.stack = subject_choice(
            self.session, FingerprintStack, "no fingerprints are open",
            "Which fingerprints are mapped; their schedule comes with them. A layer of others is taken as such.",
            called="Fingerprints", beyond=self._foreign_layers,
        )  # fmt: skip
        self.schedule_line = note()
        self.truth = subject_choice(
            self.session, Phantom, "none", "What the maps are compared with; a simulated stack brings its own.",
            called="Truth", nullable=True, accept=self._truth_fits,
        )  # fmt: skip
        self.choice = PartChoice(self.session)
        self.part, self.region, self.paint = self.choice.part, self.choice.region, self.choice.make
        self.masking = MaskChoice(self.session, self._measure)
        self.b1 = B1Choice(self.session, self._measure, self._phantom)
        self.estimators = EstimatorChoice()
        self._offered = Offered(self, self.estimators)
        self.device = DeviceChoice()
        self.brought = BroughtChoice()
        self.form = SettingsForm(ReconstructSettings, leave_out=_ELSEWHERE, starts={"saturation": 250.0})
        self._own = DataFields(self.form)
        self.switches = Switches(self.form, SWITCHES, under={"fit_b1": "refine"})
        self.options = Foldable("More options: grid, saturation, noise", self.form)
        self.size_line = note()
        self.run = primary_button("Map", "Estimate T1, T2 and proton density of every chosen voxel.")
        self.click = click_button()
        self.timing = button("Time it", "Map a few hundred of these voxels to say how long all of them will take, s.")
        self.save = SaveMaps(self, self._go_on)
        self.copy = CopyRow(self.session)

        source = named_rows(
            ("Fingerprints", self.stack),
            ("Part", self.choice),
            ("Mask", self.masking),
            ("B1 map", self.b1),
            ("Truth", self.truth),
            ("Device", self.device),
        )
        buttons = row_of(self.run, self.click, self.timing, last=self.save)
        buttons.setSpacing(8)
        fill(self.body, heading("What is mapped"), source, self.schedule_line)
        fill(self.body, heading("Estimators"), self.estimators, self.brought, self.switches, self.options)
        self.body.addStretch(1)
        # in view at any height of the window, and not only after scrolling
        footer = QVBoxLayout()
        footer.setContentsMargins(10, 4, 10, 6)
        footer.setSpacing(6)
        fill(footer, self.size_line, buttons, self.jobs, self.copy)
        outer = self.layout()
        assert isinstance(outer, QVBoxLayout)
        outer.addLayout(footer)
        outer.setStretch(0, 1)

        self.stack.changed.connect(self._on_stack)
        for choice in (self.choice, self.masking, self.b1, self.device, self.estimators, self.brought):
            choice.changed.connect(self._update_size)
        self.truth.changed.connect(self.b1.offer)
        self.form.changed.connect(self._on_form)
        self.run.clicked.connect(self._map)
        self.timing.clicked.connect(self._time)
        self._mapping.stopped.connect(self._forget_next)
        self._mapping.ended.connect(self._go_on)
        self.click.toggled.connect(self._on_tool)
        self.session.models_changed.connect(self._on_models)
        self.remember(
            settings=self.form,
            dictionary=self.brought.form,
            estimators=self.estimators,
            device=self.device,
            part=self.part,
        )

    def forms(self) -> list[SettingsForm]:
        return [self.form, self.brought.form]

    def apply_theme(self) -> None:
        super().apply_theme()
        for one in (self.click, self.timing):
            one.setStyleSheet(button_style(self.colours) + "QPushButton { padding: 5px 10px; }")

    def _followed(self, viewer: Viewer) -> list[tuple[Any, Any]]:
        dims, layers = viewer.dims.events, viewer.layers.events
        return [
            *((event, self._update_size) for event in (dims.current_step, dims.ndisplay, dims.order)),
            *((event, self.update_session) for event in (layers.inserted, layers.removed, layers.renamed)),
        ]

    def attach(self, viewer: Viewer) -> None:
        for event, slot in self._followed(viewer):
            event.connect(slot)
        self._on_tool()
        self._offered.look()

    def detach(self, viewer: Viewer) -> None:
        self._tool.turn_off()
        for event, slot in self._followed(viewer):
            event.disconnect(slot)

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
        return stack is not None and part_of_truth(entry.subject, stack) is not None

    def _foreign_layers(self) -> list[tuple[str, Any]]:
        return [(f"layer {layer.name}…", layer) for layer in stack_layers(self.session)]

    def _take_layer(self, layer: Layer) -> None:
        """Let the Data tab make fingerprints of a layer: at once, or once it has asked for the schedule."""
        viewer = self.session.viewer
        self.stack.value = self._chosen if self._chosen in self.stack.choices else self.stack.choices[0]
        if viewer is None:
            return
        open_dock(viewer, WORKBENCH).data.use_layer(layer)

    def show_opened(self, stack: FingerprintStack) -> None:
        """Choose fingerprints that were opened to be mapped, and say how they were understood."""
        self.stack.reset_choices()
        self.stack.value = stack
        if not self.is_busy:
            self.jobs.say(f"Opened {stack.name}.", "good")
            self.jobs.tell(stack.notes)

    def _on_stack(self) -> None:
        if isinstance(self.stack.value, Layer):
            self._take_layer(self.stack.value)
            return
        self._chosen = self.stack.value
        entry = self.stack.entry
        # noise, saturation and mask of one stack are not the next one's
        self._own.turn_to(self.stack.value)
        self.brought.turn_to(self.stack.value)
        self.schedule_line.setText("" if entry is None else entry.subject.describe_schedule())
        self.schedule_line.setVisible(entry is not None)
        known = entry is not None and entry.truth is not None
        self.truth.null_string = "the simulated phantom" if known else "none"
        self.truth.reset_choices()
        self.choice.set_stack(self.stack.value)
        self.masking.set_stack(self.stack.value)
        self.b1.set_stack(self.stack.value)
        self._update_offers()
        self._update_size()

    def _update_offers(self) -> None:
        """Offer what can map the chosen stack."""
        self._offered.update(self.stack.value, self.form.values())

    def _on_models(self) -> None:
        """The store has other models: offer them, and merge nothing with what older ones made."""
        self._mapping.keep_apart_from_networks()
        self._offered.forget()
        self._update_offers()

    def _on_form(self) -> None:
        self._update_offers()
        self._update_size()

    # -- what it will take

    def _runs(self) -> list[EstimatorRun]:
        given = self.masking.settings() | self.b1.settings()
        return [EstimatorRun(self.form.settings(**one, **given)) for one in self._asked()]

    def _asked(self) -> list[dict[str, Any]]:
        return [{"estimator": name} for name in self.estimators.chosen] + self.brought.runs()

    def _forget_sentence(self, _found: object) -> None:
        self.jobs.say("")

    def _voxels(self) -> BoolArray | None:
        """Return the part inside the mask; None: all voxels."""
        part, inside = self.choice.voxels(), self.masking.voxels()
        return inside if part is None else part if inside is None else part & inside

    def _phantom(self) -> Phantom | None:
        """Return what the stack was made of, or is compared with."""
        entry = self.stack.entry
        return self.truth.value if entry is None or entry.truth is None else entry.truth

    def show_failure(self, failure: Failure) -> None:
        super().show_failure(failure)
        if failure.field in ("b1", "b1_nominal"):
            self.b1.show_error(failure.sentence)
            self.bring_into_view(self.b1)

    def _measure(self, look: Callable[..., Any], show: Callable[[Any], None], what: str = "signal") -> bool:
        """Compute what a choice needs in the background; return False where another job is in the way."""
        if self.is_busy:
            self.jobs.refuse()
            return False
        job = self.start(f"Looking at the {what}", look)
        job.returned.connect(show)
        job.returned.connect(self._forget_sentence)
        job.ended.connect(self._go_on)
        job.start()
        self._update_size()
        return True

    def _task(self, stack: FingerprintStack, mask: BoolArray | None, runs: list[EstimatorRun]) -> MappingTask:
        return MappingTask(stack, runs, mask, self.device.value, self._paces, b1=self.b1.reading(stack))

    def _update_size(self, event: Any = None) -> None:
        stack = self.stack.value
        self.run.setEnabled(stack is not None and bool(self._asked()) and not self.is_busy)
        self.click.setEnabled(stack is not None)
        needs = self._needs(stack)
        # where the time is known it stands in the sentence
        self.timing.setVisible(needs.is_untimed)
        self.timing.setEnabled(self.run.isEnabled())
        text = " ".join(filter(None, (needs.text, self.choice.note, self.masking.note)))
        self._say_size(text, "error" if needs.is_too_much else "")

    def _say_size(self, text: str, state: str) -> None:
        self.size_line.setText(text)
        if self.size_line.property("state") != state:
            restyle(self.size_line, "state", state)

    def _needs(self, stack: FingerprintStack | None) -> Needs:
        if stack is None:
            is_layer = bool(self._foreign_layers())
            known = "choose the layer above that holds them" if is_layer else "open a stack in the Data tab"
            return Needs(f"Simulate fingerprints, or {known} first.")
        try:
            mask = self._voxels()
        except InputError as error:
            return Needs(str(error))
        task = self._task(stack, mask, [])
        try:
            task.runs = self._runs()
            return needs_of(task)
        except InputError:
            return Needs(f"{voxels_text(task)}.")

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
        if not self._asked():
            self.jobs.say("Tick an estimator that can map this stack first.")
        elif self.stack.value is stack:
            with self.reading_forms():
                inside = self.masking.voxels()
                here = slice_mask(stack, z)
                self._start(stack, here if inside is None else here & inside)

    # -- mapping

    def _time(self) -> None:
        stack = self.stack.value
        with self.reading_forms():
            if stack is not None and not self.is_busy:
                self._mapping.start_timing(self._task(stack, self._voxels(), self._runs()))
                self._update_size()

    def _map(self) -> None:
        stack = self.stack.value
        with self.reading_forms():
            if stack is not None and not self.is_busy:
                self._start(stack, self._voxels())

    def _start(self, stack: FingerprintStack, mask: BoolArray | None) -> None:
        task, truth, entry = self._task(stack, mask, self._runs()), self.truth.value, self.stack.entry
        known = None if entry is None else entry.truth
        task.truth = known if truth is None else part_of_truth(truth, stack)
        self.masking.hide_outline()
        self.choice.hide_held()
        self._mapping.start(task)
        self._update_size()
        self._offer_results()

    def _forget_next(self) -> None:
        """Let no slice wait: who cancels does not want it either."""
        self._next = None

    def _go_on(self) -> None:
        self.device.update_devices()
        self._update_size()
        self._offer_results()
        waiting, self._next = self._next, None
        if waiting is not None and self.session.entry(waiting[0]) is not None:
            self._map_slice(*waiting)
        else:
            self.masking.ask_again()
            self.b1.ask_again()
