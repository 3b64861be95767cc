"""Cramér–Rao bounds against a brute-force Fisher matrix, Monte-Carlo estimates, and figures published or known."""

from __future__ import annotations

import doctest
import threading

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from scipy.special import ive
from scipy.stats import rice

from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.physics import bounds
from napari_blochnet.physics.bounds import bound_from_jacobian, cramer_rao_bound, rician_information
from napari_blochnet.physics.decoder import EPGDecoder
from napari_blochnet.physics.reference.epg import epg_signal
from napari_blochnet.schedules.generators import fisp_schedule
from napari_blochnet.schedules.schedule import Schedule

WHITE_MATTER = (811.0, 77.0)


def _short(spoiled: bool) -> Schedule:
    rng = np.random.default_rng(2)
    n = np.arange(60)
    phase = n * (n - 1) / 2 * 117.0 if spoiled else 0.0
    return Schedule(rng.uniform(10.0, 80.0, 60), rng.uniform(11.0, 15.0, 60), 5.0, phase, inversion_time=20.0)


def _brute_force(schedule: Schedule, t1: float, t2: float, pd: complex, b1: float, sigma: float, fit_b1: bool):
    """Standard deviations of (T1, T2, |PD|[, B1]) from the whole Fisher matrix with Re PD and Im PD, by differences."""

    def data(p: np.ndarray) -> np.ndarray:
        tissue = [torch.tensor(float(x), dtype=torch.float64) for x in (p[0], p[1], p[4])]
        signal = (p[2] + 1j * p[3]) * epg_signal(schedule, tissue[0], tissue[1], b1=tissue[2]).numpy()
        return np.concatenate([signal.real, signal.imag])

    point = np.array([t1, t2, pd.real, pd.imag, b1])
    parameters = 5 if fit_b1 else 4
    step = 1e-4 * np.array([t1, t2, 1.0, 1.0, 1.0])
    columns = [(data(point + step * e) - data(point - step * e)) / (2 * step @ e) for e in np.eye(5)[:parameters]]
    jacobian = np.stack(columns, axis=1) / sigma
    covariance = np.linalg.inv(jacobian.T @ jacobian)
    along = np.array([pd.real, pd.imag]) / abs(pd)
    deviation = np.sqrt(np.diagonal(covariance))
    return deviation[0], deviation[1], np.sqrt(along @ covariance[2:4, 2:4] @ along), deviation[-1]


@pytest.mark.parametrize("fit_b1", [False, True])
@pytest.mark.parametrize("spoiled", [False, True])
def test_against_the_whole_fisher_matrix(spoiled: bool, fit_b1: bool) -> None:
    schedule, pd, b1, sigma = _short(spoiled), 0.7 * np.exp(0.8j), 0.93, 0.01
    expected = _brute_force(schedule, 800.0, 70.0, pd, b1, sigma, fit_b1)
    found = cramer_rao_bound(schedule, 800.0, 70.0, pd, b1, sigma=sigma, fit_b1=fit_b1)
    assert [float(found.t1), float(found.t2), float(found.pd)] == pytest.approx(expected[:3], rel=1e-5)
    if fit_b1:
        assert found.b1 is not None
        assert float(found.b1) == pytest.approx(expected[3], rel=1e-5)
    else:
        assert found.b1 is None


@pytest.mark.parametrize("trains", [1, "steady"])
def test_against_the_whole_fisher_matrix_of_a_played_train(played, trains) -> None:
    # Orders as kept by the tolerance: what the clear version has more of is below the differences' own error.
    schedule, pd, b1, sigma = played(trains, spoiled=False, pulses=20), 0.7 * np.exp(0.8j), 0.93, 0.01
    for fit_b1 in (False, True):
        expected = _brute_force(schedule, 800.0, 70.0, pd, b1, sigma, fit_b1)
        found = cramer_rao_bound(schedule, 800.0, 70.0, pd, b1, sigma=sigma, fit_b1=fit_b1)
        assert [float(found.t1), float(found.t2), float(found.pd)] == pytest.approx(expected[:3], rel=1e-5)
        if found.b1 is not None:
            assert float(found.b1) == pytest.approx(expected[3], rel=1e-5)


def test_real_data_of_a_real_schedule_tell_as_much_as_complex_data() -> None:
    complex_data = cramer_rao_bound(_short(False), 800.0, 70.0, sigma=0.01)
    real_data = cramer_rao_bound(_short(False), 800.0, 70.0, sigma=0.01, kind="real")
    for key in ("t1", "t2", "pd"):
        assert float(getattr(real_data, key)) == pytest.approx(float(getattr(complex_data, key)), rel=1e-12)


