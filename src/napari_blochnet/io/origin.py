"""Whose a file is. What this package wrote may be replaced and removed; what it did not write never is.

A set of files (maps, a phantom, a stack) is listed with a digest of each member in the JSON of one of them, under
`LISTING`: a member is ours where such a list names it and it still is what was written. Other files carry a mark: a
record, a header that only we write, or the name of the program. Everything earlier versions wrote is known by what it
was written with: lists without digests, records, headers.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from napari_blochnet.common.errors import InputError

__all__ = [
    "LISTING",
    "PROGRAM",
    "check_outputs",
    "figure_mark",
    "inputs_of",
    "is_ours",
    "listing",
    "ours_among",
    "strangers_among",
]

PathLike: TypeAlias = str | os.PathLike[str]

#: What a file says of who wrote it.
PROGRAM = "napari-blochnet"
#: Where the JSON of a set lists its members: name to digest.
LISTING = "NapariBlochnetFiles"

# Files up to this size are digested whole; of larger ones this many pieces, evenly spread.
_WHOLE, _PIECES, _PIECE = 64 * 2**20, 256, 2**16
# What is looked at of text, and the largest JSON.
_HEAD, _JSON = 4096, 256 * 2**20
# Files named in a sentence.
_NAMED = 4


def check_outputs(
    paths: Iterable[PathLike],
    *,
    inputs: Iterable[PathLike] = (),
    record: Mapping[str, Any] | None = None,
    instead: str = "another name or folder",
    field: str = "path",
) -> None:
    """Raise `InputError` where writing these files would replace what this package did not write, or an input.

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
    there = [Path(path) for path in paths]
    there = [path for path in dict.fromkeys(there) if path.exists() or path.is_symlink()]
    if not there:
        return
    used = {Path(path).expanduser().resolve() for path in inputs} | inputs_of(record or {})
    for path in there:
        if path.resolve() in used:
            raise InputError(f"{path} is what this is made from and is not replaced by it", instead, field=field)
    foreign = [path for path in there if not is_ours(path)]
    if foreign:
        names = ", ".join(path.name for path in foreign[:_NAMED])
        more = f" and {len(foreign) - _NAMED} more" if len(foreign) > _NAMED else ""
        was, is_kept = ("was", "is") if len(foreign) == 1 else ("were", "are")
        raise InputError(
            f"{names}{more} in {foreign[0].parent.resolve()} {was} not written by {PROGRAM} and {is_kept} not replaced",
            instead,
            field=field,
        )


def ours_among(paths: Iterable[PathLike]) -> list[Path]:
    """Return the files that are there and that this package wrote."""
    return [path for path in map(Path, paths) if path.exists() and is_ours(path)]


def inputs_of(record: Mapping[str, Any]) -> set[Path]:
    """Return the files that a record names, and those in the folder that a phantom was read from; resolved."""
    found: set[Path] = set()
    left: list[Any] = [{key: record.get(key) for key in ("inputs", "settings")}]
    source = record.get("inputs", {}).get("source") if record.get("operation") == "open_phantom" else None
    if isinstance(source, str) and os.path.isdir(source):
        # a phantom is all that lies in its folder
        found |= {path.resolve() for path in Path(source).iterdir()}
    while left:
        value = left.pop()
        if isinstance(value, Mapping):
            left += [item for key, item in value.items() if key not in ("software", "schedule")]
        elif isinstance(value, (list, tuple)):
            left += [item for item in value if isinstance(item, (str, list, tuple, Mapping))]
        elif isinstance(value, str) and 0 < len(value) < 4096 and "\0" not in value and os.path.isfile(value):
            found.add(Path(value).resolve())
    return found


def listing(paths: Iterable[PathLike]) -> dict[str, dict[str, str]]:
    """Return the entry of a set's JSON that lists its members, as they are now, with their digests."""
    return {LISTING: {Path(path).name: _digest(Path(path)) for path in paths}}


def strangers_among(files: Iterable[Path]) -> list[Path]:
    """Return those of the files in a folder that lie among maps of ours, by their names, and are none of them."""
    every, found = list(files), []
    for sidecar in (file for file in every if file.name.endswith("_T1map.json")):
        maps = _json(sidecar).get("NapariBlochnetMaps")
        if isinstance(maps, dict):
            start = sidecar.name.removesuffix("T1map.json")
            images = (file for file in every if file.name.startswith(start) and ".nii" in file.suffixes)
            found += [file for file in images if file.name not in maps.values()]
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
        return _is_listed(file) or _is_marked(file)
    except (OSError, ValueError, RecursionError, struct.error, zipfile.BadZipFile):
        return False


