"""Tasks in this process and on its threads."""

from __future__ import annotations

import sys
import threading
import types
import warnings

import pytest

from napari_blochnet.common.errors import Cancelled, DataWarning, InputError
from napari_blochnet.common.progress import Watch
from napari_blochnet.engines.each_worker import own_device, refusal
from napari_blochnet.engines.engine import open_engine
from napari_blochnet.engines.settings_engines import EngineSettings
from napari_blochnet.jobs.records import software_versions
from napari_blochnet.physics.kernels.launch import available_threads, for_all_workers, limited_threads


@pytest.fixture
def work(monkeypatch):
    """A module whose function a test gives."""
    module = types.ModuleType("work_of_a_test")
    monkeypatch.setitem(sys.modules, "work_of_a_test", module)

    def run(function, tasks, workers=None, watch=None):
        module.do = function
        with open_engine(EngineSettings(workers=workers), "cpu") as engine:
            return dict(engine.run("work_of_a_test:do", tasks, watch or Watch()))

    return run


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_every_task_is_done_once_and_what_fails_stops_no_other(work, workers):
    done = []

    def do(task, device, watch):
        done.append(task["number"])
        if task["number"] == 2:
            raise InputError("Two is found", "another number")
        if task["number"] == 3:
            raise ZeroDivisionError("of three")
        warnings.warn(f"note {task['number']}", DataWarning, stacklevel=1)
        return {"device": device, "twice": 2 * task["number"]}

    found = work(do, [{"number": number} for number in range(6)], workers)
    assert sorted(done) == list(range(6))
    assert found[5].result == {"device": "cpu", "twice": 10}
    assert found[2].failure == "Two is found; expected another number."
    assert "ZeroDivisionError: of three" in found[3].failure
    assert [found[number].notes for number in range(6)] == [("note 0",), ("note 1",), (), (), ("note 4",), ("note 5",)]


def test_workers_share_the_cores_and_are_at_work_together(work):
    together = threading.Barrier(3, timeout=60)
    cores = available_threads()

    def do(task, device, watch):
        together.wait()
        alone = available_threads()
        with for_all_workers():
            return {"alone": alone, "together": available_threads()}

    found = work(do, [{}] * 3, 3)
    assert {outcome.result["alone"] for outcome in found.values()} == {max(1, cores // 3)}
    assert {outcome.result["together"] for outcome in found.values()} == {cores}
    assert available_threads() == cores


def test_cancel_reaches_every_worker_and_nothing_begins_any_more(work):
    begun, cancelled = [], threading.Event()
    both = threading.Barrier(2, action=cancelled.set, timeout=60)

    def do(task, device, watch):
        begun.append(task)
        both.wait()
        while True:
            watch.check("the work")

    with pytest.raises(Cancelled):
        work(do, [{}] * 5, 2, Watch(cancelled=cancelled))
    assert len(begun) == 2


def test_limits_of_threads_lie_in_one_another():
    cores = available_threads()
    with limited_threads(1, 2):
        assert available_threads() == 1
        with for_all_workers():
            assert available_threads() == min(2, cores)
        assert available_threads() == 1
        other = []
        thread = threading.Thread(target=lambda: other.append(available_threads()))
        thread.start()
        thread.join()
    assert other == [cores]
    assert available_threads() == cores


def test_a_worker_says_what_it_lacks(tmp_path):
    versions = software_versions()
    assert refusal({"versions": versions, "estimators": ["dictionary"], "folders": [str(tmp_path)]}) == ""
    # what torch was built for makes no other version
    assert refusal({"versions": {**versions, "torch": versions["torch"].partition("+")[0] + "+cu128"}}) == ""
    assert "has numba" in refusal({"versions": {**versions, "numba": "0.1"}})
    assert "lacks the package that brings the estimator other" in refusal({"estimators": ["other"]})
    assert "does not see /no/such/folder" in refusal({"folders": ["/no/such/folder"]})


def test_each_process_takes_a_gpu_of_its_own(monkeypatch, tmp_path):
    from napari_blochnet.engines import each_worker

    monkeypatch.setattr(each_worker.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(each_worker, "available_devices", lambda: dict.fromkeys(("auto", "cpu", "cuda:0", "cuda:1")))
    taken: list[dict] = []
    for _ in range(3):  # as if each were another process
        monkeypatch.setattr(each_worker, "_taken", {})
        taken.append(each_worker._taken)
        own_device("auto")
        assert own_device("auto") == next(iter(taken[-1]))
    assert [next(iter(each)) for each in taken] == ["cuda:0", "cuda:1", "cuda:0"]
    assert own_device("cpu") == "cpu"
    assert each_worker.devices_for("auto", 3) == ["cuda:0", "cuda:1", "cuda:0"]


def test_workers_and_a_scheduler_are_one_too_many():
    with (
        pytest.raises(InputError, match="expected one of the two"),
        open_engine(EngineSettings(workers=2, scheduler="tcp://127.0.0.1:1")),
    ):
        pass
