"""Coefficients in another order than their basis, of other signs or scales, or conjugated: a dictionary tells."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED
from napari_blochnet.estimators.brought.atom_table import AtomTable
from napari_blochnet.estimators.brought.matched_atoms import atoms_within
from napari_blochnet.fingerprints.subspaces import Subspace, is_identity
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["OtherConvention", "convention_of_signals", "other_convention", "refuse_other_convention"]

# Voxels and atoms that are looked at: those of most signal, and as many atoms as tell it from noise.
_VOXELS, _ATOMS = 32, 4000
# Residual up to which nothing is looked into; from which all orders are, too; and the share of it that another
# convention has to leave at most, in the median, leaving less in this share of the voxels.
_SUSPICIOUS, _FAR, _FAR_BETTER, _AGREED = 0.01, 0.3, 0.5, 0.9
# Components of which all orders are tried (720), and all signs (128).
_MOST_TRIED, _MOST_TURNED = 6, 8
# Products of columns that are orthonormal.
_ORTHONORMAL = 1e-3


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


@dataclass(frozen=True)
class _Other:
    """A basis that coefficients may belong to in place of the one that they are said to."""

    basis: AnyArray
    how: str
    remedy: str
    field: str = "basis"


def refuse_other_convention(table: AtomTable, coefficients: AnyArray, basis: AnyArray, name: str) -> None:
    """Raise `InputError` where coefficients fit a dictionary far better under another convention.

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
    """Return under which other convention coefficients fit far better; None: under none, or they fit as they are.

    Another order, other signs (which singular vectors do not have), coefficients that were multiplied by singular
    values, and those of the conjugated basis. Divided ones are not looked for: a basis whose lesser columns shrink
    makes of any coefficients, noise too, what the first component alone explains.
    """
    energy = np.square(np.abs(coefficients), dtype=np.float64).sum(axis=1)
    rows = coefficients[np.argsort(energy)[-_VOXELS:]].astype(np.result_type(coefficients, np.float64))
    few = replace(table, atoms=table.atoms[:: max(1, len(table) // _ATOMS)], columns=(), norms=None)
    residuals = _residuals(few, rows, [basis])[0]
    plain = float(np.median(residuals))
    if plain <= _SUSPICIOUS:
        return None
    # samples of whole signals are in the order of time
    others = [] if is_identity(basis) else list(_others(few, rows, basis, is_far=plain > _FAR))
    left = _residuals(few, rows, [each.basis for each in others]) if others else []
    if np.iscomplexobj(basis) or few.is_complex:
        others.append(_Other(basis.conj(), "as those of the conjugated basis",
                             "coefficients 'conjugated' as it is opened", "coefficients"))  # fmt: skip
        others.append(_Other(basis, "with the other sign of their phase", "the complex conjugates of these images",
                             "coefficients"))  # fmt: skip
        left += [*_residuals(few, rows, [basis.conj()]), *_residuals(few, rows.conj(), [basis])]
    if not left:
        return None
    best = int(np.argmin([np.median(each) for each in left]))
    found, chosen = float(np.median(left[best])), others[best]
    if found > _FAR_BETTER * plain or np.mean(left[best] < residuals) < _AGREED:
        return None
    return OtherConvention(plain, found, chosen.how, chosen.remedy, chosen.field)


def _others(table: AtomTable, rows: AnyArray, basis: AnyArray, *, is_far: bool) -> Iterator[_Other]:
    """Yield bases of the same space that the coefficients may belong to."""
    count = basis.shape[1]
    for order in _orders(table, rows, basis) if is_far else _swaps(count):
        named = ", ".join(map(str, order))
        yield _Other(basis[:, list(order)], "in another order", f"component_order {named} as it is opened",
                     "component_order")  # fmt: skip
    turned = min(count, _MOST_TURNED)
    for signs in itertools.islice(itertools.product((1, -1), repeat=turned - 1), 1, None):
        every = np.ones(count)
        every[1:turned] = signs
        named = ", ".join(map(str, np.flatnonzero(every < 0)))
        columns = f"component{'s' if (every < 0).sum() > 1 else ''} {named} (counted from 0)"
        yield _Other(basis * every, f"with the other sign in {columns}", f"a basis with the other sign in {columns}")
    for values in _singular_values(table, basis):
        yield _Other(basis / values, "as multiplied by singular values",
                     "a basis whose columns are divided by the dictionary's singular values")  # fmt: skip


def _swaps(count: int) -> Iterator[Sequence[int]]:
    """Yield orders in which two components are exchanged, and the order backwards."""
    for one, other in itertools.combinations(range(count), 2):
        order = list(range(count))
        order[one], order[other] = other, one
        yield order
    if count > 3:
        yield list(range(count))[::-1]


def _singular_values(table: AtomTable, basis: AnyArray) -> Iterator[FloatArray]:
    """Yield the singular values that go with an orthonormal basis: of the atoms as they are, and of unit length."""
    subspace = Subspace.of(basis)
    if np.abs(subspace.r - np.eye(subspace.rank)).max() > _ORTHONORMAL:
        return
    atoms = atoms_within(table, subspace, UNWATCHED)
    for rows in (atoms.units * atoms.norms[:, None], atoms.units):
        values = np.sqrt(np.square(np.abs(rows)).sum(axis=0))
        if values.all():
            yield values / values[0]


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


def _residuals(table: AtomTable, rows: AnyArray, bases: Sequence[AnyArray]) -> list[FloatArray]:
    """Return the share of each voxel's signal that the best atom leaves, for each basis; all span the same space."""
    space = Subspace.of(bases[0])
    units = atoms_within(table, space, UNWATCHED).units
    found = []
    for basis in bases:
        # coordinates in the one space, whatever the order of the components
        inside = rows @ (space.q.conj().T @ basis).T
        energy = np.square(np.abs(inside)).sum(axis=1)
        match = np.square(np.abs(inside @ units.conj().T)).max(axis=1)
        left = np.maximum(energy - match, 0) / np.where(energy > 0, energy, 1)
        found.append(np.sqrt(left))
    return found
