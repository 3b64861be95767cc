import threading

import numpy as np
import pytest
import torch

from napari_blochnet.common.errors import Cancelled
from napari_blochnet.common.progress import Watch
from napari_blochnet.estimators.matching.search import Tiles, best_match, best_match_torch, channels, on_device


def _unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _manifold(rng, count, rank, complex_atoms=False):
    """Atoms on a smooth curve through the sphere, as a dictionary's are, in the order of the curve."""
    along = np.linspace(0, 4, count)[:, None]
    waves = rng.normal(size=(2, rank)) + np.arange(rank) / 3
    atoms = np.cos(along * waves[0]) + 0.5 * np.sin(along * waves[1])
    if complex_atoms:
        atoms = atoms * np.exp(1j * along * waves[1])
    return _unit(atoms)


def _fingerprints(rng, atoms, count, noise, complex_signals):
    signals = atoms[rng.integers(0, len(atoms), count)]
    if complex_signals:
        signals = signals * np.exp(2j * np.pi * rng.random((count, 1)))
        return signals + noise * (rng.normal(size=signals.shape) + 1j * rng.normal(size=signals.shape))
    return signals + noise * rng.normal(size=signals.shape)


def _scores(atoms, signals):
    products = _unit(signals) @ atoms.conj().T
    return np.abs(products) if np.iscomplexobj(products) else products


def _real_form(atoms):
    return np.concatenate([atoms.real, atoms.imag], axis=1) if np.iscomplexobj(atoms) else atoms


CASES = [
    pytest.param(False, False, id="real atoms, real signals"),
    pytest.param(False, True, id="real atoms, complex signals"),
    pytest.param(True, True, id="complex atoms, complex signals"),
]


@pytest.mark.parametrize("noise", [0.0, 0.05, 3.0])
@pytest.mark.parametrize("order", ["along", "shuffled"])
@pytest.mark.parametrize(("complex_atoms", "complex_signals"), CASES)
def test_skipping_tiles_finds_what_the_full_search_in_double_precision_finds(
    complex_atoms, complex_signals, order, noise
):
    rng = np.random.default_rng(1)
    atoms = _manifold(rng, 1500, 13, complex_atoms)
    if order == "shuffled":
        rng.shuffle(atoms)
    signals = _fingerprints(rng, atoms, 700, noise, complex_signals)
    scores = _scores(atoms, signals)
    found = best_match(Tiles.cut(_real_form(atoms)), channels(signals, complex_atoms))
    reached = scores[np.arange(len(signals)), found]
    # two atoms may score the same to float32 rounding: the score must be the best one, the atom nearly always
    assert np.abs(reached - scores.max(axis=1)).max() < 5e-7
    assert np.mean(found == scores.argmax(axis=1)) > 0.95


@pytest.mark.parametrize(("complex_atoms", "complex_signals"), CASES)
def test_the_torch_search_agrees(complex_atoms, complex_signals):
    rng = np.random.default_rng(2)
    atoms = _manifold(rng, 3000, 10, complex_atoms)
    signals = _fingerprints(rng, atoms, 500, 0.1, complex_signals)
    tiles, fingerprints = Tiles.cut(_real_form(atoms)), channels(signals, complex_atoms)
    found = best_match_torch(on_device(tiles, "cpu"), fingerprints)
    scores = _scores(atoms, signals)
    assert np.abs(scores[np.arange(len(signals)), found] - scores.max(axis=1)).max() < 5e-7


def test_the_torch_search_agrees_where_products_are_rounded():
    """Set by any other program in the process, and heard by processors with bfloat16 and by GPUs."""
    rng = np.random.default_rng(2)
    # neighbours differ by less than bfloat16 resolves
    atoms = _manifold(rng, 3000, 24)
    tiles, fingerprints = Tiles.cut(atoms), channels(_fingerprints(rng, atoms, 300, 1e-4, True), False)
    exact = best_match_torch(on_device(tiles, "cpu"), fingerprints)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        rounded = best_match_torch(on_device(tiles, "cpu"), fingerprints)
    finally:
        torch.set_float32_matmul_precision(before)
    assert np.mean(rounded == exact) > 0.99
    assert np.abs(rounded - exact).max() <= 1


def test_the_sign_of_real_fingerprints_counts():
    atoms = np.array([[1.0, 0.0], [-0.6, 0.8]])
    found = best_match(Tiles.cut(atoms), channels(np.array([[-1.0, 0.0], [1.0, 0.1]]), False))
    assert found.tolist() == [1, 0]


@pytest.mark.parametrize("count", [1, 127, 128, 129])
def test_any_number_of_atoms_and_filled_tiles_never_answer_beyond_the_last(count):
    rng = np.random.default_rng(3)
    atoms = _unit(rng.normal(size=(count, 6)))
    found = best_match(Tiles.cut(atoms), channels(atoms, False))
    assert found.tolist() == list(range(count))


def test_atoms_that_cancel_in_the_mean_still_make_a_tile():
    atoms = np.concatenate([np.eye(4), -np.eye(4)])
    assert best_match(Tiles.cut(atoms), channels(atoms, False)).tolist() == list(range(8))


def test_rows_returns_the_atoms_that_were_cut():
    atoms = _unit(np.random.default_rng(4).normal(size=(300, 7)))
    index = np.array([0, 127, 128, 299])
    assert np.allclose(Tiles.cut(atoms).rows(index, 7), atoms[index], atol=1e-7)


def test_no_fingerprints_and_fingerprints_of_zeros():
    tiles = Tiles.cut(np.eye(3))
    assert best_match(tiles, channels(np.empty((0, 3)), False)).shape == (0,)
    assert 0 <= best_match(tiles, channels(np.zeros((1, 3)), False))[0] < 3


def test_cancel_stops_the_search():
    stop = threading.Event()
    stop.set()
    tiles = Tiles.cut(np.eye(3))
    with pytest.raises(Cancelled):
        best_match(tiles, channels(np.eye(3), False), watch=Watch(cancelled=stop))
    with pytest.raises(Cancelled):
        best_match_torch(on_device(tiles, "cpu"), channels(np.eye(3), False), watch=Watch(cancelled=stop))


def test_threads_give_the_same_answers():
    rng = np.random.default_rng(5)
    atoms = _manifold(rng, 2000, 9)
    fingerprints = channels(_fingerprints(rng, atoms, 3000, 0.3, False), False)
    tiles = Tiles.cut(atoms)
    assert np.array_equal(best_match(tiles, fingerprints, threads=1), best_match(tiles, fingerprints, threads=3))
