"""Anchor tissues: the coordinates in which one network can read fingerprints of any schedule.

The correlation of a fingerprint with simulated tissues, as a function of their T1 and T2, is a smooth hill whose top is
the least-squares answer with the proton density free. Schedule, length, kind of signal and noise shape the hill; its
top can be found from a few heights around it without knowing any of them. Anchors lie on one lattice of log T1 and
log T2, so that every neighbourhood looks alike: a square *patch* of lattice points around one of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numba
import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray, IntArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.estimators.matching.search import Tiles, best_match, channels
from napari_blochnet.estimators.matching.subspace import Subspace, find_subspace, unit_rows

__all__ = ["REACH", "STEP", "WIDE_STEP", "Anchors", "Lattice", "lagrange", "lattice", "patch_size"]

#: Ratio of neighbouring T1, and of neighbouring T2; that of anchors which only lead to a start.
STEP, WIDE_STEP = 1.1, 1.1**2
#: Lattice points of a patch on either side of its centre.
REACH = 3
# Range in which a fingerprint's best anchor is looked for, ms. Patches reach beyond it on all sides.
_T1 = (5.0, 9000.0)
_T2 = (1.0, 4500.0)
# Atoms side by side in the search, see `TissueGrid.atoms`.
_TILE_EDGE = 12
# A climb goes up to REACH steps a move; this ends it on ridges that are level.
_MOVES = 20


def patch_size() -> int:
    """Return the number of lattice points in a patch."""
    return (2 * REACH + 1) ** 2


@dataclass(frozen=True, eq=False)
class Lattice:
    """The anchors' places, the same for all schedules: T1 = step^i, T2 = step^j ms with whole i and j.

    Parameters
    ----------
    step : float
        Ratio of neighbouring T1, and of neighbouring T2.
    i, j : int array of shape (anchor,)
        Exponents of T1 and T2.
    candidates : int array of shape (candidate,)
        Anchors that a search may answer with: T2 ≤ T1, inside the range. The others complete their patches.
    neighbours : int array of shape (candidate, patch)
        The anchors of each candidate's patch, T1 varying slowest.
    candidate_of : int array of shape (anchor,)
        Which candidate an anchor is, or −1.
    table : int array of shape (i, j)
        The anchor at (i − i_min, j − j_min), or −1.
    place : int array of shape (i, j)
        The candidate at (i − i_min, j − j_min), or −1.
    """

    step: float
    i: IntArray
    j: IntArray
    candidates: IntArray
    neighbours: IntArray
    candidate_of: IntArray
    table: IntArray
    place: IntArray

    @property
    def t1(self) -> FloatArray:
        """T1 of each anchor, ms."""
        return self.step ** self.i.astype(np.float64)

    @property
    def t2(self) -> FloatArray:
        """T2 of each anchor, ms."""
        return self.step ** self.j.astype(np.float64)

    def at(self, i: IntArray, j: IntArray) -> IntArray:
        """Return the anchors at exponents (i, j), −1 where there is none."""
        i, j = i - self.i.min(), j - self.j.min()
        there = (i >= 0) & (i < self.table.shape[0]) & (j >= 0) & (j < self.table.shape[1])
        found: IntArray = np.where(there, self.table[np.where(there, i, 0), np.where(there, j, 0)], -1)
        return found

    def nearest(self, log_t1: FloatArray, log_t2: FloatArray) -> IntArray:
        """Return the candidate nearest to each (log T1, log T2), in units of the lattice step."""
        i_min, j_min = int(self.i.min()), int(self.j.min())
        first, last = self.i[self.candidates].min(), self.i[self.candidates].max()
        low, high = self.j[self.candidates].min(), self.j[self.candidates].max()
        i = np.clip(np.rint(log_t1), first, last).astype(np.int64)
        j = np.clip(np.rint(log_t2), low, high).astype(np.int64)
        # where T2 came out above T1, the foot of the perpendicular on the diagonal
        over = np.maximum(j - i, 0)
        i = np.clip(i + (over + 1) // 2, first, last)
        j = np.minimum(j, i)
        found: IntArray = self.place[i - i_min, j - j_min]
        return found


@cache
def lattice(step: float = STEP) -> Lattice:
    """Return the lattice of a step; it is made once."""
    log_step = math.log(step)
    t1 = range(math.floor(math.log(_T1[0]) / log_step), math.ceil(math.log(_T1[1]) / log_step) + 1)
    t2 = range(math.floor(math.log(_T2[0]) / log_step), math.ceil(math.log(_T2[1]) / log_step) + 1)
    inner = {(i, j) for i in t1 for j in t2 if j <= i}
    offsets = [(di, dj) for di in range(-REACH, REACH + 1) for dj in range(-REACH, REACH + 1)]
    every = sorted({(i + di, j + dj) for i, j in inner for di, dj in offsets})
    number = {point: n for n, point in enumerate(every)}
    # candidates that lie near each other are stored side by side: the search rules out whole stretches
    ordered = sorted(inner, key=lambda point: (point[0] // _TILE_EDGE, point[1] // _TILE_EDGE, point))
    i, j = np.array(every, dtype=np.int64).T
    place = np.full((np.ptp(i) + 1, np.ptp(j) + 1), -1, np.int64)
    table = np.full_like(place, -1)
    for n, (a, b) in enumerate(every):
        table[a - i.min(), b - j.min()] = n
    for n, (a, b) in enumerate(ordered):
        place[a - i.min(), b - j.min()] = n
    candidates = np.array([number[point] for point in ordered], dtype=np.int64)
    candidate_of = np.full(len(every), -1, np.int64)
    candidate_of[candidates] = np.arange(len(candidates))
    return Lattice(
        step,
        i,
        j,
        candidates,
        np.array([[number[a + di, b + dj] for di, dj in offsets] for a, b in ordered], dtype=np.int64),
        candidate_of,
        table,
        place,
    )


@dataclass(frozen=True, eq=False)
class Anchors:
    """The anchors' fingerprints under one schedule, compressed.

    Parameters
    ----------
    lattice : Lattice
    subspace : Subspace
    atoms : array of shape (anchor, rank)
        Coefficients in the subspace, unit norm; double precision, since what tells short T2 apart is a millionth of
        the energy.
    tiles : Tiles
        The candidates among them, laid out for the search.
    """

    lattice: Lattice
    subspace: Subspace
    atoms: AnyArray
    tiles: Tiles

    @classmethod
    def simulate(
        cls,
        signals: Callable[[FloatArray, FloatArray], AnyArray],
        step: float = STEP,
        *,
        energy: float = 1 - 1e-9,
        block: int = 1024,
    ) -> Anchors:
        """Simulate and compress the anchors.

        Parameters
        ----------
        signals : callable
            From T1 and T2, ms, to fingerprints (voxel, time), of the form that data will have.
        step : float
            Of the lattice.
        energy : float
            Share of the anchors' energy that the subspace retains.
        block : int
            Anchors simulated at a time.
        """
        points = lattice(step)
        t1, t2 = points.t1, points.t2
        by_t2 = np.argsort(t2, kind="stable")
        parts = [by_t2[start : start + block] for start in range(0, len(by_t2), block)]
        simulated = [signals(t1[part], t2[part]) for part in parts]

        def units() -> Iterator[AnyArray]:
            for part in simulated:
                unit, norms = unit_rows(part.astype(np.complex128 if np.iscomplexobj(part) else np.float64))
                if (norms > 0).any():
                    yield unit[norms > 0]

        subspace = find_subspace(units(), energy)
        coefficients = np.empty((len(t1), subspace.rank), subspace.basis.dtype)
        for where, part in zip(parts, simulated, strict=True):
            coefficients[where] = subspace.project(part)
        return cls.compressed(points, subspace, coefficients)

    def under(self, signals: Callable[[FloatArray, FloatArray], AnyArray], *, block: int = 1024) -> Anchors:
        """Return the same anchors with other signals, those of another transmit field, in the same subspace."""
        t1, t2 = self.lattice.t1, self.lattice.t2
        by_t2 = np.argsort(t2, kind="stable")
        coefficients = np.empty_like(self.atoms)
        for start in range(0, len(by_t2), block):
            part = by_t2[start : start + block]
            coefficients[part] = self.subspace.project(signals(t1[part], t2[part]))
        return self.compressed(self.lattice, self.subspace, coefficients)

    @classmethod
    def compressed(cls, points: Lattice, subspace: Subspace, coefficients: AnyArray) -> Anchors:
        """Make anchors from their coefficients in a subspace, shape (anchor, rank)."""
        unit, norms = unit_rows(coefficients)
        if not (norms[points.candidates] > 0).any():
            raise InputError(
                "No tissue has a signal under this schedule; expected flip angles above 0.", field="schedule"
            )
        chosen = unit[points.candidates]
        parts = [chosen.real, chosen.imag] if np.iscomplexobj(chosen) else [chosen]
        return cls(points, subspace, np.ascontiguousarray(unit), Tiles.cut(np.concatenate(parts, axis=1)))

    @property
    def is_complex(self) -> bool:
        """Whether the anchors are complex (RF spoiling)."""
        return bool(np.iscomplexobj(self.atoms))

    def search(self, coefficients: AnyArray) -> IntArray:
        """Return the candidate that correlates best with each fingerprint, given by its coefficients."""
        index = best_match(self.tiles, channels(coefficients, self.is_complex))
        return np.minimum(index, len(self.lattice.candidates) - 1)

    def settle(self, coefficients: AnyArray, centre: IntArray, short: float) -> tuple[IntArray, FloatArray]:
        """Move patches to the tops of their hills; return centres and heights.

        Two things can leave the best anchor far from the top. The search works in single precision, in which the hill
        of a tissue of very short T2 is level. And there T1 weighs so much more than T2 that the best of the anchors
        is the one whose T1 happens to be nearest. So where T2 is below ``short`` (ms) the hill's ridge is followed:
        its height between the anchors along T1, for each T2.

        Parameters
        ----------
        coefficients : array of shape (voxel, rank)
        centre : int array of shape (voxel,)
            As found by `search`.
        short : float
            ms.
        """
        centre, heights = self._climb(coefficients, centre)
        doubtful = np.flatnonzero(self.lattice.t2[self.lattice.candidates[centre]] < short)
        if doubtful.size:
            centre[doubtful] = self._along_ridge(coefficients[doubtful], centre[doubtful], short)
            heights[doubtful] = self.heights(coefficients[doubtful], centre[doubtful])
        return centre, heights

    def _along_ridge(self, coefficients: AnyArray, centre: IntArray, short: float) -> IntArray:
        points = self.lattice
        i = points.i[points.candidates[centre]]
        rows = np.arange(points.j[points.candidates].min(), math.ceil(math.log(short) / math.log(points.step)) + REACH)
        columns, which = np.unique(i, return_inverse=True)
        around = columns[:, None, None] + np.arange(-2, 3)
        around, across = np.broadcast_arrays(around, rows[:, None])
        table = points.at(around, across).reshape(len(columns), -1)
        heights = self._explained(coefficients, table, which.reshape(-1)).reshape(len(centre), len(rows), 5)
        between = heights @ lagrange(np.arange(-2.0, 3.0), np.linspace(-1.0, 1.0, 65)).T
        complete = table.reshape(len(columns), len(rows), 5).min(axis=2)[which.reshape(-1)] >= 0
        ridge = np.where(complete & (rows <= i[:, None]), between.max(axis=2), -np.inf)
        row = rows[ridge.argmax(axis=1)]
        found = points.place[i - points.i.min(), row - points.j.min()]
        return np.where(np.isfinite(ridge.max(axis=1)) & (found >= 0), found, centre)

    def _climb(self, coefficients: AnyArray, centre: IntArray) -> tuple[IntArray, FloatArray]:
        """Move from patch to patch until the centre is the highest candidate."""
        centre = centre.copy()
        heights = self.heights(coefficients, centre)
        moving = np.arange(len(centre))
        for _ in range(_MOVES):
            to = self._highest(heights[moving], centre[moving])
            moved = to != centre[moving]
            moving = moving[moved]
            if not moving.size:
                break
            found = self.heights(coefficients[moving], to[moved])
            middle = patch_size() // 2
            higher = found[:, middle] > heights[moving, middle]
            moving = moving[higher]
            centre[moving], heights[moving] = to[moved][higher], found[higher]
        return centre, heights

    def _highest(self, heights: FloatArray, centre: IntArray) -> IntArray:
        """Return the highest candidate of each patch."""
        candidates = self.lattice.candidate_of[self.lattice.neighbours[centre]]
        chosen = np.where(candidates >= 0, heights, -np.inf).argmax(axis=1)
        found: IntArray = np.take_along_axis(candidates, chosen[:, None], axis=1)[:, 0]
        return found

    def heights(self, coefficients: AnyArray, centre: IntArray) -> FloatArray:
        """Return the share of each fingerprint's energy that the anchors of a patch explain.

        Parameters
        ----------
        coefficients : array of shape (voxel, rank)
            Of the fingerprints.
        centre : int array of shape (voxel,)
            Candidate at the centre of the patch.

        Returns
        -------
        float64 array of shape (voxel, patch)
            |⟨a, x⟩|²/‖x‖² inside the subspace for each anchor a; with the sign of ⟨a, x⟩ where both are real.
        """
        return self._explained(coefficients, self.lattice.neighbours, centre)

    def _explained(self, coefficients: AnyArray, neighbours: IntArray, centre: IntArray) -> FloatArray:
        """Return the heights at ``neighbours[centre]``; 0 where those are −1."""
        heights = np.empty((len(coefficients), neighbours.shape[1]))
        if self.is_complex:
            atoms = self.atoms.view(np.float64)
            signals = np.ascontiguousarray(coefficients, dtype=np.complex128).view(np.float64)
            _complex_heights(atoms, signals, neighbours, centre, heights)
        elif np.iscomplexobj(coefficients):
            _heights(self.atoms, np.ascontiguousarray(coefficients.real), neighbours, centre, heights)
            other = np.empty_like(heights)
            _heights(self.atoms, np.ascontiguousarray(coefficients.imag), neighbours, centre, other)
            heights = heights**2 + other**2
        else:
            _heights(self.atoms, np.ascontiguousarray(coefficients), neighbours, centre, heights)
            heights *= np.abs(heights)
        energy = np.einsum("ij,ij->i", coefficients, coefficients.conj()).real
        return heights / np.where(energy > 0, energy, 1.0)[:, None]


def lagrange(nodes: FloatArray, at: FloatArray) -> FloatArray:
    """Return the weights (point, node) of values at the nodes in the polynomial through them, at some points."""
    weights = np.ones((len(at), len(nodes)))
    for k in range(len(nodes)):
        for other in range(len(nodes)):
            if other != k:
                weights[:, k] *= (at - nodes[other]) / (nodes[k] - nodes[other])
    return weights


@numba.njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
def _heights(atoms: AnyArray, signals: FloatArray, neighbours: IntArray, centre: IntArray, heights: FloatArray) -> None:
    for voxel in range(len(signals)):
        for k in range(neighbours.shape[1]):
            where = neighbours[centre[voxel], k]
            if where < 0:
                heights[voxel, k] = 0.0
                continue
            atom = atoms[where]
            total = 0.0
            for r in range(len(atom)):
                total += atom[r] * signals[voxel, r]
            heights[voxel, k] = total


@numba.njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
def _complex_heights(
    atoms: AnyArray, signals: FloatArray, neighbours: IntArray, centre: IntArray, heights: FloatArray
) -> None:
    for voxel in range(len(signals)):
        for k in range(neighbours.shape[1]):
            where = neighbours[centre[voxel], k]
            if where < 0:
                heights[voxel, k] = 0.0
                continue
            atom = atoms[where]
            real = 0.0
            imaginary = 0.0
            for r in range(0, len(atom), 2):
                a, b = atom[r], atom[r + 1]
                real += a * signals[voxel, r] + b * signals[voxel, r + 1]
                imaginary += a * signals[voxel, r + 1] - b * signals[voxel, r]
            heights[voxel, k] = real * real + imaginary * imaginary
