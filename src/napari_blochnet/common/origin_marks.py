"""By what a single file is known as one that this package wrote: a record, a header that only we write, a name."""

from __future__ import annotations

import math
import os
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

from napari_blochnet.common.json_text import parse_json

__all__ = [
    "HDF5_HEAD",
    "LISTING",
    "MATLAB_HEAD",
    "PROGRAM",
    "describes_phantom",
    "describes_stack",
    "is_marked",
    "is_our_json",
    "json_object",
]

#: What a file says of who wrote it.
PROGRAM = "napari-blochnet"
#: How MATLAB files of ours begin.
MATLAB_HEAD = b"MATLAB 5.0 MAT-file, written by napari-blochnet"
#: How HDF5 files of ours begin, in the block before HDF5's own.
HDF5_HEAD = b"HDF5 file, written by napari-blochnet"
#: Where the JSON of a set lists its members: name to digest.
LISTING = "NapariBlochnetFiles"

# What is looked at of text, and the largest JSON and header of a model.
_HEAD, _JSON, _HEADER = 4096, 256 * 2**20, 64 * 2**20


def json_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; nothing where there is none."""
    try:
        if not path.is_file() or path.stat().st_size > _JSON:
            return {}
        content = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def describes_phantom(content: dict[str, Any]) -> bool:
    """Whether JSON is that of a phantom's T1 map."""
    return content.keys() - {LISTING} == {"Units", "Name", "Notes", "Record"}


def describes_stack(content: dict[str, Any]) -> bool:
    """Whether JSON is that of a fingerprint stack."""
    return content.keys() >= {"name", "kind", "snr", "noise_sigma", "schedule", "record"}


def is_our_json(content: dict[str, Any]) -> bool:
    """Whether JSON says that this package wrote it."""
    if isinstance(content.get("EstimationSoftwareName"), str):
        return bool(content["EstimationSoftwareName"] == PROGRAM)
    made_by = content.get("GeneratedBy")  # the description of a study's folder
    if isinstance(made_by, list) and any(isinstance(by, dict) and by.get("Name") == PROGRAM for by in made_by):
        return True
    if content.keys() & {"blochnet_recipe", "blochnet_session", "blochnet_model"}:
        return True
    if isinstance(content.get(LISTING), dict) or describes_phantom(content) or describes_stack(content):
        return True
    software = content.get("software")
    if isinstance(software, dict) and "operation" in content:
        return PROGRAM in software
    # error maps as earlier versions saved them
    keys = content.keys() - {"Record"}
    return keys == {"Units", "Description"} and content["Units"] == "%" and bool(
        re.fullmatch(r"\((T1|T2|PD) by .* − truth\)/truth", str(content["Description"]))
    )  # fmt: skip


def is_marked(file: Path) -> bool:
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
    if head.startswith((MATLAB_HEAD, HDF5_HEAD)):
        return True
    if head.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
        are_of_training = all(re.fullmatch(r".+ (t1|t2)(_se)?\.npy", name) for name in names)
        return f"{PROGRAM}.npy" in names or are_of_training
    suffix = file.suffix.lower()
    if suffix == ".json":
        return is_our_json(json_object(file))
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
    """Whether a figure without our mark lies where earlier versions put theirs: beside its page or table."""
    if file.name == "maps.png" and _are_marked(file, *_DEMO):
        return True
    name = re.sub(r"-(maps|scatter)$", "", file.stem)
    if any(_are_marked(file, f"{name}{ending}") for ending in (".html", ".csv")):
        return True
    # of experiments, one for each set of data
    study = file.with_name(f"{file.stem.split('_')[0]}.csv")
    return study.is_file() and _is_experiment(study)


def _are_marked(file: Path, *names: str) -> bool:
    """Whether files of these names lie beside one, and say themselves that they are ours."""
    return all((other := file.with_name(name)).is_file() and is_marked(other) for name in names)


def _is_experiment(table: Path) -> bool:
    """Whether a table is that of an experiment, by its head and, where its rows name the experiment, by its name."""
    with table.open(encoding="utf-8", errors="replace") as stream:
        head, first = stream.readline(_HEAD), stream.readline(_HEAD)
    return head.startswith(_EXPERIMENTS) and (not head.startswith("experiment,") or first.split(",")[0] == table.stem)


def _is_our_model(file: Path) -> bool:
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        if length > _HEADER:
            return False
        header = parse_json(stream.read(length))
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    return isinstance(metadata, dict) and bool(metadata.keys() & {"blochnet_card", "blochnet_training"})


# What the demonstration writes beside its picture.
_DEMO = ("report.html", "report.csv", "schedule.csv", "recipe.json")
# How tables begin: of experiments, and of comparisons, regions and agreement (of that in earlier versions, too).
_EXPERIMENTS = (
    "experiment,draw,model,preset,seed,",
    "schedule,pulses,estimator,",
    "profile,sphere,parameter,voxels,failures,true,site,",
    "trains,sphere,parameter,voxels,failures,true,site,",
    "kind,snr,profile_in_data,profile_in_model,",
    "images,made_in_seconds,made_with_mib,estimator,tissue,",
)
_TABLES = (
    "model,tissue,parameter,unit,voxels,failures,",
    "model,region,parameter,unit,voxels,failures,",
    "model,reference,region,parameter,unit,voxels,failures,",
    "model,reference,region,parameter,voxels,failures,",
    "name,subject,session,stack,estimator,region,parameter,",
    *_EXPERIMENTS,
)
_SCHEDULE = "flip_angle_deg,repetition_time_ms,echo_time_ms,rf_phase_deg"


def _is_our_text(file: Path, head: str) -> bool:
    if f'<meta name="generator" content="{PROGRAM}">' in head or f"<!-- {PROGRAM} -->" in head:
        return True
    if f"<dc:title>{PROGRAM}</dc:title>" in head or ("<dc:title>Matplotlib v" in head and _is_by_report(file)):
        return True
    if file.suffix == ".md" and (table := file.with_suffix(".csv")).is_file() and _is_experiment(table):
        return True  # the page of an experiment, as earlier versions wrote it
    if head.startswith("<!DOCTYPE html>") and ":root { --text: #1d2330; --faint: #626a78;" in head:
        return True
    if head.startswith(_TABLES) or re.match(r"# stack: .*\n# voxel: z \d+, y \d+, x \d+\n# signal: ", head):
        return True
    # the responses of preparations may be long
    may_be_schedule = f"{_SCHEDULE}\n" in head or (head.startswith("# ") and "# preparation: " in head)
    return may_be_schedule and _is_our_schedule(file.read_text(encoding="utf-8"))


def _is_our_schedule(text: str) -> bool:
    """Whether a table of pulses is as `napari_blochnet.schedules.schedule_files.write_schedule` writes it."""
    comments, _, rows = text.partition(f"# receiver_phase: follows\n{_SCHEDULE}\n")
    if not rows:
        comments, _, rows = text.partition(f"# receiver_phase: fixed\n{_SCHEDULE}\n")
    known = ("# name: ", "# inversion_time_ms: ", "# inversion_efficiency: ", "# slice_profile: ", "# preparation: ",
             "# response ", "# trains: ", "# recovery_time_ms: ")  # fmt: skip
    lines = rows.splitlines()
    return bool(lines) and all(line.startswith(known) for line in comments.splitlines()) and all(
        len(cells := line.split(",")) == 4 and all(_is_exact(cell) for cell in cells) for line in lines
    )  # fmt: skip


def _is_exact(cell: str) -> bool:
    try:
        return math.isfinite(value := float(cell)) and repr(value) == cell
    except ValueError:
        return False
