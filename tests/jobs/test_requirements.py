"""The memory that a mapping is said to take is what it takes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.estimators.matching import atoms
from napari_blochnet.jobs.operations.memory_estimate import free_memory, mapping_memory
from napari_blochnet.jobs.operations.opening import make_schedule
from napari_blochnet.jobs.settings import ReconstructSettings


@pytest.fixture(scope="module")
def stacks():
    t1 = np.linspace(300, 3000, 100 * 90).reshape(1, 100, 90)
    phantom = nb.Phantom(t1, t1 / 10, np.ones_like(t1))
    return {
        (pulses, kind): nb.simulate(phantom, make_schedule(kind="spline", length=pulses), kind=kind, snr=50)
        for pulses, kind in ((600, "complex"), (200, "complex"), (400, "magnitude"))
    }


@pytest.mark.parametrize(
    ("pulses", "kind", "options"),
    [
        (600, "complex", {}),
        (600, "complex", {"batch": 1024, "step": 0.1}),
        (600, "complex", {"estimator": "universal"}),
        (200, "complex", {"step": 0.01, "t2_range": (20.0, 300.0)}),
        (200, "complex", {"estimator": "universal", "refine": True}),
        (400, "magnitude", {"step": 0.05}),
        (400, "magnitude", {"estimator": "universal", "uncertainty": True}),
    ],
    ids=str,
)
def test_memory_is_told_within_a_factor_of_two(stacks, pulses, kind, options):
    stack = stacks[pulses, kind]
    settings = ReconstructSettings(**options)
    told = mapping_memory(stack, settings)
    # one slice of 40 voxels compiles what is compiled at first use
    few = np.zeros(stack.mask.shape, bool)
    few[0, 0, :40] = True
    nb.reconstruct(stack, None, few, settings)
    atoms._cache.clear()
    tracemalloc.start()
    try:
        nb.reconstruct(stack, None, None, settings)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told / 2 < peak < told * 2, f"{told / 1e6:.1f} MB told, {peak / 1e6:.1f} MB found"


def test_memory_grows_with_what_is_asked(stacks):
    stack = stacks[200, "complex"]
    usual = mapping_memory(stack, ReconstructSettings())
    assert mapping_memory(stack, ReconstructSettings(step=0.002)) > 20 * usual
    few = np.zeros(stack.mask.shape, bool)
    few[0, :2] = True
    assert mapping_memory(stack, ReconstructSettings(estimator="fc"), few) < mapping_memory(
        stack, ReconstructSettings(estimator="fc")
    )
    with pytest.raises(nb.InputError, match="t2_range"):
        mapping_memory(stack, ReconstructSettings(t1_range=(20.0, 100.0), t2_range=(200.0, 300.0)))


def test_free_memory_is_some_part_of_the_machine():
    import psutil

    assert 0 < free_memory() <= psutil.virtual_memory().total
