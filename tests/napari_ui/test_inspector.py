"""The voxel inspector in a real viewer: mouse events on the canvas, pins in every grid cell, numbers checked apart."""

from __future__ import annotations

import csv
import gc
import re
import weakref

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_blochnet import FingerprintStack, Phantom, cramer_rao_bound, simulate, spline_schedule
from napari_blochnet.evaluation.drawing.figure_style import error_bars, round_ticks
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.voxel import Explanation
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas.sliders import Sliders
from napari_blochnet.napari_ui.state.pins import MAX_PINS

SHAPE = (3, 16, 20)
MODELS = ("dictionary", "BlochNet", "universal, refined")


def _phantom() -> Phantom:
    z, y, x = np.indices(SHAPE)
    return Phantom(600.0 + 40.0 * x + 5.0 * z, 40.0 + 4.0 * y + 0.5 * z, 0.5 + 0.02 * x, voxel_size=(4.0, 2.0, 2.0),
                   name="ramps")  # fmt: skip


def _maps(phantom: Phantom, stack: FingerprintStack, name: str, t1: float, t2: float) -> ParameterMaps:
    more = {"t1_se": 0.01 * phantom.t1, "t2_se": 0.02 * phantom.t2} if "refined" in name else {}
    return ParameterMaps(t1 * phantom.t1, t2 * phantom.t2, phantom.pd, np.full(SHAPE, 0.1), phantom.mask,
                         estimator=name, voxel_size=stack.voxel_size, affine=stack.affine, **more)  # fmt: skip


class Scene:
    """A stack with the maps of three models, the inspector below the canvas, and a hand on the mouse."""

    def __init__(self, desk, qtbot, snr: float | None = 30.0, models=MODELS) -> None:
        self.viewer, self.session, self.qtbot = desk.viewer, desk.session, qtbot
        self.phantom = _phantom()
        self.schedule = spline_schedule(length=200)
        self.stack = simulate(self.phantom, self.schedule, snr=snr, seed=1)
        layers.add_phantom(self.session, self.phantom)
        self.stack_layer = layers.add_stack(self.session, self.stack, self.phantom)[0]
        self.maps = []
        for name, t1, t2 in zip(models, (1.02, 0.97, 1.001), (0.95, 1.1, 1.002), strict=False):
            self.maps.append(_maps(self.phantom, self.stack, name, t1, t2))
            layers.add_maps(self.session, self.maps[-1], self.stack, self.phantom, name)
        self.dock, self.inspector = self.viewer.window.add_plugin_dock_widget("napari-blochnet", "Voxel inspector")
        qtbot.wait(400)
        self.begin()

    def begin(self) -> None:
        """No pin, the tool in hand, the first time point and the middle slice."""
        self.session.pin(None)
        self.inspector.tool.setChecked(True)
        self.inspector.keep.setChecked(False)
        self.viewer.dims.set_point(0, 0)
        self.go_to(1)

    def go_to(self, z: int) -> None:
        self.viewer.dims.set_point(self.viewer.dims.ndim - 3, self.stack_layer.data_to_world((0, z, 0, 0))[1])
        # sliders that nothing needs go a moment later, and pictures move with the canvas: not between here and a click
        self.session.part(Sliders).update()
        self.qtbot.wait(50)
        self.viewer.reset_view()
        self.qtbot.wait(100)

    @property
    def canvas(self):
        return self.viewer.window._qt_viewer.canvas

    def point_at(self, index: tuple[int, int, int], cell: int | None = None) -> QPoint:
        """Where a voxel's centre is on the canvas, in one cell of the grid."""
        world = self.stack_layer.data_to_world((0, *index))
        canvas = self.canvas
        view = canvas.view if cell is None else canvas.grid_views[cell]
        displayed = list(self.viewer.dims.displayed)
        x, y = view.scene.node_transform(canvas._scene_canvas.scene).map([*np.asarray(world)[displayed][::-1], 0, 1])[
            :2
        ]
        return QPoint(round(x), round(y))

    def click(self, index, cell: int | None = None, modifier=Qt.KeyboardModifier.NoModifier) -> None:
        place = self.point_at(index, cell)
        self.qtbot.mouseMove(self.canvas.native, place)
        self.qtbot.wait(30)
        self.qtbot.mouseClick(self.canvas.native, Qt.MouseButton.LeftButton, modifier, place)
        self.qtbot.wait(50)

    def pin(self, *indices) -> None:
        """Click the first voxel, Ctrl-click the others; wait for the first explanation."""
        for number, index in enumerate(indices):
            none, ctrl = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier
            self.click(index, modifier=ctrl if number else none)
            self.wait_for(index)

    def wait_for(self, index) -> None:
        shown = self.inspector
        self.qtbot.waitUntil(lambda: shown.shown is not None and shown.shown.voxel.index == index, timeout=60_000)

    def move(self, index, modifier) -> None:
        place = QPointF(self.point_at(index))
        native = self.canvas.native
        event = QMouseEvent(QEvent.Type.MouseMove, place, QPointF(native.mapToGlobal(place.toPoint())),
                            Qt.MouseButton.NoButton, Qt.MouseButton.NoButton, modifier)  # fmt: skip
        QApplication.sendEvent(native, event)
        self.qtbot.wait(120)

    def marks(self):
        self.qtbot.wait(20)
        return self.inspector.marks.shown


