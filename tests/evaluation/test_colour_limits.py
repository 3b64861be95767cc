"""Colour limits of figures: the same for the same numbers, for all models together, or those that somebody chose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes

import napari_blochnet as nb
from napari_blochnet.common.colour_limits import error_limits, round_up, value_limits, widest
from napari_blochnet.common.errors import InputError
from napari_blochnet.evaluation.drawing.figures import comparison_figure
from napari_blochnet.jobs.operations.opening import synthetic_head
from napari_blochnet.jobs.settings_comparing import CompareSettings


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
        "T1 / ms": limits["T1"], "T2 / ms": limits["T2"],
        "T1 error / %": limits["T1 error"], "T2 error / %": limits["T2 error"],
    }  # fmt: skip


def test_chosen_limits_are_drawn_and_stated(head, models):
    comparison = nb.compare(head, list(models), bound_voxels=0, t1_limits=(200, 1800), error_limit=25)
    assert comparison.colour_limits["T1"] == (200, 1800)
    assert comparison.colour_limits["T2 error"] == (-25, 25)
    other = comparison.with_limits({"T2 error": (-3.0, 5.0)})
    assert _drawn(other)["T2 error / %"] == (-3, 5)
    assert _drawn(other)["T1 / ms"] == (200, 1800)
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
