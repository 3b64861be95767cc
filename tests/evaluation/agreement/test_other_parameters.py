"""Maps by dictionaries of others: without T2, and with parameters that only dictionaries know."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.agreement.difference_maps import difference_maps
from napari_blochnet.evaluation.agreement.series import series_of
from napari_blochnet.evaluation.maps import OtherMap, ParameterMaps

SHAPE = (1, 12, 10)


def _maps(name, *, seed, t2=True, b0=True, unit="Hz"):
    random = np.random.default_rng(seed)
    mask = np.ones(SHAPE, bool)
    mask[0, 0] = False
    t1 = np.where(mask, 900 * random.uniform(0.9, 1.1, SHAPE), 0).astype(np.float32)
    # on both sides of 0, where no mean is a measure of anything
    frequency = np.where(mask, random.normal(0, 30, SHAPE), 0).astype(np.float32)
    frequency[0, 1, 0] = 0
    return ParameterMaps(
        t1, t1 / 10 if t2 else None, t1 / 900, None, mask, estimator=name,
        others={"B0": OtherMap(frequency, unit)} if b0 else {},
    )  # fmt: skip


@pytest.fixture(scope="module")
def without_t2():
    return _maps("theirs", seed=1, t2=False)


@pytest.fixture(scope="module")
def both():
    return _maps("ours", seed=2)


def test_what_both_have_is_compared_and_the_rest_named(without_t2, both):
    found = nb.agreement([without_t2, both])
    assert found.parameters == {"T1": "ms", "B0": "Hz"}
    assert any(note == "T2 of ours is left out: theirs has no map of it." for note in found.notes)
    assert any(note.startswith("B0 is in Hz") for note in found.notes)
    inside = both.mask
    apart = (both.others["B0"].values - without_t2.others["B0"].values)[inside].astype(float)
    row = found.row("ours", "B0")
    # Bland and Altman's own formulas, in the unit of the map
    assert row["bias"] == pytest.approx(apart.mean())
    assert row["upper"] == pytest.approx(apart.mean() + 1.96 * apart.std(ddof=1))
    assert row["bias_percent"] is None
    assert row["median_percent"] is None
    assert row["unit"] == "Hz"
    assert found.row("ours", "T1")["bias_percent"] is not None
    with pytest.raises(InputError, match="no agreement of ours in T2"):
        found.row("ours", "T2")


def test_difference_maps_are_in_the_unit(without_t2, both):
    found = difference_maps(without_t2, both)
    assert list(found) == ["T1", "B0"]
    inside = both.mask
    np.testing.assert_allclose(
        found["B0"][inside], (both.others["B0"].values - without_t2.others["B0"].values)[inside], rtol=1e-6
    )
    assert np.isnan(found["B0"][~inside]).all()


def test_a_model_that_lacks_one_leaves_it_to_the_others(without_t2, both):
    third = _maps("third", seed=3, b0=False)
    found = nb.agreement([both, without_t2, third])
    assert found.parameters == {"T1": "ms", "T2": "ms", "B0": "Hz"}
    assert [found.models_of(name) for name in found.parameters] == [("theirs", "third"), ("third",), ("theirs",)]
    series = series_of(found, "B0", found.regions[0])
    assert [each.name for each in series.models] == ["theirs"]
    assert series.unit == "Hz"
    # boxes of differences are in Hz, whatever unit T1 and T2 are shown in
    assert series.models[0].apart["percent"] == series.models[0].apart["ms"]
    assert {"B0 of ours is left out: third has no map of it.", "T2 of ours is left out: theirs has no map of it."} <= {
        *found.notes
    }


def test_maps_of_one_name_in_two_units_are_not_compared(both):
    other = _maps("kilo", seed=4, unit="kHz")
    found = nb.agreement([both, other])
    assert list(found.parameters) == ["T1", "T2"]
    assert "B0 is left out: it is in Hz by ours, in kHz by kilo." in found.notes


def test_a_given_b1_map_is_not_compared_with_itself(without_t2, both):
    b1 = np.full(SHAPE, 1.1, np.float32)
    given = [each.replace(b1=b1) for each in (without_t2, both)]
    assert "B1" not in nb.agreement(given).parameters
    estimated = both.replace(b1=np.full(SHAPE, 0.9, np.float32))
    row = nb.agreement([given[0], estimated]).row("ours", "B1")
    assert row["bias"] == pytest.approx(-0.2)


def test_nothing_in_common_is_said(both):
    alone = both.replace(t1=None, t2=None, others={"IE": OtherMap(both.t1, "")})
    with pytest.raises(InputError, match="ours has maps of T1 and T2 and B0, ours 2 of IE; expected a map that both"):
        nb.agreement([both, alone])


@pytest.mark.parametrize("order", [0, 1])
def test_table_page_and_figures(without_t2, both, tmp_path, order):
    pair = [without_t2, both]
    found = nb.agreement(pair[::-1] if order else pair)
    found.to_html(tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    assert "B0: model − " in page
    assert "Bias / Hz" in page
    found.to_csv(tmp_path / "a.csv")
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert [row["parameter"] for row in rows] == ["T1", "B0"]
    assert {path.stat().st_size > 5000 for path in found.to_figures(tmp_path / "a.png")} == {True}
    assert "B0" in found.to_text()
    low, high = found.colour_limits["B0"]
    assert low == -high
    assert found.colour_limits["B0 difference"][1] > 50


@pytest.fixture(scope="module")
def truth():
    return nb.synthetic_phantom(SHAPE)


def _of_truth(truth, name, *, t2):
    t1 = (1.1 * truth.t1).astype(np.float32)
    return ParameterMaps(t1, truth.t2 if t2 else None, None, None, truth.mask, estimator=name,
                         voxel_size=truth.voxel_size, affine=truth.affine)  # fmt: skip


def test_scores_of_t1_alone(truth, tmp_path):
    found = nb.compare(truth, _of_truth(truth, "theirs", t2=False))
    assert {row["parameter"] for row in found.rows()} == {"T1"}
    assert found.score("theirs", "T1").median_percent == pytest.approx(10, rel=1e-3)
    assert "theirs has no map of T2, which is left out for it." in found.notes
    assert set(found.colour_limits) == {"T1", "T1 error"}
    found.to_html(tmp_path / "a.html")
    assert len(found.to_figures(tmp_path / "a.png")) == 2


def test_scores_beside_a_model_with_both(truth, tmp_path):
    found = nb.compare(truth, [_of_truth(truth, "theirs", t2=False), _of_truth(truth, "ours", t2=True)])
    tissue = "all"
    rows = [(row["model"], row["parameter"]) for row in found.rows() if row["tissue"] == tissue]
    assert rows == [("theirs", "T1"), ("ours", "T1"), ("ours", "T2"), ("ours", "T1, T2")]
    both = nb.compare(truth, _of_truth(truth, "ours", t2=True))
    for parameter in ("T1", "T2", "T1, T2"):
        assert found.score("ours", parameter) == both.score("ours", parameter)
    found.to_html(tmp_path / "a.html")
    assert len(found.to_figures(tmp_path / "a.png")) == 2
    neither = _of_truth(truth, "none", t2=False).replace(t1=None)
    with pytest.raises(InputError, match="hold neither T1 nor T2"):
        nb.compare(truth, neither)


def test_a_bound_of_two_unknown_times_is_not_set_beside_one(truth):
    schedule = nb.spline_schedule(length=60)
    stack = nb.simulate(truth, schedule, snr=40)
    maps = nb.reconstruct(stack, "universal")
    assert nb.compare(truth, maps).score("universal", "T1").bound is not None
    alone = maps.replace(t2=None)
    found = nb.compare(truth, alone)
    assert found.score("universal", "T1").bound is None
    assert any("no Cramér–Rao bound, because it maps T1 alone" in note for note in found.notes)
    assert not math.isnan(found.score("universal", "T1").bias)