def _scene(desk) -> Scene:
    return Scene(desk, desk.qtbot)


@pytest.fixture
def scene(shared):
    """Begin in the scene that all tests share which change none of its layers."""

    def begin() -> Scene:
        scene = shared(_scene)
        scene.begin()
        return scene

    return begin


@pytest.fixture
def own_scene(desk, qtbot):
    """Make a scene in a viewer of the test's own."""

    def make(**kwargs) -> Scene:
        return Scene(desk(), qtbot, **kwargs)

    return make


def test_click_moves_and_ctrl_click_adds(scene):
    scene = scene()
    scene.click((1, 5, 7))
    scene.wait_for((1, 5, 7))
    assert [voxel.index for voxel in scene.session.pins] == [(1, 5, 7)]
    scene.click((1, 9, 12))
    scene.wait_for((1, 9, 12))
    assert [voxel.index for voxel in scene.session.pins] == [(1, 9, 12)]
    scene.click((1, 3, 4), modifier=Qt.KeyboardModifier.ControlModifier)
    assert [voxel.index for voxel in scene.session.pins] == [(1, 9, 12), (1, 3, 4)]
    assert scene.session.voxel.index == (1, 3, 4)
    # by the button, once
    inspector = scene.inspector
    scene.qtbot.mouseClick(inspector.keep, Qt.MouseButton.LeftButton)
    scene.click((1, 12, 15))
    assert len(scene.session.pins) == 3
    assert not inspector.keep.isChecked()
    scene.click((1, 12, 16))
    assert [voxel.index for voxel in scene.session.pins] == [(1, 9, 12), (1, 3, 4), (1, 12, 16)]
    # the chips: select, give up, clear
    assert len(inspector.pins.chips) == 3
    select, remove = inspector.pins.chips[0]
    assert "z 1, y 9, x 12" in select.toolTip()
    scene.qtbot.mouseClick(select, Qt.MouseButton.LeftButton)
    assert scene.session.voxel.index == (1, 9, 12)
    assert inspector.shown.voxel.index == (1, 9, 12)
    scene.qtbot.mouseClick(remove, Qt.MouseButton.LeftButton)
    assert [voxel.index for voxel in scene.session.pins] == [(1, 3, 4), (1, 12, 16)]
    assert inspector.shown.voxel == scene.session.voxel
    scene.qtbot.mouseClick(inspector.clear, Qt.MouseButton.LeftButton)
    assert scene.session.pins == ()
    assert inspector.shown is None
    assert inspector.table.rowCount() == 0
    assert scene.marks() == ()


def test_no_more_pins_than_colours(own_scene):
    scene = own_scene(models=())
    scene.pin(*[(1, 2 + i, 3) for i in range(MAX_PINS)])
    scene.click((1, 2, 15), modifier=Qt.KeyboardModifier.ControlModifier)
    assert len(scene.session.pins) == MAX_PINS
    assert "already" in scene.inspector.place.text()


def _has_colour(picture, colour: str, centre, radius: int = 12) -> bool:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    x, y = centre
    part = picture[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1, :3].astype(int)
    return bool((np.abs(part - rgb).max(axis=-1) < 30).any())


