"""Refinement and standard errors through the operations, the command line and files."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from napari_blochnet import EPGDecoder, FingerprintStack, Schedule, reconstruct, write_schedule
from napari_blochnet.cli import blochnet
from napari_blochnet.evaluation.maps_io import read_maps, write_maps

TRAIN = Schedule(8 + 50 * np.abs(np.sin(np.linspace(0, 9, 200))), 12.0, 4.0, inversion_time=10.0)


@pytest.fixture
def volume():
    rng = np.random.default_rng(0)
    clean = EPGDecoder(TRAIN).signal(np.linspace(600, 1500, 6), np.linspace(60, 150, 6))
    noisy = clean + 0.002 * (rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape))
    return np.moveaxis(noisy.reshape(1, 2, 3, 200).astype(np.complex64), -1, 0)


def test_refined_maps_survive_files(volume, tmp_path):
    maps = reconstruct(FingerprintStack(volume, TRAIN), "universal", refine=True, fit_b1=True)
    write_maps(maps, tmp_path)
    again = read_maps(tmp_path)
    for name in ("t1_se", "t2_se", "b1"):
        np.testing.assert_allclose(getattr(again, name), getattr(maps, name), rtol=1e-6)
    np.testing.assert_array_equal(again.converged, maps.converged)
    assert maps.record["settings"]["refine"]
    assert maps.record["not_converged"] == int((~maps.converged).sum())


def test_command_refines(volume, tmp_path):
    np.save(tmp_path / "stack.npy", volume)
    write_schedule(TRAIN, tmp_path / "train.csv")
    words = ["reconstruct", str(tmp_path / "stack.npy"), "--schedule", str(tmp_path / "train.csv"), "--estimator",
             "universal", "--refine", "-o", str(tmp_path / "maps")]  # fmt: skip
    result = CliRunner().invoke(blochnet, words)
    assert result.exit_code == 0, result.output
    assert "precision, not accuracy" in result.output
    maps = read_maps(tmp_path / "maps")
    assert maps.estimator == "universal, refined"
    assert (maps.t2_se > 0).all()
    np.testing.assert_allclose(maps.t1.reshape(-1), np.linspace(600, 1500, 6), rtol=0.05)
