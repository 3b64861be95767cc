import numpy as np
import pytest
import scipy.io

from napari_blochnet.evaluation.scores import FAILURE_DECADES, best_constant, mean_of_logs, score

WORDS = {"model": "m", "tissue": "all", "parameter": "T1", "unit": "ms"}


def test_scores_of_three_voxels_by_hand():
    truth = np.array([100.0, 200.0, 1000.0])
    estimate = np.array([110.0, 190.0, 1000.0])
    found = score(truth, estimate, np.zeros(3, bool), 1.0, **WORDS)
    assert found.bias == pytest.approx(0.0)
    assert found.bias_percent == pytest.approx(5 / 3)
    assert found.median_percent == pytest.approx(5.0)
    assert found.mae == pytest.approx(20 / 3)
    assert found.mae_percent == pytest.approx(5.0)
    assert found.rmse == pytest.approx(np.sqrt(200 / 3))
    assert found.mse_log10 == pytest.approx((np.log10(1.1) ** 2 + np.log10(0.95) ** 2) / 3)
    assert (found.voxels, found.failures) == (3, 0)


def test_a_failure_counts_in_every_score():
    truth = np.full(4, 100.0)
    failed = np.array([True, False, False, False])
    found = score(truth, truth, failed, 100.0, **WORDS)
    assert found.failures == 1
    assert found.bias_percent == pytest.approx(-25)
    assert found.mae_percent == pytest.approx(25)
    assert found.rmse == pytest.approx(50)
    assert found.mse_log10 == pytest.approx(FAILURE_DECADES**2 / 4)
    # what a failed voxel holds is never looked at
    assert score(truth, np.where(failed, np.nan, truth), failed, 100.0, **WORDS) == found


def test_rejecting_voxels_never_pays_against_answering_the_best_constant():
    truth = np.geomspace(20, 3000, 50)
    constant = best_constant(truth)
    answered = score(truth, np.full(50, constant), np.zeros(50, bool), constant, **WORDS)
    rejected = score(truth, np.full(50, constant), np.ones(50, bool), constant, **WORDS)
    assert rejected.mse_log10 > answered.mse_log10 == pytest.approx(answered.constant_mse_log10)


def test_the_best_constants_of_the_anatomical_set_are_the_stated_ones(shared_data):
    """0.356 on the voxels with T > 0, 0.134 on those of at least 1 ms, 0.114 on the physical ones."""
    content = scipy.io.loadmat(shared_data / "anatomical" / "brain_t1_t2_pd_128.mat")
    t1, t2 = (content[name].ravel().astype(float) for name in ("T1_128", "T2_128"))
    for least_t1, least_t2, count, expected in ((0, 0, 7499, 0.356), (1, 1, 7360, 0.134), (50, 5, 7288, 0.114)):
        inside = (t1 > 0) & (t2 > 0) & (t1 >= least_t1) & (t2 >= least_t2)
        assert inside.sum() == count
        rows = [
            score(values, values, np.zeros(count, bool), best_constant(values), **WORDS)
            for values in (t1[inside], t2[inside])
        ]
        assert mean_of_logs(*rows).constant_mse_log10 == pytest.approx(expected, abs=5e-4)
