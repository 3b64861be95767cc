"""Where the inspector's dock stands in napari's window: beside a layer list and a workbench that keep their height."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_blochnet.napari_ui.widgets.docks import dock_of

__all__ = ["DockPlace"]

_LEFT, _RIGHT = Qt.Corner.BottomLeftCorner, Qt.Corner.BottomRightCorner


class DockPlace:
    """The dock that a widget is shown in.

    Parameters
    ----------
    widget : QWidget
    least : int
        The width below which what the widget shows stands below each other, pixels.
    """

    def __init__(self, widget: QWidget, least: int) -> None:
        self._widget, self._least = widget, least
        # whose the window's lower corners were before this dock was shown
        self._corners: dict[Qt.Corner, Qt.DockWidgetArea] = {}

    def make_room(self) -> None:
        """Let the layer list go on beside this dock, for 800 pixels have no room for both; and the workbench, too.

        The workbench gives way where this dock would become too narrow between the two.
        """
        _, window = dock_of(self._widget)
        if window is None or not self._widget.isVisible():
            return
        if not self._corners:
            self._corners = {corner: window.corner(corner) for corner in (_LEFT, _RIGHT)}
            window.setCorner(_LEFT, Qt.DockWidgetArea.LeftDockWidgetArea)
        middle = window.centralWidget()
        is_wide = middle is not None and middle.width() >= self._least
        side = Qt.DockWidgetArea.RightDockWidgetArea if is_wide else self._corners[_RIGHT]
        if window.corner(_RIGHT) != side:
            window.setCorner(_RIGHT, side)

    def give_back(self) -> None:
        """Give the window's corners back to whose they were."""
        _, window = dock_of(self._widget)
        if window is not None:
            for corner, area in self._corners.items():
                window.setCorner(corner, area)
            self._corners = {}
