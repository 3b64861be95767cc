"""Boxes for numbers, which show their unit and what people write."""

from __future__ import annotations

from typing import Any

from magicgui.backends._qtpy.widgets import QBaseRangedWidget
from magicgui.widgets.bases import RangedWidget
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QDoubleSpinBox, QSpinBox

__all__ = ["Number"]


class _FloatBox(QDoubleSpinBox):
    """A number written as people write it: 10, 0.02, 1e-6."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.setDecimals(12)

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


class _NumberBackend(QBaseRangedWidget):
    def __init__(self, whole: bool, **more: Any) -> None:
        super().__init__(QSpinBox if whole else _FloatBox, **more)


class Number(RangedWidget[float]):
    """A whole or real number with its unit; what is outside of the bounds becomes the bound."""

    def __init__(self, *, annotation: type, unit: str = "", **more: Any) -> None:
        whole = annotation is int
        largest = 2**31 - 1 if whole else 1e12
        bounds = {name: annotation(more.pop(name, limit)) for name, limit in (("min", -largest), ("max", largest))}
        more |= {"widget_type": _NumberBackend, "backend_kwargs": {"whole": whole}, "step": 1 if whole else None}
        super().__init__(annotation=annotation, **bounds, **more)
        box = self.native
        box.setSuffix(f" {unit}" if unit and unit != "°" else unit)
        box.setKeyboardTracking(False)
        box.setMinimumWidth(48)

    def get_value(self) -> float:
        self.native.interpretText()
        return super().get_value()

    def set_value(self, value: float) -> None:
        self.native.setValue(value)
