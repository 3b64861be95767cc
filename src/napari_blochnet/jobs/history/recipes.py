"""Recipes: a result's history as a file, and running it again."""

from __future__ import annotations

import copy
import functools
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from napari_blochnet.common.errors import DataWarning, FileError, InputError, in_file
from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.estimators.networks.cards import is_path
from napari_blochnet.io.json_files import read_json
from napari_blochnet.io.origin import check_outputs
from napari_blochnet.jobs.catalogue import KINDS, OPERATIONS, Kind, Operation, operation_of
from napari_blochnet.jobs.history.other_stacks import EACH
from napari_blochnet.jobs.last_step import write_or_keep
from napari_blochnet.jobs.packing import GIVEN
from napari_blochnet.jobs.records import as_recipe, check_step, shown
from napari_blochnet.jobs.settings import NO_FILES, settings_from

__all__ = ["absolute_files", "check_results", "files_read", "read_recipe", "run_recipe", "write_results"]

# The longest history of a study has some hundred.
_MOST_STEPS = 10_000


def read_recipe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a recipe, or the record in the JSON beside a result.

    Raises
    ------
    InputError
        A file that holds neither, or a recipe whose steps are not what steps are.
    """
    content = read_json(path)
    if isinstance(content, dict):
        content = content.get("Record", content.get("record", content))
    with in_file(path):
        if isinstance(content, dict) and "operation" in content:
            content = as_recipe(content)
        if (
            not isinstance(content, dict)
            or content.get("blochnet_recipe") != 1
            or not isinstance(content.get("steps"), list)
        ):
            raise InputError(
                "found neither a recipe nor a record",
                "a recipe saved from napari or the JSON file beside a result",
                field="recipe",
            )
        if len(content["steps"]) > _MOST_STEPS:
            raise InputError(f"holds {len(content['steps']):,} steps", f"at most {_MOST_STEPS:,}", field="recipe")
        for number, step in enumerate(content["steps"], start=1):
            check_step(step, f"Step {number} of the recipe")
    return content


def run_recipe(
    recipe: dict[str, Any],
    *,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    instead: Mapping[int, Callable[..., Any]] | None = None,
) -> list[Any]:
    """Run a recipe's steps.

    Parameters
    ----------
    recipe : dict
        As `read_recipe` gives it.
    device : str
        "auto", "cpu" or a GPU such as "cuda:0", for operations that take one.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.
    instead : mapping of int to callable, optional
        What is called, as the operation would be, for the step of that number, counted from 0. The step of
        `napari_blochnet.jobs.history.other_stacks.EACH` needs one: that opens a stack.

    Returns
    -------
    list
        The result of each step.

    Raises
    ------
    InputError
        A step that is unknown or was not recorded (data made in Python), or takes another input or setting.
    """
    results: list[Any] = []
    called = instead or {}
    for number, step in enumerate(recipe["steps"], start=1):
        check_step(step, f"Step {number} of the recipe")
        if step.get("operation") == "given":
            results.append(_given(step, number))
            continue
        settings = step.get("settings", {})
        if step.get("operation") == EACH:
            if number - 1 not in called:
                raise InputError("This recipe is for other stacks, and none is named",
                                 "blochnet run RECIPE STACK… -o FOLDER", field="stacks")  # fmt: skip
            schedule = _resolve(step.get("inputs", {}).get("schedule"), results)
            results.append(called[number - 1](schedule))
            continue
        operation = operation_of(step.get("operation"), settings)
        if operation is None:
            known = dict.fromkeys(operation.name for operation in OPERATIONS)
            raise InputError(
                f"Step {number} of the recipe is {shown(step.get('operation'))}",
                f"one of {', '.join(known)}",
                field="recipe",
            )
        chosen = settings_from(operation.settings, None, **settings)
        inputs = {
            name: _input(operation, name, value, results, number) for name, value in step.get("inputs", {}).items()
        }
        for wanted in operation.inputs:
            if wanted.name not in inputs and not wanted.optional:
                raise InputError(
                    f"Step {number} of the recipe gives {operation.name} no {wanted.name}", "one", field="recipe"
                )
        more: dict[str, Any] = {"progress": progress, "cancelled": cancelled} if operation.watched else {}
        more |= {"device": device} if operation.device else {}
        results.append(called.get(number - 1, operation)(**inputs, settings=chosen, **more))
    return results


def _input(operation: Operation, name: str, value: Any, results: list[Any], number: int) -> Any:
    """Return one input of a step: what earlier steps made, or a name as it stands there."""
    wanted = operation.input(name)
    if wanted is None:
        takes = ", ".join(each.name for each in operation.inputs) or "none"
        raise InputError(f"Step {number} of the recipe gives {operation.name} a {name}", takes, field="recipe")
    if value is None and wanted.optional:
        return None
    kind = KINDS.get(wanted.kind)
    found = _resolve(value, results)
    for item in found if isinstance(found, list) else [found]:
        if kind is None:  # a path, or an array that the recipe holds; not what another operation made
            fits = item is not None and not isinstance(item, (bool, int, float, dict, list))
            fits = fits and not any(other.holds(item) for other in KINDS.values())
        else:
            # an estimator may be given by its name
            fits = kind.holds(item) or (kind.name == "estimator" and isinstance(item, str))
        if not fits:
            raise InputError(
                f"Step {number} of the recipe gives {operation.name} {shown(value)} as {name}",
                f"an earlier step that makes {kind.name}" if kind else "a file's name",
                field="recipe",
            )
    return found


def _given(step: dict[str, Any], number: int) -> Any:
    """Return an input that the recipe itself holds."""
    for key, unpack in GIVEN.items():
        if key in step:
            return unpack(step[key])
    if "layer" in step:
        raise InputError(
            f"Step {number} of the recipe is the layer {step['layer']} of napari",
            "fingerprints of a file: save those of the layer, and open that file",
            field="recipe",
        )
    raise InputError(
        f"Step {number} of the recipe is data that was made in Python", "a step that reads or makes it", field="recipe"
    )


def _resolve(value: Any, results: list[Any]) -> Any:
    if isinstance(value, dict) and "step" in value:
        index = value["step"]
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(results):
            raise InputError(
                f"The recipe refers to step {shown(index)} before it was run", "an earlier step", field="recipe"
            )
        return results[index]
    if isinstance(value, list):
        return [_resolve(item, results) for item in value]
    return value


def files_read(recipe: dict[str, Any]) -> list[str]:
    """Return what a recipe's steps name to be read, in their order: files and folders, models, data to download.

    Beside a file that is named its operation looks for what belongs to it: its JSON, its mask, its other part.

    Parameters
    ----------
    recipe : dict
        As `read_recipe` gives it.
    """
    found: list[str] = []
    for step in recipe["steps"]:
        settings, inputs = step.get("settings", {}), step.get("inputs", {})
        name = step.get("operation")
        # which stack it opens is said elsewhere; what belongs to all, such as a basis, is said here
        operation = operation_of("open_fingerprints" if name == EACH else name, settings)
        if operation is None:
            continue
        for value in inputs.values():
            found += [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]
        for name, field in operation.settings.model_fields.items():
            extra, value = field.json_schema_extra, settings.get(name)
            # an input of the same name stands in its place
            is_file = isinstance(extra, dict) and "files" in extra and name not in inputs
            if is_file and isinstance(value, str) and value not in ("", field.default, *NO_FILES):
                found.append(value)
        if operation.name == "brainweb_phantom":
            found.append(f"BrainWeb's subject {settings.get('subject', '')} (downloaded)")
    return list(dict.fromkeys(found))


def absolute_files(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe whose files are named by their whole paths: it may run in another folder than this process.

    Parameters
    ----------
    recipe : dict
        As `read_recipe` gives it.
    """
    content = copy.deepcopy(recipe)
    for step in content["steps"]:
        there = {name for name in files_read({"steps": [step]}) if Path(name).exists()}
        for given in (step.get("inputs", {}), step.get("settings", {})):
            # a folder may have the name of an estimator
            given |= {name: _absolute(value, there) for name, value in given.items()
                      if name != "estimator" or (isinstance(value, str) and is_path(value))}  # fmt: skip
    return content


