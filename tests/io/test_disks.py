"""Disks that are full or cannot be written to: a sentence, the old set whole, and nothing left behind."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.maps_io import read_maps, write_maps
from napari_blochnet.fingerprints.stack_files import read_fingerprints, write_fingerprints
from napari_blochnet.io.sets.rooms import LOCK, PLAN, SWITCH, open_room
from napari_blochnet.phantoms.write import write_phantom

SCHEDULE = nb.Schedule([10.0] * 8, 12.0, 2.0)
SHAPE = (4, 20, 20)


def stack(number: int) -> nb.FingerprintStack:
    noise = np.random.default_rng(number).normal(size=(8, *SHAPE)).astype(np.float32)
    return nb.FingerprintStack(noise, SCHEDULE, "real")


def maps(number: int) -> nb.ParameterMaps:
    values = np.random.default_rng(number).uniform(50, 90, SHAPE).astype(np.float32)
    return nb.ParameterMaps(10 * values, values, values, None, values > 0, estimator=f"n{number}")


def phantom(number: int) -> nb.Phantom:
    values = np.random.default_rng(number).uniform(50, 90, SHAPE).astype(np.float32)
    return nb.Phantom(t1=10 * values, t2=values, pd=values, name="head")


WRITERS = {
    "stack": lambda folder, number: write_fingerprints(stack(number), folder / "a.nii"),
    "store": lambda folder, number: write_fingerprints(stack(number), folder / "a.zarr"),
    "maps": lambda folder, number: write_maps(maps(number), folder),
    "phantom": lambda folder, number: write_phantom(phantom(number), folder),
}
EVERY = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def disk(tmp_path):
    """Return what mounts a small disk of its own, with options."""
    mounted = []

    def mount(options: str) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True)
        if done.returncode:
            pytest.skip("no disk can be mounted here")
        mounted.append(place)
        return place

    if shutil.which("mount") is None:
        pytest.skip("no disk can be mounted here")
    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", place], check=True)


def remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", place], check=True)


@EVERY
@pytest.mark.parametrize("left", [0, 4, 12, 20])
def test_a_full_disk_keeps_the_old_set_and_no_strays(write, left, disk):
    place = disk("size=1m")
    write(place, 1)
    before = digests(place)
    about = os.statvfs(place)
    (place / "other").write_bytes(b"0" * (about.f_bavail * about.f_frsize - left * 1024))
    with pytest.raises((OSError, InputError)) as said:
        write(place, 2)
    assert "space" in str(said.value)
    (place / "other").unlink()
    assert digests(place) == before
    write(place, 2)
    assert digests(place).keys() == before.keys()


def test_a_volume_goes_on_once_there_is_room(disk, tmp_path):
    place = disk("size=4m")
    write_phantom(nb.synthetic_phantom((5, 24, 20)), tmp_path / "head")
    nb.write_schedule(nb.spline_schedule(length=60), tmp_path / "train.csv")
    words = ["simulate", "--phantom", str(tmp_path / "head"), "--schedule", str(tmp_path / "train.csv"), "--snr", "30"]
    assert CliRunner().invoke(blochnet, [*words, "-o", str(tmp_path / "whole.zarr")]).exit_code == 0
    about = os.statvfs(place)
    (place / "other").write_bytes(b"0" * (about.f_bavail * about.f_frsize - 400 * 1024))
    full = CliRunner().invoke(blochnet, [*words, "-o", str(place / "head.zarr")])
    assert full.exit_code == 2, full.output
    assert "what is finished is kept; expected room on the disk" in full.output
    assert not (place / "head.zarr").exists()
    (place / "other").unlink()
    assert CliRunner().invoke(blochnet, [*words, "-o", str(place / "head.zarr")]).exit_code == 0
    again, whole = (read_fingerprints(folder).data for folder in (place / "head.zarr", tmp_path / "whole.zarr"))
    np.testing.assert_array_equal(np.asarray(again), np.asarray(whole))
    assert [item.name for item in place.iterdir()] == ["head.zarr"]


@EVERY
@pytest.mark.parametrize("left", [0, 1, 3, 5])
def test_a_disk_without_inodes_keeps_the_old_set_and_no_strays(write, left, disk):
    place = disk("size=4m,nr_inodes=120")
    write(place, 1)
    before = digests(place)
    (place / "other").mkdir()
    for number in range(os.statvfs(place).f_favail - left):
        (place / "other" / f"{number}").touch()
    with pytest.raises(OSError, match="space"):
        write(place, 2)
    shutil.rmtree(place / "other")
    assert digests(place) == before


@EVERY
def test_a_disk_that_may_only_be_read_is_told_and_read(write, disk):
    place = disk("size=1m")
    write(place, 1)
    before = digests(place)
    remount(place, "ro")
    with pytest.raises(InputError, match="disk0 may not be written to; expected another"):
        write(place, 2)
    assert digests(place) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="gives up the rights of a child that is forked")
def test_a_folder_that_may_no_longer_be_written_to_in_the_middle():
    nobody = 65534 if os.getuid() == 0 else os.getuid()
    with tempfile.TemporaryDirectory() as top:
        Path(top).chmod(0o755)
        place = Path(top, "maps")
        place.mkdir()
        os.chown(place, nobody, -1)

        def lose(done, total, words="", /):
            if done == 2:
                place.chmod(0o555)

        def writing() -> str:
            os.setuid(nobody)
            write_maps(maps(1), place)
            before = digests(place)
            try:
                write_maps(maps(2), place, progress=lose)
            except PermissionError as error:
                said = f"{Path(error.filename).name}: {error.strerror}"
            else:
                return "no error"
            if read_maps(place).estimator != "n1":
                return "the old set is not whole"
            place.chmod(0o755)
            write_maps(maps(1), place)
            return said if digests(place).keys() == before.keys() else "strays are left"

        here, there = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(there, writing().encode())
            except BaseException as error:
                os.write(there, repr(error).encode())
            finally:
                os._exit(0)
        os.close(there)
        with os.fdopen(here) as answer:
            assert answer.read() == "sub-01_T1map.nii.gz: Permission denied"
        os.waitpid(child, 0)


def test_a_folder_that_goes_meanwhile_is_told(tmp_path):
    place = tmp_path / "maps"
    write_maps(maps(1), place)
    with pytest.raises(FileNotFoundError) as said:
        write_maps(maps(2), place, progress=lambda done, total, words="", /: done == 2 and shutil.rmtree(place))
    assert "sub-01" in str(said.value)
    assert not place.exists()


def test_a_command_says_it_in_a_sentence(disk):
    place = disk("size=64k")
    done = CliRunner().invoke(blochnet, ["phantom", "--synthetic", "--shape", "12", "40", "40", "-o", str(place / "p")])
    assert done.exit_code == 2
    assert "No space left on device" in done.output
    assert "Traceback" not in done.output
    assert digests(place) == {}


def broken_off(place: Path) -> None:
    """Leave a set of maps as a process does that is killed in the middle of putting it in place."""
    write_maps(maps(1), place)
    child = os.fork()
    if child == 0:
        count = [0]
        true = os.replace

        def replace(source, target, **more):
            count[0] += 1
            if count[0] == 4:
                os._exit(1)
            return true(source, target, **more)

        os.replace = replace
        write_maps(maps(2), place)
        os._exit(0)
    os.waitpid(child, 0)
    assert (place / SWITCH / PLAN).exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a child that is forked")
def test_what_was_broken_off_cannot_be_read_where_it_cannot_be_finished(disk):
    place = disk("size=1m")
    broken_off(place)
    remount(place, "ro")
    words = (
        r"^[^;(]*: writing files there was broken off midway and cannot be finished .*; expected a folder that may be"
    )
    with pytest.raises(InputError, match=words):
        read_maps(place)
    remount(place, "rw")
    assert read_maps(place).estimator == "n2"
    assert not (place / SWITCH).exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a child that is forked")
def test_the_next_run_does_not_take_a_half_put_set_for_foreign(tmp_path):
    broken_off(tmp_path)
    write_maps(maps(3), tmp_path)
    assert read_maps(tmp_path).estimator == "n3"
    assert not [name for name in digests(tmp_path) if name.startswith(".")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a child that is forked")
def test_what_a_person_put_there_since_is_not_replaced(tmp_path):
    broken_off(tmp_path)
    mine = tmp_path / "sub-01_desc-mapped_mask.nii.gz"
    mine.write_bytes(b"mine")
    with pytest.raises(InputError, match="desc-mapped_mask"):
        read_maps(tmp_path)
    assert mine.read_bytes() == b"mine"


@pytest.mark.parametrize(
    "plan",
    [
        "[]", "{", '{"files": {"../out.txt": [null, "x"]}, "left": {}}', '{"files": {}, "left": {"/etc/passwd": null}}',
        '{"files": {".bashrc": [null, "x"]}, "left": {}}', '{"files": {"mine.txt": 3}, "left": {}}',
        '{"files": {"mine.txt": ["0", "1"]}, "left": {"mine.txt": "2"}}', "[" * 100_000,
        '{"files": {"": [null, "x"]}, "left": {}}', '{"files": {}, "left": ["mine.txt"]}',
    ],
)  # fmt: skip
def test_a_plan_that_came_with_somebody_elses_folder_touches_nothing(plan, tmp_path):
    place = tmp_path / "folder"
    place.mkdir()
    nb.write_schedule(SCHEDULE, place / "s.csv")
    (place / "mine.txt").write_text("mine")
    room = place / SWITCH
    for name in ("new", "former"):
        (room / name).mkdir(parents=True)
    for name in ("mine.txt", "out.txt", ".bashrc"):
        (room / "new" / name).write_text("theirs")
    (room / LOCK).touch()
    (room / PLAN).write_text(plan)
    assert nb.read_schedule(place / "s.csv") == SCHEDULE
    assert (place / "mine.txt").read_text() == "mine"
    assert sorted(path.name for path in place.iterdir() if path.name != SWITCH) == ["mine.txt", "s.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


def test_a_room_whose_writer_lives_is_left_alone(tmp_path):
    room = open_room(tmp_path)
    nb.write_schedule(SCHEDULE, tmp_path / "s.csv")
    assert room.path.is_dir()
    room.close()  # as the system does where a process ends
    nb.write_schedule(SCHEDULE, tmp_path / "s.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]


def test_modes_stay_and_the_umask_is_not_touched(tmp_path, monkeypatch):
    nb.write_schedule(SCHEDULE, tmp_path / "s.csv")
    write_fingerprints(stack(1), tmp_path / "a.nii")
    for name in ("s.csv", "a.nii", "a.json"):
        (tmp_path / name).chmod(0o600)
    monkeypatch.setattr(os, "umask", None)
    nb.write_schedule(SCHEDULE, tmp_path / "s.csv")
    write_fingerprints(stack(2), tmp_path / "a.nii")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes.pop("a_mask.nii.gz") & 0o200
    assert set(modes.values()) == {0o600}
    assert np.array_equal(read_fingerprints(tmp_path / "a.nii").data, stack(2).data)


# -- the last step


def test_a_place_that_cannot_be_written_to_is_told_before_the_work(disk, monkeypatch):
    from napari_blochnet.jobs.operations import opening

    place = disk("size=64k")
    remount(place, "ro")
    worked = []
    monkeypatch.setattr(opening, "synthetic_head", lambda *args, **more: worked.append(True))
    for where in (place, place / "deeper" / "p"):
        done = CliRunner().invoke(blochnet, ["phantom", "--synthetic", "-o", str(where)])
        assert (done.exit_code, worked) == (2, [])
        assert "may not be written to; expected another" in done.output


def test_what_cannot_be_written_at_the_end_is_kept_elsewhere_and_told(disk, tmp_path, monkeypatch):
    place = disk("size=64k")
    write_phantom(phantom(1)[1:3], tmp_path / "p")
    nb.write_schedule(nb.Schedule([30.0] * 200, 12.0, 2.0), tmp_path / "s.csv")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    done = CliRunner().invoke(blochnet, ["simulate", "--phantom", str(tmp_path / "p"), "--schedule",
                                         str(tmp_path / "s.csv"), "-o", str(place / "a.nii.gz")])  # fmt: skip
    assert done.exit_code == 2
    assert "No space left on device; so that it is not lost, the result was written to " in done.output
    (kept,) = (tmp_path / "home").rglob("a.nii.gz")
    assert str(kept) in done.output
    assert read_fingerprints(kept).shape == (200, 2, 20, 20)
    assert digests(place) == {}


def test_names_that_are_no_text_cost_no_result(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    (tmp_path / name).mkdir()
    record = {"operation": "open_phantom", "settings": {}, "inputs": {"source": str(tmp_path / name)}}
    write_maps(maps(1).replace(record=record), tmp_path / name / "maps")
    assert read_maps(tmp_path / name / "maps").record == record
    write_fingerprints(stack(1), tmp_path / name / "a.nii", record=record)
    assert read_fingerprints(tmp_path / name / "a.nii").record == record
    nb.write_schedule(SCHEDULE.replace(name=name), tmp_path / name / "s.csv")
    assert nb.read_schedule(tmp_path / name / "s.csv") == SCHEDULE
    nb.compare(phantom(1), maps(1).replace(record=record)).to_html(tmp_path / name / "r.html")
    nb.compare(phantom(1), maps(1).replace(estimator=name)).to_csv(tmp_path / name / "r.csv")
    assert "caf\\udce9" in (tmp_path / name / "r.csv").read_text(encoding="utf-8")


def test_a_train_beyond_what_the_format_can_say_is_written(tmp_path):
    long = np.ones((32_768, 1, 1, 2), np.float32)
    made = nb.FingerprintStack(long, nb.Schedule([10.0] * 32_768, 12.0, 2.0), "real")
    write_fingerprints(made, tmp_path / "a.nii")
    assert read_fingerprints(tmp_path / "a.nii").shape == long.shape
