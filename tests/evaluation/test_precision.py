"""RMSE beside the Cramér–Rao bound: against maximum likelihood, which reaches it, and where there is none to have."""

import threading

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.maps_io import read_maps, write_maps
from napari_blochnet.evaluation.precision import Acquisition, tissue_bounds

SHAPE = (2, 40, 40)


@pytest.fixture(scope="module")
def head():
    labels = np.where(np.arange(40) < 20, 1, 2) * np.ones(SHAPE, int)
    return nb.Phantom(
        t1=np.where(labels == 1, 800.0, 1300.0),
        t2=np.where(labels == 1, 70.0, 110.0),
        pd=np.where(labels == 1, 0.7, 0.9),
        labels=labels,
        tissues=("white matter", "grey matter"),
    )


@pytest.fixture(scope="module")
def schedule():
    return nb.spline_schedule(length=200, seed=3)


@pytest.mark.parametrize("kind", ["complex", "real", "magnitude"])
def test_a_maximum_likelihood_fit_lies_at_the_bound(head, schedule, kind):
    stack = nb.simulate(head, schedule, snr=30, seed=5, kind=kind)
    maps = nb.reconstruct(stack, "dictionary", step=0.1, t1_range=(500, 2000), t2_range=(40, 200), refine=True)
    found = nb.compare(head, maps)
    for tissue in head.tissues:
        for parameter in ("T1", "T2", "PD"):
            row = found.score(found.models[0], parameter, tissue)
            # 1,600 voxels tell a standard deviation to 1.8 %
            assert row.rmse_per_bound == pytest.approx(1.0, abs=0.07), (tissue, parameter)
            assert row.bound == pytest.approx(row.rmse / row.rmse_per_bound)
    assert any("bound" in note for note in found.notes)
    assert "RMSE / bound" in found.to_text()


def test_the_bound_survives_files_and_another_seed_of_the_draw_changes_it_little(head, schedule, tmp_path):
    rng = np.random.default_rng(0)
    mixed = nb.Phantom(t1=head.t1 * rng.uniform(0.8, 1.2, SHAPE), t2=head.t2, pd=head.pd)
    stack = nb.simulate(mixed, schedule, snr=40)
    maps = nb.reconstruct(stack, "dictionary", step=0.2)
    whole = nb.compare(mixed, maps, bound_voxels=10_000).score("dictionary", "T1").bound
    write_maps(maps, tmp_path)
    reread = read_maps(tmp_path)
    assert nb.compare(mixed, reread, bound_voxels=10_000).score("dictionary", "T1").bound == whole
    first, second = (nb.compare(mixed, maps, bound_voxels=300, seed=seed).score("dictionary", "T1").bound
                     for seed in (0, 1))  # fmt: skip
    assert first != second
    assert first == nb.compare(mixed, maps, bound_voxels=300, seed=0).score("dictionary", "T1").bound
    assert first == pytest.approx(whole, rel=0.05)
    assert nb.compare(mixed, maps, bound_voxels=0).score("dictionary", "T1").bound is None


def test_the_bound_of_a_tissue_is_the_root_mean_square_over_its_voxels(head, schedule):
    data = Acquisition(schedule, "complex", 0.01)
    sets = {name: head.labels == k for k, name in enumerate(head.tissues, 1)} | {"all": head.mask}
    found = tissue_bounds(head, sets, data, 10_000)
    white = nb.cramer_rao_bound(schedule, 800.0, 70.0, 0.7, sigma=0.01)
    grey = nb.cramer_rao_bound(schedule, 1300.0, 110.0, 0.9, sigma=0.01)
    assert found["white matter"]["T2"] == pytest.approx(float(white.t2))
    assert found["all"]["T1"] == pytest.approx(float(np.sqrt((white.t1**2 + grey.t1**2) / 2)))
    assert found["all"]["PD"] == pytest.approx(float(np.sqrt((white.pd**2 + grey.pd**2) / 2)))


