"""The next step of the main job, in one sentence with a button: for whoever opens the workbench for the first time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QTabWidget, QToolButton
from superqt.utils import qdebounced

from napari_blochnet.common.arrays import dimensions
from napari_blochnet.napari_ui.canvas.layer_sources import fits_schedule, stack_layers
from napari_blochnet.napari_ui.state.session import Session, session_of
from napari_blochnet.napari_ui.state.tools import ToolWatch, layer_in_hand, put_tool_away
from napari_blochnet.napari_ui.widgets.appearance import palette
from napari_blochnet.napari_ui.widgets.docks import INSPECTOR, is_dock_open, open_dock, turn_to

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

__all__ = ["NextStep", "Step", "next_step"]

# Of the session; after each of them another step may be the next.
_SIGNALS = ("changed", "view_changed", "schedule_changed", "pinned")


class Step(NamedTuple):
    """What to do next.

    Parameters
    ----------
    text : str
        One sentence or two.
    button : str
        What the button says; empty for none.
    goal : str
        What the button does: "sample", "layer", "inspect", "point", or the title of the tab it turns to.
    """

    text: str
    button: str = ""
    goal: str = ""


def next_step(session: Session, tab: str, *, inspecting: bool, asked: bool = False) -> Step | None:
    """Return what comes next, by what is open.

    Parameters
    ----------
    session : Session
    tab : str
        Title of the tab that is in front: nobody is sent where he is.
    inspecting : bool
        Whether the voxel inspector is open.
    asked : bool
        Whether the Data tab asks for the schedule of fingerprints that are to be opened.

    Returns
    -------
    Step or None
        None once the whole way has been gone.
    """
    maps = session.entries("maps")
    if asked and tab == "Data":
        return Step("Give what is marked above of the schedule, then press Open fingerprints.")
    if maps:
        has_truth = any(session.layers("maps", role=f"{name} error") for name in ("T1", "T2"))
        if session.voxel is None:
            errors = "Error maps: blue is too low, red too high, black right. " if has_truth else ""
            if session.compared is not None and session.compared.reference is not None:
                errors = "Difference maps: blue is below the reference, red above, black alike. "
            if not inspecting:
                return Step(f"{errors}Next: the curves of any voxel.", "Inspect voxels", "inspect")
            edited = layer_in_hand(session.viewer)
            if edited is not None:
                return Step(f"A click edits {edited.name} now. Next: stop that, and click a voxel.", "Stop", "point")
            return Step(f"{errors}Next: click a voxel in the viewer.")
        if session.compared is None and tab != "Compare" and (has_truth or len(maps) > 1):
            what = "the errors in numbers, per tissue" if has_truth else "how far these models agree, voxel by voxel"
            return Step(f"Next: {what}.", "Compare…", "Compare")
        return None
    if session.entries("stack"):
        if tab == "Map":
            return Step("Press Map: every ticked estimator, and a dictionary that is chosen, makes its own maps.")
        return Step("Next: T1 and T2 maps of these fingerprints.", "Map…", "Map")
    if session.entries("phantom"):
        if tab == "Simulate":
            return Step("Press Simulate; tick SNR before for a scan with noise.")
        name = "the schedule" if session.schedule is None else session.schedule.name
        return Step(f"Next: simulate its fingerprints under {name}.", "Simulate…", "Simulate")
    layer = _likely_stack(session)
    if layer is not None:
        size = dimensions(layer.data[0].shape if layer.multiscale else layer.data.shape)
        return Step(f"Is the layer {layer.name} ({size}) a fingerprint stack? Then map it.", "Use it…", "layer")
    return Step("New here? Start with a slice of fingerprints whose true T1 and T2 are known.", "Open it", "sample")


def _likely_stack(session: Session) -> Layer | None:
    """Return the newest layer of others that may well hold fingerprints; a volume may as well be anything else."""
    found = [layer for layer in stack_layers(session) if layer.ndim == 4 or fits_schedule(layer, session.schedule)]
    return found[-1] if found else None


class NextStep(QFrame):
    """Says the next step; where it lies elsewhere, a button goes there.

    Parameters
    ----------
    napari_viewer : Viewer
    tabs : QTabWidget
        The workbench's tabs.
    open_sample : callable
        Opens the sample to begin with.
    use_layer : callable
        Takes a layer of others as fingerprints.
    asked : callable
        Returns whether the Data tab asks for a schedule.
    """

    def __init__(
        self,
        napari_viewer: Viewer,
        tabs: QTabWidget,
        open_sample: Callable[[], None],
        use_layer: Callable[[Layer], object],
        asked: Callable[[], bool],
    ) -> None:
        super().__init__()
        self.setObjectName("blochnetNext")
        self._session = session_of(napari_viewer)
        self._tabs, self._open_sample, self._use_layer, self._asked = tabs, open_sample, use_layer, asked
        self._step: Step | None = None
        self._tools: ToolWatch | None = None
        self._attached = False
        self.text = QLabel()
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setWordWrap(True)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.button = QPushButton()
        self.button.setObjectName("blochnetNextButton")
        self.button.setToolTip("Go to the next step.")
        self.button.setAccessibleName("Next step")
        self.close_button = QToolButton()
        self.close_button.setText("×")
        self.close_button.setAutoRaise(True)
        self.close_button.setToolTip("Show no hints; a tick at the end of the Data tab brings them back.")
        self.close_button.setAccessibleName("Show no hints")
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 4, 4, 4)
        row.setSpacing(6)
        row.addWidget(self.text, 1)
        row.addWidget(self.button)
        row.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        #: whether there are hints at all; stands in the Data tab
        self.switch = QCheckBox("Say what comes next")
        self.switch.setToolTip("Show the next step of the way from a phantom to maps and curves below the tabs.")
        self.switch.setChecked(True)
        self.switch.toggled.connect(self.update_step)
        self.close_button.clicked.connect(lambda: self.switch.setChecked(False))
        self.button.clicked.connect(self._go)
        # jobs add their layers one by one: looked at once, when they rest
        self._update_later = qdebounced(self.update_step, timeout=100, parent=self)

    def attach(self) -> None:
        """Listen to the session; the workbench is visible."""
        viewer = self._session.viewer
        if viewer is None or self._attached:
            return
        self._attached = True
        self._tools = ToolWatch(viewer, self._look_again)
        for name in _SIGNALS:
            getattr(self._session, name).connect(self._look_again)
        self._tabs.currentChanged.connect(self._look_again)
        viewer.events.theme.connect(self._apply_theme)
        self._apply_theme()
        self.update_step()

    def detach(self) -> None:
        """Listen no more."""
        if not self._attached:
            return
        self._attached = False
        self._update_later.cancel()
        self._session.stop_telling(self._look_again, *_SIGNALS)
        if self._tools is not None:
            self._tools.stop()
            self._tools = None
        self._tabs.currentChanged.disconnect(self._look_again)
        viewer = self._session.viewer
        if viewer is not None:
            viewer.events.theme.disconnect(self._apply_theme)

    def look_again(self) -> None:
        """Look again at what comes next, soon."""
        if self._attached:
            self._update_later()

    def _look_again(self, _content: object = None) -> None:
        self._update_later()

    def _apply_theme(self, event: Any = None) -> None:
        viewer = self._session.viewer
        if viewer is not None:
            colours = palette(viewer.theme)
            self.setStyleSheet(
                f"QFrame#blochnetNext {{ border: none; border-left: 3px solid {colours.accent}; }}"
                f"QPushButton#blochnetNextButton {{ padding: 4px 10px; border-radius: 3px; color: {colours.text};"
                f" border: 1px solid {colours.accent}; background: transparent; }}"
                f"QPushButton#blochnetNextButton:hover {{ background: {colours.accent};"
                f" color: {colours.accent_text}; }}"
            )

    def update_step(self, _content: object = None) -> None:
        """Look again at what comes next."""
        viewer = self._session.viewer
        if viewer is None:
            return
        self._step = None
        if self.switch.isChecked():
            tab = self._tabs.tabText(self._tabs.currentIndex())
            self._step = next_step(self._session, tab, inspecting=is_dock_open(viewer, INSPECTOR), asked=self._asked())
        if self._step is not None:
            self.text.setText(self._step.text)
            self.button.setText(self._step.button)
            self.button.setVisible(bool(self._step.button))
        self.setVisible(self._step is not None)

    def _go(self) -> None:
        viewer = self._session.viewer
        if self._step is None or viewer is None:
            return
        if self._step.goal == "sample":
            turn_to(self._tabs, "Data")
            self._open_sample()
        elif self._step.goal == "layer":
            layer = _likely_stack(self._session)
            if layer is not None:
                self._use_layer(layer)
        elif self._step.goal == "inspect":
            open_dock(viewer, INSPECTOR)
        elif self._step.goal == "point":
            put_tool_away(viewer)
        else:
            turn_to(self._tabs, self._step.goal)
        self._look_again()
