"""Records: how a result was made, enough to make it again; as a recipe, as Python, as commands.

A record is plain JSON. It names the operation, its settings and its inputs; an input is the record of what made it,
so a result's record holds its whole history::

    {"operation": "reconstruct", "settings": {"estimator": "dictionary", ...},
     "inputs": {"stack": {"operation": "simulate", ...}}, "software": {...}, "device": "cpu", "seconds": 2.1}
"""

from __future__ import annotations

import datetime as dt
import functools
import importlib.metadata
import os
import platform
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.settings import Settings
from napari_blochnet.schedules.schedule import Schedule

__all__ = [
    "NAMED_INPUTS",
    "as_command",
    "as_python",
    "as_recipe",
    "embed_estimator",
    "embed_schedule",
    "make_record",
    "plain_path",
    "steps_of",
]

Record = dict[str, Any]

# what each operation is called in Python and what its result is called in scripts
_RESULT = {
    "open_phantom": "phantom",
    "brainweb_phantom": "phantom",
    "synthetic_head": "phantom",
    "make_schedule": "schedule",
    "open_fingerprints": "stack",
    "simulate": "stack",
    "reconstruct": "maps",
    "compare": "comparison",
    "region_means": "regions",
    "train": "estimator",
    "adapt": "estimator",
}
# What a step of a history may hold itself: what a person painted, a B1 map that was given as an array.
_PACKED = ("mask", "b1", "regions")
#: Inputs that operations take by name.
NAMED_INPUTS = ("mask", "b1")
_SUFFIX = {
    "schedule": ".csv",
    "stack": ".nii.gz",
    "comparison": ".html",
    "regions": ".html",
    "estimator": ".safetensors",
}


@functools.cache
def _software() -> dict[str, str]:
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
        Name of the function in `napari_blochnet.jobs.catalogue`.
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
        "software": _software(),
        "device": device,
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
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


def steps_of(*records: Record) -> list[Record]:
    """Return the records' common history, first step first; a step's inputs name earlier steps by ``{"step": i}``."""
    steps: list[Record] = []
    seen: list[tuple[Record, int]] = []

    def visit(node: Record) -> int:
        for known, index in seen:
            if known == node:
                return index
        inputs = {name: link(value) for name, value in node.get("inputs", {}).items()}
        kept = {key: node[key] for key in ("operation", "settings", "schedule", *_PACKED) if key in node}
        steps.append(kept | {"inputs": inputs})
        seen.append((node, len(steps) - 1))
        return len(steps) - 1

    def link(value: Any) -> Any:
        if isinstance(value, dict) and "operation" in value:
            return {"step": visit(value)}
        if isinstance(value, list):
            return [link(item) for item in value]
        return value

    for record in records:
        visit(record)
    return steps


def as_recipe(record: Record) -> Record:
    """Return a recipe that `napari_blochnet.jobs.history.recipes.run_recipe` runs again."""
    return {"blochnet_recipe": 1, "steps": steps_of(record)}


def _changed(step: Record) -> dict[str, Any]:
    from napari_blochnet.jobs.catalogue import SETTINGS

    model = SETTINGS[step["operation"]]
    if isinstance(model, dict):
        model = model[step["settings"]["kind"]]
    defaults = {name: field.default for name, field in model.model_fields.items()}
    plain = model.model_validate(step["settings"]).model_dump()
    # a schedule's kind chooses the function and is no argument of it
    left_out = {"kind"} if step["operation"] == "make_schedule" else set()
    return {name: value for name, value in plain.items() if value != defaults[name] and name not in left_out}


def _names(steps: list[Record]) -> list[str]:
    names: list[str] = []
    for step in steps:
        base = _RESULT.get(step["operation"]) or next((key for key in _PACKED if key in step), "schedule")
        names.append(base if base not in names else f"{base}_{sum(name.startswith(base) for name in names) + 1}")
    return names


def as_python(*records: Record) -> str:
    """Return a script that makes the results again with the public interface; what they share is made once.

    Raises
    ------
    InputError
        A history that holds data made in Python.
    """
    steps = steps_of(*records)
    names = _names(steps)
    lines = ["import napari_blochnet as nb", ""]

    def argument(value: Any) -> str:
        if isinstance(value, dict) and "step" in value:
            return names[value["step"]]
        if isinstance(value, list):
            return "[" + ", ".join(argument(item) for item in value) + "]"
        return repr(value)

    for name, step in zip(names, steps, strict=True):
        if step["operation"] == "given":
            packed = next((key for key in _PACKED if key in step), None)
            if packed is not None:
                lines.append(f"{name} = nb.unpack_{packed}({step[packed]!r})")
                continue
            values = _given_schedule(step)
            parts = [f"{key}={value!r}" for key, value in values.items()]
            lines.append(f"{name} = nb.Schedule({', '.join(parts)})")
            continue
        changed = _changed(step)
        inputs = [value for key, value in step["inputs"].items() if key not in NAMED_INPUTS]
        if step["operation"] == "make_schedule" and step["settings"]["kind"] == "file":
            inputs = [changed.pop("path")]
        if step["operation"] == "reconstruct" and "estimator" in step["inputs"]:
            changed.pop("estimator", None)
        if step["operation"] == "train":
            changed.pop("estimator", None)
            inputs.insert(0, step["settings"]["estimator"])
        parts = [argument(value) for value in inputs if value is not None]
        parts += [f"{key}={argument(step['inputs'][key])}" for key in NAMED_INPUTS if key in step["inputs"]]
        parts += [f"{key}={value!r}" for key, value in changed.items()]
        lines.append(f"{name} = nb.{_python_name(step)}({', '.join(parts)})")
    return "\n".join(lines) + "\n"


