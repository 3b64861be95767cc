"""Whose a file is. What this package wrote may be replaced and removed; what it did not write never is.

A set of files (maps, a phantom, a stack) is listed with a digest of each member in the JSON of one of them, under
`LISTING`: a member is ours where such a list names it and it still is what was written. Other files carry a mark: a
record, a header that only we write, or the name of the program. Everything earlier versions wrote is known by what it
was written with: lists without digests, records, headers.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.origin_marks import (
    LISTING,
    PROGRAM,
    describes_phantom,
    describes_stack,
    is_marked,
    is_our_json,
    json_object,
)
from napari_blochnet.io.sets.digests import digest
from napari_blochnet.io.sets.reading_whole import looked_at, stays_as
from napari_blochnet.io.sets.rooms import is_in_room
from napari_blochnet.io.sets.switching import settle

__all__ = [
    "LISTING",
    "PROGRAM",
    "about_changes",
    "check_outputs",
    "check_place",
    "figure_mark",
    "inputs_of",
    "is_ours",
    "listing",
    "members_named",
    "note_inputs",
    "ours_among",
    "set_members",
    "strangers_among",
]

PathLike: TypeAlias = str | os.PathLike[str]

# How often files are looked at that change meanwhile.
_TRIES = 50
# Files named in a sentence.
_NAMED = 4
# How the files of a phantom end.
_PHANTOM = re.compile(
    r"(T1map|T2map|PDmap|TB1map)\.(nii\.gz|json)|dseg\.(nii\.gz|tsv)|label-[A-Za-z0-9]+_probseg\.nii\.gz"
)
# What describes a phantom's B1 map.
_B1 = {"Units": "arbitrary", "Description": "relative transmit field, 1 = nominal"}
# What file managers leave in folders that they show.
_LITTER = re.compile(r"\.DS_Store|\._.*|\.directory|\.nfs.*")
# Files that were read in this process, by how records name them: a relative path holds only where it was read.
_READ: dict[str, set[Path]] = {}


def check_outputs(
    paths: Iterable[PathLike],
    *,
    inputs: Iterable[PathLike] = (),
    record: Mapping[str, Any] | None = None,
    instead: str = "another name or folder",
    field: str = "path",
) -> None:
    """Raise `InputError` where writing these files would replace what this package did not write, or an input.

    Nor is a link replaced where files are written together (of a single one, what it leads to is), a set of maps by a
    phantom, or a phantom by maps. What a process that was ended left half written there is finished first.

    Parameters
    ----------
    paths : iterable of path
        Files that are to be written; those that are not there, or empty, are free.
    inputs : iterable of path
        Files that the result is made from, ours or not.
    record : mapping, optional
        Of the result; files that its history names are inputs, too.
    instead : str
        What to name instead.
    field : str
        Of the setting at fault.
    """
    wanted = [path for path in dict.fromkeys(map(Path, paths)) if not is_in_room(path)]
    for folder in dict.fromkeys(path.resolve().parent for path in wanted):
        check_place(folder, instead, field)
    for _ in range(_TRIES):
        for folder in dict.fromkeys(path.parent for path in wanted):
            settle(folder, [path.name for path in wanted if path.parent == folder])
        seen = looked_at(wanted)
        there = [path for path in wanted if path.exists() or path.is_symlink()]
        foreign = [path for path in there if not is_ours(path.resolve())]
        if not foreign or stays_as(seen):  # what another process is just replacing is looked at again
            break
    if not there:
        return
    used = {Path(path).expanduser().resolve() for path in inputs} | inputs_of(record or {})
    for path in there:
        if path.resolve() in used:
            raise InputError(f"{path} is what this is made from and is not replaced by it", instead, field=field)
        if path.is_symlink() and (len(wanted) > 1 or not path.exists()):
            raise InputError(f"{path} is a link to {os.readlink(path)}, and no link is replaced", instead, field=field)
    if foreign:
        names = ", ".join(path.name for path in foreign[:_NAMED])
        more = f" and {len(foreign) - _NAMED} more" if len(foreign) > _NAMED else ""
        was, is_kept = ("was", "is") if len(foreign) == 1 else ("were", "are")
        raise InputError(
            f"{names}{more} in {foreign[0].parent.resolve()} {was} not written by {PROGRAM} and {is_kept} not replaced",
            instead,
            field=field,
        )
    _check_sets(wanted, instead, field)


def check_place(folder: Path, instead: str = "another folder", field: str = "path") -> None:
    """Raise `InputError` where nothing can be written in a folder, which need not be there yet."""
    place = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    if not place.is_dir():
        raise InputError(f"{place} is no folder, and nothing can be written in it", instead, field=field)
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(f"{place} may not be written to", instead, field=field)


def _check_sets(paths: list[Path], instead: str, field: str) -> None:
    """Refuse to write a phantom where maps with that beginning are, and the other way round: either would be lost."""
    names = {path.name for path in paths}
    for path in paths:
        start, ending = path.name.rpartition("_")[::2]
        if ending not in ("T1map.json", "T2map.json", "PDmap.json"):
            continue
        to_maps = f"{start}_desc-mapped_mask.nii.gz" in names
        to_phantom = not to_maps and f"{start}_PDmap.json" in names
        content = json_object(path)
        for asked, there, what in (
            (to_phantom, content.get("EstimationSoftwareName") == PROGRAM, "maps, which a phantom does not replace"),
            (to_maps, describes_phantom(content), "a phantom, which maps do not replace"),
        ):
            if asked and there:
                raise InputError(f"{path.name} in {path.parent.resolve()} is of {what}", instead, field=field)


def ours_among(paths: Iterable[PathLike]) -> list[Path]:
    """Return the files that are there and that this package wrote."""
    return [path for path in map(Path, paths) if path.exists() and is_ours(path)]


def set_members(sidecar: PathLike, kind: str) -> list[Path]:
    """Return what is there of the set that a JSON file lists, as far as this package wrote it.

    Parameters
    ----------
    sidecar : path
        ``…_T1map.json``, or of maps without T1 ``…_T2map.json`` or ``…_PDmap.json``.
    kind : {"maps", "phantom"}
        Nothing is returned of a set of another kind.
    """
    path = Path(sidecar)
    content, start = json_object(path), re.sub(r"(T1|T2|PD)map\.json$", "", path.name)
    maps, listed = content.get("NapariBlochnetMaps"), content.get(LISTING)
    if kind == "maps":
        names = [name for name in maps.values() if isinstance(name, str)] if isinstance(maps, dict) else []
    elif not describes_phantom(content):
        names = []
    elif isinstance(listed, dict):
        names = list(listed)
    else:  # as earlier versions wrote phantoms
        names = [file.name for file in path.parent.iterdir()]
    files = [path.with_name(name) for name in names if name.startswith(start) and name == Path(name).name]
    files = [file for file in files if kind == "maps" or _PHANTOM.fullmatch(file.name.removeprefix(start))]
    return [file for file in ours_among(files) if file.is_file()]


def note_inputs(record: Mapping[str, Any]) -> None:
    """Remember which files a new record names, for the time when another folder is the working one."""
    for text in _texts(record, nested=False):
        if found := _named(text):
            _READ.setdefault(text, set()).update(found)


def inputs_of(record: Mapping[str, Any]) -> set[Path]:
    """Return the files that a record names, and those in the folder that a phantom was read from; resolved."""
    found: set[Path] = set()
    first: Any = record
    while (before := _input(first, "cut_phantom", "phantom") or _input(first, "add_b1_field", "phantom")) is not None:
        first = before
    source = _input(first, "open_phantom", "source")
    # a phantom is all that lies in its folder
    for folder in _named(source) if isinstance(source, str) else ():
        with contextlib.suppress(OSError):  # no folder, or one that nobody may look into
            found |= {path.resolve() for path in folder.iterdir()}
    for text in _texts(record):
        found |= {path for path in _named(text) if os.path.isfile(path)}
    return found


def _input(record: Any, operation: str, name: str) -> Any:
    """Return an input in a record of this operation; None in any other."""
    inputs = record.get("inputs") if isinstance(record, Mapping) and record.get("operation") == operation else None
    return inputs.get(name) if isinstance(inputs, Mapping) else None


def _named(text: str) -> set[Path]:
    """Return what is there by a name in a record, now and when it was read; resolved. Most texts name nothing."""
    found = set(_READ.get(text, ()))
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # too long, `~5 %`, a zero byte
        path = Path(text).expanduser().resolve()
        found |= {path} if path.exists() else set()
    return found


def _texts(record: Mapping[str, Any], *, nested: bool = True) -> Iterator[str]:
    """Yield what could be a path in a record's inputs and settings, and in those of the records among its inputs."""
    left: list[Any] = [{key: record.get(key) for key in ("inputs", "settings")}]
    while left:
        value = left.pop()
        if isinstance(value, Mapping) and (nested or "operation" not in value):
            left += [item for key, item in value.items() if key not in ("software", "schedule")]
        elif isinstance(value, (list, tuple)):
            left += [item for item in value if isinstance(item, (str, list, tuple, Mapping))]
        elif isinstance(value, str) and 0 < len(value) < 4096 and "\0" not in value:
            yield value