def test_marks_in_every_cell_and_on_their_slice_only(own_scene):
    scene = own_scene()
    scene.pin((1, 5, 7), (1, 10, 14))
    first, second = scene.marks()
    assert (first.number, second.number) == (1, 2)
    assert second.is_current
    assert not first.is_current

    def seen(cell=None):
        picture = scene.viewer.screenshot(canvas_only=True, flash=False)
        scale = picture.shape[1] / scene.canvas.native.width()
        found = []
        for mark, index in ((first, (1, 5, 7)), (second, (1, 10, 14))):
            place = scene.point_at(index, cell)
            found.append(_has_colour(picture, mark.colour, (round(place.x() * scale), round(place.y() * scale))))
        return found

    assert seen() == [True, True]
    # another slice, and back
    scene.go_to(2)
    assert scene.marks() == ()
    assert seen() == [False, False]
    scene.go_to(1)
    assert seen() == [True, True]

    # every cell of the grid: the truth and three models
    from napari_blochnet.napari_ui.background.turns import at_once
    from napari_blochnet.napari_ui.canvas.showing import show_quantity

    at_once(show_quantity(scene.session, "T1", beside=True))
    scene.qtbot.wait(200)
    assert len(scene.canvas.grid_views) == 4
    assert [seen(cell) for cell in range(4)] == [[True, True]] * 4
    # a layer fewer, a layer more
    scene.viewer.layers.remove(scene.session.layers("maps", scene.maps[0], "T1")[0])
    scene.qtbot.wait(200)
    assert [seen(cell) for cell in range(3)] == [[True, True]] * 3
    layers.add_maps(
        scene.session, _maps(scene.phantom, scene.stack, "new", 1.2, 1.1), scene.stack, scene.phantom, "new"
    )
    at_once(show_quantity(scene.session, "T1", beside=True))
    scene.qtbot.wait(200)
    assert [seen(cell) for cell in range(4)] == [[True, True]] * 4
    # a click in any cell means the same voxel
    scene.click((1, 8, 3), cell=2)
    assert scene.session.voxel.index == (1, 8, 3)
    at_once(show_quantity(scene.session, "T1", beside=False))
    scene.qtbot.wait(200)
    assert seen() == [True, False]
    # marks are no layers, and go with the inspector
    assert not [layer for layer in scene.viewer.layers if "in" in layer.name and "Pin" in layer.name]
    scene.dock.hide()
    assert "blochnet_pins" not in scene.viewer.scene.overlays
    scene.dock.show()
    scene.qtbot.wait(50)
    assert len(scene.marks()) == 2


def test_shift_previews_and_lets_go(scene):
    scene = scene()
    scene.pin((1, 5, 7))
    shift, none = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.NoModifier
    for index in ((1, 8, 9), (1, 11, 15)):
        scene.move(index, shift)
        assert scene.inspector.shown.voxel.index == index
        assert [mark.number for mark in scene.marks()] == [1, 0]
        assert scene.session.voxel.index == (1, 5, 7)
        assert len(scene.session.pins) == 1
    scene.qtbot.keyRelease(scene.canvas.native, Qt.Key.Key_Shift)
    assert scene.inspector.shown.voxel.index == (1, 5, 7)
    assert [mark.number for mark in scene.marks()] == [1]
    scene.move((1, 3, 3), shift)
    assert scene.inspector.shown.voxel.index == (1, 3, 3)
    # without Shift, moving on ends it too
    scene.move((1, 3, 4), none)
    assert scene.inspector.shown.voxel.index == (1, 5, 7)
    scene.inspector.tool.setChecked(False)
    scene.move((1, 3, 3), shift)
    assert scene.inspector.shown.voxel.index == (1, 5, 7)
    scene.click((1, 8, 8))
    assert scene.session.voxel.index == (1, 5, 7)


