"""The operations: simulation against closed forms, mapping, cancelling, refusals."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.jobs.operations.opening import make_schedule


@pytest.fixture(scope="module")
def schedule():
    return nb.Schedule(
        flip_angle=10 + 50 * np.abs(np.sin(np.arange(120) * np.pi / 60)),
        repetition_time=12.0,
        echo_time=4.0,
        inversion_time=15.0,
        name="short train",
    )


@pytest.fixture(scope="module")
def phantom():
    """Three slices of tissues on a grid, one voxel outside the mask."""
    rng = np.random.default_rng(5)
    shape = (3, 4, 5)
    t1 = rng.uniform(300, 3000, shape)
    t2 = t1 * rng.uniform(0.05, 0.3, shape)
    pd = rng.uniform(0.5, 1, shape)
    pd[0, 0, 0] = 0
    return nb.Phantom(t1, t2, pd, voxel_size=(3, 2, 1), name="grid")


def test_simulation_of_one_saturation_recovery_pulse():
    """A single 90° pulse after inversion: PD · |1 − (1 + η) e^(−TI/T1)| e^(−TE/T2)."""
    t1, t2, pd = np.array([[[800.0, 1500.0]]]), np.array([[[60.0, 90.0]]]), np.array([[[1.0, 0.7]]])
    pulse = nb.Schedule(90, 500.0, 20.0, inversion_time=300.0, inversion_efficiency=0.95)
    stack = nb.simulate(nb.Phantom(t1, t2, pd), pulse)
    expected = pd * (1 - (1 + 0.95) * np.exp(-300 / t1)) * np.exp(-20 / t2)
    np.testing.assert_allclose(stack.data[0].real, expected, rtol=2e-6)
    np.testing.assert_allclose(stack.data[0].imag, 0, atol=1e-7)


def test_simulation_equals_the_isochromats(phantom, schedule):
    stack = nb.simulate(phantom, schedule)
    for voxel in [(0, 1, 2), (2, 3, 4)]:
        witness = phantom.pd[voxel] * np.asarray(nb.bloch_signal(schedule, phantom.t1[voxel], phantom.t2[voxel]))
        error = np.linalg.norm(stack.data[(slice(None), *voxel)] - witness) / np.linalg.norm(witness)
        assert error < 3e-6
    assert not stack.mask[0, 0, 0]
    assert not stack.data[:, 0, 0, 0].any()
    assert stack.voxel_size == (3, 2, 1)


def test_simulation_of_some_slices_is_that_part_of_the_whole(phantom, schedule):
    whole, part = nb.simulate(phantom, schedule), nb.simulate(phantom, schedule, slices=(1, 3))
    np.testing.assert_allclose(part.data, whole.data[:, 1:3], atol=1e-6)
    np.testing.assert_allclose(part.affine @ [0, 0, 0, 1], phantom.affine @ [0, 0, 1, 1])


def test_noise_has_the_stated_snr(phantom, schedule):
    clean, noisy = nb.simulate(phantom, schedule), nb.simulate(phantom, schedule, snr=10, seed=2)
    noise = (noisy.data - clean.data)[:, clean.mask]
    signal = np.sqrt(np.mean(np.abs(clean.data[:, clean.mask]) ** 2))
    assert noisy.noise_sigma == pytest.approx(signal / 10, rel=1e-5)
    # 2 × 7,080 samples: the standard deviation is known to 0.6 %
    assert noise.real.std() == pytest.approx(signal / 10, rel=0.03)
    assert noise.imag.std() == pytest.approx(signal / 10, rel=0.03)
    assert not noisy.data[:, ~clean.mask].any()
    again = nb.simulate(phantom, schedule, snr=10, seed=2)
    np.testing.assert_array_equal(again.data, noisy.data)


def test_noisy_magnitude_is_rician(phantom, schedule):
    """Its mean square is A² + 2σ²; with noise in one channel alone it would be A² + σ²."""
    clean = nb.simulate(phantom, schedule, kind="magnitude")
    noisy = nb.simulate(phantom, schedule, kind="magnitude", snr=1, seed=3)
    excess = np.mean(
        np.square(noisy.data, dtype=float)[:, clean.mask] - np.square(clean.data, dtype=float)[:, clean.mask]
    )
    assert noisy.data.dtype == np.float32
    assert excess / noisy.noise_sigma**2 == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("kind", ["complex", "real", "magnitude"])
def test_maps_of_every_kind_of_signal_recover_the_tissues(phantom, schedule, kind):
    stack = nb.simulate(phantom, schedule, kind=kind)
    maps = nb.reconstruct(stack, estimator="dictionary", t1_range=(200, 4000), t2_range=(5, 1000))
    inside = phantom.mask
    np.testing.assert_array_equal(maps.mask, inside)
    # steps of 2 %: half a step, and what T1 and T2 trade between them on a short train
    np.testing.assert_allclose(maps.t1[inside], phantom.t1[inside], rtol=0.04)
    np.testing.assert_allclose(maps.t2[inside], phantom.t2[inside], rtol=0.04)
    np.testing.assert_allclose(maps.pd[inside], phantom.pd[inside], rtol=0.04)
    assert maps.residual[inside].max() < 0.02
    assert not maps.t1[~inside].any()
    comparison = nb.compare(phantom, maps)
    assert comparison.table


def test_a_mask_maps_its_voxels_only(phantom, schedule):
    stack = nb.simulate(phantom, schedule)
    chosen = np.zeros(phantom.shape, bool)
    chosen[1, 2] = True
    maps = nb.reconstruct(stack, mask=chosen, step=0.1)
    np.testing.assert_array_equal(maps.mask, chosen)


def test_cancelling_keeps_what_was_finished(phantom, schedule):
    stack = nb.simulate(phantom, schedule)
    cancelled = threading.Event()

    def stop_after_two(maps):
        if maps.mask.sum() >= 20:
            cancelled.set()

    with pytest.raises(nb.Cancelled) as stopped:
        nb.reconstruct(stack, batch=10, step=0.1, cancelled=cancelled, partial=stop_after_two)
    finished = stopped.value.partial
    assert finished.mask.sum() == 20
    assert (finished.t1[finished.mask] > 0).all()


@pytest.mark.parametrize("options", [{}, {"refine": True}, {"uncertainty": True}, {"estimator": "universal"}], ids=str)
def test_cancelling_within_a_batch(schedule, options):
    """One batch holds everything, so nothing but the estimator itself can look."""
    t1 = np.linspace(300, 3000, 1600).reshape(1, 40, 40)
    stack = nb.simulate(nb.Phantom(t1, t1 / 10, np.ones_like(t1)), schedule)
    cancelled = threading.Event()

    def stop_once_it_maps(done, total, message="", /):
        if message.startswith("mapping"):
            cancelled.set()

    with pytest.raises(nb.Cancelled) as stopped:
        nb.reconstruct(stack, batch=10_000, progress=stop_once_it_maps, cancelled=cancelled, **{"step": 0.1, **options})
    assert not stopped.value.partial.mask.any()


def test_cancelling_a_simulation(phantom, schedule):
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(nb.Cancelled):
        nb.simulate(phantom, schedule, cancelled=cancelled)


def test_progress_ends_at_its_total(phantom, schedule):
    seen = []
    stack = nb.simulate(phantom, schedule, progress=lambda *what: seen.append(what))
    assert seen[-1][0] == seen[-1][1] > 0
    seen.clear()
    nb.reconstruct(stack, batch=10, step=0.1, progress=lambda *what: seen.append(what))
    assert seen[-1][:2] == (59, 59)


def test_refusals(phantom, schedule):
    with pytest.raises(nb.InputError, match=r"slices is 2 to 9.*3 slices") as caught:
        nb.simulate(phantom, schedule, slices=(2, 9))
    assert caught.value.field == "slices"
    stack = nb.simulate(phantom, schedule)
    with pytest.raises(nb.InputError, match=r"mask has shape \(2, 2\)"):
        nb.reconstruct(stack, mask=np.ones((2, 2), bool))
    with pytest.raises(nb.InputError, match="No voxel to map"):
        nb.reconstruct(stack, mask=np.zeros(phantom.shape, bool))
    with pytest.raises(nb.InputError, match="dictionary") as caught:
        nb.reconstruct(stack, estimator="guess")
    assert caught.value.field == "estimator"
    with pytest.raises(nb.InputError, match="device is 'cuda:7'"):
        nb.reconstruct(stack, device="cuda:7")
    spoiled = schedule.replace(rf_phase=np.cumsum(np.arange(len(schedule))) * 117.0)
    with pytest.raises(nb.InputError, match="complex signal"):
        nb.simulate(phantom, spoiled, kind="real")
    with pytest.raises(nb.InputError, match="kind of schedule is 'bssfp'"):
        make_schedule(kind="bssfp")


def test_a_stack_beyond_the_memory_is_refused_before_it_is_allocated(schedule):
    """A thousand pulses over a million million voxels; the arrays themselves are one number, broadcast."""
    huge = np.broadcast_to(np.float32(1), (2, 2, 2))
    small = nb.Phantom(huge * 1000, huge * 100, huge)
    object.__setattr__(small, "mask", np.broadcast_to(np.True_, (10_000, 10_000, 10_000)))
    object.__setattr__(small, "t1", np.broadcast_to(np.float32(1000), (10_000, 10_000, 10_000)))
    with pytest.raises(nb.InputError, match=r"needs .* GiB of memory"):
        nb.simulate(small, schedule)
