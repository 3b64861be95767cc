"""R and L, A and P, S and I at the edges of pictures, and heads that stand upright in every plane.

Axial slices stand upright by their layers' own scale. In the other planes slices run along the screen, and where they
run to superior the camera is turned upside down for as long as such a plane shows.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari._vispy.overlays.base import ViewerOverlayMixin, VispyCanvasOverlay
from napari._vispy.utils.visual import overlay_to_visual
from napari._vispy.visuals.text import Text
from napari.components.overlays import CanvasOverlay
from napari.layers import Layer

from napari_blochnet.common.orientation import direction_letters
from napari_blochnet.napari_ui.canvas.framing import framing_of
from napari_blochnet.napari_ui.canvas.looks import is_upright
from napari_blochnet.napari_ui.state.entries import Entry, entry_of
from napari_blochnet.napari_ui.state.looking_again import LooksAgain
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.state.world import extent_in_viewer, from_viewer

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["Letter", "OrientationLetters", "PictureLetters"]

_KEY = "blochnet_orientation"
# From a picture's edge to the middle of a letter; what is smaller has letters in the first cell alone, or, where they
# would hide the picture, none; pixels.
_INSIDE, _SMALLEST, _TINY = 8.0, 140.0, 100.0
# Where a letter is drawn in black below itself, pixels.
_AROUND = [(x, y) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0) if x or y]


@dataclass(frozen=True)
class Letter:
    """One of them, and the place of its middle on the canvas, pixels (x, y)."""

    text: str
    place: tuple[float, float]


class OrientationLetters(CanvasOverlay):
    """The letters that are to be seen now, in all cells of the grid."""

    letters: tuple[Letter, ...] = ()
    # of its own: napari does not tile it
    position: Any = None
    box: bool = False


class _LettersVisual(ViewerOverlayMixin, VispyCanvasOverlay):
    overlay: OrientationLetters

    def __init__(self, *, font_info: Any, **kwargs: Any) -> None:
        text = Text(font_info=font_info, bold=True, anchor_x="center", anchor_y="center")
        super().__init__(node=text, font_info=font_info, **kwargs)
        self.node.font_size = 8
        self.overlay.events.letters.connect(self._on_letters)
        self.reset()

    def reset(self) -> None:
        super().reset()
        self._on_letters()

    def close(self) -> None:
        self.overlay.events.letters.disconnect(self._on_letters)
        super().close()

    def _should_be_visible(self) -> bool:
        return bool(self.overlay.visible and self.overlay.letters)

    def _on_letters(self, event: Any = None) -> None:
        self._on_visible_change()
        letters = self.overlay.letters
        if letters:
            # a dark line around each, or none could be read on a white canvas
            shifts = [*_AROUND, (0.0, 0.0)]
            self.node.text = [letter.text for _ in shifts for letter in letters]
            self.node.color = ["#000000"] * (len(_AROUND) * len(letters)) + ["#ffd60a"] * len(letters)
            places = [np.add(letter.place, shift) for shift in shifts for letter in letters]
            self.node.pos = np.array(places, np.float32)


overlay_to_visual[OrientationLetters] = _LettersVisual


def _screen_directions(viewer: Viewer, layer: Layer, entry: Entry) -> list[np.ndarray] | None:
    """Return where the screen's vertical and horizontal world axes run in the body, RAS+, as their numbers grow."""
    found = []
    affine = np.asarray(entry.subject.geometry.affine)[:3, :3]
    point = np.zeros(viewer.dims.ndim)
    for axis in viewer.dims.displayed[-2:]:
        if axis < viewer.dims.ndim - 3:
            return None
        ahead = point.copy()
        ahead[axis] = 1.0
        steps = (from_viewer(viewer, layer, ahead) - from_viewer(viewer, layer, point))[-3:]
        found.append(affine @ steps[::-1])
    return found


class PictureLetters(LooksAgain):
    """Keeps the letters of one viewer true to what is displayed, and heads upright.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._has_turned = False
        self._overlay = OrientationLetters(visible=True)
        viewer = session.viewer
        if viewer is None:
            return
        viewer.canvas.overlays[_KEY] = self._overlay
        viewer.dims.events.order.connect(self._turn_upright)
        viewer.dims.events.ndisplay.connect(self._turn_upright)
        for events in (viewer.scene.camera.events, viewer.canvas.events.size, viewer.canvas.grid.events):
            events.connect(self._look_again)

    @property
    def letters(self) -> tuple[Letter, ...]:
        """The letters that are to be seen now."""
        return self._overlay.letters

    def _known(self) -> list[tuple[Layer, Entry]]:
        """Return what is seen and lies in the body in a way that is known."""
        return [
            (layer, entry)
            for layer in framing_of(self._session).shown()
            if (entry := entry_of(layer)) is not None and is_upright(entry)
        ]

    def _turn_upright(self, _event: object = None) -> None:
        """Have superior, or in axial planes anterior, at the top."""
        viewer, known = self._session.viewer, self._known()
        if viewer is None:
            return
        camera = viewer.scene.camera
        directions = _screen_directions(viewer, *known[-1]) if known and viewer.dims.ndisplay == 2 else None
        # where world numbers grow downwards, the top is the other end
        stands = directions is None or direction_letters(-directions[0])[0] not in "IP"
        vertical, horizontal = camera.orientation2d
        # what somebody else has set stays
        if stands == (str(vertical) == "down") or not (self._has_turned or str(vertical) == "down"):
            self._look_again()
            return
        was_framed = framing_of(self._session).is_framed
        camera.orientation2d = ("down" if stands else "up", horizontal)
        self._has_turned = not stands
        if was_framed:
            framing_of(self._session).frame(framing_of(self._session).shown())
        self._look_again()

    def update(self) -> None:
        """Put the letters where the pictures are."""
        viewer = self._session.viewer
        letters: list[Letter] = []
        if viewer is not None and viewer.dims.ndisplay == 2:
            for layer, entry in self._known():
                letters += self._of_picture(viewer, layer, entry, always=not letters)
        if tuple(letters) != self._overlay.letters:
            with contextlib.suppress(RuntimeError):  # a canvas that is being deleted
                self._overlay.letters = tuple(letters)

    def _of_picture(self, viewer: Viewer, layer: Layer, entry: Entry, *, always: bool) -> list[Letter]:
        grid, camera = viewer.canvas.grid, viewer.scene.camera
        rows, columns = grid.actual_shape(viewer.layers)
        row, column = grid.position(viewer.layers.index(layer), viewer.layers)
        directions = _screen_directions(viewer, layer, entry)
        if row < 0 or directions is None:
            return []
        sides = [1 if str(word) in ("down", "right") else -1 for word in camera.orientation2d]
        size = np.array(viewer.canvas.size) / (rows, columns)
        axes = [axis - viewer.dims.ndim for axis in viewer.dims.displayed[-2:]]
        ends = np.array([end[axes] for end in extent_in_viewer(viewer, layer)])
        places = size / 2 + (ends - np.array(camera.center[-2:])) * camera.zoom * sides
        # what is beyond the cell has its letter at the cell's edge
        low, high = np.clip(np.sort(places, axis=0), 0, size)
        if (high - low).max() < (_TINY if always else _SMALLEST):
            return []
        middle, corner = (low + high) / 2, size * (row, column)
        found = []
        for axis in (0, 1):
            for place, side in ((low[axis] + _INSIDE, -1), (high[axis] - _INSIDE, 1)):
                at = middle.copy()
                at[axis] = place
                y, x = corner + at
                text = direction_letters(side * sides[axis] * directions[axis])
                found.append(Letter(text, (float(x), float(y))))
        return found
