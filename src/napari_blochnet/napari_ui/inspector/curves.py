"""The inspector's curves: measured and re-simulated fingerprints above what each model leaves unexplained.

Residuals lie in lanes below each other, one a model, all with one scale: they share the noise, and would hide each
other on one line.

Items are made once and get new data: making them again for every voxel would cost more than computing it. Lines are
as wide as one pixel, or drawn as segments: Qt strokes long wide polylines slowly.
"""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_blochnet.common.colour_limits import round_up
from napari_blochnet.common.plain_text import counted
from napari_blochnet.evaluation.drawing.figure_style import lane_tick
from napari_blochnet.evaluation.voxel import Explanations
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.inspector.plot_parts import BOTTOM, CornerText, PaintedPlots, style_small
from napari_blochnet.napari_ui.inspector.styles import colour_of, is_second_round, number_text, translucent
from napari_blochnet.napari_ui.widgets.appearance import Palette
from napari_blochnet.napari_ui.widgets.plots import HomeBox, pg

__all__ = ["CurvesView"]

# A curve is meant where the mouse is at most this far from it, in pixels.
_NEAR = 9.0
# Coefficients that are listed.
_LISTED = 10
_DIMMED = 55
# Share of the height that is left for the readout.
_ROOM_ABOVE = 0.24
# Heights that plots have at least, pixels: the fingerprints', and the residuals' with their axis.
_SIGNAL, _RESIDUAL = 128, 92
# A lane's number stands beside lanes of this height, and numbers above and below it beside higher ones; pixels.
_NUMBERED, _ROOMY = 12, 40


