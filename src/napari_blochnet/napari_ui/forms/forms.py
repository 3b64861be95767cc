"""Forms made from settings models: what the core says of a field is what a person sees of it.

Titles, descriptions, units and bounds come from the model alone, and reading a form gives the model back, validated
by the core; a panel adds no rule of its own.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.settings import Settings, settings_from
from napari_blochnet.napari_ui.forms.editors import Editor, PathEditor, ScrollGuard, make_editor

__all__ = ["SettingsForm"]


class SettingsForm(QWidget):
    """A form for one settings model.

    Parameters
    ----------
    model : type of Settings
        Its fields become rows, in order.
    leave_out : sequence of str
        Fields without a row; give their values to `settings`.
    choices : mapping of str to sequence of str
        Values to offer for a text field that only takes some.
    starts : mapping of str to object
        What an optional field shows first once it is ticked.
    """

    #: a person changed any value
    changed = Signal()

    def __init__(
        self,
        model: type[Settings],
        *,
        leave_out: Sequence[str] = (),
        choices: Mapping[str, Sequence[str]] | None = None,
        starts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self._guard = ScrollGuard(self)
        self._editors: dict[str, Editor] = {}
        self._errors: dict[str, QLabel] = {}
        self._rows: dict[str, tuple[QWidget, QWidget]] = {}
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(8)
        layout.setVerticalSpacing(4)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, field in model.model_fields.items():
            if name in leave_out:
                continue
            extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
            unit = str(extra.get("unit", ""))
            offered = (choices or {}).get(name)
            editor: Editor
            if "files" in extra and offered is None:
                optional = type(None) in typing.get_args(field.annotation)
                editor = PathEditor(str(extra["files"]), optional=optional)
            else:
                editor = make_editor(name, field.annotation, unit, field.metadata, self._guard, offered, starts or {})
            tooltip = f"{field.description or ''}{f' Unit: {unit}.' if unit else ''}".strip()
            error = QLabel()
            error.setObjectName("blochnetError")
            error.setWordWrap(True)
            error.hide()
            label = QLabel(field.title or name)
            for widget in (label, editor, *editor.findChildren(QWidget)):
                widget.setToolTip(tooltip)
            for control in editor.findChildren(QWidget):
                control.setAccessibleName(field.title or name)
            if isinstance(editor, PathEditor):
                editor.browse.setAccessibleName(f"Browse for {field.title or name}")
                editor.browse.setToolTip(f"Choose a file: {tooltip}")
                editor.box.setToolTip(f"{tooltip} Type a path, or drop a file here.")
            column = QWidget()
            rows = QVBoxLayout(column)
            rows.setContentsMargins(0, 0, 0, 0)
            rows.setSpacing(1)
            rows.addWidget(editor)
            rows.addWidget(error)
            layout.addRow(label, column)
            self._rows[name] = (label, column)
            editor.set_value(field.get_default())
            editor.changed.connect(self._on_changed)
            self._editors[name] = editor
            self._errors[name] = error

    def _on_changed(self) -> None:
        self.clear_errors()
        self.changed.emit()

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields with a row."""
        return tuple(self._editors)

    def editor(self, field: str) -> Editor:
        """Return the control of one field."""
        return self._editors[field]

    def row(self, field: str) -> QWidget:
        """Return the control of one field, with the sentence below it."""
        return self._rows[field.split(".")[0]][1]

    def set_row_visible(self, field: str, visible: bool) -> None:
        """Show or hide one field's row."""
        for widget in self._rows[field]:
            widget.setVisible(visible)

    def values(self) -> dict[str, Any]:
        """Return what the form shows, not validated."""
        return {name: editor.value() for name, editor in self._editors.items()}

    def settings(self, **fixed: Any) -> Settings:
        """Return the validated settings.

        Raises
        ------
        InputError
            The core's sentence; it also stands beside the field.
        """
        try:
            return settings_from(self.model, **{**self.values(), **fixed})
        except InputError as error:
            self.show_error(error.field, str(error))
            raise

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show other values; fields without a row are passed over."""
        for name, value in values.items():
            if name in self._editors:
                self._editors[name].set_value(value)

    def show_error(self, field: str | None, sentence: str) -> bool:
        """Write a sentence beside the field; False where the form has no such field."""
        name = (field or "").split(".")[0]
        if name not in self._errors:
            return False
        self._errors[name].setText(sentence)
        self._errors[name].show()
        return True

    def errors(self) -> dict[str, str]:
        """Return the sentences that stand beside fields."""
        return {name: label.text() for name, label in self._errors.items() if not label.isHidden()}

    def clear_errors(self) -> None:
        """Take all sentences away."""
        for label in self._errors.values():
            label.hide()
