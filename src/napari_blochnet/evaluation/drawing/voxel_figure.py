"""One voxel for a paper: its fingerprint, what each model makes of it, what is left over, and the T1–T2 plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.evaluation.drawing.figure_style import (
    COLUMNS,
    FAINT,
    FONT_SIZE,
    MODEL_COLOURS,
    SMALL_SIZE,
    TEXT,
    TRUTH_COLOUR,
    error_bars,
    lane_tick,
    round_ticks,
)
from napari_blochnet.evaluation.drawing.sheets import finish, plain, sheet, text_width, wrapped
from napari_blochnet.evaluation.voxel import Bound, Explanation, Explanations

__all__ = ["CONTENTS", "voxel_caption", "voxel_figure"]

#: What may be drawn.
CONTENTS = ("curves and plane", "curves", "plane")
_MARKERS = "oDs^vP<>"
# mm: of the signal, of each model's residual, of axes' names and numbers, of a line of the legend, between the parts.
_SIGNAL, _LANE, _AXES, _LEGEND_LINE, _GAP = 36.0, 8.5, 9.0, 3.4, 3.0
# Left of the axes, right of them, and the plane's side beside curves.
_LEFT, _RIGHT, _PLANE = 14.0, 2.0, 50.0
# A line of the legend begins with so much, and ends with so much before the next.
_KEY, _BETWEEN = 8.0, 4.0
_ABOVE = 1.5
# What stands above axes, and the least height that holds the name of the lanes.
_NOTE, _NAME = 3.0, 18.0
# The plane shows at least this factor in T1 and in T2, so that a single point is not a whole axis.
_LEAST = 1.03


def voxel_figure(
    shown: Explanations,
    *,
    content: str = "curves and plane",
    width: str = "double",
    pulses: tuple[int, int] | None = None,
) -> Figure:
    """Draw what is known of a voxel, in the width of a journal's column.

    Parameters
    ----------
    shown : Explanations
        What is drawn: leave out what is not to be seen.
    content : str
        One of `CONTENTS`.
    width : str
        "single" (88 mm) or "double" (180 mm).
    pulses : tuple of int, optional
        First and last TR index drawn, from 1. None: all.

    Returns
    -------
    matplotlib.figure.Figure
        Measured and re-simulated fingerprints; below them, for each model in a lane of its own with the same scale,
        measured minus re-simulated, over the interval that holds 95 % of the noise where it is known; T2 over T1
        on logarithmic axes with the ellipse of the Cramér–Rao bound.
    """
    wide = COLUMNS[width]
    has_curves, has_plane = content != "plane", content != "curves"
    beside = has_curves and has_plane and width == "double"
    models = [number for number, item in enumerate(shown.items) if not item.is_truth]
    lane = max(_LANE, _NAME / len(models)) if models else 0.0
    lanes = lane * len(models)
    keys, columns = _keys(shown, wide - _LEFT - _RIGHT, has_curves)
    legend = _ABOVE + _NOTE + (_LEGEND_LINE * sum(_rows(keys, columns)) if keys else 0.0)
    curves = (_SIGNAL + _GAP * bool(models) + lanes + _AXES) if has_curves else 0.0
    side = _PLANE if beside else min(wide - _LEFT - _RIGHT, 70.0)
    plane = side + _AXES if has_plane else 0.0
    below = 0.0 if beside else curves + (_GAP + _NOTE if has_curves and has_plane else 0.0)
    high = legend + (max(curves, plane) if beside else below + plane)
    figure = sheet(wide, high)

    def axes_at(left: float, top: float, across: float, down: float, **more: Any) -> Axes:
        return figure.add_axes((left / wide, 1.0 - (top + down) / high, across / wide, down / high), **more)

    if has_curves:
        across = wide - _LEFT - _RIGHT - (side + _LEFT if beside else 0.0)
        # beside a plane that is higher than the curves, these are as high
        signal_high = _SIGNAL + (max(0.0, plane - curves) if beside else 0.0)
        signal = axes_at(_LEFT, legend, across, signal_high)
        top = legend + signal_high + _GAP
        rows = [axes_at(_LEFT, top + lane * row, across, lane, sharex=signal) for row in range(len(models))]
        _draw_curves(signal, rows, models, shown, pulses)
    if has_plane:
        left = wide - _RIGHT - side if beside else _LEFT
        _draw_plane(axes_at(left, legend + below, side, side), shown)
    if keys:
        figure.legend(handles=keys, loc="upper left", bbox_to_anchor=(_LEFT / wide, 1.0 - 0.5 / high), ncols=columns,
                      frameon=False, fontsize=FONT_SIZE, labelcolor=TEXT, borderpad=0, borderaxespad=0,
                      handlelength=2.2, columnspacing=1.2, labelspacing=0.3)  # fmt: skip
    return finish(figure)


def voxel_caption(shown: Explanations) -> str:
    """Return what a caption should say of a voxel's figure."""
    z, y, x = shown.voxel.index
    said = [f"Voxel z {z}, y {y}, x {x} of {shown.voxel.stack.name}: {shown.quantity}, in arbitrary units."]
    bound = shown.bound
    if bound is not None:
        origin = "known" if bound.is_sigma_known else "estimated from the smallest residual"
        place = "the true T1 and T2" if bound.at_truth else "the answer with the smallest residual"
        said.append(
            f"Grey: 95 % of the noise (standard deviation {bound.sigma:.3g} a.u. per channel, {origin}). Ellipse: "
            f"95 % of the answers of an estimator that reaches the Cramér–Rao bound, at {place}."
        )
    if any(error_bars(item) is not None for item in shown.items):
        said.append("Bars: 95 % intervals from a model's own standard errors.")
    return " ".join(said)