def _python_name(step: Record) -> str:
    """Return the public function of a step; those of lower rooms make no records and need none here."""
    if step["operation"] == "make_schedule":
        return {"fisp": "fisp_schedule", "spline": "spline_schedule", "file": "read_schedule"}[step["settings"]["kind"]]
    public = {"open_phantom": "read_phantom", "synthetic_head": "synthetic_phantom",
              "open_fingerprints": "read_fingerprints"}  # fmt: skip
    return public.get(step["operation"], str(step["operation"]))


def _given_schedule(step: Record) -> dict[str, Any]:
    if "schedule" in step:
        return {key: value for key, value in step["schedule"].items() if key != "record"}
    if any(key in step for key in _PACKED):
        what = "The B1 map was given as an array" if "b1" in step else "The region was painted"
        raise InputError(f"{what} and cannot be written as a command; copy Python or save a recipe instead.",
                         field="record")  # fmt: skip
    raise InputError("A step of this result was made in Python and cannot be written as a script.", field="record")


def as_command(*records: Record) -> str:
    """Return shell commands that make the results again, one line per step, files named after the results.

    Raises
    ------
    InputError
        A history that holds a schedule or data made in Python, or a painted mask.
    """
    steps = steps_of(*records)
    paths = [name + _SUFFIX.get(name.split("_")[0], "") for name in _names(steps)]
    lines = []
    for path, step in zip(paths, steps, strict=True):
        words = _words(step, steps, paths)
        if words:
            lines.append(shlex.join(["blochnet", *words, "-o", path]))
    return "\n".join(lines) + "\n"


def _words(step: Record, steps: list[Record], paths: list[str]) -> list[str]:
    """Return a step as words of a command without its output; none for a stack that is only opened."""
    operation, inputs = step["operation"], step["inputs"]

    def path_of(value: Any) -> str:
        return paths[value["step"]] if isinstance(value, dict) else str(value)

    if operation == "given":
        if "schedule" in step:
            raise InputError("The schedule was made in Python and not by a command; write it to a file first "
                             "(nb.write_schedule).", field="schedule")  # fmt: skip
        _given_schedule(step)
    if operation == "open_fingerprints":
        return []
    changed = _changed(step)
    match operation:
        case "open_phantom":
            source = inputs["source"]
            words = ["phantom", *(source if isinstance(source, list) else [source])]
        case "brainweb_phantom":
            words = ["phantom", "--brainweb", step["settings"]["subject"]]
            changed.pop("subject", None)
        case "synthetic_head":
            words = ["phantom", "--synthetic"]
        case "make_schedule" if step["settings"]["kind"] == "file":
            words = ["schedule", "convert", changed.pop("path")]
        case "make_schedule":
            words = ["schedule", step["settings"]["kind"]]
        case "simulate":
            words = ["simulate", "--phantom", path_of(inputs["phantom"]), "--schedule", path_of(inputs["schedule"])]
        case "reconstruct":
            words = ["reconstruct", *_stack_words(inputs["stack"], steps, paths)]
            if "estimator" in inputs:
                changed["estimator"] = path_of(inputs["estimator"])
        case "train":
            words = ["train"]
            for schedule in inputs["schedules"]:
                words += ["--schedule", path_of(schedule)]
        case "adapt":
            words = ["adapt", path_of(inputs["estimator"]), *_stack_words(inputs["stack"], steps, paths)]
        case "compare":
            words = ["compare", "--truth", path_of(inputs["truth"]), *map(path_of, inputs["maps"])]
        case _:
            words = ["compare", "--regions", inputs["regions"], *map(path_of, inputs["maps"])]
            if "truth" in inputs:
                words += ["--truth", path_of(inputs["truth"])]
    return words + _options(changed)


def _stack_words(stack: Any, steps: list[Record], paths: list[str]) -> list[str]:
    """Return the words that name a stack: a file of ours, or one that is opened with its schedule and hints."""
    opened = steps[stack["step"]]
    if opened["operation"] != "open_fingerprints":
        return [paths[stack["step"]]]
    words = [str(opened["inputs"]["path"])]
    schedule = opened["inputs"]["schedule"]
    if schedule is not None:
        words += ["--schedule", paths[schedule["step"]]]
    return words + _options(_changed(opened))


def _options(changed: dict[str, Any]) -> list[str]:
    words: list[str] = []
    for name, value in changed.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
            continue
        values = value if isinstance(value, (list, tuple)) else [value]
        words += [f"--no-{flag}"] if value is None else [f"--{flag}", *map(str, values)]
    return words
