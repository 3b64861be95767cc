"""How many trains are played: one, several, or until they repeat themselves."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox
from magicgui.widgets.bases import ValuedContainerWidget

from napari_blochnet.napari_ui.forms.number_boxes import Number

__all__ = ["TrainsEdit"]

_UNSAID, _ONE, _SEVERAL, _STEADY = "as the file says", "one", "several:", "to the steady state"
# What stands there once several are chosen.
_FIRST = 2


class TrainsEdit(ValuedContainerWidget[Any]):
    """A number of trains, or "steady".

    Parameters
    ----------
    nullable : bool
        Whether it may be left to a file: None.
    """

    def __init__(self, *, nullable: bool = False, **more: Any) -> None:
        self.choice = ComboBox(choices=[_UNSAID] * nullable + [_ONE, _SEVERAL, _STEADY])
        self.number = Number(annotation=int, min=_FIRST, value=_FIRST)
        super().__init__(widgets=[self.choice, self.number], layout="horizontal", labels=False, nullable=nullable)
        self.margins = (0, 0, 0, 0)
        self.native.layout().setSpacing(4)
        self.native.layout().setStretch(0, 1)
        self.number.native.setVisible(False)
        self.choice.changed.connect(self._on_choice)
        self.number.changed.connect(self._tell)

    def _on_choice(self, chosen: str) -> None:
        self.number.native.setVisible(chosen == _SEVERAL)
        self._tell()

    def _tell(self) -> None:
        self.changed.emit(self.value)

    def get_value(self) -> Any:
        chosen = self.choice.value
        if chosen == _SEVERAL:
            return int(self.number.value)
        return {_UNSAID: None, _ONE: 1, _STEADY: "steady"}[chosen]

    def set_value(self, value: Any) -> None:
        if isinstance(value, int) and value >= _FIRST:
            self.number.value = value
            self.choice.value = _SEVERAL
        else:
            self.choice.value = {None: _UNSAID, "steady": _STEADY}.get(value, _ONE)
