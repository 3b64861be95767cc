"""Parameter maps as files: NIfTI under BIDS names with JSON sidecars, and back."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.arrays import AnyArray
from napari_blochnet.errors import InputError
from napari_blochnet.evaluation.comparison import error_maps
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.files import existing_file, read_json, read_nifti, write_json, write_nifti
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["read_maps", "write_error_maps", "write_maps"]

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
_REQUIRED = ("t1", "t2", "pd", "residual", "mask", "failed")
# The sidecar of the T1 map lists the files of its set and is written last: a set with a sidecar is whole.
_LISTING = "NapariBlochnetMaps"


def write_maps(maps: ParameterMaps, folder: str | os.PathLike[str], prefix: str = "sub-01") -> list[Path]:
    """Write parameter maps.

    ``<prefix>_T1map.nii.gz``, ``_T2map`` (seconds), ``_PDmap`` (relative), ``_desc-residual_stat``,
    ``_desc-mapped_mask``, ``_desc-failed_mask``, and where there are such maps ``_desc-phase_PDmap`` (degrees),
    ``_desc-se_T1map`` and ``_desc-se_T2map`` (seconds), ``_desc-converged_mask`` and ``_TB1map`` (relative). T1, T2 and
    PD have a JSON sidecar with units and record.

    Parameters
    ----------
    maps : ParameterMaps
    folder : path
        Made if it is not there. Files of the same names are replaced.
    prefix : str
        BIDS entities, such as "sub-01" or "sub-01_ses-2".

    Returns
    -------
    list of Path
        The files written, images first.

    Raises
    ------
    InputError
        A prefix with characters other than letters, digits, ``-`` and ``_``.
    """
    if not re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)?(_[A-Za-z0-9]+-[A-Za-z0-9]+)*", prefix):
        raise InputError(f"prefix is {prefix!r}; expected BIDS entities such as 'sub-01' or 'sub-01_ses-2'.",
                         field="prefix")  # fmt: skip
    target = Path(folder)
    # while the set is being replaced it has no list of its files, and so cannot be read half old, half new
    (target / f"{prefix}_T1map.json").unlink(missing_ok=True)
    written: list[Path] = []
    stale: list[Path] = []
    for field, (suffix, scale, _) in _FILES.items():
        path = target / f"{prefix}_{suffix}.nii.gz"
        values: AnyArray | None = getattr(maps, field)
        if values is None:
            stale.append(path)
            continue
        stored = values if values.dtype == bool else np.asarray(values, np.float64) / scale
        write_nifti(stored, maps.geometry, path)
        written.append(path)
    listing = {field: path.name for field, path in _paths(target, prefix).items() if path in written}
    for field in ("t2", "pd", "t1"):
        suffix, _, unit = _FILES[field]
        sidecar: dict[str, Any] = {
            "Units": unit,
            "EstimationAlgorithm": maps.estimator,
            "EstimationSoftwareName": "napari-blochnet",
            "Record": maps.record,
        }
        if field == "t1":
            sidecar[_LISTING] = listing
        path = target / f"{prefix}_{suffix}.json"
        write_json(sidecar, path)
        written.append(path)
    # optional maps of an earlier result under the same names do not belong to this one
    for path in stale:
        path.unlink(missing_ok=True)
    return written


def read_maps(folder: str | os.PathLike[str], prefix: str | None = None) -> ParameterMaps:
    """Read what `write_maps` wrote.

    Parameters
    ----------
    folder : path
    prefix : str, optional
        Which of several sets in the folder. None: the only one.

    Returns
    -------
    ParameterMaps
        float32; T1 and T2 in ms, equal to what was written to within one unit in the last place.

    Raises
    ------
    InputError
        No set of maps, several and no prefix, a file that is missing or on another grid.
    """
    found = existing_file(folder)
    sidecars = [path for path in sorted(found.glob("*_T1map.json")) if not path.name.endswith("_desc-error_T1map.json")]
    if prefix is not None:
        sidecars = [path for path in sidecars if path.name == f"{prefix}_T1map.json"]
    if not sidecars:
        raise InputError(f"{found}: holds no {prefix or '…'}_T1map.json; expected a folder of maps written by this "
                         "package.", field="path")  # fmt: skip
    if len(sidecars) > 1:
        names = ", ".join(path.name.removesuffix("_T1map.json") for path in sidecars)
        raise InputError(f"{found}: holds several sets of maps ({names}); expected the prefix of one.", field="prefix")
    content = read_json(sidecars[0])
    listing = content.get(_LISTING) if isinstance(content, dict) else None
    if not isinstance(listing, dict) or not set(_REQUIRED) <= set(listing) <= set(_FILES):
        raise InputError(f"{sidecars[0].name}: its list of files is missing or incomplete; expected a sidecar written "
                         "by this package.", field="path")  # fmt: skip
    fields: dict[str, Any] = {}
    geometry = None
    for field, path in _paths(found, sidecars[0].name.removesuffix("_T1map.json")).items():
        if field not in listing:
            continue
        values, here = read_nifti(path)
        if values.ndim != 3 or (fields and values.shape != fields["t1"].shape):
            raise InputError(f"{path.name}: has shape {values.shape} (z, y, x); expected a map like the others.",
                             field="path")  # fmt: skip
        geometry = here if geometry is None else geometry
        scale = _FILES[field][1]
        is_mask = field in ("mask", "failed", "converged")
        fields[field] = values.astype(bool) if is_mask else (scale * values.astype(np.float64)).astype(np.float32)
    record = content.get("Record")
    assert geometry is not None
    return ParameterMaps(
        **fields,
        estimator=str(content.get("EstimationAlgorithm", "estimate")),
        voxel_size=geometry.voxel_size,
        affine=geometry.affine,
        record=record if isinstance(record, dict) else {},
    )


def write_error_maps(
    truth: Phantom, maps: ParameterMaps, folder: str | os.PathLike[str], prefix: str = "sub-01"
) -> list[Path]:
    """Write signed relative errors of T1, T2 and PD, per cent, as ``<prefix>_desc-error_T1map.nii.gz`` and so on.

    Returns
    -------
    list of Path
        The files written.
    """
    written = []
    for name, values in error_maps(truth, maps).items():
        path = Path(folder) / f"{prefix}_desc-error_{name}map.nii.gz"
        write_nifti(values, maps.geometry, path)
        write_json({"Units": "%", "Description": f"({name} by {maps.estimator} − truth)/truth"},
                   path.with_name(path.name.replace(".nii.gz", ".json")))  # fmt: skip
        written.append(path)
    return written


def _paths(folder: Path, prefix: str) -> dict[str, Path]:
    return {field: folder / f"{prefix}_{suffix}.nii.gz" for field, (suffix, _, _) in _FILES.items()}
