"""The samples that come with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.stack_files import read_fingerprints
from napari_blochnet.jobs.samples import SAMPLES, sample_path
from napari_blochnet.phantoms.read import read_phantom
from napari_blochnet.phantoms.synthetic import synthetic_phantom
from napari_blochnet.schedules.generators import fisp_schedule
from napari_blochnet.schedules.schedule_files import read_schedule


def test_samples_are_small() -> None:
    folder = sample_path("schedule").parent
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert 1e6 < total <= 2e6


def test_samples_are_what_the_code_makes() -> None:
    assert read_schedule(sample_path("schedule")) == fisp_schedule()
    stored, made = read_phantom(sample_path("head-slice")), synthetic_phantom((1, 109, 91))
    np.testing.assert_allclose(stored.t1, made.t1, rtol=1e-5, atol=1e-3)
    assert stored.tissues == made.tissues


def test_the_sample_stack_is_the_truth_with_noise() -> None:
    torch = pytest.importorskip("torch")
    from napari_blochnet.physics.decoder import EPGDecoder

    stack = read_fingerprints(sample_path("fingerprints"))
    truth = read_phantom(sample_path("fingerprints-truth"))
    np.testing.assert_array_equal(stack.mask, truth.mask)
    maps = [torch.from_numpy(np.ascontiguousarray(values[truth.mask])) for values in (truth.t1, truth.t2, truth.pd)]
    clean = EPGDecoder(stack.schedule)(*maps).numpy()
    samples = stack.fingerprints()
    gain = float((clean * samples).sum() / (clean * clean).sum())
    noise = samples - gain * clean
    assert noise.std() == pytest.approx(stack.noise_sigma, rel=0.01)
    assert np.sqrt(np.mean((gain * clean) ** 2)) / noise.std() == pytest.approx(stack.snr, rel=0.01)


def test_no_such_sample() -> None:
    with pytest.raises(InputError, match="There is no sample 'liver'"):
        sample_path("liver")
    assert all(sample_path(name).exists() for name in SAMPLES)


def test_samples_are_in_the_wheel() -> None:
    import tomllib

    top = Path(__file__).parent.parent.parent
    included = tomllib.loads((top / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert included["force-include"] == {"sample_data": "napari_blochnet/sample_data"}
