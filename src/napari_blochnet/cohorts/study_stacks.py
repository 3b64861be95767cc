"""Which stacks a study has: named one by one, in a table, or as a BIDS dataset."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from napari_blochnet.cohorts.stack_names import distinct_prefixes, entities_of
from napari_blochnet.common.errors import FileError, InputError, in_file
from napari_blochnet.io.plain_files import existing_file
from napari_blochnet.io.text_tables import open_table
from napari_blochnet.io.zarr_arrays import is_zarr
from napari_blochnet.jobs.settings import (
    NO_FILES,
    FingerprintsSettings,
    ReconstructSettings,
    Settings,
    settings_from,
)

__all__ = ["StudyStack", "list_stacks"]

_LARGEST_TABLE, _MOST_STACKS = 2**24, 100_000
# What a table says of each stack beside the fields of `_GIVEN`, and which of these it cannot do without.
_COLUMNS = ("stack", "subject", "session", "schedule", "regions")
_GIVEN: tuple[type[Settings], ...] = (FingerprintsSettings, ReconstructSettings)
# Cells that give nothing, and those that give none where the recipe has one.
_NOTHING, _NONE = ("", "n/a"), ("none", "-")
_MRF = re.compile(r"_mrf\.(nii|nii\.gz|zarr|npy|npz|mat|h5|hdf5)$", re.IGNORECASE)
_SECOND_PART = re.compile(r"_part-(phase|imag)_", re.IGNORECASE)
_SCHEDULE = re.compile(r"(^|_)schedule\.(csv|txt|mat|json|seq)$", re.IGNORECASE)


@dataclass(frozen=True)
class StudyStack:
    """One stack of a study.

    Parameters
    ----------
    path : Path
        Absolute.
    prefix : str
        BIDS entities of its results.
    schedule, regions : Path, optional
        Its own files.
    opened, mapped : dict
        Settings of its opening and its mapping that take the place of the recipe's, JSON.
    b1 : Path, optional
        A B1 map that lies beside it, for recipes that need one.
    """

    path: Path
    prefix: str = ""
    schedule: Path | None = None
    regions: Path | None = None
    opened: dict[str, Any] = field(default_factory=dict)
    mapped: dict[str, Any] = field(default_factory=dict)
    b1: Path | None = None


def list_stacks(sources: Sequence[str | os.PathLike[str]]) -> list[StudyStack]:
    """Return the stacks that somebody names.

    Parameters
    ----------
    sources : sequence of path
        Stacks; tables of stacks (``.csv``, ``.tsv``) with a header: ``stack`` (a path, from the table's folder) and any
        of ``subject``, ``session``, ``schedule``, ``regions``, ``mask``, ``b1``, and the other settings of opening and
        mapping that belong to one data set; BIDS datasets, of which the files ``…_MRF`` are taken.

    Returns
    -------
    list of StudyStack
        Each with a prefix of its own.

    Raises
    ------
    InputError
        A table with a column or a cell that says nothing; a dataset without stacks; names that are not told apart.
    """
    found: list[StudyStack] = []
    for source in sources:
        path = Path(source).expanduser()
        if path.suffix.lower() in (".csv", ".tsv"):
            found += _in_table(existing_file(path))
        elif path.is_dir() and not is_zarr(path) and _is_dataset(path):
            found += _in_dataset(path.absolute())
        else:
            found.append(StudyStack(path.absolute()))
    if not found:
        raise InputError("No stack is named", "files, a table of them, or a BIDS dataset", field="stacks")
    if len(found) > _MOST_STACKS:
        raise InputError(f"There are {len(found):,} stacks", f"at most {_MOST_STACKS:,}", field="stacks")
    unnamed = [stack.path for stack in found if not stack.prefix]
    names = iter(distinct_prefixes(unnamed))
    found = [stack if stack.prefix else replace(stack, prefix=next(names)) for stack in found]
    for one, other in itertools.pairwise(sorted(found, key=lambda stack: stack.prefix)):
        if one.prefix == other.prefix:
            raise InputError(
                f"{one.path.name} and {other.path.name} are both {one.prefix}",
                "a subject, or a subject and a session, of its own for each",
                field="stacks",
            )
    return found


# -- tables


def _fields() -> dict[str, type[Settings]]:
    """Return the settings that a table may give, each with its model."""
    return {name: model for model in _GIVEN for name in model.fields_of_data()}


def _in_table(table: Path) -> Iterator[StudyStack]:
    text = open_table(table, _LARGEST_TABLE, "a table of stacks, CSV with a header", "stacks", marks=())
    header = [name.strip().lower() for name in text.header]
    fields = _fields()
    unknown = next((name for name in header if name not in _COLUMNS and name not in fields), None)
    if unknown is not None or "stack" not in header:
        what = f"has a column {unknown!r}" if unknown is not None else "has no column stack"
        raise FileError(table, what, f"columns among {', '.join((*_COLUMNS, *fields))}", field="stacks")
    if len(set(header)) < len(header):
        raise FileError(table, "names a column twice", "each once", field="stacks")
    for line, cells in text.rows:
        where = f"{table.name}, line {line}"
        if len(cells) > len(header):
            raise FileError(where, f"has {len(cells)} cells", f"{len(header)}, as in the header", field="stacks")
        row = {name: text.strip() for name, text in itertools.zip_longest(header, cells, fillvalue="")}
        with in_file(where):
            yield _of_row(row, table.absolute().parent, fields)


def _of_row(row: Mapping[str, str], folder: Path, fields: Mapping[str, type[Settings]]) -> StudyStack:
    said = {name: text for name, text in row.items() if text.lower() not in _NOTHING}
    if "stack" not in said:
        raise InputError("names no stack", "its path", field="stacks")

    def file(name: str) -> Path | None:
        return folder / Path(said[name]).expanduser() if name in said else None

    given: dict[type[Settings], dict[str, Any]] = {model: {} for model in _GIVEN}
    for name, model in fields.items():
        if name in said:
            given[model][name] = _cell(said[name], name, model, folder)
    stated = {model: settings_from(model, None, **values).model_dump(mode="json") for model, values in given.items()}
    opened, mapped = ({name: stated[model][name] for name in given[model]} for model in _GIVEN)
    path = file("stack")
    assert path is not None
    return StudyStack(path, _prefix(said), file("schedule"), file("regions"), opened, mapped)


def _cell(text: str, name: str, model: type[Settings], folder: Path) -> Any:
    if text.lower() in _NONE:
        return None
    info = model.model_fields[name]
    if isinstance(info.json_schema_extra, dict) and "files" in info.json_schema_extra and text not in NO_FILES:
        return str(folder / Path(text).expanduser())
    kinds = get_args(info.annotation)
    return text.split() if any(getattr(kind, "__origin__", None) is tuple for kind in kinds) else text


def _prefix(said: Mapping[str, str]) -> str:
    parts = []
    for name, key in (("subject", "sub"), ("session", "ses")):
        if name in said:
            value = said[name].removeprefix(f"{key}-")
            if not re.fullmatch(r"[A-Za-z0-9]+", value):
                raise InputError(f"{name} is {said[name]!r}", "letters and digits", field="stacks")
            parts.append(f"{key}-{value}")
    if parts and not parts[0].startswith("sub-"):
        raise InputError("gives a session and no subject", "both, or neither", field="stacks")
    return "_".join(parts)


# -- datasets


def _is_dataset(folder: Path) -> bool:
    return (folder / "dataset_description.json").is_file() or any(
        each.is_dir() and re.fullmatch(r"sub-[A-Za-z0-9]+", each.name) for each in folder.iterdir()
    )


def _in_dataset(folder: Path) -> list[StudyStack]:
    found = []
    for subject in _folders(folder, "sub"):
        for session in _folders(subject, "ses") or [subject]:
            below = [session, *(each for each in sorted(session.iterdir()) if each.is_dir() and not is_zarr(each))]
            files = [file for place in below for file in sorted(place.iterdir())]
            stacks = [file for file in files if _MRF.search(file.name) and not _SECOND_PART.search(file.name)]
            found += [_beside(stack, files, folder) for stack in stacks]
    if not found:
        raise FileError(folder, "holds no stack", "files such as sub-01/mrf/sub-01_MRF.nii.gz, or a table of stacks",
                        field="stacks")  # fmt: skip
    return found


def _folders(folder: Path, key: str) -> list[Path]:
    return sorted(each for each in folder.iterdir()
                  if each.is_dir() and re.fullmatch(rf"{key}-[A-Za-z0-9]+", each.name))  # fmt: skip


def _beside(stack: Path, files: Sequence[Path], dataset: Path) -> StudyStack:
    """Return a stack with what lies beside it: its schedule, as files above hold it for all; labels, a B1 map."""
    own = entities_of(stack.name.rpartition("_")[0])

    def fits(file: Path, ending: str) -> bool:
        """Whether what a file's name says is said of the stack, too."""
        name, _, suffix = file.name.rpartition("_")
        return suffix.lower() in (f"{ending}.nii.gz", f"{ending}.nii") and entities_of(name).items() <= own.items()

    labels = [file for file in files if fits(file, "dseg")]
    fields = [file for file in files if fits(file, "tb1map")]
    return StudyStack(
        stack,
        schedule=_schedule_of(stack, own, dataset),
        regions=labels[0] if len(labels) == 1 else None,
        b1=fields[0] if len(fields) == 1 else None,
    )


def _schedule_of(stack: Path, own: Mapping[str, str], dataset: Path) -> Path | None:
    """Return the schedule that lies nearest above a stack, as BIDS inherits what is beside files."""
    for folder in itertools.takewhile(lambda each: each.is_relative_to(dataset), stack.parents):
        there = [file for file in sorted(folder.iterdir()) if file.is_file() and _SCHEDULE.search(file.name)]
        there = [file for file in there if entities_of(file.name.rpartition("_")[0]).items() <= own.items()]
        if len(there) > 1:
            raise FileError(folder, f"holds several schedules for {stack.name} ({', '.join(f.name for f in there)})",
                            "one, or a table that names each", field="stacks")  # fmt: skip
        if there:
            return there[0]
    return None