def _look(item: Explanation) -> dict[str, Any]:
    """Return colour and dashes of an explanation: beyond the last colour they start again, dotted."""
    if item.is_truth:
        return {"color": TRUTH_COLOUR, "linestyle": (0, (4, 2))}
    again = item.slot >= len(MODEL_COLOURS)
    return {"color": MODEL_COLOURS[item.slot % len(MODEL_COLOURS)], "linestyle": (0, (1, 1)) if again else "-"}


def _mark(item: Explanation) -> dict[str, Any]:
    """Return the mark of an explanation in the plane."""
    return {
        "marker": "*" if item.is_truth else _MARKERS[item.slot % len(_MARKERS)],
        "markersize": 8.0 if item.is_truth else 4.5,
        "markerfacecolor": _look(item)["color"],
        "markeredgecolor": "white",
        "markeredgewidth": 0.5,
    }


def _keys(shown: Explanations, width: float, has_curves: bool) -> tuple[list[Line2D], int]:
    """Return the lines of the legend, and in how many columns they stand; names are wrapped where they are too long."""
    keys = [Line2D([], [], color=FAINT, linewidth=2.0, label="measured")] if has_curves else []
    for item in shown.items:
        look = _look(item) if has_curves else {"linestyle": "none"}
        name = plain(wrapped(item.name, width - _KEY))
        keys.append(Line2D([], [], linewidth=0.9, label=name, **look, **_mark(item)))
    if not keys:
        return [], 1
    widest = max(text_width(line) for key in keys for line in str(key.get_label()).split("\n"))
    return keys, max(1, min(len(keys), int((width + _BETWEEN) // (widest + _KEY + _BETWEEN))))


def _rows(keys: Sequence[Line2D], columns: int) -> list[int]:
    """Return how many lines of text each row of the legend has; it is filled column by column."""
    lines = [str(key.get_label()).count("\n") + 1 for key in keys]
    long, more = divmod(len(lines), columns)
    lengths = [long + (column < more) for column in range(columns)]
    starts = np.cumsum([0, *lengths])
    parts = [lines[start : start + length] for start, length in zip(starts, lengths, strict=False)]
    return [max(part[row] for part in parts if row < len(part)) for row in range(max(lengths))]


def _draw_curves(
    signal: Axes, rows: Sequence[Axes], models: Sequence[int], shown: Explanations, pulses: tuple[int, int] | None
) -> None:
    first, last = pulses or (1, len(shown.measured))
    part = slice(first - 1, last)
    index = np.arange(first, last + 1)
    measured, curves = shown.measured[part], shown.curves[:, part]
    signal.plot(index, measured, color=FAINT, linewidth=2.0, alpha=0.55, solid_joinstyle="round")
    for item, curve in zip(shown.items, curves, strict=True):
        signal.plot(index, curve, linewidth=0.8, **_look(item))
    low, high = (
        float(edge) for edge in (min(measured.min(), curves.min(initial=0)), max(measured.max(), curves.max(initial=0)))
    )
    low = 0.0 if shown.quantity == "magnitude" else low
    room = 0.05 * (high - low) or 1.0
    signal.set(ylim=(low - room, high + room), xlim=(first - 0.5, last + 0.5))
    signal.set_ylabel("signal (a.u.)")
    signal.annotate(shown.quantity, (1.0, 1.0), (0, 1), xycoords="axes fraction", textcoords="offset points",
                    ha="right", va="bottom", fontsize=SMALL_SIZE, color=TEXT)  # fmt: skip
    left = [measured - curves[number] for number in models]
    band = 0.0 if shown.bound is None else 1.96 * shown.bound.sigma
    limit = max([1.4 * band, *(float(np.abs(values).max()) for values in left)]) * 1.05 or 1.0
    tick = lane_tick(limit)
    for row, number, values in zip(rows, models, left, strict=True):
        row.axhspan(-band, band, color="#e4e6ea", linewidth=0)
        row.axhline(0, color=FAINT, linewidth=0.5)
        row.plot(index, values, linewidth=0.7, **_look(shown.items[number]))
        row.set_ylim(-limit, limit)
        # no number of a lane reaches into the next
        row.yaxis.set_major_locator(ticker.FixedLocator([-tick, 0.0, tick]))
        row.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:.3g}".replace("-", "−")))
    for axes in (signal, *rows):
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(ticker.MaxNLocator(8, integer=True))
    for axes in [signal, *rows][:-1]:
        axes.tick_params(labelbottom=False, bottom=not rows or axes is not signal)
        axes.spines["bottom"].set_visible(axes is signal)
    [signal, *rows][-1].set_xlabel("TR index")
    if rows:
        middle = rows[len(rows) // 2]
        # one name for all lanes, beside their middle
        middle.set_ylabel("residual (a.u.)", y=0.5 if len(rows) % 2 else 1.0)
        for axes in (signal, middle):
            axes.yaxis.set_label_coords(-(_LEFT - 3.5) / _across(signal), axes.yaxis.label.get_position()[1])


def _across(axes: Axes) -> float:
    """Return how wide axes are, mm."""
    return float(axes.get_position().width * axes.get_figure().get_size_inches()[0] * 25.4)  # type: ignore[union-attr]


def _draw_plane(axes: Axes, shown: Explanations) -> None:
    places: list[FloatArray] = [np.array([[item.t1, item.t2]]) for item in shown.items]
    axes.set_xlabel("T1 (ms)")
    axes.set_ylabel("T2 (ms)")
    axes.spines[["top", "right"]].set_visible(False)
    if not places:
        axes.annotate("no T1 and T2", (0.5, 0.5), xycoords="axes fraction", ha="center", fontsize=FONT_SIZE, color=TEXT)
        axes.set(xticks=[], yticks=[])
        return
    if shown.bound is not None:
        places.append(_draw_bound(axes, shown, shown.bound))
    for item in shown.items:
        bars = error_bars(item)
        if bars is not None:
            places.append(bars)
            for ends in (bars[:2], bars[2:]):
                axes.plot(*ends.T, color=_look(item)["color"], linewidth=0.7, zorder=3)
    # the truth on top of the models, which may all lie on it
    for item in sorted(shown.items, key=lambda item: item.is_truth):
        axes.plot([item.t1], [item.t2], linestyle="none", zorder=4, **_mark(item))
    low, high = (edge(np.log10(np.concatenate(places)), axis=0) for edge in (np.min, np.max))
    short = np.maximum(np.log10(_LEAST) - (high - low), 0.0) / 2.0
    low, high = low - short, high + short
    low, high = 10.0 ** (low - 0.1 * (high - low)), 10.0 ** (high + 0.1 * (high - low))
    axes.set(xscale="log", yscale="log", xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    for axis, start, end in zip((axes.xaxis, axes.yaxis), low, high, strict=True):
        axis.set_major_locator(ticker.FixedLocator(round_ticks(float(start), float(end), 5)))
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:.6g}"))
        axis.set_minor_locator(ticker.NullLocator())
    axes.grid(color="#e4e6ea", linewidth=0.5)
    axes.set_axisbelow(True)


def _draw_bound(axes: Axes, shown: Explanations, bound: Bound) -> FloatArray:
    at = next((item for item in shown.items if (item.t1, item.t2) == (bound.t1, bound.t2)), None)
    colour = TEXT if at is None else _look(at)["color"]
    ellipse = bound.ellipse()
    axes.fill(*ellipse.T, facecolor=colour, alpha=0.15, linewidth=0, zorder=1)
    axes.plot(*ellipse.T, color=colour, linewidth=0.7, zorder=2)
    said = "95 % by noise alone" + ("" if bound.is_sigma_known else ", σ by residual")
    axes.annotate(said, (0.0, 1.0), (2, 1), xycoords="axes fraction", textcoords="offset points", va="bottom",
                  fontsize=SMALL_SIZE, color=TEXT)  # fmt: skip
    return ellipse
