"""What models say of one voxel, against bounds and simulations made apart."""

from __future__ import annotations

import numpy as np
import pytest

from napari_blochnet import (
    EPGDecoder,
    FingerprintStack,
    Phantom,
    Schedule,
    bloch_signal,
    cramer_rao_bound,
    simulate,
    spline_schedule,
)
from napari_blochnet.evaluation.voxel import Bound, Explanation, Voxel, explain_voxel


def test_bound_without_truth_and_without_known_noise():
    schedule = spline_schedule(length=200)
    z, y, x = np.indices((3, 16, 20))
    phantom = Phantom(600.0 + 40.0 * x + 5.0 * z, 40.0 + 4.0 * y + 0.5 * z, 0.5 + 0.02 * x)
    noisy = simulate(phantom, schedule, snr=30.0, seed=2)
    stack = FingerprintStack(noisy.data, schedule)
    assert stack.noise_sigma is None
    index = (1, 9, 12)
    t1, t2, pd = (float(getattr(phantom, key)[index]) for key in ("t1", "t2", "pd"))
    items = (Explanation("far", 1.5 * t1, t2, pd, slot=0), Explanation("near", t1, t2, pd, slot=1))
    shown = explain_voxel(EPGDecoder(schedule, tolerance=1e-4), Voxel(stack, index), items)
    assert not shown.bound.at_truth
    assert not shown.bound.is_sigma_known
    assert (shown.bound.t1, shown.bound.t2) == (t1, t2)
    # 2·200 − 4 degrees of freedom: the estimate's own standard error is 1/√(2·396) of sigma
    assert shown.bound.sigma == pytest.approx(noisy.noise_sigma, rel=4 / np.sqrt(2 * 396))
    noise_free = simulate(phantom, schedule)
    assert explain_voxel(EPGDecoder(schedule, tolerance=1e-4), Voxel(noise_free, index), items).bound is None


@pytest.mark.parametrize("kind", ["magnitude", "real"])
def test_other_kinds_of_signal(kind):
    schedule = Schedule([10.0, 60.0, 25.0, 40.0] * 25, 12.0, 4.0, inversion_time=20.0)
    signal = 3.0 * bloch_signal(schedule, 800.0, 70.0).real
    data = np.abs(signal) if kind == "magnitude" else signal
    stack = FingerprintStack(data[:, None, None, None], schedule, kind=kind, noise_sigma=0.01)
    # a truth in other units, which is scaled to the data, and a model with an own PD
    items = (Explanation("truth", 800.0, 70.0, 50.0, slot=-1, has_own_scale=True), Explanation("m", 850.0, 70.0, 3.0))
    shown = explain_voxel(EPGDecoder(schedule, tolerance=1e-4), Voxel(stack, (0, 0, 0)), items)
    assert shown.residual[0] < 1e-3
    np.testing.assert_allclose(shown.curves[0], data, atol=2e-3 * np.abs(data).max())
    expected = cramer_rao_bound(schedule, 800.0, 70.0, 3.0, sigma=0.01, kind=kind).covariance
    np.testing.assert_allclose(shown.bound.covariance, expected, rtol=5e-3)


def test_ellipse_of_a_diagonal_covariance():
    bound = Bound(1000.0, 100.0, np.diag([10.0**2, 5.0**2]), 0.01, True, True)
    points = np.log(bound.ellipse() / [1000.0, 100.0])
    np.testing.assert_allclose(np.abs(points).max(axis=0), np.sqrt(5.991465) * np.array([0.01, 0.05]), rtol=1e-3)
    np.testing.assert_allclose(points[0], points[-1], atol=1e-12)


def test_coefficients_without_a_schedule_are_shown_alone():
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 3)))[0]
    stored = np.array([[1, 2j], [-3, 1 + 1j], [2 - 1j, 4]], np.complex64).reshape(3, 1, 1, 2)
    stack = FingerprintStack(stored, None, basis=basis)
    shown = explain_voxel(None, Voxel(stack, (0, 0, 1)), [])
    np.testing.assert_array_equal(shown.coefficients, stored[:, 0, 0, 1])
    assert len(shown.measured) == 12
    assert (shown.items, shown.bound) == ((), None)
