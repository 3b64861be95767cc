"""What the session finds: the voxel under a point, whatever hides or covers it, and what is true of a stack or maps."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas.layer_data import phantom_layer_data
from napari_blochnet.napari_ui.state.pins import Voxel
from napari_blochnet.napari_ui.state.places import layer_of, voxel_under
from napari_blochnet.napari_ui.state.session import Compared, session_of
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.schedules.schedule import Schedule

SHAPE = (2, 4, 5)
SCHEDULE = Schedule(30.0, [10.0, 10.0, 10.0], 5.0)


def _phantom(shape=SHAPE, **geometry) -> Phantom:
    t1 = np.linspace(500.0, 1500.0, np.prod(shape)).reshape(shape)
    return Phantom(t1, t1 / 10, np.ones(shape), **geometry)


def _stack(name: str) -> FingerprintStack:
    return FingerprintStack(np.ones((3, *SHAPE), np.float32), SCHEDULE, kind="magnitude", name=name)


def _maps() -> ParameterMaps:
    phantom = _phantom()
    return ParameterMaps(phantom.t1, phantom.t2, phantom.pd, np.zeros(SHAPE), np.ones(SHAPE, bool))


@pytest.fixture
def scene(make_napari_viewer):
    """Two stacks on one grid, the second above, below maps of the first and a phantom."""
    viewer = make_napari_viewer()
    session = session_of(viewer)
    first, second, maps, phantom = _stack("first"), _stack("second"), _maps(), _phantom()
    for stack in (first, second):
        layers.add_stack(session, stack)
    layers.add_maps(session, maps, first, None, "model")
    layers.add_phantom(session, phantom)
    for layer in viewer.layers:
        layer.visible = True
    return SimpleNamespace(viewer=viewer, session=session, first=first, second=second, maps=maps, phantom=phantom)


def _under(scene, index=(1, 2, 3), **how):
    layer = scene.viewer.layers[0]
    return voxel_under(scene.session, tuple(layer.data_to_world((0, *index))), **how)


def _hide(scene, *subjects) -> None:
    for subject in subjects:
        for layer in scene.session.layers(subject=subject):
            layer.visible = False


def _delete(scene, *subjects) -> None:
    for subject in subjects:
        for layer in scene.session.layers(subject=subject):
            scene.viewer.layers.remove(layer)


def test_maps_stand_for_their_stack_and_phantoms_for_none(scene):
    # the phantom lies above the maps of the first stack, these above the second
    assert _under(scene) == Voxel(scene.first, (1, 2, 3))
    assert _under(scene, (0, 0, 0)) == Voxel(scene.first, (0, 0, 0))
    _delete(scene, scene.maps)
    assert _under(scene) == Voxel(scene.second, (1, 2, 3))


def test_what_is_seen_counts_before_what_is_hidden(scene):
    _hide(scene, scene.maps, scene.second)
    assert _under(scene).stack is scene.first
    _hide(scene, scene.first)
    # nothing of either is seen, as when the phantom alone is shown: the upper, like a click in the inspector
    assert _under(scene).stack is scene.first
    _delete(scene, scene.maps)
    assert _under(scene).stack is scene.second


def test_the_stack_that_is_worked_on_counts_first(scene):
    _hide(scene, scene.second)
    assert _under(scene, preferred=scene.second) == Voxel(scene.second, (1, 2, 3))
    assert _under(scene, preferred=scene.first) == Voxel(scene.first, (1, 2, 3))


def test_a_stack_lies_where_its_maps_do_once_its_layer_is_gone(scene):
    _delete(scene, scene.first, scene.second)
    assert _under_world(scene, (1.0, 2.0, 3.0)) == Voxel(scene.first, (1, 2, 3))
    assert layer_of(scene.session, scene.first) in scene.session.layers("maps", scene.maps)


def _under_world(scene, point):
    return voxel_under(scene.session, point)


def test_regions_stand_for_no_stack(scene):
    region = layers.add_region(scene.session, scene.first)
    region.mode = "pan_zoom"
    _delete(scene, scene.maps, scene.second)
    assert _under(scene).stack is scene.first
    for layer in scene.session.layers("stack"):
        scene.viewer.layers.remove(layer)
    assert region in scene.viewer.layers
    assert _under_world(scene, (1.0, 2.0, 3.0)) is None


def test_outside_there_is_no_voxel(scene):
    for index in ((-1, 0, 0), (2, 0, 0), (0, 4, 0), (0, 0, 5)):
        assert _under(scene, index) is None


def test_a_stack_s_own_layer_is_taken_before_that_of_its_maps(scene):
    assert layer_of(scene.session, scene.first) in scene.session.layers("stack", scene.first)
    assert layer_of(scene.session, _stack("elsewhere")) is None


def test_the_truth_is_what_a_layer_names(scene):
    session = scene.session
    assert session.truth_of(scene.first) is session.truth_of(scene.maps) is None
    named, other = _phantom(), _phantom()
    known = _stack("known")
    layers.add_stack(session, known, named)
    assert session.truth_of(known) is named
    mapped = _maps()
    layers.add_maps(session, mapped, scene.second, other, "beside another")
    assert session.truth_of(mapped) is other
    # a stack that names none takes what its maps were mapped beside; the first has no such maps
    assert session.truth_of(scene.second) is other
    assert session.truth_of(scene.first) is None
    # what a stack names itself counts before that
    layers.add_maps(session, _maps(), known, other, "beside yet another")
    assert session.truth_of(known) is named


def test_the_truth_is_else_what_was_compared(scene):
    session = scene.session
    larger = _phantom((4, 4, 5))
    session.compared = Compared(SimpleNamespace(), larger, (scene.maps,))
    for subject in (scene.maps, scene.first):
        truth = session.truth_of(subject)
        # the part on the subject's grid
        np.testing.assert_array_equal(truth.t1, larger.t1[:2])
    assert session.truth_of(scene.second) is None
    assert session.truth_of(_maps()) is None
    session.compared = Compared(SimpleNamespace(), _phantom(voxel_size=(9, 9, 9)), (scene.maps,))
    assert session.truth_of(scene.maps) is None


@pytest.mark.parametrize("when", ["before", "after"])
def test_layers_that_somebody_else_adds_are_finished_like_ours(make_napari_viewer, when):
    viewer = make_napari_viewer()
    if when == "after":
        session_of(viewer)
    for data, how, kind in phantom_layer_data(_phantom()) + phantom_layer_data(_phantom()):
        viewer._add_layer_from_data(data, how, kind)
    one, other = session_of(viewer).layers(role="T1")
    assert one.colorbar.visible
    # maps of one quantity share their limits
    one.contrast_limits = (0, 321)
    assert other.contrast_limits == [0, 321]
