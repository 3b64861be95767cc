"""Three planes through one voxel, side by side and linked to the canvas: axial, coronal and sagittal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from napari.layers import Image
from qtpy.QtCore import QRectF, QTimer
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget
from superqt.utils import qdebounced

from napari_blochnet.common.orientation import axis_letters, plane_axes
from napari_blochnet.napari_ui.canvas.framing import framing_of
from napari_blochnet.napari_ui.canvas.looks import is_upright
from napari_blochnet.napari_ui.state.entries import Entry, entry_of
from napari_blochnet.napari_ui.state.pins import Voxel
from napari_blochnet.napari_ui.state.session import session_of
from napari_blochnet.napari_ui.state.world import from_viewer, to_viewer
from napari_blochnet.napari_ui.widgets.appearance import palette
from napari_blochnet.napari_ui.widgets.docks import dock_below

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["PlaneView", "ThreePlanes"]

_CROSS, _LETTERS = "#4cc9f0", "#ffd60a"
# Of the dock at first, and of the planes at least; around a picture, where its letters stand; pixels.
_HEIGHT, _LEAST, _MARGIN = 260, 110, 16.0


class PlaneView:
    """One plane: its slice, the voxel's lines in it, and letters at its edges.

    Parameters
    ----------
    plot : pyqtgraph.PlotItem
    plane : str
        "axial", "coronal" or "sagittal".
    """

    def __init__(self, plot: pg.PlotItem, plane: str) -> None:
        self.plot, self.plane = plot, plane
        self.image = pg.ImageItem(axisOrder="row-major")
        # no longer than the picture: the letters stand at their ends where the voxel is in the middle
        self.lines = [pg.PlotCurveItem(pen=pg.mkPen(_CROSS, width=1)) for _ in range(2)]
        # outside the picture: at the top, the bottom, the left and the right
        self.letters = [
            pg.TextItem(color=_LETTERS, anchor=anchor) for anchor in ((0.5, 1), (0.5, 0), (1, 0.5), (0, 0.5))
        ]
        for letter in self.letters:
            letter.textItem.document().setDocumentMargin(0)
        plot.addItem(self.image)
        for item in (*self.lines, *self.letters):
            plot.addItem(item, ignoreBounds=True)
        plot.hideAxis("left")
        plot.hideAxis("bottom")
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setAspectLocked(True)
        # a wheel that passes over it zooms nothing
        plot.getViewBox().setMouseEnabled(False, False)
        plot.getViewBox().sigResized.connect(self._fit)
        self._axes, self._size = (0, 1, 2), np.ones(3)
        self._extent = 1.0, 1.0

    def _fit(self, _box: object = None) -> None:
        """Show all of the picture, with room for its letters around it."""
        box, (width, height) = self.plot.getViewBox(), self._extent
        room = [max(1.0, side - 2 * _MARGIN) for side in (box.width(), box.height())]
        margin = _MARGIN * max(width / room[0], height / room[1])
        box.setRange(QRectF(-margin, -margin, width + 2 * margin, height + 2 * margin), padding=0)

    def can_show(self, shape: tuple[int, ...], entry: Entry) -> bool:
        """Whether a volume (z, y, x) has more than a line of voxels in this plane."""
        _, up, along = plane_axes(entry.subject.geometry.affine)[self.plane]
        return shape[up] > 1 and shape[along] > 1

    def show(self, data: Any, index: tuple[int, int, int], entry: Entry, layer: Image) -> None:
        """Show the slice through a voxel (z, y, x) of a volume."""
        geometry = entry.subject.geometry
        self._axes = across, up, along = plane_axes(geometry.affine)[self.plane]
        self._size = np.asarray(geometry.voxel_size)
        picture = np.asarray(np.take(data, index[across], axis=across))
        if up > along:
            picture = picture.T
        self.image.setImage(picture, autoLevels=False)
        self.image.setRect(QRectF(0, 0, picture.shape[1] * self._size[along], picture.shape[0] * self._size[up]))
        self.image.setLookupTable((255 * layer.colormap.map(np.linspace(0, 1, 256))).astype(np.uint8))
        self.image.setLevels(layer.contrast_limits)
        ends = axis_letters(geometry.affine) if is_upright(entry) else (("", ""),) * 3
        box = self.plot.getViewBox()
        # superior or anterior at the top; anterior to the left; right and left as they are stored
        is_up = ends[up][1][:1] not in ("I", "P") if ends[up][1] else False
        is_back = ends[along][1][:1] == "A"
        box.invertY(not is_up)
        box.invertX(is_back)
        height, width = picture.shape[0] * self._size[up], picture.shape[1] * self._size[along]
        self._extent = width, height
        y, x = ((index[axis] + 0.5) * self._size[axis] for axis in (up, along))
        self.lines[0].setData([0.0, width], [y, y])
        self.lines[1].setData([x, x], [0.0, height])
        low, high = (0.0, height) if is_up else (height, 0.0)
        left, right = (width, 0.0) if is_back else (0.0, width)
        texts = (*(ends[up][::-1] if is_up else ends[up]), *(ends[along][::-1] if is_back else ends[along]))
        places = ((width / 2, high), (width / 2, low), (left, height / 2), (right, height / 2))
        for letter, text, place in zip(self.letters, texts, places, strict=True):
            letter.setText(text)
            letter.setPos(*place)
        self.plot.setTitle(f"{self.plane}, {'zyx'[across]} = {index[across]}", size="8pt")
        self._fit()

    def index_at(
        self, x: float, y: float, index: tuple[int, int, int], shape: tuple[int, ...]
    ) -> tuple[int, ...] | None:
        """Return the voxel at a place of the plane, mm; None outside."""
        _, up, along = self._axes
        found = list(index)
        found[up], found[along] = int(np.floor(y / self._size[up])), int(np.floor(x / self._size[along]))
        inside = all(0 <= place < length for place, length in zip(found, shape, strict=True))
        return tuple(found) if inside else None


class ThreePlanes(QWidget):
    """A dock with the three planes of the map or stack that is looked at.

    A click in one of them moves the other two, the canvas's slice, and the inspector's pin; a slice or a pin chosen
    elsewhere moves the planes.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    title = "Three planes"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._session = session_of(napari_viewer)
        self.index: tuple[int, int, int] | None = None
        self.shown: tuple[Image, Entry] | None = None
        self._attached = self._was_placed = False
        self.name = QLabel()
        self._graphics = pg.GraphicsLayoutWidget()
        self._graphics.setMinimumHeight(_LEAST)
        self._graphics.ci.layout.setContentsMargins(4, 0, 4, 0)
        self.views = {
            plane: PlaneView(self._graphics.addPlot(row=0, col=column), plane)
            for column, plane in enumerate(("axial", "coronal", "sagittal"))
        }
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 2, 6, 4)
        layout.addWidget(self.name)
        layout.addWidget(self._graphics, 1)
        self._graphics.scene().sigMouseClicked.connect(self._on_click)
        self._later = qdebounced(self.update_planes, timeout=0, parent=self)

    def showEvent(self, event: Any) -> None:  # noqa: N802
        super().showEvent(event)
        viewer = self._session.viewer
        if viewer is not None and not self._attached:
            self._attached = True
            self._session.view_changed.connect(self._look_again)
            self._session.changed.connect(self._look_again)
            self._session.pinned.connect(self._on_pin)
            viewer.dims.events.current_step.connect(self._on_slice)
            viewer.layers.selection.events.active.connect(self._look_again)
            viewer.events.theme.connect(self._apply_theme)
            self._apply_theme()
        if not self._was_placed:
            self._was_placed = True
            # not while Qt is still laying the dock out
            QTimer.singleShot(0, self._dock_below)
        self._later()

    def _dock_below(self) -> None:
        dock_below(self, _HEIGHT)

    def hideEvent(self, event: Any) -> None:  # noqa: N802
        super().hideEvent(event)
        if not self._attached:
            return
        self._attached = False
        self._later.cancel()
        # the layer is not kept, and where it is looked at is asked anew when the dock is opened again
        self._show_layer(None)
        self._session.stop_telling(self._look_again, "view_changed", "changed")
        self._session.stop_telling(self._on_pin, "pinned")
        viewer = self._session.viewer
        if viewer is not None:
            viewer.dims.events.current_step.disconnect(self._on_slice)
            viewer.layers.selection.events.active.disconnect(self._look_again)
            viewer.events.theme.disconnect(self._apply_theme)

    def _apply_theme(self, event: Any = None) -> None:
        viewer = self._session.viewer
        if viewer is not None:
            colours = palette(viewer.theme)
            # letters and lines are yellow, the colour maps made for black
            self._graphics.setBackground("#000000")
            self.name.setStyleSheet(f"color: {colours.text};")

    def _look_again(self, _event: object = None) -> None:
        self._later()

    def _looked_at(self) -> tuple[Image, Entry] | None:
        """Return the selected map or stack if it is to be seen, else the uppermost."""
        viewer = self._session.viewer
        if viewer is None:
            return None
        seen = [layer for layer in framing_of(self._session).shown() if isinstance(layer, Image)]
        active = viewer.layers.selection.active
        layer = active if active in seen else next(iter(reversed(seen)), None)
        entry = None if layer is None else entry_of(layer)
        return None if layer is None or entry is None else (layer, entry)

    def _on_pin(self, voxel: Voxel | None) -> None:
        if voxel is not None and self.shown is not None and voxel.stack in (self.shown[1].stack, self.shown[1].subject):
            self.index = voxel.index
            self._later()

    def _on_slice(self, _event: object = None) -> None:
        """Follow the canvas along the axis that its slider moves."""
        viewer = self._session.viewer
        if viewer is None or self.shown is None or self.index is None or viewer.dims.ndisplay != 2:
            return
        layer = self.shown[0]
        here = np.round(from_viewer(viewer, layer, viewer.dims.point)[-3:]).astype(int)
        index = list(self.index)
        for axis in range(3):
            if viewer.dims.ndim - 3 + axis not in viewer.dims.displayed:
                index[axis] = int(np.clip(here[axis], 0, layer.data.shape[-3:][axis] - 1))
        self.index = (index[0], index[1], index[2])
        self._later()

    def _show_layer(self, shown: tuple[Image, Entry] | None) -> None:
        """Follow the colours of another layer, or of none."""
        before, self.shown = self.shown, shown
        if before is not None and shown is not None and before[0] is shown[0]:
            return
        for pair, way in ((before, "disconnect"), (shown, "connect")):
            if pair is not None:
                getattr(pair[0].events.contrast_limits, way)(self._look_again)
                getattr(pair[0].events.colormap, way)(self._look_again)

    def update_planes(self) -> None:
        """Look again at what is to be seen, and where."""
        viewer = self._session.viewer
        before = self.shown
        self._show_layer(self._looked_at())
        self._graphics.setVisible(self.shown is not None)
        if viewer is None or self.shown is None:
            self.name.setText("Open a phantom, fingerprints or maps, and show one of them.")
            return
        layer, entry = self.shown
        shape = layer.data.shape[-3:]
        if self.index is None or any(not 0 <= place < length for place, length in zip(self.index, shape, strict=True)):
            self.index = (shape[0] // 2, shape[1] // 2, shape[2] // 2)
            before = None
        if before is None:
            pinned = self._session.voxel
            if pinned is not None and pinned.stack in (entry.stack, entry.subject):
                self.index = pinned.index
        if before is None or before[0] is not layer:
            # the canvas may have moved meanwhile, or stand elsewhere in what is shown now
            self._on_slice()
        data = layer.data
        if data.ndim == 4:
            time = round(float(viewer.dims.point[-4])) if viewer.dims.ndim > 3 else 0
            data = np.asarray(data[int(np.clip(time, 0, len(data) - 1))])
        self.name.setText(f"{layer.name}, voxel (z, y, x) {self.index}")
        seen = [view for view in self.views.values() if view.can_show(shape, entry)] or list(self.views.values())
        for view in self.views.values():
            view.plot.setVisible(view in seen)
            if view in seen:
                view.show(data, self.index, entry, layer)

    def _on_click(self, event: Any) -> None:
        for view in self.views.values():
            box = view.plot.getViewBox()
            if not view.plot.isVisible() or self.index is None or self.shown is None:
                continue
            if box.sceneBoundingRect().contains(event.scenePos()):
                place = box.mapSceneToView(event.scenePos())
                found = view.index_at(place.x(), place.y(), self.index, self.shown[0].data.shape[-3:])
                if found is not None:
                    self.go_to((found[0], found[1], found[2]))

    def go_to(self, index: tuple[int, int, int]) -> None:
        """Move the planes, the canvas's slice and the inspector's pin to a voxel (z, y, x)."""
        viewer = self._session.viewer
        if viewer is None or self.shown is None:
            return
        layer, entry = self.shown
        self.index = index
        place = to_viewer(viewer, layer, [0] * (layer.ndim - 3) + list(index))[-3:]
        axes = [axis for axis in range(3) if viewer.dims.ndim - 3 + axis not in viewer.dims.displayed]
        viewer.dims.set_point([viewer.dims.ndim - 3 + axis for axis in axes], [float(place[axis]) for axis in axes])
        if entry.stack is not None:
            self._session.pin(Voxel(entry.stack, index))
        self._later()
