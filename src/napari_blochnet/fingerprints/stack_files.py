"""Fingerprint stacks in files: NIfTI or HDF5 with a JSON file beside it and Zarr both ways; all else to read."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, cast, get_args

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, is_lazy, lies_on_disk
from napari_blochnet.common.errors import DataWarning, FileError, InputError, in_file
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.fingerprints.compressed.along_time import along_time
from napari_blochnet.fingerprints.compressed.bases import Convention, basis_inside, basis_to_json
from napari_blochnet.fingerprints.contrasts import is_series, only_file
from napari_blochnet.fingerprints.masks import read_mask
from napari_blochnet.fingerprints.paired_files import beside_stack, main_part, open_parts, stack_stem
from napari_blochnet.fingerprints.sources import open_array
from napari_blochnet.fingerprints.stack import FingerprintStack, SignalKind
from napari_blochnet.fingerprints.stack_axes import StackAxes
from napari_blochnet.fingerprints.stack_drafts import files_to_write, fingerprint_files, write_samples
from napari_blochnet.fingerprints.zarr_stacks import LAZY_BYTES, is_zarr_name, is_zarr_stack, write_zarr_stack
from napari_blochnet.io.atomic import existing_file, replacing_set
from napari_blochnet.io.containers.spilled_arrays import roomy_array
from napari_blochnet.io.json_files import beside_json, write_json
from napari_blochnet.io.nifti import write_nifti
from napari_blochnet.io.origin import about_changes, check_outputs, listing, members_named
from napari_blochnet.io.sets.reading_whole import reads_whole
from napari_blochnet.io.zarr_arrays import is_zarr, zarr_attributes
from napari_blochnet.schedules.schedule import ReceiverPhase, Schedule

__all__ = [
    "carries_schedule",
    "files_to_write",
    "fingerprint_files",
    "in_receiver_frame",
    "read_fingerprints",
    "write_fingerprints",
]

PathLike: TypeAlias = str | os.PathLike[str]

# The phase of real data can only be taken out where it is a whole number of half turns, to this many degrees.
_PHASE_TOLERANCE = 1e-6
_AS_CONTRASTS = "as a series of contrasts it opens without one: nb.read_contrasts, or dropped on napari's canvas"


@reads_whole
def read_fingerprints(
    path: PathLike,
    schedule: Schedule | None = None,
    kind: SignalKind | None = None,
    mask: AnyArray | PathLike | None = None,
    voxel_size: tuple[float, float, float] | None = None,
    receiver_phase: ReceiverPhase | None = None,
    time_axis: int | None = None,
    variable: str | None = None,
    basis: AnyArray | PathLike | None = None,
    basis_variable: str | None = None,
    coefficients: Convention = "plain",
    component_order: Sequence[int] | str | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> FingerprintStack:
    """Open a fingerprint stack.

    Parameters
    ----------
    path : path
        ``.nii``, ``.nii.gz`` (x, y, z, time), ``.hdr`` with ``.img``, ``.npy``, ``.npz``, ``.h5``, ``.hdf5``, ``.cfl``,
        ``.mat`` (4, 5 and 7.3), a Zarr store; or DICOM: a folder, an enhanced file, or one image, read with the others
        of its series; or a BIDS folder of files such as ``…_inv-1_….nii.gz``, one for each contrast. Of magnitude and
        phase, or real and imaginary parts, in two files with the names of BIDS (``…_part-mag``, ``…_part-phase``) or
        dcm2niix (``x``, ``x_ph``; ``x_real``, ``x_imaginary``): either. A series that no train of pulses made opens by
        `napari_blochnet.read_contrasts`.
    schedule : Schedule, optional
        What made the stack; may be left out where a JSON file beside it holds the schedule, as `write_fingerprints`
        makes it, and of coefficients.
    kind : {"complex", "real", "magnitude"}, optional
        What the samples are; by default told by the numbers, and said in `notes`: real where samples lie below 0,
        else magnitude; positive floating-point numbers of a schedule without inversion may be either, and are taken
        as real. Complex, of real numbers: an axis of length two holds real and imaginary parts. Magnitude or
        real, where the samples lie in two files: the first alone.
    mask : array or path, optional
        Valid voxels (z, y, x), or (y, x) of one slice; not 0 is valid. By default the file ``…_mask.nii.gz`` beside
        the stack, or else every voxel with a sample other than 0.
    voxel_size : tuple of float, optional
        (z, y, x), mm, where the file does not say; otherwise 1 mm.
    receiver_phase : {"follows", "fixed"}, optional
        Whether the RF phase was taken out of the samples already or not; by default as the schedule says. "fixed"
        data is turned by exp(−iφ) of each pulse's phase φ.
    time_axis : int, optional
        Which axis of the file's array is time, counted from 0, where two are as long as the schedule. NIfTI fixes it.
    variable : str, optional
        Name of the array, where the file holds several; of DICOM the number or description of the series, or several
        with commas between them.
    basis : array or path, optional
        Time courses (time, K) of which the file holds coefficients, in place of time points; see
        `napari_blochnet.fingerprints.compressed.bases.read_basis`. None: the one in the JSON file beside the stack,
        or within the file under a name such as "basis" or "u".
    basis_variable : str, optional
        Name of the basis, where its file holds several arrays.
    coefficients, component_order : optional
        What the coefficients are, and which component each belongs to; see
        `napari_blochnet.fingerprints.compressed.bases.under_convention`.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in megabytes.

    Returns
    -------
    FingerprintStack
        (time, z, y, x). What is left of the axes without time is (z, y, x), or (y, x) of one slice; in MATLAB files
        (y, x, z). Samples stay on disk where the format allows it (``.npy``, ``.nii``, contiguous HDF5); of others many
        are unpacked there, not into memory (see `napari_blochnet.io.containers.spilled_arrays`).

    Raises
    ------
    InputError
        No such file, a damaged one, no axis as long as the schedule or two, a kind that the numbers cannot be or that
        cannot be told, a phase without its magnitude, a mask of another shape, no voxel with finite samples; a basis
        that does not fit.
    Cancelled
        Nothing is kept.
    """
    watch = Watch(progress, cancelled)
    file = existing_file(path)
    only = None if is_zarr(file) else only_file(file, variable)
    if only is not None:
        file, variable = only, None
    # images of scanners come one by one; their order, and what they hold, are told by themselves
    is_scanned = not is_zarr(file) and is_series(file)
    notes: list[str] = []
    sidecar, recorded = _sidecar(file, notes, is_needed=schedule is None)
    main = file if sidecar or is_scanned or is_zarr(file) else main_part(file)
    if main != file:
        sidecar, recorded = _sidecar(main, notes, is_needed=schedule is None)
    changes = about_changes(sidecar, [main, beside_stack(main)[0]])
    notes += changes
    inner = None
    if basis is None and "basis" not in sidecar and not is_scanned:
        inner = basis_inside(main, variable, None if schedule is None else len(schedule))
    if inner is not None:
        basis, (basis_variable, variable) = main, inner
    if schedule is None:
        if recorded is None and basis is None and "basis" not in sidecar:
            why = f" ({' '.join(notes).rstrip('.')})" if notes else ""
            without = f" ({_AS_CONTRASTS})" if is_scanned else ""
            way = f"give schedule{without}, or the basis of coefficients"
            raise FileError(file, f"does not say what schedule made it{why}; {way}.", field="schedule")
        schedule = recorded
    elif recorded is not None and recorded != schedule:
        made, asked = recorded.describe(), schedule.describe()
        warnings.warn(
            f"{file.name} was made with [{made}]; it is read with [{asked}], as asked.", DataWarning, stacklevel=2
        )
    if is_scanned or (sidecar and main == file):
        source = open_array(file, variable, watch=watch)
    else:
        file, source = open_parts(file, variable, kind, watch, notes)
    along, curves = along_time(file, source, schedule, basis, sidecar.get("basis"), basis_variable,
                               coefficients, component_order, watch, notes)  # fmt: skip
    if is_scanned and len(source.data) != along.count:
        raise FileError(
            file,
            f"holds {len(source.data)} images of each slice, but {along.called} has {along.numbers}; give the schedule "
            f"that made them ({_AS_CONTRASTS}).",
            field="schedule",
        )
    if kind is None and source.kind in ("phase", "imaginary"):
        raise FileError(
            file,
            f"holds {source.kind} images only",
            "the magnitude or real images beside them, of the same series or one that variable names",
            field="variable",
        )
    notes += source.notes
    stored = sidecar.get("kind") or source.kind
    # two files of which only the first is ours hold more than it says
    if kind is None and stored in get_args(SignalKind) and (stored == "complex") == (source.data.dtype.kind == "c"):
        kind = cast(SignalKind, stored)
    axes = StackAxes.of(file, source).with_complex_parts(along, kind, watch, notes)
    data = axes.time_first(along, time_axis, notes)
    if receiver_phase not in (None, "follows", "fixed"):
        raise InputError(f"receiver_phase is {receiver_phase!r}", "'follows' or 'fixed'", field="receiver_phase")
    if schedule is not None:
        phase: ReceiverPhase = receiver_phase or ("follows" if sidecar else schedule.receiver_phase)
        if kind == "magnitude" or not schedule.rf_phase.any():
            phase = "follows"  # there is no phase to take out
        schedule = schedule.replace(receiver_phase=phase)
    geometry = source.geometry or Geometry()
    if voxel_size is not None:
        geometry = Geometry(voxel_size)
    elif source.geometry is None:
        notes.append("The file states no voxel size; it is taken as 1 mm.")
    # a voxel size that a person gives says nothing of where the stack lies
    place = source.geometry if voxel_size is None else None
    given = source.mask if mask is None else mask
    members = members_named(sidecar)
    inside = _mask(file, given, data.shape[1:], place, notes, members)
    is_own_mask = source.mask is not None or beside_stack(file)[0].name in (members or ())
    with in_file(file):
        stack = FingerprintStack(
            data,
            schedule,  # type: ignore[arg-type]
            kind,  # type: ignore[arg-type]
            inside,  # type: ignore[arg-type]
            geometry.voxel_size,
            geometry.affine,
            snr=_number(sidecar.get("snr")),
            noise_sigma=_number(sidecar.get("noise_sigma")),
            name=str(sidecar.get("name") or stack_stem(file)),
            notes=tuple(notes),
            record=sidecar["record"] if isinstance(sidecar.get("record"), dict) else {},
            basis=curves,
            progress=progress,
            cancelled=cancelled,
            # a large one of ours that is left on disk; what a damaged one holds is seen where it is mapped
            known=bool(sidecar) and not changes and mask is None and is_own_mask and _is_left_on_disk(data),
        )
    return in_receiver_frame(file, stack, watch)


def _is_left_on_disk(data: AnyArray) -> bool:
    return is_lazy(data) or (data.nbytes > LAZY_BYTES and lies_on_disk(data))


def carries_schedule(path: PathLike) -> bool:
    """Whether a stack is one of ours, which opens without being told its schedule."""
    file = existing_file(path)
    if not is_zarr(file) and is_series(file):
        return False
    return _sidecar(file, [], is_needed=False)[1] is not None


def write_fingerprints(
    stack: FingerprintStack,
    path: PathLike,
    record: dict[str, Any] | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> list[Path]:
    """Write a stack as NIfTI, Zarr or HDF5; `read_fingerprints` of it gives it back without being told a schedule.

    Parameters
    ----------
    stack : FingerprintStack
        What to write.
    path : path
        Ending in ``.nii`` (can be memory-mapped), ``.nii.gz``; ``.h5``: ``data`` (z, y, x, time), which can be mapped,
        too; or ``.zarr``: a store of version 3 whose group holds ``data`` (time, z, y, x), ``mask``, and the rest as
        attributes.
    record : dict, optional
        How the stack was made; its own record if not given.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in kilobytes, megabytes of a store, or slices of HDF5.

    Returns
    -------
    list of Path
        The store; or the stack, (x, y, z, time or component); beside it ``…_mask.nii.gz``; and ``….json`` with
        schedule, kind, SNR, noise, record, and the basis of coefficients.

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
    sidecar = {
        "name": stack.name,
        "kind": stack.kind,
        "snr": stack.snr,
        "noise_sigma": stack.noise_sigma,
        "schedule": None if stack.schedule is None else stack.schedule.to_dict(),
        "record": record or stack.record,
        **({} if stack.basis is None else {"basis": basis_to_json(stack.basis)}),
    }
    if is_zarr_name(target):
        return write_zarr_stack(stack, target, sidecar, watch=Watch(progress, cancelled))
    # who cancels it, or has no room for it, keeps a whole stack of before
    with replacing_set(files) as draft:
        data, mask, beside = (draft / file.name for file in files)
        write_samples(stack, data, Watch(progress, cancelled))
        write_nifti(stack.mask, stack.geometry, mask)
        write_json(sidecar | listing([data, mask]), beside)
    return files


