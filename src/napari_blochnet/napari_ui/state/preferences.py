"""What a person chose comes back: values of forms and switches, kept in napari's plugin settings.

The manifest declares two settings: whether to remember, and what is remembered, one text of JSON by panel and control.
Only what differs from the defaults is in it, so that a newer version's defaults reach everybody. A text that is broken,
too long or of another version counts as empty, and a single value that its control does not take is passed over:
settings never stop the workbench from opening.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QAbstractButton, QApplication, QComboBox, QTabWidget, QWidget

from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.widgets.device_choice import DeviceChoice

__all__ = ["folder", "remember", "set_folder", "write_now"]

_log = logging.getLogger(__name__)
_PLUGIN = "napari-blochnet"
_VERSION = 1
# Characters of the stored text, and of one value in it.
_MOST, _LONGEST = 200_000, 4_000
# A change is written this much later, ms: typing and dragging make one file, not hundreds.
_DELAY = 800

# Fields that name a file, and never anything else.
_FILES = ("path", "b1")

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
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY)
        self._timer.timeout.connect(self.write)
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
        """Remember a value; None forgets it."""
        self._changes.setdefault(section, {})[key] = value
        self._timer.start()

    def write(self) -> None:
        """Write what has changed."""
        # a window that is closed after the application has gone finds the timer gone, too
        with contextlib.suppress(RuntimeError):
            self._timer.stop()
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


def write_now() -> None:
    """Write what has changed, without waiting; for the end of a viewer."""
    _memory().write()


# -- how each kind of control is read and set


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _changed_values(form: SettingsForm) -> Callable[[SettingsForm], dict[str, Any] | None]:
    """Return what reads the values that differ from the present ones."""
    start = _plain(form.values())

    def read(form: SettingsForm) -> dict[str, Any] | None:
        return {name: value for name, value in _plain(form.values()).items() if value != start[name]} or None

    return read


def _set_form(form: SettingsForm, values: Any) -> None:
    if not isinstance(values, Mapping):
        return
    for name, value in values.items():
        if name not in form.fields or (isinstance(value, str) and len(value) > _LONGEST):
            continue
        field = form.model.model_fields[name]
        annotated: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        try:
            good = TypeAdapter(annotated).validate_python(value)
        except ValidationError:
            continue
        # a file that has gone is not asked for again
        if name in _FILES and good is not None and not Path(str(good)).is_file():
            continue
        form.set_values({name: good})


def _choice(box: QComboBox) -> str | None:
    data = box.currentData()
    return data if isinstance(data, str) else box.currentText() or None


def _set_choice(box: QComboBox, value: Any) -> None:
    if not isinstance(value, str):
        return
    index = max(box.findData(value), box.findText(value))
    if index >= 0:
        box.setCurrentIndex(index)


def _set_device(box: DeviceChoice, value: Any) -> None:
    if isinstance(value, str):
        box.restore(value)


def _tab(tabs: QTabWidget) -> str:
    return tabs.tabText(tabs.currentIndex())


def _set_tab(tabs: QTabWidget, value: Any) -> None:
    for index in range(tabs.count()):
        if tabs.tabText(index) == value:
            tabs.setCurrentIndex(index)


def _set_button(button: QAbstractButton, value: Any) -> None:
    if isinstance(value, bool):
        button.setChecked(value)


def _ticked(checks: Any) -> list[str]:
    # a list that greys some out remembers their ticks itself
    return [value for value in getattr(checks, "ticked", checks.chosen) if isinstance(value, str)]


def _tick(checks: Any, values: Any) -> None:
    if isinstance(values, list):
        checks.tick([value for value in values if isinstance(value, str)])


def _kind(control: QWidget) -> tuple[Callable[[Any], Any], Callable[[Any, Any], None], Any]:
    """Return how a control is read, how it is set, and its signal of a change."""
    if isinstance(control, SettingsForm):
        return _changed_values(control), _set_form, control.changed
    if isinstance(control, DeviceChoice):
        return _choice, _set_device, control.currentIndexChanged
    if isinstance(control, QComboBox):
        return _choice, _set_choice, control.currentIndexChanged
    if isinstance(control, QTabWidget):
        return _tab, _set_tab, control.currentChanged
    if isinstance(control, QAbstractButton):
        return QAbstractButton.isChecked, _set_button, control.toggled
    if hasattr(control, "tick"):
        return _ticked, _tick, control.changed
    raise TypeError(f"nothing is known of remembering a {type(control).__name__}")


def remember(section: str, **controls: QWidget) -> None:
    """Give controls the values they had last time, and remember their changes from now on.

    Parameters
    ----------
    section : str
        Who asks: a panel's name.
    **controls
        Forms, choices, switches, lists of tick boxes and tabs, by the name under which each is remembered.
    """
    values = _memory().values(section)
    for key, control in controls.items():
        read, write, changed = _kind(control)
        if key in values:
            # panels look at forms and choices when they are shown; switches and tabs act at once
            before = control.blockSignals(isinstance(control, (SettingsForm, QComboBox)))
            with contextlib.suppress(TypeError, ValueError, OverflowError, KeyError):
                write(control, values[key])
            control.blockSignals(before)
        changed.connect(functools.partial(_note, section, key, weakref.ref(control), read))


def _note(section: str, key: str, control: weakref.ref[QWidget], read: Callable[[Any], Any], *_: object) -> None:
    found = control()
    if found is not None:
        _memory().change(section, key, read(found))


def folder(kind: str) -> str:
    """Return the folder in which a file dialog of this kind was used last; empty where there is none any more."""
    found = _memory().values("folders").get(kind)
    return found if isinstance(found, str) and len(found) <= _LONGEST and Path(found).is_dir() else ""


def set_folder(kind: str, path: str) -> None:
    """Remember the folder of a file or folder that was chosen."""
    chosen = Path(path)
    _memory().change("folders", kind, str(chosen if chosen.is_dir() else chosen.parent))
