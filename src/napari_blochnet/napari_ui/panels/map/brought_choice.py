"""The dictionary that came with the data, as one more estimator."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_blochnet.estimators.brought.dictionary_arrays import ENDINGS
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.settings import ReconstructSettings
from napari_blochnet.napari_ui.forms.data_fields import DataFields
from napari_blochnet.napari_ui.forms.forms import SettingsForm
from napari_blochnet.napari_ui.forms.layouts import filled

__all__ = ["BroughtChoice"]

_WHICH = "dictionary_variable"


class _Form(SettingsForm):
    """Shows the question which of several dictionaries is meant once it is asked."""

    def show_error(self, field: str | None, sentence: str, *, is_question: bool = False) -> bool:
        if field == _WHICH:
            self.set_row_visible(_WHICH, True)
        return super().show_error(field, sentence, is_question=is_question)


class BroughtChoice(QWidget):
    """A dictionary's file, and names of its parameters where it has none; they belong to one stack.

    Of coefficients whose basis was read from a dictionary's file, it is that file until somebody chooses another.
    """

    #: a person changed any of it
    changed = Signal()

    #: Settings that are chosen here.
    fields = ("dictionary", "parameters", "dictionary_variable")

    def __init__(self) -> None:
        super().__init__()
        others = [name for name in ReconstructSettings.model_fields if name not in self.fields]
        self.form = _Form(ReconstructSettings, leave_out=others)
        self._own = DataFields(self.form)
        self._shown: str | None = ""
        self._seen: weakref.WeakSet[FingerprintStack] = weakref.WeakSet()
        filled(QVBoxLayout(self), self.form, spacing=0)
        self.form.changed.connect(self._on_form)
        self._on_form()

    def turn_to(self, stack: FingerprintStack | None) -> None:
        """Show what was chosen for a stack."""
        self._own.turn_to(stack)
        if stack is not None and stack not in self._seen and self._path() is None:
            self._seen.add(stack)
            came_with = stack.record.get("settings", {}).get("basis")
            if isinstance(came_with, str) and came_with.lower().endswith(ENDINGS) and Path(came_with).is_file():
                self.form.set_values({"dictionary": came_with})
        self._show_names()

    def take(self, path: str) -> None:
        """Take a dictionary's file that is given elsewhere."""
        self.form.set_values({"dictionary": path})
        self._on_form()

    def runs(self) -> list[dict[str, Any]]:
        """Return what one more mapping is asked for by: none without a file."""
        return [self.form.values()] if self._path() else []

    def _path(self) -> str | None:
        path: str | None = self.form.values()["dictionary"]
        return path or None

    def _on_form(self) -> None:
        self._show_names()
        self.changed.emit()

    def _show_names(self) -> None:
        path = self._path()
        self.form.set_row_visible("parameters", path is not None)
        if path != self._shown:
            self._shown = path
            self.form.set_row_visible(_WHICH, self.form.values()[_WHICH] is not None)
