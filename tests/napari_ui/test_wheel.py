"""The mouse wheel scrolls; controls and plots that a person has not taken hold of keep what they show."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QComboBox, QGraphicsView, QTabBar, QWidget

from napari_blochnet.evaluation.agreement.agreeing import agree
from napari_blochnet.evaluation.agreement.series import series_of
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.napari_ui.panels.compare.agreement_plots import (
    AgreementPlot,
    BlandAltmanPlot,
    BoxPlot,
    HistogramPlot,
)
from napari_blochnet.napari_ui.panels.schedule.schedule_plot import SchedulePlot
from napari_blochnet.napari_ui.panels.train.loss_view import LossPlot
from napari_blochnet.napari_ui.widgets.appearance import palette
from napari_blochnet.napari_ui.widgets.plots import HomeBox, ScatterPlot, pg
from napari_blochnet.schedules.generators import fisp_schedule

TABS = ("Data", "Schedule", "Simulate", "Map", "Compare", "Train")


def _turn(widget: QWidget, notches: int = -1) -> None:
    """Turn the wheel over the middle of a widget."""
    target = widget.viewport() if isinstance(widget, QGraphicsView) else widget
    middle = target.rect().center()
    turn = QWheelEvent(
        QPointF(middle), QPointF(target.mapToGlobal(middle)), QPoint(0, 0), QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(target, turn)


def _state(control: QWidget):
    if isinstance(control, QGraphicsView):
        boxes = [item for item in control.scene().items() if isinstance(item, pg.ViewBox)]
        return [box.viewRange() for box in boxes]
    if isinstance(control, QAbstractSpinBox):
        return control.text()
    return control.currentIndex()


def test_no_control_takes_the_wheel_without_focus(desk, qtbot):
    desk = desk()
    # parts that are folded away or not there yet, too
    desk.workbench.map.options.open()
    desk.workbench.simulate.part.setCurrentIndex(2)
    for name in TABS:
        panel = desk.turn_to(name)
        qtbot.wait(300)
        desk.viewer.window._qt_window.setFocus()
        controls = [
            control
            for kind in (QComboBox, QAbstractSpinBox, QTabBar, QGraphicsView)
            for control in panel.findChildren(kind)
            if control.isVisible() and control.isEnabled()
        ]
        assert controls or name == "Data"
        for control in controls:
            control.clearFocus()
            before = _state(control)
            for notches in (-1, 1, 1):
                _turn(control, notches)
                assert _state(control) == before, (name, control.accessibleName() or control)
            assert not control.hasFocus()
    tabs = desk.workbench.tabs
    here = tabs.currentIndex()
    tabs.tabBar().clearFocus()
    _turn(tabs.tabBar())
    assert tabs.currentIndex() == here


def test_a_control_that_has_the_focus_takes_it(desk, qtbot):
    desk = desk()
    kind = desk.turn_to("Schedule").kind
    desk.viewer.window._qt_window.activateWindow()
    kind.setFocus()
    qtbot.waitUntil(kind.hasFocus, timeout=5000)
    _turn(kind)
    assert kind.currentIndex() == 1


def _scatter() -> ScatterPlot:
    plot = ScatterPlot("T1", "ms")
    true = np.geomspace(100, 3000, 50)
    plot.show_points([("dictionary", true, true * 1.02, "#56b4e9")])
    return plot


def _schedule() -> SchedulePlot:
    plot = SchedulePlot()
    plot.show_schedule(fisp_schedule())
    return plot


def _agreed(kind: type[AgreementPlot]) -> AgreementPlot:
    """Return a plot of how two models agree."""
    draw = np.random.default_rng(0)
    true = draw.uniform(300, 3000, (1, 20, 20))
    maps = [
        ParameterMaps(t1=true * scale, t2=true * scale / 10, pd=None, residual=None, mask=true > 0, estimator=name,
                      voxel_size=(1.0, 1.0, 1.0), affine=np.eye(4))
        for name, scale in (("dictionary", 1.0), ("universal", draw.normal(1.02, 0.02, true.shape)))
    ]  # fmt: skip
    agreement = agree(maps)
    found, colours = series_of(agreement, "T1", agreement.regions[0]), {"dictionary": "#56b4e9", "universal": "#e69f00"}
    plot, theme = kind("T1"), palette("dark")
    if isinstance(plot, BlandAltmanPlot):
        plot.show_series(found, {"universal": agreement.row("universal", "T1", "all")}, "percent", colours, theme)
    elif isinstance(plot, BoxPlot):
        plot.show_series(found, "", colours, theme)
    else:
        plot.show_series(found, colours, theme)
    return plot


_AGREED = [functools.partial(_agreed, kind) for kind in (BlandAltmanPlot, HistogramPlot, BoxPlot)]


@pytest.mark.parametrize("make", [_scatter, _schedule, LossPlot, *_AGREED])
def test_a_plot_stays_near_its_data_and_comes_back_by_a_double_click(make, qtbot):
    plot = make()
    qtbot.addWidget(plot)
    if not isinstance(plot, AgreementPlot):
        plot.apply_theme(palette("dark"))
    plot.resize(340, 320)
    with qtbot.waitExposed(plot):
        plot.show()
    view = plot if isinstance(plot, QGraphicsView) else plot.findChild(QGraphicsView)
    boxes = [item for item in view.scene().items() if isinstance(item, pg.ViewBox)]
    assert boxes
    assert all(isinstance(box, HomeBox) for box in boxes)
    homes = [box.viewRange() for box in boxes]
    plot.activateWindow()
    view.setFocus()
    qtbot.waitUntil(view.hasFocus, timeout=5000)
    for notches, beyond in ((-8, True), (8, False)):
        for _ in range(400):
            _turn(view, notches)
        # repainted without an error: pytest-qt fails a test whose event loop saw one
        view.repaint()
        for box, home in zip(boxes, homes, strict=True):
            for (low, high), (start, end), moves in zip(box.viewRange(), home, box.state["mouseEnabled"], strict=True):
                assert math.isfinite(low)
                assert math.isfinite(high)
                width = end - start
                if moves and beyond:
                    assert high - low <= 3.05 * width
                elif moves:
                    assert high - low >= 0.9e-3 * width
        middle = view.mapFromScene(boxes[0].sceneBoundingRect().center())
        # as Qt tells of one: a click, and the second press as a double one
        left = Qt.MouseButton.LeftButton
        qtbot.mouseClick(view.viewport(), left, pos=middle)
        qtbot.mouseDClick(view.viewport(), left, pos=middle)
        qtbot.mouseRelease(view.viewport(), left, pos=middle)
        for box, home in zip(boxes, homes, strict=True):
            np.testing.assert_allclose(box.viewRange(), home, rtol=1e-6)


def test_a_tooltip_says_how_a_plot_is_moved_whatever_it_shows(qtbot):
    plot = _scatter()
    qtbot.addWidget(plot)
    for reference in ("truth", "dictionary"):
        plot.name_axes(reference, palette("dark"))
        assert "turn the wheel" in plot.toolTip()
        assert "double-click" in plot.toolTip()


def test_new_content_is_shown_whole_though_the_old_was_looked_at_closely(qtbot):
    plot = _scatter()
    qtbot.addWidget(plot)
    plot.apply_theme(palette("dark"))
    with qtbot.waitExposed(plot):
        plot.show()
    plot.activateWindow()
    plot.setFocus()
    qtbot.waitUntil(plot.hasFocus, timeout=5000)
    for _ in range(30):
        _turn(plot, 4)
    true = np.geomspace(1e4, 1e5, 50)
    plot.show_points([("dictionary", true, true, "#56b4e9")])
    (left, right), (low, high) = plot.getPlotItem().viewRange()
    assert left <= 4
    assert right >= 5
    assert low <= 4
    assert high >= 5


def test_every_plot_of_the_window_has_limits(desk):
    desk = desk()
    _, inspector = desk.viewer.window.add_plugin_dock_widget("napari-blochnet", "Voxel inspector")
    views = [*desk.workbench.findChildren(QGraphicsView), *inspector.findChildren(QGraphicsView)]
    boxes = [item for view in views for item in view.scene().items() if isinstance(item, pg.ViewBox)]
    assert len(boxes) >= 6
    assert [box for box in boxes if not isinstance(box, HomeBox)] == []