def listing(paths: Iterable[PathLike]) -> dict[str, dict[str, str]]:
    """Return the entry of a set's JSON that lists its members, as they are now, with their digests."""
    return {LISTING: {Path(path).name: digest(Path(path)) for path in paths}}


def members_named(content: Mapping[str, Any]) -> set[str] | None:
    """Return the names that a set's JSON lists; None where it lists none."""
    listed = content.get(LISTING)
    return set(listed) if isinstance(listed, dict) else None


def about_changes(content: Mapping[str, Any], files: Iterable[PathLike]) -> list[str]:
    """Return, in sentences, which files of a set are not as they were when it was written.

    Parameters
    ----------
    content : mapping
        Of the set's JSON.
    files : iterable of path
        Members of it that are read.
    """
    listed = content.get(LISTING)
    known = listed if isinstance(listed, dict) else {}
    paths = [path for path in map(Path, files) if path.name in known and path.is_file()]
    changed = [path.name for path in paths if known[path.name] != digest(path)]
    return [f"{name} was changed since it was written with the others; it is read as it is now." for name in changed]


def strangers_among(files: Iterable[Path]) -> list[Path]:
    """Return those of the files in a folder that lie among ours, by their names, and are not of their set."""
    every, found = list(files), []
    for sidecar in (file for file in every if file.name.endswith("_T1map.json")):
        content, start = json_object(sidecar), sidecar.name.removesuffix("T1map.json")
        maps, listed = content.get("NapariBlochnetMaps"), content.get(LISTING)
        images = [file for file in every if file.name.startswith(start) and ".nii" in file.suffixes]
        if isinstance(maps, dict):
            found += [file for file in images if file.name not in maps.values()]
        elif describes_phantom(content) and isinstance(listed, dict):
            found += [file for file in images
                      if _PHANTOM.fullmatch(file.name.removeprefix(start)) and file.name not in listed]  # fmt: skip
    return found


