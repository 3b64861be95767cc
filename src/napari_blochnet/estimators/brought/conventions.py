"""Coefficients that lie in another order than their basis, or conjugated: told by what a dictionary leaves of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED
from napari_blochnet.estimators.brought.atom_table import AtomTable
from napari_blochnet.estimators.brought.matched_atoms import atoms_within
from napari_blochnet.fingerprints.subspaces import Subspace

__all__ = ["refuse_other_convention"]

# Voxels and atoms that are looked at: those of most signal, and as many atoms as tell it from noise.
_VOXELS, _ATOMS = 32, 4000
# Residual up to which nothing is looked into, and the share of it that another convention has to leave at most.
_SUSPICIOUS, _FAR_BETTER = 0.3, 1 / 3
# Components of which all orders are tried: 720.
_MOST_TRIED = 6


def refuse_other_convention(table: AtomTable, coefficients: AnyArray, basis: AnyArray, name: str) -> None:
    """Raise `InputError` where coefficients fit a dictionary far better in another order, or conjugated.

    Parameters
    ----------
    table : AtomTable
    coefficients : array of shape (voxel, K)
        Of some voxels; those of most signal are looked at.
    basis : array of shape (time, K)
        That they are said to belong to.
    name : str
        Of their stack, for the sentence.
    """
    energy = np.square(np.abs(coefficients), dtype=np.float64).sum(axis=1)
    rows = coefficients[np.argsort(energy)[-_VOXELS:]].astype(np.result_type(coefficients, np.float64))
    few = replace(table, atoms=table.atoms[:: max(1, len(table) // _ATOMS)], columns=(), norms=None)
    plain = _residual(few, rows, [basis])[0]
    if plain <= _SUSPICIOUS:
        return
    orders = list(_orders(few, rows, basis))
    left = _residual(few, rows, [basis[:, order] for order in orders]) if orders else []
    if np.iscomplexobj(basis) or few.is_complex:
        left += [*_residual(few, rows, [basis.conj()]), *_residual(few, rows.conj(), [basis])]
    best = int(np.argmin(left)) if left else 0
    if not left or left[best] > _FAR_BETTER * plain:
        return
    found = (
        f"{table.name} leaves {100 * plain:.0f} % of the signal of {name} unexplained, and "
        f"{100 * left[best]:.0f} % where its coefficients are taken"
    )
    if best == len(orders) + 1:
        raise InputError(f"{found} with the other sign of their phase", "the complex conjugates of these images",
                         field="coefficients")  # fmt: skip
    if best == len(orders):
        raise InputError(f"{found} as those of the conjugated basis", "coefficients 'conjugated' as it is opened",
                         field="coefficients")  # fmt: skip
    order = ", ".join(map(str, orders[best]))
    raise InputError(f"{found} in another order", f"component_order {order} as it is opened", field="component_order")


def _orders(table: AtomTable, rows: AnyArray, basis: AnyArray) -> Iterator[Sequence[int]]:
    """Yield orders of the components: all of few; of many, backwards, and by the energy that they have in the atoms."""
    count = basis.shape[1]
    if count <= _MOST_TRIED:
        yield from itertools.islice(map(list, itertools.permutations(range(count))), 1, None)
        return
    yield list(range(count))[::-1]
    subspace = Subspace.of(basis)
    atoms = np.linalg.solve(subspace.r, atoms_within(table, subspace, UNWATCHED).units.T)
    expected, there = (np.square(np.abs(each)).sum(axis=1) for each in (atoms, rows.T))
    order = np.empty(count, np.int64)
    order[np.argsort(there)] = np.argsort(expected)
    yield order.tolist()


def _residual(table: AtomTable, rows: AnyArray, bases: Sequence[AnyArray]) -> list[float]:
    """Return the median share of the signal that the best atoms leave, for each basis; all span the same space."""
    space = Subspace.of(bases[0])
    units = atoms_within(table, space, UNWATCHED).units
    found = []
    for basis in bases:
        # coordinates in the one space, whatever the order of the components
        inside = rows @ (space.q.conj().T @ basis).T
        energy = np.square(np.abs(inside)).sum(axis=1)
        match = np.square(np.abs(inside @ units.conj().T)).max(axis=1)
        left = np.maximum(energy - match, 0) / np.where(energy > 0, energy, 1)
        found.append(float(np.sqrt(np.median(left))))
    return found
