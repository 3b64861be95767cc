"""A session saved to a folder and opened in another viewer: the same bits, links, colours, pins, view."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image, Labels, Shapes

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs import sessions
from napari_blochnet.jobs.operations.opening import synthetic_head
from napari_blochnet.jobs.sessions import SESSION_FILE, write_session
from napari_blochnet.napari_ui.background.turns import at_once
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.sessions.restoring import open_session, restore_steps
from napari_blochnet.napari_ui.sessions.snapshots import snapshot
from napari_blochnet.napari_ui.state.entries import entry_of
from napari_blochnet.napari_ui.state.pins import Voxel
from napari_blochnet.phantoms.phantom import Phantom


@pytest.fixture
def busy_desk(desk):
    """A desk after an afternoon's work."""
    desk = desk()
    data = desk.turn_to("Data")
    desk.run(data, data.sample_buttons["head-slice"])
    desk.use_spline(80)
    simulate = desk.turn_to("Simulate")
    simulate.form.set_values({"snr": 25.0, "seed": 4})
    desk.run(simulate, simulate.run)
    mapping = desk.turn_to("Map")
    for step in (0.2, 0.4):
        mapping.form.set_values({"step": step})
        desk.run(mapping, mapping.run)
    compare = desk.turn_to("Compare")
    desk.run(compare, compare.run)
    desk.click(compare.regions.paint)
    region = desk.viewer.layers.selection.active
    region.data[0, 40:50, 40:44] = 1
    region.data[0, 60:66, 30:44] = 5
    region.features = {"index": [0, 1, 5], "name": ["", "left putamen", "thalamus"]}
    region.mode = "pan_zoom"
    drawn = desk.session.layers("maps", role="T1")[0]
    desk.viewer.add_shapes([[[0, 30, 30], [0, 30, 40.5], [0, 44, 40.5], [0, 44, 30]]], shape_type="ellipse", ndim=3,
                           name="by hand", scale=drawn.scale, translate=drawn.translate, units=drawn.units)  # fmt: skip
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
    desk.viewer.add_labels(
        np.diag(np.arange(9))[None],
        name="own labels",
        scale=(2, 3, 4),
        translate=(5, 6, 7),
        units=("mm",) * 3,
        axis_labels=("z", "y", "x"),
        affine=tilt,
        features={"index": [0, 1, 2], "name": ["", "tumour", "oedema"], "grade": [0.5, np.nan, 2]},
    )
    # rotated and sheared, on two axes
    desk.viewer.add_shapes(
        [[[1, 1], [1, 5], [5, 5], [5, 1]], [[2, 2], [9, 9]]],
        shape_type=["rectangle", "line"],
        name="own shapes",
        rotate=12.0,
        shear=[0.2],
        units=("mm", "mm"),
        axis_labels=("row", "column"),
        features={"name": ["one", "two"]},
        edge_color=["red", "#00ff0080"],
        face_color="blue",
        edge_width=[0.25, 2.0],
    )
    desk.viewer.add_image(np.ones((4, 4)), name="foreign image")
    stack = desk.session.entries("stack")[0].subject
    for index in ((0, 50, 40), (0, 60, 44), (0, 55, 30)):
        desk.session.add_pin(Voxel(stack, index))
    desk.session.remove_pin(Voxel(stack, (0, 60, 44)))
    desk.session.select_pin(Voxel(stack, (0, 50, 40)))
    t1 = desk.layer("T1 (ms) – dictionary")
    t1.contrast_limits = (100, 1234.5)
    desk.layer("PD – dictionary").colormap = "viridis"
    desk.layer("T2 (ms) – dictionary").name = "renamed"
    desk.viewer.scene.camera.zoom = 3.25
    desk.viewer.scene.camera.center = (0.0, -11.5, 7.25)
    desk.viewer.dims.set_point(0, 33)
    return desk


def _arrays(subject):
    names = (
        ("t1", "t2", "pd", "mask", "labels", "b1")
        if isinstance(subject, Phantom)
        else ("data", "mask")
        if isinstance(subject, FingerprintStack)
        else ("t1", "t2", "pd", "residual", "mask", "failed", "phase")
    )
    return {name: getattr(subject, name) for name in names}


