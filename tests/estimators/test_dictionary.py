import threading

import numpy as np
import pytest

from napari_blochnet import EPGDecoder, Schedule
from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.estimators.base import Estimator
from napari_blochnet.estimators.matching.dictionary import DictionaryMatching
from napari_blochnet.estimators.registry import estimator_names, make_estimator

LENGTH = 240
FLIP = 10 + 45 * np.abs(np.sin(np.linspace(0, 9, LENGTH)))
SPOILING = np.cumsum(117.0 * np.arange(LENGTH)) % 360
SCHEDULES = {
    "real": Schedule(FLIP, np.linspace(11, 14, LENGTH), 4.0, inversion_time=10.0, name="short"),
    "complex": Schedule(FLIP, 12.0, 4.0, SPOILING, inversion_time=10.0, name="spoiled"),
}
GRID = {"t1_range": (200.0, 3000.0), "t2_range": (20.0, 400.0), "step": 0.1}


def _tissues(count, seed=0):
    rng = np.random.default_rng(seed)
    t1 = np.exp(rng.uniform(np.log(250), np.log(2800), count))
    return t1, t1 * np.exp(rng.uniform(np.log(0.05), np.log(0.14), count))


def _signals(schedule, kind, t1, t2, pd=1.0):
    signal = EPGDecoder(schedule).signal(t1, t2)
    if kind == "magnitude":
        return np.abs(signal) * pd
    return signal.real * pd if kind == "real" else (signal * pd).astype(np.complex64)


def _full_search(schedule, kind, estimator, signals):
    """All atoms, no compression, double precision."""
    i, j = estimator.grid.atoms()
    t1, t2 = estimator.grid.t1_values[i], estimator.grid.t2_values[j]
    atoms = _signals(schedule, kind, t1, t2).astype(np.complex128)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    products = signals.astype(np.complex128) @ atoms.conj().T
    scores = np.abs(products) if kind == "complex" else products.real
    best = scores.argmax(axis=1)
    return t1[best], t2[best], scores.max(axis=1)


KINDS = [("real", "complex"), ("real", "real"), ("real", "magnitude"), ("complex", "complex"),
         ("complex", "real"), ("complex", "magnitude")]  # fmt: skip


@pytest.mark.parametrize(("path", "kind"), KINDS)
def test_an_atom_is_recovered_with_its_proton_density(path, kind):
    schedule, estimator = SCHEDULES[path], DictionaryMatching(**GRID)
    i, j = estimator.grid.atoms()
    some = np.random.default_rng(0).choice(len(i), 200, replace=False)
    t1, t2 = estimator.grid.t1_values[i[some]], estimator.grid.t2_values[j[some]]
    pd = 2.5 * np.exp(0.7j) if kind == "complex" else 2.5
    found = estimator.predict(_signals(schedule, kind, t1, t2, pd), schedule, kind)
    assert np.array_equal(found.t1, t1.astype(np.float32))
    assert np.array_equal(found.t2, t2.astype(np.float32))
    assert np.abs(found.pd - pd).max() < 2e-3
    assert found.residual.max() < 0.01
    assert not found.failed.any()


@pytest.mark.parametrize(("path", "kind"), KINDS)
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_compressed_matching_agrees_with_the_full_search(path, kind, noise):
    schedule, estimator = SCHEDULES[path], DictionaryMatching(**GRID)
    signals = _signals(schedule, kind, *_tissues(400))
    rng = np.random.default_rng(1)
    spread = noise * np.sqrt(np.mean(np.abs(signals) ** 2))
    signals = signals + spread * rng.normal(size=signals.shape)
    if kind == "complex":
        signals = signals + 1j * spread * rng.normal(size=signals.shape)
    signals = np.abs(signals) if kind == "magnitude" else signals
    t1, t2, best = _full_search(schedule, kind, estimator, signals)
    found = estimator.predict(signals, schedule, kind)
    assert np.mean((found.t1 == t1.astype(np.float32)) & (found.t2 == t2.astype(np.float32))) > 0.97
    # the residual is that of the projection on the best atom, in the full space
    norm = np.linalg.norm(signals, axis=1)
    expected = np.sqrt(np.maximum(1 - (best / norm) ** 2, 0))
    assert np.abs(found.residual - expected).max() < 2e-3


