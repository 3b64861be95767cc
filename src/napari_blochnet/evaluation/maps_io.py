"""Parameter maps as files: NIfTI under BIDS names with JSON sidecars, and back."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.evaluation.brought_maps import brought_sets, read_brought_maps
from napari_blochnet.evaluation.error_maps import PARAMETERS, error_maps
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.io.atomic import existing_file, replacing_set
from napari_blochnet.io.json_files import read_json, write_json
from napari_blochnet.io.nifti import read_nifti, write_nifti, write_nifti_with_sidecar
from napari_blochnet.io.origin import about_changes, check_outputs, listing, set_members
from napari_blochnet.io.sets.reading_whole import reads_whole, tell_of
from napari_blochnet.phantoms.map_files import MapHints
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.phantoms.quantities import TimeUnit

__all__ = [
    "error_files",
    "files_to_write",
    "map_files",
    "map_paths",
    "read_maps",
    "write_error_maps",
    "write_map",
    "write_maps",
]

PathLike: TypeAlias = str | os.PathLike[str]

# field of ParameterMaps: BIDS suffix, what a file's unit is in the field's, unit in the file
_FILES = {
    "t1": ("T1map", 1e3, "s"),
    "t2": ("T2map", 1e3, "s"),
    "pd": ("PDmap", 1.0, "arbitrary"),
    "residual": ("desc-residual_stat", 1.0, "1"),
    "mask": ("desc-mapped_mask", 1.0, "1"),
    "failed": ("desc-failed_mask", 1.0, "1"),
    "phase": ("desc-phase_PDmap", 1.0, "deg"),
    "t1_se": ("desc-se_T1map", 1e3, "s"),
    "t2_se": ("desc-se_T2map", 1e3, "s"),
    "converged": ("desc-converged_mask", 1.0, "1"),
    "b1": ("TB1map", 1.0, "1"),
}
# those with a sidecar; the one that is written last lists the set
_DESCRIBED = ("t2", "pd", "t1")
_REQUIRED = ("t1", "t2", "mask", "failed")
# The sidecar of the T1 map lists the files of its set and is written last: a set with a sidecar is whole.
_LISTING = "NapariBlochnetMaps"
# What sets are called unless told otherwise.
_PREFIX = "sub-01"


def map_files(folder: str | os.PathLike[str], prefix: str = "sub-01") -> list[Path]:
    """Return all files that `write_maps` may write, replace or remove."""
    target = Path(folder)
    return [
        *map_paths(target, prefix).values(),
        *(target / f"{prefix}_{_FILES[field][0]}.json" for field in _DESCRIBED),
    ]


def files_to_write(folder: str | os.PathLike[str], settings: Any = None) -> list[Path]:
    """Return the files that `write_maps` will surely write of a mapping with these settings."""
    refined = bool(getattr(settings, "refine", False))
    errors = refined or getattr(settings, "uncertainty", False)
    with_b1 = getattr(settings, "b1", None) is not None or (refined and settings.fit_b1)
    more = [*(["t1_se", "t2_se"] if errors else []), *(["converged"] if refined else []), *(["b1"] if with_b1 else [])]
    paths = map_paths(Path(folder), _PREFIX)
    sidecars = [Path(folder) / f"{_PREFIX}_{_FILES[field][0]}.json" for field in _DESCRIBED]
    return [*(paths[field] for field in (*_REQUIRED, "pd", "residual", *more)), *sidecars]


def error_files(folder: str | os.PathLike[str], prefix: str = "sub-01") -> list[Path]:
    """Return the files that `write_error_maps` writes."""
    stems = [Path(folder) / f"{prefix}_desc-error_{name}map" for name in PARAMETERS]
    return [stem.with_name(stem.name + ending) for stem in stems for ending in (".nii.gz", ".json")]


def write_maps(
    maps: ParameterMaps,
    folder: str | os.PathLike[str],
    prefix: str = "sub-01",
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> list[Path]:
    """Write parameter maps.

    ``<prefix>_T1map.nii.gz``, ``_T2map`` (seconds), ``_PDmap`` (relative), ``_desc-residual_stat``,
    ``_desc-mapped_mask``, ``_desc-failed_mask``, and where there are such maps ``_desc-phase_PDmap`` (degrees),
    ``_desc-se_T1map`` and ``_desc-se_T2map`` (seconds), ``_desc-converged_mask`` and ``_TB1map`` (relative). T1, T2 and
    PD have a JSON sidecar with units and record.

    Parameters
    ----------
    maps : ParameterMaps
    folder : path
        Made if it is not there. Maps of the same names that this package wrote are replaced.
    prefix : str
        BIDS entities, such as "sub-01" or "sub-01_ses-2".
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in files.

    Returns
    -------
    list of Path
        The files written, images first.

    Raises
    ------
    InputError
        A prefix with characters other than letters, digits, ``-`` and ``_``; files of these names that this package
        did not write, that the maps were made from, or that are a phantom.
    Cancelled
        What was there before is there still, and nothing else.
    """
    if not re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)?(_[A-Za-z0-9]+-[A-Za-z0-9]+)*", prefix):
        raise InputError(f"prefix is {prefix!r}", "BIDS entities such as 'sub-01' or 'sub-01_ses-2'", field="prefix")
    target = Path(folder)
    present = [field for field in _FILES if getattr(maps, field) is not None]
    names = {field: path.name for field, path in map_paths(target, prefix).items()}
    sidecars = {field: target / f"{prefix}_{_FILES[field][0]}.json" for field in _DESCRIBED if field in present}
    check_outputs([*(target / names[field] for field in present), *sidecars.values()], record=maps.record,
                  instead="another folder or prefix")  # fmt: skip
    # optional maps of an earlier result under the same names do not belong to this one
    written = [target / names[field] for field in present]

    def left() -> list[Path]:
        earlier = set_members(sidecars["t1"], "maps")
        return [path for path in earlier if path.name in names.values() and path not in written]

    watch = Watch(progress, cancelled)
    # a set that is there already stays whole until the new one is
    with replacing_set([*written, *sidecars.values()], left=left) as draft:
        for number, field in enumerate(present):
            values: AnyArray = getattr(maps, field)
            watch.report(number, len(present), f"writing {names[field]}")
            stored = values if values.dtype == bool else np.divide(values, _FILES[field][1], dtype=np.float64)
            write_nifti(stored, maps.geometry, draft / names[field], watch=watch.quiet)
        for field, path in sidecars.items():
            sidecar = _sidecar(maps, _FILES[field][2])
            if field == "t1":
                sidecar[_LISTING] = {known: names[known] for known in present}
                sidecar |= listing(draft / file.name for file in written)
            write_json(sidecar, draft / path.name)
    watch.report(len(present), len(present), "written")
    return [*written, *sidecars.values()]


def write_map(
    maps: ParameterMaps,
    field: str,
    path: str | os.PathLike[str],
    values: AnyArray | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> list[Path]:
    """Write one of several maps under any name, its unit and record in a JSON file beside it.

    Parameters
    ----------
    maps : ParameterMaps
    field : str
        Such as "t1" or "t1_se".
    path : path
        ``.nii`` or ``.nii.gz``.
    values : array of shape (Z, Y, X), optional
        In the unit of the field, to be written in its place; no record tells how they came about.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.

    Returns
    -------
    list of Path
        The image, in the unit that `write_maps` gives it, and the JSON file.
    """
    _, scale, unit = _FILES[field]
    sidecar = _sidecar(maps, unit)
    if values is None:
        values = getattr(maps, field)
    else:
        del sidecar["Record"]
    stored = np.asarray(values, np.float64) / scale
    check_outputs([path], record=maps.record)
    return write_nifti_with_sidecar(stored, maps.geometry, path, sidecar, watch=Watch(progress, cancelled))


def _sidecar(maps: ParameterMaps, unit: str) -> dict[str, Any]:
    return {
        "Units": unit,
        "EstimationAlgorithm": maps.estimator,
        "EstimationSoftwareName": "napari-blochnet",
        "Record": maps.record,
    }


@reads_whole
def read_maps(
    folder: PathLike | Sequence[PathLike],
    prefix: str | None = None,
    *,
    t1_unit: TimeUnit | None = None,
    t2_unit: TimeUnit | None = None,
) -> ParameterMaps:
    """Read what `write_maps` wrote, or T1 and T2 maps of another program.

    Parameters
    ----------
    folder : path, or sequence of paths
        A folder of one set of maps; the T1 map of one of several sets; or the T1, T2 and PD maps of another program
        (NIfTI, by BIDS and other names).
    prefix : str, optional
        Which of several sets in the folder. None: the only one.
    t1_unit, t2_unit : {"ms", "s", "us", "1/ms", "1/s"}, optional
        Of another program's maps; by default as their JSON files state, or as values tell.

    Returns
    -------
    ParameterMaps
        float32; T1 and T2 in ms, of our own equal to what was written to within one unit in the last place. Maps of
        another program are masked where T1 and T2 are positive numbers; they have no residual, and PD where it is
        there.

    Raises
    ------
    InputError
        No set of maps, several and no prefix, a file that is missing or on another grid; a unit that cannot be told.
    """
    paths = [existing_file(path) for path in ([folder] if isinstance(folder, (str, os.PathLike)) else folder)]
    if not paths:
        raise InputError("There are no files of maps", "a folder, or T1 and T2 maps", field="maps")
    found = paths[0]
    if len(paths) == 1 and not found.is_dir():
        stem = re.sub(r"_T1map(\.nii(\.gz)?|\.json)$", "", found.name)
        if stem != found.name and _has_ours(found.parent, stem):
            found, prefix = found.parent, stem
    if len(paths) > 1 or not found.is_dir() or (not _has_ours(found, prefix) and _has_brought(found)):
        asked = t1_unit is not None or t2_unit is not None
        return read_brought_maps(paths, prefix, MapHints(t1_unit, t2_unit) if asked else None)
    sidecars = [path for path in sorted(found.glob("*_T1map.json")) if not path.name.endswith("_desc-error_T1map.json")]
    if prefix is not None:
        sidecars = [path for path in sidecars if path.name == f"{prefix}_T1map.json"]
    if not sidecars:
        expected = "maps written by this package, or T1 and T2 maps (…_T1map.nii.gz, …_T2map.nii.gz)"
        raise FileError(str(found), f"holds no {prefix or '…'}_T1map.json", expected)
    if len(sidecars) > 1:
        names = ", ".join(path.name.removesuffix("_T1map.json") for path in sidecars)
        raise FileError(
            str(found), f"holds several sets of maps ({names})", "the T1map file of one, or its prefix", field="prefix"
        )
    content = read_json(sidecars[0])
    listing = content.get(_LISTING) if isinstance(content, dict) else None
    if not isinstance(listing, dict) or not set(_REQUIRED) <= set(listing) <= set(_FILES):
        raise FileError(sidecars[0], "its list of files is missing or incomplete", "a sidecar written by this package")
    fields: dict[str, Any] = {}
    geometry = None
    paths_of = map_paths(found, sidecars[0].name.removesuffix("_T1map.json"))
    strange = [path.name for field, path in paths_of.items() if field not in listing and path.is_file()]
    told = about_changes(content, (paths_of[field] for field in listing))
    told += [f"{name} in {found} is not of the set of maps there, and left alone." for name in strange]
    for words in told:
        tell_of(words)
    for field, path in paths_of.items():
        if field not in listing:
            continue
        values, here = read_nifti(path)
        if values.ndim != 3 or (fields and values.shape != fields["t1"].shape):
            raise FileError(path, f"has shape {values.shape} (z, y, x)", "a map like the others")
        geometry = here if geometry is None else geometry
        scale = _FILES[field][1]
        is_mask = field in ("mask", "failed", "converged")
        fields[field] = values.astype(bool) if is_mask else (scale * values.astype(np.float64)).astype(np.float32)
    record = content.get("Record")
    assert geometry is not None
    return ParameterMaps(
        **{"pd": None, "residual": None, **fields},
        estimator=str(content.get("EstimationAlgorithm", "estimate")),
        voxel_size=geometry.voxel_size,
        affine=geometry.affine,
        record=record if isinstance(record, dict) else {},
    )


def _has_ours(folder: Path, prefix: str | None) -> bool:
    """Whether a folder holds a set of maps of this package, whole or not: what is left of one is nobody else's."""
    start = prefix or "*"
    if any(folder.glob(f"{start}_{_FILES['mask'][0]}.nii.gz")):
        return True
    return any(_is_ours(path) for field in _DESCRIBED for path in folder.glob(f"{start}_{_FILES[field][0]}.json"))


