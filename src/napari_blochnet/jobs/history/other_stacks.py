"""A result's history as a recipe for other stacks: what was done once, without what belonged to that stack alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.catalogue import Operation, operation_of
from napari_blochnet.jobs.settings import FingerprintsSettings

__all__ = ["EACH", "StackRecipe", "ancestors", "recipe_for_stacks", "renumbered"]

#: The step that opens each stack; its settings are those by which the recipe's own was understood.
EACH = "each_stack"
# Which voxels were mapped belongs to one stack, and changes no number of the others: it is left out.
_LEFT_OUT = ("mask", "slices")


@dataclass(frozen=True)
class StackRecipe:
    """What is done to each of many stacks.

    Parameters
    ----------
    recipe : dict
        As files hold it: one step is `EACH`.
    each : int
        Which, counted from 0.
    results : tuple of int
        Steps whose results are kept: those that no other step takes.
    needs : tuple of str
        Inputs that each stack must bring, since those of the recipe belong to its own: "b1".
    notes : tuple of str
        In sentences, what of the recipe belongs to one stack, and what is made of it.
    """

    recipe: dict[str, Any]
    each: int
    results: tuple[int, ...]
    needs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Its steps."""
        found: list[dict[str, Any]] = self.recipe["steps"]
        return found

    @property
    def mapped(self) -> tuple[int, ...]:
        """Steps that map a stack."""
        return tuple(number for number, step in enumerate(self.steps) if step["operation"] == "reconstruct")


def recipe_for_stacks(recipe: dict[str, Any]) -> StackRecipe:
    """Return what a recipe does to its stack as a recipe for any; one that is for others already as it is.

    What opens or makes its stack is replaced; settings stay, but for a mask, slices or a B1 map of its own voxels.

    Parameters
    ----------
    recipe : dict
        As `napari_blochnet.jobs.history.recipes.read_recipe` gives it.

    Raises
    ------
    InputError
        A recipe without a stack, or with several; one whose result is not made from it.
    """
    steps = copy.deepcopy(recipe["steps"])
    used = {number for step in steps for number in _steps_named(step)}
    made = _of_stacks(steps)
    last = len(steps) - 1
    finals = tuple(number for number in range(len(steps)) if number in made and number not in used)
    roots = {root for number in finals for root in _roots(steps, number)}
    if last not in finals or not roots or set(finals) == roots:
        what = steps[last].get("operation") if steps else "nothing"
        raise InputError(f"The recipe's last step, {what!r}, makes nothing from a stack",
                         "the recipe, or the JSON file, of maps", field="recipe")  # fmt: skip
    if len(roots) > 1:
        raise InputError(f"The recipe takes {len(roots)} stacks", "one that others can stand for", field="recipe")
    root = roots.pop()
    before = {key: value if isinstance(value := steps[root].get(key), list) else [] for key in ("needs", "notes")}
    asked, notes = dict.fromkeys(each for each in before["needs"] if each == "b1"), list(map(str, before["notes"]))
    steps[root] = _each(steps[root])
    for number in sorted(made - {root}):
        operation = operation_of(steps[number]["operation"], steps[number].get("settings", {}))
        if operation is not None:
            for name, said in _of_one_stack(operation, steps[number]):
                if name in _LEFT_OUT:
                    notes.append(
                        f"What the recipe says of {name} ({said}) belongs to its own stack and is left out: all of "
                        "each stack is mapped, or what a table of stacks says."
                    )
                else:
                    asked[name] = None
    if asked:
        steps[root]["needs"] = list(asked)
    if notes:
        steps[root]["notes"] = notes
    kept = sorted({needed for number in finals for needed in ancestors(steps, number)})
    place = {number: index for index, number in enumerate(kept)}
    content = {"blochnet_recipe": 1, "steps": [renumbered(steps[number], place) for number in kept]}
    return StackRecipe(content, place[root], tuple(place[number] for number in finals), tuple(asked), tuple(notes))


def _each(step: dict[str, Any]) -> dict[str, Any]:
    """Return the step that opens each stack, in place of the one that opened or made the recipe's own."""
    if step["operation"] == EACH:
        return step
    settings = step.get("settings", {}) if step["operation"] == "open_fingerprints" else {}
    known = {name: settings[name] for name in FingerprintsSettings.model_fields if name in settings}
    inputs = step.get("inputs", {})
    return {"operation": EACH, "settings": known, "inputs": {"schedule": inputs.get("schedule")}}


def _of_one_stack(operation: Operation, step: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the names of what a step has of one stack's voxels, in words, and take it out."""
    inputs, settings = step.get("inputs", {}), step.get("settings", {})
    for each in operation.inputs:
        # an input by name, with a setting of its name for a file
        is_named = each.by_name and each.name in operation.settings.model_fields
        if is_named and inputs.get(each.name) is not None:
            inputs.pop(each.name)
            yield each.name, "painted" if each.name in _LEFT_OUT else "an array"
        elif is_named and settings.get(each.name) not in (None, "otsu"):
            yield each.name, str(settings.pop(each.name))
    if operation.name == "reconstruct" and settings.get("slices") is not None:
        yield "slices", " to ".join(map(str, settings.pop("slices")))


def _steps_named(value: Any) -> Iterator[int]:
    """Yield the numbers of steps that the inputs of a step name."""
    if isinstance(value, dict):
        if isinstance(value.get("step"), int):
            yield value["step"]
        else:
            for inner in value.get("inputs", {}).values():
                yield from _steps_named(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _steps_named(inner)


def _of_stacks(steps: list[dict[str, Any]]) -> set[int]:
    """Return the steps that open, make or give a stack, and all that are made from one."""
    made = {named for step in steps for named in _stacks_named(step)}
    for number, step in enumerate(steps):
        operation = _operation(step)
        is_stack = step.get("operation") == EACH or (operation is not None and operation.result == "stack")
        if is_stack or made & set(_steps_named(step)):
            made.add(number)
    return made


def _stacks_named(step: dict[str, Any]) -> Iterator[int]:
    """Yield the numbers of steps that an operation takes as stacks: of one made in Python nothing else says so."""
    operation, inputs = _operation(step), step.get("inputs", {})
    for each in () if operation is None else operation.inputs:
        if each.kind == "stack":
            yield from _steps_named(inputs.get(each.name))


def _operation(step: dict[str, Any]) -> Operation | None:
    return operation_of(step.get("operation"), step.get("settings", {}))


def ancestors(steps: Sequence[dict[str, Any]], number: int) -> set[int]:
    """Return a step and all that it is made from."""
    found, ahead = set(), [number]
    while ahead:
        here = ahead.pop()
        if here not in found and 0 <= here < len(steps):
            found.add(here)
            ahead += _steps_named(steps[here])
    return found


def _roots(steps: list[dict[str, Any]], number: int) -> set[int]:
    """Return the stacks that a step comes from, each where it is opened or made from no other."""
    made = _of_stacks(steps)
    return {here for here in ancestors(steps, number) & made if not made & set(_steps_named(steps[here]))}


def renumbered(value: Any, place: Mapping[int, int]) -> Any:
    """Return a step, or what stands in one, with the steps it names by their new places."""
    if isinstance(value, dict):
        if isinstance(value.get("step"), int) and len(value) == 1:
            return {"step": place[value["step"]]}
        if "inputs" in value:
            return value | {"inputs": {name: renumbered(each, place) for name, each in value["inputs"].items()}}
        return value
    return [renumbered(each, place) for each in value] if isinstance(value, list) else value
