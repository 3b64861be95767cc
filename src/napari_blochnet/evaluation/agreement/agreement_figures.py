"""Figures of agreement, drawn without a display: difference maps, Bland–Altman, scatter, boxes and histograms."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import cmap
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.colour_limits import round_up
from napari_blochnet.common.errors import FileError
from napari_blochnet.evaluation.agreement.agreement_table import PARAMETERS, AgreementTable
from napari_blochnet.evaluation.agreement.bland_altman import differences
from napari_blochnet.evaluation.agreement.difference_maps import difference_maps
from napari_blochnet.evaluation.agreement.distributions import box_of, histograms
from napari_blochnet.evaluation.drawing.figures import save_figure
from napari_blochnet.evaluation.error_maps import values_of
from napari_blochnet.io.origin import check_outputs

__all__ = [
    "agreement_files",
    "bland_altman_figure",
    "difference_figure",
    "distribution_figure",
    "save_agreement_figures",
    "scatter_figure",
]

# Recommended for T1 and T2 maps, doi 10.1002/mrm.30290.
_COLOURS = {"T1": "crameri:lipari", "T2": "crameri:navia"}
_DIFFERENCES = "crameri:vik"
_DENSITY = "crameri:oslo_r"
# Okabe and Ito's colours that are legible on white.
_MODEL_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#55585e", "#5a3fc0")
_TEXT, _FAINT, _LINE = "#1d2330", "#7a8190", "#d55e00"
_ENDINGS = (".png", ".svg", ".pdf")
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
    window = tuple(_span(inside.any(axis=axis)) for axis in (1, 0))
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
        for place, (name, source) in zip(places, shown, strict=False):
            values = np.ma.masked_array(values_of(source, parameter)[here][window], ~inside[window])
            drawn = _picture(place, values, _COLOURS[parameter], limits, step, "black")
            place.set_title(name)
        figure.colorbar(drawn, ax=list(places[: models + 1]), label=f"{parameter} / ms", shrink=0.86, extend="max")
        apart = agreement.colour_limits[f"{parameter} difference"]
        for place, name, each in zip(places[models + 1 :], agreement.models, found, strict=True):
            values = np.ma.masked_invalid(np.where(inside, each[parameter][here], np.nan)[window])
            drawn = _picture(place, values, _DIFFERENCES, apart, step, "#c9ccd3")
            place.set_title(f"{name} − {agreement.reference}")
        label = f"{parameter} difference / %"
        figure.colorbar(drawn, ax=list(places[models + 1 :]), label=label, shrink=0.86, extend="both")
    return _finish(figure)


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
            cmap=_colours(_DENSITY, "white").with_extremes(under="white"), xscale=scale,
        )  # fmt: skip
        place.set_ylim(-reach, reach)
        place.axhline(0, color=_FAINT, linewidth=0.6)
        for key, style in (("bias", "-"), ("lower", (0, (4, 3))), ("upper", (0, (4, 3)))):
            value = row[key + ending]
            if value is None:
                continue
            place.axhline(value, color=_LINE, linewidth=0.9, linestyle=style)
            if row[f"{key}{ending}_from"] is not None:
                place.axhspan(
                    row[f"{key}{ending}_from"], row[f"{key}{ending}_to"], color=_LINE, alpha=0.18, linewidth=0
                )
            place.annotate(
                f"{value:+.3g}".replace("-", "−"),
                (1.0, value), xycoords=("axes fraction", "data"), color=_LINE, fontsize=6.5,
                xytext=(2, 0), textcoords="offset points", va="center",
            )  # fmt: skip
        _decades(place.xaxis)
        place.set_xlabel(f"mean {parameter} of both / ms")
        place.set_ylabel(f"{model} − {agreement.reference} / {unit}")

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
            cmap=_colours(_DENSITY, "white").with_extremes(under="white"), vmin=0.35, linewidths=0.1,
        )  # fmt: skip
        line = np.array([low, high])
        for factor, style in ((1.0, "-"), (0.9, (0, (4, 3))), (1.1, (0, (4, 3)))):
            place.plot(line, factor * line, color=_LINE, linewidth=0.8 if factor == 1 else 0.5, linestyle=style)
        place.set(xlim=(low, high), ylim=(low, high), box_aspect=1)
        _decades(place.xaxis)
        _decades(place.yaxis)
        place.set_xlabel(f"{agreement.reference}, {parameter} / ms")
        place.set_ylabel(f"{model}, {parameter} / ms")

    return _grid(agreement, draw)


def distribution_figure(agreement: AgreementTable) -> Figure:
    """Draw box plots of T1 and T2, and of differences from the reference, in each region; and histograms of all."""
    names = [agreement.reference, *agreement.models]
    colours = [_FAINT, *itertools.islice(itertools.cycle(_MODEL_COLOURS), len(agreement.models))]
    regions = agreement.regions
    percent = agreement.unit == "percent"
    wide = max(3.2, 0.2 * (len(names) + 1) * len(regions))
    figure = Figure(figsize=(2 * wide + 3.2, 5.6), layout="constrained")
    rows = figure.subplots(2, 3, width_ratios=[wide, wide, 3.0])
    for (boxes, apart, bars), parameter in zip(rows, PARAMETERS, strict=True):
        for place, region in enumerate(regions):
            pairs = [agreement.pairs(model, parameter, region) for model in agreement.models]
            _boxes(boxes, place, [pairs[0][0], *(second for _, second in pairs)], colours)
            found = [differences(*each, percent=percent) for each in pairs]
            _boxes(apart, place, found, colours[1:])
        for axes, number in ((boxes, len(names)), (apart, len(names) - 1)):
            centres = [place * (number + 1) + (number - 1) / 2 for place in range(len(regions))]
            axes.set_xticks(centres, [region.name.replace("$", r"\$") for region in regions])
            if len(regions) > 3:
                axes.tick_params(axis="x", labelrotation=30)
        boxes.set_yscale("log")
        _decades(boxes.yaxis)
        boxes.set_ylabel(f"{parameter} / ms")
        apart.axhline(0, color=_FAINT, linewidth=0.6)
        apart.set_ylabel(f"{parameter}, model − {agreement.reference} / {'%' if percent else 'ms'}")
        pairs = [agreement.pairs(model, parameter, regions[0]) for model in agreement.models]
        edges, shares = histograms([pairs[0][0], *(second for _, second in pairs)])
        for share, colour in zip(shares, colours, strict=True):
            bars.stairs(share, edges, color=colour, linewidth=1.2)
        bars.set_xlabel(f"{parameter} / ms, {regions[0].name} voxels")
        bars.set_ylabel("voxels / %")
        for axes in (boxes, apart, bars):
            axes.spines[["top", "right"]].set_visible(False)
    patches = [Patch(color=colour, label=name) for name, colour in zip(names, colours, strict=True)]
    figure.legend(handles=patches, frameon=False, fontsize=7, ncols=len(names), loc="outside upper center")
    return _finish(figure)


def _boxes(axes: Axes, place: int, several: Sequence[AnyArray], colours: Sequence[str]) -> None:
    """Draw a group of box plots, one for each set of values that holds any."""
    for number, (values, colour) in enumerate(zip(several, colours, strict=True)):
        found = box_of(values)
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
            medianprops={"color": _TEXT},
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
    return _finish(figure)


def _picture(place: Axes, values: Any, name: str, limits: tuple[float, float], step: float, outside: str) -> Any:
    # y points to anterior (RAS+), which belongs at the top
    drawn = place.imshow(
        values, cmap=_colours(name, outside), vmin=limits[0], vmax=limits[1], origin="lower", aspect=step,
        interpolation="nearest",
    )  # fmt: skip
    place.set_xticks([])
    place.set_yticks([])
    place.spines[:].set_visible(False)
    return drawn


def _colours(name: str, outside: str) -> Any:
    return cmap.Colormap(name).to_matplotlib().with_extremes(bad=outside)


def _decades(axis: Any) -> None:
    """Write 1, 2 and 5 of each decade of a logarithmic axis in plain numbers."""
    if axis.get_scale() == "log":
        axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5), numticks=12))
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(ticker.NullLocator())


def _span(used: AnyArray) -> slice:
    """Return where a mask is along an axis, and a voxel on either side."""
    found = np.flatnonzero(used)
    return slice(max(0, int(found[0]) - 1), int(found[-1]) + 2) if found.size else slice(0, used.size)


def _finish(figure: Figure) -> Figure:
    """Give all axes one look; matplotlib's own settings are global, and others draw with them at the same time."""
    figure.set_facecolor("white")
    for axes in figure.findobj(Axes):
        axes.title.set_fontsize(8)
        for axis in (axes.xaxis, axes.yaxis):
            axis.label.set(fontsize=7.5, color=_TEXT)
            axis.set_tick_params(labelsize=6.5, labelcolor=_TEXT, color=_FAINT, width=0.5, length=2.5)
        for spine in axes.spines.values():
            spine.set(linewidth=0.6, edgecolor=_FAINT)
    return figure


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
    target = Path(path)
    if target.suffix.lower() not in _ENDINGS:
        raise FileError(target, f"figures are written as {', '.join(_ENDINGS)}", "one of these endings")
    files = agreement_files(target)
    check_outputs(files, record=agreement.record)
    for draw, file in zip(_FIGURES.values(), files, strict=True):
        save_figure(draw(agreement), file)
    return files


def agreement_files(path: str | os.PathLike[str]) -> list[Path]:
    """Return the files that `save_agreement_figures` writes."""
    target = Path(path)
    return [target.with_name(f"{target.stem}-{what}{target.suffix}") for what in _FIGURES]
