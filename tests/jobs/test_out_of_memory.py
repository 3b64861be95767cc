"""Mapping on a device whose memory does not suffice."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning
from napari_blochnet.estimators.base import Estimator
from napari_blochnet.estimators.matching.dictionary import DictionaryMatching

FIELDS = ("t1", "t2", "pd", "phase", "residual", "mask", "failed")


@pytest.fixture(scope="module")
def stack():
    angles = 10 + 50 * np.abs(np.sin(np.arange(120) * np.pi / 60))
    schedule = nb.Schedule(angles, 12.0, 4.0, inversion_time=15.0, name="short train")
    t1 = np.linspace(300, 3000, 60).reshape(1, 6, 10)
    return nb.simulate(nb.Phantom(t1, t1 / 10, np.ones_like(t1)), schedule, snr=40)


class ShortOfMemory(Estimator):
    """A dictionary on a device that holds ``most`` fingerprints, and as many as the CPU allows there.

    Parameters
    ----------
    most : dict
        Largest batch by device.
    """

    name, is_movable, block = "dictionary", True, None

    def __init__(self, most, device="tiny:0", error=torch.cuda.OutOfMemoryError):
        self.most, self.device, self.error = most, device, error
        self.inner = DictionaryMatching(step=0.1)
        self.calls = []

    def to(self, device):
        self.device = device
        return self

    def make_ready(self, schedule, kind, watch):
        if self.most.get(self.device, 1) < 1:
            raise self.error("simulated")

    def estimate(self, block):
        self.calls.append((self.device, len(block)))
        if len(block) > self.most.get(self.device, 10**9):
            raise self.error("simulated")
        return self.inner.predict(block.data, block.schedule, block.kind)


def _same(first, second):
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


@pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError, MemoryError])
def test_the_batch_is_halved_and_the_maps_are_the_same(stack, error):
    undisturbed = nb.reconstruct(stack, "dictionary", step=0.1, batch=40)
    estimator = ShortOfMemory({"tiny:0": 12}, error=error)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        maps = nb.reconstruct(stack, estimator, step=0.1, batch=40)
    _same(maps, undisturbed)
    assert [size for _, size in estimator.calls] == [40, 20, 10, 10, 10, 10, 10, 10]
    said = [str(warning.message) for warning in seen if warning.category is DataWarning]
    assert said == ["The memory of tiny:0 does not suffice for mapping with dictionary with 40 voxels at a time; it "
                    "goes on with fewer."]  # fmt: skip
    assert maps.record["device"] == "tiny:0"
    assert maps.record["memory"] == said
    # a recipe makes it again as it was asked for
    assert maps.record["settings"]["batch"] == 40


def test_then_the_cpu(stack):
    undisturbed = nb.reconstruct(stack, "dictionary", step=0.1, batch=8)
    estimator = ShortOfMemory({"tiny:0": 0})
    estimator.make_ready = lambda *_: None
    with pytest.warns(DataWarning, match=r"of tiny:0 does not suffice .*; it goes on on the CPU\."):
        maps = nb.reconstruct(stack, estimator, step=0.1, batch=8)
    _same(maps, undisturbed)
    assert estimator.calls[:5] == [("tiny:0", 8), ("tiny:0", 4), ("tiny:0", 2), ("tiny:0", 1), ("cpu", 8)]
    assert {device for device, _ in estimator.calls[4:]} == {"cpu"}
    assert maps.record["device"] == "cpu"


def test_an_estimator_that_does_not_fit_on_the_device_is_prepared_on_the_cpu(stack):
    estimator = ShortOfMemory({"tiny:0": 0})
    with pytest.warns(DataWarning, match="goes on on the CPU"):
        maps = nb.reconstruct(stack, estimator, step=0.1)
    assert maps.mask.any()
    assert estimator.calls == [("cpu", 60)]


def test_a_voxel_that_fits_nowhere_is_a_sentence(stack):
    estimator = ShortOfMemory({"tiny:0": 0, "cpu": 0})
    estimator.make_ready = lambda *_: None
    with (
        pytest.warns(DataWarning),
        pytest.raises(nb.InputError, match="for mapping with dictionary, not even for one of the voxels"),
    ):
        nb.reconstruct(stack, estimator, batch=2)


def test_nothing_is_said_where_the_memory_suffices(stack):
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        maps = nb.reconstruct(stack, ShortOfMemory({}), batch=16)
    assert "memory" not in maps.record


@pytest.mark.parametrize(("most", "device"), [(20, "cpu:0"), (0, "cpu")])
def test_a_simulation_goes_on_with_fewer_tissues_or_on_the_cpu(stack, monkeypatch, most, device):
    from napari_blochnet.jobs.operations import simulate as simulation

    t1 = np.linspace(300, 3000, 60).reshape(1, 6, 10)
    phantom = nb.Phantom(t1, t1 / 10, np.ones_like(t1))
    undisturbed = nb.simulate(phantom, stack.schedule, snr=40)
    simulated, asked = simulation._signal, []

    def signal(decoder, tissues, where):
        asked.append(len(tissues))
        if where == "cpu:0" and len(tissues) > most:
            raise torch.cuda.OutOfMemoryError("simulated")
        return simulated(decoder, tissues, where)

    # torch's own name of a second CPU stands for an accelerator
    monkeypatch.setattr(simulation, "resolve_device", lambda device: "cpu:0")
    monkeypatch.setattr(simulation, "_signal", signal)
    with pytest.warns(DataWarning, match="The memory of cpu:0 does not suffice for simulating"):
        disturbed = nb.simulate(phantom, stack.schedule, snr=40)
    assert asked == ([60, 30, 15, 15, 15, 15] if most else [60, 30, 15, 7, 3, 1, 60])
    # a block of tissues keeps the states that its longest T2 needs
    scale = np.abs(undisturbed.data).max()
    np.testing.assert_allclose(disturbed.data, undisturbed.data, atol=(0 if most == 0 else 5e-6) * scale, rtol=0)
    assert disturbed.record["device"] == device
    assert disturbed.record["memory"]