def _is_ours(sidecar: Path) -> bool:
    try:
        content = read_json(sidecar)
    except InputError:
        return False
    return isinstance(content, dict) and (
        _LISTING in content or content.get("EstimationSoftwareName") == "napari-blochnet"
    )


def _has_brought(folder: Path) -> bool:
    return bool(brought_sets([path for path in folder.iterdir() if path.is_file()]))


def write_error_maps(
    truth: Phantom,
    maps: ParameterMaps,
    folder: str | os.PathLike[str],
    prefix: str = "sub-01",
    *,
    beside: Sequence[ParameterMaps] = (),
    cancelled: CancelEvent | None = None,
) -> list[Path]:
    """Write signed relative errors of T1, T2 and PD, per cent, as ``<prefix>_desc-error_T1map.nii.gz`` and so on.

    ``beside``: see `napari_blochnet.evaluation.error_maps.error_maps`; ``cancelled``: see
    `napari_blochnet.common.progress`.

    Returns
    -------
    list of Path
        The files written.
    """
    watch = Watch(cancelled=cancelled)
    files = error_files(folder, prefix)
    check_outputs(files, instead="another folder or prefix")
    with replacing_set(files) as draft:
        for name, values in error_maps(truth, maps, beside).items():
            path = draft / f"{prefix}_desc-error_{name}map.nii.gz"
            sidecar = {"Units": "%", "Description": f"({name} by {maps.estimator} − truth)/truth"}
            write_nifti_with_sidecar(values, maps.geometry, path, sidecar, watch=watch)
    return files[::2]


def map_paths(folder: str | os.PathLike[str], prefix: str = _PREFIX) -> dict[str, Path]:
    """Return where `write_maps` puts the map of each field."""
    return {field: Path(folder) / f"{prefix}_{suffix}.nii.gz" for field, (suffix, _, _) in _FILES.items()}
