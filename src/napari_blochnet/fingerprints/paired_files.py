"""Stacks in two files: magnitude and phase, or real and imaginary parts, by the names that BIDS and dcm2niix give."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from napari_blochnet.common.arrays import SignalKind, dimensions
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.progress import Watch
from napari_blochnet.fingerprints.array_pairs import ArrayChoiceError, pair_among, partner_names
from napari_blochnet.fingerprints.complex_parts import extent, joined_parts, joined_polar
from napari_blochnet.fingerprints.sources import SourceArray, open_array
from napari_blochnet.io.json_files import beside_json
from napari_blochnet.io.reading import refuse_beyond_memory

__all__ = ["Part", "beside_stack", "main_part", "open_parts", "part_of", "stack_stem"]

Role = Literal["mag", "phase", "real", "imag"]

_PARTNER: dict[str, Role] = {"mag": "phase", "phase": "mag", "real": "imag", "imag": "real"}
_WORDS = {"mag": "magnitude", "phase": "phase", "real": "real part", "imag": "imaginary part"}
_BIDS = re.compile(r"(?<![A-Za-z0-9])part-(mag|phase|real|imag)(?![A-Za-z0-9])")
# How the names of second parts end, and those of first parts; dcm2niix calls magnitudes by the bare name.
_ENDINGS: list[tuple[Role, str, tuple[str, ...]]] = [
    ("phase", "_phase", ("_mag", "_magnitude", "")),
    ("phase", "_ph", ("_mag", "")),
    ("imag", "_imaginary", ("_real",)),
    ("imag", "_imag", ("_real",)),
]
# What ImageType says in the JSON that dcm2niix writes: of Siemens, GE, Philips.
_IMAGE_TYPES: dict[str, Role] = {
    "P": "phase", "PHASE": "phase", "PHASE MAP": "phase", "I": "imag", "IMAGINARY": "imag", "I_FFE": "imag",
    "I_SE": "imag", "R": "real", "REAL": "real", "R_FFE": "real", "R_SE": "real",
}  # fmt: skip
_MAGNITUDES = {"M", "MAGNITUDE", "M_FFE", "M_SE"}
_SUFFIX = re.compile(r"\.(nii\.gz|img\.gz|hdr\.gz|\w+)$", re.IGNORECASE)


def stack_stem(file: Path) -> str:
    """Return the name of a stack's file without its ending."""
    return _SUFFIX.sub("", file.name)


def beside_stack(file: Path) -> tuple[Path, Path]:
    """Return the names of mask and JSON file of a stack."""
    return file.with_name(f"{stack_stem(file)}_mask.nii.gz"), file.with_name(f"{stack_stem(file)}.json")


@dataclass(frozen=True)
class Part:
    """What a file holds of complex samples.

    Parameters
    ----------
    file : Path
    role : {"mag", "phase", "real", "imag"}, optional
        None: nothing says so.
    said_by : str
        What says so, in words.
    partner : Path, optional
        The file beside it that holds the rest.
    """

    file: Path
    role: Role | None = None
    said_by: str = ""
    partner: Path | None = None


def part_of(file: Path) -> Part:
    """Return what name and JSON file say that a file holds, and where the rest is."""
    bids = _BIDS.search(file.name)
    if bids:
        role: Role = bids[1]  # type: ignore[assignment]
        other = file.name[: bids.start(1)] + _PARTNER[role] + file.name[bids.end(1) :]
        return Part(file, role, f"part-{role} in its name", _there(file, other))
    stem = stack_stem(file)
    ending = file.name[len(stem) :]
    for role, second, firsts in _ENDINGS:
        if stem.lower().endswith(second):
            body = stem[: -len(second)]
            found = (_there(file, f"{body}{first}{ending}") for first in firsts)
            return Part(file, role, f"{stem[-len(second) :]} in its name", next(filter(None, found), None))
    for role, second, firsts in _ENDINGS:
        for first in firsts:
            if stem.lower().endswith(first):
                there = _there(file, f"{stem[: len(stem) - len(first)]}{second}{ending}")
                if there is not None:
                    return Part(file, _PARTNER[role], f"{there.name} beside it", there)
    return _by_image_type(file)


def main_part(file: Path) -> Path:
    """Return the file of magnitudes or real parts that a file belongs to, beside which lies what is said of both."""
    part = part_of(file)
    return part.partner if part.partner is not None and part.role in ("phase", "imag") else file


def _there(file: Path, name: str) -> Path | None:
    path = file.with_name(name)
    return path if path != file and path.is_file() else None


def _by_image_type(file: Path) -> Part:
    said = beside_json(beside_stack(file)[1])[0].get("ImageType")
    words = {word.upper() for word in said if isinstance(word, str)} if isinstance(said, list) else set()
    roles = {_IMAGE_TYPES[word] for word in words if word in _IMAGE_TYPES}
    if len(roles) != 1 or words & _MAGNITUDES:
        return Part(file)
    return Part(file, roles.pop(), "ImageType in the JSON file beside it")


