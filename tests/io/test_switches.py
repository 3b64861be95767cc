"""What lies under the name of a switch: a stranger's links, what a dead, a stopped or a far writer left."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import tempfile
import time
from pathlib import Path

import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.io.atomic import replacing_set
from napari_blochnet.io.plain_files import existing_file
from napari_blochnet.io.sets import reading_whole, rooms, switching
from napari_blochnet.io.sets.digests import digest
from napari_blochnet.io.sets.reading_whole import reads_whole
from napari_blochnet.io.sets.rooms import LOCK, PLAN, SWITCH, open_room

fcntl = pytest.importorskip("fcntl")

OLD, NEW = nb.Schedule([10.0] * 4, 12.0, 2.0), nb.Schedule([30.0] * 4, 12.0, 2.0)


@pytest.fixture(autouse=True)
def ends():
    """Let what never ends fail."""

    def fail(number, frame):
        raise AssertionError("it does not end")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def switch_in(folder: Path, files: dict[str, bytes], *, plan: dict | None = None, lock: bytes | None = b"") -> Path:
    """Leave what a process leaves that was killed when it had written its plan, and had put nothing in place."""
    switch = folder / SWITCH
    for name in ("new", "former"):
        (switch / name).mkdir(parents=True)
    for name, content in files.items():
        (switch / "new" / name).write_bytes(content)
    if lock is not None:
        (switch / LOCK).write_bytes(lock)
    known = {name: [digest(folder / name) if (folder / name).exists() else None, digest(switch / "new" / name)]
             for name in files}  # fmt: skip
    (switch / PLAN).write_text(json.dumps({"files": known, "left": {}} if plan is None else plan))
    return switch


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a schedule and a file of notes; a switch there would replace the schedule."""
    place = tmp_path / "folder"
    place.mkdir()
    nb.write_schedule(NEW, tmp_path / "new.csv")
    nb.write_schedule(OLD, place / "s.csv")
    (place / "notes.txt").write_text("notes")
    return place


def new_schedule(folder: Path) -> bytes:
    return (folder.parent / "new.csv").read_bytes()


def write_two(folder: Path, then=lambda draft: None) -> None:
    with replacing_set([folder / "a.txt", folder / "b.txt"]) as draft:
        for name in ("a.txt", "b.txt"):
            (draft / name).write_text("new")
        then(draft)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_what_was_broken_off_is_finished(folder):
    switch_in(folder, {"s.csv": new_schedule(folder)})
    assert nb.read_schedule(folder / "s.csv") == NEW
    assert sorted(path.name for path in folder.iterdir()) == ["notes.txt", "s.csv"]


# -- a stranger's folder


