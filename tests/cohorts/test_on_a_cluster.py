"""Studies through a real scheduler and real workers, as people start them; some of them are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from clusters import cluster, wait_for

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.evaluation.maps_io import read_maps
from napari_blochnet.jobs.history.recipes import files_read, read_recipe
from napari_blochnet.jobs.operations.opening import make_schedule, open_fingerprints
from napari_blochnet.schedules.schedule_files import write_schedule
from studies import (
    QUICK,
    SCHEDULE,
    edited,
    images,
    phantom,
    recipe,
    version_package,
    waiting_package,
    write_stack,
)

pytest.importorskip("distributed")

from napari_blochnet.engines import cluster_engine
from napari_blochnet.engines.each_worker import torch_threads


def _hear_ctrl_c():
    # tests that a shell runs in the background ignore it, and so would what they start
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class _Command(subprocess.Popen):
    """A command that ends with the block at the latest: one that hangs is no reason to wait for it."""

    def __exit__(self, *raised):
        if self.poll() is None:
            self.kill()
        super().__exit__(*raised)


class Desk:
    """Stacks, recipes, and a package with an estimator that waits."""

    def __init__(self, folder):
        self.folder, self.place = folder, folder / "place"
        self.place.mkdir()
        self.package = waiting_package(folder / "package", self.place)
        self.stacks = [write_stack(folder / f"sub-{number}_MRF.nii", number) for number in range(6)]
        self.recipe = recipe(folder / "maps")
        self.waiting = edited(self.recipe, folder / "waiting.json", estimator="waiting")

    def start(self, out, *words, paths=()):
        path = os.pathsep.join(map(str, [*paths, self.package, *sys.path]))
        line = [sys.executable, "-m", "napari_blochnet", "run", *map(str, words), "-o", str(self.folder / out)]
        return _Command(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_hear_ctrl_c,
                        env={**os.environ, "PYTHONPATH": path})  # fmt: skip

    def run(self, out, *words):
        process = self.start(out, *words)
        text, wrong = process.communicate(timeout=300)
        return process.returncode, text, wrong

    def begun(self):
        """Of each stack that was begun, by what its samples add up to, how often."""
        lines = (self.place / "log").read_text().splitlines()
        sums = [line.split()[1] for line in lines]
        return {each: sums.count(each) for each in sums}

    def waiting_process(self):
        file = self.place / "waits"
        return int(text.split()[-1]) if file.exists() and (text := file.read_text()).endswith("\n") else 0


@pytest.fixture(scope="module")
def _desk(tmp_path_factory):
    return Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def desk(_desk):
    for file in _desk.place.iterdir():
        file.unlink()
    return _desk


@pytest.fixture(scope="module")
def one_by_one(_desk):
    """Maps of all stacks, made by one process."""
    code, text, wrong = _desk.run("one", _desk.recipe, *_desk.stacks)
    assert code == 0, wrong
    assert "6 stacks done" in text
    return images(_desk.folder / "one")


@pytest.fixture(scope="module")
def waited_for(_desk):
    """Maps of all stacks by the estimator that waits, made by one process."""
    code, _, wrong = _desk.run("alone", _desk.waiting, *_desk.stacks)
    assert code == 0, wrong
    return images(_desk.folder / "alone")


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory, _desk):
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        made.workers = [made.worker(_desk.package) for _ in range(2)]
        yield made


def test_maps_are_the_same_by_workers_of_a_cluster_by_threads_and_one_by_one(desk, two_workers, one_by_one):
    for out, words in (("threads", ("--workers", "2")), ("cluster", ("--scheduler", two_workers.address))):
        code, text, wrong = desk.run(out, desk.recipe, *desk.stacks, *words)
        assert code == 0, wrong
        assert "6 stacks done" in text
    assert len([name for name in one_by_one if name.endswith("_T1map.nii.gz")]) == 6
    assert one_by_one == images(desk.folder / "threads") == images(desk.folder / "cluster")


def test_what_a_killed_worker_was_at_is_done_by_another_and_nothing_else_twice(desk, two_workers, waited_for):
    (desk.place / "wait").touch()
    with desk.start("killed", desk.waiting, *desk.stacks, "--scheduler", two_workers.address) as process:
        victim = wait_for(desk.waiting_process, "a worker at work")
        os.kill(victim, signal.SIGKILL)
        (desk.place / "go").touch()
        text, wrong = process.communicate(timeout=300)
    assert process.returncode == 0, wrong
    assert "6 stacks done; 0 failed" in text
    assert images(desk.folder / "killed") == waited_for
    assert sorted(desk.begun().values()) == [1, 1, 1, 1, 1, 2]
    # and another takes its place, for the tests after this one
    two_workers.worker(desk.package)


def test_ctrl_c_reaches_the_workers_and_the_same_command_goes_on(desk, two_workers, waited_for):
    (desk.place / "wait").touch()
    words = (desk.waiting, *desk.stacks, "--scheduler", two_workers.address)
    with desk.start("stopped", *words) as process:
        wait_for(desk.waiting_process, "a worker at work")
        process.send_signal(signal.SIGINT)
        _, wrong = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "the same command goes on" in wrong
    wait_for((desk.place / "cancelled").exists, "the end of what a worker was at")
    (desk.place / "go").touch()
    code, text, wrong = desk.run("stopped", *words)
    assert code == 0, wrong
    assert "6 stacks done" in text
    assert images(desk.folder / "stopped") == waited_for


def test_two_runs_into_one_folder_are_told_apart_and_nothing_is_lost(desk, two_workers, waited_for):
    (desk.place / "wait").touch()
    words = (desk.waiting, *desk.stacks, "--scheduler", two_workers.address)
    with desk.start("together", *words) as process:
        wait_for(desk.waiting_process, "a worker at work")
        code, _, wrong = desk.run("together", desk.recipe, *desk.stacks)
        assert code == 2
        assert "is being written to by another run" in wrong
        (desk.place / "go").touch()
        process.communicate(timeout=300)
    assert process.returncode == 0
    assert images(desk.folder / "together") == waited_for


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("package", "lacks the package that brings the estimator waiting; expected it to be installed there, too."),
        ("version", "has napari-blochnet 99.0; expected napari-blochnet"),
        ("numpy", "has numpy 0.1; expected the versions of this machine: numpy"),
        ("dask", "has distributed 1.0; expected distributed 20"),
    ],
)
def test_a_worker_that_cannot_do_the_work_is_refused_in_a_sentence(desk, missing, said, tmp_path):
    other = {"package": None, "version": ("napari-blochnet", "99.0"), "numpy": ("numpy", "0.1"),
             "dask": ("distributed", "1.0")}[missing]  # fmt: skip
    with cluster(tmp_path) as made:
        made.worker(*([] if other is None else [desk.package, version_package(tmp_path / "other", *other)]))
        code, _, wrong = desk.run("refused", desk.waiting, *desk.stacks[:2], "--scheduler", made.address)
    assert code == 2
    assert said in wrong
    assert wrong.count("\n") == 1
    assert not list((desk.folder / "refused").glob("sub-*"))


def test_a_worker_that_comes_late_and_cannot_do_the_work_ends_it_in_a_sentence_and_nothing_is_lost(
    desk, tmp_path, waited_for
):
    (desk.place / "wait").touch()
    words = (desk.waiting, *desk.stacks, "--scheduler")
    with cluster(tmp_path) as made:
        made.worker(desk.package)
        with desk.start("late", *words, made.address) as process:
            wait_for(desk.waiting_process, "a worker at work")
            made.worker(desk.package, version_package(tmp_path / "other", "numba", "0.1"))
            _, wrong = process.communicate(timeout=300)
        assert process.returncode == 2
        assert "has numba 0.1; expected the versions of this machine: numba" in wrong
        assert wrong.count("\n") == 1
        (desk.place / "go").touch()
        made.processes[-1].kill()
        made.processes[-1].wait()
        code, text, wrong = desk.run("late", *words, made.address)
    assert code == 0, wrong
    assert "6 stacks done" in text
    assert images(desk.folder / "late") == waited_for


def test_a_full_disk_at_the_workers_is_told_of_and_the_same_command_goes_on(desk, two_workers, one_by_one):
    place = desk.folder / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        words = (desk.recipe, *desk.stacks, "--scheduler", two_workers.address)
        (place / "out").mkdir()
        filler = place / "other"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"0" * 4096)
        os.truncate(filler, filler.stat().st_size - 2**16)  # room for the notes of a study, not for maps
        code, _, wrong = desk.run("disk/out", *words)
        assert code == 2
        assert "No space left on device" in wrong
        assert wrong.count("\n") == 1
        filler.unlink()
        code, text, wrong = desk.run("disk/out", *words)
        assert code == 0, wrong
        assert "0 failed" in text
        assert images(place / "out") == one_by_one
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_files_are_named_as_the_workers_find_them(desk, two_workers, monkeypatch):
    """The recipe's own schedule lies beside where the command is typed, and the workers are elsewhere."""
    monkeypatch.chdir(desk.folder)
    write_schedule(SCHEDULE, Path("mine.csv"))
    stack = nb.simulate(phantom(1), SCHEDULE, snr=50.0, seed=1)
    np.save("bare.npy", stack.data)
    np.save("mask.npy", stack.mask & (np.arange(8) > 3))
    opened = open_fingerprints("bare.npy", make_schedule(kind="file", path="mine.csv"))
    nb.reconstruct_to("bare maps", opened, **QUICK)
    assert "mine.csv" in files_read(read_recipe("bare maps/sub-01_T1map.json"))
    Path("study.csv").write_text("stack,mask\nbare.npy,mask.npy\n")
    code, _, wrong = desk.run("bare", "bare maps/sub-01_T1map.json", "study.csv", "--scheduler", two_workers.address)
    assert code == 0, wrong
    found, known = read_maps(desk.folder / "bare" / "sub-bare" / "anat"), read_maps("bare maps")
    assert found.mask.sum() == 24
    np.testing.assert_array_equal(found.t1[found.mask], known.t1[found.mask])


