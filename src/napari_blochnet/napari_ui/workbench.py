"""The workbench: the five tabs in one dock, and what the canvas shows."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QHBoxLayout, QLabel, QTabWidget, QToolButton, QVBoxLayout, QWidget

from napari_blochnet.napari_ui import layers
from napari_blochnet.napari_ui.panels.compare import ComparePanel
from napari_blochnet.napari_ui.panels.data import DataPanel
from napari_blochnet.napari_ui.panels.map import MapPanel
from napari_blochnet.napari_ui.panels.schedule import SchedulePanel
from napari_blochnet.napari_ui.panels.simulate import SimulatePanel
from napari_blochnet.napari_ui.session import session_of

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["Workbench"]

_QUANTITIES = {
    "T1": "T1 maps (ms)",
    "T2": "T2 maps (ms)",
    "PD": "Proton density",
    "residual": "Share of each fingerprint that its maps do not explain",
    "signal": "Fingerprints",
    "tissue": "Tissue labels",
}


class _ViewBar(QWidget):
    """Says what the canvas shows: one quantity, alone or side by side."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._session = session_of(viewer)
        self._role = "T1"
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 2, 10, 6)
        row.setSpacing(4)
        row.addWidget(QLabel("Show"))
        self.buttons: dict[str, QToolButton] = {}
        for role, tooltip in _QUANTITIES.items():
            button = QToolButton()
            button.setText(role)
            button.setToolTip(tooltip)
            button.clicked.connect(functools.partial(self._show, role))
            row.addWidget(button)
            self.buttons[role] = button
        row.addStretch(1)
        self.beside = QToolButton()
        self.beside.setText("side by side")
        self.beside.setToolTip("Show the truth, every model and the errors of this quantity beside each other.")
        self.beside.setCheckable(True)
        self.beside.clicked.connect(lambda: self._show(self._role))
        row.addWidget(self.beside)

    def showEvent(self, event: Any) -> None:  # noqa: N802
        super().showEvent(event)
        self._session.changed.connect(self._update)
        self._update()

    def hideEvent(self, event: Any) -> None:  # noqa: N802
        super().hideEvent(event)
        self._session.changed.disconnect(self._update)

    def _update(self) -> None:
        for role, button in self.buttons.items():
            button.setEnabled(bool(self._session.layers(role=role)))

    def _show(self, role: str) -> None:
        self._role = role
        layers.show_quantity(self._session, role, beside=self.beside.isChecked())


class Workbench(QWidget):
    """Data, Schedule, Simulate, Map and Compare in one dock."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.data = DataPanel(napari_viewer)
        self.schedule = SchedulePanel(napari_viewer)
        self.simulate = SimulatePanel(napari_viewer)
        self.map = MapPanel(napari_viewer)
        self.compare = ComparePanel(napari_viewer)
        for panel in (self.data, self.schedule, self.simulate, self.map, self.compare):
            self.tabs.addTab(panel, panel.title)
        self.view_bar = _ViewBar(napari_viewer)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.view_bar)
        self.setMinimumWidth(350)
