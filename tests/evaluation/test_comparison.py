import csv
import re
from dataclasses import replace

import numpy as np
import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.agreement.agreeing import agree
from napari_blochnet.evaluation.beside_truth import signed_errors, summary
from napari_blochnet.evaluation.comparison import _said_of_chance, compare_maps
from napari_blochnet.evaluation.drawing.map_figure import map_figure
from napari_blochnet.evaluation.error_maps import error_maps
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.regions import region_means
from napari_blochnet.evaluation.result_tables import Region
from napari_blochnet.evaluation.scores import score
from napari_blochnet.evaluation.tables import COMPARISON_COLUMNS, cell
from napari_blochnet.phantoms.phantom import Phantom

SHAPE = (2, 12, 10)


def _truth(**changes):
    rng = np.random.default_rng(0)
    labels = np.where(np.arange(10) < 5, 1, 2) * np.ones(SHAPE, int)
    fields = {
        "t1": np.where(labels == 1, 800.0, 1500.0),
        "t2": np.where(labels == 1, 70.0, 90.0),
        "pd": rng.uniform(0.5, 1, SHAPE),
        "labels": labels,
        "tissues": ("white matter", "grey matter"),
        "fractions": {"white matter": np.where(labels == 1, 1.0, 0.0), "grey matter": np.where(labels == 2, 0.98, 0.0)},
        **changes,
    }
    return Phantom(**fields)


def _maps(truth, factor=1.0, **changes):
    fields = {
        "t1": truth.t1 * factor,
        "t2": truth.t2 / factor,
        "pd": truth.pd * 37,
        "residual": np.full(truth.shape, 0.1, np.float32),
        "mask": truth.mask.copy(),
        "estimator": "model",
        **changes,
    }
    return ParameterMaps(**fields)


def test_a_constant_factor_is_found_in_every_score_and_pd_is_scored_without_its_scale():
    truth = _truth()
    found = compare_maps(truth, [_maps(truth, 1.1)])
    t1, t2, pd = (found.score("model", name) for name in ("T1", "T2", "PD"))
    assert t1.bias_percent == t1.median_percent == pytest.approx(10, rel=1e-5)
    assert t2.bias_percent == pytest.approx(100 / 1.1 - 100, rel=1e-5)
    assert found.score("model").mse_log10 == pytest.approx(np.log10(1.1) ** 2, rel=1e-5)
    assert pd.mae_percent < 1e-4
    assert found.pd_scale["model"] == pytest.approx(1 / 37)


def test_only_pure_voxels_enter_a_tissue_s_scores():
    truth = _truth()
    tissues = {entry.tissue for entry in compare_maps(truth, [_maps(truth)]).table}
    assert tissues == {"all", "white matter"}  # grey matter is 98 % pure, one per cent short


def test_it_is_said_how_many_voxels_are_in_no_tissue_s_row():
    truth = _truth()
    found = compare_maps(truth, [_maps(truth)])
    pure = found.score("model", "T1", "white matter").voxels
    everything = found.score("model", "T1").voxels
    assert 0 < pure < everything
    sentence = f"Tissues: the {pure:,} of {everything:,} voxels that hold one tissue alone; “all” has all."
    assert sentence in found.notes
    assert sentence in found.to_text()
    assert sentence in agree([_maps(truth)], truth).notes
    # nothing to say where nothing is labelled
    plain = compare_maps(_truth(labels=None, tissues=(), fractions={}), [_maps(truth)])
    assert not any(note.startswith("Tissues") for note in plain.notes)


def test_an_error_below_the_bound_is_explained_by_the_voxels_it_is_from():
    row = score(
        np.full(50, 1000.0), np.full(50, 1010.0), np.zeros(50, bool), 1000.0,
        model="a", tissue="CSF", parameter="T1", unit="ms",
    )  # fmt: skip
    assert _said_of_chance([row.with_bound(9.0), row]) == []
    # 50 normal errors: a tenth
    (said,) = _said_of_chance([row.with_bound(9.0), row.with_bound(20.0)])
    assert "10 % for the 50 voxels of CSF" in said
    draws = np.random.default_rng(0).normal(size=(20_000, 50))
    assert np.sqrt((draws**2).mean(axis=1)).std() == pytest.approx(0.1, abs=0.003)


