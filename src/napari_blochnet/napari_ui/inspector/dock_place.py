"""Where the inspector's dock stands in napari's window: beside a layer list and a workbench that keep their height."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_blochnet.napari_ui.widgets.docks import dock_of

__all__ = ["DockPlace"]

_SIDES = {
    Qt.Corner.BottomLeftCorner: Qt.DockWidgetArea.LeftDockWidgetArea,
    Qt.Corner.BottomRightCorner: Qt.DockWidgetArea.RightDockWidgetArea,
}


class DockPlace:
    """The dock that a widget is shown in.

    Parameters
    ----------
    widget : QWidget
    """

    def __init__(self, widget: QWidget) -> None:
        self._widget = widget
        # whose the window's lower corners were before this dock was shown
        self._corners: dict[Qt.Corner, Qt.DockWidgetArea] = {}

    def make_room(self) -> None:
        """Let layer list and workbench go on beside this dock: above it, 800 pixels have no room for them."""
        _, window = dock_of(self._widget)
        if window is not None and not self._corners and self._widget.isVisible():
            self._corners = {corner: window.corner(corner) for corner in _SIDES}
            for corner, side in _SIDES.items():
                window.setCorner(corner, side)

    def give_back(self) -> None:
        """Give the window's corners back to whose they were."""
        _, window = dock_of(self._widget)
        if window is not None:
            for corner, area in self._corners.items():
                window.setCorner(corner, area)
            self._corners = {}
