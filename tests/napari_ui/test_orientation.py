"""Letters at the pictures' edges, heads upright in every plane, and three planes that are linked to the canvas."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.io import savemat

import napari_blochnet as nb
from napari_blochnet.jobs.operations.opening import open_phantom
from napari_blochnet.napari_ui.background.turns import at_once
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas.letters import PictureLetters
from napari_blochnet.napari_ui.canvas.showing import show_alone
from napari_blochnet.phantoms.write import write_phantom

SHAPE = (12, 16, 14)


def _phantom(affine):
    """Return a phantom with one bright corner: its first voxel along every axis."""
    t1 = np.full(SHAPE, 1000.0)
    t1[:4, :4, :4] = 3000.0
    return nb.Phantom(t1=t1, t2=np.full(SHAPE, 100.0), pd=np.ones(SHAPE), affine=affine)


def _affine(order, signs):
    affine = np.eye(4)
    affine[:3, :3] = np.diag(signs)[:, list(order)] * 2.0
    return affine


# right-handed and left-handed, axial, coronal and sagittal
AFFINES = {
    "RAS": _affine((0, 1, 2), (1, 1, 1)),
    "LPS": _affine((0, 1, 2), (-1, -1, 1)),
    "LAS": _affine((0, 1, 2), (-1, 1, 1)),
    "RSP": _affine((0, 2, 1), (1, -1, 1)),
    "PIR": _affine((1, 2, 0), (1, -1, -1)),
}
OPPOSITE = dict(zip("RLAPSI", "LRPAIS", strict=True))


def _letters(place):
    """Return the letters at top, bottom, left and right once they are drawn."""
    part = place.session.part(PictureLetters)
    part.update()
    return tuple(letter.text for letter in part.letters)


def _body(place, layer, affine, y, x):
    """Return where a pixel of the canvas lies in the body, RAS+, by napari's own transforms."""
    viewer = place.viewer
    canvas = viewer.window._qt_viewer.canvas
    found = canvas.view.scene.node_transform(canvas._scene_canvas.scene).imap([x, y, 0, 1])[:2]
    point = np.array(viewer.dims.point, float)
    point[list(viewer.dims.displayed)] = found[::-1]
    index = np.asarray(layer.world_to_data(point))[-3:]
    return affine[:3, :3] @ index[::-1]


@pytest.mark.parametrize("name", AFFINES)
def test_letters_say_where_the_canvas_runs_in_every_plane(desk, name):
    place = desk()
    affine = AFFINES[name]
    phantom = _phantom(affine)
    layers.add_phantom(place.session, phantom)
    layer = place.session.layers("phantom", role="T1")[0]
    for order in itertools.permutations(range(3)):
        place.viewer.dims.order = order
        place.qtbot.wait(50)
        top, bottom, left, right = _letters(place)
        here = _body(place, layer, affine, 300, 200)
        down, across = _body(place, layer, affine, 310, 200) - here, _body(place, layer, affine, 300, 210) - here
        for direction, ahead, behind in ((down, bottom, top), (across, right, left)):
            axis = int(np.argmax(np.abs(direction)))
            assert ahead == ("LR", "PA", "IS")[axis][int(direction[axis] > 0)]
            assert behind == OPPOSITE[ahead]
        # never upside down
        assert top not in "IP"


def test_nothing_is_said_of_an_array_without_an_affine(desk, tmp_path):
    place = desk()
    stack = nb.simulate(_phantom(AFFINES["RAS"]), nb.spline_schedule(length=20))
    np.save(tmp_path / "stack.npy", np.abs(stack.data).astype(np.float32))
    read = nb.read_fingerprints(tmp_path / "stack.npy", schedule=stack.schedule)
    layers.add_stack(place.session, read)
    assert _letters(place) == ()


