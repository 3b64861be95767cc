"""How what a worker has finished reaches the main thread."""

from __future__ import annotations

import gc
import sys
import threading

import pytest
from qtpy.QtCore import QCoreApplication

from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.napari_ui.background import workers
from napari_blochnet.napari_ui.background.workers import Job, result_of


def _ends(how: str):
    """Return a function that is over before the main thread looks once."""

    def function(*, progress, cancelled, partial):
        progress(1, 3, "training")
        partial("first")
        progress(3, 3, "training")
        partial("last")
        if how == "stopped":
            raise Cancelled("cancelled", partial="kept")
        if how == "failed":
            raise InputError("It diverged.", field="rate")
        return "made"

    return function


@pytest.mark.parametrize("how", ["returned", "stopped", "failed"])
@pytest.mark.parametrize("wants_last", [True, False])
def test_what_was_finished_last_comes_before_the_end(qtbot, how, wants_last):
    job = Job("Training", _ends(how), wants_partial=True, wants_last=wants_last)
    told = []
    job.progressed.connect(lambda done, total, message: told.append(done))
    job.partial.connect(told.append)
    getattr(job, how).connect(lambda content: told.append(how))
    with qtbot.waitSignal(job.ended, timeout=10_000):
        job.start()
        # as if the main thread had been busy until the job was over
        job._timer.stop()
    assert told == ([3, "last", how] if wants_last else [how])


@pytest.mark.parametrize("how", ["returned", "stopped", "failed"])
def test_of_a_job_whose_window_is_gone_nothing_is_told_but_its_end(qtbot, how):
    job = Job("Training", _ends(how), wants_partial=True, wants_last=True)
    told = []
    for name in ("progressed", "partial", "returned", "stopped", "failed"):
        getattr(job, name).connect(lambda *content: told.append(content))
    with qtbot.waitSignal(job.ended, timeout=10_000):
        job.start()
        job._timer.stop()
        job.close()
    assert told == []
    assert not job.is_running


@pytest.mark.parametrize("end", ["rest", "quit"])
def test_the_process_gets_its_limits_back(qtbot, monkeypatch, end):
    monkeypatch.setattr(workers, "_QUIET", 50)
    qtbot.waitUntil(lambda: workers._usual is None, timeout=10_000)
    before = sys.getswitchinterval(), gc.get_threshold()
    go = threading.Event()
    job = Job("Waiting", lambda *, progress, cancelled: go.wait(30))
    with qtbot.waitSignal(job.ended, timeout=30_000):
        job.start()
        assert sys.getswitchinterval() < before[0]
        assert gc.get_threshold()[2] > 1000 * max(1, before[1][2])
        if end == "quit":
            # what Qt emits where the window is closed and the script goes on
            QCoreApplication.instance().aboutToQuit.emit()
            assert (sys.getswitchinterval(), gc.get_threshold()) == before
        go.set()
    qtbot.waitUntil(lambda: (sys.getswitchinterval(), gc.get_threshold()) == before, timeout=5000)


@pytest.mark.parametrize("how", ["returned", "stopped", "failed"])
def test_whoever_waits_for_a_job_gets_its_result_or_its_sentence(qtbot, how):
    job = Job("Training", _ends(how), wants_partial=True)
    shown = []

    def steps():
        yield
        shown.append("all")

    job.returned.connect(lambda _: job.run_steps(steps()))
    if how == "returned":
        assert result_of(job, "Nothing was made.") == "made"
        # and not before all is shown
        assert shown == ["all"]
    elif how == "stopped":
        with pytest.raises(Cancelled, match="Nothing was made"):
            result_of(job, "Nothing was made.")
    else:
        with pytest.raises(InputError, match="It diverged") as error:
            result_of(job, "Nothing was made.")
        assert error.value.field == "rate"
    assert not job.is_running