def open_parts(
    file: Path, variable: str | None, kind: SignalKind | None, watch: Watch, notes: list[str]
) -> tuple[Path, SourceArray]:
    """Open a stack's file, with the other part of its samples where that lies beside it.

    Parameters
    ----------
    file : Path
        Either of the two.
    variable : str, optional
        See `open_array`.
    kind : {"complex", "real", "magnitude"}, optional
        Real and magnitude: the first part alone.
    watch : Watch
    notes : list of str
        What was understood is added.

    Returns
    -------
    Path
        The first part's file, or the only one: what belongs to the stack lies beside it.
    SourceArray

    Raises
    ------
    InputError
        A phase or an imaginary part alone, unless the kind is given; two parts that differ in shape or place, or are
        not what their names say.
    """
    part = part_of(file)
    is_second = part.role in ("phase", "imag")
    if part.partner is None:
        both = _two_arrays(file, variable, kind, watch)
        if isinstance(both, tuple):
            return file, _joined(*both, watch, notes)
        source = both
        if kind is None and part.role in ("phase", "imag") and source.data.dtype.kind != "c":
            raise _alone(file, part.role, part.said_by)
        if part.role == "real" and source.data.dtype.kind != "c":
            notes.append(f"{file.name} holds the real part alone ({part.said_by}).")
        return file, source
    first, second = (part.partner, file) if is_second else (file, part.partner)
    source = open_array(first, variable, watch=watch)
    if kind in ("real", "magnitude") or source.data.dtype.kind == "c":
        if is_second:
            notes.append(f"{first.name} is read, not {file.name}, which holds the other part.")
        return first, source
    other = open_array(second, variable, watch=watch)
    return first, _joined(first, source, second, other, part.role in ("mag", "phase"), watch, notes)


def _two_arrays(
    file: Path, variable: str | None, kind: SignalKind | None, watch: Watch
) -> SourceArray | tuple[Path, SourceArray, Path, SourceArray, bool]:
    """Open the array of a file, or both where it holds two parts of complex samples, with what these are called."""
    alone = kind in ("real", "magnitude")
    try:
        source = open_array(file, variable, watch=watch)
        if variable is None or alone or source.data.dtype.kind == "c":
            return source
        role, candidates = partner_names(variable)
        found = next((found for name in candidates if (found := _there_is(file, name, watch)) is not None), None)
        if found is None:
            return source
        name, other = found
        halves = [(variable, source), (name, other)]
        if role in ("imag", "phase"):
            halves.reverse()
    except ArrayChoiceError as error:
        pair = pair_among(error.shapes, variable)
        if pair is None:
            raise
        if alone:
            return open_array(file, pair[0], watch=watch)
        role = pair[2]
        halves = [(name, open_array(file, name, watch=watch)) for name in pair[:2]]
    called = [file.with_name(f"{file.name}, {re.split('[/.]', name)[-1]}") for name, _ in halves]
    return called[0], halves[0][1], called[1], halves[1][1], role in ("mag", "phase")


def _there_is(file: Path, name: str, watch: Watch) -> tuple[str, SourceArray] | None:
    try:
        return name, open_array(file, name, watch=watch)
    except FileError as error:
        if error.field == "variable":
            return None
        raise


def _joined(
    first: Path, source: SourceArray, second: Path, other: SourceArray, is_polar: bool, watch: Watch, notes: list[str]
) -> SourceArray:
    """Return complex samples of their two parts, which the paths are the names of."""
    _check_alike(first, source, second, other)
    refuse_beyond_memory(first, source.data.size * 8)
    what = f"reading {first.name} and {second.name}"
    if is_polar:
        low, _ = extent(source.data, watch, what)
        if low < 0:
            raise FileError(
                first,
                f"lies beside the phase {second.name}, but holds samples below 0, down to {low:.3g}; give the kind as "
                "real to read it alone",
                "a magnitude",
                field="kind",
            )
        unit = beside_json(beside_stack(second)[1])[0].get("Units")
        data, words = joined_polar(
            source.data, other.data, unit if isinstance(unit, str) else "", second.name, watch, what
        )
        words = f"magnitude and phase ({words})"
    else:
        lows = [extent(each.data, watch, what)[0] for each in (source, other)]
        if min(lows) >= 0:
            raise FileError(
                first,
                f"lies beside {second.name} as real and imaginary parts do, but neither holds a sample below 0; give "
                "the kind as magnitude to read it alone",
                "parts of both signs",
                field="kind",
            )
        data, words = joined_parts(source.data, other.data, watch, what), "real and imaginary parts"
    notes.append(f"{first.name} and {second.name} are read together, as {words} of complex samples.")
    return replace(source, data=data)


def _alone(file: Path, role: Role, said_by: str) -> FileError:
    """Return why half of the samples is no stack."""
    article, names = ("a", "x and x_ph") if role == "phase" else ("an", "x_real and x_imaginary")
    other = _PARTNER[role]
    return FileError(
        file,
        f"is {article} {_WORDS[role]} ({said_by}), from which alone nothing can be mapped; give the {_WORDS[other]}, "
        f"with this file beside it (…_part-{other} and …_part-{role}, or {names}), or the kind if these are signals.",
        field="kind",
    )


def _check_alike(first: Path, one: SourceArray, second: Path, other: SourceArray) -> None:
    """Refuse two parts that are not of one stack."""
    if other.data.dtype.kind == "c":
        raise FileError(second, f"lies beside {first.name} as a part of its samples, but holds complex numbers; give "
                        "the kind as magnitude or real to read the first alone.", field="kind")  # fmt: skip
    shapes = one.data.shape, other.data.shape
    if shapes[0] != shapes[1]:
        found, wanted = dimensions(shapes[1]), dimensions(shapes[0])
        raise FileError(
            second,
            f"has shape {found}; {first.name}, the other part of its samples, has {wanted} (give the kind as magnitude "
            "or real to read one alone).",
            field="kind",
        )
    if one.geometry is not None and other.geometry is not None:
        size = max(shapes[0]) * np.abs(one.geometry.affine - other.geometry.affine)[:3, :3].max()
        moved = np.abs(one.geometry.affine - other.geometry.affine)[:3, 3].max()
        if max(size, moved) > 0.05 * min(one.geometry.voxel_size):
            raise FileError(
                second,
                f"lies elsewhere than {first.name}, the other part of its samples, by their affines (give the kind as "
                "magnitude or real to read one alone).",
                field="kind",
            )
