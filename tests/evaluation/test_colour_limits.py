"""Colour limits of figures: the same for the same numbers, for all models together, or those that somebody chose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes

import napari_blochnet as nb
from napari_blochnet.common.colour_limits import error_limits, round_up, value_limits, widest
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.agreement.agreement_figures import difference_figure
from napari_blochnet.evaluation.agreement.difference_maps import difference_maps
from napari_blochnet.evaluation.drawing.figures import comparison_figure, region_figure
from napari_blochnet.evaluation.drawing.map_figure import map_figure
from napari_blochnet.evaluation.error_maps import limits_of_maps
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.result_tables import Region
from napari_blochnet.jobs.operations.opening import synthetic_head
from napari_blochnet.jobs.settings_comparing import AgreementSettings, CompareSettings


@pytest.fixture(scope="module")
def head():
    return synthetic_head(shape=(1, 24, 20))


@pytest.fixture(scope="module")
def models(head):
    stack = nb.simulate(head, nb.spline_schedule(length=40))
    plain = nb.reconstruct(stack, "dictionary", step=0.3)
    whole = {"mask": head.mask, "failed": np.zeros(head.shape, bool)}

    def off(name, factor):
        # every voxel is wrong by the same share
        values = {"t1": factor * head.t1, "t2": factor * head.t2}
        return replace(plain, estimator=name, **whole, **values)

    return off("near", 1.013), off("far", 0.93)


def _drawn(comparison):
    """Return the colour limits of T1 and T2 maps and errors as drawn, by the colour bars' labels."""
    images = [image for axes in comparison_figure(comparison).findobj(Axes) for image in axes.get_images()]
    return {image.colorbar.ax.get_ylabel(): image.get_clim() for image in images if image.colorbar is not None}


def test_errors_of_all_models_set_the_limits_of_all(head, models):
    # |errors| of 1.3 % and 7 % everywhere: the next round number above both
    for order in (models, models[::-1]):
        comparison = nb.compare(head, list(order), bound_voxels=0)
        assert comparison.colour_limits["T1 error"] == comparison.colour_limits["T2 error"] == (-8, 8)
    assert nb.compare(head, models[0], bound_voxels=0).colour_limits["T1 error"] == (-1.5, 1.5)


def test_figures_are_drawn_within_them(head, models):
    comparison = nb.compare(head, list(models), bound_voxels=0)
    limits = comparison.colour_limits
    assert limits["T1"] == value_limits(head.t1, head.mask)
    drawn = _drawn(comparison)
    assert drawn == {
        "T1 (ms)": limits["T1"], "T2 (ms)": limits["T2"],
        "T1 error (%)": limits["T1 error"], "T2 error (%)": limits["T2 error"],
    }  # fmt: skip


def test_chosen_limits_are_drawn_and_stated(head, models):
    comparison = nb.compare(head, list(models), bound_voxels=0, t1_limits=(200, 1800), error_limit=25)
    assert comparison.colour_limits["T1"] == (200, 1800)
    assert comparison.colour_limits["T2 error"] == (-25, 25)
    other = comparison.with_limits({"T2 error": (-3.0, 5.0)})
    assert _drawn(other)["T2 error (%)"] == (-3, 5)
    assert _drawn(other)["T1 (ms)"] == (200, 1800)
    settings = other.record["settings"]
    again = nb.compare(head, list(models), CompareSettings(**settings))
    assert again.colour_limits == other.colour_limits


def test_limits_that_are_no_range_are_refused(head, models):
    with pytest.raises(InputError, match="no range"):
        nb.compare(head, list(models), t2_limits=(100, 100))


def test_round_numbers():
    assert [round_up(value) for value in (0.0, 1.0, 1.01, 2.2, 9.0, 1100, np.nan)] == [1, 1, 1.2, 2.5, 10, 1200, 1]
    assert widest([(0, 5), (-1, 2)]) == (-1, 5)


def test_few_wild_errors_do_not_blank_the_others():
    errors = np.full((1, 100, 100), 0.4)
    errors[0, 0, :50] = 90
    errors[0, 1] = np.nan
    assert error_limits(errors) == (-1, 1)
    errors[0, :50] = 300
    assert error_limits(errors) == (-100, 100)
    assert error_limits(np.full((1, 2, 2), np.nan)) == (-1, 1)


