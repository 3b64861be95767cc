"""Plots of panels and inspector (pyqtgraph): curves over the TR index, estimated against true."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import qtpy  # noqa: F401 - pyqtgraph takes the Qt binding that is already imported

import pyqtgraph as pg  # isort: skip

from napari_blochnet.arrays import FloatArray
from napari_blochnet.napari_ui.appearance import Palette, style_plot
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["ScatterPlot", "SchedulePlot", "pg"]

# More points than this add ink, not information, and slow the view down.
_POINTS = 6000


class SchedulePlot(pg.GraphicsLayoutWidget):
    """Flip angle above TR, over the TR index."""

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumHeight(230)
        self.ci.setContentsMargins(0, 4, 8, 0)
        self.ci.setSpacing(4)
        self._flip: pg.PlotItem = self.addPlot(row=0, col=0)
        self._times: pg.PlotItem = self.addPlot(row=1, col=0)
        self._times.setXLink(self._flip)
        self._flip.getAxis("bottom").setStyle(showValues=False)
        self.ci.layout.setRowStretchFactor(0, 3)
        self.ci.layout.setRowStretchFactor(1, 2)
        for plot in (self._flip, self._times):
            plot.getAxis("left").setWidth(52)
            plot.setMouseEnabled(x=True, y=False)
        self._curves = (self._flip.plot(), self._times.plot())

    def sizeHint(self) -> pg.QtCore.QSize:  # noqa: N802
        return pg.QtCore.QSize(320, 260)

    def apply_theme(self, colours: Palette) -> None:
        """Take the theme's colours."""
        self.setBackground(colours.background)
        style_plot(self._flip, colours, left="flip angle (°)")
        style_plot(self._times, colours, left="TR (ms)", bottom="TR index")
        for curve, colour in zip(self._curves, colours.traces, strict=False):
            curve.setPen(pg.mkPen(colour, width=1.6))

    def show_schedule(self, schedule: Schedule | None) -> None:
        """Draw a schedule, or nothing."""
        if schedule is None:
            for curve in self._curves:
                curve.setData([], [])
            return
        index = np.arange(1, len(schedule) + 1)
        for curve, plot, values in (
            (self._curves[0], self._flip, schedule.flip_angle),
            (self._curves[1], self._times, schedule.repetition_time),
        ):
            curve.setData(index, values)
            low, high = float(values.min()), float(values.max())
            room = max(0.08 * (high - low), 0.02 * abs(high), 0.1)
            plot.setYRange(0 if low >= 0 and plot is self._flip else low - room, high + room, padding=0)
        self._flip.setXRange(1, len(schedule), padding=0.01)


class ScatterPlot(pg.PlotWidget):
    """Estimated against true values of one parameter, with the line of identity."""

    def __init__(self, name: str, unit: str) -> None:
        super().__init__()
        self._labels = {"left": f"estimated {name} ({unit})", "bottom": f"true {name} ({unit})"}
        self.setMinimumHeight(190)
        item = self.getPlotItem()
        item.getAxis("left").setWidth(56)
        self._identity = pg.InfiniteLine(pos=(0, 0), angle=45)
        self.addItem(self._identity)
        self._clouds: list[pg.ScatterPlotItem] = []
        self._legend = item.addLegend(offset=(8, 4))

    def sizeHint(self) -> pg.QtCore.QSize:  # noqa: N802
        return pg.QtCore.QSize(320, 280)

    def apply_theme(self, colours: Palette) -> None:
        """Take the theme's colours."""
        self.setBackground(colours.background)
        style_plot(self.getPlotItem(), colours, **self._labels)
        self._identity.setPen(pg.mkPen(colours.faint, width=1, style=pg.QtCore.Qt.PenStyle.DashLine))
        self._legend.setLabelTextColor(colours.text)

    def show_points(self, points: Sequence[tuple[str, FloatArray, FloatArray]], limit: float, colours: Palette) -> None:
        """Draw true and estimated values of several models.

        Parameters
        ----------
        points : sequence of (name, true, estimated)
        limit : float
            Both axes run from 0 to this.
        colours : Palette
        """
        for cloud in self._clouds:
            self.removeItem(cloud)
        self._legend.clear()
        self._clouds = []
        for (name, true, estimated), colour in zip(points, colours.traces, strict=False):
            step = max(1, len(true) // _POINTS)
            fill = pg.mkColor(colour)
            fill.setAlpha(110)
            cloud = pg.ScatterPlotItem(
                true[::step], estimated[::step], size=4, pen=None, brush=pg.mkBrush(fill), name=name
            )
            self.addItem(cloud)
            self._clouds.append(cloud)
        self.setXRange(0, limit, padding=0.02)
        self.setYRange(0, limit, padding=0.02)