def test_proton_density_and_residual_are_those_of_the_simulated_answer():
    schedule, estimator = SCHEDULES["real"], DictionaryMatching(**GRID)
    signals = _signals(schedule, "complex", *_tissues(100), pd=3 * np.exp(-2j))
    found = estimator.predict(signals, schedule)
    model = _signals(schedule, "complex", found.t1, found.t2).astype(np.complex128)
    scale = np.einsum("vt,vt->v", model.conj(), signals) / np.einsum("vt,vt->v", model.conj(), model)
    residual = np.linalg.norm(signals - scale[:, None] * model, axis=1) / np.linalg.norm(signals, axis=1)
    assert np.abs(found.pd / scale - 1).max() < 1e-3
    assert np.abs(found.residual - residual).max() < 1e-3


def test_real_fingerprints_have_positive_proton_density_and_their_negative_is_another_tissue():
    schedule, estimator = SCHEDULES["real"], DictionaryMatching(**GRID)
    signals = _signals(schedule, "real", *_tissues(50))
    assert (estimator.predict(signals, schedule).pd > 0).all()
    inverted = estimator.predict(-signals, schedule)
    assert (inverted.failed | (inverted.residual > 0.3)).all()


def test_zeros_fail_and_nothing_else_does():
    schedule, estimator = SCHEDULES["real"], DictionaryMatching(**GRID)
    signals = _signals(schedule, "complex", *_tissues(6))
    signals[[1, 4]] = 0
    found = estimator.predict(signals, schedule)
    assert found.failed.tolist() == [False, True, False, False, True, False]
    for values in (found.t1, found.t2, found.pd, found.residual):
        assert (values[[1, 4]] == 0).all()
        assert np.isfinite(values).all()


@pytest.mark.parametrize("kind", ["complex", "real", "magnitude"])
def test_left_out_samples_do_not_matter_and_the_others_are_fitted_as_by_a_full_masked_search(kind):
    schedule = SCHEDULES["real"]
    # fine enough for the search on a thinned grid and the descent from there
    estimator = DictionaryMatching(**{**GRID, "step": 0.025}, saturation=0.6)
    t1, t2 = _tissues(60, seed=3)
    clean = _signals(schedule, kind, t1, t2)
    clean /= np.abs(clean).max(axis=1, keepdims=True)
    noise = np.random.default_rng(4).normal(size=clean.shape) * 0.01
    signals = np.abs(clean + noise) if kind == "magnitude" else clean + noise
    used = np.abs(signals) < 0.6
    assert 0.01 < np.mean(~used) < 0.3
    clipped = np.where(used, signals, 0.62 * signals / np.abs(signals)).astype(signals.dtype)
    found = estimator.predict(clipped, schedule, kind)

    # witness: for every atom of the grid, the least-squares misfit over the used samples alone
    i, j = estimator.grid.atoms()
    atoms = _signals(schedule, kind, estimator.grid.t1_values[i], estimator.grid.t2_values[j]).astype(np.complex128)
    product = np.where(used, signals, 0) @ atoms.conj().T
    gain = np.abs(product) ** 2 / (used.astype(float) @ (np.abs(atoms) ** 2).T)
    energy = np.sum(np.abs(signals) ** 2, axis=1, where=used)
    least = np.sqrt(1 - gain.max(axis=1) / energy)
    assert np.abs(found.residual - least).max() < 6e-4
    best = gain.argmax(axis=1)
    t1, t2 = estimator.grid.t1_values[i[best]], estimator.grid.t2_values[j[best]]
    assert np.mean((found.t1 == t1.astype(np.float32)) & (found.t2 == t2.astype(np.float32))) > 0.9
    assert np.abs(found.t1 / t1 - 1).max() < 0.03  # one step of the grid
    assert np.abs(found.t2 / t2 - 1).max() < 0.03

    # what stood in the left-out samples cannot be seen in the answer
    other = np.where(used, signals, 7.0 * signals / np.abs(signals)).astype(signals.dtype)
    again = estimator.predict(other, schedule, kind)
    assert np.array_equal(found.t2, again.t2)


def test_a_fingerprint_without_a_sample_left_fails():
    schedule, estimator = SCHEDULES["real"], DictionaryMatching(**GRID, saturation=1.0)
    signals = _signals(schedule, "magnitude", *_tissues(3))
    signals[1] = 255
    assert estimator.predict(signals, schedule, "magnitude").failed.tolist() == [False, True, False]


def test_another_device_runs_the_full_search_with_the_same_answers():
    schedule = SCHEDULES["real"]
    signals = _signals(schedule, "complex", *_tissues(300))
    ours = DictionaryMatching(**GRID).predict(signals, schedule)
    theirs = DictionaryMatching(**GRID, device="cpu:0").predict(signals, schedule)
    assert np.mean((ours.t1 == theirs.t1) & (ours.t2 == theirs.t2)) > 0.99