def _absolute(value: Any, there: set[str]) -> Any:
    if isinstance(value, list):
        return [_absolute(item, there) for item in value]
    return str(Path(value).absolute()) if isinstance(value, str) and value in there else value


def check_results(recipe: dict[str, Any], folder: str | os.PathLike[str]) -> None:
    """Raise `InputError` where `write_results` may not write, before anything is run.

    Files that are there and not ours; places that lead out of the folder through links in it.
    """
    kinds, settings = [], []
    for step in recipe["steps"]:
        if isinstance(step, dict) and isinstance(given := step.get("settings"), dict):
            operation = operation_of(step.get("operation"), given)
            if operation is not None:
                kinds.append(KINDS[operation.result])
                known = {name: given[name] for name in operation.settings.model_fields if name in given}
                settings.append(settings_from(operation.settings, **known))
    for kind, path, chosen in zip(kinds, _places(kinds, folder), settings, strict=True):
        _check_inside(path, Path(folder))
        check_outputs(kind.targets(path, chosen), instead="another folder", field="output")


def _check_inside(path: Path, folder: Path) -> None:
    try:
        is_inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle
        is_inside = False
    if not is_inside:
        raise FileError(path, f"is a link that leads out of {folder.name}", "another folder", field="output")


def _places(kinds: Sequence[Kind], folder: str | os.PathLike[str]) -> list[Path]:
    """Return where results of these kinds are written: the second and further ones of a kind are numbered."""
    numbers = [sum(other.name == kind.name for other in kinds[:place]) for place, kind in enumerate(kinds)]
    return [
        Path(folder) / f"{kind.name}{f'_{number + 1}' if number else ''}{kind.suffix}"
        for kind, number in zip(kinds, numbers, strict=True)
    ]


def write_results(results: list[Any], folder: str | os.PathLike[str]) -> list[Path]:
    """Write the results of a recipe into a folder, each in its own format.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    InputError
        A file that is there and not ours; nothing is written then. A result that its place does not take: it is
        written elsewhere, which the sentence says, and the others where they belong. Where there are several such, a
        `DataWarning` says it of each of the others.
    OSError
        One that could not be written anywhere.
    """
    # a mask, B1 map or regions: part of the recipe, not a result
    found = [(kind, result) for result in results for kind in KINDS.values() if kind.holds(result)]
    kinds = [kind for kind, _ in found]
    written = _places(kinds, folder)
    for path in written:
        _check_inside(path, Path(folder))
    check_outputs((file for kind, path in zip(kinds, written, strict=True) for file in kind.targets(path)),
                  instead="another folder", field="output")  # fmt: skip
    failed: list[OSError | ValueError] = []
    for (kind, result), path in zip(found, written, strict=True):
        try:
            write_or_keep(functools.partial(resolve_name(kind.write), result), path)
        except (OSError, ValueError) as error:
            failed.append(error)
    for other in failed[:-1]:
        warnings.warn(str(other), DataWarning, stacklevel=2)
    if failed:
        raise failed[-1]
    return written
