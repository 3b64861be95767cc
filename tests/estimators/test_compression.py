import numpy as np
import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.matching.subspace import find_subspace, unit_rows


def _atoms(complex_atoms):
    decay = np.geomspace(5, 500, 300)[:, None]
    time = np.arange(120)[None, :]
    atoms = np.exp(-time / decay)
    if complex_atoms:
        atoms = atoms * np.exp(1j * time * decay / 4000)
    return unit_rows(atoms)[0]


@pytest.mark.parametrize("complex_atoms", [False, True])
def test_the_subspace_of_blocks_is_that_of_the_singular_value_decomposition(complex_atoms):
    atoms = _atoms(complex_atoms)
    _, values, right = np.linalg.svd(atoms, full_matrices=False)
    found = find_subspace(np.array_split(atoms, 7), 1 - 1e-6)
    lost = 1 - np.cumsum(values**2) / np.sum(values**2)
    assert found.rank == int(np.argmax(lost <= 1e-6)) + 1
    assert found.energy == pytest.approx(1 - lost[found.rank - 1], abs=1e-12)
    # the same subspace: its projector, not its vectors, is unique
    ours = found.basis @ found.basis.conj().T
    theirs = right[: found.rank].T @ right[: found.rank].conj()
    assert np.abs(ours - theirs).max() < 1e-6


@pytest.mark.parametrize("complex_atoms", [False, True])
@pytest.mark.parametrize("complex_signals", [False, True])
def test_projection_is_the_inner_product_with_each_vector(complex_atoms, complex_signals):
    basis = find_subspace([_atoms(complex_atoms)], 0.999, rank=5)
    signals = np.random.default_rng(0).normal(size=(4, 120)).astype(np.float32)
    if complex_signals:
        signals = (signals + 1j * signals[::-1]).astype(np.complex64)
    expected = [[np.vdot(vector, signal) for vector in basis.basis.T] for signal in signals]
    assert np.allclose(basis.project(signals), expected, rtol=1e-12, atol=1e-12)


def test_a_given_rank_wins_and_is_bounded_by_time():
    assert find_subspace([_atoms(False)], 0.5, rank=9).rank == 9
    assert find_subspace([_atoms(False)], 0.5, rank=1000).rank == 120


def test_no_atom_is_an_error():
    with pytest.raises(InputError, match="no atom"):
        find_subspace([], 0.99)


def test_unit_rows_keeps_a_row_of_zeros():
    rows, norms = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert rows.tolist() == [[0.6, 0.8], [0.0, 0.0]]
    assert norms.tolist() == [5.0, 0.0]
