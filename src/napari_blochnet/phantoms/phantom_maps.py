"""Phantoms out of T1, T2, PD and B1 maps that exist already: NIfTI with BIDS names, and MATLAB."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray, dimensions, first_true
from napari_blochnet.common.errors import DataWarning, FileError, InputError, in_file
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.grids import turned_onto, without_axes_of_one
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.nifti import nifti_sidecar, nifti_stem, read_nifti
from napari_blochnet.phantoms.brainweb import role_of
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.phantoms.tissues import tissue_key

__all__ = ["MAP_KEYS", "fractions_beside", "map_key", "phantom_from_maps", "read_map_files"]

#: The fields of a phantom that a map can fill.
MAP_KEYS = ("t1", "t2", "pd", "b1")

_SCALES = {
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1.0),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1000.0),
}
# The median T1 of any tissue lies between these, ms; so a median tells ms from s.
_PLAUSIBLE_MEDIAN = (20.0, 20_000.0)


def map_key(name: str) -> str | None:
    """Return which field a file or variable name means: ``t1``, ``t2``, ``pd``, ``b1``; or None.

    BIDS suffixes (``T1map``, ``TB1map``) and plain names (``T1``, ``t2_ms``, ``T1_128``, ``PD``) are understood.
    """
    words = re.split(r"[^a-z0-9]+", name.lower())
    for word in reversed(words):
        found = re.fullmatch(r"t?(t1|t2|pd|b1)(?:map)?", word)
        if found:
            return found[1]
        if word == "m0" or word == "m0map":
            return "pd"
    return None


def read_map_files(files: Mapping[str, Path], labels: Path | None, *, watch: Watch = UNWATCHED) -> Phantom:
    """Read NIfTI maps into a phantom.

    Parameters
    ----------
    files : mapping of str to Path
        By `MAP_KEYS`; T1 and T2 at least.
    labels : Path, optional
        BIDS discrete segmentation; names of its labels from the ``.tsv`` beside it.
    watch : Watch
        Counts megabytes of each file.

    Returns
    -------
    Phantom

    Raises
    ------
    InputError
        T1 or T2 missing; files of different shape; a unit that cannot be told; values no phantom may hold.
    """
    first = next(iter(files.values()))
    maps: dict[str, AnyArray] = {}
    units: dict[str, str | None] = {}
    geometry, shape = None, (0, 0, 0)
    notes: list[str] = []
    for key, path in files.items():
        values, here = read_nifti(path, watch=watch)
        values = without_axes_of_one(values)
        if values.ndim != 3:
            raise FileError(path, "has four axes", "a map with three")
        if geometry is None:
            geometry, shape = here, values.shape
        else:
            values = _beside(path, values, here, shape, geometry, first, notes)
        maps[key] = values
        units[key] = _sidecar_unit(path)
    found: dict[str, Any] = {}
    if labels is not None:
        values, here = read_nifti(labels, watch=watch)
        values = _beside(labels, values, here, shape, geometry or Geometry(), first, notes)
        if values.min() < 0 or values.max() > 255 or (values != np.rint(values)).any():
            raise FileError(labels, "holds values that are not labels", "whole numbers from 0 to 255")
        found = {"labels": values.astype(np.uint8), "tissues": _label_names(labels, int(values.max()))}
    about = nifti_sidecar(first)
    name = about.get("Name")
    if not isinstance(name, str) or not name:
        name = re.sub(r"_[A-Za-z0-9]+map$", "", nifti_stem(first))
    phantom = phantom_from_maps(
        maps, geometry or Geometry(), source=first.name, name=name, units=units, notes=notes, **found
    )
    record = about.get("Record")
    return replace(phantom, record=record) if isinstance(record, dict) else phantom


def phantom_from_maps(
    maps: Mapping[str, AnyArray],
    geometry: Geometry,
    *,
    source: str,
    name: str,
    units: Mapping[str, str | None] | None = None,
    notes: list[str] | None = None,
    labels: AnyArray | None = None,
    tissues: tuple[str, ...] = (),
) -> Phantom:
    """Make a phantom of maps, leaving out voxels that lack one of T1, T2 and PD.

    Parameters
    ----------
    maps : mapping of str to array of shape (Z, Y, X)
        By `MAP_KEYS`; T1 and T2 at least. 0 and NaN in all maps are background.
    geometry : Geometry
    source : str
        The file, as a sentence names it.
    name : str
    units : mapping of str to str, optional
        "ms" or "s" where stated.
    notes : list of str, optional
        What was noticed before.
    labels, tissues : optional
        As in `Phantom`.

    Warns
    -----
    DataWarning
        Voxels left out.
    """
    for key in ("t1", "t2"):
        if key not in maps:
            raise FileError(
                source,
                f"there is no {key.upper()} map; found {', '.join(maps) or 'none'}, expected T1 and T2 at least.",
            )
    said = list(notes or [])
    values = {key: _numbers(f"{source}: the {key.upper()} map", maps[key]) for key in maps}
    background = np.logical_and.reduce([(values[key] == 0) | np.isnan(values[key]) for key in ("t1", "t2")])
    for key, array in values.items():
        nan = np.isnan(array)
        if (nan & ~background).any():
            where = first_true(nan & ~background)
            raise FileError(
                source,
                f"{key.upper()} is NaN at voxel (z, y, x) = {where}, where T1 or T2 is not",
                "numbers",
                field=key,
            )
        array[nan] = 0
    t1_scale = _time_scale(source, "t1", values["t1"], units or {}, said)
    t2_scale = _SCALES.get((units or {}).get("t2") or "", t1_scale)
    values["t1"] = values["t1"] * np.float32(t1_scale)
    values["t2"] = values["t2"] * np.float32(t2_scale)
    if "pd" not in values:
        values["pd"] = np.where(background, np.float32(0), np.float32(1))
        said.append("There is no PD map; PD is 1 in every voxel.")
    for key, array in values.items():
        if (array < 0).any():
            where = first_true(array < 0)
            raise FileError(
                source,
                f"{key.upper()} is {array[where]:g} at voxel (z, y, x) = {where}",
                "values above 0, or 0 outside the object",
                field=key,
            )
    # a map of B1 may well be 0 where its scan had no signal, and says nothing there
    needed = [key for key in values if key != "b1" or (values["b1"][~background] == 0).any()]
    mask = np.logical_and.reduce([values[key] > 0 for key in needed])
    left_out = [
        f"{int(count):,} with {key.upper()} = 0"
        for key in needed
        if (count := ((values[key] == 0) & ~background).sum())
    ]
    if labels is not None and (labels[~mask] > 0).any():
        bad = (labels > 0) & ~mask
        where = first_true(bad)
        raise FileError(
            source,
            f"T1, T2 or PD is 0 at voxel (z, y, x) = {where}, which its labels call {labels[where]}, and in "
            f"{int(bad.sum())} labelled voxels in all",
            "values above 0 there",
        )
    if left_out:
        total = int((~mask & ~background).sum())
        sentence = f"{source}: {total:,} voxels were left out of the mask: {', '.join(left_out)}."
        said.append(sentence)
        warnings.warn(sentence, DataWarning, stacklevel=3)
    said.append(f"The file holds maps of {', '.join(key.upper() for key in maps)}.")
    with in_file(source):
        return Phantom(
            **{key: values.get(key) for key in MAP_KEYS},  # type: ignore[arg-type]
            mask=mask,
            labels=labels,
            tissues=tissues,
            voxel_size=geometry.voxel_size,
            affine=geometry.affine,
            name=name,
            notes=tuple(said),
        )


def _numbers(what: str, array: AnyArray) -> FloatArray:
    if array.dtype.kind not in "iufb":
        raise InputError(f"{what} holds {array.dtype}", "real numbers", field="path")
    # seconds in double precision are milliseconds to the last bit of single precision
    values: FloatArray = np.array(array, dtype=np.float64 if array.dtype == np.float64 else np.float32)
    with np.errstate(over="ignore"):
        infinite = np.isinf(values.astype(np.float32, copy=False)).any()
    if infinite:
        raise InputError(f"{what} holds infinity", "finite numbers", field="path")
    return values


def _time_scale(source: str, key: str, values: FloatArray, units: Mapping[str, str | None], notes: list[str]) -> float:
    """Return what makes ms of the map: its stated unit, or the unit that puts the median T1 where tissues have it."""
    used = values[values > 0]
    if not len(used):
        raise FileError(source, f"the {key.upper()} map holds no value above 0", "T1 values", field=key)
    stated = units.get(key)
    median = float(np.median(used))
    low, high = _PLAUSIBLE_MEDIAN
    fits = [unit for unit in ("ms", "s") if low <= median * _SCALES[unit] < high]
    if stated is not None:
        if not fits or not math.isclose(_SCALES[stated], _SCALES[fits[0]]):
            raise FileError(
                source,
                f"states {key.upper()} in {stated}, but its median is {median:g}",
                f"a median from {low:g} ms to {high / 1000:g} s",
                field=key,
            )
        return _SCALES[stated]
    if not fits:
        raise FileError(
            source,
            f"the unit of {key.upper()} is not stated and a median of {median:g} tells neither ms nor s; "
            "state 'Units' as 'ms' or 's' in a JSON file beside it.",
            field=key,
        )
    notes.append(f"The unit of T1 and T2 is not stated; a median T1 of {median:g} means {fits[0]}.")
    return _SCALES[fits[0]]


def _sidecar_unit(path: Path) -> str | None:
    unit = nifti_sidecar(path).get("Units")
    if not isinstance(unit, str):
        return None
    if unit.lower() not in _SCALES and map_key(nifti_stem(path)) in ("t1", "t2"):
        raise InputError(f"{nifti_stem(path)}.json: states the unit {unit!r}", "'s' or 'ms'", field="path")
    return unit.lower()


def _label_names(labels: Path, largest: int) -> tuple[str, ...]:
    """Return the names of labels 1 to ``largest`` from the BIDS table beside the segmentation."""
    table = labels.with_name(f"{nifti_stem(labels)}.tsv")
    names = {number: f"label {number}" for number in range(1, largest + 1)}
    if table.exists() and table.stat().st_size < 2**20:
        rows = [line.split("\t") for line in table.read_text(encoding="utf-8", errors="replace").splitlines()]
        header = rows[0] if rows else []
        if "index" in header and "name" in header:
            at_index, at_name = header.index("index"), header.index("name")
            for row in rows[1:]:
                if len(row) == len(header) and row[at_index].isdigit() and 1 <= int(row[at_index]) <= 255:
                    names[int(row[at_index])] = row[at_name]
    return tuple(names.get(number, f"label {number}") for number in range(1, max(names, default=0) + 1))


def fractions_beside(
    files: list[Path], tissues: tuple[str, ...], shape: tuple[int, ...]
) -> dict[str, FloatArray] | None:
    """Return the tissue fractions stored beside maps (``label-TISSUE_probseg``), None where one is missing."""
    by_key = {tissue_key(role_of(path)): path for path in files}
    if not tissues or any(tissue_key(tissue) not in by_key for tissue in tissues):
        return None
    found = {}
    for tissue in tissues:
        path = by_key[tissue_key(tissue)]
        share, _ = read_nifti(path)
        if share.shape != shape:
            raise _other_shape(path, share, shape)
        found[tissue] = np.asarray(share, dtype=np.float32)
    return found


def _beside(
    path: Path,
    values: AnyArray,
    here: Geometry,
    shape: tuple[int, ...],
    geometry: Geometry,
    first: Path,
    notes: list[str],
) -> AnyArray:
    """Return a map as it lies beside the first one of its phantom: tissues are not interpolated, only turned."""
    values = without_axes_of_one(values)
    z, y, x = shape
    laid = turned_onto(values, here, (z, y, x), geometry, name=path.name, onto=first.name)
    if laid is None:
        if values.shape != shape:
            raise _other_shape(path, values, shape, first)
        notes.append(f"{path.name} has another affine than {first.name}; that of {first.name} was taken.")
        return values
    notes += [laid.note] if laid.note else []
    return laid.data


def _other_shape(path: Path, values: AnyArray, shape: tuple[int, ...], first: Path | None = None) -> FileError:
    like = f", as in {first.name}" if first is not None else ""
    return FileError(path, f"has {dimensions(values.shape)} voxels (z, y, x)", dimensions(shape) + like)
