"""Rows and columns of the grid, and what stands where in its cells, from the room there is."""

from __future__ import annotations

import itertools

import pytest

from napari_blochnet.napari_ui.canvas.arranging import BAR_WIDTH, Room, pairs_below, pairs_beside
from napari_blochnet.napari_ui.canvas.captions import wrapped

# the canvas between the docks of a window of 1280 × 800, and of one of 1920 × 1080; a head's slice
SMALL, LARGE, HEAD = (728, 524), (1008, 1164), (218.0, 182.0)
NAMES = ("T1 (ms) – dictionary", "T1 error (%) – dictionary", "T1 (ms) – dictionary (refined)")


def letters(text):
    return 6.0 * len(text)


def room(canvas, picture=HEAD, names=(), **more):
    return Room(canvas, picture, names, measure=letters, line=15.0, **more)


def test_a_high_canvas_stands_them_below_each_other():
    assert room((728, 364), has_bars=False).shape(2) == (2, 1)
    assert room((364, 728), has_bars=False).shape(2) == (1, 2)


def test_wide_slices_stand_below_each_other_on_the_same_canvas():
    assert room((600, 600), (50.0, 200.0)).shape(3) == (3, 1)
    assert room((600, 600), (200.0, 50.0)).shape(3) == (1, 3)


def test_no_free_cells_without_need():
    assert room((600, 600), (1.0, 1.0)).shape(4) == (2, 2)
    rows, columns = room((600, 1200), (1.0, 1.0)).shape(8)
    assert rows * columns == 8


@pytest.mark.parametrize("canvas", [SMALL, LARGE])
@pytest.mark.parametrize("shape", list(itertools.product((1, 2, 3, 4), (1, 2, 4))))
@pytest.mark.parametrize("has_scale_bar", [False, True])
def test_nothing_lies_on_anything_in_a_cell(canvas, shape, has_scale_bar):
    of = room(canvas, names=[NAMES[i % 3] for i in range(shape[0] * shape[1])], has_scale_bar=has_scale_bar)
    cell = of.cell(shape)
    high, wide = canvas[0] / shape[0], canvas[1] / shape[1]
    lines = max(len(wrapped(name, cell.name_width, letters)) for name in of.names)
    bottom_of_name = 10 + 15 * lines
    right, bottom = cell.left + cell.zoom * HEAD[1], cell.top + cell.zoom * HEAD[0]
    assert cell.top >= bottom_of_name
    assert cell.left >= 0
    assert right <= wide
    assert bottom <= high - (25 if has_scale_bar else 0)
    bar_top = bottom_of_name + 10
    # beside the bar, or below it
    assert cell.left >= 10 + BAR_WIDTH or cell.top >= bar_top + cell.bar
    assert bar_top + cell.bar <= high
    # what is not free is used: one more pixel of zoom and it would not fit
    below = 40 if has_scale_bar else 0
    assert min(wide - 12 - 56, high - below - bottom_of_name) <= 1.35 * max(right - cell.left, bottom - cell.top)


def test_five_models_are_much_larger_than_in_two_columns():
    names = [f"T1 error (%) – model {number}" for number in range(11)]
    of = room(SMALL, names=names, has_scale_bar=True)
    ways = [shape for _, shape in (*pairs_below(5, 1), *pairs_beside(5, 1))]
    assert of.legibility(of.best(ways)) > 1.3 * of.legibility((6, 2))


@pytest.mark.parametrize("models", range(1, 8))
@pytest.mark.parametrize("truths", [0, 1])
def test_each_estimate_touches_its_error(models, truths):
    for order, (rows, columns) in (*pairs_below(models, truths), *pairs_beside(models, truths)):
        assert sorted(order) == sorted(
            [("estimate", n) for n in range(models)] + [("error", n) for n in range(models)] + [("truth", 0)] * truths
        )
        assert len(order) <= rows * columns
        assert len(order) > (rows - 1) * columns
        cell = {what: divmod(place, columns) for place, what in enumerate(order)}
        for number in range(models):
            (row, column), (error_row, error_column) = cell["estimate", number], cell["error", number]
            assert (error_row - row, error_column - column) in ((0, 1), (1, 0))


@pytest.mark.parametrize("width", [40, 70, 120, 150, 400])
def test_names_wrap_and_lose_no_letter(width):
    name = "T1 error (%) – BlochNet FISP 1000 TR, noise-of-the-scanner"
    lines = wrapped(name, width, letters)
    assert all(letters(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(name.replace(" – ", "" if len(lines) > 1 else " – ").split())
    if 80 <= width < 400:
        assert lines[0] == "T1 error (%)"


def test_a_name_that_fits_stays_on_its_line():
    assert wrapped("T1 (ms) – fc", 200, letters) == ["T1 (ms) – fc"]


def test_of_nothing_there_is_a_shape():
    assert room((1, 1), (1.0, 1.0)).shape(0) == (1, 1)