def _ours(viewer):
    return [layer for layer in viewer.layers if entry_of(layer) is not None or isinstance(layer, (Labels, Shapes))]


def _assert_same_layer(one, other):
    assert type(one) is type(other)
    assert one.name == other.name
    for key in ("visible", "opacity", "blending"):
        assert getattr(one, key) == getattr(other, key), (one.name, key)
    for key in ("scale", "translate"):
        np.testing.assert_array_equal(getattr(one, key), getattr(other, key))
    if isinstance(one, Image):
        for key in ("contrast_limits", "contrast_limits_range", "gamma"):
            assert getattr(one, key) == getattr(other, key), (one.name, key)
        assert one.colormap.name == other.colormap.name
        np.testing.assert_array_equal(one.colormap.colors, other.colormap.colors)
        assert one.name_overlay.visible == other.name_overlay.visible or not one.visible
        assert other.colorbar.visible or not other.visible
    if isinstance(one, Shapes):
        assert list(one.shape_type) == list(other.shape_type)
        for a, b in zip(one.data, other.data, strict=True):
            np.testing.assert_array_equal(a, b)
        for key in ("edge_color", "face_color", "edge_width"):
            np.testing.assert_array_equal(getattr(one, key), getattr(other, key))
    else:
        a, b = np.asarray(one.data), np.asarray(other.data)
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes(), one.name
    assert one.units == other.units
    assert one.axis_labels == other.axis_labels
    for key in ("rotate", "shear"):
        np.testing.assert_allclose(getattr(one, key), getattr(other, key), rtol=0, atol=1e-14)
    np.testing.assert_array_equal(one.affine.affine_matrix, other.affine.affine_matrix)
    for corner in (np.zeros(one.ndim), np.arange(1.0, one.ndim + 1)):
        np.testing.assert_allclose(one.data_to_world(corner), other.data_to_world(corner), rtol=1e-13)
    if not isinstance(one, Image):
        assert one.features.equals(other.features), one.name
    mine, theirs = entry_of(one), entry_of(other)
    if mine is None:
        assert theirs is None
        return
    assert (mine.kind, mine.role, mine.title) == (theirs.kind, theirs.role, theirs.title)
    # the layer of the copy carries its units and its record too
    assert one.metadata["blochnet"] == other.metadata["blochnet"]


