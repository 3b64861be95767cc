"""Where the inspector's dock stands in napari's window: beside a layer list that keeps its height."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_blochnet.napari_ui.widgets.docks import dock_of

__all__ = ["DockPlace"]


class DockPlace:
    """The dock that a widget is shown in.

    Parameters
    ----------
    widget : QWidget
    """

    def __init__(self, widget: QWidget) -> None:
        self._widget = widget
        # whose the window's lower left corner was before this dock was shown
        self._corner: Qt.DockWidgetArea | None = None

    def make_room(self) -> None:
        """Let the layer list go on beside this dock: above it, a window of 800 pixels has no room for both."""
        _, window = dock_of(self._widget)
        if window is not None and self._corner is None and self._widget.isVisible():
            self._corner = window.corner(Qt.Corner.BottomLeftCorner)
            window.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)

    def give_back(self) -> None:
        """Give the window's corner back to whose it was."""
        _, window = dock_of(self._widget)
        if window is not None and self._corner is not None:
            window.setCorner(Qt.Corner.BottomLeftCorner, self._corner)
            self._corner = None
