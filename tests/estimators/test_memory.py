"""Too little memory: the same work in smaller parts, then on the CPU, and what a person is told of it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning
from napari_blochnet.estimators.fitting.refined import Refined
from napari_blochnet.estimators.fitting.standard_errors import WithStandardErrors
from napari_blochnet.estimators.matching.dictionary import DictionaryMatching
from napari_blochnet.estimators.memory import Allowance
from napari_blochnet.estimators.networks.label_network import LabelNetwork
from napari_blochnet.estimators.networks.network_estimator import NetworkEstimator
from napari_blochnet.estimators.training.loop import Training, train_estimator
from napari_blochnet.estimators.training.options import options_from
from napari_blochnet.estimators.training.steps import Steps
from napari_blochnet.estimators.universal.universal_estimator import Universal

# torch's own name of a second CPU stands for an accelerator: tensors go there, and it is not "cpu"
ACCELERATOR = "cpu:0"


@pytest.fixture(scope="module")
def schedule():
    angles = 10 + 50 * np.abs(np.sin(np.arange(60) * np.pi / 30))
    return nb.Schedule(angles, 12.0, 4.0, inversion_time=15.0, name="short train")


@pytest.mark.parametrize("error", [MemoryError, torch.cuda.OutOfMemoryError])
def test_an_allowance_halves_then_moves_then_says_so(error):
    allowance = Allowance(5, "cuda:0", "mapping with fc", "voxels")
    asked = []

    def work():
        asked.append((allowance.size, allowance.device))
        raise error("no room")

    def until_it_is_done():
        while allowance.attempt(work, allowance.size) is None:
            pass

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(nb.InputError, match="does not suffice for mapping with fc, not even for one of the voxels"):
            until_it_is_done()
    assert asked == [(5, "cuda:0"), (2, "cuda:0"), (1, "cuda:0"), (5, "cpu"), (2, "cpu"), (1, "cpu")]
    assert [str(warning.message) for warning in seen if warning.category is DataWarning] == [
        "The memory of cuda:0 does not suffice for mapping with fc with 5 voxels at a time; it goes on with fewer.",
        "The memory of cuda:0 does not suffice for mapping with fc; it goes on on the CPU.",
        "The memory of cpu does not suffice for mapping with fc with 5 voxels at a time; it goes on with fewer.",
    ]


def test_an_allowance_lets_other_errors_and_results_through():
    allowance = Allowance(4, "cuda:0", "mapping", "voxels")
    assert allowance.attempt(lambda: 3, 4) == 3
    with pytest.raises(ZeroDivisionError):
        allowance.attempt(lambda: 1 // 0, 4)
    assert (allowance.size, allowance.device, allowance.notes) == (4, "cuda:0", ())


def test_estimators_move_with_what_they_wrap(schedule):
    network = NetworkEstimator(LabelNetwork("fc", 60), [schedule])
    for estimator in (DictionaryMatching(step=0.3), network, Refined(network), WithStandardErrors(network)):
        assert estimator.is_movable
        before = estimator.predict(nb.EPGDecoder(schedule).signal([900.0], [80.0]), schedule)
        assert str(estimator.to(ACCELERATOR).device) == ACCELERATOR
        after = estimator.predict(nb.EPGDecoder(schedule).signal([900.0], [80.0]), schedule)
        np.testing.assert_array_equal(before.t1, after.t1)
        assert str(estimator.to("cpu").device) == "cpu"
    # what runs on the CPU whatever it was told stays there, and says so
    assert Refined(Universal(device=ACCELERATOR)).device == "cpu"


def _short_of_memory(training, most, on=ACCELERATOR):
    """Let a training's losses fail on parts of more than ``most`` fingerprints on one device."""
    whole = training._losses
    parts = []

    def losses(batch, rows):
        size = rows.stop - rows.start
        if str(training.steps.device) == on and size > most:
            raise torch.cuda.OutOfMemoryError("simulated")
        parts.append((str(training.steps.device), size))
        return whole(batch, rows)

    training._losses = losses
    return parts


SMALL = {"fingerprints": 90, "batch": 30, "epochs": 2, "snr_range": (10.0, 100.0), "held_out": 0.1, "seed": 5}