def _is_our_store(folder: Path) -> bool:
    """Whether a folder is a Zarr store with a stack, and holds nothing else."""
    attributes = _json(folder / "zarr.json").get("attributes")
    entries = {entry.name for entry in folder.iterdir()}
    return isinstance(attributes, dict) and _is_stack(attributes) and "data" in entries <= {"zarr.json", "data", "mask"}


def _digest(path: Path) -> str:
    digest, size = hashlib.blake2b(digest_size=16), path.stat().st_size
    with path.open("rb") as file:
        if size <= _WHOLE:
            while block := file.read(2**20):
                digest.update(block)
        else:
            digest.update(str(size).encode())
            for piece in range(_PIECES):
                file.seek((size - _PIECE) * piece // (_PIECES - 1))
                digest.update(file.read(_PIECE))
    return digest.hexdigest()


def _json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; nothing where there is none."""
    try:
        if not path.is_file() or path.stat().st_size > _JSON:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


# -- members of sets


def _is_listed(file: Path) -> bool:
    """Whether the JSON of a set of ours names a file, and it is what was written."""
    stem = re.sub(r"\.(nii\.gz|\w+)$", "", file.name, flags=re.IGNORECASE)
    parts = stem.split("_")
    beginnings = ["_".join(parts[:count]) for count in range(len(parts), 0, -1)]
    # the list of a set goes before what its member says of itself
    for name in dict.fromkeys([*(f"{start}_T1map" for start in beginnings), stem.removesuffix("_mask"), stem]):
        sidecar = file.with_name(f"{name}.json")
        if sidecar == file or not (content := _json(sidecar)):
            continue
        members = content.get(LISTING)
        if isinstance(members, dict):
            if file.name in members and _is_our_json(content):
                return bool(members[file.name] == _digest(file))
        elif _listed_before(file, stem, name, content):
            return True
    return False


def _listed_before(file: Path, stem: str, name: str, content: dict[str, Any]) -> bool:
    """Whether a JSON file without a list of digests, as earlier versions wrote it, is that of a file."""
    if not _is_our_json(content):
        return False
    is_image = file.name.lower().endswith((".nii", ".nii.gz"))
    maps = content.get("NapariBlochnetMaps")
    if isinstance(maps, dict):
        return file.name in maps.values()
    if _is_phantom(content):
        ending = stem.removeprefix(name.removesuffix("T1map"))
        return bool(re.fullmatch(r"T1map|T2map|PDmap|TB1map|dseg|label-[A-Za-z0-9]+_probseg", ending))
    if _is_stack(content):
        return is_image and stem in (name, f"{name}_mask")
    return is_image and stem == name


def _is_phantom(content: dict[str, Any]) -> bool:
    return content.keys() - {LISTING} == {"Units", "Name", "Notes", "Record"}


def _is_stack(content: dict[str, Any]) -> bool:
    return content.keys() >= {"name", "kind", "snr", "noise_sigma", "schedule", "record"}


# -- marks


def _is_our_json(content: dict[str, Any]) -> bool:
    if isinstance(content.get("EstimationSoftwareName"), str):
        return bool(content["EstimationSoftwareName"] == PROGRAM)
    if content.keys() & {"blochnet_recipe", "blochnet_session", "blochnet_model"}:
        return True
    if isinstance(content.get(LISTING), dict) or _is_phantom(content) or _is_stack(content):
        return True
    software = content.get("software")
    if isinstance(software, dict) and "operation" in content:
        return PROGRAM in software
    # pieces of experiments; layers, error maps and regions as earlier versions saved them
    about, keys = str(content.get("Description", "")), content.keys() - {"Record", "Labels"}
    return (
        content.keys() == {"key", "rows"}
        or content.keys() == {"Units", "Name"}
        or (keys == {"Units", "Description"} and content["Units"] == "%" and about.endswith("− truth)/truth"))
        or (keys == {"Units", "Description"} and content["Units"] == "label")
    )


def _is_marked(file: Path) -> bool:
    """Whether a file says itself that it is ours."""
    with file.open("rb") as stream:
        head = stream.read(_HEAD)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _is_our_png(file)
    if head.startswith(b"%PDF"):
        content = file.read_bytes()
        return f"/Creator ({PROGRAM})".encode() in content or (
            b"/Creator (Matplotlib" in content and _is_by_report(file)
        )
    if head.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(file) as archive:
            return all(re.fullmatch(r".+ (t1|t2)(_se)?\.npy", name) for name in archive.namelist())
    suffix = file.suffix.lower()
    if suffix == ".json":
        return _is_our_json(_json(file))
    if suffix in (".safetensors", ".training"):
        return _is_our_model(file)
    return _is_our_text(file, head.decode("utf-8", "ignore"))


def _is_our_png(file: Path) -> bool:
    software = ""
    with file.open("rb") as stream:
        stream.seek(8)
        while len(start := stream.read(8)) == 8:
            length, kind = struct.unpack(">I4s", start)
            if kind in (b"IDAT", b"IEND") or length > _HEAD:
                break
            key, _, value = stream.read(length).partition(b"\0")
            stream.seek(4, os.SEEK_CUR)
            if kind == b"tEXt" and key == b"Software":
                software = value.decode("latin-1")
    return software == PROGRAM or (software.startswith("Matplotlib") and _is_by_report(file))


def _is_by_report(file: Path) -> bool:
    """Whether a figure without our mark lies where earlier versions put theirs: beside their page or table."""
    name = re.sub(r"-(maps|scatter)$", "", file.stem)
    beside = [
        file.with_name(f"{stem}{ending}")
        for stem in (name, name.split("_")[0], "report")
        for ending in (".html", ".csv")
    ]
    return any(other.is_file() and _is_marked(other) for other in beside)


def _is_our_model(file: Path) -> bool:
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        if length > _WHOLE:
            return False
        header = json.loads(stream.read(length).decode("utf-8"))
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    return isinstance(metadata, dict) and bool(metadata.keys() & {"blochnet_card", "blochnet_training"})


# How tables begin: of comparisons and regions, of experiments.
_TABLES = (
    "model,tissue,parameter,unit,voxels,failures,",
    "model,region,parameter,unit,voxels,failures,",
    "experiment,draw,model,preset,seed,",
    "schedule,pulses,estimator,",
    "profile,sphere,parameter,voxels,failures,true,site,",
    "kind,snr,profile_in_data,profile_in_model,",
)
_SCHEDULE = "flip_angle_deg,repetition_time_ms,echo_time_ms,rf_phase_deg"


def _is_our_text(file: Path, head: str) -> bool:
    if f'<meta name="generator" content="{PROGRAM}">' in head or f"<!-- {PROGRAM} -->" in head:
        return True
    if f"<dc:title>{PROGRAM}</dc:title>" in head or ("<dc:title>Matplotlib v" in head and _is_by_report(file)):
        return True
    if file.suffix == ".md" and (table := file.with_suffix(".csv")).is_file() and _is_marked(table):
        return True  # the page of an experiment, as earlier versions wrote it
    if head.startswith("<!DOCTYPE html>") and ":root { --text: #1d2330; --faint: #626a78;" in head:
        return True
    if head.startswith(_TABLES) or re.match(r"# stack: .*\n# voxel: z \d+, y \d+, x \d+\n# signal: ", head):
        return True
    return f"{_SCHEDULE}\n" in head and _is_our_schedule(file.read_text(encoding="utf-8"))


def _is_our_schedule(text: str) -> bool:
    """Whether a table of pulses is as `napari_blochnet.schedules.schedule_files.write_schedule` writes it."""
    comments, _, rows = text.partition(f"# receiver_phase: follows\n{_SCHEDULE}\n")
    if not rows:
        comments, _, rows = text.partition(f"# receiver_phase: fixed\n{_SCHEDULE}\n")
    known = ("# name: ", "# inversion_time_ms: ", "# inversion_efficiency: ", "# slice_profile: ")
    lines = rows.splitlines()
    return bool(lines) and all(line.startswith(known) for line in comments.splitlines()) and all(
        len(cells := line.split(",")) == 4 and all(_is_exact(cell) for cell in cells) for line in lines
    )  # fmt: skip


def _is_exact(cell: str) -> bool:
    try:
        return math.isfinite(value := float(cell)) and repr(value) == cell
    except ValueError:
        return False
