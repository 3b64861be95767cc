"""What the trial found, and what no random change finds: each door by itself."""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.json_text import parse_json
from napari_blochnet.common.plain_text import plain_line
from napari_blochnet.evaluation.maps_io import read_maps
from napari_blochnet.evaluation.regions import read_regions
from napari_blochnet.fingerprints.masks import read_mask
from napari_blochnet.io.containers.mapped_arrays import MappedArray
from napari_blochnet.io.json_files import read_json
from napari_blochnet.io.plain_files import existing_file
from napari_blochnet.jobs.history.recipes import check_results, files_read, read_recipe
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.recognise import unreadable, what_is_in
from napari_blochnet.jobs.sessions import read_session
from napari_blochnet.phantoms.tissues import load_tissues

STORED = Path(__file__).parents[1] / "earlier_versions" / "stored"
SHAPE = (2, 5, 4)
FLIPS, TIMES = np.linspace(8.0, 60.0, 12), np.full(12, 12.0)
SCHEDULE = nb.Schedule(FLIPS, TIMES, 3.0)

DOORS = {
    "stack.npy": lambda path: nb.read_fingerprints(path, SCHEDULE),
    "stack.npz": lambda path: nb.read_fingerprints(path, SCHEDULE),
    "stack.nii": lambda path: nb.read_fingerprints(path, SCHEDULE),
    "stack.nii.gz": lambda path: nb.read_fingerprints(path, SCHEDULE),
    "stack.hdr": lambda path: nb.read_fingerprints(path, SCHEDULE),
    "stack.h5": lambda path: nb.read_fingerprints(path, SCHEDULE),
    "stack.mat": lambda path: nb.read_fingerprints(path, SCHEDULE),
    "image.dcm": lambda path: nb.read_contrasts(path),
    "csf.mnc": lambda path: nb.read_phantom(path),
    "csf.rawb.gz": lambda path: nb.read_phantom(path),
    "T1.npy": lambda path: nb.read_phantom(path),
    "maps.mat": lambda path: nb.read_phantom(path),
    "a_T1map.nii.gz": read_maps,
    "a.csv": lambda path: nb.read_schedule(path),
    "a_fa.txt": lambda path: nb.read_schedule(path),
    "s.mat": lambda path: nb.read_schedule(path),
    "s.h5": lambda path: nb.read_schedule(path),
    "s.json": lambda path: nb.read_schedule(path),
    "spheres.csv": lambda path: read_regions(path, SHAPE),
    "labels.nii.gz": lambda path: read_regions(path, SHAPE),
    "mask.npy": lambda path: read_mask(path, SHAPE, None, "the stack"),
    "tissues.csv": load_tissues,
    "recipe.json": read_recipe,
    "model.safetensors": lambda path: nb.load_estimator(str(path)),
    "session.json": read_session,
}


def _pipe(path):
    os.mkfifo(path)


def _socket(path):
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _pipe_behind_a_link(path):
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


SPECIAL = {
    "pipe": _pipe,
    "socket": _socket,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "pipe behind a link": _pipe_behind_a_link,
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to nothing": lambda path: path.symlink_to("nothing"),
    "unreadable by its system": lambda path: path.symlink_to("/proc/self/mem"),
}


@pytest.mark.skipif(os.name != "posix", reason="special files are POSIX's")
@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", DOORS)
def test_what_is_no_plain_file_is_refused_before_it_is_opened(tmp_path, name, kind):
    path = tmp_path / name
    SPECIAL[kind](path)
    with pytest.raises(nb.InputError):
        DOORS[name](path)
    # a look at what it is neither waits nor fails
    what_is_in([path])
    unreadable(path)


@pytest.mark.parametrize("name", DOORS)
def test_names_that_cannot_be_end_in_a_sentence(tmp_path, name):
    for bad in ("a" * 300 + name, f"a\0{name}", f"missing/{name}", f"\udcff{name}"):
        with pytest.raises(nb.InputError) as caught:
            DOORS[name](Path(f"{tmp_path}/{bad}"))
        assert len(str(caught.value)) < 2000
        assert str(caught.value).isprintable()


def test_a_folder_where_a_file_is_expected_is_named(tmp_path):
    for name in ("recipe.json", "s.json", "model.safetensors", "a.csv"):
        (tmp_path / name).mkdir()
        with pytest.raises(nb.InputError, match=name):
            DOORS[name](tmp_path / name)


# -- JSON


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[" * 100_000 + "]" * 100_000, "too deeply"),
        ("[" * 300 + "]" * 300, "too deeply"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "too deeply"),
        ("[" + "[]," * 1_200_000 + "[]]", "1,200,002 lists"),
        ("", "empty"),
        ("\ud800".encode("utf-8", "surrogatepass"), "not JSON"),
    ],
)
def test_json_has_limits(tmp_path, text, what):
    path = tmp_path / "a.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(nb.InputError, match=what):
        read_json(path)


