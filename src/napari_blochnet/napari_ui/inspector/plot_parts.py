"""What the inspector's plots are made of: a scene that is drawn once for new content, text in a corner, small axes."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtGui import QFont
from superqt.utils import qdebounced

from napari_blochnet.napari_ui.inspector.styles import translucent
from napari_blochnet.napari_ui.widgets.appearance import Palette, style_plot
from napari_blochnet.napari_ui.widgets.plots import pg

__all__ = ["BOTTOM", "SMALL", "CornerText", "PaintedPlots", "style_small"]

#: Size of text in plots, pixels.
SMALL = 11
#: Height of the axis below a plot, with its label, pixels.
BOTTOM = 33
# What a scene tells this long after new content is about other things, ms.
_SETTLING = 150


class CornerText(pg.TextItem):
    """A line of text in the corner of a plot: it takes no room of its own."""

    def __init__(self, plot: pg.PlotItem, *, right: bool = False) -> None:
        super().__init__(anchor=(1, 0) if right else (0, 0))
        self._box, self._right = plot.getViewBox(), right
        self.setParentItem(self._box)
        self.setZValue(100)
        font = self.textItem.font()
        font.setPixelSize(SMALL)
        self.setFont(font)
        self._box.sigResized.connect(self._place)
        self._place()

    def apply_theme(self, colours: Palette) -> None:
        """Take the theme's colours."""
        self.setColor(colours.text)
        self.fill = pg.mkBrush(translucent(colours.background, 210))

    def _place(self, _box: Any = None) -> None:
        self.setPos(self._box.width() - 2 if self._right else 2, 0)


class PaintedPlots(pg.GraphicsLayoutWidget):
    """Plots that say when they have been drawn."""

    painted = Signal()

    def __init__(self) -> None:
        super().__init__()
        # a scene tells of changes after the window has drawn them with everything else, and the window would draw twice
        self.setViewportUpdateMode(self.ViewportUpdateMode.NoViewportUpdate)
        self._is_settled = False
        self._settle_later = qdebounced(self._on_settled, timeout=_SETTLING, parent=self)
        self.scene().changed.connect(self._on_changed)

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        super().paintEvent(event)
        self.painted.emit()

    def settle(self) -> None:
        """Draw new content once, with whatever else the window draws next."""
        # new ranges, too: left to the drawing, they would ask for a second one
        self.scene().prepareForPaint()
        self._is_settled = True
        self._settle_later()
        self.viewport().update()

    def _on_changed(self, _regions: Any) -> None:
        # the first that is told after settling is what was settled
        if self._is_settled:
            self._on_settled()
        else:
            self.viewport().update()

    def _on_settled(self) -> None:
        self._is_settled = False
        self._settle_later.cancel()


def style_small(plot: pg.PlotItem, colours: Palette, **labels: str) -> None:
    """Style a plot as everywhere, with small text: the dock is low."""
    style_plot(plot, colours)
    font = QFont()
    font.setPixelSize(SMALL - 1)
    for side in ("left", "bottom"):
        plot.getAxis(side).setStyle(tickFont=font, tickTextOffset=3)
        if side in labels:
            plot.getAxis(side).setLabel(labels[side], color=colours.text, **{"font-size": f"{SMALL}px"})
