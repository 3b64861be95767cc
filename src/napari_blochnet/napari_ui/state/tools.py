"""What a click on the canvas does: it points at a place, unless a tool of a layer is in hand, which paints or draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

__all__ = ["ToolWatch", "layer_in_hand", "put_tool_away"]

# In these a click means nothing to the layer.
_FREE = ("pan_zoom", "transform")


def layer_in_hand(viewer: Viewer | None) -> Layer | None:
    """Return the layer in which a click paints, draws or selects; None where it does not."""
    active = None if viewer is None else viewer.layers.selection.active
    return active if active is not None and str(getattr(active, "mode", "pan_zoom")) not in _FREE else None


def put_tool_away(viewer: Viewer | None) -> None:
    """Let clicks on the canvas point again."""
    layer: Any = layer_in_hand(viewer)
    if layer is not None:
        layer.mode = "pan_zoom"


class ToolWatch:
    """Calls a function whenever another tool may be in hand; until `stop`.

    Parameters
    ----------
    viewer : Viewer
    changed : callable
        A method: napari holds it weakly.
    """

    def __init__(self, viewer: Viewer, changed: Callable[[], None]) -> None:
        self._viewer, self._changed = viewer, changed
        self._layer: Any = None
        viewer.layers.selection.events.active.connect(self._on_active)
        self._on_active()

    def _on_active(self, event: Any = None) -> None:
        self._let_go()
        self._layer = self._viewer.layers.selection.active
        if self._layer is not None and hasattr(self._layer.events, "mode"):
            self._layer.events.mode.connect(self._on_mode)
        self._changed()

    def _on_mode(self, event: Any = None) -> None:
        self._changed()

    def _let_go(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None and hasattr(layer.events, "mode"):
            layer.events.mode.disconnect(self._on_mode)

    def stop(self) -> None:
        """Listen no more."""
        self._viewer.layers.selection.events.active.disconnect(self._on_active)
        self._let_go()
