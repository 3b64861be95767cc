"""The voxel inspector: one voxel's fingerprint, what each model makes of it, and what is left over.

This module puts the parts together: `pointing` says which voxel is meant, `explaining` has it explained, `curves`,
`plane` and `numbers` draw, `napari_blochnet.napari_ui.canvas.marks` puts rings on the canvas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.settings import get_settings
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QBoxLayout,
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
)
from superqt import QElidingLabel

from napari_blochnet.evaluation.voxel import Explanations
from napari_blochnet.napari_ui.canvas.marks import Marks
from napari_blochnet.napari_ui.canvas.sliders import runs_over_time
from napari_blochnet.napari_ui.inspector.dock_place import DockPlace
from napari_blochnet.napari_ui.inspector.explaining import Explainer
from napari_blochnet.napari_ui.inspector.handing_out import HandingOut
from napari_blochnet.napari_ui.inspector.pin_bar import PinBar
from napari_blochnet.napari_ui.inspector.plane import PinContent
from napari_blochnet.napari_ui.inspector.pointing import Pointer, add_step_keys
from napari_blochnet.napari_ui.inspector.views import Views
from napari_blochnet.napari_ui.state.pins import MAX_PINS, Voxel
from napari_blochnet.napari_ui.state.places import voxel_under
from napari_blochnet.napari_ui.state.tools import ToolWatch, layer_in_hand
from napari_blochnet.napari_ui.widgets.appearance import button_style
from napari_blochnet.napari_ui.widgets.docks import dock_below
from napari_blochnet.napari_ui.widgets.panel import Panel
from napari_blochnet.napari_ui.widgets.rows import button, fill, row_of

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["VoxelInspector"]

_DRAWS = "A click edits {} now: choose pan/zoom in its layer controls, then click a voxel."
_NO_STACK = "Open or simulate fingerprints first; then click one of their voxels."
_INVITATION = (
    "Click a voxel of the fingerprints or of their maps in the viewer: its measured and explained signal, the T1–T2 "
    "plane and the numbers are shown here.\nCtrl-click pins one more, Shift shows while you move, Alt and an arrow key "
    "move the pin."
)
_TOOL_OFF = "Switch on “Click pins a voxel” above; then click a voxel of the fingerprints or of their maps."
_HEIGHT = 300
# Narrower than this the three views stand below each other: the dock may stand at the side, too.
_NARROW = 760


class VoxelInspector(Panel):
    """Click a voxel: its fingerprint, the re-simulated ones, the residuals, the T1–T2 plane, the numbers."""

    title = "Voxel inspector"

    #: an `Explanations`, once its curves, plane and numbers are on the screen
    updated = Signal(object)

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        # napari notes every dock's area as soon as it has one, so this tells whether there was one before
        known = get_settings().application.plugin_widget_positions
        self._was_placed = any(name.startswith(self.title) for name in known)
        self._explainer = Explainer(self, lambda: self._wanted)
        self._explainer.explained.connect(self._on_explained)
        self._preview: Voxel | None = None
        self._stands = DockPlace(self, _NARROW)
        #: what the views show
        self.shown: Explanations | None = None
        self.marks = Marks(self.session, self)
        self._tools: ToolWatch | None = None
        self.pointer = Pointer()
        # not from inside napari's mouse handling: a first answer shows a progress bar, which runs the event loop
        self.pointer.clicked.connect(self.pick, Qt.ConnectionType.QueuedConnection)
        self.pointer.hovered.connect(self._on_hovered)

        self.tool = QCheckBox()
        self.tool.setToolTip(
            "While it is on, a click in the viewer pins the voxel under the cursor, or moves the current pin there. "
            "Ctrl-click (⌘-click on a Mac) pins one more. With Shift held, the voxel under the mouse is shown. Alt and "
            "an arrow key move the pin by one voxel, or set the first."
        )
        self.tool.setChecked(True)
        self.tool.toggled.connect(self._on_tool)
        self.pins = PinBar()
        self.keep = button(
            "+ Keep", "Keep the current pin: the next click sets one more, as Ctrl-click does.", checkable=True
        )
        self.clear = button("Clear", "Give up all pins.")
        # off at first: seen from afar, a tissue's ellipse and the models' answers are one point
        self.all_in_view = button(
            "All pins", "On: the T1–T2 plane holds all pins. Off: the current one, closer.", checkable=True
        )
        self.back = button("Undo", "Put the pin back where it was before the last click.")
        self._moved: tuple[Voxel, Voxel] | None = None
        self.place = QElidingLabel()
        self.place.setTextFormat(Qt.TextFormat.PlainText)
        self.place.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.files = HandingOut(self)
        self.save_button, self.figure_button, self.copy_button = self.files.buttons

        self.views = Views()
        self.curves, self.plane, self.table = self.views.curves, self.views.plane, self.views.table
        self.views.painted.connect(self._on_painted)
        self.views.named.connect(self._on_named)
        # instead of empty axes
        self.invitation = QLabel()
        self.invitation.setTextFormat(Qt.TextFormat.PlainText)
        self.invitation.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.invitation.setWordWrap(True)
        self.views.hide()
        self.curves.chosen.connect(self._go_to_pulse)

        # one line, or two below each other in a narrow dock
        self._bar = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        first, second = row_of(self.tool, self.pins), QHBoxLayout()
        fill(second, self.keep, self.clear, self.all_in_view, self.back, self.place)
        fill(second, *self.files.buttons)
        second.setStretchFactor(self.place, 1)
        fill(self._bar, first, second)
        self._bar.setStretch(1, 3)
        for row in (self._bar, first, second):
            row.setSpacing(5)
        self.body.setContentsMargins(6, 3, 6, 3)
        self.body.setSpacing(2)
        fill(self.body, self._bar, self.jobs, self.invitation, self.views)
        for page in (self.invitation, self.views):
            self.body.setStretchFactor(page, 1)
        self.jobs.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        # as much as the curves take, with the row above them
        self.setMinimumHeight(self.curves.plots.minimumHeight() + 40)

        self.pins.selected.connect(self.session.select_pin)
        self.pins.removed.connect(self.session.remove_pin)
        self.clear.clicked.connect(lambda: self.session.pin(None))
        self.all_in_view.toggled.connect(lambda _on: self._draw_plane())
        self.keep.toggled.connect(lambda _on: self._say_what_clicks_do())
        self.back.clicked.connect(self._put_back)
        self.session.hidden_changed.connect(self._ask)
        add_step_keys(self, self.session)
        self.session.pins_changed.connect(self._on_pins)
        self.session.pinned.connect(self._on_pinned)
        self._on_pins()
        self.remember(click_picks=self.tool, all_pins=self.all_in_view)

    def sizeHint(self) -> Any:  # noqa: N802
        hint = super().sizeHint()
        hint.setHeight(_HEIGHT)
        return hint

    def apply_theme(self) -> None:
        super().apply_theme()
        colours = self.colours
        style = button_style(colours)
        buttons = self.keep, self.clear, self.all_in_view, self.back
        for one in (*buttons, *self.files.buttons):
            one.setStyleSheet(style)
        self.views.apply_theme(colours)
        self._on_pins()
        if self.shown is not None:
            self._draw(self.shown)

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        super().resizeEvent(event)
        # not while Qt is still laying the dock out
        QTimer.singleShot(0, self._make_room)
        narrow = self.width() < _NARROW
        self.views.stand(below_each_other=narrow)
        self._bar.setDirection(QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight)

    def showEvent(self, event: Any) -> None:  # noqa: N802
        super().showEvent(event)
        # not while Qt is still laying the dock out
        QTimer.singleShot(0, self._make_room)
        if not self._was_placed:
            self._was_placed = True
            # napari docks every plugin on the right; curves want width
            QTimer.singleShot(0, self._dock_below)

    def hideEvent(self, event: Any) -> None:  # noqa: N802
        super().hideEvent(event)
        self._stands.give_back()

    # methods: Qt does not call those of a widget that is gone
    def _make_room(self) -> None:
        self._stands.make_room()

    def _dock_below(self) -> None:
        dock_below(self, _HEIGHT)

    def attach(self, viewer: Viewer) -> None:
        self.pointer.attach(viewer)
        self.marks.show(viewer)
        self._tools = ToolWatch(viewer, self._show_page)
        for event in (viewer.dims.events.current_step, viewer.dims.events.axis_labels):
            event.connect(self._on_step)

    def detach(self, viewer: Viewer) -> None:
        self.pointer.detach(viewer)
        self.marks.hide(viewer)
        if self._tools is not None:
            self._tools.stop()
            self._tools = None
        for event in (viewer.dims.events.current_step, viewer.dims.events.axis_labels):
            event.disconnect(self._on_step)

    def update_session(self) -> None:
        voxel = self.session.voxel
        if voxel is None:
            self._show_page()
            return
        if self._explainer.known(voxel) is None:
            self._explainer.ask(voxel)
        else:
            self._draw_plane()

    # -- pointing

    def _on_tool(self, is_on: bool) -> None:
        self.pointer.is_on = is_on
        self._show_page()

    def _say_what_clicks_do(self) -> None:
        """Write beside the switch what the next click in the viewer does."""
        voxel = self.session.voxel
        if voxel is None:
            does = "pins a voxel"
        elif self.keep.isChecked():
            does = "pins one more"
        else:
            does = f"moves pin {self.session.pin_number(voxel)}"
        self.tool.setText(f"Click {does}")

    def _show_page(self) -> None:
        """Show the voxel's views, or the sentence that says how to get there."""
        has_stack = bool(self.session.entries("stack"))
        edited = layer_in_hand(self.session.viewer)
        if not has_stack:
            says = _NO_STACK
        elif not self.tool.isChecked():
            says = _TOOL_OFF
        else:
            says = _INVITATION if edited is None else _DRAWS.format(edited.name)
        self.invitation.setText(says)
        self.invitation.setVisible(self.shown is None)
        self.views.setVisible(self.shown is not None)
        for one in self.files.buttons:
            one.setEnabled(self.shown is not None)

    def pick(self, position: tuple[float, ...], adds: bool = False) -> None:
        """Pin the voxel at a world position; move the current pin there, or set one more."""
        viewer = self.session.viewer
        if viewer is None:
            return
        if viewer.dims.ndisplay == 3:
            self.place.setText("Switch the viewer to 2D to point at a voxel.")
            return
        voxel = voxel_under(self.session, position)
        if voxel is None:
            self.place.setText("There is no fingerprint here: open or simulate a stack, and click inside it.")
        elif not (adds or self.keep.isChecked()):
            before = self.session.voxel
            is_move = before is not None and voxel not in self.session.pins
            self._moved = (before, voxel) if before is not None and is_move else None
            self.session.pin(voxel)
        elif self.session.add_pin(voxel):
            self.keep.setChecked(False)
        else:
            self.place.setText(f"There are {MAX_PINS} pins already; give one up to set another.")

    def _put_back(self) -> None:
        """Undo the last click that moved a pin."""
        if self._moved is not None:
            before, self._moved = self._moved[0], None
            self.session.pin(before)

    def _on_hovered(self, position: tuple[float, ...] | None) -> None:
        viewer = self.session.viewer
        voxel = None
        if position is not None and viewer is not None and viewer.dims.ndisplay == 2:
            voxel = voxel_under(self.session, position)
        if voxel == self._preview:
            return
        self._preview = voxel
        self.marks.preview(voxel)
        self._ask()

    @property
    def _wanted(self) -> Voxel | None:
        """The voxel to show: the one under the mouse while Shift is held, or else the current pin."""
        return self._preview or self.session.voxel

    def _on_pins(self) -> None:
        voxels = self.session.pins
        self._explainer.forget_but(voxels)
        numbered = [(voxel, self.session.pin_number(voxel)) for voxel in voxels]
        self.pins.show_pins(numbered, self.session.voxel, self.colours)
        for one in (self.keep, self.clear):
            one.setVisible(bool(voxels))
        self.all_in_view.setVisible(len(voxels) > 1)
        if not voxels:
            self.keep.setChecked(False)
        if self._moved is not None and self._moved[1] != self.session.voxel:
            self._moved = None
        self.back.setVisible(self._moved is not None)
        self._say_what_clicks_do()

    def _on_pinned(self, voxel: Voxel | None) -> None:
        self._preview = None
        self.marks.preview(None)
        self._ask()

    # -- showing

    def _ask(self) -> None:
        if self._wanted is None:
            self._show_nothing()
        else:
            self._explainer.ask(self._wanted)

    def _show_nothing(self) -> None:
        self.shown = None
        self.views.show_explanations(None)
        self.plane.show_pins([], all_in_view=True)
        self.place.setText("")
        self._show_page()

    def _on_explained(self, found: Explanations) -> None:
        if found.voxel == self._wanted:
            self._show(found)

    def _show(self, shown: Explanations) -> None:
        self.shown = shown
        self.jobs.say("")
        self._draw(shown)

    def _draw(self, shown: Explanations) -> None:
        z, y, x = shown.voxel.index
        stack = shown.voxel.stack
        outside = "" if stack.mask[shown.voxel.index] else ", outside the mask"
        self.place.setText(f"z {z}, y {y}, x {x}{self._said_of_move(shown.voxel)} of {stack.name}{outside}")
        self.place.setToolTip(self.place.text())
        self._show_page()
        self.views.show_explanations(shown, self.session.hidden_slots())
        self._draw_plane()
        self._on_step()

    def _said_of_move(self, voxel: Voxel) -> str:
        if self._moved is None or self._moved[1] != voxel or voxel not in self.session.pins:
            return ""
        z, y, x = self._moved[0].index
        return f", was z {z}, y {y}, x {x}"

    def _on_named(self, number: int) -> None:
        """Hide the model whose name was clicked, or show it again."""
        if self.shown is None or number >= len(self.shown.items):
            return
        slot = self.shown.items[number].slot
        is_hidden = slot in self.session.hidden_slots()
        entries = self.session.entries("maps")
        maps = next((entry.subject for entry in entries if self.session.slot(entry.subject) == slot), None)
        if slot < 0 or maps is not None:
            self.session.set_hidden(maps, not is_hidden)

    def _draw_plane(self) -> None:
        pins = []
        for voxel in self.session.pins:
            known = self._explainer.kept.get(voxel)
            is_current = self._preview is None and voxel == self.session.voxel
            items, bound = (self._explainer.items(voxel), None) if known is None else (known.items, known.bound)
            pins.append(PinContent(self.session.pin_number(voxel), items, bound, is_current))
        if self._preview is not None and self.shown is not None and self.shown.voxel == self._preview:
            pins.append(PinContent(0, self.shown.items, self.shown.bound, True))
        self.plane.show_pins(pins, all_in_view=self.all_in_view.isChecked(), hidden=self.session.hidden_slots())

    def _on_painted(self) -> None:
        if self.shown is not None:
            self.updated.emit(self.shown)

    def _on_step(self, event: Any = None) -> None:
        """Mark the TR that the viewer's slider stands at."""
        viewer = self.session.viewer
        if viewer is not None:
            self.curves.show_now(float(viewer.dims.point[-4]) + 1 if runs_over_time(viewer) else None)

    def _go_to_pulse(self, index: int) -> None:
        viewer = self.session.viewer
        if viewer is not None and runs_over_time(viewer):
            viewer.dims.set_point(viewer.dims.ndim - 4, index - 1)

    def save(self, path: str) -> None:
        """Write the curves to a .csv file, or a figure to a .pdf, .svg or .png file; no other name is taken."""
        self.files.save(path)
