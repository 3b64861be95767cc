"""The colour limits of what is shown, to be read and chosen: of one quantity the same for all its maps."""

from __future__ import annotations

import math
from typing import Any

from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QFrame, QGridLayout, QLabel, QWidget

from napari_blochnet.napari_ui.canvas.limits import Family, limits_of
from napari_blochnet.napari_ui.state.session import Session
from napari_blochnet.napari_ui.widgets.appearance import palette, panel_style

__all__ = ["LimitsMenu"]


class _Row:
    """The limits of one family: lowest, highest, and whether they follow from what is open."""

    def __init__(self, session: Session, family: Family, grid: QGridLayout, row: int) -> None:
        self._limits, self._family = limits_of(session), family
        role = family[0]
        # what only a dictionary knows has the unit that this has for it
        unit = str(self._limits.layers(family)[0].metadata["blochnet"]["unit"])
        titles = {layer.name.partition(" – ")[2] for layer in self._limits.layers(family)} if role == "PD" else set()
        of_whom = f" – {titles.pop()}" if len(titles) == 1 else ""
        self.low, self.high = QDoubleSpinBox(), QDoubleSpinBox()
        for box, which in ((self.low, "Lowest"), (self.high, "Highest")):
            box.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
            box.setKeyboardTracking(False)
            box.setMinimumWidth(84)
            box.setToolTip(f"{which} value of {role} with a colour of its own, for all models.")
            box.setAccessibleName(f"{which} {role}")
            # a wheel that passes over it changes nothing
            box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._fewest = 0 if unit == "ms" and "SE" not in role else 2
        self.automatic = QCheckBox("automatic")
        self.automatic.setToolTip("From all that is open, whatever the order in which it came.")
        label = QLabel(f"{role}{f' ({unit})' if unit else ''}{of_whom}")
        for column, widget in enumerate((label, self.low, self.high, self.automatic)):
            grid.addWidget(widget, row, column)
        self.show()
        self.low.valueChanged.connect(self._choose)
        self.high.valueChanged.connect(self._choose)
        self.automatic.clicked.connect(self._switch)

    def show(self) -> None:
        """Show the limits as they are."""
        found = self._limits.layers(self._family)
        if not found:
            return
        limits = found[0].contrast_limits
        # PD may be in millionths of any unit, or in millions
        power = math.floor(math.log10(max(map(abs, limits)) or 1.0))
        for box, value in zip((self.low, self.high), limits, strict=True):
            box.blockSignals(True)
            box.setDecimals(max(self._fewest, 2 - power))
            box.setRange(-(10.0 ** (power + 5)), 10.0 ** (power + 5))
            box.setValue(value)
            box.blockSignals(False)
        self.automatic.setChecked(not self._limits.is_chosen(self._family))

    def _choose(self, _value: float) -> None:
        # a half-made pair, such as a low limit above the high one, is no choice yet
        if self.low.value() < self.high.value():
            self._limits.choose(self._family, (self.low.value(), self.high.value()))
            self.show()

    def _switch(self, is_automatic: bool) -> None:
        if is_automatic:
            self._limits.choose(self._family, None)
        elif self.low.value() < self.high.value():
            self._limits.choose(self._family, (self.low.value(), self.high.value()))
        self.show()


class LimitsMenu(QFrame):
    """A small window beside the view bar, gone at a click elsewhere.

    Parameters
    ----------
    session : Session
    parent : QWidget
    """

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        grid = QGridLayout(self)
        heading = QLabel("Colour limits, for screen, report and figures")
        heading.setObjectName("blochnetHeading")
        grid.addWidget(heading, 0, 0, 1, 4)
        self.rows: dict[Family, _Row] = {}
        visible = {
            family: layers
            for family, layers in limits_of(session).families().items()
            if any(layer.visible for layer in layers)
        }
        for row, family in enumerate(sorted(visible), start=1):
            self.rows[family] = _Row(session, family, grid, row)
        if not self.rows:
            note = QLabel("No map is shown.")
            note.setObjectName("blochnetNote")
            grid.addWidget(note, 1, 0, 1, 4)
        if session.viewer is not None:
            colours = palette(session.viewer.theme)
            self.setObjectName("blochnetLimits")
            self.setStyleSheet(f"{panel_style(colours)}\n#blochnetLimits {{ border: 1px solid {colours.text}; }}")

    def open_above(self, button: QWidget) -> None:
        """Show it with its lower right corner at a button's upper right one."""
        self.adjustSize()
        corner = button.mapToGlobal(QPoint(button.width() - self.width(), -self.height() - 4))
        self.move(corner)
        self.show()

    def hideEvent(self, event: Any) -> None:  # noqa: N802
        super().hideEvent(event)
        self.deleteLater()
