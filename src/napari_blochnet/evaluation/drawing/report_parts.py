"""What figures of reports share: images in the window's colours, colour bars, and one look of all axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import cmap
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure, FigureBase

from napari_blochnet.evaluation.drawing.figure_style import FAINT, TEXT, colour_table, colours_of, ground
from napari_blochnet.evaluation.drawing.image_parts import extension

__all__ = ["LINE", "colour_bar", "decades", "density", "image", "report_look"]

#: Of lines over points.
LINE = "#d55e00"


def image(
    axes: Axes, values: Any, quantity: str, limits: tuple[float, float], step: float, origin: Literal["lower", "upper"]
) -> Any:
    """Draw a masked map of "T1", "T2", another parameter, or its "… error"; ``step`` is a voxel's height in widths."""
    colours = ListedColormap(colour_table(colours_of(quantity)), quantity).with_extremes(bad=ground(quantity))
    low, high = limits
    drawn = axes.imshow(
        values, cmap=colours, vmin=low, vmax=high, origin=origin, aspect=step, interpolation="nearest"
    )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return drawn


def colour_bar(figure: FigureBase, images: Sequence[Any], places: Any, label: str) -> None:
    """Draw the colour bar of images with one look, pointed where they have values beyond it."""
    first = images[0]
    ends = extension([item.get_array() for item in images], *first.get_clim())
    bar = figure.colorbar(first, ax=places, shrink=0.86, pad=0.02, extend=ends, aspect=22)
    bar.set_label(label)
    bar.outline.set_visible(False)


def density() -> Colormap:
    """Return the colours of how many voxels a cell of a scatter plot holds."""
    colours: Colormap = cmap.Colormap("crameri:oslo_r").to_matplotlib()
    return colours.with_extremes(bad="white", under="white")


def decades(axis: Any) -> None:
    """Write 1, 2 and 5 of each decade of a logarithmic axis in plain numbers."""
    if axis.get_scale() == "log":
        axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5), numticks=12))
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(ticker.NullLocator())


def report_look(figure: Figure) -> Figure:
    """Give all axes one look; matplotlib's own settings are global, and others draw with them at the same time."""
    figure.set_facecolor("white")
    for axes in figure.findobj(Axes):
        axes.title.set_fontsize(8)
        for axis in (axes.xaxis, axes.yaxis):
            axis.label.set(fontsize=7.5, color=TEXT)
            axis.set_tick_params(labelsize=6.5, labelcolor=TEXT, color=FAINT, width=0.5, length=2.5)
        for spine in axes.spines.values():
            spine.set(linewidth=0.6, edgecolor=FAINT)
    return figure
