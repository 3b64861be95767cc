"""What menus and the command palette call."""

from __future__ import annotations

# napari hands a command what its annotations name, and looks the names up here
from napari.viewer import Viewer

from napari_blochnet.napari_ui.state.drawn_regions import is_region
from napari_blochnet.napari_ui.widgets.docks import WORKBENCH, open_dock, turn_to
from napari_blochnet.napari_ui.workbench import Workbench

__all__ = ["open_session", "open_workbench", "region_statistics", "save_session"]


def open_workbench(viewer: Viewer, tab: str = "") -> Workbench:
    """Open the workbench, or raise it where it is open; turn to a tab by its title."""
    workbench: Workbench = open_dock(viewer, WORKBENCH)
    turn_to(workbench.tabs, tab)
    return workbench


def save_session(viewer: Viewer) -> None:
    """Save all that is open to a folder."""
    open_workbench(viewer).data.sessions.save_as()


def open_session(viewer: Viewer) -> None:
    """Open a session that was saved to a folder."""
    open_workbench(viewer).data.sessions.open_from()


def region_statistics(viewer: Viewer) -> None:
    """Show mean ± SD of all maps in the regions of the active Labels or Shapes layer."""
    active = viewer.layers.selection.active
    compare = open_workbench(viewer, "Compare").compare
    if active is not None and is_region(active):
        compare.regions.choose(active)
    compare.regions.ensure_visible()
