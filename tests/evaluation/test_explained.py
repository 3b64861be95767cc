"""Does it fit? Where most of the signal stays unexplained it is said, and nowhere else."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning
from napari_blochnet.evaluation.beside_truth import summary
from napari_blochnet.evaluation.explained import misfit
from napari_blochnet.evaluation.result_tables import Region
from napari_blochnet.fingerprints.noise import noise_in
from napari_blochnet.jobs.operations.merging import merge_maps

STEP = 0.15


@pytest.fixture(scope="module")
def schedule():
    return nb.spline_schedule(length=200, control_points=8, inversion_time=20.0, seed=1)


@pytest.fixture(scope="module")
def head():
    return nb.synthetic_phantom(shape=(12, 30, 26))[5:7]


@pytest.fixture(scope="module")
def clean(head, schedule):
    return nb.simulate(head, schedule)


def said(stack, **fields) -> list[str]:
    """What a mapping warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        maps = nb.reconstruct(stack, step=STEP, **fields)
    sentences = [str(each.message) for each in caught if issubclass(each.category, DataWarning)]
    assert maps.record.get("misfit") == (sentences[0] if sentences else None)
    return sentences


WRONG = {
    "flip angles in radians": lambda x, s: (x, s.replace(flip_angle=np.deg2rad(s.flip_angle)), "complex"),
    "another schedule": lambda x, s: (
        x, nb.spline_schedule(length=200, control_points=8, inversion_time=20.0, seed=2), "complex"),
    "no inversion": lambda x, s: (x, s.replace(inversion_time=None), "complex"),
    "times in other units": lambda x, s: (x, s.replace(repetition_time=100 * s.repetition_time), "complex"),
    "magnitudes as signed": lambda x, s: (np.abs(x), s, "real"),
    "alternating phase left in": lambda x, s: (x * (-1.0) ** np.arange(len(s))[:, None, None, None], s, "complex"),
    "quadratic phase left in": lambda x, s: (
        x * np.exp(1j * np.pi * 50 / 180 * np.arange(len(s)) ** 2)[:, None, None, None], s, "complex"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_what_does_not_fit_is_said(fault, noise, clean, schedule):
    random = np.random.default_rng(0)
    data, wrong, kind = WRONG[fault](np.asarray(clean.data), schedule)
    data = data + noise * random.normal(size=data.shape)
    stack = nb.FingerprintStack(data.astype(np.complex64 if kind == "complex" else np.float32), wrong, kind, clean.mask)
    (sentence,) = said(stack)
    maps = nb.reconstruct(stack, step=STEP)
    median = float(np.median(maps.residual[maps.mask]))
    assert f"median residual {100 * median:.0f} %" in sentence
    for what in ("schedule", "units", "receiver phase", f"kind of signal ({kind})"):
        assert what in sentence


@pytest.mark.parametrize("kind", ["complex", "real", "magnitude"])
@pytest.mark.parametrize("snr", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("is_known", [True, False])
def test_noise_is_no_misfit(kind, snr, is_known, head, schedule):
    stack = nb.simulate(head, schedule, snr=snr, kind=kind, seed=4)
    assert said(stack if is_known else replace(stack, noise_sigma=None)) == []


def test_misfit_is_told_from_much_noise(head, schedule):
    # SNR 2: the right schedule leaves 57 %
    noisy = nb.simulate(head, schedule, snr=2.0)
    assert said(replace(noisy, noise_sigma=None)) == []
    wrong = schedule.replace(flip_angle=np.rad2deg(schedule.flip_angle))
    for sigma in (noisy.noise_sigma, None):
        assert len(said(replace(noisy, schedule=wrong, noise_sigma=sigma))) == 1


def test_single_voxels(head, schedule):
    stack = replace(nb.simulate(head, schedule, snr=2.0), noise_sigma=None)
    maps = nb.reconstruct(stack, step=STEP)
    for index in np.argwhere(stack.mask)[::40]:
        one = np.zeros(stack.mask.shape, bool)
        one[tuple(index)] = True
        assert misfit(maps.replace(mask=one), stack) is None
    wrong = replace(stack, schedule=schedule.replace(flip_angle=np.rad2deg(schedule.flip_angle)))
    some = np.zeros(stack.mask.shape, bool)
    some[tuple(np.argwhere(stack.mask)[100])] = True
    # by clicking: said of the first voxel, and of what is merged
    first = nb.reconstruct(wrong, step=STEP, mask=some)
    assert "misfit" in first.record
    merged = merge_maps(first, nb.reconstruct(wrong, step=STEP, slices=(1, 2)), wrong)
    assert "misfit" in merged.record


@pytest.mark.parametrize("kind", ["complex", "real", "magnitude"])
@pytest.mark.parametrize("snr", [1.0, 3.0])
def test_stacks_of_one_voxel(kind, snr, schedule):
    random = np.random.default_rng(5)
    signal = np.asarray(nb.EPGDecoder(schedule)(800.0, 70.0)).astype(complex)[:, None]
    sigma = np.sqrt(np.mean(np.abs(signal) ** 2)) / snr
    noisy = signal + sigma * (random.normal(size=(200, 80, 2)) @ np.array([1.0, 1.0j]))
    data = np.abs(noisy) if kind == "magnitude" else noisy.real if kind == "real" else noisy
    data = data.astype(np.complex64 if kind == "complex" else np.float32).reshape(200, 1, 1, 80)
    maps = nb.reconstruct(nb.FingerprintStack(data, schedule, kind), step=STEP)
    every = ("t1", "t2", "pd", "residual", "mask", "failed")
    alarms = [
        misfit(
            nb.ParameterMaps(*(getattr(maps, name)[..., i : i + 1] for name in every)),
            nb.FingerprintStack(data[..., i : i + 1], schedule, kind),
        )
        for i in range(80)
    ]
    assert sum(alarm is not None for alarm in alarms) <= 1


def test_voxels_of_nothing_but_noise_say_nothing(clean, schedule):
    random = np.random.default_rng(1)
    data = np.asarray(clean.data)
    noise = random.normal(size=(*data.shape, 2)) @ np.array([0.03, 0.03j])
    wide = np.pad(data, ((0, 0), (0, 0), (15, 15), (13, 13)))
    around = random.normal(size=(*wide.shape, 2)) @ np.array([0.03, 0.03j])
    around[:, :, 15:-15, 13:-13] = noise
    assert said(nb.FingerprintStack((wide + around).astype(np.complex64), schedule)) == []


def test_aliasing_is_no_misfit(clean, schedule):
    random, data = np.random.default_rng(2), np.asarray(clean.data)
    aliased = np.empty_like(data)
    for pulse in range(len(schedule)):
        kept = random.random(data.shape[1:]) < 1 / 8
        kept[:, 0, 0] = True
        aliased[pulse] = np.fft.ifftn(8 * kept * np.fft.fftn(data[pulse], axes=(1, 2)), axes=(1, 2))
    assert said(nb.FingerprintStack(aliased.astype(np.complex64), schedule, mask=clean.mask)) == []


@pytest.mark.parametrize(("name", "length"), [("vumc_mrf_210", 210), ("vumc_mrf_500", 500)])
def test_acquired_data_keeps_silent(name, length, shared_data):
    folder = shared_data / "acquired" / name
    schedule = nb.read_schedule(
        folder / f"MRF_{length}.csv", flip_angle=60.0, repetition_time=15.0, echo_time=3.3, inversion_time=15.0
    )
    frames = np.load(folder / "frames.npz", allow_pickle=False)["frames"][:, 60:180:4, 60:180:4]
    assert said(nb.FingerprintStack(frames[:, None], schedule)) == []


def test_an_inversion_left_out_is_said_of_acquired_data(shared_data):
    folder = shared_data / "acquired" / "vumc_mrf_500"
    frames = np.load(folder / "frames.npz", allow_pickle=False)["frames"][:, 60:180:4, 60:180:4]
    medians = []
    for time in (None, 15.0):
        schedule = nb.read_schedule(
            folder / "MRF_500.csv", flip_angle=60.0, repetition_time=15.0, echo_time=3.3, inversion_time=time
        )
        stack = nb.FingerprintStack(frames[:, None], schedule)
        sentences = said(stack, mask="otsu")
        maps = nb.reconstruct(stack, step=STEP, mask="otsu")
        medians.append(float(np.median(maps.t1[maps.mask])))
        if time is not None:
            assert sentences == []
            continue
        (sentence,) = sentences
        assert f"median residual {100 * np.median(maps.residual[maps.mask]):.0f} %" in sentence
        assert "no inversion pulse" in sentence
        assert summary(maps, None) == (
            f"{maps.estimator}: median residual {100 * np.median(maps.residual[maps.mask]):.2g} % of the signal."
        )
    # what is at stake
    assert medians[1] > 5 * medians[0]


def test_noise_of_white_noise():
    random = np.random.default_rng(3)
    for shape in ((500, 100), (100, 400)):
        noise = random.normal(size=(*shape, 2)) @ np.array([1.0, 1.0j])
        assert np.median(noise_in(noise)) == pytest.approx(2 * shape[1], rel=0.1)
    # of a few voxels with some margin
    noise = random.normal(size=(10, 400, 2)) @ np.array([1.0, 1.0j])
    assert (noise_in(noise) >= 2 * 400).all()
    assert (noise_in(noise) <= 4 * 400).all()
    assert (noise_in(noise.real) >= 400).all()
    shared = random.normal(size=(300, 3)) @ random.normal(size=(3, 200))
    assert noise_in(shared).max() < 1e-9 * np.square(shared).sum(axis=1).max()


def test_comparisons_and_pages_say_it(clean, schedule, head, tmp_path):
    stack = nb.FingerprintStack(
        np.asarray(clean.data), schedule.replace(flip_angle=np.deg2rad(schedule.flip_angle)), mask=clean.mask,
        voxel_size=clean.voxel_size, affine=clean.affine,
    )  # fmt: skip
    maps = nb.reconstruct(stack, step=STEP)
    sentence = maps.record["misfit"]
    comparison = nb.compare(head, maps)
    regions = nb.region_means(maps, [Region("all", head.mask)])
    for result in (comparison, regions):
        assert sentence in result.to_text()
        result.to_html(tmp_path / "page.html")
        assert sentence in (tmp_path / "page.html").read_text(encoding="utf-8")
        (tmp_path / "page.html").unlink()
