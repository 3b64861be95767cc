"""Coefficients of a basis: their coordinates, and the stacks that hold them."""

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.subspaces import Subspace

N, K = 12, 4


@pytest.fixture
def random():
    return np.random.default_rng(3)


def _basis(random, is_complex=True):
    basis = random.standard_normal((N, K))
    return basis + 1j * random.standard_normal((N, K)) if is_complex else basis


def _coefficients(random, is_complex=True):
    real, imaginary = random.standard_normal((2, K, 2, 3, 4))
    return (real + 1j * imaginary if is_complex else real).astype(np.complex64 if is_complex else np.float32)


def _stack(random, basis=None, data=None, **fields):
    basis = _basis(random) if basis is None else basis
    return nb.FingerprintStack(_coefficients(random) if data is None else data, None, basis=basis, **fields)


@pytest.mark.parametrize("is_complex", [True, False])
def test_coordinates_keep_norms_and_inner_products(random, is_complex):
    basis = _basis(random, is_complex)
    subspace = Subspace.of(basis)
    c = random.standard_normal((5, K)) + 1j * random.standard_normal((5, K))
    s, d = c @ basis.T, subspace.coordinates(c)
    np.testing.assert_allclose(subspace.q.conj().T @ subspace.q, np.eye(K), atol=1e-12)
    np.testing.assert_allclose(d @ d.conj().T, s @ s.conj().T, atol=1e-4)
    np.testing.assert_allclose(subspace.project(s), d, atol=1e-5)
    np.testing.assert_allclose(subspace.expand(d), s, atol=1e-5)
    np.testing.assert_allclose(subspace.coefficients(d), c, atol=1e-5)


def test_coordinates_of_an_orthonormal_basis_are_its_coefficients(random):
    q = np.linalg.qr(_basis(random))[0]
    c = random.standard_normal((5, K)) + 0j
    np.testing.assert_allclose(Subspace.of(q).coordinates(c), c, atol=1e-6)


def test_a_stack_of_coefficients_stands_for_curves(random):
    stack = _stack(random)
    assert (stack.is_compressed, stack.kind, stack.pulses, stack.shape[0]) == (True, "complex", N, K)
    c = stack.fingerprints()
    assert c.shape == (24, K)
    np.testing.assert_allclose(stack.expanded(), c @ stack.basis.T, rtol=1e-5)
    assert stack[1:2].basis is not None
    assert stack[1:2].shape == (K, 1, 3, 4)
    assert f"{K} coefficients of {N} time points" in stack.describe()
    whole = nb.FingerprintStack(np.ones((3, 1, 1, 1), np.float32), nb.Schedule(10.0, np.full(3, 10.0), 2.0))
    assert not whole.is_compressed
    assert whole.pulses == 3
    assert whole.expanded().shape == (1, 3)


def test_kinds_of_coefficients(random):
    real = _basis(random, False)
    assert _stack(random, real, _coefficients(random, False)).kind == "real"
    # real multiples of complex time courses
    assert _stack(random, None, _coefficients(random, False)).kind == "complex"
    # a basis stored as complex numbers without imaginary parts is real
    assert _stack(random, real + 0j).basis.dtype == np.float32


@pytest.mark.parametrize("fields", [{"kind": "magnitude"}, {}])
def test_magnitudes_of_coefficients_are_refused(random, fields):
    with pytest.raises(InputError, match=r"4 coefficient images .* magnitudes, which have lost their relative signs"):
        _stack(random, _basis(random, False), np.abs(_coefficients(random)), **fields)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda basis: basis.T, r"4 × 12 \(time × components\).*transposed"),
        (lambda basis: basis[:, :3], "12 × 3 .*expected 4 columns"),
        (lambda basis: basis[:3], "no more components than its 3 time points"),
        (lambda basis: basis[:, 0], "12 of complex128.*two axes"),
        (lambda basis: basis[:, [0, 1, 2, 2]], "4 components .* not independent"),
        (lambda basis: basis * np.nan, "NaN or infinity"),
    ],
)
def test_a_basis_that_does_not_fit_gets_a_sentence(random, change, sentence):
    with pytest.raises(InputError, match=sentence):
        _stack(random, change(_basis(random)))


def test_a_basis_of_another_length_than_the_schedule(random):
    with pytest.raises(InputError, match="expected 13 rows"):
        nb.FingerprintStack(_coefficients(random), nb.Schedule(10.0, np.full(13, 10.0), 2.0), basis=_basis(random))


def test_neither_schedule_nor_basis(random):
    with pytest.raises(InputError, match="neither a schedule nor a basis"):
        nb.FingerprintStack(_coefficients(random), None)
