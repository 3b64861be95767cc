"""The choice of estimators: those that can map the stack, to tick; the others grey, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QCheckBox, QGridLayout, QSizePolicy, QStyle, QStyleOptionButton

from napari_blochnet.estimators.offers import Offer
from napari_blochnet.napari_ui.widgets.choices import TickList

__all__ = ["EstimatorChoice"]

# Names longer than this take a row of their own, below the others.
_LONG = 18
_CONTENTS = QStyle.SubElement.SE_CheckBoxContents


class _NameBox(QCheckBox):
    """A tick box whose text gives way in its middle: names of trained models differ at both ends."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._name = name
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        super().resizeEvent(event)
        option = QStyleOptionButton()
        self.initStyleOption(option)
        style = self.style()
        inside = option.rect if style is None else style.subElementRect(_CONTENTS, option, self)
        self.setText(self.fontMetrics().elidedText(self._name, Qt.TextElideMode.ElideMiddle, max(40, inside.width())))


class EstimatorChoice(TickList):
    """Tick boxes, one for each estimator: those that fit the data first, long names of each kind after the short ones.

    Ticks are remembered by name while offers come and go.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip("What turns fingerprints into T1 and T2; several are run one after the other.")
        # both map any schedule, and one beside the other says what either is worth
        self._ticked = {"dictionary", "universal"}
        self._offers: tuple[Offer, ...] = ()
        self._layout = QGridLayout(self)
        self._layout.setContentsMargins(8, 4, 8, 4)
        self._layout.setHorizontalSpacing(12)
        self._layout.setVerticalSpacing(1)
        self._layout.setColumnStretch(0, 1)
        self._layout.setColumnStretch(1, 1)

    def set_offers(self, offers: Sequence[Offer]) -> None:
        """Offer other estimators."""
        if tuple(offers) == self._offers:
            return
        before = self.chosen
        self._offers = tuple(offers)
        self._clear()
        row, column, was_refused = 0, 0, False
        # what can map these data; of either, two columns of short names and then a row for each long one
        ordered = sorted(self._offers, key=lambda offer: (offer.refusal is not None, len(offer.name) > _LONG))
        for offer in ordered:
            box = _NameBox(offer.name)
            box.setAccessibleName(f"Estimator {offer.name}")
            box.setEnabled(offer.refusal is None)
            box.setChecked(offer.refusal is None and offer.name in self._ticked)
            box.setToolTip(_rich(offer))
            box.toggled.connect(self._on_toggled)
            wide, refused = len(offer.name) > _LONG, offer.refusal is not None
            # those that fit end their row
            if column and (wide or refused != was_refused):
                row, column = row + 1, 0
            was_refused = refused
            self._layout.addWidget(box, row, column, 1, 2 if wide else 1)
            row, column = (row, 1) if not wide and column == 0 else (row + 1, 0)
            if self._boxes:
                self.setTabOrder(self._boxes[-1][0], box)
            self._boxes.append((box, offer.name))
        if self.chosen != before:
            self.changed.emit()

    def _on_toggled(self) -> None:
        for box, name in self._boxes:
            if box.isEnabled():
                (self._ticked.add if box.isChecked() else self._ticked.discard)(name)
        self.changed.emit()

    @property
    def ticked(self) -> list[str]:
        """What the person ticked, also what cannot map this stack."""
        return sorted(self._ticked)

    def tick(self, names: Sequence[str]) -> None:
        """Tick these, and no others; those that are not offered yet are ticked once they are."""
        self._ticked = set(names)
        for box, name in self._boxes:
            # a box that is told would tell what the others still show
            blocker = QSignalBlocker(box)
            box.setChecked(box.isEnabled() and name in self._ticked)
            blocker.unblock()
        self.changed.emit()


def _rich(offer: Offer) -> str:
    """Return a tooltip that Qt wraps."""
    # models of anybody lie in the store, and a name is no markup
    lines = [
        f"<b>{escape(offer.name)}</b>",
        *([f"<b>Not for this stack:</b> {escape(offer.refusal)}"] if offer.refusal else []),
        *escape(offer.description).split("\n"),
    ]
    return "<p>" + "</p><p>".join(lines) + "</p>"
