"""The preparations of a schedule as cards: what each is, before which pulses, and its numbers."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from magicgui.backends._qtpy.widgets import QBaseWidget
from magicgui.widgets.bases import ValueWidget
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_blochnet.common.errors import InputError
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.forms.number_boxes import Number
from napari_blochnet.napari_ui.forms.wheel import guard_wheel
from napari_blochnet.schedules.preparations import Preparation, PreparationKind

__all__ = ["PreparationsEdit"]

_TIP_TE = "Echo time of the T2 preparation: magnetisation decays with T2 for this long."
_TIP_THEN = "From its end to what follows, the next preparation or the pulse: free relaxation."
_TIP_ETA = "0 to 1; an inversion turns Z into minus this, a saturation leaves 1 minus this of Z."
_TIP_B1 = "The transmit field scales its flip angles; untick for adiabatic pulses, which it does not reach."
_TIP_BEFORE = "Before which pulse, counted from 1; several with commas: 1, 49, 97. Before pulse 1: ahead of each train."
# What is asked of each kind, in the order of its card.
_ASKED: dict[PreparationKind, tuple[str, ...]] = {
    "inversion": ("delay", "efficiency"),
    "saturation": ("delay", "efficiency", "b1"),
    "t2": ("duration", "delay", "efficiency", "b1"),
    "delay": ("delay",),
}
_LABELS = {"duration": ("TE", _TIP_TE), "delay": ("then", _TIP_THEN), "efficiency": ("efficiency", _TIP_ETA)}
_STARTS = {
    "inversion": Preparation(0, "inversion", delay=20.0),
    "saturation": Preparation(0, "saturation"),
    "t2": Preparation(0, "t2", duration=50.0),
    "delay": Preparation(0, "delay", delay=100.0),
}
# A T2 preparation without an echo time is none, ms.
_SHORTEST = 1e-3


class _Card(QFrame):
    """One preparation, before one pulse or several."""

    changed = Signal()
    removed = Signal()

    def __init__(self, first: Preparation, before: str) -> None:
        super().__init__()
        self.setObjectName("blochnetCard")
        self._first = first
        title = QLabel(f"{first.what[:1].upper()}{first.what[1:]}")
        title.setObjectName("blochnetHeading")
        self.before = QLineEdit(before)
        self.before.setToolTip(_TIP_BEFORE)
        self.before.setAccessibleName(f"Pulses before which the {first.what} is played")
        self.before.editingFinished.connect(self.changed)
        self.remove = QToolButton()
        self.remove.setText("✕")
        self.remove.setToolTip(f"Take this {first.what} away.")
        self.remove.setAccessibleName(self.remove.toolTip())
        self.remove.clicked.connect(self.removed)
        self.numbers: dict[str, Number] = {}
        self._shown: dict[str, float] = {}
        times, rest = QHBoxLayout(), QHBoxLayout()
        for key in ("duration", "delay", "efficiency"):
            if key in _ASKED[first.kind]:
                self._add_number(key, rest if key == "efficiency" and "b1" in _ASKED[first.kind] else times)
        self.b1 = QCheckBox("scaled by B1")
        self.b1.setToolTip(_TIP_B1)
        self.b1.setChecked(not first.adiabatic)
        self.b1.toggled.connect(self.changed)
        self.b1.setVisible("b1" in _ASKED[first.kind])
        filled(rest, self.b1, spacing=6)
        where = QLabel("before pulse")
        top = filled(QHBoxLayout(), title, where, self.before, self.remove, spacing=6)
        top.setStretch(2, 1)
        filled(QVBoxLayout(self), top, times, *([rest] if "b1" in _ASKED[first.kind] else []), spacing=3)
        self.layout().setContentsMargins(8, 4, 6, 6)  # type: ignore[union-attr]
        for label in self.findChildren(QLabel):
            label.setTextFormat(Qt.TextFormat.PlainText)
        guard_wheel(self)

    def _add_number(self, key: str, row: QHBoxLayout) -> None:
        name, tip = _LABELS[key]
        if key == "delay":
            name = {"inversion": "TI", "delay": "of"}.get(self._first.kind, name)
        number = Number(annotation=float, unit="" if key == "efficiency" else "ms", min=0.0,
                        **({"max": 1.0} if key == "efficiency" else {}))  # fmt: skip
        number.value = getattr(self._first, key)
        number.changed.connect(lambda _: self.changed.emit())
        number.native.setToolTip(tip)
        number.native.setAccessibleName(f"{name} of the {self._first.what}")
        label = QLabel(name)
        label.setToolTip(tip)
        self.numbers[key], self._shown[key] = number, float(number.value)
        row.addWidget(label)
        row.addWidget(number.native, 1)

    def texts(self) -> list[str]:
        """Return the preparation before each of its pulses, in words; what is typed for a pulse stays as it is."""
        # a box shows ten digits; what nobody has changed has all of them
        values: dict[str, Any] = {
            key: getattr(self._first, key) if number.value == self._shown[key] else float(number.value)
            for key, number in self.numbers.items()
        }
        if "duration" in values:
            values["duration"] = max(values["duration"], _SHORTEST)
        adiabatic = not self.b1.isChecked() if "b1" in _ASKED[self._first.kind] else self._first.adiabatic
        made = Preparation(0, self._first.kind, adiabatic=adiabatic, name=self._first.name, **values)
        words = made.describe()
        if Preparation.from_text(words) != made:
            words = made.describe(exact=True)
        head, _, tail = words.partition("before pulse 1")
        return [f"{head}before pulse {part.strip()}{tail}" for part in self.before.text().split(",")]


class _Cards(QWidget):
    """Cards one below the other, and a button that adds one."""

    changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.cards: list[_Card] = []
        self._list = filled(QVBoxLayout(), spacing=4)
        self.add = QPushButton("Add…")
        self.add.setToolTip("Play an inversion, a saturation, a T2 preparation or a delay before a pulse.")
        self.add.setAccessibleName("Add a preparation")
        menu = QMenu(self.add)
        for kind, start in _STARTS.items():
            menu.addAction(f"{start.what[:1].upper()}{start.what[1:]}", functools.partial(self._on_add, kind))
        self.add.setMenu(menu)
        filled(QVBoxLayout(self), self._list, filled(QHBoxLayout(), self.add, 1), spacing=4)

    def _on_add(self, kind: str) -> None:
        card = self._put(_STARTS[kind], "1")
        card.before.setFocus()
        card.before.selectAll()
        self._tell()

    def _put(self, first: Preparation, before: str) -> _Card:
        card = _Card(first, before)
        card.changed.connect(self._tell)
        card.removed.connect(functools.partial(self._drop, card))
        self.cards.append(card)
        self._list.addWidget(card)
        return card

    def _drop(self, card: _Card) -> None:
        self._take(card)
        self._tell()

    def _take(self, card: _Card) -> None:
        self.cards.remove(card)
        card.hide()
        self._list.removeWidget(card)
        card.deleteLater()

    def _tell(self) -> None:
        self.changed.emit(self.texts())

    def texts(self) -> tuple[str, ...]:
        return tuple(text for card in self.cards for text in card.texts())

    def show_texts(self, texts: Iterable[str] | None) -> None:
        if self.texts() == tuple(texts or ()):
            return
        for card in list(self.cards):
            self._take(card)
        for first, before in _grouped(texts or ()):
            self._put(first, ", ".join(str(each + 1) for each in before))
        self._tell()


def _grouped(texts: Iterable[str]) -> list[tuple[Preparation, list[int]]]:
    """Return preparations that differ in their pulses alone as one, where all are played in the same order then."""
    read: list[Preparation] = []
    for text in texts:
        try:
            read.append(Preparation.from_text(text))
        except InputError:
            continue
    groups: list[tuple[Preparation, list[int]]] = []
    for each in read:
        known = next((found for found in groups if replace(found[0], before=each.before) == each), None)
        if known is None:
            groups.append((each, [each.before]))
        else:
            known[1].append(each.before)
    flat = [replace(first, before=place) for first, places in groups for place in places]
    is_same = sorted(flat, key=lambda each: each.before) == sorted(read, key=lambda each: each.before)
    return groups if is_same else [(each, [each.before]) for each in read]


class _CardsBackend(QBaseWidget):
    _qwidget: _Cards

    def __init__(self, **more: Any) -> None:
        super().__init__(_Cards, **more)

    def _mgui_get_value(self) -> tuple[str, ...]:
        return self._qwidget.texts()

    def _mgui_set_value(self, value: Iterable[str] | None) -> None:
        self._qwidget.show_texts(value)

    def _mgui_bind_change_callback(self, callback: Any) -> None:
        self._qwidget.changed.connect(callback)


class PreparationsEdit(ValueWidget[Any]):
    """Preparations in words, each as a card.

    Parameters
    ----------
    nullable : bool
        Whether none of them is None: what a file says.
    """

    is_wide = True

    def __init__(self, *, nullable: bool = False, **more: Any) -> None:
        self._none: tuple[str, ...] | None = None if nullable else ()
        more.pop("widget_type", None)
        super().__init__(widget_type=_CardsBackend, nullable=nullable, **more)

    def get_value(self) -> Any:
        return self.native.texts() or self._none

    def _on_value_change(self, value: Any = None) -> None:
        self.changed.emit(self.value)
