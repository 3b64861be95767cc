"""Pointing at voxels: clicks that pin, the mouse moved with Shift held, which previews, and keys that step."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QKeyEvent, QKeySequence, QShortcut
from qtpy.QtWidgets import QApplication, QWidget
from superqt.utils import qthrottled

from napari_blochnet.napari_ui.canvas.framing import framing_of
from napari_blochnet.napari_ui.state.pins import Voxel
from napari_blochnet.napari_ui.state.places import layer_of, voxel_under
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.state.tools import layer_in_hand

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["Pointer", "add_step_keys"]

# A press and a release this near to each other, in pixels, are a click; farther apart, a drag, which pans as always.
_STILL = 4.0
# Voxels down and to the right, as the viewer shows them.
_STEPS = {"Alt+Up": (-1, 0), "Alt+Down": (1, 0), "Alt+Left": (0, -1), "Alt+Right": (0, 1)}
# Previews follow the mouse at most this often, ms.
_PREVIEW_INTERVAL = 20


class Pointer(QObject):
    """Turns what the mouse does on a viewer's canvas into positions; between `attach` and `detach`."""

    #: world position, whether one more voxel is to be pinned
    clicked = Signal(object, bool)
    #: world position of the mouse with Shift held, or None when that ends
    hovered = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.is_on = True
        self._is_previewing = False
        self._position: tuple[float, ...] | None = None
        self._tell_later = qthrottled(self._tell, timeout=_PREVIEW_INTERVAL, leading=False, parent=self)

    def attach(self, viewer: Viewer) -> None:
        """Listen to a viewer's mouse."""
        viewer.mouse_drag_callbacks.append(self._on_press)
        viewer.mouse_move_callbacks.append(self._on_move)

    def detach(self, viewer: Viewer) -> None:
        """Listen no more."""
        for callbacks, own in (
            (viewer.mouse_drag_callbacks, self._on_press),
            (viewer.mouse_move_callbacks, self._on_move),
        ):
            if own in callbacks:
                callbacks.remove(own)
        self._end()

    def _on_press(self, viewer: Viewer, event: Any) -> Iterator[None]:
        held = {str(getattr(key, "name", key)) for key in event.modifiers}
        if not self.is_on or event.button != 1 or held - {"Control"} or layer_in_hand(viewer) is not None:
            return
        start, is_click = event.pos, True
        yield
        while event.type == "mouse_move":
            is_click &= max(abs(event.pos[0] - start[0]), abs(event.pos[1] - start[1])) <= _STILL
            yield
        if is_click:
            self.clicked.emit(tuple(event.position), "Control" in held)

    def _on_move(self, viewer: Viewer, event: Any) -> None:
        held = {str(getattr(key, "name", key)) for key in event.modifiers}
        if not self.is_on or held != {"Shift"}:
            self._end()
            return
        self._position = tuple(event.position)
        if not self._is_previewing:
            self._is_previewing = True
            # letting go of a key moves no mouse
            application = QApplication.instance()
            if application is not None:
                application.installEventFilter(self)
        self._tell_later()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        kind = None if event is None else event.type()
        is_let_go = kind == QEvent.Type.KeyRelease and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Shift
        if is_let_go or kind == QEvent.Type.WindowDeactivate:
            self._end()
        return False

    def _tell(self) -> None:
        if self._is_previewing:
            self.hovered.emit(self._position)

    def _end(self) -> None:
        self._tell_later.cancel()
        if self._is_previewing:
            self._is_previewing = False
            application = QApplication.instance()
            if application is not None:
                application.removeEventFilter(self)
            self.hovered.emit(None)


def add_step_keys(widget: QWidget, session: Session) -> None:
    """Let Alt and an arrow key move the current pin by one voxel, or set the first, while a widget is in the window."""
    for key, step in _STEPS.items():
        QShortcut(QKeySequence(key), widget).activated.connect(functools.partial(_step, session, *step))


def _step(session: Session, down: int, right: int) -> None:
    voxel = _voxel_beside(session, down, right)
    if voxel is not None:
        session.pin(voxel)


def _voxel_beside(session: Session, down: int, right: int) -> Voxel | None:
    """Return the voxel so many voxels below and to the right of the current pin, as the viewer shows them.

    Without a pin that is the voxel in the middle of what is shown; at the edge of the stack it stays where it is.
    """
    viewer = session.viewer
    if viewer is None or viewer.dims.ndisplay != 2:
        return None
    pinned = session.voxel
    if pinned is None:
        position = list(viewer.dims.point)
        for axis, value in zip(viewer.dims.displayed, framing_of(session).middle(), strict=True):
            position[axis] = value
        return voxel_under(session, tuple(position))
    layer = layer_of(session, pinned.stack)
    if layer is None:
        return None
    index = list(pinned.index)
    for axis, step in zip(viewer.dims.displayed, (down, right), strict=True):
        place = axis - viewer.dims.ndim
        if step and place >= -3:
            # an axis may run against the world's
            against = layer.scale[place] < 0
            last = pinned.stack.shape[place] - 1
            index[place] = min(max(index[place] + (-step if against else step), 0), last)
    return Voxel(pinned.stack, (index[0], index[1], index[2]))
