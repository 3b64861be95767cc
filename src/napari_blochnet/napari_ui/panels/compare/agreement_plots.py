"""Plots of agreement in one region (pyqtgraph): Bland–Altman, histograms, box plots."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.colour_limits import round_up
from napari_blochnet.evaluation.agreement.agreement_table import AGREEMENT_COLUMNS
from napari_blochnet.evaluation.agreement.bland_altman import differences
from napari_blochnet.evaluation.agreement.difference_maps import PARAMETERS
from napari_blochnet.evaluation.agreement.distributions import Box
from napari_blochnet.evaluation.agreement.series import RegionSeries
from napari_blochnet.evaluation.tables import cell
from napari_blochnet.napari_ui.widgets.appearance import Palette, style_plot
from napari_blochnet.napari_ui.widgets.plots import BY_HAND, DecadeAxis, HomeBox, pg

__all__ = ["AgreementPlot", "BlandAltmanPlot", "BoxPlot", "HistogramPlot", "PlainScatter"]

# Numbers at lines have the digits of the table.
_COLUMNS = {column.key: column for column in AGREEMENT_COLUMNS}
Colours = Mapping[str, str]

#: Of the plots, pixels.
HEIGHT = 300
# Of more models, numbers at the lines would stand on each other; the table has them.
_MOST_LABELS = 1
# Pixels that half of an axis's last number takes.
_LAST_NUMBER = 18
# Letters of a name in a line before a box.
_LINE = 16
# Of each model's points, drawn in turn with the other models'.
_LAYERS = 8


class AgreementPlot(pg.PlotWidget):
    """A plot of one region, drawn anew for another."""

    def __init__(self, name: str, meaning: str, **axes: Any) -> None:
        super().__init__(axisItems=axes, viewBox=HomeBox())
        self.setAccessibleName(name)
        self.setToolTip(f"{meaning} {BY_HAND}")
        self.setFixedHeight(HEIGHT)
        self.item = self.getPlotItem()
        self.item.getAxis("left").setWidth(56)
        # half of the last number of the axis stands beyond its end
        self.item.layout.setContentsMargins(1, 1, _LAST_NUMBER, 1)
        self._drawn: list[Any] = []
        self.legend = self.item.addLegend(offset=(-8, 4))

    def sizeHint(self) -> pg.QtCore.QSize:  # noqa: N802
        return pg.QtCore.QSize(320, HEIGHT)

    def take_theme(self, colours: Palette, **labels: str) -> None:
        """Take the theme's colours, and these labels of the axes."""
        self.setBackground(colours.background)
        style_plot(self.item, colours, **labels)
        self.legend.setLabelTextColor(colours.text)
        # readable over points
        self.legend.setBrush(pg.mkBrush(colours.background))

    def clear_drawn(self) -> None:
        """Take away what was drawn."""
        for drawn in self._drawn:
            self.removeItem(drawn)
        self._drawn = []
        self.legend.clear()

    def draw(self, item: Any) -> Any:
        """Add an item until the next `clear_drawn`."""
        self._drawn.append(item)
        self.addItem(item)
        return item

    def name(self, title: str, colour: str) -> None:
        """Enter a model in the legend."""
        self.legend.addItem(pg.ScatterPlotItem(size=8, pen=None, brush=pg.mkBrush(colour)), title)

    def set_home(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        """Show this part."""
        self.item.setRange(xRange=x, yRange=y, padding=0)


class _WholeAxis(DecadeAxis):
    """An axis whose last number is drawn though half of it stands beyond the end; pyqtgraph leaves it out."""

    def boundingRect(self) -> pg.QtCore.QRectF:  # noqa: N802
        return super().boundingRect().adjusted(-_LAST_NUMBER, 0, _LAST_NUMBER, 0)


class BlandAltmanPlot(AgreementPlot):
    """Differences from the reference over the mean of both, with bias and limits of agreement."""

    def __init__(self, parameter: str) -> None:
        self._parameter = parameter
        meaning = (
            "One point per voxel. Solid line: bias; dashed: limits of agreement, bias ± 1.96 SD; shaded: their "
            "confidence intervals."
        )
        # what may be 0 has no decades
        axes = {"bottom": _WholeAxis("bottom")} if parameter in PARAMETERS else {}
        super().__init__(f"Bland–Altman plot of {parameter}", meaning, **axes)

    def show_series(
        self, found: RegionSeries, rows: Mapping[str, Mapping[str, Any]], unit: str, colours: Colours, theme: Palette
    ) -> None:
        """Draw the models; ``rows`` are those of the table, by model, and say where the lines are."""
        sign, in_percent = found.sign(unit), found.is_time and unit == "percent"
        self.clear_drawn()
        self.take_theme(
            theme,
            left=f"model − {found.reference.name}{f' ({sign})' if sign else ''}",
            bottom=found.axis(f"mean {self._parameter} of both"),
        )
        ending = "_percent" if in_percent else ""
        self.draw(pg.InfiniteLine(pos=0, angle=0, pen=pg.mkPen(theme.faint, width=1)))
        clouds: list[list[Any]] = []
        reach, ends = 0.0, []
        for model in found.models:
            row, colour = rows[model.name], colours[model.name]
            self.name(model.name, colour)
            if not len(model.values):
                continue
            apart = differences(model.reference, model.values, percent=in_percent)
            middle = (model.reference + model.values) / 2
            middle = np.log10(middle) if found.is_time else middle
            ends += [float(middle.min()), float(middle.max())]
            clouds.append(_cloud(middle, apart, colour))
            reach = max(reach, float(np.percentile(np.abs(apart), 99)))
            for key in ("lower", "bias", "upper"):
                value = row[f"{key}{ending}"]
                if value is None:
                    continue
                reach = max(reach, 1.15 * abs(value))
                label = cell(row, _COLUMNS[f"{key}{ending}"]) if len(found.models) <= _MOST_LABELS else ""
                interval = row[f"{key}{ending}_from"], row[f"{key}{ending}_to"]
                self._line(key, value, interval, label, colour, theme)
        for layer in zip(*clouds, strict=True):
            for cloud in layer:
                self.draw(cloud)
        if ends:
            high = round_up(reach)
            room = 0.05 if found.is_time else 0.05 * (max(ends) - min(ends)) or 0.5
            self.set_home((min(ends) - room, max(ends) + room), (-high, high))

    def _line(
        self,
        key: str,
        value: float,
        interval: tuple[float | None, float | None],
        label: str,
        colour: str,
        theme: Palette,
    ) -> None:
        """Draw bias or a limit, with its confidence interval."""
        low, high = interval
        if low is not None and high is not None:
            shade = pg.mkColor(colour)
            shade.setAlpha(50)
            band = pg.LinearRegionItem((low, high), "horizontal", movable=False, brush=pg.mkBrush(shade))
            for line in band.lines:
                line.setPen(pg.mkPen(None))
            band.setZValue(5)
            self.draw(band)
        style = pg.QtCore.Qt.PenStyle.SolidLine if key == "bias" else pg.QtCore.Qt.PenStyle.DashLine
        more: dict[str, Any] = {}
        if label:
            # from the axis on, above the line, and readable over points
            how = {"position": 0.0, "anchors": [(0, 1), (0, 1)], "color": colour, "fill": theme.background}
            more = {"label": label.replace("-", "−"), "labelOpts": how}
        line = pg.InfiniteLine(pos=value, angle=0, pen=pg.mkPen(colour, width=1.6, style=style), **more)
        line.setZValue(10)
        self.draw(line)


class PlainScatter(AgreementPlot):
    """Each model's values over the reference's on plain axes, of what may be 0 or below."""

    def __init__(self, parameter: str) -> None:
        self._parameter = parameter
        super().__init__(f"Scatter plot of {parameter}", "One point per voxel; line: both are equal.")

    def show_series(self, found: RegionSeries, colours: Colours, theme: Palette) -> None:
        """Draw the models."""
        self.clear_drawn()
        label = found.axis(self._parameter)
        self.take_theme(theme, left=f"models' {label}", bottom=f"{label} by {found.reference.name}")
        self.draw(pg.InfiniteLine(pos=(0, 0), angle=45, pen=pg.mkPen(theme.text, width=1))).setZValue(10)
        clouds, ends = [], []
        for model in found.models:
            self.name(model.name, colours[model.name])
            if len(model.values):
                ends += [
                    float(end) for values in (model.reference, model.values) for end in (values.min(), values.max())
                ]
                clouds.append(_cloud(model.reference, model.values, colours[model.name]))
        for layer in zip(*clouds, strict=True):
            for cloud in layer:
                self.draw(cloud)
        if ends:
            room = 0.05 * (max(ends) - min(ends)) or 0.5
            self.set_home((min(ends) - room, max(ends) + room), (min(ends) - room, max(ends) + room))


class HistogramPlot(AgreementPlot):
    """The share of voxels over the value, of the reference and of each model."""

    def __init__(self, parameter: str) -> None:
        self._parameter = parameter
        meaning = "Per cent of each model's voxels in each bin; half a per cent at either end lies beyond."
        super().__init__(f"Histograms of {parameter}", meaning)

    def show_series(self, found: RegionSeries, colours: Colours, theme: Palette) -> None:
        """Draw all histograms."""
        self.clear_drawn()
        self.take_theme(theme, left="voxels (%)", bottom=found.axis(self._parameter))
        high = 0.0
        for each in (found.reference, *found.models):
            self.name(each.name, colours[each.name])
            if len(found.edges):
                pen = pg.mkPen(colours[each.name], width=1.6)
                self.draw(pg.PlotCurveItem(found.edges, each.share, stepMode="center", pen=pen))
                high = max(high, float(each.share.max()))
        if high:
            self.set_home((float(found.edges[0]), float(found.edges[-1])), (0.0, 1.3 * high))


class BoxPlot(AgreementPlot):
    """A box for each model: quartiles, median and whiskers, of values or of differences from the reference."""

    def __init__(self, parameter: str) -> None:
        self._parameter = parameter
        meaning = "Box: quartiles and median; dot: mean; whiskers: the furthest values within 1.5 interquartile ranges."
        super().__init__(f"Box plots of {parameter}", meaning)

    def show_series(self, found: RegionSeries, unit: str, colours: Colours, theme: Palette) -> None:
        """Draw the boxes.

        Parameters
        ----------
        found : RegionSeries
        unit : {"", "percent", "ms"}
            Of differences; none: the values themselves, of the reference too.
        colours : mapping of str to str
            By name.
        theme : Palette
        """
        self.clear_drawn()
        label = found.axis(self._parameter)
        if unit:
            sign = found.sign(unit)
            label = f"{self._parameter}, model − {found.reference.name}{f' ({sign})' if sign else ''}"
        self.take_theme(theme, left="", bottom=label)
        shown = [(each.name, each.apart[unit] if unit else each.box) for each in found.models]
        if not unit:
            shown.insert(0, (found.reference.name, found.reference.box))
        axis = self.item.getAxis("left")
        wrapped = ["\n".join(textwrap.wrap(name, _LINE)) for name, _ in shown]
        axis.setTicks([[(-number, text) for number, text in enumerate(wrapped)]])
        metrics = self.fontMetrics()
        axis.setWidth(max(metrics.horizontalAdvance(line) for text in wrapped for line in text.split("\n")) + 16)
        ends = [end for _, box in shown if box.values for end in (box.lower, box.upper, box.mean)]
        for number, (name, box) in enumerate(shown):
            if box.values:
                self._box(-number, box, colours[name], theme)
        if unit:
            self.draw(pg.InfiniteLine(pos=0, angle=90, pen=pg.mkPen(theme.faint, width=1)))
            ends.append(0.0)
        if ends:
            room = max(0.06 * (max(ends) - min(ends)), 1e-3 * max(map(abs, ends)), 1e-3)
            self.set_home((min(ends) - room, max(ends) + room), (0.6 - len(shown), 0.6))

    def _box(self, place: float, box: Box, colour: str, theme: Palette) -> None:
        fill = pg.mkColor(colour)
        fill.setAlpha(110)
        pen = pg.mkPen(colour, width=1.4)
        whiskers = [box.lower, box.first, box.third, box.upper, box.lower, box.lower, box.upper, box.upper]
        heights = [place] * 4 + [place - 0.15, place + 0.15] * 2
        self.draw(pg.PlotCurveItem(whiskers, heights, connect="pairs", pen=pen))
        self.draw(pg.BarGraphItem(x0=[box.first], x1=[box.third], y=[place], height=0.56, pen=pen, brush=fill))
        median = [box.median, box.median]
        self.draw(pg.PlotCurveItem(median, [place - 0.28, place + 0.28], pen=pg.mkPen(theme.text, width=2)))
        self.draw(pg.ScatterPlotItem([box.mean], [place], size=5, pen=None, brush=pg.mkBrush(theme.text)))


def _cloud(x: FloatArray, y: FloatArray, colour: str) -> list[Any]:
    """Return points in layers, to be drawn in turn with others, or the last model would cover the rest."""
    fill = pg.mkColor(colour)
    fill.setAlpha(int(np.clip(3e5 / max(1, len(x)), 40, 170)))
    brush = pg.mkBrush(fill)
    return [
        pg.ScatterPlotItem(x[part::_LAYERS], y[part::_LAYERS], size=3.5, pen=None, brush=brush)
        for part in range(_LAYERS)
    ]
