"""The fingerprint stack: the signal of every voxel over the TRs, or its coefficients, with the schedule of it."""

from __future__ import annotations

import copy
import warnings
from dataclasses import InitVar, dataclass, field, replace
from functools import cached_property
from typing import Any, get_args

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray, SignalKind, dimensions, lies_on_disk
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.common.geometry import OnGrid
from napari_blochnet.common.plain_text import counted
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.fingerprints.signal_kinds import UNDERSHOOT, Tally, default_kind, recognised_kind
from napari_blochnet.fingerprints.subspaces import Subspace, checked_basis, is_identity
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["FingerprintStack", "SignalKind", "default_kind"]

# Fingerprints are looked at in slabs of about this many bytes, so that a memory-mapped stack stays on disk.
_SLAB_BYTES = 16 * 2**20
# Voxels gathered at a time: their samples stay in the cache on the way from the stack to the batch.
_RUN = 64


@dataclass(frozen=True, eq=False, repr=False)
class FingerprintStack(OnGrid):
    """Fingerprints on a voxel grid.

    Parameters
    ----------
    data : array of shape (time, Z, Y, X), or (K, Z, Y, X) with a basis
        Samples, in the receiver's frame (i·exp(−iφ)·F0). May be memory-mapped, or a dask array whose slices are in
        chunks of their own; it is never copied whole, unless it is of half or extended precision, which becomes
        float32 or complex64. With a basis they are coefficients.
    schedule : Schedule
        What made it; as long as the first axis, or the basis. May be None where there is a basis: what estimates then
        needs a dictionary that came with the data.
    kind : {"complex", "real", "magnitude"}, optional
        What the samples are. None: complex numbers are complex; of others, those with samples below 0 inside the mask
        are real, and the rest magnitudes, but floating-point ones real where the schedule does not invert; `notes` say
        so. Magnitudes may be stored as complex numbers without imaginary parts. Of coefficients they have lost the
        relative signs, and are refused.
    mask : bool array of shape (Z, Y, X), optional
        Valid voxels. None: every voxel with a sample other than 0. Voxels with samples that are not finite are left
        out: without one that is finite as background, others with a `DataWarning`.
    voxel_size : tuple of float
        (z, y, x), mm.
    affine : array of shape (4, 4), optional
        NIfTI affine: index (x, y, z, 1) to scanner mm, RAS+.
    snr : float, optional
        Root mean square of the noise-free signal over mask and TRs, over the noise standard deviation per real
        channel; None where unknown.
    noise_sigma : float, optional
        That standard deviation, in units of `data` (of coefficients: root mean square over them); 0 for noise-free
        simulation, None where unknown.
    name : str
        What people call it.
    notes : tuple of str
        What was understood while reading, in sentences.
    record : dict
        How it was made.
    basis : array of shape (time, K), optional
        Real or complex time courses of which fingerprints s = basis · c are made; they need not be orthonormal. Kept in
        single precision.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; for looking at all samples, counted in rows.
    known : bool
        Whether kind and mask are known to be right, as they are of what this package wrote: not all samples are looked
        at then.

    Raises
    ------
    InputError
        A time axis that is not as long as the schedule, shapes that differ, a kind that the data type cannot be,
        phases, or no voxel with finite samples. Of a basis: see
        `napari_blochnet.fingerprints.subspaces.checked_basis`; no schedule and no basis; magnitudes of coefficients.
    Cancelled
    """

    data: AnyArray
    schedule: Schedule = field(default=None)  # type: ignore[assignment]
    kind: SignalKind = field(default=None)  # type: ignore[arg-type]
    mask: BoolArray = field(default=None)  # type: ignore[arg-type]
    voxel_size: tuple[float, float, float] = (1.0, 1.0, 1.0)
    affine: FloatArray = field(default=None)  # type: ignore[arg-type]
    snr: float | None = None
    noise_sigma: float | None = None
    name: str = "fingerprints"
    notes: tuple[str, ...] = ()
    record: dict[str, Any] = field(default_factory=dict)
    basis: AnyArray | None = None
    progress: InitVar[ProgressCallback | None] = None
    cancelled: InitVar[CancelEvent | None] = None
    known: InitVar[bool] = False

    def __post_init__(self, progress: ProgressCallback | None, cancelled: CancelEvent | None, known: bool) -> None:
        shape = np.shape(self.data)
        if len(shape) != 4:
            raise InputError(f"The stack {self.name} has shape {shape}", "four axes (time, z, y, x)", field="data")
        if 0 in shape:
            raise InputError(f"The stack {self.name} has shape {shape} and so holds no samples.", field="data")
        if self.basis is not None:
            self._take_basis(self.basis)
        elif self.schedule is None:
            raise InputError(
                f"The stack {self.name} has neither a schedule nor a basis",
                "the schedule that made it, or the basis that its coefficients belong to",
                field="schedule",
            )
        elif shape[0] != len(self.schedule):
            raise InputError(
                f"The stack {self.name} has {counted(shape[0], 'time point')}, but the schedule "
                f"{self.schedule.name or 'given'} has {counted(len(self.schedule), 'pulse')}",
                "the same number",
                field="schedule",
            )
        self._take_common_type()
        if self.is_compressed and not self.is_whole:
            self._refuse_magnitudes(self.kind == "magnitude" or self.data.dtype.kind in "ub")
        if self.kind is not None and self.kind not in get_args(SignalKind):
            raise InputError(f"kind is {self.kind!r}", f"one of {', '.join(get_args(SignalKind))}", field="kind")
        is_complex = self.data.dtype.kind == "c"
        if (self.kind == "complex" and not is_complex) or (self.kind == "real" and is_complex):
            raise self._of_other_kind()
        if self.mask is not None and np.shape(self.mask) != shape[1:]:
            raise InputError(
                f"The mask has shape {np.shape(self.mask)}", f"that of the stack, {shape[1:]}", field="mask"
            )
        if known and self.kind is not None and self.mask is not None:
            object.__setattr__(self, "mask", np.array(self.mask, dtype=bool))
            self._check_geometry()
            return
        mask, tally = _look_at_samples(self.data, self.mask, self.kind, Watch(progress, cancelled))
        object.__setattr__(self, "mask", mask)
        self._tell_left_out(tally)
        self._settle_kind(tally)
        self._check_geometry()

    def _take_basis(self, basis: AnyArray) -> None:
        pulses = None if self.schedule is None else len(self.schedule)
        taken = checked_basis(basis, self.data.shape[0], pulses, self.name)
        object.__setattr__(self, "basis", taken)
        if np.iscomplexobj(taken) and self.data.dtype.kind == "f":
            # real multiples of complex time courses are complex signals
            object.__setattr__(self, "data", self.data.astype(np.result_type(self.data.dtype, np.complex64)))

    def _refuse_magnitudes(self, are_magnitudes: bool) -> None:
        if are_magnitudes:
            raise InputError(
                f"The {self.data.shape[0]} coefficient images of {self.name} are magnitudes, which have lost their "
                "relative signs",
                "complex or signed coefficients",
                field="kind",
            )

    def _note(self, *sentences: str) -> None:
        object.__setattr__(self, "notes", (*self.notes, *filter(None, sentences)))

    def _take_common_type(self) -> None:
        """Bring samples of half and of extended precision to what napari, torch and compiled code take."""
        dtype = self.data.dtype
        if dtype.kind not in "fc" or dtype.itemsize in ((4, 8) if dtype.kind == "f" else (8, 16)):
            return
        common = np.dtype(np.float32 if dtype.kind == "f" else np.complex64)
        with np.errstate(over="ignore"):
            object.__setattr__(self, "data", self.data.astype(common))
        self._note(f"The samples are stored as {dtype.name} and taken as {common.name}.")

    def _tell_left_out(self, tally: Tally) -> None:
        """Say how many voxels hold what is not finite; refuse a stack of nothing else."""
        left_out = tally.empty + tally.spoiled
        if left_out and not self.mask.any():
            found = f"NaN or infinity in all {_count(left_out)} inside the mask"
            raise InputError(f"The stack {self.name} holds {found}", "finite samples there", field="data")
        if tally.empty:
            self._note(f"{_count(tally.empty)} without a finite sample (NaN) count as background.")
        if tally.spoiled:
            sentence = f"{_count(tally.spoiled)} with some samples that are NaN or infinite left out of the mask."
            self._note(sentence)
            warnings.warn(f"{self.name}: {sentence}", DataWarning, stacklevel=4)

    def _settle_kind_of_coefficients(self, tally: Tally) -> None:
        has_both_signs = tally.has_imaginary or tally.lowest < 0
        # one coefficient alone may have one sign
        self._refuse_magnitudes(bool(tally.voxels) and not has_both_signs and self.data.shape[0] > 1)
        object.__setattr__(self, "kind", default_kind(self.data.dtype))

    def _settle_kind(self, tally: Tally) -> None:
        """Tell the kind by the samples, where none is given; refuse magnitudes below 0."""
        if self.kind is None:
            if self.is_compressed and not self.is_whole:  # type: ignore[unreachable]
                self._settle_kind_of_coefficients(tally)
                return
            kind, note = recognised_kind(self.data, tally, _has_both_signs(self.schedule))
            object.__setattr__(self, "kind", kind)
            self._note(note)
        if self.kind == "magnitude" and self.data.dtype.kind == "c":
            if tally.has_imaginary:
                raise self._of_other_kind()
            object.__setattr__(self, "data", self.data.real)
        if self.kind == "magnitude" and tally.lowest < 0:
            sentence = f"The stack {self.name} holds samples below 0 inside the mask; a magnitude has none"
            if -tally.lowest > UNDERSHOOT * tally.highest:
                raise InputError(f"{sentence} (give the kind as real).", field="kind")
            warnings.warn(f"{sentence}; these, down to {tally.lowest:.3g}, are taken as 0.", DataWarning, stacklevel=4)

    def _of_other_kind(self) -> InputError:
        return InputError(
            f"The stack {self.name} holds {self.data.dtype} samples and cannot be of kind {self.kind}",
            f"{'complex' if self.data.dtype.kind == 'c' else 'real or magnitude'}",
            field="kind",
        )

    def __repr__(self) -> str:
        return f"<FingerprintStack {self.describe()}>"

    def with_record(self, record: dict[str, Any]) -> FingerprintStack:
        """Return the same stack with another record; its samples are not looked at again."""
        same = copy.copy(self)
        object.__setattr__(same, "record", record)
        return same

    def __getitem__(self, slices: slice | int) -> FingerprintStack:
        """Return the fingerprints of some slices along z, geometry kept: ``stack[40:46]``; z stays an axis."""
        kept = self._slices_along_z(slices, self.shape[1])
        record = self._record_of_slices("stack", self.record, kept, self.shape[1])
        affine = self.geometry.cut(kept.start).affine
        # what is on disk is not read for a cut
        known = lies_on_disk(self.data)
        return replace(self, data=self.data[:, kept], mask=self.mask[kept], affine=affine, record=record, known=known)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Length of (time, z, y, x), or (coefficient, z, y, x)."""
        return self.data.shape

    @property
    def is_compressed(self) -> bool:
        """Whether the data are coefficients of a basis."""
        return self.basis is not None

    @cached_property
    def is_whole(self) -> bool:
        """Whether the coefficients are the samples of whole signals: the basis is the identity."""
        return self.basis is not None and is_identity(self.basis)

    @property
    def pulses(self) -> int:
        """How many time points a fingerprint has, whether they are stored or stand in the basis."""
        return int(self.data.shape[0] if self.basis is None else self.basis.shape[0])

    @cached_property
    def subspace(self) -> Subspace | None:
        """Orthonormal coordinates of the basis; None of whole fingerprints."""
        return None if self.basis is None else Subspace.of(self.basis)

    @property
    def noise_of_coordinates(self) -> float | None:
        """Standard deviation of the noise in each real channel of what is compared: samples, or coordinates."""
        if self.subspace is not None and self.subspace.noise is not None:
            return self.subspace.noise
        if self.noise_sigma is None or self.subspace is None:
            return self.noise_sigma
        return self.subspace.noise_of(self.noise_sigma)

    def whitened(self, covariance: AnyArray) -> FingerprintStack:
        """Return the same coefficients with a `subspace` in whose coordinates noise of a covariance (K, K) is white."""
        assert self.subspace is not None
        same = copy.copy(self)
        same.__dict__["subspace"] = self.subspace.whitened(covariance)
        return same

    def fingerprints(self, mask: BoolArray | None = None) -> AnyArray:
        """Return the fingerprints inside a mask as a batch.

        Parameters
        ----------
        mask : bool array of shape (Z, Y, X), optional
            None: the stack's own mask.

        Returns
        -------
        array of shape (voxel, time), or (voxel, K)
            complex64 or float32, voxels in C order of (z, y, x), contiguous over time. With a basis: coefficients.
        """
        inside = self.mask if mask is None else mask
        dtype = np.complex64 if self.kind == "complex" else np.float32
        batch = np.empty((int(inside.sum()), self.shape[0]), dtype)
        filled = 0
        for z in np.flatnonzero(inside.any(axis=(1, 2))):
            rows, columns = np.nonzero(inside[z])
            # slice by slice, and of that these rows, so that a stack on disk is read where it is needed only
            plane = np.moveaxis(np.asarray(self.data[:, z, rows[0] : rows[-1] + 1]), 0, -1)
            rows -= rows[0]
            for start in range(0, len(rows), _RUN):
                run = plane[rows[start : start + _RUN], columns[start : start + _RUN]]
                batch[filled : filled + len(run)] = run
                filled += len(run)
        if self.kind == "magnitude" and self.data.dtype.kind not in "ub":
            # what interpolation left below 0
            np.maximum(batch, 0, out=batch)
        return batch

    def expanded(self, mask: BoolArray | None = None) -> AnyArray:
        """Return the time courses inside a mask, shape (voxel, time), also of coefficients; for few voxels."""
        batch = self.fingerprints(mask)
        if self.basis is None:
            return batch
        curves: AnyArray = batch @ self.basis.T
        return curves

    def describe_schedule(self) -> str:
        """Return one line for people: the schedule, or that there is none."""
        if self.schedule is None:
            return "No schedule: only a dictionary that came with the data maps it."  # type: ignore[unreachable]
        return f"Schedule: {self.schedule.describe()}"

    def describe(self) -> str:
        """Return one line for people: name, size, voxel size, kind of signal, noise, schedule."""
        time, *space = self.shape
        is_short = self.is_compressed and not self.is_whole
        samples = (
            f"{counted(time, 'coefficient')} of {counted(self.pulses, 'time point')}"
            if is_short
            else counted(time, "time point")
        )
        noise = f", SNR {self.snr:g}" if self.snr else ", noise-free" if self.noise_sigma == 0 else ""
        return (
            f"{self.name}: {samples} × {dimensions(space)} voxels (z, y, x) of "
            f"{self.geometry.describe()}, {self.kind}, {counted(int(self.mask.sum()), 'voxel', ',')} inside the "
            f"mask{noise}"
        )


def _has_both_signs(schedule: Schedule | None) -> bool:
    """Whether signed signals lie on both sides of 0: after an inversion, or turned by phases that are still in them;
    or of no schedule that is known, where numbers of one sign are rather magnitudes.
    """
    return (
        schedule is None
        or any(item.kind in ("inversion", "simulated") for item in schedule.all_preparations)
        or (schedule.receiver_phase == "fixed" and bool(np.ptp(schedule.rf_phase) > 0))
    )


def _look_at_samples(
    data: AnyArray, mask: BoolArray | None, kind: SignalKind | None, watch: Watch
) -> tuple[BoolArray, Tally]:
    """Return the mask without voxels that hold what is not finite, and what was found inside.

    A kind that is given is not looked for; only magnitudes are, which lie at 0 or above.
    """
    inside = np.zeros(data.shape[1:], dtype=bool) if mask is None else np.array(mask, dtype=bool)
    tally = Tally()
    rows = max(1, _SLAB_BYTES // max(1, data.dtype.itemsize * data.shape[0] * data.shape[3]))
    for z in range(data.shape[1]):
        for y in range(0, data.shape[2], rows):
            watch.check("looking at the samples")
            watch.report(z * data.shape[2] + y, data.shape[1] * data.shape[2], "looking at the samples")
            slab = np.asarray(data[:, z, y : y + rows])
            here: BoolArray = np.any(slab, axis=0) if mask is None else inside[z, y : y + rows]
            if slab.dtype.kind not in "ub":
                here = _finite(slab, here, tally)
            inside[z, y : y + rows] = here
            if kind is None or (kind == "magnitude" and slab.dtype.kind not in "ub"):
                tally.add(slab, here, is_empty_outside=mask is None)
    return inside, tally


def _finite(slab: AnyArray, here: BoolArray, tally: Tally) -> BoolArray:
    """Return where samples (time, y, x) are finite, of the voxels ``here``; count the others."""
    # the sum over time is finite exactly where every sample is: one pass, no temporary of the slab's size
    with np.errstate(invalid="ignore", over="ignore"):
        total = slab.sum(axis=0, dtype=np.complex128 if slab.dtype.kind == "c" else np.float64)
    suspect = here & ~np.isfinite(total)
    if not suspect.any():
        return here
    finite = np.isfinite(slab[:, suspect])
    some, every = finite.any(axis=0), finite.all(axis=0)
    tally.empty += int((~some).sum())
    tally.spoiled += int((some & ~every).sum())
    kept = here.copy()
    kept[suspect] = every
    return kept


def _count(voxels: int) -> str:
    return counted(voxels, "voxel", ",")
