"""The camera, so that every picture stands below its name and beside or below its colour bar, as large as it fits.

The view is framed again when the canvas gets another size, and when napari resets it, for as long as nobody has moved
the camera since.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Layer

from napari_blochnet.napari_ui.canvas.arranging import Cell, Room
from napari_blochnet.napari_ui.canvas.captions import Caption
from napari_blochnet.napari_ui.state.entries import entry_of
from napari_blochnet.napari_ui.state.session import Session, every_session
from napari_blochnet.napari_ui.state.world import extent_in_viewer

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["Framing", "framing_of", "room_for"]

_BAR = 9.0


def _extent(viewer: Viewer, layers: Sequence[Layer]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the least and greatest displayed coordinates (vertical, horizontal) of all these layers together."""
    axes = [axis - viewer.dims.ndim for axis in viewer.dims.displayed[-2:]]
    if len(axes) < 2 or not layers or any(-axis > layer.ndim for axis in axes for layer in layers):
        return None
    ends = [extent_in_viewer(viewer, layer) for layer in layers]
    low = np.min([least[axes] for least, _ in ends], axis=0)
    high = np.max([greatest[axes] for _, greatest in ends], axis=0)
    return low, high


def room_for(session: Session, layers: Sequence[Layer]) -> Room:
    """Return the canvas as it is, and what is known of pictures of these layers as they are displayed."""
    viewer = session.viewer
    if viewer is None or not layers:
        return Room((1, 1))
    extent = _extent(viewer, layers)
    height, width = (1.0, 1.0) if extent is None else extent[1] - extent[0]
    return Room(
        viewer.canvas.size,
        (float(height), float(width)),
        [layer.name if isinstance(layer, Image) else "" for layer in layers],
        tuple(viewer.canvas.overlay_tiling.padding),
        has_bars=any(isinstance(layer, Image) for layer in layers),
        has_scale_bar=viewer.canvas.overlays.scale_bar.visible,
    )


def _fit_name_and_bar(layer: Layer, cell: Cell) -> None:
    if not isinstance(layer, Image):
        return
    name, bar = layer.name_overlay, layer.colorbar
    # saying again what is so already makes napari lay everything out anew
    if isinstance(name, Caption) and name.width != cell.name_width:
        name.width = cell.name_width
    if tuple(bar.size) != (_BAR, cell.bar):
        bar.size = (_BAR, cell.bar)


class Framing:
    """Sets one viewer's camera.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._set_to: tuple[float, ...] | None = None
        self._is_setting = False

    @property
    def is_framed(self) -> bool:
        """Whether the camera is where this put it."""
        return self._set_to is not None and np.allclose(self._set_to, self._camera(), rtol=1e-6, atol=1e-9)

    def _camera(self) -> tuple[float, ...]:
        viewer = self._session.viewer
        return () if viewer is None else (*viewer.scene.camera.center[-2:], viewer.scene.camera.zoom)

    def middle(self) -> tuple[float, float]:
        """Return the place (vertical, horizontal) in the middle of what is seen of the pictures, in viewer's numbers.

        Framed pictures stand beside their bars and below their names; their middle is not the camera's.
        """
        viewer = self._session.viewer
        extent = None if viewer is None else _extent(viewer, self.shown())
        if viewer is None or extent is None:
            return 0.0, 0.0
        center = np.array(viewer.scene.camera.center[-2:])
        middle = (extent[0] + extent[1]) / 2 if self.is_framed else np.clip(center, *extent)
        return float(middle[0]), float(middle[1])

    def picture(self) -> float:
        """Return the longer displayed side of what is seen, in the viewer's numbers; 0 where nothing is."""
        viewer = self._session.viewer
        extent = None if viewer is None else _extent(viewer, self.shown())
        return 0.0 if extent is None else float(np.max(extent[1] - extent[0]))

    def shown(self) -> list[Layer]:
        """Return the layers of ours that are seen and have a picture."""
        return [
            layer
            for layer, entry in self._session.pairs()
            if layer.visible and entry.kind in ("phantom", "stack", "maps")
        ]

    def frame(self, layers: Sequence[Layer], *, moves: bool = True) -> None:
        """Show slices of these layers as large as they fit; or leave the camera, and fit names and bars alone."""
        viewer = self._session.viewer
        if viewer is None or not layers or self._is_setting:
            return
        self._is_setting = True
        try:
            self._frame(viewer, layers, moves)
        finally:
            self._is_setting = False

    def _frame(self, viewer: Viewer, layers: Sequence[Layer], moves: bool) -> None:
        camera, grid = viewer.scene.camera, viewer.canvas.grid
        extent = _extent(viewer, layers)
        if viewer.dims.ndisplay != 2 or extent is None:
            if moves:
                viewer.reset_view()
                self._set_to = None
            return
        room = room_for(self._session, layers)
        rows, columns = grid.actual_shape(viewer.layers) if grid.enabled else (1, 1)
        if grid.enabled and min(grid.shape) > 0:
            rows, columns = grid.shape
        cell = room.cell((rows, columns))
        for layer in layers:
            _fit_name_and_bar(layer, cell)
        if not moves:
            return
        # from the picture's upper left corner to the middle of its cell
        sides = [1 if word in ("down", "right") else -1 for word in camera.orientation2d]
        corner = [extent[0 if side > 0 else 1][axis] for axis, side in enumerate(sides)]
        y = corner[0] + sides[0] * (room.canvas[0] / rows / 2 - cell.top) / cell.zoom
        x = corner[1] + sides[1] * (room.canvas[1] / columns / 2 - cell.left) / cell.zoom
        camera.zoom = cell.zoom
        camera.center = (*camera.center[:-2], float(y), float(x))
        self._set_to = self._camera()

    def frame_again(self, _event: object = None) -> None:
        """Frame what is seen, where nobody has moved the camera since; else fit its names and bars."""
        self.frame(self.shown(), moves=self.is_framed)

    def after_reset(self, _event: object = None) -> None:
        """Frame what is seen, where all of it is ours: somebody has asked napari for the whole view."""
        viewer = self._session.viewer
        if viewer is None or self._is_setting:
            return
        layers = self.shown()
        if layers and all(entry_of(layer) is not None for layer in viewer.layers if layer.visible):
            self.frame(layers)


def framing_of(session: Session) -> Framing:
    """Return what frames a session's view."""
    return session.part(Framing)


@every_session
def _follow(session: Session) -> None:
    viewer = session.viewer
    if viewer is not None:
        framing = framing_of(session)
        viewer.canvas.events.size.connect(framing.frame_again)
        viewer.events.reset_view.connect(framing.after_reset)
