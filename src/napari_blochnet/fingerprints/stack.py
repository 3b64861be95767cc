"""The fingerprint stack: the signal of every voxel over the TRs, with the schedule that made it."""

from __future__ import annotations

import copy
from dataclasses import InitVar, dataclass, field, replace
from typing import Any, get_args

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray, SignalKind, dimensions, first_true
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.geometry import OnGrid
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["FingerprintStack", "SignalKind", "default_kind"]

# Fingerprints are looked at in slabs of about this many bytes, so that a memory-mapped stack stays on disk.
_SLAB_BYTES = 16 * 2**20
# Voxels gathered at a time: their samples stay in the cache on the way from the stack to the batch.
_RUN = 64


def default_kind(dtype: np.dtype[Any]) -> SignalKind:
    """Return what data of this type is taken for unless told: unsigned integers are magnitude, other reals real."""
    if dtype.kind == "c":
        return "complex"
    return "magnitude" if dtype.kind in "ub" else "real"


@dataclass(frozen=True, eq=False, repr=False)
class FingerprintStack(OnGrid):
    """Fingerprints on a voxel grid.

    Parameters
    ----------
    data : array of shape (time, Z, Y, X)
        Samples, in the receiver's frame (i·exp(−iφ)·F0). May be memory-mapped; it is never copied whole.
    schedule : Schedule
        What made it; as long as the first axis.
    kind : {"complex", "real", "magnitude"}, optional
        What the samples are. None: by type, see `default_kind`.
    mask : bool array of shape (Z, Y, X), optional
        Valid voxels. None: every voxel with a sample other than 0.
    voxel_size : tuple of float
        (z, y, x), mm.
    affine : array of shape (4, 4), optional
        NIfTI affine: index (x, y, z, 1) to scanner mm, RAS+.
    snr : float, optional
        Root mean square of the noise-free signal over mask and TRs, over the noise standard deviation per real
        channel; None where unknown.
    noise_sigma : float, optional
        That standard deviation, in units of `data`; 0 for noise-free simulation, None where unknown.
    name : str
        What people call it.
    notes : tuple of str
        What was understood while reading, in sentences.
    record : dict
        How it was made.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; for looking at all samples, counted in rows.

    Raises
    ------
    InputError
        A time axis that is not as long as the schedule, shapes that differ, a kind that the data type cannot be,
        or a sample inside the mask that is not finite.
    Cancelled
    """

    data: AnyArray
    schedule: Schedule
    kind: SignalKind = field(default=None)  # type: ignore[arg-type]
    mask: BoolArray = field(default=None)  # type: ignore[arg-type]
    voxel_size: tuple[float, float, float] = (1.0, 1.0, 1.0)
    affine: FloatArray = field(default=None)  # type: ignore[arg-type]
    snr: float | None = None
    noise_sigma: float | None = None
    name: str = "fingerprints"
    notes: tuple[str, ...] = ()
    record: dict[str, Any] = field(default_factory=dict)
    progress: InitVar[ProgressCallback | None] = None
    cancelled: InitVar[CancelEvent | None] = None

    def __post_init__(self, progress: ProgressCallback | None, cancelled: CancelEvent | None) -> None:
        shape = np.shape(self.data)
        if len(shape) != 4:
            raise InputError(f"The stack {self.name} has shape {shape}", "four axes (time, z, y, x)", field="data")
        if 0 in shape:
            raise InputError(f"The stack {self.name} has shape {shape} and so holds no samples.", field="data")
        if shape[0] != len(self.schedule):
            raise InputError(
                f"The stack {self.name} has {shape[0]} time points, but the schedule "
                f"{self.schedule.name or 'given'} has {len(self.schedule)} pulses",
                "the same number",
                field="schedule",
            )
        if self.kind is None:
            object.__setattr__(self, "kind", default_kind(self.data.dtype))  # type: ignore[unreachable]
        if self.kind not in get_args(SignalKind):
            raise InputError(f"kind is {self.kind!r}", f"one of {', '.join(get_args(SignalKind))}", field="kind")
        if (self.data.dtype.kind == "c") != (self.kind == "complex"):
            raise InputError(
                f"The stack {self.name} holds {self.data.dtype} samples and cannot be of kind {self.kind}",
                f"{'complex' if self.data.dtype.kind == 'c' else 'real or magnitude'}",
                field="kind",
            )
        if self.mask is not None and np.shape(self.mask) != shape[1:]:
            raise InputError(
                f"The mask has shape {np.shape(self.mask)}", f"that of the stack, {shape[1:]}", field="mask"
            )
        mask = _check_samples(self.data, self.mask, self.kind, self.name, Watch(progress, cancelled))
        object.__setattr__(self, "mask", mask)
        self._check_geometry()

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
        return replace(self, data=self.data[:, kept], mask=self.mask[kept], affine=self.geometry.cut(kept.start).affine)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Length of (time, z, y, x)."""
        return self.data.shape

    def fingerprints(self, mask: BoolArray | None = None) -> AnyArray:
        """Return the fingerprints inside a mask as a batch.

        Parameters
        ----------
        mask : bool array of shape (Z, Y, X), optional
            None: the stack's own mask.

        Returns
        -------
        array of shape (voxel, time)
            complex64 or float32, voxels in C order of (z, y, x), contiguous over time.
        """
        inside = self.mask if mask is None else mask
        dtype = np.complex64 if self.kind == "complex" else np.float32
        batch = np.empty((int(inside.sum()), self.shape[0]), dtype)
        filled = 0
        for z in np.flatnonzero(inside.any(axis=(1, 2))):
            # slice by slice, so that a memory-mapped stack is read where it is needed only
            plane = np.moveaxis(np.asarray(self.data[:, z]), 0, -1)
            rows, columns = np.nonzero(inside[z])
            for start in range(0, len(rows), _RUN):
                run = plane[rows[start : start + _RUN], columns[start : start + _RUN]]
                batch[filled : filled + len(run)] = run
                filled += len(run)
        return batch

    def describe(self) -> str:
        """Return one line for people: name, size, voxel size, kind of signal, noise, schedule."""
        time, *space = self.shape
        noise = f", SNR {self.snr:g}" if self.snr else ", noise-free" if self.noise_sigma == 0 else ""
        return (
            f"{self.name}: {time} time points × {dimensions(space)} voxels (z, y, x) of "
            f"{self.geometry.describe()}, {self.kind}, {int(self.mask.sum()):,} voxels inside the mask{noise}"
        )


def _check_samples(data: AnyArray, mask: BoolArray | None, kind: str, name: str, watch: Watch) -> BoolArray:
    """Return the mask; refuse samples inside it that are not finite, and magnitudes below 0."""
    inside = np.zeros(data.shape[1:], dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    rows = max(1, _SLAB_BYTES // max(1, data.dtype.itemsize * data.shape[0] * data.shape[3]))
    for z in range(data.shape[1]):
        for y in range(0, data.shape[2], rows):
            watch.check("looking at the samples")
            watch.report(z * data.shape[2] + y, data.shape[1] * data.shape[2], "looking at the samples")
            slab = np.asarray(data[:, z, y : y + rows])
            here = slab.any(axis=0) if mask is None else inside[z, y : y + rows]
            if mask is None:
                inside[z, y : y + rows] = here
            if slab.dtype.kind in "ub":
                continue
            # the sum over time is finite exactly where every sample is: one pass, no temporary of the slab's size
            with np.errstate(invalid="ignore", over="ignore"):
                total = slab.sum(axis=0, dtype=np.complex128 if slab.dtype.kind == "c" else np.float64)
            if not np.isfinite(total[here]).all():
                bad = here & ~np.isfinite(total)
                row, column = first_true(bad)
                found = f"NaN or infinity inside the mask, first at voxel (z, y, x) = ({z}, {y + row}, {column})"
                raise InputError(f"The stack {name} holds {found}", "finite samples there", field="data")
            if kind == "magnitude" and (slab.min(axis=0) < 0)[here].any():
                sentence = f"The stack {name} holds samples below 0 inside the mask; a magnitude has none"
                raise InputError(f"{sentence} (give the kind as real).", field="kind")
    return inside
