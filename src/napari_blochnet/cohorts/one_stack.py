"""What a worker does to one stack of a study, and what is done once for all of them."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from napari_blochnet.cohorts.area_means import area_means, areas_of
from napari_blochnet.cohorts.stack_names import folder_of
from napari_blochnet.cohorts.study_folder import write_note
from napari_blochnet.common.progress import Watch
from napari_blochnet.engines.one_task import Task, notes_so_far
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.maps_io import map_paths
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.fingerprints.stack_files import carries_schedule
from napari_blochnet.io.sets.unfinished import BeingMadeError
from napari_blochnet.jobs.catalogue import KINDS
from napari_blochnet.jobs.history.recipes import run_recipe, write_results
from napari_blochnet.jobs.operations.opening import make_schedule, open_fingerprints
from napari_blochnet.jobs.recognise import has_own_schedule
from napari_blochnet.jobs.volumes.volume_maps import reconstruct_to

__all__ = ["do_one_stack", "do_recipe"]

# How long another worker, which the scheduler has given up and which is at it still, is waited for; between looks, s.
_PATIENCE, _LOOK = 120.0, 1.0


def do_one_stack(task: Task, device: str, watch: Watch) -> dict[str, Any]:
    """Do a recipe to one stack, write its results and note that they are there.

    Parameters
    ----------
    task : dict
        ``recipe`` with its step ``each`` and its ``results``; ``stack`` and ``prefix``; ``opened``, settings of the
        stack's opening, and ``schedule`` where it has its own; ``common``, the schedule of all; ``networks`` by step;
        ``regions``; ``folder`` and ``key`` of `napari_blochnet.cohorts.study_folder`.
    device : str
    watch : Watch

    Returns
    -------
    dict
        The note.
    """
    started = time.perf_counter()
    root, prefix = Path(task["folder"]), task["prefix"]
    folder = root / folder_of(prefix)
    steps, written = task["recipe"]["steps"], list[Path]()
    kept: dict[int, Callable[..., Any]] = {task["each"]: functools.partial(_open_stack, task, watch=watch)}
    for number, step in enumerate(steps):
        network = task["networks"].get(str(number))
        if step["operation"] == "reconstruct" and number in task["results"]:
            named = prefix if number == task["results"][-1] else f"{prefix}_desc-step{number + 1}"
            kept[number] = functools.partial(_map_into, folder, named, Path(task["stack"]), network, watch)
        elif network is not None:
            kept[number] = functools.partial(_given_network, network)
    found = run_recipe(task["recipe"], device=device, progress=watch.progress, cancelled=watch.cancelled, instead=kept)
    rows: list[dict[str, Any]] = []
    said: dict[str, Any] = {}
    for number in task["results"]:
        result = found[number]
        if isinstance(result, ParameterMaps):
            named = prefix if number == task["results"][-1] else f"{prefix}_desc-step{number + 1}"
            written += [path for path in map_paths(folder, named).values() if path.is_file()]
            rows += [{"estimator": result.estimator, **row}
                     for row in area_means(result, areas_of(_path(task["regions"]), result))]  # fmt: skip
            said = {"voxels": result.record["voxels"], "estimator": result.estimator}
        else:
            written.append(_write(result, folder, prefix))
    return write_note(root, prefix, task["key"], written, rows=rows, stack=str(task["stack"]), said=said,
                      study=task["study"], notes=notes_so_far(), seconds=time.perf_counter() - started)  # fmt: skip


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name)


def _open_stack(task: Task, schedule: Any, *, watch: Watch) -> FingerprintStack:
    """Open a stack as its table says, or as the recipe's own was understood; one of ours says all itself."""
    path, settings = Path(task["stack"]), task["opened"]
    watched: dict[str, Any] = {"progress": watch.progress, "cancelled": watch.cancelled}
    if task["schedule"] is not None:
        schedule = make_schedule(kind="file", path=task["schedule"], **watched)
    elif path.exists() and carries_schedule(path):
        return open_fingerprints(path, None, **settings, **watched)
    elif task["common"] is not None:
        schedule = make_schedule(kind="file", path=task["common"], **watched)
    recipe = task["recipe"]["steps"][task["each"]].get("settings", {})
    if path.exists() and has_own_schedule(path):  # or a basis of its own
        recipe = {name: value for name, value in recipe.items() if not name.startswith("basis")}
    return open_fingerprints(path, schedule, **{**recipe, **settings}, **watched)


def _map_into(
    folder: Path,
    prefix: str,
    source: Path,
    network: dict[str, Any] | None,
    watch: Watch,
    stack: FingerprintStack,
    estimator: Any = None,
    mask: Any = None,
    *,
    settings: Any,
    device: str,
    **more: Any,
) -> ParameterMaps:
    if network is not None:
        estimator = _network(device=device, other_schedule=settings.other_schedule, **network)
    waited = 0.0
    while True:
        try:
            return reconstruct_to(folder, stack, estimator, mask, settings, prefix=prefix, source=source,
                                  device=device, **more)  # fmt: skip
        except BeingMadeError:
            if waited >= _PATIENCE:
                raise
            watch.check("waiting for another worker")
            threading.Event().wait(_LOOK)
            waited += _LOOK


def _write(result: Any, folder: Path, prefix: str) -> Path:
    kind = next(kind for kind in KINDS.values() if kind.holds(result))
    path = folder / f"{prefix}_{kind.name}{kind.suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    resolve_name(kind.write)(result, path)
    return path


# -- networks: read once by each worker


def _given_network(network: dict[str, Any], *_: Any, **__: Any) -> Any:
    """Return a network that was trained for the whole study, in place of its training."""
    return _network(device="cpu", other_schedule=False, **network)


@functools.lru_cache(8)
def _network(file: str, name: str, source: str | None, device: str, other_schedule: bool) -> Any:
    from napari_blochnet.estimators.networks.store import load_estimator
    from napari_blochnet.jobs.operations.devices import resolve_device

    made = load_estimator(file, device=resolve_device(device), other_schedule=other_schedule)
    # as if it had been loaded by the name that the recipe has
    made.source, made.name = source, name or made.card["architecture"]
    return made


# -- without stacks


def do_recipe(task: Task, device: str, watch: Watch) -> dict[str, Any]:
    """Run a whole recipe, and write all its results into ``folder``."""
    found = run_recipe(task["recipe"], device=device, progress=watch.progress, cancelled=watch.cancelled)
    return {"files": list(map(str, write_results(found, task["folder"])))}