@pytest.mark.parametrize("kind", ["complex", "magnitude"])
def test_maximum_likelihood_reaches_it(kind: bounds.SignalKind) -> None:
    """Monte-Carlo: T1 and T2 fitted to noisy data by maximum likelihood, linear in T near the truth."""
    schedule, truth, sigma, repeats = _short(False), np.array([800.0, 70.0]), 0.004, 3000
    rng = np.random.default_rng(11)
    signal, D = (x.numpy() for x in EPGDecoder(schedule).to(torch.float64).jacobian(*truth))
    noise = sigma * (rng.normal(size=(repeats, 60)) + 1j * rng.normal(size=(repeats, 60)))
    bound = cramer_rao_bound(schedule, *truth, sigma=sigma, kind=kind)
    if kind == "complex":
        # The model itself, not its linearisation: every fit is a nonlinear least-squares problem.
        decoder = EPGDecoder(schedule)

        def residual(p: np.ndarray, data: np.ndarray) -> np.ndarray:
            model = decoder.signal([p[0]], [p[1]], dtype=np.float64)[0]
            left = data - model * (model @ data) / (model @ model)
            return np.concatenate([left.real, left.imag])

        estimates = np.array([
            least_squares(residual, truth, x_scale=truth, diff_step=1e-5, args=(row,)).x for row in signal + noise[:400]
        ])  # fmt: skip
    else:
        # Fisher scoring from the truth, where one step has the estimator's own covariance to first order.
        data, amplitude, sign = np.abs(signal + noise), np.abs(signal), np.sign(signal)
        x = data * amplitude / sigma**2
        score = (data * ive(1, x) / ive(0, x) - amplitude) / sigma**2
        columns = np.concatenate([D * sign[:, None], amplitude[:, None]], axis=1)
        information = rician_information(amplitude / sigma) / sigma**2
        fisher = columns.T @ (information[:, None] * columns)
        estimates = (truth[:, None] + np.linalg.solve(fisher, columns.T @ score.T)[:2]).T
    spread = estimates.std(axis=0, ddof=1)
    error = 3.5 / np.sqrt(2 * len(estimates))
    assert spread == pytest.approx([float(bound.t1), float(bound.t2)], rel=error)


def test_rician_information_against_sampling() -> None:
    """The variance of the score, from numbers drawn by another library."""
    for alpha in (0.05, 0.5, 1.0, 2.0, 6.0, 40.0):
        x = rice.rvs(alpha, size=400_000, random_state=5)
        score = x * ive(1, x * alpha) / ive(0, x * alpha) - alpha
        assert float(rician_information(alpha)) == pytest.approx(score.var(), rel=0.02)


def test_rician_information_at_its_ends() -> None:
    low, high = np.array([0.0, 1e-9, 5e-5, 2e-4, 1e-2]), np.array([30.0, 500.0, 999.0, 1001.0, 1e9])
    np.testing.assert_allclose(rician_information(low), low**2, rtol=2e-4)
    np.testing.assert_allclose(1.0 - rician_information(high), 0.5 / high**2, rtol=2e-3, atol=2e-9)
    alpha = np.geomspace(1e-6, 1e6, 5000)
    rising = np.diff(rician_information(alpha))
    assert rising.min() > -1e-9
    assert rician_information(alpha).max() <= 1.0


def test_rician_bound_becomes_the_gaussian_one_at_high_snr() -> None:
    ratios = []
    for sigma in (1e-2, 1e-3, 1e-5):
        gauss = cramer_rao_bound(_short(False), 800.0, 70.0, sigma=sigma)
        rician = cramer_rao_bound(_short(False), 800.0, 70.0, sigma=sigma, kind="magnitude")
        ratios.append(float(rician.t1 / gauss.t1))
    assert ratios[0] > ratios[1] > ratios[2] >= 1.0
    assert ratios[2] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("t1", "t2", "in_t1", "in_t2"), [(*WHITE_MATTER, 0.062, 0.007), (1545.0, 83.0, 0.053, 0.013)])
def test_what_magnitude_costs_at_snr_10(t1: float, t2: float, in_t1: float, in_t2: float) -> None:
    """The published FISP schedule: about 5 % in T1, whose information lies near the signal's zero, less in T2."""
    sigma = _noise(fisp_schedule(), t1, t2, snr=10.0)
    gauss = cramer_rao_bound(fisp_schedule(), t1, t2, sigma=sigma)
    rician = cramer_rao_bound(fisp_schedule(), t1, t2, sigma=sigma, kind="magnitude")
    assert float(rician.t1 / gauss.t1) - 1.0 == pytest.approx(in_t1, abs=0.003)
    assert float(rician.t2 / gauss.t2) - 1.0 == pytest.approx(in_t2, abs=0.003)


def test_what_fitting_b1_costs() -> None:
    """White matter under the published FISP schedule at SNR 20: the T2 bound rises from 0.71 to 2.5 %."""
    t1, t2 = WHITE_MATTER
    sigma = _noise(fisp_schedule(), t1, t2, snr=20.0)
    known = cramer_rao_bound(fisp_schedule(), t1, t2, sigma=sigma)
    fitted = cramer_rao_bound(fisp_schedule(), t1, t2, sigma=sigma, fit_b1=True)
    assert 100 * float(known.t2) / t2 == pytest.approx(0.71, abs=0.01)
    assert 100 * float(fitted.t2) / t2 == pytest.approx(2.5, abs=0.05)


