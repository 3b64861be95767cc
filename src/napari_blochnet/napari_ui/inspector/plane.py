"""The T1–T2 plane: where the truth, every model's answer and the noise limit lie, for all pins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qtpy.QtCore import QPointF, Qt, Signal
from qtpy.QtGui import QPolygonF
from qtpy.QtWidgets import QGraphicsPolygonItem, QVBoxLayout, QWidget

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.evaluation.drawing.figure_style import error_bars, round_ticks
from napari_blochnet.evaluation.voxel import Bound, Explanation
from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.inspector.plot_parts import BOTTOM, CornerText, PaintedPlots, style_small
from napari_blochnet.napari_ui.inspector.styles import colour_of, pin_colour, time_text, translucent
from napari_blochnet.napari_ui.widgets.appearance import Palette
from napari_blochnet.napari_ui.widgets.plots import HomeBox, pg

__all__ = ["PinContent", "PlaneView"]

# The plane shows at least this factor in T1 and in T2, so that a single point is not a whole axis.
_LEAST = 1.03
# Share of the height that is left for the caption.
_ROOM_ABOVE = 0.26
_ELLIPSE_NOTE = (
    "Ellipse: 95 % of the answers of an estimator that reaches the Cramér–Rao bound fall inside, for the true tissue "
    "(where the truth is not known, for the model's with the smallest residual), "
    "schedule and noise; no unbiased one does better. It is precision, not accuracy: white noise alone, the model "
    "taken as right. Partial volume, magnetisation transfer and a wrong B1 or slice profile are not in it; aliasing "
    "of undersampled data is not white noise. Bars: 95 % intervals from a model's own standard errors."
)


@dataclass(frozen=True)
class PinContent:
    """What the plane shows of one pin.

    Parameters
    ----------
    number : int
        0: a preview.
    items : tuple of Explanation
    bound : Bound, optional
    is_current : bool
    """

    number: int
    items: tuple[Explanation, ...]
    bound: Bound | None
    is_current: bool


class _LogAxis(pg.AxisItem):
    """Ticks at round numbers of ms on an axis that runs over log10 of them."""

    def tickValues(self, low: float, high: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N802
        if not (np.isfinite([low, high]).all() and high > low):
            return []
        most = max(2, int(size // (18 if self.orientation == "left" else 40)))
        return [(1.0, [float(np.log10(value)) for value in round_ticks(10.0**low, 10.0**high, most)])]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        return [f"{10.0**value:.6g}" for value in values]


class PlaneView(QWidget):
    """T2 over T1, both on log axes in ms."""

    #: index of the current pin's explanation under the mouse, or None
    hovered = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._pins: tuple[PinContent, ...] = ()
        self._colours: Palette | None = None
        self._highlighted: int | None = None
        self._hidden: frozenset[int] = frozenset()
        self.plots = PaintedPlots()
        self.plots.setAccessibleName("T1–T2 plane")
        self.setToolTip(_ELLIPSE_NOTE)
        self.plots.ci.setContentsMargins(0, 0, 8, 0)
        axes = {side: _LogAxis(side) for side in ("left", "bottom")}
        self.plot: pg.PlotItem = self.plots.addPlot(axisItems=axes, viewBox=HomeBox())
        self.plot.getAxis("left").setWidth(50)
        self.plot.getAxis("bottom").setHeight(BOTTOM)
        self.plot.getViewBox().disableAutoRange()
        self._diagonal = pg.InfiniteLine(pos=(0, 0), angle=45)
        self.plot.addItem(self._diagonal, ignoreBounds=True)
        self.caption = CornerText(self.plot)
        self._ellipses: list[QGraphicsPolygonItem] = []
        self._bars: list[pg.PlotCurveItem] = []
        self.points = pg.ScatterPlotItem(hoverable=True, tip=_tip)
        self.points.setZValue(20)
        self.plot.addItem(self.points)
        self.points.sigHovered.connect(self._on_hover)
        filled(QVBoxLayout(self), self.plots, spacing=0)

    def apply_theme(self, colours: Palette) -> None:
        """Take the theme's colours."""
        self._colours = colours
        self.plots.setBackground(colours.background)
        style_small(self.plot, colours, left="T2 (ms)", bottom="T1 (ms)")
        self.caption.apply_theme(colours)
        self._diagonal.setPen(pg.mkPen(colours.faint, width=1, style=Qt.PenStyle.DotLine))
        self._draw()

    def show_pins(self, pins: Sequence[PinContent], *, all_in_view: bool, hidden: frozenset[int] = frozenset()) -> None:
        """Draw what is known of the pins.

        Parameters
        ----------
        pins : sequence of PinContent
        all_in_view : bool
            Whether the axes hold all pins, or the current one alone.
        hidden : frozenset of int
            Slots of those that are left out.
        """
        self._pins, self._hidden = tuple(pins), hidden
        self._highlighted = None
        self._draw()
        seen = [pin for pin in self._pins if all_in_view or pin.is_current]
        places = [np.array([[item.t1, item.t2]]) for pin in seen for item in self._seen(pin)]
        places += [pin.bound.ellipse() for pin in seen if pin.bound is not None]
        current = [item for pin in seen if pin.is_current for item in self._seen(pin)]
        places += [bar for item in current if (bar := error_bars(item)) is not None]
        if places:
            self._set_range(np.log10(np.concatenate(places)))
        self.caption.setText(self._describe())
        self.plots.settle()

    def _seen(self, pin: PinContent) -> list[Explanation]:
        return [item for item in pin.items if item.slot not in self._hidden]

    def _set_range(self, places: FloatArray) -> None:
        low, high = places.min(axis=0), places.max(axis=0)
        short = np.maximum(np.log10(_LEAST) - (high - low), 0.0) / 2.0
        low, high = low - short, high + short
        below, above = 0.12 * (high - low), np.array([0.12, _ROOM_ABOVE]) * (high - low)
        (left, bottom), (right, top) = low - below, high + above
        self.plot.setRange(xRange=(left, right), yRange=(bottom, top), padding=0)

    def _describe(self) -> str:
        current = next((pin for pin in self._pins if pin.is_current), None)
        if current is None or current.bound is None:
            return ""
        return "95 % by noise alone" + ("" if current.bound.is_sigma_known else ", σ by residual")

    def highlight(self, number: int | None) -> None:
        """Let one explanation of the current pin stand out, or none."""
        if number != self._highlighted:
            self._highlighted = number
            self._draw_points()

    def _draw(self) -> None:
        colours = self._colours
        if colours is None:
            return
        bounds = [(pin, pin.bound) for pin in self._pins if pin.bound is not None]
        self._grow(self._ellipses, len(bounds), QGraphicsPolygonItem)
        for polygon in self._ellipses[len(bounds) :]:
            polygon.setPolygon(QPolygonF())
        for polygon, (pin, bound) in zip(self._ellipses, bounds, strict=False):
            polygon.setPolygon(QPolygonF([QPointF(x, y) for x, y in np.log10(bound.ellipse())]))
            colour = _bound_colour(pin, bound, colours)
            polygon.setPen(pg.mkPen(translucent(colour, 255 if pin.is_current else 120), width=1))
            polygon.setBrush(pg.mkBrush(translucent(colour, 45 if pin.is_current else 18)))
        items = [item for pin in self._pins if pin.is_current for item in self._seen(pin)]
        bars = [(item, bar) for item in items if (bar := error_bars(item)) is not None]
        self._grow(self._bars, len(bars), pg.PlotCurveItem)
        for curve in self._bars[len(bars) :]:
            curve.setData([], [])
        for curve, (item, bar) in zip(self._bars, bars, strict=False):
            curve.setData(*np.log10(bar).T, connect="pairs")
            curve.setPen(pg.mkPen(colour_of(item, colours), width=1))
        self._draw_points()

    def _grow(self, items: list[Any], count: int, make: Callable[[], Any]) -> None:
        """Have so many items in the plot, or more."""
        while len(items) < count:
            items.append(make())
            self.plot.addItem(items[-1], ignoreBounds=True)

    def _draw_points(self) -> None:
        colours = self._colours
        if colours is None:
            return
        spots = []
        # the current pin last, on top
        for pin in sorted(self._pins, key=lambda pin: pin.is_current):
            ring = pin_colour(pin.number, colours) if pin.number else colours.text
            # the truth above the models, which may all lie on it
            for number, item in sorted(enumerate(pin.items), key=lambda pair: pair[1].is_truth):
                if item.slot in self._hidden:
                    continue
                dimmed = not pin.is_current or self._highlighted not in (None, number)
                is_pointed_at = pin.is_current and self._highlighted == number
                size = (17 if item.is_truth else 11) + (4 if is_pointed_at else 0) - (0 if pin.is_current else 3)
                spot = {
                    "pos": (np.log10(item.t1), np.log10(item.t2)),
                    "size": size,
                    "symbol": "star" if item.is_truth else "o",
                    "brush": pg.mkBrush(translucent(colour_of(item, colours), 120 if dimmed else 255)),
                    "pen": pg.mkPen(translucent(ring, 150 if dimmed else 255), width=1.6),
                    "data": (pin, number),
                }
                spots.append(spot)
        self.points.setData(spots)

    def _on_hover(self, _plot: Any, points: Sequence[Any], _event: Any) -> None:
        current = [point.data()[1] for point in points if point.data()[0].is_current]
        self.hovered.emit(current[0] if current else None)


def _bound_colour(pin: PinContent, bound: Bound, colours: Palette) -> str:
    """Return the colour of what a bound was computed at."""
    at = next((item for item in pin.items if (item.t1, item.t2) == (bound.t1, bound.t2)), None)
    return colours.text if at is None else colour_of(at, colours)


def _tip(x: float, y: float, data: tuple[PinContent, int]) -> str:
    pin, number = data
    which = f"pin {pin.number}, " if pin.number else ""
    return f"{which}{pin.items[number].name}: T1 {time_text(10.0**x)} ms, T2 {time_text(10.0**y)} ms"
