"""The voxel inspector: one voxel's fingerprint, what each model makes of it, and what is left over.

This module puts the parts together: `inspector_pointing` says which voxel is meant, `inspector_explain` computes,
`inspector_plots`, `inspector_plane` and `inspector_numbers` draw, `marks` puts rings on the canvas.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

from napari.settings import get_settings
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QApplication,
    QBoxLayout,
    QCheckBox,
    QDockWidget,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QPushButton,
    QSizePolicy,
    QSplitter,
)

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.evaluation.voxel import Decoders, Explanation, Explanations, explain_voxel, explanation_of
from napari_blochnet.io.atomic import replacing
from napari_blochnet.napari_ui.canvas.marks import Marks
from napari_blochnet.napari_ui.inspector.curve_files import write_curves
from napari_blochnet.napari_ui.inspector.curves import CurvesView
from napari_blochnet.napari_ui.inspector.numbers import NumbersTable, PinBar
from napari_blochnet.napari_ui.inspector.plane import PinContent, PlaneView
from napari_blochnet.napari_ui.inspector.pointing import Pointer, add_step_keys
from napari_blochnet.napari_ui.state import preferences
from napari_blochnet.napari_ui.state.pins import MAX_PINS, Voxel
from napari_blochnet.napari_ui.state.places import voxel_under
from napari_blochnet.napari_ui.widgets.appearance import button_style
from napari_blochnet.napari_ui.widgets.panel import Panel

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["VoxelInspector"]

_INVITATION = (
    "Click a voxel of a fingerprint stack or of its maps; Ctrl-click pins another, Shift shows while you move."
)
_HEIGHT = 270
# Narrower than this the three views stand below each other: the dock may stand at the side, too.
_NARROW = 760
_LOWEST = 170
_TABLE_WIDTH, _WIDEST = 540, 16_777_215


class _Question:
    """Everything a worker needs to answer for one voxel; made on the main thread."""

    def __init__(self, voxel: Voxel, items: tuple[Explanation, ...], decoders: Decoders) -> None:
        self._voxel, self._items, self._decoders = voxel, items, decoders

    def __call__(self, *, progress: ProgressCallback, cancelled: CancelEvent) -> Explanations:
        return explain_voxel(self._decoders.get(self._voxel.stack.schedule), self._voxel, self._items)


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
        self._decoders = Decoders()
        self._explained: dict[Voxel, Explanations] = {}
        self._preview: Voxel | None = None
        self._waiting: Voxel | None = None
        self._undrawn: set[str] = set()
        #: what the views show
        self.shown: Explanations | None = None
        self.marks = Marks(self.session, self)
        self.pointer = Pointer()
        # not from inside napari's mouse handling: a first answer shows a progress bar, which runs the event loop
        self.pointer.clicked.connect(self.pick, Qt.ConnectionType.QueuedConnection)
        self.pointer.hovered.connect(self._on_hovered)

        self.tool = QCheckBox("Click picks a voxel")
        self.tool.setToolTip(
            "While it is on, a click in the viewer pins the voxel under the cursor. Ctrl-click (⌘-click on a Mac) pins "
            "one more. With Shift held, the voxel under the mouse is shown. Alt and an arrow key move the pin by one "
            "voxel, or set the first."
        )
        self.tool.setChecked(True)
        self.tool.toggled.connect(self._on_tool)
        self.pins = PinBar()
        self.keep = self._button("+ Keep", "Keep the current pin: the next click sets one more, as Ctrl-click does.")
        self.keep.setCheckable(True)
        self.clear = self._button("Clear", "Give up all pins.")
        self.all_in_view = self._button("All pins", "On: the T1–T2 plane holds all pins. Off: the current one, closer.")
        # off at first: seen from afar, a tissue's ellipse and the models' answers are one point
        self.all_in_view.setCheckable(True)
        self.place = QLabel(_INVITATION)
        self.place.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.save_button = self._button("Save…", "Save the curves with their numbers (CSV), or a picture (PNG).")
        self.copy_button = self._button("Copy picture", "Put a picture of the inspector on the clipboard.")

        self.curves, self.plane, self.table = CurvesView(), PlaneView(), NumbersTable()
        self._views = {"curves": self.curves, "plane": self.plane, "table": self.table}
        for name, source in (("curves", self.curves.plots), ("plane", self.plane.plots), ("table", self.table)):
            source.painted.connect(functools.partial(self._on_painted, name), Qt.ConnectionType.QueuedConnection)
        for view in self._views.values():
            view.hovered.connect(self._highlight)
        self.curves.chosen.connect(self._go_to_pulse)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        for view in self._views.values():
            self.splitter.addWidget(view)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setSizes([460, 280, 480])
        for index, stretch in enumerate((5, 2, 1)):
            self.splitter.setStretchFactor(index, stretch)

        # one line, or two below each other in a narrow dock
        self._bar = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        first, second = QHBoxLayout(), QHBoxLayout()
        for widget in (self.tool, self.pins):
            first.addWidget(widget)
        first.addStretch(1)
        for widget in (self.keep, self.clear, self.all_in_view):
            second.addWidget(widget)
        second.addWidget(self.place, 1)
        for widget in (self.save_button, self.copy_button):
            second.addWidget(widget)
        self._bar.addLayout(first)
        self._bar.addLayout(second, 3)
        for row in (self._bar, first, second):
            row.setSpacing(5)
        self.body.setContentsMargins(6, 3, 6, 3)
        self.body.setSpacing(2)
        self.body.addLayout(self._bar)
        self.body.addWidget(self.jobs)
        self.body.addWidget(self.splitter, 1)
        self.jobs.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.setMinimumHeight(150)

        self.pins.selected.connect(self.session.select_pin)
        self.pins.removed.connect(self.session.remove_pin)
        self.clear.clicked.connect(lambda: self.session.pin(None))
        self.all_in_view.toggled.connect(lambda _on: self._draw_plane())
        self.save_button.clicked.connect(self._ask_where_to_save)
        self.copy_button.clicked.connect(lambda: QApplication.clipboard().setPixmap(self.grab()))
        add_step_keys(self, self.session)
        self.session.pins_changed.connect(self._on_pins)
        self.session.pinned.connect(self._on_pinned)
        self._on_pins()
        self.remember(click_picks=self.tool, all_pins=self.all_in_view)

    @staticmethod
    def _button(text: str, tooltip: str) -> QPushButton:
        button = QPushButton(text)
        button.setToolTip(tooltip)
        return button

    def sizeHint(self) -> Any:  # noqa: N802
        hint = super().sizeHint()
        hint.setHeight(_HEIGHT)
        return hint

    def apply_theme(self) -> None:
        super().apply_theme()
        colours = self.colours
        style = button_style(colours)
        for button in (self.keep, self.clear, self.all_in_view, self.save_button, self.copy_button):
            button.setStyleSheet(style)
        for view in self._views.values():
            view.apply_theme(colours)
        self._on_pins()
        if self.shown is not None:
            self._draw(self.shown)

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        super().resizeEvent(event)
        narrow = self.width() < _NARROW
        self.splitter.setOrientation(Qt.Orientation.Vertical if narrow else Qt.Orientation.Horizontal)
        self._bar.setDirection(QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight)
        for view in self._views.values():
            view.setMinimumHeight(_LOWEST if narrow else 0)
        # beyond this the names would only move away from their numbers
        self.table.setMaximumWidth(_WIDEST if narrow else _TABLE_WIDTH)

    def showEvent(self, event: Any) -> None:  # noqa: N802
        super().showEvent(event)
        if not self._was_placed:
            self._was_placed = True
            # napari docks every plugin on the right; curves want width. Not while Qt is still laying the dock out.
            QTimer.singleShot(0, self._dock_below)

    def _dock_below(self) -> None:
        """Move to the bottom; afterwards napari remembers where the person puts it."""
        dock = self.parent()
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parent()
        window = None if dock is None else dock.parent()
        if isinstance(window, QMainWindow):
            window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
            window.resizeDocks([dock], [_HEIGHT], Qt.Orientation.Vertical)

    def attach(self, viewer: Viewer) -> None:
        self.pointer.attach(viewer)
        self.marks.show(viewer)
        viewer.dims.events.current_step.connect(self._on_step)

    def detach(self, viewer: Viewer) -> None:
        self.pointer.detach(viewer)
        self.marks.hide(viewer)
        viewer.dims.events.current_step.disconnect(self._on_step)

    def update_session(self) -> None:
        voxel = self.session.voxel
        if voxel is None:
            return
        known = self._explained.get(voxel)
        if known is None or known.items != self._items(voxel):
            self._ask(voxel)
        else:
            self._draw_plane()

    # -- pointing

    def _on_tool(self, is_on: bool) -> None:
        self.pointer.is_on = is_on

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
            self.session.pin(voxel)
        elif self.session.add_pin(voxel):
            self.keep.setChecked(False)
        else:
            self.place.setText(f"There are {MAX_PINS} pins already; give one up to set another.")

    def _on_hovered(self, position: tuple[float, ...] | None) -> None:
        viewer = self.session.viewer
        voxel = None
        if position is not None and viewer is not None and viewer.dims.ndisplay == 2:
            voxel = voxel_under(self.session, position)
        if voxel == self._preview:
            return
        self._preview = voxel
        self.marks.preview(voxel)
        wanted = self._wanted
        if wanted is None:
            self._show_nothing()
        elif voxel is None and wanted in self._explained:
            self._show(self._explained[wanted])
        else:
            self._ask(wanted)

    @property
    def _wanted(self) -> Voxel | None:
        """The voxel to show: the one under the mouse while Shift is held, or else the current pin."""
        return self._preview or self.session.voxel

    def _on_pins(self) -> None:
        voxels = self.session.pins
        self._explained = {voxel: known for voxel, known in self._explained.items() if voxel in voxels}
        numbered = [(voxel, self.session.pin_number(voxel)) for voxel in voxels]
        self.pins.show_pins(numbered, self.session.voxel, self.colours)
        for button in (self.keep, self.clear):
            button.setVisible(bool(voxels))
        self.all_in_view.setVisible(len(voxels) > 1)
        if not voxels:
            self.keep.setChecked(False)

    def _on_pinned(self, voxel: Voxel | None) -> None:
        self._preview = None
        self.marks.preview(None)
        if voxel is None:
            self._show_nothing()
        elif voxel in self._explained and self._explained[voxel].items == self._items(voxel):
            self._show(self._explained[voxel])
        else:
            self._ask(voxel)

    # -- asking

    def _items(self, voxel: Voxel) -> tuple[Explanation, ...]:
        """Return what the truth and the maps say of the voxel."""
        entry = self.session.entry(voxel.stack)
        entries = [known for known in self.session.entries("maps") if known.stack is voxel.stack]
        truth = self.session.truth_of(voxel.stack)
        # a stack of a file comes in the units of what wrote it, even where it came with its truth
        is_own = entry is not None and entry.truth is not None and voxel.stack.record.get("operation") == "simulate"
        found: list[Explanation | None] = []
        if truth is not None:
            found.append(explanation_of("truth", truth, voxel.index, -1, has_own_scale=not is_own))
        found += [explanation_of(known.title, known.subject, voxel.index, self.session.slot(known.subject))
                  for known in entries]  # fmt: skip
        return tuple(item for item in found if item is not None)

    def _ask(self, voxel: Voxel) -> None:
        items = self._items(voxel)
        if self._decoders.is_warm(voxel.stack):
            self._waiting = None
            try:
                self._show(explain_voxel(self._decoders.get(voxel.stack.schedule), voxel, items))
            except InputError as error:
                self.show_input_error(error)
            return
        if self.is_busy:
            self._waiting = voxel
            return
        self._waiting = None
        job = self.session.start("Explaining the voxel", _Question(voxel, items, self._decoders))
        self.jobs.job = job
        job.returned.connect(self._on_answer)
        job.failed.connect(self.show_failure)
        job.ended.connect(self._ask_again)
        job.start()

    def _on_answer(self, shown: Explanations) -> None:
        if shown.voxel in self.session.pins:
            self._explained[shown.voxel] = shown
        if shown.voxel == self._wanted:
            self._show(shown)

    def _ask_again(self) -> None:
        if self._waiting is not None and self._waiting == self._wanted:
            self._ask(self._waiting)

    # -- showing

    def _show_nothing(self) -> None:
        self.shown = None
        for view in (self.curves, self.table):
            view.show_explanations(None)
        self.plane.show_pins([], all_in_view=True)
        self.place.setText(_INVITATION)

    def _show(self, shown: Explanations) -> None:
        if shown.voxel in self.session.pins:
            self._explained[shown.voxel] = shown
        self.shown = shown
        self.jobs.say("")
        self._draw(shown)

    def _draw(self, shown: Explanations) -> None:
        self._undrawn = {name for name, view in self._views.items() if view.isVisible()}
        z, y, x = shown.voxel.index
        stack = shown.voxel.stack
        outside = "" if stack.mask[shown.voxel.index] else ", outside the mask"
        self.place.setText(f"z {z}, y {y}, x {x} of {stack.name}{outside}")
        self.curves.show_explanations(shown)
        self.table.show_explanations(shown)
        self._draw_plane()
        self._on_step()

    def _draw_plane(self) -> None:
        pins = []
        for voxel in self.session.pins:
            known = self._explained.get(voxel)
            is_current = self._preview is None and voxel == self.session.voxel
            items = known.items if known is not None else self._items(voxel)
            pins.append(PinContent(self.session.pin_number(voxel), items, known and known.bound, is_current))
        if self._preview is not None and self.shown is not None and self.shown.voxel == self._preview:
            pins.append(PinContent(0, self.shown.items, self.shown.bound, True))
        self.plane.show_pins(pins, all_in_view=self.all_in_view.isChecked())

    def _on_painted(self, name: str) -> None:
        if name in self._undrawn:
            self._undrawn.discard(name)
            if not self._undrawn and self.shown is not None:
                self.updated.emit(self.shown)

    def _highlight(self, number: int | None) -> None:
        for view in self._views.values():
            view.highlight(number)

    def _on_step(self, event: Any = None) -> None:
        """Mark the TR that the viewer's slider stands at."""
        viewer = self.session.viewer
        if viewer is not None:
            self.curves.show_now(float(viewer.dims.point[-4]) + 1 if viewer.dims.ndim >= 4 else None)

    def _go_to_pulse(self, index: int) -> None:
        viewer = self.session.viewer
        if viewer is not None and viewer.dims.ndim >= 4:
            viewer.dims.set_point(viewer.dims.ndim - 4, index - 1)

    # -- files

    def _ask_where_to_save(self) -> None:
        if self.shown is not None:
            z, y, x = self.shown.voxel.index
            start = os.path.join(preferences.folder("voxel"), f"voxel-{z}-{y}-{x}.csv")
            path, _ = QFileDialog.getSaveFileName(
                self, "Save what the inspector shows", start, "Curves (*.csv);;Picture (*.png)"
            )
            if path:
                preferences.set_folder("voxel", path)
                self.save(path)

    def save(self, path: str) -> None:
        """Write the curves to a .csv file, or a picture to a .png file."""
        if self.shown is None:
            return
        try:
            if path.lower().endswith(".png"):
                with replacing(path) as temporary:
                    if not self.grab().save(str(temporary), "PNG"):
                        raise OSError("the picture could not be written")
            else:
                write_curves(self.shown, path)
        except OSError as error:
            self.jobs.say(f"{path} was not written: {error.strerror or error}.", "error")
        else:
            self.place.setText(f"Saved {path}.")
