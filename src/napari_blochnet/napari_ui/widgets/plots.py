"""Plots of panels and inspector (pyqtgraph): what they look like by hand, estimated against true."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import qtpy  # noqa: F401 - pyqtgraph takes the Qt binding that is already imported

import pyqtgraph as pg  # isort: skip

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.napari_ui.widgets.appearance import Palette, style_plot

__all__ = ["BY_HAND", "DecadeAxis", "HomeBox", "ScatterPlot", "pg"]

#: Of every plot's tooltip.
BY_HAND = "Click, then turn the wheel: closer or farther; double-click: all of it."
# More points than this add ink, not information, and slow the view down.
_POINTS = 6000
# Of each model's points, drawn in turn with the other models'.
_LAYERS = 12


# How far a hand may move a plot, in widths of what it shows by itself, and how far it may look closer.
_AROUND, _CLOSEST = 1.0, 1e-3
# pyqtgraph's own, for no limit
_ANYWHERE = 1e307


class HomeBox(pg.ViewBox):
    """What a plot shows: the mouse moves it within limits around what the program showed, and a double-click goes back.

    pyqtgraph's own view goes on to numbers that no axis can write.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._home: list[list[float]] | None = None
        self._by_hand = False

    @contextlib.contextmanager
    def _in_hand(self) -> Iterator[None]:
        before, self._by_hand = self._by_hand, True
        if self._home is None:
            self._home = [list(side) for side in self.viewRange()]
            (left, right), (low, high) = self._home
            x, y = right - left, high - low
            self.setLimits(
                xMin=left - _AROUND * x, xMax=right + _AROUND * x, minXRange=_CLOSEST * x,
                yMin=low - _AROUND * y, yMax=high + _AROUND * y, minYRange=_CLOSEST * y,
            )  # fmt: skip
            # of the scene: a point that is hit keeps a click from what lies below it
            if self.scene() is not None:
                self.scene().sigMouseClicked.connect(self._on_click)
        try:
            yield
        finally:
            self._by_hand = before

    def _leave_home(self) -> None:
        """Lift the limits: what the program shows from now on is another home."""
        self._home = None
        if self.scene() is not None:
            with contextlib.suppress(TypeError, RuntimeError):  # moved to another scene since
                self.scene().sigMouseClicked.disconnect(self._on_click)
        self.setLimits(xMin=-_ANYWHERE, xMax=_ANYWHERE, minXRange=None, yMin=-_ANYWHERE, yMax=_ANYWHERE, minYRange=None)

    def setRange(self, *what: Any, **more: Any) -> None:  # noqa: N802
        if self._home is not None and not self._by_hand:
            self._leave_home()
        super().setRange(*what, **more)

    def wheelEvent(self, event: Any, axis: int | None = None) -> None:  # noqa: N802
        with self._in_hand():
            super().wheelEvent(event, axis)

    def mouseDragEvent(self, event: Any, axis: int | None = None) -> None:  # noqa: N802
        with self._in_hand():
            super().mouseDragEvent(event, axis)

    def linkedViewChanged(self, view: Any, axis: int) -> None:  # noqa: N802
        moved = isinstance(view, HomeBox) and view._by_hand
        with self._in_hand() if moved else contextlib.nullcontext():
            super().linkedViewChanged(view, axis)

    def _on_click(self, event: Any) -> None:
        if event.double() and event.button() == pg.QtCore.Qt.MouseButton.LeftButton:
            self.go_home()

    def go_home(self) -> None:
        """Show what the program showed, in all plots that stand together."""
        scene = self.scene()
        boxes = [box for box in ([self] if scene is None else scene.items()) if isinstance(box, HomeBox)]
        homes = [(box, box._home) for box in boxes if box._home is not None]
        for box, _ in homes:
            box._leave_home()
        for box, (x, y) in homes:
            box.setRange(xRange=x, yRange=y, padding=0)


