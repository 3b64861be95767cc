"""Click to map: a click in the viewer maps the slice under the cursor, and slices grow into the same maps."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.jobs.history.recipes import run_recipe
from napari_blochnet.jobs.history.scripts import as_command
from napari_blochnet.jobs.operations.opening import synthetic_head
from napari_blochnet.jobs.records import as_recipe
from napari_blochnet.napari_ui.background.turns import at_once
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas import showing as canvas
from napari_blochnet.napari_ui.panels.map import mapping
from napari_blochnet.napari_ui.state.world import extent_in_viewer
from napari_blochnet.phantoms.phantom import Phantom

SIDE = 40


def _block(slices: int = 4, side: int = SIDE, **geometry) -> Phantom:
    shape = (slices, side, side)
    t1 = np.array([400.0, 800.0, 1300.0, 2200.0])[np.arange(np.prod(shape)) % 4].reshape(shape)
    return Phantom(t1, t1 / 12, np.ones(shape), name="block", **{"voxel_size": (3, 2, 2), **geometry})


class Clicks:
    """A desk with a simulated volume and the click-to-map tool on."""

    def __init__(self, desk, phantom: Phantom | None = None, length: int = 60) -> None:
        self.desk = desk
        layers.add_phantom(desk.session, phantom or _block())
        desk.use_spline(length)
        simulate = desk.turn_to("Simulate")
        simulate.part.setCurrentText("all slices")
        simulate.form.set_values({"snr": 50.0})
        desk.run(simulate, simulate.run)
        self.map = desk.turn_to("Map")
        self.map.form.set_values({"step": 0.1})
        self.stack = desk.session.entries("stack")[0].subject
        self.part = self.map.part.currentText()
        self.begin()

    def begin(self) -> None:
        """The Map tab in front, the tool in hand, in two dimensions."""
        self.desk.viewer.dims.ndisplay = 2
        self.desk.turn_to("Map")
        self.map.part.setCurrentText(self.part)
        if not self.map.click.isChecked():
            self.desk.click(self.map.click)
        self.desk.qtbot.wait(200)

    @property
    def native(self):
        return self.desk.viewer.window._qt_viewer.canvas.native

    def click_at(self, x: float = 0.5, y: float = 0.5) -> None:
        """Click on the canvas, at a fraction of its width and height."""
        from qtpy.QtCore import QPoint

        place = QPoint(int(self.native.width() * x), int(self.native.height() * y))
        self.desk.qtbot.mouseMove(self.native, place)
        self.desk.qtbot.wait(100)
        self.desk.qtbot.mouseClick(self.native, self.desk.button, pos=place)

    def map_slice(self, z: int) -> str:
        """Go to a slice and click in the middle of the canvas, or of its first cell."""
        self.desk.go_to_slice(self.desk.session.layers("stack", self.stack)[0], z)
        grid = self.desk.viewer.canvas.grid
        rows, columns = grid.shape if grid.enabled else (1, 1)
        self.click_at(0.5 / columns, 0.5 / rows)
        self.desk.qtbot.waitUntil(lambda: self.map.is_busy, timeout=5000)
        return self.desk.wait(self.map)

    def maps(self) -> list[nb.ParameterMaps]:
        return [entry.subject for entry in self.desk.session.entries("maps")]


@pytest.fixture
def clicks(shared):
    """Return the desk that all tests share which map nothing."""
    clicks = shared(Clicks)
    clicks.begin()
    return clicks


def test_slices_that_are_clicked_grow_into_the_same_maps(desk):
    # made by an operation, so that the record reaches back to it
    head = synthetic_head(shape=(4, 48, 40))
    clicks = Clicks(desk(), head)
    clicks.map.estimators.tick(["dictionary", "universal"])
    session = clicks.desk.session
    # the stack itself is looked at, one on the canvas
    at_once(canvas.show_alone(session, session.layers("stack")[-1]))
    said = clicks.map_slice(1)
    assert said.startswith(f"Mapped {int(head.mask[1].sum()):,} voxels with each of 2 estimators"), said
    assert [maps.estimator for maps in clicks.maps()] == ["dictionary", "universal"]
    for maps in clicks.maps():
        np.testing.assert_array_equal(maps.mask.any(axis=(1, 2)), [False, True, False, False])
    names = sorted(layer.name for layer in clicks.desk.viewer.layers)

    # now the grid shows truth, maps and errors; a click in any of its cells maps
    assert clicks.desk.viewer.canvas.grid.enabled
    rows, columns = clicks.desk.viewer.canvas.grid.shape
    assert rows * columns >= 6
    for number, z in enumerate((3, 2)):
        clicks.desk.go_to_slice(session.layers("stack")[0], z)
        clicks.click_at(0.5 / columns, (number + 0.5) / rows)
        clicks.desk.qtbot.waitUntil(lambda: clicks.map.is_busy, timeout=5000)
        said = clicks.desk.wait(clicks.map)
        assert said.startswith(f"Mapped {int(head.mask[z].sum()):,} voxels with each of 2 estimators"), said
    assert sorted(layer.name for layer in clicks.desk.viewer.layers) == names
    assert len(clicks.maps()) == 2
    for maps in clicks.maps():
        np.testing.assert_array_equal(maps.mask.any(axis=(1, 2)), [False, True, True, True])
        for role in ("T1", "T2", "PD", "residual"):
            layer = session.layers("maps", maps, role)[0]
            np.testing.assert_array_equal(layer.data, getattr(maps, role.lower()))
            assert layer.metadata["blochnet"]["record"] == maps.record
        for name in ("T1", "T2"):
            layer = session.layers("maps", maps, f"{name} error")[0]
            expected = 100 * (getattr(maps, name.lower()) / np.where(head.mask, getattr(head, name.lower()), 1) - 1)
            np.testing.assert_allclose(layer.data[maps.mask], expected[maps.mask], rtol=1e-4, atol=1e-3)
            assert np.isnan(layer.data[~maps.mask]).all()
        # and they are made again from their record, all at once
        again = run_recipe(as_recipe(maps.record))[-1]
        for name in ("t1", "t2", "pd", "residual", "phase", "mask", "failed"):
            np.testing.assert_array_equal(getattr(again, name), getattr(maps, name), err_msg=name)
        assert "--slices 1 4" in as_command(maps.record)


def test_other_settings_make_other_maps(desk):
    clicks = Clicks(desk())
    clicks.map_slice(0)
    clicks.map.form.set_values({"step": 0.2})
    clicks.map_slice(1)
    titles = [entry.title for entry in clicks.desk.session.entries("maps")]
    assert titles == ["dictionary", "dictionary 2"]
    # back at the first settings, the first maps go on
    clicks.map.form.set_values({"step": 0.1})
    clicks.map_slice(2)
    first, second = clicks.maps()
    assert first.mask.any(axis=(1, 2)).tolist() == [True, False, True, False]
    assert second.mask.any(axis=(1, 2)).tolist() == [False, True, False, False]
    # where one of the layers is gone, new ones are made
    clicks.desk.viewer.layers.remove(clicks.desk.layer("T2 (ms) – dictionary"))
    clicks.map_slice(3)
    assert [entry.title for entry in clicks.desk.session.entries("maps")][-1] == "dictionary 3"


def test_the_newest_click_waits_for_a_mapping_that_runs(desk, qtbot):
    clicks = Clicks(desk(), _block(side=96))
    clicks.map.form.set_values({"batch": 1})
    for z in (0, 1, 2):
        clicks.desk.go_to_slice(clicks.desk.session.layers("stack")[0], z)
        clicks.click_at()
        qtbot.wait(60)
        assert clicks.map.is_busy
    # slice 1 was asked for while slice 0 was mapped, and then slice 2: the newest counts
    clicks.map.form.set_values({"batch": 4096})
    qtbot.waitUntil(lambda: not clicks.map.is_busy and clicks.map._next is None, timeout=90_000)
    clicks.desk.wait(clicks.map)
    covered = [maps.mask.any(axis=(1, 2)).tolist() for maps in clicks.maps()]
    assert covered == [[True, False, False, False], [False, False, True, False]]


def test_cancel_drops_the_click_that_waits(desk, qtbot):
    clicks = Clicks(desk(), _block(side=96))
    clicks.map.form.set_values({"batch": 1})
    for z in (0, 1):
        clicks.desk.go_to_slice(clicks.desk.session.layers("stack")[0], z)
        clicks.click_at()
        qtbot.waitUntil(lambda: bool(clicks.desk.session.layers("maps")), timeout=20_000)
    clicks.desk.click(clicks.map.jobs.cancel)
    clicks.desk.wait(clicks.map)
    qtbot.wait(200)
    assert not clicks.map.is_busy
    (maps,) = clicks.maps()
    assert maps.mask[0].any()
    assert not maps.mask[1].any()
    # what was finished is a result like any other
    again = nb.reconstruct(clicks.stack, None, maps.mask, step=0.1, batch=1)
    np.testing.assert_array_equal(again.t1, maps.t1)
    assert again.record["inputs"]["mask"] == maps.record["inputs"]["mask"]


def test_a_drag_a_brush_and_an_idle_tool_map_nothing(clicks, qtbot):
    from qtpy.QtCore import QPoint

    viewer = clicks.desk.viewer
    text = viewer.canvas.overlays["text"]
    assert text.visible
    assert "click" in text.text
    middle = QPoint(clicks.native.width() // 2, clicks.native.height() // 2)
    qtbot.mousePress(clicks.native, clicks.desk.button, pos=middle)
    qtbot.mouseMove(clicks.native, middle + QPoint(30, 20))
    qtbot.mouseRelease(clicks.native, clicks.desk.button, pos=middle + QPoint(30, 20))
    qtbot.wait(100)
    assert not clicks.map.is_busy
    clicks.map.part.setCurrentText("a painted region")
    clicks.desk.click(clicks.map.paint)
    clicks.click_at()
    qtbot.wait(100)
    assert not clicks.map.is_busy
    assert clicks.desk.layer("Region").data.any()
    clicks.desk.layer("Region").mode = "pan_zoom"
    clicks.desk.click(clicks.map.click)
    assert not text.visible
    clicks.click_at()
    qtbot.wait(100)
    assert not clicks.map.is_busy
    # another tab has the clicks for itself
    clicks.desk.click(clicks.map.click)
    clicks.desk.turn_to("Compare")
    assert not text.visible
    clicks.click_at()
    qtbot.wait(100)
    assert not clicks.map.is_busy
    clicks.desk.turn_to("Map")
    assert text.visible


def test_the_tool_is_reached_by_keys(clicks, qtbot):
    from qtpy.QtCore import Qt

    assert clicks.map.click.isChecked()
    assert clicks.map.click.shortcut().toString() == "Alt+M"
    clicks.map.click.setFocus()
    qtbot.keyClick(clicks.map.click, Qt.Key.Key_Space)
    assert not clicks.map.click.isChecked()


def test_in_three_dimensions_it_says_why_not(clicks, qtbot):
    clicks.desk.viewer.dims.ndisplay = 3
    qtbot.wait(200)
    clicks.click_at()
    qtbot.wait(100)
    assert "2D" in clicks.map.jobs.message.text()
    assert not clicks.map.is_busy
    clicks.desk.viewer.dims.ndisplay = 2


def test_a_click_beside_everything_says_so(clicks, qtbot):
    clicks.click_at(0.02, 0.02)
    qtbot.wait(100)
    assert "click inside" in clicks.map.jobs.message.text()
    assert not clicks.map.is_busy


def test_the_slice_is_the_stacks_own(desk):
    """A stack that was cut out of a volume, and a viewer whose axes are turned: z is still the stack's."""
    phantom = _block(slices=6)
    clicks = Clicks(desk(), phantom[2:5])
    layers.add_phantom(clicks.desk.session, phantom)
    layer = clicks.desk.session.layers("stack")[0]
    viewer = clicks.desk.viewer
    at_once(canvas.show_alone(clicks.desk.session, layer))
    clicks.map_slice(1)
    assert clicks.maps()[0].mask.any(axis=(1, 2)).tolist() == [False, True, False]
    # x goes into the depth, z runs over the canvas
    viewer.dims.order = (0, 3, 1, 2)
    viewer.reset_view()
    clicks.desk.qtbot.wait(300)
    assert clicks.map.size_line.text().startswith("The viewer shows no slice")
    # the slices are a narrow strip now, which stands below its name, and not in the middle of its cell
    rows, columns = viewer.canvas.grid.shape
    middle = np.mean(extent_in_viewer(viewer, layer), axis=0)[list(viewer.dims.displayed)]
    signs = [1 if word in ("down", "right") else -1 for word in viewer.scene.camera.orientation2d]
    y, x = signs * (middle - viewer.scene.camera.center[-2:]) * viewer.scene.camera.zoom
    clicks.click_at(0.5 / columns + x / clicks.native.width(), 0.5 / rows + y / clicks.native.height())
    clicks.desk.qtbot.waitUntil(lambda: clicks.map.is_busy, timeout=5000)
    clicks.desk.wait(clicks.map)
    assert clicks.maps()[0].mask.any(axis=(1, 2)).sum() in (1, 2)


