"""Records: how a result was made, enough to make it again.

A record is plain JSON. It names the operation, its settings and its inputs; an input is the record of what made it,
so a result's record holds its whole history::

    {"operation": "reconstruct", "settings": {"estimator": "dictionary", ...},
     "inputs": {"stack": {"operation": "simulate", ...}}, "software": {...}, "device": "cpu", "seconds": 2.1}
"""

from __future__ import annotations

import datetime as dt
import functools
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_blochnet.common.errors import InputError
from napari_blochnet.io.origin import note_inputs
from napari_blochnet.jobs.packing import GIVEN
from napari_blochnet.jobs.settings import Settings
from napari_blochnet.schedules.schedule import Schedule

__all__ = [
    "Record",
    "as_recipe",
    "check_step",
    "embed_estimator",
    "embed_schedule",
    "make_record",
    "plain_path",
    "shown",
    "steps_of",
]

Record = dict[str, Any]


@functools.cache
def software_versions() -> dict[str, str]:
    """Return the versions of what computes: two of them need not give the same bits."""
    versions = {"python": platform.python_version()}
    for name in ("napari-blochnet", "numpy", "torch", "numba"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def make_record(
    operation: str,
    settings: Settings,
    inputs: Mapping[str, Any],
    *,
    device: str = "cpu",
    seconds: float | None = None,
    **more: Any,
) -> Record:
    """Return the record of one run of an operation.

    Parameters
    ----------
    operation : str
        Its name in `napari_blochnet.jobs.catalogue`.
    settings : Settings
        All its settings, defaults included: a later version may have others.
    inputs : mapping
        Records of what it was given, or plain JSON (file names).
    device : str
        What computed it.
    seconds : float, optional
        How long it took.
    **more
        Further JSON, e.g. what the decoder truncated.
    """
    record: Record = {
        "operation": operation,
        "settings": settings.model_dump(mode="json"),
        "inputs": dict(inputs),
        "software": software_versions(),
        "device": device,
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    note_inputs(record)
    if seconds is not None:
        record["seconds"] = round(seconds, 3)
    return {**record, **more}


def plain_path(path: str | os.PathLike[str]) -> str:
    """Return a path as it is entered in records."""
    return str(Path(path).expanduser())


def embed_schedule(schedule: Schedule) -> Record:
    """Return the schedule's own record, or its numbers where nobody recorded how it was made."""
    return schedule.record or {"operation": "given", "schedule": schedule.to_dict()}


def embed_estimator(estimator: Any) -> Record | str:
    """Return where an estimator was loaded from, or the record of its training; neither is known of other objects."""
    source = getattr(estimator, "source", None)
    if source is not None:
        return str(source)
    record: Record = getattr(estimator, "card", {}).get("record") or {}
    if record and "stopped" not in record:
        return record
    return {"operation": "given", "estimator": getattr(estimator, "description", estimator.name)}


class _Step(BaseModel):
    """What a step of a history, or a record, has to be; all else in it is for people."""

    model_config = ConfigDict(strict=True, extra="allow")

    operation: str
    settings: dict[str, Any] = {}
    inputs: dict[str, Any] = {}


_EXPECTED = {"operation": "a name", "settings": "an object", "inputs": "an object"}


def check_step(step: Any, what: str) -> None:
    """Raise `InputError` where a step, or a record, is none: no object, or of other types than these have.

    Parameters
    ----------
    step : object
    what : str
        What people call it, as the beginning of a sentence.
    """
    try:
        _Step.model_validate(step)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        if not key:
            raise InputError(f"{what} is {shown(step)}", "an object", field="recipe") from None
        found = "no operation" if first["type"] == "missing" else f"{shown(first['input'])} as {key}"
        raise InputError(f"{what} has {found}", _EXPECTED.get(key, "text as its keys"), field="recipe") from None


def shown(value: object) -> str:
    """Return a value as a sentence shows it."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…"


def steps_of(*records: Record) -> list[Record]:
    """Return the records' common history, first step first; a step's inputs name earlier steps by ``{"step": i}``.

    Raises
    ------
    InputError
        Something among them that is no record.
    """
    steps: list[Record] = []
    seen: dict[str, int] = {}

    def visit(node: Record) -> int:
        check_step(node, "A record in its history")
        inputs = {name: link(value) for name, value in node.get("inputs", {}).items()}
        # inputs by their steps: each part of a history is written out once, however wide or deep it is
        same = json.dumps(node | {"inputs": inputs}, sort_keys=True, default=repr)
        if same in seen:
            return seen[same]
        kept = {key: node[key] for key in ("operation", "settings", "layer", *GIVEN) if key in node}
        steps.append(kept | {"inputs": inputs})
        return seen.setdefault(same, len(steps) - 1)

    def link(value: Any) -> Any:
        if isinstance(value, dict):
            return {"step": visit(value)}
        if isinstance(value, list):
            return [link(item) for item in value]
        return value

    try:
        for record in records:
            visit(record)
    except RecursionError:
        raise InputError("Its steps lie in one another too deeply", "the record of a result", field="recipe") from None
    return steps


def as_recipe(record: Record) -> Record:
    """Return a recipe that `napari_blochnet.jobs.history.recipes.run_recipe` runs again."""
    return {"blochnet_recipe": 1, "steps": steps_of(record)}
