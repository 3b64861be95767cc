"""How pictures stand in the grid: the rows and columns in which they are read best on the canvas as it is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Room"]

# Above a picture, for its name; around it, for the eye; pixels.
_NAME, _MARGIN = 30.0, 6.0


@dataclass(frozen=True)
class Room:
    """A canvas, and the shape of the pictures that are to stand on it, each below its name.

    Parameters
    ----------
    canvas : tuple of int
        Height and width, pixels.
    picture : tuple of float
        Height and width of one slice, in any unit.
    name : float
        Width of the longest name, pixels.
    """

    canvas: tuple[int, int]
    picture: tuple[float, float] = (1.0, 1.0)
    name: float = 0.0

    def legibility(self, shape: tuple[int, int]) -> float:
        """Return how well pictures can be read in a grid of so many rows and columns.

        That is their width in pixels, less where a part of the names is cut off.
        """
        height, width = (max(1e-9, float(side)) for side in self.picture)
        (rows, columns), (high, wide) = shape, self.canvas
        drawn = min(wide / columns - 2 * _MARGIN, (high / rows - _NAME - _MARGIN) * width / height)
        return drawn * min(1.0, wide / columns / max(1.0, self.name))

    def best(self, shapes: Iterable[tuple[int, int]]) -> tuple[int, int]:
        """Return the shape in which pictures are read best; of equal ones, the first."""
        return max(shapes, key=self.legibility)

    def shape(self, count: int) -> tuple[int, int]:
        """Return the rows and columns in which so many pictures are read best, with few free cells."""
        count = max(1, count)
        shapes = {(math.ceil(count / columns), columns) for columns in range(1, count + 1)}
        return self.best(sorted(shapes, key=lambda shape: (shape[0] * shape[1], shape[0])))

    def below_name(self, rows: int, top: float, zoom: float) -> tuple[float, float]:
        """Return where a picture begins and how large it is drawn, so that its name does not lie on it.

        Parameters
        ----------
        rows : int
            Of the grid.
        top, zoom : float
            Where the picture begins below the top of its cell, pixels, and pixels per unit.
        """
        high = self.canvas[0] / rows
        room = max(1.0, high - _NAME - _MARGIN)
        zoom = min(zoom, room / max(1e-9, self.picture[0]))
        return min(max(top, _NAME), high - _MARGIN - zoom * self.picture[0]), zoom