@pytest.mark.parametrize("linked", ["new", "former", "switch", PLAN, LOCK])
def test_links_in_a_strangers_folder_lead_nothing_out_or_in(linked, folder, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    for name in ("id_rsa", "s.csv", "notes.txt"):
        (home / name).write_text(f"private {name}")
    switch = switch_in(folder, {"notes.txt": b"theirs", "id_rsa": (home / "id_rsa").read_bytes()})
    if linked == "switch":
        switch.rename(tmp_path / "theirs")
        switch.symlink_to(tmp_path / "theirs")
    elif linked in (PLAN, LOCK):
        (switch / linked).rename(tmp_path / linked)
        (switch / linked).symlink_to(tmp_path / linked)
    else:
        for path in (switch / linked).iterdir():
            path.unlink()
        (switch / linked).rmdir()
        (switch / linked).symlink_to(home)
    before = everything(tmp_path)
    assert nb.read_schedule(folder / "s.csv") == OLD
    existing_file(folder)
    existing_file(folder / "notes.txt")
    assert everything(tmp_path) == before


def test_what_is_not_as_the_plan_says_is_not_put(folder):
    plan = {"files": {"notes.txt": [digest(folder / "notes.txt"), "0" * 32], "extra": [None, "0" * 32]}, "left": {}}
    switch_in(folder, {"notes.txt": b"another", "extra": b"extra"}, plan=plan)
    existing_file(folder / "notes.txt")
    assert everything(folder)["notes.txt"] == b"notes"
    assert not (folder / "extra").exists()


# -- nothing waits without an end


def switch_of_a_store(folder: Path) -> Path:
    (folder / "a.zarr").mkdir()
    was = digest(folder / "a.zarr")
    switch = switch_in(folder, {})
    (switch / "new" / "a.zarr").mkdir()
    (switch / "new" / "a.zarr" / "zarr.json").write_text("{}")
    plan = {"files": {"a.zarr": [was, digest(switch / "new" / "a.zarr")]}, "left": {}}
    (switch / PLAN).write_text(json.dumps(plan))
    return switch


def test_a_plan_whose_former_folder_is_missing_is_finished(folder):
    switch = switch_of_a_store(folder)
    (switch / "former").rmdir()
    existing_file(folder / "a.zarr")
    assert (folder / "a.zarr" / "zarr.json").exists()
    assert not switch.exists()


def test_what_cannot_be_kept_is_a_sentence_and_no_loop(folder):
    switch = switch_of_a_store(folder)
    (switch / "former" / "a.zarr").write_text("in the way")
    with pytest.raises(InputError, match="broken off midway and cannot be finished"):
        existing_file(folder / "a.zarr")
    assert nb.read_schedule(folder / "s.csv") == OLD


def test_a_stopped_writer_is_not_waited_for_without_an_end(folder, monkeypatch):
    monkeypatch.setattr(switching, "_PATIENCE", 0.0)
    switch = switch_in(folder, {"s.csv": new_schedule(folder)})
    with (switch / LOCK).open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process began to put files in place there and has not finished"):
            nb.read_schedule(folder / "s.csv")
        existing_file(folder / "notes.txt")  # which its plan does not name
        (switch / PLAN).unlink()  # before it has one, the old set is there
        assert nb.read_schedule(folder / "s.csv") == OLD
    assert switch.exists()
    assert nb.read_schedule(folder / "s.csv") == OLD
    assert not switch.exists()


def test_one_that_waits_for_its_turn_does_not_wait_without_an_end(folder, monkeypatch):
    monkeypatch.setattr(switching, "_TURN", 0.05)
    switch = switch_in(folder, {}, lock=None)
    before = everything(folder)
    with pytest.raises(InputError, match="is in the way; expected nothing of this name"):
        write_two(folder)
    assert everything(folder) == before
    assert switch.exists()


def test_a_lock_that_is_a_pipe_is_not_waited_for(as_nobody):
    def read(place: Path) -> str:
        nb.write_schedule(OLD, place / "s.csv")
        for name in (SWITCH, ".napari-blochnet-01234567"):
            (place / name).mkdir()
            os.mkfifo(place / name / LOCK, 0o444)
        nb.write_schedule(NEW, place / "s.csv")
        return "new" if nb.read_schedule(place / "s.csv") == NEW else "old"

    assert as_nobody(read) == "new"


def reading(folder: Path, between=lambda: None) -> int:
    count = []

    @reads_whole
    def read():
        existing_file(folder)
        existing_file(folder / "s.csv")
        count.append(True)
        between()

    read()
    return len(count)


def test_a_switch_without_a_lock_lets_nothing_be_read_again(folder):
    switch_in(folder, {"s.csv": new_schedule(folder)}, lock=None)
    assert reading(folder) == 1
    assert nb.read_schedule(folder / "s.csv") == OLD


def test_a_folder_that_keeps_receiving_files_is_read_for_some_seconds_only(folder, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(reading_whole.time, "monotonic", lambda: now[0])

    def arrive():
        now[0] += 2.0  # a reading that takes this long
        (folder / f"{now[0]:g}.txt").write_text("")

    assert reading(folder, arrive) == 3


# -- a folder that may only be read


@pytest.fixture
def as_nobody():
    """Return what does some work in an empty folder in a child without rights, and returns what that returns."""
    nobody = 65534 if os.getuid() == 0 else os.getuid()
    with tempfile.TemporaryDirectory() as top:
        Path(top).chmod(0o755)
        place = Path(top, "place")
        place.mkdir()
        os.chown(place, nobody, -1)

        def run(work) -> str:
            here, there = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    signal.signal(signal.SIGALRM, signal.SIG_DFL)
                    signal.alarm(30)
                    os.setuid(nobody)
                    os.write(there, work(place).encode())
                except BaseException as error:
                    os.write(there, repr(error).encode())
                finally:
                    os._exit(0)
            os.close(there)
            with os.fdopen(here) as answer:
                said = answer.read()
            os.waitpid(child, 0)
            return said

        yield run
        place.chmod(0o755)


@pytest.mark.parametrize("state", ["no plan", "all is put", "unfinished"])
def test_a_dead_switch_where_nothing_may_be_written_refuses_only_what_it_names(state, as_nobody):
    def read(place: Path) -> str:
        nb.write_schedule(NEW, place / "new.csv")
        for name in ("s.csv", "other.csv"):
            nb.write_schedule(OLD, place / name)
        switch = switch_in(place, {"s.csv": (place / "new.csv").read_bytes()})
        if state == "no plan":
            (switch / PLAN).unlink()
        elif state == "all is put":
            (switch / "new" / "s.csv").rename(place / "s.csv")
        place.chmod(0o555)
        switch.chmod(0o555)
        (switch / "new").chmod(0o555)
        try:
            assert nb.read_schedule(place / "other.csv") == OLD
            assert reading_of(place / "other.csv") == 1
            try:
                found = nb.read_schedule(place / "s.csv")
                assert reading_of(place / "s.csv") == 1
                existing_file(place)
            except InputError as error:
                return str(error)
            return "old" if found == OLD else "new"
        finally:
            for path in (place, switch, switch / "new"):
                path.chmod(0o755)

    def reading_of(path: Path) -> int:
        count = []
        reads_whole(lambda: count.append(existing_file(path)))()
        return len(count)

    said = as_nobody(read)
    if state == "unfinished":
        assert "was broken off midway and cannot be finished (Permission denied)" in said
    else:
        assert said == {"no plan": "old", "all is put": "new"}[state]


# -- file systems that know no syncing, or no locks of other machines


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_syncing_is_written_to(number, folder, monkeypatch):
    def fsync(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    nb.write_schedule(NEW, folder / "s.csv")
    assert nb.read_schedule(folder / "s.csv") == NEW


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fails_is_told(number, folder, monkeypatch):
    def fsync(descriptor):
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=os.strerror(number)):
        nb.write_schedule(NEW, folder / "s.csv")
    assert nb.read_schedule(folder / "s.csv") == OLD


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_a_lock_of_another_machine_tells_nothing(folder):
    room = open_room(folder)
    room.close()
    (room.path / LOCK).write_bytes(b"another machine")
    nb.write_schedule(OLD, folder / "s.csv")
    assert room.path.exists()
    age(room.path, 2 * rooms._OLD)
    nb.write_schedule(OLD, folder / "s.csv")
    assert not room.path.exists()


def test_a_switch_of_another_machine_is_waited_for_and_then_finished(folder, monkeypatch):
    monkeypatch.setattr(switching, "_PATIENCE", 0.0)
    switch = switch_in(folder, {"s.csv": new_schedule(folder)}, lock=b"another machine")
    with pytest.raises(InputError, match="another process began"):
        nb.read_schedule(folder / "s.csv")
    age(switch, 2 * switching._YOUNG)
    assert nb.read_schedule(folder / "s.csv") == NEW


def test_a_switch_is_as_old_as_its_name(folder, monkeypatch):
    ages = []
    true = switching._write_plan

    def write_plan(room, plan):
        ages.append(time.time() - room.path.stat().st_mtime)
        true(room, plan)

    monkeypatch.setattr(switching, "_write_plan", write_plan)
    write_two(folder, lambda draft: age(draft.parent, 2 * switching._YOUNG))
    assert ages[0] < switching._YOUNG


# -- names


@pytest.mark.parametrize("name", [".x.nii", ".hidden", "..x"])
def test_hidden_names_are_finished_like_others(name, folder):
    switch = switch_in(folder, {name: b"new"})
    existing_file(folder / name)
    assert (folder / name).read_bytes() == b"new"
    assert not switch.exists()


@pytest.mark.parametrize("name", [".napari-blochnet-01234567", "..", ".", "", "a/b", "a\0b", "\ud800", "x" * 300])
def test_names_that_no_plan_of_ours_has_are_not_put(name, folder):
    switch_in(folder, {}, plan={"files": {name: [None, "0" * 32]}, "left": {name: "0" * 32}})
    assert nb.read_schedule(folder / "s.csv") == OLD
    names = sorted(path.name for path in folder.iterdir() if path.name != SWITCH)
    assert names == ["notes.txt", "s.csv"]


def test_a_strangers_file_that_comes_meanwhile_is_not_replaced(folder):
    with pytest.raises(InputError, match=r"b\.txt in .* was not written by napari-blochnet and is not replaced"):
        write_two(folder, lambda draft: (folder / "b.txt").write_text("mine"))
    assert (folder / "b.txt").read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir()) == ["b.txt", "notes.txt", "s.csv"]