class CurvesView(QWidget):
    """Fingerprints and residuals over the TR index, with a readout under the mouse."""

    #: index of the explanation under the mouse, or None
    hovered = Signal(object)
    #: TR index (from 1) that was clicked
    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._shown: Explanations | None = None
        self._colours: Palette | None = None
        self._highlighted: int | None = None
        self._hidden: frozenset[int] = frozenset()
        #: how far down the residual of each explanation is drawn, of those that are, and half the height of its lane
        self.lanes: dict[int, float] = {}
        self.lane = 1.0
        self._label = ""
        self.plots = PaintedPlots()
        self.plots.setAccessibleName("Fingerprints and residuals over the TR index")
        self.plots.ci.setContentsMargins(0, 0, 8, 0)
        self.plots.ci.setSpacing(2)
        self.signal: pg.PlotItem = self.plots.addPlot(row=0, col=0, viewBox=HomeBox())
        self.residual: pg.PlotItem = self.plots.addPlot(row=1, col=0, viewBox=HomeBox())
        self.residual.setXLink(self.signal)
        self.signal.getAxis("bottom").setStyle(showValues=False)
        self.plots.ci.layout.setRowStretchFactor(0, 5)
        self.plots.ci.layout.setRowStretchFactor(1, 3)
        self.plots.ci.layout.setRowMinimumHeight(0, _SIGNAL)
        self.plots.ci.layout.setRowMinimumHeight(1, _RESIDUAL)
        self.plots.setMinimumHeight(_SIGNAL + _RESIDUAL + 2)
        self.residual.getAxis("bottom").setHeight(BOTTOM)
        for plot in (self.signal, self.residual):
            plot.getAxis("left").setWidth(62)
            plot.setMouseEnabled(x=True, y=False)
            plot.getViewBox().disableAutoRange()
        # of each lane: what noise alone leaves, 95 % of the time, and zero
        self._bands: list[pg.LinearRegionItem] = []
        self._zeros: list[pg.InfiniteLine] = []
        self._now = [self._line(plot) for plot in (self.signal, self.residual)]
        self._cross = [self._line(plot) for plot in (self.signal, self.residual)]
        for line in self._cross:
            line.setVisible(False)
        self.readout = CornerText(self.signal, right=True)
        self.near = CornerText(self.residual, right=True)
        self._measured = pg.PlotCurveItem()
        self.signal.addItem(self._measured)
        self._curves: list[tuple[pg.PlotCurveItem, pg.PlotCurveItem]] = []
        filled(QVBoxLayout(self), self.plots, spacing=0)
        self.plots.scene().sigMouseMoved.connect(self._on_mouse)
        self.plots.scene().sigMouseClicked.connect(self._on_click)

    @staticmethod
    def _line(plot: pg.PlotItem) -> pg.InfiniteLine:
        line = pg.InfiniteLine(angle=90)
        plot.addItem(line, ignoreBounds=True)
        return line

    def leaveEvent(self, event: Any) -> None:  # noqa: N802
        super().leaveEvent(event)
        self._leave()

    def apply_theme(self, colours: Palette) -> None:
        """Take the theme's colours."""
        self._colours = colours
        self.plots.setBackground(colours.background)
        style_small(self.signal, colours, left="signal<br>(a.u.)")
        style_small(self.residual, colours, left=self._label or "residual<br>(a.u.)", bottom="TR index")
        for text in (self.readout, self.near):
            text.apply_theme(colours)
        self._style_lanes()
        for line in self._now:
            line.setPen(pg.mkPen(colours.accent, width=1, style=Qt.PenStyle.DashLine))
        for line in self._cross:
            line.setPen(pg.mkPen(colours.faint, width=1))
        # broad and faint below the thin lines of the models, so that both are seen where they agree
        self._measured.setPen(pg.mkPen(translucent(colours.measured, 130), width=3))
        if self._shown is not None:
            self._style()

    def show_explanations(self, shown: Explanations | None, hidden: frozenset[int] = frozenset()) -> None:
        """Draw a voxel's curves, or none; those whose slots are hidden are left out."""
        before, self._shown = self._shown, shown
        self._hidden = hidden
        self._highlighted = None
        count = 0 if shown is None else len(shown.items)
        while len(self._curves) < count:
            pair = (pg.PlotCurveItem(), pg.PlotCurveItem())
            self.signal.addItem(pair[0])
            self.residual.addItem(pair[1])
            self._curves.append(pair)
        for pair in self._curves[count:]:
            for curve in pair:
                curve.setData([], [])
        if shown is None:
            self._measured.setData([], [])
            self._leave()
            return
        index = np.arange(1.0, len(shown.measured) + 1)
        self._measured.setData(index, shown.measured)
        self._set_limits(shown)
        for number, ((above, below), item, curve) in enumerate(
            zip(self._curves, shown.items, shown.curves, strict=False)
        ):
            above.setData([], []) if item.slot in hidden else above.setData(index, curve)
            lane = self.lanes.get(number)
            below.setData([], []) if lane is None else below.setData(index, shown.measured - curve - lane)
        self._style()
        if before is None or len(before.measured) != len(index):
            self.signal.setXRange(1, len(index), padding=0.01)
        self._leave()
        self.plots.settle()

    def _set_limits(self, shown: Explanations) -> None:
        seen = [number for number, item in enumerate(shown.items) if item.slot not in self._hidden]
        values = np.concatenate([shown.measured[None], shown.curves[seen]])
        low, high = float(values.min()), float(values.max())
        if shown.quantity == "magnitude":
            low = 0.0
        high = high if high > low else low + 1.0
        self.signal.setYRange(low - 0.05 * (high - low), high + _ROOM_ABOVE * (high - low), padding=0)
        models = [number for number in seen if not shown.items[number].is_truth]
        left = max((float(np.abs(shown.measured - shown.curves[number]).max()) for number in models), default=0.0)
        band = 0.0 if shown.bound is None else 1.96 * shown.bound.sigma
        limit = max(left, 1.4 * band) or 0.05 * max(abs(low), abs(high)) or 1.0
        self.lane = round_up(1.04 * limit) if len(models) > 1 else 1.04 * limit
        self.lanes = {number: 2.0 * self.lane * place for place, number in enumerate(models)}
        count = max(1, len(models))
        while len(self._zeros) < count:
            self._bands.append(pg.LinearRegionItem(orientation="horizontal", movable=False, pen=pg.mkPen(None)))
            self._zeros.append(pg.InfiniteLine(angle=0, pos=0))
            for item in (self._bands[-1], self._zeros[-1]):
                self.residual.addItem(item, ignoreBounds=True)
            self._bands[-1].setZValue(-20)
            self._zeros[-1].setZValue(-10)
            self._style_lanes()
        for place, (region, zero) in enumerate(zip(self._bands, self._zeros, strict=True)):
            centre = -2.0 * self.lane * place
            zero.setVisible(place < count)
            zero.setValue(centre)
            region.setVisible(place < count and band > 0)
            region.setRegion((centre - band, centre + band))
        self.plots.ci.layout.setRowStretchFactor(1, min(5, 2 + count))
        self.residual.setYRange(-self.lane * (2 * count - 1), self.lane, padding=0)
        self._number_lanes()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._number_lanes()

    def _number_lanes(self) -> None:
        """Write at the axis what each lane's own heights are: zero, and a round number above and below it."""
        axis = self.residual.getAxis("left")
        # all lanes have one scale
        label = "residual<br>(a.u.)" if len(self.lanes) < 2 else f"residual<br>(±{number_text(self.lane)} a.u.)"
        if label != self._label and self._colours is not None:
            self._label = label
            style_small(self.residual, self._colours, left=label)
        if len(self.lanes) < 2:
            axis.setTicks(None)
            return
        high = (self.residual.getViewBox().height() or self.residual.height() - BOTTOM) / len(self.lanes)
        step = lane_tick(self.lane)
        ticks = []
        for lane in self.lanes.values():
            ticks += [(-lane, "0")] if high >= _NUMBERED else []
            if high >= _ROOMY:
                ticks += [(-lane + sign * step, number_text(sign * step)) for sign in (-1, 1)]
        axis.setTicks([ticks, []])

    def _style_lanes(self) -> None:
        if self._colours is not None:
            for band in self._bands:
                band.setBrush(pg.mkBrush(translucent(self._colours.text, 26)))
            for zero in self._zeros:
                zero.setPen(pg.mkPen(self._colours.faint, width=1))

    def _style(self) -> None:
        """Give every curve its pen: one stands out while it is pointed at."""
        shown, colours = self._shown, self._colours
        if shown is None or colours is None:
            return
        for number, (item, pair) in enumerate(zip(shown.items, self._curves, strict=False)):
            others = self._highlighted is not None and self._highlighted != number
            colour = translucent(colour_of(item, colours), _DIMMED if others else 255)
            style = Qt.PenStyle.SolidLine
            if item.is_truth or is_second_round(item, colours):
                style = Qt.PenStyle.DashLine if item.is_truth else Qt.PenStyle.DotLine
            width = 2 if self._highlighted == number else 1
            for curve in pair:
                curve.setPen(pg.mkPen(colour, width=width, style=style))
                curve.setZValue(10 if self._highlighted == number else 0)

    def highlight(self, number: int | None) -> None:
        """Let one explanation stand out, or none."""
        if number != self._highlighted:
            self._highlighted = number
            self._style()

    def pulses(self) -> tuple[int, int] | None:
        """Return the first and the last TR index in view; None where all are."""
        if self._shown is None:
            return None
        last = len(self._shown.measured)
        low, high = self.signal.getViewBox().viewRange()[0]
        first, end = max(1, int(np.ceil(low))), min(last, int(np.floor(high)))
        return (first, end) if first < end and (first, end) != (1, last) else None

    def show_now(self, index: float | None) -> None:
        """Mark the TR index that the viewer's slider stands at."""
        for line in self._now:
            line.setVisible(index is not None)
            if index is not None:
                line.setValue(index)

    # -- under the mouse

    def _index_at(self, position: Any) -> tuple[pg.PlotItem, int] | None:
        shown = self._shown
        for plot in (self.signal, self.residual):
            box = plot.getViewBox()
            if shown is not None and box.sceneBoundingRect().contains(position):
                index = round(box.mapSceneToView(position).x())
                if 1 <= index <= len(shown.measured):
                    return plot, index
        return None

    def _on_click(self, event: Any) -> None:
        if event.double():
            if self._shown is not None:
                self.signal.setXRange(1, len(self._shown.measured), padding=0.01)
            return
        found = self._index_at(event.scenePos())
        if found is not None and event.button() == Qt.MouseButton.LeftButton:
            self.chosen.emit(found[1])

    def _leave(self) -> None:
        for line in self._cross:
            line.setVisible(False)
        self.readout.setText("" if self._shown is None else _read_whole(self._shown))
        self.near.setText("")
        self.hovered.emit(None)

    def _on_mouse(self, position: Any) -> None:
        found, shown = self._index_at(position), self._shown
        if found is None or shown is None:
            self._leave()
            return
        plot, index = found
        for line in self._cross:
            line.setVisible(True)
            line.setValue(index)
        near = self._nearest(plot, index, position)
        self.readout.setHtml(_read_pulse(shown, index))
        colour = None if near is None or self._colours is None else colour_of(shown.items[near], self._colours)
        self.near.setHtml("" if near is None or colour is None else _read_model(shown, index, near, colour))
        self.hovered.emit(near)

    def _nearest(self, plot: pg.PlotItem, index: int, position: Any) -> int | None:
        shown, box = self._shown, plot.getViewBox()
        if shown is None or not shown.items:
            return None
        y = box.mapSceneToView(position).y()
        values = shown.curves[:, index - 1].astype(np.float64)
        values[[item.slot in self._hidden for item in shown.items]] = np.inf
        if plot is self.residual:
            left = shown.measured[index - 1] - values
            # the truth has no residual here
            lanes = [self.lanes.get(number) for number in range(len(left))]
            values = np.array([np.inf if lane is None else v - lane for v, lane in zip(left, lanes, strict=True)])
        distance = np.abs(values - y) / box.viewPixelSize()[1]
        near = int(np.argmin(distance))
        return near if distance[near] <= _NEAR else None


