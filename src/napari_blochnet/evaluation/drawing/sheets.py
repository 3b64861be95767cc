"""Figures in the size of a journal's columns: the sheet, its text, and the figure with how it was made."""

from __future__ import annotations

import functools
import os
import textwrap
from dataclasses import dataclass, field
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from napari_blochnet.common.endings import check_ending
from napari_blochnet.evaluation.drawing.figure_files import ENDINGS, save_figure
from napari_blochnet.evaluation.drawing.figure_style import FAINT, FONT_SIZE, SMALL_SIZE, TEXT
from napari_blochnet.io.origin import check_outputs

__all__ = ["DrawnFigure", "finish", "plain", "sheet", "text_width", "wrapped"]

MM = 1 / 25.4
_POINT = 25.4 / 72


@dataclass(frozen=True, eq=False, repr=False)
class DrawnFigure:
    """A figure and how it was made.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        As wide as a column of a journal, on white.
    caption : str
        What a caption should say of it, in sentences.
    record : dict
        How it was made.
    """

    figure: Figure
    caption: str = ""
    record: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<DrawnFigure: {self.describe()}>"

    def describe(self) -> str:
        """Return its size, and what its caption should say."""
        width, height = self.figure.get_size_inches() / MM
        return f"A figure of {width:.0f} × {height:.0f} mm. {self.caption}".strip()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as PDF, SVG or PNG (300 dpi), by the name's ending.

        Raises
        ------
        InputError
            Another ending, or a file in the way that this package did not write.
        """
        check_ending(path, ENDINGS, "figures")
        check_outputs([path], record=self.record)
        save_figure(self.figure, path, self.caption)


def sheet(width: float, height: float, **more: Any) -> Figure:
    """Return an empty white figure; mm."""
    return Figure(figsize=(width * MM, height * MM), facecolor="white", **more)


def finish(figure: Figure) -> Figure:
    """Give all axes one look; matplotlib's own settings are global, and others draw with them at the same time."""
    for axes in figure.findobj(Axes):
        for axis in (axes.xaxis, axes.yaxis):
            axis.label.set(fontsize=FONT_SIZE, color=TEXT)
            axis.set_tick_params(which="major", labelsize=SMALL_SIZE, labelcolor=TEXT, color=FAINT, width=0.5, length=2)
            axis.get_offset_text().set(fontsize=SMALL_SIZE, color=TEXT)
        for spine in axes.spines.values():
            spine.set(linewidth=0.5, edgecolor=FAINT)
    return figure


def plain(name: str) -> str:
    """Return a name that matplotlib takes for words: what stands between dollars would be a formula."""
    return name.replace("$", r"\$")


@functools.lru_cache(2000)
def text_width(text: str, size: float = FONT_SIZE) -> float:
    """Return how wide a line of text is, mm."""
    if not text.strip():
        return 0.0
    return float(TextPath((0, 0), plain(text), prop=FontProperties(size=size)).get_extents().width) * _POINT


def wrapped(name: str, width: float, size: float = FONT_SIZE) -> str:
    """Return a name in as many lines as it takes for none to be wider than so many mm; nothing is cut."""
    for letters in range(len(name), 1, -1):
        lines = textwrap.wrap(name, letters, break_on_hyphens=True)
        if max(text_width(line, size) for line in lines) <= width:
            return "\n".join(lines)
    return name
