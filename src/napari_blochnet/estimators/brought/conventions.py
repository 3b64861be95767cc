"""Coefficients that lie in another order than their basis, or conjugated: told by what a dictionary leaves of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED
from napari_blochnet.estimators.brought.atom_table import AtomTable
from napari_blochnet.estimators.brought.matched_atoms import atoms_within
from napari_blochnet.fingerprints.subspaces import Subspace, is_identity
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["OtherConvention", "convention_of_signals", "other_convention", "refuse_other_convention"]

# Voxels and atoms that are looked at: those of most signal, and as many atoms as tell it from noise.
_VOXELS, _ATOMS = 32, 4000
# Residual up to which nothing is looked into, and the share of it that another convention has to leave at most.
_SUSPICIOUS, _FAR_BETTER = 0.3, 1 / 3
# Components of which all orders are tried: 720.
_MOST_TRIED = 6


@dataclass(frozen=True)
class OtherConvention:
    """A convention under which coefficients fit far better than as they are taken.

    Parameters
    ----------
    plain, left : float
        Share of the signal that stays unexplained: as they are taken, and under the other convention.
    how : str
        Which it is.
    remedy, field : str
        What to open the stack with, and the setting that says so.
    """

    plain: float
    left: float
    how: str
    remedy: str
    field: str


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
    found = other_convention(table, coefficients, basis)
    if found is not None:
        raise InputError(
            f"{table.name} leaves {100 * found.plain:.0f} % of the signal of {name} unexplained, and "
            f"{100 * found.left:.0f} % where its coefficients are taken {found.how}",
            found.remedy,
            field=found.field,
        )


def convention_of_signals(schedule: Schedule, coefficients: AnyArray, basis: AnyArray) -> OtherConvention | None:
    """Return under which other convention coefficients fit the signals of a schedule far better; None: under none."""
    from napari_blochnet.physics.decoder import EPGDecoder

    t1, t2 = (axis.ravel() for axis in np.meshgrid(np.geomspace(50, 5000, 36), np.geomspace(5, 2000, 44)))
    t1, t2 = t1[t2 <= t1], t2[t2 <= t1]
    atoms = EPGDecoder(schedule, tolerance=1e-3).signal(t1, t2)
    return other_convention(AtomTable(atoms, ()), coefficients, basis)


def other_convention(table: AtomTable, coefficients: AnyArray, basis: AnyArray) -> OtherConvention | None:
    """Return under which other convention coefficients fit far better; None: under none, or they fit as they are."""
    energy = np.square(np.abs(coefficients), dtype=np.float64).sum(axis=1)
    rows = coefficients[np.argsort(energy)[-_VOXELS:]].astype(np.result_type(coefficients, np.float64))
    few = replace(table, atoms=table.atoms[:: max(1, len(table) // _ATOMS)], columns=(), norms=None)
    plain = _residual(few, rows, [basis])[0]
    if plain <= _SUSPICIOUS:
        return None
    # samples of whole signals are in the order of time
    orders = [] if is_identity(basis) else list(_orders(few, rows, basis))
    left = _residual(few, rows, [basis[:, order] for order in orders]) if orders else []
    if np.iscomplexobj(basis) or few.is_complex:
        left += [*_residual(few, rows, [basis.conj()]), *_residual(few, rows.conj(), [basis])]
    best = int(np.argmin(left)) if left else 0
    if not left or left[best] > _FAR_BETTER * plain:
        return None
    if best == len(orders) + 1:
        how = "with the other sign of their phase", "the complex conjugates of these images", "coefficients"
    elif best == len(orders):
        how = "as those of the conjugated basis", "coefficients 'conjugated' as it is opened", "coefficients"
    else:
        order = ", ".join(map(str, orders[best]))
        how = "in another order", f"component_order {order} as it is opened", "component_order"
    return OtherConvention(plain, left[best], *how)


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