def test_preparing_reports_progress_and_the_second_time_is_free():
    schedule = SCHEDULES["real"].replace(echo_time=3.0)
    calls = []
    estimator = DictionaryMatching(**GRID)
    estimator.prepare(schedule, "complex", progress=lambda done, total, message="": calls.append((done, total)))
    assert calls[0][0] == 0
    assert calls[-1][0] == calls[-1][1]
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert "rank" in estimator.description
    calls.clear()
    DictionaryMatching(**GRID).prepare(
        schedule, "complex", progress=lambda done, total, message="": calls.append((done, total))
    )
    assert not calls


def test_cancel_stops_preparing_and_leaves_nothing_half_made():
    schedule = SCHEDULES["real"].replace(echo_time=2.0)
    stop = threading.Event()
    stop.set()
    estimator = DictionaryMatching(**GRID)
    with pytest.raises(Cancelled):
        estimator.prepare(schedule, "complex", cancelled=stop)
    stop.clear()
    estimator.prepare(schedule, "complex", cancelled=stop)
    assert not estimator.predict(_signals(schedule, "complex", *_tissues(3)), schedule).failed.any()


def test_tissues_that_have_no_signal_under_a_schedule_are_no_atoms():
    silent = Schedule(np.zeros(10), 10.0, 5.0)
    with pytest.raises(InputError, match="makes no signal"):
        DictionaryMatching(**GRID).prepare(silent, "complex")


@pytest.mark.parametrize(
    ("signals", "kind", "found"),
    [
        (np.zeros((2, LENGTH + 1)), None, f"{LENGTH + 1} time points"),
        (np.zeros(LENGTH), None, "shape"),
        (np.zeros((2, LENGTH)), "complex", "float64"),
        (np.zeros((2, LENGTH), np.complex64), "magnitude", "complex64"),
        (np.full((2, LENGTH), np.nan), None, "NaN"),
    ],
)
def test_fingerprints_that_do_not_fit_are_refused_in_a_sentence(signals, kind, found):
    with pytest.raises(InputError, match=found):
        DictionaryMatching(**GRID).predict(signals, SCHEDULES["real"], kind)


@pytest.mark.parametrize(
    "settings", [{"energy": 1.0}, {"energy": 0.0}, {"rank": 0}, {"rank": 1.5}, {"saturation": 0.0}, {"step": -1}]
)
def test_settings_out_of_range_name_their_field(settings):
    with pytest.raises(InputError) as refused:
        DictionaryMatching(**settings)
    assert refused.value.field == next(iter(settings))


def test_the_registry_knows_what_it_makes():
    estimator = make_estimator("dictionary", step=0.5)
    assert isinstance(estimator, Estimator)
    assert estimator.name == "dictionary"
    assert "dictionary" in estimator_names()
    with pytest.raises(InputError, match="dictionary") as refused:
        make_estimator("oracle")
    assert refused.value.field == "estimator"
    with pytest.raises(InputError, match="stepp"):
        make_estimator("dictionary", stepp=0.1)


@pytest.mark.parametrize(("path", "kind"), KINDS)
def test_a_torch_device_answers_as_the_cpu(path, kind):
    """ "cpu:0" is torch's CPU taken as a device: the path that a GPU takes, up to where the products are computed."""
    schedule = SCHEDULES[path]
    rng = np.random.default_rng(3)
    signals = _signals(schedule, kind, *_tissues(600, seed=3), pd=1.5 * np.exp(-0.9j) if kind == "complex" else 1.5)
    noise = 0.05 * np.sqrt(np.mean(np.abs(signals) ** 2)) * rng.standard_normal(signals.shape)
    signals = np.abs(signals + noise) if kind == "magnitude" else (signals + noise).astype(signals.dtype)
    ours = DictionaryMatching(**GRID).predict(signals, schedule, kind)
    theirs = DictionaryMatching(**GRID, device="cpu:0").predict(signals, schedule, kind)
    # two atoms may score alike to the last bit of single precision
    same = (ours.t1 == theirs.t1) & (ours.t2 == theirs.t2)
    assert same.mean() > 0.99
    np.testing.assert_array_equal(ours.failed, theirs.failed)
    np.testing.assert_allclose(theirs.residual, ours.residual, rtol=1e-5)
    np.testing.assert_allclose(theirs.pd[same], ours.pd[same], rtol=1e-6)
