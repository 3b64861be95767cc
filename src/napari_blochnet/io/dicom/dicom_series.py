"""DICOM images as one array with its geometry: what belongs together, sorted by where it lies and how it was made."""

from __future__ import annotations

import itertools
import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray
from napari_blochnet.common.errors import FileError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.containers.spilled_arrays import roomy_array
from napari_blochnet.io.dicom.dicom_headers import CONTRASTS, Frame, Part, dicom_files, has_dicom_mark, read_frames
from napari_blochnet.io.dicom.dicom_samples import complex_samples, read_samples

__all__ = ["DicomStack", "is_dicom", "read_dicom"]

# Positions that differ by less, mm, are one place; directions and spacings by less, one grid.
_SAME_PLACE, _SAME_GRID = 1e-2, 1e-4
# Of a folder, to tell what it is.
_LOOKED_AT = 200
# Slices may lie off their place by this share of their distance.
_UNEVEN = 0.1
_PAIRS: tuple[tuple[Part, Part], ...] = (("real", "imaginary"), ("magnitude", "phase"))

Order = Literal["contrast", "acquisition"]


@dataclass(frozen=True, eq=False)
class DicomStack:
    """Images of one place.

    Parameters
    ----------
    data : array of shape (time, z, y, x)
        float32; complex64 where magnitude and phase, or real and imaginary part, are there.
    geometry : Geometry
    contrasts : dict of str to array of shape (time,)
        TI, TE and TR in ms, flip angle in degrees, as far as the images say; NaN where one does not.
    part : {"magnitude", "phase", "real", "imaginary", "complex"}
        What the numbers are.
    notes : tuple of str
        What was understood, in sentences.
    """

    data: AnyArray
    geometry: Geometry
    contrasts: dict[str, FloatArray]
    part: Part | Literal["complex"]
    notes: tuple[str, ...] = ()


def is_dicom(path: str | os.PathLike[str]) -> bool:
    """Whether a file is DICOM by its mark, or a folder has an index of such files, or one among its first files."""
    found = Path(path)
    if not found.is_dir():
        return has_dicom_mark(found)
    try:
        first = (file for file, _ in zip(dicom_files(found), range(_LOOKED_AT), strict=False))
        return has_dicom_mark(found / "DICOMDIR") or any(map(has_dicom_mark, first))
    except OSError:
        return False


def read_dicom(
    path: str | os.PathLike[str], series: str | None = None, order: Order = "contrast", *, watch: Watch = UNWATCHED
) -> DicomStack:
    """Read DICOM images.

    Parameters
    ----------
    path : path
        A folder, read with what is below it; an enhanced file; or a file of one image, which is read with the others
        of its series beside it.
    series : str, optional
        Which series, where several do not belong together: number, description or UID, or several of these, with
        commas between them.
    order : {"contrast", "acquisition"}
        What comes first in time: series of contrasts go by TI and TE, fingerprints as they were acquired.
    watch : Watch
        Counts images.

    Returns
    -------
    DicomStack
        Series that differ only in TI, TE, TR or flip angle and lie in one place are joined; so are magnitude and
        phase, and real and imaginary part.

    Raises
    ------
    InputError
        No DICOM image; several series that do not belong together; slices that are missing, not parallel or not
        evenly spaced; images that say nothing of their order; samples that cannot be unpacked here.
    Cancelled
    """
    found = Path(path)
    if found.name.upper() == "DICOMDIR":
        found = found.parent
    notes: list[str] = []
    frames = _collect(found, notes, watch)
    group = _one_group(found.name, frames, series)
    return _joined(found.name, group, order, notes, watch)


def _collect(found: Path, notes: list[str], watch: Watch) -> list[Frame]:
    """Return the images of a folder, or of a file and its series."""
    wanted = None
    if found.is_dir():
        files = list(dicom_files(found))
    else:
        own = read_frames(found)
        if isinstance(own, str):
            raise FileError(found, f"is {own}", "an image of a slice")
        if own[0].index is not None or not own[0].series:
            return own
        wanted = own[0].series
        files = [file for file in sorted(found.parent.iterdir()) if not file.is_symlink()]
    frames: list[Frame] = []
    others: Counter[str] = Counter()
    seen: set[tuple[str, int | None]] = set()
    for done, file in enumerate(files):
        watch.check("reading DICOM headers")
        watch.report(done, len(files), "reading DICOM headers")
        read = read_frames(file) if has_dicom_mark(file) else "no DICOM file"
        if isinstance(read, str):
            others[read] += 1
            continue
        for frame in read:
            if wanted is not None and frame.series != wanted:
                continue
            if (frame.uid, frame.index) in seen:
                others["a copy of another image"] += 1
                continue
            seen.add((frame.uid, frame.index))
            frames.append(frame)
    listed = ", ".join(f"{count} {what}" for what, count in others.items())
    if not frames:
        these = f" (its files: {listed})" if listed else ""
        raise FileError(
            found,
            f"holds no DICOM image of a slice and no series of NIfTI files{these}",
            "a folder of one series (of a BIDS dataset sub-…/anat), or a file",
        )
    if wanted is not None and len(frames) > 1:
        notes.append(f"{found.name} is one of {len(frames)} images of its series in this folder; all were read.")
    elif wanted is None and listed:
        notes.append(f"Files of {found.name} that were passed over: {listed}.")
    return frames


