"""What the files of a set of maps are called, and which file lists them."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.io.json_files import read_json

__all__ = [
    "DESCRIBED",
    "FILES",
    "LISTING",
    "OTHERS",
    "PREFIX",
    "REQUIRED",
    "is_other",
    "listings",
    "map_paths",
    "other_paths",
    "others_listed",
    "prefix_of",
    "sidecar_path",
]

#: field of ParameterMaps: BIDS suffix, what a file's unit is in the field's, unit in the file
FILES = {
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
#: those with a sidecar; the one that is written last lists the set
DESCRIBED = ("pd", "t2", "t1")
#: without which no set is whole
REQUIRED = ("mask", "failed")
#: The sidecar of the T1 map, or where there is none of the T2 map or of PD, lists the files of its set and is written
#: last: a set with a sidecar is whole.
LISTING, OTHERS = "NapariBlochnetMaps", "NapariBlochnetOtherMaps"
#: What sets are called unless told otherwise.
PREFIX = "sub-01"
# Key, in the list of a set, of a further map, before its name.
_OTHER = "other: "


def map_paths(folder: str | os.PathLike[str], prefix: str = PREFIX) -> dict[str, Path]:
    """Return where `write_maps` puts the map of each field."""
    return {field: Path(folder) / f"{prefix}_{suffix}.nii.gz" for field, (suffix, _, _) in FILES.items()}


def other_paths(folder: Path, prefix: str, names: Iterable[str]) -> dict[str, Path]:
    """Return where `write_maps` puts further maps, by letters and digits of their names, numbered where these agree."""
    found: dict[str, Path] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9]", "", unicodedata.normalize("NFKD", name)) or "other"
        taken = sum(path.name.startswith(f"{prefix}_desc-{plain}_") for path in found.values())
        found[name] = folder / f"{prefix}_desc-{plain}{taken + 1 if taken else ''}_map.nii.gz"
    return found


def sidecar_path(folder: Path, prefix: str, field: str) -> Path:
    """Return the JSON file beside the map of a field."""
    return folder / f"{prefix}_{FILES[field][0]}.json"


def prefix_of(sidecar: Path) -> str:
    """Return what the files of a set begin with, by the JSON file that lists it."""
    return re.sub(r"_(T1|T2|PD)map\.json$", "", sidecar.name)


def listings(folder: Path) -> list[Path]:
    """Return the JSON files that list the sets of a folder: of T1, or of T2 or PD where there is no map of T1."""
    found: dict[str, Path] = {}
    for field in reversed(DESCRIBED):
        ending = f"_{FILES[field][0]}.json"
        for path in sorted(folder.glob(f"*{ending}")):
            prefix = prefix_of(path)
            is_listing = field == "t1" or _lists(path)
            if not path.name.endswith(f"_desc-error{ending}") and prefix not in found and is_listing:
                found[prefix] = path
    return sorted(found.values())


def _lists(sidecar: Path) -> bool:
    try:
        content = read_json(sidecar)
    except InputError:
        return False
    return isinstance(content, dict) and LISTING in content


def listed_others(paths: Mapping[str, Path]) -> dict[str, str]:
    """Return how further maps, by their names, are entered in the list of a set."""
    return {f"{_OTHER}{name}": path.name for name, path in paths.items()}


def others_listed(sidecar: Path, content: Mapping[str, Any]) -> list[tuple[str, Path, str]]:
    """Return name, file and unit of further maps that a sidecar lists."""
    units = content.get(OTHERS)
    found = []
    for key, file in content[LISTING].items():
        if not key.startswith(_OTHER):
            continue
        name = key.removeprefix(_OTHER)
        if not isinstance(file, str) or Path(file).name != file:
            raise FileError(sidecar, f"names no file for {name}", "a sidecar written by this package")
        found.append((name, sidecar.parent / file, str(units.get(name, "")) if isinstance(units, dict) else ""))
    return found


def is_known(listing: Mapping[str, Any]) -> bool:
    """Whether a list of a set names all that it needs, and nothing that cannot be in one."""
    fields = {key for key in listing if not key.startswith(_OTHER)}
    return {*REQUIRED} <= fields <= {*FILES} and bool({"t1", "t2", "pd"} & fields)


def is_other(path: Path, prefix: str) -> bool:
    """Whether a file is called as a further map of a set is."""
    return re.fullmatch(rf"{re.escape(prefix)}_desc-[A-Za-z0-9]+_map\.nii\.gz", path.name) is not None