def test_maps_and_frames_of_arrays_lie_the_same_way(desk, tmp_path):
    """MATLAB's maps and stacks say nothing of where they lie: both are images, first row on top, without letters."""
    place = desk()
    maps = {"T1": np.outer(np.linspace(500, 1000, 6), np.ones(8)), "T2": np.full((6, 8), 100.0)}
    savemat(tmp_path / "maps.mat", maps)
    phantom = open_phantom(tmp_path / "maps.mat")
    np.save(tmp_path / "stack.npy", np.ones((20, 6, 8), np.float32))
    stack = nb.read_fingerprints(tmp_path / "stack.npy", schedule=nb.spline_schedule(length=20), kind="magnitude")
    shown = [*layers.add_phantom(place.session, phantom), *layers.add_stack(place.session, stack, phantom)]
    shown += layers.add_stack(place.session, nb.simulate(phantom, stack.schedule), phantom)
    assert {layer.scale[-2] for layer in shown} == {1.0}
    assert {layer.translate[-2] for layer in shown} == {0.0}
    assert _letters(place) == ()
    # what is written keeps the order of its voxels, and says where they lie
    write_phantom(phantom, tmp_path / "written")
    np.testing.assert_allclose(open_phantom(tmp_path / "written").t1, phantom.t1, rtol=1e-6)


def test_three_planes_move_with_the_canvas_and_the_canvas_with_them(desk):
    place = desk()
    phantom = _phantom(AFFINES["LAS"])
    layers.add_phantom(place.session, phantom)
    stack = nb.simulate(phantom, nb.spline_schedule(length=20))
    layers.add_stack(place.session, stack, phantom)
    layer = place.session.layers("phantom", role="T1")[0]
    at_once(show_alone(place.session, layer))
    place.click(place.workbench.view_bar.planes)
    (planes,) = [widget for name, widget in place.viewer.window.dock_widgets.items() if name.startswith("Three planes")]
    place.qtbot.waitUntil(lambda: planes.shown is not None and planes.shown[0] is layer)
    planes.go_to((2, 3, 1))
    planes.update_planes()
    assert [view.image.image[0, 0] for view in planes.views.values()] == [3000] * 3
    assert round(float(layer.world_to_data(place.viewer.dims.point[-3:])[0])) == 2
    # each plane is the slice of the volume through the voxel, whichever way round it is shown
    np.testing.assert_array_equal(planes.views["axial"].image.image, phantom.t1[2])
    np.testing.assert_array_equal(planes.views["coronal"].image.image, phantom.t1[:, 3])
    np.testing.assert_array_equal(planes.views["sagittal"].image.image, phantom.t1[:, :, 1])
    place.go_to_slice(layer, 9)
    place.qtbot.waitUntil(lambda: planes.index == (9, 3, 1))
    # colours are those of the layer
    layer.contrast_limits = (0, 5000)
    place.qtbot.waitUntil(lambda: tuple(planes.views["axial"].image.getLevels()) == (0, 5000))
    # of maps and stacks, a voxel that is chosen here is the inspector's
    at_once(show_alone(place.session, place.session.layers("stack")[0]))
    planes.update_planes()
    planes.go_to((4, 5, 6))
    assert place.session.voxel.index == (4, 5, 6)
    texts = {plane: [letter.toPlainText() for letter in view.letters] for plane, view in planes.views.items()}
    # top, bottom, left, right
    assert texts == {"axial": ["A", "P", "R", "L"], "coronal": ["S", "I", "R", "L"], "sagittal": ["S", "I", "A", "P"]}


def _planes(place):
    place.click(place.workbench.view_bar.planes)
    (planes,) = [widget for name, widget in place.viewer.window.dock_widgets.items() if name.startswith("Three planes")]
    place.qtbot.waitUntil(lambda: planes.isVisible() and planes.shown is not None)
    planes.update_planes()
    return planes


