"""Dictionary matching: the tissue whose simulated fingerprint resembles the measured one most."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray, IntArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.estimators.base import Estimates, check_schedule
from napari_blochnet.estimators.matching.atoms import Dictionary, atom_form, build_dictionary, check_energy
from napari_blochnet.estimators.matching.grid import TissueGrid
from napari_blochnet.estimators.matching.masked import match_used_samples
from napari_blochnet.estimators.matching.search import best_match, best_match_torch, channels, on_device
from napari_blochnet.fingerprints.stack import SignalKind
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["DictionaryMatching"]

# Fingerprints in double precision at a time: 32 MB at 1000 TRs.
_BLOCK = 4096


class DictionaryMatching:
    """Dictionary matching in the SVD subspace, for any schedule, exact to float32 rounding.

    The estimate is the atom of largest correlation with the fingerprint: the least-squares answer on the grid with
    the proton density free. Complex fingerprints take any complex PD (largest |⟨a, x⟩|). Of real ones the phase is
    known, so that PD is positive (largest ⟨a, x⟩): the sign after an inversion is information, and an inverted
    copy of a fingerprint is not the same tissue. Magnitudes are matched against the magnitude of the atoms. A voxel
    whose samples are all 0, or that no positive PD explains at all, has failed.

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

    name = "dictionary"
    #: Any schedule will do.
    schedule: Schedule | None = None

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
        if saturation is not None and not saturation > 0:
            raise InputError(f"saturation is {saturation!r}; expected a magnitude above 0, or none.",
                             field="saturation")  # fmt: skip
        self.energy, self.rank, self.tolerance = energy, rank, tolerance
        self.saturation, self.device, self.threads = saturation, device, threads
        self._latest: Dictionary | None = None
        self._held: tuple[Dictionary, Any] | None = None

    def __repr__(self) -> str:
        return f"<DictionaryMatching {self.grid.describe()}>"

    @property
    def description(self) -> str:
        """One line for records: the grid, and the compression once a dictionary was made."""
        return f"dictionary: {self.grid.describe() if self._latest is None else self._latest.describe()}"

    def to(self, device: str) -> Self:
        """Search on another device from now on."""
        if device != self.device:
            self.device, self._held = device, None
        return self

    def prepare(
        self,
        schedule: Schedule,
        kind: SignalKind,
        *,
        progress: ProgressCallback | None = None,
        cancelled: CancelEvent | None = None,
    ) -> None:
        """Simulate and compress the dictionary for a schedule and a kind of signal, unless that was done before."""
        self.dictionary(schedule, kind, progress=progress, cancelled=cancelled)

    def dictionary(
        self,
        schedule: Schedule,
        kind: SignalKind,
        *,
        progress: ProgressCallback | None = None,
        cancelled: CancelEvent | None = None,
    ) -> Dictionary:
        """Return the compressed dictionary for a schedule and a kind of signal."""
        self._latest = build_dictionary(
            schedule,
            self.grid,
            atom_form(schedule, kind),
            energy=self.energy,
            rank=self.rank,
            tolerance=self.tolerance,
            progress=progress,
            cancelled=cancelled,
        )
        return self._latest

    def predict(
        self,
        fingerprints: AnyArray,
        schedule: Schedule,
        kind: SignalKind | None = None,
        *,
        cancelled: CancelEvent | None = None,
    ) -> Estimates:
        """Match a batch of fingerprints.

        Parameters
        ----------
        fingerprints : array of shape (voxel, time)
            In the receiver's frame, complex or real.
        schedule : Schedule
            What made them.
        kind : {"complex", "real", "magnitude"}, optional
            None: complex or real by type.
        cancelled : optional
            Looked at once per 512 fingerprints.

        Returns
        -------
        Estimates
            ``residual`` is the distance in the full space from the part of the atom inside the subspace.

        Raises
        ------
        InputError
            Fingerprints that are not (voxel, time), not finite, of another length than the schedule, or of a type
            that the kind cannot be.
        """
        if fingerprints.ndim != 2:
            raise InputError(f"The fingerprints have shape {fingerprints.shape}; expected (voxel, time).",
                             field="fingerprints")  # fmt: skip
        check_schedule(self.name, self.schedule, schedule, fingerprints.shape[1])
        is_complex = bool(np.iscomplexobj(fingerprints))
        if kind is None:
            kind = "complex" if is_complex else "real"
        if is_complex != (kind == "complex"):
            raise InputError(f"The fingerprints are {fingerprints.dtype}, but their kind is {kind}; expected "
                             f"{'complex' if is_complex else 'real or magnitude'}.", field="kind")  # fmt: skip
        dictionary = self.dictionary(schedule, kind, cancelled=cancelled)
        parts = [
            self._match(fingerprints[start : start + _BLOCK], dictionary, cancelled)
            for start in range(0, max(1, len(fingerprints)), _BLOCK)
        ]
        return Estimates(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _match(
        self, block: AnyArray, dictionary: Dictionary, cancelled: CancelEvent | None
    ) -> tuple[FloatArray, FloatArray, AnyArray, FloatArray, BoolArray]:
        signals = block.astype(np.complex128 if np.iscomplexobj(block) else np.float64)
        energy = _energy(signals)
        if not np.isfinite(energy).all():
            raise InputError("The fingerprints hold NaN or infinity; expected finite samples.", field="fingerprints")
        inside = dictionary.subspace.project(signals)
        index = self._search(inside, dictionary, cancelled)
        atoms = dictionary.coefficients(index)
        scale = np.einsum("ij,ij->i", atoms.conj(), inside)
        distance = np.maximum(energy - _energy(inside), 0.0) + _energy(inside - scale[:, None] * atoms)
        if self.saturation is not None:
            used = np.abs(block) < self.saturation
            some = np.flatnonzero(~used.all(axis=1))
            if some.size:
                fit = match_used_samples(signals[some], used[some], dictionary, cancelled=cancelled)
                index[some], scale[some] = fit.index, fit.scale
                distance[some], energy[some] = fit.distance, fit.energy
        failed = energy <= 0
        if not np.iscomplexobj(scale):
            failed |= scale <= 0
        good = ~failed
        residual = np.sqrt(distance / np.where(good, energy, 1.0))
        pd = np.where(good, scale / dictionary.norms[index], 0)
        return (
            np.where(good, dictionary.t1[index], 0).astype(np.float32),
            np.where(good, dictionary.t2[index], 0).astype(np.float32),
            pd.astype(np.complex64 if np.iscomplexobj(pd) else np.float32),
            np.where(good, np.minimum(residual, 1.0), 0).astype(np.float32),
            failed,
        )

    def _search(self, coefficients: AnyArray, dictionary: Dictionary, cancelled: CancelEvent | None) -> IntArray:
        fingerprints = channels(coefficients, dictionary.is_complex)
        if self.device == "cpu":
            return best_match(dictionary.tiles, fingerprints, threads=self.threads, cancelled=cancelled)
        if self._held is None or self._held[0] is not dictionary:
            self._held = dictionary, on_device(dictionary.tiles, self.device)
        return best_match_torch(self._held[1], fingerprints, cancelled=cancelled)


def _energy(signals: AnyArray) -> FloatArray:
    energy: FloatArray = np.einsum("ij,ij->i", signals, signals.conj()).real
    return energy