def test_a_bias_that_rounds_to_nothing_has_no_sign_of_a_loss():
    bias = next(column for column in COMPARISON_COLUMNS if column.key == "bias_percent")
    assert [cell({"bias_percent": value}, bias) for value in (-0.004, 0.004, -0.006)] == ["+0.00", "+0.00", "-0.01"]
    scaled = next(column for column in COMPARISON_COLUMNS if column.key == "bias")
    assert cell({"bias": -0.00004, "parameter": "PD"}, scaled) == "+0.000"


def test_all_models_are_scored_on_the_same_voxels_and_what_is_left_out_is_said():
    truth = _truth()
    fewer = truth.mask.copy()
    fewer[0] = False
    found = compare_maps(truth, [_maps(truth), _maps(truth, mask=fewer)])
    assert found.models == ("model", "model 2")
    assert {entry.voxels for entry in found.table if entry.tissue == "all"} == {120}
    assert "120 of 240 voxels" in found.notes[0]
    assert "120 of 240" in found.to_text()


def test_rejected_and_impossible_estimates_are_failures():
    truth = _truth()
    failed = np.zeros(SHAPE, bool)
    failed[0, 0, 0] = True
    t1 = truth.t1.copy()
    t1[0, 0, 1], t1[0, 0, 2] = 0, np.nan
    maps = _maps(truth, failed=failed, t1=t1)
    found = compare_maps(truth, [maps])
    assert {entry.failures for entry in found.table if entry.tissue == "all"} == {3}
    assert found.score("model", "T2").mae_percent == pytest.approx(100 * 3 / 240)
    errors = error_maps(truth, maps)
    assert errors["T1"][0, 0, :4].tolist() == [-100, -100, -100, 0]
    assert all(np.isfinite(values).all() for values in errors.values())


def test_error_maps_are_signed_per_cent_and_zero_outside():
    mask = np.ones(SHAPE, bool)
    mask[:, 0] = False
    truth = _truth(mask=mask)
    errors = error_maps(truth, _maps(truth, 0.9))
    assert np.allclose(errors["T1"][mask], -10, atol=1e-4)
    assert np.allclose(errors["T2"][mask], 100 / 0.9 - 100, atol=1e-4)
    assert (errors["T1"][~mask] == 0).all()


def test_a_mask_narrows_what_is_scored():
    truth = _truth()
    mask = np.zeros(SHAPE, bool)
    mask[1, 2, 3] = True
    assert compare_maps(truth, [_maps(truth)], mask=mask).score("model", "T1").voxels == 1


def test_what_cannot_be_compared_is_refused_in_a_sentence():
    truth = _truth()
    with pytest.raises(InputError, match="at least one"):
        compare_maps(truth, [])
    with pytest.raises(InputError, match="same grid"):
        compare_maps(truth, [_maps(truth[0])])
    with pytest.raises(InputError, match="same grid"):
        compare_maps(truth, [_maps(truth, affine=np.diag([1.0, 1.0, 1.1, 1.0]))])
    with pytest.raises(InputError, match="no voxel to score"):
        compare_maps(truth, [_maps(truth)], mask=np.zeros(SHAPE, bool))
    with pytest.raises(InputError, match="shape"):
        compare_maps(truth, [_maps(truth)], mask=np.zeros((1, 1, 1), bool))