def test_a_network_is_trained_by_a_worker_as_here(desk, two_workers):
    write_schedule(SCHEDULE, desk.folder / "train.csv")
    how = {"epochs": 2, "fingerprints": 400, "seed": 3}
    line = ["train", "--schedule", str(desk.folder / "train.csv"), "--scheduler", two_workers.address,
            "-o", str(desk.folder / "mine.safetensors")]  # fmt: skip
    result = CliRunner().invoke(blochnet, [*line, *(f"--{name}={value}" for name, value in how.items())])
    assert result.exit_code == 0, result.stderr
    assert "RMSE over the Cramér–Rao bound" in result.stdout
    found = nb.load_estimator(desk.folder / "mine.safetensors")
    with torch_threads(1):  # as each worker has
        known = nb.train("fc", make_schedule(kind="file", path=str(desk.folder / "train.csv")), **how)
    known.save(desk.folder / "known.safetensors")  # files hold half precision
    known = nb.load_estimator(desk.folder / "known.safetensors")
    for name, weights in known.model.state_dict().items():
        np.testing.assert_array_equal(found.model.state_dict()[name], weights)
    assert found.card["record"]["settings"] == known.card["record"]["settings"]


def test_where_no_scheduler_answers_a_sentence_says_so(desk, monkeypatch):
    monkeypatch.setattr(cluster_engine, "_ANSWER", 1)
    line = ["run", str(desk.recipe), *map(str, desk.stacks), "--scheduler", "tcp://127.0.0.1:9", "-o"]
    result = CliRunner().invoke(blochnet, [*line, str(desk.folder / "nobody")])
    assert result.exit_code == 2
    assert "No dask scheduler answers at tcp://127.0.0.1:9" in result.stderr
    assert result.stderr.count("\n") == 1
