"""The menu of a right click on a layer: napari 0.9 takes nothing into it from manifests, and all from app-model.

npe2 calls this when the plugin is first used, by readers too: nothing of the window is imported here.
"""

from __future__ import annotations

import logging
from typing import Any

from app_model import Application
from app_model.types import SubmenuItem

__all__ = ["add_to_context_menu"]

_MENU, _CONTEXT, _APP = "napari-blochnet/use_as", "napari/layers/context", "napari"
_log = logging.getLogger(__name__)


def add_to_context_menu(_context: Any = None) -> None:
    """Add the commands to the menu of a right click on a layer."""
    try:
        menus = Application.get_app(_APP).menus  # type: ignore[union-attr]
        known = [item for item in menus.get_menu(_CONTEXT) if getattr(item, "submenu", "") == _MENU]
        if not known:
            item = SubmenuItem(submenu=_MENU, title="Use this layer as", group="6_blochnet", order=None)
            menus.append_menu_items([(_CONTEXT, item)])
    except (AttributeError, KeyError, TypeError, ValueError):
        # they are in Layers ▸ Data, too
        _log.info("the context menu of layers takes no commands here", exc_info=True)
