"""Controls that show what a person chose last time: how each kind gives its value to be kept, and takes it again.

Only what differs from the defaults is kept of a form, so that a newer version's defaults reach everybody, and nothing
that belongs to one data set (`Settings.fields_of_data`): the next would be read or mapped by it unseen. A single value
that its control does not take is passed over.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QAbstractButton, QComboBox, QTabWidget

from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.state import preferences
from napari_blochnet.napari_ui.widgets.device_choice import DeviceChoice

__all__ = ["remember_controls"]


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _changed_values(form: SettingsForm) -> Callable[[SettingsForm], dict[str, Any] | None]:
    """Return what reads the values that differ from the present ones."""
    start, passing = _plain(form.values()), form.model.fields_of_data()

    def read(form: SettingsForm) -> dict[str, Any] | None:
        values = _plain(form.values())
        return {name: value for name, value in values.items() if value != start[name] and name not in passing} or None

    return read


def _set_form(form: SettingsForm, values: Any) -> None:
    if not isinstance(values, Mapping):
        return
    for name, value in values.items():
        # earlier versions remembered what belonged to their data, too
        if name not in form.fields or name in form.model.fields_of_data():
            continue
        if isinstance(value, str) and len(value) > preferences.LONGEST:
            continue
        field = form.model.model_fields[name]
        annotated: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        try:
            good = TypeAdapter(annotated).validate_python(value)
        except ValidationError:
            continue
        form.set_values({name: good})


def _set_choice(box: QComboBox, value: Any) -> None:
    if isinstance(value, str) and box.findText(value) >= 0:
        box.setCurrentText(value)


def _set_device(choice: DeviceChoice, value: Any) -> None:
    if isinstance(value, str):
        choice.restore(value)


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


def _kind(control: Any) -> tuple[Callable[[Any], Any], Callable[[Any, Any], None], Any]:
    """Return how a control is read, how it is set, and its signal of a change."""
    if isinstance(control, SettingsForm):
        return _changed_values(control), _set_form, control.changed
    if isinstance(control, DeviceChoice):
        return DeviceChoice.get_value, _set_device, control.changed
    if isinstance(control, QComboBox):
        return QComboBox.currentText, _set_choice, control.currentIndexChanged
    if isinstance(control, QTabWidget):
        return _tab, _set_tab, control.currentChanged
    if isinstance(control, QAbstractButton):
        return QAbstractButton.isChecked, _set_button, control.toggled
    if hasattr(control, "tick"):
        return _ticked, _tick, control.changed
    raise TypeError(f"nothing is known of remembering a {type(control).__name__}")


def remember_controls(section: str, **controls: Any) -> None:
    """Give controls the values they had last time, and remember their changes from now on.

    Parameters
    ----------
    section : str
        Who asks: a panel's name.
    **controls
        Forms, choices, switches, lists of tick boxes and tabs, by the name under which each is remembered.
    """
    values = preferences.remembered(section)
    for key, control in controls.items():
        read, write, changed = _kind(control)
        if key in values:
            # panels look at forms and choices when they are shown; switches and tabs act at once
            acts_later = isinstance(control, SettingsForm | QComboBox)
            with (
                QSignalBlocker(control) if acts_later else contextlib.nullcontext(),
                contextlib.suppress(TypeError, ValueError, OverflowError, KeyError),
            ):
                write(control, values[key])
        changed.connect(functools.partial(_note, section, key, weakref.ref(control), read))


def _note(section: str, key: str, control: weakref.ref[Any], read: Callable[[Any], Any], *_: object) -> None:
    found = control()
    if found is not None:
        preferences.remember(section, key, read(found))
