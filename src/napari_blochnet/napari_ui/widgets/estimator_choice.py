"""The choice of estimators: those that can map the stack, to tick; the others grey, with the reason."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QFrame, QGridLayout

from napari_blochnet.estimators.offers import Offer

__all__ = ["EstimatorChoice"]

# Names longer than this take a row of their own.
_LONG = 18


class EstimatorChoice(QFrame):
    """Tick boxes in two columns, one for each estimator; ticks are remembered by name while offers come and go."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("blochnetCard")
        self._boxes: dict[str, QCheckBox] = {}
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
        for box in self._boxes.values():
            self._layout.removeWidget(box)
            box.hide()
            box.deleteLater()
        self._boxes = {}
        row, column = 0, 0
        previous = None
        for offer in self._offers:
            box = QCheckBox(offer.name)
            box.setAccessibleName(f"Estimator {offer.name}")
            box.setEnabled(offer.refusal is None)
            box.setChecked(offer.refusal is None and offer.name in self._ticked)
            box.setToolTip(_rich(offer))
            box.toggled.connect(self._on_toggled)
            wide = len(offer.name) > _LONG
            if wide and column:
                row, column = row + 1, 0
            self._layout.addWidget(box, row, column, 1, 2 if wide else 1)
            row, column = (row, 1) if not wide and column == 0 else (row + 1, 0)
            self._boxes[offer.name] = box
            if previous is not None:
                self.setTabOrder(previous, box)
            previous = box
        if self.chosen != before:
            self.changed.emit()

    def _on_toggled(self) -> None:
        for name, box in self._boxes.items():
            if box.isEnabled():
                (self._ticked.add if box.isChecked() else self._ticked.discard)(name)
        self.changed.emit()

    @property
    def chosen(self) -> list[str]:
        """The ticked estimators, in order."""
        return [name for name, box in self._boxes.items() if box.isChecked()]

    @property
    def ticked(self) -> list[str]:
        """What the person ticked, also what cannot map this stack."""
        return sorted(self._ticked)

    def tick(self, names: Sequence[str]) -> None:
        """Tick these, and no others; those that are not offered yet are ticked once they are."""
        self._ticked = set(names)
        for name, box in self._boxes.items():
            # a box that is told would tell what the others still show
            box.blockSignals(True)
            box.setChecked(box.isEnabled() and name in self._ticked)
            box.blockSignals(False)
        self.changed.emit()

    def box(self, name: str) -> QCheckBox:
        """Return the tick box of an estimator."""
        return self._boxes[name]


def _rich(offer: Offer) -> str:
    """Return a tooltip that Qt wraps."""
    lines = ([f"<b>Not for this stack:</b> {offer.refusal}"] if offer.refusal else []) + offer.description.split("\n")
    return "<p>" + "</p><p>".join(lines) + "</p>"
