"""Whose files are: what this package did not write stays, whatever writes; what it wrote is replaced."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.maps_io import (
    error_files,
    map_files,
    read_maps,
    write_error_maps,
    write_map,
    write_maps,
)
from napari_blochnet.evaluation.result_tables import Region
from napari_blochnet.fingerprints.stack_files import write_fingerprints
from napari_blochnet.io.json_files import write_json
from napari_blochnet.io.origin import check_outputs, inputs_of, is_ours, note_inputs
from napari_blochnet.jobs.history.recipes import write_results
from napari_blochnet.jobs.records import as_recipe
from napari_blochnet.jobs.sessions import SavedSession, write_session
from napari_blochnet.phantoms.write import write_phantom
from napari_blochnet.studies.pieces import Study

STORED = Path(__file__).parents[1] / "earlier_versions" / "stored"
PACKAGE = Path(nb.__file__).parent


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def image(path: Path, value: float = 1.0) -> Path:
    """Write an image as another program would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.full((4, 3, 2), value, np.float32), np.diag([2.0, 2.0, 3.0, 1.0])), path)
    return path


def foreign(path: Path) -> Path:
    """Write a file of this name as another program, or a person, would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith((".nii", ".nii.gz")):
        return image(path, 7.0)
    if path.suffix == ".png":
        import matplotlib.image

        matplotlib.image.imsave(path, np.zeros((4, 4)), metadata={"Software": "a camera"})
    elif path.suffix == ".json":
        path.write_text(json.dumps({"EchoTime": 0.004, "Units": "s", "scanner": "mine"}))
    elif path.suffix == ".safetensors":
        header = json.dumps({"__metadata__": {"format": "pt"}}).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header)
    elif path.suffix == ".npz":
        np.savez(path, frames=np.zeros(3))
    elif path.suffix == ".pdf":
        path.write_bytes(b"%PDF-1.4\n/Creator (LaTeX)\n%%EOF\n")
    else:
        path.write_text("sphere,x,y\n1,3,4\n")
    return path


@pytest.fixture(scope="module")
def made():
    """One of everything that is written."""
    schedule = nb.spline_schedule(length=40, inversion_time=20.0, seed=3)
    truth = nb.synthetic_phantom(shape=(3, 16, 14))
    stack = nb.simulate(truth, schedule, snr=30.0)
    maps = nb.reconstruct(stack, step=0.3)
    comparison = nb.compare(truth, maps)
    regions = nb.region_means(maps, [Region("all", truth.mask)])
    return {"schedule": schedule, "truth": truth, "stack": stack, "maps": maps, "comparison": comparison,
            "regions": regions}  # fmt: skip


def finish(made, folder: Path) -> None:
    row = {"experiment": "table9", "draw": 1, "model": "fc", "preset": "quick", "seed": 0, "set": "phantom"}
    Study("table9", folder, None, "cpu").finished([row], "# Table 9")


def curves(made, path: Path) -> None:
    from napari_blochnet.evaluation.voxel import Voxel, explain_voxel
    from napari_blochnet.napari_ui.inspector.curve_files import write_curves

    stack = made["stack"]
    z, y, x = np.argwhere(stack.mask)[0]
    write_curves(explain_voxel(nb.EPGDecoder(stack.schedule), Voxel(stack, (z, y, x)), []), path)


def small_dictionary():
    return nb.make_dictionary(nb.spline_schedule(length=20), t1_range=(500, 900), t2_range=(50, 90), step=0.2)


# of each writer: how it is called, and the names that it writes
WRITERS = {
    "maps": (lambda made, here: write_maps(made["maps"], here), [path.name for path in map_files("")]),
    "error maps": (
        lambda made, here: write_error_maps(made["truth"], made["maps"], here),
        [path.name for path in error_files("")],
    ),
    "one map": (lambda made, here: write_map(made["maps"], "t1", here / "t1.nii"), ["t1.nii", "t1.json"]),
    "stack": (
        lambda made, here: write_fingerprints(made["stack"], here / "a.nii.gz"),
        ["a.nii.gz", "a_mask.nii.gz", "a.json"],
    ),
    "phantom": (
        lambda made, here: write_phantom(made["truth"], here),
        ["sub-synthetichead_T1map.nii.gz", "sub-synthetichead_T1map.json", "sub-synthetichead_PDmap.json",
         "sub-synthetichead_dseg.tsv", "sub-synthetichead_label-whitematter_probseg.nii.gz"],
    ),
    "schedule": (lambda made, here: nb.write_schedule(made["schedule"], here / "s.csv"), ["s.csv"]),
    "dictionary": (lambda made, here: nb.write_dictionary(small_dictionary(), here / "d.npz"), ["d.npz"]),
    "dictionary in HDF5": (lambda made, here: nb.write_dictionary(small_dictionary(), here / "d.h5"), ["d.h5"]),
    "dictionary of MATLAB": (lambda made, here: nb.write_dictionary(small_dictionary(), here / "d.mat"), ["d.mat"]),
    "page": (lambda made, here: made["comparison"].to_html(here / "r.html"), ["r.html"]),
    "table": (lambda made, here: made["comparison"].to_csv(here / "r.csv"), ["r.csv"]),
    "table of agreement": (
        lambda made, here: nb.agreement(made["maps"], made["truth"]).to_csv(here / "a.csv"),
        ["a.csv"],
    ),
    "figures": (lambda made, here: made["comparison"].to_figures(here / "f.png"), ["f-maps.png", "f-scatter.png"]),
    "vector figures": (lambda made, here: made["comparison"].to_figures(here / "f.svg"), ["f-maps.svg"]),
    "printed figures": (lambda made, here: made["comparison"].to_figures(here / "f.pdf"), ["f-scatter.pdf"]),
    "page of regions": (lambda made, here: made["regions"].to_html(here / "r.html"), ["r.html"]),
    "table of regions": (lambda made, here: made["regions"].to_csv(here / "r.csv"), ["r.csv"]),
    "recipe": (lambda made, here: write_json(as_recipe(made["maps"].record), here / "recipe.json"), ["recipe.json"]),
    "results": (lambda made, here: write_results([made["schedule"], made["stack"]], here), ["stack.json"]),
    "session": (lambda made, here: write_session(SavedSession((made["stack"],), (), {}), here), ["session.json"]),
    "experiment": (finish, ["table9.csv", "table9.md"]),
    "curves": (lambda made, here: curves(made, here / "voxel.csv"), ["voxel.csv"]),
}  # fmt: skip
OPTIONAL = ("desc-se", "converged", "TB1map")


@pytest.mark.parametrize("writer", WRITERS)
def test_no_writer_replaces_what_is_not_ours(writer, made, tmp_path):
    write, names = WRITERS[writer]
    assert names
    for number, name in enumerate(names):
        if any(word in name for word in OPTIONAL):
            continue
        there = foreign(tmp_path / str(number) / name)
        before = digest(there)
        with pytest.raises(InputError, match="written by napari-blochnet") as said:
            write(made, there.parent)
        assert name in str(said.value)
        assert "expected a" in str(said.value)
        # and nothing else is there
        assert list(there.parent.iterdir()) == [there]
        assert digest(there) == before


@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_replaces_its_own(writer, made, tmp_path):
    write, _ = WRITERS[writer]
    write(made, tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert all(is_ours(tmp_path / name) for name in names)
    write(made, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == names


def test_a_model_of_another_program_stays(tmp_path):
    ours = STORED / "network.safetensors"
    network = nb.load_estimator(ours)
    for name in ("network.safetensors", "network.json"):
        there = foreign(tmp_path / name[-4:] / name)
        before = digest(there)
        with pytest.raises(InputError, match=name):
            network.save(there.with_suffix(".safetensors"))
        assert digest(there) == before
    copy = tmp_path / ours.name
    shutil.copy(ours, copy)
    shutil.copy(ours.with_suffix(".json"), tmp_path)
    network.save(copy)
    assert nb.load_estimator(copy).model.length == network.model.length


def test_all_that_an_earlier_version_wrote_is_ours():
    names = [
        path
        for path in STORED.rglob("*")
        if path.suffix in (".gz", ".nii", ".json", ".tsv", ".csv", ".safetensors", ".training")
    ]
    # made for that version's tests by hand, or out of the session's folder
    others = {"b1.nii.gz", "regions.nii.gz", "regions.csv", "spheres.csv", "expected.json", "shown-session.json",
              "shown-session-simple.json"}  # fmt: skip
    asked = [path for path in names if path.name not in others and not path.parent.name.startswith("data-")]
    assert len(asked) > 60
    assert [path.name for path in asked if not is_ours(path)] == []
    for name in ("b1.nii.gz", "spheres.csv", "regions.nii.gz"):
        assert not is_ours(STORED / name)


def test_maps_of_an_earlier_version_are_replaced_with_all_their_members(made, tmp_path):
    shutil.copytree(STORED / "universal", tmp_path / "maps")
    assert (tmp_path / "maps" / "sub-01_TB1map.nii.gz").is_file()
    write_maps(made["maps"], tmp_path / "maps")
    assert not (tmp_path / "maps" / "sub-01_TB1map.nii.gz").exists()
    assert np.array_equal(read_maps(tmp_path / "maps").mask, made["maps"].mask)


def test_a_measured_b1_map_beside_our_maps_is_neither_deleted_nor_read(made, tmp_path):
    write_maps(made["maps"], tmp_path)
    b1 = image(tmp_path / "sub-01_TB1map.nii.gz", 0.9)
    before = digest(b1)
    write_maps(made["maps"], tmp_path)
    assert digest(b1) == before
    assert read_maps(tmp_path).b1 is None
    with_b1 = made["maps"].replace(b1=np.ones(made["maps"].shape, np.float32))
    with pytest.raises(InputError, match=r"sub-01_TB1map\.nii\.gz"):
        write_maps(with_b1, tmp_path)
    assert digest(b1) == before


def test_a_member_that_somebody_put_in_place_of_ours_stays(made, tmp_path):
    write_maps(made["maps"], tmp_path)
    path = image(tmp_path / "sub-01_T2map.nii.gz", 0.08)
    before = digest(path)
    with pytest.raises(InputError, match=r"sub-01_T2map\.nii\.gz"):
        write_maps(made["maps"], tmp_path)
    assert digest(path) == before


def test_labels_of_an_earlier_phantom_do_not_come_back(made, tmp_path):
    from dataclasses import replace

    truth = made["truth"]
    b1 = np.where(truth.mask, 0.9, 0).astype(np.float32)
    write_phantom(replace(truth, b1=b1), tmp_path)
    stranger = image(tmp_path / "sub-synthetichead_T2w.nii.gz")
    write_phantom(truth, tmp_path)
    assert nb.read_phantom(tmp_path).b1 is None
    assert stranger.is_file()


def test_phantom_written_while_cancelled_leaves_the_old_one(made, tmp_path):
    import threading

    from napari_blochnet.common.errors import Cancelled

    write_phantom(made["truth"], tmp_path)
    before = {path.name: digest(path) for path in tmp_path.iterdir()}
    wish = threading.Event()

    def stop(done: int, total: int, message: str = "", /) -> None:
        if done == 2:
            wish.set()

    with pytest.raises(Cancelled):
        write_phantom(nb.synthetic_phantom(shape=(3, 16, 14), seed=5), tmp_path, progress=stop, cancelled=wish)
    assert {path.name: digest(path) for path in tmp_path.iterdir()} == before


def test_empty_files_are_free(made, tmp_path):
    (tmp_path / "s.csv").touch()
    nb.write_schedule(made["schedule"], tmp_path / "s.csv")
    assert nb.read_schedule(tmp_path / "s.csv") == made["schedule"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.csv", "flip_angle_deg,repetition_time_ms,echo_time_ms,rf_phase_deg\n60,12,4,0\n"),
        ("s.csv", "# scanned on Monday\n# receiver_phase: follows\n"
                  "flip_angle_deg,repetition_time_ms,echo_time_ms,rf_phase_deg\n60.0,12.0,4.0,0.0\n"),
        ("r.html", "<!DOCTYPE html>\n<p>made with napari-blochnet</p>"),
        ("r.csv", "model,tissue,note\nmine,white,good\n"),
        ("notes.json", "[1, 2]"),
        ("notes.json", "{" * 100_000),
        ("a.json", '{"Units": "s"}'),
        ("a.json", '{"Description": "my labels of the knee"}'),
    ],
)  # fmt: skip
def test_what_people_write_themselves_is_theirs(name, content, tmp_path):
    (tmp_path / name).write_text(content)
    assert not is_ours(tmp_path / name)


def test_a_session_is_not_written_over_a_file_of_its_name(made, tmp_path):
    (tmp_path / "session.json").write_text('{"mine": 1}')
    data = tmp_path / "data-0123abcd"
    data.mkdir()
    with h5py.File(data / "scan.h5", "w") as file:
        file["x"] = [1.0]
    with pytest.raises(InputError, match=r"session\.json"):
        write_session(SavedSession((made["stack"],), (), {}), tmp_path)
    (tmp_path / "session.json").unlink()
    shutil.rmtree(data)
    write_session(SavedSession((made["stack"],), (), {}), tmp_path)
    data.mkdir()
    with h5py.File(data / "scan.h5", "w") as file:
        file["x"] = [1.0]
    # a folder with a name like that of its data, but with other things in it
    write_session(SavedSession((made["stack"],), (), {}), tmp_path)
    assert (data / "scan.h5").is_file()
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("data-")]) == 2


def test_an_input_is_never_rewritten_as_the_output(made, tmp_path, monkeypatch):
    from napari_blochnet.jobs.operations.opening import make_schedule, open_phantom

    path = tmp_path / "s.csv"
    nb.write_schedule(made["schedule"], path)
    before = digest(path)
    # ours, and all the same what the new one is made from
    with pytest.raises(InputError, match="made from"):
        nb.write_schedule(make_schedule(kind="file", path=str(path)), path)
    assert digest(path) == before
    write_phantom(made["truth"], tmp_path / "p")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="made from"):
        write_phantom(open_phantom("p"), "p")
    # B1 that a mapping was given: in its record
    write_maps(made["maps"].replace(b1=np.ones(made["maps"].shape, np.float32)), tmp_path / "maps")
    b1 = tmp_path / "maps" / "sub-01_TB1map.nii.gz"
    record = {**made["maps"].record, "settings": {**made["maps"].record["settings"], "b1": str(b1)}}
    again = made["maps"].replace(b1=np.ones(made["maps"].shape, np.float32), record=record)
    with pytest.raises(InputError, match="made from"):
        write_maps(again, tmp_path / "maps")


def test_texts_in_a_record_that_are_no_paths_hinder_nobody(tmp_path):
    named = tmp_path / "named.csv"
    named.write_text("1")
    texts = ["~5 %", "~nobody-here/x", "x" * 300, "a\ud800b", str(named / "below"), str(named)]
    note_inputs({"operation": "x", "inputs": None, "settings": {"titles": texts}})
    assert inputs_of({"inputs": {}, "settings": {"titles": texts}}) == {named}
    for operation in ("cut_phantom", "open_phantom"):
        for inputs in (None, [], "x", {"phantom": None}, {"source": "~5 %"}, {"source": "x" * 300}):
            assert inputs_of({"operation": operation, "inputs": inputs}) == set()
    opened = {"operation": "open_phantom", "inputs": {"source": str(tmp_path)}}
    assert inputs_of({"operation": "cut_phantom", "inputs": {"phantom": opened}}) == {named}


def test_a_device_or_folder_is_no_place_for_a_file(made, tmp_path):
    (tmp_path / "s.csv").mkdir()
    with pytest.raises(InputError, match=r"s\.csv"):
        check_outputs([tmp_path / "s.csv"])
    with pytest.raises(InputError, match="null"):
        check_outputs(["/dev/null"])
    # a link leads to somebody's file
    target = foreign(tmp_path / "theirs.csv")
    (tmp_path / "link.csv").symlink_to(target)
    with pytest.raises(InputError, match=r"link\.csv"):
        nb.write_schedule(made["schedule"], tmp_path / "link.csv")
    assert "sphere" in target.read_text()


# What replaces, removes or opens for writing but by `replacing` and its temporary file, module by module.
WRITING = {
    "io.sets.rooms": "rooms, which nobody but we make",
    "io.sets.switching": "what the plan of a set names, and is as it was when that was written",
    "io.sets.unfinished": "parts of a stack or of maps that are not whole yet, in a folder that is ours",
    "io.nifti": "the header of a draft",
    "phantoms.write": "into a draft",
    "fingerprints.stack_drafts": "into a draft",
    "jobs.volumes.volume_maps": "parts in a folder that is ours",
    "jobs.volumes.volume_stacks": "parts in a folder that is ours",
    "cohorts.study_folder": "notes in a folder that is ours",
    "schedules.pulseq.seq_file": "temporary files",
    "jobs.sessions": "into a draft",
    "estimators.brought.write_dictionary": "into a draft",
    "estimators.networks.network_estimator": "the checkpoint of its own training",
    "napari_ui.panels.train.stopped_row": "a checkpoint that the person discards",
    "napari_ui.saving.results": "error maps that are ours",
    "common.peak_memory": "/proc",
    "benchmarks.restarts_speed": "temporary files",
    "benchmarks.volumes_speed": "temporary files",
    "benchmarks.window_smoothness": "temporary files",
    "napari_ui.benchmark.smoothness": "temporary files",
}


def _writes(tree: ast.AST) -> bool:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, modes = node.func.attr, [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
        owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        if owner == "temporary":
            continue
        if name in ("unlink", "rmtree", "rename", "write_text", "write_bytes", "tofile"):
            return True
        if name == "open" and any(isinstance(mode, str) and mode[:1] in ("w", "a", "x") for mode in modes):
            return True
        # of a path; of text and of data classes it takes two arguments, or names
        if name == "replace" and len(node.args) == 1 and not node.keywords:
            return True
    return False


def test_nothing_writes_but_by_the_door():
    found = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in PACKAGE.rglob("*.py")
        if _writes(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set(WRITING)