def test_everything_comes_back_in_another_viewer(busy_desk, desk, tmp_path, qtbot):
    first = busy_desk
    compare = first.turn_to("Compare")
    data = first.workbench.data
    data.sessions.save(tmp_path / "session")
    assert "foreign image" in first.wait(data)
    assert "Saved the session" in data.jobs.message.text()

    second = desk()
    panel = second.turn_to("Data")
    panel.sessions.open(tmp_path / "session")
    assert "Opened the session" in second.wait(panel)
    before, after = _ours(first.viewer), _ours(second.viewer)
    assert [layer.name for layer in before] == [layer.name for layer in after]
    for one, other in zip(before, after, strict=True):
        _assert_same_layer(one, other)

    # the objects behind the layers: equal in every bit, and linked as they were
    partner = {}
    for one, other in zip(before, after, strict=True):
        mine, theirs = entry_of(one), entry_of(other)
        for key in ("subject", "truth", "stack"):
            a, b = (None if entry is None else getattr(entry, key) for entry in (mine, theirs))
            assert (a is None) == (b is None)
            if a is not None:
                assert partner.setdefault(id(a), b) is b
    for entry in [*first.session.entries("phantom"), *first.session.entries("stack"), *first.session.entries("maps")]:
        copy = partner[id(entry.subject)]
        assert copy is not entry.subject
        assert copy.record == entry.subject.record
        np.testing.assert_array_equal(copy.affine, entry.subject.affine)
        for name, values in _arrays(entry.subject).items():
            found = getattr(copy, name)
            assert values is None if found is None else values.tobytes() == found.tobytes(), name
            assert values is None or values.dtype == found.dtype
    assert second.session.schedule == first.session.schedule
    assert second.workbench.schedule.kind.currentText() == "Spline5"
    assert second.workbench.schedule.form.values()["length"] == 80

    # the view
    for key in ("zoom", "center", "angles"):
        assert getattr(second.viewer.scene.camera, key) == getattr(first.viewer.scene.camera, key)
    assert second.viewer.dims.point == first.viewer.dims.point
    assert second.viewer.canvas.grid.enabled == first.viewer.canvas.grid.enabled
    assert second.workbench.tabs.tabText(second.workbench.tabs.currentIndex()) == "Compare"

    # and what would be saved of it now is what was saved
    saved, reopened = (snapshot(desk.session, tab="Compare").saved.state for desk in (first, second))
    for state in (saved, reopened):
        # maps that were made last have no order, and the image that was selected is in no session
        state["mapped"].sort()
        del state["view"]["active"]
    assert reopened == saved

    # pins, with their numbers
    pins = [(voxel.index, second.session.pin_number(voxel)) for voxel in second.session.pins]
    assert pins == [((0, 50, 40), 1), ((0, 55, 30), 3)]
    assert second.session.voxel.index == (0, 50, 40)
    assert second.session.voxel.stack is second.session.entries("stack")[0].subject

    # the comparison, and means over the painted regions, are there without a click
    again = second.workbench.compare
    assert again.comparison.rows() == compare.comparison.rows()
    assert again.table.rowCount() == compare.table.rowCount() > 0
    layer = next(layer for layer in second.viewer.layers if layer.name.startswith("Region"))
    again.regions.choose(layer)
    compare.regions.choose(next(layer for layer in first.viewer.layers if layer.name.startswith("Region")))
    assert [region.name for region in again.regions.means.regions] == ["left putamen", "thalamus"]
    assert again.regions.means.rows() == compare.regions.means.rows()

    # maps keep sharing their limits
    second.layer("T1 (ms) – dictionary").contrast_limits = (0, 999)
    assert second.layer("T1 (ms) – dictionary 2").contrast_limits == [0, 999]
    # and can be mapped, simulated and compared on
    mapping = second.turn_to("Map")
    mapping.form.set_values({"step": 0.3})
    assert second.run(mapping, mapping.run).startswith("Mapped")


def test_a_session_is_dropped_on_the_viewer(saved_once, desk):
    second = desk()
    second.viewer.open(saved_once, plugin="napari-blochnet")
    second.wait(second.workbench.data)
    assert sorted(layer.name for layer in _ours(second.viewer)) == sorted(_layers_saved_in(saved_once))


