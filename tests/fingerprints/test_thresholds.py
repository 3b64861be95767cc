"""Masks by the level of the signal: the level, Otsu's threshold, and one setting in Python, command and recipe."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from skimage.filters import threshold_otsu

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.maps_io import read_maps
from napari_blochnet.fingerprints.thresholds import otsu_threshold, signal_level, threshold_mask
from napari_blochnet.jobs.history.recipes import run_recipe
from napari_blochnet.jobs.history.scripts import as_command, as_python
from napari_blochnet.jobs.records import as_recipe

GRID = {"t1_range": (500.0, 1500.0), "t2_range": (50.0, 150.0), "step": 0.2}


@pytest.fixture
def noisy(tmp_path, monkeypatch):
    """A disc of one tissue in background noise, in a file: every voxel holds signal."""
    monkeypatch.chdir(tmp_path)
    schedule = nb.Schedule(np.linspace(10, 60, 24), 12.0, 4.0, inversion_time=20.0)
    nb.write_schedule(schedule, "s.csv")
    y, x = np.mgrid[:20, :26]
    disc = (y - 10) ** 2 + (x - 12) ** 2 < 50
    signal = np.asarray(nb.bloch_signal(schedule, [900.0], [90.0]))[0]
    random = np.random.default_rng(4)
    noise = random.normal(0, 0.002, (2, 24, 2, *disc.shape))
    np.save("a.npy", (signal[:, None, None, None] * disc + noise[0] + 1j * noise[1]).astype(np.complex64))
    stack = nb.read_fingerprints("a.npy", nb.read_schedule("s.csv"))
    assert stack.mask.all()
    return stack, np.broadcast_to(disc, (2, *disc.shape))


def _variance_between(level, threshold):
    low, high = level[level <= threshold], level[level > threshold]
    return len(low) * len(high) * (low.mean() - high.mean()) ** 2


def test_the_level_is_the_root_mean_square_over_time(noisy):
    stack, _ = noisy
    np.testing.assert_allclose(signal_level(stack), np.linalg.norm(stack.data, axis=0) / np.sqrt(24), rtol=1e-6)


def test_otsu_parts_the_disc_from_noise(noisy):
    stack, disc = noisy
    threshold = otsu_threshold(stack)
    np.testing.assert_array_equal(threshold_mask(stack, threshold), disc)
    level = signal_level(stack).astype(float)
    # in the middle of the gap
    assert threshold == pytest.approx((level[~disc].max() + level[disc].min()) / 2)
    # scikit-image cuts at the centre of one of 256 bins
    assert level[~disc].max() - np.ptp(level) / 256 <= threshold_otsu(level) <= level[disc].min()


def test_otsu_of_classes_that_overlap_is_the_best_of_all_cuts(noisy):
    stack, _ = noisy
    level = np.concatenate([np.random.default_rng(1).normal(3, 1, 300), np.random.default_rng(2).normal(6, 1, 300)])
    level = np.abs(level).astype(np.float32).reshape(1, 20, 30)
    mixed = nb.FingerprintStack(np.repeat(level[None], 24, 0), stack.schedule, "magnitude")
    threshold = otsu_threshold(mixed)
    cuts = np.sort(level, axis=None).astype(float)
    best = max(_variance_between(level.astype(float), cut) for cut in cuts[:-1])
    assert _variance_between(level.astype(float), threshold) == pytest.approx(best, rel=1e-9)
    assert threshold == pytest.approx(threshold_otsu(level), abs=float(np.ptp(level)) / 128)


def test_integers_that_would_overflow_when_squared():
    data = np.full((3, 1, 2, 2), 60_000, np.uint16)
    data[:, 0, 0] = 5
    stack = nb.FingerprintStack(data, nb.Schedule([10.0, 20.0, 30.0], 12.0, 4.0))
    np.testing.assert_array_equal(signal_level(stack)[0], [[5, 5], [60_000, 60_000]])


def test_what_no_threshold_parts():
    data = np.ones((3, 1, 2, 2), np.uint8)
    stack = nb.FingerprintStack(data, nb.Schedule([10.0, 20.0, 30.0], 12.0, 4.0))
    with pytest.raises(InputError, match="the same signal") as caught:
        otsu_threshold(stack)
    assert caught.value.field == "mask"
    with pytest.raises(InputError, match=r"above 2; its strongest has 1 ") as caught:
        nb.reconstruct(stack, threshold=2.0, device="cpu", **GRID)
    assert caught.value.field == "threshold"


def test_in_python_command_script_and_recipe(noisy):
    stack, disc = noisy
    stack = nb.read_fingerprints("a.npy", nb.read_schedule("s.csv"))
    maps = nb.reconstruct(stack, mask="otsu", device="cpu", **GRID)
    np.testing.assert_array_equal(maps.mask, disc)
    assert maps.record["settings"]["mask"] == "otsu"
    assert "mask" not in maps.record["inputs"]
    by_number = nb.reconstruct(stack, threshold=otsu_threshold(stack), device="cpu", **GRID)
    np.testing.assert_array_equal(by_number.mask, disc)

    from napari_blochnet.jobs.operations.opening import make_schedule, open_fingerprints

    opened = open_fingerprints("a.npy", make_schedule(kind="file", path="s.csv"))
    one_slice = np.zeros(disc.shape, bool)
    one_slice[1] = True
    maps = nb.reconstruct(opened, mask=one_slice, settings=None, threshold=0.05, device="cpu", **GRID)
    # a slice of what lies above the threshold is said by its number
    assert maps.record["settings"]["slices"] == [1, 2]
    assert "mask" not in maps.record["inputs"]
    again = run_recipe(as_recipe(maps.record))[-1]
    np.testing.assert_array_equal(again.mask, disc & one_slice)
    np.testing.assert_array_equal(again.t1, maps.t1)
    assert "threshold=0.05" in as_python(maps.record)
    assert "--threshold 0.05" in as_command(maps.record)
    done = CliRunner().invoke(
        blochnet,
        ["reconstruct", "a.npy", "--schedule", "s.csv", "--mask", "otsu", "--step", "0.2", "--t1-range", "500", "1500",
         "--t2-range", "50", "150", "--device", "cpu", "-o", "out"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(read_maps("out").mask, disc)
