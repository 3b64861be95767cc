"""Atoms laid out for the search: unit vectors in the space in which they are compared with the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray, IntArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import Watch
from napari_blochnet.estimators.brought.atom_table import AtomTable
from napari_blochnet.estimators.matching.search import Tiles, best_match, channels
from napari_blochnet.estimators.matching.subspace import find_subspace, unit_rows
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.fingerprints.subspaces import Subspace

__all__ = ["MatchedAtoms", "atoms_of_signals", "atoms_within"]

# Share of the atoms' energy that whole signals are compressed to, as of simulated dictionaries.
_ENERGY = 1 - 1e-6
# Atoms in a part of space that is cut no further; a tile of the search holds as many.
_TILE = 128


@dataclass(eq=False)
class MatchedAtoms:
    """Atoms of unit length in some coordinates, and how data get there.

    Parameters
    ----------
    units : array of shape (atom, rank)
        Float64 or complex128.
    norms : float64 array of shape (atom,)
        Of each atom in these coordinates, at PD 1; 0 of atoms without a signal there, which are never found.
    project : callable
        Returns the coordinates, in double precision, of data (voxel, time or K).
    b1 : float64 array of shape (atom,), optional
        Of each atom, where it is a parameter.
    """

    units: AnyArray
    norms: FloatArray
    project: Callable[[AnyArray], AnyArray]
    b1: FloatArray | None = None
    _tiles: dict[float | None, tuple[Tiles, IntArray]] = field(default_factory=dict)

    def match(
        self, data: AnyArray, b1: FloatArray | None, kind: SignalKind, watch: Watch
    ) -> tuple[IntArray, AnyArray, FloatArray]:
        """Return the best atom of each voxel, its scale (PD), and ‖x − ŝ‖/‖x‖; below 0 where there is none.

        Parameters
        ----------
        data : array of shape (voxel, time) or (voxel, K)
        b1 : array of shape (voxel,), optional
            One of the dictionary's for each voxel. None: all atoms are looked at.
        kind : {"complex", "real", "magnitude"}
        watch : Watch
        """
        signals = data.astype(np.complex128 if kind == "complex" else np.float64)
        inside = self.project(signals)
        index = np.zeros(len(data), np.int64)
        for value in [None] if b1 is None else np.unique(b1):
            which = slice(None) if b1 is None else np.flatnonzero(b1 == value)
            tiles, numbers = self._laid_out(value)
            wanted = channels(inside[which], bool(np.iscomplexobj(self.units)), precise=True)
            index[which] = numbers[best_match(tiles, wanted, watch=watch)]
        atoms = self.units[index]
        scale = np.einsum("ij,ij->i", atoms.conj(), inside)
        energy, kept = _energy(signals), _energy(inside)
        distance = np.maximum(energy - kept, 0.0) + _energy(inside - scale[:, None] * atoms)
        good = (energy > 0) & ((scale > 0) if not np.iscomplexobj(scale) else np.abs(scale) > 0)
        residual = np.sqrt(distance / np.where(energy > 0, energy, 1.0))
        return index, scale / self.norms[index], np.where(good, residual, -1.0)

    def _laid_out(self, b1: float | None) -> tuple[Tiles, IntArray]:
        """Return the atoms, or those of one B1, cut into tiles, and which they are."""
        if b1 not in self._tiles:
            there = self.norms > 0
            if b1 is not None and self.b1 is not None:
                there = there & (self.b1 == b1) if there[self.b1 == b1].any() else there
            units = self.units[there]
            real = np.concatenate([units.real, units.imag], axis=1) if np.iscomplexobj(units) else units
            order = _neighbours(real)
            self._tiles[b1] = Tiles.cut(real[order], precise=True), np.flatnonzero(there)[order]
        return self._tiles[b1]


def atoms_of_signals(table: AtomTable, kind: SignalKind, watch: Watch) -> MatchedAtoms:
    """Return atoms as signals are compared with them: in their own basis, or in one of nearly all their energy."""
    if table.is_compressed and kind != "magnitude":
        assert table.basis is not None
        own = Subspace.of(table.basis)
        return _made(table, lambda atoms: atoms @ own.r.T, own.rank, own.project, watch)

    def signals(atoms: AnyArray) -> AnyArray:
        whole = atoms @ table.basis.T if table.is_compressed and table.basis is not None else atoms
        return np.abs(whole) if kind == "magnitude" else whole

    found = find_subspace((unit_rows(signals(atoms))[0] for _, atoms in table.blocks()), _ENERGY)
    return _made(table, lambda atoms: found.project(signals(atoms)), found.rank, found.project, watch)


def atoms_within(table: AtomTable, subspace: Subspace, watch: Watch) -> MatchedAtoms:
    """Return atoms as coordinates in a subspace are compared with them: what lies in it of each."""
    if table.is_compressed:
        assert table.basis is not None
        across = subspace.project(np.asarray(table.basis).T)
        return _made(table, lambda atoms: atoms @ across, subspace.rank, lambda data: data, watch)
    return _made(table, subspace.project, subspace.rank, lambda data: data, watch)


def _made(
    table: AtomTable,
    coordinates: Callable[[AnyArray], AnyArray],
    rank: int,
    project: Callable[[AnyArray], AnyArray],
    watch: Watch,
) -> MatchedAtoms:
    units: AnyArray | None = None
    norms, norms_of_rows = np.zeros(len(table)), np.zeros(len(table))
    for part, atoms in table.blocks():
        watch.check("laying out atoms")
        watch.report(part.start, len(table), "laying out the dictionary's atoms")
        unit, norms[part] = unit_rows(coordinates(atoms))
        norms_of_rows[part] = np.linalg.norm(atoms, axis=1)
        if units is None:
            _refuse_beyond_memory(table, rank * unit.itemsize)
            units = np.empty((len(table), rank), unit.dtype)
        units[part] = unit
    assert units is not None
    if not norms.any():
        raise InputError(f"No atom of {table.name} has a signal in the stack's basis; expected the basis that the "
                         "dictionary came with.", field="basis")  # fmt: skip
    b1 = table.column("b1")
    own = table.pd_norms / np.where(norms_of_rows > 0, norms_of_rows, 1.0)
    return MatchedAtoms(units, norms * own, project, None if b1 is None else b1.values)


def _refuse_beyond_memory(table: AtomTable, size: int) -> None:
    """Refuse atoms that this machine cannot hold laid out, before that is set aside: as numbers, apart, in tiles."""
    import psutil

    wanted, free = 3 * size * len(table), int(psutil.virtual_memory().available)
    if wanted > free:
        raise InputError(
            f"The {len(table):,} atoms of {table.name} take {wanted / 2**30:.3g} GiB laid out for the search, and "
            f"{free / 2**30:.3g} GiB of memory are free",
            "fewer atoms, or coefficients of a basis",
            field="dictionary",
        )


def _neighbours(points: FloatArray) -> IntArray:
    """Return an order in which points of one tile lie together: halves along the axis in which they differ most."""
    parts, done = [np.arange(len(points))], []
    while parts:
        part = parts.pop()
        if len(part) <= _TILE:
            done.append(part)
            continue
        here = points[part]
        axis = int(np.argmax(here.max(axis=0) - here.min(axis=0)))
        # a whole number of tiles on the left
        middle = -(-len(part) // (2 * _TILE)) * _TILE
        order = np.argpartition(here[:, axis], middle - 1)
        parts += [part[order[middle:]], part[order[:middle]]]
    return np.concatenate(done)


def _energy(signals: AnyArray) -> FloatArray:
    energy: FloatArray = np.einsum("ij,ij->i", signals, signals.conj()).real
    return energy