def test_table_and_curves_against_numbers_made_here(scene):
    scene = scene()
    index = (1, 9, 12)
    scene.pin(index)
    shown, table = scene.inspector.shown, scene.inspector.table
    t1, t2, pd = (float(getattr(scene.phantom, key)[index]) for key in ("t1", "t2", "pd"))
    assert [table.item(row, 0).text() for row in range(4)] == ["truth", *MODELS]
    assert table.item(0, 1).text() == f"{t1:.0f}"
    assert table.item(1, 1).text() == f"{1.02 * t1:.0f}"
    assert table.item(1, 2).text() == "+2.0 %"
    assert table.item(2, 2).text() == "−3.0 %"
    assert table.item(1, 4).text() == "−5.0 %"
    assert table.item(2, 4).text() == "+10.0 %"
    assert table.item(3, 1).text() == f"{1.001 * t1:.0f} ± {0.01 * t1:.0f}"
    assert table.item(1, 5).text() == f"{pd:.3f}"
    assert [table.horizontalHeaderItem(i).text() for i in (1, 3)] == ["T1 (ms)", "T2 (ms)"]
    # curves and misfits by the independent isochromat simulation
    from napari_blochnet import bloch_signal

    z, y, x = index
    data = scene.stack.data[:, z, y, x]
    for row, (a, b) in enumerate(((1.0, 1.0), (1.02, 0.95), (0.97, 1.1))):
        expected = pd * bloch_signal(scene.schedule, a * t1, b * t2).real
        np.testing.assert_allclose(shown.curves[row], expected, atol=2e-3 * np.abs(expected).max())
        misfit = np.linalg.norm(data - expected) / np.linalg.norm(data)
        assert shown.residual[row] == pytest.approx(misfit, rel=1e-2)
        assert table.item(row, 6).text() == f"{100 * shown.residual[row]:.1f} %"
    np.testing.assert_allclose(shown.measured, data.real, atol=0.1 * np.abs(data).max())
    # every row fits
    assert table.verticalScrollBar().maximum() == 0
    assert table.horizontalScrollBar().maximum() == 0


def test_plane_places_and_ellipse(scene):
    scene = scene()
    index = (1, 9, 12)
    scene.pin(index)
    t1, t2, pd = (float(getattr(scene.phantom, key)[index]) for key in ("t1", "t2", "pd"))
    plane = scene.inspector.plane
    spots = {point.data()[0].items[point.data()[1]].name: point.pos() for point in plane.points.points()}
    for name, a, b in (("truth", 1, 1), ("dictionary", 1.02, 0.95), ("BlochNet", 0.97, 1.1)):
        assert 10 ** spots[name].x() == pytest.approx(a * t1, rel=1e-5)
        assert 10 ** spots[name].y() == pytest.approx(b * t2, rel=1e-5)
    # the bound of the public function, in double precision, at the noise the stack was made with
    sigma = scene.stack.noise_sigma
    bound = scene.inspector.shown.bound
    assert bound.at_truth
    assert bound.is_sigma_known
    expected = cramer_rao_bound(scene.schedule, t1, t2, pd, sigma=sigma).covariance
    np.testing.assert_allclose(bound.covariance, expected, rtol=2e-3)
    # semi-axes: √(5.991·λ) along the eigenvectors of the covariance of (ln T1, ln T2)
    polygon = plane._ellipses[0].polygon()
    drawn = np.log(10) * np.array([(point.x(), point.y()) for point in polygon])
    away = drawn - np.log([t1, t2])
    relative = expected / np.outer([t1, t2], [t1, t2])
    values, vectors = np.linalg.eigh(relative)
    along = away @ vectors
    np.testing.assert_allclose(np.abs(along).max(axis=0), np.sqrt(5.991465 * values), rtol=3e-3)
    np.testing.assert_allclose((along**2 / (5.991465 * values)).sum(axis=1), 1.0, rtol=6e-3)
    # all of it is in view
    (left, right), (low, high) = plane.plot.getViewBox().viewRange()
    for x, y in [(spot.x(), spot.y()) for spot in spots.values()] + [(p.x(), p.y()) for p in polygon]:
        assert left < x < right
        assert low < y < high


def test_plane_shows_all_pins(scene):
    scene = scene()
    scene.pin((1, 2, 2), (1, 13, 17))
    plane = scene.inspector.plane
    data = [point.data() for point in plane.points.points()]
    assert sorted({pin.number for pin, _ in data}) == [1, 2]
    assert len(data) == 8
    first, current = (np.log10(scene.phantom.t1[index]) for index in ((1, 2, 2), (1, 13, 17)))
    (left, right), _ = plane.plot.getViewBox().viewRange()
    assert left < current < right
    assert not left < first < right
    # near enough for the ellipse to be seen around the star
    tissue = QPointF(current, np.log10(scene.phantom.t2[1, 13, 17]))
    (ellipse,) = [one for one in plane._ellipses if one.polygon().containsPoint(tissue, Qt.FillRule.WindingFill)]
    pixel, _ = plane.plot.getViewBox().viewPixelSize()
    star = max(point.size() for point in plane.points.points())
    assert ellipse.polygon().boundingRect().width() / pixel > 1.5 * star
    scene.qtbot.mouseClick(scene.inspector.all_in_view, Qt.MouseButton.LeftButton)
    (left, right), _ = plane.plot.getViewBox().viewRange()
    assert left < min(first, current) < max(first, current) < right


