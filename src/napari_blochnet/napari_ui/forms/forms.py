"""Forms made from settings models: what the core says of a field is what a person sees of it.

Titles, descriptions, units and bounds come from the model alone, and reading a form gives the model back, validated
by the core; a panel adds no rule of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from magicgui.widgets.bases import BaseValueWidget
from pydantic.fields import FieldInfo
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.settings import Settings, settings_from
from napari_blochnet.napari_ui.forms.editors import make_editor
from napari_blochnet.napari_ui.forms.layouts import filled, form_layout
from napari_blochnet.napari_ui.forms.plain_words import in_plain_words
from napari_blochnet.napari_ui.forms.text_lines import PathEdit
from napari_blochnet.napari_ui.forms.wheel import guard_wheel

__all__ = ["SettingsForm"]


class _Sentence(QLabel):
    """A sentence below a field, as high as its lines: a form's layout counts on one line in what it shows anew."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def setText(self, text: str | None) -> None:  # noqa: N802
        super().setText(text)
        self._fit()

    def _fit(self) -> None:
        before = self.minimumHeight()
        # it would be no lower than that
        self.setMinimumHeight(0)
        needed = max(0, self.heightForWidth(self.width())) if self.text() else 0
        self.setMinimumHeight(needed)
        if needed != before:
            self.updateGeometry()

    def call(self, name: str) -> None:
        """Take the colours of another name in the panel's style."""
        self.setObjectName(name)
        style = self.style()
        if style is not None:
            style.unpolish(self)
            style.polish(self)


class _Row(NamedTuple):
    label: QLabel
    editor: BaseValueWidget[Any]
    #: what is wrong with the value
    error: _Sentence
    #: editor and error
    column: QWidget


