"""A dictionary: the fingerprints of a grid of tissues under one schedule, compressed as they are simulated."""

from __future__ import annotations

import functools
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray, IntArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.estimators.matching.grid import TissueGrid
from napari_blochnet.estimators.matching.search import Tiles
from napari_blochnet.estimators.matching.subspace import Subspace, find_subspace, unit_rows
from napari_blochnet.estimators.projected import simulator
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.fingerprints.subspaces import Subspace as GivenSubspace
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["AtomForm", "Dictionary", "atom_form", "build_dictionary", "dictionary_near", "of_form",
           "schedule_subspace"]  # fmt: skip

#: What is kept of the decoder's signal: all of it, its real part, or its magnitude.
AtomForm = Literal["signal", "real part", "magnitude"]

# Atoms simulated at a time: 16 MB at 1000 TRs, and enough voxels for all of the decoder's threads.
_BLOCK = 4096
# The subspace is found from a thinned grid of about this many atoms: signals vary smoothly over the grid, and what
# the subspace loses is then measured on every atom.
_TRAINING = 6000
# Dictionaries kept in memory, the latest used last; 10 to 40 MB each by default.
_KEPT = 6
# Coarse ones under other transmit fields, below 1 MB each: a field of ±30 % takes six of a schedule.
_KEPT_NEAR = 24


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Compressed, normalised atoms with the tissues they belong to.

    Parameters
    ----------
    grid : TissueGrid
    t1_index, t2_index : int array of shape (atom,)
        Where each atom lies on the grid.
    norms : float64 array of shape (atom,)
        L2 norm of each atom at PD 1, inside the subspace.
    subspace : Subspace
    tiles : Tiles
        The atoms' coefficients in the subspace, unit norm; complex ones as (real, imaginary).
    lost : float
        Largest share of its energy that any atom has outside the subspace.
    """

    grid: TissueGrid
    t1_index: IntArray
    t2_index: IntArray
    norms: FloatArray
    subspace: Subspace
    tiles: Tiles
    lost: float

    @property
    def t1(self) -> FloatArray:
        """T1 of each atom, ms."""
        return self.grid.t1_values[self.t1_index]

    @property
    def t2(self) -> FloatArray:
        """T2 of each atom, ms."""
        return self.grid.t2_values[self.t2_index]

    @functools.cached_property
    def places(self) -> IntArray:
        """Which atom lies at each (T1, T2) of the grid, int32 of shape (T1 value, T2 value); -1: none."""
        table = np.full((len(self.grid.t1_values), len(self.grid.t2_values)), -1, np.int32)
        table[self.t1_index, self.t2_index] = np.arange(len(self))
        return table

    @property
    def is_complex(self) -> bool:
        """Whether the atoms are complex (RF spoiling)."""
        return bool(np.iscomplexobj(self.subspace.basis))

    def coefficients(self, index: IntArray) -> AnyArray:
        """Return the coefficients of some atoms, shape (len(index), rank); their norm is 1."""
        rank = self.subspace.rank
        if not self.is_complex:
            return self.tiles.rows(index, rank)
        both = self.tiles.rows(index, 2 * rank)
        return both[:, :rank] + 1j * both[:, rank:]

    def __len__(self) -> int:
        return len(self.norms)

    def describe(self) -> str:
        """Return one line for people: grid, rank, what the compression loses."""
        loss = f"at most {self.lost:.0e} of an atom's energy left out"
        return f"{self.grid.describe()}; rank {self.subspace.rank}, {loss}"


def atom_form(schedule: Schedule, kind: SignalKind) -> AtomForm:
    """Return what to keep of the decoder's signal for data of a kind under a schedule."""
    if kind == "magnitude":
        return "magnitude"
    return "real part" if kind == "real" and not schedule.is_real else "signal"


