"""Dictionary matching: the tissue whose simulated fingerprint resembles the measured one most."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray, IntArray
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.estimators.base import Block, Conditions, Estimates, check_saturation
from napari_blochnet.estimators.declared import DeclaredDictionary
from napari_blochnet.estimators.matching.atoms import (
    Dictionary,
    atom_form,
    build_dictionary,
    check_energy,
    dictionary_near,
)
from napari_blochnet.estimators.matching.grid import TissueGrid, step_errors
from napari_blochnet.estimators.matching.masked import match_used_samples
from napari_blochnet.estimators.matching.search import best_match, best_match_torch, channels, on_device
from napari_blochnet.estimators.projected import Simulator, simulator
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.fingerprints.subspaces import Subspace
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["DictionaryMatching"]

# Largest step of the tissues among which a start is looked up under another B1.
_COARSE_STEP = 0.1
# Grid values on either side of the least-squares answer among which the best atom is, and how many of these atoms are
# simulated: those that its curvature puts nearest.
_AROUND = 2
_TRIED = 3


class DictionaryMatching(DeclaredDictionary):
    """Dictionary matching in the SVD subspace, for any schedule, exact to float32 rounding.

    The estimate is the atom of largest correlation with the fingerprint: the least-squares answer on the grid with
    the proton density free. Complex fingerprints take any complex PD (largest |⟨a, x⟩|). Of real ones the phase is
    known, so that PD is positive (largest ⟨a, x⟩): the sign after an inversion is information, and an inverted
    copy of a fingerprint is not the same tissue. Magnitudes are matched against the magnitude of the atoms. A voxel
    whose samples are all 0, or that no positive PD explains at all, has failed.

    Where B1 is known, the answer is the grid's best atom under each voxel's own B1. It is found without a dictionary
    for each: by a coarse one under a B1 near it, least squares from there, and the atoms around that answer.

    Parameters
    ----------
    t1_range, t2_range : tuple of float
        Smallest and largest T1 and T2 of the grid, ms.
    step : float
        Largest relative step between grid values. An answer between two of them is off by up to half a step.
    energy : float
        Share of the normalised atoms' energy that the compression retains. The default keeps about 20 vectors of the
        FISP schedule, and 70 of its magnitude, which has kinks. The full search's answers are reached with 8 to 12;
        what lies above keeps the residual of noise-free data (to which the compression adds up to 1e-3 in the mean)
        below the 3e-3 of the grid's step.
    rank : int, optional
        Number of singular vectors, in place of ``energy``.
    tolerance : float
        NRMSE of an atom by leaving out EPG states.
    saturation : float, optional
        Samples of this magnitude or more are left out of their voxel's match and residual (clipped detectors, 8-bit
        data). None: all samples count.
    device : str
        Where the search runs: "cpu", or a torch device such as "cuda:0".
    threads : int, optional
        Of the search on the CPU. None: one for each core.

    References
    ----------
    Ma et al., Magnetic resonance fingerprinting. Nature 495:187 (2013); McGivney et al., IEEE Trans Med Imaging
    33:2311 (2014) on compression.
    """

    def __init__(
        self,
        t1_range: tuple[float, float] = (20.0, 6000.0),
        t2_range: tuple[float, float] = (2.0, 3000.0),
        step: float = 0.02,
        *,
        energy: float = 1 - 1e-6,
        rank: int | None = None,
        tolerance: float = 1e-4,
        saturation: float | None = None,
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        self.grid = TissueGrid(t1_range, t2_range, step)
        check_energy(energy, rank)
        check_saturation(saturation)
        self.energy, self.rank, self.tolerance = energy, rank, tolerance
        self.saturation, self.device, self.threads = saturation, device, threads
        self._latest: Dictionary | None = None
        self._held: tuple[Dictionary, Any] | None = None
        self._simulator: tuple[Simulator, Subspace | None] | None = None

    @property
    def description(self) -> str:
        """One line for records: the grid, and the compression once a dictionary was made."""
        return f"dictionary: {self.grid.describe() if self._latest is None else self._latest.describe()}"

    def to(self, device: str) -> Self:
        """Search on another device from now on."""
        if device != self.device:
            self.device, self._held, self._simulator = device, None, None
        return self

    def dictionary(
        self, schedule: Schedule, kind: SignalKind, watch: Watch = UNWATCHED, within: Subspace | None = None
    ) -> Dictionary:
        """Return the compressed dictionary for a schedule and a kind of signal, or of coordinates in a subspace."""
        self._latest = build_dictionary(schedule, self.grid, atom_form(schedule, kind), energy=self.energy,
                                        rank=self.rank, tolerance=self.tolerance, within=within,
                                        watch=watch)  # fmt: skip
        return self._latest

    def step_errors(self, found: Estimates) -> tuple[FloatArray, FloatArray]:
        """Return what the grid's steps leave open."""
        return step_errors(self.grid.t1_values, found.t1), step_errors(self.grid.t2_values, found.t2)

    def make_ready_for(self, given: Conditions) -> Dictionary:
        return self.dictionary(given.schedule, given.kind, given.watch, given.subspace)

    def estimate(self, block: Block) -> Estimates:
        """Match a block of fingerprints.

        ``residual`` is the distance in the full space from the part of the atom inside the subspace.
        """
        return self._matched(block, block.ready) if block.b1 is None else self._under_own_b1(block)

    def match_near_b1(self, block: Block) -> Estimates:
        """Match fingerprints under the nearest of a few values of B1, on the grid or a coarser one.

        Parameters
        ----------
        block : Block
            With ``b1``; ``ready`` is not needed.
        """
        from napari_blochnet.estimators.fitting.known_b1 import near_b1

        assert block.b1 is not None
        dictionary: Dictionary = self._ready(block.conditions)
        grid = replace(self.grid, step=max(self.grid.step, _COARSE_STEP))
        form = atom_form(block.schedule, block.kind)
        order, parts = [], []
        for b1, which in near_b1(block.b1):
            near = dictionary_near(block.schedule, grid, form, dictionary.subspace, b1, tolerance=self.tolerance,
                                   within=block.subspace, watch=Watch(cancelled=block.watch.cancelled))  # fmt: skip
            order.append(which)
            parts.append(self._matched(block.part(which), near))
        if not parts:
            return self._matched(block, dictionary)
        return Estimates.joined(parts).some(np.argsort(np.concatenate(order), kind="stable"))

    def _under_own_b1(self, block: Block) -> Estimates:
        """Return the best atoms, each under the B1 of its voxel."""
        from napari_blochnet.estimators.fitting.known_b1 import best_tissues

        found = self.match_near_b1(block)
        which = np.flatnonzero(~found.failed)
        if not which.size:
            return found
        some = block.part(which)
        if self._simulator is None or (self._simulator[0].schedule, self._simulator[1]) != (
            block.schedule,
            block.subspace,
        ):
            made = simulator(block.schedule, self.tolerance, block.subspace).to(self.device)
            self._simulator = made, block.subspace
        decoder = self._simulator[0]
        start = np.log(np.column_stack([found.t1[which], found.t2[which]]).astype(np.float64))
        edges = np.log([self.grid.t1_range, self.grid.t2_range]).T
        theta, fisher = best_tissues(some, decoder, start, self.saturation, (edges[0], edges[1]))
        t1, t2, pd, residual = self._best_around(some, decoder, theta, fisher)
        answer = Estimates.where(np.abs(pd) > 0, t1, t2, pd, residual, block.kind)
        empty = np.zeros(len(block), found.pd.dtype)
        whole = Estimates.where(np.zeros(len(block), bool), empty.real, empty.real, empty, empty.real, block.kind)
        for name in ("t1", "t2", "pd", "residual", "failed"):
            getattr(whole, name)[which] = getattr(answer, name)
        return whole

    def _best_around(
        self, block: Block, decoder: Simulator, theta: FloatArray, fisher: FloatArray
    ) -> tuple[FloatArray, FloatArray, AnyArray, FloatArray]:
        """Return T1, T2, PD and residual of the best atoms around least-squares answers (voxel, 2)."""
        from napari_blochnet.estimators.fitting.density import explain

        values = np.log(self.grid.t1_values), np.log(self.grid.t2_values)
        # logarithms are evenly spaced on the grid
        steps = [(axis[-1] - axis[0]) / max(1, len(axis) - 1) or 1.0 for axis in values]
        nearest = [np.rint((theta[:, k] - axis[0]) / steps[k]).astype(np.int64) for k, axis in enumerate(values)]
        shifts = np.arange(-_AROUND, _AROUND + 1)
        rows = (nearest[0][:, None, None] + shifts[:, None] + 0 * shifts).reshape(len(theta), -1)
        columns = (nearest[1][:, None, None] + shifts + 0 * shifts[:, None]).reshape(len(theta), -1)
        # what lies beyond the diagonal has the largest T2 up to it instead
        rows = np.clip(rows, 0, len(values[0]) - 1)
        highest = np.searchsorted(self.grid.t2_values, self.grid.t1_values, side="right") - 1
        rows = np.maximum(rows, int(np.argmax(highest >= 0)))
        columns = np.clip(columns, 0, highest[rows])
        away = np.stack([values[0][rows] - theta[:, :1], values[1][columns] - theta[:, 1:]], axis=-1)
        worse = np.einsum("vcp,vpq,vcq->vc", away, fisher, away)
        tried = np.argsort(worse, axis=1, kind="stable")[:, :_TRIED]
        used = None
        if self.saturation is not None:
            used = np.abs(block.data) < self.saturation
        best: list[AnyArray] = []
        for k in range(tried.shape[1]):
            chosen = np.take_along_axis(rows, tried[:, k : k + 1], axis=1)[:, 0], np.take_along_axis(
                columns, tried[:, k : k + 1], axis=1)[:, 0]  # fmt: skip
            t1, t2 = self.grid.t1_values[chosen[0]], self.grid.t2_values[chosen[1]]
            pd, residual = explain(decoder, block.data, t1, t2, block.kind, used, block.b1)
            this = [t1, t2, pd, residual]
            better = residual < best[3] if best else np.ones(len(theta), bool)
            best = [np.where(better, new, old) for new, old in zip(this, best or this, strict=True)]
        return best[0], best[1], best[2], best[3]

    def _matched(self, block: Block, dictionary: Dictionary) -> Estimates:
        """Return the best atoms of one dictionary."""
        signals = block.data.astype(np.complex128 if block.kind == "complex" else np.float64)
        energy = _energy(signals)
        inside = dictionary.subspace.project(signals)
        index = self._search(inside, dictionary, block.watch)
        atoms = dictionary.coefficients(index)
        scale = np.einsum("ij,ij->i", atoms.conj(), inside)
        distance = np.maximum(energy - _energy(inside), 0.0) + _energy(inside - scale[:, None] * atoms)
        if self.saturation is not None:
            used = np.abs(block.data) < self.saturation
            some = np.flatnonzero(~used.all(axis=1))
            if some.size:
                fit = match_used_samples(signals[some], used[some], dictionary, block.watch)
                index[some], scale[some] = fit.index, fit.scale
                distance[some], energy[some] = fit.distance, fit.energy
        good = energy > 0
        if not np.iscomplexobj(scale):
            good &= scale > 0
        residual = np.sqrt(distance / np.where(good, energy, 1.0))
        pd = scale / dictionary.norms[index]
        return Estimates.where(good, dictionary.t1[index], dictionary.t2[index], pd, residual, block.kind)

    def _search(self, coefficients: AnyArray, dictionary: Dictionary, watch: Watch) -> IntArray:
        fingerprints = channels(coefficients, dictionary.is_complex)
        if self.device == "cpu":
            return best_match(dictionary.tiles, fingerprints, threads=self.threads, watch=watch)
        if self._held is None or self._held[0] is not dictionary:
            self._held = dictionary, on_device(dictionary.tiles, self.device)
        return best_match_torch(self._held[1], fingerprints, watch=watch)


def _energy(signals: AnyArray) -> FloatArray:
    energy: FloatArray = np.einsum("ij,ij->i", signals, signals.conj()).real
    return energy
