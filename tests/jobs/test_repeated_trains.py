"""An acquired train that was played four times, against what its site mapped of it: means of spheres, ms."""

from __future__ import annotations

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.evaluation.regions import read_spheres

# Of the site, from complex data and its own dictionary; see the data's README.
_SITE = {
    "t1": (2714.6, 2212.3, 2086.7, 1828.3, 1423.4, 1187.9, 842.6, 616.8, 444.3),
    "t2": (625.8, 352.4, 233.5, 176.4, 159.5, 111.6, 79.7, 39.5, 24.0),
}


@pytest.mark.parametrize(("changes", "t1", "t2"), [
    ({}, (24, 28), (15, 19)),
    ({"trains": 4, "recovery_time": 1000.0}, (0, 7), (0, 10)),
    ({"trains": "steady", "recovery_time": 1000.0}, (0, 7), (0, 10)),
])  # fmt: skip
def test_deviation_from_the_site(shared_data, changes, t1, t2):
    folder = shared_data / "acquired" / "vumc_mrf_210"
    schedule = nb.read_schedule(
        folder / "MRF_210.csv", flip_angle=70.0, repetition_time=28.0, echo_time=3.3, inversion_time=28.0
    ).replace(**changes)
    frames = np.load(folder / "frames.npz", allow_pickle=False)["frames"]
    path = shared_data / "acquired" / "vumc_mrf_500" / "spheres.csv"
    spheres = read_spheres(path, (1, *frames.shape[1:]), 5.0)[:9]
    inside = np.any([sphere.mask for sphere in spheres], axis=0)
    maps = nb.reconstruct(
        nb.FingerprintStack(frames[:, None], schedule, "magnitude", mask=inside), step=0.05, saturation=250.0
    )
    for name, (low, high) in (("t1", t1), ("t2", t2)):
        means = [getattr(maps, name)[sphere.mask].mean() for sphere in spheres]
        assert low < 100 * np.mean(np.abs(np.array(means) / _SITE[name] - 1)) < high, name