def test_saving_again_and_cancelling(busy_desk, tmp_path, qtbot, monkeypatch):
    data = busy_desk.turn_to("Data")
    data.sessions.save(tmp_path / "session")
    busy_desk.wait(data)
    old = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    job_before = data.jobs.job
    asked = threading.Event()
    write = sessions._Watched.write

    def held(file, content):
        # the first slab waits for the wish
        assert asked.wait(60)
        return write(file, content)

    monkeypatch.setattr(sessions._Watched, "write", held)
    data.sessions.save(tmp_path / "session")
    assert data.jobs.job is not job_before
    data.jobs.job.cancel()
    asked.set()
    busy_desk.wait(data)
    monkeypatch.undo()
    assert {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == old
    # a stack that is gone is not in the next one
    for layer in busy_desk.session.layers("stack"):
        busy_desk.viewer.layers.remove(layer)
    data.sessions.save(tmp_path / "session")
    assert "Saved" in busy_desk.wait(data)
    content = json.loads((tmp_path / "session" / SESSION_FILE).read_text())
    assert "signal" not in [layer["entry"]["role"] for layer in content["state"]["layers"] if layer["entry"]]


def _layers_saved_in(folder):
    content = json.loads((folder / SESSION_FILE).read_text(encoding="utf-8"))
    return [layer["name"] for layer in content["state"]["layers"]]


def _spoil(folder, change):
    path = folder / SESSION_FILE
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content["state"])
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda state: state["layers"][0].update(opacity="thick"), r"layers.0.opacity is damaged"),
        (lambda state: state["layers"][0]["entry"].update(role="__class__"), "does not fit what it shows"),
        (lambda state: state["layers"][0]["entry"].update(subject=99), "refers to subject 99"),
        (lambda state: state["layers"][0]["entry"].update(kind="stack"), "not a stack"),
        (lambda state: state["layers"][0]["entry"].update(role="T1 SE"), "does not fit"),
        (lambda state: state["layers"][0].update(array=77), "array 77"),
        (lambda state: state["layers"][-1]["place"].update(scale=[1.0]), "does not fit"),
        (lambda state: state["layers"][-1]["place"].update(scale=[1e300] * 3), "place.scale"),
        (lambda state: state["layers"][-1]["place"].update(units=["mm", "no unit"]), "does not fit"),
        (lambda state: state["layers"][-1]["place"].update(affine=[[1.0, 0.0], [0.0, 1.0]]), "does not fit"),
        (lambda state: state["layers"][-1]["features"].update(name=["one"]), "does not fit"),
        (lambda state: state["layers"][-1].update(features={"name": [{}, {}]}), "features.name.0"),
    ],
)
def test_a_damaged_layer_is_named_and_the_others_are_shown(saved_once, tmp_path, change, sentence):
    folder = tmp_path / "copy"
    shutil.copytree(saved_once, folder)
    there = _layers_saved_in(folder)
    _spoil(folder, change)
    with pytest.warns(DataWarning, match=sentence):
        opened = open_session(folder)
    names = [layer.name for layer in opened.state.layers]
    assert len(names) == len(there) - 1
    assert names in (there[1:], there[:-1])


@pytest.mark.parametrize(
    ("change", "sentence", "left"),
    [
        (lambda state: state.update(mapped=[0]), "not a maps", "mapped"),
        (lambda state: state["pins"][0].update(stack=0), "not a stack", "pins"),
        (lambda state: state["pins"][0].update(index=[0, 2**30, 0]), "outside its stack", "pins"),
        (lambda state: state["comparison"].update(truth=1), "not a phantom", "comparison"),
        (
            lambda state: state.update(b1=[{"stack": state["pins"][0]["stack"], "source": "file", "layer": 10**6}]),
            "the layer of a B1 map is not in the session",
            "b1",
        ),
    ],
)
def test_other_parts_that_refer_to_nothing_are_left_out(saved_once, tmp_path, change, sentence, left):
    folder = tmp_path / "copy"
    shutil.copytree(saved_once, folder)
    _spoil(folder, change)
    with pytest.warns(DataWarning, match=sentence):
        opened = open_session(folder)
    assert len(opened.state.layers) == len(_layers_saved_in(folder))
    assert not getattr(opened.state, left) or left == "pins"