def test_the_same_click_pins_the_voxel(desk, qtbot):
    clicks = Clicks(desk())
    clicks.desk.viewer.window.add_plugin_dock_widget("napari-blochnet", "Voxel inspector")
    # the canvas is laid out anew
    qtbot.wait(1000)
    clicks.desk.viewer.reset_view()
    clicks.map_slice(2)
    assert clicks.maps()[0].mask[2].any()
    assert clicks.desk.session.voxel is not None
    assert clicks.desk.session.voxel.index[0] == 2


def test_maps_fill_in_while_they_are_computed(desk, qtbot, monkeypatch):
    clicks = Clicks(desk(), _block(slices=2, side=64))
    clicks.map.estimators.tick(["dictionary", "universal"])
    begun: list[threading.Event] = []
    grown: set[str] = set()

    def reconstruct(*inputs, partial, **options):
        # batches wait until the window shows some of this estimator's: the mapping is not over before it looks
        shown = threading.Event()
        begun.append(shown)

        def told(maps):
            partial(maps)
            shown.wait(timeout=60)

        return nb.reconstruct(*inputs, partial=told, **options)

    def are_seen(number: int) -> bool:
        for layer in clicks.desk.session.layers("maps", role="T1"):
            if 0 < (layer.data > 0).sum() < 64**2:
                grown.add(layer.name)
        return len(grown) == number

    monkeypatch.setattr(mapping, "reconstruct", reconstruct)
    clicks.map.form.set_values({"batch": 64})
    clicks.desk.go_to_slice(clicks.desk.session.layers("stack")[0], 0)
    clicks.click_at()
    # one estimator after the other, and each is seen when some of its voxels are mapped
    for number in (1, 2):
        qtbot.waitUntil(partial(are_seen, number), timeout=60_000)
        begun[-1].set()
    clicks.desk.wait(clicks.map)
    assert len(begun) == len(grown) == len(clicks.maps()) == 2


@pytest.mark.parametrize("estimators", [["dictionary"], ["dictionary", "universal", "fc"]])
def test_maps_are_those_of_the_operation(desk, estimators):
    """What a click makes is what Python makes of the same settings."""
    clicks = Clicks(desk(), _block(slices=2), length=60)
    clicks.map.estimators.tick(estimators)
    clicks.map.switches.box("refine").setChecked(True)
    clicks.map_slice(1)
    mask = np.zeros(clicks.stack.shape[1:], bool)
    mask[1] = True
    found = clicks.maps()
    # fc has no weights for this schedule, and is not offered
    assert [maps.estimator for maps in found] == [f"{name}, refined" for name in estimators if name != "fc"]
    for maps in found:
        expected = nb.reconstruct(clicks.stack, maps.record["settings"]["estimator"], mask, step=0.1, refine=True)
        np.testing.assert_array_equal(maps.t1, expected.t1)
        np.testing.assert_array_equal(maps.t2_se, expected.t2_se)
        assert maps.record["settings"] == expected.record["settings"]
        assert clicks.desk.session.layers("maps", maps, "T1 SE")
