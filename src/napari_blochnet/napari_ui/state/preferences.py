"""What a person chose comes back: plain values, kept in napari's plugin settings.

The manifest declares two settings: whether to remember, and what is remembered, one text of JSON by section and key. A
text that is broken, too long or of another version counts as empty: settings never stop the workbench from opening.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication
from superqt.utils import qdebounced

__all__ = ["LONGEST", "folder", "remember", "remembered", "set_folder", "write_now"]

_log = logging.getLogger(__name__)
_PLUGIN = "napari-blochnet"
_VERSION = 1
#: Characters of one value, at most, and of the stored text.
LONGEST = 4_000
_MOST = 200_000
# A change is written this much later, ms: typing and dragging make one file, not hundreds.
_DELAY = 800

Values = dict[str, dict[str, Any]]


def _settings() -> Any:
    """Return napari's settings of this plugin, or None where napari cannot give them."""
    try:
        from napari.settings import get_plugin_settings

        return get_plugin_settings(_PLUGIN).workbench
    except Exception as error:
        # whatever is wrong with a settings file, the workbench opens
        _log.debug("no plugin settings: %s", error)
        return None


def _parsed(text: Any) -> Values:
    if not isinstance(text, str) or not 0 < len(text) <= _MOST:
        return {}
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        return {}
    sections = content.get("values")
    if not isinstance(sections, dict):
        return {}
    return {name: dict(values) for name, values in sections.items() if isinstance(values, dict)}


class _Memory(QObject):
    """Collects changes and writes them a little later."""

    def __init__(self) -> None:
        super().__init__()
        self._changes: Values = {}
        self._write_later = qdebounced(self.write, timeout=_DELAY, parent=self)
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.write)

    def values(self, section: str) -> dict[str, Any]:
        """Return what is remembered of a section."""
        settings = _settings()
        if settings is None or not settings.remember:
            return {}
        return {**_parsed(settings.remembered).get(section, {}), **self._changes.get(section, {})}

    def change(self, section: str, key: str, value: Any) -> None:
        """Keep a value; None forgets it."""
        self._changes.setdefault(section, {})[key] = value
        self._write_later()

    def write(self) -> None:
        """Write what has changed."""
        self._write_later.cancel()
        changes, self._changes = self._changes, {}
        settings = _settings()
        if settings is None or not settings.remember or not changes:
            return
        values = _parsed(settings.remembered)
        for section, changed in changes.items():
            merged = {**values.get(section, {}), **changed}
            values[section] = {key: value for key, value in merged.items() if value is not None}
        text = json.dumps({"version": _VERSION, "values": values}, ensure_ascii=False, sort_keys=True)
        if text == settings.remembered or len(text) > _MOST:
            return
        try:
            settings.remembered = text
        except Exception as error:
            # a disk that is full or read-only is no reason to bother anybody
            _log.debug("choices were not remembered: %s", error)


_memories: dict[int, _Memory] = {}


def _memory() -> _Memory:
    """Return the memory of this application; made at the first use, when there is one."""
    key = id(QApplication.instance())
    if key not in _memories:
        _memories.clear()
        _memories[key] = _Memory()
    return _memories[key]


def remembered(section: str) -> dict[str, Any]:
    """Return what is remembered of a section, such as a panel, by key."""
    return _memory().values(section)


def remember(section: str, key: str, value: Any) -> None:
    """Remember a value that JSON can hold; None forgets it."""
    _memory().change(section, key, value)


def write_now() -> None:
    """Write what has changed, without waiting; for the end of a viewer."""
    _memory().write()


def folder(kind: str) -> str:
    """Return the folder in which a file dialog of this kind was used last; empty where there is none any more."""
    found = remembered("folders").get(kind)
    return found if isinstance(found, str) and len(found) <= LONGEST and Path(found).is_dir() else ""


def set_folder(kind: str, path: str) -> None:
    """Remember the folder of a file or folder that was chosen."""
    chosen = Path(path)
    remember("folders", kind, str(chosen if chosen.is_dir() else chosen.parent))
