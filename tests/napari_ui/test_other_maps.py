"""Maps by dictionaries of others in the window: without T2, and of what only a dictionary knows."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np

import napari_blochnet as nb
from napari_blochnet.evaluation.maps import OtherMap, ParameterMaps
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.saving.results import save_layer
from napari_blochnet.napari_ui.state.entries import entry_of

HEAD = nb.synthetic_phantom((1, 20, 18))


def _maps(name, seed, *, t2, b0=True):
    random = np.random.default_rng(seed)
    t1 = (HEAD.t1 * random.uniform(0.95, 1.05, HEAD.shape)).astype(np.float32)
    frequency = np.where(HEAD.mask, random.normal(5, 20, HEAD.shape), 0).astype(np.float32)
    return ParameterMaps(
        t1, HEAD.t2 if t2 else None, HEAD.pd, None, HEAD.mask, estimator=name, voxel_size=HEAD.voxel_size,
        affine=HEAD.affine, others={"B0": OtherMap(frequency, "Hz")} if b0 else {},
    )  # fmt: skip


def _compare(place, reference):
    compare = place.turn_to("Compare")
    compare.reference.value = reference
    compare.reference.native.activated.emit(compare.reference.native.currentIndex())
    said = place.run(compare, compare.run)
    assert said.startswith("Compared"), said
    return compare


def test_what_two_have_is_compared_shown_and_saved(desk, tmp_path):
    place = desk()
    theirs, ours, third = _maps("theirs", 1, t2=False), _maps("ours", 2, t2=True), _maps("third", 3, t2=True, b0=False)
    for each in (theirs, ours):
        layers.add_maps(place.session, each, None, None, each.estimator)
    bar = place.workbench.view_bar
    assert bar.buttons["B0"].isVisible()
    assert "Hz" in bar.buttons["B0"].toolTip()
    compare = _compare(place, theirs)
    differences = {entry.role: layer for layer, entry in place.session.pairs("maps", ours) if "diff" in entry.role}
    assert set(differences) == {"T1 difference", "B0 difference"}
    assert differences["B0 difference"].name == "ΔB0 (Hz) – ours − theirs"
    expected = (ours.others["B0"].values - theirs.others["B0"].values)[HEAD.mask]
    np.testing.assert_allclose(differences["B0 difference"].data[HEAD.mask], expected, rtol=1e-6)
    # T2, which was not compared, is not among the pictures
    shown = {entry.role for layer, entry in place.session.pairs("maps") if layer.visible}
    assert "T2" not in shown
    assert "T2 of ours is left out: theirs has no map of it." in compare.caption.text()
    table = compare.table
    assert [table.item(row, 1).text() for row in range(table.rowCount())] == ["T1", "B0"]
    assert table.item(1, 2).text().endswith(" Hz")
    for number in range(compare.plots.kind.count()):
        compare.plots.kind.setCurrentIndex(number)
        kind = compare.plots.kind.currentText()
        assert {name for (of, name), plot in compare.plots.plots.items() if not plot.isHidden()} == {"T1", "B0"}, kind
    # around the object there is no frequency; 0 Hz would be one
    place.qtbot.mouseClick(bar.buttons["B0"], place.button)
    place.qtbot.waitUntil(lambda: not bar.is_busy)
    (own,) = place.session.layers("maps", ours, "B0")
    assert np.isnan(own.data[~HEAD.mask]).all()
    low, high = own.contrast_limits
    assert low == -high
    menu = bar.open_limits()
    menu.close()
    assert ("B0", 0) in menu.rows

    for layer, unit in ((own, "Hz"), (differences["B0 difference"], "Hz"), (differences["T1 difference"], "%")):
        path = tmp_path / f"{unit == '%'}{layer is own}.nii"
        save_layer(entry_of(layer), layer.data, path)
        assert json.loads(path.with_suffix(".json").read_text())["Units"] == unit
        saved = nib.load(path).get_fdata().T
        np.testing.assert_allclose(saved[HEAD.mask], layer.data[HEAD.mask], rtol=1e-6)
        assert not saved[~HEAD.mask].any()

    # a reference that has no such map leaves no layer of earlier differences behind
    layers.add_maps(place.session, third, None, None, third.estimator)
    _compare(place, third)
    assert not place.session.layers("maps", ours, "B0 difference")
    assert place.session.layers("maps", ours, "T2 difference")
    assert not place.session.layers("maps", theirs, "T2 difference")