def test_what_is_pointed_at_stands_out_everywhere(scene):
    scene = scene()
    scene.pin((1, 9, 12))
    inspector = scene.inspector
    table = inspector.table
    place = table.visualItemRect(table.item(2, 0)).center()
    QApplication.sendEvent(table.viewport(), QMouseEvent(
        QEvent.Type.MouseMove, QPointF(place), QPointF(table.viewport().mapToGlobal(place)), Qt.MouseButton.NoButton,
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier))  # fmt: skip
    shades = [table.item(row, 0).background().style() for row in range(4)]
    assert [shade != Qt.BrushStyle.NoBrush for shade in shades] == [False, False, True, False]
    widths = [above.opts["pen"].widthF() for above, _ in inspector.curves._curves[:4]]
    assert widths[2] > max(widths[:2] + widths[3:])
    sizes = {point.data()[1]: point.size() for point in inspector.plane.points.points()}
    assert sizes[2] > sizes[1]
    # one colour for one model, everywhere
    colour = inspector.curves._curves[2][0].opts["pen"].color().name()
    spot = next(point for point in inspector.plane.points.points() if point.data()[1] == 2)
    assert spot.brush().color().name() == colour
    assert inspector.curves._curves[2][1].opts["pen"].color().name() == colour


def test_colours_stay_while_models_come_and_go(own_scene):
    scene = own_scene()
    scene.pin((1, 9, 12))
    before = {item.name: item.slot for item in scene.inspector.shown.items}
    for layer in scene.session.layers("maps", scene.maps[0]):
        scene.viewer.layers.remove(layer)
    scene.qtbot.waitUntil(lambda: len(scene.inspector.shown.items) == 3)
    after = {item.name: item.slot for item in scene.inspector.shown.items}
    assert after == {name: slot for name, slot in before.items() if name != "dictionary"}


def test_readout_and_time_slider(scene):
    scene = scene()
    scene.pin((1, 9, 12))
    curves = scene.inspector.curves
    box = curves.signal.getViewBox()
    from pyqtgraph import Point

    viewport = curves.plots.viewport()

    def find():
        # where the curve is now: on a busy machine the axes may still be settling
        place = curves.plots.mapFromScene(box.mapViewToScene(Point(120, scene.inspector.shown.curves[1, 119])))
        scene.qtbot.mouseMove(viewport, place + QPoint(0, 40))
        scene.qtbot.mouseMove(viewport, place)
        return place

    # on a curve: the model's name, its value and what it leaves; the curves may lie within a pixel of each other
    scene.qtbot.waitUntil(lambda: find() is not None and curves.near.toPlainText() != "", timeout=20_000)
    place = find()
    assert curves.readout.toPlainText().startswith("TR index 120")
    for unit in ("ms", "°", "a.u."):
        assert unit in curves.readout.toPlainText()
    name, value = re.match(r"(.+?) (−?[\d.e−+]+)", curves.near.toPlainText()).groups()
    number = [item.name for item in scene.inspector.shown.items].index(name)
    assert float(value.replace("−", "-")) == pytest.approx(scene.inspector.shown.curves[number, 119], rel=0.01)
    scene.qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=place)
    scene.qtbot.waitUntil(lambda: abs(scene.viewer.dims.point[0] - 119) <= 1)


def test_error_bars_and_ticks():
    bars = error_bars(Explanation("m", 1000.0, 100.0, 1.0, t1_se=50.0, t2_se=10.0))
    np.testing.assert_allclose(bars[:2, 0], 1000.0 * np.exp([-0.098, 0.098]))
    np.testing.assert_allclose(bars[2:, 1], 100.0 * np.exp([-0.196, 0.196]))
    assert error_bars(Explanation("m", 1000.0, 100.0, 1.0)) is None
    assert round_ticks(62.0, 95.0, 6) == [70.0, 80.0, 90.0]
    assert round_ticks(20.0, 4000.0, 8) == [20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0]
    assert round_ticks(999.0, 1001.0, 4) == [999.0, 999.5, 1000.0, 1000.5, 1001.0]


