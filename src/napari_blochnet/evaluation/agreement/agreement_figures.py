"""Figures of agreement, drawn without a display: difference maps, Bland–Altman, scatter, boxes and histograms."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from napari_blochnet.common.colour_limits import round_up
from napari_blochnet.evaluation.agreement.agreement_table import PARAMETERS, AgreementTable
from napari_blochnet.evaluation.agreement.bland_altman import differences
from napari_blochnet.evaluation.agreement.difference_maps import difference_maps
from napari_blochnet.evaluation.agreement.distributions import Box
from napari_blochnet.evaluation.agreement.series import series_of
from napari_blochnet.evaluation.drawing.figure_files import figure_names, save_figures
from napari_blochnet.evaluation.drawing.figure_style import FAINT, MODEL_COLOURS, TEXT
from napari_blochnet.evaluation.drawing.image_parts import crop, row_order
from napari_blochnet.evaluation.drawing.report_parts import LINE, colour_bar, decades, density, image, report_look
from napari_blochnet.evaluation.drawing.sheets import plain
from napari_blochnet.evaluation.error_maps import values_of

__all__ = [
    "agreement_files",
    "bland_altman_figure",
    "difference_figure",
    "distribution_figure",
    "save_agreement_figures",
    "scatter_figure",
]

# Inches.
_CELL = 2.5


def difference_figure(agreement: AgreementTable, z: int | None = None) -> Figure:
    """Draw the reference, every model, and the models' differences from it, of T1 and of T2.

    Parameters
    ----------
    agreement : AgreementTable
    z : int, optional
        Slice. None: the one with the most voxels compared.
    """
    here = int(agreement.mask.sum(axis=(1, 2)).argmax()) if z is None else z
    inside = agreement.mask[here]
    window = crop(inside)
    origin = row_order(agreement.maps[0])
    height, width = (part.stop - part.start for part in window)
    step = agreement.source.voxel_size[1] / agreement.source.voxel_size[2]
    tall = height * step / width
    models = len(agreement.models)
    figure = Figure(figsize=((2 * models + 1) * _CELL * 0.8 + 1.2, 2 * _CELL * 0.8 * tall + 0.6), layout="constrained")
    rows = figure.subplots(2, 2 * models + 1, squeeze=False)
    found = [difference_maps(agreement.source, item) for item in agreement.maps]
    for places, parameter in zip(rows, PARAMETERS, strict=True):
        limits = agreement.colour_limits[parameter]
        shown = [(agreement.reference, agreement.source), *zip(agreement.models, agreement.maps, strict=True)]
        drawn = []
        for place, (name, source) in zip(places, shown, strict=False):
            values = np.ma.masked_array(values_of(source, parameter)[here][window], ~inside[window])
            drawn.append(image(place, values, parameter, limits, step, origin))
            place.set_title(name)
        colour_bar(figure, drawn, list(places[: models + 1]), f"{parameter} (ms)")
        apart = agreement.colour_limits[f"{parameter} difference"]
        drawn = []
        for place, name, each in zip(places[models + 1 :], agreement.models, found, strict=True):
            values = np.ma.masked_invalid(np.where(inside, each[parameter][here], np.nan)[window])
            drawn.append(image(place, values, f"{parameter} error", apart, step, origin))
            place.set_title(f"{name} − {agreement.reference}")
        colour_bar(figure, drawn, list(places[models + 1 :]), f"{parameter} difference (%)")
    return report_look(figure)


def bland_altman_figure(agreement: AgreementTable) -> Figure:
    """Draw the difference of each model from the reference over the mean of both, with bias and limits of agreement."""
    percent = agreement.unit == "percent"
    unit, ending = ("%", "_percent") if percent else ("ms", "")

    def draw(place: Axes, model: str, parameter: str) -> None:
        row = agreement.row(model, parameter)
        first, second = agreement.pairs(model, parameter, agreement.regions[0])
        found = differences(first, second, percent=percent)
        middle = (first + second) / 2
        if not found.size:
            return
        reach = np.percentile(np.abs(found), 99.5)
        known = [abs(row[key + ending]) for key in ("lower", "upper") if row[key + ending] is not None]
        reach = round_up(1.15 * max([reach, *known, 1e-3]))
        scale: Literal["log", "linear"] = "log" if middle.max() > middle.min() else "linear"
        place.hexbin(
            middle, np.clip(found, -reach, reach), bins="log", gridsize=60, mincnt=1, linewidths=0.1, vmin=0.35,
            cmap=density(), xscale=scale,
        )  # fmt: skip
        place.set_ylim(-reach, reach)
        place.axhline(0, color=FAINT, linewidth=0.6)
        for key, style in (("bias", "-"), ("lower", (0, (4, 3))), ("upper", (0, (4, 3)))):
            value = row[key + ending]
            if value is None:
                continue
            place.axhline(value, color=LINE, linewidth=0.9, linestyle=style)
            if row[f"{key}{ending}_from"] is not None:
                place.axhspan(row[f"{key}{ending}_from"], row[f"{key}{ending}_to"], color=LINE, alpha=0.18, linewidth=0)
            place.annotate(
                f"{value:+.3g}".replace("-", "−"),
                (1.0, value), xycoords=("axes fraction", "data"), color=LINE, fontsize=6.5,
                xytext=(2, 0), textcoords="offset points", va="center",
            )  # fmt: skip
        decades(place.xaxis)
        place.set_xlabel(f"mean {parameter} of both (ms)")
        place.set_ylabel(f"{model} − {agreement.reference} ({unit})")

    return _grid(agreement, draw)


def scatter_figure(agreement: AgreementTable) -> Figure:
    """Draw each model's T1 and T2 against the reference's, on logarithmic axes, with identity and ±10 %."""

    def draw(place: Axes, model: str, parameter: str) -> None:
        first, second = agreement.pairs(model, parameter, agreement.regions[0])
        if not first.size:
            return
        low, high = (
            float(min(first.min(), second.min())) / 1.2,
            float(max(first.max(), second.max())) * 1.2,
        )
        ends = tuple(np.log10([low, high]))
        place.hexbin(
            first, second, xscale="log", yscale="log", bins="log", gridsize=60, extent=(*ends, *ends), mincnt=1,
            cmap=density(), vmin=0.35, linewidths=0.1,
        )  # fmt: skip
        line = np.array([low, high])
        for factor, style in ((1.0, "-"), (0.9, (0, (4, 3))), (1.1, (0, (4, 3)))):
            place.plot(line, factor * line, color=LINE, linewidth=0.8 if factor == 1 else 0.5, linestyle=style)
        place.set(xlim=(low, high), ylim=(low, high), box_aspect=1)
        decades(place.xaxis)
        decades(place.yaxis)
        place.set_xlabel(f"{agreement.reference}, {parameter} (ms)")
        place.set_ylabel(f"{model}, {parameter} (ms)")

    return _grid(agreement, draw)


def distribution_figure(agreement: AgreementTable) -> Figure:
    """Draw box plots of T1 and T2, and of differences from the reference, in each region; and histograms of all."""
    names = [agreement.reference, *agreement.models]
    colours = [FAINT, *itertools.islice(itertools.cycle(MODEL_COLOURS), len(agreement.models))]
    regions = agreement.regions
    unit = "%" if agreement.unit == "percent" else "ms"
    wide = max(3.2, 0.2 * (len(names) + 1) * len(regions))
    figure = Figure(figsize=(2 * wide + 3.2, 5.6), layout="constrained")
    rows = figure.subplots(2, 3, width_ratios=[wide, wide, 3.0])
    for (boxes, apart, bars), parameter in zip(rows, PARAMETERS, strict=True):
        for place, region in enumerate(regions):
            shown = series_of(agreement, parameter, region)
            _boxes(boxes, place, [shown.reference.box, *(model.box for model in shown.models)], colours)
            _boxes(apart, place, [model.apart[agreement.unit] for model in shown.models], colours[1:])
        for axes, number in ((boxes, len(names)), (apart, len(names) - 1)):
            centres = [place * (number + 1) + (number - 1) / 2 for place in range(len(regions))]
            axes.set_xticks(centres, [plain(region.name) for region in regions])
            if len(regions) > 3:
                axes.tick_params(axis="x", labelrotation=30)
        boxes.set_yscale("log")
        decades(boxes.yaxis)
        boxes.set_ylabel(f"{parameter} (ms)")
        apart.axhline(0, color=FAINT, linewidth=0.6)
        apart.set_ylabel(f"{parameter}, model − {agreement.reference} ({unit})")
        shown = series_of(agreement, parameter, regions[0])
        for series, colour in zip((shown.reference, *shown.models), colours, strict=True):
            bars.stairs(series.share, shown.edges, color=colour, linewidth=1.2)
        bars.set_xlabel(f"{parameter} (ms), {regions[0].name} voxels")
        bars.set_ylabel("voxels (%)")
        for axes in (boxes, apart, bars):
            axes.spines[["top", "right"]].set_visible(False)
    patches = [Patch(color=colour, label=name) for name, colour in zip(names, colours, strict=True)]
    figure.legend(handles=patches, frameon=False, fontsize=7, ncols=len(names), loc="outside upper center")
    return report_look(figure)


def _boxes(axes: Axes, place: int, several: Sequence[Box], colours: Sequence[str]) -> None:
    """Draw a group of box plots, one for each set of values that holds any."""
    for number, (found, colour) in enumerate(zip(several, colours, strict=True)):
        if not found.values:
            continue
        stats = {"med": found.median, "q1": found.first, "q3": found.third, "whislo": found.lower,
                 "whishi": found.upper}  # fmt: skip
        drawn = axes.bxp(
            [stats],
            positions=[place * (len(several) + 1) + number],
            widths=0.8,
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
            medianprops={"color": TEXT},
        )
        for patch in drawn["boxes"]:
            patch.set(facecolor=colour, alpha=0.75, linewidth=0.5)


def _grid(agreement: AgreementTable, draw: Callable[[Axes, str, str], None]) -> Figure:
    """Return a figure with a row per parameter and a column per model."""
    models = len(agreement.models)
    figure = Figure(figsize=(max(2, models) * 3.3, 5.8), layout="constrained")
    rows = figure.subplots(2, models, squeeze=False)
    for places, parameter in zip(rows, PARAMETERS, strict=True):
        for place, model in zip(places, agreement.models, strict=True):
            draw(place, model, parameter)
            place.set_title(f"{parameter}: {model}")
            place.spines[["top", "right"]].set_visible(False)
    return report_look(figure)


_FIGURES: dict[str, Callable[[AgreementTable], Figure]] = {
    "differences": difference_figure,
    "bland-altman": bland_altman_figure,
    "scatter": scatter_figure,
    "distributions": distribution_figure,
}


def save_agreement_figures(agreement: AgreementTable, path: str | os.PathLike[str]) -> list[Path]:
    """Write the figures of agreement.

    Parameters
    ----------
    agreement : AgreementTable
    path : path
        ``NAME.png``, ``.svg`` or ``.pdf``; the files are ``NAME-differences``, ``NAME-bland-altman``, ``NAME-scatter``
        and ``NAME-distributions`` with that ending.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError
        Another ending.
    """
    drawn = {what: functools.partial(draw, agreement) for what, draw in _FIGURES.items()}
    return save_figures(drawn, path, agreement.record)


def agreement_files(path: str | os.PathLike[str]) -> list[Path]:
    """Return the files that `save_agreement_figures` writes."""
    return figure_names(path, _FIGURES)
