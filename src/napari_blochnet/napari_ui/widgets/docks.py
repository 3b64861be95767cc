"""Our docks and tabs, by their titles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QTabWidget, QWidget

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["INSPECTOR", "PLANES", "WORKBENCH", "dock_below", "is_dock_open", "open_dock", "turn_to"]

INSPECTOR, PLANES, WORKBENCH = "Voxel inspector", "Three planes", "Workbench"


def open_dock(viewer: Viewer, title: str) -> Any:
    """Open one of our docks, or raise it where it is open; return its widget."""
    dock, widget = viewer.window.add_plugin_dock_widget("napari-blochnet", title)
    dock.show()
    dock.raise_()
    return widget


def is_dock_open(viewer: Viewer | None, title: str) -> bool:
    """Whether one of our docks is to be seen."""
    docks = {} if viewer is None else dict(viewer.window.dock_widgets)
    return any(name.startswith(title) and widget.isVisible() for name, widget in docks.items())


def dock_below(widget: QWidget, height: int) -> None:
    """Move the dock that a widget is in to the bottom of the window; napari docks every plugin on the right."""
    dock = widget.parent()
    while dock is not None and not isinstance(dock, QDockWidget):
        dock = dock.parent()
    window = None if dock is None else dock.parent()
    if isinstance(dock, QDockWidget) and isinstance(window, QMainWindow):
        window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
        window.resizeDocks([dock], [height], Qt.Orientation.Vertical)


def turn_to(tabs: QTabWidget | None, title: str) -> None:
    """Turn to a tab, where there is one of this title."""
    for index in range(0 if tabs is None else tabs.count()):
        if tabs is not None and tabs.tabText(index) == title:
            tabs.setCurrentIndex(index)