class SettingsForm(QWidget):
    """A form for one settings model.

    Parameters
    ----------
    model : type of Settings
        Its fields become rows, in order.
    leave_out : sequence of str
        Fields without a row; give their values to `settings`.
    starts : mapping of str to object
        What an optional field shows first once it is ticked.
    """

    #: a person changed any value
    changed = Signal()

    def __init__(
        self, model: type[Settings], *, leave_out: Sequence[str] = (), starts: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.model = model
        self._rows: dict[str, _Row] = {}
        self._followers: list[Callable[[], object]] = []
        layout = form_layout(self)
        for name, field in model.model_fields.items():
            if name not in leave_out:
                row = self._rows[name] = self._make_row(name, make_editor(field, (starts or {}).get(name)))
                if _is_wide(row.editor):
                    layout.addRow(row.label)
                    layout.addRow(row.column)
                else:
                    layout.addRow(row.label, row.column)
        guard_wheel(self)

    def _make_row(self, name: str, editor: BaseValueWidget[Any]) -> _Row:
        field = self.model.model_fields[name]
        title = field.title or name
        unit = field.json_schema_extra.get("unit") if isinstance(field.json_schema_extra, dict) else ""
        tooltip = f"{field.description or ''}{f' Unit: {unit}.' if unit else ''}".strip()
        label, error, column = QLabel(title), _Sentence(), QWidget()
        for line in (label, error):
            line.setTextFormat(Qt.TextFormat.PlainText)
        error.setObjectName("blochnetError")
        error.hide()
        filled(QVBoxLayout(column), editor.native, error, spacing=1)
        label.setToolTip(tooltip)
        # what has a panel of its own says itself what its parts are
        parts = [] if _is_wide(editor) else editor.native.findChildren(QWidget)
        for control in (editor.native, *parts):
            control.setToolTip(tooltip)
            control.setAccessibleName(title)
            if isinstance(control, (QAbstractSpinBox, QComboBox)):
                control.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        if isinstance(editor, PathEdit):
            editor.browse.native.setAccessibleName(f"Browse for {title}")
            editor.browse.tooltip = f"Choose a file: {tooltip}"
            editor.line.tooltip = f"{tooltip} Type a path, or drop a file here."
        editor.value = field.get_default()
        editor.changed.connect(self._on_changed)
        return _Row(label, editor, error, column)

    def _on_changed(self) -> None:
        self.clear_errors()
        self.changed.emit()

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields with a row."""
        return tuple(self._rows)

    def editor(self, field: str) -> BaseValueWidget[Any]:
        """Return the control of one field."""
        return self._rows[field].editor

    def row(self, field: str) -> QWidget:
        """Return the control of one field, with the sentence below it."""
        return self._rows[field.split(".")[0]].column

    def set_row_visible(self, field: str, visible: bool) -> None:
        """Show or hide one field's row."""
        self._rows[field].label.setVisible(visible)
        self._rows[field].column.setVisible(visible)

    def values(self) -> dict[str, Any]:
        """Return what the form shows, not validated."""
        return {name: row.editor.value for name, row in self._rows.items()}

    def settings(self, **fixed: Any) -> Any:
        """Return the validated settings, of the form's model.

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

    def follow(self, slot: Callable[[], object]) -> None:
        """Call a function at every change of a value, whoever makes it."""
        self._followers.append(slot)
        for row in self._rows.values():
            row.editor.changed.connect(slot, max_args=0)

    def set_in_words(self) -> list[str]:
        """Return what differs from the defaults, such as "Saturation 250", of rows that are not shown elsewhere."""
        return [
            _in_words(self.model.model_fields[name], row.editor.value)
            for name, row in self._rows.items()
            if not row.column.isHidden() and row.editor.value != self.model.model_fields[name].get_default()
        ]

    def forget_data(self, values: Mapping[str, Any] | None = None) -> None:
        """Let the fields that belong to one data set be at their defaults again.

        Parameters
        ----------
        values : mapping of str to object, optional
            What they held for that data set: a field that holds something else by now is meant for the next.
        """
        for name in self.model.fields_of_data():
            if name in self._rows and (values is None or values.get(name) == self._rows[name].editor.value):
                self._rows[name].editor.value = self.model.model_fields[name].get_default()
        self._tell_followers()

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show other values; fields without a row are passed over."""
        for name, value in values.items():
            if name in self._rows:
                self._rows[name].editor.value = value
        self._tell_followers()

    def _tell_followers(self) -> None:
        # lines of text tell of what is typed alone
        for follower in self._followers:
            follower()

    def show_error(self, field: str | None, sentence: str, *, is_question: bool = False) -> bool:
        """Write a sentence beside the field; False where the form has no such field.

        Parameters
        ----------
        field : str or None
        sentence : str
        is_question : bool
            Whether leaving the field as it is may be right: in the colour of warnings, and none of `errors`.
        """
        row = self._rows.get((field or "").split(".")[0])
        if row is not None:
            row.error.call("blochnetWarning" if is_question else "blochnetError")
            row.error.setText(in_plain_words(sentence))
            row.error.show()
        return row is not None

    def errors(self) -> dict[str, str]:
        """Return the sentences that stand beside fields."""
        return {
            name: row.error.text()
            for name, row in self._rows.items()
            if not row.error.isHidden() and row.error.objectName() == "blochnetError"
        }

    def clear_errors(self) -> None:
        """Take all sentences away."""
        for row in self._rows.values():
            row.error.hide()


def _is_wide(editor: BaseValueWidget[Any]) -> bool:
    """Whether a control is as wide as the form, below its title."""
    return bool(getattr(editor, "is_wide", False))


def _in_words(field: FieldInfo, value: Any) -> str:
    """Return a field's title and value with its unit."""
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    title, unit = field.title or "", str(extra.get("unit", ""))
    if isinstance(value, bool):
        return title if value else f"no {title}"
    if value is None:
        return f"no {title}"
    if isinstance(value, tuple) and all(isinstance(part, str) for part in value):
        return f"{len(value)} {title}"
    if isinstance(value, tuple):
        text = (" to " if len(value) == 2 else " × ").join(f"{part:g}" for part in value)
    else:
        text = f"{value:g}" if isinstance(value, float) else Path(value).name if "files" in extra else str(value)
    return f"{title} {text}{unit if unit in ('', '°') else f' {unit}'}"
