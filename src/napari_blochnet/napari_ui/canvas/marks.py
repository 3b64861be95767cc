"""Marks of pinned voxels on the canvas: rings with numbers, in every cell of napari's grid.

They are one scene overlay, not layers: napari repeats scene overlays in each cell of its grid, whereas a layer has one
cell; and nobody can rename, reorder or paint on an overlay by mistake. The model (`PinMarks`) holds where the marks
are, napari makes one `_PinVisual` of it for each cell, and `Marks` keeps the model true to the session and the slice.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari._vispy.overlays.base import ViewerOverlayMixin, VispySceneOverlay
from napari._vispy.utils.visual import overlay_to_visual
from napari._vispy.visuals.text import Text
from napari.components.overlays import SceneOverlay
from napari.layers.base._base_constants import Blending
from qtpy.QtCore import QObject
from superqt.utils import qdebounced
from vispy.scene.visuals import Compound, Markers

from napari_blochnet.napari_ui.canvas.framing import framing_of
from napari_blochnet.napari_ui.state.pins import PIN_COLOURS, Voxel
from napari_blochnet.napari_ui.state.places import displayed_point, layer_of
from napari_blochnet.napari_ui.state.session import Session

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["Mark", "Marks", "PinMarks"]

_KEY = "blochnet_pins"
# All in pixels of the canvas.
_RING, _CURRENT_RING, _BADGE = 13.0, 18.0, 14.0
_BADGE_OFFSET = 14.0
# In smaller pictures marks shrink, to a third at the least; where badges would hide the picture, there are none.
_ROOMY, _LEAST, _BADGED = 220.0, 1 / 3, 180.0
_PREVIEW_COLOUR = "#ffffff"


@dataclass(frozen=True)
class Mark:
    """One mark.

    Parameters
    ----------
    place : tuple of float
        World coordinates of the displayed axes, in the viewer's order.
    number : int
        0: a preview, without a number.
    is_current : bool
    """

    place: tuple[float, ...]
    number: int
    is_current: bool = False

    @property
    def colour(self) -> str:
        """As ``#rrggbb``."""
        return PIN_COLOURS[(self.number - 1) % len(PIN_COLOURS)] if self.number else _PREVIEW_COLOUR


class PinMarks(SceneOverlay):
    """The marks that are to be seen now.

    Parameters
    ----------
    picture : float
        The longer side of a slice of what they are in, in the viewer's numbers; 0 where nothing is known of it.
    """

    marks: tuple[Mark, ...] = ()
    picture: float = 0.0
    blending: Blending = Blending.TRANSLUCENT_NO_DEPTH


class _PinVisual(ViewerOverlayMixin, VispySceneOverlay):
    """The marks in one cell of the grid, or on the whole canvas."""

    overlay: PinMarks

    def __init__(self, *, font_info: Any, **kwargs: Any) -> None:
        self._rings = Markers(scaling=False)
        self._badges = Markers(scaling=False)
        self._numbers = Text(font_info=font_info, bold=True, anchor_x="center", anchor_y="center")
        super().__init__(node=Compound([self._rings, self._badges, self._numbers]), font_info=font_info, **kwargs)
        self._numbers.font_size = 7
        self._numbers.color = "black"
        self.overlay.events.marks.connect(self._on_marks)
        self.overlay.events.picture.connect(self._on_marks)
        self.viewer.scene.camera.events.zoom.connect(self._on_marks)
        self.reset()

    def reset(self) -> None:
        super().reset()
        self._on_marks()

    def close(self) -> None:
        self.overlay.events.marks.disconnect(self._on_marks)
        self.overlay.events.picture.disconnect(self._on_marks)
        self.viewer.scene.camera.events.zoom.disconnect(self._on_marks)
        super().close()

    def _should_be_visible(self) -> bool:
        return bool(self.overlay.visible and self.overlay.marks)

    def _on_marks(self, event: Any = None) -> None:
        self._on_visible_change()
        marks = self.overlay.marks
        if not marks:
            return
        # napari's axes run from the first displayed to the last, vispy's the other way
        places = np.array([mark.place[::-1] for mark in marks], dtype=np.float32)
        pixels = self.overlay.picture * self.viewer.scene.camera.zoom
        share = float(np.clip(pixels / _ROOMY, _LEAST, 1.0)) if pixels else 1.0
        sizes = share * np.array([_CURRENT_RING if mark.is_current else _RING for mark in marks])
        widths = np.maximum(1.0, share * np.array([3.0 if mark.is_current else 2.0 for mark in marks]))
        colours = [mark.colour for mark in marks]
        # a dark ring below the coloured one is seen where the image is as bright as the colour
        self._rings.set_data(
            pos=np.concatenate([places, places]),
            size=np.concatenate([sizes + 2.0, sizes]),
            edge_width=np.concatenate([widths + 2.0, widths]),
            edge_color=["black"] * len(marks) + colours,
            face_color=(0, 0, 0, 0),
            symbol="disc",
        )
        is_badged = not pixels or pixels >= _BADGED
        numbered = [index for index, mark in enumerate(marks) if mark.number and is_badged]
        self._badges.visible = self._numbers.visible = bool(numbered)
        if numbered:
            shift = np.zeros(places.shape[1], np.float32)
            shift[:2] = np.array([1.0, -1.0]) * _BADGE_OFFSET / self.viewer.scene.camera.zoom
            beside = places[numbered] + shift
            self._badges.set_data(
                pos=beside,
                size=_BADGE,
                edge_width=1.0,
                edge_color="black",
                face_color=[colours[index] for index in numbered],
                symbol="disc",
            )
            self._numbers.text = [str(marks[index].number) for index in numbered]
            self._numbers.pos = beside
        self.node.update()


