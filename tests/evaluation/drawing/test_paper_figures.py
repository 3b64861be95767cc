"""Figures for a paper: sizes of columns, text that stays text, nothing cut, and what is drawn against its numbers."""

from __future__ import annotations

import itertools
import re
import zlib

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.image import imread
from matplotlib.text import Text

from napari_blochnet import EPGDecoder, FingerprintStack, InputError, ParameterMaps, Phantom, simulate, spline_schedule
from napari_blochnet.evaluation.drawing.figure_style import (
    COLOURMAPS,
    MODEL_COLOURS,
    TRUTH_COLOUR,
    colour_table,
    lane_tick,
)
from napari_blochnet.evaluation.drawing.map_figure import map_figure
from napari_blochnet.evaluation.drawing.sheets import DrawnFigure, wrapped
from napari_blochnet.evaluation.drawing.voxel_figure import voxel_figure
from napari_blochnet.evaluation.voxel import Explanation, Voxel, explain_voxel
from napari_blochnet.io.origin import is_ours

WIDTHS = {"single": 88.0, "double": 180.0}
LONG = "BlochNet for spines at 1.5 T, trained on the scanner's own schedule"


@pytest.fixture(scope="module")
def shown():
    """A noisy voxel with its truth and three models, one with a name too long for a line."""
    schedule = spline_schedule(length=120)
    phantom = Phantom(np.full((1, 2, 2), 900.0), np.full((1, 2, 2), 80.0), np.ones((1, 2, 2)))
    stack = simulate(phantom, schedule, snr=20.0, seed=3)
    items = [
        Explanation("truth", 900.0, 80.0, 1.0, slot=-1),
        Explanation("dictionary", 910.0, 78.0, 1.0, slot=0),
        Explanation(LONG, 870.0, 86.0, 1.02, slot=1, t1_se=12.0, t2_se=2.0),
        Explanation("universal", 901.0, 80.4, 1.0, slot=2),
    ]
    return explain_voxel(EPGDecoder(schedule, tolerance=1e-4), Voxel(stack, (0, 1, 1)), items)


def _texts(figure):
    """Every text that is drawn, with its rectangle in pixels; and the sheet's."""
    drawn = []
    draw = Text.draw

    def noted(text, renderer, *args, **more):
        if text.get_visible() and text.get_text().strip():
            drawn.append(text)
        draw(text, renderer, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", noted)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    renderer = canvas.get_renderer()
    return [(text, text.get_window_extent(renderer)) for text in dict.fromkeys(drawn)], figure.bbox


def _check_text(figure):
    """No text leaves the sheet, is smaller than six points, or lies on another."""
    drawn, sheet = _texts(figure)
    for text, box in drawn:
        assert text.get_fontsize() >= 6.0
        assert box.x0 >= sheet.x0 - 0.5 and box.x1 <= sheet.x1 + 0.5, text.get_text()  # noqa: PT018
        assert box.y0 >= sheet.y0 - 0.5 and box.y1 <= sheet.y1 + 0.5, text.get_text()  # noqa: PT018
    for number, (text, box) in enumerate(drawn):
        for other, its in drawn[number + 1 :]:
            across = min(box.x1, its.x1) - max(box.x0, its.x0)
            high = min(box.y1, its.y1) - max(box.y0, its.y0)
            assert across <= 1 or high <= 1, (text.get_text(), other.get_text())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("content", ["curves and plane", "curves", "plane"])
def test_a_voxel_fills_a_column_and_no_text_is_cut(shown, width, content):
    figure = voxel_figure(shown, content=content, width=width)
    wide, high = figure.get_size_inches() * 25.4
    assert wide == pytest.approx(WIDTHS[width])
    assert high < 235
    assert to_hex(figure.get_facecolor()) == "#ffffff"
    _check_text(figure)
    labels = {label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel())} - {""}
    expected = {"signal (a.u.)", "residual (a.u.)", "TR index"} if content != "plane" else set()
    assert labels == expected | ({"T1 (ms)", "T2 (ms)"} if content != "curves" else set())


