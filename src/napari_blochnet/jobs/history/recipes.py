"""Recipes: a result's history as a file, and running it again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback
from napari_blochnet.io.json_files import read_json
from napari_blochnet.jobs.operations.b1_maps import unpack_b1
from napari_blochnet.jobs.packing import unpack_mask, unpack_regions
from napari_blochnet.jobs.records import NAMED_INPUTS, as_recipe
from napari_blochnet.schedules.schedule import Schedule

__all__ = ["read_recipe", "run_recipe", "write_results"]


def read_recipe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a recipe, or the record in the JSON beside a result.

    Raises
    ------
    InputError
        A file that holds neither.
    """
    content = read_json(path)
    if isinstance(content, dict):
        content = content.get("Record", content.get("record", content))
    if isinstance(content, dict) and "operation" in content:
        content = as_recipe(content)
    if (
        not isinstance(content, dict)
        or content.get("blochnet_recipe") != 1
        or not isinstance(content.get("steps"), list)
    ):
        raise InputError(f"{Path(path).name}: found neither a recipe nor a record; expected a recipe saved from napari "
                         "or the JSON file beside a result.", field="recipe")  # fmt: skip
    return content


def run_recipe(
    recipe: dict[str, Any],
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> list[Any]:
    """Run a recipe's steps.

    Parameters
    ----------
    recipe : dict
        As `read_recipe` gives it.

    Returns
    -------
    list
        The result of each step.

    Raises
    ------
    InputError
        A step that is unknown or was not recorded (data made in Python).
    """
    from napari_blochnet.jobs import catalogue as operations

    results: list[Any] = []
    for number, step in enumerate(recipe["steps"], start=1):
        operation = step.get("operation")
        if operation == "given":
            results.append(_given(step, number))
            continue
        if operation not in operations.SETTINGS:
            raise InputError(f"Step {number} of the recipe is {operation!r}; expected one of "
                             f"{', '.join(operations.SETTINGS)}.", field="recipe")  # fmt: skip
        function = getattr(operations, operation)
        inputs = [_resolve(value, results) for name, value in step["inputs"].items() if name not in NAMED_INPUTS]
        settings = dict(step["settings"])
        if operation == "train":
            inputs.insert(0, settings.pop("estimator", None))
        if operation == "reconstruct" and "estimator" in step["inputs"]:
            settings.pop("estimator", None)
        settings |= {name: _resolve(step["inputs"][name], results) for name in NAMED_INPUTS if name in step["inputs"]}
        watched: dict[str, Any] = {"progress": progress, "cancelled": cancelled}
        if operation in ("make_schedule", "region_means"):
            watched = {}
        results.append(function(*inputs, **watched, **settings))
    return results


def _given(step: dict[str, Any], number: int) -> Any:
    """Return an input that the recipe itself holds."""
    if "schedule" in step:
        return Schedule.from_dict(step["schedule"])
    if "mask" in step:
        return unpack_mask(step["mask"])
    if "b1" in step:
        return unpack_b1(step["b1"])
    if "regions" in step:
        return unpack_regions(step["regions"])
    raise InputError(f"Step {number} of the recipe is data that was made in Python; expected a step that reads or "
                     "makes it.", field="recipe")  # fmt: skip


def _resolve(value: Any, results: list[Any]) -> Any:
    if isinstance(value, dict) and "step" in value:
        index = value["step"]
        if not isinstance(index, int) or not 0 <= index < len(results):
            raise InputError(f"The recipe refers to step {index} before it was run; expected an earlier step.",
                             field="recipe")  # fmt: skip
        return results[index]
    if isinstance(value, list):
        return [_resolve(item, results) for item in value]
    return value


def write_results(results: list[Any], folder: str | os.PathLike[str]) -> list[Path]:
    """Write the results of a recipe into a folder, each in its own format.

    Returns
    -------
    list of Path
        What was written.
    """
    from napari_blochnet.estimators.networks.network_estimator import NetworkEstimator
    from napari_blochnet.evaluation.comparison import Comparison
    from napari_blochnet.evaluation.maps import ParameterMaps
    from napari_blochnet.evaluation.maps_io import write_maps
    from napari_blochnet.evaluation.regions import RegionMeans
    from napari_blochnet.fingerprints.stack import FingerprintStack
    from napari_blochnet.fingerprints.stack_files import write_fingerprints
    from napari_blochnet.phantoms.phantom import Phantom
    from napari_blochnet.phantoms.write import write_phantom
    from napari_blochnet.schedules.schedule_files import write_schedule

    target = Path(folder)
    counts: dict[str, int] = {}
    written: list[Path] = []
    for result in results:
        if isinstance(result, (np.ndarray, tuple)):  # a mask, B1 map or regions: part of the recipe, not a result
            continue
        name = {Phantom: "phantom", Schedule: "schedule", FingerprintStack: "stack", ParameterMaps: "maps",
                Comparison: "comparison", RegionMeans: "regions",
                NetworkEstimator: "estimator"}[type(result)]  # fmt: skip
        counts[name] = counts.get(name, 0) + 1
        path = target / (name if counts[name] == 1 else f"{name}_{counts[name]}")
        if isinstance(result, Phantom):
            write_phantom(result, path)
        elif isinstance(result, Schedule):
            path = path.with_suffix(".csv")
            write_schedule(result, path)
        elif isinstance(result, FingerprintStack):
            path = path.with_name(path.name + ".nii.gz")
            write_fingerprints(result, path)
        elif isinstance(result, ParameterMaps):
            write_maps(result, path)
        elif isinstance(result, NetworkEstimator):
            path = path.with_suffix(".safetensors")
            result.save(path)
        else:
            path = path.with_suffix(".html")
            result.to_html(path)
        written.append(path)
    return written
