"""How long a training will take: what is counted, and what is made of measured steps."""

import math
import threading

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.progress import Watch
from napari_blochnet.estimators.training import timing
from napari_blochnet.estimators.training.data import draw_tissues
from napari_blochnet.estimators.training.loop import Training
from napari_blochnet.estimators.training.options import options_from
from napari_blochnet.estimators.training.timing import TrainingPace, count_tissues, measure_training
from napari_blochnet.jobs.operations.training_time import training_time

SMALL = {"fingerprints": 1000, "epochs": 3, "batch": 100, "t1_range": (300.0, 4000.0), "t2_range": (20.0, 400.0)}


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("paper", {}),
        ("paper", {"fingerprints": 700}),
        ("paper", {"fingerprints": 10**7, "grid_step": 40.0}),
        ("paper", {"grid_step": 37.0, "t1_range": (100.0, 1000.0), "t2_range": (90.0, 1500.0)}),
        ("quick", {}),
        ("reduced", {}),
    ],
)
def test_tissues_are_counted_without_making_them(preset, changes):
    options = options_from(preset, **changes)
    assert count_tissues(options) == len(draw_tissues(options)[0])


def test_a_whole_training_takes_as_many_steps_as_are_counted():
    points = []
    nb.train("fc", nb.spline_schedule(length=30), watch=points.append, **SMALL)
    options = options_from("quick", **SMALL)
    steps = points[-1].step
    assert TrainingPace(0.0, 0.0, 1.0, 0.0, 1).seconds(options) == steps
    # 2 % are held out, and looked at in one batch after each epoch; all are simulated once, under each schedule
    assert TrainingPace(0.0, 0.0, 0.0, 1.0, 1).seconds(options) == 3
    assert TrainingPace(5.0, 0.25, 0.0, 0.0, 1).seconds(options) == 255
    assert TrainingPace(0.0, 0.0, 1.0, 0.0, 2).seconds(options) == 3 * math.ceil(2 * 980 / 100)
    fresh = options_from("quick", **SMALL, fresh=True)
    assert TrainingPace(0.0, 0.25, 0.0, 0.0, 1).seconds(fresh) == 750


@pytest.mark.parametrize(("at_all", "each"), [(0.001, 1e-5), (0.3, 1e-4), (0.2, 0.05), (2.5, 0.0), (0.0, 0.6)])
def test_steps_are_measured_or_follow_from_smaller_ones(monkeypatch, at_all, each):
    # a clock that only steps move: what one takes at all, and for each of its fingerprints
    now = [0.0]
    sizes = []

    def step(training, index, *, learn):
        sizes.append(len(index))
        now[0] += (at_all + each * len(index)) * (1.0 if learn else 0.25)
        return [0.0]

    monkeypatch.setattr(Training, "try_step", step)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    pace = measure_training("fc", nb.spline_schedule(length=30), "quick", t2_range=(20.0, 400.0))
    whole = at_all + 1000 * each
    assert pace.per_step == pytest.approx(whole)
    assert pace.per_look == pytest.approx(whole / 4)
    # nothing that lasts long is tried
    assert max(at_all + each * size for size in sizes) < 20.0


def test_the_network_is_that_of_the_training(monkeypatch):
    seen = []
    real = Training.try_step

    def watched(training, index, *, learn):
        seen.append((training.architecture, len(index), training.data.width, np.ptp(training.data.t2)))
        return real(training, index, learn=learn)

    monkeypatch.setattr(Training, "try_step", watched)
    schedule = nb.spline_schedule(length=30)
    assert training_time("blochnet", schedule, device="cpu", preset="quick", **SMALL) > 0
    assert {name for name, *_ in seen} == {"blochnet"}
    assert max(size for _, size, *_ in seen) == 100
    assert {width for *_, width, _ in seen} == {24}
    # a grid is as wide as the whole one
    seen.clear()
    assert training_time("fc", schedule, device="cpu", preset="paper", batch=64) > 0
    assert min(spread for *_, spread in seen) > 0.9 * 1990


def test_what_a_training_refuses_is_refused_and_it_can_be_cancelled():
    schedule = nb.spline_schedule(length=30)
    with pytest.raises(nb.InputError, match="subspace"):
        training_time("fc", schedule, subspace=0)
    wish = threading.Event()
    wish.set()
    with pytest.raises(nb.Cancelled):
        measure_training("fc", schedule, "quick", watch=Watch(cancelled=wish))
