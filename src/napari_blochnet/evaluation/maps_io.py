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
from napari_blochnet.evaluation.map_sets.listing import (
    DESCRIBED,
    FILES,
    LISTING,
    OTHERS,
    PREFIX,
    REQUIRED,
    is_known,
    is_other,
    listed_others,
    listings,
    map_paths,
    other_paths,
    others_listed,
    prefix_of,
    sidecar_path,
)
from napari_blochnet.evaluation.maps import OtherMap, ParameterMaps
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


def map_files(folder: str | os.PathLike[str], prefix: str = "sub-01") -> list[Path]:
    """Return all files that `write_maps` may write, replace or remove."""
    target = Path(folder)
    return [
        *map_paths(target, prefix).values(),
        *(sidecar_path(target, prefix, field) for field in DESCRIBED),
    ]


def files_to_write(folder: str | os.PathLike[str], settings: Any = None) -> list[Path]:
    """Return the files that `write_maps` will surely write of a mapping with these settings."""
    refined = bool(getattr(settings, "refine", False))
    errors = refined or getattr(settings, "uncertainty", False)
    with_b1 = getattr(settings, "b1", None) is not None or (refined and settings.fit_b1)
    more = [*(["t1_se", "t2_se"] if errors else []), *(["converged"] if refined else []), *(["b1"] if with_b1 else [])]
    # of a dictionary that is not read yet nobody knows what it maps
    times = [] if getattr(settings, "dictionary", None) is not None else ["t1", "t2"]
    paths = map_paths(Path(folder), PREFIX)
    sidecars = [sidecar_path(Path(folder), PREFIX, field) for field in ("pd", *reversed(times))]
    return [*(paths[field] for field in (*times, *REQUIRED, "pd", "residual", *more)), *sidecars]


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
    ``_desc-se_T1map`` and ``_desc-se_T2map`` (seconds), ``_desc-converged_mask`` and ``_TB1map`` (relative), and
    ``_desc-NAME_map`` of further parameters. T1, T2 and PD have a JSON sidecar with units and record.

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
    present = [field for field in FILES if getattr(maps, field) is not None]
    names = {field: path.name for field, path in map_paths(target, prefix).items()}
    others = other_paths(target, prefix, maps.others)
    sidecars = {field: target / f"{prefix}_{FILES[field][0]}.json" for field in DESCRIBED if field in present}
    listed = list(sidecars)[-1] if sidecars else ""
    if not listed:
        raise InputError("The maps have neither T1 nor T2 nor PD", "one of them", field="maps")
    # optional maps of an earlier result under the same names do not belong to this one
    written = [*(target / names[field] for field in present), *others.values()]
    check_outputs([*written, *sidecars.values()], record=maps.record, instead="another folder or prefix")

    def left() -> list[Path]:
        earlier = [path for field in DESCRIBED for path in set_members(sidecar_path(target, prefix, field), "maps")]
        ours = [path for path in earlier if path.name in names.values() or is_other(path, prefix)]
        described = [sidecar_path(target, prefix, field) for field in DESCRIBED if field not in sidecars]
        return [path for path in dict.fromkeys([*ours, *filter(_is_ours, described)]) if path not in written]

    watch = Watch(progress, cancelled)
    # a set that is there already stays whole until the new one is
    with replacing_set([*written, *sidecars.values()], left=left) as draft:
        for number, field in enumerate(present):
            values: AnyArray = getattr(maps, field)
            watch.report(number, len(present), f"writing {names[field]}")
            stored = values if values.dtype == bool else np.divide(values, FILES[field][1], dtype=np.float64)
            write_nifti(stored, maps.geometry, draft / names[field], watch=watch.quiet)
        for name, path in others.items():
            watch.report(len(present), len(present), f"writing {path.name}")
            write_nifti(maps.others[name].values, maps.geometry, draft / path.name, watch=watch.quiet)
        for field, path in sidecars.items():
            sidecar = _sidecar(maps, FILES[field][2])
            if field == listed:
                sidecar[LISTING] = {known: names[known] for known in present} | listed_others(others)
                if others:
                    sidecar[OTHERS] = {name: other.unit for name, other in maps.others.items()}
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
        Such as "t1" or "t1_se", or the name of a map that only its dictionary knows.
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
    if field in maps.others:
        own, scale, unit = maps.others[field].values, 1.0, maps.others[field].unit or "arbitrary"
    else:
        own, (_, scale, unit) = getattr(maps, field), FILES[field]
    sidecar = _sidecar(maps, unit)
    if values is None:
        values = own
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
    sidecars = listings(found)
    if prefix is not None:
        sidecars = [path for path in sidecars if prefix_of(path) == prefix]
    if not sidecars:
        expected = "maps written by this package, or T1 and T2 maps (…_T1map.nii.gz, …_T2map.nii.gz)"
        raise FileError(str(found), f"holds no {prefix or '…'}_T1map.json", expected)
    if len(sidecars) > 1:
        names = ", ".join(map(prefix_of, sidecars))
        raise FileError(
            str(found), f"holds several sets of maps ({names})", "the T1map file of one, or its prefix", field="prefix"
        )
    content = read_json(sidecars[0])
    listing = content.get(LISTING) if isinstance(content, dict) else None
    if not isinstance(listing, dict) or not is_known(listing):
        raise FileError(sidecars[0], "its list of files is missing or incomplete", "a sidecar written by this package")
    fields: dict[str, Any] = {}
    geometry = None
    paths_of = map_paths(found, prefix_of(sidecars[0]))
    strange = [path.name for field, path in paths_of.items() if field not in listing and path.is_file()]
    told = about_changes(content, (found / str(name) for name in listing.values()))
    told += [f"{name} in {found} is not of the set of maps there, and left alone." for name in strange]
    for words in told:
        tell_of(words)
    for field, path in paths_of.items():
        if field not in listing:
            continue
        values, here = read_nifti(path)
        if values.ndim != 3 or (fields and values.shape != next(iter(fields.values())).shape):
            raise FileError(path, f"has shape {values.shape} (z, y, x)", "a map like the others")
        geometry = here if geometry is None else geometry
        scale = FILES[field][1]
        is_mask = field in ("mask", "failed", "converged")
        fields[field] = values.astype(bool) if is_mask else (scale * values.astype(np.float64)).astype(np.float32)
    others: dict[str, OtherMap] = {}
    for name, path, unit in others_listed(sidecars[0], content):
        values, _ = read_nifti(path)
        if values.shape != fields["mask"].shape:
            raise FileError(path, f"has shape {values.shape} (z, y, x)", "a map like the others")
        others[name] = OtherMap(values.astype(np.float32), unit)
    record = content.get("Record")
    assert geometry is not None
    return ParameterMaps(
        **{"t1": None, "t2": None, "pd": None, "residual": None, **fields},
        others=others,
        estimator=str(content.get("EstimationAlgorithm", "estimate")),
        voxel_size=geometry.voxel_size,
        affine=geometry.affine,
        record=record if isinstance(record, dict) else {},
    )


def _has_ours(folder: Path, prefix: str | None) -> bool:
    """Whether a folder holds a set of maps of this package, whole or not: what is left of one is nobody else's."""
    start = prefix or "*"
    if any(folder.glob(f"{start}_{FILES['mask'][0]}.nii.gz")):
        return True
    return any(_is_ours(path) for field in DESCRIBED for path in folder.glob(f"{start}_{FILES[field][0]}.json"))


def _is_ours(sidecar: Path) -> bool:
    try:
        content = read_json(sidecar)
    except InputError:
        return False
    return isinstance(content, dict) and (
        LISTING in content or content.get("EstimationSoftwareName") == "napari-blochnet"
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
