"""A tool of the viewer: while it is on, a click points at a place, and a drag pans as always."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["ClickTool"]


class ClickTool:
    """Calls a function at every click on the canvas, and says on the canvas that it will.

    Parameters
    ----------
    clicked : callable
        Called with the world position, along all axes of the viewer.
    hint : str
        What stands on the canvas while the tool is on.
    """

    def __init__(self, clicked: Callable[[tuple[float, ...]], None], hint: str) -> None:
        self._clicked, self._hint = clicked, hint
        self._viewer: Viewer | None = None

    @property
    def is_on(self) -> bool:
        """Whether clicks are taken."""
        return self._viewer is not None

    def turn_on(self, viewer: Viewer) -> None:
        """Take clicks of a viewer."""
        if self._viewer is not None:
            return
        self._viewer = viewer
        viewer.mouse_drag_callbacks.append(self._on_mouse)
        viewer.layers.selection.events.active.connect(self._show, position="last")
        self._show()

    def turn_off(self) -> None:
        """Leave the viewer as it was."""
        viewer, self._viewer = self._viewer, None
        if viewer is None:
            return
        if self._on_mouse in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(self._on_mouse)
        viewer.layers.selection.events.active.disconnect(self._show)
        text = viewer.canvas.overlays["text"]
        if text.text == self._hint:
            text.visible, text.text = False, ""
        viewer.cursor.style = "standard"

    def _show(self, event: Any = None) -> None:
        """Show hint and cursor, where the active layer is not being edited by the mouse."""
        viewer = self._viewer
        if viewer is None:
            return
        text = viewer.canvas.overlays["text"]
        # somebody else's text is left alone
        if text.text in ("", self._hint):
            text.text, text.visible, text.position = self._hint, True, "bottom_left"
        if not _is_edited(viewer):
            viewer.cursor.style = "crosshair"

    def _on_mouse(self, viewer: Viewer, event: Any) -> Iterator[None]:
        if event.button != 1 or event.modifiers or _is_edited(viewer):
            return
        moved = False
        yield
        while event.type == "mouse_move":
            moved = True
            yield
        if not moved:
            self._clicked(tuple(event.position))


def _is_edited(viewer: Viewer) -> bool:
    """Whether the mouse paints or draws in the active layer."""
    active = viewer.layers.selection.active
    return active is not None and str(getattr(active, "mode", "pan_zoom")) != "pan_zoom"
