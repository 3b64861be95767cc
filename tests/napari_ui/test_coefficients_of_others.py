"""Acquired coefficient images, with their group's own dictionary, from files to T1 in the window."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.io import loadmat
from test_drops import _drop
from test_opening import _drop as _drop_on

from napari_blochnet.evaluation.voxel import Voxel
from napari_blochnet.napari_ui.panels.map.brought_choice import BroughtChoice
from napari_blochnet.napari_ui.widgets.docks import INSPECTOR, open_dock

FOLDER = ("coefficients", "ua_t1_phantom")


def _deviation(maps, folder) -> float:
    """Return the mean |deviation| of T1 from spin echo over the ten tubes, per cent."""
    true = loadmat(folder / "reference_maps.mat")["seir_t1map"]
    masks = loadmat(folder / "roi_masks.mat")["roi_masks"][0, 0]
    tubes = [masks[f"roi{number}"] > 0 for number in range(1, 11)]
    return 100 * float(np.mean([abs(maps.t1[0][tube].mean() / true[tube].mean() - 1) for tube in tubes]))


@pytest.mark.parametrize("times", [10, 30])
def test_from_files_to_t1(desk, shared_data, times):
    """Data tab: the stack, then the basis that it asks for; Map tab: Map, for its dictionary came with the basis."""
    folder = shared_data.joinpath(*FOLDER)
    place = desk()
    said = place.open_stack(folder / f"contrast_1meas_llr_{times}ti.mat")
    assert "expected the basis of coefficient images" in said
    data = place.workbench.data
    # asked for where it is given, in view
    basis = data.stack_form.editor("basis")
    place.qtbot.waitUntil(basis.native.isVisible)
    assert "basis of coefficient images" in data.stack_form.errors()["basis"]
    basis.value = str(folder / f"t1_phantom_PC_{times}TI.mat")
    assert place.run(data, data.open_stack).startswith("Opened")
    assert data.stack_form.errors() == {}
    (stack,) = [entry.subject for entry in place.session.entries("stack")]
    assert stack.shape == (4, 1, 128, 128)
    assert stack.pulses == times

    mapping = place.turn_to("Map")
    assert mapping.run.isEnabled()
    place.run(mapping, mapping.run)
    maps = place.session.entries("maps")[-1].subject
    assert maps.t2 is None
    assert _deviation(maps, folder) <= 3.5
    assert {"T1", "PD", "B1"} <= {
        role for role, button in place.workbench.view_bar.buttons.items() if button.isVisible()
    }
    if times == 30:
        return
    # the reference is the truth; its file has a B1 that was measured by another sequence, where there are tubes
    place.open_phantom(folder / "reference_maps.mat")
    mapping = place.turn_to("Map")
    mapping.truth.native.setCurrentText("reference_maps")
    mapping.b1.choice.native.setCurrentText("a map from a file…")
    mapping.b1.file._take(str(folder / "reference_maps.mat"))
    place.wait(mapping)
    # beside the tubes it holds noise
    place.qtbot.waitUntil(lambda: "a mask that leaves them out" in mapping.b1.said.text(), timeout=60_000)
    mapping.masking.choice.native.setCurrentText("above a threshold (Otsu's)")
    place.wait(mapping)
    assert place.run(mapping, mapping.run).startswith("Mapped")
    with_b1 = place.session.entries("maps")[-1].subject
    assert with_b1 is not maps
    assert _deviation(with_b1, folder) <= 2.5
    assert place.session.layers("maps", with_b1, "T1 error")
    # a reference of what nothing was estimated of is not shown beside the maps
    assert not any(layer.visible for layer in place.session.layers(role="T2"))
    # both are arrays that say nothing of where they lie: each as its rows are
    assert {layer.scale[-2] for layer in place.session.layers(role="T1")} == {1.0}
    compare = place.turn_to("Compare")
    place.run(compare, compare.run)
    (scores,) = {row["parameter"] for row in compare.comparison.rows()} - {"PD"}
    assert scores == "T1"


@pytest.mark.parametrize("order", [1, -1])
def test_dropped_on_the_window(desk, shared_data, monkeypatch, order):
    """The two files in either order: opened with the basis, and the dictionary stands in the Map tab."""
    folder = shared_data.joinpath(*FOLDER)
    place = desk()
    data = place.workbench.data
    for name in ["contrast_1meas_llr_10ti.mat", "t1_phantom_PC_10TI.mat"][::order]:
        _drop(place.viewer, place.qtbot, folder / name, monkeypatch)
    place.qtbot.waitUntil(lambda: bool(place.session.entries("stack")), timeout=60_000)
    place.wait(data)
    (stack,) = [entry.subject for entry in place.session.entries("stack")]
    assert stack.pulses == 10
    mapping = place.turn_to("Map")
    assert mapping.brought.form.values()["dictionary"] == str(folder / "t1_phantom_PC_10TI.mat")
    assert mapping.run.isEnabled()
    # one that is dropped later is the Map tab's, and the stack stays as it is
    _drop(place.viewer, place.qtbot, folder / "t1_phantom_PC_30TI.mat", monkeypatch)
    assert "the Map tab matches" in data.jobs.message.text()
    assert mapping.brought.runs()[0]["dictionary"] == str(folder / "t1_phantom_PC_30TI.mat")
    assert len(place.session.entries("stack")) == 1


def _archive(path, folder):
    """Write the group's dictionary as a NumPy archive of arrays with names of their own."""
    held = loadmat(folder / "t1_phantom_PC_10TI.mat")["D"][0, 0]
    names = ("magnetization", "u", "lookup_table", "normalization")
    np.savez(path, **{name: held[name] for name in names}, parameter=["B1", "T1 ms", "IE"])


