"""Names of pictures, on as many lines as their cell of the grid asks for: no two are cut to the same text."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from napari._vispy.overlays.text import VispyLayerNameOverlay
from napari._vispy.utils.visual import overlay_to_visual
from napari.components.overlays import LayerNameOverlay
from napari.layers import Layer
from qtpy.QtGui import QFont, QFontMetricsF

__all__ = ["FONT_SIZE", "Caption", "give_caption", "line_height", "text_width", "wrapped"]

#: Of names and colour bars, points.
FONT_SIZE = 7
_FACE = "Open Sans"
# napari draws canvas text at the 96 dots per inch of the window, Qt measures at 72.
_SCALE = 96 / 72


@functools.cache
def _metrics(size: int) -> QFontMetricsF:
    return QFontMetricsF(QFont(_FACE, size))


def text_width(text: str, size: int = FONT_SIZE) -> float:
    """Return how wide a line is on the canvas, pixels."""
    return _metrics(size).horizontalAdvance(text) * _SCALE


def line_height(size: int = FONT_SIZE) -> float:
    """Return how high a line is on the canvas, pixels."""
    return _metrics(size).height() * _SCALE


def wrapped(name: str, width: float, measure: Callable[[str], float] = text_width) -> list[str]:
    """Return a layer's name in lines no wider than asked for: after the quantity, between words, else within them.

    Parameters
    ----------
    name : str
        Such as "T1 error (%) – dictionary".
    width : float
        Pixels.
    measure : callable, optional
        The width of a text, pixels.
    """
    if measure(name) <= width:
        return [name]
    quantity, dash, model = name.partition(" – ")
    lines: list[str] = []
    for part in (quantity, model) if dash else (name,):
        line = ""
        for word in part.split():
            longer = f"{line} {word}".strip()
            if measure(longer) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            line = word
            while measure(line) > width and len(line) > 1:
                cut = next((n for n in range(len(line) - 1, 1, -1) if measure(line[:n]) <= width), 1)
                lines.append(line[:cut])
                line = line[cut:]
        lines.append(line)
    return [line for line in lines if line]


class Caption(LayerNameOverlay):
    """A layer's name below which its picture stands.

    Parameters
    ----------
    width : float
        Room for a line, pixels; 0: any.
    """

    width: float = 0.0


class _CaptionVisual(VispyLayerNameOverlay):
    overlay: Caption

    def _connect_events(self) -> None:
        super()._connect_events()
        self.overlay.events.width.connect(self._on_text_change)

    def _on_text_change(self) -> None:
        name, width = self.layer.name, self.overlay.width
        size = int(self.overlay.font_size)
        lines = wrapped(name, width, functools.partial(text_width, size=size)) if width else [name]
        self.node.text = "\n".join(lines)
        self._on_position_change()


# as in napari's own example of a custom overlay
overlay_to_visual[Caption] = _CaptionVisual


def give_caption(layer: Layer, **look: Any) -> None:
    """Let a layer's name overlay be a `Caption`; ``look``: its fields."""
    shown = layer.name_overlay.visible
    key = next(key for key, overlay in layer._overlays.items() if overlay is layer.name_overlay)
    layer._overlays[key] = Caption(font_size=FONT_SIZE, visible=shown, **look)
