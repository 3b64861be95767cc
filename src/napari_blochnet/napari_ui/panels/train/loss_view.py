"""Loss curves of a training, while it runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_blochnet.napari_ui.forms.layouts import filled
from napari_blochnet.napari_ui.widgets.appearance import Palette, style_plot
from napari_blochnet.napari_ui.widgets.plots import HomeBox, pg

if TYPE_CHECKING:
    from napari_blochnet.estimators.training.state import LossPoint

__all__ = ["LossPlot", "thinned"]

# More points than this are not told apart on any screen.
_POINTS = 1500
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def thinned(points: list[LossPoint]) -> list[LossPoint]:
    """Return every other point where there are too many; ends of epochs that were validated stay."""
    if len(points) <= _POINTS:
        return points
    return [point for i, point in enumerate(points) if i % 2 or point.held_out is not None][-_POINTS:]


class _PowerAxis(pg.AxisItem):
    """A logarithmic axis that writes 1, 2 and 5 of each decade, as powers of ten."""

    def logTickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        texts = []
        for value in values:
            decade = math.floor(value + 1e-6)
            digit = round(10 ** (value - decade))
            power = f"10{str(decade).translate(_SUPERSCRIPTS)}"
            texts.append("" if digit not in (1, 2, 5) else power if digit == 1 else f"{digit}·{power}")
        return texts


class LossPlot(QWidget):
    """Losses over the epochs on a logarithmic axis: training, held out, and the decoder's."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Loss curve")
        self.setToolTip(
            "Loss of log10 T1 and T2 over the epochs: of the tissues trained on, of those held out, and of "
            "the decoded signal where the network has a decoder."
        )
        # not pyqtgraph's legend, which lies on the curves and fails while a window is being closed
        self.legend = QLabel()
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._view = pg.PlotWidget(axisItems={"left": _PowerAxis("left")}, viewBox=HomeBox())
        # the scores below it are to be seen with it in a small window
        self._view.setFixedHeight(230)
        self._view.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.item: pg.PlotItem = self._view.getPlotItem()
        self.item.setLogMode(y=True)
        self.item.getAxis("left").setWidth(58)
        self.item.getAxis("bottom").setHeight(42)
        self.curves = {
            "training": self.item.plot(),
            "held out": self.item.plot(symbol="o", symbolSize=4),
            "decoder": self.item.plot(),
        }
        self._best = self.item.plot(pen=None, symbol="o", symbolSize=9)
        self._colours: tuple[str, ...] = ()
        filled(QVBoxLayout(self), self.legend, self._view, spacing=0)

    def apply_theme(self, colours: Palette) -> None:
        """Take the theme's colours."""
        self._colours = colours.traces
        self._view.setBackground(colours.background)
        style_plot(self.item, colours, left="loss", bottom="epoch")
        for curve, colour in zip(self.curves.values(), colours.traces, strict=False):
            curve.setPen(pg.mkPen(colour, width=1.6))
        self.curves["held out"].setSymbolBrush(colours.traces[1])
        self.curves["held out"].setSymbolPen(None)
        self._best.setSymbolPen(pg.mkPen(colours.traces[1], width=1.6))
        self._best.setSymbolBrush(None)
        self._write_legend()

    def show_points(self, points: Sequence[LossPoint], steps_per_epoch: float, epochs: int) -> None:
        """Draw a training so far.

        Parameters
        ----------
        points : sequence of LossPoint
        steps_per_epoch : float
            0 where it is not known yet: then only whole epochs are drawn.
        epochs : int
            How many there will be: the length of the axis.
        """
        at = np.array([point.step / steps_per_epoch if steps_per_epoch else point.epoch for point in points])
        named = {
            "training": [point.label_loss for point in points],
            "held out": [np.nan if point.held_out is None else point.held_out for point in points],
            "decoder": [point.decoder_loss for point in points],
        }
        drawn = []
        for name, curve in self.curves.items():
            values = np.array(named[name], dtype=float)
            good = np.isfinite(values) & (values > 0)
            curve.setData(at[good], values[good])
            curve.setVisible(bool(good.any()))
            drawn.append(values[good])
            if name == "held out":
                best = [int(np.argmin(values[good]))] if good.any() else []
                self._best.setData(at[good][best], values[good][best])
        found = np.log10(np.concatenate(drawn))
        if found.size:
            self.item.setYRange(float(found.min()) - 0.1, float(found.max()) + 0.15, padding=0)
        self.item.setXRange(0, max(epochs, 1), padding=0.02)
        self._write_legend()

    def _write_legend(self) -> None:
        meanings = {"training": "training", "held out": "held out (○ best)", "decoder": "decoded signal"}
        self.legend.setText(
            "&nbsp;&nbsp; ".join(
                f'<span style="color:{colour}">▬</span> {meanings[name]}'
                for (name, curve), colour in zip(self.curves.items(), self._colours, strict=False)
                if curve.isVisible()
            )
        )