def of_form(signal: AnyArray, form: AtomForm) -> AnyArray:
    """Return what data of a form keep of the decoder's signal."""
    if form == "magnitude":
        return np.abs(signal)
    return np.ascontiguousarray(signal.real) if form == "real part" else signal


_cache: OrderedDict[Any, Dictionary] = OrderedDict()
_near: OrderedDict[Any, Dictionary] = OrderedDict()
_cache_lock = threading.Lock()


def build_dictionary(
    schedule: Schedule,
    grid: TissueGrid,
    form: AtomForm,
    *,
    energy: float,
    rank: int | None = None,
    tolerance: float = 1e-4,
    within: GivenSubspace | None = None,
    watch: Watch = UNWATCHED,
) -> Dictionary:
    """Simulate and compress a dictionary; the last few of a process are kept and returned at once.

    The raw atoms exist for one block at a time (4096 atoms), whatever the size of the grid.

    Parameters
    ----------
    schedule : Schedule
    grid : TissueGrid
    form : {"signal", "real part", "magnitude"}
        What to keep of the decoder's signal.
    energy : float
        Share of the normalised atoms' energy the subspace retains.
    rank : int, optional
        Number of singular vectors, whatever they retain.
    tolerance : float
        Of the decoder: largest NRMSE of an atom by leaving out EPG states.
    within : Subspace, optional
        Whose coordinates take the place of samples.
    watch : Watch
        Told, and looked at, once per block.

    Returns
    -------
    Dictionary
    """
    key = (schedule.digest, grid, form, energy, rank, tolerance, within and within.digest)

    def make() -> Dictionary:
        atoms = _Atoms(schedule, grid, form, tolerance, within=within, watch=watch)
        return atoms.compressed(atoms.subspace(energy, rank))

    return _kept(_cache, key, _KEPT, make)


def schedule_subspace(
    schedule: Schedule, grid: TissueGrid, form: AtomForm, rank: int, *, watch: Watch = UNWATCHED
) -> Subspace:
    """Return the subspace of some rank that a dictionary's atoms, of unit norm, lie in; see `build_dictionary`."""
    return _Atoms(schedule, grid, form, 1e-4, watch=watch).subspace(1 - 1e-9, rank)


def dictionary_near(
    schedule: Schedule,
    grid: TissueGrid,
    form: AtomForm,
    subspace: Subspace,
    b1: float,
    *,
    tolerance: float = 1e-4,
    within: GivenSubspace | None = None,
    watch: Watch = UNWATCHED,
) -> Dictionary:
    """Simulate a dictionary under one transmit field, in a subspace that is there already; kept as others are.

    Parameters
    ----------
    schedule, grid, form, tolerance, within, watch
        As in `build_dictionary`.
    subspace : Subspace
        Of the same schedule and form under the nominal field: B1 moves fingerprints much as T2 does.
    b1 : float
        Relative to nominal.
    """
    key = (schedule.digest, grid, form, subspace.rank, subspace.energy, tolerance, b1, within and within.digest)

    def make() -> Dictionary:
        return _Atoms(schedule, grid, form, tolerance, b1, within=within, watch=watch).compressed(subspace)

    return _kept(_near, key, _KEPT_NEAR, make)


def _kept(cache: OrderedDict[Any, Dictionary], key: Any, most: int, make: Callable[[], Dictionary]) -> Dictionary:
    """Return what is kept under a key, or make it and keep it, with the last few."""
    with _cache_lock:
        if key in cache:
            cache.move_to_end(key)
            return cache[key]
    made = make()
    with _cache_lock:
        cache[key] = made
        while len(cache) > most:
            cache.popitem(last=False)
    return made


