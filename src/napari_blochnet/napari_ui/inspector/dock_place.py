"""Where the inspector's dock stands in napari's window: below at first, beside a layer list that keeps its height."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

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
        _, window = self._dock()
        if window is not None and self._corner is None and self._widget.isVisible():
            self._corner = window.corner(Qt.Corner.BottomLeftCorner)
            window.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)

    def give_back(self) -> None:
        """Give the window's corner back to whose it was."""
        _, window = self._dock()
        if window is not None and self._corner is not None:
            window.setCorner(Qt.Corner.BottomLeftCorner, self._corner)
            self._corner = None

    def move_below(self, height: int) -> None:
        """Move to the bottom; afterwards napari remembers where the person puts it."""
        dock, window = self._dock()
        if dock is not None and window is not None:
            window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
            window.resizeDocks([dock], [height], Qt.Orientation.Vertical)

    def _dock(self) -> tuple[QDockWidget | None, QMainWindow | None]:
        """Return the dock that the widget stands in, and its window."""
        dock = self._widget.parent()
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parent()
        window = None if dock is None else dock.parent()
        return dock, window if isinstance(window, QMainWindow) else None