# as in napari's own example of a custom overlay
overlay_to_visual[PinMarks] = _PinVisual


class Marks:
    """Keeps the marks where the pins are, on the slice that is shown; on the canvas from `show` to `hide`.

    Parameters
    ----------
    session : Session
    parent : QObject
        The panel whose marks they are; with it they end.
    """

    def __init__(self, session: Session, parent: QObject) -> None:
        self._session = session
        self._overlay: PinMarks | None = None
        self._preview: Voxel | None = None
        # drawing the canvas takes longer than all of the inspector: it comes after, and once for what happens together
        self._update_later = qdebounced(self._update, timeout=0, parent=parent)

    @property
    def shown(self) -> tuple[Mark, ...]:
        """The marks that are to be seen now."""
        return () if self._overlay is None else self._overlay.marks

    def show(self, viewer: Viewer) -> None:
        """Put the marks on the canvas and follow the session and the slice."""
        self._overlay = PinMarks(visible=True)
        viewer.scene.overlays[_KEY] = self._overlay
        viewer.dims.events.connect(self.update)
        self._session.pins_changed.connect(self.update)
        self._session.changed.connect(self.update)
        self.update()

    def hide(self, viewer: Viewer) -> None:
        """Take the marks away; the pins stay."""
        viewer.dims.events.disconnect(self.update)
        self._session.stop_telling(self.update, "pins_changed", "changed")
        self._update_later.cancel()
        if viewer.scene.overlays.get(_KEY) is self._overlay:
            del viewer.scene.overlays[_KEY]
        self._overlay = None

    def preview(self, voxel: Voxel | None) -> None:
        """Mark one more voxel, without a number, or none."""
        if voxel != self._preview:
            self._preview = voxel
            self.update()

    def update(self, event: Any = None) -> None:
        """Look again where the marks are, as soon as nothing else is to be done."""
        self._update_later()

    def _update(self) -> None:
        viewer = self._session.viewer
        if viewer is None or self._overlay is None:
            return
        wanted = [(voxel, self._session.pin_number(voxel)) for voxel in self._session.pins]
        # the current pin is drawn last, above its neighbours
        wanted.sort(key=lambda pin: pin[0] == self._session.voxel)
        if self._preview is not None:
            wanted.append((self._preview, 0))
        marks = []
        for voxel, number in wanted:
            layer = layer_of(self._session, voxel.stack)
            place = None if layer is None else displayed_point(viewer, layer, voxel.index)
            if place is not None:
                is_current = bool(number) and voxel == self._session.voxel
                marks.append(Mark(tuple(float(x) for x in place), number, is_current))
        with contextlib.suppress(RuntimeError):  # a canvas that is being deleted
            self._overlay.picture = framing_of(self._session).picture()
            self._overlay.marks = tuple(marks)
