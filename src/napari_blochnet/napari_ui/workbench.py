"""The workbench: the six tabs in one dock, and what the canvas shows."""

from __future__ import annotations

import functools
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QTabWidget, QVBoxLayout, QWidget
from superqt import QFlowLayout

from napari_blochnet.napari_ui.background.turns import Steps, Turns
from napari_blochnet.napari_ui.canvas import showing as canvas
from napari_blochnet.napari_ui.canvas.swapping import calm_steps
from napari_blochnet.napari_ui.forms.wheel import guard_wheel
from napari_blochnet.napari_ui.next_step import NextStep
from napari_blochnet.napari_ui.panels.data.data_tab import DataPanel
from napari_blochnet.napari_ui.state.session import session_of
from napari_blochnet.napari_ui.view_bar.limits_menu import LimitsMenu
from napari_blochnet.napari_ui.widgets.appearance import button_style, palette
from napari_blochnet.napari_ui.widgets.docks import PLANES, open_dock, turn_to
from napari_blochnet.napari_ui.widgets.keyboard import show_plainly
from napari_blochnet.napari_ui.widgets.remembering import remember_controls

if TYPE_CHECKING:
    from napari import Viewer

    from napari_blochnet.fingerprints.stack import FingerprintStack
    from napari_blochnet.napari_ui.panels.compare.compare_tab import ComparePanel
    from napari_blochnet.napari_ui.panels.map.map_tab import MapPanel
    from napari_blochnet.napari_ui.panels.schedule_tab import SchedulePanel
    from napari_blochnet.napari_ui.panels.simulate_tab import SimulatePanel
    from napari_blochnet.napari_ui.panels.train.train_tab import TrainPanel
    from napari_blochnet.napari_ui.widgets.panel import Panel
    from napari_blochnet.schedules.schedule import Schedule

__all__ = ["Workbench"]

_QUANTITIES = {
    "T1": "T1 maps (ms)",
    "T2": "T2 maps (ms)",
    "PD": "Proton density",
    "B1": "Transmit field B1, 1 being nominal",
    "residual": "Share of each fingerprint that its maps do not explain",
    "T1 SE": "Standard error of T1 by the noise alone (ms): precision, not accuracy",
    "T2 SE": "Standard error of T2 by the noise alone (ms): precision, not accuracy",
    "signal": "Fingerprints",
    "tissue": "Tissue labels",
}
_PANELS = "napari_blochnet.napari_ui.panels"
# The tabs behind the first, in the order in which they are made ready: all need a schedule.
_LATER = {
    "Schedule": f"{_PANELS}.schedule_tab:SchedulePanel",
    "Simulate": f"{_PANELS}.simulate_tab:SimulatePanel",
    "Map": f"{_PANELS}.map.map_tab:MapPanel",
    "Compare": f"{_PANELS}.compare.compare_tab:ComparePanel",
    "Train": f"{_PANELS}.train.train_tab:TrainPanel",
}
# opens at once, is mapped in seconds, and brings its truth
_FIRST_SAMPLE = "noisy-fingerprints"


