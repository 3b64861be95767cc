"""T1 and T2 maps of other programs, as maps to compare: by BIDS and other names, in s or ms, often without PD."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray
from napari_blochnet.common.errors import DataWarning, FileError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.plain_text import counted
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.io.nifti import is_nifti, nifti_sidecar
from napari_blochnet.phantoms.map_files import MapArray, MapHints, choose_maps, map_key, plain_stem, read_maps_of
from napari_blochnet.phantoms.phantom_maps import usable_times

__all__ = ["brought_sets", "maps_of_arrays", "read_brought_maps"]

_MAP = re.compile(r"(?<![a-z0-9])(map)?[tq]?(t1|t2|pd|b1|r1|r2|m0)(_?map)?(?![a-z0-9])", re.IGNORECASE)


def brought_sets(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Return NIfTI maps by the name that a set of them has in common; sets without a map of T1 are left out."""
    for by_ending in (False, True):
        found: dict[str, list[Path]] = {}
        for file in files:
            stem = plain_stem(file)
            if is_nifti(file) and map_key(stem, by_ending=by_ending) is not None:
                found.setdefault(_MAP.sub("", stem).strip("_-. "), []).append(file)
        keys = {name: {map_key(plain_stem(file), by_ending=by_ending) for file in maps} for name, maps in found.items()}
        sets = {
            name: maps
            for name, maps in found.items()
            if {"t1", "t2"} <= keys[name] or ("t1" in keys[name] and not by_ending)
        }
        if sets:
            return sets
    return {}


def read_brought_maps(paths: Sequence[Path], prefix: str | None = None, hints: MapHints | None = None) -> ParameterMaps:
    """Read T1 and T2 maps, and PD where there is one.

    Parameters
    ----------
    paths : sequence of Path
        A folder; one map, beside which the others of its set lie; or the files of a set.
    prefix : str, optional
        Which set of a folder.
    hints : MapHints, optional
        Units that neither the files nor their values tell.

    Returns
    -------
    ParameterMaps
        Their mask is where T1 and T2 are positive numbers. No residual, and no PD where there is no map of it.

    Raises
    ------
    InputError
        No T1 or T2 map; several sets; maps on different grids; a unit that cannot be told.

    Warns
    -----
    DataWarning
        Voxels that hold something, but no time.
    """
    where, files = _set(paths, prefix)
    chosen = choose_maps(files, where)
    if "t1" in chosen and {"Name", "Notes"} <= set(nifti_sidecar(chosen["t1"])):
        raise FileError(where, "holds a phantom, which counts as truth", "maps to compare with it", field="maps")
    notes: list[str] = []
    hints = hints or MapHints(by_file=True)
    maps, geometry = read_maps_of({key: chosen[key] for key in ("t1", "t2", "pd") if key in chosen}, hints, notes)
    return maps_of_arrays(maps, geometry or Geometry(), where, f"T1map of {where}", hints, notes)


def maps_of_arrays(
    maps: Mapping[str, MapArray],
    place: Geometry,
    where: str,
    estimator: str,
    hints: MapHints,
    notes: Sequence[str] = (),
) -> ParameterMaps:
    """Return arrays of T1 and T2, and PD where there is one, as maps to compare.

    Parameters
    ----------
    maps : mapping of str to MapArray
        By "t1", "t2" and "pd".
    place : Geometry
    where : str
        What they are of, as a sentence names it.
    estimator : str
        What they are called.
    hints : MapHints
    notes : sequence of str
        What was noticed before.

    Returns, raises, warns: see `read_brought_maps`.
    """
    notes = list(notes)
    times = usable_times(maps, where, hints, notes)
    with np.errstate(invalid="ignore"):
        valid = {key: (array > 0) & (array < np.inf) for key, array in times.items()}
        empty = np.logical_and.reduce([(array == 0) | np.isnan(array) for array in times.values()])
    mask = valid["t1"] & valid["t2"]
    if not mask.any():
        raise FileError(where, "in no voxel are T1 and T2 both above 0", "maps of the same voxels")
    lost = int((~mask & ~empty).sum())
    if lost:
        notes.append(
            f"{counted(lost, 'voxel', ',')} {'has' if lost == 1 else 'have'} no T1 or T2 that is a "
            "time above 0: not mapped."
        )
    for note in notes:
        warnings.warn(f"{where}: {note}", DataWarning, stacklevel=4)

    def inside(values: AnyArray) -> FloatArray:
        return np.where(mask, np.nan_to_num(values, nan=0, posinf=0, neginf=0), 0).astype(np.float32)

    return ParameterMaps(
        inside(times["t1"]),
        inside(times["t2"]),
        inside(maps["pd"].values) if "pd" in maps else None,
        None,
        mask,
        estimator=estimator,
        voxel_size=place.voxel_size,
        affine=place.affine,
    )


def _set(paths: Sequence[Path], prefix: str | None) -> tuple[str, list[Path]]:
    """Return what a set of maps is called, and its files."""
    first = paths[0]
    folder = first if first.is_dir() else first.parent
    beside = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    sets = brought_sets(beside if len(paths) == 1 else paths)
    if len(paths) > 1:
        return folder.name, list(paths)
    if not first.is_dir():
        own = next((maps for maps in sets.values() if first in maps), None)
        if own is None:
            raise FileError(first, "is no T1 map by its name, or lies alone", "…_T1map.nii.gz beside …_T2map.nii.gz")
        return plain_stem(first) if len(sets) > 1 else folder.name, own
    if prefix is not None:
        if prefix not in sets:
            raise FileError(folder.name, f"holds no maps named {prefix}…", f"one of {', '.join(sets)}", field="prefix")
        return f"{folder.name}/{prefix}", sets[prefix]
    if len(sets) != 1:
        names = ", ".join(sets) or "none"
        raise FileError(folder.name, f"holds {len(sets)} sets of maps ({names})", "one; name its T1 map")
    return folder.name, next(iter(sets.values()))