def figure_mark(path: PathLike) -> dict[str, str]:
    """Return the metadata by which a figure is known as ours; as matplotlib takes them, by the ending."""
    return {"Software" if Path(path).suffix.lower() == ".png" else "Creator": PROGRAM}


def is_ours(path: PathLike) -> bool:
    """Whether a file is one that this package wrote, or is empty."""
    file = Path(path)
    try:
        about = file.stat()
        if stat.S_ISDIR(about.st_mode):
            return _is_our_store(file)
        if not stat.S_ISREG(about.st_mode):
            return False
        if about.st_size == 0:
            return True
        return _is_listed(file) or is_marked(file)
    except (OSError, ValueError, RecursionError, struct.error, zipfile.BadZipFile):
        return False


def _is_our_store(folder: Path) -> bool:
    """Whether a folder is a Zarr store with a stack, and holds nothing else; or is to be one, and holds nothing."""
    entries = _entries(folder)
    if not entries:
        return folder.name.lower().endswith(".zarr")
    attributes = json_object(folder / "zarr.json").get("attributes")
    return (
        isinstance(attributes, dict)
        and describes_stack(attributes)
        and "data" in entries <= {"zarr.json", "data", "mask"}
        and all(_entries(folder / name) <= {"zarr.json", "c"} for name in entries - {"zarr.json"})
    )


def _entries(folder: Path) -> set[str]:
    """Return the names in a folder, but of what file managers leave there."""
    return {entry.name for entry in folder.iterdir() if entry.is_dir() or not _LITTER.fullmatch(entry.name)}


# -- members of sets


def _is_listed(file: Path) -> bool:
    """Whether the JSON of a set of ours names a file, and it is what was written."""
    stem = re.sub(r"\.(nii\.gz|\w+)$", "", file.name, flags=re.IGNORECASE)
    parts = stem.split("_")
    beginnings = ["_".join(parts[:count]) for count in range(len(parts), 0, -1)]
    # the list of a set goes before what its member says of itself
    for name in dict.fromkeys([*(f"{start}_T1map" for start in beginnings), stem.removesuffix("_mask"), stem]):
        sidecar = file.with_name(f"{name}.json")
        if sidecar == file or not (content := json_object(sidecar)):
            continue
        members = content.get(LISTING)
        if isinstance(members, dict):
            if file.name in members and is_our_json(content):
                return bool(members[file.name] == digest(file))
        elif _listed_before(file, stem, name, content):
            return True
    return False


def _was_of_phantom(file: Path, start: str) -> bool:
    """Whether a file beside an earlier version's phantom is one of its own, by what that wrote beside the file."""
    ending = file.name.removeprefix(start)
    if not _PHANTOM.fullmatch(ending):
        return False
    if ending.startswith("TB1map"):
        return json_object(file.with_name(f"{start}TB1map.json")) == _B1
    table = file.with_name(f"{start}dseg.tsv")
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    if ending.startswith("dseg"):
        return lines[:1] == ["index\tname"]
    if ending.startswith("label-") and lines:
        tissues = {re.sub(r"[^A-Za-z0-9]", "", line.partition("\t")[2]) for line in lines[1:]}
        return ending.removeprefix("label-").partition("_")[0] in tissues
    return True


def _listed_before(file: Path, stem: str, name: str, content: dict[str, Any]) -> bool:
    """Whether a JSON file without a list of digests, as earlier versions wrote it, is that of a file."""
    if not is_our_json(content):
        return False
    is_image = file.name.lower().endswith((".nii", ".nii.gz"))
    maps = content.get("NapariBlochnetMaps")
    if isinstance(maps, dict):
        return file.name in maps.values()
    if describes_phantom(content):
        return _was_of_phantom(file, name.removesuffix("T1map"))
    if describes_stack(content):
        return is_image and stem in (name, f"{name}_mask")
    return is_image and stem == name
