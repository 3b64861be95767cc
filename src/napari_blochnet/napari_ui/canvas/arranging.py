"""How pictures stand in the grid: the rows and columns in which they are largest, each with its name and bar."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from napari_blochnet.napari_ui.canvas.captions import line_height, text_width, wrapped

__all__ = ["BAR_WIDTH", "HIGHEST_BAR", "Cell", "Room", "pairs_below", "pairs_beside"]

#: Of a colour bar with its numbers, and the height it has where there is room; pixels.
BAR_WIDTH, HIGHEST_BAR = 50.0, 72.0
# A bar that is less high cannot be read.
_LOWEST_BAR = 56.0
# Around a picture, for the eye; what half a line of a bar's numbers stands out below it; a scale bar.
_MARGIN, _NUMBER, _SCALE_BAR = 6.0, 10.0, 40.0


@dataclass(frozen=True)
class Cell:
    """Where things are in each cell of a grid, pixels from its upper left corner.

    Parameters
    ----------
    name_width : float
        Room for a line of the name.
    bar : float
        Height of the colour bar, which stands below the name.
    left, top : float
        Of the picture.
    zoom : float
        Pixels per unit of the picture.
    """

    name_width: float
    bar: float
    left: float
    top: float
    zoom: float


@dataclass(frozen=True)
class Room:
    """A canvas, and the pictures that are to stand on it, each below its name, with a colour bar.

    Parameters
    ----------
    canvas : tuple of int
        Height and width, pixels.
    picture : tuple of float
        Height and width of one slice, in any unit.
    names : sequence of str
    padding : tuple of float
        Around name and bar, along x and y, pixels.
    has_bars : bool
    has_scale_bar : bool
        In the lower right corner of the canvas.
    measure : callable
        The width of a text, pixels.
    line : float
        Height of a line, pixels.
    """

    canvas: tuple[int, int]
    picture: tuple[float, float] = (1.0, 1.0)
    names: Sequence[str] = ()
    padding: tuple[float, float] = (10.0, 10.0)
    has_bars: bool = True
    has_scale_bar: bool = False
    measure: Callable[[str], float] = text_width
    line: float = field(default_factory=line_height)

    def cell(self, shape: tuple[int, int]) -> Cell:
        """Return where things are in the cells of a grid of so many rows and columns.

        The bar stands beside the picture or above it, whichever leaves more room.
        """
        height, width = (max(1e-9, float(side)) for side in self.picture)
        high, wide = self.canvas[0] / shape[0], self.canvas[1] / shape[1]
        pad_x, pad_y = self.padding
        name_width = max(1.0, wide - 2 * pad_x)
        lines = max((len(wrapped(name, name_width, self.measure)) for name in self.names), default=0)
        head = pad_y + lines * self.line
        # nothing stands in the last cells of a grid that is not full
        is_free = len(self.names) < shape[0] * shape[1]
        foot = _SCALE_BAR if self.has_scale_bar and not is_free else _MARGIN

        def fitted(left: float, top: float) -> tuple[float, float, float]:
            room_y, room_x = max(1.0, high - top - foot), max(1.0, wide - left - _MARGIN)
            zoom = min(room_x / width, room_y / height)
            # in the middle of the cell, as far as what stands to its left and above it lets it
            middle = max(left, (wide - zoom * width) / 2)
            return zoom, min(middle, max(left, wide - _MARGIN - zoom * width)), top + (room_y - zoom * height) / 2

        below_name = head + (_MARGIN if lines else 0.0)
        if not self.has_bars:
            zoom, left, top = fitted(_MARGIN, below_name)
            return Cell(name_width, HIGHEST_BAR, left, top, zoom)
        bar_top = head + (pad_y if lines else 0.0)
        beside = fitted(pad_x + BAR_WIDTH + _MARGIN, below_name)
        above = fitted(_MARGIN, bar_top + _LOWEST_BAR + _NUMBER)
        if beside[0] >= above[0]:
            bar = max(1.0, min(HIGHEST_BAR, high - bar_top - _NUMBER - foot))
            return Cell(name_width, bar, beside[1], beside[2], beside[0])
        zoom, left, top = above
        # what the picture does not need of the height is the bar's first, then around both
        spare = max(0.0, high - foot - zoom * height - (bar_top + _LOWEST_BAR + _NUMBER))
        bar = min(HIGHEST_BAR, _LOWEST_BAR + spare)
        rest = spare - (bar - _LOWEST_BAR)
        return Cell(name_width, bar, left, bar_top + bar + _NUMBER + rest / 2, zoom)

    def legibility(self, shape: tuple[int, int]) -> float:
        """Return how well pictures can be read in a grid of so many rows and columns: their width in pixels."""
        return self.cell(shape).zoom * max(1e-9, float(self.picture[1]))

    def best(self, shapes: Iterable[tuple[int, int]]) -> tuple[int, int]:
        """Return the shape in which pictures are read best; of equal ones, the first."""
        return max(shapes, key=self.legibility)

    def shape(self, count: int) -> tuple[int, int]:
        """Return the rows and columns in which so many pictures are read best, with few free cells."""
        count = max(1, count)
        shapes = {(math.ceil(count / columns), columns) for columns in range(1, count + 1)}
        return self.best(sorted(shapes, key=lambda shape: (shape[0] * shape[1], shape[0])))


# A picture is told by its place among estimates, errors ("error") or the truth ("truth"), and its number there.
Order = list[tuple[str, int]]


def pairs_beside(models: int, truths: int) -> list[tuple[Order, tuple[int, int]]]:
    """Return the ways to show estimates with their errors to the right, then the truth: (order, rows and columns)."""
    order = [(kind, number) for number in range(models) for kind in ("estimate", "error")]
    order += [("truth", number) for number in range(truths)]
    return [(order, (math.ceil(len(order) / (2 * pairs)), 2 * pairs)) for pairs in range(1, models + 1)]


def pairs_below(models: int, truths: int) -> list[tuple[Order, tuple[int, int]]]:
    """Return the ways to show estimates with their errors below: in blocks of two rows, the truth after the last."""
    count = models + truths
    estimates: Order = [("estimate", number) for number in range(models)]
    estimates += [("truth", number) for number in range(truths)]
    found = []
    # napari leaves no cell free but the last ones: the upper rows of all blocks are full
    for columns in (columns for columns in range(1, count + 1) if count % columns == 0):
        order: Order = []
        for start in range(0, count, columns):
            block = estimates[start : start + columns]
            order += block + [("error", number) for kind, number in block if kind == "estimate"]
        found.append((order, (math.ceil(len(order) / columns), columns)))
    return found
