"""Dictionary matching on the BrainWeb phantom and on an acquired stack."""

import csv

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning
from napari_blochnet.estimators.matching.dictionary import DictionaryMatching


@pytest.fixture(scope="module")
def brain(shared_data):
    with pytest.warns(DataWarning, match="mask.rawb.gz"):
        phantom = nb.read_phantom(shared_data / "brainweb" / "mritc_2mm", tissues="paper")
    return phantom[40]


def test_a_brainweb_slice_is_mapped_to_the_grid_s_precision(brain):
    """Noise-free, every voxel scored: median |error| at most 1 % in T1 and 2 % in T2; at SNR 20 little worse."""
    inside = brain.mask
    t1, t2, pd = (values[inside] for values in (brain.t1, brain.t2, brain.pd))
    assert inside.sum() >= 4500
    schedule = nb.fisp_schedule()
    clean = nb.EPGDecoder(schedule).signal(t1, t2) * pd[:, None]
    estimator = DictionaryMatching()
    found = estimator.predict(clean.astype(np.complex64), schedule)
    assert not found.failed.any()
    errors = [np.abs(found.t1 / t1 - 1), np.abs(found.t2 / t2 - 1)]
    assert np.median(errors[0]) <= 0.01
    assert np.median(errors[1]) <= 0.02
    # half a step of 2 %, and a little for the slant of the valley
    assert errors[0].max() < 0.02
    assert errors[1].max() < 0.03

    rng = np.random.default_rng(0)
    sigma = np.sqrt(np.mean(clean**2)) / 20
    noise = sigma * (rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape))
    noisy = estimator.predict((clean + noise).astype(np.complex64), schedule)
    assert np.median(np.abs(noisy.t1 / t1 - 1)) <= 0.01
    assert np.median(np.abs(noisy.t2 / t2 - 1)) <= 0.02


@pytest.mark.parametrize("saturation", [None, 250.0])
def test_acquired_spheres_agree_with_the_site_s_own_dictionary(shared_data, saturation):
    """Sphere means, radius 5 px, within 6 % of the site's T1 and 8 % of its T2 in spheres 1 to 9."""
    folder = shared_data / "acquired" / "vumc_mrf_500"
    schedule = nb.read_schedule(
        folder / "MRF_500.csv", flip_angle=60.0, repetition_time=15.0, echo_time=3.3, inversion_time=15.0
    )
    with np.load(folder / "frames.npz", allow_pickle=False) as archive:
        frames = archive["frames"]
    y, x = np.ogrid[: frames.shape[1], : frames.shape[2]]
    estimator = DictionaryMatching(saturation=saturation)
    with (folder / "spheres.csv").open(encoding="utf-8") as stream:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]
    for row in rows[:9]:
        inside = (x - row["x"]) ** 2 + (y - row["y"]) ** 2 <= 25
        found = estimator.predict(frames[:, inside].T.astype(np.float32), schedule, "magnitude")
        assert not found.failed.any()
        assert abs(found.t1.mean() / row["t1_site_ms"] - 1) < 0.06, row["sphere"]
        assert abs(found.t2.mean() / row["t2_site_ms"] - 1) < 0.08, row["sphere"]