def _same_grid(one: Frame, other: Frame) -> bool:
    return (
        one.size == other.size
        and np.allclose(one.spacing, other.spacing, atol=_SAME_GRID)
        and np.allclose(one.orientation, other.orientation, atol=_SAME_GRID)
    )


def _places(frames: Iterable[Frame]) -> FloatArray:
    """Return the places at which there are images, in order."""
    return np.array(sorted({tuple(np.round(frame.position, 1) + 0.0) for frame in frames}))


def _one_group(name: str, frames: list[Frame], series: str | None) -> list[Frame]:
    """Return the images that belong together."""
    units: list[list[Frame]] = []
    for frame in frames:
        for unit in units:
            one = unit[0]
            if (one.series, one.part) == (frame.series, frame.part) and _same_grid(one, frame):
                unit.append(frame)
                break
        else:
            units.append([frame])
    units.sort(key=lambda unit: (unit[0].number, unit[0].series))
    if series is not None:
        asked = {word.strip() for word in series.split(",")} | {series.strip()}
        units = [unit for unit in units if asked & {str(unit[0].number), unit[0].description, unit[0].series}]
        if not units:
            raise FileError(name, f"has no series {series!r}; it holds {_listed(frames)}.", field="variable")
    groups: list[list[list[Frame]]] = []
    for unit in units:
        for group in groups:
            if all(_belong(unit, other, asked=series is not None and "," in series) for other in group):
                group.append(unit)
                break
        else:
            groups.append([unit])
    if len(groups) > 1:
        raise FileError(
            name,
            f"holds {_listed([unit[0] for group in groups for unit in group])}, which are not one stack; give "
            "variable, the number of one series (or of several, with commas).",
            field="variable",
        )
    return [frame for unit in groups[0] for frame in unit]


def _belong(unit: list[Frame], other: list[Frame], *, asked: bool) -> bool:
    """Whether two series are parts of one stack: of one place, and different in contrast or in part."""
    one, two = unit[0], other[0]
    if not _same_grid(one, two):
        return False
    if asked:
        return True
    here, there = _places(unit), _places(other)
    if one.identity != two.identity or here.shape != there.shape or not np.allclose(here, there, atol=0.11):
        return False
    return one.part != two.part or not {f.contrast for f in unit} & {f.contrast for f in other}


def _listed(frames: Iterable[Frame]) -> str:
    named = {(frame.number, frame.series, frame.part): frame for frame in frames}
    several = [
        f"series {frame.number} ({', '.join(filter(None, (frame.description, frame.part)))})"
        for _, frame in sorted(named.items())
    ]
    return ", ".join(several[:8]) + (f" and {len(several) - 8} more" if len(several) > 8 else "")


def _joined(name: str, frames: list[Frame], order: Order, notes: list[str], watch: Watch) -> DicomStack:
    """Sort images into slices and time points, and read their samples."""
    parts = {frame.part for frame in frames}
    pair = next((pair for pair in _PAIRS if set(pair) <= parts), None)
    if pair is None and len(parts) > 1:
        raise FileError(
            name,
            f"holds {' and '.join(sorted(parts))} images; give variable, the number of one series.",
            field="variable",
        )
    wanted = pair or (next(iter(parts)),)
    if set(wanted) < parts:
        notes.append(f"{' and '.join(sorted(parts - set(wanted))).capitalize()} images were left out.")
    by = _sorted_by(frames, order)
    stacks = [_slices(name, [frame for frame in frames if frame.part == part], by) for part in wanted]
    if len({tuple(tuple(frame.contrast for frame in row) for row in rows) for rows in stacks}) > 1:
        raise FileError(
            name,
            f"holds {' and '.join(wanted)} images that do not pair off",
            "one of each for every slice and time point",
        )
    slices = stacks[0]
    geometry = _geometry(name, slices)
    data: AnyArray = read_samples(slices, watch)
    if pair is not None:
        other = read_samples(stacks[1], watch)
        if pair == ("real", "imaginary"):
            joined = roomy_array(data.shape, np.dtype(np.complex64))
            joined.real, joined.imag = data, other
            data = joined
        else:
            data, unit = complex_samples(name, data, other, stacks[1][0][0])
            notes.append(f"The phase images hold {unit}.")
        notes.append(f"{' and '.join(pair).capitalize()} images were joined to complex samples.")
    notes += _told(slices, by)
    part: Part | Literal["complex"] = wanted[0] if pair is None else "complex"
    return DicomStack(data, geometry, _contrasts(slices[0]), part, tuple(notes))


