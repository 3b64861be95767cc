"""The Train tab: a network for one's own schedule and one adapted to a stack, watched, cancelled, named, kept."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from qtpy.QtWidgets import QApplication

from napari_blochnet.estimators.networks.cards import read_card, stored_models
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.phantoms.phantom import Phantom

LENGTH = 60


def _train(desk, **values):
    """Open the tab with settings that train in a moment."""
    desk.use_spline(LENGTH)
    train = desk.turn_to("Train")
    small = {"fingerprints": 1000, "epochs": 3, "batch": 100, "t1_range": (300.0, 4000.0), "t2_range": (20.0, 400.0)}
    train.options.open()
    train.form.set_values({**small, **values})
    return train


def _own() -> list[str]:
    return [model.name for model in stored_models() if not model.packaged]


def test_train_for_my_schedule(desk, own_store):
    desk = desk()
    train = _train(desk)
    assert "60 pulses" in train.schedule_line.text()
    assert train.size_line.text() == "1,000 tissues, 3 epochs."
    name = train.name.line.text()
    assert name == "fc-spline5-seed-0"
    seen, told = [], []
    desk.session.models_changed.connect(lambda: told.append(True))
    desk.click(train.run)
    train.jobs.job.partial.connect(lambda points: seen.append(len(points)))
    said = desk.wait(train)
    assert said.startswith(f"{name} was made in")
    assert told == [True]
    assert _own() == [name]
    # how often the window looks depends on the machine; in the end there are three whole epochs, the held-out loss at
    # the end of each
    assert seen
    x, y = train.view.plot.curves["held out"].getOriginalDataset()
    np.testing.assert_allclose(x, [1, 2, 3])
    assert (y > 0).all()
    # the scores are those of the card, beside the bound
    card = read_card(own_store / f"{name}.safetensors")
    found = card["scores"]["Spline5, seed 0"]["WM T1"]
    assert train.view.scores.isVisible()
    assert [train.view.scores.item(0, column).text() for column in (0, 2, 3, 4)] == [
        "WM T1", f"{found['rmse']:.1f}", f"{found['bound']:.1f}", f"{found['ratio']:.2f}"
    ]  # fmt: skip
    # the next one gets another name; the old one's is refused, beside the field
    assert train.name.line.text() == f"{name}-2"
    desk.type(train.name.line, name)
    desk.click(train.run)
    assert not train.is_busy
    assert train.name.error.text() == f"There is an estimator called {name} already; expected another name."
    desk.click(train.copy.command)
    assert QApplication.clipboard().text().splitlines()[1].startswith("blochnet train --schedule schedule.csv --epochs")
    assert card["record"]["settings"]["epochs"] == 3


def test_what_the_core_refuses_stands_beside_its_field(desk):
    desk = desk()
    train = _train(desk)
    train.choice.set_values({"estimator": "rnn"})
    said = desk.run(train, train.run)
    assert "rnn is not; expected paper, reduced or aliased" in said
    assert "preset" in train.choice.errors()
    train.choice.set_values({"estimator": "fc"})
    train.form.set_values({"t1_range": (4000.0, 300.0)})
    desk.click(train.run)
    assert "expected 0 < smallest ≤ largest" in train.form.errors()["t1_range"]
    assert _own() == []


def test_an_unset_option_shows_its_preset(desk):
    desk = desk()
    train = desk.turn_to("Train")
    assert train.form.editor("epochs").inner.value == 200
    assert train.form.values()["epochs"] is None
    train.choice.set_values({"preset": "paper"})
    assert train.form.editor("epochs").inner.value == 26
    assert train.form.values()["epochs"] is None
    assert train.size_line.text() == "A grid of 10 ms, 26 epochs."


def _wait_for_epochs(desk, train, count: int) -> None:
    points = []
    train.jobs.job.partial.connect(points.extend)
    desk.qtbot.waitUntil(lambda: any(point.epoch >= count for point in points) or not train.is_busy, timeout=60_000)
    assert train.is_busy, train.jobs.message.text()


def test_cancel_keeps_the_best_so_far(desk, own_store, asked):
    desk = desk()
    train = _train(desk, epochs=5000)
    name = train.name.line.text()
    desk.click(train.run)
    _wait_for_epochs(desk, train, 2)
    assert "of 5,000" in train.view.time_left.text()
    desk.click(train.jobs.cancel)
    said = desk.wait(train)
    card = read_card(own_store / f"{name}.safetensors")
    trained = card["training"]["epochs_trained"]
    assert 2 <= trained < 5000
    # the training asked at every step, ten an epoch; after a yes it asks again on its way out at most
    assert asked[-1].noes >= 9 * trained
    assert 1 <= asked[-1].yeses <= 3
    assert said == f"Stopped after {trained} of 5000 epochs; the best so far is in Map's list as {name}."
    assert card["notes"][-1] == f"Stopped after {trained} of 5000 epochs."
    # its record would make the whole training: nothing to copy
    assert not train.copy.isVisible()


def test_cancel_before_anything_was_learnt(desk):
    desk = desk()
    train = _train(desk, epochs=5000, fingerprints=400_000)
    desk.click(train.run)
    desk.click(train.jobs.cancel)
    assert desk.wait(train) == "Cancelled before the first epoch's end; nothing was kept."
    assert _own() == []


def test_close_the_viewer_during_a_training(desk, qtbot):
    desk = desk()
    train = _train(desk, epochs=5000)
    name = train.name.line.text()
    desk.click(train.run)
    _wait_for_epochs(desk, train, 1)
    job = train.jobs.job
    desk.viewer.close()
    qtbot.waitUntil(lambda: not job.is_running, timeout=10_000)
    assert _own() == [name]


def test_adapt_to_a_stack(desk, own_store):
    desk = desk()
    train = _train(desk)
    first = train.name.line.text()
    assert not train.adapt.isEnabled()
    desk.run(train, train.run)
    t1 = np.linspace(400, 2500, 30).reshape(1, 5, 6)
    layers.add_phantom(desk.session, Phantom(t1, t1 / 10, np.ones(t1.shape), name="wedge"))
    # the same schedule drawn anew: another seed, as many pulses
    schedule = desk.turn_to("Schedule")
    schedule.form.set_values({"seed": 5})
    simulate = desk.turn_to("Simulate")
    desk.run(simulate, simulate.run)
    train = desk.turn_to("Train")
    assert train.model.choices == (first,)
    train.adapt_options.open()
    train.adapt_form.set_values({"epochs": 3})
    name = train.adapt_name.line.text()
    assert name.startswith(first)
    assert desk.run(train, train.adapt).startswith(f"{name} was made in")
    card = read_card(own_store / f"{name}.safetensors")
    assert card["record"]["operation"] == "adapt"
    assert card["record"]["inputs"]["estimator"] == first
    assert card["schedules"][0]["name"] == "Spline5, seed 5"
    assert train.view.scores.item(0, 0).text() == "WM T1"
    assert train.copy.isVisible()
    # and the schedule of a stack can be trained for as well
    assert len(train.source) == 2


def test_a_window_drawn_by_mesa_never_loads_triton():
    """PyTorch's optimizers load Triton, whose LLVM and Mesa's end the process."""
    script = (
        "import sys, napari\n"
        "from napari_blochnet.napari_ui.background.llvm import keep_triton_out\n"
        "viewer = napari.Viewer(show=True)\n"
        "from qtpy.QtWidgets import QApplication\n"
        "for _ in range(20): QApplication.processEvents()\n"
        "keep_triton_out()\n"
        "mesa = any(name in open('/proc/self/maps').read() for name in ('libLLVM', 'libgallium'))\n"
        "import importlib.util, torch\n"
        "weight = torch.nn.Parameter(torch.zeros(2))\n"
        "weight.sum().backward()\n"
        "torch.optim.Adam([weight]).step()\n"
        "print('kept out:', not mesa or importlib.util.find_spec('triton') is None, weight.tolist()[0] < 0)\n"
        "viewer.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=180)
    assert "kept out: True True" in done.stdout, done.stdout + done.stderr


def test_how_long_it_takes_is_measured_before_it_is_begun(desk, own_store):
    desk = desk()
    train = _train(desk)
    desk.qtbot.waitUntil(lambda: "by a few steps measured here" in train.time_line.text(), timeout=120_000)
    few = train.time_line.text()
    assert not train.is_busy
    # of another number of epochs it is known at once
    train.form.set_values({"epochs": 100_000})
    assert train.time_line.text() != few
    assert train.time_line.text().endswith(
        (" min, by a few steps measured here.", " h, by a few steps measured here.")
    ) or (" h " in train.time_line.text())
    assert not train.clock.is_measuring
    # what could not be trained takes no time
    train.form.set_values({"t1_range": (4000.0, 300.0)})
    assert train.time_line.text() == ""
    # the button is not in its way, and the line not over it
    assert not train.time_line.geometry().intersects(train.run.geometry())


def test_a_training_that_was_stopped_is_offered_and_gone_on_with(desk, own_store):
    desk = desk()
    train = _train(desk, epochs=40)
    assert not train.stopped.isVisible()
    name = train.name.line.text()
    desk.click(train.run)
    job = train.jobs.job

    def stop(points):
        if points[-1].step > 12:
            job.cancel()

    job.partial.connect(stop)
    desk.wait(train)
    checkpoint = own_store / f"{name}.training"
    assert checkpoint.is_file()
    # other settings and another schedule in the tab change nothing: those of the training are gone on with
    train.form.set_values({"epochs": 2})
    assert train.stopped.isVisible()
    assert train.stopped.choice.currentText().startswith(f"{name} (fc): ")
    assert train.stopped.choice.currentText().endswith(" of 400 steps")
    # a new one takes another name, and is refused this one
    assert train.name.line.text() != name
    desk.click(train.stopped.go_on)
    assert not train.stopped.isVisible()
    said = desk.wait(train)
    assert said.startswith(f"{name} was made in")
    assert read_card(own_store / f"{name}.safetensors")["training"]["epochs_trained"] == 40
    assert not checkpoint.exists()
    assert not train.stopped.isVisible()


def test_a_training_that_was_stopped_is_discarded(desk, own_store):
    desk = desk()
    train = _train(desk, epochs=40)
    name = train.name.line.text()
    desk.click(train.run)
    job = train.jobs.job
    job.partial.connect(lambda points: job.cancel())
    desk.wait(train)
    desk.click(train.stopped.discard)
    assert not (own_store / f"{name}.training").exists()
    assert not train.stopped.isVisible()
