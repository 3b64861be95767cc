"""Studies through a real scheduler and real workers, as people start them; some of them are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from clusters import cluster, wait_for

from studies import edited, images, recipe, version_package, waiting_package, write_stack

pytest.importorskip("distributed")


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
        return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
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
def two_workers(tmp_path_factory, _desk):
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        made.workers = [made.worker(_desk.package) for _ in range(2)]
        yield made


def test_maps_are_the_same_by_workers_of_a_cluster_by_threads_and_one_by_one(desk, two_workers):
    for out, words in (("one", ()), ("threads", ("--workers", "2")), ("cluster", ("--scheduler", two_workers.address))):
        code, text, wrong = desk.run(out, desk.recipe, *desk.stacks, *words)
        assert code == 0, wrong
        assert "6 stacks done" in text
    alone = images(desk.folder / "one")
    assert len([name for name in alone if name.endswith("_T1map.nii.gz")]) == 6
    assert alone == images(desk.folder / "threads") == images(desk.folder / "cluster")


def test_what_a_killed_worker_was_at_is_done_by_another_and_nothing_else_twice(desk, two_workers):
    code, _, wrong = desk.run("alone", desk.waiting, *desk.stacks)
    assert code == 0, wrong
    (desk.place / "log").unlink()
    (desk.place / "wait").touch()
    with desk.start("killed", desk.waiting, *desk.stacks, "--scheduler", two_workers.address) as process:
        victim = wait_for(desk.waiting_process, "a worker at work")
        os.kill(victim, signal.SIGKILL)
        (desk.place / "go").touch()
        text, wrong = process.communicate(timeout=300)
    assert process.returncode == 0, wrong
    assert "6 stacks done; 0 failed" in text
    assert images(desk.folder / "killed") == images(desk.folder / "alone")
    assert sorted(desk.begun().values()) == [1, 1, 1, 1, 1, 2]
    # and another takes its place, for the tests after this one
    two_workers.worker(desk.package)


def test_ctrl_c_reaches_the_workers_and_the_same_command_goes_on(desk, two_workers):
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
    assert images(desk.folder / "stopped") == images(desk.folder / "alone")


def test_two_runs_into_one_folder_are_told_apart_and_nothing_is_lost(desk, two_workers):
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
    assert images(desk.folder / "together") == images(desk.folder / "alone")


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("package", "lacks the package that brings the estimator waiting; expected it to be installed there, too."),
        ("version", "has napari-blochnet 99.0; expected napari-blochnet"),
        ("numpy", "has numpy 0.1; expected the versions of this machine: numpy"),
    ],
)
def test_a_worker_that_cannot_do_the_work_is_refused_in_a_sentence(desk, missing, said, tmp_path):
    other = {"package": None, "version": ("napari-blochnet", "99.0"), "numpy": ("numpy", "0.1")}[missing]
    with cluster(tmp_path) as made:
        made.worker(*([] if other is None else [desk.package, version_package(tmp_path / "other", *other)]))
        code, _, wrong = desk.run("refused", desk.waiting, *desk.stacks[:2], "--scheduler", made.address)
    assert code == 2
    assert said in wrong
    assert wrong.count("\n") == 1
    assert not list((desk.folder / "refused").glob("sub-*"))


def test_where_no_scheduler_answers_a_sentence_says_so(desk):
    code, _, wrong = desk.run("nobody", desk.recipe, *desk.stacks, "--scheduler", "tcp://127.0.0.1:9")
    assert code == 2
    assert "No dask scheduler answers at tcp://127.0.0.1:9" in wrong
    assert wrong.count("\n") == 1
