"""A schedule as a picture: flip angle and TR over the TR index, and below them all that is played, to scale in time."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QLabel, QToolTip, QVBoxLayout, QWidget

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.panels.schedule.played_marks import (
    MarkLook,
    called,
    legend,
    mark_looks,
    marks_of,
    played_in_words,
)
from napari_blochnet.napari_ui.widgets.appearance import Palette, style_plot
from napari_blochnet.napari_ui.widgets.parts import note
from napari_blochnet.napari_ui.widgets.plots import BY_HAND, HomeBox, pg
from napari_blochnet.schedules.played_times import PlayedTimes, played_times
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["SchedulePlot"]

# Trains that are drawn: of more, the last.
_MOST_TRAINS = 4
# How near the mouse has to be to what it asks about, pixels.
_NEAR = 6
_HEIGHT, _STRIP, _AXIS = 230, 110, 52


def _pen(look: MarkLook) -> Any:
    return pg.mkPen(look.colour, width=1.4, style=Qt.PenStyle.DashLine if look.is_dashed else Qt.PenStyle.SolidLine)


class _View(pg.GraphicsLayoutWidget):
    """As high as there is room, and not higher by itself."""

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(320, self.minimumHeight() + 30)


class SchedulePlot(QWidget):
    """Flip angle above TR, over the TR index; what is played around the pulses is marked, and drawn over time."""

    def __init__(self) -> None:
        super().__init__()
        self._view = _View()
        self._view.ci.setContentsMargins(0, 4, 8, 0)
        self._view.ci.setSpacing(4)
        self._flip: pg.PlotItem = self._view.addPlot(row=0, col=0, viewBox=HomeBox())
        self._times: pg.PlotItem = self._view.addPlot(row=1, col=0, viewBox=HomeBox())
        self._played: pg.PlotItem = self._view.addPlot(row=2, col=0, viewBox=HomeBox())
        self._times.setXLink(self._flip)
        self._flip.getAxis("bottom").setStyle(showValues=False)
        self._played.getAxis("left").setTicks([])
        for row, share in enumerate((3, 2, 2)):
            self._view.ci.layout.setRowStretchFactor(row, share)
        for plot in (self._flip, self._times, self._played):
            plot.getAxis("left").setWidth(_AXIS)
            plot.setMouseEnabled(x=True, y=False)
        self._curves = (self._flip.plot(), self._times.plot())
        self._drawn: list[tuple[pg.PlotItem, Any]] = []
        #: what the marks mean
        self.legend = QLabel()
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setWordWrap(True)
        #: how long it takes, and what of it is recorded
        self.words = note()
        filled(QVBoxLayout(self), self._view, self.legend, self.words, spacing=2).setStretch(0, 1)
        self._schedule: Schedule | None = None
        self._colours: Palette | None = None
        self._asked: list[tuple[pg.PlotItem, float, str]] = []
        self._view.setAccessibleName("Flip angle and TR of each pulse, and what is played around them")
        self._view.scene().sigMouseMoved.connect(self._on_mouse)
        self._show_rows(has_marks=False, has_strip=False)

    def apply_theme(self, colours: Palette) -> None:
        """Take the theme's colours."""
        self._colours = colours
        self._view.setBackground(colours.background)
        style_plot(self._flip, colours, left="flip angle (°)")
        style_plot(self._times, colours, left="TR (ms)", bottom="TR index")
        style_plot(self._played, colours, left="played", bottom="time (s)")
        self._played.showGrid(x=True, y=False, alpha=0.12)
        for curve, colour in zip(self._curves, colours.traces, strict=False):
            curve.setPen(pg.mkPen(colour, width=1.6))
        self._draw_around()

    def show_schedule(self, schedule: Schedule | None) -> None:
        """Draw a schedule, or nothing."""
        self._schedule = schedule
        if schedule is None:
            for curve in self._curves:
                curve.setData([], [])
            self._draw_around()
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
        first = 0.0 if any(each.before == 0 for each in schedule.all_preparations) else 1.0
        self._flip.setXRange(first, len(schedule), padding=0.01)
        self._draw_around()

    # -- what is played around the pulses

    def _show_rows(self, *, has_marks: bool, has_strip: bool) -> None:
        self.legend.setVisible(has_marks)
        self.words.setVisible(has_strip)
        self._played.setVisible(has_strip)
        # an axis that was hidden has lost its width
        self._played.getAxis("left").setWidth(_AXIS)
        self._played.setMinimumHeight(_STRIP if has_strip else 0)
        self._played.setMaximumHeight(16777215 if has_strip else 0)
        self._view.setMinimumHeight(_HEIGHT + (_STRIP if has_strip else 0))
        self._view.updateGeometry()
        around = " Below: all that is played, to scale in time." if has_strip else ""
        self._view.setToolTip(f"The train, pulse by pulse.{around} {BY_HAND}")

    def _draw_around(self) -> None:
        for plot, item in self._drawn:
            plot.removeItem(item)
        self._drawn, self._asked = [], []
        schedule, colours = self._schedule, self._colours
        if schedule is None or colours is None:
            self._show_rows(has_marks=False, has_strip=False)
            return
        found = mark_looks(schedule, colours)
        self._mark(schedule, found)
        self._show_rows(has_marks=bool(found), has_strip=not schedule.is_plain)
        self.legend.setText(legend(schedule, colours))
        if not schedule.is_plain:
            times = played_times(schedule)
            self.words.setText(played_in_words(schedule, times))
            self._draw_trains(schedule, times, found, colours)

    def _add(self, plot: pg.PlotItem, item: Any) -> None:
        plot.addItem(item, ignoreBounds=True)
        self._drawn.append((plot, item))

    def _mark(self, schedule: Schedule, found: dict[str, MarkLook]) -> None:
        """Mark what is played before pulses, in both plots over the index."""
        marks = marks_of(schedule)
        for plot in (self._flip, self._times):
            low, high = plot.getViewBox().viewRange()[1]
            for name, look in found.items():
                places = np.array([mark.place for mark in marks if name in mark.names])
                if places.size:
                    x, y = np.repeat(places, 2), np.tile([low, high], places.size)
                    line = pg.PlotCurveItem(x, y, pen=_pen(look), connect="pairs")
                    line.setZValue(-5)
                    self._add(plot, line)
            self._asked += [(plot, mark.place, mark.sentence) for mark in marks]

    def _draw_trains(
        self, schedule: Schedule, times: PlayedTimes, found: dict[str, MarkLook], colours: Palette
    ) -> None:
        is_steady = schedule.trains == "steady"
        count = 2 if schedule.trains == "steady" else schedule.trains
        first = max(0, count - _MOST_TRAINS)
        top = max(1.0, float(schedule.flip_angle.max()))
        for number in range(first, count):
            is_recorded = number == count - 1
            start = number * times.period
            self._draw_train(schedule, times, start, colours.trace(0) if is_recorded else colours.faint)
            for name, look in found.items():
                self._draw_preparations(name, times, start, 1.12 * top, look.colour, is_recorded)
            if not is_recorded and schedule.recovery_time:
                begin = start + times.end
                self._draw_bars([begin], [schedule.recovery_time], 1.12 * top, colours.faint, 40)
                middle = (begin + schedule.recovery_time / 2) / 1000
                self._asked.append((self._played, middle, f"recovery of {schedule.recovery_time:g} ms"))
        name = "time in the steady state (s)" if is_steady else "time (s)"
        self._played.setLabel("bottom", name, color=colours.text)
        self._played.setYRange(0, 1.15 * top, padding=0)
        end = (count - 1) * times.period + times.end
        self._played.setXRange(first * times.period / 1000, end / 1000, padding=0.01)

    def _draw_train(self, schedule: Schedule, times: PlayedTimes, start: float, colour: str) -> None:
        x = np.repeat((times.pulses + start) / 1000, 2)
        y = np.zeros_like(x)
        # a pulse of a small angle is played, too
        y[1::2] = np.maximum(np.abs(schedule.flip_angle), 0.03 * float(np.abs(schedule.flip_angle).max() or 1.0))
        self._add(self._played, pg.PlotCurveItem(x, y, pen=pg.mkPen(colour, width=1), connect="pairs"))

    def _draw_preparations(
        self, name: str, times: PlayedTimes, start: float, top: float, colour: str, is_recorded: bool
    ) -> None:
        played = [each for each in times.preparations if called(each.preparation) == name]
        begins = np.array([start + each.start for each in played])
        lasting = np.array([each.preparation.duration for each in played])
        delays = np.array([each.preparation.delay for each in played])
        self._draw_bars(begins, lasting, top, colour, 255 if is_recorded else 120, is_edged=True)
        self._draw_bars(begins + lasting, delays, top, colour, 45 if is_recorded else 25)
        self._asked += [(self._played, float(at) / 1000, f"{each.preparation.describe()}, at {at / 1000:.4g} s")
                        for at, each in zip(begins, played, strict=True)]  # fmt: skip

    def _draw_bars(
        self,
        begins: FloatArray | list[float],
        lasting: FloatArray | list[float],
        top: float,
        colour: str,
        alpha: int,
        *,
        is_edged: bool = False,
    ) -> None:
        fill = pg.mkColor(colour)
        fill.setAlpha(alpha)
        # what lasts no time is seen by its edge
        pen = pg.mkPen(fill, width=1.6) if is_edged else pg.mkPen(None)
        x, width = np.asarray(begins) / 1000, np.asarray(lasting) / 1000
        bars = pg.BarGraphItem(x0=x, width=width, y0=0.0, height=top, brush=pg.mkBrush(fill), pen=pen)
        bars.setZValue(-5)
        self._add(self._played, bars)

    def _on_mouse(self, position: Any) -> None:
        """Say what is played where the mouse is."""
        for plot in (self._flip, self._times, self._played):
            box = plot.getViewBox()
            if not plot.isVisible() or not box.sceneBoundingRect().contains(position):
                continue
            here, near = box.mapSceneToView(position).x(), _NEAR * box.viewPixelSize()[0]
            found = [(abs(place - here), text) for known, place, text in self._asked if known is plot]
            distance, text = min(found, default=(np.inf, ""))
            if distance <= near:
                QToolTip.showText(QCursor.pos(), text, self._view)
            else:
                QToolTip.hideText()
            return
