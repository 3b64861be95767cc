"""The voxel inspector: one voxel's fingerprint, what each model makes of it, and what is left over.

This module puts the parts together: `pointing` says which voxel is meant, `explaining` has it explained, `curves`,
`plane` and `numbers` draw, `napari_blochnet.napari_ui.canvas.marks` puts rings on the canvas.
"""

from __future__ import annotations

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
    QSizePolicy,
)

from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.voxel import Explanations
from napari_blochnet.io.atomic import replacing
from napari_blochnet.io.origin import PROGRAM
from napari_blochnet.napari_ui.canvas.marks import Marks
from napari_blochnet.napari_ui.inspector.curve_files import write_curves
from napari_blochnet.napari_ui.inspector.explaining import Explainer
from napari_blochnet.napari_ui.inspector.pin_bar import PinBar
from napari_blochnet.napari_ui.inspector.plane import PinContent
from napari_blochnet.napari_ui.inspector.pointing import Pointer, add_step_keys
from napari_blochnet.napari_ui.inspector.views import Views
from napari_blochnet.napari_ui.state import preferences
from napari_blochnet.napari_ui.state.pins import MAX_PINS, Voxel
from napari_blochnet.napari_ui.state.places import voxel_under
from napari_blochnet.napari_ui.widgets.appearance import button_style
from napari_blochnet.napari_ui.widgets.panel import Panel
from napari_blochnet.napari_ui.widgets.rows import button, fill, row_of

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["VoxelInspector"]

_INVITATION = (
    "Click a voxel of a fingerprint stack or of its maps; Ctrl-click pins another, Shift shows while you move."
)
_HEIGHT = 270
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
        self.keep = button(
            "+ Keep", "Keep the current pin: the next click sets one more, as Ctrl-click does.", checkable=True
        )
        self.clear = button("Clear", "Give up all pins.")
        # off at first: seen from afar, a tissue's ellipse and the models' answers are one point
        self.all_in_view = button(
            "All pins", "On: the T1–T2 plane holds all pins. Off: the current one, closer.", checkable=True
        )
        self.place = QLabel(_INVITATION)
        self.place.setTextFormat(Qt.TextFormat.PlainText)
        self.place.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.save_button = button("Save…", "Save the curves with their numbers (CSV), or a picture (PNG).")
        self.copy_button = button("Copy picture", "Put a picture of the inspector on the clipboard.")

        self.views = Views()
        self.curves, self.plane, self.table = self.views.curves, self.views.plane, self.views.table
        self.views.painted.connect(self._on_painted)
        self.curves.chosen.connect(self._go_to_pulse)

        # one line, or two below each other in a narrow dock
        self._bar = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        first, second = row_of(self.tool, self.pins), QHBoxLayout()
        fill(second, self.keep, self.clear, self.all_in_view, self.place, self.save_button, self.copy_button)
        second.setStretchFactor(self.place, 1)
        fill(self._bar, first, second)
        self._bar.setStretch(1, 3)
        for row in (self._bar, first, second):
            row.setSpacing(5)
        self.body.setContentsMargins(6, 3, 6, 3)
        self.body.setSpacing(2)
        fill(self.body, self._bar, self.jobs, self.views)
        self.body.setStretchFactor(self.views, 1)
        self.jobs.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.setMinimumHeight(150)

        self.pins.selected.connect(self.session.select_pin)
        self.pins.removed.connect(self.session.remove_pin)
        self.clear.clicked.connect(lambda: self.session.pin(None))
        self.all_in_view.toggled.connect(lambda _on: self._draw_plane())
        self.save_button.clicked.connect(self._ask_where_to_save)
        self.copy_button.clicked.connect(self._copy_picture)
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
        for one in (self.keep, self.clear, self.all_in_view, self.save_button, self.copy_button):
            one.setStyleSheet(style)
        self.views.apply_theme(colours)
        self._on_pins()
        if self.shown is not None:
            self._draw(self.shown)

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        super().resizeEvent(event)
        narrow = self.width() < _NARROW
        self.views.stand(below_each_other=narrow)
        self._bar.setDirection(QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight)

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
        if isinstance(dock, QDockWidget) and isinstance(window, QMainWindow):
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
        if self._explainer.known(voxel) is None:
            self._explainer.ask(voxel)
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
        self.place.setText(_INVITATION)

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
        self.place.setText(f"z {z}, y {y}, x {x} of {stack.name}{outside}")
        self.views.show_explanations(shown)
        self._draw_plane()
        self._on_step()

    def _draw_plane(self) -> None:
        pins = []
        for voxel in self.session.pins:
            known = self._explainer.kept.get(voxel)
            is_current = self._preview is None and voxel == self.session.voxel
            items, bound = (self._explainer.items(voxel), None) if known is None else (known.items, known.bound)
            pins.append(PinContent(self.session.pin_number(voxel), items, bound, is_current))
        if self._preview is not None and self.shown is not None and self.shown.voxel == self._preview:
            pins.append(PinContent(0, self.shown.items, self.shown.bound, True))
        self.plane.show_pins(pins, all_in_view=self.all_in_view.isChecked())

    def _on_painted(self) -> None:
        if self.shown is not None:
            self.updated.emit(self.shown)

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

    def _copy_picture(self) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setPixmap(self.grab())

    def save(self, path: str) -> None:
        """Write the curves to a .csv file, or a picture to a .png file."""
        if self.shown is None:
            return
        try:
            if path.lower().endswith(".png"):
                with replacing(path) as temporary:
                    picture = self.grab().toImage()
                    picture.setText("Software", PROGRAM)
                    if not picture.save(str(temporary), "PNG"):
                        raise OSError("the picture could not be written")
            else:
                write_curves(self.shown, path)
        except InputError as error:
            self.jobs.say(str(error), "error")
        except OSError as error:
            self.jobs.say(f"{path} was not written: {error.strerror or error}.", "error")
        else:
            self.place.setText(f"Saved {path}.")
