"""Refinement and standard errors through the operations, the command line and files."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from napari_blochnet import (
    EPGDecoder,
    FingerprintStack,
    InputError,
    Schedule,
    fisp_schedule,
    reconstruct,
    write_schedule,
)
from napari_blochnet.cli.main import blochnet
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


@pytest.mark.parametrize("kind", ["complex", "magnitude"])
def test_strange_voxels_of_a_volume(kind):
    clean = EPGDecoder(TRAIN).signal(900.0, 90.0)
    voxels = np.zeros((8, 200), np.complex64)
    voxels[1] = 1.0
    voxels[2, 17] = 3.0
    # T1 beyond what fits look for: they end on the edge
    voxels[3] = EPGDecoder(TRAIN).signal(60_000.0, 90.0)
    voxels[4:6] = clean
    volume = np.moveaxis((np.abs(voxels) if kind == "magnitude" else voxels).reshape(1, 2, 4, 200), -1, 0)
    mask = np.arange(8).reshape(1, 2, 4) < 5
    maps = reconstruct(FingerprintStack(volume, TRAIN, kind, mask=mask), "universal", refine=True)
    for name in ("t1", "t2", "pd", "residual", "t1_se", "t2_se"):
        values = getattr(maps, name)
        assert np.isfinite(values).all(), name
        assert (values[~mask] == 0).all(), name
    assert maps.failed.ravel().tolist() == [True, *[False] * 7]
    assert maps.t2[0, 1, 0] == pytest.approx(90, rel=2e-3)
    lost = maps.mask & ~maps.failed & ~maps.converged
    assert lost[0, 0, 3]
    assert not lost[0, 1, 0]
    assert maps.record["not_converged"] == lost.sum()
    assert maps.record["failed"] == 1
    alone = reconstruct(FingerprintStack(volume[:, :, 1:, :1], TRAIN, kind), "universal", refine=True)
    assert alone.shape == (1, 1, 1)
    assert alone.t1[0, 0, 0] == pytest.approx(900, rel=2e-3)
    with pytest.raises(InputError, match="No voxel to map"):
        reconstruct(FingerprintStack(volume, TRAIN, kind, mask=np.zeros_like(mask)), "universal", refine=True)


def test_refinement_leaves_out_saturated_samples_of_a_network_s_start():
    fisp, t1, t2 = fisp_schedule(), np.linspace(700, 1600, 8), np.linspace(60, 110, 8)
    clean = EPGDecoder(fisp).signal(t1, t2).astype(np.complex64)
    limit = float(np.quantile(np.abs(clean), 0.9))
    clipped = clean * np.minimum(1.0, limit / np.maximum(np.abs(clean), 1e-12))
    stack = FingerprintStack(np.moveaxis(clipped.reshape(1, 2, 4, 1000), -1, 0), fisp)
    maps = reconstruct(stack, "fc", refine=True, saturation=0.999 * limit)
    assert maps.estimator == "fc, refined"
    np.testing.assert_allclose(maps.t1.ravel(), t1, rtol=1e-3)
    np.testing.assert_allclose(maps.t2.ravel(), t2, rtol=1e-3)
    blind = reconstruct(stack, "fc", refine=True)
    assert np.abs(blind.t2.ravel() / t2 - 1).max() > 0.01
    with pytest.raises(InputError, match="refine, or use dictionary or universal"):
        reconstruct(stack, "fc", saturation=limit)
