"""Models against each other: which voxels, which differences, in the table, on the page and in figures."""

import csv

import numpy as np
import pytest
from scipy import stats

import napari_blochnet as nb
from napari_blochnet.evaluation.agreement.agreeing import agree
from napari_blochnet.evaluation.agreement.difference_maps import difference_maps
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.result_tables import Region
from napari_blochnet.phantoms.phantom import Phantom

SHAPE = (2, 14, 12)
RNG = np.random.default_rng(0)
T1, T2 = RNG.uniform(600, 1600, SHAPE), RNG.uniform(50, 120, SHAPE)


def _maps(name, factor=1.0, noise=0.0, **changes):
    rng = np.random.default_rng(len(name))
    spread = [1 + noise * rng.normal(size=SHAPE) for _ in range(2)]
    fields = {"t1": T1 * factor * spread[0], "t2": T2 / factor * spread[1], "mask": np.ones(SHAPE, bool)}
    return ParameterMaps(**{**fields, "pd": None, "residual": None, "estimator": name, **changes})


def _truth():
    labels = np.where(np.arange(SHAPE[-1]) < 6, 1, 2) * np.ones(SHAPE, int)
    shares = {"white matter": (labels == 1) * 1.0, "grey matter": (labels == 2) * 1.0}
    return Phantom(
        t1=T1, t2=T2, pd=np.ones(SHAPE), labels=labels, tissues=("white matter", "grey matter"), fractions=shares
    )


def test_the_first_model_is_the_reference_and_differences_are_the_others_minus_it():
    first, second = _maps("fc", noise=0.02), _maps("universal", 1.1, 0.03)
    found = agree([first, second])
    assert (found.reference, found.models) == ("fc", ("universal",))
    assert {row["region"] for row in found.table} == {"all"}
    for parameter, one, two in (("T1", first.t1, second.t1), ("T2", first.t2, second.t2)):
        row = found.row("universal", parameter)
        apart = (two - one).ravel()
        assert row["bias"] == pytest.approx(apart.mean())
        assert row["sd"] == pytest.approx(stats.tstd(apart))
        assert row["upper"] == pytest.approx(apart.mean() + 1.96 * stats.tstd(apart))
        relative = 100 * apart / ((one + two) / 2).ravel()
        assert row["bias_percent"] == pytest.approx(relative.mean())
        assert row["median_percent"] == pytest.approx(np.median(np.abs(relative)))
        interval = stats.ttest_1samp(relative, 0).confidence_interval(0.95)
        assert (row["bias_percent_from"], row["bias_percent_to"]) == pytest.approx(tuple(interval))
        assert (row["mean_reference"], row["mean_model"]) == pytest.approx((one.mean(), two.mean()))


def test_the_other_way_round_bias_changes_its_sign_alone():
    models = [_maps("fc", noise=0.02), _maps("universal", 1.1, 0.03)]
    there, back = agree(models).row("universal"), agree(models, reference="universal").row("fc")
    for key in ("bias", "bias_percent"):
        assert back[key] == pytest.approx(-there[key])
    for key in ("sd", "sd_percent", "median_percent", "concordance"):
        assert back[key] == pytest.approx(there[key])
    assert back["lower"] == pytest.approx(-there["upper"])


def test_the_truth_is_one_more_of_them_and_gives_its_tissues_to_a_model_that_is_the_reference():
    truth, models = _truth(), [_maps("fc", 1.05), _maps("universal", 1.1)]
    with_truth = agree(models, truth)
    assert (with_truth.reference, with_truth.models) == ("truth", ("fc", "universal"))
    assert with_truth.row("fc", "T1", "grey matter")["bias_percent"] == pytest.approx(200 * 0.05 / 2.05)
    beside = agree(models, truth, reference="fc")
    assert (beside.reference, beside.models) == ("fc", ("universal",))
    assert [region.name for region in beside.regions] == ["all", "white matter", "grey matter"]
    white = beside.row("universal", "T1", "white matter")
    assert white["voxels"] == 2 * 14 * 6
    inside = np.s_[..., :6]
    assert white["bias"] == pytest.approx((T1[inside] * 0.05).mean())


def test_one_set_of_maps_twice_agrees_with_itself():
    same = _maps("fc")
    found = agree([same, same])
    assert (found.reference, found.models) == ("fc", ("fc 2",))
    assert (found.row("fc 2")["bias"], found.row("fc 2")["concordance"]) == (0, pytest.approx(1))


def test_a_model_called_truth_is_no_truth():
    found = agree([_maps("truth", 1.05), _maps("fc", 1.1)], _truth(), reference="truth")
    assert (found.reference, found.models) == ("truth", ("truth 2", "fc"))
    assert found.row("truth 2", "T1")["bias_percent"] == pytest.approx(200 * 0.05 / 2.05)
    assert agree([_maps("truth"), _maps("fc", 1.1)], reference="truth").models == ("fc",)


