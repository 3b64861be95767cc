"""The B1 map of the Map tab: a phantom's own, a layer, a file; its unit asked, and what is made of it told."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.jobs.settings import ReconstructSettings
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.phantoms.synthetic import synthetic_phantom

GRID = {"t1_range": (300.0, 3000.0), "t2_range": (20.0, 300.0), "step": 0.2}
SHAPE = (2, 12, 10)


@pytest.fixture
def mapping(desk):
    """Open a stack whose phantom lies in a field from 0.8 to 1.2."""
    desk = desk()
    phantom = nb.add_b1_field(synthetic_phantom(SHAPE), b1_range=(0.8, 1.2), seed=3)
    stack = nb.simulate(phantom, nb.spline_schedule(length=40, control_points=4), snr=200.0)
    layers.add_stack(desk.session, stack, phantom)
    tab = desk.turn_to("Map")
    tab.form.set_values(GRID)
    tab.desk, tab.made_of = desk, phantom
    return tab


def _said(tab) -> str:
    tab.desk.wait(tab)
    return tab.b1.said.text()


def test_the_phantoms_own_field_is_offered_and_makes_the_maps_right(mapping):
    desk, phantom = mapping.desk, mapping.made_of
    texts = [mapping.b1.choice.native.itemText(n) for n in range(mapping.b1.choice.native.count())]
    assert texts == ["nominal everywhere", "the phantom's own field", "a map from a file…"]
    assert "take B1 as nominal" in mapping.b1.said.text()
    desk.run(mapping, mapping.run)
    mapping.b1.choice.value = "the phantom's own field"
    inside = phantom.b1[phantom.mask]
    said = _said(mapping)
    assert f"B1 is {np.percentile(inside, 1):.3g} to {np.percentile(inside, 99):.3g} of nominal" in said
    desk.run(mapping, mapping.run)
    without, known = (entry.subject for entry in desk.session.entries("maps"))
    assert without.b1 is None
    np.testing.assert_allclose(known.b1[known.mask], phantom.b1[known.mask], rtol=1e-6)
    here = known.mask & (phantom.t2 > 0)
    off = [np.median(np.abs(maps.t2[here] / phantom.t2[here] - 1)) for maps in (without, known)]
    assert off[1] < off[0]


def test_the_unit_is_asked_where_values_may_be_per_cent_or_degrees(mapping):
    values = np.full(SHAPE, 72.0) * np.linspace(0.9, 1.1, SHAPE[2])
    shown = mapping.desk.session.layers("stack", mapping.stack.value)[0]
    place = {"scale": shown.scale[1:], "translate": shown.translate[1:], "units": ["mm"] * 3}
    layer = mapping.desk.viewer.add_image(values, name="afi", **place)
    assert mapping.b1.choose(layer)
    said = _said(mapping)
    assert "may be per cent or degrees; expected a field relative to nominal, or the unit above: what" in said
    assert "_" not in said
    assert mapping.b1.said.property("state") == "error"
    mapping.b1.unit.setCurrentText("degrees, nominal:")
    assert mapping.b1.nominal.native.isVisible()
    mapping.b1.nominal.native.setValue(80.0)
    assert "of nominal, median 0.89" in _said(mapping)
    assert mapping.b1.said.property("state") == ""
    assert mapping.b1.settings() == {"b1": None, "b1_nominal": 80.0}


def test_a_file_is_a_setting_is_resampled_and_a_wrong_one_is_told_beside_it(mapping, tmp_path):
    stack = mapping.stack.value
    coarse = np.full((5, 6, 1), 95.0, np.float32)
    affine = stack.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] += stack.affine[:3, :3] @ np.full(3, 0.5)
    path = tmp_path / "sub-01_TB1map.nii.gz"
    nib.save(nib.Nifti1Image(coarse, affine), path)
    mapping.b1.choice.value = "a map from a file…"
    assert mapping.b1.said.text() == ""
    mapping.b1.file._take(str(path))
    said = _said(mapping)
    assert "B1 is 0.95 to 0.95 of nominal" in said
    assert "per cent" in said
    assert "resampled" in said
    assert ReconstructSettings(**mapping.b1.settings()).b1 == str(path)
    mapping.b1.file._take(str(tmp_path / "none.nii.gz"))
    assert "none.nii.gz" in _said(mapping)
    said = mapping.desk.run(mapping, mapping.run)
    assert mapping.b1.said.text() == said
    # another stack has another field, and this one its own when it is looked at again
    other = nb.simulate(synthetic_phantom(SHAPE, seed=1), mapping.stack.value.schedule)
    layers.add_stack(mapping.desk.session, other)
    mapping.stack.value = other
    assert mapping.b1.settings() == {"b1": None, "b1_nominal": None}
    assert mapping.b1.said.text() == ""
    mapping.stack.value = stack
    assert mapping.b1.settings()["b1"] == str(tmp_path / "none.nii.gz")
    assert "none.nii.gz" in _said(mapping)


@pytest.mark.parametrize("source", ["the phantom's own field", "a map from a file…", "layer"])
def test_a_session_brings_the_b1_map_back_that_was_chosen(mapping, desk, tmp_path, source):
    values = np.linspace(68, 88, int(np.prod(SHAPE)), dtype=np.float32).reshape(SHAPE)
    stack = mapping.stack.value
    if source == "layer":
        shown = mapping.desk.session.layers("stack", stack)[0]
        # a layer of another program, one axis running backwards
        layer = mapping.desk.viewer.add_image(
            values[:, ::-1], name="afi", scale=shown.scale[1:] * [1, -1, 1], units=["mm"] * 3,
            translate=np.add(shown.translate[1:], [0, (SHAPE[1] - 1) * shown.scale[2], 0]), colormap="magma",
        )  # fmt: skip
        mapping.desk.viewer.add_image(values, name="another")
        assert mapping.b1.choose(layer)
        mapping.b1.unit.setCurrentText("degrees, nominal:")
        mapping.b1.nominal.native.setValue(80.0)
    elif source == "a map from a file…":
        nib.save(nib.Nifti1Image(values.T, stack.affine), tmp_path / "afi.nii.gz")
        mapping.b1.choice.value = source
        mapping.b1.file._take(str(tmp_path / "afi.nii.gz"))
        mapping.b1.unit.setCurrentText("per cent")
    else:
        mapping.b1.choice.value = source
    said, settings = _said(mapping), mapping.b1.settings()
    assert "of nominal, median" in said
    data = mapping.desk.workbench.data
    mapping.desk.turn_to("Data")
    data.sessions.save(tmp_path / "session")
    told = mapping.desk.wait(data)
    assert "Saved the session" in told
    assert ("another" in told) == (source == "layer")

    second = desk()
    data = second.turn_to("Data")
    data.sessions.open(tmp_path / "session")
    assert "Opened the session" in second.wait(data)
    again = second.turn_to("Map")
    second.wait(again)
    assert again.b1.said.text() == said
    assert again.b1.settings() == settings
    found, before = again.b1.reading(again.stack.value), mapping.b1.reading(stack)
    assert (found is None) == (source == "a map from a file…")
    if found is not None:
        np.testing.assert_array_equal(found(), before())
    if source == "layer":
        laid = next(one for one in second.viewer.layers if one.name == "afi")
        np.testing.assert_array_equal(found(), values)
        assert laid.colormap.name == "magma"
        assert not [one for one in second.viewer.layers if one.name == "another"]
