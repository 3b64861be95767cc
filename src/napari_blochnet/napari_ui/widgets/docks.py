"""Our docks and tabs, by their titles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from npe2 import PluginManager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QTabWidget, QWidget

if TYPE_CHECKING:
    from napari import Viewer

__all__ = [
    "INSPECTOR",
    "PLANES",
    "WORKBENCH",
    "dock_below",
    "dock_of",
    "go_to_tab",
    "is_dock_open",
    "open_dock",
    "turn_to",
]

INSPECTOR, PLANES, WORKBENCH = "Voxel inspector", "Three planes", "Workbench"
_PLUGIN = "napari-blochnet"
# What stands behind a dock's title: in napari's menu the plugin's name for people, in its Python call that of the
# package. A dock is looked for under both, or the menu and a command would open one each.
_MENU, _CALL = "BlochNet", _PLUGIN


def _open_docks(viewer: Viewer, title: str) -> list[Any]:
    """Return the widgets of one title that have a dock, shown or closed."""
    docks = dict(viewer.window.dock_widgets)
    return [docks[name] for name in (f"{title} ({_MENU})", f"{title} ({_CALL})") if name in docks]


def open_dock(viewer: Viewer, title: str) -> Any:
    """Open one of our docks as napari's menu does, or raise it where there is one; return its widget."""
    found = _open_docks(viewer, title)
    if not found:
        widgets = PluginManager.instance().iter_widgets()
        command = next(item for item in widgets if item.plugin_name == _PLUGIN and item.display_name == title)
        made: Any = command.get_callable()
        found = [made(viewer)]
        viewer.window.add_dock_widget(found[0], name=f"{title} ({_MENU})")
    widget = found[0]
    dock, _ = dock_of(widget)
    if dock is not None:
        dock.show()
        dock.raise_()
    return widget


def is_dock_open(viewer: Viewer | None, title: str) -> bool:
    """Whether one of our docks is to be seen."""
    return viewer is not None and any(widget.isVisible() for widget in _open_docks(viewer, title))


def dock_of(widget: QWidget) -> tuple[QDockWidget | None, QMainWindow | None]:
    """Return the dock that a widget stands in, and its window."""
    dock = widget.parent()
    while dock is not None and not isinstance(dock, QDockWidget):
        dock = dock.parent()
    window = None if dock is None else dock.parent()
    return dock, window if isinstance(window, QMainWindow) else None


def dock_below(widget: QWidget, height: int) -> None:
    """Move the dock that a widget is in to the bottom of the window; napari docks every plugin on the right."""
    dock, window = dock_of(widget)
    if dock is not None and window is not None:
        window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
        window.resizeDocks([dock], [height], Qt.Orientation.Vertical)


def turn_to(tabs: QTabWidget | None, title: str) -> None:
    """Turn to a tab, where there is one of this title."""
    for index in range(0 if tabs is None else tabs.count()):
        if tabs is not None and tabs.tabText(index) == title:
            tabs.setCurrentIndex(index)


def go_to_tab(viewer: Viewer | None, widget: QWidget, title: str) -> None:
    """Turn to a tab of the workbench in which a widget stands, or open that panel's own dock.

    Parameters
    ----------
    viewer : Viewer, optional
    widget : QWidget
        What sends the person there.
    title : str
        Of the tab.
    """
    parent = widget.parent()
    while parent is not None and not isinstance(parent, QTabWidget):
        parent = parent.parent()
    if isinstance(parent, QTabWidget):
        turn_to(parent, title)
    elif viewer is not None:
        open_dock(viewer, title)