def test_numbers_of_json_are_those_of_floats():
    assert parse_json("9" * 5000) == float("inf")
    assert parse_json(str(2**70)) == 2**70
    assert parse_json("[" * 200 + "]" * 200)


# -- other files stay closed


def _link(file, folder, name):
    file[name] = h5py.ExternalLink(str(folder / "other.h5"), "/x")


def _raw(file, folder, name):
    file.create_dataset(name, (12,), "f8", external=[(str(folder / "secret.bin"), 0, 96)])


def _virtual(file, folder, name):
    layout = h5py.VirtualLayout((12,), "f8")
    layout[...] = h5py.VirtualSource(str(folder / "other.h5"), "x", (12,))
    file.create_virtual_dataset(name, layout)


@pytest.mark.parametrize("outside", [_link, _raw, _virtual])
@pytest.mark.parametrize("name", ["s.h5", "s.mat"])
def test_a_schedule_takes_no_numbers_out_of_other_files(tmp_path, outside, name):
    FLIPS.tofile(tmp_path / "secret.bin")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = FLIPS
    with h5py.File(tmp_path / name, "w", userblock_size=512) as file:
        outside(file, tmp_path, "fa")
        file["tr"], file["te"] = TIMES, 3.0
    with pytest.raises(nb.InputError):
        nb.read_schedule(tmp_path / name)


@pytest.mark.parametrize("outside", [_link, _raw, _virtual])
@pytest.mark.parametrize("name", ["stack.h5", "stack.mat"])
def test_a_stack_takes_no_samples_out_of_other_files(tmp_path, outside, name):
    FLIPS.tofile(tmp_path / "secret.bin")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = FLIPS
    with h5py.File(tmp_path / name, "w", userblock_size=512) as file:
        outside(file, tmp_path, "data")
    with pytest.raises(nb.InputError):
        nb.read_fingerprints(tmp_path / name, SCHEDULE, variable="data")


# -- recipes and records


def _recipe(path, *steps):
    path.write_text(json.dumps({"blochnet_recipe": 1, "steps": list(steps)}))
    return path


def test_what_a_recipe_reads_is_listed(tmp_path):
    recipe = read_recipe(
        _recipe(
            tmp_path / "r.json",
            {"operation": "open_phantom", "inputs": {"source": ["/a/csf.nii", "../gm.nii"]},
             "settings": {"tissues": "mine.csv"}},
            {"operation": "open_fingerprints", "inputs": {"path": "stack.nii"}, "settings": {}},
            {"operation": "reconstruct", "inputs": {"stack": {"step": 1}, "b1": "b1.nii"},
             "settings": {"estimator": "net.safetensors", "mask": "m.npy", "b1": None}},
            {"operation": "brainweb_phantom", "settings": {"subject": "04"}},
        )
    )  # fmt: skip
    assert files_read(recipe) == [
        "/a/csf.nii", "../gm.nii", "mine.csv", "stack.nii", "b1.nii", "net.safetensors", "m.npy",
        "BrainWeb's subject 04 (downloaded)",
    ]  # fmt: skip


