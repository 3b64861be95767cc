"""Maps for a paper: quantities as rows, truth and models as columns, colour bars with units, and a scale bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from napari_blochnet.common.arrays import BoolArray, FloatArray
from napari_blochnet.common.colour_limits import Limits, error_limits, widest
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.drawing.figure_style import (
    COLOURMAPS,
    COLUMNS,
    FONT_SIZE,
    SMALL_SIZE,
    TEXT,
    colour_table,
    ground,
)
from napari_blochnet.evaluation.drawing.image_parts import crop, extension, row_order
from napari_blochnet.evaluation.drawing.sheets import finish, plain, sheet, wrapped
from napari_blochnet.evaluation.error_maps import (
    check_grid,
    error_maps,
    failures,
    limits_of_maps,
    parameters_of,
    values_of,
)
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["map_caption", "map_figure", "slice_of"]

_UNITS = {"T1": "ms", "T2": "ms", "T1 error": "%", "T2 error": "%"}
# mm: between tiles, from the last to its colour bar, the bar, its numbers and name, and lines of names above tiles.
_GAP, _TO_BAR, _BAR, _NUMBERS, _LINE = 0.8, 1.5, 2.2, 12.0, 3.1
# Tiles narrower than this say nothing: models go on in a further row.
_NARROWEST = 15.0
# A page holds no more, and a bar's numbers reach beyond its ends; mm.
_HIGHEST, _INSET = 235.0, 1.2
# T1 stands beside T2 where one below the other leave so much of the width blank, if tiles stay about half as large.
_BLANK, _AS_LARGE = 0.15, 0.55
# Lengths of scale bars, mm; the longest that is at most this share of a tile.
_LENGTHS = [digit * power for power in (0.1, 1, 10, 100) for digit in (1, 2, 5)]
_SHARE = 0.4


@dataclass(frozen=True)
class _Tile:
    """One image: its name, and what it shows; outside of ``inside`` there is nothing."""

    name: str
    values: FloatArray
    inside: BoolArray


@dataclass(frozen=True)
class _Block:
    """Rows of tiles below each other, and where all of it stands; mm from its left upper corner."""

    rows: Mapping[str, Sequence[_Tile]]
    #: left, top and title of each tile of each row
    spots: list[list[tuple[float, float, str]]]
    #: width and height of all tiles
    tile: tuple[float, float]
    #: left edge of the colour bars
    bar: float
    wide: float
    high: float


def map_figure(
    maps: Sequence[ParameterMaps],
    names: Sequence[str],
    truth: Phantom | None = None,
    *,
    parameters: Sequence[str] = ("T1", "T2"),
    errors: bool = True,
    limits: Mapping[str, tuple[float, float]] | None = None,
    z: int | None = None,
    width: str = "double",
    scale_bar: bool = True,
) -> Figure:
    """Draw maps of several models in a grid, in the width of a journal's column.

    Parameters
    ----------
    maps : sequence of ParameterMaps
        One per model, all on one grid.
    names : sequence of str
        What the models are called.
    truth : Phantom, optional
        On that grid.
    parameters : sequence of str
        "T1", "T2".
    errors : bool
        Where there is a truth: its signed errors below each parameter, per cent.
    limits : mapping of str to (float, float), optional
        Where the colours of "T1", "T2" (ms), "T1 error" and "T2 error" (per cent) begin and end, for all models. What
        is not in it: a round number above most of all that is drawn.
    z : int, optional
        Slice. None: the one with the most voxels.
    width : str
        "single" (88 mm) or "double" (180 mm).
    scale_bar : bool
        Whether a length in mm is drawn into the first tile.

    Raises
    ------
    InputError
        A slice that is not there; nothing mapped in it; maps on different grids.
    """
    first = maps[0]
    for source in maps[1:]:
        _check_same(first, source)
    if truth is not None:
        check_grid(truth, first)
    here = slice_of(maps, z)
    rows = _rows(maps, names, truth, parameters, errors, here)
    inside = np.logical_or.reduce([tile.inside for tiles in rows.values() for tile in tiles])
    if not inside.any():
        raise InputError(f"Slice {here} has no mapped voxel; expected one with some.", field="slice")
    window = crop(inside)
    size = [(part.stop - part.start) * step for part, step in zip(window, first.voxel_size[1:], strict=True)]
    wide = COLUMNS[width]
    blocks = _blocks(rows, wide, size[0] / size[1])
    high = max(block.high for block in blocks)
    figure = sheet(wide, high)
    origin = row_order(first)
    for number, block in enumerate(blocks):
        # in the middle of its share of the width
        left = (number + 0.5) * wide / len(blocks) - 0.5 * block.wide

        def axes_at(x: float, y: float, across: float, down: float, left: float = left) -> Axes:
            return figure.add_axes(((left + x) / wide, 1 - (y + down) / high, across / wide, down / high))

        for (quantity, tiles), spots in zip(block.rows.items(), block.spots, strict=True):
            low, top = (limits or {}).get(quantity) or _limits(quantity, maps, truth)
            colours = ListedColormap(colour_table(COLOURMAPS[quantity]), quantity).with_extremes(bad=ground(quantity))
            scale = Normalize(low, top)
            shown = [np.ma.masked_array(tile.values[window], ~tile.inside[window]) for tile in tiles]
            for values, (x, y, title) in zip(shown, spots, strict=True):
                axes = axes_at(x, y, *block.tile)
                axes.imshow(values, cmap=colours, norm=scale, origin=origin, aspect="auto", interpolation="nearest")
                axes.set(xticks=[], yticks=[], facecolor=ground(quantity))
                axes.spines[:].set_visible(False)
                if title:
                    axes.set_title(plain(title), fontsize=FONT_SIZE, color=TEXT, pad=2, linespacing=1.1)
                if scale_bar and len(figure.axes) == 1:
                    _draw_scale(axes, size[1])
            # what stands at its ends keeps clear of the next bar's
            start, end = spots[0][1] + _INSET, spots[-1][1] + block.tile[1] - _INSET
            cax = axes_at(block.bar, start, _BAR, end - start)
            bar = figure.colorbar(
                ScalarMappable(scale, colours), cax=cax, extend=extension(shown, low, top), extendfrac=0.04
            )
            bar.set_label(f"{quantity} ({_UNITS[quantity]})", labelpad=3)
            bar.outline.set_visible(False)
            bar.ax.yaxis.set_major_locator(ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    return finish(figure)


def map_caption(names: Sequence[str], truth: Phantom | None, z: int, errors: bool) -> str:
    """Return what a caption should say of maps in a grid."""
    said = f"Slice {z}: {', '.join([*(['truth'] if truth is not None else []), *names])}."
    if truth is not None and errors:
        said += " Errors are (estimate − truth)/truth; a voxel without an estimate counts as −100 %."
    return said


def _check_same(first: ParameterMaps, other: ParameterMaps) -> None:
    if other.shape != first.shape:
        raise InputError(
            f"The maps of {other.estimator} have {other.shape} voxels (z, y, x), those of {first.estimator} have "
            f"{first.shape}",
            "maps on one grid",
            field="maps",
        )


def slice_of(maps: Sequence[ParameterMaps], z: int | None) -> int:
    """Return the slice that is drawn: the one asked for, or else the one with the most mapped voxels."""
    if z is None:
        mapped = np.sum([source.mask.sum(axis=(1, 2)) for source in maps], axis=0)
        return int(mapped.argmax())
    if not 0 <= z < maps[0].shape[0]:
        raise InputError(f"There is no slice {z}", f"one from 0 to {maps[0].shape[0] - 1}", field="slice")
    return z


def _rows(
    maps: Sequence[ParameterMaps],
    names: Sequence[str],
    truth: Phantom | None,
    parameters: Sequence[str],
    errors: bool,
    z: int,
) -> dict[str, list[_Tile]]:
    """Return the tiles of each quantity that is drawn."""
    signed = [error_maps(truth, source) for source in maps] if truth is not None and errors else []
    failed = [failures(source)[z] for source in maps]
    rows: dict[str, list[_Tile]] = {}
    for parameter in parameters:
        # a dictionary that came with the data may know one of them alone
        held = [parameter in parameters_of(source) for source in maps]
        if not any(held):
            continue
        rows[parameter] = [] if truth is None else [_Tile("truth", values_of(truth, parameter)[z], truth.mask[z])]
        for name, source, lost in compress(zip(names, maps, failed, strict=True), held):
            rows[parameter].append(_Tile(name, values_of(source, parameter)[z], source.mask[z] & ~lost))
        if truth is not None and signed:
            rows[f"{parameter} error"] = [
                _Tile(name, found[parameter][z], source.mask[z] & truth.mask[z])
                for name, source, found in compress(zip(names, maps, signed, strict=True), held)
            ]
    if not rows:
        raise InputError(f"The maps of {', '.join(names)} hold no {' and no '.join(parameters)}",
                         "one that is to be drawn", field="parameters")  # fmt: skip
    return rows


def _blocks(rows: Mapping[str, Sequence[_Tile]], wide: float, tall: float) -> list[_Block]:
    """Return all rows below each other, or those of T1 beside those of T2."""
    below = _block(rows, wide, tall)
    groups: dict[str, dict[str, Sequence[_Tile]]] = {}
    for quantity, tiles in rows.items():
        groups.setdefault(quantity.split()[0], {})[quantity] = tiles
    if len(groups) == 2 and below.wide < (1 - _BLANK) * wide:
        beside = [_block(group, wide / 2, tall) for group in groups.values()]
        if min(block.tile[0] for block in beside) >= _AS_LARGE * below.tile[0]:
            return beside
    return [below]


def _block(rows: Mapping[str, Sequence[_Tile]], wide: float, tall: float) -> _Block:
    """Return rows below each other, as large as they can be; ``tall`` is a tile's height in widths."""
    room = wide - _TO_BAR - _BAR - _NUMBERS
    most = max(map(len, rows.values()))
    columns = min(most, max(1, int((room + _GAP) // (_NARROWEST + _GAP))))
    # as even as can be: eight models in two rows of four; more beside each other where a page would not hold them
    fewest = -(-most // -(-most // columns))
    for columns in range(fewest, most + 1):
        tile_wide = (room - _GAP * (columns - 1)) / columns
        tile_high = tile_wide * tall
        spots, high = _places(rows, columns, tile_wide, tile_high)
        if high <= _HIGHEST:
            break
    else:
        lines = sum(-(-len(tiles) // columns) for tiles in rows.values())
        part = max(0.2, 1.0 - (high - _HIGHEST) / (tile_high * lines))
        tile_wide, tile_high = part * tile_wide, part * tile_high
        spots, high = _places(rows, columns, tile_wide, tile_high)
    across = min(columns, max(map(len, rows.values())))
    bar = across * (tile_wide + _GAP) - _GAP + _TO_BAR
    return _Block(rows, spots, (tile_wide, tile_high), bar, bar + _BAR + _NUMBERS, high)


def _places(
    rows: Mapping[str, Sequence[_Tile]], columns: int, wide: float, high: float
) -> tuple[list[list[tuple[float, float, str]]], float]:
    """Return left, top (mm) and title of each tile, and the height of all.

    A title stands above a tile unless the one above it has the same.
    """
    top, found = 0.0, []
    above: dict[int, str] = {}
    is_wrapped = any(len(tiles) > columns for tiles in rows.values())
    widest = max(map(len, rows.values()))
    for tiles in rows.values():
        # errors have no truth: they stand below the maps they are of
        shift = widest - len(tiles) if not is_wrapped else 0
        spots: list[tuple[float, float, str]] = []
        for start in range(0, len(tiles), columns):
            part = tiles[start : start + columns]
            new = {
                shift + n: tile.name for n, tile in enumerate(part) if is_wrapped or above.get(shift + n) != tile.name
            }
            above |= {shift + n: tile.name for n, tile in enumerate(part)}
            titles = {n: wrapped(name, wide) for n, name in new.items()}
            lines = max((title.count("\n") + 1 for title in titles.values()), default=0)
            top += _LINE * lines + (1.0 if lines else 0.0)
            spots += [((shift + n) * (wide + _GAP), top, titles.get(shift + n, "")) for n in range(len(part))]
            top += high + _GAP
        found.append(spots)
        top += _GAP
    return found, top - _GAP + 1.0


def _limits(quantity: str, maps: Sequence[ParameterMaps], truth: Phantom | None) -> Limits:
    if truth is not None and quantity.endswith("error"):
        name = quantity.removesuffix(" error")
        held = [each for each in maps if name in parameters_of(each)]
        return widest(error_limits(error_maps(truth, each)[name], truth.mask & each.mask) for each in held)
    return limits_of_maps(quantity, maps, truth)


def _draw_scale(axes: Axes, across: float) -> None:
    """Draw a round length, in white with a dark edge: it is seen on tissue, too."""
    length = max((one for one in _LENGTHS if one <= _SHARE * across), default=_LENGTHS[0])
    edge = [withStroke(linewidth=1.6, foreground="black")]
    end = 0.95
    axes.plot([end - length / across, end], [0.06, 0.06], color="white", linewidth=1.4, transform=axes.transAxes,
              solid_capstyle="butt", path_effects=edge)  # fmt: skip
    axes.annotate(f"{length:g} mm", (end - 0.5 * length / across, 0.06), (0, 2), xycoords="axes fraction",
                  textcoords="offset points", ha="center", va="bottom", fontsize=SMALL_SIZE, color="white",
                  path_effects=edge)  # fmt: skip
