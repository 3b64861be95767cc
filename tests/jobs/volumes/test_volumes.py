"""Volumes in parts: the numbers of the whole, the same bits after any end, and no more memory than was said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.benchmarks.benchmark_runs import run_benchmark
from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.arrays import lies_on_disk
from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.evaluation.maps_io import read_maps
from napari_blochnet.fingerprints import stack as stack_module
from napari_blochnet.fingerprints import stack_files, zarr_stacks
from napari_blochnet.fingerprints.stack_drafts import PARTS_ENDINGS
from napari_blochnet.fingerprints.stack_files import write_fingerprints
from napari_blochnet.io.nifti import read_nifti
from napari_blochnet.jobs.catalogue import OPERATIONS
from napari_blochnet.jobs.operations.batches import nearest_first
from napari_blochnet.jobs.sessions import SavedSession, read_session, write_session

FIELDS = ("t1", "t2", "pd", "phase", "residual", "mask", "failed")
SCHEDULE = nb.spline_schedule(length=60)


@pytest.fixture(scope="module")
def head():
    return nb.synthetic_phantom((5, 24, 20))


@pytest.fixture
def small_chunks(monkeypatch):
    """Let a head of a few voxels have several parts a slice, and stay on disk."""
    monkeypatch.setattr(zarr_stacks, "LAZY_BYTES", 0)
    monkeypatch.setattr(zarr_stacks, "_CHUNK_BYTES", 60 * 8 * 64)


class Stop:
    """Is set once it was looked at so often."""

    def __init__(self, looks):
        self.left = looks

    def is_set(self):
        self.left -= 1
        return self.left < 0


def _hidden(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(("kind", "snr"), [("complex", 30.0), ("real", 30.0), ("magnitude", 30.0), ("complex", None)])
def test_a_store_holds_what_is_simulated_in_memory_with_the_same_noise(tmp_path, head, small_chunks, kind, snr):
    whole = nb.simulate(head, SCHEDULE, snr=snr, seed=3, kind=kind)
    stack = nb.simulate_to(tmp_path / "a.zarr", head, SCHEDULE, snr=snr, seed=3, kind=kind)
    assert not isinstance(stack.data, np.ndarray)  # it stays on disk
    assert (stack.kind, stack.schedule, stack.snr) == (kind, SCHEDULE, snr)
    assert stack.noise_sigma == pytest.approx(whole.noise_sigma, rel=1e-6)
    np.testing.assert_array_equal(stack.mask, whole.mask)
    np.testing.assert_allclose(np.asarray(stack.data), whole.data, rtol=0, atol=3e-6 * float(np.abs(whole.data).max()))
    np.testing.assert_array_equal(stack.affine, whole.affine)
    same = ("operation", "settings", "inputs", "pd_mark")
    assert {key: stack.record[key] for key in same} == {key: whole.record[key] for key in same}
    # a cut, and fingerprints out of the middle, as of an array in memory
    inside = np.zeros_like(stack.mask)
    inside[1:4, 5:17, 3:15] = stack.mask[1:4, 5:17, 3:15]
    samples = np.asarray(stack.data)
    np.testing.assert_array_equal(stack.fingerprints(inside), np.moveaxis(samples, 0, -1)[inside])
    np.testing.assert_array_equal(stack[2:4].fingerprints(), np.moveaxis(samples[:, 2:4], 0, -1)[stack.mask[2:4]])
    assert _hidden(tmp_path) == []


def test_only_voxels_inside_the_mask_are_stored(tmp_path, small_chunks):
    inside = np.zeros((3, 16, 16), bool)
    inside[1, 2, 3] = True
    values = np.where(inside, 1000.0, 0.0)
    nb.simulate_to(tmp_path / "a.zarr", nb.Phantom(values, values / 10, inside * 1.0), SCHEDULE)
    assert [path.name for path in (tmp_path / "a.zarr" / "data" / "c").rglob("*") if path.is_file()] == ["0"]


@pytest.mark.parametrize("looks", [1, 4, 9, 20])
def test_a_simulation_that_was_stopped_goes_on_and_ends_with_the_same_bits(tmp_path, head, small_chunks, looks):
    expected = np.asarray(nb.simulate_to(tmp_path / "a.zarr", head, SCHEDULE, snr=20).data)
    with pytest.raises(Cancelled):
        nb.simulate_to(tmp_path / "b.zarr", head, SCHEDULE, snr=20, cancelled=Stop(looks))
    assert not (tmp_path / "b.zarr").exists()
    notes = {path: path.stat().st_mtime_ns for path in tmp_path.glob(".*/done/*.json")}
    assert bool(notes) == (looks > 1)
    again = []
    stack = nb.simulate_to(
        tmp_path / "b.zarr", head, SCHEDULE, snr=20,
        progress=lambda *_: again.append({path: path.stat().st_mtime_ns for path in tmp_path.glob(".*/done/*.json")}),
    )  # fmt: skip
    # nothing that was finished is done again
    assert all(again[0][path] == when for path, when in notes.items())
    assert all(seen.get(path, when) == when for seen in again for path, when in notes.items())
    np.testing.assert_array_equal(np.asarray(stack.data), expected)
    assert _hidden(tmp_path) == []


def test_a_part_that_was_damaged_is_made_again_with_its_own_noise(tmp_path, head, small_chunks):
    expected = np.asarray(nb.simulate_to(tmp_path / "a.zarr", head, SCHEDULE, snr=20).data)
    with pytest.raises(Cancelled):
        nb.simulate_to(tmp_path / "b.zarr", head, SCHEDULE, snr=20, cancelled=Stop(20))
    chunks = sorted(path for path in tmp_path.glob(".*/new/b.zarr/data/c/0/*/*/*") if path.is_file())
    chunks[len(chunks) // 2].write_bytes(b"")
    stack = nb.simulate_to(tmp_path / "b.zarr", head, SCHEDULE, snr=20)
    np.testing.assert_array_equal(np.asarray(stack.data), expected)


@pytest.mark.parametrize("ending", ["nii", "h5"])
@pytest.mark.parametrize("kind", ["complex", "real", "magnitude"])
def test_a_file_in_parts_holds_the_bits_of_a_store_and_is_the_file_that_is_written_whole(
    tmp_path, head, small_chunks, ending, kind
):
    store = nb.simulate_to(tmp_path / "a.zarr", head, SCHEDULE, snr=20, kind=kind)
    stack = nb.simulate_to(tmp_path / f"b.{ending}", head, SCHEDULE, snr=20, kind=kind)
    assert lies_on_disk(stack.data)
    assert isinstance(stack.data, np.memmap)
    np.testing.assert_array_equal(stack.data, np.asarray(store.data))
    np.testing.assert_array_equal(stack.mask, store.mask)
    np.testing.assert_allclose(stack.affine, store.affine, atol=1e-5)
    assert (stack.kind, stack.schedule, stack.noise_sigma) == (kind, SCHEDULE, store.noise_sigma)
    assert {path.name for path in tmp_path.iterdir()} == {"a.zarr", f"b.{ending}", "b_mask.nii.gz", "b.json"}
    # of a store that is read part by part, and of an array in memory
    for name, whole in (("c", store), ("d", replace(store, data=np.asarray(store.data)))):
        write_fingerprints(whole, tmp_path / f"{name}.{ending}")
        if ending == "nii":
            assert (tmp_path / f"{name}.nii").read_bytes() == (tmp_path / "b.nii").read_bytes()
        np.testing.assert_array_equal(nb.read_fingerprints(tmp_path / f"{name}.{ending}").data, stack.data)


@pytest.mark.parametrize("ending", ["nii", "h5"])
@pytest.mark.parametrize("looks", [1, 9, 25])
def test_a_file_that_was_stopped_or_damaged_goes_on_and_ends_with_the_same_bits(
    tmp_path, head, small_chunks, ending, looks
):
    alone, target = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    nb.simulate_to(alone, head, SCHEDULE, snr=20)
    with pytest.raises(Cancelled):
        nb.simulate_to(target, head, SCHEDULE, snr=20, cancelled=Stop(looks))
    assert not target.exists()
    notes = {path: path.stat().st_mtime_ns for path in tmp_path.glob(".*/done/*.json")}
    damaged = {}
    if looks == 25:
        # the first samples inside of a part that is finished: that part alone is made again
        draft = next(tmp_path.glob(f".*/new/b.{ending}"))
        content = bytearray(draft.read_bytes())
        at = next(i for i in range(4096, len(content)) if content[i])
        content[at] ^= 255
        draft.write_bytes(content)
        damaged = {path: when for path, when in notes.items() if path.name.startswith("part-")}
    seen = []
    nb.simulate_to(
        target, head, SCHEDULE, snr=20,
        progress=lambda *_: seen.append({path: path.stat().st_mtime_ns for path in tmp_path.glob(".*/done/*.json")}),
    )  # fmt: skip
    again = {path for path, when in notes.items() if any(now.get(path, when) != when for now in seen)}
    assert len(again) == (1 if damaged else 0)
    assert again <= damaged.keys()
    assert target.read_bytes() == alone.read_bytes()
    assert _hidden(tmp_path) == []


def test_an_hdf5_file_has_places_for_all_voxels_and_room_for_those_inside(tmp_path):
    inside = np.zeros((40, 40, 40), bool)
    inside[20, 2, 3:5] = True
    values = np.where(inside, 1000.0, 0.0)
    stack = nb.simulate_to(tmp_path / "a.h5", nb.Phantom(values, values / 10, inside * 1.0), nb.fisp_schedule())
    with h5py.File(tmp_path / "a.h5") as file:
        assert [dim.label for dim in file["data"].dims] == ["z", "y", "x", "time"]
        assert (file["data"][20, 2, 5] == 0).all()
        np.testing.assert_array_equal(file["data"][20, 2, 3], stack.data[:, 20, 2, 3])
    about = (tmp_path / "a.h5").stat()
    assert about.st_size > 8 * 1000 * 40**3
    assert about.st_blocks * 512 < 2**20


@pytest.mark.parametrize("ending", ["nii", "h5"])
def test_a_large_file_of_ours_is_opened_without_being_read_unless_it_was_changed(tmp_path, head, monkeypatch, ending):
    path = tmp_path / f"a.{ending}"
    written = nb.simulate_to(path, head, SCHEDULE, snr=20)
    looked = []
    usual = stack_module._look_at_samples
    monkeypatch.setattr(stack_module, "_look_at_samples", lambda *given: looked.append(given) or usual(*given))
    monkeypatch.setattr(stack_files, "LAZY_BYTES", 0)
    stack = nb.read_fingerprints(path)
    assert looked == []
    np.testing.assert_array_equal(stack.mask, written.mask)
    np.testing.assert_array_equal(stack[1:3].fingerprints(), written.fingerprints()[written.mask[:1].sum() :][
        : written.mask[1:3].sum()])  # fmt: skip
    assert looked == []
    # a mask of one's own, and samples that are others by now
    nb.read_fingerprints(path, mask=written.mask)
    assert len(looked) == 1
    with path.open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"\0\0\xc0\x7f" * 2)
    changed = nb.read_fingerprints(path)
    assert len(looked) == 2
    assert f"a.{ending} was changed since it was written with the others" in changed.notes[0]


def test_one_json_file_is_of_one_stack(tmp_path, head):
    stack = nb.simulate_to(tmp_path / "a.nii", head, SCHEDULE)
    for write in (lambda path: nb.simulate_to(path, head, SCHEDULE), lambda path: write_fingerprints(stack, path)):
        with pytest.raises(InputError, match=r"^a\.h5: its a\.json is there, that of a\.nii; expected another name"):
            write(tmp_path / "a.h5")


def test_what_is_written_in_parts_is_what_the_catalogue_says():
    (simulate,) = (operation for operation in OPERATIONS if operation.name == "simulate")
    assert simulate.parts_endings == PARTS_ENDINGS


def test_other_settings_go_on_with_nothing(tmp_path, head, small_chunks):
    expected = np.asarray(nb.simulate_to(tmp_path / "a.zarr", head, SCHEDULE, snr=25).data)
    with pytest.raises(Cancelled):
        nb.simulate_to(tmp_path / "b.zarr", head, SCHEDULE, snr=20, cancelled=Stop(9))
    stack = nb.simulate_to(tmp_path / "b.zarr", head, SCHEDULE, snr=25)
    np.testing.assert_array_equal(np.asarray(stack.data), expected)


def test_a_store_that_is_there_is_replaced_and_a_reader_of_the_old_one_is_told(tmp_path, head, small_chunks):
    old = nb.simulate_to(tmp_path / "a.zarr", head, SCHEDULE, snr=20)
    new = nb.simulate_to(tmp_path / "a.zarr", head, SCHEDULE, snr=20, seed=1)
    assert np.isfinite(new.fingerprints()).all()
    with pytest.raises(InputError, match=r"^a\.zarr: was replaced or removed since it was opened"):
        old.fingerprints()
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr" / "mine").write_text("")
    with pytest.raises(InputError, match="was not written by napari-blochnet"):
        nb.simulate_to(tmp_path / "b.zarr", head, SCHEDULE)
    with pytest.raises(InputError, match=r"^a\.nii\.gz: stacks part by part are not written as \.gz; expected a name"):
        nb.simulate_to(tmp_path / "a.nii.gz", head, SCHEDULE)


@pytest.mark.parametrize("ending", ["zarr", "nii", "h5"])
@pytest.mark.parametrize(
    "fields", [{"estimator": "dictionary", "step": 0.2}, {"estimator": "universal", "refine": True}]
)
def test_maps_of_a_file_are_those_of_a_stack_in_memory_to_the_bit(tmp_path, head, small_chunks, fields, ending):
    lazy = nb.simulate_to(tmp_path / f"a.{ending}", head, SCHEDULE, snr=20)
    held = nb.FingerprintStack(np.asarray(lazy.data), SCHEDULE, "complex", lazy.mask, lazy.voxel_size, lazy.affine,
                               noise_sigma=lazy.noise_sigma, record=lazy.record)  # fmt: skip
    expected = nb.reconstruct(held, **fields)
    found = nb.reconstruct_to(tmp_path / "maps", lazy, **fields)
    written = read_maps(tmp_path / "maps")
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    np.testing.assert_allclose(written.t1, expected.t1, rtol=1e-6)
    assert found.record["inputs"] == expected.record["inputs"]
    assert _hidden(tmp_path / "maps") == []


def test_a_mapping_that_was_stopped_goes_on_with_the_slices_that_are_missing(tmp_path, head, small_chunks):
    stack = nb.simulate_to(tmp_path / "a.zarr", head, SCHEDULE, snr=20)
    how = {"estimator": "dictionary", "step": 0.2}
    expected = nb.reconstruct(stack, **how)
    stop = threading.Event()
    seen = []

    def progress(done, total, message="", /):
        if message.startswith("mapping") and done:
            seen.append(done)
            stop.set()

    with pytest.raises(Cancelled):
        nb.reconstruct_to(tmp_path / "maps", stack, **how, progress=progress, cancelled=stop)
    assert [path.name for path in (tmp_path / "maps").rglob("*.npz")] == ["slab-0.npz"]
    mapped = []
    found = nb.reconstruct_to(tmp_path / "maps", stack, **how, progress=lambda *what: mapped.append(what))
    # the first slice was not mapped again
    assert min(done for done, _, message in mapped if message.startswith("mapping with")) == seen[0]
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert found.record["voxels"] == expected.record["voxels"]


def test_kept_slices_are_of_one_stack_and_one_estimator(tmp_path, head, small_chunks):
    first = nb.simulate_to(tmp_path / "a.zarr", head, SCHEDULE, snr=20)
    other = nb.simulate_to(tmp_path / "b.zarr", head, SCHEDULE, snr=20, seed=1)
    with pytest.raises(Cancelled):
        nb.reconstruct_to(tmp_path / "maps", first, estimator="dictionary", step=0.2, cancelled=Stop(40))
    found = nb.reconstruct_to(tmp_path / "maps", other, estimator="dictionary", step=0.2)
    expected = nb.reconstruct(other, estimator="dictionary", step=0.2)
    np.testing.assert_array_equal(found.t1, expected.t1)


def test_the_slice_that_is_looked_at_is_mapped_first_and_its_neighbours_next(head):
    stack = nb.simulate(head, SCHEDULE, snr=20)
    mapped = []

    def partial(maps):
        mapped.append(maps.mask.any(axis=(1, 2)).sum())
        order.append(tuple(np.flatnonzero(maps.mask.any(axis=(1, 2)))))

    order: list[tuple[int, ...]] = []
    found = nb.reconstruct(stack, "dictionary", step=0.2, partial=partial, looked_at=lambda: 3)
    assert order[0] == (3,)
    assert [len(planes) for planes in dict.fromkeys(order)] == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(found.t1, nb.reconstruct(stack, "dictionary", step=0.2).t1)
    # who moves on is followed
    looked_at = iter([0, 4, 4, 2, 2])
    inside = np.ones((5, 10, 10), bool)
    assert [slab.start for slab in nearest_first(inside, lambda: next(looked_at))] == [0, 4, 3, 2, 1]


def _chunks(store):
    return {file.relative_to(store): file.read_bytes() for file in (store / "data").rglob("*") if file.is_file()}


def _blochnet(*words):
    return subprocess.Popen([sys.executable, "-m", "napari_blochnet", *map(str, words)], stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE)  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="kills as POSIX systems do")
def test_a_killed_command_goes_on_says_its_memory_and_two_at_once_are_refused(tmp_path):
    run = CliRunner()
    assert (
        run.invoke(
            blochnet, ["phantom", "--synthetic", "--shape", "12", "40", "34", "-o", str(tmp_path / "head")]
        ).exit_code
        == 0
    )
    assert run.invoke(blochnet, ["schedule", "fisp", "-o", str(tmp_path / "s.csv")]).exit_code == 0
    simulate = ["simulate", "--phantom", tmp_path / "head", "--schedule", tmp_path / "s.csv", "--snr", "20", "-o"]
    alone = run.invoke(blochnet, [*map(str, simulate), str(tmp_path / "a.zarr")])
    assert "Takes at most" in alone.output
    process = _blochnet(*simulate, tmp_path / "b.zarr")
    while process.poll() is None and not list(tmp_path.glob(".*/done/part-*.json")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGSTOP)
    beside = run.invoke(blochnet, [*map(str, simulate), str(tmp_path / "b.zarr")])
    assert (beside.exit_code, "is being made by another process" in beside.output) == (2, True)
    part = next(tmp_path.glob(".*/new/b.zarr/data/c/0/*/*/*")).parent
    (part / "0.a.partial").write_bytes(b"as zarr leaves it")
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "b.zarr").exists()
    again = run.invoke(blochnet, [*map(str, simulate), str(tmp_path / "b.zarr")])
    assert again.exit_code == 0, again.output
    assert _chunks(tmp_path / "a.zarr") == _chunks(tmp_path / "b.zarr")
    assert _hidden(tmp_path) == []
    mapped = run.invoke(
        blochnet, ["--json", "reconstruct", str(tmp_path / "b.zarr"), "--step", "0.2", "-o", str(tmp_path / "m")]
    )
    assert mapped.exit_code == 0, mapped.output
    assert json.loads(mapped.stdout)["voxels"] == int(
        read_nifti(tmp_path / "m" / "sub-01_desc-mapped_mask.nii.gz")[0].sum()
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system does not tell")
def test_the_memory_that_is_stated_is_kept(tmp_path):
    # a store of more than 64 MB, which stays on disk
    rows = run_benchmark("volumes", shape=(6, 48, 40), estimators="universal", half=False, folder=str(tmp_path))
    assert [row.step for row in rows] == ["phantom", "simulate", "universal"]
    assert all(0 < row.peak_mib <= row.stated_mib < row.peak_mib + 300 for row in rows[1:])
    assert list(tmp_path.iterdir()) == []


def test_a_session_holds_a_stack_that_lies_on_disk_and_a_copy_of_it_can_be_written(tmp_path, head, small_chunks):
    stack = nb.simulate_to(tmp_path / "a.zarr", head, SCHEDULE, snr=20)
    write_session(SavedSession((stack,), (), {}), tmp_path / "session")
    back = read_session(tmp_path / "session").subjects[0]
    np.testing.assert_array_equal(back.data, np.asarray(stack.data))
    for name in ("b.zarr", "c.nii", "d.nii.gz", "e.h5"):
        write_fingerprints(stack, tmp_path / name)
        np.testing.assert_array_equal(np.asarray(nb.read_fingerprints(tmp_path / name).data), back.data)