def _varying(frames: Iterable[Frame]) -> list[str]:
    """Return the keywords of the contrasts that differ between images."""
    values = zip(CONTRASTS, zip(*(frame.contrast for frame in frames), strict=True), strict=True)
    return [keyword for keyword, seen in values if len(set(seen)) > 1]


def _sorted_by(frames: list[Frame], order: Order) -> list[str]:
    """Return the contrasts by which images of a slice are sorted, before the order of their acquisition."""
    if order == "acquisition":
        return []
    several = len({frame.series for frame in frames}) > 1
    # within one series flip angle and TR may go up and down, as a fingerprint's do
    return [keyword for keyword in _varying(frames) if several or keyword in ("InversionTime", "EchoTime")]


def _slices(name: str, frames: list[Frame], by: Sequence[str]) -> list[list[Frame]]:
    """Return images by slice, from the first along the normal, each sorted by time."""

    def when(frame: Frame) -> tuple[float, ...]:
        return (*(frame.contrasts.get(keyword, -1.0) for keyword in by), *frame.order)

    slices: list[list[Frame]] = []
    for frame in sorted(frames, key=lambda frame: frame.depth):
        if slices and abs(frame.depth - slices[-1][0].depth) < _SAME_PLACE:
            if np.abs(frame.position - slices[-1][0].position).max() > 0.1:
                raise FileError(
                    name,
                    f"holds images of one depth at {np.round(slices[-1][0].position, 1).tolist()} and "
                    f"{np.round(frame.position, 1).tolist()} mm",
                    "images that lie above each other",
                )
            slices[-1].append(frame)
        else:
            slices.append([frame])
    counts = [len(row) for row in slices]
    if len(set(counts)) > 1:
        raise FileError(
            name,
            f"holds {min(counts)} to {max(counts)} images of its {len(slices)} slices",
            "as many of each (an image may be missing, or there are several series: give variable, the number of one)",
        )
    rows = [sorted(row, key=when) for row in slices]
    for row in rows:
        for one, two in itertools.pairwise(row):
            if when(one) == when(two):
                raise FileError(
                    name, f"{one.file.name} and {two.file.name} say nothing of their order", "numbers of instances"
                )
    return rows


def _geometry(name: str, slices: list[list[Frame]]) -> Geometry:
    """Return the affine (RAS+) of images sorted by slice; DICOM's own directions are left and posterior."""
    one = slices[0][0]
    affine = np.eye(4)
    affine[:3, 0] = one.orientation[:3] * one.spacing[1]
    affine[:3, 1] = one.orientation[3:] * one.spacing[0]
    if len(slices) > 1:
        places = np.array([row[0].position for row in slices])
        step = (places[-1] - places[0]) / (len(slices) - 1)
        off = np.abs(places - (places[0] + np.arange(len(slices))[:, None] * step)).max()
        if off > _UNEVEN * np.linalg.norm(step):
            steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
            raise FileError(
                name,
                f"its slices lie {steps.min():.3g} to {steps.max():.3g} mm apart",
                "equal distances (an image may be missing)",
            )
        affine[:3, 2] = step
    else:
        affine[:3, 2] = one.normal * one.thickness
    affine[:3, 3] = one.position
    affine[:2] *= -1
    return Geometry.from_affine(affine)


def _contrasts(row: Sequence[Frame]) -> dict[str, FloatArray]:
    return {
        called: np.array([frame.contrasts.get(keyword, math.nan) for frame in row])
        for keyword, (called, _) in CONTRASTS.items()
        if any(keyword in frame.contrasts for frame in row)
    }


def _told(slices: list[list[Frame]], by: Sequence[str]) -> list[str]:
    notes = []
    row = slices[0]
    varying = _varying(row)
    series = {frame.series for frame in row}
    if len(series) > 1:
        notes.append(
            f"{len(series)} series of one place that differ in "
            f"{' and '.join(CONTRASTS[keyword][0] for keyword in varying)} were joined."
        )
    for keyword in varying:
        called, unit = CONTRASTS[keyword]
        values = [frame.contrasts.get(keyword, math.nan) for frame in row]
        listed = ", ".join(f"{value:g}" for value in values[:12]) + (", …" if len(values) > 12 else "")
        notes.append(f"{called} varies: {listed} {unit}.".replace(" °", "°"))
    if len(row) > 1:
        how = " and ".join(CONTRASTS[keyword][0] for keyword in by)
        notes.append(f"Images are in the order of {how or 'their acquisition'}.")
    scaled = [frame for frame in row if frame.scaled_by == "Philips"]
    if scaled:
        notes.append("Samples are Philips' floating-point values, by the private scale slope of each image.")
    elif len({(frame.slope, frame.intercept) for frame in row}) > 1:
        notes.append("Each image is rescaled by its own slope; whether that makes them comparable, the maker knows.")
    return notes