def test_save_curves_and_figures(scene, tmp_path):
    scene = scene()
    scene.pin((1, 9, 12))
    inspector = scene.inspector
    inspector.save(str(tmp_path / "voxel.csv"))
    lines = (tmp_path / "voxel.csv").read_text(encoding="utf-8").splitlines()
    about = [line for line in lines if line.startswith("#")]
    assert "# voxel: z 1, y 9, x 12" in about
    assert any(line.startswith("# BlochNet: T1") and "ms" in line for line in about)
    rows = list(csv.reader(lines[len(about) :]))
    assert rows[0][:4] == ["TR index", "flip angle (deg)", "TR (ms)", "measured (a.u.)"]
    assert len(rows) == 201
    table = np.array(rows[1:], dtype=float)
    np.testing.assert_allclose(table[:, 3], inspector.shown.measured, rtol=1e-6)
    column = rows[0].index("BlochNet (a.u.)")
    np.testing.assert_allclose(table[:, column], inspector.shown.curves[2], rtol=1e-6)
    residual = rows[0].index("residual of BlochNet (a.u.)")
    np.testing.assert_allclose(table[:, residual], table[:, 3] - table[:, column], atol=1e-7)
    for name, start in (("voxel.svg", b"<?xml"), ("voxel.PNG", b"\x89PNG"), ("voxel.pdf", b"%PDF")):
        inspector.save(str(tmp_path / name))
        scene.qtbot.waitUntil(lambda: not inspector.is_busy, timeout=60_000)
        assert inspector.place.text().startswith(f"Saved {tmp_path / name}, 180 × ")
        assert (tmp_path / name).read_bytes().startswith(start)
    before = sorted(tmp_path.iterdir())
    for name, found in (("voxel.tif", "as .tif"), ("voxel", "without an ending")):
        inspector.save(str(tmp_path / name))
        assert inspector.jobs.message.text() == (
            f"{name}: curves and figures are not written {found}; expected a name ending in .csv, .pdf, .svg or .png."
        )
    assert sorted(tmp_path.iterdir()) == before
    inspector.save(str(tmp_path / "voxel.csv" / "below-a-file.csv"))
    assert "nothing can be written in it" in inspector.jobs.message.text()
    scene.qtbot.mouseClick(inspector.copy_button, Qt.MouseButton.LeftButton)
    assert not QApplication.clipboard().image().isNull()


def test_rough_handling(own_scene):
    scene = own_scene()
    scene.pin((1, 9, 12), (1, 4, 4))
    viewer, session, inspector = scene.viewer, scene.session, scene.inspector
    # 3D: marks stay where they are in space, a click says what to do
    viewer.dims.ndisplay = 3
    assert len(scene.marks()) == 2
    inspector.pick(tuple(viewer.dims.point))
    assert "2D" in inspector.place.text()
    viewer.dims.ndisplay = 2
    scene.go_to(1)
    # a cut along another axis
    order = viewer.dims.order
    viewer.dims.order = (0, 2, 1, 3)
    scene.qtbot.wait(100)
    viewer.dims.set_point(2, scene.stack_layer.data_to_world((0, 1, 9, 0))[2])
    assert [mark.number for mark in scene.marks()] == [1]
    viewer.reset_view()
    scene.qtbot.wait(100)
    scene.click((2, 9, 5))
    assert session.voxel.index == (2, 9, 5)
    viewer.dims.order = order
    scene.go_to(1)
    # somebody moves and scales the stack: marks and clicks go with it
    for layer in session.layers():
        layer.scale = np.asarray(layer.scale) * np.r_[[1.0] * (layer.ndim - 2), 1.5, -1.0]
    session.changed.emit()
    scene.go_to(1)
    scene.click((1, 6, 17))
    assert session.voxel.index == (1, 6, 17)
    mark = next(mark for mark in scene.marks() if mark.is_current)
    np.testing.assert_allclose(mark.place, scene.stack_layer.data_to_world((0, 1, 6, 17))[-2:], rtol=1e-6)
    # a tool in hand: the click is the brush's
    region = layers.add_region(session, scene.stack)
    before = session.voxel
    scene.click((1, 8, 8))
    assert session.voxel == before
    viewer.layers.remove(region)
    # maps go while they are shown, then the stack, then all
    for layer in session.layers("maps", scene.maps[1]):
        viewer.layers.remove(layer)
    assert [item.name for item in inspector.shown.items] == ["truth", "dictionary", "universal, refined"]
    viewer.layers.remove(scene.stack_layer)
    assert session.voxel == before
    assert inspector.shown is not None
    viewer.layers.clear()
    assert session.pins == ()
    assert inspector.shown is None
    assert scene.marks() == ()
    # nothing holds on to what nobody can see any more
    kept = [weakref.ref(scene.stack), *map(weakref.ref, scene.maps)]
    scene.stack = scene.stack_layer = region = before = layer = mark = None
    scene.maps.clear()
    scene.qtbot.wait(100)
    gc.collect()
    assert [thing() for thing in kept] == [None] * 4


