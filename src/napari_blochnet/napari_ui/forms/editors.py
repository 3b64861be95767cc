"""Controls for the values of settings: numbers, choices, switches, texts, files, several of them, none of them."""

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
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

__all__ = ["Editor", "PathEditor", "ScrollGuard", "make_editor"]

_LARGE = 2**31 - 1


class ScrollGuard(QObject):
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


class Editor(QWidget):
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


class _NumberEditor(Editor):
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


class _ChoiceEditor(Editor):
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


class _SwitchEditor(Editor):
    def __init__(self) -> None:
        super().__init__()
        self.box = QCheckBox()
        self.box.toggled.connect(self.changed)
        self.row.addWidget(self.box)

    def value(self) -> bool:
        return self.box.isChecked()

    def set_value(self, value: Any) -> None:
        self.box.setChecked(bool(value))


class _TextEditor(Editor):
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


class PathEditor(Editor):
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


class _RowEditor(Editor):
    """Several numbers side by side (ranges, sizes); the unit stands once, behind the last."""

    def __init__(self, editors: Sequence[Editor], unit: str) -> None:
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


class _OptionalEditor(Editor):
    """A value that may be left out: a tick box in front of it."""

    def __init__(self, inner: Editor, start: Any) -> None:
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


def make_editor(
    name: str,
    annotation: Any,
    unit: str,
    bounds: Iterable[Any],
    guard: QObject,
    choices: Sequence[str] | None,
    starts: Mapping[str, Any],
) -> Editor:
    """Return the control for a field's type."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return make_editor(name, arguments[0], unit, [*bounds, *arguments[1:]], guard, choices, starts)
    if choices is not None:
        return _ChoiceEditor(choices, guard)
    if origin in (typing.Union, types.UnionType):
        inner = next(argument for argument in arguments if argument is not type(None))
        # what belongs to the union's branches is bounded on the field as a whole
        if typing.get_origin(inner) is Literal:
            return _ChoiceEditor(typing.get_args(inner), guard, blank="automatic")
        return _OptionalEditor(
            make_editor(name, inner, unit, _bounds_of(bounds), guard, None, starts), starts.get(name)
        )
    if origin is Literal:
        return _ChoiceEditor(arguments, guard)
    if origin is tuple:
        parts = [make_editor(name, argument, "", bounds, guard, None, {}) for argument in arguments]
        return _RowEditor(parts, unit)
    makers: dict[Any, Callable[[], Editor]] = {
        bool: _SwitchEditor,
        int: lambda: _NumberEditor(int, unit, bounds, guard),
        float: lambda: _NumberEditor(float, unit, bounds, guard),
        str: _TextEditor,
    }
    return makers[annotation]()


def _bounds_of(metadata: Iterable[Any]) -> list[Any]:
    return list(metadata)
