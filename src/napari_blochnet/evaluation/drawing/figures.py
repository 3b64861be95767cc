"""Figures of maps, errors and regions, drawn without a display."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.patheffects import withStroke

from napari_blochnet.common.arrays import BoolArray, FloatArray
from napari_blochnet.common.colour_limits import Limits, shared_limits
from napari_blochnet.evaluation.drawing.figure_files import figure_names, figure_png, save_figure, save_figures
from napari_blochnet.evaluation.drawing.figure_style import FAINT, MODEL_COLOURS, TEXT
from napari_blochnet.evaluation.drawing.image_parts import crop, row_order
from napari_blochnet.evaluation.drawing.report_parts import LINE, colour_bar, decades, density, image, report_look
from napari_blochnet.evaluation.drawing.sheets import plain
from napari_blochnet.evaluation.error_maps import error_maps, failures, parameters_of, values_of
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.result_tables import ComparisonTable, RegionTable
from napari_blochnet.phantoms.phantom import Phantom

__all__ = [
    "comparison_figure",
    "comparison_figures",
    "figure_png",
    "region_figure",
    "save_comparison_figures",
    "save_figure",
    "scatter_figure",
]


def comparison_figure(comparison: ComparisonTable, z: int | None = None) -> Figure:
    """Draw T1 and T2: truth, every model's map, signed errors and their distribution, in its colour limits.

    Parameters
    ----------
    comparison : ComparisonTable
    z : int, optional
        Slice. None: the one with the most voxels scored.

    Returns
    -------
    matplotlib.figure.Figure
    """
    models = len(comparison.maps)
    here = int(comparison.mask.sum(axis=(1, 2)).argmax()) if z is None else z
    window = crop(comparison.truth.mask[here])
    tall = _aspect(comparison.truth, window)
    cell, times = 2.35, comparison.times
    count = len(times)
    if models == 1:
        figure = _figure(2 * count * cell + 0.75 * count, 2 * cell * tall + 0.55)
        panels = np.ravel(figure.subfigures(1, count, wspace=0.03, squeeze=False))
    else:
        figure = _figure((models + 1) * cell + 0.9, 2 * count * cell * tall + 0.55 * count)
        panels = np.ravel(figure.subfigures(count, 1, hspace=0.03, squeeze=False))
    for panel, parameter in zip(panels, times, strict=True):
        _parameter_panel(panel, comparison, parameter, here, window)
    return report_look(figure)


def _parameter_panel(
    panel: FigureBase,
    comparison: ComparisonTable,
    parameter: str,
    z: int,
    window: tuple[slice, slice],
) -> None:
    truth, mask, limits = comparison.truth, comparison.mask, comparison.colour_limits
    axes = panel.subplots(2, len(comparison.maps) + 1, squeeze=False)
    step = truth.voxel_size[1] / truth.voxel_size[2]
    known = comparison.models_of(parameter)
    errors = {model: error_maps(truth, maps)[parameter] for model, maps in known.items()}
    origin = row_order(comparison.maps[0])
    maps_drawn = [_draw_map(axes[0, 0], truth, parameter, z, truth.mask[z], window, limits[parameter], origin)]
    errors_drawn = []
    axes[0, 0].set_title("truth")
    for column, (model, maps) in enumerate(zip(comparison.models, comparison.maps, strict=True), start=1):
        if model not in known:
            for place in axes[:, column]:
                place.set_axis_off()
            continue
        drawn = _draw_map(axes[0, column], maps, parameter, z, maps.mask[z], window, limits[parameter], origin)
        maps_drawn.append(drawn)
        axes[0, column].set_title(model)
        shown = np.ma.masked_array(errors[model][z][window], ~mask[z][window])
        wrong = f"{parameter} error"
        errors_drawn.append(image(axes[1, column], shown, wrong, limits[wrong], step, origin))
        found = comparison.score(model, parameter)
        failed = f", {found.failures:,} failed" if found.failures else ""
        axes[1, column].set_title(f"median |error| {found.median_percent:.2f} %{failed}", color=FAINT)
    inside = {model: values[mask] for model, values in errors.items()}
    _draw_distribution(axes[1, 0], comparison, inside, limits[f"{parameter} error"])
    colour_bar(panel, maps_drawn, list(axes[0]), f"{parameter} (ms)")
    colour_bar(panel, errors_drawn, list(axes[1]), f"{parameter} error (%)")


def _draw_map(
    axes: Axes,
    source: Phantom | ParameterMaps,
    parameter: str,
    z: int,
    mask: BoolArray,
    window: tuple[slice, slice],
    limits: Limits,
    origin: Literal["lower", "upper"],
) -> Any:
    shown = np.ma.masked_array(values_of(source, parameter)[z][window], ~mask[window])
    step = source.voxel_size[1] / source.voxel_size[2]
    return image(axes, shown, parameter, limits, step, origin)


def _draw_distribution(
    axes: Axes, comparison: ComparisonTable, errors: Mapping[str, FloatArray], limits: Limits
) -> None:
    bins = np.linspace(*limits, 81)
    for model, colour in zip(comparison.models, itertools.cycle(MODEL_COLOURS), strict=False):
        if model not in errors:
            continue
        values = errors[model]
        share = 100.0 * np.histogram(np.clip(values, *limits), bins)[0] / values.size
        axes.stairs(share, bins, color=colour, fill=len(comparison.maps) == 1, linewidth=1.3, label=model)
    axes.axvline(0, color=FAINT, linewidth=0.6)
    axes.set_xlim(*limits)
    axes.set_box_aspect(0.8)
    axes.set_xlabel("error (%)", labelpad=1)
    axes.set_ylabel("voxels (%)", labelpad=2)
    axes.spines[["top", "right"]].set_visible(False)
    if len(comparison.maps) > 1:
        axes.legend(frameon=False, fontsize=6.5, handlelength=1.0, loc="upper right", borderpad=0)


def scatter_figure(comparison: ComparisonTable) -> Figure:
    """Draw estimated against true T1 and T2 for every model, on logarithmic axes, with lines of ±10 %."""
    models, times = len(comparison.maps), comparison.times
    columns, rows = (len(times), 1) if models == 1 else (models, len(times))
    figure = _figure(2.9 * columns + 0.7, 2.9 * rows + 0.3)
    axes = figure.subplots(rows, columns, squeeze=False)
    for row, parameter in zip(axes.T if models == 1 else axes, times, strict=True):
        true = values_of(comparison.truth, parameter)[comparison.mask]
        low, high = float(true.min()) / 1.6, float(true.max()) * 1.6
        for place, model, maps in zip(row, comparison.models, comparison.maps, strict=True):
            if model not in comparison.models_of(parameter):
                place.set_axis_off()
                continue
            made = values_of(maps, parameter)[comparison.mask]
            good = made > 0
            place.hexbin(
                true[good],
                np.clip(made[good], low, high),
                xscale="log",
                yscale="log",
                bins="log",
                gridsize=70,
                extent=(*np.log10([low, high]), *np.log10([low, high])),
                mincnt=1,
                cmap=density(),
                vmin=0.35,
                linewidths=0.1,
            )
            line = np.array([low, high])
            place.plot(line, line, color=LINE, linewidth=0.8)
            for factor in (0.9, 1.1):
                place.plot(line, factor * line, color=LINE, linewidth=0.5, linestyle=(0, (4, 3)))
            place.set(xlim=(low, high), ylim=(low, high), box_aspect=1, title=model)
            decades(place.xaxis)
            decades(place.yaxis)
            place.set_xlabel(f"true {parameter} (ms)")
            place.set_ylabel(f"estimated {parameter} (ms)")
            place.spines[["top", "right"]].set_visible(False)
            missing = int((~good).sum())
            if missing:
                place.annotate(f"{missing:,} failed, not drawn", (0.03, 0.95), xycoords="axes fraction", color=FAINT)
    return report_look(figure)


def region_figure(means: RegionTable) -> Figure:
    """Draw the maps of every model with the regions outlined, and deviations from known values by region.

    Voxels whose PD is below a tenth of the regions' median, noise around the object, are black.
    """
    models, references = len(means.maps), means.references
    figure = _figure(3.1 * 2 + (4.2 if references else 0.0) + 0.8, 3.0 * models + 0.2)
    rows = np.ravel(figure.subfigures(models, 1, squeeze=False))
    everywhere = np.logical_or.reduce([region.mask for region in means.regions])
    z = int(everywhere.sum(axis=(1, 2)).argmax())
    drawn_at = [_seen(maps, everywhere) for maps in means.maps]
    limits = {
        parameter: shared_limits(
            (values_of(maps, parameter), seen & ~failures(maps))
            for maps, seen in zip(means.maps, drawn_at, strict=True)
            if parameter in parameters_of(maps)
        )
        for parameter in ("T1", "T2")
        if any(parameter in parameters_of(maps) for maps in means.maps)
    }
    for panel, maps, seen in zip(rows, means.maps, drawn_at, strict=True):
        axes = panel.subplots(1, 3 if references else 2, width_ratios=[1, 1, 1.35] if references else [1, 1])
        window = crop(everywhere[z], margin=0.12)
        for place, parameter in zip(axes[:2], ("T1", "T2"), strict=True):
            if parameter not in parameters_of(maps):
                place.set_axis_off()
                continue
            drawn = _draw_map(place, maps, parameter, z, seen[z], window, limits[parameter], row_order(maps))
            for region in means.regions:
                _outline(place, region.name, region.mask[z][window])
            place.set_title(maps.estimator)
            colour_bar(panel, [drawn], place, f"{parameter} (ms)")
        if references:
            _draw_deviations(axes[2], means, maps.estimator)
    return report_look(figure)


def _outline(axes: Axes, name: str, mask: BoolArray) -> None:
    if not mask.any():
        return
    # drawn along voxel edges, on a finer copy
    fine = np.pad(np.kron(mask, np.ones((8, 8))), 1)
    edges = [np.arange(-1, 8 * length + 1) / 8.0 - 0.5 + 1 / 16 for length in mask.shape[::-1]]
    axes.contour(*edges, fine, levels=[0.5], colors="white", linewidths=0.6)
    y, x = (float(index.mean()) for index in np.nonzero(mask))
    label = axes.annotate(plain(name), (x, y), color="white", ha="center", va="center", fontsize=6)
    label.set_path_effects([withStroke(linewidth=1.5, foreground=TEXT)])


def _draw_deviations(axes: Axes, means: RegionTable, model: str) -> None:
    limit = 25.0
    names = [region.name for region in means.regions]
    for parameter, colour, shift in (("T1", MODEL_COLOURS[0], -0.12), ("T2", MODEL_COLOURS[1], 0.12)):
        for number, origin in enumerate(means.references):
            mine = [row for row in means.table if row["model"] == model and row["parameter"] == parameter]
            rows = {row["region"]: row.get(f"{origin}_percent") for row in mine}
            points = [(i + shift, rows[name]) for i, name in enumerate(names) if rows.get(name) is not None]
            if not points:
                continue
            place, deviation = np.array(points).T
            axes.plot(
                place,
                np.clip(deviation, -limit, limit),
                linestyle="none",
                marker="os^D"[number % 4],
                markersize=4.5,
                color=colour,
                markerfacecolor=colour if number else "white",
                label=f"{parameter}, from {origin}",
                clip_on=False,
            )
    axes.axhline(0, color=FAINT, linewidth=0.6)
    axes.set_xticks(range(len(names)), [plain(name) for name in names])
    axes.set_ylim(-limit, limit)
    axes.set_xlabel(f"region (deviations beyond ±{limit:g} % are drawn at the edge)")
    axes.set_ylabel("mean − known value (%)")
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            frameon=False, fontsize=6.5, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0), columnspacing=1.2
        )


_COMPARISON: dict[str, Callable[[ComparisonTable], Figure]] = {"maps": comparison_figure, "scatter": scatter_figure}


def save_comparison_figures(comparison: ComparisonTable, path: str | os.PathLike[str]) -> list[Path]:
    """Write the figures of a comparison: maps with errors, and estimated against true values.

    Parameters
    ----------
    comparison : ComparisonTable
    path : path
        ``NAME.png``, ``.svg`` or ``.pdf``; the files are ``NAME-maps`` and ``NAME-scatter`` with that ending.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError
        Another ending.
    """
    drawn = {what: functools.partial(draw, comparison) for what, draw in _COMPARISON.items()}
    return save_figures(drawn, path, comparison.record)


def comparison_figures(path: str | os.PathLike[str]) -> list[Path]:
    """Return the files that `save_comparison_figures` writes."""
    return figure_names(path, _COMPARISON)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _seen(maps: ParameterMaps, everywhere: BoolArray) -> BoolArray:
    """Return the voxels of maps that are drawn beside regions."""
    inside = everywhere & maps.mask
    if maps.pd is None or not inside.any():
        return maps.mask
    return maps.mask & (maps.pd >= 0.1 * np.median(maps.pd[inside]))


def _aspect(source: Phantom | ParameterMaps, window: tuple[slice, slice]) -> float:
    height, width = (part.stop - part.start for part in window)
    return float(height * source.voxel_size[1] / (width * source.voxel_size[2]))