@pytest.mark.parametrize("architecture", ["fc", "blochnet"])
def test_a_step_in_parts_has_the_gradient_of_the_batch(schedule, architecture):
    options = options_from("quick", **SMALL)
    gradients, losses = [], []
    for most in (30, 10):
        training = Training(architecture, (schedule,), "quick", options, ACCELERATOR)
        parts = _short_of_memory(training, most)
        training._set_input()
        training.data.prepare(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            losses.append(training._step(training._order(0)[:30], 6))
        gradients.append([parameter.grad for parameter in training.model.parameters()])
        assert [size for _, size in parts] == ([30] if most == 30 else [7, 7, 7, 7, 2])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    for whole, summed in zip(*gradients, strict=True):
        torch.testing.assert_close(summed, whole, rtol=1e-3, atol=1e-5 * float(whole.abs().max()))


@pytest.mark.parametrize("architecture", ["fc", "blochnet"])
@pytest.mark.parametrize(("most", "part"), [(10, (ACCELERATOR, 7)), (0, ("cpu", 30))])
def test_a_training_short_of_memory_ends(schedule, architecture, most, part):
    undisturbed = train_estimator(architecture, schedule, "quick", **SMALL)
    training = Training(architecture, (schedule,), "quick", options_from("quick", **SMALL), ACCELERATOR)
    parts = _short_of_memory(training, most)
    with pytest.warns(DataWarning, match="does not suffice for training"):
        disturbed = training.run()
    assert part in parts
    assert {device for device, _ in parts} == {part[0]}
    assert any("does not suffice" in note for note in disturbed.card["notes"])
    assert disturbed.card["training"]["device"] == part[0]
    assert disturbed.card["training"]["steps_trained"] == undisturbed.card["training"]["steps_trained"]
    if most == 0:
        # never in parts: bit for bit; in parts, Adam turns rounding of a gradient near 0 into a step
        for name, value in undisturbed.model.state_dict().items():
            assert torch.equal(disturbed.model.state_dict()[name], value), name


def test_moments_move_along(schedule):
    """The accelerator fills up in the middle: Adam's moments go on where they were."""
    options = options_from("quick", **SMALL)
    undisturbed = train_estimator("fc", schedule, "quick", **SMALL)
    training = Training("fc", (schedule,), "quick", options, ACCELERATOR)
    whole = training._losses

    def losses(batch, rows):
        if training.state.step >= 4 and str(training.steps.device) == ACCELERATOR:
            raise MemoryError
        return whole(batch, rows)

    training._losses = losses
    with pytest.warns(DataWarning, match="goes on on the CPU"):
        disturbed = training.run()
    for name, value in undisturbed.model.state_dict().items():
        assert torch.equal(disturbed.model.state_dict()[name], value), name


def test_a_training_that_fits_nowhere_is_a_sentence(schedule):
    training = Training("fc", (schedule,), "quick", options_from("quick", **SMALL), "cpu")
    _short_of_memory(training, 0, on="cpu")
    with (
        pytest.warns(DataWarning),
        pytest.raises(nb.InputError, match="not suffice for training fc, not even for one of the fingerprints"),
    ):
        training.run()


def test_a_step_of_the_optimizer_that_fails_is_not_taken_twice():
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    steps = Steps(model, optimizer, 4, torch.device("cpu"), "training fc")

    def fail():
        raise torch.cuda.OutOfMemoryError("simulated")

    optimizer.step = fail
    with pytest.raises(nb.InputError, match="expected a device with more, or the CPU"):
        steps.take(4, lambda part: [model(torch.ones(part.stop - part.start, 2)).mean()])


def test_an_adaptation_goes_on_on_the_cpu(schedule, monkeypatch):
    from napari_blochnet.estimators.training import adaptation

    trained = train_estimator("fc", schedule, "quick", fingerprints=2000, epochs=3)
    t1 = np.linspace(600, 1600, 40)
    data = nb.EPGDecoder(schedule).signal(t1, t1 / 12) * np.exp(0.4j)
    options = adaptation.AdaptationOptions(epochs=3, batch=16)
    undisturbed = adaptation.adapt_estimator(trained, data, schedule, "complex", options)
    trained.to(ACCELERATOR)
    plain = NetworkEstimator.predict

    def predict(self, fingerprints, *args, **kwargs):
        if str(self.device) == ACCELERATOR:
            raise torch.cuda.OutOfMemoryError("simulated")
        return plain(self, fingerprints, *args, **kwargs)

    monkeypatch.setattr(NetworkEstimator, "predict", predict)
    with pytest.warns(DataWarning, match="explaining the stack's fingerprints; it goes on on the CPU"):
        disturbed = adaptation.adapt_estimator(trained, data, schedule, "complex", options)
    for name, value in undisturbed.model.state_dict().items():
        assert torch.equal(disturbed.model.state_dict()[name], value), name
    assert str(trained.device) == ACCELERATOR