class DecadeAxis(pg.AxisItem):
    """A logarithmic axis in plain numbers: 1, 2 and 5 of every decade."""

    def tickValues(self, low: float, high: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N802
        decades = range(math.floor(low) - 1, math.ceil(high) + 1)
        labelled = [(1, 2, 5), (1, 3), (1,)]
        # fewer numbers where there is no room for them
        steps = labelled[0 if size / max(high - low, 1e-3) > 110 else 1 if size / max(high - low, 1e-3) > 60 else 2]
        ticks = [decade + math.log10(step) for decade in decades for step in steps]
        shown = [tick for tick in ticks if low <= tick <= high]
        if len(shown) < 2:
            # within less than a decade, as a single tissue is: round numbers as on a linear axis
            least, most = 10.0**low, 10.0**high
            step = 10.0 ** math.floor(math.log10(max(most - least, 1e-9)))
            step *= next(part for part in (0.2, 0.5, 1, 2) if (most - least) / (part * step) <= 6)
            first = math.ceil(least / step)
            shown = [math.log10(number * step) for number in range(max(first, 1), math.floor(most / step) + 1)]
        return [(1.0, shown)]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        return [f"{10.0**value:g}" for value in values]


class ScatterPlot(pg.PlotWidget):
    """Estimated against true values of one parameter, both axes logarithmic and alike; identity and ±10 %."""

    def __init__(self, name: str, unit: str) -> None:
        axes = {side: DecadeAxis(side) for side in ("left", "bottom")}
        super().__init__(axisItems=axes, viewBox=HomeBox())
        self._of = (name, unit)
        self._labels = {"left": f"estimated {name} ({unit})", "bottom": f"true {name} ({unit})"}
        self.setAccessibleName(f"Estimated against true {name}")
        self.setToolTip(f"One point per voxel; solid line: estimate = truth; dashed: ±10 %. {BY_HAND}")
        # square inside its axes, or equal errors would look unequal
        self.setFixedHeight(330)
        self.setMaximumWidth(360)
        item = self.getPlotItem()
        item.getAxis("left").setWidth(56)
        item.getViewBox().setAspectLocked(True)
        self._identity = pg.InfiniteLine(pos=(0, 0), angle=45)
        self._bands = [pg.InfiniteLine(pos=(0, math.log10(factor)), angle=45) for factor in (0.9, 1.1)]
        for line in (self._identity, *self._bands):
            line.setZValue(10)
            self.addItem(line)
        self._clouds: list[pg.ScatterPlotItem] = []
        self._legend = item.addLegend(offset=(8, 4))

    def sizeHint(self) -> pg.QtCore.QSize:  # noqa: N802
        return pg.QtCore.QSize(350, 330)

    def apply_theme(self, colours: Palette) -> None:
        """Take the theme's colours."""
        self.setBackground(colours.background)
        style_plot(self.getPlotItem(), colours, **self._labels)
        self._identity.setPen(pg.mkPen(colours.text, width=1))
        for band in self._bands:
            band.setPen(pg.mkPen(colours.faint, width=1, style=pg.QtCore.Qt.PenStyle.DashLine))
        self._legend.setLabelTextColor(colours.text)

    def name_axes(self, reference: str, colours: Palette) -> None:
        """Say what the points lie over: the truth, or the model of this name."""
        parameter, unit = self._of
        across = f"true {parameter}" if reference == "truth" else f"{parameter} by {reference}"
        along = "estimated" if reference == "truth" else "other models'"
        self._labels = {"left": f"{along} {parameter} ({unit})", "bottom": f"{across} ({unit})"}
        self.setToolTip(f"One point per voxel; solid line: both are equal; dashed: ±10 %. {BY_HAND}")
        self.apply_theme(colours)

    def show_points(self, points: Sequence[tuple[str, FloatArray, FloatArray, str]]) -> None:
        """Draw true and estimated values of several models.

        Parameters
        ----------
        points : sequence of (name, true, estimated, colour)
            Values above 0.
        """
        for cloud in self._clouds:
            self.removeItem(cloud)
        self._legend.clear()
        self._clouds = []
        everything = [np.log10(true) for _, true, _, _ in points if true.size]
        layers: list[list[pg.ScatterPlotItem]] = []
        for name, true, estimated, colour in points:
            true, estimated = (values[estimated > 0] for values in (true, estimated))
            step = max(1, len(true) // _POINTS)
            # where many voxels lie the faint points add up
            fill = pg.mkColor(colour)
            fill.setAlpha(int(np.clip(4e5 / max(1, len(true[::step])), 40, 170)))
            x, y = np.log10(true[::step]), np.log10(estimated[::step])
            layers.append([
                pg.ScatterPlotItem(x[part::_LAYERS], y[part::_LAYERS], size=3.5, pen=None, brush=pg.mkBrush(fill))
                for part in range(_LAYERS if len(points) > 1 else 1)
            ])  # fmt: skip
            # in the legend the colour is what tells models apart
            self._legend.addItem(pg.ScatterPlotItem(size=8, pen=None, brush=pg.mkBrush(colour)), name)
        # in turn, or the last model would cover the others
        self._clouds = [cloud for clouds in zip(*layers, strict=True) for cloud in clouds]
        for cloud in self._clouds:
            self.addItem(cloud)
        if everything:
            values = np.concatenate(everything)
            low, high = float(values.min()) - 0.15, float(values.max()) + 0.15
            self.setXRange(low, high, padding=0)
            self.setYRange(low, high, padding=0)
