"""Layers of others as fingerprints, masks, B1 maps and maps; a mask by Otsu's threshold; interactions counted."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog, QLabel, QLineEdit

import napari_blochnet as nb
from napari_blochnet.fingerprints.thresholds import otsu_threshold
from napari_blochnet.napari_ui.napari_calls import layer_uses
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.schedules.schedule_files import write_schedule

LENGTH = 60
GRID = {"step": 0.2, "t1_range": (300.0, 3000.0), "t2_range": (20.0, 300.0)}
THRESHOLD = "above a threshold (Otsu's)"


def _disc(rows=20, columns=26):
    y, x = np.mgrid[:rows, :columns]
    return (y - rows / 2) ** 2 + (x - columns / 2) ** 2 < 50


def _frames(schedule, slices=2):
    """A disc of one tissue in noise, as magnitudes that fill every voxel."""
    signal = np.abs(EPGDecoder(schedule)(900.0, 90.0).detach().numpy()).ravel()
    noise = np.abs(np.random.default_rng(1).normal(0, 0.002, (len(schedule), slices, *_disc().shape)))
    return (1000 * (signal[:, None, None, None] * _disc() + noise)).astype(np.float32)


class Hand:
    """Counts what a person does: one for each click, choice or value."""

    def __init__(self, desk) -> None:
        self.desk, self.count = desk, 0

    def click(self, button, panel=None):
        self.count += 1
        self.desk.click(button)
        return self.desk.wait(panel) if panel is not None else None

    def choose(self, control, value):
        self.count += 1
        control.value = value

    def paint(self, layer, mask):
        self.count += 1
        layer.data = np.broadcast_to(mask, layer.data.shape).astype(np.uint8)


def _spline(desk):
    desk.use_spline(LENGTH)
    return desk.session.schedule


def test_a_dask_layer_in_micrometres_with_a_painted_mask_in_eight(desk, qtbot):
    from napari._app_model import get_app_model

    desk = desk()
    schedule = _spline(desk)
    frames = _frames(schedule)
    layer = desk.viewer.add_image(
        da.from_array(frames, chunks=(7, 1, 20, 13)), name="scan [1]", scale=(1, 3000, 2000, 1500),
        translate=(0, 9000, -4000, 3000), units=("pixel", "um", "um", "um"),
    )  # fmt: skip
    data, mapping = desk.workbench.data, desk.workbench.map
    mapping.form.set_values(GRID)
    hand = Hand(desk)
    # a right click on the layer, and the command in its menu
    hand.count += 2
    desk.viewer.layers.selection.active = layer
    # as the menu does it: napari hands commands a proxy of the viewer
    get_app_model().commands.execute_command("napari-blochnet.use_as_fingerprints")
    assert desk.wait(data) == "Opened scan [1]."
    stack = desk.session.entries("stack")[0].subject
    assert isinstance(stack.data, np.ndarray)
    np.testing.assert_array_equal(stack.data, frames)
    np.testing.assert_allclose(stack.voxel_size, (3.0, 2.0, 1.5))
    shown = desk.session.layers("stack", stack)[0]
    assert not layer.visible
    # units that napari can draw in one frame: micrometres beside millimetres
    assert desk.viewer.layers.extent.units is not None
    # it lies where the layer of other units does
    np.testing.assert_allclose(shown.scale[1:], (3.0, 2.0, 1.5))
    np.testing.assert_allclose(shown.translate[1:], (9.0, -4.0, 3.0))
    # a layer is used for maps
    qtbot.waitUntil(mapping.isVisible, timeout=60_000)
    assert mapping.stack.value is stack
    assert mapping.jobs.message.text() == "Opened scan [1]."
    mapping.part.setCurrentText("the whole volume")
    hand.count += 1
    hand.click(mapping.masking.paint)
    hand.paint(desk.viewer.layers.selection.active, _disc())
    hand.click(mapping.run, mapping)
    assert hand.count <= 6
    maps = desk.session.entries("maps")[0].subject
    np.testing.assert_array_equal(maps.mask, np.broadcast_to(_disc(), maps.shape))
    assert np.median(maps.t1[maps.mask]) == pytest.approx(900, rel=0.2)
    drawn = desk.layer("T1 (ms)")
    np.testing.assert_allclose(drawn.scale, (3.0, 2.0, 1.5))
    np.testing.assert_allclose(drawn.translate, (9.0, -4.0, 3.0))


def _pick(hand, path):
    """Choose a file in the dialog that is open: the file, and its button."""
    dialog = next(one for one in hand.desk.workbench.data.findChildren(QFileDialog) if one.isVisible())
    # Qt completes what is typed by the folder it stands in: that of the test before, with files of the same names
    dialog.setDirectory(str(path.parent))
    dialog.findChild(QLineEdit).setText(path.name)
    assert dialog.selectedFiles() == [str(path)]
    hand.count += 2
    dialog.accept()


@pytest.mark.parametrize("way", ["hint", "menu", "Map tab"])
def test_a_layer_whose_schedule_file_must_be_given_in_eight(desk, qtbot, tmp_path, way):
    desk = desk()
    schedule = nb.spline_schedule(length=LENGTH, control_points=5)
    write_schedule(schedule, tmp_path / "mine.csv")
    write_schedule(nb.spline_schedule(length=LENGTH - 1, control_points=5), tmp_path / "other.csv")
    layer = desk.viewer.add_image(_frames(schedule, 1), name="scan", scale=(1, 3, 2, 2))
    data, mapping, hint = desk.workbench.data, desk.workbench.map, desk.workbench.next_step
    mapping.form.set_values(GRID)
    hand = Hand(desk)
    if way == "hint":
        qtbot.waitUntil(lambda: "scan (60 × 1 × 20 × 26)" in hint.text.text())
        hand.click(hint.button)
    elif way == "menu":
        # a right click, the submenu, the command
        hand.count += 3
        desk.viewer.layers.selection.active = layer
        layer_uses.use_as_fingerprints(desk.viewer)
    else:
        desk.turn_to("Map")
        hand.count += 1
        hand.choose(mapping.stack, layer)
    assert data.isVisible()
    assert "has no axis as long" in data.question.error.text()
    if way == "hint":
        _pick(Hand(desk), tmp_path / "other.csv")
        assert data.question.error.text().endswith("schedule of this file, 59 pulses; give the file of its own.")
        assert not desk.session.entries("stack")
        desk.click(hint.button) if hint.button.isVisible() else data.use_layer(layer)
    _pick(hand, tmp_path / "mine.csv")
    desk.wait(data)
    qtbot.waitUntil(mapping.isVisible, timeout=60_000)
    assert mapping.stack.value.schedule == schedule
    hand.click(mapping.masking.paint)
    hand.paint(desk.viewer.layers.selection.active, _disc())
    hand.click(mapping.run, mapping)
    assert hand.count <= {"hint": 6, "menu": 8, "Map tab": 7}[way]
    maps = desk.session.entries("maps")[0].subject
    np.testing.assert_array_equal(maps.mask[0], _disc())
    assert np.median(maps.t1[maps.mask]) == pytest.approx(900, rel=0.2)


def test_a_schedule_that_leaves_something_open_is_asked_for_before_its_layer_is_opened(desk, qtbot, tmp_path):
    desk = desk()
    flips = np.linspace(0.1, 1, LENGTH)
    head = "flip_angle_(fraction_of_nominal),rf_phase_(deg),extension_of_base_TR_(ms),extension_of_base_TE_(ms)"
    rows = [head, *(f"{flip:.4f},0,0,0" for flip in flips)]
    (tmp_path / "fractions.csv").write_text("\n".join(rows))
    layer = desk.viewer.add_image(_frames(nb.spline_schedule(length=LENGTH, control_points=5), 1), name="scan")
    data = desk.workbench.data
    assert data.use_layer(layer) is None
    _pick(Hand(desk), tmp_path / "fractions.csv")
    asked = set(data.question.form.errors())
    assert {"flip_angle", "repetition_time", "echo_time"} <= asked
    for field, value in (("flip_angle", 60.0), ("repetition_time", 15.0), ("echo_time", 3.3)):
        data.question.form.editor(field).inner.value = value
    # nothing is opened before the last of it is said
    assert not data.is_busy
    assert not desk.session.entries("stack")
    desk.run(data, data.open_stack)
    assert desk.session.entries("stack")
    qtbot.waitUntil(desk.workbench.map.isVisible, timeout=60_000)


def test_an_acquired_stack_with_its_schedule_file_in_eight(desk, qtbot, shared_data):
    desk = desk()
    desk.turn_to("Data")
    data, mapping = desk.workbench.data, desk.workbench.map
    mapping.form.set_values({"step": 0.4})
    hand = Hand(desk)
    # "File…", and the file
    hand.count += 2
    data.stack_path.take([str(shared_data / "acquired" / "vumc_mrf_500" / "frames.npz")])
    assert "500 × 240 × 240" in desk.wait(data)
    form = data.question.form
    # the one schedule beside it is proposed, and all that it leaves open is asked for at once
    assert form.values()["path"].endswith("MRF_500.csv")
    assert list(form.errors()) == ["flip_angle", "repetition_time", "echo_time"]
    assert form.errors()["echo_time"] == "Not in MRF_500.csv; give it, in ms."
    inversion = form.row("inversion_time").findChild(QLabel)
    asked = "Not in MRF_500.csv: leave out for no inversion, or give its time."
    assert (inversion.text(), inversion.isVisible()) == (asked, True)
    for sentence in form.findChildren(QLabel):
        if sentence.isVisible() and sentence.wordWrap():
            assert sentence.height() >= sentence.heightForWidth(sentence.width()), sentence.text()
    hint = desk.workbench.next_step
    qtbot.waitUntil(lambda: "press Open fingerprints" in hint.text.text())
    assert not hint.button.isVisible()
    desk.click(data.open_stack)
    assert not data.is_busy, "0 is no answer"
    for field, value in (("flip_angle", 60.0), ("repetition_time", 15.0), ("echo_time", 3.3)):
        hand.choose(form.editor(field).inner, value)
    assert not form.errors()
    # none may be meant: it is asked for as long as nobody has said
    assert inversion.isVisible()
    assert data.schedule_line.text().endswith("no inversion (the file does not say)")
    # a click into its box ticks it, as into any other
    qtbot.mouseClick(form.editor("inversion_time").inner.native, desk.button)
    hand.choose(form.editor("inversion_time").inner, 15.0)
    assert not inversion.isVisible()
    assert data.schedule_line.text().endswith("inversion, TI 15 ms")
    assert hand.click(data.open_stack, data) == "Opened frames."
    # what was asked is answered, and mapping is what is next
    qtbot.waitUntil(mapping.isVisible, timeout=60_000)
    stack = desk.session.entries("stack")[0].subject
    assert stack.schedule.flip_angle.max() == pytest.approx(60.0)
    # the Schedule tab has it, too
    assert desk.session.schedule == stack.schedule
    assert desk.workbench.schedule.kind.currentText() == "From a file"
    hand.click(mapping.run, mapping)
    assert hand.count <= 8
    maps = desk.session.entries("maps")[0].subject
    assert maps.mask.any()
    left = 100 * np.median(maps.residual[maps.mask & ~maps.failed])
    assert f"median residual {left:.2g} % of the signal" in mapping.jobs.message.text()


def test_otsu_its_slider_and_what_is_recorded(desk, qtbot, tmp_path):
    desk = desk()
    schedule = _spline(desk)
    np.save(tmp_path / "frames.npy", _frames(schedule, 1))
    assert "Opened" in desk.open_stack(tmp_path / "frames.npy")
    stack = desk.session.entries("stack")[0].subject
    assert stack.mask.all()
    mapping = desk.turn_to("Map")
    mapping.form.set_values(GRID)
    masking = mapping.masking
    masking.choice.value = THRESHOLD
    desk.wait(mapping)
    assert masking.slider.isVisible()
    otsu = otsu_threshold(stack)
    assert masking.slider.value() == pytest.approx(otsu, rel=1e-3)
    inside = int(_disc().sum())
    assert mapping.size_line.text().startswith(f"{inside:,} voxels")
    outline = desk.layer("Mask")
    qtbot.waitUntil(lambda: int(outline.data.sum()) == inside)
    assert outline.contour == 1
    desk.run(mapping, mapping.run)
    record = desk.session.entries("maps")[0].subject.record
    assert record["settings"]["mask"] == "otsu"
    assert "mask" not in record["inputs"]
    assert not outline.visible
    # the slider is live: half the strength of the disc and more leaves nothing
    level = np.linalg.norm(stack.data[:, 0], axis=0) / np.sqrt(LENGTH)
    cut = float(np.median(level[_disc()]))
    masking.slider.setValue(cut)
    wanted = int((level > masking.slider.value()).sum())
    qtbot.waitUntil(lambda: int(outline.data.sum()) == wanted)
    assert mapping.size_line.text().startswith(f"{wanted:,} voxels")
    desk.run(mapping, mapping.run)
    record = desk.session.entries("maps")[-1].subject.record
    assert record["settings"]["threshold"] == pytest.approx(cut, rel=1e-3)
    assert record["settings"]["mask"] is None
    desk.click(masking.otsu)
    assert masking.settings() == {"mask": "otsu", "threshold": None}
    masking.choice.value = "all voxels with signal"
    assert not any(layer.name.startswith("Mask") for layer in desk.viewer.layers)
    assert mapping.size_line.text().startswith(f"{stack.mask.sum():,} voxels")


def test_layers_as_mask_b1_truth_and_maps(desk, qtbot):
    from napari_blochnet.napari_ui.panels.data.maps_dialog import MapsDialog

    desk = desk()
    schedule = _spline(desk)
    place = {"scale": (2.0, 2.0, 2.0), "units": ("mm", "mm", "mm")}
    frames = _frames(schedule)
    # a bright rim that no mask holds
    frames[:, :, :2, :2] = 5000
    scan = desk.viewer.add_image(frames, name="scan", scale=(1, 2, 2, 2), units=("pixel", "mm", "mm", "mm"))
    mapping = desk.turn_to("Map")
    mapping.form.set_values(GRID)
    # chosen in the Map tab itself
    assert ("layer scan…", scan) in [(text, thing) for text, thing in mapping._foreign_layers()]
    mapping.stack.value = scan
    desk.wait(desk.workbench.data)
    stack = desk.session.entries("stack")[0].subject
    qtbot.waitUntil(lambda: mapping.stack.value is stack)
    volume = np.broadcast_to(_disc(), (2, *_disc().shape)).astype(float)
    mask = desk.viewer.add_image(volume, name="mask of others", **place)
    b1 = desk.viewer.add_image(np.full(volume.shape, 0.9), name="field", **place)
    t1 = desk.viewer.add_image(900 * volume, name="T1 of others", **place)
    desk.viewer.add_image(90 * volume, name="T2 of others", **place)
    desk.viewer.layers.selection.active = mask
    layer_uses.use_as_mask(desk.viewer)
    assert mapping.masking.choice.value is mask
    assert mapping.masking.voxels().sum() == volume.sum()
    # colours from inside the mask
    shown = desk.session.layers("stack", stack)[0]
    high = np.percentile(stack.data[:: LENGTH // 25][:, 0, _disc()], 99.5)
    assert high <= shown.contrast_limits[1] <= 1.3 * high
    mapping.masking.choice.value = "all voxels with signal"
    assert shown.contrast_limits[1] > 1.5 * high
    layer_uses.use_as_mask(desk.viewer)
    desk.viewer.layers.selection.active = b1
    layer_uses.use_as_b1_map(desk.viewer)
    desk.wait(mapping)
    assert mapping.b1.said.text().startswith("B1 is 0.9 to 0.9 of nominal")
    desk.run(mapping, mapping.run)
    maps = desk.session.entries("maps")[0].subject
    here = maps.mask
    assert here.any()
    assert not (here & ~volume.astype(bool)).any()
    np.testing.assert_allclose(maps.b1[here], 0.9)
    assert maps.record["inputs"]["b1"]["operation"] == "given"

    desk.viewer.layers.selection.active = t1
    for use, kind in ((layer_uses.use_as_truth, "phantom"), (layer_uses.use_as_maps, "maps")):
        known = len(desk.session.entries(kind))
        desk.viewer.layers.selection.active = t1
        use(desk.viewer)
        dialog = next(one for one in desk.workbench.data.findChildren(MapsDialog) if one.isVisible())
        assert dialog.choices["t1"].value is t1
        assert dialog.choices["t2"].value.name == "T2 of others"
        dialog.accept()
        assert not dialog.error.text()
        qtbot.waitUntil(lambda kind=kind, known=known: len(desk.session.entries(kind)) > known, timeout=60_000)
        found = desk.session.entries(kind)[-1].subject
        np.testing.assert_array_equal(found.t1, 900 * volume)
        np.testing.assert_array_equal(found.mask, volume > 0)
        qtbot.waitUntil(lambda found=found: bool(desk.session.layers(subject=found, role="T1")), timeout=60_000)
        np.testing.assert_allclose(desk.session.layers(subject=found, role="T1")[0].scale, (2, 2, 2))


def test_what_no_layer_can_be_is_said(desk, tmp_path):
    from napari_blochnet.napari_ui.napari_calls.layer_uses import use_as_fingerprints

    desk = desk()
    data = desk.turn_to("Data")
    assert not data.layers.isVisible()
    use_as_fingerprints(desk.viewer)
    assert data.jobs.message.text() == (
        "No layer is selected; select one image layer with time and space in the layer list."
    )
    short = desk.viewer.add_image(np.ones((24, 3, 5, 6), np.uint16), name="short")
    use_as_fingerprints(desk.viewer)
    assert data.question.is_file
    assert data.question.error.text().startswith(
        "short (24 × 3 × 5 × 6) has no axis as long as the Schedule tab's schedule; give the file of its own. <a "
    )
    write_schedule(nb.Schedule(np.linspace(10, 60, 24), 12.0, 4.0), tmp_path / "s.csv")
    data.question.form.set_values({"path": str(tmp_path / "s.csv")})
    short.shear = [0, 0, 0, 0.1, 0, 0]
    assert "turned or sheared" in desk.run(data, data.open_stack) or "turned" in data.stack_path.error.text()
    short.shear = [0] * 6
    assert desk.run(data, data.open_stack) == "Opened short."


def test_the_menu_of_a_layer_has_the_commands(desk, monkeypatch):
    from app_model import Application
    from napari._app_model import get_app_model

    from napari_blochnet.napari_ui.napari_calls.layer_menu import add_to_context_menu

    desk()
    app = get_app_model()
    monkeypatch.setattr(Application, "get_app", lambda name: app if name == "napari" else None)
    add_to_context_menu()
    add_to_context_menu()
    found = [getattr(item, "submenu", "") for item in app.menus.get_menu("napari/layers/context")]
    assert found.count("napari-blochnet/use_as") == 1