class _ViewBar(QWidget):
    """Says what the canvas shows: one quantity, alone or side by side."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._session = session_of(viewer)
        self._role = "T1"
        self._turns = Turns(self, self._session.window)
        self._attached = False
        # a second row where the dock is too narrow for one: the canvas is worth more
        row = QFlowLayout(self)
        row.setContentsMargins(8, 2, 8, 6)
        row.setHorizontalSpacing(3)
        row.setVerticalSpacing(3)
        self.buttons: dict[str, QPushButton] = {}
        for role, tooltip in _QUANTITIES.items():
            row.addWidget(self._make_button(role, tooltip))
        # of what only a dictionary knows, made when it is there
        others = QWidget()
        self._others = QHBoxLayout(others)
        self._others.setContentsMargins(0, 0, 0, 0)
        self._others.setSpacing(3)
        row.addWidget(others)
        self._other_group = others
        # together, or a narrow window has the last of them alone in a row
        group = QWidget()
        tools = QHBoxLayout(group)
        tools.setContentsMargins(0, 0, 0, 0)
        tools.setSpacing(3)
        row.addWidget(group)
        self.planes = QPushButton()
        self.planes.setText("planes")
        self.planes.setToolTip("Axial, coronal and sagittal planes through one voxel, linked to the canvas.")
        self.planes.clicked.connect(self.open_planes)
        tools.addWidget(self.planes)
        self.limits = QPushButton()
        self.limits.setText("limits")
        self.limits.setToolTip("Colour limits of what is shown, of each quantity the same for all models.")
        self.limits.clicked.connect(self.open_limits)
        tools.addWidget(self.limits)
        self.beside = QPushButton()
        self.beside.setText("grid")
        self.beside.setToolTip("Show the truth, every model and the errors of this quantity beside each other.")
        self.beside.setCheckable(True)
        self.beside.clicked.connect(lambda: self.show_role(self._role))
        tools.addWidget(self.beside)

    def showEvent(self, event: Any) -> None:  # noqa: N802
        super().showEvent(event)
        viewer = self._session.viewer
        if viewer is not None and not self._attached:
            self._attached = True
            self._session.changed.connect(self._update)
            self._session.view_changed.connect(self._update)
            viewer.canvas.grid.events.enabled.connect(self._update)
            viewer.events.theme.connect(self._apply_theme)
            self._apply_theme()
        self._update()

    def hideEvent(self, event: Any) -> None:  # noqa: N802
        super().hideEvent(event)
        viewer = self._session.viewer
        if self._attached:
            self._attached = False
            self._session.stop_telling(self._update, "changed", "view_changed")
            if viewer is not None:
                viewer.canvas.grid.events.enabled.disconnect(self._update)
                viewer.events.theme.disconnect(self._apply_theme)

    @property
    def is_busy(self) -> bool:
        """Whether the canvas is still being changed."""
        return self._turns.is_busy

    def _apply_theme(self, event: Any = None) -> None:
        viewer = self._session.viewer
        if viewer is not None:
            self.setStyleSheet(button_style(palette(viewer.theme)))

    def _make_button(self, role: str, tooltip: str) -> QPushButton:
        button = self.buttons[role] = QPushButton()
        button.setText(role.replace("T1 SE", "σ T1").replace("T2 SE", "σ T2"))
        button.setToolTip(tooltip)
        button.setCheckable(True)
        button.clicked.connect(functools.partial(self.show_role, role))
        return button

    def _offer_others(self) -> None:
        """Give what only a dictionary knows buttons of its own."""
        there = {name: other for entry in self._session.entries("maps") for name, other in entry.subject.others.items()}
        for name, other in there.items():
            if name not in self.buttons:
                unit = f" ({other.unit})" if other.unit else ""
                self._others.addWidget(
                    self._make_button(name, f"{name}{unit}, of a dictionary that came with the data")
                )
        self._other_group.setVisible(bool(there))

    def _update(self, event: Any = None) -> None:
        viewer = self._session.viewer
        self._offer_others()
        for role, button in self.buttons.items():
            found = self._session.layers(role=role)
            # absent quantities take no room: with all of them the row would not fit a small window
            button.setVisible(bool(found))
            button.setChecked(any(layer.visible for layer in found))
        if viewer is not None:
            self.beside.setChecked(viewer.canvas.grid.enabled)

    def open_planes(self) -> None:
        """Open the three planes."""
        viewer = self._session.viewer
        if viewer is not None:
            open_dock(viewer, PLANES)

    def open_limits(self) -> LimitsMenu:
        """Open the menu of colour limits."""
        menu = LimitsMenu(self._session, self)
        menu.open_above(self.limits)
        return menu

    def show_role(self, role: str) -> None:
        """Show one quantity, alone or beside its peers as the grid button says."""
        self._role = role
        steps = canvas.show_quantity(self._session, role, beside=self.beside.isChecked())
        self._turns.add(calm_steps(self._session, steps))


class Workbench(QWidget):
    """Data, Schedule, Simulate, Map, Compare and Train in one dock.

    What stands behind the first tab is made one by one once the window is to be seen, or when it is asked for.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._session = session_of(napari_viewer)
        self._panels: dict[str, Any] = {}
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.data = DataPanel(napari_viewer)
        show_plainly(self.data)
        self.tabs.addTab(self.data, self.data.title)
        for title in _LATER:
            self.tabs.addTab(QWidget(), title)
        # before anybody else looks at what is in front
        self.tabs.currentChanged.connect(self._make_current)
        self.data.compressing.made.connect(self._choose_to_map)
        self.data.dictionary_given.connect(self._give_dictionary)
        self.data.schedule_given.connect(self._show_schedule)
        self.data.map_wanted.connect(self._map_next)
        first, question = functools.partial(self.data.open_sample, _FIRST_SAMPLE), self.data.question
        self.next_step = NextStep(napari_viewer, self.tabs, first, self.data.use_layer, lambda: question.is_asking)
        question.asking_changed.connect(self.next_step.look_again)
        self.data.body.addWidget(self.next_step.switch)
        self.view_bar = _ViewBar(napari_viewer)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.next_step)
        layout.addWidget(self.view_bar)
        self.setMinimumWidth(350)
        # the tabs' own line: who scrolls past the end of a panel turns no page
        guard_wheel(self.tabs)
        remember_controls("workbench", tab=self.tabs, hints=self.next_step.switch)
        self._turns = Turns(self, self._session.window)
        self._turns.add(self._make_steps())

    @property
    def schedule(self) -> SchedulePanel:
        """The Schedule tab."""
        panel: SchedulePanel = self._panel("Schedule")
        return panel

    @property
    def simulate(self) -> SimulatePanel:
        """The Simulate tab."""
        panel: SimulatePanel = self._panel("Simulate")
        return panel

    @property
    def map(self) -> MapPanel:
        """The Map tab."""
        panel: MapPanel = self._panel("Map")
        return panel

    @property
    def compare(self) -> ComparePanel:
        """The Compare tab."""
        panel: ComparePanel = self._panel("Compare")
        return panel

    @property
    def train(self) -> TrainPanel:
        """The Train tab."""
        panel: TrainPanel = self._panel("Train")
        return panel

    @property
    def is_complete(self) -> bool:
        """Whether all tabs are made."""
        return len(self._panels) == len(_LATER)

    def _panel(self, title: str) -> Any:
        """Return a tab's panel; made, with all it loads, if it is not yet."""
        if title not in self._panels:
            panel: Panel = resolve_name(_LATER[title])(self._session.viewer)
            show_plainly(panel)
            self._panels[title] = panel
            index = 1 + list(_LATER).index(title)
            is_in_front = self.tabs.currentIndex() == index
            empty = self.tabs.widget(index)
            # the tab stays where it is, and whoever is told of its changes hears of none
            before = self.tabs.blockSignals(True)
            self.tabs.insertTab(index, panel, title)
            if is_in_front:
                self.tabs.setCurrentIndex(index)
            self.tabs.removeTab(index + 1)
            self.tabs.blockSignals(before)
            if empty is not None:
                empty.deleteLater()
        return self._panels[title]

    def _make_current(self, index: int) -> None:
        title = self.tabs.tabText(index)
        if title in _LATER and self._session.viewer is not None:
            self._panel(title)

    def _make_steps(self) -> Steps[None]:
        for title, place in _LATER.items():
            yield
            # what it loads takes as long as the panel itself
            if title not in self._panels:
                resolve_name(place)
                yield
            if self._session.viewer is None:
                return
            self._panel(title)

    def _show_schedule(self, schedule: Schedule) -> None:
        self.schedule.show_schedule(schedule)

    def _choose_to_map(self, stack: FingerprintStack) -> None:
        self.map.stack.reset_choices()
        self.map.stack.value = stack

    def _give_dictionary(self, path: str) -> None:
        self.map.brought.take(path)

    def _map_next(self, stack: FingerprintStack) -> None:
        turn_to(self.tabs, self.map.title)
        self.map.show_opened(stack)

    def showEvent(self, event: Any) -> None:  # noqa: N802
        super().showEvent(event)
        self.next_step.attach()

    def hideEvent(self, event: Any) -> None:  # noqa: N802
        super().hideEvent(event)
        self.next_step.detach()

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(410, 600)
