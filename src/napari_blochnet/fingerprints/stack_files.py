"""Fingerprint stacks in files: NIfTI with a JSON file beside it both ways; NumPy, HDF5 and MATLAB to read."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any, TypeAlias, cast, get_args

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, dimensions
from napari_blochnet.common.errors import DataWarning, FileError, InputError, in_file
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.grids import lay_on_grid
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.fingerprints.sources import SourceArray, open_array
from napari_blochnet.fingerprints.stack import FingerprintStack, SignalKind, default_kind
from napari_blochnet.io.atomic import existing_file
from napari_blochnet.io.json_files import read_json, write_json
from napari_blochnet.io.nifti import is_nifti, write_nifti
from napari_blochnet.io.origin import check_outputs, listing
from napari_blochnet.schedules.schedule import ReceiverPhase, Schedule

__all__ = ["files_to_write", "fingerprint_files", "read_fingerprints", "write_fingerprints"]

PathLike: TypeAlias = str | os.PathLike[str]

# The phase of real data can only be taken out where it is a whole number of half turns, to this many degrees.
_PHASE_TOLERANCE = 1e-6


def read_fingerprints(
    path: PathLike,
    schedule: Schedule | None = None,
    kind: SignalKind | None = None,
    mask: AnyArray | PathLike | None = None,
    voxel_size: tuple[float, float, float] | None = None,
    receiver_phase: ReceiverPhase | None = None,
    time_axis: int | None = None,
    variable: str | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> FingerprintStack:
    """Open a fingerprint stack.

    Parameters
    ----------
    path : path
        ``.nii`` or ``.nii.gz`` (x, y, z, time), ``.npy``, ``.npz``, ``.h5``, ``.hdf5``, ``.mat`` (5 and 7.3).
    schedule : Schedule, optional
        What made the stack; may be left out where a JSON file beside it holds the schedule, as `write_fingerprints`
        makes it.
    kind : {"complex", "real", "magnitude"}, optional
        What the samples are. By default complex numbers are complex, unsigned integers magnitude, other numbers real.
    mask : array or path, optional
        Valid voxels (z, y, x), or (y, x) of one slice; not 0 is valid. By default the file ``…_mask.nii.gz`` beside
        the stack, or else every voxel with a sample other than 0.
    voxel_size : tuple of float, optional
        (z, y, x), mm, where the file does not say; otherwise 1 mm.
    receiver_phase : {"follows", "fixed"}, optional
        Whether the RF phase was taken out of the samples already or not; by default as the schedule says. "fixed"
        data is turned by exp(−iφ) of each pulse's phase φ.
    time_axis : int, optional
        Which axis is time, counted from 0, where two are as long as the schedule. NIfTI fixes it.
    variable : str, optional
        Name of the array, where the file holds several.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in megabytes.

    Returns
    -------
    FingerprintStack
        (time, z, y, x). What is left of the axes without time is (z, y, x), or (y, x) of one slice; in MATLAB files
        (y, x, z). Samples stay on disk where the format allows it (``.npy``, ``.nii``, contiguous HDF5).

    Raises
    ------
    InputError
        No such file, a damaged one, no axis as long as the schedule or two, a kind that the numbers cannot be, a mask
        of another shape, samples inside the mask that are not finite.
    Cancelled
        Nothing is kept.
    """
    watch = Watch(progress, cancelled)
    file = existing_file(path)
    sidecar = _sidecar(file)
    if schedule is None:
        if "schedule" not in sidecar:
            raise FileError(file, "does not say what schedule made it; give schedule.", field="schedule")
        with in_file(file):
            schedule = Schedule.from_dict(sidecar["schedule"])
    source = open_array(file, variable, watch=watch)
    notes: list[str] = []
    own = sidecar.get("schedule")
    if isinstance(own, dict):
        with in_file(file):
            recorded = Schedule.from_dict(own)
        if recorded != schedule:
            made, asked = recorded.describe(), schedule.describe()
            warnings.warn(
                f"{file.name} was made with [{made}]; it is read with [{asked}], as asked.", DataWarning, stacklevel=2
            )
    data = _time_first(file, source, schedule, time_axis, notes)
    if kind is None:
        stored = sidecar.get("kind")
        kind = cast(SignalKind, stored) if stored in get_args(SignalKind) else default_kind(data.dtype)
    stored_phase: ReceiverPhase = "follows" if "schedule" in sidecar else schedule.receiver_phase
    data = _in_receiver_frame(file, data, schedule, kind, receiver_phase or stored_phase, notes, watch)
    geometry = source.geometry or Geometry()
    if voxel_size is not None:
        geometry = Geometry(voxel_size)
    elif source.geometry is None:
        notes.append("The file states no voxel size; it is taken as 1 mm.")
    # a voxel size that a person gives says nothing of where the stack lies
    place = source.geometry if voxel_size is None else None
    inside = _mask(file, mask, data.shape[1:], place, notes)
    with in_file(file):
        return FingerprintStack(
            data,
            schedule.replace(receiver_phase="follows"),
            kind,
            inside,  # type: ignore[arg-type]
            geometry.voxel_size,
            geometry.affine,
            snr=_number(sidecar.get("snr")),
            noise_sigma=_number(sidecar.get("noise_sigma")),
            name=str(sidecar.get("name") or _stem(file)),
            notes=tuple(notes),
            record=sidecar["record"] if isinstance(sidecar.get("record"), dict) else {},
            progress=progress,
            cancelled=cancelled,
        )


def fingerprint_files(path: PathLike) -> list[Path]:
    """Return the files that `write_fingerprints` writes for this path: stack, mask, JSON."""
    target = Path(path)
    return [target, *_beside(target)]


def files_to_write(path: PathLike, settings: Any = None) -> list[Path]:
    """Return the files that `write_fingerprints` writes for this path; raise `InputError` where it is no NIfTI."""
    target = Path(path)
    if not is_nifti(target):
        raise FileError(target, "a stack is written as NIfTI", "a name ending in .nii or .nii.gz")
    return fingerprint_files(target)


def write_fingerprints(
    stack: FingerprintStack,
    path: PathLike,
    record: dict[str, Any] | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> list[Path]:
    """Write a stack as NIfTI; `read_fingerprints` of the file gives it back without being told a schedule.

    Parameters
    ----------
    stack : FingerprintStack
        What to write.
    path : path
        Ending in ``.nii`` (can be memory-mapped) or ``.nii.gz``.
    record : dict, optional
        How the stack was made; its own record if not given.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in kilobytes.

    Returns
    -------
    list of Path
        The stack, (x, y, z, time); beside it ``…_mask.nii.gz``; and ``….json`` with schedule, kind, SNR, noise and
        record.

    Raises
    ------
    InputError
        Another ending; files of these names that this package did not write, or that the stack was made from.
    Cancelled
        There is the old stack, or none.
    """
    target = Path(path)
    files = files_to_write(target)
    check_outputs(files, record=record or stack.record)
    # the large one first: who cancels it keeps a whole stack of before
    write_nifti(stack.data, stack.geometry, target, watch=Watch(progress, cancelled))
    write_nifti(stack.mask, stack.geometry, files[1])
    write_json(
        {
            "name": stack.name,
            "kind": stack.kind,
            "snr": stack.snr,
            "noise_sigma": stack.noise_sigma,
            "schedule": stack.schedule.to_dict(),
            "record": record or stack.record,
            **listing(files[:2]),
        },
        files[2],
    )
    return files


def _beside(file: Path) -> tuple[Path, Path]:
    """Return the names of mask and JSON file of a stack."""
    return file.with_name(f"{_stem(file)}_mask.nii.gz"), file.with_name(f"{_stem(file)}.json")


def _stem(file: Path) -> str:
    return re.sub(r"\.(nii\.gz|\w+)$", "", file.name, flags=re.IGNORECASE)


def _sidecar(file: Path) -> dict[str, Any]:
    path = _beside(file)[1]
    content = read_json(path) if path.is_file() else {}
    return content if isinstance(content, dict) else {}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _time_first(
    file: Path, source: SourceArray, schedule: Schedule, time_axis: int | None, notes: list[str]
) -> AnyArray:
    data = source.data
    shape = data.shape
    size = dimensions(shape)
    if not 2 <= len(shape) <= 4:
        raise FileError(file, f"has {len(shape)} axes ({size})", "time and one to three of space")
    fits = [axis for axis, length in enumerate(shape) if length == len(schedule)]
    if source.geometry is not None and len(shape) == 4:
        fits = [axis for axis in fits if axis == 0]
    if time_axis is not None:
        if not 0 <= time_axis < len(shape):
            raise FileError(file, f"time_axis is {time_axis}", f"0 to {len(shape) - 1}", field="time_axis")
        if time_axis not in fits:
            raise FileError(
                file,
                f"axis {time_axis} has length {shape[time_axis]}",
                f"that of the schedule {schedule.name or 'given'}, {len(schedule)} pulses",
                field="time_axis",
            )
        fits = [time_axis]
    if not fits:
        raise FileError(
            file,
            f"its axes have lengths {size}",
            f"one as long as the schedule {schedule.name or 'given'}, {len(schedule)} pulses",
            field="schedule",
        )
    if len(fits) > 1:
        axes = " and ".join(map(str, fits))
        sentence = f"axes {axes} of {size} are as long as the schedule; give time_axis, counted from 0."
        raise FileError(file, sentence, field="time_axis")
    data = np.moveaxis(data, fits[0], 0)
    if source.slices_last and data.ndim == 4:
        data = np.moveaxis(data, 3, 1)
    data = data.reshape(data.shape[0], *(1,) * (4 - data.ndim), *data.shape[1:])
    if source.geometry is None:
        notes.append(
            f"Time is axis {fits[0]} of {size}; the rest is {'(y, x)' if data.shape[1] == 1 else '(z, y, x)'}."
        )
    return data


def _in_receiver_frame(
    file: Path,
    data: AnyArray,
    schedule: Schedule,
    kind: SignalKind,
    receiver_phase: str,
    notes: list[str],
    watch: Watch,
) -> AnyArray:
    if receiver_phase not in ("follows", "fixed"):
        raise InputError(f"receiver_phase is {receiver_phase!r}", "'follows' or 'fixed'", field="receiver_phase")
    if receiver_phase == "follows" or kind == "magnitude" or not schedule.rf_phase.any():
        return data
    turn = np.exp(-1j * np.deg2rad(schedule.rf_phase))
    notes.append("The RF phase of each pulse was taken out of the samples.")
    if data.dtype.kind == "c":
        small = data.dtype.itemsize == 8
        return _turned(data, turn.astype(np.complex64 if small else np.complex128), watch)
    half_turns = np.abs((schedule.rf_phase + 90.0) % 180.0 - 90.0)
    if half_turns.max() > _PHASE_TOLERANCE:
        pulse = int(half_turns.argmax())
        raise FileError(
            file,
            f"holds real numbers, from which an RF phase of {schedule.rf_phase[pulse]:g}° (pulse {pulse + 1}) "
            "cannot be taken out",
            "complex samples, or phases of 0 and 180°",
            field="receiver_phase",
        )
    return _turned(data, turn.real.round().astype(np.float32), watch)


def _turned(data: AnyArray, turn: AnyArray, watch: Watch) -> AnyArray:
    """Return the samples times a factor for each pulse, of the factor's type."""
    turned: AnyArray = np.empty(data.shape, turn.dtype)
    for pulse, factor in enumerate(turn):
        watch.check("taking the RF phase out")
        np.multiply(data[pulse], factor, out=turned[pulse], casting="same_kind", dtype=turn.dtype)
    return turned


def _mask(
    file: Path, given: AnyArray | PathLike | None, shape: tuple[int, int, int], place: Geometry | None, notes: list[str]
) -> BoolArray | None:
    """Return the mask on the stack's grid; ``place``: where that lies, if its file says so."""
    name, source = "the mask", None
    if given is None:
        beside = _beside(file)[0]
        if not beside.is_file():
            return None
        given = beside
        notes.append(f"The mask is that of {beside.name}.")
    if isinstance(given, (str, os.PathLike)):
        found = existing_file(given)
        name, source = found.name, open_array(found, kinds="biufc")
        given = source.data
        if source.slices_last and given.ndim == 3:
            # it lies in its file as the stack of such a file does
            given = np.moveaxis(given, -1, 0)
    there = None if source is None or place is None else source.geometry
    laid = lay_on_grid(given, there, shape, place or Geometry(), name=name, onto=file.name, field="mask", nearest=True)
    if laid.note:
        notes.append(laid.note)
    valid: BoolArray = laid.data != 0
    return valid
