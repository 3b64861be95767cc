"""Layers in other units than ours: µm, m, pixels; whatever the viewer counts in, the same voxels are meant."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.layers import Labels, Shapes

from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.background.turns import at_once
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.canvas.showing import look_at
from napari_blochnet.napari_ui.sessions.snapshots import snapshot
from napari_blochnet.napari_ui.state.drawn_regions import regions_on
from napari_blochnet.napari_ui.state.pins import Voxel
from napari_blochnet.napari_ui.state.places import current_slice, displayed_point, mask_of_region, voxel_under
from napari_blochnet.napari_ui.state.session import session_of
from napari_blochnet.napari_ui.state.world import affine_in_mm, to_viewer
from napari_blochnet.napari_ui.widgets.part_choice import PartChoice
from napari_blochnet.schedules.schedule import Schedule

SHAPE = (2, 12, 10)
# of a volume that lies anywhere, its voxels no cubes, its rows upwards
AFFINE = np.array([[2.0, 0, 0, -9], [0, 2.5, 0, 40], [0, 0, 6, 11], [0, 0, 0, 1]])
# how many of each unit one mm is
UNITS = {"mm": 1.0, "µm": 1e3, "micrometer": 1e3, "m": 1e-3, "cm": 0.1, "pixel": 1.0}


@pytest.fixture
def scene(make_napari_viewer):
    viewer = make_napari_viewer()
    session = session_of(viewer)
    data = np.ones((3, *SHAPE), np.float32)
    stack = FingerprintStack(
        data, Schedule(30.0, [10.0] * 3, 5.0), kind="magnitude", voxel_size=(6, 2.5, 2), affine=AFFINE
    )
    t1 = np.linspace(500.0, 1500.0, data[0].size).reshape(SHAPE)
    maps = ParameterMaps(
        t1, t1 / 10, np.ones(SHAPE), np.zeros(SHAPE), np.ones(SHAPE, bool), voxel_size=(6, 2.5, 2), affine=AFFINE
    )
    (stack_layer,) = layers.add_stack(session, stack)
    maps_layer = layers.add_maps(session, maps, stack, None, "dictionary")[-1]
    return SimpleNamespace(
        viewer=viewer, session=session, stack=stack, maps=maps, stack_layer=stack_layer, maps_layer=maps_layer
    )


def _painted() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[0, :6, :4] = 1
    return labels


def _labels(scene, unit: str, data=None, **how) -> Labels:
    per_mm = UNITS[unit]
    place = {"scale": scene.maps_layer.scale * per_mm, "translate": scene.maps_layer.translate * per_mm, **how}
    return Labels(_painted() if data is None else data, units=[unit] * 3, name=f"in {unit}", **place)


@pytest.mark.parametrize("unit", UNITS)
def test_the_same_voxels_whatever_the_unit(scene, unit):
    layer = scene.viewer.add_layer(_labels(scene, unit))
    found = regions_on(layer, scene.maps_layer)
    np.testing.assert_array_equal(found.regions[0].mask, _painted() == 1)
    assert found.note == ""
    choice = PartChoice(scene.session)
    choice.set_stack(scene.stack)
    choice.part.setCurrentText("a painted region")
    assert choice.region.value is layer
    np.testing.assert_array_equal(choice.voxels(), _painted() == 1)
    assert choice.note == ""


@pytest.mark.parametrize("unit", UNITS)
def test_slices_and_clicks_while_such_a_layer_is_open(scene, unit):
    viewer = scene.viewer
    viewer.add_layer(_labels(scene, unit))
    if unit in ("µm", "micrometer"):
        # napari counts in the smallest
        assert str(viewer.layers.extent.units[-1]) == "micrometer"
    for index in ((0, 3, 4), (1, 11, 9), (1, 0, 0)):
        at_once(look_at(scene.session, [scene.maps_layer], np.arange(2)[:, None, None] == index[0] + np.zeros(SHAPE)))
        assert current_slice(scene.session, scene.stack) == index[0]
        position = np.array(viewer.dims.point)
        position[-2:] = to_viewer(viewer, scene.maps_layer, index)[-2:]
        assert voxel_under(scene.session, position) == Voxel(scene.stack, index)
        mark = displayed_point(viewer, scene.maps_layer, index)
        np.testing.assert_allclose(mark, position[-2:])
        assert displayed_point(viewer, scene.maps_layer, (1 - index[0], *index[1:])) is None


def test_a_person_chose_what_the_viewer_counts_in(scene):
    viewer = scene.viewer
    viewer.layers.units = ("dimensionless", "m", "m", "m")
    at_once(look_at(scene.session, [scene.maps_layer], np.arange(2)[:, None, None] == 1 + np.zeros(SHAPE)))
    # slice 1 of 6 mm slices from 11 mm
    assert viewer.dims.point[-3] == pytest.approx(0.017)
    assert current_slice(scene.session, scene.stack) == 1
    # the saved view is in mm, whoever opens it
    assert snapshot(scene.session).saved.state["view"]["point"][-3] == pytest.approx(17.0)


def test_units_are_those_of_each_axis(scene):
    layer = _labels(scene, "mm")
    layer.units = ["m", "mm", "µm"]
    layer.scale = scene.maps_layer.scale * [1e-3, 1, 1e3]
    layer.translate = scene.maps_layer.translate * [1e-3, 1, 1e3]
    np.testing.assert_allclose(affine_in_mm(layer), affine_in_mm(scene.maps_layer))
    np.testing.assert_array_equal(regions_on(layer, scene.maps_layer).regions[0].mask, _painted() == 1)


def test_no_lengths_are_refused_in_a_sentence(scene):
    layer = _labels(scene, "mm")
    layer.units = ["s", "mm", "mm"]
    with pytest.raises(InputError, match=r"in mm: its axis .* is in units of second; expected a length"):
        regions_on(layer, scene.maps_layer)
    with pytest.raises(InputError, match="expected a length"):
        mask_of_region(layer, scene.stack_layer)


def test_mirrored_labels_are_turned_and_it_is_told(scene):
    scale, translate = scene.maps_layer.scale, scene.maps_layer.translate
    # the first row last, as another program has stored it; in µm
    last = translate + scale * [0, SHAPE[1] - 1, 0]
    layer = _labels(scene, "µm", _painted()[:, ::-1], scale=scale * [1e3, -1e3, 1e3], translate=last * 1e3)
    found = regions_on(layer, scene.maps_layer)
    np.testing.assert_array_equal(found.regions[0].mask, _painted() == 1)
    assert "it was turned to lie alike" in found.note
    mask, note = mask_of_region(layer, scene.stack_layer)
    np.testing.assert_array_equal(mask, _painted() == 1)
    assert "turned" in note


def test_labels_of_another_grid_are_resampled_and_it_is_told(scene):
    fine = _painted().repeat(2, axis=1).repeat(2, axis=2)
    scale = scene.maps_layer.scale / [1, 2, 2]
    translate = scene.maps_layer.translate - scale * [0, 0.5, 0.5]
    layer = _labels(scene, "m", fine, scale=scale * 1e-3, translate=translate * 1e-3)
    found = regions_on(layer, scene.maps_layer)
    np.testing.assert_array_equal(found.regions[0].mask, _painted() == 1)
    assert "resampled by the nearest voxel" in found.note


def test_a_small_piece_counts_where_it_lies(scene):
    # one voxel of 240, which is less than a volume of files must cover
    shifted = scene.maps_layer.translate + scene.maps_layer.scale * [1, 7, 3]
    layer = _labels(scene, "µm", np.ones((1, 1, 1), int), translate=shifted * 1e3)
    assert np.argwhere(regions_on(layer, scene.maps_layer).regions[0].mask).tolist() == [[1, 7, 3]]


def test_labels_of_the_same_shape_elsewhere_are_not_taken_by_index(scene):
    # one row further, however plain the affine: a person sees where it lies
    moved = scene.maps_layer.translate + scene.maps_layer.scale * [0, 1, 0]
    mask = regions_on(_labels(scene, "m", translate=moved * 1e-3), scene.maps_layer).regions[0].mask
    np.testing.assert_array_equal(mask[:, 1:], _painted()[:, :-1] == 1)
    far = _labels(scene, "µm", translate=scene.maps_layer.translate * 1e3 + 1e6)
    with pytest.raises(InputError, match="no region"):
        regions_on(far, scene.maps_layer)
    with pytest.raises(InputError, match="Nothing is painted"):
        mask_of_region(far, scene.stack_layer)


def test_planes_pyramids_and_odd_tables_of_names(scene):
    scale, translate = scene.maps_layer.scale, scene.maps_layer.translate
    plane = Labels(_painted()[0], scale=scale[1:] * 1e3, translate=translate[1:] * 1e3, units=["µm"] * 2)
    mask = regions_on(plane, scene.maps_layer).regions[0].mask
    np.testing.assert_array_equal(mask, np.broadcast_to(_painted()[0] == 1, SHAPE))
    levels = [_painted(), _painted()[:, ::2, ::2]]
    pyramid = Labels(levels, multiscale=True, scale=scale * 1e3, translate=translate * 1e3, units=["µm"] * 3)
    np.testing.assert_array_equal(regions_on(pyramid, scene.maps_layer).regions[0].mask, _painted() == 1)
    named = _labels(scene, "mm")
    named.features = {"index": [np.nan, 1], "name": ["of no label", "sphere"]}
    assert [region.name for region in regions_on(named, scene.maps_layer).regions] == ["sphere"]


def test_shapes_in_micrometres(scene):
    box = np.array([[0, -0.4, -0.4], [0, -0.4, 3.4], [0, 5.4, 3.4], [0, 5.4, -0.4]])
    how = {"scale": scene.maps_layer.scale * 1e3, "translate": scene.maps_layer.translate * 1e3, "units": ["µm"] * 3}
    shapes = Shapes([box], shape_type="polygon", **how)
    np.testing.assert_array_equal(regions_on(shapes, scene.maps_layer).regions[0].mask, _painted() == 1)