@pytest.mark.parametrize("together", [True, False])
def test_a_dictionary_in_a_numpy_archive_is_dropped_as_others_are(desk, shared_data, tmp_path, monkeypatch, together):
    """On the Data tab with its coefficients, or on the canvas: it is the basis, and stands in the Map tab."""
    folder = shared_data.joinpath(*FOLDER)
    _archive(tmp_path / "ours.npz", folder)
    place = desk()
    data = place.workbench.data
    images = folder / "contrast_1meas_llr_10ti.mat"
    if together:
        _drop_on(data, images, tmp_path / "ours.npz")
    else:
        assert _drop(place.viewer, place.qtbot, tmp_path / "ours.npz", monkeypatch) == []
        assert "ours.npz is a dictionary: its basis is taken" in data.jobs.message.text()
        data.stack_path.take([str(images)])
    place.qtbot.waitUntil(lambda: bool(place.session.entries("stack")), timeout=60_000)
    place.wait(data)
    mapping = place.turn_to("Map")
    assert mapping.brought.runs()[0]["dictionary"] == str(tmp_path / "ours.npz")
    (stack,) = [entry.subject for entry in place.session.entries("stack")]
    assert stack.pulses == 10
    assert mapping.run.isEnabled()
    # nothing is offered that they cannot: whole fingerprints need a schedule
    data.compressing.choose(stack)
    assert data.compressing.run.isHidden()
    assert "no schedule" in data.compressing.said.text()
    # what was set for them is not said of the next file
    assert "ours.npz" in data.stack_options.summary.text()
    data.stack_path.line.setText("another.mat")
    assert data.stack_options.summary.isHidden()
    # without a schedule nothing is simulated: the inspector shows the coefficients and their curve
    place.session.pin(Voxel(stack, (0, 64, 64)))
    inspector = open_dock(place.viewer, INSPECTOR)
    place.qtbot.waitUntil(lambda: inspector.shown is not None, timeout=60_000)
    assert len(inspector.shown.measured) == 10


def test_which_of_several_dictionaries_is_asked_in_a_row_of_its_own(qtbot):
    choice = BroughtChoice()
    qtbot.addWidget(choice)
    row = choice.form.row("dictionary_variable")
    choice.take("several.mat")
    assert row.isHidden()
    assert choice.form.show_error("dictionary_variable", "several.mat holds several dictionaries")
    assert not row.isHidden()
    choice.form.set_values({"dictionary_variable": "fine"})
    assert choice.runs()[0]["dictionary_variable"] == "fine"
    choice.form.set_values({"dictionary_variable": None})
    assert not row.isHidden()
    choice.take("one.mat")
    assert row.isHidden()