def test_damaged_data_takes_its_own_layers_along_only(saved_once, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(saved_once, folder)
    (file,) = folder.glob("data-*/phantom-0-t1.npy")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.warns(DataWarning, match=r"phantom-0-t1\.npy"):
        opened = open_session(folder)
    content = json.loads((folder / SESSION_FILE).read_text())["state"]["layers"]
    kept = [
        layer["name"]
        for layer in content
        if not layer["entry"] or 0 not in (layer["entry"]["subject"], layer["entry"]["truth"])
    ]
    assert [layer.name for layer in opened.state.layers] == kept
    assert 0 < len(kept) < len(content)


def test_a_link_out_of_a_session_is_not_followed(saved_once, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(saved_once, folder)
    (file,) = folder.glob("data-*/phantom-0-t1.npy")
    file.rename(tmp_path / "mine.npy")
    file.symlink_to(tmp_path / "mine.npy")
    with pytest.warns(DataWarning, match="link to a file outside"):
        open_session(folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda state: state.update(more=1), "more is damaged"),
        (lambda state: state["schedule"].update(flip_angle=[]), "the schedule is damaged .*flip_angle"),
        (lambda state: state.update(schedule=[]), "schedule is damaged"),
        (lambda state: state.update(comparison=7), "comparison is damaged"),
        (lambda state: state["comparison"]["settings"].update(regions=["nowhere"]), "comparison"),
        (lambda state: state.update(slots=[[0]]), "slots.0"),
        (lambda state: state.update(mapped={}), "mapped is damaged"),
        (lambda state: state.pop("view"), "view is damaged"),
        (lambda state: state["comparison"]["settings"].update(seed=-1), "comparison.settings.seed is damaged"),
        (lambda state: state["view"].update(grid_shape=[2**40, 1]), "view.grid_shape"),
        (lambda state: state["view"].update(grid_stride=2**31), "view.grid_stride"),
        (lambda state: state["view"].update(zoom=1e-300), "view.zoom"),
        (lambda state: state["view"].update(center=[1e300, 0, 0]), "view.center"),
        (lambda state: state["pins"][0].update(number=2**31), "pins.0.number"),
        (lambda state: state["pins"][0].update(index=[0, 2**40, 0]), "pins.0.index"),
    ],
)
def test_what_is_damaged_beside_the_layers_is_said_and_the_layers_are_shown(saved_once, tmp_path, change, sentence):
    folder = tmp_path / "copy"
    shutil.copytree(saved_once, folder)
    whole = open_session(folder)
    _spoil(folder, change)
    with pytest.warns(DataWarning, match=sentence):
        opened = open_session(folder)
    assert opened.state.layers == whole.state.layers
    assert len(opened.left_out) == 1
    # and all else is as it was
    part = sentence.removeprefix("the ").split(" ")[0].split(".")[0].replace("flip_angle", "schedule")
    assert opened.compared is None if part == "comparison" else len(opened.compared.comparison.rows()) > 0
    assert (opened.schedule is None) == (part == "schedule")
    for name in {"view", "mapped", "hidden", "slots"} - {part}:
        assert getattr(opened.state, name) == getattr(whole.state, name)
    assert len(opened.state.pins) == len(whole.state.pins) - (part == "pins")


def test_a_session_without_layers_is_refused(saved_once, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(saved_once, folder)
    _spoil(folder, lambda state: state.update(layers="all", view=None))
    with pytest.raises(InputError, match="layers is damaged"):
        open_session(folder)


def test_a_folder_that_holds_more_than_is_open_is_not_proposed(saved_once, desk, tmp_path, monkeypatch):
    from qtpy.QtWidgets import QFileDialog

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    proposed = []
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *given: (proposed.append(given[-1]), ("", ""))[1])
    desk = desk()
    data = desk.turn_to("Data")
    desk.run(data, data.sample_buttons["head-slice"])
    data.sessions.save_as()
    # where a new session would be saved, there is an earlier one
    folder = Path(proposed[-1])
    shutil.copytree(saved_once, folder)
    for change, own in (
        (lambda state: None, True),
        (lambda state: state["layers"][0].update(opacity="thick"), False),
        (lambda state: state.update(layers="all"), False),
    ):
        _spoil(folder, change)
        data.sessions.open(folder)
        desk.wait(data)
        data.sessions.save_as()
        assert Path(proposed[-1]) == (folder / SESSION_FILE if own else folder.with_name(f"{folder.name}-2"))


def test_a_layer_too_far_away_to_be_read_again_is_named(desk, tmp_path):
    desk = desk()
    data = desk.turn_to("Data")
    desk.run(data, data.sample_buttons["head-slice"])
    desk.viewer.add_labels(np.ones((2, 3, 4), int), name="far", translate=(0, 3e7, 0), units=("nm",) * 3)
    data.sessions.save(tmp_path / "session")
    said = desk.wait(data)
    assert "Saved the session" in said
    assert said.endswith("left out: far.")
    names = [layer.name for layer in open_session(tmp_path / "session").state.layers]
    assert names == [layer.name for layer in _ours(desk.viewer) if layer.name != "far"]


@pytest.fixture(scope="module")
def saved_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("saved") / "session"


