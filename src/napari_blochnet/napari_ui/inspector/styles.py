"""How the inspector's views draw the same things alike: the measured signal, the truth, each model, each pin."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QPolygonF

from napari_blochnet.evaluation.voxel import Explanation
from napari_blochnet.napari_ui.state.pins import PIN_COLOURS
from napari_blochnet.napari_ui.widgets.appearance import Palette

__all__ = [
    "colour_of",
    "is_second_round",
    "number_text",
    "pin_colour",
    "pin_icon",
    "swatch",
    "time_text",
    "translucent",
]


def colour_of(item: Explanation, colours: Palette) -> str:
    """Return the colour of a model, or of the truth, in every view."""
    return colours.good if item.is_truth else colours.trace(item.slot)


def is_second_round(item: Explanation, colours: Palette) -> bool:
    """Whether a model shares its colour with another; its curve is dotted then."""
    return not item.is_truth and item.slot >= len(colours.traces)


def pin_colour(number: int, colours: Palette) -> QColor:
    """Return a pin's colour, darker on a light background, where bright yellow would be lost."""
    colour = QColor(PIN_COLOURS[(number - 1) % len(PIN_COLOURS)])
    return colour if QColor(colours.background).lightness() < 128 else colour.darker(145)


def translucent(colour: str | QColor, alpha: int) -> QColor:
    """Return a colour with an alpha of 0 to 255."""
    made = QColor(colour)
    made.setAlpha(alpha)
    return made


def time_text(value: float) -> str:
    """Return a relaxation time in ms with the digits that matter."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def number_text(value: float) -> str:
    """Return a signal or a proton density with three digits, a true minus before negative ones."""
    return f"{value:.3g}".replace("-", "−")


def _icon(width: int, height: int, draw: Callable[[QPainter], None]) -> QIcon:
    """Return an icon that is drawn twice as fine as its size in pixels."""
    picture = QPixmap(2 * width, 2 * height)
    picture.setDevicePixelRatio(2.0)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    draw(painter)
    painter.end()
    return QIcon(picture)


@functools.cache
def swatch(colour: str, is_truth: bool) -> QIcon:
    """Return the key of a line: a dot on a line for a model, a dashed line with a star for the truth."""

    def draw(painter: QPainter) -> None:
        pen = QPen(QColor(colour), 1.8)
        if is_truth:
            pen.setDashPattern([2.0, 1.6])
        painter.setPen(pen)
        painter.drawLine(QPointF(1, 6), QPointF(21, 6))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colour))
        if is_truth:
            corners = [(math.pi * (0.2 * number - 0.5), (5.6, 2.4)[number % 2]) for number in range(10)]
            painter.drawPolygon(QPolygonF([QPointF(11 + r * math.cos(a), 6.3 + r * math.sin(a)) for a, r in corners]))
        else:
            painter.drawEllipse(QPointF(11, 6), 3.6, 3.6)

    return _icon(22, 12, draw)


@functools.cache
def pin_icon(colour: str) -> QIcon:
    """Return a ring as on the canvas."""

    def draw(painter: QPainter) -> None:
        painter.setPen(QPen(QColor(colour), 2.4))
        painter.drawEllipse(QRectF(2, 2, 8, 8))

    return _icon(12, 12, draw)