@pytest.fixture(scope="module")
def three_slices():
    """Return maps of two models without a truth: the slice in the middle has longer times than all others."""
    rng = np.random.default_rng(3)
    mask = np.ones((3, 14, 12), bool)
    t1, t2 = rng.uniform(400, 700, mask.shape), rng.uniform(30, 60, mask.shape)
    t1[1], t2[1] = 1.8 * t1[1], 1.8 * t2[1]
    plain = ParameterMaps(t1, t2, None, None, mask, estimator="short")
    long = plain.replace(t1=1.5 * t1, t2=1.5 * t2, estimator="long")
    lost = np.zeros(mask.shape, bool)
    lost[0, 0] = True
    return plain, long.replace(failed=lost, t1=np.where(lost, np.nan, long.t1))


def test_one_rule_for_maps_without_a_truth_whichever_figure_draws_them(three_slices):
    """The numbers: 0, and the next round one above min(99th percentile, 2.5 medians) of the model with the longest."""
    long = three_slices[1]
    inside = long.t1[long.mask & ~long.failed]
    high = round_up(min(np.percentile(inside, 99), 2.5 * np.median(inside)))
    assert limits_of_maps("T1", three_slices) == (0, high)
    for order in (three_slices, three_slices[::-1]):
        found = nb.agreement(order)
        assert found.colour_limits["T1"] == (0, high)
        drawn = [image.get_clim() for axes in difference_figure(found).axes for image in axes.get_images()]
        assert drawn[:2] == [(0, high)] * 2
    means = nb.region_means(list(three_slices), (Region("all", long.mask),))
    assert {image.get_clim() for axes in region_figure(means).findobj(Axes) for image in axes.get_images()} == {
        (0, high), limits_of_maps("T2", three_slices)
    }  # fmt: skip
    for z in range(3):
        figure = map_figure(three_slices, ["short", "long"], parameters=["T1"], z=z)
        drawn = {image.norm.vmax for axes in figure.axes for image in axes.get_images()}
        assert drawn == {high}, z


def test_a_truth_stands_for_its_maps_and_errors_count_over_all_slices(three_slices):
    first, second = three_slices
    truth = nb.Phantom(first.t1, first.t2, np.ones(first.shape), first.mask)
    wanted = value_limits(truth.t1, truth.mask)
    wrong = first.replace(t1=np.where(np.arange(3)[:, None, None] == 1, 1.27, 1.01) * first.t1, estimator="wrong")
    comparison = nb.compare(truth, [wrong], bound_voxels=0)
    # errors of 27 % in a third of the voxels
    assert comparison.colour_limits["T1 error"] == (-30, 30)
    figure = map_figure([wrong, second], ["wrong", "long"], truth, parameters=["T1"], z=0)
    tiles = [image.get_clim() for axes in figure.axes for image in axes.get_images() if len(axes.get_images()) == 1]
    assert tiles[:3] == [wanted] * 3
    alone = map_figure([wrong], ["wrong"], truth, parameters=["T1"], z=0)
    assert (-30, 30) in [image.get_clim() for axes in alone.axes for image in axes.get_images()]
    # a model is the reference, and the truth is known
    assert nb.agreement([wrong, second], truth, reference="wrong").colour_limits["T1"] == wanted


def test_agreement_is_drawn_with_chosen_limits_and_states_them(three_slices):
    plain = nb.agreement(three_slices)
    assert plain.colour_limits["T1 difference"] == error_limits(difference_maps(*three_slices)["T1"])
    seen = {"T1": (200.0, 900.0), "T2 difference": (-7.0, 3.0), "T1 error": (-1.0, 1.0)}
    found = plain.with_limits(seen)
    drawn = [image.get_clim() for axes in difference_figure(found).axes for image in axes.get_images()]
    assert drawn == [
        (200, 900), (200, 900), plain.colour_limits["T1 difference"],
        plain.colour_limits["T2"], plain.colour_limits["T2"], (-7, 3),
    ]  # fmt: skip
    again = nb.agreement(three_slices, settings=AgreementSettings(**found.record["settings"]))
    assert again.colour_limits == found.colour_limits
    # what the screen has beside it is not its own
    assert "t1_error_limits" not in found.record["settings"]
    with pytest.raises(InputError, match="no range"):
        nb.agreement(three_slices, t2_difference_limits=(4, 4))
