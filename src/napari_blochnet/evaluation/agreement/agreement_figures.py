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
from napari_blochnet.evaluation.agreement.agreement_table import AgreementTable
from napari_blochnet.evaluation.agreement.bland_altman import differences
from napari_blochnet.evaluation.agreement.difference_maps import PARAMETERS, difference_maps
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
    """Draw the reference, every model, and the models' differences from it, of T1, T2 and what else they share.

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
    models, count = len(agreement.models), len(agreement.parameters)
    size = (2 * models + 1) * _CELL * 0.8 + 1.2, count * _CELL * 0.8 * tall + 0.6
    figure = Figure(figsize=size, layout="constrained")
    rows = figure.subplots(count, 2 * models + 1, squeeze=False)
    found = [difference_maps(agreement.source, item) for item in agreement.maps]
    for places, (parameter, unit) in zip(rows, agreement.parameters.items(), strict=True):
        limits = agreement.colour_limits[parameter]
        shown = [(agreement.reference, agreement.source), *zip(agreement.models, agreement.maps, strict=True)]
        drawn = []
        known = (agreement.reference, *agreement.models_of(parameter))
        for place, (name, source) in zip(places, shown, strict=False):
            if name not in known:
                place.set_axis_off()
                continue
            values = np.ma.masked_array(values_of(source, parameter)[here][window], ~inside[window])
            drawn.append(image(place, values, parameter, limits, step, origin))
            place.set_title(name)
        colour_bar(figure, drawn, list(places[: models + 1]), f"{parameter} ({unit})" if unit else parameter)
        apart = agreement.colour_limits[f"{parameter} difference"]
        drawn = []
        for place, name, each in zip(places[models + 1 :], agreement.models, found, strict=True):
            if name not in known:
                place.set_axis_off()
                continue
            values = np.ma.masked_invalid(np.where(inside, each[parameter][here], np.nan)[window])
            drawn.append(image(place, values, f"{parameter} error", apart, step, origin))
            place.set_title(f"{name} − {agreement.reference}")
        sign = "%" if parameter in PARAMETERS else unit
        label = f"{parameter} difference ({sign})" if sign else f"{parameter} difference"
        colour_bar(figure, drawn, list(places[models + 1 :]), label)
    return report_look(figure)


def bland_altman_figure(agreement: AgreementTable) -> Figure:
    """Draw the difference of each model from the reference over the mean of both, with bias and limits of agreement."""

    def draw(place: Axes, model: str, parameter: str) -> None:
        row = agreement.row(model, parameter)
        ending, unit = agreement.unit_of(parameter)
        first, second = agreement.pairs(model, parameter, agreement.regions[0])
        found = differences(first, second, percent=bool(ending))
        middle = (first + second) / 2
        if not found.size:
            return
        reach = np.percentile(np.abs(found), 99.5)
        known = [abs(row[key + ending]) for key in ("lower", "upper") if row[key + ending] is not None]
        reach = round_up(1.15 * max([reach, *known, 1e-3]))
        is_spread = parameter in PARAMETERS and middle.max() > middle.min()
        scale: Literal["log", "linear"] = "log" if is_spread else "linear"
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
        own = agreement.parameters[parameter]
        place.set_xlabel(f"mean {parameter} of both{f' ({own})' if own else ''}")
        place.set_ylabel(f"{model} − {agreement.reference}{f' ({unit})' if unit else ''}")

    return _grid(agreement, draw)


def scatter_figure(agreement: AgreementTable) -> Figure:
    """Draw each model's maps against the reference's with identity; T1 and T2 on logarithmic axes, with ±10 %."""

    def draw(place: Axes, model: str, parameter: str) -> None:
        first, second = agreement.pairs(model, parameter, agreement.regions[0])
        if not first.size:
            return
        low, high = float(min(first.min(), second.min())), float(max(first.max(), second.max()))
        is_time = parameter in PARAMETERS
        if is_time:
            low, high = low / 1.2, high * 1.2
        else:
            room = 0.05 * (high - low) or 0.5
            low, high = low - room, high + room
        scale: Literal["log", "linear"] = "log" if is_time else "linear"
        ends = tuple(np.log10([low, high])) if is_time else (low, high)
        place.hexbin(
            first, second, xscale=scale, yscale=scale, bins="log", gridsize=60, extent=(*ends, *ends), mincnt=1,
            cmap=density(), vmin=0.35, linewidths=0.1,
        )  # fmt: skip
        line = np.array([low, high])
        for factor, style in ((1.0, "-"), (0.9, (0, (4, 3))), (1.1, (0, (4, 3))))[: 3 if is_time else 1]:
            place.plot(line, factor * line, color=LINE, linewidth=0.8 if factor == 1 else 0.5, linestyle=style)
        place.set(xlim=(low, high), ylim=(low, high), box_aspect=1)
        decades(place.xaxis)
        decades(place.yaxis)
        place.set_xlabel(f"{agreement.reference}, {_named(agreement, parameter)}")
        place.set_ylabel(f"{model}, {_named(agreement, parameter)}")

    return _grid(agreement, draw)


def distribution_figure(agreement: AgreementTable) -> Figure:
    """Draw box plots of each parameter, and of differences from the reference, in each region; histograms of all."""
    names = [agreement.reference, *agreement.models]
    colours = [FAINT, *itertools.islice(itertools.cycle(MODEL_COLOURS), len(agreement.models))]
    of_models = dict(zip(names, colours, strict=True))
    regions, count = agreement.regions, len(agreement.parameters)
    wide = max(3.2, 0.2 * (len(names) + 1) * len(regions))
    figure = Figure(figsize=(2 * wide + 3.2, 2.8 * count), layout="constrained")
    rows = figure.subplots(count, 3, width_ratios=[wide, wide, 3.0], squeeze=False)
    for (boxes, apart, bars), parameter in zip(rows, agreement.parameters, strict=True):
        drawn = (agreement.reference, *agreement.models_of(parameter))
        for place, region in enumerate(regions):
            shown = series_of(agreement, parameter, region)
            own = [of_models[name] for name in drawn]
            _boxes(boxes, place, [shown.reference.box, *(model.box for model in shown.models)], own)
            _boxes(apart, place, [model.apart[agreement.unit] for model in shown.models], own[1:])
        for axes, number in ((boxes, len(drawn)), (apart, len(drawn) - 1)):
            centres = [place * (number + 1) + (number - 1) / 2 for place in range(len(regions))]
            axes.set_xticks(centres, [plain(region.name) for region in regions])
            if len(regions) > 3:
                axes.tick_params(axis="x", labelrotation=30)
        if parameter in PARAMETERS:
            boxes.set_yscale("log")
            decades(boxes.yaxis)
        boxes.set_ylabel(_named(agreement, parameter))
        apart.axhline(0, color=FAINT, linewidth=0.6)
        unit = agreement.unit_of(parameter)[1]
        apart.set_ylabel(f"{parameter}, model − {agreement.reference}{f' ({unit})' if unit else ''}")
        shown = series_of(agreement, parameter, regions[0])
        for series in (shown.reference, *shown.models):
            bars.stairs(series.share, shown.edges, color=of_models[series.name], linewidth=1.2)
        bars.set_xlabel(f"{_named(agreement, parameter)}, {regions[0].name} voxels")
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
    models, count = len(agreement.models), len(agreement.parameters)
    figure = Figure(figsize=(max(2, models) * 3.3, 2.9 * count), layout="constrained")
    rows = figure.subplots(count, models, squeeze=False)
    for places, parameter in zip(rows, agreement.parameters, strict=True):
        for place, model in zip(places, agreement.models, strict=True):
            if model not in agreement.models_of(parameter):
                place.set_axis_off()
                continue
            draw(place, model, parameter)
            place.set_title(f"{parameter}: {model}")
            place.spines[["top", "right"]].set_visible(False)
    return report_look(figure)


def _named(agreement: AgreementTable, parameter: str) -> str:
    """Return a parameter with its unit."""
    unit = agreement.parameters[parameter]
    return f"{parameter} ({unit})" if unit else parameter


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
