"""Rows and columns of the grid, from the room there is."""

from __future__ import annotations

import pytest

from napari_blochnet.napari_ui.canvas.arranging import Room

# the canvas between the docks of a window of 1280 × 800, and of one of 1920 × 1080; a head's slice
SMALL, LARGE, HEAD = (728, 524), (1008, 1164), (218.0, 182.0)


def test_a_high_canvas_stands_them_below_each_other():
    assert Room(SMALL, HEAD).shape(2) == (2, 1)
    assert Room((524, 728), HEAD).shape(2) == (1, 2)


def test_wide_slices_stand_below_each_other_on_the_same_canvas():
    assert Room((600, 600), (50.0, 200.0)).shape(3) == (3, 1)
    assert Room((600, 600), (200.0, 50.0)).shape(3) == (1, 3)


def test_no_free_cells_without_need():
    assert Room((600, 600)).shape(4) == (2, 2)
    rows, columns = Room((600, 1200)).shape(8)
    assert rows * columns == 8


def test_names_that_would_be_cut_off_ask_for_wider_cells():
    without, with_names = Room(SMALL, HEAD), Room(SMALL, HEAD, name=200.0)
    assert without.best([(2, 5), (5, 2)]) == (2, 5)
    assert with_names.best([(2, 5), (5, 2)]) == (5, 2)


@pytest.mark.parametrize("canvas", [SMALL, LARGE])
@pytest.mark.parametrize("rows", [1, 2, 4])
def test_a_picture_begins_below_its_name_and_ends_in_its_cell(canvas, rows):
    room = Room(canvas, HEAD)
    high = canvas[0] / rows
    # filling its cell
    zoom = high / HEAD[0]
    top, zoom = room.below_name(rows, 0.0, zoom)
    assert top >= 20
    assert top + zoom * HEAD[0] <= high
    # nothing is lost that need not be
    assert top + zoom * HEAD[0] >= high - 10


def test_a_picture_that_is_out_of_the_names_way_stays():
    assert Room(LARGE, HEAD).below_name(1, 100.0, 2.0) == (100.0, 2.0)


def test_of_nothing_there_is_a_shape():
    assert Room((1, 1)).shape(0) == (1, 1)