@pytest.fixture
def saved_once(saved_folder, request):
    """A saved session, made by the first test that asks for it."""
    if not saved_folder.is_dir():
        busy = request.getfixturevalue("busy_desk")
        busy.workbench.data.sessions.save(saved_folder)
        busy.wait(busy.workbench.data)
    return saved_folder


def test_what_cannot_be_saved_or_opened_is_said(desk, tmp_path):
    desk = desk()
    data = desk.turn_to("Data")
    data.sessions.save(tmp_path / "nothing")
    assert "nothing to save" in data.jobs.message.text()
    data.sessions.open(tmp_path)
    assert SESSION_FILE in data.jobs.message.text()
    (tmp_path / SESSION_FILE).write_text("{}")
    data.sessions.open(tmp_path)
    assert "is no session" in desk.wait(data)
    assert len(desk.viewer.layers) == 0
    (tmp_path / "other.txt").write_text("mine")
    (tmp_path / SESSION_FILE).unlink()
    desk.run(data, data.sample_buttons["head-slice"])
    data.sessions.save(tmp_path)
    assert "holds other files" in desk.wait(data)
    assert (tmp_path / "other.txt").read_text() == "mine"


@pytest.mark.parametrize("what", ["layer", "viewer"])
def test_taken_away_while_a_session_opens(saved_once, desk, what):
    second = desk()
    panel = second.turn_to("Data")
    panel.sessions.open(saved_once)
    second.qtbot.waitUntil(lambda: len(second.viewer.layers) > 2, timeout=60_000)
    assert panel.is_busy
    if what == "viewer":
        # napari's own check after the test finds what keeps it
        second.viewer.close()
        return
    second.viewer.layers.remove(second.viewer.layers[0])
    second.wait(panel)
    second.qtbot.wait(200)
    # what had come stays, the rest is not forced upon whoever did not want it
    assert 0 < len(second.viewer.layers) < len(_layers_saved_in(saved_once))


def test_what_is_open_already_makes_room(busy_desk, tmp_path):
    data = busy_desk.turn_to("Data")
    data.sessions.save(tmp_path / "session")
    busy_desk.wait(data)
    before = _ours(busy_desk.viewer)
    seen = [layer.name for layer in before if layer.visible]
    data.sessions.open(tmp_path / "session")
    busy_desk.wait(data)
    after = [layer for layer in _ours(busy_desk.viewer) if layer not in before]
    assert len(after) == len(before)
    # napari numbers names that are there already; a head and a stack called like another get a number of their own
    assert [layer.name.removesuffix(" [1]").removesuffix(" 2") for layer in after if layer.visible] == seen
    assert not any(layer.visible for layer in before if isinstance(layer, Image))


def test_models_keep_their_colours_in_a_session(desk, tmp_path):
    desk = desk()
    head = synthetic_head(shape=(1, 12, 10))
    stack = nb.simulate(head, nb.spline_schedule(length=20))
    layers.add_stack(desk.session, stack)
    first, second, third = (replace(nb.reconstruct(stack, "dictionary", step=0.5), estimator=name) for name in "abc")
    for one in (first, second, third):
        layers.add_maps(desk.session, one, stack, None, one.estimator)
    # as they came, whichever is asked for first
    assert [desk.session.slot(one) for one in (third, first, second)] == [2, 0, 1]
    finished = replace(second, estimator="b")
    at_once(layers.replace_maps_steps(desk.session, second, finished, None))
    assert desk.session.slot(finished) == 1
    for layer in desk.session.layers("maps", first):
        desk.viewer.layers.remove(layer)
    write_session(snapshot(desk.session).saved, tmp_path / "session")
    desk.viewer.layers.clear()
    at_once(restore_steps(desk.session, open_session(tmp_path / "session")))
    slots = {entry.subject.estimator: desk.session.slot(entry.subject) for entry in desk.session.entries("maps")}
    assert slots == {"b": 1, "c": 2}
    # beside what is open, no two alike
    at_once(restore_steps(desk.session, open_session(tmp_path / "session")))
    slots = [desk.session.slot(entry.subject) for entry in desk.session.entries("maps")]
    assert len(set(slots)) == 4
    assert slots[:2] == [1, 2]
