"""One field's control: magicgui's, by the field's annotation, and own ones where magicgui's would take something away.

Its number boxes show no unit and fixed decimals, and refuse what lies outside of their bounds; its text line tells of
every keystroke; it does not know ``X | None``. Each control is a magicgui widget: `value`, `changed`, `native`.
"""

from __future__ import annotations

import types
import typing
from typing import Any, Literal, cast

from magicgui.widgets import CheckBox, ComboBox, TupleEdit, create_widget
from magicgui.widgets.bases import BaseValueWidget, ValuedContainerWidget
from pydantic.fields import FieldInfo
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractSpinBox, QLabel

from napari_blochnet.napari_ui.forms.number_boxes import Number
from napari_blochnet.napari_ui.forms.preparation_rows import PreparationsEdit
from napari_blochnet.napari_ui.forms.text_lines import PathEdit, TextLine
from napari_blochnet.napari_ui.forms.trains_edit import TrainsEdit

__all__ = ["BlankChoice", "OptionalEdit", "make_editor"]

# A field's bounds, as a box takes them: what is wrong with the very bound is said by the model.
_BOUNDS = {"ge": "min", "gt": "min", "le": "max", "lt": "max"}


class Numbers(TupleEdit):
    """Several numbers side by side (ranges, sizes); the unit stands once, behind the last."""

    def __init__(self, *, unit: str = "", **more: Any) -> None:
        more.pop("widget_type", None)
        super().__init__(options={"widget_type": Number}, **more)
        self.native.layout().setSpacing(4)
        for number in self:
            # side by side there is room for the digits or for the arrows
            number.native.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
            # napari's style makes each as wide as one that stands alone; three are wider than a panel
            number.native.setStyleSheet("min-width: 36px;")
        if unit:
            shown = QLabel(unit)
            shown.setTextFormat(Qt.TextFormat.PlainText)
            self.native.layout().addWidget(shown)


class BlankChoice(ComboBox):
    """One of several, or none of them, for which `null_string` stands."""

    null_string = "automatic"


class OptionalEdit(ValuedContainerWidget[Any]):
    """A value that may be left out: a tick box in front of its control.

    Parameters
    ----------
    inner : BaseValueWidget
        The control.
    start : object
        What it shows first once it is ticked.
    """

    def __init__(self, inner: BaseValueWidget[Any], start: Any) -> None:
        self.inner, self.tick = inner, CheckBox()
        super().__init__(widgets=[self.tick, inner], layout="horizontal", labels=False, nullable=True)
        self.margins = (0, 0, 0, 0)
        self.native.layout().setSpacing(4)
        self.native.layout().setStretch(1, 1)
        inner.enabled = False
        if start is not None:
            inner.value = start
        self.tick.changed.connect(self._on_tick)
        inner.changed.connect(self._tell)

    def _on_tick(self, is_on: bool) -> None:
        self.inner.enabled = is_on
        self._tell()

    def _tell(self) -> None:
        self.changed.emit(self.value)

    def get_value(self) -> Any:
        return self.inner.value if self.tick.value else None

    def set_value(self, value: Any) -> None:
        if value is not None:
            self.inner.value = value
        self.tick.value = value is not None


_EDITORS: dict[Any, Any] = {int: Number, float: Number, str: TextLine, tuple: Numbers}


def make_editor(field: FieldInfo, start: Any = None) -> BaseValueWidget[Any]:
    """Return the control of a field: by its annotation, with the bounds and the unit that the model states.

    Parameters
    ----------
    field : FieldInfo
    start : object
        What a value that may be left out shows first once it is ticked.
    """
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    kinds = typing.get_args(field.annotation) if _is_union(field.annotation) else (field.annotation,)
    kind = next(kind for kind in kinds if kind is not type(None))
    is_optional = type(None) in kinds
    if "files" in extra:
        return PathEdit(str(extra["files"]), optional=is_optional)
    if kind == tuple[str, ...]:
        return PreparationsEdit(nullable=is_optional)
    if int in kinds and Literal["steady"] in kinds:
        return TrainsEdit(nullable=is_optional)
    origin: Any = typing.get_origin(kind) or kind
    options: dict[str, Any]
    if origin is Literal:
        options = {"choices": typing.get_args(kind), "nullable": is_optional}
        made = _made(kind, BlankChoice if is_optional else None, options)
        if isinstance(made, BlankChoice) and "blank" in extra:
            made.null_string = str(extra["blank"])
            made.reset_choices()
        return made
    options = {
        name: getattr(bound, key) for bound in field.metadata for key, name in _BOUNDS.items() if hasattr(bound, key)
    }
    if origin in (int, float, tuple):
        options["unit"] = str(extra.get("unit", ""))
    inner = _made(kind, _EDITORS.get(origin), options)
    return OptionalEdit(inner, start) if is_optional else inner


def _made(annotation: Any, kind: Any, options: dict[str, Any]) -> BaseValueWidget[Any]:
    return cast("BaseValueWidget[Any]", create_widget(annotation=annotation, widget_type=kind, options=options))


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)