def test_what_is_drawn_of_a_voxel(shown):
    figure = voxel_figure(shown)
    signal, *lanes, plane = figure.axes
    np.testing.assert_array_equal(signal.lines[0].get_ydata(), shown.measured)
    for line, curve in zip(signal.lines[1:], shown.curves, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), curve)
    assert [line.get_color() for line in signal.lines[1:]] == [TRUTH_COLOUR, *MODEL_COLOURS[:3]]
    # a lane a model, all with one scale, none within another
    assert len(lanes) == 3
    assert len({lane.get_ylim() for lane in lanes}) == 1
    boxes = [lane.get_position() for lane in lanes]
    assert all(above.y0 >= below.y1 - 1e-9 for above, below in itertools.pairwise(boxes))
    for lane, curve in zip(lanes, shown.curves[1:], strict=True):
        residual = lane.lines[-1].get_ydata()
        np.testing.assert_array_equal(residual, shown.measured - curve)
        assert np.abs(residual).max() < lane.get_ylim()[1]
    places = {(line.get_xdata()[0], line.get_ydata()[0]) for line in plane.lines if len(line.get_xdata()) == 1}
    assert places == {(item.t1, item.t2) for item in shown.items}
    assert plane.get_xscale() == plane.get_yscale() == "log"
    ellipse = next(line for line in plane.lines if len(line.get_xdata()) > 4)
    np.testing.assert_array_equal(np.stack(ellipse.get_data(), axis=1), shown.bound.ellipse())
    # ± 1.96 standard errors, normal in log T
    bars = [line for line in plane.lines if len(line.get_xdata()) == 2]
    np.testing.assert_allclose(bars[0].get_xdata(), 870.0 * np.exp([-1.96 * 12 / 870, 1.96 * 12 / 870]))


def test_part_of_the_pulses(shown):
    signal = voxel_figure(shown, pulses=(30, 60)).axes[0]
    np.testing.assert_array_equal(signal.lines[0].get_xdata(), np.arange(30, 61))
    np.testing.assert_array_equal(signal.lines[0].get_ydata(), shown.measured[29:60])


def test_text_of_files_is_text(shown, tmp_path):
    figure = DrawnFigure(voxel_figure(shown, width="single"), "Voxel & more.")
    for ending in ("pdf", "svg", "png"):
        figure.save(tmp_path / f"voxel.{ending}")
        assert is_ours(tmp_path / f"voxel.{ending}")
    svg = (tmp_path / "voxel.svg").read_text("utf-8")
    words = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert {"TR index", "T1 (ms)", "measured", "dictionary"} <= set(words)
    assert "Voxel &amp; more." in svg
    pdf = (tmp_path / "voxel.pdf").read_bytes()
    # TrueType fonts within the file, none of them drawn as pictures of letters
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    box = [float(edge) for edge in re.search(rb"/MediaBox \[([^]]*)\]", pdf).group(1).split()]
    assert box[2] / 72 * 25.4 == pytest.approx(88.0, abs=0.01)
    pixels = imread(tmp_path / "voxel.png")
    assert pixels.shape[1] == round(88.0 / 25.4 * 300)
    np.testing.assert_array_equal(pixels[0, -1, :3], 1.0)
    assert _density(tmp_path / "voxel.png") == pytest.approx(300, abs=0.1)


def _density(path) -> float:
    """Dots per inch as the PNG says them: pixels per metre."""
    content = path.read_bytes()
    at = content.index(b"pHYs")
    assert zlib.crc32(content[at : at + 13]) == int.from_bytes(content[at + 13 : at + 17], "big")
    return int.from_bytes(content[at + 4 : at + 8], "big") * 0.0254


def test_other_endings_are_refused(shown, tmp_path):
    figure = DrawnFigure(voxel_figure(shown, content="plane"))
    with pytest.raises(InputError, match=r"plane.tif: figures are not written as .tif; expected .*\.svg or \.png"):
        figure.save(tmp_path / "plane.tif")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("reach", "tick"), [(1.0, 0.5), (2.0, 1.0), (3.4, 2.5), (7.0, 5.0), (0.004, 0.0025), (133.33333333333331, 100.0)]
)
def test_the_number_of_a_lane_is_round(reach, tick):
    # three quarters of the last lie just below a power of ten, whose logarithm is rounded to 2
    assert lane_tick(reach) == pytest.approx(tick)