def test_run_says_what_it_reads_and_writes_in_its_folder_alone(tmp_path):
    recipe = _recipe(tmp_path / "r.json", {"operation": "make_schedule", "settings": {"kind": "file", "path": "s.csv"}})
    shutil.copy(STORED / "schedule.csv", tmp_path / "s.csv")
    before = set(tmp_path.rglob("*"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        done = CliRunner().invoke(blochnet, ["run", str(recipe), "-o", "out"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("Reads s.csv; writes into out.")
    assert {path.relative_to(tmp_path).as_posix() for path in set(tmp_path.rglob("*")) - before} == {
        "out", "out/schedule.csv"
    }  # fmt: skip


def test_results_go_through_no_link_out_of_their_folder(tmp_path):
    outside = tmp_path / "mine"
    outside.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "schedule.csv").symlink_to(outside / "new.csv")
    recipe = read_recipe(_recipe(tmp_path / "r.json", {"operation": "make_schedule", "settings": {"kind": "fisp"}}))
    with pytest.raises(nb.InputError, match="leads out of out"):
        check_results(recipe, tmp_path / "out")
    done = CliRunner().invoke(blochnet, ["run", str(tmp_path / "r.json"), "-o", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert not list(outside.iterdir())


@pytest.mark.parametrize("key", ["progress", "cancelled", "checkpoint", "partial", "device", "watch", "settings"])
@pytest.mark.parametrize("operation", ["train", "synthetic_head", "simulate", "reconstruct"])
def test_settings_of_a_recipe_are_settings_alone(tmp_path, operation, key):
    recipe = _recipe(tmp_path / "r.json", {"operation": operation, "settings": {key: "x"}})
    done = CliRunner().invoke(blochnet, ["run", str(recipe), "-o", str(tmp_path / "out")])
    assert done.exit_code == 2, done.output
    assert "There is no setting" in done.output or "gives" in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "record",
    [
        {"operation": "reconstruct", "settings": {"fit_b1": 1.5}, "inputs": {}},
        {"operation": "reconstruct", "settings": {}, "inputs": {"stack": {"step": 2**40}}},
        {"operation": "reconstruct", "settings": {}, "inputs": {"stack": {"a": 1}}},
        {"operation": "reconstruct", "settings": {}, "inputs": {"truth": "x"}},
        {"operation": "reconstruct", "settings": {}, "inputs": 5},
        {"operation": "reconstruct", "settings": None, "inputs": {}},
        {"operation": ["reconstruct"]},
        {"operation": "make_schedule", "settings": {"kind": {}}},
        {"operation": "simulate"},
        {},
    ],
)
@pytest.mark.parametrize("words", [as_python, as_command])
def test_what_is_copied_of_a_damaged_record_is_a_sentence(record, words):
    with pytest.raises(nb.InputError):
        words(record)


# -- numbers of the command line


@pytest.mark.parametrize(
    "words",
    [
        ["--t1-range", "1e-300", "1e300"],
        ["--t1-range", "5e-324", "1e308"],
        ["--t2-range", "nan", "3"],
        ["--t2-range", "1", "9223372036854775808"],
        ["--step", "1e-320"],
        ["--slices", "0", "9" * 400],
    ],
)
def test_numbers_at_the_edge_are_refused_in_a_sentence(tmp_path, words):
    command = ["reconstruct", str(STORED / "stack.nii.gz"), *words, "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(blochnet, command)
    assert done.exit_code == 2, done.output
    assert isinstance(done.exception, SystemExit)


# -- what a mapped file becomes


@pytest.mark.parametrize("name", ["a.npy", "a.nii", "a.h5", "a.mat"])
def test_a_mapped_file_that_shrinks_ends_in_a_sentence(tmp_path, name):
    """Reading on would end the process: SIGBUS."""
    path, data = tmp_path / name, np.random.default_rng(0).normal(size=(12, 3, 300, 200)).astype(np.float32)
    if name == "a.npy":
        np.save(path, data)
    elif name == "a.nii":
        import nibabel as nib

        nib.save(nib.Nifti1Image(data.T, np.eye(4)), path)
    elif name == "a.h5":
        with h5py.File(path, "w") as file:
            file["data"] = data
    else:
        scipy.io.savemat(path, {"data": data.transpose(2, 3, 1, 0)})
    stack = nb.read_fingerprints(path, SCHEDULE)
    assert isinstance(stack.data, MappedArray)
    first = np.array(stack.data[0])
    np.testing.assert_array_equal(first, data[0])
    os.truncate(path, 5000)
    with pytest.raises(nb.InputError, match=rf"{name}: has 5,000 bytes, .* less than when it was opened"):
        stack.data[5]
    with pytest.raises(nb.InputError, match="less than"):
        stack.fingerprints()


def test_a_mapped_file_that_is_replaced_is_still_there(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((12, 2, 3, 4), np.float32))
    stack = nb.read_fingerprints(tmp_path / "a.npy", SCHEDULE)
    (tmp_path / "b.npy").write_bytes(b"short")
    (tmp_path / "b.npy").rename(tmp_path / "a.npy")
    assert (np.asarray(stack.data[3]) == 1).all()
    taken = stack.data[[1, 2], 0]
    assert type(taken) is np.ndarray
    assert type(stack.data + 1) is np.ndarray


# -- what leaves


def test_text_of_strangers_steers_no_terminal():
    assert plain_line("a\x1b[2J\x07b\u202ec\nd") == "a\\x1b[2J\\x07b\\u202ec d"
    assert plain_line("Größe 白質 é") == "Größe 白質 é"
    assert len(plain_line("x" * 5000, 100)) == 100
    assert "\x1b" not in str(nb.InputError("file \x1b[31mred", "none"))


def test_names_reach_the_terminal_without_escapes(tmp_path):
    path = tmp_path / "a\x1b[2J.csv"
    shutil.copy(STORED / "schedule.csv", path)
    path.write_text(path.read_text().replace("Spline5, seed 0", "\x1b]0;owned\x07"))
    for words in (["schedule", "show", str(path)], ["schedule", "show", str(path) + "x"]):
        done = CliRunner().invoke(blochnet, words)
        assert "\x1b" not in done.output
        assert "\x07" not in done.output


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "@x", "-1+2", "a,=1+1", "a;@b", "a\t-c"])
def test_no_cell_of_a_schedule_is_a_formula(tmp_path, name):
    made = SCHEDULE.replace(name=name)
    nb.write_schedule(made, tmp_path / "s.csv")
    for separator in (",", ";", "\t"):
        for row in csv.reader((tmp_path / "s.csv").read_text().splitlines(), delimiter=separator):
            assert not [cell for cell in row if cell[:1] in "=+@" and cell]
    assert nb.read_schedule(tmp_path / "s.csv") == made


def test_an_existing_file_is_returned(tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "link").symlink_to("a")
    assert existing_file(tmp_path / "link") == tmp_path / "link"
    assert existing_file(tmp_path) == tmp_path