def test_planes_have_their_letters_outside_the_pictures(desk):
    place = desk()
    layers.add_phantom(place.session, _phantom(AFFINES["LAS"]))
    planes = _planes(place)
    planes.go_to(tuple(length // 2 for length in SHAPE))
    planes.update_planes()
    place.qtbot.wait(50)
    for view in planes.views.values():
        view.plot.getViewBox().prepareForPaint()
        picture = view.image.mapRectToScene(view.image.boundingRect())
        room = view.plot.getViewBox().sceneBoundingRect()
        for letter in view.letters:
            # TextItems place themselves when they are painted
            letter.updateTransform(force=True)
            text = letter.textItem.mapRectToScene(letter.textItem.boundingRect())
            assert room.adjusted(-1, -1, 1, 1).contains(text)
            inside = picture.adjusted(1, 1, -1, -1).intersected(text)
            assert inside.isEmpty(), (view.plane, letter.toPlainText())
        # lines end with the picture, in another colour than the letters
        for line in view.lines:
            assert picture.adjusted(-2, -2, 2, 2).contains(line.mapRectToScene(line.boundingRect()))
            assert line.opts["pen"].color() != view.letters[0].color


def test_of_one_slice_only_its_own_plane_is_shown(desk):
    place = desk()
    one = nb.Phantom(t1=np.full((1, 20, 18), 1000.0), t2=np.full((1, 20, 18), 80.0), pd=np.ones((1, 20, 18)),
                     affine=AFFINES["LAS"])  # fmt: skip
    layers.add_phantom(place.session, one)
    planes = _planes(place)
    assert {name: view.plot.isVisible() for name, view in planes.views.items()} == {
        "axial": True, "coronal": False, "sagittal": False,
    }  # fmt: skip
    layers.add_phantom(place.session, _phantom(AFFINES["LAS"]))
    planes.update_planes()
    assert all(view.plot.isVisible() for view in planes.views.values())


def test_planes_that_are_opened_again_are_where_the_canvas_is(desk):
    place = desk()
    layers.add_phantom(place.session, _phantom(AFFINES["LAS"]))
    layer = place.session.layers("phantom", role="T1")[0]
    planes = _planes(place)
    planes.go_to((2, 3, 4))
    callbacks = len(layer.events.contrast_limits.callbacks)
    planes.parent().hide()
    assert planes.shown is None
    assert len(layer.events.contrast_limits.callbacks) == callbacks - 1
    place.go_to_slice(layer, 9)
    planes.parent().show()
    place.qtbot.waitUntil(lambda: planes.index == (9, 3, 4))
    assert len(layer.events.contrast_limits.callbacks) == callbacks


def test_letters_follow_layers_that_were_there_before_them(desk):
    place = desk()
    layers.add_phantom(place.session, _phantom(AFFINES["LAS"]))
    late = PictureLetters(place.session)
    layer = place.session.layers("phantom", role="T1")[0]
    layer.visible = False
    layer.visible = True
    place.qtbot.waitUntil(lambda: len(late.letters) == 4)
    layer.visible = False
    place.qtbot.waitUntil(lambda: late.letters == ())


def test_letters_are_read_on_a_white_canvas(desk):
    place = desk()
    layers.add_phantom(place.session, _phantom(AFFINES["LAS"]))
    _letters(place)
    native = place.viewer.window._qt_viewer.canvas
    part = place.session.part(PictureLetters)
    node = native._viewer_overlay_to_visual[part._overlay][0].node
    # each letter over a dark line around it: the luminance of yellow alone is that of white
    assert len(node.text) == 9 * len(part.letters)
    colours = node.color.rgba
    assert (colours[: 8 * len(part.letters), :3] == 0).all()
    assert node.text[-len(part.letters) :] == [letter.text for letter in part.letters]


def test_small_pictures_have_no_letters_on_them(desk):
    place = desk()
    layers.add_phantom(place.session, _phantom(AFFINES["LAS"]))
    assert len(_letters(place)) == 4
    place.viewer.scene.camera.zoom = 90 / (2.0 * max(SHAPE))
    assert _letters(place) == ()