def test_a_voxel_that_nothing_explains():
    schedule = spline_schedule(length=20)
    stack = FingerprintStack(np.zeros((20, 1, 1, 1)), schedule, kind="real")
    shown = explain_voxel(EPGDecoder(schedule), Voxel(stack, (0, 0, 0)), [])
    _check_text(voxel_figure(shown))


# -- maps


@pytest.fixture(scope="module")
def head():
    z, y, x = np.indices((2, 30, 24))
    inside = (y - 15) ** 2 / 196 + (x - 12) ** 2 / 100 < 1
    t1, t2 = (np.where(inside, values, 0.0) for values in (500.0 + 60.0 * x, 40.0 + 4.0 * y + z))
    return Phantom(t1, t2, 1.0 * inside, voxel_size=(5.0, 2.0, 3.0))


def _maps(head, t1, t2, name="model"):
    maps = ParameterMaps(t1 * head.t1, t2 * head.t2, head.pd, 0 * head.t1, head.mask, estimator=name,
                         voxel_size=head.voxel_size, affine=head.affine)  # fmt: skip
    maps.t1[:, 15, 12] = 0.0
    return maps


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("count", [1, 4, 9])
@pytest.mark.parametrize("with_truth", [True, False])
def test_maps_fill_a_column_and_no_text_is_cut(head, width, count, with_truth):
    maps = [_maps(head, 1.0 + 0.01 * n, 0.97) for n in range(count)]
    names = [LONG if n == 2 else f"model {n}" for n in range(count)]
    figure = map_figure(maps, names, head if with_truth else None, width=width)
    wide, high = figure.get_size_inches() * 25.4
    assert wide == pytest.approx(WIDTHS[width])
    assert high <= 235
    _check_text(figure)
    images = [axes for axes in figure.axes if axes.images]
    rows = 4 if with_truth else 2
    assert len(images) == count * rows + (2 if with_truth else 0)
    for number, axes in enumerate(images):
        box = axes.get_position()
        assert box.x0 >= 0
        assert box.x1 <= 1
        # voxels as wide as they are: 3 mm across, 2 mm down
        down, across = axes.images[0].get_array().shape
        shape = (box.height * high) / (box.width * wide)
        assert shape == pytest.approx(down * 2.0 / (across * 3.0), rel=1e-6)
        assert not any(
            min(box.x1, its.x1) - max(box.x0, its.x0) > 1e-9 and min(box.y1, its.y1) - max(box.y0, its.y0) > 1e-9
            for its in (other.get_position() for other in images[number + 1 :])
        )


@pytest.mark.parametrize(("count", "with_truth"), [(1, True), (1, False), (2, True), (3, True)])
def test_the_width_is_used_and_names_of_bars_keep_clear_of_their_numbers(head, count, with_truth):
    maps = [_maps(head, 1.0 + 0.01 * n, 0.97) for n in range(count)]
    figure = map_figure(maps, [f"model {n}" for n in range(count)], head if with_truth else None)
    drawn, sheet = _texts(figure)
    mm = figure.dpi / 25.4
    boxes = [axes.get_window_extent() for axes in figure.axes] + [box for _, box in drawn]
    left, right = min(box.x0 for box in boxes) - sheet.x0, sheet.x1 - max(box.x1 for box in boxes)
    # what is left blank is shared by both sides, but for what numbers of a bar do not need of their room
    assert abs(left - right) < 6 * mm
    extents = dict(drawn)
    for axes in figure.axes:
        if not axes.images:
            numbers = [extents[text] for text in axes.get_yticklabels() if text in extents]
            assert extents[axes.yaxis.label].x0 - max(box.x1 for box in numbers) >= 0.8 * mm


