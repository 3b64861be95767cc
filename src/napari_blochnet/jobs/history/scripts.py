"""A result's history as a script: Python, or commands of a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.catalogue import KINDS, Operation, operation_of
from napari_blochnet.jobs.packing import GIVEN
from napari_blochnet.jobs.records import Record, steps_of
from napari_blochnet.jobs.settings import settings_from

__all__ = ["as_command", "as_python"]


def as_python(*records: Record) -> str:
    """Return a script that makes the results again with the public interface; what they share is made once.

    Raises
    ------
    InputError
        A history that holds data made in Python, but for layers of napari, in whose console the script then runs.
    """
    steps = _checked(records)
    names = _names(steps)
    imports, lines = ["import napari_blochnet as nb"], []

    def said(value: Any) -> str:
        if isinstance(value, dict) and "step" in value:
            return names[value["step"]]
        if isinstance(value, list):
            return "[" + ", ".join(map(said, value)) + "]"
        return repr(value)

    for name, step in zip(names, steps, strict=True):
        operation = operation_of(step["operation"], step.get("settings", {}))
        if operation is None:
            if "layer" in step:
                imports.append("import napari")
            lines.append(f"{name} = {_given_python(step)}")
            continue
        called = operation.python_name
        if not called:
            module, _, called = operation.function.partition(":")
            imports.append(f"from {module} import {called}")
        changed = _changed(operation, step)
        given = [(each, step["inputs"][each.name]) for each in operation.inputs if each.name in step["inputs"]]
        parts = [repr(step["settings"][operation.first])] if operation.first else []
        parts += [said(value) for each, value in given if value is not None and not each.by_name]
        parts += [f"{each.name}={said(value)}" for each, value in given if each.by_name]
        parts += [f"{key}={value!r}" for key, value in changed.items() if key != operation.first]
        lines.append(f"{name} = {called}({', '.join(parts)})")
    return "\n".join([*dict.fromkeys(imports), "", *lines]) + "\n"


def _checked(records: Sequence[Record]) -> list[Record]:
    """Return the steps of a history with all that their operations need, settings validated.

    Raises
    ------
    InputError
        A setting or an input that the operation has not, or cannot take.
    """
    steps = steps_of(*records)
    for step in steps:
        operation = operation_of(step["operation"], step.setdefault("settings", {}))
        if operation is None:
            continue
        settings = settings_from(operation.settings, None, **step["settings"])
        step["settings"] = settings.model_dump(mode="json") | step["settings"]
        for name in step["inputs"]:
            if operation.input(name) is None:
                takes = ", ".join(each.name for each in operation.inputs) or "none"
                raise InputError(f"The record gives {operation.name} a {name}", takes, field="record")
        for each in operation.inputs:
            if not each.optional and step["inputs"].get(each.name) is None:
                raise InputError(f"The record gives {operation.name} no {each.name}", "one", field="record")
    return steps


def _given_python(step: Record) -> str:
    """Return the Python of what the history holds itself."""
    if "schedule" in step:
        values = {key: value for key, value in step["schedule"].items() if key != "record"}
        return f"nb.Schedule({', '.join(f'{key}={value!r}' for key, value in values.items())})"
    if "layer" in step:
        # where the script runs in napari's console, and the layer is open
        return f"napari.current_viewer().layers[{step['layer']!r}].data"
    packed = next((key for key in GIVEN if key in step), None)
    if packed is None:
        raise InputError("A step of this result was made in Python and cannot be written as a script.", field="record")
    return f"nb.unpack_{packed}({step[packed]!r})"


def as_command(*records: Record) -> str:
    """Return shell commands that make the results again, one line per step, files named after the results.

    Raises
    ------
    InputError
        A history that holds a schedule or data made in Python, or a painted mask.
    """
    steps = _checked(records)
    lines: list[str] = []
    results: list[list[str]] = []  # the words that name what each step makes
    for name, step in zip(_names(steps), steps, strict=True):
        operation = operation_of(step["operation"], step.get("settings", {}))
        if operation is None:
            raise _no_command(step)
        words = _words(operation, step, results)
        if not operation.inline:
            path = name + KINDS[operation.result].suffix
            lines.append(shlex.join(["blochnet", *words, "-o", path]))
            words = [path]
        results.append(words)
    return "\n".join(lines) + "\n"


def _no_command(step: Record) -> InputError:
    """Return why what the history holds itself cannot come out of a command."""
    if "schedule" in step:
        return InputError("The schedule was made in Python and not by a command; write it to a file first "
                          "(nb.write_schedule).", field="schedule")  # fmt: skip
    if "layer" in step:
        return InputError(
            f"The fingerprints are the layer {step['layer']} of napari, which no command has; save them to a file "
            "first and open that, or copy Python.",
            field="record",
        )
    if any(key in step for key in GIVEN):
        what = "The B1 map was given as an array" if "b1" in step else "The region was painted"
        return InputError(
            f"{what} and cannot be written as a command; copy Python or save a recipe instead.", field="record"
        )
    return InputError("A step of this result was made in Python and cannot be written as a script.", field="record")


def _words(operation: Operation, step: Record, results: list[list[str]]) -> list[str]:
    """Return a step as words of a command, without ``blochnet`` and its output."""
    changed = _changed(operation, step)
    words: list[str] = []
    for option, name, word in operation.words():
        if word:
            words.append(word)
            continue
        if operation.input(name) is not None:
            value = step["inputs"].get(name)
        else:
            value = step["settings"][name]
            changed.pop(name, None)
        for item in value if isinstance(value, list) else [] if value is None else [value]:
            words += [option] if option else []
            words += results[item["step"]] if isinstance(item, dict) else [str(item)]
    for name, value in changed.items():
        flag = name.replace("_", "-")
        if value is None or isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif name in operation.settings.fields_of_several():
            words += [word for item in value for word in (f"--{flag.removesuffix('s')}", str(item))]
        else:
            words += [f"--{flag}", *map(str, value if isinstance(value, (list, tuple)) else [value])]
    return words


def _changed(operation: Operation, step: Record) -> dict[str, Any]:
    """Return the settings that are not as by default, but for those that an input stands for."""
    model = operation.settings
    plain = settings_from(model, None, **step["settings"]).model_dump()
    return {
        name: value
        for name, value in plain.items()
        if value != model.model_fields[name].default and name not in step["inputs"]
    }


def _names(steps: list[Record]) -> list[str]:
    """Return what each step's result is called."""
    names: list[str] = []
    for step in steps:
        operation = operation_of(step["operation"], step.get("settings", {}))
        base = operation.result if operation else _name_of_given(step)
        names.append(base if base not in names else f"{base}_{sum(name.startswith(base) for name in names) + 1}")
    return names


def _name_of_given(step: Record) -> str:
    return "data" if "layer" in step else next((key for key in GIVEN if key in step), "schedule")
