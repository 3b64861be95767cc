"""Forms made from settings models: what the core says of a field is what a person sees of it.

Titles, descriptions, units and bounds come from the model alone, and reading a form gives the model back, validated
by the core; a panel adds no rule of its own.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import annotated_types
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_blochnet.errors import InputError
from napari_blochnet.jobs.settings import Settings, settings_from

__all__ = ["PathEditor", "SettingsForm"]

_LARGE = 2**31 - 1


class _ScrollGuard(QObject):
    """Keeps the wheel for scrolling the panel: it changes a value only where the person is typing."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        if event is not None and event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False


class _FloatBox(QDoubleSpinBox):
    """A number written as people write it: 10, 0.02, 1e-6."""

    def __init__(self) -> None:
        super().__init__()
        self.setDecimals(12)
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)

    def textFromValue(self, value: float) -> str:  # noqa: N802
        return f"{value:.10g}"

    def valueFromText(self, text: str | None) -> float:  # noqa: N802
        return float(self._number(text or ""))

    def validate(self, text: str | None, position: int) -> tuple[QValidator.State, str, int]:
        number = self._number(text or "")
        try:
            value = float(number)
        except ValueError:
            partly = number == "" or set(number) <= set("0123456789.eE+-")
            return (QValidator.State.Intermediate if partly else QValidator.State.Invalid), text or "", position
        inside = self.minimum() <= value <= self.maximum()
        return (QValidator.State.Acceptable if inside else QValidator.State.Intermediate), text or "", position

    def _number(self, text: str) -> str:
        return text.removesuffix(self.suffix()).strip().replace(",", ".")


