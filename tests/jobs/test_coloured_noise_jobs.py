"""Standard errors where noise is not white: measured outside the object, of aliased frames and of coefficients."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
from click.testing import CliRunner

import napari_blochnet as nb
from napari_blochnet.cli.main import blochnet
from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.stack_files import write_fingerprints
from napari_blochnet.jobs.operations.opening import open_fingerprints

TRAIN = nb.Schedule(10 + 50 * np.abs(np.sin(np.arange(240) * np.pi / 60)), 12.0, 4.0, inversion_time=15.0, name="short")
SPIRAL = {"trajectory": "spiral", "interleaves": 12, "coils": 4}


@pytest.fixture(scope="module")
def phantom():
    """Two tissues in large areas, in the middle of which no resolution is told."""
    y, x = np.meshgrid(np.linspace(-1, 1, 64), np.linspace(-1, 1, 64), indexing="ij")
    inner, outer = x**2 + y**2 < 0.2, x**2 + y**2 < 0.5
    t1, t2 = (np.where(inner, *values) * outer for values in ((900.0, 1500.0), (60.0, 110.0)))
    return nb.Phantom(*(each[None] for each in (t1, t2, 0.8 * outer)), name="two tissues")


@pytest.fixture(scope="module")
def within(phantom):
    """Voxels away from all edges."""
    inner = phantom.t1 == 900
    return np.logical_or(*(scipy.ndimage.binary_erosion(each, np.ones((1, 7, 7)))
                           for each in (inner, phantom.mask & ~inner)))  # fmt: skip


@pytest.fixture(scope="module")
def coefficients(phantom):
    return nb.compress(nb.simulate(phantom, TRAIN, snr=5, seed=1, **SPIRAL), components=6)


def _covered(maps, phantom, within):
    """Intervals are in the logarithm."""
    there = within & ~maps.failed
    return [
        np.mean(np.abs(np.log(value[there] / truth[there])) <= 1.96 * error[there] / value[there])
        for value, error, truth in ((maps.t1, maps.t1_se, phantom.t1), (maps.t2, maps.t2_se, phantom.t2))
    ]


def test_intervals_of_compressed_frames_cover_the_truth(phantom, within, coefficients):
    maps = nb.reconstruct(coefficients, "universal", within, refine=True, noise_covariance="background")
    assert within.sum() > 350
    assert all(0.90 <= share <= 0.985 for share in _covered(maps, phantom, within))
    said = maps.record["understood"]
    assert "6 coefficients was measured in" in said[0]
    assert "times what the noise covariance alone says" in said[-1]
    assert "images as no sharper than k-space was read" in maps.record["note"]


def test_a_repeated_scan_tells_errors_and_what_aliasing_both_share(phantom, within, coefficients, tmp_path):
    scans = {"again": {}, "turned": {"rotation": "uniform"}}
    for name, more in scans.items():
        made = nb.simulate(phantom, TRAIN, snr=5, seed=2, **SPIRAL, **more)
        write_fingerprints(nb.compress(made, components=6), tmp_path / f"{name}.nii")
    write_fingerprints(coefficients, tmp_path / "first.nii")
    first = open_fingerprints(tmp_path / "first.nii")
    for name in scans:
        maps = nb.reconstruct(first, "universal", within, refine=True, noise_covariance=str(tmp_path / f"{name}.nii"))
        assert all(0.90 <= share <= 0.985 for share in _covered(maps, phantom, within))
        assert "by the difference from the repeated scan" in maps.record["understood"][0]
        # at other angles aliasing is another, and so in the difference
        assert any("their aliasing is the same" in each for each in maps.record["understood"]) == (name == "again")


def test_a_file_says_that_k_space_was_undersampled(coefficients, within, tmp_path):
    write_fingerprints(coefficients, tmp_path / "first.nii")
    maps = nb.reconstruct(open_fingerprints(tmp_path / "first.nii"), "universal", within, refine=True)
    assert maps.t1_se is None
    assert "k-space was undersampled" in maps.record["note"]


def test_what_would_mislead_has_no_intervals(phantom, within, coefficients):
    def note(stack, **fields):
        maps = nb.reconstruct(stack, "universal", within, refine=True, **fields)
        assert maps.t1_se is None
        return maps.record["note"]

    assert "give noise_covariance as 'background'" in note(coefficients)
    prior = nb.simulate(phantom, TRAIN, snr=20, images="coefficients", components=4, **SPIRAL)
    assert "made with a low-rank prior" in note(prior, noise_covariance="background")
    silent = nb.compress(nb.simulate(phantom, TRAIN, **SPIRAL), components=6)
    assert "(trajectory spiral, no noise)" in note(silent, noise_covariance="background")


def test_a_level_that_is_far_off_has_no_intervals(phantom, within, coefficients, tmp_path):
    size = float(np.mean(np.abs(coefficients.data[:, ~phantom.mask]) ** 2))
    np.save(tmp_path / "noise.npy", 100 * size * np.eye(6))
    maps = nb.reconstruct(coefficients, "universal", within, refine=True, noise_covariance=str(tmp_path / "noise.npy"))
    assert maps.t1_se is None
    assert "times the variance that their noise covariance says" in maps.record["understood"][-1]
    assert "noise inside the object" in maps.record["note"]


def test_settings_that_cannot_be_get_a_sentence(phantom, coefficients, tmp_path):
    with pytest.raises(InputError, match="noise_sigma and noise_covariance are both given"):
        nb.reconstruct(coefficients, refine=True, noise_sigma=1.0, noise_covariance="background")
    write_fingerprints(nb.simulate(phantom, TRAIN, snr=20), tmp_path / "whole.nii")
    result = CliRunner().invoke(
        blochnet, ["reconstruct", str(tmp_path / "whole.nii"), "--noise-covariance", "background", "-o",
                   str(tmp_path / "maps")],
    )  # fmt: skip
    assert result.exit_code == 2
    assert "holds whole fingerprints" in result.output
    assert "Traceback" not in result.output