class _Atoms:
    """The atoms of a grid under a schedule, simulated block by block."""

    def __init__(
        self,
        schedule: Schedule,
        grid: TissueGrid,
        form: AtomForm,
        tolerance: float,
        b1: float | None = None,
        *,
        within: GivenSubspace | None = None,
        watch: Watch,
    ) -> None:
        self.grid, self._form, self._b1, self._watch = grid, form, b1, watch
        self._simulator = simulator(schedule, tolerance, within)
        self.t1_index, self.t2_index = grid.atoms()
        self._t1, self._t2 = grid.t1_values[self.t1_index], grid.t2_values[self.t2_index]
        # a block of similar T2 needs a similar number of EPG states
        self.by_t2 = np.argsort(self._t2, kind="stable")
        self._done, self.total = 0, len(self._t1)

    def simulated(self, atoms: IntArray) -> Iterator[tuple[IntArray, AnyArray]]:
        for start in range(0, len(atoms), _BLOCK):
            self._watch.check("making the dictionary")
            self._watch.report(self._done, self.total, "simulating the dictionary")
            where = atoms[start : start + _BLOCK]
            field = None if self._b1 is None else np.full(len(where), self._b1)
            signal = self._simulator.signal(self._t1[where], self._t2[where], field, cancelled=self._watch.cancelled)
            self._done += len(where)
            yield where, of_form(signal, self._form)
        self._watch.report(self._done, self.total, "simulating the dictionary")

    def subspace(self, energy: float, rank: int | None) -> Subspace:
        """Return the subspace of the atoms, found from some of them."""
        training = _thinned(self.grid, self.t1_index, self.t2_index)
        chosen = self.by_t2[training[self.by_t2]]
        self.total += len(chosen)

        def units() -> Iterator[AnyArray]:
            for _, rows in self.simulated(chosen):
                unit, norms = unit_rows(rows.astype(np.complex128 if np.iscomplexobj(rows) else np.float64))
                if (norms > 0).any():
                    yield unit[norms > 0]

        return find_subspace(units(), energy, rank)

    def compressed(self, subspace: Subspace) -> Dictionary:
        """Return the dictionary of all atoms."""
        number = np.complex64 if np.iscomplexobj(subspace.basis) else np.float32
        coefficients = np.zeros((len(self._t1), subspace.rank), number)
        norms = np.zeros(len(self._t1))
        lost = 0.0
        for where, atoms in self.simulated(self.by_t2):
            projected = subspace.project(atoms)
            coefficients[where], norms[where] = unit_rows(projected)
            whole = np.einsum("ij,ij->i", atoms, atoms.conj(), dtype=projected.dtype).real
            inside = norms[where] ** 2
            lost = max(lost, float(np.max(1.0 - inside[whole > 0] / whole[whole > 0], initial=0.0)))
        # tissues without a signal under this schedule cannot be told from noise: they are no atoms
        seen = norms > 0
        coefficients = coefficients[seen]
        parts = [coefficients.real, coefficients.imag] if np.iscomplexobj(coefficients) else [coefficients]
        tiles = Tiles.cut(np.concatenate(parts, axis=1))
        return Dictionary(self.grid, self.t1_index[seen], self.t2_index[seen], norms[seen], subspace, tiles, lost)


def _thinned(grid: TissueGrid, t1_index: IntArray, t2_index: IntArray) -> AnyArray:
    stride = max(1, math.ceil(math.sqrt(len(t1_index) / _TRAINING)))
    last = len(grid.t1_values) - 1, len(grid.t2_values) - 1
    rows = (t1_index % stride == 0) | (t1_index == last[0])
    columns = (t2_index % stride == 0) | (t2_index == last[1])
    chosen: AnyArray = rows & columns
    return chosen


def check_energy(energy: float, rank: int | None) -> None:
    """Raise `InputError` unless ``energy`` lies between 0 and 1 and ``rank``, where given, is at least 1."""
    if not 0 < energy < 1:
        raise InputError(f"energy is {energy!r}; expected a share above 0 and below 1.", field="energy")
    if rank is not None and (rank != int(rank) or rank < 1):
        raise InputError(f"rank is {rank!r}; expected a whole number of at least 1, or none.", field="rank")
