"""The few time courses that a dictionary is made of: its singular vectors, found without holding its atoms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.one_thread_blas import one_thread_blas
from napari_blochnet.estimators.threads import in_parts

__all__ = ["Subspace", "find_subspace", "unit_rows"]

# Signals that are projected, and time points that are multiplied with all, by a thread at a time.
_ROWS, _COLUMNS = 512, 128


@dataclass(frozen=True, eq=False)
class Subspace:
    """An orthonormal basis of time courses.

    Parameters
    ----------
    basis : array of shape (time, rank)
        Orthonormal columns, float64 or complex128, by falling singular value.
    energy : float
        Share of the normalised atoms' energy that the basis retains, in the mean over the atoms it was made from.
    """

    basis: AnyArray
    energy: float

    @property
    def rank(self) -> int:
        """Number of time courses."""
        return int(self.basis.shape[1])

    def project(self, signals: AnyArray) -> AnyArray:
        """Return the coefficients, shape (signal, rank), of signals of shape (signal, time).

        In double precision: what remains outside the subspace is found as a difference of two energies, and that
        difference is a millionth of either in noise-free data.
        """
        parts_apart = np.iscomplexobj(signals) and not np.iscomplexobj(self.basis)
        kind = np.result_type(self.basis.dtype, np.complex128) if parts_apart else self.basis.dtype
        coefficients: AnyArray = np.empty((len(signals), self.rank), kind)
        basis = self.basis.conj()

        def project(rows: slice) -> None:
            if parts_apart:
                coefficients.real[rows] = signals.real[rows].astype(np.float64) @ basis
                coefficients.imag[rows] = signals.imag[rows].astype(np.float64) @ basis
            else:
                coefficients[rows] = signals[rows].astype(basis.dtype, copy=False) @ basis

        in_parts(project, len(signals), _ROWS)
        return coefficients


def find_subspace(blocks: Iterable[AnyArray], energy: float, rank: int | None = None) -> Subspace:
    """Return the smallest basis that retains a share of the energy of normalised atoms (truncated SVD).

    The singular vectors are the eigenvectors of the atoms' time × time Gram matrix, summed block by block, so that
    the memory needed is that of one block and two such matrices. In double precision shares of lost energy down to
    1e-12 are resolved.

    Parameters
    ----------
    blocks : iterable of arrays of shape (atom, time)
        Atoms, L2-normalised.
    energy : float
        Share to retain, above 0 and below 1.
    rank : int, optional
        Number of vectors, whatever they retain.

    Returns
    -------
    Subspace

    References
    ----------
    McGivney et al., SVD compression for magnetic resonance fingerprinting in the time domain. IEEE Trans Med Imaging
    33:2311 (2014).
    """
    gram: AnyArray | None = None
    for block in blocks:
        precise = block.astype(np.complex128 if np.iscomplexobj(block) else np.float64, copy=False)
        gram = np.zeros((precise.shape[1],) * 2, precise.dtype) if gram is None else gram
        _add_products(gram, precise)
    if gram is None:
        raise InputError(
            "The dictionary has no atom with a signal; expected a schedule with flip angles above 0.", field="schedule"
        )
    total = float(np.trace(gram).real)
    # scipy's holds the interpreter for its 0.2 s, and a window with it
    with one_thread_blas:
        values, vectors = np.linalg.eigh(gram)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    lost = np.maximum(total - np.cumsum(values), 0.0) / total
    if rank is None:
        enough = np.flatnonzero(lost <= 1.0 - energy)
        rank = int(enough[0]) + 1 if enough.size else len(values)
    rank = min(rank, len(values))
    return Subspace(np.ascontiguousarray(vectors[:, :rank]), float(1.0 - lost[rank - 1]))


def _add_products(gram: AnyArray, rows: AnyArray) -> None:
    """Add the products of all columns of some rows with each other."""
    conjugate = rows.conj()

    def add(columns: slice) -> None:
        gram[:, columns] += rows.T @ conjugate[:, columns]

    in_parts(add, rows.shape[1], _COLUMNS)


def unit_rows(rows: AnyArray) -> tuple[AnyArray, FloatArray]:
    """Return rows divided by their L2 norm, and the norms; a row of zeros stays as it is."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows.conj()).real)
    scale = np.where(norms > 0, norms, 1.0)
    return rows / scale[:, None].astype(norms.dtype), norms
