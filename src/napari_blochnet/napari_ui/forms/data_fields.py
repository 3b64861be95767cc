"""What a form holds of one data set goes with that data set."""

from __future__ import annotations

import weakref
from typing import Any

from qtpy.QtCore import QSignalBlocker

from napari_blochnet.napari_ui.forms.forms import SettingsForm

__all__ = ["DataFields"]


class DataFields:
    """Keeps those fields of a form that belong to one data set (`Settings.fields_of_data`) with it.

    The next data set begins with the defaults, and the first has its values again when it is chosen again.

    Parameters
    ----------
    form : SettingsForm
    """

    def __init__(self, form: SettingsForm) -> None:
        self._form = form
        self._owner: weakref.ref[Any] | None = None
        self._kept: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()

    def turn_to(self, owner: Any) -> None:
        """Show the values of a data set; what was set while there was none is meant for the first."""
        before = None if self._owner is None else self._owner()
        if owner is before and owner is not None:
            return
        if self._owner is not None:
            names = self._form.model.fields_of_data()
            if before is not None:
                values = self._form.values()
                self._kept[before] = {name: values[name] for name in names if name in values}
            blocker = QSignalBlocker(self._form)
            self._form.forget_data()
            self._form.set_values(self._kept.get(owner, {}) if owner is not None else {})
            blocker.unblock()
        if owner is not None:
            self._owner = weakref.ref(owner)