def test_a_known_transmit_field_enters(head, schedule):
    data = Acquisition(schedule, "complex", 0.01)
    weak = nb.Phantom(t1=head.t1, t2=head.t2, pd=head.pd, b1=np.full(SHAPE, 0.7))
    found = tissue_bounds(weak, {"all": head.labels == 1}, data, 10)["all"]
    expected = nb.cramer_rao_bound(schedule, 800.0, 70.0, 0.7, 0.7, sigma=0.01)
    assert found["T2"] == pytest.approx(float(expected.t2))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({}, "noise in its fingerprints is not known"),
        ({"acquisition": {"kind": "magnitude", "noise_sigma": None}}, "not known"),
        ({"acquisition": {"kind": "complex", "noise_sigma": 0.0}}, "noise-free"),
        ({"acquisition": {"kind": "complex", "noise_sigma": -1.0, "schedule": {}}}, "does not say"),
        ({"acquisition": {"kind": "complex", "noise_sigma": 0.1, "schedule": {"flip_angle": "x"}}}, "does not say"),
        ({"acquisition": {"kind": "complex", "noise_sigma": "0.1"}}, "does not say"),
        ({"acquisition": 3}, "not known"),
    ],
)
def test_without_known_noise_the_column_is_empty_and_the_reason_is_said(head, record, reason):
    maps = ParameterMaps(head.t1, head.t2, head.pd, np.zeros(SHAPE), head.mask, record=record)
    found = nb.compare(head, maps)
    assert all(row.bound is None and row.rmse_per_bound is None for row in found.table)
    assert reason in " ".join(found.notes)
    assert "RMSE / bound" not in found.to_text()


def test_the_bound_can_be_cancelled(head, schedule):
    wish = threading.Event()
    wish.set()
    maps = nb.reconstruct(nb.simulate(head, schedule, snr=40), "dictionary", step=0.3)
    with pytest.raises(nb.Cancelled):
        nb.compare(head, maps, cancelled=wish)


def test_the_bound_takes_the_map_that_was_given_or_a_field_that_was_fitted(head, schedule):
    field = nb.add_b1_field(head, b1_range=(0.7, 1.2), seed=1)
    stack = nb.simulate(field, schedule, snr=40, seed=5)
    bare = nb.Phantom(head.t1, head.t2, head.pd, labels=head.labels, tissues=head.tissues)
    known = nb.reconstruct(stack, "universal", b1=field.b1)
    fitted = nb.reconstruct(stack, "universal", refine=True, fit_b1=True)
    nominal = nb.reconstruct(stack, "universal")
    found = nb.compare(bare, [known, fitted, nominal], bound_voxels=5000)
    own = nb.compare(field, [known, fitted], bound_voxels=5000)
    bounds = {model: found.score(model, "T2").bound for model in found.models}
    # one field, brought by the map or by the truth
    assert bounds[found.models[0]] == pytest.approx(own.score(own.models[0], "T2").bound, rel=1e-6)
    assert bounds[found.models[2]] != pytest.approx(bounds[found.models[0]], rel=1e-3)
    assert found.score(found.models[0], "T2").rmse_per_bound == pytest.approx(1.0, abs=0.07)
    assert own.score(own.models[1], "T2").rmse_per_bound == pytest.approx(1.0, abs=0.1)
    assert own.score(own.models[1], "T2").bound > 1.5 * own.score(own.models[0], "T2").bound
    assert any("takes that of the map which was given" in note for note in found.notes)
    assert any("fitted along, the bound takes it as unknown" in note for note in found.notes)


def test_what_b1_does_is_said_with_the_maps(schedule):
    white = [np.full((1, 6, 8), value, np.float32) for value in (811.0, 77.0, 0.8)]
    lying = nb.Phantom(*white, b1=np.full((1, 6, 8), 0.9, np.float32))
    stack = nb.simulate(lying, schedule, snr=500)
    right, high = (nb.reconstruct(stack, "universal", b1=lying.b1 * np.float32(scale)) for scale in (1.0, 1.05))
    said = right.record["note"]
    percent = float(said.split("changes T2 by ")[1].split(" %")[0])
    # the derivative beside what a map 5 % too high does
    assert 100 * (np.median(high.t2) / np.median(right.t2) - 1) == pytest.approx(percent, abs=1.0)
    assert "B1 0.90" in said
    fitted, known = (
        nb.reconstruct(stack, "universal", refine=True, **how) for how in ({"fit_b1": True}, {"b1": lying.b1})
    )
    times = float(fitted.record["note"].split(" and ")[-1].split(" times")[0])
    assert np.median(fitted.t2_se) / np.median(known.t2_se) == pytest.approx(times, rel=0.05)
    assert "note" not in nb.reconstruct(stack, "universal").record