def _sidecar(file: Path, notes: list[str], *, is_needed: bool) -> tuple[dict[str, Any], Schedule | None]:
    """Return what the JSON file beside a stack says, and the schedule in it; nothing of one that is not ours.

    Raises
    ------
    InputError
        A schedule that is none, where it is needed.
    """
    path = beside_stack(file)[1]
    if is_zarr(file):
        path, content, wrong = file, zarr_attributes(file) if is_zarr_stack(file) else {}, ""
    else:
        content, wrong = beside_json(path)
    if wrong:
        notes.append(wrong)
    if not isinstance(content.get("schedule"), dict):
        return (content, None) if "basis" in content else ({}, None)
    try:
        return content, Schedule.from_dict(content["schedule"])
    except (TypeError, ValueError) as error:
        if is_needed:
            raise FileError(path, str(error), field="schedule") from None
        notes.append(f"{path.name} beside it is left aside: its schedule is none of ours.")
        return {}, None


def _number(value: Any) -> float | None:
    """Return a number above or at 0 that a JSON file states; None where it states none."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < math.inf:
        return None
    return float(value)


def in_receiver_frame(file: Path | str, stack: FingerprintStack, watch: Watch) -> FingerprintStack:
    """Return a stack with the RF phase taken out of its samples, unless it was already or they are magnitudes."""
    if stack.schedule is None or stack.schedule.receiver_phase == "follows":
        return stack
    schedule, follows = stack.schedule, stack.schedule.replace(receiver_phase="follows")
    known = lies_on_disk(stack.data)
    if stack.kind == "magnitude":
        return replace(stack, schedule=follows, known=known)
    turn = np.exp(-1j * np.deg2rad(schedule.rf_phase))
    if stack.basis is not None:
        return replace(stack, basis=stack.basis * turn[:, None], schedule=follows, known=known)
    notes = (*stack.notes, "The RF phase of each pulse was taken out of the samples.")
    if stack.kind == "complex":
        turn = turn.astype(np.complex64 if stack.data.dtype.itemsize == 8 else np.complex128)
        return replace(stack, data=_turned(stack.data, turn, watch), schedule=follows, notes=notes, known=known)
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
    data = _turned(stack.data, turn.real.round().astype(np.float32), watch)
    return replace(stack, data=data, schedule=follows, notes=notes, known=known)


def _turned(data: AnyArray, turn: AnyArray, watch: Watch) -> AnyArray:
    """Return the samples times a factor for each pulse, of the factor's type."""
    if is_lazy(data):  # where it is looked at
        lazily: AnyArray = data * turn[:, None, None, None]
        return lazily
    turned = roomy_array(data.shape, turn.dtype)
    for pulse, factor in enumerate(turn):
        watch.check("taking the RF phase out")
        np.multiply(data[pulse], factor, out=turned[pulse], casting="same_kind", dtype=turn.dtype)
    return turned


def _mask(
    file: Path,
    given: AnyArray | PathLike | None,
    shape: tuple[int, int, int],
    place: Geometry | None,
    notes: list[str],
    members: set[str] | None,
) -> BoolArray | None:
    """Return the mask on the stack's grid.

    ``place``: where that lies, if its file says so; ``members``: the files of its set, if that says so.
    """
    if given is None:
        beside = beside_stack(file)[0]
        if not beside.is_file():
            return None
        if members is not None and beside.name not in members:
            notes.append(f"{beside.name} beside it is not of its set, and left alone.")
            return None
        given = beside
        notes.append(f"The mask is that of {beside.name}.")
    inside, note = read_mask(given, shape, place, file.name)
    if note:
        notes.append(note)
    return inside