def test_one_models_t1_stands_beside_its_t2(head):
    figure = map_figure([_maps(head, 1.0, 0.97)], ["a"], head)
    assert figure.get_size_inches()[1] * 25.4 < 120
    boxes = [axes.get_position() for axes in figure.axes if axes.images]
    # truth, model, error of T1; then of T2
    assert boxes[0].y0 == boxes[1].y0 == boxes[3].y0 == boxes[4].y0
    assert boxes[2].x0 == boxes[1].x0 < boxes[3].x0


def test_what_is_drawn_of_maps(head):
    maps = [_maps(head, 1.02, 0.9, "a"), _maps(head, 0.96, 1.1, "b")]
    limits = {"T1": (100.0, 1800.0), "T2 error": (-15.0, 15.0)}
    figure = map_figure(maps, ["a", "b"], head, limits=limits, z=1)
    images = [axes.images[0] for axes in figure.axes if axes.images]
    bars = {axes.get_ylabel() for axes in figure.axes if not axes.images}
    assert bars == {"T1 (ms)", "T2 (ms)", "T1 error (%)", "T2 error (%)"}
    # truth and two models of T1, two errors (of 2 and −4 %), three of T2, two errors
    assert [image.norm.vmin for image in images] == [100.0] * 3 + [-5.0] * 2 + [0.0] * 3 + [-15.0] * 2
    assert [image.norm.vmax for image in images[:5]] == [1800.0] * 3 + [5.0] * 2
    assert {image.norm.vmax for image in images[8:]} == {15.0}
    shown = images[1].get_array()
    inside = ~shown.mask
    # the failed voxel is no T1 of 0
    assert inside.sum() == head.mask[1].sum() - 1
    assert set(shown.data[inside]) == set(maps[0].t1[1][head.mask[1] & (maps[0].t1[1] > 0)])
    errors = images[3].get_array()
    assert np.median(errors[~errors.mask]) == pytest.approx(2.0, abs=1e-3)
    for image, name in zip((images[0], images[5], images[3]), ("T1", "T2", "T1 error"), strict=True):
        np.testing.assert_allclose(image.cmap(np.arange(257)), colour_table(COLOURMAPS[name]))
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert titles == ["truth", "a", "b", "", "", "", "", "", "", ""]


def test_the_scale_is_as_long_as_it_says(head):
    figure = map_figure([_maps(head, 1.0, 1.0)], ["a"], width="single")
    axes = figure.axes[0]
    (line,) = axes.lines
    across = axes.images[0].get_array().shape[1] * 3.0
    length = float(re.fullmatch(r"(\d+) mm", axes.texts[0].get_text()).group(1))
    assert np.ptp(line.get_xdata()) * across == pytest.approx(length)
    assert 0.15 * across <= length <= 0.4 * across
    assert not map_figure([_maps(head, 1.0, 1.0)], ["a"], scale_bar=False).axes[0].lines


def test_anterior_is_at_the_top(head):
    up = map_figure([_maps(head, 1.0, 1.0)], ["a"]).axes[0].images[0]
    assert up.origin == "lower"
    turned = head.affine.copy()
    turned[1, 1] *= -1
    down = _maps(head, 1.0, 1.0).replace(affine=turned)
    assert map_figure([down], ["a"]).axes[0].images[0].origin == "upper"


def test_what_cannot_be_drawn_of_maps(head):
    maps = _maps(head, 1.0, 1.0)
    with pytest.raises(InputError, match="There is no slice 2; expected one from 0 to 1"):
        map_figure([maps], ["a"], z=2)
    with pytest.raises(InputError, match="Slice 0 has no mapped voxel"):
        map_figure([maps.replace(mask=head.mask & (np.arange(2) == 1)[:, None, None])], ["a"], z=0)
    other = Phantom(*(values[:1] for values in (head.t1, head.t2, head.pd)))
    with pytest.raises(InputError, match="maps on one grid"):
        map_figure([maps, _maps(other, 1.0, 1.0, "small")], ["a", "b"])


def test_names_are_wrapped_never_cut():
    lines = wrapped(LONG, 20.0)
    assert "\n" in lines
    assert lines.replace("\n", " ") == LONG
    assert wrapped("short", 20.0) == "short"
