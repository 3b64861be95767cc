"""Bias and limits of agreement against the published example, scipy and simulation."""

import math

import numpy as np
import pytest
from matplotlib.cbook import boxplot_stats
from scipy import stats

import napari_blochnet as nb
from napari_blochnet.evaluation.agreement.bland_altman import concordance
from napari_blochnet.evaluation.agreement.distributions import box_of, histograms

# Peak expiratory flow of 17 people by two meters, l/min: Bland and Altman 1986, table 1, first measurements.
LARGE = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_the_published_example_comes_out():
    found = nb.bland_altman(MINI, LARGE)  # the paper's differences: large meter − mini meter
    assert found.pairs == 17
    assert round(found.bias, 1) == -2.1
    assert round(found.sd, 1) == 38.8
    assert [round(end, 1) for end in found.bias_interval] == [-22.0, 17.8]
    # the paper takes 2 SD, and rounds both before
    assert (found.bias - 2 * found.sd, found.bias + 2 * found.sd) == pytest.approx((-79.7, 75.5), abs=0.1)
    # and 3s²/n for a limit's variance: -114.3 to -45.1, 40.9 to 110.1
    assert found.lower_interval == pytest.approx((found.lower - 34.6, found.lower + 34.6), abs=0.6)
    assert found.upper_interval == pytest.approx((found.upper - 34.6, found.upper + 34.6), abs=0.6)


def test_the_interval_of_the_bias_is_that_of_a_paired_t_test():
    rng = np.random.default_rng(0)
    first = rng.uniform(500, 2000, 50)
    second = first + rng.normal(10, 30, 50)
    wanted = stats.ttest_rel(second, first).confidence_interval(0.9)
    assert nb.bland_altman(first, second, confidence=90).bias_interval == pytest.approx(tuple(wanted))


def test_the_intervals_of_the_limits_hold_the_true_limit_as_often_as_they_say():
    rng = np.random.default_rng(1)
    draws = [nb.bland_altman(np.zeros(40), rng.normal(3, 2, 40)) for _ in range(4000)]
    for wanted, interval in ((3 - 1.96 * 2, "lower_interval"), (3 + 1.96 * 2, "upper_interval")):
        held = np.mean([low <= wanted <= high for low, high in (getattr(found, interval) for found in draws)])
        assert held == pytest.approx(0.95, abs=0.015)


def test_per_cent_are_of_the_mean_of_both():
    found = nb.bland_altman([100.0, 1000.0], [110.0, 1100.0], percent=True)
    assert found.bias == pytest.approx(100 * 10 / 105)
    assert found.sd == pytest.approx(0, abs=1e-12)
    exchanged = nb.bland_altman([110.0, 1100.0], [100.0, 1000.0], percent=True)
    assert exchanged.bias == pytest.approx(-found.bias)


def test_what_cannot_be_said_is_not_a_number():
    one = nb.bland_altman([5.0], [7.0])
    assert one.bias == 2
    assert math.isnan(one.sd)
    assert math.isnan(one.upper_interval[1])
    assert math.isnan(nb.bland_altman([], []).bias)


@pytest.mark.parametrize(
    ("first", "second", "more", "words"),
    [
        ([1, 2], [1], {}, "shapes"),
        ([1, math.nan], [1, 2], {}, "not finite"),
        ([1, -1], [1, 1], {"percent": True}, "whose mean is 0"),
        ([1, 2], [1, 2], {"confidence": 100}, "confidence is 100 %"),
    ],
)
def test_pairs_that_are_none_are_refused(first, second, more, words):
    with pytest.raises(nb.InputError, match=words):
        nb.bland_altman(first, second, **more)


def test_concordance_is_pearson_s_correlation_less_what_lies_off_the_identity():
    rng = np.random.default_rng(2)
    first = rng.normal(1000, 200, 300)
    second = 1.2 * first - 50 + rng.normal(0, 80, 300)
    # Lin's other form: ρ · C_b, from the ratio of the spreads and the shift
    ratio, shift = second.std() / first.std(), (first.mean() - second.mean()) / math.sqrt(first.std() * second.std())
    accuracy = 2 / (ratio + 1 / ratio + shift**2)
    assert concordance(first, second) == pytest.approx(stats.pearsonr(first, second).statistic * accuracy)
    assert concordance(first, first) == pytest.approx(1)
    assert concordance(first, 2 * first.mean() - first) == pytest.approx(-1)
    assert math.isnan(concordance(np.full(5, 800.0), np.arange(5.0)))


def test_boxes_are_matplotlib_s():
    rng = np.random.default_rng(3)
    for values in (rng.lognormal(7, 0.6, 501), rng.normal(80, 5, 12), np.array([3.0]), np.array([0, 0, 0, 10.0])):
        found, (wanted,) = box_of(values), boxplot_stats(values)
        keys = ("whislo", "q1", "med", "q3", "whishi", "mean")
        assert [found.lower, found.first, found.median, found.third, found.upper, found.mean] == pytest.approx(
            [wanted[key] for key in keys]
        )
    assert box_of([]).values == 0


def test_histograms_have_the_same_bins_and_count_every_value_but_one_per_cent():
    rng = np.random.default_rng(4)
    several = [rng.normal(800, 40, 4000), rng.normal(820, 40, 1000)]
    edges, shares = histograms(several)
    low, high = np.percentile(np.concatenate(several), (0.5, 99.5))
    assert (edges[0], edges[-1]) == pytest.approx((low, high))
    for values, share in zip(several, shares, strict=True):
        inside = ((values >= low) & (values <= high)).mean()
        assert share.sum() == pytest.approx(100 * inside)
        assert np.histogram(values, edges)[0][5] / values.size * 100 == pytest.approx(share[5])
    assert histograms([np.full(9, 5.0)])[1][0].sum() == pytest.approx(100)