def test_two_viewers_and_a_closed_one(desk, qtbot):
    first, second = Scene(desk(), qtbot, models=()), Scene(desk(), qtbot, models=())
    first.pin((1, 9, 12))
    assert first.session.voxel is not None
    assert second.session.voxel is None
    assert second.marks() == ()
    second.pin((1, 3, 3), (1, 5, 5))
    assert len(first.session.pins) == 1
    first.viewer.close()
    qtbot.wait(50)
    second.click((1, 7, 7))
    second.wait_for((1, 7, 7))
    assert len(second.marks()) == 2


def test_updated_comes_when_everything_is_drawn(scene):
    scene = scene()
    scene.pin((1, 9, 12))
    told = []
    scene.inspector.updated.connect(told.append)
    scene.click((1, 4, 14))
    scene.qtbot.waitUntil(lambda: bool(told) and told[-1].voxel.index == (1, 4, 14))
    assert told[-1] is scene.inspector.shown


def test_nothing_is_kept_of_a_closed_viewer(desk, qtbot):
    scene = Scene(desk(), qtbot)
    scene.pin((1, 9, 12), (1, 3, 3))
    scene.viewer.dims.set_point(0, 5)
    kept = [weakref.ref(thing) for thing in (scene.stack, scene.maps[0], scene.inspector.shown)]
    scene.viewer.close()
    del scene
    qtbot.wait(200)
    gc.collect()
    assert [thing() for thing in kept] == [None, None, None]


def test_arrow_keys_move_the_pin(own_scene):
    scene = own_scene()
    viewer, session, qtbot = scene.viewer, scene.session, scene.qtbot
    window = viewer.window._qt_window
    window.activateWindow()
    alt = Qt.KeyboardModifier.AltModifier

    def press(*keys):
        for key in keys:
            qtbot.keyClick(scene.inspector.tool, key, alt)

    # the first lies in the middle of what is shown
    scene.go_to(1)
    press(Qt.Key.Key_Down)
    _, rows, columns = scene.stack.shape[1:]
    assert session.voxel.index[0] == 1
    assert np.abs(np.subtract(session.voxel.index[1:], (rows / 2, columns / 2))).max() <= 1
    session.pin(None)
    scene.pin((1, 9, 12))
    # the scene's rows run upwards: down on the screen is towards the first
    assert scene.stack_layer.scale[-2] < 0 < scene.stack_layer.scale[-1]
    press(Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Left)
    assert session.voxel.index == (1, 7, 11)
    press(Qt.Key.Key_Up, Qt.Key.Key_Right, Qt.Key.Key_Right)
    assert session.voxel.index == (1, 8, 13)
    qtbot.waitUntil(lambda: scene.inspector.shown.voxel.index == (1, 8, 13), timeout=10_000)
    assert len(session.pins) == 1
    for layer in session.layers():
        layer.scale = np.asarray(layer.scale) * np.r_[[1.0] * (layer.ndim - 2), -1.0, 1.0]
    press(Qt.Key.Key_Down)
    assert session.voxel.index == (1, 9, 13)
    # not beyond the edge
    press(*[Qt.Key.Key_Right] * columns)
    assert session.voxel.index == (1, 9, columns - 1)
