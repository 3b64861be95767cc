"""Results leave the window as files: maps, errors, fingerprints, single layers, scripts and recipes."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from clusters import cluster
from napari._app_model import get_app_model
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QComboBox, QFileDialog, QLineEdit, QMessageBox

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.errors import Cancelled
from napari_blochnet.evaluation.maps_io import read_maps, write_maps
from napari_blochnet.fingerprints.stack_files import read_fingerprints, write_fingerprints
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.napari_calls.writers import NotSavedError
from napari_blochnet.napari_ui.state.entries import ENTRY, entry_of
from napari_blochnet.phantoms.phantom import Phantom

ENDING = ".nii.gz"


def _oblique() -> np.ndarray:
    """A slice turned by 25° about x and 10° about z, as scanners tilt them."""
    a, b = np.deg2rad([25.0, 10.0])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_x @ about_z @ np.diag([2.0, 2.0, 3.0])
    affine[:3, 3] = -31.5, 12.25, 40.0
    return affine


def _mapped(desk):
    """Fill a desk with an oblique phantom, its fingerprints, and maps of two models with standard errors."""
    t1 = np.array([400.0, 800.0, 1300.0, 2200.0])[np.arange(96) % 4].reshape(2, 6, 8)
    labels = (np.arange(96) % 4 + 1).reshape(t1.shape).astype(np.uint8)
    phantom = Phantom(t1, t1 / 12, np.ones(t1.shape), labels=labels, tissues=("a", "b", "c", "d"),
                      voxel_size=(3, 2, 2), affine=_oblique(), name="block")  # fmt: skip
    layers.add_phantom(desk.session, phantom)
    desk.use_spline(60)
    simulate = desk.turn_to("Simulate")
    simulate.part.setCurrentText("all slices")
    desk.run(simulate, simulate.run)
    mapping = desk.turn_to("Map")
    mapping.estimators.tick(["dictionary", "universal"])
    mapping.part.setCurrentText("the whole volume")
    mapping.form.set_values({"step": 0.1, "uncertainty": True})
    assert desk.run(mapping, mapping.run).startswith("Mapped")
    return desk


@pytest.fixture
def mapped(shared):
    """Return the desk of maps that most tests here share."""
    desk = shared(_mapped)
    desk.turn_to("Map")
    return desk


def _answer(desk, *answers) -> list[str]:
    """Answer the next dialogs: a path, a path with the words of a filter, or a button of a question."""
    asked: list[str] = []
    wanted = list(answers)

    def answer() -> None:
        dialog = QApplication.activeModalWidget()
        if isinstance(dialog, QMessageBox) and not isinstance(wanted[0], (str, Path, tuple)):
            asked.append(dialog.text())
            desk.click(dialog.button(wanted.pop(0)))
        elif isinstance(dialog, QFileDialog):
            asked.append(dialog.windowTitle())
            path = wanted.pop(0)
            if isinstance(path, tuple):
                path, words = path
                box = dialog.findChild(QComboBox, "fileTypeCombo")
                box.setCurrentIndex(next(i for i in range(box.count()) if words in box.itemText(i)))
                box.activated.emit(box.currentIndex())
            line = dialog.findChild(QLineEdit, "fileNameEdit")
            line.setText(str(path))
            desk.qtbot.keyClick(line, Qt.Key.Key_Return)
        if wanted:
            QTimer.singleShot(50, answer)

    QTimer.singleShot(50, answer)
    return asked


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_maps_are_saved_as_the_command_writes_them(mapped, tmp_path):
    desk = mapped
    mapping = desk.workbench.map
    target = tmp_path / "out"
    target.mkdir()
    asked = _answer(desk, target)
    said = desk.run(mapping, mapping.save)
    assert len(asked) == 1
    assert said.startswith(f"Saved to {target}, a folder for each model (dictionary, universal): T1 and T2 in seconds")
    assert sorted(path.name for path in target.iterdir()) == ["dictionary", "universal"]

    for entry in desk.session.entries("maps"):
        folder = target / entry.title
        # what the command writes for the same maps
        write_maps(entry.subject, tmp_path / "command" / entry.title)
        for name, content in _files(tmp_path / "command" / entry.title).items():
            assert (folder / name).read_bytes() == content, name
        # an independent reader finds seconds, the oblique affine, the record
        for role, ending, scale in (
            ("T1", "T1map", 1e3),
            ("T2", "T2map", 1e3),
            ("PD", "PDmap", 1),
            ("T1 SE", "desc-se_T1map", 1e3),
        ):
            image = nib.load(folder / f"sub-01_{ending}{ENDING}")
            np.testing.assert_allclose(image.affine, _oblique(), atol=1e-5)
            assert image.header.get_xyzt_units()[0] == "mm"
            (layer,) = desk.session.layers("maps", entry.subject, role)
            np.testing.assert_allclose(image.get_fdata().T * scale, layer.data, rtol=2e-7)
        sidecar = json.loads((folder / "sub-01_T1map.json").read_text())
        assert sidecar["Units"] == "s"
        assert sidecar["Record"] == entry.subject.record
        (error,) = desk.session.layers("maps", entry.subject, "T1 error")
        written = nib.load(folder / f"sub-01_desc-error_T1map{ENDING}").get_fdata().T
        np.testing.assert_array_equal(written, np.nan_to_num(error.data, nan=0.0))
        np.testing.assert_allclose(read_maps(folder).t1, entry.subject.t1, rtol=2e-7)

    # the folder comes back the next time
    from napari_blochnet.napari_ui.state import preferences

    assert preferences.folder("results") == str(target)


def test_files_that_are_there_are_not_replaced_without_asking(mapped, tmp_path):
    desk = mapped
    mapping = desk.workbench.map
    (tmp_path / "universal").mkdir()
    mine = tmp_path / "universal" / f"sub-01_T2map{ENDING}"
    mine.write_bytes(b"mine")
    # what is somebody else's is not replaced, and nobody is asked
    _answer(desk, tmp_path)
    desk.click(mapping.save)
    assert f"sub-01_T2map{ENDING} in {mine.parent} was not written by" in mapping.jobs.message.text()
    assert _files(tmp_path / "universal") == {mine.name: b"mine"}
    assert not (tmp_path / "dictionary").exists()
    assert mapping.save.isEnabled()
    mine.unlink()
    _answer(desk, tmp_path)
    assert desk.run(mapping, mapping.save).startswith("Saved")
    saved = _files(tmp_path / "universal")
    # what is ours, where the person says so
    asked = _answer(desk, tmp_path, QMessageBox.StandardButton.No)
    desk.click(mapping.save)
    assert f"files are already in {tmp_path}" in asked[1]
    (tmp_path / "universal" / f"sub-01_PDmap{ENDING}").unlink()
    _answer(desk, tmp_path, QMessageBox.StandardButton.Yes)
    assert desk.run(mapping, mapping.save).startswith("Saved")
    assert _files(tmp_path / "universal").keys() == saved.keys()


def test_what_cannot_be_written_is_said(mapped, tmp_path):
    desk = mapped
    mapping = desk.workbench.map
    (tmp_path / "dictionary").write_text("a file where the folder should be")
    _answer(desk, tmp_path)
    said = desk.run(mapping, mapping.save)
    assert "nothing can be written in it" in said
    assert "program" not in said
    assert mapping.save.isEnabled()


def test_saving_is_cancelled(desk, tmp_path):
    desk = desk()
    rng = np.random.default_rng(0)
    shape = (30, 90, 90)
    t1 = rng.uniform(300, 2000, shape)
    layers.add_phantom(desk.session, Phantom(t1, t1 / 10, np.ones(shape), name="large"))
    desk.use_spline(60)
    simulate = desk.turn_to("Simulate")
    simulate.part.setCurrentText("all slices")
    desk.run(simulate, simulate.run)
    path = tmp_path / "stack.nii.gz"
    _answer(desk, path)
    desk.click(simulate.save)
    assert not simulate.run.isEnabled()
    desk.qtbot.waitUntil(lambda: "stack.nii.gz" in simulate.jobs.message.text() and simulate.jobs.bar.value() > 0,
                         timeout=20_000)  # fmt: skip
    desk.click(simulate.jobs.cancel)
    assert desk.wait(simulate, 3000) == "Cancelled; nothing was saved."
    assert not list(tmp_path.glob("*stack*"))
    assert simulate.save.isEnabled()
    assert simulate.run.isEnabled()


def test_fingerprints_are_saved_as_the_command_writes_them(mapped, tmp_path):
    desk = mapped
    simulate = desk.turn_to("Simulate")
    stack = desk.session.entries("stack")[0].subject
    _answer(desk, tmp_path / "scan.nii.gz")
    said = desk.run(simulate, simulate.save)
    assert said.startswith(f"Saved scan.nii.gz, scan_mask.nii.gz, scan.json in {tmp_path}")
    write_fingerprints(stack, tmp_path / "command" / "scan.nii.gz")
    for name, content in _files(tmp_path / "command").items():
        assert (tmp_path / name).read_bytes() == content
    back = read_fingerprints(tmp_path / "scan.nii.gz")
    assert np.asarray(back.data).tobytes() == stack.data.tobytes()
    assert back.schedule == stack.schedule
    np.testing.assert_allclose(back.affine, _oblique(), atol=1e-5)
    # a mask of somebody else beside a new name is not replaced
    (tmp_path / "other_mask.nii.gz").write_bytes(b"mine")
    _answer(desk, tmp_path / "other.nii.gz")
    desk.click(simulate.save)
    assert "other_mask.nii.gz" in simulate.jobs.message.text()
    assert (tmp_path / "other_mask.nii.gz").read_bytes() == b"mine"
    assert not (tmp_path / "other.nii.gz").exists()


def _saved(desk, layer, path) -> list[str]:
    desk.viewer.layers.selection = {layer}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return desk.viewer.layers.save(str(path), selected=True)


def test_layers_are_saved_by_naparis_own_menu(desk, tmp_path):
    # a viewer of its own: a layer gets another name and other values
    desk = _mapped(desk())
    session = desk.session
    maps = session.entries("maps")[0].subject
    phantom = session.entries("phantom")[0].subject
    write_maps(maps, tmp_path / "command")
    (t1,) = session.layers("maps", maps, "T1")
    t1.name = "renamed/by hand"
    _saved(desk, t1, tmp_path / "mine.nii.gz")
    assert (tmp_path / "mine.nii.gz").read_bytes() == (tmp_path / "command" / f"sub-01_T1map{ENDING}").read_bytes()
    sidecar = json.loads((tmp_path / "mine.json").read_text())
    assert (sidecar["Units"], sidecar["Record"]) == ("s", maps.record)

    (error,) = session.layers("maps", maps, "T2 error")
    _saved(desk, error, tmp_path / "error.nii")
    image = nib.load(tmp_path / "error.nii")
    np.testing.assert_allclose(image.affine, _oblique(), atol=1e-5)
    expected = 100 * (maps.t2 - phantom.t2) / phantom.t2
    np.testing.assert_allclose(image.get_fdata().T, expected, rtol=1e-4, atol=1e-4)
    assert json.loads((tmp_path / "error.json").read_text())["Units"] == "%"

    (stack,) = session.layers("stack")
    _saved(desk, stack, tmp_path / "stack.nii.gz")
    assert read_fingerprints(tmp_path / "stack.nii.gz").data.dtype == np.complex64
    np.testing.assert_array_equal(read_fingerprints(tmp_path / "stack.nii.gz").data, entry_of(stack).subject.data)

    (truth,) = session.layers("phantom", role="T1")
    _saved(desk, truth, tmp_path / "truth.nii.gz")
    np.testing.assert_allclose(
        nib.load(tmp_path / "truth.nii.gz").get_fdata().T, phantom.t1.astype(float) / 1000, rtol=1e-15
    )
    (tissue,) = session.layers("phantom", role="tissue")
    _saved(desk, tissue, tmp_path / "tissue.nii.gz")
    np.testing.assert_array_equal(nib.load(tmp_path / "tissue.nii.gz").get_fdata().T, phantom.labels)

    # what a person has made of a map is written, in the map's unit, without the map's record
    t1.data = np.where(t1.data > 1000, 1000.0, t1.data)
    _saved(desk, t1, tmp_path / "clipped.nii.gz")
    np.testing.assert_allclose(nib.load(tmp_path / "clipped.nii.gz").get_fdata().max(), 1.0)
    assert "Record" not in json.loads((tmp_path / "clipped.json").read_text())


def test_several_layers_get_names_of_their_own(mapped, tmp_path):
    desk = mapped
    chosen = desk.session.layers("maps", role="T1")
    desk.viewer.layers.selection = set(chosen)
    desk.viewer.layers.save(str(tmp_path / "all.nii.gz"), selected=True)
    images = sorted(path.name for path in tmp_path.glob("all*.nii.gz"))
    assert images == ["all_T1-ms-dictionary.nii.gz", "all_T1-ms-universal.nii.gz"]
    before = _files(tmp_path)
    with pytest.raises(NotSavedError, match="is there already"):
        desk.viewer.layers.save(str(tmp_path / "all.nii.gz"), selected=True)
    assert _files(tmp_path) == before


def test_layers_of_others_are_refused_in_a_sentence(mapped, tmp_path):
    desk = mapped
    foreign = desk.viewer.add_image(np.ones((4, 5), np.float32), name="foreign")
    with pytest.raises(NotSavedError, match="foreign was not made by BlochNet"):
        _saved(desk, foreign, tmp_path / "foreign.nii.gz")
    assert not list(tmp_path.glob("foreign*"))
    # and napari's own writers still have them where no ending says otherwise
    desk.viewer.layers.selection = {foreign}
    (written,) = desk.viewer.layers.save(str(tmp_path / "foreign"), selected=True)
    assert written.endswith(".tif")
    # a cut of a map of ours no longer lies where the affine says
    (t1,) = desk.session.layers("maps", desk.session.entries("maps")[0].subject, "T1")
    part = desk.viewer.add_image(t1.data[:, 2:], name="part", metadata={ENTRY: entry_of(t1)})
    with pytest.raises(NotSavedError, match="expected a layer on the grid"):
        _saved(desk, part, tmp_path / "part.nii.gz")


def test_the_save_dialog_offers_nifti(mapped, tmp_path):
    desk = mapped
    (t1,) = desk.session.layers("maps", desk.session.entries("maps")[0].subject, "T1")
    desk.viewer.layers.selection.active = t1
    _answer(desk, (tmp_path / "menu.nii.gz", "BlochNet NIfTI"))
    get_app_model().commands.execute_command("napari.window.file.save_layers_dialog.selected")
    assert nib.load(tmp_path / "menu.nii.gz").shape == t1.data.T.shape


def test_saving_a_layer_is_cancelled(mapped, tmp_path):
    desk = mapped
    (stack,) = desk.session.layers("stack")
    desk.viewer.layers.selection = {stack}
    QTimer.singleShot(0, lambda: [job.cancel() for job in desk.session.jobs])
    with pytest.raises(Cancelled):
        desk.viewer.layers.save(str(tmp_path / "stack.nii.gz"), selected=True)
    assert not list(tmp_path.glob("stack*"))


def _recorded_desk(desk):
    """A desk whose results can be made again from their records."""
    desk = desk()
    data = desk.turn_to("Data")
    desk.run(data, data.sample_buttons["head-slice"])
    desk.use_spline(60)
    simulate = desk.turn_to("Simulate")
    desk.run(simulate, simulate.run)
    mapping = desk.turn_to("Map")
    mapping.estimators.tick(["dictionary", "universal"])
    mapping.form.set_values({"step": 0.2})
    assert desk.run(mapping, mapping.run).startswith("Mapped")
    return desk


def _copied(desk, button) -> str:
    QApplication.clipboard().clear()
    desk.click(button)
    return QApplication.clipboard().text()


def test_every_model_of_a_result_is_handed_out(desk, tmp_path, monkeypatch):
    desk = _recorded_desk(desk)
    mapping = desk.workbench.map
    script = _copied(desk, mapping.copy.python)
    assert "dictionary, universal" in mapping.copy.said.text()
    assert script.count("nb.simulate(") == 1
    namespace: dict = {}
    exec(script, namespace)
    made = [namespace["maps"], namespace["maps_2"]]
    opened = [entry.subject for entry in desk.session.entries("maps")]
    for one, other in zip(made, opened, strict=True):
        assert one.estimator == other.estimator
        np.testing.assert_array_equal(one.t1, other.t1)
        np.testing.assert_array_equal(one.t2, other.t2)

    # the files of the copied commands are those of the button, bit for bit
    commands = _copied(desk, mapping.copy.command)
    _answer(desk, tmp_path)
    desk.run(mapping, mapping.save)
    (tmp_path / "command").mkdir()
    monkeypatch.chdir(tmp_path / "command")
    for line in commands.splitlines():
        blochnet(shlex.split(line)[1:], standalone_mode=False)
    for name, title in (("maps", "dictionary"), ("maps_2", "universal")):
        images = sorted((tmp_path / "command" / name).glob("*.nii.gz"))
        assert len(images) >= 6
        for image in images:
            assert (tmp_path / title / image.name).read_bytes() == image.read_bytes(), image

    # a recipe for each
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    _answer(desk, recipes)
    desk.click(mapping.copy.recipe)
    assert sorted(path.name for path in recipes.iterdir()) == ["recipe-dictionary.json", "recipe-universal.json"]
    assert str(recipes) in mapping.copy.said.text()
    again = subprocess.run(
        [sys.executable, "-m", "napari_blochnet", "run", recipes / "recipe-universal.json", "-o", tmp_path / "again"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    np.testing.assert_array_equal(read_maps(tmp_path / "again" / "maps").t1, read_maps(tmp_path / "universal").t1)


def test_a_recipe_is_saved_for_other_stacks_and_a_cluster_maps_them_as_by_hand(desk, tmp_path):
    pytest.importorskip("distributed")
    desk = _recorded_desk(desk)
    mapping, simulate = desk.workbench.map, desk.workbench.simulate
    paths = []
    for seed in (1, 2, 3):  # other stacks, as somebody else has them
        desk.turn_to("Simulate")
        simulate.form.set_values({"seed": seed, "snr": 40.0})
        desk.run(simulate, simulate.run)
        paths.append(tmp_path / f"sub-{seed}_MRF.nii")
        write_fingerprints(desk.session.entries("stack")[-1].subject, paths[-1])
    desk.turn_to("Map")
    mapping.copy.for_stacks.setChecked(True)
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    _answer(desk, recipes)
    desk.click(mapping.copy.recipe)
    assert "On other stacks: blochnet run" in mapping.copy.said.text()
    recipe = recipes / "recipe-universal.json"
    with cluster(tmp_path) as workers:
        for _ in range(2):
            workers.worker()
        again = subprocess.run(
            [sys.executable, "-m", "napari_blochnet", "run", recipe, *paths, "--scheduler", workers.address,
             "-o", tmp_path / "out"],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "3 stacks done; 0 failed" in again.stdout
    for path in paths:
        name = path.name.partition("_")[0]
        found = read_maps(tmp_path / "out" / name / "anat")
        write_maps(nb.reconstruct(read_fingerprints(path), "universal", step=0.2), tmp_path / name)
        known = read_maps(tmp_path / name)
        for field in ("t1", "t2", "pd", "mask"):
            np.testing.assert_array_equal(getattr(found, field), getattr(known, field))
    # what is made from no stack can be for no other
    assert not simulate.copy.for_stacks.isVisibleTo(simulate.copy)


def test_simulated_fingerprints_say_how_they_were_made(desk, tmp_path):
    desk = _recorded_desk(desk)
    simulate = desk.turn_to("Simulate")
    script = _copied(desk, simulate.copy.python)
    namespace: dict = {}
    exec(script, namespace)
    np.testing.assert_array_equal(namespace["stack"].data, desk.session.entries("stack")[0].subject.data)
    assert "blochnet simulate" in _copied(desk, simulate.copy.command)
    _answer(desk, tmp_path / "stack.json")
    desk.click(simulate.copy.recipe)
    recipe = json.loads((tmp_path / "stack.json").read_text())
    assert [step["operation"] for step in recipe["steps"]][-1] == "simulate"


def test_results_of_a_reopened_session_are_handed_out(desk, tmp_path):
    first = _recorded_desk(desk)
    mapping = first.workbench.map
    mapping.estimators.tick(["universal"])
    mapping.form.set_values({"batch": 1000})
    assert first.run(mapping, mapping.run).startswith("Mapped")
    script = _copied(first, mapping.copy.python)
    data = first.turn_to("Data")
    data.sessions.save(tmp_path / "session")
    first.wait(data)
    second = desk()
    data = second.turn_to("Data")
    data.sessions.open(tmp_path / "session")
    second.wait(data)
    mapping = second.turn_to("Map")
    # the latest mapping was of one model
    assert _copied(second, mapping.copy.python) == script
    _answer(second, tmp_path)
    assert "(universal-2)" in second.run(mapping, mapping.save)
    simulate = second.turn_to("Simulate")
    assert "nb.simulate(" in _copied(second, simulate.copy.python)
    assert simulate.save.isEnabled()


def test_saving_by_commands(desk, tmp_path):
    desk = desk()
    execute = get_app_model().commands.execute_command
    execute("napari-blochnet.save_recipe")
    assert desk.viewer.status == "No layer here was made by BlochNet."
    for command, panel in (("save_maps", "map"), ("save_fingerprints", "simulate")):
        execute(f"napari-blochnet.{command}")
        assert getattr(desk.workbench, panel).jobs.message.text().startswith("Nothing to save")
    data = desk.turn_to("Data")
    desk.run(data, data.sample_buttons["head-slice"])
    desk.use_spline(60)
    simulate = desk.turn_to("Simulate")
    desk.run(simulate, simulate.run)
    mapping = desk.turn_to("Map")
    for step in (0.2, 0.3):
        mapping.form.set_values({"step": step})
        desk.run(mapping, mapping.run)

    # an opened phantom has a recipe, too
    desk.viewer.layers.selection.active = desk.session.layers("phantom")[0]
    _answer(desk, tmp_path / "phantom.json")
    execute("napari-blochnet.save_recipe")
    assert desk.viewer.status == f"Saved {tmp_path / 'phantom.json'}."
    (step,) = json.loads((tmp_path / "phantom.json").read_text())["steps"]
    assert step["operation"] == "open_phantom"

    desk.viewer.layers.selection.active = desk.session.layers("stack")[0]
    for folder in ("latest", "older"):
        (tmp_path / folder).mkdir()
    _answer(desk, tmp_path / "latest")
    execute("napari-blochnet.save_maps")
    assert desk.wait(mapping).startswith("Saved")
    older = desk.session.entries("maps")[0]
    desk.viewer.layers.selection.active = desk.session.layers("maps", older.subject)[0]
    _answer(desk, tmp_path / "older")
    execute("napari-blochnet.save_maps")
    assert desk.wait(mapping).startswith("Saved")
    for folder, entry in zip(("older", "latest"), desk.session.entries("maps"), strict=True):
        maps = read_maps(tmp_path / folder / entry.title.replace(" ", "-"))
        np.testing.assert_allclose(maps.t1, entry.subject.t1, rtol=2e-7)
    _answer(desk, tmp_path / "scan.nii.gz")
    execute("napari-blochnet.save_fingerprints")
    assert desk.wait(simulate).startswith("Saved scan.nii.gz")
