"""Undersampled stacks by the operation and the command: images, records, sentences."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.jobs.history.recipes import run_recipe
from napari_blochnet.jobs.records import as_recipe

TRAIN = nb.Schedule(10 + 50 * np.abs(np.sin(np.arange(96) * np.pi / 48)), 12.0, 4.0, inversion_time=15.0, name="short")


@pytest.fixture(scope="module")
def phantom():
    """Two slices of two tissues, of which the second slice holds nothing."""
    y, x = np.meshgrid(np.linspace(-1, 1, 24), np.linspace(-1, 1, 20), indexing="ij")
    inner, outer = x**2 + y**2 < 0.2, x**2 + y**2 < 0.7
    t1 = np.where(inner, 900.0, 1500.0) * outer
    t2 = np.where(inner, 60.0, 110.0) * outer
    maps = [np.stack([each, 0 * each]) for each in (t1, t2, 0.8 * outer)]
    return nb.Phantom(*maps, name="two tissues")


def test_frames_are_the_images_where_all_is_read(phantom, tmp_path):
    ky, kx = np.meshgrid((np.arange(24) - 12) / 24, (np.arange(20) - 10) / 20, indexing="ij")
    np.save(tmp_path / "grid.npy", np.stack([kx, ky], axis=-1).reshape(1, -1, 2))
    whole = nb.simulate(phantom, TRAIN)
    made = nb.simulate(phantom, TRAIN, trajectory_file=str(tmp_path / "grid.npy"), coils=3)
    np.testing.assert_allclose(made.data, whole.data, atol=2e-3 * np.abs(whole.data).max())
    # which of two slices is empty is left as it was
    assert not made.data[:, 1].any()
    assert made.record["undersampled"]["samples"] == 24 * 20


def test_aliasing_averages_out_over_the_train(phantom):
    whole = nb.simulate(phantom, TRAIN).data[:, 0]
    made = nb.simulate(phantom, TRAIN, trajectory="spiral", interleaves=6, coils=4)
    frames = made.data[:, 0]
    error = np.linalg.norm(frames - whole) / np.linalg.norm(whole)
    assert 0.3 < error < 3
    mean = np.linalg.norm(frames.mean(axis=0) - whole.mean(axis=0)) / np.linalg.norm(whole.mean(axis=0))
    assert mean < 0.35 * error
    assert (made.snr, made.noise_sigma) == (None, None)
    # what lies outside the phantom tells of the aliasing
    assert np.abs(frames[:, ~made.mask[0]]).mean() > 0
    again = nb.simulate(phantom, TRAIN, trajectory="spiral", interleaves=6, coils=4, kind="magnitude")
    np.testing.assert_allclose(again.data, np.abs(made.data), atol=1e-6)


def test_coefficients_hold_the_signal(phantom):
    made = nb.simulate(phantom, TRAIN, trajectory="spiral", interleaves=6, coils=4, images="coefficients",
                       components=4, snr=200)  # fmt: skip
    assert made.is_compressed
    assert made.shape == (4, 2, 24, 20)
    whole = nb.simulate(phantom, TRAIN).fingerprints()
    assert np.linalg.norm(made.expanded() - whole) < 0.12 * np.linalg.norm(whole)
    assert not made.data[:, 1].any()


@pytest.mark.parametrize("kind", ["complex", "real"])
def test_coefficients_of_whole_images_are_those_that_compressing_makes(phantom, kind, tmp_path):
    given = {"kind": kind, "snr": 50, "seed": 3}
    made = nb.simulate(phantom, TRAIN, images="coefficients", components=5, **given)
    expected = nb.compress(nb.simulate(phantom, TRAIN, **given), components=5)
    np.testing.assert_array_equal(made.data, expected.data)
    np.testing.assert_array_equal(made.basis, expected.basis)
    assert (made.kind, made.snr, made.noise_sigma) == (expected.kind, expected.snr, expected.noise_sigma)
    assert made.record["settings"]["images"] == "coefficients"
    # a file that frames are written to part by part
    stored = nb.simulate_to(tmp_path / "c.zarr", phantom, TRAIN, images="coefficients", components=5, **given)
    np.testing.assert_array_equal(stored.data, made.data)


def test_a_record_makes_the_same_bits_again(phantom):
    stack = nb.simulate(nb.synthetic_phantom((6, 30, 26)), TRAIN, trajectory="radial", interleaves=20, coils=2, snr=20,
                        slices=(2, 3), seed=4)  # fmt: skip
    again = run_recipe(as_recipe(stack.record))[-1]
    np.testing.assert_array_equal(again.data, stack.data)
    assert stack.record["settings"]["rotation"] == "golden"


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"trajectory": "zigzag"}, "trajectory", "spiral"),
        ({"trajectory": "file"}, "trajectory_file", "expected a file"),
        ({"trajectory": "spiral", "trajectory_file": "k.npy"}, "trajectory_file", "none with another"),
        ({"trajectory_file": "nowhere.npy"}, None, "nowhere.npy"),
        ({"trajectory": "spiral", "interleaves": 90}, "interleaves", "at most 38"),
        ({"trajectory": "spiral", "kind": "real"}, "kind", "complex or magnitude"),
        ({"trajectory": "spiral", "images": "coefficients", "kind": "magnitude"}, "kind", "signs"),
        ({"images": "coefficients", "kind": "magnitude"}, "kind", "signs"),
    ],
)
def test_what_cannot_be_undersampled(phantom, fields, field, said):
    with pytest.raises(nb.InputError, match=said) as caught:
        nb.simulate(phantom, TRAIN, **fields)
    assert field is None or caught.value.field == field


def test_more_coefficients_than_pulses(phantom):
    short = nb.Schedule(np.full(5, 30.0), 12.0, 4.0, inversion_time=15.0)
    with pytest.raises(nb.InputError, match="5 pulses"):
        nb.simulate(phantom, short, trajectory="spiral", interleaves=6, images="coefficients")
    with pytest.raises(nb.InputError, match="5 pulses"):
        nb.simulate(phantom, short, images="coefficients")


def test_it_tells_how_far_it_is_and_stops(phantom):
    told, stop = [], threading.Event()

    def progress(done, total, message="", /):
        told.append((done, total, message))
        if message == "gridding frames":
            stop.set()

    with pytest.raises(nb.Cancelled):
        nb.simulate(phantom, TRAIN, trajectory="spiral", interleaves=6, coils=2, progress=progress, cancelled=stop)
    reading = [done / total for done, total, message in told if message == "reading k-space"]
    assert reading == sorted(reading)
    assert max(reading) <= 0.5


@pytest.mark.parametrize("options", [{"refine": True}, {"uncertainty": True}])
def test_no_interval_is_shown_where_aliasing_is_no_white_noise(phantom, options):
    stack = nb.simulate(phantom, TRAIN, trajectory="spiral", interleaves=6, coils=2, snr=30)
    maps = nb.reconstruct(stack, step=0.2, **options)
    assert maps.t1_se is None
    assert "k-space was undersampled" in maps.record["note"]
    # that aliased frames do not fit says nothing against their schedule
    assert "misfit" not in maps.record
    known = nb.reconstruct(stack, step=0.2, noise_sigma=0.1, **options)
    assert known.t1_se is not None
    whole = nb.reconstruct(nb.simulate(phantom, TRAIN, snr=30), step=0.2, **options)
    assert whole.t1_se is not None


@pytest.mark.parametrize("name", ["stack.nii.gz", "stack.nii"])
def test_the_command_writes_what_the_operation_makes(phantom, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    from napari_blochnet.phantoms.write import write_phantom
    from napari_blochnet.schedules.schedule_files import write_schedule

    write_phantom(phantom, tmp_path / "head")
    write_schedule(TRAIN, tmp_path / "train.csv")
    words = ["simulate", "--phantom", "head", "--schedule", "train.csv", "--trajectory", "spiral", "--interleaves", "6",
             "--coils", "2", "-o", name]  # fmt: skip
    result = CliRunner().invoke(blochnet, words)
    assert result.exit_code == 0, result.output
    expected = nb.simulate(phantom, TRAIN, trajectory="spiral", interleaves=6, coils=2)
    np.testing.assert_allclose(nb.read_fingerprints(name).data, expected.data, atol=1e-5)
    # what is written by parts otherwise is made whole
    made = nb.simulate_to("own.zarr", phantom, TRAIN, trajectory="spiral", interleaves=6, coils=2)
    np.testing.assert_array_equal(made.data, expected.data)