def _read_whole(shown: Explanations) -> str:
    if shown.coefficients is None:
        return shown.quantity
    sizes = ", ".join(number_text(float(abs(value))) for value in shown.coefficients[:_LISTED])
    more = ", …" if len(shown.coefficients) > _LISTED else ""
    return (
        f"{shown.quantity}, of the curve that {counted(len(shown.coefficients), 'coefficient')} "
        f"stand{'s' if len(shown.coefficients) == 1 else ''} for: "
        f"|c| {sizes}{more} a.u."
    )


def _read_pulse(shown: Explanations, index: int) -> str:
    schedule, place = shown.voxel.stack.schedule, index - 1
    played = "" if schedule is None else (
        f" · {schedule.flip_angle[place]:.1f}° · TR {schedule.repetition_time[place]:.2f} ms"
    )  # fmt: skip
    what = "measured" if shown.coefficients is None else "curve of the coefficients"
    return f"<b>TR index {index}</b>{played} · {what} {number_text(float(shown.measured[place]))} a.u."


def _read_model(shown: Explanations, index: int, number: int, colour: str) -> str:
    item, value = shown.items[number], float(shown.curves[number, index - 1])
    text = f"<span style='color:{colour}'>{escape(item.name)}</span> {number_text(value)}"
    left = float(shown.measured[index - 1]) - value
    return text + (" a.u." if item.is_truth else f" · residual {number_text(left)} a.u.")
