"""``blochnet adapt`` from files to a file."""

from __future__ import annotations

import numpy as np
from click.testing import CliRunner

from napari_blochnet import EPGDecoder, Schedule, load_estimator, write_schedule
from napari_blochnet.cli.main import blochnet
from napari_blochnet.estimators.training.loop import train_estimator

LENGTH = 60
TRAINED = Schedule(10 + 40 * np.abs(np.cos(np.linspace(0, 5, LENGTH))), 12.0, 4.0, inversion_time=10.0)
OTHER = Schedule(8 + 50 * np.abs(np.sin(np.linspace(0, 7, LENGTH))), 13.0, 5.0, inversion_time=20.0)


def test_adapt(tmp_path):
    network = train_estimator(
        "fc", TRAINED, "paper", widths=(16,), grid_step=None, fingerprints=200, epochs=1, batch=100
    )
    network.save(tmp_path / "trained.safetensors")
    t1 = np.linspace(500, 2000, 12)
    signal = EPGDecoder(OTHER).signal(t1, 0.1 * t1).astype(np.complex64)
    np.save(tmp_path / "stack.npy", np.moveaxis(signal.reshape(1, 3, 4, LENGTH), -1, 0))
    write_schedule(OTHER, tmp_path / "other.csv")
    words = ["adapt", str(tmp_path / "trained.safetensors"), str(tmp_path / "stack.npy"), "--schedule",
             str(tmp_path / "other.csv"), "--epochs", "2", "--device", "cpu", "-o"]  # fmt: skip
    result = CliRunner().invoke(blochnet, [*words, str(tmp_path / "adapted.safetensors")])
    assert result.exit_code == 0, result.output
    assert "epoch 2" in result.output
    assert len(load_estimator(tmp_path / "adapted.safetensors").schedule) == LENGTH
    refused = CliRunner().invoke(blochnet, [*words, str(tmp_path / "adapted.pt")])
    assert refused.exit_code == 2
    assert "safetensors" in refused.output