def test_csv_holds_the_table_in_full_precision(tmp_path):
    truth = _truth()
    found = compare_maps(truth, [_maps(truth, 1.1, estimator="=1+1")])
    found.to_csv(tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(found.table)
    assert float(rows[0]["rmse"]) == found.table[0].rmse
    assert rows[0]["model"] == "'=1+1"  # a spreadsheet must not take a name for a formula


def test_the_page_needs_no_other_file_and_runs_nothing_a_name_holds(tmp_path):
    hostile = '<script>alert("x")</script>'
    truth = _truth(name=hostile, notes=("<img src=x onerror=alert(1)>",))
    maps = _maps(truth, 1.1, estimator=hostile, record={"settings": {hostile: "</pre><script>1</script>"}})
    compare_maps(truth, [maps], title=hostile, record={"a": [1.0] * 1000}).to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "onerror=alert(1)>" not in page
    assert "&lt;script&gt;" in page
    # nothing is fetched: every source is data, and there is no link but those
    assert set(re.findall(r'(?:src|href)="([a-z]+):', page)) == {"data"}
    assert "http://" not in page
    assert "https://" not in page
    assert "1000 numbers" in page
    assert "+10.00" in page


def test_the_page_of_two_models_has_a_row_for_each(tmp_path):
    truth = _truth()
    compare_maps(truth, [_maps(truth, 1.1, estimator="one"), _maps(truth, estimator="two")]).to_html(
        tmp_path / "p.html"
    )
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert page.count("<td>one</td>") == page.count("<td>two</td>") == 8


def test_figures_are_written_in_the_format_of_the_ending(tmp_path):
    truth = _truth()
    found = compare_maps(truth, [_maps(truth, 1.1)])
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    for ending, start in starts.items():
        files = found.to_figures(tmp_path / f"scores.{ending}")
        assert [file.name for file in files] == [f"scores-maps.{ending}", f"scores-scatter.{ending}"]
        assert all(file.read_bytes().startswith(start) for file in files)
    with pytest.raises(InputError, match="expected a name ending in"):
        found.to_figures(tmp_path / "scores.gif")


@pytest.mark.parametrize("lost", [("t2",), ("t1", "t2")])
def test_maps_without_a_relaxation_time_are_summed_up_by_what_they_have(lost):
    truth = _truth()
    few = _maps(truth, **dict.fromkeys(lost))
    words = summary(few, signed_errors(truth, few))
    assert ("T1" in words) == ("t1" not in lost)
    assert "residual 10 % of the signal" in words
    assert "noise" not in words


def test_maps_of_much_background_say_that_a_mask_leaves_it_out():
    truth = _truth()
    noisy = _maps(truth, residual=np.full(truth.t1.shape, 0.7))
    assert summary(noisy, None).endswith("a mask leaves out those without signal.")
    # what is more than noise is said by a warning
    assert "mask" not in summary(replace(noisy, record={"misfit": "check the schedule"}), None)


def test_maps_without_any_are_refused_in_a_sentence():
    truth = _truth()
    neither = _maps(truth, t1=None, t2=None)
    for compared, said in (
        (lambda: compare_maps(truth, [_maps(truth), neither]), "neither T1 nor T2"),
        (lambda: agree([_maps(truth), neither]), "of nothing; expected a map that both have"),
        (lambda: agree([neither], truth), "of nothing; expected a map that both have"),
    ):
        with pytest.raises(InputError, match=said):
            compared()


def test_what_maps_hold_is_drawn_and_averaged_whatever_they_lack(tmp_path):
    truth = _truth()
    whole, few, neither = _maps(truth), _maps(truth, t2=None), _maps(truth, t1=None, t2=None)
    figure = map_figure([whole, few, neither], ["a", "b", "c"], truth)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["truth", "a", "b", "truth", "a"]
    with pytest.raises(InputError, match="no T1 and no T2"):
        map_figure([neither], ["c"])
    means = region_means([few], [Region("all", truth.mask)])
    assert [row["parameter"] for row in means.table] == ["T1", "PD"]
    means.to_html(tmp_path / "means.html")
    page = (tmp_path / "means.html").read_text()
    assert ">T1</" in page
    assert ">T2</" not in page