def test_voxels_that_one_lacks_or_rejected_are_no_pairs_and_are_counted():
    mask, failed, t1 = np.ones(SHAPE, bool), np.zeros(SHAPE, bool), T1.copy()
    mask[0], failed[1, 0, 0], t1[1, 0, 1] = False, True, np.nan
    found = agree([_maps("fc", mask=mask, t1=t1), _maps("universal", failed=failed)])
    row = found.row("universal")
    assert (row["voxels"], row["failures"]) == (14 * 12 - 2, 2)
    assert "168 of 336 voxels are left out" in found.notes[0]
    one, two = found.pairs("universal", "T1", found.regions[0])
    assert len(one) == len(two) == 14 * 12 - 2
    assert np.isfinite(one).all()


def test_regions_are_compared_each():
    low, high = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    low[:, :4, :4], high[1, 8:, 8:] = True, True
    empty = Region("nothing", np.zeros(SHAPE, bool))
    found = agree([_maps("fc"), _maps("universal", 1.1)], regions=[Region("low", low), Region("high", high), empty])
    assert [region.name for region in found.regions] == ["all", "low", "high", "nothing"]
    assert found.row("universal", "T2", "high")["mean_reference"] == pytest.approx(T2[high].mean())
    assert found.row("universal", "T1", "nothing")["voxels"] == 0
    assert found.row("universal", "T1", "nothing")["bias"] is None
    one, _ = found.pairs("universal", "T1", found.regions[2])
    assert sorted(one) == pytest.approx(sorted(T1[high]))
    assert [len(part) for part in found.pairs("universal", "T1", empty)] == [0, 0]


def test_difference_maps_are_in_per_cent_of_the_mean_of_both_and_nothing_outside():
    mask = np.ones(SHAPE, bool)
    mask[0] = False
    found = difference_maps(_maps("fc"), _maps("universal", 1.1, mask=mask))
    assert found["T1"][1] == pytest.approx(np.full(SHAPE[1:], 200 * 0.1 / 2.1), rel=1e-5)
    assert found["T2"][1] == pytest.approx(np.full(SHAPE[1:], 200 * (1 / 1.1 - 1) / (1 / 1.1 + 1)), rel=1e-5)
    assert np.isnan(found["T1"][0]).all()


@pytest.mark.parametrize(
    ("models", "more", "words"),
    [
        (["fc"], {}, "one model and no truth"),
        ([], {}, "no maps"),
        (["fc", "universal"], {"reference": "rnn"}, "no rnn among .* one of fc, universal"),
        (["fc", "universal"], {"reference": "truth"}, "no truth among"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(models, more, words):
    with pytest.raises(nb.InputError, match=words):
        agree([_maps(name) for name in models], **more)


def test_other_grids_are_refused():
    other = ParameterMaps(T1[:1], T2[:1], None, None, np.ones((1, *SHAPE[1:]), bool), estimator="other")
    with pytest.raises(nb.InputError, match="same grid"):
        agree([_maps("fc"), other])
    with pytest.raises(nb.InputError, match="region a has shape"):
        agree([_maps("fc"), _maps("b")], regions=[Region("a", np.ones((1, 2, 3), bool))])


def test_a_page_a_table_and_figures_are_written(tmp_path):
    found = nb.agreement([_maps("fc", noise=0.02), _maps("universal", 1.1, 0.03)], _truth(), reference="fc")
    found.to_csv(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3 * 2
    assert float(rows[0]["upper_percent_to"]) == found.row("universal")["upper_percent_to"]
    found.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "T1: model − fc" in page
    assert page.count("data:image/png") == 4
    assert f"{found.row('universal')['bias_percent']:+.2f}" in page
    files = found.to_figures(tmp_path / "figure.svg")
    assert [file.name for file in files] == [
        f"figure-{name}.svg" for name in ("differences", "bland-altman", "scatter", "distributions")
    ]
    with pytest.raises(nb.InputError, match=r"\.pdf, \.svg or \.png"):
        found.to_figures(tmp_path / "figure.gif")


def test_figures_are_put_in_place_as_one(tmp_path, monkeypatch):
    """The disk fills up at the third: those of the last time are all there, and nothing of this time."""
    from napari_blochnet.evaluation.agreement import agreement_figures

    agree([_maps("a"), _maps("b", 1.1)]).to_figures(tmp_path / "figure.svg")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert len(before) == 4

    def full(_agreement):
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(agreement_figures._FIGURES, "scatter", full)
    with pytest.raises(OSError, match="No space"):
        agree([_maps("a"), _maps("b", 2.0)]).to_figures(tmp_path / "figure.svg")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
