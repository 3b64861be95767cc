"""Every control says what it is, to the mouse and to screen readers; the Tab key goes down a panel as the eye does."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QScrollArea,
    QTableWidget,
    QToolButton,
    QWidget,
)

from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.widgets.keyboard import focus_chain, visual_order
from napari_blochnet.phantoms.phantom import Phantom

CONTROLS = (QAbstractButton, QComboBox, QAbstractSpinBox, QLineEdit, QTableWidget)
TABS = ["Data", "Schedule", "Simulate", "Map", "Compare", "Train"]


def _controls(root: QWidget) -> list[QWidget]:
    """All of them, folded ones too, but not the parts Qt itself makes of a control."""
    return [
        widget
        for widget in root.findChildren(QWidget)
        if isinstance(widget, CONTROLS)
        and not widget.objectName().startswith("qt_")
        and not isinstance(widget.parent(), (QAbstractSpinBox, QComboBox, QTableWidget))
    ]


def _at_work(desk) -> None:
    """Fill the panels: a phantom, a stack, its maps."""
    t1 = np.array([400.0, 800.0, 1300.0, 2200.0])[np.arange(64) % 4].reshape(1, 8, 8)
    layers.add_phantom(desk.session, Phantom(t1, t1 / 12, np.ones(t1.shape), voxel_size=(3, 2, 2), name="block"))
    desk.use_spline(60)
    for name in ("Simulate", "Map", "Compare"):
        panel = desk.turn_to(name)
        desk.run(panel, panel.run)


def _inside(panel: QWidget) -> QWidget:
    """What a panel scrolls."""
    return panel.findChild(QScrollArea).widget()


def _unfold(root: QWidget) -> None:
    for button in root.findChildren(QToolButton, "blochnetFold"):
        button.setChecked(True)


@pytest.mark.parametrize("working", [False, True])
def test_every_control_has_a_tooltip_and_a_name(desk, working):
    desk = desk()
    if working:
        _at_work(desk)
    _, inspector = desk.viewer.window.add_plugin_dock_widget("napari-blochnet", "Voxel inspector")
    roots = {name: desk.turn_to(name) for name in TABS}
    for name in TABS:
        desk.turn_to(name)
        desk.qtbot.wait(200)
    silent = []
    counted = 0
    for name, root in {**roots, "view bar": desk.workbench.view_bar, "inspector": inspector}.items():
        for control in _controls(root):
            counted += 1
            said = control.accessibleName() or (control.text() if isinstance(control, QAbstractButton) else "")
            if not control.toolTip() or not said:
                silent.append((name, type(control).__name__, said, control.toolTip()))
    assert silent == []
    assert counted > 120


@pytest.mark.parametrize("working", [False, True])
def test_the_tab_key_goes_down_the_panel(desk, working):
    desk = desk()
    if working:
        _at_work(desk)
    for name in TABS:
        panel = _inside(desk.turn_to(name))
        for folded in (True, False):
            if not folded:
                _unfold(panel)
            desk.qtbot.waitUntil(lambda panel=panel: focus_chain(panel) == visual_order(panel), timeout=3000)
        assert len(focus_chain(panel)) > 5


def test_tab_and_space_alone_open_a_sample(desk):
    desk = desk()
    data = desk.turn_to("Data")
    inside = _inside(data)
    desk.qtbot.waitUntil(lambda: focus_chain(inside) == visual_order(inside), timeout=3000)
    desk.viewer.window._qt_window.activateWindow()
    first = focus_chain(inside)[0]
    first.setFocus()
    desk.qtbot.waitUntil(lambda: QApplication.focusWidget() is first, timeout=3000)
    desk.qtbot.keyClick(first, Qt.Key.Key_Tab)
    reached = QApplication.focusWidget()
    assert reached is visual_order(inside)[1]
    desk.qtbot.keyClick(data.sample_buttons["head-slice"], Qt.Key.Key_Space)
    assert desk.wait(data).startswith("Opened ")