class _Editor(QWidget):
    """One field's control; `value` and `set_value` speak the model's types."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(0, 0, 0, 0)
        self.row.setSpacing(4)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def value(self) -> Any:
        """Return what the person chose."""
        raise NotImplementedError

    def set_value(self, value: Any) -> None:
        """Show a value."""
        raise NotImplementedError


class _NumberEditor(_Editor):
    def __init__(self, kind: type, unit: str, bounds: Iterable[Any], guard: QObject) -> None:
        super().__init__()
        self.box: QSpinBox | _FloatBox = QSpinBox() if kind is int else _FloatBox()
        low: float = -_LARGE if kind is int else -1e12
        high: float = _LARGE if kind is int else 1e12
        for bound in bounds:
            if isinstance(bound, (annotated_types.Ge, annotated_types.Gt)):
                low = bound.ge if isinstance(bound, annotated_types.Ge) else bound.gt  # type: ignore[assignment]
            elif isinstance(bound, (annotated_types.Le, annotated_types.Lt)):
                high = bound.le if isinstance(bound, annotated_types.Le) else bound.lt  # type: ignore[assignment]
        self.box.setRange(kind(low), kind(high))
        self.box.setSuffix(f" {unit}" if unit and unit != "°" else unit)
        self.box.setKeyboardTracking(False)
        self.box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.box.setMinimumWidth(48)
        self.box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.box.installEventFilter(guard)
        self.box.valueChanged.connect(self.changed)
        self.row.addWidget(self.box)

    def value(self) -> float | int:
        self.box.interpretText()
        return self.box.value()

    def set_value(self, value: Any) -> None:
        self.box.setValue(value)


class _ChoiceEditor(_Editor):
    def __init__(self, values: Sequence[Any], guard: QObject, blank: str | None = None) -> None:
        super().__init__()
        self.box = QComboBox()
        if blank is not None:
            self.box.addItem(blank, None)
        for value in values:
            self.box.addItem(str(value), value)
        self.box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.box.installEventFilter(guard)
        self.box.currentIndexChanged.connect(self.changed)
        self.row.addWidget(self.box)

    def value(self) -> Any:
        return self.box.currentData()

    def set_value(self, value: Any) -> None:
        self.box.setCurrentIndex(max(0, self.box.findData(value)))


class _SwitchEditor(_Editor):
    def __init__(self) -> None:
        super().__init__()
        self.box = QCheckBox()
        self.box.toggled.connect(self.changed)
        self.row.addWidget(self.box)

    def value(self) -> bool:
        return self.box.isChecked()

    def set_value(self, value: Any) -> None:
        self.box.setChecked(bool(value))


class _TextEditor(_Editor):
    def __init__(self) -> None:
        super().__init__()
        self.box = QLineEdit()
        self.box.editingFinished.connect(self.changed)
        self.row.addWidget(self.box)

    def value(self) -> str:
        return self.box.text().strip()

    def set_value(self, value: Any) -> None:
        self.box.setText(str(value))


class _PathLine(QLineEdit):
    """A line into which a file may be dropped; others are left to the viewer, which opens what is dropped on it."""

    dropped = Signal(str)

    def _file(self, event: Any) -> str:
        urls = event.mimeData().urls() if event.mimeData().hasUrls() else []
        return urls[0].toLocalFile() if len(urls) == 1 and urls[0].isLocalFile() else ""

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802
        self._accept(event, super().dragEnterEvent)

    def dragMoveEvent(self, event: Any) -> None:  # noqa: N802
        self._accept(event, super().dragMoveEvent)

    def _accept(self, event: Any, otherwise: Callable[[Any], None]) -> None:
        event.acceptProposedAction() if self._file(event) else otherwise(event)

    def dropEvent(self, event: Any) -> None:  # noqa: N802
        file = self._file(event)
        if not file:
            super().dropEvent(event)
            return
        event.acceptProposedAction()
        self.dropped.emit(file)


class PathEditor(_Editor):
    """What may be a file: typed, chosen in a dialog, or dropped.

    Parameters
    ----------
    files : str
        Endings, as a file dialog takes them.
    optional : bool
        Whether an empty line means None.
    """

    def __init__(self, files: str, *, optional: bool) -> None:
        super().__init__()
        self._files, self._optional = files, optional
        self.box = _PathLine()
        self.box.setPlaceholderText("none" if optional else "")
        self.browse = QPushButton("Browse…")
        self.row.addWidget(self.box, 1)
        self.row.addWidget(self.browse)
        self.box.editingFinished.connect(self.changed)
        self.box.dropped.connect(self._take)
        self.browse.clicked.connect(self._ask)

    def _ask(self) -> None:
        # what stands there may be the name of a table, which no dialog starts at
        here = self.box.text().strip()
        name, _ = QFileDialog.getOpenFileName(self, "Choose a file", here if Path(here).exists() else "", self._files)
        if name:
            self._take(name)

    def _take(self, name: str) -> None:
        self.set_value(name)
        self.changed.emit()

    def value(self) -> str | None:
        return self.box.text().strip() or (None if self._optional else "")

    def set_value(self, value: Any) -> None:
        self.box.setText("" if value is None else str(value))


class _RowEditor(_Editor):
    """Several numbers side by side (ranges, sizes); the unit stands once, behind the last."""

    def __init__(self, editors: Sequence[_Editor], unit: str) -> None:
        super().__init__()
        self.editors = editors
        for editor in editors:
            editor.changed.connect(self.changed)
            if isinstance(editor, _NumberEditor):
                # side by side there is room for the digits or for the arrows
                editor.box.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
                # napari's style makes each as wide as one that stands alone; three are wider than a panel
                editor.box.setStyleSheet("min-width: 36px;")
            self.row.addWidget(editor)
        if unit:
            self.row.addWidget(QLabel(unit))

    def value(self) -> tuple[Any, ...]:
        return tuple(editor.value() for editor in self.editors)

    def set_value(self, value: Any) -> None:
        for editor, part in zip(self.editors, value, strict=True):
            editor.set_value(part)


class _OptionalEditor(_Editor):
    """A value that may be left out: a tick box in front of it."""

    def __init__(self, inner: _Editor, start: Any) -> None:
        super().__init__()
        self.inner = inner
        self.box = QCheckBox()
        self.row.addWidget(self.box)
        self.row.addWidget(inner, 1)
        inner.setEnabled(False)
        if start is not None:
            inner.set_value(start)
        self.box.toggled.connect(inner.setEnabled)
        self.box.toggled.connect(self.changed)
        inner.changed.connect(self.changed)

    def value(self) -> Any:
        return self.inner.value() if self.box.isChecked() else None

    def set_value(self, value: Any) -> None:
        if value is not None:
            self.inner.set_value(value)
        self.box.setChecked(value is not None)


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
        self._guard = _ScrollGuard(self)
        self._editors: dict[str, _Editor] = {}
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
            editor: _Editor
            if "files" in extra and offered is None:
                optional = type(None) in typing.get_args(field.annotation)
                editor = PathEditor(str(extra["files"]), optional=optional)
            else:
                editor = _make_editor(name, field.annotation, unit, field.metadata, self._guard, offered, starts or {})
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

    def editor(self, field: str) -> _Editor:
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


def _make_editor(
    name: str,
    annotation: Any,
    unit: str,
    bounds: Iterable[Any],
    guard: QObject,
    choices: Sequence[str] | None,
    starts: Mapping[str, Any],
) -> _Editor:
    """Return the control for a field's type."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _make_editor(name, arguments[0], unit, [*bounds, *arguments[1:]], guard, choices, starts)
    if choices is not None:
        return _ChoiceEditor(choices, guard)
    if origin in (typing.Union, types.UnionType):
        inner = next(argument for argument in arguments if argument is not type(None))
        # what belongs to the union's branches is bounded on the field as a whole
        if typing.get_origin(inner) is Literal:
            return _ChoiceEditor(typing.get_args(inner), guard, blank="automatic")
        return _OptionalEditor(
            _make_editor(name, inner, unit, _bounds_of(bounds), guard, None, starts), starts.get(name)
        )
    if origin is Literal:
        return _ChoiceEditor(arguments, guard)
    if origin is tuple:
        parts = [_make_editor(name, argument, "", bounds, guard, None, {}) for argument in arguments]
        return _RowEditor(parts, unit)
    makers: dict[Any, Callable[[], _Editor]] = {
        bool: _SwitchEditor,
        int: lambda: _NumberEditor(int, unit, bounds, guard),
        float: lambda: _NumberEditor(float, unit, bounds, guard),
        str: _TextEditor,
    }
    return makers[annotation]()


def _bounds_of(metadata: Iterable[Any]) -> list[Any]:
    return list(metadata)
