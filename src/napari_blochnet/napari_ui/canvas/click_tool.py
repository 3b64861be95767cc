"""A tool of the viewer: while it is on, a click points at a place, and a drag pans as always."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from napari_blochnet.napari_ui.state.tools import ToolWatch, layer_in_hand

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["ClickTool"]

# short: the scale bar stands beside it
_BUSY = "a click edits now: pan/zoom to map"


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
        self._tools: ToolWatch | None = None
        self._shown = ""

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
        self._tools = ToolWatch(viewer, self._show)

    def turn_off(self) -> None:
        """Leave the viewer as it was."""
        viewer, self._viewer = self._viewer, None
        if viewer is None:
            return
        if self._on_mouse in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(self._on_mouse)
        if self._tools is not None:
            self._tools.stop()
            self._tools = None
        text = viewer.canvas.overlays["text"]
        if text.text == self._shown:
            text.visible, text.text = False, ""
        viewer.cursor.style = "standard"

    def _show(self) -> None:
        """Show hint and cursor; where the mouse edits the active layer, say that instead."""
        viewer = self._viewer
        if viewer is None:
            return
        edited = layer_in_hand(viewer)
        hint = self._hint if edited is None else _BUSY
        text = viewer.canvas.overlays["text"]
        # somebody else's text is left alone
        if text.text in ("", self._shown):
            text.text, text.visible, text.position = hint, True, "bottom_left"
            self._shown = hint
        if edited is None:
            viewer.cursor.style = "crosshair"

    def _on_mouse(self, viewer: Viewer, event: Any) -> Iterator[None]:
        if event.button != 1 or event.modifiers or layer_in_hand(viewer) is not None:
            return
        moved = False
        yield
        while event.type == "mouse_move":
            moved = True
            yield
        if not moved:
            self._clicked(tuple(event.position))