@pytest.mark.parametrize(("t1", "t2"), [WHITE_MATTER, (1545.0, 83.0)])
def test_a_real_pd_understates_the_bound_under_rf_spoiling(t1: float, t2: float) -> None:
    n = np.arange(1000)
    schedule = fisp_schedule().replace(rf_phase=n * (n + 1) / 2 * 117.0)
    signal, D = (x.numpy() for x in EPGDecoder(schedule).to(torch.float64).jacobian(t1, t2))
    s, D_parts = np.concatenate([signal.real, signal.imag]), np.concatenate([D.real, D.imag])
    off = D_parts - np.outer(s, s @ D_parts) / (s @ s)
    with_real_pd = np.sqrt(np.linalg.inv(off.T @ off)[1, 1])
    assert 1.25 < float(cramer_rao_bound(schedule, t1, t2, sigma=1.0).t2) / with_real_pd < 1.55


def test_shapes_broadcast_and_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    t1, t2, sigma = np.array([500.0, 900.0, 1500.0]), np.array([[40.0], [90.0]]), np.full((2, 3), 0.01)
    whole = cramer_rao_bound(_short(False), t1, t2, sigma=sigma)
    assert whole.t1.shape == whole.t2.shape == whole.pd.shape == (2, 3)
    assert whole.covariance.shape == (2, 3, 2, 2)
    np.testing.assert_allclose(whole.covariance[..., 0, 0], whole.t1**2)
    monkeypatch.setattr(bounds, "_BLOCK_SAMPLES", 120)
    calls: list[tuple[int, int]] = []
    parts = cramer_rao_bound(
        _short(False), t1, t2, sigma=sigma, progress=lambda done, total, message="": calls.append((done, total))
    )  # fmt: skip
    np.testing.assert_allclose(parts.t2, whole.t2, rtol=1e-6)
    assert calls == [(0, 6), (2, 6), (4, 6), (6, 6)]
    one = cramer_rao_bound(_short(False), 900.0, 90.0, sigma=0.01)
    assert one.t1.shape == ()
    assert float(one.t1) == pytest.approx(whole.t1[1, 1], rel=1e-6)


def test_bound_falls_with_the_signal() -> None:
    """Standard deviations are proportional to σ/|PD|; that of PD to σ."""
    near, far = (cramer_rao_bound(_short(False), 800.0, 70.0, pd, sigma=s) for pd, s in ((1.0, 0.01), (-4.0, 0.02)))
    assert float(far.t1) == pytest.approx(0.5 * float(near.t1), rel=1e-9)
    assert float(far.pd) == pytest.approx(2.0 * float(near.pd), rel=1e-9)


def test_what_the_data_do_not_tell_is_infinite() -> None:
    """One pulse from equilibrium tells T2 and PD together only, and T1 not at all."""
    single = Schedule([40.0, 0.0], 12.0, 5.0)
    found = cramer_rao_bound(single, 800.0, 70.0, sigma=0.01)
    assert np.isinf(found.t1)
    assert np.isinf(found.t2)
    assert np.isinf(found.pd)
    covariance, _ = bound_from_jacobian(np.ones((1, 3)), np.array([[[1.0, 0], [2, 0], [4, 0]]]), 1.0, 0.1)
    assert np.isfinite(covariance[0, 0, 0])
    assert np.isinf(covariance[0, 1, 1])


def test_cancel_and_docstring() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        cramer_rao_bound(_short(False), 800.0, 70.0, sigma=0.01, cancelled=stop)
    assert doctest.testmod(bounds).failed == 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"t1": 0.0}, "t1 is 0; expected a finite number above 0 ms"),
        ({"t2": np.nan}, "t2 is nan"),
        ({"sigma": 0.0}, "sigma is 0; expected a finite number above 0"),
        ({"pd": 0.0}, "pd is 0; expected a finite number other than 0"),
        ({"b1": -1.0}, "b1 is -1"),
        ({"kind": "phase"}, "kind is 'phase'; expected 'complex', 'real' or 'magnitude'"),
        ({"t1": "long"}, "t1 holds something that is not a number"),
        ({"t1": [1.0, 2.0], "t2": [1.0, 2.0, 3.0]}, r"Shapes do not broadcast: t1 \(2,\), t2 \(3,\)"),
        ({"sigma": 1j}, "sigma is complex"),
    ],
)
def test_mistakes_are_named(changes: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        cramer_rao_bound(_short(False), **{"t1": 800.0, "t2": 70.0, "sigma": 0.01, **changes})


def _noise(schedule: Schedule, t1: float, t2: float, snr: float) -> float:
    signal = EPGDecoder(schedule).signal([t1], [t2], dtype=np.float64)
    return float(np.sqrt(np.mean(signal**2)) / snr)
